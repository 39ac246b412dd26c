/** What may stand in a team's manifest: names, types, defaults. What it means is checked in check.ts. */
import { z } from "zod";
import { PROCESS_QUOTAS } from "../../kernel/cap/rates/quota.js";
import { RESTART_POLICIES, STRATEGIES } from "../../kernel/proc/supervise/decide.js";
import { DURATION, durationUs, memoryBytes, SIZE } from "../../kernel/units.js";

export const CLASSES = ["realtime", "interactive", "batch"] as const;
const RIGHTS = ["read", "write", "call", "signal", "grant", "admin"] as const;
/** What a capability may name. */
export const OBJECTS = ["model", "mailbox", "topic", "context", "principal"] as const;

/** Names become parts of what `contix ps` shows. */
const NAME = /^[A-Za-z][A-Za-z0-9_-]{0,31}$/;
const VARIABLE = /^[A-Za-z_][A-Za-z0-9_]*$/;

const A_NAME = "a name is a letter and up to 31 letters, digits, - and _";
const A_TIME = "a time such as 500ms, 10s or 5m";

/** Milliseconds. A number alone is one of milliseconds. */
const Time = z
  .union([z.string(), z.number()], { error: A_TIME })
  .transform(String)
  .refine((text) => DURATION.test(text) && durationUs(text) > 0, A_TIME)
  .transform((text) => durationUs(text) / 1000);

const A_SIZE = "a size such as 512MiB";
const Size = z
  .union([z.string(), z.number()], { error: A_SIZE })
  .transform(String)
  .refine((text) => SIZE.test(text), A_SIZE)
  .transform((text) => memoryBytes(text, 0));

const Name = z.string().regex(NAME, A_NAME);
const Text = z.string().min(1, "it is empty");
/** One, or a list of them. */
const names = z.preprocess((value) => (typeof value === "string" ? [value] : value), z.array(Name));

const Env = z.record(
  z.string().regex(VARIABLE, "the name of a variable is letters, digits and _"),
  z.union([z.string(), z.number(), z.boolean()], { error: "a text" }).transform(String),
);

const A_COMMAND = "a command: a text, or a list of its words";
const Command = z.preprocess(
  (value) => (typeof value === "string" ? wordsOf(value) : value),
  z
    .array(z.union([z.string(), z.number()], { error: "a text" }).transform(String), A_COMMAND)
    .min(1, "it is empty"),
);

export const Restart = z.strictObject({
  policy: z.enum(RESTART_POLICIES).default("on-failure"),
  backoff: Time.optional(),
  max_backoff: Time.optional(),
});

export const Watchdog = z.strictObject({
  timeout: Time,
  /** Who sends the heartbeats: the SDK by itself, or the program by `os.proc.heartbeat()`. */
  heartbeat: z.enum(["sdk", "program"]).default("sdk"),
});

export const Capability = z.strictObject({
  model: Text.optional(),
  mailbox: Text.optional(),
  topic: Text.optional(),
  context: Text.optional(),
  principal: Text.optional(),
  rights: z.array(z.enum(RIGHTS)).min(1, "it is empty").optional(),
});

export const Limits = z.strictObject({
  memory: Size.optional(),
  cpu: Time.optional(),
  open_files: z.int().min(16).max(1_048_576).optional(),
});

export const Permissions = z.strictObject({
  read: z.array(Text).default([]),
  write: z.array(Text).default([]),
});

export const Quotas = z.strictObject(
  Object.fromEntries(
    PROCESS_QUOTAS.map((name) => [name, z.int().min(0).max(Number.MAX_SAFE_INTEGER).optional()]),
  ),
);

export const Agent = z.strictObject({
  command: Command,
  cwd: Text.optional(),
  env: Env.default({}),
  class: z.enum(CLASSES).optional(),
  nice: z.int().min(-20).max(19).optional(),
  quotas: Quotas.optional(),
  sandbox: z.boolean().default(false),
  capabilities: z.array(Capability).max(64).default([]),
  restart: z.preprocess(
    (value) => (typeof value === "string" ? { policy: value } : value),
    Restart.default({ policy: "never" }),
  ),
  watchdog: z.preprocess(
    (value) => (isScalar(value) ? { timeout: value } : value),
    Watchdog.optional(),
  ),
  limits: Limits.optional(),
  permissions: z.preprocess(
    (value) => (value === true ? {} : value === false ? undefined : value),
    Permissions.optional(),
  ),
  count: z.int().min(1).max(64).default(1),
  depends_on: names.default([]),
  sends_to: names.default([]),
});

export const Team = z.strictObject({
  name: Name.optional(),
  strategy: z.enum(STRATEGIES).default("one_for_one"),
  max_restarts: z.int().min(0).max(1000).default(5),
  within: Time.default(60_000),
  stop_grace: Time.default(5_000),
  cwd: Text.optional(),
  env: Env.default({}),
  agents: z.record(Name, Agent),
});

export type TeamSpec = z.infer<typeof Team>;
export type AgentSpec = z.infer<typeof Agent>;
export type CapabilitySpec = z.infer<typeof Capability>;

function isScalar(value: unknown): boolean {
  return typeof value === "string" || typeof value === "number";
}

/** Words as a shell splits them: blanks between, quotes around what holds blanks. */
export function wordsOf(text: string): string[] {
  const words: string[] = [];
  for (const [whole] of text.matchAll(/(?:"[^"]*"|'[^']*'|[^\s"']|["'])+/g)) {
    words.push(whole.replace(/"([^"]*)"|'([^']*)'/g, (_, double, single) => double ?? single));
  }
  return words;
}
