/** gRPC by hand: HTTP/2 streams and message headers that say what the test wants them to say. */
import { type ClientHttp2Session, type ClientHttp2Stream, connect } from "node:http2";
import { connect as connectPlain } from "node:net";
import { connect as connectTls } from "node:tls";
import { ClientFrame, Hello, ServerFrame } from "../../proto/gen/contix/v1/kernel.js";
import type { Door } from "./door-client.js";

/** A message with its five bytes before it: compressed or not, and the length that it claims. */
export function framed(bytes: Uint8Array, claims = bytes.length, compressed = false): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt8(compressed ? 1 : 0, 0);
  head.writeUInt32BE(claims, 1);
  return Buffer.concat([head, bytes]);
}

export interface Ended {
  /** gRPC's status; undefined where the connection was cut. */
  readonly status: number | undefined;
  readonly sent: number;
}

/** A socket of a gRPC door, with nothing said yet. */
export function dial({ address, tls }: Door) {
  const path = /^unix:\/\/(.*)$/.exec(address)?.[1];
  if (path !== undefined) return connectPlain(path);
  const port = Number(address.split(":").at(-1));
  if (address.startsWith("grpc:")) return connectPlain(port, "127.0.0.1");
  const options = { ALPNProtocols: ["h2"], servername: "localhost" };
  return connectTls({ host: "127.0.0.1", port, ca: tls.ca, ...options });
}

export class RawGrpc {
  readonly session: ClientHttp2Session;

  constructor(door: Door) {
    this.session = connect("http://localhost", { createConnection: () => dial(door) });
    this.session.on("error", () => undefined);
  }

  open(headers: Readonly<Record<string, string>> = {}): ClientHttp2Stream {
    const stream = this.session.request({
      ":method": "POST",
      ":path": "/contix.v1.Kernel/Attach",
      "content-type": "application/grpc",
      te: "trailers",
      ...headers,
    });
    stream.on("error", () => undefined);
    return stream;
  }

  /** Attaches on a stream of its own: from now on the connection is nobody's stranger. */
  async attach(token: string): Promise<ClientHttp2Stream> {
    const stream = this.open();
    const value = Hello.fromPartial({ abi: 1, token, name: "raw" });
    stream.write(framed(ClientFrame.encode({ frame: { $case: "hello", value } }).finish()));
    const bytes = await new Promise<Buffer>((resolve, reject) => {
      stream.once("data", resolve);
      stream.once("close", () => reject(new Error("not welcome")));
    });
    const { frame } = ServerFrame.decode(bytes.subarray(5));
    if (frame?.$case !== "welcome") throw new Error("not welcome");
    return stream;
  }

  /** Writes `total` bytes after what was written, until the other side ends the stream. */
  flood(stream: ClientHttp2Stream, total: number): Promise<Ended> {
    const piece = Buffer.alloc(1 << 16);
    let sent = 0;
    let status: number | undefined;
    const told = (headers: Readonly<Record<string, unknown>>): void => {
      const said = headers["grpc-status"];
      if (said !== undefined) status = Number(said);
    };
    stream.on("response", told);
    stream.on("trailers", told);
    stream.resume();
    const more = (): void => {
      if (sent >= total || stream.closed || stream.destroyed) return;
      sent += piece.length;
      stream.write(piece, more);
    };
    more();
    return new Promise((resolve) => {
      const over = (): void => resolve({ status, sent });
      stream.once("end", () => stream.close());
      stream.once("close", over);
      // A cut that comes before the stream has begun ends the session alone.
      this.session.once("close", over);
    });
  }

  close(): void {
    this.session.destroy();
  }
}
