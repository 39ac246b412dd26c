import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Command } from "commander";
import { afterEach, describe, expect, it, vi } from "vitest";
import { writeReport } from "./harness/report.js";
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
    [["nonsense"], "unknown command 'nonsense'"],
  ])("refuses %j", async (args, message) => {
    const { err, error } = await run(...args);
    expect(err).toContain(message);
    expect(error).toMatchObject({ name: "CommanderError", exitCode: 1 });
  });
});

describe("bench check", () => {
  it("prints every goal and fails on a miss, and on nothing measured", async () => {
    const folder = await mkdtemp(join(tmpdir(), "contix-check-test-"));
    try {
      await writeReport(reportOf("startup", [figureOf("ready", 1.5)]), folder);
      const { out } = await run("check", "--from", folder);
      expect(out).toMatch(/startup ready .* yes /);
      expect(out).toMatch(/engine rows8\.ctx64\.ratio .* NO /);
      expect(process.exitCode).toBe(1);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it("is content when every goal is met", async () => {
    const folder = await mkdtemp(join(tmpdir(), "contix-check-test-"));
    try {
      await writeReport(reportOf("startup", [figureOf("ready", 1.5)]), folder);
      await writeReport(reportOf("kernel", [figureOf("agents.share", 0.9)]), folder);
      await writeReport(reportOf("quality", [figureOf("nll.q8.difference", 0.004)]), folder);
      await writeReport(reportOf("engine", [figureOf("rows8.ctx64.ratio", 2.6)]), folder);
      const { out } = await run("check", "--from", folder, "--json");
      expect(JSON.parse(out)).toHaveLength(4);
      expect(process.exitCode).toBeUndefined();
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
