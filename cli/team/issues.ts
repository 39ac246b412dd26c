/** Zod's issues as what a person is told: where, what is wrong, what would be right. */
import type { z } from "zod";
import type { Path, Place, Source } from "./places.js";
import {
  Agent,
  Capability,
  Limits,
  Permissions,
  Quotas,
  Restart,
  Team,
  Watchdog,
} from "./schema.js";
import { instead, nearest } from "./suggest.js";

/** A mistake in a manifest. */
export interface Mistake extends Place {
  readonly message: string;
}

type Issue = z.core.$ZodIssue;

/** The keys that there are, by the path of their map; * is any name. */
const KEYS: readonly (readonly [path: string, keys: readonly string[]])[] = [
  ["", Object.keys(Team.shape)],
  ["agents.*", Object.keys(Agent.shape)],
  ["agents.*.restart", Object.keys(Restart.shape)],
  ["agents.*.watchdog", Object.keys(Watchdog.shape)],
  ["agents.*.limits", Object.keys(Limits.shape)],
  ["agents.*.permissions", Object.keys(Permissions.shape)],
  ["agents.*.quotas", Object.keys(Quotas.shape)],
  ["agents.*.capabilities.*", Object.keys(Capability.shape)],
];

/** What zod found, in words, each with its place. */
export function mistakesOf(source: Source, issues: readonly Issue[]): Mistake[] {
  return issues.flatMap((issue) => {
    if (issue.code === "unrecognized_keys") {
      return issue.keys.map((key) => {
        const place = source.keyAt([...issue.path, key]);
        return { ...place, message: said([...issue.path], unknownKey(issue.path, key)) };
      });
    }
    if (issue.code === "invalid_key") {
      const message = issue.issues[0]?.message ?? "no name";
      return { ...source.keyAt(issue.path), message: `"${String(issue.path.at(-1))}": ${message}` };
    }
    return { ...source.valueAt(issue.path), message: said(issue.path, wrong(issue)) };
  });
}

/** `agents.planner.nice: …`. */
export function said(path: Path, message: string): string {
  return path.length === 0 ? message : `${path.map(String).join(".")}: ${message}`;
}

function unknownKey(path: Path, key: string): string {
  const parts = path.map(String);
  const row = KEYS.find(([pattern]) => {
    const steps = pattern === "" ? [] : pattern.split(".");
    return steps.length === parts.length && steps.every((s, i) => s === "*" || s === parts[i]);
  });
  return `unknown key "${key}"; ${instead(key, row?.[1] ?? [])}`;
}

function wrong(issue: Issue): string {
  switch (issue.code) {
    case "invalid_type":
      if (issue.input === undefined) return "it is missing";
      // A schema's own words say more than the name of a type.
      return /^Invalid input/.test(issue.message)
        ? typed(issue.expected, issue.input)
        : issue.message;
    case "invalid_value": {
      const values = issue.values.map(String);
      if (issue.input === undefined) return `it is missing: one of ${values.join(", ")}`;
      const near = nearest(String(issue.input), values);
      const hint = near === undefined ? "" : `; did you mean "${near}"?`;
      return `${shown(issue.input)} is none of ${values.join(", ")}${hint}`;
    }
    case "too_small":
    case "too_big":
      if (issue.origin === "number" || issue.origin === "int") return bound(issue);
      return /^Too/.test(issue.message) ? bound(issue) : issue.message;
    default:
      return issue.input === undefined
        ? "it is missing"
        : `${issue.message}; got ${shown(issue.input)}`;
  }
}

function bound(issue: Extract<Issue, { code: "too_small" | "too_big" }>): string {
  const at = issue.code === "too_small" ? `at least ${issue.minimum}` : `at most ${issue.maximum}`;
  const what = typeof issue.input === "number" ? `${issue.input}; ` : "";
  return `${what}it must be ${at}`;
}

const WORDS: Readonly<Record<string, string>> = {
  object: "a map of names and values",
  record: "a map of names and values",
  array: "a list",
  string: "a text",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
};

function typed(expected: string, input: unknown): string {
  return `it must be ${WORDS[expected] ?? expected}; got ${shown(input)}`;
}

function shown(input: unknown): string {
  if (input === null) return "nothing";
  if (Array.isArray(input)) return "a list";
  if (typeof input === "object") return "a map";
  if (typeof input === "string")
    return JSON.stringify(input.length > 40 ? `${input.slice(0, 40)}…` : input);
  return String(input);
}
