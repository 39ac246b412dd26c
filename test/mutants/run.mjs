// Switches guards off one at a time, in copies of the tree, and demands that the
// suite fails each time: a check that cannot fail proves nothing.
//   npm run test:mutants [-- [--only NAME-PART]... [--share K/N] [--resume] [--jobs N] [--list]]
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { MUTANTS } from "./mutants.mjs";
import { endAll, runSuite } from "./suite.mjs";
import { compileTree, copyAgain, copyTree, put, treeDigest } from "./tree.mjs";

const KEPT = fileURLToPath(
  new URL("../../node_modules/.cache/contix/mutants.json", import.meta.url),
);
const { values: flags } = parseArgs({
  options: {
    only: { type: "string", multiple: true, default: [] },
    resume: { type: "boolean", default: false },
    jobs: { type: "string", default: "2" },
    list: { type: "boolean", default: false },
    // Each Nth row, from the Kth on: N runs with other Ks see all of them.
    share: { type: "string", default: "1/1" },
  },
});
const [, k = 0, n = 0] = (/^(\d+)\/(\d+)$/.exec(flags.share) ?? []).map(Number);
if (k < 1 || k > n) {
  console.error(`--share is ${flags.share}; K/N such as 1/2, with K from 1 to N`);
  process.exit(2);
}
const chosen = MUTANTS.filter(
  ({ name }, i) =>
    i % n === k - 1 && (flags.only.length === 0 || flags.only.some((part) => name.includes(part))),
);
if (flags.list) {
  for (const { name } of chosen) console.log(name);
  process.exit(0);
}
if (chosen.length === 0) {
  console.error(`no row has ${flags.only.join(" or ")} in its name`);
  process.exit(2);
}

const copies = [];
process.on("exit", () => {
  endAll();
  for (const copy of copies) rmSync(copy, { recursive: true, force: true });
});
process.on("SIGINT", () => process.exit(130));
process.on("SIGTERM", () => process.exit(143));

const startedAt = Date.now();
const seconds = (since) => ((Date.now() - since) / 1000).toFixed(1);

copies.push(copyTree());
const tree = treeDigest(copies[0]);
const killedBefore = new Set(flags.resume ? killedIn(tree) : []);
const todo = chosen.filter((row) => !killedBefore.has(keyOf(row)));
console.log(`${chosen.length} rows, ${chosen.length - todo.length} of them killed before`);
const count = { killed: chosen.length - todo.length, survived: 0, stale: 0, broken: 0 };
/** What was said of rows that are not killed: once more at the end, where it is found. */
const open = [];

if (todo.length > 0) {
  compileTree(copies[0]);
  // A test that fails anyway kills nothing.
  const tests = [...new Set(todo.flatMap((row) => row.tests))];
  const { ran, failed } = await runSuite(copies[0], { tests }, { bail: false });
  for (const { name, why } of failed) console.log(`FAILS    without a mutant: ${name}: ${why}`);
  console.log(
    `${ran - failed.length} of ${ran} tests pass without a mutant (${seconds(startedAt)} s)`,
  );
  while (copies.length < Math.min(Number(flags.jobs), todo.length))
    copies.push(copyAgain(copies[0]));
  const queue = todo.values();
  await Promise.all(
    copies.map((copy) => work(copy, queue, new Set(failed.map(({ name }) => name)))),
  );
}

for (const line of open) console.log(line);
const more = ["stale", "broken"].flatMap((kind) =>
  count[kind] > 0 ? [`${count[kind]} ${kind}`] : [],
);
console.log(
  [`${count.killed} killed`, `${count.survived} survived`, ...more].join(", "),
  `(${seconds(startedAt)} s)`,
);
process.exit(count.killed === chosen.length ? 0 : 1);

/** Takes rows from the queue, which others share, until it is empty. */
async function work(copy, queue, failing) {
  for (const row of queue) {
    const since = Date.now();
    const { verdict, why } = await judge(copy, row, failing);
    count[verdict]++;
    if (verdict === "killed") keepKilled(row);
    const word = verdict === "killed" ? verdict : verdict.toUpperCase();
    const line = `${word.padEnd(8)} ${row.name} (${why}; ${seconds(since)} s)`;
    if (verdict !== "killed") open.push(line);
    console.log(line);
  }
}

async function judge(copy, row, failing) {
  const source = readFileSync(join(copy, row.file), "utf8");
  const places = source.split(row.from).length - 1;
  if (places !== 1) {
    return { verdict: "stale", why: `its text stands ${places} times in ${row.file}` };
  }
  put(
    copy,
    row.file,
    source.replace(row.from, () => row.to),
  );
  try {
    const { ran, failed } = await runSuite(copy, row, { bail: true });
    const [by] = failed.filter(({ name }) => !failing.has(name));
    if (by !== undefined) return { verdict: "killed", why: by.name };
    const [anyway] = failed;
    return anyway === undefined
      ? { verdict: "survived", why: `${ran} tests ran` }
      : { verdict: "broken", why: `fails without it too: ${anyway.name}` };
  } catch (error) {
    return { verdict: "broken", why: error.message };
  } finally {
    put(copy, row.file, source);
  }
}

function keyOf(row) {
  return JSON.stringify(row);
}

/** The rows that were killed in this very tree, by this or an earlier run. */
function killedIn(digest) {
  try {
    const kept = JSON.parse(readFileSync(KEPT, "utf8"));
    return kept.tree === digest ? kept.killed : [];
  } catch {
    // Nothing was kept, or not by this version: all rows are to do.
    return [];
  }
}

function keepKilled(row) {
  killedBefore.add(keyOf(row));
  mkdirSync(dirname(KEPT), { recursive: true });
  writeFileSync(KEPT, JSON.stringify({ tree, killed: [...killedBefore] }));
}
