// Switches guards off one at a time, in a copy of the tree, and demands that the
// suite fails each time: a check that cannot fail proves nothing.
//   npm run test:mutants [-- NAME-PART]
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { MUTANTS } from "./mutants.mjs";

const root = fileURLToPath(new URL("../..", import.meta.url));
const wanted = process.argv[2] ?? "";
const copy = mkdtempSync(join(tmpdir(), "contix-mutants-"));
process.on("exit", () => rmSync(copy, { recursive: true, force: true }));
process.on("SIGINT", () => process.exit(130));
process.on("SIGTERM", () => process.exit(143));

const parts = ["proto", "kernel", "syscalls", "servers", "agents", "cli", "test"];
const files = ["package.json", "tsconfig.json", "vitest.config.ts"];
for (const part of [...parts, ...files]) {
  cpSync(join(root, part), join(copy, part), { recursive: true });
}
symlinkSync(join(root, "node_modules"), join(copy, "node_modules"));
symlinkSync(join(root, "dist"), join(copy, "dist"));

/** Whether the suite notices. An error before the tests ran would not count as noticing. */
function suiteFails(tests) {
  const env = { ...process.env, CONTIX_SIM_RUNS: process.env.CONTIX_SIM_RUNS ?? "60" };
  const result = spawnSync("node_modules/.bin/vitest", ["run", "--reporter=json", ...tests], {
    cwd: copy,
    encoding: "utf8",
    env,
    timeout: 240_000,
    maxBuffer: 1 << 28,
  });
  const start = result.stdout.indexOf("{");
  const report = start < 0 ? undefined : JSON.parse(result.stdout.slice(start));
  if (!report || report.numTotalTests === 0) {
    if (result.error?.code === "ETIMEDOUT") return { fails: true, how: "timed out" };
    throw new Error(`no test ran: ${result.stderr.slice(-2000)}`);
  }
  return {
    fails: report.numFailedTests > 0,
    how: `${report.numFailedTests} of ${report.numTotalTests} failed`,
  };
}

let survived = 0;
const chosen = MUTANTS.filter(({ name }) => name.includes(wanted));
for (const { name, file, from, to, tests } of chosen) {
  const path = join(copy, file);
  const source = readFileSync(path, "utf8");
  if (source.split(from).length !== 2) {
    console.log(
      `STALE    ${name}: its text stands ${source.split(from).length - 1} times in ${file}`,
    );
    survived++;
    continue;
  }
  writeFileSync(
    path,
    source.replace(from, () => to),
  );
  const { fails, how } = suiteFails(tests);
  writeFileSync(path, source);
  if (!fails) survived++;
  console.log(`${fails ? "killed  " : "SURVIVED"} ${name} (${how})`);
}
console.log(`${chosen.length - survived} killed, ${survived} survived`);
process.exit(survived === 0 && chosen.length > 0 ? 0 : 1);
