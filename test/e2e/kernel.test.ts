/** The kernel as its users meet it: the real daemon, the fake model, real gRPC, bad input. */
import { spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { createServer } from "node:net";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, it } from "vitest";
import { SyscallError } from "../../syscalls/index.js";
import {
  startTestKernel,
  type TestKernel,
  type TestKernelOptions,
} from "../../syscalls/testing.js";
import { generateCall, RawClient, syscall, unary } from "../support/raw-client.js";

const CONTIXD = fileURLToPath(new URL("../../dist/cli/contixd.js", import.meta.url));
const open: { stop(): Promise<void> }[] = [];

async function start(options: TestKernelOptions = {}): Promise<TestKernel> {
  const kernel = await startTestKernel(options);
  open.push(kernel);
  return kernel;
}

afterEach(async () => {
  for (const kernel of open.splice(0)) await kernel.stop();
});

/** Resolves when `what` holds. Waits on the state itself, never on a time. */
async function until(what: () => Promise<boolean>): Promise<void> {
  while (!(await what())) await new Promise((resolve) => setTimeout(resolve, 10));
}

function contixd(...args: string[]): Promise<{ code: number | null; stderr: string }> {
  const child = spawn(process.execPath, [CONTIXD, ...args], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  let stderr = "";
  child.stderr.on("data", (bytes) => {
    stderr += bytes;
  });
  return new Promise((resolve) => child.once("close", (code) => resolve({ code, stderr })));
}

describe("a daemon", () => {
  it("keeps its home to itself", async () => {
    const kernel = await start();
    expect(statSync(kernel.home).mode & 0o777).toBe(0o700);
    expect(statSync(`${kernel.home}/admin.token`).mode & 0o777).toBe(0o600);
    const second = await contixd("--home", kernel.home, "--driver", "fake");
    expect(second.code).toBe(1);
    expect(second.stderr).toContain("another daemon runs on");
    await using os = await kernel.connect();
    expect((await os.sys.uname()).driver).toBe("fake");
  });

  it("takes its home back after kill -9, without waiting", async () => {
    const kernel = await start();
    process.kill(kernel.pid, "SIGKILL");
    const child = spawn(process.execPath, [CONTIXD, "--home", kernel.home, "--driver", "fake"], {
      stdio: "ignore",
    });
    try {
      const facts = (): number =>
        JSON.parse(readFileSync(`${kernel.home}/contixd.json`, "utf8")).pid;
      await until(async () => existsSync(`${kernel.home}/contixd.json`) && facts() === child.pid);
    } finally {
      child.kill("SIGTERM");
      await new Promise((resolve) => child.once("close", resolve));
    }
    expect(readdirSync(kernel.home).sort()).toEqual(["admin.token", "logs"]);
  });

  it("says which port is in use", async () => {
    const kernel = await start();
    const taken = createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => taken.once("listening", resolve));
    const { port } = taken.address() as { port: number };
    const address = `127.0.0.1:${port}`;
    const { code, stderr } = await contixd(
      "--home",
      `${kernel.home}/b`,
      "--driver",
      "fake",
      "--listen",
      address,
    );
    taken.close();
    expect(code).toBe(1);
    expect(stderr).toContain(`cannot listen on ${address}`);
  });

  it.each([
    [["--slots", "0"], "slots"],
    [["--slots", "many"], "slots"],
    [["--listen", "0.0.0.0:99"], "loopback"],
    [["--policy", "lottery"], "policy"],
    [["--driver-options", "{"], "driver"],
  ])("refuses %j", async (flags, says) => {
    const home = `/tmp/contix-refused-${process.pid}`;
    const { code, stderr } = await contixd("--home", home, "--driver", "fake", ...flags);
    expect(code).toBe(1);
    expect(stderr).toContain(says);
  });
});

describe("a token", () => {
  it.each(["", "wrong", "x".repeat(43)])("%j opens nothing", async (token) => {
    const kernel = await start();
    const client = new RawClient(kernel.address);
    client.hello(token);
    expect(await client.errorOf(0n)).toBe("EACCES");
    await client.find(() => undefined);
    expect(client.ended).toBe(true);
    expect(
      await unary(kernel.address, token, syscall(1n, { $case: "uname", value: {} })),
    ).toMatchObject({ code: 16 });
  });

  it("of a spawned agent is good for one attachment", async () => {
    const kernel = await start();
    await using os = await kernel.connect();
    const child = await os.proc.spawn(["sh", "-c", "echo $CONTIX_TOKEN; exec sleep 60"]);
    const [info] = (await os.proc.ps()).filter((proc) => proc.pid === child.pid);
    const log = info?.log ?? "";
    await until(async () => readFileSync(log, "utf8").includes("\n"));
    const token = readFileSync(log, "utf8").trim();
    const first = new RawClient(kernel.address);
    first.hello(token);
    expect((await first.welcome())?.run).toBe(1);
    const second = new RawClient(kernel.address);
    second.hello(token);
    expect(await second.errorOf(0n)).toBe("EACCES");
    first.close();
    second.close();
    await child.kill("KILL");
    expect(await child.wait()).toMatchObject({ exitCode: 137, cause: "signal KILL" });
  });
});

