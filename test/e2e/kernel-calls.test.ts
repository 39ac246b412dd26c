/** The life of a call: its name, its end by cancel or deadline, the crowd it comes with. */
import { describe, expect, it } from "vitest";
import type { SyscallError } from "../../syscalls/index.js";
import { attach, start, until } from "../support/kernels.js";
import { generateCall, RawClient } from "../support/raw-client.js";

describe("a call's name", () => {
  it("gives the first result again, and EEXIST for another payload", async () => {
    const kernel = await start();
    const client = await attach(kernel);
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
    const kernel = await start({ stepUs: 5000, flags: ["--detach-grace-ms", "60000"] });
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

describe("cancel and deadline", () => {
  it("end a call within a step, and free its slot", async () => {
    // Steps so long that a busy machine does not let some of them pass unnoticed.
    const kernel = await start({ stepUs: 300_000 });
    await using os = await kernel.connect();
    const client = await attach(kernel);
    client.call(1n, generateCall("on and on", { ignoreEos: true }));
    await until(async () => (await os.sys.stats()).slotsUsed === 1);
    // The kernel takes the frames of a stream one after the other: it counts its steps
    // right after the cancel, and once nothing runs it counts no more.
    client.send({ $case: "cancel", value: { seq: 1n } });
    client.call(2n, { $case: "stats", value: {} });
    expect(await client.errorOf(1n)).toBe("ECANCELED");
    const counted = (await client.reply(2n))?.result;
    const before = counted?.$case === "stats" ? Number(counted.value.steps) : Number.NaN;
    await until(async () => (await os.sys.stats()).slotsUsed === 0);
    expect((await os.sys.stats()).steps - before).toBeLessThanOrEqual(3);
    client.close();
    const late = Promise.resolve(os.llm.generate("too long", { ignoreEos: true, timeoutMs: 60 }));
    await expect(late).rejects.toMatchObject({ code: "ETIMEDOUT" });
  });
});

describe("a crowd", () => {
  it("of 1,000 calls at once meets a bounded queue, and all others finish", async () => {
    const kernel = await start({ queueLimit: 400 });
    await using os = await kernel.connect();
    const calls = Array.from({ length: 1000 }, (_, i) =>
      os.llm.generate(`call ${i}`, { maxTokens: 8, retries: 0 }),
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
    const { tokens } = await os.llm.generate("after", { maxTokens: 3, ignoreEos: true });
    expect(tokens).toHaveLength(3);
  });

  it("with a reader who does not read: only his own call waits", async () => {
    const kernel = await start({ slots: 1, stepUs: 2000 });
    const client = await attach(kernel);
    // The first token comes at once; all others could come together in a second chunk.
    client.call(1n, generateCall("slow", { maxTokens: 40, ignoreEos: true, stream: true }), {
      credit: 1,
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
    const flooder = await attach(kernel);
    flooder.pause();
    const calls = 20_000;
    for (let seq = 1n; seq <= calls; seq++) flooder.call(seq, { $case: "uname", value: {} });
    const rounds = 100;
    let [taken, still] = [-1, 0];
    await until(async () => {
      const before = taken;
      for (let round = 0; round < rounds; round++) await os.sys.uname();
      taken = (await os.sys.stats()).syscalls;
      // Our own calls are all that is added once the flood stands still. A busy sender may
      // stand still too, for a moment.
      still = taken - before === rounds + 1 ? still + 1 : 0;
      return still === 10;
    });
    expect(taken).toBeLessThan(calls);
    flooder.resume();
    expect((await flooder.reply(BigInt(calls)))?.result?.$case).toBe("uname");
    flooder.close();
  });
});
