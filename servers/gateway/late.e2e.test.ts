/** Who sends requests that are none is refused late; all get their answers, and good ones do not wait. */
import { connect } from "node:net";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, expect, it } from "vitest";
import { startTestGateway, type TestGateway } from "../../test/support/gateway.js";

/** Of each sender; ten may come at once. */
const PER_SECOND = 1;
const BURST = 10;
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
