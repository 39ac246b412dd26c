import { describe, expect, it } from "vitest";
import { SyscallError } from "../syscalls/index.js";
import { CliError, exitCodeOf, describe as say, usage } from "./errors.js";

describe("errors on the command line", () => {
  it("are one line, whatever was thrown", () => {
    expect(say(new Error("first\n  second\n"))).toBe("first; second");
    expect(say("text")).toBe("text");
    expect(say(undefined)).toBe("undefined");
    expect(say(new Error(""))).toBe("Error");
  });

  it("name the errno once and when to try again", () => {
    const busy = new SyscallError("EAGAIN", "the queue is full", { retryAfterMs: 12.3 });
    expect(say(busy)).toBe("EAGAIN: the queue is full; try again in 13 ms");
    const disk = Object.assign(new Error("no space left"), { code: "ENOSPC" });
    expect(say(disk)).toBe("no space left (ENOSPC)");
  });

  it("have the exit code of their kind", () => {
    const abort = Object.assign(new Error("aborted"), { name: "AbortError" });
    expect([new Error("x"), new CliError("x"), usage("x"), abort, "x"].map(exitCodeOf)).toEqual([
      1, 1, 2, 130, 1,
    ]);
  });
});