describe("bad input", () => {
  it("gets a typed error that names the argument", async () => {
    const kernel = await start({ slotTokens: 256 });
    await using os = await kernel.connect();
    const cases: [() => PromiseLike<unknown>, string, RegExp][] = [
      [() => os.llm.generate("x".repeat(400)), "ENOMEM", /400.*256/],
      [() => os.llm.generate(""), "EINVAL", /empty/],
      [() => os.llm.generate("a", { model: "none" }), "EMODEL", /none/],
      [() => os.llm.generate("a", { temperature: -1 }), "EINVAL", /temperature/],
      [() => os.llm.generate("a", { topP: 0 }), "EINVAL", /top_p/],
      [() => os.llm.generate("a", { topP: 1.5 }), "EINVAL", /top_p/],
      [() => os.llm.generate("a", { minP: 1 }), "EINVAL", /min_p/],
      [() => os.llm.generate("a", { repetitionPenalty: 0 }), "EINVAL", /repetition_penalty/],
      [() => os.llm.generate("a", { presencePenalty: 3 }), "EINVAL", /presence_penalty/],
      [() => os.llm.generate("a", { stop: ["s".repeat(10_000)] }), "EINVAL", /10000.*256/],
      [() => os.llm.generate("a", { stop: [""] }), "EINVAL", /stop/],
      [() => os.llm.chat([]), "EINVAL", /empty/],
      [() => os.proc.spawn(["/no/such/program"]), "ENOENT", /no such program/],
      [() => os.proc.kill("n1.4000"), "ESRCH", /n1.4000/],
      [() => os.ipc.send("n1.4000", "x"), "ESRCH", /n1.4000/],
      [() => os.proc.wait(), "ECHILD", /no children/],
    ];
    for (const [call, code, says] of cases) {
      const error = await Promise.resolve(call()).then(
        () => undefined,
        (e: unknown) => e,
      );
      expect(error, String(says)).toBeInstanceOf(SyscallError);
      expect((error as SyscallError).code).toBe(code);
      expect((error as SyscallError).message).toMatch(says);
    }
    expect((await os.llm.generate("still here", { maxTokens: 3 })).tokens.length).toBeGreaterThan(
      0,
    );
  });

  it("that is no message, or no UTF-8, costs only itself", async () => {
    const kernel = await start();
    const client = new RawClient(kernel.address);
    client.hello(kernel.token);
    await client.welcome();
    client.sendBytes(Buffer.from([0xff, 0xff, 0xff]));
    expect(await client.errorOf(0n)).toBe("EPROTO");
    client.received.length = 0;
    // A call frame { seq: 9, generate { prompt: <c3 28> } }.
    client.sendBytes(
      Buffer.from([0x12, 0x09, 0x08, 0x09, 0x82, 0x02, 0x04, 0x0a, 0x02, 0xc3, 0x28]),
    );
    const refused = await client.find((f) => (f.$case === "reply" ? f.value.result : undefined));
    expect(refused).toMatchObject({
      $case: "error",
      value: { name: "EPROTO", message: expect.stringContaining("UTF-8") },
    });
    client.call(1n, { $case: "uname", value: {} });
    expect((await client.reply(1n))?.result?.$case).toBe("uname");
    client.close();
  });
});

