/** A request's body: read with a bound, parsed, and checked against a schema. */
import type { IncomingMessage } from "node:http";
import type { z } from "zod";
import { ApiError } from "./errors.js";

/** Reads JSON of at most `limit` bytes. ApiError 413, or 400 when it is none. */
export async function readJson(incoming: IncomingMessage, limit: number): Promise<unknown> {
  const declared = Number(incoming.headers["content-length"] ?? 0);
  if (declared > limit) throw tooLarge(limit);
  const parts: Buffer[] = [];
  let size = 0;
  try {
    for await (const part of incoming as AsyncIterable<Buffer>) {
      size += part.length;
      if (size > limit) throw tooLarge(limit);
      parts.push(part);
    }
  } catch (error) {
    if (error instanceof ApiError) throw error;
    // Its connection broke, or what came was no body: that is nobody's failure here.
    throw new ApiError(400, "the body ended before it was whole", { code: "bad_request" });
  }
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(Buffer.concat(parts)));
  } catch (error) {
    const why = error instanceof SyntaxError ? error.message : "it is not UTF-8";
    throw new ApiError(400, `the body is no JSON: ${why}`, { code: "invalid_json" });
  }
}

function tooLarge(limit: number): ApiError {
  return new ApiError(413, `the body is too large: at most ${limit} bytes`, {
    code: "request_too_large",
  });
}

/** The body as `schema` has it. ApiError 400 that names the first parameter at fault. */
export function parseBody<S extends z.ZodType>(schema: S, body: unknown): z.output<S> {
  const result = schema.safeParse(body);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  if (issue?.code === "unrecognized_keys") {
    const [param = ""] = issue.keys;
    throw new ApiError(400, `unknown parameter: ${param}`, { code: "unknown_parameter", param });
  }
  const param = issue === undefined ? "" : issue.path.join(".");
  const message = issue?.message ?? "invalid";
  const code = issue?.code === "custom" ? String(issue.params?.code ?? "") : "";
  throw new ApiError(400, param === "" ? `the body: ${message}` : `${param}: ${message}`, {
    param: param === "" ? null : param,
    code: code === "" ? "invalid_value" : code,
  });
}
