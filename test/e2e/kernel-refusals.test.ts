/** Who and what the kernel refuses: tokens that are not good, input that is wrong. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { SyscallError } from "../../syscalls/index.js";
import { attach, start, until } from "../support/kernels.js";
import { RawClient, syscall, unary } from "../support/raw-client.js";

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
    const client = await attach(kernel);
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
