import { describe, expect, it } from "vitest";
import { BareKernel } from "../../../test/support/bare-kernel.js";
import type { Kernel } from "../../kernel.js";
import { RIGHTS } from "../rights.js";
import { detailOf } from "./detail.js";
import { Questions } from "./questions.js";

const MINUTE = 60_000_000;

/** A kernel that asks: `agent` may tell `target` things once `who` has said yes. */
function make(who: { principal?: string; pid?: bigint } = {}, limits: object = {}) {
  const bare = new BareKernel();
  const { kernel } = bare;
  const config = { limits: { ...kernel.config.limits, ...limits } };
  const { journal, clock, audit } = kernel;
  const ask = new Questions({ journal, clock, audit, config });
  (kernel as { ask: Kernel["ask"] }).ask = ask;
  const boss = bare.process({ principal: "alice", gifts: [namespace("alice")] });
  const agent = bare.process({ principal: "alice" });
  const target = bare.process({ principal: "alice" });
  const rule = { principal: "", pid: who.principal ? 0n : boss, timeoutUs: MINUTE, ...who };
  const rights = RIGHTS.admin | RIGHTS.write | RIGHTS.signal;
  const handle = bare.handle(agent, { type: "process", id: target }, rights, { ask: rule });
  /** The agent's call: it makes the target nice, which is seen in the process table. */
  const call = (nice = 5) => bare.outcome(agent, "nice", { nice }, handle);
  const niceOf = () => bare.state.processes.get(target)?.nice;
  const answer = (pid: bigint, id: bigint, allow: boolean, reason = "") =>
    bare.outcome(pid, "askAnswer", { id, allow, reason });
  const audited = () => bare.audit.map(({ call, result }) => `${call} ${result}`);
  return { bare, kernel, ask, boss, agent, target, handle, call, niceOf, answer, audited };
}

const namespace = (
  principal: string,
  ask?: { principal: string; pid: bigint; timeoutUs: number },
) => ({
  ...{ parent: 0n, object: { type: "principal" as const, id: principal }, rights: 63 },
  ...(ask && { ask }),
});

describe("a call that asks", () => {
  it("waits for a yes, runs once, and both are audited", async () => {
    const { bare, boss, agent, call, niceOf, answer, audited, kernel } = make();
    const outcome = call();
    expect([...kernel.trap.inFlight(agent)].map(({ waitingOn }) => waitingOn)).toEqual([
      "approval",
    ]);
    expect(niceOf()).toBe(0);
    const { result } = await bare.call(boss, "askList");
    const questions = result?.$case === "askList" ? result.value.questions : [];
    expect(questions).toEqual([
      expect.objectContaining({ id: 1n, pid: agent, call: "proc.nice", leftUs: BigInt(MINUTE) }),
    ]);
    expect(questions[0]?.detail).toContain('"nice":5');
    expect(await answer(boss, 1n, true)).toBe("ok");
    expect(await outcome).toBe("ok");
    expect(niceOf()).toBe(5);
    expect(await answer(boss, 1n, true)).toMatch(/ENOENT: question 1 is answered/);
    expect(audited().slice(0, 4)).toEqual([
      "ask.asked ok",
      "ask.answered ok",
      "ask.answer ok",
      "proc.nice ok",
    ]);
  });

  it("is refused with the reason of who said no, and does nothing", async () => {
    const { boss, call, niceOf, answer, audited } = make();
    const outcome = call();
    expect(await answer(boss, 1n, false, "not today")).toBe("ok");
    expect(await outcome).toMatch(/^EPERM: proc.nice on process n1.3 was refused: not today/);
    expect(niceOf()).toBe(0);
    expect(audited()).toContain("ask.answered EPERM");
    expect(audited()).toContain("proc.nice EPERM");
  });

  it("is refused when nobody answers in time", async () => {
    const { bare, call, niceOf, boss, answer, audited } = make();
    const outcome = call();
    bare.pass(MINUTE - 1);
    bare.pass(1);
    expect(await outcome).toMatch(/^EPERM: .*nobody answered within 60 s/);
    expect(niceOf()).toBe(0);
    expect(await answer(boss, 1n, true)).toMatch(/ENOENT/);
    expect(audited()).toContain("ask.expired EPERM");
  });

  it("ends with its cancellation, and a late yes does nothing", async () => {
    const { kernel, agent, call, niceOf, boss, answer, audited } = make();
    const outcome = call();
    kernel.trap.cancel(agent, 1n);
    expect(await outcome).toMatch(/^ECANCELED/);
    expect(await answer(boss, 1n, true)).toMatch(/ENOENT/);
    expect(niceOf()).toBe(0);
    expect(audited()).toContain("ask.withdrawn ok");
  });

  it("ends with its caller, and leaves no question", () => {
    const { kernel, ask, agent, boss, call, bare } = make();
    void call();
    const asked = bare.state.processes.get(boss);
    if (!asked) throw new Error("no boss");
    expect(ask.list(asked, 0n)).toHaveLength(1);
    kernel.procs.exited(agent, 0, "exit");
    expect(ask.list(asked, 0n)).toEqual([]);
  });

  it("is refused when the one who is asked is gone, before or meanwhile", async () => {
    const { kernel, boss, call, niceOf } = make();
    const outcome = call();
    kernel.procs.exited(boss, 0, "exit");
    expect(await outcome).toMatch(/^EPERM: .*the process that was asked is over/);
    expect(await call()).toMatch(/^EPERM: the process to be asked is over/);
    expect(niceOf()).toBe(0);
  });

  it("does not run when its handle was taken back while it waited", async () => {
    const { bare, kernel, call, niceOf, boss, answer } = make();
    const outcome = call();
    const id = BigInt(bare.state.counters.cap);
    kernel.journal.append({ type: "cap.revoked", id, self: true });
    kernel.trap.recheck();
    expect(await outcome).toMatch(/^EBADF/);
    expect(await answer(boss, 1n, true)).toMatch(/ENOENT/);
    expect(niceOf()).toBe(0);
  });

  it("goes on while its caller has lost its stream", async () => {
    const { kernel, agent, call, niceOf, boss, answer } = make();
    void call();
    const port = kernel.trap.port(agent);
    if (port) kernel.trap.detach(agent, port);
    expect(await answer(boss, 1n, true)).toBe("ok");
    await new Promise((resolve) => setImmediate(resolve));
    expect(niceOf()).toBe(5);
  });

  it("is one of a bounded number", async () => {
    const { call } = make({}, { questionsPerProcess: 2 });
    void call();
    void call();
    expect(await call()).toMatch(/^EAGAIN: 2 calls of this process wait/);
    const all = make({}, { questions: 1 });
    void all.call();
    expect(await all.call()).toMatch(/^EAGAIN/);
  });
});

