/** One line of `contix doctor`. */

export type Status = "ok" | "warn" | "fail";

export interface Check {
  readonly name: string;
  readonly status: Status;
  /** What was found. */
  readonly found: string;
  /** What to do about it; "" when nothing. */
  readonly fix: string;
}

export function ok(name: string, found: string): Check {
  return { name, status: "ok", found, fix: "" };
}

export function warn(name: string, found: string, fix: string): Check {
  return { name, status: "warn", found, fix };
}

export function fail(name: string, found: string, fix: string): Check {
  return { name, status: "fail", found, fix };
}