describe("a call's name", () => {
  it("gives the first result again, and EEXIST for another payload", async () => {
    const kernel = await start();
    const client = new RawClient(kernel.address);
    client.hello(kernel.token);
    await client.welcome();
    client.call(1n, generateCall("once", { maxTokens: 5 }));
    const first = await client.reply(1n);
    client.received.length = 0;
    client.call(1n, generateCall("once", { maxTokens: 5 }));
    expect(await client.reply(1n)).toEqual(first);
    client.received.length = 0;
    client.call(1n, generateCall("other", { maxTokens: 5 }));
    expect(await client.errorOf(1n)).toBe("EEXIST");
    client.received.length = 0;
    client.call(2n, { $case: "uname", value: {} }, { ackedThrough: 1n });
    client.call(1n, generateCall("once", { maxTokens: 5 }));
    expect(await client.errorOf(1n)).toBe("EEXIST");
    client.close();
  });

  it("may stay open while thousands of others come and go", async () => {
    const kernel = await start();
    await using os = await kernel.connect();
    const mail = os.ipc.recv();
    for (let batch = 0; batch < 12; batch++) {
      await Promise.all(Array.from({ length: 400 }, (_, n) => os.proc.nice(os.pid, n % 20)));
    }
    await os.ipc.send(os.pid, "at last");
    expect((await mail).text).toBe("at last");
  });

  it("survives a broken stream: the run goes on, the answer comes once", async () => {
    const kernel = await start({ stepUs: 5000 });
    const client = new RawClient(kernel.address);
    client.hello(kernel.token);
    const welcome = await client.welcome();
    const call = generateCall("a long one", {
      maxTokens: 60,
      ignoreEos: true,
      sampling: { seed: 3n },
    });
    client.call(1n, call);
    client.call(2n, { $case: "uname", value: {} });
    await client.reply(2n);
    client.break();
    const again = new RawClient(kernel.address);
    const { pid = 0n, run = 0, resumeToken = "" } = welcome ?? {};
    again.hello("", { pid, run, resumeToken });
    expect((await again.welcome())?.run).toBe(run);
    again.call(1n, call);
    const reply = await again.reply(1n);
    expect(reply?.result?.$case === "generate" && reply.result.value.tokens.length).toBe(60);
    const undisturbed = new RawClient(kernel.address);
    undisturbed.hello(kernel.token);
    undisturbed.call(1n, call);
    expect((await undisturbed.reply(1n))?.result).toEqual(reply?.result);
    again.close();
    undisturbed.close();
  });
});

