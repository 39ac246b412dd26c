#!/usr/bin/env node
/** `npm run sim`: eviction policies on traces, beside the optimum. */
import { CommanderError } from "commander";
import { program } from "./program.js";

const FAILED = 1;
const USAGE = 2;
const INTERRUPTED = 130;

try {
  await program().parseAsync();
} catch (error) {
  // Commander has said by now what is wrong with the arguments.
  if (error instanceof CommanderError) process.exit(error.exitCode === 0 ? 0 : USAGE);
  if (error instanceof Error && error.name === "AbortError") process.exit(INTERRUPTED);
  process.stderr.write(`sim: ${error instanceof Error ? error.message : error}\n`);
  process.exit(FAILED);
}
