// A copy of the tree to break: the sources, and what is compiled from them for tests
// that start real processes.
import { createHash } from "node:crypto";
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
/** Of the benchmarks only what the simulator is. */
const CODE = [
  "proto",
  "kernel",
  "syscalls",
  "servers",
  "agents",
  "cli",
  "bench/harness",
  "bench/sim",
];
const FOLDERS = [...CODE, "test"];
const FILES = [
  "package.json",
  "tsconfig.json",
  "tsconfig.build.json",
  "vitest.config.ts",
  "vitest.import.config.ts",
];

/** A fresh copy of what the suite needs. */
export function copyTree() {
  const copy = mkdtempSync(join(tmpdir(), "contix-mutants-"));
  for (const part of [...FOLDERS, ...FILES]) {
    cpSync(join(ROOT, part), join(copy, part), { recursive: true });
  }
  symlinkSync(join(ROOT, "node_modules"), join(copy, "node_modules"));
  return copy;
}

/** Compiles a copy whole, once, source by source: types were checked elsewhere. */
export function compileTree(copy) {
  for (const folder of CODE) {
    for (const path of filesIn(copy, folder)) {
      const compiled = join(copy, "dist", path.replace(/\.ts$/, ".js"));
      mkdirSync(dirname(compiled), { recursive: true });
      if (!path.endsWith(".ts")) cpSync(join(copy, path), compiled);
      else if (!path.endsWith(".test.ts")) compile(copy, path);
    }
  }
}

/** Another copy of a compiled copy, so that two mutants can be tried at once. */
export function copyAgain(copy) {
  const again = mkdtempSync(join(tmpdir(), "contix-mutants-"));
  cpSync(copy, again, { recursive: true, verbatimSymlinks: true });
  return again;
}

/** A digest of every source in the copy: the same digest, the same verdicts. */
export function treeDigest(copy) {
  const hash = createHash("sha256");
  for (const path of FOLDERS.flatMap((folder) => filesIn(copy, folder))) {
    hash
      .update(path)
      .update("\0")
      .update(readFileSync(join(copy, path)))
      .update("\0");
  }
  return hash.digest("hex");
}

/** Puts one source in force: as it is for unit tests, compiled for those with real processes. */
export function put(copy, path, source) {
  writeFileSync(join(copy, path), source);
  compile(copy, path);
}

function compile(copy, path) {
  const { outputText } = ts.transpileModule(readFileSync(join(copy, path), "utf8"), {
    compilerOptions: {
      target: ts.ScriptTarget.ES2023,
      module: ts.ModuleKind.ESNext,
      verbatimModuleSyntax: true,
    },
    fileName: path,
  });
  writeFileSync(join(copy, "dist", path.replace(/\.ts$/, ".js")), outputText);
}

/** Every file below a folder of the copy, as paths from the copy's root, sorted. */
function filesIn(copy, folder) {
  return readdirSync(join(copy, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(copy, join(entry.parentPath, entry.name)))
    .sort();
}
