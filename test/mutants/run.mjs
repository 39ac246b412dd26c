// Switches guards off one at a time, in a copy of the tree, and demands that the
// suite fails each time: a check that cannot fail proves nothing.
//   npm run test:mutants [-- NAME-PART]
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";
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
cpSync(join(root, "dist"), join(copy, "dist"), { recursive: true });

/** Puts one source in force: as it is for unit tests, compiled for those with real processes. */
function put(file, source) {
  writeFileSync(join(copy, file), source);
  const options = {
    target: ts.ScriptTarget.ES2023,
    module: ts.ModuleKind.ESNext,
    verbatimModuleSyntax: true,
  };
  const { outputText } = ts.transpileModule(source, { compilerOptions: options, fileName: file });
  writeFileSync(join(copy, "dist", file.replace(/\.ts$/, ".js")), outputText);
}

/** Whether the suite notices. An error before the tests ran would not count as noticing. */
function suiteFails({ tests, only }) {
  const env = { ...process.env, CONTIX_SIM_RUNS: process.env.CONTIX_SIM_RUNS ?? "60" };
  const result = spawnSync(
    "node_modules/.bin/vitest",
    ["run", "--reporter=json", ...(only ? ["-t", only] : []), ...tests],
    {
      cwd: copy,
      encoding: "utf8",
      env,
      timeout: 240_000,
      maxBuffer: 1 << 28,
    },
  );
  const start = result.stdout.indexOf("{");
  const report = start < 0 ? undefined : JSON.parse(result.stdout.slice(start));
  const ran = report ? report.numTotalTests - report.numPendingTests : 0;
  if (ran === 0) {
    if (result.error?.code === "ETIMEDOUT") return { fails: true, how: "timed out" };
    throw new Error(`no test ran: ${result.stderr.slice(-2000)}`);
  }
  return {
    fails: report.numFailedTests > 0,
    how: `${report.numFailedTests} of ${ran} failed`,
  };
}

let survived = 0;
const chosen = MUTANTS.filter(({ name }) => name.includes(wanted));
for (const mutant of chosen) {
  const { name, file, from, to } = mutant;
  const source = readFileSync(join(copy, file), "utf8");
  const places = source.split(from).length - 1;
  if (places !== 1) {
    console.log(`STALE    ${name}: its text stands ${places} times in ${file}`);
    survived++;
    continue;
  }
  const mutated = source.replace(from, () => to);
  put(file, mutated);
  const { fails, how } = suiteFails(mutant);
  put(file, source);
  if (!fails) survived++;
  console.log(`${fails ? "killed  " : "SURVIVED"} ${name} (${how})`);
}
console.log(`${chosen.length - survived} killed, ${survived} survived`);
process.exit(survived === 0 && chosen.length > 0 ? 0 : 1);
