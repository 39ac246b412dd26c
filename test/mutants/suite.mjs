// One run of vitest in a copy of the tree, and who failed in it.
import { spawn } from "node:child_process";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";

const running = new Set();
/** A test that hangs has failed; all of them take far less when they pass. */
const TEST_MS = 30_000;
/** Beyond every test's own limit: a run of one row's tests that does not end is ended. */
const RUN_MS = 240_000;
/** A run of all rows' tests. */
const ALL_MS = 1_200_000;

/** Ends every run, and with its process group what its tests have started. */
export function endAll() {
  for (const child of running) kill(child);
}

function kill(child) {
  try {
    process.kill(-child.pid, "SIGKILL");
  } catch {
    // It has ended by itself.
  }
}

/**
 * Runs `tests` (only those with `only` in their name) and resolves with how many ran
 * and which failed, by full name and why. `bail` ends the run at the first failure.
 */
export async function runSuite(copy, { tests, only }, { bail }) {
  const report = join(copy, "report.json");
  rmSync(report, { force: true });
  const limits = [
    `--testTimeout=${TEST_MS}`,
    `--hookTimeout=${TEST_MS}`,
    ...(bail ? ["--bail=1"] : []),
  ];
  const names = only ? ["-t", only] : [];
  const args = ["run", "--reporter=json", `--outputFile=${report}`, ...limits, ...names, ...tests];
  const limitMs = bail ? RUN_MS : ALL_MS;
  const { said, late } = await vitest(copy, args, limitMs);
  let results;
  try {
    results = JSON.parse(readFileSync(report, "utf8"));
  } catch {
    const why = late ? `it was ended after ${limitMs / 1000} s` : said;
    throw new Error(`vitest wrote no report: ${why}`);
  }
  const all = results.testResults.flatMap(({ assertionResults }) => assertionResults);
  const failed = all.filter(({ status }) => status === "failed");
  const passed = all.filter(({ status }) => status === "passed");
  const ran = failed.length + passed.length;
  // A file that can not even be loaded notices nothing: it would hide every mutant.
  if (ran === 0) throw new Error(`no test ran: ${results.testResults[0]?.message ?? said}`);
  return {
    ran,
    failed: failed.map(({ fullName, failureMessages }) => ({
      name: fullName,
      why: failureMessages[0]?.split("\n")[0] ?? "",
    })),
  };
}

/** Resolves with the end of what it said on stderr, and whether it took too long and was ended. */
function vitest(copy, args, limitMs) {
  const env = { CONTIX_SIM_RUNS: "100", CONTIX_SIM_SHRINK: "0", ...process.env };
  const child = spawn("node_modules/.bin/vitest", args, {
    cwd: copy,
    env,
    detached: true,
    stdio: ["ignore", "ignore", "pipe"],
  });
  running.add(child);
  let late = false;
  const limit = setTimeout(() => {
    late = true;
    kill(child);
  }, limitMs);
  let said = "";
  child.stderr.on("data", (bytes) => {
    said = (said + bytes).slice(-2000);
  });
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", () => {
      clearTimeout(limit);
      running.delete(child);
      // What a broken kernel left behind must not disturb the next run.
      kill(child);
      resolve({ said, late });
    });
  });
}
