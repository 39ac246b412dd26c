/**
 * One Attach stream: the handshake, then frames both ways until it ends. A link
 * knows nothing of calls; what it lost, the session above it repeats.
 */
import {
  Client,
  type ClientDuplexStream,
  credentials,
  type ServiceError,
  type StatusObject,
  status,
} from "@grpc/grpc-js";
import { Error as WireError } from "../../proto/gen/contix/v1/errno.js";
import {
  ClientFrame,
  type Hello,
  KernelService,
  type ServerFrame,
  type Welcome,
} from "../../proto/gen/contix/v1/kernel.js";
import { ConnectionError, SyscallError, syscallError } from "../errors.js";
import { grpcTarget, noDaemon } from "./address.js";

/** The longest message either side takes, bytes. A longer one would break the whole stream. */
export const MAX_MESSAGE = 32 * 1024 * 1024;

/** The trailer that carries the kernel's typed error where a stream is refused. */
const ERROR_TRAILER = "contix-error-bin";

const CHANNEL_OPTIONS = {
  "grpc.max_receive_message_length": MAX_MESSAGE,
  "grpc.max_send_message_length": MAX_MESSAGE,
  // Retries are the session's business: grpc-js would keep a copy of every message for its own.
  "grpc.enable_retries": 0,
  "grpc.service_config_disable_resolution": 1,
  // A kernel is a neighbour, never behind a proxy; and each attachment has its own connection.
  "grpc.enable_http_proxy": 0,
  "grpc.use_local_subchannel_pool": 1,
  // A peer that vanished without a word (a cable, a suspended machine) is noticed.
  "grpc.keepalive_time_ms": 30_000,
  "grpc.keepalive_timeout_ms": 20_000,
};

/** A frame as it goes over the wire. */
export type FrameBytes = Buffer;
type Stream = ClientDuplexStream<FrameBytes, ServerFrame>;

export function encodeFrame(frame: NonNullable<ClientFrame["frame"]>): FrameBytes {
  const bytes = ClientFrame.encode({ frame }).finish();
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

export interface LinkEvents {
  /** Every frame after the welcome, in order. */
  frame(frame: NonNullable<ServerFrame["frame"]>): void;
  /** The stream is over: once, and only after the welcome. */
  end(status: Pick<StatusObject, "code" | "details">): void;
}

export interface Link {
  readonly welcome: Welcome;
  send(frame: FrameBytes): void;
  /** Says goodbye and waits for the kernel's, at most `graceMs`. */
  close(graceMs: number): Promise<void>;
  /** Ends at once, without a goodbye. */
  destroy(): void;
}

/**
 * Opens a stream to `address` and presents `hello`. Rejects with SyscallError
 * when the kernel refuses, with ConnectionError when there is none or it does
 * not answer within `timeoutMs`.
 */
export function openLink(
  address: string,
  hello: Hello,
  timeoutMs: number,
  events: LinkEvents,
): Promise<Link> {
  const client = new Client(grpcTarget(address), credentials.createInsecure(), CHANNEL_OPTIONS);
  const { path, responseDeserialize } = KernelService.attach;
  // Frames come encoded: a call is encoded once, measured, and kept to be sent again.
  const asIs = (bytes: FrameBytes): Buffer => bytes;
  const stream: Stream = client.makeBidiStreamRequest(path, asIs, responseDeserialize);
  return new Promise((resolve, reject) => {
    let link: Link | undefined;
    const refuse = (error: Error): void => {
      clearTimeout(patience);
      reject(error);
      stream.cancel();
      client.close();
    };
    const patience = setTimeout(() => {
      refuse(new ConnectionError(address, `${address} did not answer within ${timeoutMs} ms`));
    }, timeoutMs);
    stream.on("data", ({ frame }: ServerFrame) => {
      if (frame === undefined) return;
      if (link !== undefined) events.frame(frame);
      else if (frame.$case === "welcome") {
        clearTimeout(patience);
        link = attached(client, stream, frame.value);
        resolve(link);
      } else if (frame.$case === "reply" && frame.value.result?.$case === "error") {
        refuse(syscallError(frame.value.result.value));
      }
    });
    // The status says the same and comes always; an error without a listener would be thrown.
    stream.on("error", () => undefined);
    stream.on("status", (end: StatusObject) => {
      client.close();
      if (link === undefined) refuse(refusal(address, end));
      else events.end(end);
    });
    send(stream, encodeFrame({ $case: "hello", value: hello }));
  });
}

function send(stream: Stream, frame: FrameBytes): void {
  if (stream.writable) stream.write(frame);
}

function attached(client: Client, stream: Stream, welcome: Welcome): Link {
  return {
    welcome,
    send: (frame) => send(stream, frame),
    async close(graceMs) {
      const over = new Promise<void>((done) => {
        stream.once("status", () => done());
        setTimeout(done, graceMs).unref();
      });
      stream.end();
      await over;
      this.destroy();
    },
    destroy() {
      stream.cancel();
      client.close();
    },
  };
}

/** What the end of a stream that was never welcomed means. */
function refusal(address: string, end: StatusObject): Error {
  const [trailer] = end.metadata?.get(ERROR_TRAILER) ?? [];
  if (trailer instanceof Uint8Array) return syscallError(WireError.decode(trailer));
  if (end.code === status.UNAUTHENTICATED || end.code === status.PERMISSION_DENIED) {
    return new SyscallError("EACCES", end.details);
  }
  const cause: Partial<ServiceError> = Object.assign(new Error(end.details), { code: end.code });
  if (end.code === status.UNAVAILABLE) return noDaemon(address, { cause });
  return new ConnectionError(address, `${address} speaks no ABI of ours: ${end.details}`, {
    cause,
  });
}
