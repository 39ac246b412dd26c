/** Models and their drivers' lives, with scripted driver processes and a clock of the test's own. */
import { afterEach, describe, expect, it } from "vitest";
import { ContixError } from "../../proto/errno.js";
import { loadConfig } from "../config.js";
import { scriptedCommand, Timers } from "../drivers/testing/scripted.js";
import { memoryJournal } from "../journal/journal.js";
import { silentLog } from "../log.js";
import { PageQuotas } from "../mm/page-quotas.js";
import { ChunkRate } from "../sched/chunk-rate.js";
import { Engines } from "./engines.js";

const open: Engines[] = [];
afterEach(async () => {
  for (const engines of open.splice(0)) await engines.close();
});

const IDLE_US = 5000;
const READY = 'if (msg.$case === "open") send(ready({ engineDigest: msg.value.model }));';

/** Models a, b and c of 4 bytes each; `also` is another name of a. */
function models(memoryBudget = 100, body = READY) {
  const timers = new Timers();
  const prepared: string[] = [];
  const broken: { error: ContixError | undefined } = { error: undefined };
  const config = loadConfig({ home: "/nonexistent", model: "a" }, {});
  const journal = memoryJournal();
  const engines = new Engines({
    ...{ config, clock: timers, log: silentLog, journal, idleUs: IDLE_US, memoryBudget },
    pageQuotas: new PageQuotas(config.limits, journal),
    chunkRate: new ChunkRate(),
    onBroken: (error) => {
      throw error;
    },
    library: {
      list: async () => [],
      resolve: async (name) => {
        if (["a", "b", "c"].includes(name)) return name;
        if (name.startsWith("also")) return "a";
        throw new ContixError("EMODEL", `no ${name}`);
      },
      prepare: async (name) => {
        prepared.push(name);
        if (broken.error) throw broken.error;
        return { command: scriptedCommand(body), model: name, memory: 4, pageMemory: 1 };
      },
    },
  });
  open.push(engines);
  const use = async (name: string) => {
    const model = await engines.find(name);
    const hold = model.hold();
    await model.up();
    return { model, hold };
  };
  return { engines, timers, prepared, broken, use };
}

describe("engines", () => {
  it("know a model by all its names, and a context's by its digest too", async () => {
    const { engines } = models();
    await engines.load(["a", "b"]);
    const a = await engines.find("a");
    expect(await engines.find("also-a")).toBe(a);
    expect(await engines.find("")).toBe(a);
    expect(engines.default).toBe(a);
    expect(engines.of({ model: "b", engine: "b" }).model).toBe("b");
    await expect(engines.find("z")).rejects.toMatchObject({ code: "EMODEL" });
    const exdev = expect.objectContaining({ code: "EXDEV" });
    expect(() => engines.of({ model: "b", engine: "older" })).toThrow(exdev);
    expect(() => engines.of({ model: "c", engine: "c" })).toThrow(exdev);
  });

  it("know of a model that has run how many pages have room", async () => {
    const body = 'if (msg.$case === "open") send(ready({ engineDigest: "a", frames: 7 }));';
    const { engines, use } = models(100, body);
    expect(engines.framesOf("a")).toBe(0);
    await use("a");
    expect(engines.framesOf("a")).toBe(7);
  });

  it("start one driver for all who ask at once", async () => {
    const { engines, prepared } = models();
    const a = await engines.find("a");
    const all = await Promise.all([a.up(), a.up(), a.up()]);
    expect(new Set(all).size).toBe(1);
    expect(prepared).toEqual(["a"]);
    expect([a.state, a.memory, engines.memoryUsed]).toEqual(["running", 4, 4]);
  });

  it("stop a driver that nobody has used for a while, and only such a one", async () => {
    const { use, timers } = models();
    const { model, hold } = await use("a");
    timers.time = 1000;
    hold[Symbol.dispose]();
    const again = model.hold();
    timers.time = 9000;
    timers.fire(IDLE_US);
    expect(model.state).toBe("running");
    again[Symbol.dispose]();
    again[Symbol.dispose]();
    // Used at 9000: what is left of its time is waited for.
    const late = model.hold();
    timers.time = 12_000;
    late[Symbol.dispose]();
    timers.time = 14_000;
    timers.fire(IDLE_US);
    expect(model.state).toBe("running");
    timers.time = 17_000;
    timers.fire(3000);
    expect(model.state).toBe("stopped");
    await model.rest();
    expect([model.memory, model.driver.osPid]).toEqual([0, 0]);
    const engine = await model.up();
    expect(engine).toBe(model.engine);
    expect(model.memory).toBe(4);
  });

  it("make room by stopping the one used longest ago, and never one in use", async () => {
    const { engines, use, timers } = models(9);
    const a = await use("a");
    timers.time = 10;
    const b = await use("b");
    await expect(use("c")).rejects.toMatchObject({ code: "EAGAIN" });
    expect((await engines.find("c")).state).toBe("stopped");
    a.hold[Symbol.dispose]();
    b.hold[Symbol.dispose]();
    a.model.hold()[Symbol.dispose]();
    b.model.lastUsed = 5;
    const c = await use("c");
    expect([a.model.state, b.model.state, c.model.state]).toEqual([
      "running",
      "stopped",
      "running",
    ]);
    expect(engines.memoryUsed).toBe(8);
  });

  it("give the memory of a driver that is ending to one model only", async () => {
    const { engines, use } = models(4);
    const a = await use("a");
    a.hold[Symbol.dispose]();
    const resting = a.model.rest();
    const back = use("a");
    const other = use("b");
    const results = await Promise.allSettled([back, other]);
    await resting;
    expect(results.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
    expect(engines.memoryUsed).toBe(4);
  });

  it("say for a while why a model can not be started, and then try again", async () => {
    const { engines, timers, prepared, broken, use } = models();
    const told: string[] = [];
    engines.onState = (model) => told.push(model.state);
    broken.error = new ContixError("ENOSPC", "the disk is full");
    await expect(use("b")).rejects.toMatchObject({ code: "ENOSPC" });
    await expect(use("b")).rejects.toMatchObject({ code: "ENOSPC" });
    expect(prepared).toEqual(["b"]);
    expect((await engines.find("b")).failure).toMatchObject({ code: "ENOSPC" });
    timers.time = 5_000_000;
    timers.fire(5_000_000);
    expect([told[0], told.at(-1)]).toEqual(["failed", "stopped"]);
    broken.error = undefined;
    expect((await use("b")).model.state).toBe("running");
  });

  it("give back what a driver had that did not get ready", async () => {
    const { engines, use } = models(100, "process.exit(3);");
    await expect(use("b")).rejects.toMatchObject({
      code: "EIO",
      message: expect.stringMatching(/driver of b did not start: exit code 3/),
    });
    expect([engines.memoryUsed, (await engines.find("b")).driver.osPid]).toEqual([0, 0]);
  });
});
