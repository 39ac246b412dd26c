import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ByteDetokenizer } from "../text/detokenizer.js";
import { Story } from "./story.js";
import { TOKEN_BYTES, TURN_END, TURN_START, VOCAB } from "./vocabulary.js";

const PROMPT = [TURN_START, ...Buffer.from("user\nHi\n")];

function predict(story: Story, slot: number, length: number): Float32Array {
  const logits = new Float32Array(VOCAB);
  story.predict(slot, length, logits);
  return logits;
}

/** Greedy text after `prompt`. */
function tell(story: Story, prompt: readonly number[], most = 5000): string {
  prompt.forEach((token, at) => {
    story.enter(0, at, token, true);
  });
  const detokenizer = new ByteDetokenizer(TOKEN_BYTES);
  let text = "";
  for (let at = prompt.length; at < most; at++) {
    const logits = predict(story, 0, at);
    const token = logits.indexOf(Math.max(...logits));
    if (token === TURN_END) return text + detokenizer.flush();
    text += detokenizer.push(token);
    story.enter(0, at, token, false);
  }
  return text;
}

describe("Story", () => {
  it("tells words and sentences, and ends", () => {
    const text = tell(new Story(1, 40, 1, 6000), PROMPT);
    expect(text).toMatch(/^[A-Z\p{L}☀][\p{L}☀ ,.]+ $/u);
    expect(text.split(" ").length).toBeGreaterThan(9);
    expect(text).toMatch(/[a-z]\. [A-Z\p{L}☀]/u);
  });

  it("tells as many words as asked for, on average", () => {
    const story = new Story(1, 40, 1, 6000);
    const counts = Array.from({ length: 150 }, (_, i) => {
      return tell(story, [...PROMPT, ...Buffer.from(`${i}\n`)]).split(" ").length - 1;
    });
    const mean = counts.reduce((a, b) => a + b) / counts.length;
    expect(mean).toBeGreaterThan(33);
    expect(mean).toBeLessThan(47);
  });

  it("tells another story for another seed, prompt or kind of token", () => {
    const one = tell(new Story(1, 40, 1, 6000), PROMPT);
    expect(tell(new Story(1, 40, 1, 6000), PROMPT)).toBe(one);
    expect(tell(new Story(2, 40, 1, 6000), PROMPT)).not.toBe(one);
    expect(tell(new Story(1, 40, 1, 6000), [...PROMPT, 33])).not.toBe(one);
  });

  it("depends on the whole history of the slot and on nothing else", () => {
    const entry = fc.record({ token: fc.nat(VOCAB - 1), given: fc.boolean() });
    const history = fc.array(entry, { minLength: 1, maxLength: 30 });
    fc.assert(
      fc.property(history, history, fc.nat(30), (wanted, other, cut) => {
        const story = new Story(7, 40, 3, 64);
        const clean = new Story(7, 40, 1, 64);
        const enter = (target: Story, slot: number, entries: typeof wanted, from = 0) =>
          entries.slice(from).forEach(({ token, given }, i) => {
            target.enter(slot, from + i, token, given);
          });
        // Its beginning in slot 1, copied over something else in slot 2, and gone on with there.
        const keep = Math.min(cut, wanted.length - 1);
        enter(story, 1, wanted.slice(0, keep));
        enter(story, 2, other);
        story.copy(1, 2, keep);
        enter(story, 1, other);
        enter(story, 2, wanted, keep);
        enter(clean, 0, wanted);
        expect(predict(story, 2, wanted.length)).toEqual(predict(clean, 0, wanted.length));
      }),
    );
  });

  it("changes with any token of the history and with how it came in", () => {
    const story = new Story(1, 40, 2, 64);
    PROMPT.forEach((token, at) => {
      story.enter(0, at, token, true);
      story.enter(1, at, token, at !== 2);
    });
    expect(predict(story, 0, PROMPT.length)).not.toEqual(predict(story, 1, PROMPT.length));
  });
});
