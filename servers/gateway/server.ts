/** The gateway's server: sockets, their limits, and its end. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer, Server as TlsServer } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import type { Duplex } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import type { SecureContextOptions } from "node:tls";
import { getRequestListener } from "@hono/node-server";
import type { Logger } from "pino";
import { Certificates } from "../../proto/certificates.js";
import { ContixError } from "../../proto/errno.js";
import { connect } from "../../syscalls/index.js";
import { makeApp } from "./app.js";
import { Attachments } from "./attachments.js";
import { ApiError } from "./errors.js";
import { type Gateway, senderOf } from "./gateway.js";
import { KernelHealth } from "./kernel-health.js";
import { LateAnswers } from "./late.js";
import { GatewayMetrics } from "./metrics.js";
import { ModelNames } from "./model-names.js";
import { type GatewayOptions, hostOf, OptionError, portOf } from "./options.js";
import { Strangers } from "./strangers.js";

export interface RunningGateway {
  /** Where it listens: `http://127.0.0.1:8080`. */
  readonly address: string;
  /** Reads the TLS certificates again; bad ones are logged, and those in force stay. */
  reload(): void;
  /** Answers under way may end, for the drain time; then everything is closed. */
  stop(): Promise<void>;
}

const MAX_HEADER_BYTES = 16 << 10;
/** Longer than load balancers keep theirs, so that none sends into a connection that closes. */
const KEEP_ALIVE_MS = 65_000;
/** Requests of one connection that wait for each other's answers, with what listens for each. */
const SOCKET_LISTENERS = 1000;
const DRAIN_POLL_MS = 20;

/** Starts listening. Rejects with OptionError when it can not. */
export async function startGateway(options: GatewayOptions, log: Logger): Promise<RunningGateway> {
  const health = new KernelHealth(options.kernel);
  const { kernel: address, keys: limit, keyIdleMs: idleMs } = options;
  const attachments = new Attachments({
    connect: (token) => connect({ address, token, name: "gateway" }),
    limit,
    idleMs,
  });
  const metrics = new GatewayMetrics({
    connections: () => connectionsOf(server),
    attachments: () => attachments.size,
    cut: () => strangers.cut + late.cut,
    late: () => late.late,
  });
  // Half of them are for those that are being answered.
  const strangers = new Strangers(Math.max(1, Math.floor(options.connections / 4)));
  const late = new LateAnswers({
    perSecond: options.faultsPerSecond,
    most: Math.max(1, Math.floor(Math.min(options.connections, options.requests) / 4)),
  });
  const names = new ModelNames();
  const gateway: Gateway = {
    ...{ options, attachments, health, metrics, names, strangers, late, log },
    draining: false,
    open: 0,
  };
  const certificates = certificatesOf(options, log);
  const server = makeServer(gateway, certificates && readTls(certificates));
  await listen(server, options);
  const { port } = server.address() as AddressInfo;
  const scheme = options.tlsCert === "" ? "http" : "https";
  return {
    address: `${scheme}://${options.listen.replace(/\d+$/, String(port))}`,
    reload: () => {
      if (certificates && server instanceof TlsServer) reload(server, certificates, log);
    },
    stop: async () => {
      gateway.draining = true;
      certificates?.close();
      late.close();
      // Still listening: whoever asks is told that it is no longer ready.
      const deadline = performance.now() + options.drainMs;
      while (gateway.open > 0 && performance.now() < deadline) await delay(DRAIN_POLL_MS);
      late.close();
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
      await attachments.close();
      health.close();
    },
  };
}