describe("what may be killed", () => {
  it("an agent in mid-stream: its slot is free, its process is over", async () => {
    const kernel = await start({ stepUs: 3000, flags: ["--detach-grace-ms", "50"] });
    await using os = await kernel.connect();
    const program = `import { connect } from "contix"; const os = await connect();
      for await (const text of os.llm.generate("for ever", { ignoreEos: true })) process.stdout.write(text);`;
    const cwd = fileURLToPath(new URL("../..", import.meta.url));
    const child = await os.proc.spawn([process.execPath, "--input-type=module", "-e", program], {
      cwd,
    });
    await until(async () => (await os.sys.stats()).slot.some((s) => s.pid === child.pid));
    const info = (await os.proc.ps()).find((proc) => proc.pid === child.pid);
    process.kill(info?.osPid ?? 0, "SIGKILL");
    expect(await child.wait()).toMatchObject({ exitCode: 137, cause: "signal KILL" });
    const after = await os.sys.stats();
    expect(after.slotsUsed).toBe(0);
    expect(after.queued).toBe(0);
  });

  it("the driver in mid-stream: the same bytes, the kernel stays", async () => {
    const kernel = await start({ stepUs: 4000 });
    await using os = await kernel.connect();
    const options = { maxTokens: 80, seed: 11n, temperature: 1, ignoreEos: true };
    const expected = await Promise.all(["a", "bb", "ccc"].map((p) => os.llm.generate(p, options)));
    const texts = ["a", "bb", "ccc"].map(async (prompt) => {
      const generation = os.llm.generate(prompt, options);
      let text = "";
      for await (const piece of generation) text += piece;
      return { text, result: await generation };
    });
    await until(async () =>
      (await os.sys.stats()).slot.some((s) => s.phase === "decode" && s.tokens > 20),
    );
    process.kill((await os.sys.uname()).driverPid, "SIGKILL");
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

describe("a crowd", () => {
  it("of 1,000 calls at once meets a bounded queue, and all others finish", async () => {
    const kernel = await start({ queueLimit: 400 });
    await using os = await kernel.connect();
    const calls = Array.from({ length: 1000 }, (_, i) =>
      os.llm.generate(`call ${i}`, { maxTokens: 8 }),
    );
    const results = await Promise.allSettled(calls);
    const refused = results.flatMap((r) =>
      r.status === "rejected" ? [r.reason as SyscallError] : [],
    );
    expect(refused.length).toBeGreaterThan(0);
    expect(refused.length).toBeLessThan(800);
    for (const error of refused) {
      expect(error.code).toBe("EAGAIN");
      expect(error.retryAfterMs).toBeGreaterThan(0);
    }
    expect((await os.llm.generate("after", { maxTokens: 3 })).finish).not.toBe("");
  });

  it("with a reader who does not read: only his own call waits", async () => {
    const kernel = await start({ slots: 1 });
    const client = new RawClient(kernel.address);
    client.hello(kernel.token);
    await client.welcome();
    client.call(1n, generateCall("slow", { maxTokens: 40, ignoreEos: true, stream: true }), {
      credit: 2,
    });
    await client.find((f) => (f.$case === "chunk" ? f : undefined));
    // The slot is free for others, on the same stream, while the first call has no credit.
    client.call(2n, generateCall("quick", { maxTokens: 20, ignoreEos: true }));
    expect((await client.reply(2n))?.result?.$case).toBe("generate");
    expect(client.received.some((f) => f.$case === "reply" && f.value.seq === 1n)).toBe(false);
    client.send({ $case: "credit", value: { seq: 1n, n: 1000 } });
    const reply = await client.reply(1n);
    const chunks = client.received.flatMap((f) => (f.$case === "chunk" ? [f.value.text] : []));
    expect(reply?.result).toMatchObject({ $case: "generate", value: { text: chunks.join("") } });
    client.close();
  });
});

describe("a flood", () => {
  it("of calls whose answers nobody reads is not read either, and is answered whole in the end", async () => {
    const kernel = await start();
    await using os = await kernel.connect();
    const flooder = new RawClient(kernel.address);
    flooder.hello(kernel.token);
    await flooder.welcome();
    flooder.pause();
    const calls = 20_000;
    for (let seq = 1n; seq <= calls; seq++) flooder.call(seq, { $case: "uname", value: {} });
    let taken = -1n;
    await until(async () => {
      const before = taken;
      await os.time.sleep(300);
      taken = BigInt((await os.sys.stats()).syscalls);
      // Our own two calls a round are all that is added once the flood stands still.
      return taken - before <= 2n;
    });
    expect(Number(taken)).toBeLessThan(calls);
    flooder.resume();
    expect((await flooder.reply(BigInt(calls)))?.result?.$case).toBe("uname");
    flooder.close();
  });
});

describe("cancel and deadline", () => {
  it("end a call within a step, and free its slot", async () => {
    const kernel = await start({ stepUs: 5000 });
    await using os = await kernel.connect();
    const stop = new AbortController();
    const cancelled = Promise.resolve(
      os.llm.generate("on and on", { ignoreEos: true, signal: stop.signal }),
    );
    const outcome = cancelled.catch((e: unknown) => e);
    await until(async () => (await os.sys.stats()).slotsUsed === 1);
    const before = (await os.sys.stats()).steps;
    stop.abort();
    expect(await outcome).toMatchObject({ name: "AbortError" });
    await until(async () => (await os.sys.stats()).slotsUsed === 0);
    expect(Number((await os.sys.stats()).steps) - Number(before)).toBeLessThan(20);
    const late = Promise.resolve(os.llm.generate("too long", { ignoreEos: true, timeoutMs: 60 }));
    await expect(late).rejects.toMatchObject({ code: "ETIMEDOUT" });
  });
});

describe("processes", () => {
  it("talk: parent and child over mailboxes, exit code by wait", async () => {
    const kernel = await start();
    await using os = await kernel.connect();
    const program = `import { connect } from "contix"; const os = await connect();
      const mail = await os.ipc.recv(); await os.ipc.send(mail.from, "got " + mail.text, { topic: mail.topic });
      await os.close(); process.exit(7);`;
    const cwd = fileURLToPath(new URL("../..", import.meta.url));
    const child = await os.proc.spawn([process.execPath, "--input-type=module", "-e", program], {
      cwd,
    });
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
    const osPid = (await os.proc.ps()).find((proc) => proc.pid === child.pid)?.osPid ?? 0;
    process.kill(kernel.pid, "SIGTERM");
    await until(async () => !existsSync(`/proc/${kernel.pid}`));
    expect(existsSync(`/proc/${osPid}`)).toBe(false);
    expect(existsSync(`${kernel.home}/contixd.sock`)).toBe(false);
    expect(existsSync(`${kernel.home}/contixd.json`)).toBe(false);
    await os.close().catch(() => {});
  });
});

describe("other doors", () => {
  it("unary Call: results, and errno as a status with its detail", async () => {
    const kernel = await start();
    const ok = await unary(
      kernel.address,
      kernel.token,
      syscall(0n, generateCall("hi", { maxTokens: 4 })),
    );
    expect(ok).toMatchObject({ result: { $case: "generate" } });
    const bad = await unary(kernel.address, kernel.token, syscall(0n, generateCall("")));
    expect(bad).toMatchObject({ code: 3, details: expect.stringContaining("EINVAL") });
  });

  it("TCP on loopback when asked", async () => {
    const kernel = await start({ flags: ["--listen", "127.0.0.1:0"] });
    const { addresses } = JSON.parse(readFileSync(`${kernel.home}/contixd.json`, "utf8"));
    await using os = await kernel.connect({ address: `grpc://${addresses[1]}` });
    expect((await os.sys.uname()).abi).toBe(1);
  });
});
