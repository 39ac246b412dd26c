/** The gRPC door: Attach and Call, health, reflection, on a Unix socket and, when asked, loopback TCP. */
import { readFileSync } from "node:fs";
import { Server, ServerCredentials } from "@grpc/grpc-js";
import { loadFileDescriptorSetFromBuffer } from "@grpc/proto-loader";
import { ReflectionService } from "@grpc/reflection";
import { HealthImplementation } from "grpc-health-check";
import { ContixError } from "../../proto/errno.js";
import { ClientFrame, KernelService, Syscall } from "../../proto/gen/contix/v1/kernel.js";
import type { Kernel } from "../kernel.js";
import { attachStream } from "./attach.js";
import type { Authenticator } from "./authenticate.js";
import { decodeStrictly } from "./strict.js";
import { unaryCall } from "./unary.js";

/** The longest message, bytes; a syscall's payload limits are far below. */
const MAX_MESSAGE = 32 * 1024 * 1024;
const SERVICE = "contix.v1.Kernel";
/** The health of one model is that of the service `contix.v1.Model/NAME`. */
const MODEL_SERVICE = "contix.v1.Model";

export interface GrpcDoor {
  /** Where it listens, with the real port where port 0 was asked for. */
  readonly addresses: readonly string[];
  /** Health answers SERVING from now on, or NOT_SERVING: for the kernel, or for one of its models. */
  serving(yes: boolean, model?: string): void;
  close(): Promise<void>;
}

/** What tells strangers about the door. Slow to make, so made while the driver loads. */
export interface Directory {
  readonly health: HealthImplementation;
  readonly reflection: ReflectionService;
}

export function makeDirectory(): Directory {
  const set = readFileSync(new URL("../../proto/gen/contix.binpb", import.meta.url));
  return {
    health: new HealthImplementation({ "": "NOT_SERVING", [SERVICE]: "NOT_SERVING" }),
    reflection: new ReflectionService(loadFileDescriptorSetFromBuffer(set), {
      services: [SERVICE, "grpc.health.v1.Health"],
    }),
  };
}

/** Opens the door on each address ("unix:///path", "127.0.0.1:7777"). EADDRINUSE when one is taken. */
export async function openGrpcDoor(
  kernel: Kernel,
  auth: Authenticator,
  { health, reflection }: Directory,
  addresses: readonly string[],
): Promise<GrpcDoor> {
  const server = new Server({
    "grpc.max_receive_message_length": MAX_MESSAGE,
    "grpc.max_send_message_length": MAX_MESSAGE,
  });
  const { attach, call } = KernelService;
  server.addService(
    {
      attach: {
        ...attach,
        requestDeserialize: (b: Buffer) => decodeStrictly((r) => ClientFrame.decode(r), b),
      },
      call: {
        ...call,
        requestDeserialize: (b: Buffer) => decodeStrictly((r) => Syscall.decode(r), b),
      },
    },
    {
      attach: (stream: Parameters<typeof attachStream>[2]) => attachStream(kernel, auth, stream),
      call: (request: Parameters<typeof unaryCall>[2], answer: Parameters<typeof unaryCall>[3]) =>
        unaryCall(kernel, auth, request, answer),
    },
  );
  health.addToServer(server);
  reflection.addToServer(server);
  const bound: string[] = [];
  for (const address of addresses) bound.push(await bind(server, address));
  return {
    addresses: bound,
    serving(yes, model) {
      const names = model === undefined ? ["", SERVICE] : [`${MODEL_SERVICE}/${model}`];
      for (const name of names) health.setStatus(name, yes ? "SERVING" : "NOT_SERVING");
    },
    close: () =>
      new Promise((resolve) => {
        server.tryShutdown(() => resolve());
        // Whoever does not end its stream in time is cut off.
        kernel.clock.after(500_000, () => server.forceShutdown());
      }),
  };
}

/** Listens on the address; resolves with it, its port filled in. */
function bind(server: Server, address: string): Promise<string> {
  return new Promise((resolve, reject) => {
    server.bindAsync(address, ServerCredentials.createInsecure(), (error, port) => {
      if (!error)
        resolve(address.startsWith("unix:") ? address : address.replace(/:\d+$/, `:${port}`));
      else reject(new ContixError("EADDRINUSE", `cannot listen on ${address}: ${error.message}`));
    });
  });
}
