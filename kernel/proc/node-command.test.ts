import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { confined } from "./confine.js";
import { nodeCommand } from "./node-command.js";

describe("the command line of a Node program", () => {
  it.each([
    [["agent.js", "--import", "x.mjs"], "/w/agent.js", []],
    [["--import", "file:///p/tsx/loader.mjs", "/a/agent.js"], "/a/agent.js", ["/p/tsx/loader.mjs"]],
    [["--import=./hook.mjs", "-r", "/a/b.cjs", "x/a.js"], "/w/x/a.js", ["/w/hook.mjs", "/a/b.cjs"]],
    [["--import", "tsx", "-C", "dev", "--title", "t", "a.js"], "/w/a.js", []],
    [["--max-old-space-size=64", "--enable-source-maps", "a.js"], "/w/a.js", []],
    [["--", "-a.js"], "/w/-a.js", []],
    [["--input-type=module", "-e", "import '/a/b'", "word"], undefined, []],
    [["-e", "1", "--import", "./hook.mjs"], undefined, ["/w/hook.mjs"]],
    [["-"], undefined, []],
    [["--import"], undefined, []],
    [["--import", "file://elsewhere/x.mjs", "a.js"], "/w/a.js", []],
    [[], undefined, []],
  ])("%j runs what it says", (args, script, preloads) => {
    expect(nodeCommand(args, "/w")).toEqual({ script, preloads });
  });

  /** What it may read, of files and directories. */
  function opened(...args: string[]): string[] {
    const limits = { memoryBytes: 0, cpuUs: 0, openFiles: 0, read: [], write: [] };
    const confinement = { ...limits, permission: true };
    const argv = confined({ argv: ["node", ...args], env: {}, cwd: "/", confinement });
    return argv.flatMap((word) => /^--allow-fs-read=(.*)$/.exec(word)?.[1] ?? []);
  }

  it("opens the directories of its script and of what is loaded before", () => {
    const paths = opened("--import", "file:///nowhere/loader/x.mjs", "/nowhere/agent/agent.js");
    expect(paths).toEqual(expect.arrayContaining(["/nowhere/agent", "/nowhere/loader"]));
  });

  it("opens the SDK to an agent that lies in its package", () => {
    const root = fileURLToPath(new URL("../..", import.meta.url));
    const paths = opened(`${root}agents/agent.js`).map((path) => path.replace(/\/$/, ""));
    expect(paths).toContain(`${root}dist`);
  });
});
