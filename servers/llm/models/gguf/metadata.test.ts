import { describe, expect, it } from "vitest";
import { ContixError } from "../../../../proto/errno.js";
import type { GgufTensor, GgufValue } from "./header.js";
import { Metadata } from "./metadata.js";

/** Metadata of a file with three tensors. */
function metadata(entries: Readonly<Record<string, GgufValue>>): Metadata {
  const tensors = ["a", "b", "c"].map((name): [string, GgufTensor] => [
    name,
    { name, type: 0, shape: [1], offset: 0 },
  ]);
  const table = new Map(tensors);
  return new Metadata({
    path: "x.gguf",
    metadata: new Map(Object.entries(entries)),
    tensors: table,
  });
}

function refusal(read: () => unknown): string {
  try {
    read();
  } catch (error) {
    if (error instanceof ContixError && error.code === "EMODEL") return error.message;
    throw error;
  }
  throw new Error("it was not refused");
}

describe("metadata", () => {
  it("gives values of their kinds, and fallbacks for what is missing", () => {
    const meta = metadata({ n: 3, x: 0.5, t: "text", f: true, l: ["a", "b"] });
    expect([meta.count("n"), meta.number("x"), meta.text("t")]).toEqual([3, 0.5, "text"]);
    expect([meta.flag("f", false), meta.texts("l")]).toEqual([true, ["a", "b"]]);
    expect([meta.count("no", 7), meta.number("no", 0.1), meta.text("no", "")]).toEqual([
      7,
      0.1,
      "",
    ]);
    expect(refusal(() => meta.count("no"))).toBe('x.gguf has no metadata "no"');
  });

  it("refuses values of other kinds by name", () => {
    const meta = metadata({ n: 1.5, x: Number.NaN, zero: 0, l: ["a", 1], t: 1 });
    expect(refusal(() => meta.count("n"))).toMatch(/has 1.5 as metadata "n" where a count/);
    expect(refusal(() => meta.number("x"))).toMatch(/has NaN as metadata "x"/);
    expect(refusal(() => meta.number("zero"))).toMatch(/has 0 as metadata "zero"/);
    expect(refusal(() => meta.texts("l"))).toMatch(/has 1 as metadata "l\[1\]" where a text/);
    expect(refusal(() => meta.text("t"))).toMatch(/has 1 as metadata "t" where a text/);
    expect(refusal(() => meta.text("l"))).toMatch(/has a list as metadata "l"/);
  });

  it("refuses counts that no model has", () => {
    for (const absurd of [-1, 2 ** 24 + 1, 1e9, 2 ** 60, Number.POSITIVE_INFINITY]) {
      const meta = metadata({ "llama.context_length": absurd });
      expect(refusal(() => meta.count("llama.context_length"))).toMatch(
        /as metadata "llama.context_length" where a count of at most 16777216 is expected/,
      );
    }
  });

  it("refuses more layers than there are tensors", () => {
    expect(metadata({ "llama.block_count": 3 }).count("llama.block_count")).toBe(3);
    for (const layers of [4, 1e9]) {
      const meta = metadata({ "llama.block_count": layers });
      expect(refusal(() => meta.count("llama.block_count"))).toMatch(
        /as metadata "llama.block_count" where a count of at most 3 is expected/,
      );
    }
  });

  it("quotes no more than a line of a value", () => {
    const meta = metadata({ n: "x".repeat(1e6) });
    expect(refusal(() => meta.count("n")).length).toBeLessThan(200);
    expect(meta.unusable("n", "y".repeat(1e6)).message.length).toBeLessThan(600);
  });
});
