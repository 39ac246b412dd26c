/** OpenAI's own client against the gateway and a real daemon with the fake driver. */
import OpenAI from "openai";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Os } from "../../syscalls/index.js";
import { startTestGateway, type TestGateway } from "../../test/support/gateway.js";

type Turn = OpenAI.ChatCompletionMessageParam;

const SLOTS = 16;
/** One process may hold four times what it leaves free: 204 of these 256. */
const QUEUE = 240;
const MOST = 204;

let gateway: TestGateway;
let ai: OpenAI;
let os: Os;

beforeAll(async () => {
  gateway = await startTestGateway(
    { seed: 7, slots: SLOTS, queueLimit: QUEUE, stepUs: 1000 },
    { drainMs: 20_000, corsOrigins: ["https://app.example"] },
  );
  ai = gateway.client();
  os = await gateway.kernel.connect();
});
afterAll(async () => {
  await os.close();
  await gateway[Symbol.asyncDispose]();
});

const hello: Turn[] = [
  { role: "system", content: "You are brief." },
  {
    role: "user",
    content: [
      { type: "text", text: "Hello " },
      { type: "text", text: "there." },
    ],
  },
];
const base = { model: "fake", messages: hello, max_tokens: 24, seed: 5 } as const;

/** Reads a stream to its end. */
async function read(stream: AsyncIterable<OpenAI.ChatCompletionChunk>) {
  const texts = new Map<number, string>();
  const finish = new Map<number, string>();
  let usage: OpenAI.CompletionUsage | null | undefined;
  for await (const chunk of stream) {
    usage = chunk.usage;
    for (const { index, delta, finish_reason } of chunk.choices) {
      texts.set(index, (texts.get(index) ?? "") + (delta.content ?? ""));
      if (finish_reason !== null) finish.set(index, finish_reason);
    }
  }
  return { texts, finish, usage };
}

async function failure(promise: Promise<unknown>): Promise<InstanceType<typeof OpenAI.APIError>> {
  const error = await promise.then(
    () => new Error("it did not fail"),
    (reason: unknown) => reason,
  );
  if (error instanceof OpenAI.APIError) return error;
  throw error;
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 5));
}