describe("a copy of a handle that asks", () => {
  it("asks the same, and whoever has it can not make it ask another", async () => {
    const bare = new BareKernel();
    const agent = bare.process({ principal: "alice", gifts: [namespace("alice")] });
    const target = bare.process({ principal: "alice" });
    const rule = { principal: "ops", pid: 0n, timeoutUs: MINUTE };
    // Nobody asks here whether the grant itself may be made: that is another question.
    const handle = bare.handle(agent, { type: "process", id: target }, 63, { ask: rule });
    const ask = { principal: "", pid: agent, timeoutUs: 1n };
    expect(await bare.outcome(agent, "capGrant", { pid: target, ask }, handle)).toMatch(
      /^EPERM: calls through this handle ask first/,
    );
    expect(await bare.outcome(agent, "capGrant", { pid: target }, handle)).toBe("ok");
    const copies = [...bare.state.caps.values()].filter(({ holder }) => holder === target);
    expect(copies.map((copy) => copy.ask)).toEqual([rule]);
  });
});

describe("who may answer", () => {
  const admin = (bare: BareKernel) => bare.process({ principal: "admin", gifts: [namespace("*")] });

  it("where a process is named, that one and an administrator", async () => {
    const { bare, call, answer, target } = make();
    void call();
    expect(await answer(target, 1n, true)).toMatch(/^EPERM: question 1 is put to process/);
    const other = bare.process({ principal: "alice", gifts: [namespace("alice")] });
    expect(await answer(other, 1n, true)).toMatch(/^EPERM/);
    expect(await answer(admin(bare), 1n, true)).toBe("ok");
  });

  it("where a principal is, who has a namespace over it that itself asks nobody", async () => {
    const { bare, call, answer, agent } = make({ principal: "alice" });
    void call();
    const bare1 = bare.process({ principal: "alice" });
    const strange = bare.process({ principal: "bob", gifts: [namespace("bob")] });
    const rule = { principal: "alice", pid: 0n, timeoutUs: MINUTE };
    const asking = bare.process({ principal: "alice", gifts: [namespace("alice", rule)] });
    for (const pid of [bare1, strange, asking, agent]) {
      expect(await answer(pid, 1n, true)).toMatch(/^EPERM/);
      const { result } = await bare.call(pid, "askList");
      expect(result).toMatchObject({ value: { questions: [] } });
    }
    const good = bare.process({ principal: "alice", gifts: [namespace("alice")] });
    expect(await answer(good, 1n, true)).toBe("ok");
  });

  it("never who asked, whatever it holds", async () => {
    const { bare, boss, target } = make();
    const rule = { principal: "alice", pid: 0n, timeoutUs: MINUTE };
    const object = { type: "process" as const, id: target };
    const handle = bare.handle(boss, object, 63, { ask: rule });
    void bare.outcome(boss, "nice", { nice: 1 }, handle);
    expect(await bare.outcome(boss, "askAnswer", { id: 1n, allow: true, reason: "" })).toMatch(
      /^EPERM/,
    );
  });

  it("and why is short", async () => {
    const { boss, call, answer } = make();
    void call();
    expect(await answer(boss, 1n, false, "x".repeat(501))).toMatch(/^E2BIG: a reason of 501/);
    expect(await answer(boss, 9n, false)).toMatch(/^ENOENT/);
  });
});

describe("who waits for questions", () => {
  it("hears of the next one, and only of his", async () => {
    const { bare, boss, target, call } = make();
    const waits = bare.call(boss, "askList", { after: 0n, wait: true });
    const others = bare.call(target, "askList", { after: 0n, wait: true });
    void call();
    expect((await waits).result).toMatchObject({ value: { questions: [{ id: 1n }] } });
    const next = bare.call(boss, "askList", { after: 1n, wait: true });
    void call();
    expect((await next).result).toMatchObject({ value: { questions: [{ id: 2n }] } });
    bare.kernel.trap.endAll(
      new (await import("../../../proto/errno.js")).ContixError("ESHUTDOWN", "x"),
    );
    expect((await others).result?.$case).toBe("error");
  });
});

describe("the detail of a question", () => {
  it("is JSON of what was asked, long parts cut", () => {
    const text = detailOf({ pid: 3n, body: new Uint8Array(9), words: ["x".repeat(300)] });
    expect(text).toMatch(
      /^\{"pid":"3","body":"9 bytes","words":\["x{200}… \(300 characters\)"\]\}$/,
    );
    expect(detailOf({ many: Array(900).fill("word") }).length).toBeLessThan(2100);
    expect(detailOf(undefined)).toBe("");
  });
});
