/** What the rooms of the gateway share, and one request's way through them. */

import { hash } from "node:crypto";
import type { Socket } from "node:net";
import type { HttpBindings } from "@hono/node-server";
import type { Context } from "hono";
import type { Logger } from "pino";
import { ConnectionError, type Os } from "../../syscalls/index.js";
import type { Attachments } from "./attachments.js";
import { onOver } from "./client.js";
import { ApiError } from "./errors.js";
import type { KernelHealth } from "./kernel-health.js";
import type { LateAnswers } from "./late.js";
import type { GatewayMetrics } from "./metrics.js";
import type { ModelNames } from "./model-names.js";
import type { GatewayOptions } from "./options.js";
import type { Strangers } from "./strangers.js";

export interface Gateway {
  readonly options: GatewayOptions;
  readonly attachments: Attachments;
  readonly health: Pick<KernelHealth, "serving">;
  readonly metrics: GatewayMetrics;
  readonly strangers: Strangers;
  readonly late: LateAnswers;
  readonly names: ModelNames;
  readonly log: Logger;
  /** Set at SIGTERM: what runs may end, nothing new begins. */
  draining: boolean;
  /** Requests being answered. */
  open: number;
}

export interface GatewayEnv {
  Bindings: HttpBindings;
  Variables: {
    /** The kernel has let the request's key in. */
    known?: boolean;
    /** Who sent it, of those that send what is no request: a good key at an address, or the address. */
    sender?: string;
  };
}
export type Exchange = Context<GatewayEnv>;

/** What a key may be made of; the kernel, which knows the good ones, is not asked about others. */
const BEARER = /^Bearer +([\w-]{1,512})$/i;

/** The key that a request presents. ApiError 401 when there is none. */
function keyOf(exchange: Exchange): string {
  const key = BEARER.exec(exchange.req.header("authorization") ?? "")?.[1];
  if (key !== undefined) return key;
  throw new ApiError(401, "give a key of the kernel: the header `Authorization: Bearer KEY`", {
    type: "authentication_error",
    code: "invalid_api_key",
  });
}

/**
 * Does `act` with the attachment of the request's key. One that turns out to have lost its kernel is
 * replaced, once, unless `begun` says that a part of the answer is out already.
 */
export async function withKernel<T>(
  gateway: Gateway,
  exchange: Exchange,
  act: (os: Os) => Promise<T>,
  begun: () => boolean = () => false,
): Promise<T> {
  const key = keyOf(exchange);
  for (let tried = 0; ; tried++) {
    using lease = await gateway.attachments.use(key);
    if (exchange.get("known") !== true) meet(gateway, exchange, key);
    try {
      return await act(lease.os);
    } catch (error) {
      if (!(error instanceof ConnectionError)) throw error;
      lease.drop();
      if (tried > 0 || begun()) throw error;
    }
  }
}

/** The connection is no stranger's until the request is answered. */
function meet({ strangers }: Gateway, exchange: Exchange, key: string): void {
  exchange.set("known", true);
  exchange.set("sender", senderOf(exchange.env.incoming.socket, key));
  onOver(exchange.env, strangers.known(exchange.env.incoming.socket));
}

/** By what name faults are counted; only a good key makes another sender of an address. */
export function senderOf({ remoteAddress = "" }: Pick<Socket, "remoteAddress">, key = ""): string {
  return key === "" ? remoteAddress : `${remoteAddress} ${hash("sha256", key, "base64")}`;
}
