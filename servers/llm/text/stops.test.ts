import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { StopMatcher } from "./stops.js";

interface Result {
  text: string;
  matched: string;
}

/** The definition: after each character, does the text end with a stop string? */
function naive(stops: readonly string[], text: string): Result {
  for (let end = 1; end <= text.length; end++) {
    const [longest] = stops
      .filter((stop) => text.slice(0, end).endsWith(stop))
      .sort((a, b) => b.length - a.length);
    if (longest !== undefined)
      return { text: text.slice(0, end - longest.length), matched: longest };
  }
  return { text, matched: "" };
}

/** The longest end of the text that is a proper prefix of a stop string. */
function heldBack(stops: readonly string[], text: string): string {
  for (let at = 0; at < text.length; at++) {
    const end = text.slice(at);
    if (stops.some((stop) => stop.length > end.length && stop.startsWith(end))) return end;
  }
  return "";
}

function run(stops: readonly string[], pieces: readonly string[]): Result {
  const matcher = new StopMatcher(stops);
  let text = "";
  for (const piece of pieces) {
    const step = matcher.push(piece);
    text += step.text;
    if (step.matched !== undefined) return { text, matched: step.matched };
  }
  return { text: text + matcher.flush(), matched: "" };
}

// Two letters make overlaps, repeats and near misses likely.
const few = (max: number) =>
  fc.array(fc.constantFrom("a", "b", "é", "😀"), { maxLength: max }).map((units) => units.join(""));
const stopList = fc.array(
  few(6).filter((stop) => stop !== ""),
  { maxLength: 4 },
);

describe("StopMatcher", () => {
  it("gives what a look at the whole text gives, however the text is cut", () => {
    fc.assert(
      fc.property(stopList, fc.array(few(4), { maxLength: 12 }), (stops, pieces) => {
        expect(run(stops, pieces)).toEqual(naive(stops, pieces.join("")));
      }),
      { numRuns: 2000 },
    );
  });

  it("holds back the longest beginning of a stop string, and nothing more", () => {
    fc.assert(
      fc.property(stopList, fc.array(few(4), { maxLength: 12 }), (stops, pieces) => {
        const matcher = new StopMatcher(stops);
        let seen = "";
        let given = "";
        for (const piece of pieces) {
          const step = matcher.push(piece);
          if (step.matched !== undefined) return;
          seen += piece;
          given += step.text;
          expect(given + heldBack(stops, seen)).toBe(seen);
        }
        expect(given + matcher.flush()).toBe(seen);
      }),
      { numRuns: 2000 },
    );
  });

  it("never splits a character", () => {
    const matcher = new StopMatcher(["😀!"]);
    expect(matcher.push("a😀")).toEqual({ text: "a" });
    expect(matcher.push("😁")).toEqual({ text: "😀😁" });
  });

  it("takes a stop string of 10,000 characters", () => {
    const stop = `${"ab".repeat(4999)}!x`;
    expect(run([stop], ["z", "ab".repeat(5000), "!x", "tail"])).toEqual({
      text: "zab",
      matched: stop,
    });
  });

  it("passes everything when there is none, and refuses an empty one", () => {
    expect(new StopMatcher([]).push("text")).toEqual({ text: "text" });
    expect(() => new StopMatcher(["a", ""])).toThrow(expect.objectContaining({ code: "EINVAL" }));
  });
});
