/** What clients send that is no good request, over raw sockets too; the gateway goes on. */
import { channel } from "node:diagnostics_channel";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { text } from "node:stream/consumers";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { startTestGateway, type TestGateway } from "../../test/support/gateway.js";

const BODY_BYTES = 64 << 10;
const CHAT = "/v1/chat/completions";

let gateway: TestGateway;

beforeAll(async () => {
  gateway = await startTestGateway(
    { slots: 4 },
    { bodyBytes: BODY_BYTES, headersMs: 300, requestMs: 600, deadlineMs: 60_000 },
  );
});
afterAll(() => gateway[Symbol.asyncDispose]());
afterEach(async () => {
  const { status } = await gateway.fetch("/v1/models");
  expect(status).toBe(200);
});

const post = (body: string | Uint8Array<ArrayBuffer>, headers: Record<string, string> = {}) =>
  gateway.fetch(CHAT, { method: "POST", body, headers });

const ask = (more: object = {}): string =>
  JSON.stringify({
    model: "fake",
    messages: [{ role: "user", content: "Hello" }],
    max_tokens: 4,
    ...more,
  });

function head(body: string | number, path = CHAT): string {
  const length = typeof body === "number" ? body : Buffer.byteLength(body);
  return [
    `POST ${path} HTTP/1.1`,
    "Host: gateway",
    `Authorization: Bearer ${gateway.kernel.token}`,
    `Content-Length: ${length}`,
    "\r\n",
  ].join("\r\n");
}

/** Sends bytes as they are; the answer is all that comes until the gateway hangs up. */
async function raw(bytes: string): Promise<string> {
  const socket = await open();
  socket.write(bytes);
  return text(socket);
}

async function open(): Promise<Socket> {
  const socket = connect(gateway.port, "127.0.0.1");
  await once(socket, "connect");
  return socket;
}

async function errorOf(response: Response): Promise<{ code: string; message: string }> {
  const body = (await response.json()) as { error: { code: string; message: string } };
  return body.error;
}

it("refuses what is no JSON, no object, no UTF-8, or nested without end", async () => {
  for (const body of ["", "{", "nope", '{"a":1}}', ask().slice(0, -2)]) {
    const response = await post(body);
    expect([response.status, (await errorOf(response)).code]).toEqual([400, "invalid_json"]);
  }
  expect((await post(new Uint8Array([0x7b, 0xff, 0x7d]))).status).toBe(400);
  for (const body of ["null", "[]", "1", '"text"', '{"__proto__":{"model":"fake"}}']) {
    expect((await post(body)).status, body).toBe(400);
  }
  const depth = 20_000;
  const deep = `${"[".repeat(depth)}${"]".repeat(depth)}`;
  for (const body of [
    deep,
    `{"model":"fake","messages":${deep}}`,
    `{"model":"fake","messages":[{"role":"user","content":${deep}}]}`,
    `{"model":"fake","messages":[{"role":"user","content":"a"}],"logit_bias":${deep}}`,
  ]) {
    expect((await post(body)).status).toBe(400);
  }
});

it("reads no more of a body than it takes, however it comes", async () => {
  const huge = ask({ user: "x".repeat(BODY_BYTES) });
  const response = await post(huge);
  expect([response.status, (await errorOf(response)).code]).toEqual([413, "request_too_large"]);
  const announced = await raw(head(1 << 30));
  expect(announced).toMatch(/^HTTP\/1\.1 413 /);
  const chunk = "x".repeat(8192);
  const chunked = head(0).replace("Content-Length: 0", "Transfer-Encoding: chunked");
  const parts = `${(8192).toString(16)}\r\n${chunk}\r\n`.repeat(12);
  expect(await raw(`${chunked}${parts}`)).toMatch(/^HTTP\/1\.1 413 /);
  // Who is unknown gets no body read at all.
  const stranger = head(1 << 20).replace(gateway.kernel.token, "nobody");
  expect(await raw(stranger)).toMatch(/^HTTP\/1\.1 401 /);
});

it("hangs up on heads and bodies that never end", async () => {
  const [slowHead, slowBody] = await Promise.all([
    raw(`POST ${CHAT} HTTP/1.1\r\nHost: g`),
    raw(`${head(1000)}{`),
  ]);
  expect(slowHead).toMatch(/^HTTP\/1\.1 408 .*"request_timeout"/s);
  expect(slowBody).toMatch(/^(HTTP\/1\.1 408 .*|)$/s);
  const long = `GET /healthz HTTP/1.1\r\nHost: g\r\nX-A: ${"a".repeat(20_000)}\r\n\r\n`;
  expect(await raw(long)).toMatch(/^HTTP\/1\.1 431 .*"headers_too_large"/s);
});

it("answers what is no HTTP, and what is only nearly HTTP", async () => {
  for (const bytes of [
    "\x16\x03\x01\x02\x00\x01\x00",
    "hello\r\n\r\n",
    "GET /healthz HTTP/1.1\r\n\r\n",
    `${head(5).replace("\r\n\r\n", "\r\nTransfer-Encoding: chunked\r\n\r\n")}0\r\n\r\n`,
    `${head(5).replace("\r\n\r\n", "\r\nContent-Length: 6\r\n\r\n")}aaaaaa`,
    "GET //../../etc/passwd HTTP/1.1\r\nHost: a b\r\n\r\n",
  ]) {
    expect(await raw(bytes), bytes).toMatch(/^HTTP\/1\.1 400 .*"error"/s);
  }
  const other = await gateway.fetch(CHAT, { method: "PUT", body: ask() });
  expect(other.status).toBe(405);
  const keys = ["", "Bearer", "Bearer  ", "Basic YTpi", `Bearer ${"k".repeat(600)}`];
  for (const authorization of keys) {
    expect((await post(ask(), { authorization })).status, authorization).toBe(401);
  }
});

