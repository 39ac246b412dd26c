/** Log probabilities by OpenAI's own client, from a real daemon with the fake driver. */
import type OpenAI from "openai";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Os, TokenLogprob } from "../../syscalls/index.js";
import { startTestGateway, type TestGateway } from "../../test/support/gateway.js";

type TopLogprob = OpenAI.ChatCompletionTokenLogprob.TopLogprob;

let gateway: TestGateway;
let ai: OpenAI;
let os: Os;

beforeAll(async () => {
  // Short answers, so that the model ends them itself.
  gateway = await startTestGateway({ flags: ["--driver-options", '{"seed":7,"words":12}'] });
  ai = gateway.client();
  os = await gateway.kernel.connect();
});
afterAll(async () => {
  await os?.close();
  await gateway?.[Symbol.asyncDispose]();
});

const PROMPT = "Hello there.";
const base = {
  model: "fake",
  messages: [{ role: "user" as const, content: PROMPT }],
  max_tokens: 400,
  seed: 5,
};
const asking = { ...base, logprobs: true, top_logprobs: 3 };

/** As the API says it. The fake model's tokens are bytes. */
function said({ text, logprob, bytes, top }: TokenLogprob): OpenAI.ChatCompletionTokenLogprob {
  const likely = top.map(
    (one): TopLogprob => ({
      token: one.text,
      logprob: one.logprob,
      bytes: one.bytes.length === 0 ? null : [...one.bytes],
    }),
  );
  return { token: text, logprob, bytes: [...bytes], top_logprobs: likely };
}

const textOf = (content: readonly { bytes: number[] | null }[] | null | undefined): string =>
  Buffer.from((content ?? []).flatMap(({ bytes }) => bytes ?? [])).toString();

it("chats tell those of their text, whole and streamed, as the kernel does", async () => {
  const own = await os.llm.chat(PROMPT, { maxTokens: 400, seed: 5, logprobs: 3 });
  expect(own.finish).toBe("eos");
  expect(own.logprobs?.at(-1)).toMatchObject({ text: "<|im_end|>", bytes: [] });
  const want = own.logprobs?.slice(0, -1).map(said);
  const whole = await ai.chat.completions.create(asking);
  expect(whole.choices[0]?.logprobs).toEqual({ content: want, refusal: null });
  expect(textOf(want)).toBe(own.text);
  expect(want?.every((one) => one.top_logprobs.length === 3)).toBe(true);
  const streamed: OpenAI.ChatCompletionTokenLogprob[] = [];
  for await (const chunk of await ai.chat.completions.create({ ...asking, stream: true })) {
    const [choice] = chunk.choices;
    expect(textOf(choice?.logprobs?.content)).toBe(choice?.delta.content ?? "");
    streamed.push(...(choice?.logprobs?.content ?? []));
  }
  expect(streamed).toEqual(want);
});

it("chats tell the tokens alone without top_logprobs, and nothing unless asked", async () => {
  const alone = await ai.chat.completions.create({ ...base, logprobs: true });
  const content = alone.choices[0]?.logprobs?.content ?? [];
  expect(textOf(content)).toBe(alone.choices[0]?.message.content);
  for (const one of content) expect(one.top_logprobs).toEqual([]);
  const nothing = { top_logprobs: 0, logprobs: false };
  for (const fields of [base, { ...base, ...nothing }]) {
    const { choices } = await ai.chat.completions.create(fields);
    expect(choices[0]?.message.content).toBe(alone.choices[0]?.message.content);
    expect(choices[0]?.logprobs).toBeNull();
  }
});

it("each choice has those of its own text, also where a stop string ends it", async () => {
  const { choices } = await ai.chat.completions.create({ ...asking, n: 3 });
  for (const { message, logprobs } of choices) {
    expect(textOf(logprobs?.content)).toBe(message.content);
  }
  expect(new Set(choices.map(({ message }) => message.content)).size).toBe(3);
  const text = choices[0]?.message.content ?? "";
  const stop = text.slice(4, 7);
  const cut = await ai.chat.completions.create({ ...asking, stop });
  expect(cut.choices[0]?.message.content).toBe(text.slice(0, text.indexOf(stop)));
  expect(textOf(cut.choices[0]?.logprobs?.content)).toBe(cut.choices[0]?.message.content);
  const streamed = { content: "", told: "" };
  for await (const chunk of await ai.chat.completions.create({ ...asking, stop, stream: true })) {
    streamed.content += chunk.choices[0]?.delta.content ?? "";
    streamed.told += textOf(chunk.choices[0]?.logprobs?.content);
  }
  expect(streamed.content).toBe(cut.choices[0]?.message.content);
  expect(streamed.told).toBe(streamed.content);
});

it("completions tell tokens, offsets and likeliest, whole and streamed", async () => {
  // ASCII, with this seed: its tokens are its characters.
  const ask = { model: "fake", prompt: PROMPT, seed: 3, logprobs: 2 };
  const { choices } = await ai.completions.create(ask);
  const [{ text, logprobs }] = choices as [OpenAI.CompletionChoice];
  expect(logprobs?.tokens?.join("")).toBe(text);
  expect(logprobs?.text_offset).toEqual([...text].map((_, i) => i));
  logprobs?.tokens?.forEach((token, i) => {
    const top = logprobs.top_logprobs?.[i] ?? {};
    expect(top[token]).toBe(logprobs.token_logprobs?.[i]);
    expect([2, 3]).toContain(Object.keys(top).length);
  });
  const streamed: OpenAI.CompletionChoice.Logprobs[] = [];
  for await (const chunk of await ai.completions.create({ ...ask, stream: true })) {
    const told = chunk.choices[0]?.logprobs;
    if (told) streamed.push(told);
  }
  for (const list of ["tokens", "token_logprobs", "top_logprobs", "text_offset"] as const) {
    expect(streamed.flatMap((told): unknown[] => told[list] ?? [])).toEqual(logprobs?.[list]);
  }
  const none = await ai.completions.create({ model: "fake", prompt: PROMPT, seed: 3 });
  expect(none.choices[0]).toMatchObject({ text, logprobs: null });
});

it("what asks for too much, or for nothing that there is, is a 400 that names it", async () => {
  const failure = async (path: string, body: string): Promise<unknown> => {
    const response = await gateway.fetch(path, { method: "POST", body });
    const { error } = (await response.json()) as { error: { param: string | null } };
    return [response.status, error.param];
  };
  const chat = "/v1/chat/completions";
  for (const top_logprobs of [21, -1, 1.5, "NaN", true]) {
    const body = JSON.stringify({ ...asking, top_logprobs });
    expect(await failure(chat, body), body).toEqual([400, "top_logprobs"]);
  }
  for (const logprobs of ["yes", 1]) {
    const body = JSON.stringify({ ...base, logprobs });
    expect(await failure(chat, body), body).toEqual([400, "logprobs"]);
  }
  const without = JSON.stringify({ ...base, top_logprobs: 2 });
  expect(await failure(chat, without)).toEqual([400, "top_logprobs"]);
  const noNumber = JSON.stringify(asking).replace('"top_logprobs":3', '"top_logprobs":NaN');
  expect(await failure(chat, noNumber)).toEqual([400, null]);
  for (const logprobs of [21, -1, 0.5, "2", true]) {
    const body = JSON.stringify({ model: "fake", prompt: PROMPT, logprobs });
    expect(await failure("/v1/completions", body), body).toEqual([400, "logprobs"]);
  }
});
