/**
 * Whether the kernel serves, by gRPC's health check, which needs no key. The request is
 * empty and the answer one enum, so generated code would be longer than the codec.
 */
import { Client, credentials } from "@grpc/grpc-js";

/** Answers SERVING as `{ status: 1 }`, on the wire `08 01`. */
const SERVING = Buffer.from([0x08, 0x01]);
/** An answer holds so long: whoever asks without a key does not ask the kernel each time. */
const FRESH_MS = 500;
const TIMEOUT_MS = 2_000;

export class KernelHealth {
  readonly #client: Client;
  #asked: Promise<boolean> | undefined;
  #askedAt = Number.NEGATIVE_INFINITY;

  /** `address`: `unix:///path` or `grpc://host:port`. */
  constructor(address: string) {
    const target = address.replace(/^grpc:\/\//, "");
    this.#client = new Client(target, credentials.createInsecure(), {
      "grpc.use_local_subchannel_pool": 1,
      "grpc.enable_http_proxy": 0,
      "grpc.initial_reconnect_backoff_ms": 100,
      "grpc.max_reconnect_backoff_ms": 1_000,
    });
  }

  /** Whether the kernel answers that it serves. Never rejects. */
  serving(): Promise<boolean> {
    const now = performance.now();
    if (this.#asked === undefined || now - this.#askedAt > FRESH_MS) {
      this.#askedAt = now;
      this.#asked = this.#ask();
    }
    return this.#asked;
  }

  close(): void {
    this.#client.close();
  }

  #ask(): Promise<boolean> {
    return new Promise((resolve) => {
      this.#client.makeUnaryRequest(
        "/grpc.health.v1.Health/Check",
        () => Buffer.alloc(0),
        (bytes) => SERVING.equals(bytes),
        undefined,
        { deadline: Date.now() + TIMEOUT_MS },
        (error, serving) => resolve(error === null && serving === true),
      );
    });
  }
}
