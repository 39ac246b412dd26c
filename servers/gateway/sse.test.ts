import { EventEmitter } from "node:events";
import type { ServerResponse } from "node:http";
import { expect, it } from "vitest";
import { EventStream } from "./sse.js";

/** A client's end of an answer: what it was sent, and whether it has room. */
class Client extends EventEmitter {
  headersSent = false;
  destroyed = false;
  closed = false;
  room = true;
  readonly sent: string[] = [];
  head: unknown;
  writeHead(status: number, headers: unknown): void {
    this.headersSent = true;
    this.head = { status, headers };
  }
  write(text: string): boolean {
    this.sent.push(text);
    return this.room;
  }
  end(): void {
    this.closed = true;
  }
}

function open() {
  const client = new Client();
  return { client, events: new EventStream(client as unknown as ServerResponse, { "x-a": "b" }) };
}

it("sends the head with the first event, and what it is given as data", async () => {
  const { client, events } = open();
  expect([events.begun, client.sent]).toEqual([false, []]);
  await events.send({ n: 1 });
  await events.send("[DONE]");
  events.end();
  expect(client.sent).toEqual(['data: {"n":1}\n\n', "data: [DONE]\n\n"]);
  expect(client.head).toMatchObject({
    status: 200,
    headers: { "x-a": "b", "content-type": "text/event-stream; charset=utf-8" },
  });
  expect([events.begun, client.closed]).toEqual([true, true]);
});

it("waits for a reader that is behind, and no longer for one that has left", async () => {
  const { client, events } = open();
  client.room = false;
  let went = "";
  const first = events.send("a").then(() => {
    went += "a";
  });
  await new Promise(setImmediate);
  expect(went).toBe("");
  client.emit("drain");
  await first;
  const second = events.send("b");
  client.emit("close");
  await second;
  expect([client.listenerCount("drain"), client.listenerCount("close")]).toEqual([0, 0]);
  client.destroyed = true;
  await events.send("c");
});
