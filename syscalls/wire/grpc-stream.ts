/**
 * One bidirectional gRPC stream, straight on Node's HTTP/2: a request with its headers, messages
 * that each stand behind five bytes (a flag, and the length), and a status in the trailers, as
 * gRPC's "PROTOCOL-HTTP2" says.
 *
 * Why not grpc-js here, which the kernel's door is made of: an agent sleeps most of its life, and
 * when it calls, all code and data on the way are cold. What a call costs then is the amount of
 * code it passes, and a message of grpc-js passes interceptors, a load balancer, filters and a
 * retry buffer, which one stream to one kernel has no use for.
 */
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  type IncomingHttpHeaders,
} from "node:http2";
import { connect as connectSocket, type Socket } from "node:net";
import { Messages, messageBytes } from "./grpc-messages.js";

/** Of gRPC's status codes those that mean something to us. */
export const STATUS = {
  OK: 0,
  UNKNOWN: 2,
  PERMISSION_DENIED: 7,
  UNIMPLEMENTED: 12,
  UNAVAILABLE: 14,
  UNAUTHENTICATED: 16,
} as const;

/**
 * A peer that vanished without a word (a cable, a suspended machine) is noticed. So is one that
 * cut a connection with TLS while we were writing: Node's HTTP/2 forgets that error and listens
 * no more (nodejs/node#55804).
 */
const PINGS = { everyMs: 30_000, patienceMs: 20_000 };

/** How a stream ended. */
export interface StreamStatus {
  readonly code: number;
  readonly details: string;
  readonly headers: IncomingHttpHeaders;
}

export interface StreamTarget<T> {
  /** A Unix socket's path, or where to connect to over TCP. */
  readonly at: { readonly path: string } | { readonly authority: string };
  /** TLS, with these certificates; without any it trusts what Node trusts. */
  readonly tls?: { ca?: Buffer; cert?: Buffer; key?: Buffer } | undefined;
  /** Of the method: `/package.Service/Method`. */
  readonly method: string;
  /** The longest message that is taken, bytes. */
  readonly maxMessage: number;
  /** What a message is; one that it throws at breaks the stream. */
  readonly decode: (bytes: Buffer) => T;
}

export interface StreamEvents<T> {
  /** Each message, in order. */
  message(message: T): void;
  /** The stream is over, once, and last. */
  end(status: StreamStatus): void;
}

export class GrpcStream<T> {
  readonly #session: ClientHttp2Session;
  readonly #stream: ClientHttp2Stream;
  readonly #events: StreamEvents<T>;
  readonly #pings: NodeJS.Timeout;
  #socket: Socket | undefined;
  #status: StreamStatus | undefined;
  #fault: Error | undefined;
  #over = false;

  /** Connects. Throws only for certificates that cannot be used; else its end says what was wrong. */
  constructor(target: StreamTarget<T>, events: StreamEvents<T>, pings = PINGS) {
    this.#events = events;
    const session = openSession(target);
    this.#session = session;
    session.once("connect", (_session, socket) => {
      this.#socket = socket;
    });
    session.on("error", (error) => this.#failed(error));
    this.#stream = session.request({
      ":method": "POST",
      ":path": target.method,
      "content-type": "application/grpc",
      te: "trailers",
      "user-agent": "contix",
    });
    this.#listen(new Messages(target.maxMessage, target.decode));
    this.#pings = setInterval(() => this.#ping(pings.patienceMs), pings.everyMs);
    this.#pings.unref();
  }

  send(message: Uint8Array): void {
    if (this.#stream.writable) this.#stream.write(messageBytes(message));
  }

  /** Nothing is sent any more; the other side's last words and its status still come. */
  finish(): void {
    this.#stream.end();
  }

  /** Breaks it off. */
  destroy(): void {
    if (!this.#session.connecting) this.#stream.close(constants.NGHTTP2_CANCEL);
    this.#session.destroy();
  }

  #listen(messages: Messages<T>): void {
    const stream = this.#stream;
    stream.on("data", (chunk: Buffer) => {
      // What a receiver throws is his own affair and no fault of the stream.
      for (const message of this.#whole(messages, chunk)) this.#events.message(message);
    });
    // A status may stand in the first headers, when there was nothing else to say.
    stream.on("response", (headers) => this.#heard(headers));
    stream.on("trailers", (headers) => this.#heard(headers));
    stream.on("error", (error) => this.#failed(error));
    stream.on("end", () => {
      if (!stream.writableEnded) stream.end();
      if (this.#status) this.#end(this.#status);
    });
    stream.on("close", () => this.#end(this.#status ?? this.#broken()));
  }

  #whole(messages: Messages<T>, chunk: Buffer): readonly T[] {
    try {
      return messages.take(chunk);
    } catch (error) {
      this.#failed(error as Error);
      this.destroy();
      return [];
    }
  }

  #heard(headers: IncomingHttpHeaders & { readonly ":status"?: number | undefined }): void {
    const { ":status": http = 200, "grpc-status": code, "grpc-message": details } = headers;
    if (code !== undefined) {
      this.#status = { code: Number(code), details: unescaped(String(details ?? "")), headers };
    } else if (http !== 200) {
      this.#status = { code: codeOf(http), details: `HTTP status ${http}`, headers };
    }
  }

  /** The first fault is the cause, what follows from it is not; a stream's may be its connection's. */
  #failed(error: Error): void {
    this.#fault ??= error.cause instanceof Error ? error.cause : error;
  }

  #broken(): StreamStatus {
    const reset = this.#stream.rstCode;
    const what = reset ? `the stream was reset with code ${reset}` : "the connection was dropped";
    return { code: STATUS.UNAVAILABLE, details: this.#fault?.message || what, headers: {} };
  }

  #ping(patienceMs: number): void {
    const late = setTimeout(() => {
      this.#failed(new Error("the kernel did not answer a ping"));
      this.#session.destroy();
      // In such a state it does not close its socket either.
      this.#socket?.destroy();
    }, patienceMs);
    late.unref();
    if (this.#session.connecting || !this.#session.ping(() => clearTimeout(late))) {
      clearTimeout(late);
    }
  }

  #end(status: StreamStatus): void {
    if (this.#over) return;
    this.#over = true;
    clearInterval(this.#pings);
    this.#events.end(status);
    this.#session.close();
  }
}

function openSession({ at, tls }: StreamTarget<unknown>): ClientHttp2Session {
  if ("path" in at) {
    return connect("http://localhost", { createConnection: () => connectSocket(at.path) });
  }
  return tls ? connect(`https://${at.authority}`, tls) : connect(`http://${at.authority}`);
}

/** What a server that is none of ours answers. */
function codeOf(http: number): number {
  if (http === 401) return STATUS.UNAUTHENTICATED;
  if (http === 403) return STATUS.PERMISSION_DENIED;
  if (http === 404) return STATUS.UNIMPLEMENTED;
  return http === 429 || http >= 502 ? STATUS.UNAVAILABLE : STATUS.UNKNOWN;
}

function unescaped(details: string): string {
  try {
    return decodeURIComponent(details);
  } catch {
    return details;
  }
}
