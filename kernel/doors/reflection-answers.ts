/** The answers of reflection, by the package that knows them. Slow to load and to make. */
import { EventEmitter } from "node:events";
import { readFileSync } from "node:fs";
import { status as grpcStatus, type MethodDefinition, type Server } from "@grpc/grpc-js";
import { loadFileDescriptorSetFromBuffer } from "@grpc/proto-loader";
import { ReflectionService } from "@grpc/reflection";
import { type Conversation, fail, type RawStream } from "./reflection.js";

/**
 * By path of the method. The package can only add itself to a server: here it adds itself to a
 * map. It knows its descriptors in a form of its own, which it makes of ours.
 */
export function makeConversations(services: readonly string[]): ReadonlyMap<string, Conversation> {
  const set = readFileSync(new URL("../../proto/gen/contix.binpb", import.meta.url));
  const reflection = new ReflectionService(loadFileDescriptorSetFromBuffer(set), {
    services: [...services],
  });
  const conversations = new Map<string, Conversation>();
  const addService: Server["addService"] = (methods, handlers) => {
    for (const [name, method] of Object.entries(methods)) {
      const answer: unknown = handlers[name] ?? handlers[method.originalName ?? name];
      if (typeof answer !== "function") continue;
      conversations.set(method.path, (stream) => answer(decoded(stream, method)));
    }
  };
  reflection.addToServer({ addService });
  return conversations;
}

/** A stream of messages on a stream of bytes, as far as the package uses one. */
function decoded(stream: RawStream, method: MethodDefinition<unknown, unknown>): EventEmitter {
  const messages = Object.assign(new EventEmitter(), {
    write: (message: unknown) => stream.write(method.responseSerialize(message)),
    end: () => stream.end(),
  });
  stream.on("end", () => messages.emit("end"));
  stream.on("data", (bytes: Buffer) => {
    try {
      messages.emit("data", method.requestDeserialize(bytes));
    } catch (error) {
      // Without this, bytes that are no request would end the kernel.
      fail(stream, grpcStatus.INVALID_ARGUMENT, error);
    }
  });
  return messages;
}
