/** Log probabilities from the real engine, on the tiny model, through the kernel to the SDK. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { GenerateResult, Os, TokenLogprob } from "../../syscalls/index.js";
import { startTestKernel, type TestKernel } from "../../syscalls/testing.js";
import { DoorClient } from "../support/door-client.js";

const models = mkdtempSync(join(tmpdir(), "contix-logprobs-"));
const before = process.env.CONTIX_MODELS;
let kernel: TestKernel;
let os: Os;

beforeAll(async () => {
  process.env.CONTIX_MODELS = models;
  const tiny = ["--driver", "onnxruntime", "--model", "tiny", "--slots", "2", "--threads", "1"];
  kernel = await startTestKernel({ flags: [...tiny, "--policy", "rr", "--quantum", "4"] });
  os = await kernel.connect();
});
afterAll(async () => {
  await os?.close();
  await kernel?.stop();
  if (before === undefined) delete process.env.CONTIX_MODELS;
  else process.env.CONTIX_MODELS = before;
  rmSync(models, { recursive: true, force: true });
});

const PROMPT = "Hello there";
const GREEDY = { maxTokens: 48, temperature: 0, ignoreEos: true };
const DRAWN = { ...GREEDY, temperature: 1.2, seed: 11, repetitionPenalty: 1.5 };
/** Ids from here on, three of them, are special tokens of the tiny model. */
const SPECIAL = 256;

const told = ({ logprobs }: GenerateResult): readonly TokenLogprob[] => {
  if (logprobs === undefined) throw new Error("nothing was told");
  return logprobs;
};
const textOf = (entries: readonly TokenLogprob[]): string =>
  Buffer.from(entries.flatMap(({ bytes }) => bytes)).toString();

describe("log probabilities", () => {
  it("are of each token, the greedy one's the greatest, and change no token", async () => {
    const plain = await os.llm.generate(PROMPT, GREEDY);
    expect(plain.logprobs).toBeUndefined();
    const result = await os.llm.generate(PROMPT, { ...GREEDY, logprobs: 20 });
    expect(result.tokens).toEqual(plain.tokens);
    expect(result.text).toBe(plain.text);
    const entries = told(result);
    expect(entries.map(({ token }) => token)).toEqual(result.tokens);
    for (const { token, logprob, top } of entries) {
      expect(top[0]).toMatchObject({ token, logprob });
      const all = top.map((one) => one.logprob);
      expect(all).toEqual([...all].sort((a, b) => b - a));
      expect(new Set(top.map((one) => one.token)).size).toBe(20);
      const sum = all.reduce((total, one) => total + Math.exp(one), 0);
      expect(sum).toBeGreaterThan(0);
      expect(sum).toBeLessThanOrEqual(1 + 1e-9);
    }
  });

  it("name bytes and special tokens as the tokenizer has them", async () => {
    const result = await os.llm.generate(PROMPT, { ...GREEDY, logprobs: 20 });
    expect(textOf(told(result))).toBe(result.text);
    const names = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"];
    const likely = told(result).flatMap(({ top }) => top);
    const special = likely.filter(({ token }) => names[token - SPECIAL] !== undefined);
    expect(special.length).toBeGreaterThan(0);
    for (const { token, text, bytes } of special) {
      expect([text, bytes]).toEqual([names[token - SPECIAL], []]);
    }
    const bytes = likely.filter(({ token }) => token < SPECIAL);
    expect(bytes.length).toBeGreaterThan(0);
    for (const one of bytes) expect(one.bytes).toEqual([one.token]);
  });

  it("are the model's own whatever is drawn, alone, streamed, and in turns with others", async () => {
    const plain = await os.llm.generate(PROMPT, DRAWN);
    const alone = await os.llm.generate(PROMPT, { ...DRAWN, logprobs: 3 });
    expect(alone.tokens).toEqual(plain.tokens);
    expect(told(alone).some(({ token, top }) => top[0]?.token !== token)).toBe(true);
    // Five on two slots, four tokens a turn.
    const others = ["a", "b", "c", "d"].map((text) => os.llm.generate(text, GREEDY));
    const stream = os.llm.generate(PROMPT, { ...DRAWN, logprobs: 3 });
    const pieces: TokenLogprob[] = [];
    let text = "";
    for await (const piece of stream.pieces()) {
      pieces.push(...piece.logprobs);
      text += piece.text;
    }
    await Promise.all(others);
    expect(text).toBe(alone.text);
    expect(pieces).toEqual(alone.logprobs);
    expect((await stream).logprobs).toEqual(alone.logprobs);
  });

  it("are of the sampled token alone with 0; contexts tell them too", async () => {
    const entries = told(await os.llm.generate(PROMPT, { ...DRAWN, logprobs: 0 }));
    expect(entries).toHaveLength(48);
    for (const { top } of entries) expect(top).toEqual([]);
    await using ctx = await os.ctx.create();
    await ctx.append(PROMPT);
    const more = await ctx.generate({ ...GREEDY, maxTokens: 2, logprobs: 1 });
    expect(told(more).map(({ token }) => token)).toEqual(more.tokens);
  });

  it("of more than 20 tokens are EINVAL, at every door", async () => {
    const wrong = os.llm.generate(PROMPT, { ...GREEDY, logprobs: 21 });
    await expect(wrong).rejects.toMatchObject({
      code: "EINVAL",
      argument: "logprobs",
      message: expect.stringContaining("logprobs is 21; it must be 0 to 20"),
    });
    const door = { name: "unix", address: kernel.address, token: kernel.token, tls: {} };
    const client = await DoorClient.open(door);
    const input = { $case: "prompt" as const, value: PROMPT };
    expect(await client.ask("generate", { input, logprobs: 0xffffffff })).toBe("EINVAL");
    const result = await client.ok("generate", { input, maxTokens: 1 });
    expect(result.logprobs).toBeUndefined();
    await client.close();
  });
});
