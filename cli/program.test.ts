import { describe, expect, it } from "vitest";
import { buildProgram } from "./program.js";

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
