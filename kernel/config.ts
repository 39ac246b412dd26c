/**
 * The daemon's configuration: defaults, then `<home>/config.yaml`, then the
 * environment (CONTIX_…), then flags. Everything is validated; a mistake names
 * its key and what would be right.
 */
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { homedir } from "node:os";
import { isAbsolute, join, resolve } from "node:path";
import { z } from "zod";
import { ContixError } from "../proto/errno.js";
import { LOG_LEVELS } from "./log.js";
import { EVICTION_NAMES } from "./mm/eviction/policies.js";
import { OVERFLOW_POLICIES } from "./mm/overflow/segments.js";
import { POLICY_NAMES } from "./sched/policies.js";
import { DURATION, MEMORY, SIZE } from "./units.js";

/** What is served when nobody says otherwise. */
export const DEFAULT_MODEL = "smollm2-135m-instruct";

const Percent = z.int().min(1).max(100);

const Limits = z.strictObject({
  callsPerProcess: z.int().min(1).default(2048),
  /** Calls in flight of a principal. */
  concurrentCallsPerPrincipal: z.int().min(1).default(16_384),
  /** Rates, and tokens in all, as they are given and generated; 0: no limit. */
  requestsPerSecondPerProcess: z.number().min(0).default(0),
  requestsPerSecondPerPrincipal: z.number().min(0).default(0),
  tokensPerSecondPerProcess: z.number().min(0).default(0),
  tokensPerSecondPerPrincipal: z.number().min(0).default(0),
  /** Frames that say nothing a kernel could do; who sends more is read more slowly. 0: no limit. */
  faultsPerSecondPerPrincipal: z.number().min(0).default(20),
  tokensPerProcess: z.int().min(0).default(0),
  tokensPerPrincipal: z.int().min(0).default(0),
  contextsPerProcess: z.int().min(1).default(64),
  contextsPerPrincipal: z.int().min(1).default(4096),
  /** Tokens of all open contexts, those that were moved out too, and what generations under way may add. */
  contextTokensPerProcess: z.int().min(1).default(1_048_576),
  contextTokensPerPrincipal: z.int().min(1).default(16_777_216),
  /** Pages of 16 tokens of pinned contexts. */
  pinnedPagesPerProcess: z.int().min(0).default(256),
  pinnedPagesPerPrincipal: z.int().min(0).default(512),
  /** Pages in RAM, of all models together: beyond it one's own go first, and pins are refused; 0: no limit. */
  memoryPagesPerProcess: z.int().min(0).default(0),
  memoryPagesPerPrincipal: z.int().min(0).default(0),
  /** Bytes in the swap files: beyond it one's own pages go first; 0: no limit. */
  swapBytesPerProcess: z.int().min(0).default(0),
  swapBytesPerPrincipal: z.int().min(0).default(0),
  /** Tokens that the pager may have moved out of one context and keeps. */
  filedTokens: z.int().min(1).default(262_144),
  /**
   * Of each model's pages in RAM, and of its swap file: what one may have before his
   * pages go first, in percent. Who is alone may have all.
   */
  memoryPercentPerProcess: Percent.default(50),
  memoryPercentPerPrincipal: Percent.default(50),
  swapPercentPerProcess: Percent.default(50),
  swapPercentPerPrincipal: Percent.default(50),
  /** Results that a process has not acknowledged. */
  unackedResults: z.int().min(16).default(4096),
  unackedBytes: z
    .int()
    .min(1)
    .default(64 << 20),
  processes: z.int().min(1).default(512),
  /** Less than all, so that nobody is kept out by one who starts without end. */
  processesPerPrincipal: z.int().min(1).default(384),
  /** Processes of the class realtime, of who is no administrator. */
  realtimePerPrincipal: z.int().min(0).default(0),
  /** Calls that wait until somebody has answered, of all and of one process. */
  questions: z.int().min(1).default(256),
  questionsPerProcess: z.int().min(1).default(32),
  mailboxMessages: z.int().min(1).default(1024),
  mailboxBytes: z
    .int()
    .min(1)
    .default(16 << 20),
  /** In all inboxes, mailboxes and pipes of a principal, with an envelope for each message. */
  mailboxBytesPerPrincipal: z
    .int()
    .min(1)
    .default(256 << 20),
  /** Mailboxes, subscriptions, topics, pipes, locks, barriers. */
  ipcObjectsPerPrincipal: z.int().min(1).default(4096),
  schedulesPerPrincipal: z.int().min(0).default(256),
  messageBytes: z
    .int()
    .min(1)
    .default(1 << 20),
  /** Sequences and their length of one generate call. */
  stopStrings: z.int().min(1).default(16),
  stopLength: z.int().min(1).default(256),
});

