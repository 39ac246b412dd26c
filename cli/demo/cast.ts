/** Who plays in the demo: one agent for each text that comes with the repository. */
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { CliError } from "../errors.js";
import { packagePath } from "../package.js";

/** An agent that the demo will start. */
export interface Role {
  readonly name: string;
  readonly argv: readonly string[];
}

const AGENTS = 8;
/** About 450 tokens: what the agent summarizes in one go, so that the whole demo takes a minute at most. */
const OPENING = 2_000;

/**
 * Eight times `agents/summarize.ts`, each on the opening paragraphs of a text.
 *
 * @param folder where the openings are written.
 */
export async function castOf(folder: string): Promise<Role[]> {
  const texts = packagePath("agents", "data", "texts");
  const names = (await readdir(texts)).filter((name) => name.endsWith(".txt")).sort();
  if (names.length < AGENTS) throw new CliError(`${texts} is not whole: reinstall contix`);
  const agent = packagePath("dist", "agents", "summarize.js");
  await mkdir(folder, { recursive: true });
  const roles = names.slice(0, AGENTS).map(async (name) => {
    const path = join(folder, name);
    await writeFile(path, openingOf(await readFile(join(texts, name), "utf8"), OPENING));
    return { name: basename(name, ".txt"), argv: [process.execPath, agent, path] };
  });
  return Promise.all(roles);
}

/** The paragraphs with which `text` begins, up to `most` characters; one at least. */
export function openingOf(text: string, most: number): string {
  let opening = "";
  for (const paragraph of text.trim().split(/\n\s*\n/)) {
    const longer = opening === "" ? paragraph : `${opening}\n\n${paragraph}`;
    if (opening !== "" && longer.length > most) break;
    opening = longer;
  }
  return opening;
}

/** What an agent said at last: its log without the lines of progress, which begin with `summarize: `. */
export function answerIn(log: string): string {
  const lines = log.split("\n").filter((line) => !line.startsWith("summarize: "));
  return lines.join("\n").trim();
}
