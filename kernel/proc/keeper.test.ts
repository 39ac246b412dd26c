import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { afterAll, beforeAll, expect, it } from "vitest";
import { until } from "../../test/support/kernels.js";
import { isOver } from "../../test/support/os-process.js";

// A daemon that only keeps: it starts two groups, forgets the second, and lives on.
const DAEMON = `
import { spawn } from "node:child_process";
import { Keeper } from "./keeper.mjs";
const keeper = new Keeper();
const group = () => {
  const child = spawn("sh", ["-c", "sleep 600 & echo $!; wait"], { detached: true });
  return new Promise((done) => child.stdout.once("data", (text) => done([child.pid, Number(text)])));
};
const kept = await group();
const forgotten = await group();
keeper.watch(kept[0]);
keeper.watch(forgotten[0]);
keeper.forget(forgotten[0]);
console.log(JSON.stringify({ kept, forgotten }));
setInterval(() => {}, 1000);
`;

let directory: string;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "keeper-"));
  writeFileSync(join(directory, "daemon.mjs"), DAEMON);
  await build({
    entryPoints: [fileURLToPath(new URL("keeper.ts", import.meta.url))],
    outfile: join(directory, "keeper.mjs"),
    ...{ bundle: true, platform: "node", format: "esm", logLevel: "silent" },
  });
});

afterAll(() => rmSync(directory, { recursive: true, force: true }));

// The same with control groups, which reach what left its process group, is in
// test/e2e/processes-life.test.ts.
it("a daemon's death ends the process groups on its list, and none that it forgot", async () => {
  const daemon = spawn(process.execPath, [join(directory, "daemon.mjs")], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [line] = (await once(createInterface(daemon.stdout), "line")) as [string];
  const { kept, forgotten } = JSON.parse(line) as Record<"kept" | "forgotten", number[]>;
  try {
    expect([...kept, ...forgotten].filter(isOver)).toEqual([]);
    daemon.kill("SIGKILL");
    await until(() => kept.every(isOver));
    expect(forgotten.filter(isOver)).toEqual([]);
  } finally {
    process.kill(-(forgotten[0] ?? 0), "SIGKILL");
  }
});