export const ConfigSchema = z.strictObject({
  home: z.string().min(1),
  /** What a call gets that names no model. */
  model: z.string().min(1).default(DEFAULT_MODEL),
  /** Models whose drivers are started with the daemon too; a list, or names with commas. */
  preload: z.preprocess(
    (value) => (typeof value === "string" ? value.split(",").filter((name) => name !== "") : value),
    z.array(z.string().min(1)).max(64).default([]),
  ),
  /** A model's driver that nobody used for so long is stopped: 90s, 5m, 2h; 0: never. */
  modelIdle: z.coerce
    .string()
    .regex(DURATION, "a time such as 90s, 5m or 2h; 0: never")
    .default("5m"),
  /** Memory that all drivers together may take: bytes, 6GiB, or a share of the machine's. */
  memoryBudget: z.coerce
    .string()
    .regex(MEMORY, "a size such as 6GiB, or a share such as 80%")
    .default("80%"),
  /** Of that, for each driver: pages of contexts that are in no slot; 0: none. */
  pageMemory: z.coerce
    .string()
    .regex(MEMORY, "a size such as 1GiB, or a share such as 20%; 0: none")
    .default("1GiB"),
  /** The swap file of each model, in the home: pages survive there; 0: none. */
  swap: z.coerce.string().regex(SIZE, "a size such as 4GiB; 0: none").default("0"),
  /** Which pages go when there is no room. */
  eviction: z.enum(EVICTION_NAMES).default("agent"),
  /** Tokens that a lone row guesses ahead, where that can not change an answer; 0: none. */
  speculate: z.int().min(0).max(16).default(0),
  /** How weights are stored and computed; auto: what was measured to be best here. */
  recipe: z.enum(["auto", "int8", "q8", "fp32"]).default("auto"),
  /** How keys and values are stored. int8 takes a quarter of the memory. */
  kv: z.enum(["auto", "fp32", "int8"]).default("auto"),
  driver: z.enum(["onnxruntime", "fake"]).default("onnxruntime"),
  /** JSON for the driver: the fake one's seed and step cost. */
  driverOptions: z.string().refine(isJsonMap, "must be JSON of the form {…}").default("{}"),
  slots: z.int().min(1).max(64).default(16),
  slotTokens: z.int().min(16).max(131_072).default(2048),
  /** Threads of the engine; 0: all cores. */
  threads: z.int().min(0).max(256).default(0),
  /** A TCP address besides the Unix socket: HOST:PORT; beyond loopback only with TLS. "": none. */
  listen: z
    .string()
    .regex(/^$|^([\w.-]+|\[[\da-fA-F:]+\]):\d{1,5}$/, "HOST:PORT such as 127.0.0.1:7777")
    .default(""),
  /** PEM files of the TCP address: its certificate chain and key; a CA that clients' must come from. */
  tlsCert: z.string().default(""),
  tlsKey: z.string().default(""),
  tlsClientCa: z.string().default(""),
  /** Where the gateway serves OpenAI's HTTP API: HOST:PORT. "": no gateway. */
  http: z
    .string()
    .regex(/^$|^([\w.-]+|\[[\da-fA-F:]+\]):\d{1,5}$/, "HOST:PORT such as 127.0.0.1:8080")
    .default(""),
  /** A proxy in front of the gateway does TLS: beyond loopback it speaks plain HTTP. */
  httpBehindProxy: z.preprocess(
    (value) => (value === "true" ? true : value === "false" ? false : value),
    z.boolean().default(false),
  ),
  /** The NATS door: "embedded", or a server's URL. "": none. */
  nats: z
    .string()
    .regex(
      /^$|^embedded(:\d{1,5})?$|^(nats|tls):\/\/\S+$/,
      "embedded, or a URL such as nats://host:4222",
    )
    .default(""),
  /** PEM file of the CA that signed that server's certificate, besides those that Node trusts. */
  natsCa: z.string().default(""),
  /** Which kernel this is of those on one NATS server: the number in its ids, n1.17. */
  node: z.int().min(1).max(4095).default(1),
  /** What happens to a context that outgrows the window, unless its creator says: see CtxCreateCall. */
  overflow: z.enum(OVERFLOW_POLICIES).default("oldest"),
  /** Who holds the slots, until an operator chooses another. */
  policy: z.enum(POLICY_NAMES).default("rr"),
  /** Tokens a burst may take before others that wait get its slot. */
  quantum: z.int().min(1).max(65_536).default(64),
  /** What a row should wait for its next token at most while others prefill. */
  interTokenMs: z.int().min(1).max(60_000).default(80),
  /** Generations admitted beyond those that hold a slot. */
  queueLimit: z.int().min(1).max(100_000).default(512),
  /** How long a process that lost its stream may come back, milliseconds. */
  detachGraceMs: z.int().min(0).max(3_600_000).default(5000),
  /** How long calls in flight may go on at shutdown, milliseconds. */
  drainMs: z.int().min(0).max(3_600_000).default(5000),
  /** A file that gets the signed heads of the audit log, on another machine's disk at best. "": none. */
  auditHeads: z
    .string()
    .refine((path) => path === "" || isAbsolute(path), "an absolute path")
    .default(""),
  /** A file of the audit log is not written beyond this. */
  auditFile: z.coerce.string().regex(SIZE, "a size such as 64MiB").default("64MiB"),
  /** So many files of it are kept; 0: all. */
  auditFiles: z.int().min(0).max(1_000_000).default(64),
  /** An agent's log is not written beyond this; one former file of that size is kept. */
  agentLog: z.coerce.string().regex(SIZE, "a size such as 8MiB").default("8MiB"),
  /** Memory of each OS process of an agent, unless its spawn says: data that it can write. 0: no limit. */
  agentMemory: z.coerce.string().regex(SIZE, "a size such as 4GiB; 0: none").default("4GiB"),
  logLevel: z.enum(LOG_LEVELS).default("info"),
  limits: Limits.prefault({}),
});

