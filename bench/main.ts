#!/usr/bin/env node
/** `npm run bench`: the figures of the engine and the kernel, and whether they meet the goals. */
import { CommanderError } from "commander";
import { program } from "./program.js";

const FAILED = 1;
const USAGE = 2;

try {
  await program().parseAsync();
} catch (error) {
  // Commander has said by now what is wrong with the arguments.
  if (error instanceof CommanderError) process.exit(error.exitCode === 0 ? 0 : USAGE);
  process.stderr.write(`bench: ${error instanceof Error ? error.message : error}\n`);
  process.exit(FAILED);
}
