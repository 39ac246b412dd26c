/**
 * gRPC reflection: what the door serves, for clients that have no .proto files. Few ask, and the
 * code that answers takes longer to load than the kernel's own, so the first who asks loads it.
 */
import { status as grpcStatus, type Server, type ServerDuplexStream } from "@grpc/grpc-js";

/** Messages in bytes. */
export type RawStream = ServerDuplexStream<Buffer, Buffer>;
/** Answers every request of a stream. */
export type Conversation = (stream: RawStream) => void;

const VERSIONS = ["v1", "v1alpha"] as const;

const same = (bytes: Buffer): Buffer => bytes;
/** A method whose messages stay bytes here: their codec is loaded with the answers. */
const RAW = {
  requestStream: true,
  responseStream: true,
  requestSerialize: same,
  requestDeserialize: same,
  responseSerialize: same,
  responseDeserialize: same,
} as const;

/** Describes these of the services in proto/ to whoever asks. */
export function addReflection(server: Server, services: readonly string[]): void {
  let loaded: Promise<ReadonlyMap<string, Conversation>> | undefined;
  for (const version of VERSIONS) {
    const path = `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`;
    const info = (stream: RawStream): void => {
      loaded ??= load(services);
      loaded.then(
        (conversations) => conversations.get(path)?.(stream),
        (error: unknown) => fail(stream, grpcStatus.INTERNAL, error),
      );
    };
    server.addService({ info: { path, ...RAW } }, { info });
  }
}

async function load(services: readonly string[]): Promise<ReadonlyMap<string, Conversation>> {
  return (await import("./reflection-answers.js")).makeConversations(services);
}

/** Ends a stream with an error. */
export function fail(stream: RawStream, code: grpcStatus, error: unknown): void {
  const details = error instanceof Error ? error.message : String(error);
  stream.emit("error", { code, details });
}