it("answers requests of one connection in order, and ends them when it breaks", async () => {
  const bodies = [
    ask({ max_tokens: 30 }),
    "{",
    ask({ max_tokens: 1, stream: true }),
    ask({ model: "no" }),
  ];
  const last = `GET /healthz HTTP/1.1\r\nHost: g\r\nConnection: close\r\n\r\n`;
  const answers = await raw(`${bodies.map((body) => head(body) + body).join("")}${last}`);
  const statuses = [...answers.matchAll(/HTTP\/1\.1 (\d+) /g)].map(([, status]) => status);
  expect(statuses).toEqual(["200", "400", "200", "404", "200"]);
  const long = ask({ max_tokens: 1900, ignore_eos: true, stream: true, n: 4 });
  const socket = await open();
  socket.write((head(long) + long).repeat(5));
  await once(socket, "data");
  socket.destroy();
  await settled(1);
});

it("a reader that stops holds no slot: others are served, and it finds its whole answer when it reads on", async () => {
  await using os = await gateway.kernel.connect();
  const choices = 8;
  const body = ask({ max_tokens: 1900, ignore_eos: true, stream: true, n: choices });
  const [socket, gatewaysEnd] = await openBoth();
  let came = "";
  socket.setEncoding("utf8").on("data", (part: string) => {
    came += part;
  });
  socket.write(head(body) + body);
  while (!came.includes("data:")) await once(socket, "data");
  // What the system would buffer for a reader that stops is more than this answer: here it is full.
  gatewaysEnd.cork();
  const full = (): boolean => gatewaysEnd.writableLength > gatewaysEnd.writableHighWaterMark;
  const free = async (): Promise<boolean> => (await os.sys.stats()).slotsUsed === 0;
  // Slots are free for a moment too when it was only this process that was late.
  let held = -1;
  for (let steady = 0; steady < 50; held = gatewaysEnd.writableLength) {
    await new Promise((resolve) => setTimeout(resolve, 10));
    const stands = full() && (await free()) && gatewaysEnd.writableLength === held;
    steady = stands ? steady + 1 : 0;
    expect(came.slice(-40)).not.toContain("[DONE]");
  }
  const waiting = await gateway.figure("contix_gateway_requests_open");
  const other = await (await post(ask({ max_tokens: 50, ignore_eos: true }))).json();
  expect(other).toMatchObject({ usage: { completion_tokens: 50 } });
  // The one that waits, and the one that asked for the figure.
  expect(waiting).toBe(2);
  // Held for it is little more than what made it wait.
  expect(gatewaysEnd.writableLength).toBeLessThan(4 * gatewaysEnd.writableHighWaterMark);
  gatewaysEnd.uncork();
  while (!came.includes("[DONE]")) await once(socket, "data");
  expect(came.match(/"finish_reason":"length"/g)?.length).toBe(choices);
  socket.destroy();
}, 60_000);

/** A connection, and the gateway's end of it: the gateway is in this process. */
async function openBoth(): Promise<[Socket, Socket]> {
  const accepted = channel("net.server.socket");
  const ends: Socket[] = [];
  const take = (event: unknown): void => void ends.push((event as { socket: Socket }).socket);
  accepted.subscribe(take);
  const socket = await open();
  const other = (): Socket | undefined => ends.find((end) => end.remotePort === socket.localPort);
  while (!other()) await new Promise(setImmediate);
  accepted.unsubscribe(take);
  return [socket, other() ?? socket];
}

/** Waits until `open` requests are being answered, the one that asks among them. */
async function settled(open: number): Promise<void> {
  while ((await gateway.figure("contix_gateway_requests_open")) !== open) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

it("bears strangers without number, and whoever shows no key is hung up on", async () => {
  await using small = await startTestGateway({ slots: 4, stepUs: 20_000 }, { connections: 40 });
  const open = new Set<Socket>();
  const dial = async (): Promise<Socket> => {
    const socket = connect(small.port, "127.0.0.1");
    open.add(socket);
    socket.on("error", () => undefined).once("close", () => open.delete(socket));
    // Its end must be read to be seen.
    socket.resume();
    await new Promise((resolve) => socket.once("connect", resolve).once("close", resolve));
    return socket;
  };
  // One in the middle of its answer, and one that would keep its connection.
  const stream = await small.fetch(CHAT, {
    method: "POST",
    body: ask({ stream: true, max_tokens: 1900, ignore_eos: true }),
  });
  const reader = stream.body?.getReader();
  await reader?.read();
  for (let wave = 0; wave < 10; wave++) {
    await Promise.all(Array.from({ length: 20 }, dial));
    expect((await small.fetch("/v1/models")).status).toBe(200);
    expect((await reader?.read())?.done).toBe(false);
    expect(await small.figure("contix_gateway_connections")).toBeLessThanOrEqual(40);
  }
  expect(await small.figure("contix_gateway_connections_cut_total")).toBeGreaterThan(100);
  await reader?.cancel();
  for (const socket of open) socket.destroy();
  for (const path of ["/healthz", "/readyz", "/v1/models", "/metrics", "/nowhere"]) {
    for (const headers of [{}, { authorization: "Bearer nobody" }]) {
      const answer = await fetch(`${small.address}${path}`, { headers });
      expect(answer.headers.get("connection"), path).toBe("close");
      await answer.text();
    }
  }
  const kept = await small.fetch("/v1/models");
  expect(kept.headers.get("connection")).not.toBe("close");
  await kept.text();
});