/** Addresses that only this machine reaches. */
const LOOPBACK = /^(127\.\d+\.\d+\.\d+|localhost|\[::1\]):/;

/** What settings say together. */
const ConfigRules = ConfigSchema.superRefine((config, found) => {
  const { listen, tlsCert, tlsKey, tlsClientCa, http, httpBehindProxy } = config;
  const fault = (key: string, message: string): void => {
    found.addIssue({ code: "custom", path: [key], message });
  };
  if ((tlsCert === "") !== (tlsKey === "")) {
    fault(tlsCert === "" ? "tlsCert" : "tlsKey", "a certificate and its key go together");
  } else if (tlsClientCa !== "" && tlsCert === "") {
    fault("tlsClientCa", "clients can prove who they are only over TLS: give tlsCert and tlsKey");
  } else if (listen !== "" && !LOOPBACK.test(listen) && tlsCert === "") {
    const how = "give tlsCert and tlsKey, and tlsClientCa for mutual TLS, or listen on 127.0.0.1";
    fault("listen", `${listen} is reachable beyond loopback, where TLS is required: ${how}`);
  } else if (http !== "" && !LOOPBACK.test(http) && tlsCert === "" && !httpBehindProxy) {
    const how = "give tlsCert and tlsKey, or httpBehindProxy if a proxy does it";
    fault("http", `${http} is reachable beyond loopback, where TLS is required: ${how}`);
  }
});

export type Config = z.infer<typeof ConfigSchema>;
export type ConfigKey = keyof Config;
/** Values as they come from the environment and flags. */
export type ConfigInput = Partial<Record<ConfigKey, unknown>>;

/** Read here, so that a mistake is refused with its name; what is in it is the driver's business. */
function isJsonMap(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text || "{}");
    return typeof value === "object" && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}

export function defaultHome(env: NodeJS.ProcessEnv): string {
  // Set but empty is not set: as a path it would be the current directory.
  return env.CONTIX_HOME || join(homedir(), ".contix");
}

