/** Lines of a compressed trace, checked one by one. */
import { existsSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { gunzipSync } from "node:zlib";
import type { z } from "zod";

/** A trace that can not be read: which file, which line, what is wrong. */
export class TraceError extends Error {
  override readonly name = "TraceError";

  constructor(
    readonly file: string,
    /** From 1; 0: the file itself. */
    readonly line: number,
    reason: string,
  ) {
    super(line === 0 ? `${file}: ${reason}` : `${file}, line ${line}: ${reason}`);
  }
}

/** The file's lines that are not empty, with their numbers. */
export function traceLines(folder: string, name: string): { number: number; text: string }[] {
  const file = join(folder, name);
  if (!existsSync(file)) throw new TraceError(file, 0, "there is no such file");
  let text: string;
  try {
    text = gunzipSync(readFileSync(file)).toString("utf8");
  } catch (error) {
    throw new TraceError(file, 0, `it can not be unpacked (${(error as Error).message})`);
  }
  const lines = text.split("\n").map((text, i) => ({ number: i + 1, text: text.trimEnd() }));
  return lines.filter((line) => line.text !== "");
}

/** One JSON value a line, each of the given shape. */
export function jsonLines<T>(folder: string, name: string, shape: z.ZodType<T>): T[] {
  return traceLines(folder, name).map(({ number, text }) => {
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch (error) {
      throw new TraceError(basename(name), number, (error as Error).message);
    }
    return checked(shape, value, name, number);
  });
}

/** The value in its shape. Throws a TraceError that names the first thing that is not. */
export function checked<T>(shape: z.ZodType<T>, value: unknown, name: string, line: number): T {
  const result = shape.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const where = issue?.path.join(".") || "the line";
  throw new TraceError(basename(name), line, `${where}: ${issue?.message ?? "not valid"}`);
}
