/**
 * The daemon's configuration: defaults, then `<home>/config.yaml`, then the
 * environment (CONTIX_…), then flags. Everything is validated; a mistake names
 * its key and what would be right.
 */
import { existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { parse } from "yaml";
import { z } from "zod";
import { ContixError } from "../proto/errno.js";
import { LOG_LEVELS } from "./log.js";
import { EVICTION_NAMES } from "./mm/eviction/policies.js";
import { OVERFLOW_POLICIES } from "./mm/overflow/segments.js";
import { DURATION, MEMORY, SIZE } from "./units.js";

/** What is served when nobody says otherwise. */
export const DEFAULT_MODEL = "smollm2-135m-instruct";

const Percent = z.int().min(1).max(100);

const Limits = z.strictObject({
  callsPerProcess: z.int().min(1).default(2048),
  contextsPerProcess: z.int().min(1).default(64),
  contextsPerPrincipal: z.int().min(1).default(4096),
  /** Tokens of all open contexts, and what generations under way may add. */
  contextTokensPerProcess: z.int().min(1).default(1_048_576),
  contextTokensPerPrincipal: z.int().min(1).default(16_777_216),
  /** Pages of 16 tokens of pinned contexts. */
  pinnedPagesPerProcess: z.int().min(0).default(256),
  pinnedPagesPerPrincipal: z.int().min(0).default(512),
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
  mailboxMessages: z.int().min(1).default(1024),
  mailboxBytes: z
    .int()
    .min(1)
    .default(16 << 20),
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
  /** A TCP address besides the Unix socket: HOST:PORT, on loopback only. "": none. */
  listen: z
    .string()
    .regex(
      /^$|^(127\.\d+\.\d+\.\d+|localhost|\[::1\]):\d{1,5}$/,
      "a loopback HOST:PORT such as 127.0.0.1:7777",
    )
    .default(""),
  /** What happens to a context that outgrows the window, unless its creator says: see CtxCreateCall. */
  overflow: z.enum(OVERFLOW_POLICIES).default("oldest"),
  policy: z.enum(["rr", "priority"]).default("rr"),
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
  logLevel: z.enum(LOG_LEVELS).default("info"),
  limits: Limits.prefault({}),
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
  overflow: "CONTIX_OVERFLOW",
  policy: "CONTIX_POLICY",
  quantum: "CONTIX_QUANTUM",
  queueLimit: "CONTIX_QUEUE_LIMIT",
  detachGraceMs: "CONTIX_DETACH_GRACE_MS",
  drainMs: "CONTIX_DRAIN_MS",
  logLevel: "CONTIX_LOG_LEVEL",
};

const NUMBERS: ReadonlySet<string> = new Set<ConfigKey>([
  "slots",
  "slotTokens",
  "threads",
  "quantum",
  "speculate",
  "queueLimit",
  "detachGraceMs",
  "drainMs",
]);

/** The whole configuration. Throws EINVAL that names every key at fault. */
export function loadConfig(flags: ConfigInput, env: NodeJS.ProcessEnv): Config {
  if (flags.home === "") throw new ContixError("EINVAL", "configuration: home: is empty");
  const home = resolve(typeof flags.home === "string" ? flags.home : defaultHome(env));
  const path = join(home, "config.yaml");
  const file = fromFile(path);
  const environment = fromEnvironment(env);
  const given = defined(flags);
  const result = ConfigSchema.safeParse({ ...file, ...environment, ...given, home });
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
