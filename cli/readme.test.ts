/** The README says what is so: its agent, its tables and its examples are checked against the code. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";
import { describe, expect, it } from "vitest";
import { loadConfig } from "../kernel/config.js";
import { ERRNO } from "../proto/errno.js";
import { packagePath } from "./package.js";
import { buildProgram } from "./program.js";

const readme = readFileSync(packagePath("README.md"), "utf8");

/** The fenced blocks of a language. */
function blocks(language: string): string[] {
  const fence = new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, "gms");
  return [...readme.matchAll(fence)].map((match) => match[1] ?? "");
}

/** Type errors of TypeScript sources that stand in this package's root. */
function typeErrors(sources: ReadonlyMap<string, string>): string[] {
  const options: ts.CompilerOptions = {
    target: ts.ScriptTarget.ES2023,
    lib: ["lib.es2023.d.ts", "lib.esnext.disposable.d.ts"],
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    ...{ strict: true, noEmit: true, skipLibCheck: true, exactOptionalPropertyTypes: true },
    types: ["node"],
  };
  const host = ts.createCompilerHost(options);
  const { fileExists, readFile, getSourceFile } = host;
  host.fileExists = (path) => sources.has(path) || fileExists(path);
  host.readFile = (path) => sources.get(path) ?? readFile(path);
  host.getSourceFile = (path, languageVersion) => {
    const own = sources.get(path);
    if (own === undefined) return getSourceFile(path, languageVersion);
    return ts.createSourceFile(path, own, languageVersion);
  };
  const program = ts.createProgram([...sources.keys()], options, host);
  return ts
    .getPreEmitDiagnostics(program)
    .map((d) => `${d.file?.fileName}: ${ts.flattenDiagnosticMessageText(d.messageText, " ")}`);
}

describe("the README", () => {
  it("has the ten-line agent as it is", () => {
    expect(blocks("ts")[0]).toBe(readFileSync(packagePath("agents/hello.ts"), "utf8"));
  });

  it("has examples that compile", () => {
    const sources = blocks("ts").map((code, i) => [packagePath(`readme-${i}.ts`), code] as const);
    expect(sources.length).toBeGreaterThan(4);
    expect(typeErrors(new Map(sources))).toEqual([]);
  });

  it("has every errno as the table has it", () => {
    const rows = Object.entries(ERRNO).map(
      ([name, row]) => `| \`${name}\` | ${row.retryable ? "yes" : "no"} | ${row.fix} |`,
    );
    for (const row of rows) expect(readme).toContain(row);
  });

  it("has every setting and its default", () => {
    const { home: _home, limits, ...settings } = loadConfig({ home: "/nonexistent" }, {});
    for (const [name, value] of Object.entries(settings)) {
      const row = readme.split("\n").find((line) => line.startsWith(`| \`${name}\` |`));
      expect(row, name).toBeDefined();
      expect(row).toContain(value === "" ? "| |" : String(value));
    }
    for (const name of Object.keys(limits)) expect(readme).toContain(`\`${name}\``);
  });

  it("has the environment's name of each setting that is a number", () => {
    for (const [name, value] of Object.entries(loadConfig({ home: "/nonexistent" }, {}))) {
      const row = readme.split("\n").find((line) => line.startsWith(`| \`${name}\` |`));
      const variable = row?.match(/`(CONTIX_\w+)`/)?.[1];
      if (typeof value !== "number" || variable === undefined) continue;
      const env = { [variable]: String(value + 1) };
      expect(loadConfig({ home: "/nonexistent" }, env), variable).toHaveProperty(name, value + 1);
    }
  });

  it("names only commands that there are", async () => {
    const program = await buildProgram(undefined);
    const names = new Set(program.commands.map((command) => command.name()));
    const named = blocks("sh").flatMap((block) =>
      [...block.matchAll(/(?:^|[ &])contix (\w+)/gm)].map((match) => match[1] ?? ""),
    );
    expect(named.length).toBeGreaterThan(5);
    expect(named.filter((name) => !names.has(name))).toEqual([]);
  });

  it("points to files that are there", () => {
    const links = [...readme.matchAll(/\]\(([^)#:]+)\)/g)].map((match) => match[1] ?? "");
    expect(links.filter((link) => !existsSync(join(packagePath(), link)))).toEqual([]);
  });
});
