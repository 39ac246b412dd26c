/** Processes that talk, end and are killed; the driver among them. */
import { existsSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { type Os, SyscallError } from "../../syscalls/index.js";
import type { TestKernel } from "../../syscalls/testing.js";
import { osPidOf, spawnAgent, start, startAgent, until } from "../support/kernels.js";

const FOR_EVER = `for await (const text of os.llm.generate("for ever", { ignoreEos: true })) process.stdout.write(text);`;

/** Starts an agent that generates for ever; its OS process. */
type Starter = (kernel: TestKernel, os: Os) => Promise<number>;

const STARTERS: Readonly<Record<string, Starter>> = {
  "that the kernel started": async (_kernel, os) =>
    osPidOf(os, (await spawnAgent(os, FOR_EVER)).pid),
  "that was started elsewhere": async (kernel) => startAgent(kernel, FOR_EVER).pid ?? 0,
};

describe("what may be killed", () => {
  it("an agent in mid-stream: its slot is free, its process is over", async () => {
    const kernel = await start({ stepUs: 3000, flags: ["--detach-grace-ms", "50"] });
    await using os = await kernel.connect();
    const child = await spawnAgent(os, FOR_EVER);
    await until(async () => (await os.sys.stats()).slot.some((s) => s.pid === child.pid));
    process.kill(await osPidOf(os, child.pid), "SIGKILL");
    expect(await child.wait()).toMatchObject({ exitCode: 137, cause: "signal KILL" });
    const after = await os.sys.stats();
    expect(after.slotsUsed).toBe(0);
    expect(after.queued).toBe(0);
  });

  it.each(Object.entries(STARTERS))(
    "an agent %s: who waits has its slot within a step",
    {
      timeout: 120_000,
    },
    async (_how, startOne) => {
      // Steps so long that a busy machine does not let some of them pass unnoticed; and a
      // quantum that lasts longer than the test, so that only the death frees the slot.
      const slow = ["--quantum", "60000", "--detach-grace-ms", "3600000"];
      const kernel = await start({ slots: 1, stepUs: 300_000, flags: slow });
      await using os = await kernel.connect();
      const osPid = await startOne(kernel, os);
      expect(osPid).toBeGreaterThan(1);
      await until(async () => (await os.sys.stats()).slotsUsed === 1);
      const waiting = Promise.resolve(os.llm.generate("next", { maxTokens: 1, ignoreEos: true }));
      await until(async () => (await os.sys.stats()).queued === 1);
      const before = (await os.sys.stats()).steps;
      process.kill(osPid, "SIGKILL");
      expect((await waiting).tokens).toHaveLength(1);
      // The step under way, perhaps one or two that began before the death was heard of, the waiter's.
      expect((await os.sys.stats()).steps - before).toBeLessThanOrEqual(4);
    },
  );

  it("the driver in mid-stream: the same bytes, the kernel stays", async () => {
    const kernel = await start({ stepUs: 4000 });
    await using os = await kernel.connect();
    const options = { maxTokens: 120, seed: 11n, temperature: 1, ignoreEos: true };
    const expected = await Promise.all(["a", "bb", "ccc"].map((p) => os.llm.generate(p, options)));
    const { driverPid } = await os.sys.uname();
    let pieces = 0;
    const texts = ["a", "bb", "ccc"].map(async (prompt) => {
      const generation = os.llm.generate(prompt, options);
      let text = "";
      for await (const piece of generation) {
        text += piece;
        // Each has sent its first chunk by then, and most of the text is still to come.
        if (++pieces === 6) process.kill(driverPid, "SIGKILL");
      }
      return { text, result: await generation };
    });
    const got = await Promise.all(texts);
    expect(got.map(({ text }) => text)).toEqual(expected.map(({ text }) => text));
    expect(got.map(({ result }) => result.tokens)).toEqual(expected.map(({ tokens }) => tokens));
    expect((await os.sys.stats()).driverRestarts).toBe(1);
    expect(got.some(({ result }) => result.usage.recomputedTokens > 0)).toBe(true);
  });

  it("a driver that keeps dying: a retryable error, and the kernel stays", async () => {
    const kernel = await start({
      flags: ["--driver-options", JSON.stringify({ crashAfterSteps: 3 })],
    });
    await using os = await kernel.connect();
    const error = await Promise.resolve(
      os.llm.generate("x", { maxTokens: 50, ignoreEos: true }),
    ).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(SyscallError);
    expect(error).toMatchObject({ code: "EIO" });
    expect((await os.proc.ps()).length).toBe(1);
  });
});

describe("processes", () => {
  it("talk: parent and child over mailboxes, exit code by wait", async () => {
    const kernel = await start();
    await using os = await kernel.connect();
    const child = await spawnAgent(
      os,
      `const mail = await os.ipc.recv(); await os.ipc.send(mail.from, "got " + mail.text, { topic: mail.topic });
       await os.close(); process.exit(7);`,
    );
    await os.ipc.send(child.pid, "ping", { topic: "t" });
    expect(await os.ipc.recv({ from: child.pid })).toMatchObject({
      text: "got ping",
      topic: "t",
      from: child.pid,
    });
    expect(await child.wait()).toMatchObject({ exitCode: 7, cause: "exit" });
  });

  it("end with the daemon, which leaves nothing behind", async () => {
    const kernel = await start();
    const os = await kernel.connect();
    const child = await os.proc.spawn(["sleep", "600"]);
    const osPid = await osPidOf(os, child.pid);
    process.kill(kernel.pid, "SIGTERM");
    await until(async () => !existsSync(`/proc/${kernel.pid}`));
    expect(existsSync(`/proc/${osPid}`)).toBe(false);
    expect(existsSync(`${kernel.home}/contixd.sock`)).toBe(false);
    expect(existsSync(`${kernel.home}/contixd.json`)).toBe(false);
    await os.close().catch(() => {});
  });
});
