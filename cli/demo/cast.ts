/** Who plays in the demo: one agent for each text that comes with the repository. */
import { readdir } from "node:fs/promises";
import { basename, join } from "node:path";
import { CliError } from "../errors.js";
import { packagePath } from "../package.js";

/** An agent that the demo will start. */
export interface Role {
  readonly name: string;
  readonly argv: readonly string[];
}

const AGENTS = 8;

/** Eight times `agents/summarize.ts`, each on its own text. */
export async function castOf(): Promise<Role[]> {
  const folder = packagePath("agents", "data", "texts");
  const texts = (await readdir(folder)).filter((name) => name.endsWith(".txt")).sort();
  if (texts.length < AGENTS) throw new CliError(`${folder} is not whole: reinstall contix`);
  const agent = packagePath("dist", "agents", "summarize.js");
  return texts.slice(0, AGENTS).map((text) => ({
    name: basename(text, ".txt"),
    argv: [process.execPath, agent, join(folder, text)],
  }));
}

/** What an agent said at last: its log without the lines of progress, which begin with `summarize: `. */
export function answerIn(log: string): string {
  const lines = log.split("\n").filter((line) => !line.startsWith("summarize: "));
  return lines.join("\n").trim();
}
