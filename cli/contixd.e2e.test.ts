/** `contixd --print-config`: what is in force, which of four places wins, and what is refused. */
import { spawn } from "node:child_process";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ConfigSchema, DEFAULT_MODEL } from "../kernel/config.js";

const CONTIXD = fileURLToPath(new URL("../dist/cli/contixd.js", import.meta.url));

interface Row {
  readonly key: string;
  /** In the file, in the environment, as a flag: each another than the one before. */
  readonly values: readonly [file: unknown, environment: unknown, flag?: unknown];
}

const row = (key: string, ...values: Row["values"]): Row => ({ key, values });
const numbers = (...keys: string[]): Row[] => keys.map((key) => row(key, 2, 3, 4));
const sizes = (...keys: string[]): Row[] => keys.map((key) => row(key, "1GiB", "2GiB", "3GiB"));
const files = (...keys: string[]): Row[] => keys.map((key) => row(key, "/file", "/env", "/flag"));
const addresses = (...keys: string[]): Row[] =>
  keys.map((key) => row(key, "127.0.0.1:1001", "127.0.0.1:1002", "127.0.0.1:1003"));

const SETTINGS: readonly Row[] = [
  row("model", "in-file", "in-env", "in-flag"),
  row("preload", ["in-file"], ["in-env"], ["in-flag"]),
  row("modelIdle", "1m", "2m", "3m"),
  row("eviction", "lru", "cost", "agent"),
  row("recipe", "int8", "q8", "fp32"),
  row("kv", "fp32", "int8", "auto"),
  row("driver", "fake", "onnxruntime", "fake"),
  row("driverOptions", '{"seed":2}', '{"seed":3}', '{"seed":4}'),
  row("slotTokens", 256, 512, 1024),
  row("httpBehindProxy", true, false, true),
  row("nats", "nats://file:1", "nats://env:1", "nats://flag:1"),
  row("overflow", "none", "relevance", "oldest"),
  row("policy", "fifo", "priority", "mlfq"),
  row("logLevel", "debug", "warn", "error"),
  ...sizes("memoryBudget", "pageMemory", "swap"),
  ...addresses("listen", "http"),
  ...files("tlsCert", "tlsKey", "tlsClientCa", "natsCa", "auditHeads"),
  ...numbers("speculate", "slots", "threads", "node", "quantum", "interTokenMs", "queueLimit"),
  ...numbers("detachGraceMs", "drainMs"),
  // No flag sets these.
  row("auditFile", "1MiB", "2MiB"),
  row("auditFiles", 2, 3),
  row("agentLog", "1MiB", "2MiB"),
  row("agentMemory", "1GiB", "2GiB"),
];

let home: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), "contix-print-config-"));
});
afterEach(() => rm(home, { recursive: true }));

/** What each setting has in one of the places; `flag` is that of the environment where there is none. */
function valuesOf(place: 0 | 1 | 2): Record<string, unknown> {
  return Object.fromEntries(
    SETTINGS.map(({ key, values }) => [key, values[place] ?? values[Math.min(place, 1)]]),
  );
}

const snake = (key: string): string =>
  key.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase();
const kebab = (key: string): string => snake(key).replaceAll("_", "-").toLowerCase();

const ENVIRONMENT = Object.fromEntries(
  SETTINGS.map(({ key, values }) => [`CONTIX_${snake(key)}`, String(values[1])]),
);
const FLAGS = SETTINGS.flatMap(({ key, values: [, , flag] }) =>
  flag === undefined ? [] : [`--${kebab(key)}`, String(flag)],
);
const inFile = (settings: object): Promise<void> =>
  writeFile(join(home, "config.yaml"), JSON.stringify(settings));

