import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { exitCodeFor } from "./exit-code.js";
import { commandFor, processName } from "./launch.js";
import { readPid } from "./pid.js";

let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "contix-launch-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe("commandFor", () => {
  it("runs JavaScript by node", async () => {
    await writeFile(join(folder, "a.mjs"), "");
    const command = [process.execPath, join(folder, "a.mjs"), "--flag", "x"];
    expect(commandFor("a.mjs", ["--flag", "x"], folder)).toEqual(command);
  });

  it("runs TypeScript by tsx, this package's where the project has none", async () => {
    await writeFile(join(folder, "a.ts"), "");
    const [node, flag, loader, path] = commandFor("a.ts", [], folder);
    expect([node, flag, path]).toEqual([process.execPath, "--import", join(folder, "a.ts")]);
    expect(loader).toMatch(/^file:.*\/tsx\//);
  });

  it("leaves any other command as it is", () => {
    expect(commandFor("python3", ["agent.py"], folder)).toEqual(["python3", "agent.py"]);
  });

  it("says that a file is not there", () => {
    expect(() => commandFor("none.ts", [], folder)).toThrow("no such program: none.ts");
  });
});

describe("what is shown and read", () => {
  it("names a process by its program", () => {
    expect(["agents/chat.ts", "./x.mjs", "python3", "/bin/tool.sh"].map(processName)).toEqual([
      "chat",
      "x",
      "python3",
      "tool.sh",
    ]);
  });

  it("takes a pid with and without its node", () => {
    expect([readPid("17"), readPid("n2.17")]).toEqual(["n1.17", "n2.17"]);
    for (const wrong of ["", "x", "n1", "n1.", "-1", "1.2"])
      expect(() => readPid(wrong)).toThrow(/is no pid/);
  });

  it("gives a signal's end the exit code of a shell", () => {
    expect(exitCodeFor({ exitCode: 3, cause: "exit" })).toBe(3);
    expect(exitCodeFor({ exitCode: 137, cause: "signal TERM" })).toBe(143);
    expect(exitCodeFor({ exitCode: 137, cause: "signal KILL" })).toBe(137);
    expect(exitCodeFor({ exitCode: 1, cause: "detached" })).toBe(1);
  });
});
