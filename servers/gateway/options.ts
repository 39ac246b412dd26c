/** What a gateway is told when it starts: where it listens, which kernel it serves, its bounds. */
import { z } from "zod";

/** `127.0.0.1:8080`, `[::1]:8080`, `api.example.org:443`; port 0 takes a free one. */
const HOST_PORT = /^(\[[0-9a-fA-F:]+\]|[^\s:[\]/]+):(\d{1,5})$/;
const KERNEL = /^(unix:\/\/\/|grpc:\/\/)./;

const Options = z.strictObject({
  listen: z.string().regex(HOST_PORT, "a HOST:PORT such as 127.0.0.1:8080"),
  /** The kernel's door, as the SDK takes it: `unix:///path`, `grpc://host:port`. */
  kernel: z.string().regex(KERNEL, "an address such as unix:///home/me/.contix/contixd.sock"),
  /** PEM files; both or none. */
  tlsCert: z.string().default(""),
  tlsKey: z.string().default(""),
  /** A proxy in front ends TLS: plain HTTP beyond loopback is wanted. */
  behindProxy: z.boolean().default(false),
  /** Web pages of these origins may call the gateway; none by default. */
  corsOrigins: z.array(z.string().regex(/^https?:\/\/[^/\s]+$/, "https://HOST")).default([]),
  /** The longest body of a request, bytes. */
  bodyBytes: z
    .int()
    .min(1024)
    .max(32 << 20)
    .default(4 << 20),
  /** How long a request's headers, and all of it, may take to arrive, milliseconds. */
  headersMs: z.int().min(10).default(10_000),
  requestMs: z.int().min(10).default(30_000),
  /** How long an answer may take, milliseconds. */
  deadlineMs: z.int().min(10).default(600_000),
  /** How long answers under way may go on after SIGTERM, milliseconds. */
  drainMs: z.int().min(0).default(10_000),
  /** Connections at once, and requests being answered at once. */
  connections: z.int().min(1).default(2048),
  requests: z.int().min(1).default(1024),
  /** Requests that are none, of one sender: beyond them the refusal comes late. 0: no limit. */
  faultsPerSecond: z.number().min(0).default(10),
  /** Answers to one request: `n`, times the prompts. */
  choices: z.int().min(1).max(128).default(16),
  /** Keys that are attached to the kernel at once, and how long an unused one stays, milliseconds. */
  keys: z.int().min(1).default(256),
  keyIdleMs: z.int().min(1).default(60_000),
  logLevel: z.enum(["debug", "info", "warn", "error", "silent"]).default("info"),
});

export type GatewayInput = z.input<typeof Options>;
export type GatewayOptions = z.output<typeof Options>;

export class OptionError extends Error {
  override readonly name = "OptionError";
}

/** Throws OptionError that names each option at fault. */
export function readOptions(input: GatewayInput): GatewayOptions {
  const result = Options.safeParse(input);
  if (!result.success) {
    const faults = result.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`);
    throw new OptionError(faults.join("; "));
  }
  const options = result.data;
  const { tlsCert, tlsKey, listen, behindProxy } = options;
  if ((tlsCert === "") !== (tlsKey === "")) {
    throw new OptionError("a TLS certificate and its key are given together");
  }
  // Keys travel in every request: in the clear they may go no further than this machine.
  if (tlsCert === "" && !behindProxy && !isLoopback(hostOf(listen))) {
    throw new OptionError(
      `${listen} is beyond loopback: give a TLS certificate and key, or say that a proxy in front does TLS`,
    );
  }
  return options;
}

/** The host of a HOST:PORT, without brackets. */
export function hostOf(listen: string): string {
  return listen.replace(/:\d+$/, "").replace(/^\[(.*)\]$/, "$1");
}

export function portOf(listen: string): number {
  return Number(/\d+$/.exec(listen)?.[0]);
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127(\.\d{1,3}){3}$/.test(host);
}
