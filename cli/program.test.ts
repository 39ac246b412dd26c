import { afterEach, describe, expect, it, vi } from "vitest";
import { buildProgram, main } from "./program.js";

const NAMES = [
  ...["demo", "up", "down", "stats", "doctor", "run", "ps", "kill", "logs"],
  ...["generate", "chat", "model"],
];

/** A command's help as it is printed, with what stands after the options. */
function helpOf(command: { outputHelp(): void; configureOutput(o: object): unknown }): string {
  let text = "";
  command.configureOutput({ writeOut: (s: string) => (text += s) });
  command.outputHelp();
  return text;
}

describe("the command line", () => {
  it("lists every command without loading any", async () => {
    const program = await buildProgram(undefined);
    const text = helpOf(program);
    for (const name of NAMES) expect(text).toMatch(new RegExp(`^  ${name} `, "m"));
  });

  it.each(NAMES)("%s explains itself with examples", async (name) => {
    const program = await buildProgram(name);
    const command = program.commands.find((c) => c.name() === name);
    expect(command).toBeDefined();
    if (command !== undefined) expect(helpOf(command)).toMatch(/Examples:\n {2}\$ .*contix/);
  });

  it("rejects what it does not know, as a mistake of usage", async () => {
    const program = await buildProgram("ps");
    await expect(program.parseAsync(["ps", "--bogus"], { from: "user" })).rejects.toMatchObject({
      code: "commander.unknownOption",
    });
    await expect(program.parseAsync(["frob"], { from: "user" })).rejects.toMatchObject({
      code: "commander.unknownCommand",
    });
  });
});

describe("a wrong command line", () => {
  afterEach(() => vi.restoreAllMocks());

  /** The exit code and what is said on stderr. */
  async function said(...argv: string[]): Promise<[number, string]> {
    vi.spyOn(process.stdout, "write").mockReturnValue(true);
    const stderr = vi.spyOn(process.stderr, "write").mockReturnValue(true);
    const code = await main(argv);
    return [code, stderr.mock.calls.map(([text]) => String(text)).join("")];
  }

  it.each([
    [["up", "--kv", "int9"], "contix: option '--kv <format>' argument 'int9' is wrong"],
    [["vmstat", "x"], "contix: seconds 'x' is wrong: must be a number from 0.1 to 3600"],
    [["model", "rm"], "contix: missing required argument 'name'; see `contix model rm --help`"],
    [["ctx"], "contix: that needs one of the commands above; see `contix ctx --help`"],
    [["help", "nope"], "contix: unknown command 'nope'; see `contix --help`"],
    [["generate", ""], "contix: the prompt is empty"],
  ])("%j is told in a line", async (argv, line) => {
    const [code, text] = await said(...argv);
    expect(code).toBe(2);
    expect(text).toContain(line);
    expect(text.trim()).not.toContain("\n  at ");
  });

  it("is none where help is asked for", async () => {
    expect(await said("help", "help")).toEqual([0, ""]);
    expect(await said("help", "ps")).toEqual([0, ""]);
  });
});
