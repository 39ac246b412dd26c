/**
 * The `contix` command with one more model in its catalogue, for tests of pulls by name: the
 * first argument is the entry as JSON, the rest is the command line.
 */
import { main } from "../../cli/program.js";
import { CATALOG, type CatalogEntry } from "../../servers/llm/models/catalog.js";

const [entry = "", ...argv] = process.argv.slice(2);
(CATALOG as CatalogEntry[]).push(JSON.parse(entry) as CatalogEntry);
process.exitCode = await main(argv);
