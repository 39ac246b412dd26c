/** SIGTERM: what is under way ends whole within the drain time, what comes is refused. */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it, onTestFinished } from "vitest";
import { attach, start, until } from "../support/kernels.js";
import { generateCall } from "../support/raw-client.js";

const CONTIXD = fileURLToPath(new URL("../../dist/cli/contixd.js", import.meta.url));

/** An hour: a test that needs it to pass has failed. */
const LONG = ["--drain-ms", "3600000"];

describe("SIGTERM", () => {
  it("lets a generation finish whole, and refuses every new call", async () => {
    const kernel = await start({ stepUs: 2000, flags: LONG });
    const os = await kernel.connect();
    const client = await attach(kernel);
    const sampling = { seed: 3n };
    const call = generateCall("a long one", {
      maxTokens: 40,
      ignoreEos: true,
      stream: true,
      sampling,
    });
    client.call(1n, call, { credit: 1000 });
    const undisturbed = await client.reply(1n);
    expect(undisturbed?.result?.$case).toBe("generate");
    // Without credit it waits for its reader in the middle: under way for as long as we like.
    client.call(2n, call, { credit: 1 });
    await client.find((f) => (f.$case === "chunk" && f.value.seq === 2n ? f : undefined));
    process.kill(kernel.pid, "SIGTERM");
    let seq = 3n;
    await until(async () => {
      client.call(seq, { $case: "uname", value: {} });
      return (await client.errorOf(seq++)) === "ESHUTDOWN";
    });
    client.call(seq, generateCall("too late", { maxTokens: 1 }));
    expect(await client.errorOf(seq)).toBe("ESHUTDOWN");
    await expect(os.llm.generate("too late", { maxTokens: 1 })).rejects.toMatchObject({
      ...{ name: "SyscallError", code: "ESHUTDOWN", retryable: true },
    });
    expect(client.received.some((f) => f.$case === "reply" && f.value.seq === 2n)).toBe(false);
    client.send({ $case: "credit", value: { seq: 2n, n: 1000 } });
    expect((await client.reply(2n))?.result).toEqual(undisturbed?.result);
    const textOf = (of: bigint): string =>
      client.received
        .flatMap((f) => (f.$case === "chunk" && f.value.seq === of ? [f.value.text] : []))
        .join("");
    expect(textOf(2n)).toBe(textOf(1n));
    await until(() => !existsSync(`/proc/${kernel.pid}`));
    expect(existsSync(join(kernel.home, "contixd.json"))).toBe(false);
    client.close();
    await os.close().catch(() => {});
  });

  it("ends a generation that lasts longer with an error that may be tried again", async () => {
    const kernel = await start({ stepUs: 20_000, flags: ["--drain-ms", "50"] });
    const os = await kernel.connect();
    const reading = Promise.resolve(os.llm.generate("on and on", { ignoreEos: true }));
    const failure = reading.catch((error: unknown) => error);
    await until(async () => (await os.sys.stats()).slotsUsed === 1);
    process.kill(kernel.pid, "SIGTERM");
    expect(await failure).toMatchObject({
      ...{ name: "SyscallError", code: "ESHUTDOWN", retryable: true },
      message: expect.stringContaining("the kernel is shutting down"),
    });
    await until(() => !existsSync(`/proc/${kernel.pid}`));
    await os.close().catch(() => {});
  });

  it("to a daemon with nothing to do is its end, with exit code 0", async () => {
    const home = await mkdtemp(join(tmpdir(), "contix-drain-"));
    onTestFinished(() => rm(home, { recursive: true }));
    const args = [CONTIXD, "--home", home, "--driver", "fake", ...LONG];
    const child = spawn(process.execPath, args, { stdio: "ignore" });
    const ended = new Promise((resolve) => {
      child.once("close", (code, signal) => resolve(code ?? signal));
    });
    await until(() => existsSync(join(home, "contixd.json")));
    child.kill("SIGTERM");
    expect(await ended).toBe(0);
    expect(existsSync(join(home, "contixd.json"))).toBe(false);
  });
});
