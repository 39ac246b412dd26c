import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { ManifestError, parseManifest, readManifest } from "./manifest.js";
import { wordsOf } from "./schema.js";
import { nearest } from "./suggest.js";

const folder = mkdtempSync(join(tmpdir(), "contix-team-"));
mkdirSync(join(folder, "sub"));
for (const name of ["a.js", "b.js", "sub/c.js"]) writeFileSync(join(folder, name), "");
afterAll(() => rmSync(folder, { recursive: true }));

/** A manifest whose indented text stands below `agents:`. */
const agents = (...lines: string[]): string =>
  ["agents:", ...lines.map((l) => `  ${l}`)].join("\n");
const parse = (text: string) => parseManifest(text, join(folder, "team.yaml"));

/** All that is wrong with it: `line:column: message`. */
function wrong(text: string): string[] {
  try {
    parse(text);
  } catch (error) {
    if (!(error instanceof ManifestError)) throw error;
    return error.lines.map((line) => line.replace(`${folder}/team.yaml:`, ""));
  }
  return [];
}

/** What each malformed manifest is told, whole. */
const MALFORMED: readonly (readonly [what: string, text: string, ...lines: string[]])[] = [
  ["nothing at all", "", "1:1: agents: it is missing"],
  ["a text", "just words", '1:1: it must be a map of names and values; got "just words"'],
  ["no agents", "name: x\nagents: {}", "2:9: agents: a team has one agent at least"],
  ["a tab", "agents:\n\ta: 1", "2:1: Tabs are not allowed as indentation"],
  ["a quote that stays open", 'agents: "x', '1:11: Missing closing "quote'],
  [
    "a key twice",
    agents("a: { command: a.js }", "a: { command: b.js }"),
    "3:3: Map keys must be unique",
  ],
  [
    "an unknown key, with what was meant",
    agents("a:", "  command: a.js", "  restrat: always"),
    '4:5: agents.a: unknown key "restrat"; did you mean "restart"?',
  ],
  [
    "an unknown key that is near nothing",
    "colour: red\nagents: { a: { command: a.js } }",
    '1:1: unknown key "colour"; there are name, strategy, max_restarts, within, stop_grace, cwd, env, agents',
  ],
  [
    "an agent without a command",
    agents("a:", "  nice: 3", "b: { command: b.js }"),
    "2:3: agents.a.command: it is missing",
  ],
  ["an empty command", agents('a: { command: "" }'), "2:17: agents.a.command: it is empty"],
  [
    "a program that is not there",
    agents("a:", "  command: nowhere.js 1"),
    "3:14: agents.a.command: no such program: nowhere.js",
  ],
  [
    "a bad name",
    agents("two words: { command: a.js }"),
    '2:3: "two words": a name is a letter and up to 31 letters, digits, - and _',
  ],
  [
    "an unknown policy",
    agents("a:", "  command: a.js", "  restart: on-faliure"),
    '4:14: agents.a.restart.policy: "on-faliure" is none of never, on-failure, always; did you mean "on-failure"?',
  ],
  [
    "an unknown class",
    agents("a: { command: a.js, class: urgent }"),
    '2:30: agents.a.class: "urgent" is none of realtime, interactive, batch',
  ],
  [
    "nice out of range",
    agents("a:", "  command: a.js", "  nice: 20"),
    "4:11: agents.a.nice: 20; it must be at most 19",
  ],
  [
    "half an agent",
    agents("a:", "  command: a.js", "  count: 1.5"),
    "4:12: agents.a.count: it must be a whole number; got 1.5",
  ],
  [
    "no time",
    agents("a:", "  command: a.js", "  watchdog: soon"),
    '4:15: agents.a.watchdog.timeout: a time such as 500ms, 10s or 5m; got "soon"',
  ],
  [
    "a watchdog that is too short",
    agents("a:", "  command: a.js", "  watchdog: 5ms"),
    "4:15: agents.a.watchdog: it must be 100ms at least: an agent is no clockwork",
  ],
  [
    "somebody unknown",
    agents(
      "writer: { command: a.js }",
      "critic:",
      "  command: b.js",
      "  sends_to: [writer, wrter]",
    ),
    '5:24: agents.critic.sends_to.1: there is no agent "wrter"; did you mean "writer"?',
  ],
  [
    "a circle",
    agents(
      "a: { command: a.js, depends_on: [b] }",
      "b: { command: a.js, depends_on: c }",
      "c: { command: a.js, depends_on: [a] }",
    ),
    "4:36: agents.c.depends_on.0: a circle: a → b → c → a",
  ],
  [
    "itself",
    agents("a:", "  command: a.js", "  depends_on: [a]"),
    "4:18: agents.a.depends_on.0: a circle: a → a",
  ],
  [
    "a capability on nothing",
    agents("a:", "  command: a.js", "  capabilities:", "    - rights: [read]"),
    "5:9: agents.a.capabilities.0: it names nothing; it must name one of model, mailbox, topic, context, principal",
  ],
  [
    "an unknown right",
    agents("a:", "  command: a.js", "  capabilities: [{ model: m, rights: [cal] }]"),
    '4:41: agents.a.capabilities.0.rights.0: "cal" is none of read, write, call, signal, grant, admin; did you mean "call"?',
  ],
  [
    "an unknown quota",
    agents("a:", "  command: a.js", "  quotas: { token: 5 }"),
    '4:15: agents.a.quotas: unknown key "token"; did you mean "tokens"?',
  ],
  [
    "no folder",
    agents("a:", "  command: a.js", "  cwd: nowhere"),
    `4:10: agents.a.cwd: there is no directory ${folder}/nowhere`,
  ],
  [
    "no text",
    agents("a: { command: a.js, env: { X: [1] } }"),
    "2:33: agents.a.env.X: a text; got a list",
  ],
  [
    "too many",
    agents(...[1, 2, 3, 4, 5].map((i) => `a${i}: { command: a.js, count: 64 }`)),
    "2:3: agents: 320 processes; at most 256",
  ],
  [
    "an alias of nothing",
    agents("a: *b"),
    "1:1: Unresolved alias (the anchor must be set before the alias): b",
  ],
  [
    "JSON",
    '{\n  "agents": {\n    "a": { "command": ["a.js"], "count": 0 }\n  }\n}',
    "3:42: agents.a.count: 0; it must be at least 1",
  ],
  [
    "several at once, in the order of the text",
    agents("a: { comand: a.js }", "b:", "  command: b.js", "  nice: high"),
    "2:3: agents.a.command: it is missing",
    '2:8: agents.a: unknown key "comand"; did you mean "command"?',
    '5:11: agents.b.nice: it must be a number; got "high"',
  ],
];

