/** A team's manifest: from its text to what is started, or to all that is wrong with it. */
import { readFileSync, statSync } from "node:fs";
import { basename, dirname, extname, resolve } from "node:path";
import { CliError, describe, EXIT_USAGE } from "../errors.js";
import { commandFor } from "../launch.js";
import { check, startOrder } from "./check.js";
import { type Mistake, mistakesOf, said } from "./issues.js";
import { type Path, type Place, Source } from "./places.js";
import { type AgentSpec, Team, type TeamSpec } from "./schema.js";

/** An agent as it is started. */
export interface TeamAgent extends Omit<AgentSpec, "command" | "cwd"> {
  readonly name: string;
  /** What the operating system starts. */
  readonly argv: readonly string[];
  readonly cwd: string;
}

export interface Manifest extends Omit<TeamSpec, "agents" | "name" | "cwd"> {
  readonly name: string;
  readonly file: string;
  /** In the order in which they start. */
  readonly agents: readonly TeamAgent[];
  /** Where something stands, for what turns out to be wrong later. */
  readonly place: (path: Path) => Place;
}

/** A manifest with mistakes: nothing of it was started. */
export class ManifestError extends CliError {
  readonly mistakes: readonly Mistake[];
  /** One line a mistake: `team.yaml:7:12: …`. */
  readonly lines: readonly string[];

  constructor(file: string, mistakes: readonly Mistake[]) {
    const sorted = [...mistakes].sort((a, b) => a.line - b.line || a.column - b.column);
    const count = sorted.length === 1 ? "a mistake" : `${sorted.length} mistakes`;
    super(`${file}: ${count}; nothing of it runs`, EXIT_USAGE);
    this.mistakes = sorted;
    this.lines = sorted.map((m) => `${file}:${m.line}:${m.column}: ${m.message}`);
  }
}

/** Reads a manifest from a file. ManifestError, CliError. */
export function readManifest(file: string): Manifest {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const why =
      code === "ENOENT" ? "no such file" : code === "EISDIR" ? "a directory" : describe(error);
    throw new CliError(`${file}: ${why}`, EXIT_USAGE);
  }
  return parseManifest(text, file);
}

/** Reads a manifest's text; programs and folders in it are sought from the file's own folder. */
export function parseManifest(text: string, file: string): Manifest {
  const source = new Source(text);
  if (source.errors.length > 0) throw new ManifestError(file, source.errors);
  const parsed = Team.safeParse(source.data ?? {}, { reportInput: true });
  if (!parsed.success) throw new ManifestError(file, mistakesOf(source, parsed.error.issues));
  const team = parsed.data;
  const wrong = check(source, team);
  if (wrong.length > 0) throw new ManifestError(file, wrong);
  const agents = resolved(team, dirname(resolve(file)), (path, error) => {
    wrong.push({ ...source.valueAt(path), message: said(path, describe(error)) });
  });
  if (wrong.length > 0) throw new ManifestError(file, wrong);
  const { agents: _, cwd: __, name = basename(file, extname(file)), ...rest } = team;
  return { ...rest, name, file, agents, place: (path) => source.valueAt(path) };
}

/** Agents with whole paths, in the order of their start. */
function resolved(
  team: TeamSpec,
  folder: string,
  wrong: (path: Path, error: unknown) => void,
): TeamAgent[] {
  const home = resolve(folder, team.cwd ?? ".");
  if (!isDirectory(home)) wrong(["cwd"], new CliError(`there is no directory ${home}`));
  return startOrder(team.agents).flatMap((name) => {
    const agent = team.agents[name];
    if (!agent) return [];
    const { command, cwd: own, ...rest } = agent;
    const cwd = resolve(home, own ?? ".");
    if (own !== undefined && !isDirectory(cwd)) {
      wrong(["agents", name, "cwd"], new CliError(`there is no directory ${cwd}`));
      return [];
    }
    const [program = "", ...args] = command;
    try {
      const argv = commandFor(program, args, cwd);
      return [{ ...rest, name, cwd, argv, env: { ...team.env, ...agent.env } }];
    } catch (error) {
      wrong(["agents", name, "command"], error);
      return [];
    }
  });
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}
