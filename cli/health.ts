/**
 * The gRPC health check, by hand: the request is empty and the answer one enum, so generated code
 * would be longer than the codec.
 */
import { Client, credentials } from "@grpc/grpc-js";

/** Answers SERVING as `{ status: 1 }`, on the wire `08 01`. */
const SERVING = Buffer.from([0x08, 0x01]);

/** Whether the daemon at `address` answers that it serves, within `timeoutMs`. */
export function isServing(address: string, timeoutMs: number): Promise<boolean> {
  const client = new Client(address.replace(/^grpc:\/\//, ""), credentials.createInsecure());
  return new Promise<boolean>((resolve) => {
    client.makeUnaryRequest(
      "/grpc.health.v1.Health/Check",
      () => Buffer.alloc(0),
      (bytes) => SERVING.equals(bytes),
      undefined,
      { deadline: Date.now() + timeoutMs },
      (error, serving) => resolve(error === null && serving === true),
    );
  }).finally(() => client.close());
}