describe("chat completions", () => {
  it("answers as the kernel does, whole and streamed, with usage", async () => {
    const own = await os.llm.chat(
      [
        { role: "system", content: "You are brief." },
        { role: "user", content: "Hello there." },
      ],
      { maxTokens: 24, seed: 5 },
    );
    const whole = await ai.chat.completions.create(base);
    expect(whole.choices[0]).toMatchObject({
      index: 0,
      finish_reason: own.finish === "length" ? "length" : "stop",
      message: { role: "assistant", content: own.text },
    });
    const tokens = { prompt_tokens: own.usage.promptTokens, completion_tokens: own.tokens.length };
    expect(whole.usage).toMatchObject(tokens);
    expect(whole.system_fingerprint).toMatch(/^fp_/);
    const include = { stream: true, stream_options: { include_usage: true } } as const;
    const streamed = await read(await ai.chat.completions.create({ ...base, ...include }));
    expect(streamed.texts.get(0)).toBe(own.text);
    expect(streamed.usage).toMatchObject(tokens);
    expect([...streamed.finish.values()]).toEqual([whole.choices[0]?.finish_reason]);
  });

  it("finds the pages of a conversation that goes on", async () => {
    const messages: Turn[] = [{ role: "user", content: `A long beginning. ${"word ".repeat(60)}` }];
    const found: number[] = [];
    const asked: number[] = [];
    for (const next of ["And then?", "What else?", "Is that all?"]) {
      const { usage, choices } = await ai.chat.completions.create({ ...base, messages });
      found.push(usage?.prompt_tokens_details?.cached_tokens ?? -1);
      asked.push(usage?.prompt_tokens ?? -1);
      const content = choices[0]?.message.content ?? "";
      messages.push({ role: "assistant", content }, { role: "user", content: next });
    }
    expect(found[0]).toBe(0);
    // A short answer ends soon after its prompt was read: the prompt's pages are kept even so.
    const other: Turn = { role: "user", content: `Another beginning. ${"word ".repeat(60)}` };
    const short = { ...base, max_tokens: 4, messages: [other] };
    await ai.chat.completions.create(short);
    const again = await ai.chat.completions.create(short);
    expect(again.usage?.prompt_tokens_details?.cached_tokens).toBeGreaterThan(300);
    // All whole pages of the prompt before: what was given then. The answer was generated, not given.
    for (const turn of [1, 2]) {
      const before = asked[turn - 1] ?? 0;
      expect(found[turn]).toBeGreaterThanOrEqual(before - 16);
      expect(found[turn]).toBeLessThanOrEqual(before);
    }
  });

  it("gives n choices, each from a seed of its own, and ends at a stop string", async () => {
    const { choices, usage } = await ai.chat.completions.create({ ...base, n: 4 });
    const texts = choices.map(({ message }) => message.content ?? "");
    expect(new Set(texts).size).toBe(4);
    expect(usage?.completion_tokens).toBeGreaterThan(4);
    const again = await ai.chat.completions.create({ ...base, seed: 7 });
    expect(again.choices[0]?.message.content).toBe(texts[2]);
    const streamed = await read(
      await ai.chat.completions.create({ ...base, n: 4, stream: true, max_tokens: 24 }),
    );
    expect([0, 1, 2, 3].map((i) => streamed.texts.get(i))).toEqual(texts);
    const stop = (texts[0] ?? "").slice(4, 7);
    const cut = await ai.chat.completions.create({ ...base, stop });
    expect(cut.choices[0]).toMatchObject({
      finish_reason: "stop",
      message: { content: (texts[0] ?? "").slice(0, (texts[0] ?? "").indexOf(stop)) },
    });
  });

  it("frees the slot of a client that leaves", async () => {
    const long = { ...base, max_tokens: 1900, ignore_eos: true };
    for (const stream of [true, false]) {
      const leave = new AbortController();
      const asked = ai.chat.completions.create(
        { ...long, stream },
        { signal: leave.signal },
      ) as Promise<AsyncIterable<OpenAI.ChatCompletionChunk>>;
      if (stream) for await (const _ of await asked) break;
      else await until(async () => (await os.sys.stats()).slotsUsed > 0);
      const { tokensGenerated: before } = await os.sys.stats();
      leave.abort();
      await asked.catch(() => undefined);
      await until(async () => (await os.sys.stats()).slotsUsed === 0);
      const { tokensGenerated, queued } = await os.sys.stats();
      expect(tokensGenerated - before).toBeLessThan(1000);
      expect(queued).toBe(0);
    }
    await until(async () => (await gateway.figure("contix_gateway_aborted_total")) === 2);
    expect(await gateway.figure("contix_gateway_requests_open")).toBe(1);
  });

  it("streams 200 answers at once, and is told when there is no more room", async () => {
    const short = { ...base, max_tokens: 8 };
    const texts = await Promise.all(
      Array.from({ length: 200 }, async (_, seed) => {
        const stream = await ai.chat.completions.create({ ...short, seed, stream: true });
        return (await read(stream)).texts.get(0);
      }),
    );
    const alone = await ai.chat.completions.create({ ...short, seed: 123 });
    expect(texts[123]).toBe(alone.choices[0]?.message.content);
    const full = await Promise.all(
      Array.from({ length: Math.ceil(MOST / 16) + 1 }, () =>
        ai.chat.completions.create({ ...base, n: 16, max_tokens: 16 }).catch((error) => error),
      ),
    );
    const error = full.find((one) => one instanceof OpenAI.RateLimitError);
    expect(error).toMatchObject({ status: 429, code: "rate_limit_exceeded" });
    expect(Number(error?.headers.get("retry-after"))).toBeGreaterThanOrEqual(1);
    expect(Number(error?.headers.get("retry-after-ms"))).toBeGreaterThan(0);
    // The client's own retries heed it.
    const patient = gateway.client({ maxRetries: 8 });
    const all = Array.from({ length: 15 }, () =>
      patient.chat.completions.create({ ...base, n: 16, max_tokens: 8 }),
    );
    for (const { choices } of await Promise.all(all)) expect(choices).toHaveLength(16);
  });
});

