/**
 * Finds a nats-server: the one the user names, one in PATH that is new enough, the
 * cached one, or one that is fetched into the cache. Auth callout and per-key times
 * to live need 2.11; distributions still ship 2.9.
 */
import { execFile } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { chmod, mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { ContixError } from "../../proto/errno.js";
import { PINNED_VERSION, SOURCES, type Source } from "./sources.js";

const OLDEST = [2, 11] as const;

export interface FindOptions {
  readonly env?: NodeJS.ProcessEnv;
  /** Where a fetched one is kept; `~/.contix/bin` by default. */
  readonly cache?: string;
  readonly sources?: readonly Source[];
  /** Hears what is tried next, when it may take long. */
  readonly onTry?: (source: string) => void;
}

/**
 * The path of a nats-server of at least 2.11. ENOENT with the reason of each place
 * and source that has none; EINVAL when $CONTIX_NATS_SERVER names what is none: who
 * names one gets that one or hears why not.
 */
export async function ensureNatsServer(options: FindOptions = {}): Promise<string> {
  const { env = process.env, sources = SOURCES, onTry = () => undefined } = options;
  const { cache = join(homedir(), ".contix", "bin") } = options;
  const named = env.CONTIX_NATS_SERVER;
  if (named) {
    const fault = await faultOf(named);
    if (fault === undefined) return named;
    throw new ContixError("EINVAL", `CONTIX_NATS_SERVER: ${named}: ${fault}`);
  }
  const reasons: string[] = [];
  for (const path of inPath(env.PATH ?? "")) {
    const fault = await faultOf(path);
    if (fault === undefined) return path;
    reasons.push(`${path}: ${fault}`);
  }
  if (reasons.length === 0) reasons.push("PATH: none");
  const kept = join(cache, `nats-server-${PINNED_VERSION}`);
  const fault = await faultOf(kept);
  if (fault === undefined) return kept;
  reasons.push(`${kept}: ${fault}`);
  for (const source of sources) {
    onTry(source.name);
    try {
      await fetchInto(kept, cache, source);
      return kept;
    } catch (error) {
      reasons.push(`${source.name}: ${reasonOf(error)}`);
    }
  }
  const way = "install nats-server 2.11 or newer, or set CONTIX_NATS_SERVER to one";
  throw new ContixError("ENOENT", `there is no nats-server (${reasons.join("; ")}); ${way}`);
}

/** Whole or not at all: it is made beside the cache's file and moved there when it runs. */
async function fetchInto(kept: string, cache: string, source: Source): Promise<void> {
  await mkdir(cache, { recursive: true, mode: 0o700 });
  const into = await mkdtemp(join(cache, ".nats-"));
  try {
    const path = await source.get(into);
    await chmod(path, 0o755);
    const fault = await faultOf(path);
    if (fault !== undefined) throw new ContixError("EIO", fault);
    await rename(path, kept);
  } finally {
    await rm(into, { recursive: true, force: true });
  }
}

function inPath(path: string): string[] {
  const found = path.split(delimiter).map((directory) => join(directory || ".", "nats-server"));
  return found.filter((file) => {
    try {
      accessSync(file, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** Why the file is no nats-server for us; undefined when it is one. */
async function faultOf(path: string): Promise<string | undefined> {
  let said: string;
  try {
    said = (await promisify(execFile)(path, ["--version"], { timeout: 10_000 })).stdout;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ENOENT" ? "none" : reasonOf(error);
  }
  const version = /v(\d+)\.(\d+)\.\d+/.exec(said);
  if (version === null) return `says ${JSON.stringify(said.trim().slice(0, 80))}, no version`;
  const [major, minor] = [Number(version[1]), Number(version[2])];
  const fits = major > OLDEST[0] || (major === OLDEST[0] && minor >= OLDEST[1]);
  return fits ? undefined : `is ${version[0]}; ${OLDEST.join(".")} or newer is needed`;
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause instanceof Error ? `: ${error.cause.message}` : "";
  return `${error.message.split("\n")[0]}${cause}`;
}
