/** The driver's kernel side against scripted driver processes, on a clock of its own. */

import { afterEach, describe, expect, it } from "vitest";
import type { Plan } from "../../proto/gen/contix/driver/v1/llm.js";
import { PLAIN_DRIVER } from "../../proto/plain-driver.js";
import { silentLog } from "../log.js";
import { LlmDriver } from "./llm.js";
import { scriptedCommand, Timers } from "./testing/scripted.js";

const open: LlmDriver[] = [];
afterEach(async () => {
  for (const driver of open.splice(0)) await driver.close(0);
});

/** A driver process that does `body` with each message `msg`; `send` answers. */
function scripted(body: string): { driver: LlmDriver; timers: Timers } {
  const timers = new Timers();
  const options = {
    model: "m",
    command: scriptedCommand(body),
    open: { model: "", slots: 1, slotTokens: 64, threads: 1, options: "", ...PLAIN_DRIVER },
    ...{ restartLimit: 2, restartWindowUs: 1e9, hangUs: 777, openUs: 555 },
  };
  const driver = new LlmDriver(options, timers, silentLog);
  open.push(driver);
  return { driver, timers };
}

const plan = (id: bigint, work: boolean): Plan => ({
  id,
  steps: 1,
  gatherUs: 0,
  copies: [],
  saves: [],
  writes: [],
  reads: [],
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
    expect(driver.state).toBe("failed");
  });

  it("does not let one text kill driver after driver", async () => {
    const { driver, timers } = scripted(`
      if (msg.$case === "open") send(ready());
      if (msg.$case === "text" && msg.value.what.value.text === "poison") process.exit(1);
      else if (msg.$case === "text") send({ msg: { $case: "text", value: { id: msg.value.id, tokens: [7], ends: [], texts: [], error: "", code: "", argument: "" } } });`);
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
      if (driver.state === "running") void driver.run(plan(id, true));
      // A restart that waits for its time; the shorter timers are the watches.
      if (timers.waiting.some((us) => us >= 200_000)) timers.fire();
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    expect(driver.failure).toMatchObject({ code: "EIO", retryAfterUs: 30_000_000 });
    expect(timers.waiting).toEqual([30_000_000]);
    timers.fire();
    expect(driver.failure).toBeUndefined();
    await driver.up();
    expect(driver.state).toBe("running");
  });

  it("is stopped and started again, and tells the loop that its slots are empty", async () => {
    const { driver, timers } = scripted('if (msg.$case === "open") send(ready());');
    await driver.start();
    const first = driver.osPid;
    expect(await driver.run(plan(1n, false))).toEqual({ kind: "woken" });
    const running = driver.run(plan(2n, true));
    const stopping = driver.stop();
    expect(await running).toEqual({ kind: "lost" });
    expect(driver.state).toBe("stopped");
    // Wanted again before it is gone: the next process begins when this one has ended.
    const starting = driver.start();
    expect(driver.osPid).toBe(first);
    await stopping;
    expect(driver.state).toBe("starting");
    await starting;
    expect(driver.osPid).not.toBe(first);
    expect([driver.state, driver.restarts]).toEqual(["running", 0]);
    expect(timers.waiting).toEqual([]);
  });

  it("ends a driver that does not listen, and waits for nobody once it is closed", async () => {
    const { driver, timers } = scripted('if (msg.$case === "open") send(ready());');
    await driver.start();
    process.kill(driver.osPid, "SIGSTOP");
    const closing = driver.close(333);
    timers.fire(333);
    await closing;
    await driver.up();
    expect([driver.state, driver.osPid]).toEqual(["stopped", 0]);
  });

  it("starts one again that was killed before it was ready", async () => {
    const { driver } = scripted('if (msg.$case === "open") setTimeout(() => send(ready()), 300);');
    const starting = driver.start();
    process.kill(driver.osPid, "SIGKILL");
    await starting;
    expect(driver.restarts).toBe(1);
  });

  it("rejects whoever waits for one that is stopped while it starts", async () => {
    const { driver } = scripted("");
    const starting = driver.start().catch((error: unknown) => error);
    await driver.stop();
    expect(await starting).toMatchObject({ code: "EIO" });
    expect(driver.state).toBe("stopped");
  });
});
