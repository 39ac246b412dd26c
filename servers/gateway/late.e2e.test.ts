/** Who sends requests that are none is refused late; all get their answers, and good ones do not wait. */
import { once } from "node:events";
import { connect } from "node:net";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, expect, it } from "vitest";
import { startTestGateway, type TestGateway } from "../../test/support/gateway.js";
import { until } from "../../test/support/kernels.js";

/** Of each sender; what four seconds bring may come at once. */
const PER_SECOND = 5;
const BURST = 4 * PER_SECOND;
const CHAT = "/v1/chat/completions";
const GOOD = JSON.stringify({
  ...{ model: "fake", max_tokens: 1 },
  messages: [{ role: "user", content: "Hello" }],
});

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startTestGateway({ slots: 4 }, { faultsPerSecond: PER_SECOND });
});
afterAll(() => gateway[Symbol.asyncDispose]());

/** A request of the administrator's as it goes over the wire. */
const raw = (body: string, head = `POST ${CHAT}`, length = body.length, to = gateway): string =>
  [
    `${head} HTTP/1.1`,
    "Host: g",
    `Authorization: Bearer ${to.kernel.token}`,
    `Content-Length: ${length}`,
    "",
    body,
  ].join("\r\n");
/** Sends that and nothing more, ever. @returns all that comes back */
const sayAndShut = (request: string, to = gateway): Promise<string> => {
  const socket = connect({ port: to.port, host: "127.0.0.1", allowHalfOpen: true });
  socket.end(request);
  return text(socket).finally(() => socket.destroy());
};

const late = (): Promise<number> => gateway.figure("contix_gateway_late_total");
const post = (body: string, key = gateway.kernel.token) =>
  gateway.fetch(CHAT, { method: "POST", body, headers: { authorization: `Bearer ${key}` } });

it("a good key's bad requests are answered late, and its good ones and others' at once", async () => {
  await using os = await gateway.kernel.connect();
  await os.principals.add("mallory");
  const { key } = await os.principals.addKey("mallory");
  const before = await late();
  const bad = Array.from({ length: BURST + 5 }, () => post("{", key));
  expect((await post(GOOD, key)).status).toBe(200);
  expect((await post(GOOD)).status).toBe(200);
  for (const answer of await Promise.all(bad)) expect(answer.status).toBe(400);
  expect(await late()).toBeGreaterThan(before);
  const after = await late();
  // Another key is another sender, though it comes from the same address.
  expect((await post("{")).status).toBe(400);
  expect(await late()).toBe(after);
});

it("what is no HTTP, and what shows no good key, are one sender's by the address", async () => {
  const before = await late();
  const bad = Array.from({ length: BURST + 3 }, () => {
    const socket = connect(gateway.port, "127.0.0.1");
    socket.write("hello\r\n\r\n");
    return text(socket);
  });
  for (const answer of await Promise.all(bad)) expect(answer).toMatch(/^HTTP\/1\.1 400 /);
  const broken = await late();
  expect(broken).toBeGreaterThan(before);
  const wrong = Array.from({ length: BURST + 3 }, (_, i) => post(GOOD, `wrong-${i}`));
  for (const answer of await Promise.all(wrong)) expect(answer.status).toBe(401);
  expect(await late()).toBeGreaterThan(broken);
});

it("who sends nothing more waits for his refusal as others do", async () => {
  const before = await late();
  const bad = Array.from({ length: BURST + 3 }, () => sayAndShut(raw("{")));
  for (const answer of await Promise.all(bad)) expect(answer).toMatch(/^HTTP\/1\.1 400 /);
  const whole = await late();
  expect(whole).toBeGreaterThan(before);
  // There is no place for an answer to half a body; its connection is held back all the same.
  const half = Array.from({ length: BURST + 3 }, () => sayAndShut(raw("{", `POST ${CHAT}`, 9)));
  for (const answer of await Promise.all(half)) expect(answer).toBe("");
  expect(await late()).toBeGreaterThan(whole);
});

it("keys that the kernel is not asked about, as it is busy, are the address's, too", async () => {
  const before = await late();
  process.kill(gateway.kernel.pid, "SIGSTOP");
  const statuses: number[] = [];
  // So many are shown to the kernel at once; the others hear 429, more of them than may come at once.
  const [asked, others] = [32, BURST + 8];
  const all = Array.from({ length: asked + others }, async (_, i) => {
    statuses.push((await post(GOOD, `wrong-while-it-stands-${i}`)).status);
  });
  try {
    await until(() => statuses.length === others);
    expect(new Set(statuses)).toEqual(new Set([429]));
  } finally {
    process.kill(gateway.kernel.pid, "SIGCONT");
  }
  await Promise.all(all);
  expect(statuses.filter((status) => status === 401)).toHaveLength(asked);
  // Those alone that the kernel looked at would be fewer.
  expect((await late()) - before).toBeGreaterThan(asked);
});

it("who sends nothing more is answered, unless there is a generation to give up", async () => {
  expect(await sayAndShut(raw("", "GET /healthz"))).toMatch(/^HTTP\/1\.1 200 /);
  await using slow = await startTestGateway({ stepUs: 20_000 });
  const aborted = () => slow.figure("contix_gateway_aborted_total");
  const long = JSON.stringify({ ...JSON.parse(GOOD), max_tokens: 300, stream: true });
  expect(await sayAndShut(raw(long, `POST ${CHAT}`, long.length, slow), slow)).not.toContain(
    "[DONE]",
  );
  await until(async () => (await aborted()) === 1);
  const socket = connect({ port: slow.port, host: "127.0.0.1", allowHalfOpen: true });
  socket.write(raw(long, `POST ${CHAT}`, long.length, slow));
  await once(socket, "readable");
  socket.end();
  const got = await text(socket);
  expect(got).toContain("data: ");
  expect(got).not.toContain("[DONE]");
  await until(async () => (await aborted()) === 2);
});
