/** The sockets of the gRPC door: Unix, plain TCP on loopback, TLS everywhere. */
import { chmodSync } from "node:fs";
import { createServer as createPlain, type Server, type Socket } from "node:net";
import { createServer as createTls, type TLSSocket } from "node:tls";
import { type CertificateParts, Certificates, type TlsFiles } from "../../proto/certificates.js";
import { ContixError } from "../../proto/errno.js";
import { certificateFault, turnAway } from "./turned-away.js";

export interface Listener {
  /** Where it listens, with the real port where port 0 was asked for. */
  readonly address: string;
  /** Reads the certificates again; EINVAL leaves those in force. Undefined: it has none. */
  readonly reload?: () => void;
  /** Takes no more connections; those that are there go on. */
  close(): void;
}

export interface ListenerEvents {
  /** A connection came; false: it is not to be served. */
  entered(socket: Socket): boolean;
  /** It is ready to speak HTTP/2. */
  ready(socket: Socket | TLSSocket): void;
  /** Its client's certificate is missing or no good; the client is told. */
  denied(fault: ContixError): void;
}

const HANDSHAKE_MS = 5_000;

/** Listens on "unix:///path" or "HOST:PORT", with TLS when there are certificates. EADDRINUSE. */
export async function listen(
  address: string,
  tls: TlsFiles,
  parts: CertificateParts,
  events: ListenerEvents,
): Promise<Listener> {
  const unix = /^unix:\/\/(.*)$/.exec(address)?.[1];
  if (unix !== undefined) {
    const server = plainServer(events);
    await bound(server, address, () => server.listen(unix));
    chmodSync(unix, 0o600);
    return { address, close: () => server.close() };
  }
  const [, host = "", port = ""] = /^\[?(.*?)\]?:(\d+)$/.exec(address) ?? [];
  if (tls.tlsCert === "") {
    const server = plainServer(events);
    await bound(server, address, () => server.listen(Number(port), host));
    return { address: `grpc://${withPort(address, server)}`, close: () => server.close() };
  }
  const certificates = new Certificates(tls, parts);
  const server = createTls({
    ...certificates.read(),
    ALPNProtocols: ["h2"],
    minVersion: "TLSv1.2",
    requestCert: tls.tlsClientCa !== "",
    // Not rejected by OpenSSL, which would only cut the connection: see turned-away.ts.
    rejectUnauthorized: false,
    handshakeTimeout: HANDSHAKE_MS,
  });
  server.on("connection", (socket) => events.entered(socket));
  server.on("secureConnection", (socket) => {
    const fault = tls.tlsClientCa === "" ? undefined : certificateFault(socket);
    if (fault === undefined) return events.ready(socket);
    events.denied(fault);
    turnAway(socket, fault);
  });
  await bound(server, address, () => server.listen(Number(port), host));
  return {
    address: `grpcs://${withPort(address, server)}`,
    reload: () => server.setSecureContext(certificates.read()),
    close: () => {
      certificates.close();
      server.close();
    },
  };
}

function plainServer(events: ListenerEvents): Server {
  return createPlain((socket) => {
    if (events.entered(socket)) events.ready(socket);
  });
}

function bound(server: Server, address: string, start: () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (error) => {
      reject(new ContixError("EADDRINUSE", `cannot listen on ${address}: ${error.message}`));
    });
    server.once("listening", () => {
      // Without descriptors to spare a connection fails; the next may not.
      server.on("error", () => undefined);
      resolve();
    });
    start();
  });
}

function withPort(address: string, server: Server): string {
  const at = server.address();
  const port = at !== null && typeof at === "object" ? at.port : 0;
  return address.replace(/:\d+$/, `:${port}`);
}
