/**
 * A process for tests of memory: imports the GGUF file of its second argument into the
 * library of its first. Prints the most memory that it had before and in all, bytes.
 */
import { readFileSync } from "node:fs";
import { openLibrary } from "../library.js";

/** What `getrusage` says would count the memory of whoever started this process. */
function mostMemory(): number {
  const [, kib] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync("/proc/self/status", "utf8")) ?? [];
  return Number(kib) * 1024;
}

const [root = "", file = ""] = process.argv.slice(2);
const library = openLibrary(root, []);
const before = mostMemory();
await library.importFile(file, { name: "big", recipe: "q8" });
process.stdout.write(JSON.stringify({ before, most: mostMemory() }));