interface Printed {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function contixd(env: NodeJS.ProcessEnv, flags: readonly string[]): Promise<Printed> {
  const own = Object.entries(process.env).filter(([name]) => !name.startsWith("CONTIX_"));
  const args = [CONTIXD, "--home", home, "--print-config", ...flags];
  const child = spawn(process.execPath, args, { env: { ...Object.fromEntries(own), ...env } });
  const said = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const) {
    child[name].setEncoding("utf8").on("data", (text: string) => {
      said[name] += text;
    });
  }
  return new Promise((resolve) => child.once("close", (code) => resolve({ code, ...said })));
}

async function printed(env: NodeJS.ProcessEnv = {}, flags: readonly string[] = []) {
  const { code, stdout, stderr } = await contixd(env, flags);
  expect([code, stderr]).toEqual([0, ""]);
  return JSON.parse(stdout) as Record<string, unknown>;
}

describe("contixd --print-config", () => {
  it("prints every setting, by default its default, and touches nothing", async () => {
    const config = await printed();
    expect(config).toEqual(ConfigSchema.parse({ home }));
    expect(config).toMatchObject({ model: DEFAULT_MODEL, driver: "onnxruntime", slots: 16 });
    expect(await readdir(home)).toEqual([]);
    const known = [...SETTINGS.map(({ key }) => key), "home", "limits"];
    expect(known.sort()).toEqual(Object.keys(config).sort());
  });

  it("takes the file, over it the environment, over that the flags", async () => {
    const limits = { processes: 9 };
    await inFile({ ...valuesOf(0), limits });
    expect(await printed()).toMatchObject({ ...valuesOf(0), limits });
    expect(await printed(ENVIRONMENT)).toMatchObject(valuesOf(1));
    expect(await printed(ENVIRONMENT, FLAGS)).toMatchObject({ ...valuesOf(2), limits });
    // One place alone says nothing of what it does not name.
    const some = await printed({ CONTIX_SLOTS: "5" }, ["--quantum", "6"]);
    expect(some).toMatchObject({ ...valuesOf(0), slots: 5, quantum: 6 });
  });

  it("shows no password", async () => {
    const config = await printed({ CONTIX_NATS: "nats://user:secret@host:4222" });
    expect(config.nats).toBe("nats://***@host:4222");
  });

  it.each([
    ["the file", { slots: 0 }, {}, [], /^slots: .*>=1 \(.*config\.yaml\)$/],
    ["the file's limits", { limits: { processes: 0 } }, {}, [], /^limits\.processes: .*yaml\)$/],
    ["a name in the file", { colour: 1 }, {}, [], /^Unrecognized key: "colour" \(.*yaml\)$/],
    ["the environment", {}, { CONTIX_QUANTUM: "many" }, [], /^quantum: .*\(CONTIX_QUANTUM\)$/],
    ["a choice there", {}, { CONTIX_KV: "int4" }, [], /^kv: .*"int8".* \(CONTIX_KV\)$/],
    ["a flag", {}, {}, ["--inter-token-ms", "0"], /^interTokenMs: [^(]*>=1$/],
    ["a size there", {}, {}, ["--memory-budget", "lots"], /^memoryBudget: a size such as 6GiB/],
    ["what flags say together", {}, {}, ["--http", "0.0.0.0:80"], /^http: .*TLS is required/],
    [
      "all three",
      { slots: 0 },
      { CONTIX_QUANTUM: "0" },
      ["--node", "0"],
      /^slots: .*\(.*yaml\); node: .*; quantum: .*\(CONTIX_QUANTUM\)$/,
    ],
  ])("refuses a mistake in %s by name", async (_where, file, env, flags, says) => {
    await inFile(file);
    const { code, stdout, stderr } = await contixd(env, flags);
    expect([code, stdout]).toEqual([1, ""]);
    const [, reason = ""] = /^contixd: configuration: (.*)\n$/.exec(stderr) ?? [];
    expect(reason, stderr).toMatch(says);
  });

  it("refuses a flag that is none", async () => {
    const { code, stdout, stderr } = await contixd({}, ["--colour", "red"]);
    expect([code, stdout]).toEqual([1, ""]);
    expect(stderr).toMatch(/unknown option '--colour'/);
  });
});
