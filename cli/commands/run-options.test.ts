import { Command } from "commander";
import { expect, it } from "vitest";
import { addProgramFlags, type ProgramFlags, spawnOptions } from "./run-options.js";

function watchdogOf(text: string): unknown {
  const command = addProgramFlags(new Command("run"))
    .exitOverride()
    .configureOutput({
      writeErr: () => undefined,
    });
  command.parse(["--watchdog", text], { from: "user" });
  return spawnOptions(command.opts<ProgramFlags>()).watchdog;
}

it("a watchdog's time has a unit, or is in seconds", () => {
  const texts = ["30s", "2m", "500ms", "30", "0.5", "24h"];
  expect(texts.map(watchdogOf)).toEqual([30_000, 120_000, 500, 30_000, 500, 86_400_000]);
  for (const wrong of ["", "soon", "30 s", "-1", "99ms", "0", "25h", "1e3"]) {
    expect(() => watchdogOf(wrong), wrong).toThrow(/such as 30s/);
  }
});
