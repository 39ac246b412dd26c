/** The transport over gRPC: one Attach stream, on a Unix socket, plain TCP or TLS. */
import { Error as WireError } from "../../proto/gen/contix/v1/errno.js";
import {
  type Hello,
  KernelService,
  ServerFrame,
  type Welcome,
} from "../../proto/gen/contix/v1/kernel.js";
import { ConnectionError, SyscallError, syscallError } from "../errors.js";
import { doorOf, type Endpoint, grpcTarget, noDaemon, readTls } from "./address.js";
import { tryAgain } from "./again.js";
import {
  GrpcStream,
  STATUS,
  type StreamEvents,
  type StreamStatus,
  type StreamTarget,
} from "./grpc-stream.js";
import { encodeFrame, type Link, type LinkEvents, type Transport } from "./link.js";

/** The longest message either side takes, bytes. A longer one would break the whole stream. */
const MAX_MESSAGE = 32 * 1024 * 1024;

/** The trailer that carries the kernel's typed error where a stream is refused. */
const ERROR_TRAILER = "contix-error-bin";

/**
 * Opens a stream; see `Transport`. A kernel that hundreds reach at once cuts those who wait
 * longest to make room: they come again while there is time.
 */
export const openGrpc: Transport = (endpoint, hello, timeoutMs, events) =>
  tryAgain({
    timeoutMs,
    attempt: (leftMs) => openOnce(endpoint, hello, { timeoutMs, leftMs }, events),
    mayPass: (error) => error instanceof CutError,
    giveUp: (cause, tries) => {
      const { address } = endpoint;
      const times = tries === 1 ? "the connection" : `${tries} connections`;
      const what = `${address} cut ${times} in ${timeoutMs} ms before it answered`;
      return new ConnectionError(address, `${what}: ${WHY_CUT}`, { cause });
    },
  });

/** The connection was made, and was cut before anybody was welcomed. */
class CutError extends Error {}

const CUT = /connection was dropped|was reset|ECONNRESET|EPIPE|EAGAIN|socket disconnected/;
const WHY_CUT =
  "too many connect at once (try again later, or with a longer timeoutMs), " +
  "or it is another kind of door (`grpcs:` is the one with TLS)";

async function openOnce(
  endpoint: Endpoint,
  hello: Hello,
  { timeoutMs, leftMs }: { readonly timeoutMs: number; readonly leftMs: number },
  events: LinkEvents,
): Promise<Link> {
  const { address } = endpoint;
  const target = await targetOf(endpoint);
  return new Promise((resolve, reject) => {
    const over = latch();
    let link: Link | undefined;
    const stream = open(address, target, {
      message({ frame }) {
        if (frame === undefined) return;
        if (link !== undefined) events.frame(frame);
        else if (frame.$case === "welcome") {
          clearTimeout(patience);
          link = attached(stream, frame.value, over.opened);
          resolve(link);
        } else if (frame.$case === "reply" && frame.value.result?.$case === "error") {
          refuse(syscallError(frame.value.result.value));
        }
      },
      end(status) {
        over.open();
        if (link === undefined) refuse(refusal(address, status));
        else events.end({ inOrder: status.code === STATUS.OK, details: status.details });
      },
    });
    const refuse = (error: Error): void => {
      clearTimeout(patience);
      reject(error);
      stream.destroy();
    };
    const patience = setTimeout(() => {
      // On a busy machine this process may be late: what has come meanwhile is read first.
      setImmediate(() => {
        if (link !== undefined) return;
        refuse(new ConnectionError(address, `${address} did not answer within ${timeoutMs} ms`));
      });
    }, leftMs);
    stream.send(encodeFrame({ $case: "hello", value: hello }));
  });
}

/** TLS where the address says so; without a CA of its own it trusts what Node trusts. */
async function targetOf({ address, tls }: Endpoint): Promise<StreamTarget<ServerFrame>> {
  const door = doorOf(address);
  const target = grpcTarget(address);
  return {
    at: door === "unix" ? { path: target.slice("unix://".length) } : { authority: target },
    tls: door === "grpcs" ? await readTls(address, tls) : undefined,
    method: KernelService.attach.path,
    maxMessage: MAX_MESSAGE,
    decode: (bytes) => ServerFrame.decode(bytes),
  };
}

type Stream = GrpcStream<ServerFrame>;

function open(
  address: string,
  target: StreamTarget<ServerFrame>,
  events: StreamEvents<ServerFrame>,
): Stream {
  try {
    return new GrpcStream(target, events);
  } catch (cause) {
    const why = `${(cause as Error).message}; cert and key must be PEM files that belong together`;
    throw new ConnectionError(address, `the certificates for ${address}: ${why}`, { cause });
  }
}

function attached(stream: Stream, welcome: Welcome, over: Promise<void>): Link {
  return {
    welcome,
    maxMessage: MAX_MESSAGE,
    send: (frame) => stream.send(frame),
    async close(graceMs) {
      stream.finish();
      const late = latch();
      const patience = setTimeout(late.open, graceMs);
      patience.unref();
      await Promise.race([over, late.opened]);
      clearTimeout(patience);
      stream.destroy();
    },
    destroy: () => stream.destroy(),
  };
}

function latch(): { readonly opened: Promise<void>; readonly open: () => void } {
  let open = (): void => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}

/** What the end of a stream that was never welcomed means. */
function refusal(address: string, end: StreamStatus): Error {
  const trailer = end.headers[ERROR_TRAILER];
  if (trailer !== undefined) {
    return syscallError(WireError.decode(Buffer.from(String(trailer), "base64")));
  }
  if (end.code === STATUS.UNAUTHENTICATED || end.code === STATUS.PERMISSION_DENIED) {
    return new SyscallError("EACCES", end.details);
  }
  const cause = Object.assign(new Error(end.details), { code: end.code });
  // What TLS says of a certificate is the reason itself, not that nobody is there.
  const fault = /certificate|self.signed|\bSSL\b|\balert\b|altnames|ALPN|CERT_/i.exec(end.details);
  if (fault && doorOf(address) === "grpcs") {
    const why = `${tlsRemedy(end.details)} (${end.details})`;
    return new ConnectionError(address, `TLS with ${address} failed: ${why}`, { cause });
  }
  if (end.code === STATUS.UNAVAILABLE && CUT.test(end.details)) {
    return new CutError(end.details, { cause });
  }
  if (end.code === STATUS.UNAVAILABLE) return noDaemon(address, { cause });
  return new ConnectionError(address, `${address} speaks no ABI of ours: ${end.details}`, {
    cause,
  });
}

/** What to do about what TLS says, for those who do not read its codes. */
function tlsRemedy(details: string): string {
  const remedy = TLS_REMEDIES.find(([said]) => said.test(details));
  return remedy?.[1] ?? "see that both sides have certificates that the other trusts";
}

const TLS_REMEDIES: readonly (readonly [RegExp, string])[] = [
  [/certificate has expired/, "the kernel's certificate has expired: its operator must replace it"],
  [/altnames/i, "the kernel's certificate is for another host: use the name that stands in it"],
  [
    /self.signed|unable to (verify|get)/,
    "this program does not trust the kernel's certificate: set CONTIX_CA to the CA that signed it",
  ],
];
