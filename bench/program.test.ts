import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Command } from "commander";
import { afterEach, describe, expect, it, vi } from "vitest";
import { GOALS, type Goal } from "./goals.js";
import { type Figure, SUITES, writeReport } from "./harness/report.js";
import { figureOf, reportOf } from "./harness/testing.js";
import { program } from "./program.js";

/** Runs the command line; gives what it said. */
async function run(...args: string[]): Promise<{ out: string; err: string; error?: unknown }> {
  const said = { out: "", err: "" };
  const bench = program();
  const configure = (command: Command): void => {
    command.configureOutput({
      writeOut: (text) => {
        said.out += text;
      },
      writeErr: (text) => {
        said.err += text;
      },
    });
    for (const child of command.commands) configure(child);
  };
  configure(bench);
  vi.spyOn(process.stdout, "write").mockImplementation((text) => {
    said.out += text;
    return true;
  });
  try {
    await bench.parseAsync(args, { from: "user" });
    return said;
  } catch (error) {
    return { ...said, error };
  } finally {
    vi.restoreAllMocks();
  }
}

afterEach(() => {
  process.exitCode = undefined;
});

describe("bench", () => {
  it("shows examples in its help", async () => {
    const { out } = await run("--help");
    expect(out).toContain("npm run bench -- engine");
    expect(out).toContain("Exit codes");
  });

  it.each([
    [["engine", "--rows", "0"], "'0' is invalid. Expected a whole number of at least 1."],
    [["engine", "--rows", "1,x"], "'1,x' is invalid"],
    [["engine", "--steps", "1.5"], "Expected a whole number"],
    [["engine", "--rounds", "-1"], "Expected a whole number"],
    [["quality", "--window", "1"], "at least 2"],
    [["kernel", "--agents", "many"], "'many' is invalid"],
    [["startup", "--nonsense"], "unknown option '--nonsense'"],
    [["engine", "--peers", "llama,gpt"], "Expected some of llama, formats, transformers"],
    [["nonsense"], "unknown command 'nonsense'"],
  ])("refuses %j", async (args, message) => {
    const { err, error } = await run(...args);
    expect(err).toContain(message);
    expect(error).toMatchObject({ name: "CommanderError", exitCode: 1 });
  });
});

/** A figure that just meets its goal. */
function met({ figure, goal, comparison }: Goal): Figure {
  return figureOf(figure, comparison === "below" ? goal / 2 : goal);
}

describe("bench check", () => {
  it("holds only the goals of the suites that are named", async () => {
    const folder = await mkdtemp(join(tmpdir(), "contix-check-test-"));
    try {
      await writeReport(reportOf("startup", [figureOf("ready", 1.5)]), folder);
      const { out } = await run("check", "startup", "--from", folder);
      expect(out).toContain("startup ready");
      expect(out).not.toContain("engine");
      expect(process.exitCode).toBeUndefined();
      expect((await run("check", "speed")).err).toContain("Expected one of engine");
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it("prints every goal and fails on a miss, and on nothing measured", async () => {
    const folder = await mkdtemp(join(tmpdir(), "contix-check-test-"));
    try {
      await writeReport(reportOf("startup", [figureOf("ready", 1.5)]), folder);
      const { out } = await run("check", "--from", folder);
      expect(out).toMatch(/startup ready .* yes /);
      expect(out).toMatch(/engine rows8\.ctx64\.ratio .* not measured .* NO /);
      expect(process.exitCode).toBe(1);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it("is content when every goal is met", async () => {
    const folder = await mkdtemp(join(tmpdir(), "contix-check-test-"));
    try {
      for (const suite of SUITES) {
        const figures = GOALS.filter((goal) => goal.suite === suite).map(met);
        await writeReport(reportOf(suite, figures), folder);
      }
      const { out } = await run("check", "--from", folder, "--json");
      expect(JSON.parse(out)).toHaveLength(GOALS.length);
      expect(process.exitCode).toBeUndefined();
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
