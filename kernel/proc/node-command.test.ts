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

  it("opens the directories of its script and of what is loaded before", () => {
    const argv = ["node", "--import", "file:///nowhere/loader/x.mjs", "/nowhere/agent/agent.js"];
    const limits = { memoryBytes: 0, cpuUs: 0, openFiles: 0, read: [], write: [] };
    const program = { argv, env: {}, cwd: "/", confinement: { ...limits, permission: true } };
    expect(confined(program)).toEqual(
      expect.arrayContaining([
        ...["--allow-fs-read=/nowhere/agent", "--allow-fs-read=/nowhere/loader"],
      ]),
    );
  });
});
