/**
 * What a command line of Node's runs: its script is the first word that is neither an option
 * nor an option's value, and some options name modules that run before it.
 */
import { basename, dirname, extname, isAbsolute, resolve } from "node:path";
import { fileURLToPath } from "node:url";

/** Options whose value is the next word, unless it stands behind `=`. */
const WITH_VALUE: ReadonlySet<string> = new Set([
  ...["-C", "--conditions", "--diagnostic-dir", "--disable-warning", "--dns-result-order"],
  ...["--env-file", "--experimental-default-type", "--icu-data-dir", "--input-type"],
  ...["--inspect-port", "--max-http-header-size", "--network-family-autoselection-attempt-timeout"],
  ...["--openssl-config", "--redirect-warnings", "--report-dir", "--report-directory"],
  ...["--report-filename", "--report-signal", "--secure-heap", "--secure-heap-min"],
  ...["--stack-trace-limit", "--title", "--tls-cipher-list", "--tls-keylog"],
  ...["--tls-max-v1.2", "--trace-event-categories", "--trace-event-file-pattern"],
  ...["--unhandled-rejections", "--v8-pool-size"],
]);
const PRELOADS: ReadonlySet<string> = new Set([
  ...["-r", "--require", "--import", "--loader", "--experimental-loader"],
]);
/** The program is this option's value, and no file. */
const CODE: ReadonlySet<string> = new Set(["-e", "--eval", "-p", "--print", "-pe"]);
const TYPESCRIPT: ReadonlySet<string> = new Set([".ts", ".mts", ".cts", ".tsx"]);

export interface NodeCommand {
  /** A whole path; undefined: it runs what stands on the command line, or comes by stdin. */
  readonly script: string | undefined;
  /** Whole paths of modules that it loads before; those of packages are found as any other. */
  readonly preloads: readonly string[];
}

/** Whether the program is Node, going by its name. */
export function isNode(program: string): boolean {
  return /^node(js)?$/.test(basename(program));
}

/** Whether Node runs it only with something that compiles it first. */
export function isTypeScript(path: string): boolean {
  return TYPESCRIPT.has(extname(path).toLowerCase());
}

/** What Node would run with these arguments in `cwd`. */
export function nodeCommand(args: readonly string[], cwd: string): NodeCommand {
  const preloads: string[] = [];
  let code = false;
  for (let i = 0; i < args.length; i++) {
    const arg = args[i] ?? "";
    if (arg === "--" || !arg.startsWith("-") || arg === "-") {
      const script = arg === "--" ? args[i + 1] : arg;
      const none = code || script === undefined || script === "-";
      return { script: none ? undefined : resolve(cwd, script), preloads };
    }
    const [, option = arg, value] = /^(--[^=]+)=(.*)$/s.exec(arg) ?? [];
    if (PRELOADS.has(option)) preloads.push(...fileOf(value ?? args[++i] ?? "", cwd));
    else if (value === undefined && (WITH_VALUE.has(option) || CODE.has(option))) i++;
    code ||= CODE.has(option);
  }
  return { script: undefined, preloads };
}

/** The directories of what it runs. */
export function directoriesOf({ script, preloads }: NodeCommand, cwd: string): string[] {
  return [script === undefined ? cwd : dirname(script), ...preloads.map((path) => dirname(path))];
}

/** The path that a module's name is; none: it is a package's, or another URL. */
function fileOf(name: string, cwd: string): string[] {
  if (name.startsWith("file:")) {
    try {
      return [fileURLToPath(name)];
    } catch {
      // Node itself will say what is wrong with it.
      return [];
    }
  }
  return isAbsolute(name) || /^\.\.?\//.test(name) ? [resolve(cwd, name)] : [];
}
