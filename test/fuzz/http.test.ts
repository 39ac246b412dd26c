/** Malformed requests at the HTTP door: the gateway and the kernel live, and others are served. */
import { connect } from "node:net";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startTestGateway, type TestGateway } from "../support/gateway.js";
import { until } from "../support/kernels.js";

/** Requests: 100 for each run of `CONTIX_FUZZ_RUNS`. */
const RUNS = 100 * Number(process.env.CONTIX_FUZZ_RUNS ?? 3);
const SEED = Number(process.env.CONTIX_FUZZ_SEED ?? Date.now() % 2 ** 31);
/** What the memory of this process, where the gateway is, may grow by: a kilobyte a request is more. */
const SLACK = 80 << 20;

let gateway: TestGateway;
/** Whose requests they are: a principal of her own. */
let mallory: string;
beforeAll(async () => {
  gateway = await startTestGateway(
    { slots: 4 },
    { headersMs: 500, requestMs: 1000, faultsPerSecond: 0 },
  );
  await using os = await gateway.kernel.connect();
  await os.principals.add("mallory");
  mallory = (await os.principals.addKey("mallory")).key;
}, 120_000);
afterAll(() => gateway?.[Symbol.asyncDispose]());

const chat = (more: object = {}): object => ({
  ...{ model: "fake", max_tokens: 2, messages: [{ role: "user", content: "Hello" }] },
  ...more,
});
const bodies = fc.oneof(
  fc.constant(chat()),
  fc.constant(chat({ stream: true })),
  fc.jsonValue().map((value) => chat({ messages: value })),
  fc.record({ temperature: fc.jsonValue(), stop: fc.jsonValue(), n: fc.jsonValue() }).map(chat),
  fc.jsonValue(),
);
const body = fc.oneof(
  bodies.map((value) => JSON.stringify(value)),
  fc.nat(20_000).map((depth) => "[".repeat(depth)),
  fc.nat(100_000).map((length) => "x".repeat(length)),
);

/** A request as it should be, and as bytes. */
const good = fc
  .record({
    path: fc.constantFrom("/v1/chat/completions", "/v1/completions", "/v1/models", "/metrics"),
    method: fc.constantFrom("POST", "GET", "PUT", "OPTIONS"),
    body,
    /** What is said of the body's length, beside the truth. */
    off: fc.constantFrom(0, 0, 0, -1, 1, 1 << 30),
    chunked: fc.boolean(),
  })
  .map(({ path, method, body: text, off, chunked }) => {
    const bytes = Buffer.byteLength(text);
    const length = chunked ? "Transfer-Encoding: chunked" : `Content-Length: ${bytes + off}`;
    const head = [`${method} ${path} HTTP/1.1`, "Host: g", `Authorization: Bearer ${mallory}`];
    const sent = chunked ? `${(bytes + off).toString(16)}\r\n${text}\r\n0\r\n\r\n` : text;
    return Buffer.from([...head, length, "", sent].join("\r\n"));
  });
const request = fc.oneof(
  good,
  fc.tuple(good, fc.nat(400)).map(([bytes, n]) => bytes.subarray(0, n % bytes.length)),
  fc.tuple(good, fc.nat(3000)).map(([bytes, bit]) => {
    const flipped = Buffer.from(bytes);
    const at = (bit >> 3) % flipped.length;
    flipped[at] = (flipped[at] ?? 0) ^ (1 << (bit & 7));
    return flipped;
  }),
  fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
);

/** Sends it on a connection of its own, which ends with the answer. */
async function send(bytes: Uint8Array): Promise<void> {
  const socket = connect(gateway.port, "127.0.0.1");
  socket.on("error", () => undefined).resume();
  socket.end(bytes);
  await new Promise((resolve) => socket.once("close", resolve));
}

test(`lives through ${RUNS} malformed requests, seed ${SEED}`, { timeout: 3_600_000 }, async () => {
  let sent = 0;
  let warm = 0;
  await fc.assert(
    fc.asyncProperty(request, async (bytes) => {
      await send(bytes);
      sent++;
      if (sent % 50 !== 0) return;
      expect((await gateway.fetch("/v1/models")).status).toBe(200);
      if (sent <= RUNS / 10) warm = process.memoryUsage().rss;
    }),
    { numRuns: RUNS, seed: SEED, endOnFailure: true },
  );
  expect(sent).toBe(RUNS);
  const answer = await gateway.fetch("/v1/chat/completions", {
    ...{ method: "POST", body: JSON.stringify(chat()) },
  });
  expect(answer.status).toBe(200);
  if (warm > 0) expect(process.memoryUsage().rss - warm).toBeLessThan(SLACK);
  // No failure was the gateway's own, and nothing that she asked for goes on.
  expect(await gateway.figure('contix_gateway_errors_total{code="internal_error"}')).toBeNaN();
  await until(async () => (await gateway.figure("contix_gateway_requests_open")) === 1);
});
