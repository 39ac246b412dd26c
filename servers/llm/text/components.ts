/**
 * Parts of a `tokenizer.json` are objects with a `type`. What a part is, is told from its
 * type; what its fields are, by a schema of that type. An unknown part is a typed error
 * that names it, never another tokenization.
 */
import { z } from "zod";
import { ContixError } from "../../../proto/errno.js";

export function broken(what: string, cause?: unknown): ContixError {
  const message = `tokenizer.json is of no kind this driver knows: ${what}`;
  return new ContixError("EMODEL", message, { cause });
}

/** A part with fields that `schema` has; `where` it stands is named in the error. EMODEL. */
export function parse<T extends z.ZodType>(schema: T, part: unknown, where: string): z.infer<T> {
  const parsed = schema.safeParse(part);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const path = [where, ...(issue?.path ?? [])].join(".");
  throw broken(`${path}: ${issue?.message ?? "is not valid"}`);
}

/** The type of a part. EMODEL when it has none. */
export function typeOf(part: unknown, where: string): string {
  return parse(z.looseObject({ type: z.string() }), part, where).type;
}

/** The error for a part of a type that nobody here knows. */
export function unknownType(part: unknown, where: string, known: readonly string[]): ContixError {
  const names = known.join(", ");
  return broken(`${where}.type: "${typeOf(part, where)}"; those that can be read: ${names}`);
}

/** Reads a part; `where` it stands is named in an error. */
export type Reader<T> = (part: unknown, where: string) => T;

/** Makes the reader of a kind of parts from the readers of its types. */
export function reader<T>(types: Readonly<Record<string, Reader<T>>>): Reader<T> {
  return (part, where) => {
    const type = typeOf(part, where);
    const read = Object.hasOwn(types, type) ? types[type] : undefined;
    if (read === undefined) throw unknownType(part, where, Object.keys(types));
    return read(part, where);
  };
}
