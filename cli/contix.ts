#!/usr/bin/env node
/** The `contix` command. */
import { main } from "./program.js";
import { ignoreClosedPipes } from "./terminal.js";

ignoreClosedPipes();
process.exitCode = await main(process.argv.slice(2));
