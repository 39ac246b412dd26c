/**
 * One attachment over one connection: the handshake, then frames both ways until it
 * ends. A link knows nothing of calls; what it lost, the session above it repeats. Each
 * door has its transport; which one an address means is said here, and one that is not
 * used is not loaded.
 */
import { encodeMessage } from "../../proto/encode.js";
import {
  ClientFrame,
  type Hello,
  type ServerFrame,
  type Welcome,
} from "../../proto/gen/contix/v1/kernel.js";
import { doorOf, type Endpoint } from "./address.js";

/** A frame as it goes over the wire. */
export type FrameBytes = Buffer;

export function encodeFrame(frame: NonNullable<ClientFrame["frame"]>): FrameBytes {
  return encodeMessage(ClientFrame, { frame });
}

/** How a link ended. `inOrder`: the kernel ended it and is not to be asked again. */
export interface End {
  readonly inOrder: boolean;
  readonly details: string;
}

export interface LinkEvents {
  /** Every frame after the welcome, in order. */
  frame(frame: NonNullable<ServerFrame["frame"]>): void;
  /** The link is over: once, and only after the welcome. */
  end(how: End): void;
}

export interface Link {
  readonly welcome: Welcome;
  /** The longest frame it takes, bytes; a longer one would break it. */
  readonly maxMessage: number;
  send(frame: FrameBytes): void;
  /** Says goodbye and waits for the kernel's, at most `graceMs`. */
  close(graceMs: number): Promise<void>;
  /** Ends at once, without a goodbye. */
  destroy(): void;
}

/**
 * Opens a link and presents `hello`. Rejects with SyscallError when the kernel refuses,
 * with ConnectionError when there is none or it does not answer within `timeoutMs`.
 */
export type Transport = (
  endpoint: Endpoint,
  hello: Hello,
  timeoutMs: number,
  events: LinkEvents,
) => Promise<Link>;

/** Opens a link by the door that the address names. */
export const openLink: Transport = async (endpoint, hello, timeoutMs, events) => {
  const transport: Transport =
    doorOf(endpoint.address) === "nats"
      ? (await import("./nats.js")).openNats
      : (await import("./grpc.js")).openGrpc;
  return transport(endpoint, hello, timeoutMs, events);
};
