/**
 * Clients whose certificate is missing or not good (mutual TLS). Who is only cut off can
 * not tell that from a kernel that is not there, so the connection lives for one answer:
 * every request on it ends with UNAUTHENTICATED and the reason. Nothing behind the door
 * is reached, and the gate ends the connection as any stranger's.
 */
import { performServerHandshake, type ServerHttp2Session } from "node:http2";
import type { TLSSocket } from "node:tls";
import { ContixError, ERRNO, toWire } from "../../proto/errno.js";
import { Error as WireError } from "../../proto/gen/contix/v1/errno.js";

/** Why the client of a connection is not let in; undefined: its certificate is good. EACCES. */
export function certificateFault(socket: TLSSocket): ContixError | undefined {
  if (socket.authorized) return undefined;
  return new ContixError("EACCES", faultOf(socket), { argument: "certificate" });
}

/** Answers the first request with the error, and ends. */
export function turnAway(socket: TLSSocket, error: ContixError): void {
  let session: ServerHttp2Session;
  try {
    session = performServerHandshake(socket);
  } catch {
    socket.destroy();
    return;
  }
  session.on("error", () => undefined);
  session.once("stream", (stream) => {
    stream.on("error", () => undefined);
    stream.respond(
      {
        ":status": 200,
        "content-type": "application/grpc+proto",
        "grpc-status": String(ERRNO[error.code].grpc),
        "grpc-message": encodeURIComponent(`${error.code}: ${error.message}`),
        "contix-error-bin": Buffer.from(WireError.encode(toWire(error)).finish()).toString(
          "base64",
        ),
      },
      { endStream: true },
    );
    session.close();
  });
}

function faultOf(socket: TLSSocket): string {
  const { subject, valid_to } = socket.getPeerCertificate();
  if (!subject) {
    return "this kernel wants a certificate of the client's: set CONTIX_CERT and CONTIX_KEY";
  }
  // Node's types say an error; it is OpenSSL's name of one.
  const code = String(socket.authorizationError);
  if (code === "CERT_HAS_EXPIRED") {
    return `the client's certificate expired on ${valid_to}; get a new one`;
  }
  const how = "use one that the CA in its tlsClientCa has signed";
  return `this kernel does not trust the client's certificate (${code}); ${how}`;
}