const ENVIRONMENT: Partial<Record<ConfigKey, string>> = {
  model: "CONTIX_MODEL",
  preload: "CONTIX_PRELOAD",
  modelIdle: "CONTIX_MODEL_IDLE",
  memoryBudget: "CONTIX_MEMORY_BUDGET",
  pageMemory: "CONTIX_PAGE_MEMORY",
  swap: "CONTIX_SWAP",
  eviction: "CONTIX_EVICTION",
  speculate: "CONTIX_SPECULATE",
  recipe: "CONTIX_RECIPE",
  kv: "CONTIX_KV",
  driver: "CONTIX_DRIVER",
  driverOptions: "CONTIX_DRIVER_OPTIONS",
  slots: "CONTIX_SLOTS",
  slotTokens: "CONTIX_SLOT_TOKENS",
  threads: "CONTIX_THREADS",
  listen: "CONTIX_LISTEN",
  tlsCert: "CONTIX_TLS_CERT",
  tlsKey: "CONTIX_TLS_KEY",
  tlsClientCa: "CONTIX_TLS_CLIENT_CA",
  http: "CONTIX_HTTP",
  httpBehindProxy: "CONTIX_HTTP_BEHIND_PROXY",
  nats: "CONTIX_NATS",
  natsCa: "CONTIX_NATS_CA",
  node: "CONTIX_NODE",
  overflow: "CONTIX_OVERFLOW",
  policy: "CONTIX_POLICY",
  quantum: "CONTIX_QUANTUM",
  interTokenMs: "CONTIX_INTER_TOKEN_MS",
  queueLimit: "CONTIX_QUEUE_LIMIT",
  detachGraceMs: "CONTIX_DETACH_GRACE_MS",
  drainMs: "CONTIX_DRAIN_MS",
  auditHeads: "CONTIX_AUDIT_HEADS",
  auditFile: "CONTIX_AUDIT_FILE",
  auditFiles: "CONTIX_AUDIT_FILES",
  agentLog: "CONTIX_AGENT_LOG",
  agentMemory: "CONTIX_AGENT_MEMORY",
  logLevel: "CONTIX_LOG_LEVEL",
};

const NUMBERS: ReadonlySet<string> = new Set<ConfigKey>([
  "node",
  "slots",
  "slotTokens",
  "threads",
  "quantum",
  "interTokenMs",
  "speculate",
  "queueLimit",
  "detachGraceMs",
  "drainMs",
  "auditFiles",
]);

/** The whole configuration. Throws EINVAL that names every key at fault. */
export function loadConfig(flags: ConfigInput, env: NodeJS.ProcessEnv): Config {
  if (flags.home === "") throw new ContixError("EINVAL", "configuration: home: is empty");
  const home = resolve(typeof flags.home === "string" ? flags.home : defaultHome(env));
  const path = join(home, "config.yaml");
  const file = fromFile(path);
  const environment = fromEnvironment(env);
  const given = defined(flags);
  const result = ConfigRules.safeParse({ ...file, ...environment, ...given, home });
  if (result.success) return result.data;
  const source = (key: PropertyKey | undefined): string => {
    if (key !== undefined && key in given) return "";
    if (key !== undefined && key in environment) return ` (${ENVIRONMENT[key as ConfigKey]})`;
    return ` (${path})`;
  };
  const faults = result.error.issues.map(({ path: where, message }) => {
    const name = where.length === 0 ? "" : `${where.join(".")}: `;
    return `${name}${message}${source(where[0])}`;
  });
  throw new ContixError("EINVAL", `configuration: ${faults.join("; ")}`);
}

function fromFile(path: string): ConfigInput {
  if (!existsSync(path)) return {};
  let value: unknown;
  try {
    // Seventy modules, on the way to a driver's start, and most homes have no such file.
    const { parse }: typeof import("yaml") = createRequire(import.meta.url)("yaml");
    value = parse(readFileSync(path, "utf8"));
  } catch (error) {
    throw new ContixError("EINVAL", `${path}: ${(error as Error).message}`);
  }
  if (value === null) return {};
  if (typeof value !== "object" || Array.isArray(value)) {
    throw new ContixError("EINVAL", `${path}: must be a map of settings`);
  }
  return value;
}

function fromEnvironment(env: NodeJS.ProcessEnv): ConfigInput {
  const out: ConfigInput = {};
  for (const [key, name] of Object.entries(ENVIRONMENT)) {
    const text = env[name];
    if (text === undefined || text === "") continue;
    out[key as ConfigKey] = NUMBERS.has(key) && /^\d+$/.test(text) ? Number(text) : text;
  }
  return out;
}

function defined(input: ConfigInput): ConfigInput {
  return Object.fromEntries(Object.entries(input).filter(([, value]) => value !== undefined));
}
