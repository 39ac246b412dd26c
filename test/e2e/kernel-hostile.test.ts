/** The kernel against agents that are hostile, careless or unlucky. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { CtxCreateCall } from "../../proto/gen/contix/v1/calls.js";
import { attach, osPidOf, start, until } from "../support/kernels.js";
import { generateCall } from "../support/raw-client.js";

describe("a hostile agent", () => {
  it("with generations that nobody reads leaves places to others", async () => {
    const kernel = await start({ slots: 1, queueLimit: 39 });
    const hog = await attach(kernel);
    const calls = 60n;
    for (let seq = 1n; seq <= calls; seq++) hog.call(seq, generateCall("mine", { stream: true }));
    expect(await hog.errorOf(calls)).toBe("EAGAIN");
    await using os = await kernel.connect();
    expect((await os.llm.generate("mine too", { maxTokens: 3 })).tokens).toHaveLength(3);
    // After a while they hold none at all.
    await until(async () => (await os.sys.sched()).queues[0]?.admitted === 0);
    hog.close();
    await until(async () => (await os.sys.stats()).queued === 0);
  });

  it("can not use a name in flight for another call, whatever its kind", async () => {
    const kernel = await start();
    const client = await attach(kernel);
    client.call(1n, { $case: "sleep", value: { us: 3_600_000_000n } });
    client.call(1n, { $case: "sleep", value: { us: 1n } });
    expect(await client.errorOf(1n)).toBe("EEXIST");
    client.close();
  });

  it("fills its own mailbox and kept results, not the kernel", async () => {
    const kernel = await start();
    const client = await attach(kernel);
    const welcome = await client.welcome();
    const pid = welcome?.pid ?? 0n;
    const body = Buffer.alloc(1 << 20);
    for (let seq = 1n; seq <= 17n; seq++) {
      client.call(seq, {
        $case: "send",
        value: { pid, body, topic: "", priority: 0, handles: [] },
      });
    }
    expect((await client.reply(16n))?.result?.$case).toBe("send");
    expect(await client.errorOf(17n)).toBe("EAGAIN");
    client.close();
  });
});

describe("an unlucky agent", () => {
  it("finds its context as it was when a generate failed before it began", async () => {
    const kernel = await start({ slotTokens: 64 });
    const client = await attach(kernel);
    client.call(1n, { $case: "ctxCreate", value: CtxCreateCall.fromPartial({}) });
    const created = await client.reply(1n);
    const handle = created?.result?.$case === "ctxCreate" ? created.result.value.handle : 0;
    // Input that fits, with an opening of the assistant's turn that does not.
    const messages = (n: number) => ({ messages: [{ role: "user", content: "x".repeat(n) }] });
    let seq = 2n;
    let refused = 0;
    for (let n = 1; n < 64; n++) {
      const input = { $case: "chat" as const, value: messages(n) };
      client.call(seq, generateCall("", { input, maxTokens: 1, model: "" }), { handle: 0 });
      const fits = (await client.reply(seq++))?.result?.$case === "generate";
      if (fits) continue;
      refused++;
      client.call(seq, generateCall("", { input, maxTokens: 1 }), { handle });
      expect(await client.errorOf(seq++)).toBe("ENOMEM");
      client.call(seq, { $case: "ctxStat", value: { cid: 0n } }, { handle });
      expect((await client.reply(seq++))?.result).toMatchObject({ value: { length: 0 } });
    }
    expect(refused).toBeGreaterThan(0);
    client.close();
  });

  it("that waits twice for one child is told so", async () => {
    const kernel = await start();
    await using os = await kernel.connect();
    const child = await os.proc.spawn(["sleep", "600"]);
    const both = [os.proc.wait(child.pid), os.proc.wait(child.pid)].map((wait) =>
      wait.then(
        ({ cause }) => cause,
        ({ code }: { code: string }) => code,
      ),
    );
    await child.kill("KILL");
    expect(await Promise.all(both)).toEqual(["signal KILL", "ECHILD"]);
  });

  it("is not started again while the daemon drains, and is ended when it ends in haste", async () => {
    const kernel = await start({ flags: ["--drain-ms", "60000"] });
    const os = await kernel.connect();
    const child = await os.proc.spawn(["sleep", "600"]);
    const osPid = await osPidOf(os, child.pid);
    const runs = join(kernel.home, "runs");
    const restart = { policy: "always", backoffMs: 1 } as const;
    const other = await os.proc.spawn(["sh", "-c", `echo run >> ${runs}; exec sleep 600`], {
      restart,
    });
    const otherOs = await osPidOf(os, other.pid);
    await until(() => existsSync(runs));
    const call = os.time.sleep(3_600_000).catch(() => undefined);
    await until(async () => (await os.proc.ps()).some((proc) => proc.waitingOn === "timer"));
    process.kill(kernel.pid, "SIGTERM");
    await until(() =>
      os.sys.uname().then(
        () => false,
        () => true,
      ),
    );
    process.kill(otherOs, "SIGKILL");
    await until(() => !existsSync(`/proc/${otherOs}`));
    // Long enough for the run that there must not be.
    await delay(300);
    expect(readFileSync(runs, "utf8")).toBe("run\n");
    process.kill(kernel.pid, "SIGTERM");
    await call;
    const over = (): boolean =>
      !existsSync(`/proc/${osPid}/stat`) ||
      readFileSync(`/proc/${osPid}/stat`, "utf8").includes(") Z ");
    await until(over);
    await os.close().catch(() => {});
  });
});
