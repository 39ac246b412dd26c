/** The gRPC door: Attach and Call, health, reflection, on a Unix socket and, when asked, on TCP. */
import { Server, ServerCredentials, type ServerOptions } from "@grpc/grpc-js";
import { encodeMessage } from "../../proto/encode.js";
import {
  ClientFrame,
  KernelService,
  ServerFrame,
  Syscall,
} from "../../proto/gen/contix/v1/kernel.js";
import type { JournalRecord } from "../journal/records.js";
import type { Kernel } from "../kernel.js";
import { attachStream } from "./attach.js";
import type { Authenticator } from "./authenticate.js";
import { DoorBook, type Visitor } from "./books.js";
import { Gate } from "./gate.js";
import { Health } from "./health.js";
import { type Listener, listen } from "./listeners.js";
import { addReflection } from "./reflection.js";
import { decodeStrictly } from "./strict.js";
import { unaryCall } from "./unary.js";

/** The longest message, bytes; a syscall's payload limits are far below. */
const MAX_MESSAGE = 32 * 1024 * 1024;
/** Streams of one connection: an attachment is one, each unary call another. */
const MAX_STREAMS = 256;
const SERVICE = "contix.v1.Kernel";
/** The health of one model is that of the service `contix.v1.Model/NAME`. */
const MODEL_SERVICE = "contix.v1.Model";

export interface GrpcDoor {
  /** Where it listens, with the real port where port 0 was asked for. */
  readonly addresses: readonly string[];
  /** Health answers SERVING from now on, or NOT_SERVING: for the kernel, or for one of its models. */
  serving(yes: boolean, model?: string): void;
  /** Reads the certificates again. EINVAL: those in force stay. False: no address has any. */
  reload(): boolean;
  close(): Promise<void>;
}

/** How connections over TCP are asked whether their other end is still there, milliseconds. */
export interface Keepalive {
  readonly everyMs: number;
  /** An answer takes no longer. */
  readonly patienceMs: number;
}

const KEEPALIVE: Keepalive = { everyMs: 30_000, patienceMs: 20_000 };

/**
 * Opens the door on each address: "unix:///path", or "HOST:PORT", which has TLS when the
 * configuration names a certificate. EADDRINUSE when one is taken, EINVAL for bad certificates.
 */
export async function openGrpcDoor(
  kernel: Kernel,
  auth: Authenticator,
  addresses: readonly string[],
  keepalive = KEEPALIVE,
): Promise<GrpcDoor> {
  const gate = new Gate(kernel.clock);
  kernel.journal.watch((record) => {
    for (const key of keysThatEnd(kernel, record)) gate.revoked(key);
  });
  const health = new Health(["", SERVICE]);
  const serve = (options: ServerOptions) => makeServer(kernel, auth, gate, health, options);
  // On this machine nobody vanishes: who does not answer there was stopped, and may go on.
  const local = serve({});
  const remote = serve({
    "grpc.keepalive_time_ms": keepalive.everyMs,
    "grpc.keepalive_timeout_ms": keepalive.patienceMs,
  });
  const listeners: Listener[] = [];
  const close = (): void => {
    for (const listener of listeners) listener.close();
  };
  try {
    for (const address of addresses) {
      const tcp = kernel.config.tlsCert === "" ? "grpc" : "grpcs";
      const unix = address.startsWith("unix:");
      const book = kernel.doors.of(unix ? "unix" : tcp);
      const { injector } = unix ? local : remote;
      const listener = await listen(address, kernel.config, kernel, {
        entered: (socket) => gate.enter(socket, book),
        ready: (socket) => injector.injectConnection(socket),
        denied: (fault) => auth.denied(fault),
      });
      listeners.push(listener);
    }
  } catch (error) {
    close();
    throw error;
  }
  return {
    addresses: listeners.map(({ address }) => address),
    serving(yes, model) {
      const names = model === undefined ? ["", SERVICE] : [`${MODEL_SERVICE}/${model}`];
      for (const name of names) health.set(name, yes);
    },
    reload() {
      const withTls = listeners.filter(({ reload }) => reload !== undefined);
      for (const { reload } of withTls) reload?.();
      return withTls.length > 0;
    },
    close: () =>
      new Promise((resolve) => {
        close();
        const over = (): void => {
          cancel();
          gate.close();
          resolve();
        };
        // Whoever does not end its stream in time is cut off. The server does not always say
        // that it is over then: a connection may be ending by itself at that moment.
        const servers = [local.server, remote.server];
        const cancel = kernel.clock.after(500_000, () => {
          for (const server of servers) server.forceShutdown();
          over();
        });
        void Promise.all(servers.map(shutdown)).then(over);
      }),
  };
}

/** A server with our services; the sockets are ours, so that the gate stands before them, and TLS ends there too. */
function makeServer(
  kernel: Kernel,
  auth: Authenticator,
  gate: Gate,
  health: Health,
  options: ServerOptions,
) {
  const server = new Server({
    "grpc.max_receive_message_length": MAX_MESSAGE,
    "grpc.max_send_message_length": MAX_MESSAGE,
    "grpc.max_concurrent_streams": MAX_STREAMS,
    // Books of every message, for a debugger that nobody attaches.
    "grpc.enable_channelz": 0,
    ...options,
  });
  const { attach, call } = KernelService;
  const visitor = (peer: string): Visitor => ({
    // A peer that is gone already has nothing more to be counted at.
    book: gate.doorOf(peer) ?? new DoorBook(""),
    known: (pid) => gate.known(peer, kernel.journal.state.processes.get(pid)?.key ?? ""),
  });
  server.addService(
    {
      attach: {
        ...attach,
        requestDeserialize: (b: Buffer) => decodeStrictly((r) => ClientFrame.decode(r), b),
        responseSerialize: (frame: ServerFrame) => encodeMessage(ServerFrame, frame),
      },
      call: {
        ...call,
        requestDeserialize: (b: Buffer) => decodeStrictly((r) => Syscall.decode(r), b),
      },
    },
    {
      attach: (stream: Parameters<typeof attachStream>[2]) =>
        attachStream(kernel, auth, stream, visitor(stream.getPeer())),
      call: (request: Parameters<typeof unaryCall>[2], answer: Parameters<typeof unaryCall>[3]) =>
        unaryCall(kernel, auth, request, answer, visitor(request.getPeer())),
    },
  );
  health.addTo(server);
  addReflection(server, [SERVICE, "grpc.health.v1.Health"]);
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  return { server, injector };
}

/** Resolves when its streams are over; a stream that breaks off then is over too. */
function shutdown(server: Server): Promise<void> {
  return new Promise((resolve) => server.tryShutdown(() => resolve()));
}

/** The keys that open nothing any more once the record is applied. */
function keysThatEnd({ principals }: Kernel, record: JournalRecord): readonly string[] {
  if (record.type === "key.revoked") return [record.id];
  if (record.type !== "principal.removed") return [];
  return principals.keysOf(record.name).map(({ id }) => id);
}
