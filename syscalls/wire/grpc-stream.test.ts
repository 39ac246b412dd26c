/** A kernel that is not there any more, though its connection seems to be. */
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { GrpcStream, STATUS, type StreamStatus } from "./grpc-stream.js";

test("a ping that is not answered ends the stream", async () => {
  const server = createServer((socket) => socket.resume());
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  const ended = new Promise<StreamStatus>((end) => {
    const at = { authority: `127.0.0.1:${port}` };
    const target = { at, method: "/a.B/c", maxMessage: 1024, decode: (bytes: Buffer) => bytes };
    new GrpcStream(target, { message: () => undefined, end }, { everyMs: 20, patienceMs: 20 });
  });
  expect(await ended).toMatchObject({
    code: STATUS.UNAVAILABLE,
    details: "the kernel did not answer a ping",
  });
});
