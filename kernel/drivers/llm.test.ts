/** The driver's kernel side against scripted driver processes, on a clock of its own. */
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, it } from "vitest";
import type { Plan } from "../../proto/gen/contix/driver/v1/llm.js";
import { silentLog } from "../log.js";
import { LlmDriver } from "./llm.js";

const root = fileURLToPath(new URL("../..", import.meta.url));
const open: LlmDriver[] = [];
afterEach(async () => {
  for (const driver of open.splice(0)) await driver.stop(0);
});

/** A clock whose timers run when told to. */
class Timers {
  readonly armed = new Map<() => void, number>();
  now = () => 0;
  wall = () => 0;
  after = (us: number, fn: () => void): (() => void) => {
    // What is due at once needs no telling.
    if (us === 0) setImmediate(fn);
    else this.armed.set(fn, us);
    return () => void this.armed.delete(fn);
  };
  get waiting(): number[] {
    return [...this.armed.values()];
  }
  fire(): void {
    for (const fn of [...this.armed.keys()]) {
      this.armed.delete(fn);
      fn();
    }
  }
}

/** A driver process that does `body` with each message `msg`; `send` answers. */
function scripted(body: string): { driver: LlmDriver; timers: Timers } {
  const program = `
    import { Socket } from "node:net";
    import { frames } from "${root}dist/proto/frame.js";
    import { FromDriver, ToDriver } from "${root}dist/proto/gen/contix/driver/v1/llm.js";
    const ready = (over = {}) => ({ msg: { $case: "ready", value: { engineDigest: "d", model: "m",
      slots: 1, slotTokens: 64, vocab: 9, chat: false, license: "", driver: "fake", chunkTokens: 8, ...over } } });
    const socket = new Socket({ fd: 3 });
    const channel = frames(socket, ToDriver, FromDriver, ({ msg }) => {
      if (msg.$case === "shutdown") process.exit(0);
      on(msg, (message) => channel.send(message));
    }, () => process.exit(0));
    const outcome = (plan, last) => ({ msg: { $case: "outcome", value: { plan, step: 0, stepUs: 1, last, rows: [] } } });
    function on(msg, send) { ${body} }`;
  const timers = new Timers();
  const driver = new LlmDriver(
    {
      command: [process.execPath, "--input-type=module", "-e", program],
      open: { model: "", slots: 1, slotTokens: 64, threads: 1, options: "" },
      restartLimit: 2,
      restartWindowUs: 1e9,
      hangUs: 777,
      openUs: 555,
    },
    timers,
    silentLog,
  );
  open.push(driver);
  return { driver, timers };
}

const plan = (id: bigint, work: boolean): Plan => ({
  id,
  steps: 1,
  copies: [],
  binds: [],
  rows: work ? [{ burst: 1n, slot: 0, forcedStart: 0, forced: [1], sample: true }] : [],
  chunks: [],
});

describe("the kernel's side of a driver", () => {
  it("watches a step, whatever the end of the plan before says", async () => {
    const { driver, timers } = scripted(`
      if (msg.$case === "open") send(ready());
      if (msg.$case === "plan" && msg.value.id === 2n) send(outcome(1n, true));`);
    await driver.start();
    driver.wake();
    await driver.run(plan(1n, false));
    expect(timers.waiting).toEqual([]);
    const result = await driver.run(plan(2n, true));
    expect(result.kind).toBe("outcomes");
    expect(timers.waiting).toEqual([777]);
  });

  it("gives up a driver that does not get ready, and says so", async () => {
    const { driver, timers } = scripted("");
    const starting = driver.start();
    expect(timers.waiting).toEqual([555]);
    timers.fire();
    await expect(starting).rejects.toMatchObject({
      code: "EIO",
      message: expect.stringContaining("said nothing"),
    });
  });

  it("reads a dying driver's last words", async () => {
    const { driver } = scripted(
      'send({ msg: { $case: "fault", value: { message: "no memory" } } }); setImmediate(() => process.exit(3));',
    );
    await expect(driver.start()).rejects.toMatchObject({
      message: expect.stringContaining("no memory"),
    });
  });

  it("asks the next driver again, and gives up one with another engine", async () => {
    const { driver } = scripted(`
      if (msg.$case === "open") send(ready({ engineDigest: process.pid + "" }));
      if (msg.$case === "text") process.exit(1);`);
    await driver.start();
    const what = { text: "hi", special: false, start: false };
    await expect(driver.text({ $case: "encode", value: what })).rejects.toMatchObject({
      code: "EXDEV",
    });
    expect(driver.failure).toMatchObject({ code: "EXDEV" });
    expect(driver.available).toBe(false);
  });

  it("does not let one text kill driver after driver", async () => {
    const { driver, timers } = scripted(`
      if (msg.$case === "open") send(ready());
      if (msg.$case === "text" && msg.value.what.value.text === "poison") process.exit(1);
      else if (msg.$case === "text") send({ msg: { $case: "text", value: { id: msg.value.id, tokens: [7], error: "", code: "", argument: "" } } });`);
    await driver.start();
    const ask = (text: string) =>
      driver.text({ $case: "encode", value: { text, special: false, start: false } });
    const refused = ask("poison").catch((error: unknown) => error);
    // The first restart is at once, the second waits for its timer.
    while (driver.restarts < 2) await new Promise((resolve) => setTimeout(resolve, 5));
    timers.fire();
    expect(await refused).toMatchObject({ code: "EIO" });
    expect(await ask("fine")).toEqual([7]);
  });

  it("leaves a driver that keeps dying alone for a while, and then tries again", async () => {
    const { driver, timers } = scripted(`
      if (msg.$case === "open") send(ready());
      if (msg.$case === "plan") process.exit(1);`);
    await driver.start();
    for (let id = 1n; !driver.failure; id++) {
      if (driver.available) void driver.run(plan(id, true));
      // A restart that waits for its time; the shorter timers are the watches.
      if (timers.waiting.some((us) => us >= 200_000)) timers.fire();
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    expect(driver.failure).toMatchObject({ code: "EIO", retryAfterUs: 30_000_000 });
    expect(timers.waiting).toEqual([30_000_000]);
    timers.fire();
    expect(driver.failure).toBeUndefined();
    await driver.up();
    expect(driver.available).toBe(true);
  });
});