describe("completions", () => {
  it("takes texts and tokens, one or many", async () => {
    const own = await os.llm.generate("Once upon a time", { maxTokens: 16, seed: 3 });
    const ids = await os.llm.tokenize("Once upon a time");
    const common = { model: "fake", seed: 3 };
    const one = await ai.completions.create({ ...common, prompt: "Once upon a time" });
    expect(one.choices[0]?.text).toBe(own.text);
    expect(one.usage?.completion_tokens).toBe(16);
    const many = await ai.completions.create({
      ...common,
      prompt: ["Once upon a time", "It was"],
      n: 2,
      max_tokens: 16,
    });
    expect(many.choices.map(({ index }) => index)).toEqual([0, 1, 2, 3]);
    expect(many.choices[0]?.text).toBe(own.text);
    const byIds = await ai.completions.create({ ...common, prompt: ids, max_tokens: 16 });
    expect(byIds.choices[0]?.text).toHaveLength(own.text.length);
    let text = "";
    const stream = await ai.completions.create({
      ...common,
      prompt: "Once upon a time",
      stream: true,
    });
    for await (const { choices } of stream) text += choices[0]?.text ?? "";
    expect(text).toBe(own.text);
  });
});

describe("what is refused", () => {
  it("says why in OpenAI's shape, with the status that its client knows", async () => {
    const wrongKey = await failure(gateway.client({ apiKey: "wrong" }).models.list());
    expect(wrongKey).toBeInstanceOf(OpenAI.AuthenticationError);
    expect(wrongKey).toMatchObject({ code: "invalid_api_key", param: null });
    const noModel = await failure(ai.chat.completions.create({ ...base, model: "nope" }));
    expect(noModel).toBeInstanceOf(OpenAI.NotFoundError);
    expect(noModel).toMatchObject({ code: "model_not_found", param: "model" });
    expect(await failure(ai.models.retrieve("nope"))).toBeInstanceOf(OpenAI.NotFoundError);
    expect(await failure(ai.embeddings.create({ model: "fake", input: "a" }))).toMatchObject({
      status: 404,
    });
    const long = [{ role: "user", content: "word ".repeat(3000) }] as Turn[];
    expect(await failure(ai.chat.completions.create({ ...base, messages: long }))).toMatchObject({
      status: 400,
      code: "context_length_exceeded",
      param: "messages",
    });
    const wrong: [Record<string, unknown>, string][] = [
      [{ temperature: 3 }, "temperature"],
      [{ top_p: 0 }, "top_p"],
      [{ n: 17 }, "n"],
      [{ stop: [""] }, "stop"],
      [{ max_tokens: 0 }, "max_tokens"],
      [{ messages: [] }, "messages"],
      [{ messages: [{ role: "tool", content: "x", tool_call_id: "1" }] }, "messages.0.role"],
      [{ frequency_penalty: 1 }, "frequency_penalty"],
      [{ logit_bias: { 5: 1 } }, "logit_bias"],
      [{ response_format: { type: "json_object" } }, "response_format"],
      [{ tools: [{ type: "function", function: { name: "f" } }] }, "tools"],
      [{ temprature: 1 }, "temprature"],
    ];
    for (const [change, param] of wrong) {
      const error = await failure(ai.chat.completions.create({ ...base, ...change }));
      expect([error.status, error.param], JSON.stringify(change)).toEqual([400, param]);
    }
    const harmless = {
      user: "u",
      metadata: { a: "b" },
      store: true,
      service_tier: "auto",
    } as const;
    const nothing = {
      tools: [],
      logit_bias: {},
      logprobs: false,
      response_format: { type: "text" },
    };
    const fine = { ...base, ...harmless, ...nothing, frequency_penalty: 0, top_k: null };
    const { choices } = await ai.chat.completions.create(fine as never as typeof base);
    expect(choices).toHaveLength(1);
  });

  it("lists models and opens to the pages of named origins only", async () => {
    const models = await ai.models.list();
    expect(models.data.map(({ id }) => id)).toContain("fake");
    expect(await ai.models.retrieve("fake")).toMatchObject({ object: "model", owned_by: "contix" });
    for (const [origin, allowed] of [
      ["https://app.example", "https://app.example"],
      ["https://evil.example", null],
    ] as const) {
      const headers = { origin, "access-control-request-method": "POST" };
      const url = `${gateway.address}/v1/chat/completions`;
      const { headers: said } = await fetch(url, { method: "OPTIONS", headers });
      expect(said.get("access-control-allow-origin")).toBe(allowed);
    }
  });
});

