/**
 * How a command fails: one line on stderr that says what to do, and an exit code that a script
 * can tell apart: 1 the work failed, 2 the command line was wrong, 130 the user pressed Ctrl-C.
 */

export const EXIT_FAILED = 1;
export const EXIT_USAGE = 2;
export const EXIT_INTERRUPTED = 130;

/** A failure that the user can act on; its message is the whole story. */
export class CliError extends Error {
  override readonly name = "CliError";
  readonly exitCode: number;

  constructor(message: string, exitCode: number = EXIT_FAILED, options?: ErrorOptions) {
    super(message, options);
    this.exitCode = exitCode;
  }
}

/** The command line itself was wrong. */
export function usage(message: string): CliError {
  return new CliError(message, EXIT_USAGE);
}

/** The fields by which the SDK's and the kernel's typed errors are told, whatever their class. */
interface Typed {
  readonly code?: unknown;
  readonly retryAfterMs?: unknown;
  readonly fix?: unknown;
}

/** What stands after `contix: ` for any thrown value: one line, without a stack. */
export function describe(error: unknown): string {
  if (!(error instanceof Error)) return oneLine(String(error));
  const { code, retryAfterMs, fix } = error as Error & Typed;
  const errno = typeof code === "string" && /^E[A-Z0-9]+$/.test(code) ? code : "";
  const said = oneLine(error.message === "" ? error.name : error.message);
  const parts = [errno === "" || said.startsWith(errno) ? said : `${said} (${errno})`];
  if (typeof retryAfterMs === "number" && retryAfterMs > 0)
    parts.push(`try again in ${Math.ceil(retryAfterMs)} ms`);
  else if (typeof fix === "string" && fix !== "") parts.push(fix);
  return parts.join("; ");
}

/** The exit code that an error asks for. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof CliError) return error.exitCode;
  if (error instanceof Error && error.name === "AbortError") return EXIT_INTERRUPTED;
  return EXIT_FAILED;
}

function oneLine(text: string): string {
  return text
    .split(/\s*\n\s*/)
    .filter((line) => line !== "")
    .join("; ")
    .trim();
}