function makeServer(gateway: Gateway, tls: SecureContextOptions | undefined): Server {
  const { headersMs, requestMs, connections } = gateway.options;
  const fetch = makeApp(gateway).fetch;
  const listener = getRequestListener(fetch, {
    overrideGlobalObjects: false,
    errorHandler: () => {
      const headers = { connection: "close" };
      return Response.json(new ApiError(400, "no HTTP request").body, { status: 400, headers });
    },
  });
  const busy = new WeakMap<Duplex, number>();
  const refused = new WeakSet<Duplex>();
  const settings = {
    headersTimeout: headersMs,
    requestTimeout: Math.max(headersMs, requestMs),
    connectionsCheckingInterval: Math.min(1000, headersMs),
    keepAliveTimeout: KEEP_ALIVE_MS,
    maxHeaderSize: MAX_HEADER_BYTES,
    // Refused by the listener, whose answer has a body.
    requireHostHeader: false,
  };
  const onRequest = (incoming: IncomingMessage, outgoing: ServerResponse): void => {
    const { socket } = incoming;
    busy.set(socket, (busy.get(socket) ?? 0) + 1);
    outgoing.once("close", () => busy.set(socket, (busy.get(socket) ?? 1) - 1));
    void listener(incoming, outgoing);
  };
  const server =
    tls === undefined
      ? createServer(settings, onRequest)
      : createTlsServer({ ...settings, ...tls, handshakeTimeout: headersMs }, onRequest);
  // Who has sent all that he will is not gone before he is answered, or held back; `watchClient` is stricter.
  Object.assign(server, { httpAllowHalfOpen: true });
  server.maxConnections = connections;
  server.on("connection", (socket: Socket) => gateway.strangers.enter(socket));
  // Over TLS requests come on another socket than the connection's own.
  server.on(tls === undefined ? "connection" : "secureConnection", (socket: Socket) =>
    socket.setMaxListeners(SOCKET_LISTENERS),
  );
  server.on("clientError", (error: NodeJS.ErrnoException, socket: Socket) => {
    if (error.code === "ECONNRESET" || !socket.writable) {
      socket.destroy();
      return;
    }
    // Its answer waits already.
    if (refused.has(socket)) return;
    refused.add(socket);
    const failure = brokenRequest(error);
    gateway.metrics.error(failure.code ?? String(failure.status));
    // Nobody reads what comes behind it, but for its end.
    socket.pause();
    const answer = (): void => {
      // In the middle of an answer there is no place for another.
      if ((busy.get(socket) ?? 0) > 0) socket.destroy();
      else socket.resume().end(rawAnswer(failure));
    };
    const left = (forget: () => void): void => void socket.once("close", forget);
    if (!gateway.late.refuse(senderOf(socket), answer, left)) socket.destroy();
  });
  return server;
}

/** Undefined: it speaks plain HTTP. */
function certificatesOf({ tlsCert, tlsKey }: GatewayOptions, log: Logger) {
  if (tlsCert === "") return undefined;
  const after = (us: number, fn: () => void): (() => void) => {
    const timer = setTimeout(fn, us / 1000).unref();
    return () => clearTimeout(timer);
  };
  const clock = { wall: () => Date.now(), after };
  return new Certificates({ tlsCert, tlsKey, tlsClientCa: "" }, { clock, log });
}

function readTls(certificates: Certificates): SecureContextOptions {
  try {
    return certificates.read();
  } catch (error) {
    if (!(error instanceof ContixError)) throw error;
    throw new OptionError(error.message);
  }
}

function reload(server: TlsServer, certificates: Certificates, log: Logger): void {
  try {
    server.setSecureContext(certificates.read());
    log.info({}, "certificates read again");
  } catch (error) {
    log.error({ err: error }, "the certificates were not taken; the former stay");
  }
}

function listen(server: Server, { listen: where }: GatewayOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (error) => {
      reject(new OptionError(`cannot listen on ${where}: ${error.message}`));
    });
    server.listen(portOf(where), hostOf(where), resolve);
  });
}

function connectionsOf(server: Server): Promise<number> {
  return new Promise((resolve) => {
    server.getConnections((error, count) => resolve(error === null ? count : 0));
  });
}

/** What did not arrive as a request. */
function brokenRequest({ code }: NodeJS.ErrnoException): ApiError {
  if (code === "ERR_HTTP_REQUEST_TIMEOUT") {
    return new ApiError(408, "the request took too long to arrive", { code: "request_timeout" });
  }
  if (code === "HPE_HEADER_OVERFLOW") {
    return new ApiError(431, `the headers are over ${MAX_HEADER_BYTES} bytes`, {
      code: "headers_too_large",
    });
  }
  return new ApiError(400, "no HTTP request", { code: "bad_request" });
}

const REASONS: Readonly<Record<number, string>> = {
  400: "Bad Request",
  408: "Request Timeout",
  431: "Request Header Fields Too Large",
};

function rawAnswer(failure: ApiError): string {
  const body = JSON.stringify(failure.body);
  return [
    `HTTP/1.1 ${failure.status} ${REASONS[failure.status]}`,
    "Content-Type: application/json",
    `Content-Length: ${Buffer.byteLength(body)}`,
    "Connection: close",
    "",
    body,
  ].join("\r\n");
}