describe("an operator", () => {
  it("reads figures with a key, health without one", async () => {
    expect((await fetch(`${gateway.address}/healthz`)).status).toBe(200);
    expect((await fetch(`${gateway.address}/readyz`)).status).toBe(200);
    expect((await fetch(`${gateway.address}/metrics`)).status).toBe(401);
    await until(async () => (await gateway.figure("contix_gateway_requests_open")) === 1);
    for (const figure of [
      'contix_gateway_tokens_total{model="fake",kind="cached"}',
      'contix_gateway_first_token_seconds_count{model="fake"}',
      "contix_gateway_inter_token_seconds_count",
      'contix_gateway_queue_seconds_count{model="fake"}',
      'contix_gateway_errors_total{code="rate_limit_exceeded"}',
      "contix_gateway_attachments",
      "contix_kernel_generated_tokens_total",
      'contix_tier_places{model="fake",tier="slots"}',
    ]) {
      expect(await gateway.figure(figure), figure).toBeGreaterThan(0);
    }
  });

  it("gives each key what the kernel gives it, and no page of another principal", async () => {
    await os.principals.add("alice");
    await os.principals.add("bob");
    const keyFor = async (name: string, ...scopes: string[]): Promise<string> =>
      (await os.principals.addKey(name, { scopes })).key;
    const content = "The same long beginning for everybody. ".repeat(4);
    const messages: Turn[] = [{ role: "user", content }];
    const foundBy = async (apiKey: string): Promise<number | undefined> => {
      const client = gateway.client({ apiKey });
      const { usage } = await client.chat.completions.create({ ...base, messages });
      return usage?.prompt_tokens_details?.cached_tokens;
    };
    const [alice, bob] = [await keyFor("alice"), await keyFor("bob", "llm")];
    expect(await foundBy(alice)).toBe(0);
    expect(await foundBy(bob)).toBe(0);
    expect(await foundBy(await keyFor("alice", "llm"))).toBeGreaterThan(100);
    const scrape = async (key: string): Promise<Response> =>
      fetch(`${gateway.address}/metrics`, { headers: { authorization: `Bearer ${key}` } });
    expect((await scrape(bob)).status).toBe(403);
    const seen = await (await scrape(await keyFor("bob", "sys"))).text();
    expect(seen).toContain("contix_kernel_slots ");
    expect(seen).toMatch(/^contix_door_calls_total\{door="unix"\} [1-9]/m);
    expect(seen).toMatch(/^contix_kernel_denials_total\{result="EPERM"\} [1-9]/m);
    expect(seen).not.toMatch(/contix_(model_slots|principal_keys)\{/);
    const only = await keyFor("bob", "sys");
    expect(await failure(gateway.client({ apiKey: only }).models.list())).toBeInstanceOf(
      OpenAI.PermissionDeniedError,
    );
    const [id = ""] = alice.replace("ctx_", "").split("_");
    const client = gateway.client({ apiKey: alice });
    const stream = await client.chat.completions.create({
      ...{ ...base, messages, max_tokens: 1500, stream: true, ignore_eos: true },
    } as const);
    const cut = failure(read(stream));
    await os.principals.revokeKey(id);
    expect((await cut).code).toBe("invalid_api_key");
    expect(await failure(client.models.list())).toBeInstanceOf(OpenAI.AuthenticationError);
  });

  it("sees it drain: unready, streams to their end, nothing new", async () => {
    const stream = await ai.chat.completions.create({
      ...base,
      max_tokens: 300,
      stream: true,
      ...{ ignore_eos: true },
    });
    const stopped = gateway.stop();
    await until(async () => (await fetch(`${gateway.address}/readyz`)).status === 503);
    expect((await fetch(`${gateway.address}/healthz`)).status).toBe(200);
    expect(await failure(ai.chat.completions.create(base))).toMatchObject({
      status: 503,
      code: "shutting_down",
    });
    const { finish } = await read(stream);
    expect(finish.get(0)).toBe("length");
    await stopped;
    await expect(fetch(`${gateway.address}/healthz`)).rejects.toThrow();
  });
});