describe("a malformed manifest", () => {
  it.each(MALFORMED)("%s", (_, text, ...lines) => {
    expect(wrong(text)).toEqual(lines);
  });

  it("that is not there, or a folder, is said so", () => {
    expect(() => readManifest(join(folder, "none.yaml"))).toThrow(/none\.yaml: no such file/);
    expect(() => readManifest(folder)).toThrow(/: a directory/);
  });
});

describe("a manifest", () => {
  it("has defaults for all but the commands", () => {
    const { name, agents: all, ...team } = parse(agents("a: { command: a.js one 'two three' }"));
    expect(name).toBe("team");
    expect(team).toMatchObject({
      ...{ strategy: "one_for_one", max_restarts: 5, within: 60_000, stop_grace: 5000 },
    });
    expect(all).toEqual([
      {
        ...{ name: "a", cwd: folder, env: {}, sandbox: false, capabilities: [], count: 1 },
        ...{ restart: { policy: "never" }, depends_on: [], sends_to: [] },
        argv: [process.execPath, join(folder, "a.js"), "one", "two three"],
      },
    ]);
  });

  it("starts in the order of its dependencies, else as it is written", () => {
    const { agents: all } = parse(
      agents(
        "a: { command: a.js, depends_on: [d, c] }",
        "b: { command: a.js }",
        "c: { command: a.js }",
        "d: { command: a.js, depends_on: c }",
      ),
    );
    expect(all.map(({ name }) => name)).toEqual(["c", "d", "a", "b"]);
  });

  it("has short and long forms, units and folders", () => {
    const { agents: all } = parse(
      `
env: { LANG: C, DEBUG: 0 }
agents:
  a:
    command: [sleep, 600]
    restart: always
    watchdog: 10s
    limits: { memory: 512MiB, cpu: 2m }
    permissions: true
  b:
    command: c.js
    cwd: sub
    env: { DEBUG: 1 }
    restart: { policy: on-failure, backoff: 200ms, max_backoff: 5s }
    watchdog: { timeout: 1500, heartbeat: program }
    permissions: false
`.replace("    <<: *base\n", ""),
    );
    expect(all[0]).toMatchObject({
      argv: ["sleep", "600"],
      env: { LANG: "C", DEBUG: "0" },
      restart: { policy: "always" },
      watchdog: { timeout: 10_000, heartbeat: "sdk" },
      limits: { memory: 512 << 20, cpu: 120_000 },
      permissions: { read: [], write: [] },
    });
    expect(all[1]).toMatchObject({
      argv: [process.execPath, join(folder, "sub/c.js")],
      env: { LANG: "C", DEBUG: "1" },
      restart: { policy: "on-failure", backoff: 200, max_backoff: 5000 },
      watchdog: { timeout: 1500, heartbeat: "program" },
      permissions: undefined,
    });
  });
});

it("splits commands as a shell does", () => {
  expect(wordsOf(`a  "b c" d'e f'g ''`)).toEqual(["a", "b c", "de fg", ""]);
});

it("suggests what is near, and nothing that is far", () => {
  expect(nearest("stratgy", ["strategy", "name"])).toBe("strategy");
  expect(nearest("colour", ["count", "cwd"])).toBe(undefined);
});
