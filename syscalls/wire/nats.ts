/**
 * The transport over NATS: the frames of an attachment on subjects of its own. The
 * client makes up a door id, and presents it and its Hello as user and password; the
 * server asks the kernel, which attaches it and allows its subjects. The client's own
 * reconnecting is off: the session above attaches again, with its run.
 */
import { randomBytes } from "node:crypto";
import { connect, type NatsConnection, type TlsOptions } from "@nats-io/transport-node";
import { Hello, ServerFrame, type Welcome } from "../../proto/gen/contix/v1/kernel.js";
import { ConnectionError, SyscallError, syscallError } from "../errors.js";
import { showId } from "../ids.js";
import { type Endpoint, natsTarget, noDaemon, readTls } from "./address.js";
import { tryAgain } from "./again.js";
import type { Link, LinkEvents, Transport } from "./link.js";

const EMPTY = new Uint8Array();
/** What a frame has around it on the way, bytes at most. */
const ROOM = 1024;

/** How long one attempt to come back may take, milliseconds. */
const ATTEMPT_MS = 1_500;

/**
 * Opens a link; see `Transport`. Between the client and the kernel stands a server that may
 * be restarting while the kernel is well, or be back before the kernel has reached it; and
 * who was hung up on for his faults is let in when a time is over. So whoever comes back to
 * his run tries until the time is over.
 */
export const openNats: Transport = async (endpoint, hello, timeoutMs, events) => {
  if (hello.resumeToken === "") return openOnce(endpoint, hello, timeoutMs, events);
  return tryAgain({
    timeoutMs,
    attempt: (leftMs) => openOnce(endpoint, hello, Math.min(leftMs, ATTEMPT_MS), events),
    mayPass: (error) => error instanceof ConnectionError || retryMs(error) > 0,
    pauseMs: retryMs,
    giveUp: (last) => last,
  });
};

/** When the kernel says to come again, milliseconds; 0: it does not. */
function retryMs(error: unknown): number {
  return error instanceof SyscallError && error.code === "EAGAIN" ? error.retryAfterMs : 0;
}

const openOnce: Transport = async (endpoint, hello, timeoutMs, events) => {
  const { nc, door, welcome } = await enterNats(endpoint, hello, timeoutMs);
  return attached(nc, door, welcome, events);
};

/** A connection whose process is attached. It is this process's to say `ready` on it. */
export interface Entered {
  readonly nc: NatsConnection;
  readonly door: string;
  readonly welcome: Welcome;
}

/** Connects and presents `hello`; see `Transport` for how it fails. */
export async function enterNats(
  endpoint: Endpoint,
  hello: Hello,
  timeoutMs: number,
): Promise<Entered> {
  const { address } = endpoint;
  const deadline = performance.now() + timeoutMs;
  const door = randomBytes(16).toString("hex");
  const nc = await open(endpoint, door, hello, timeoutMs);
  try {
    const left = Math.max(1, deadline - performance.now());
    const greeting = await nc.request(`ctx.hello.${door}`, EMPTY, { timeout: left });
    const { frame } = ServerFrame.decode(greeting.data);
    if (frame?.$case === "welcome") return { nc, door, welcome: frame.value };
    if (frame?.$case === "reply" && frame.value.result?.$case === "error") {
      throw syscallError(frame.value.result.value);
    }
    throw new ConnectionError(address, `${address} speaks no ABI of ours`);
  } catch (error) {
    void nc.close();
    throw known(address, error, timeoutMs);
  }
}

async function open(
  endpoint: Endpoint,
  door: string,
  hello: Hello,
  timeoutMs: number,
): Promise<NatsConnection> {
  const { address, tls } = endpoint;
  const { server, node } = natsTarget(address);
  const files = await readTls(address, tls);
  const secure: TlsOptions | undefined = tls.ca || tls.cert ? toText(files) : undefined;
  try {
    return await connect({
      servers: server,
      name: hello.name,
      // Of several kernels on one server the one of the node is asked.
      user: node === "" ? door : `${node}.${door}`,
      pass: `hello.${Buffer.from(Hello.encode(hello).finish()).toString("base64url")}`,
      inboxPrefix: `_INBOX.${door}`,
      reconnect: false,
      timeout: timeoutMs,
      // A peer that vanished without a word is noticed.
      pingInterval: 20_000,
      maxPingOut: 2,
      ...(secure === undefined ? {} : { tls: secure }),
    });
  } catch (error) {
    throw known(address, error, timeoutMs);
  }
}

function toText(files: { ca?: Buffer; cert?: Buffer; key?: Buffer }): TlsOptions {
  return Object.fromEntries(Object.entries(files).map(([k, v]) => [k, v.toString("utf8")]));
}

function attached(nc: NatsConnection, door: string, welcome: Welcome, events: LinkEvents): Link {
  const process = `ctx.${showId(welcome.pid)}`;
  const out = `${process}.req.${door}`;
  let inOrder = false;
  let over = false;
  const end = (details: string): void => {
    if (over) return;
    over = true;
    events.end({ inOrder, details });
  };
  nc.subscribe(`${process}.in.${door}.>`, {
    callback: (error, message) => {
      if (error !== null) return;
      if (message.subject.endsWith(".end")) {
        inOrder = true;
        void nc.close();
        return;
      }
      const { frame } = ServerFrame.decode(message.data);
      if (frame !== undefined) events.frame(frame);
    },
  });
  nc.publish(`${out}.ready`, EMPTY);
  const closed = nc
    .closed()
    .then((why) => end(why instanceof Error ? why.message : "it was closed"));
  return {
    welcome,
    maxMessage: (nc.info?.max_payload ?? 1 << 20) - ROOM,
    send(frame) {
      if (!nc.isClosed()) nc.publish(`${out}.frame`, frame);
    },
    async close(graceMs) {
      if (!nc.isClosed()) nc.publish(`${out}.bye`, EMPTY);
      let patience: NodeJS.Timeout | undefined;
      const enough = new Promise<void>((resolve) => {
        patience = setTimeout(resolve, graceMs);
      });
      await Promise.race([closed, enough]);
      clearTimeout(patience);
      this.destroy();
    },
    destroy() {
      void nc.close();
    },
  };
}

/** What an error of the NATS client means to ours. */
function known(address: string, error: unknown, timeoutMs: number): Error {
  if (error instanceof SyscallError || error instanceof ConnectionError) return error;
  const { name, message } = error instanceof Error ? error : new Error(String(error));
  const options = { cause: error };
  if (name === "AuthorizationError" || name === "UserAuthenticationExpiredError") {
    // The server says no more than that.
    const why = "the token is missing, wrong, spent or revoked, or no kernel is behind the server";
    return new SyscallError("EACCES", why);
  }
  if (name === "TimeoutError" || /timeout/i.test(message)) {
    const what = `${address} did not answer within ${Math.round(timeoutMs)} ms`;
    return new ConnectionError(address, what, options);
  }
  if (/refused|ECONNREFUSED|ENOTFOUND|disconnect|closed/i.test(`${name} ${message}`)) {
    return noDaemon(address, options);
  }
  return new ConnectionError(address, `${address}: ${message}`, options);
}
