/**
 * What a program's OS process is held to. Its limits are those of the system (setrlimit),
 * set by a shell that then becomes the program: no privilege is needed and it is there on
 * every Unix. Memory is RLIMIT_DATA, which counts what a program can write to of its own;
 * RLIMIT_AS would count address space that JavaScript and WebAssembly engines reserve and
 * never touch. A limit holds for each OS process that the program starts; for all of them
 * together there are control groups (cgroups.ts), where the daemon may make some.
 */
import { accessSync, constants, existsSync, readFileSync, realpathSync, statSync } from "node:fs";
import { basename, delimiter, dirname, isAbsolute, join, resolve, sep } from "node:path";
import { ContixError } from "../../proto/errno.js";
import type { Confinement, Program } from "../journal/fold-procs.js";
import { directoriesOf, isNode, isTypeScript, nodeCommand } from "./node-command.js";

const MIB = 1 << 20;

/**
 * The command that starts the program under its limits, with its errors where its output
 * goes, in the order in which they came; in the control group with that entrance, "": none.
 */
export function confined({ argv, cwd, confinement }: Program, entrance = ""): string[] {
  const { memoryBytes, cpuUs, openFiles } = confinement;
  const limits = [
    // By itself and before all else, so that nothing of it was ever outside.
    ...(entrance === "" ? [] : ['echo 0 >"$0"']),
    ...(memoryBytes > 0 ? [`ulimit -d ${Math.ceil(memoryBytes / 1024)}`] : []),
    ...(cpuUs > 0 ? [`ulimit -t ${Math.ceil(cpuUs / 1e6)}`] : []),
    ...(openFiles > 0 ? [`ulimit -n ${openFiles}`] : []),
  ];
  const script = ["exec 2>&1", ...limits, 'exec "$@"'].join(" && ");
  const [program = "", ...args] = argv;
  const flags = confinement.permission ? permissions(program, args, cwd, confinement) : [];
  return ["/bin/sh", "-c", script, entrance || "sh", program, ...flags, ...args];
}

/** In words: `memory 4096 MiB, CPU 60 s, Node's permissions`; "": it is held to nothing. */
export function showConfinement(confinement: Confinement | undefined): string {
  if (!confinement) return "";
  const { memoryBytes, cpuUs, openFiles, permission } = confinement;
  const parts = [
    memoryBytes > 0 ? `memory ${Math.ceil(memoryBytes / MIB)} MiB` : "",
    cpuUs > 0 ? `CPU ${Math.ceil(cpuUs / 1e6)} s` : "",
    openFiles > 0 ? `${openFiles} files` : "",
    permission ? "Node's permissions" : "",
  ];
  return parts.filter((part) => part !== "").join(", ");
}

/**
 * EINVAL when a confinement can not hold: permissions are Node's, and none may open the
 * daemon's home, where its tokens are.
 */
export function checkConfinement({ argv, cwd, confinement }: Program, home: string): void {
  if (!confinement.permission) {
    if (confinement.read.length + confinement.write.length === 0) return;
    throw wrong("read and write name what a program may under permission, which is not asked for");
  }
  const [program = "", ...args] = argv;
  if (!isNode(program))
    throw wrong(`${basename(program)} is no Node program: it has no permissions`);
  const own = args.find((arg) => arg.startsWith("--allow-"));
  if (own) throw wrong(`${own.slice(0, 64)} is for read and write to say`);
  const { script } = nodeCommand(args, cwd);
  if (script !== undefined && isTypeScript(script)) {
    // What compiles it as it starts does so in threads and processes of its own: not permitted.
    const message = `${basename(script)} is TypeScript, which can not be compiled under Node's permissions: compile it before, such as by npx tsc, and run the .js`;
    throw wrong(message);
  }
  const { read, write } = confinement;
  const relative = [...read, ...write].find((path) => !isAbsolute(path));
  if (relative !== undefined) throw wrong(`the path "${relative.slice(0, 256)}" is not absolute`);
  const opened = [...readable(args, cwd, confinement), ...write].find((path) => holds(path, home));
  if (opened === undefined) return;
  throw wrong(`${opened} holds the daemon's home, and so its tokens: start it somewhere else`);
}

/**
 * That the program is there and can be run, as execvp would find it. ENOENT, EPERM.
 */
export function checkProgram(program: string, path: string, cwd: string): void {
  const places = program.includes("/")
    ? [resolve(cwd, program)]
    : path.split(delimiter).map((place) => resolve(cwd, place, program));
  const there = places.filter((place) => isFile(place));
  if (there.some((place) => isExecutable(place))) return;
  const what = program.slice(0, 256);
  if (there.length === 0 && !places.some((place) => existsSync(place))) {
    const message = `cannot start "${what}" in ${cwd}: no such program or directory`;
    throw new ContixError("ENOENT", message, { argument: "argv" });
  }
  const message = `cannot start "${what}": ${there[0] ?? places[0]} is no program that may be run`;
  throw new ContixError("EPERM", message, { argument: "argv" });
}

function permissions(
  program: string,
  args: readonly string[],
  cwd: string,
  confinement: Confinement,
): string[] {
  if (!isNode(program)) return [];
  return [
    "--experimental-permission",
    ...readable(args, cwd, confinement).map((path) => `--allow-fs-read=${asDirectory(path)}`),
    ...confinement.write.map((path) => `--allow-fs-write=${asDirectory(path)}`),
  ];
}

/** What a Node program needs to start: its directory, and the packages that it finds from there. */
function readable(args: readonly string[], cwd: string, { read }: Confinement): string[] {
  const from = directoriesOf(nodeCommand(args, cwd), cwd);
  return [...new Set([...from.flatMap((at) => [at, ...packagesFrom(at)]), ...read])];
}

/** Where the packages are that a module in that directory finds. */
function packagesFrom(from: string): string[] {
  const found: string[] = [];
  for (let at = from; ; at = dirname(at)) {
    for (const name of ["node_modules", "package.json"]) {
      const path = join(at, name);
      if (existsSync(path)) found.push(path);
    }
    const linked = join(at, "node_modules", "contix");
    if (existsSync(linked)) found.push(realpathSync(linked));
    // A package finds itself by its name.
    if (isSdk(join(at, "package.json"))) found.push(join(at, "dist"));
    if (dirname(at) === at) return found;
  }
}

function isSdk(path: string): boolean {
  try {
    return (JSON.parse(readFileSync(path, "utf8")) as { name?: unknown }).name === "contix";
  } catch {
    // None, or none that Node could read.
    return false;
  }
}

/** Node takes what ends with a separator for all that is below. */
function asDirectory(path: string): string {
  const directory = existsSync(path) && statSync(path).isDirectory();
  return directory && !path.endsWith(sep) ? `${path}${sep}` : path;
}

/** Whether `home` is in `path`, or is it. */
function holds(path: string, home: string): boolean {
  const real = (at: string): string => (existsSync(at) ? realpathSync(at) : resolve(at));
  const [outer, inner] = [real(path), real(home)];
  return inner === outer || inner.startsWith(outer.endsWith(sep) ? outer : `${outer}${sep}`);
}

function isFile(path: string): boolean {
  try {
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function wrong(message: string): ContixError {
  return new ContixError("EINVAL", message, { argument: "confinement" });
}
