/**
 * A bare echo over gRPC: one bidirectional stream on a Unix socket, bytes as they are. What any
 * syscall over gRPC costs at least.
 */
import {
  Client,
  credentials,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
} from "@grpc/grpc-js";
import type { Way } from "./way.js";

const asIs = (bytes: Buffer): Buffer => bytes;
const ECHO = {
  path: "/bench.Echo/Echo",
  requestStream: true,
  responseStream: true,
  requestSerialize: asIs,
  requestDeserialize: asIs,
  responseSerialize: asIs,
  responseDeserialize: asIs,
} as const;

/** Answers every message with one of `bytes` bytes, on `address` (unix:///path). */
export async function serveGrpcEcho(address: string, bytes: number): Promise<void> {
  const reply = Buffer.alloc(bytes, "e");
  const server = new Server();
  server.addService(
    { echo: ECHO },
    {
      echo: (stream: ServerDuplexStream<Buffer, Buffer>) => {
        stream.on("data", () => stream.write(reply));
        stream.on("end", () => stream.end());
        stream.on("error", () => undefined);
      },
    },
  );
  await new Promise<void>((resolve, reject) => {
    server.bindAsync(address, ServerCredentials.createInsecure(), (error) =>
      error ? reject(error) : resolve(),
    );
  });
}

/** A client of it that sends `bytes` bytes and waits for the answer. */
export function grpcEcho(address: string, bytes: number): Way {
  const message = Buffer.alloc(bytes, "c");
  const client = new Client(address, credentials.createInsecure(), {
    "grpc.use_local_subchannel_pool": 1,
  });
  const stream = client.makeBidiStreamRequest(ECHO.path, asIs, asIs);
  let answered: () => void = () => undefined;
  let failed: (error: Error) => void = () => undefined;
  stream.on("data", () => answered());
  stream.on("error", (error) => failed(error));
  return {
    call: () =>
      new Promise((resolve, reject) => {
        answered = resolve;
        failed = reject;
        stream.write(message);
      }),
    async close() {
      stream.end();
      client.close();
    },
  };
}
