import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ChatTail } from "../../../proto/gen/contix/driver/v1/llm.js";
import { FakeText } from "./text.js";
import { END_OF_TEXT, SPECIAL, TURN_END } from "./vocabulary.js";

const text = new FakeText();
const PLAIN = { special: false, start: true };

function show(tokens: readonly number[]): string {
  const detokenizer = text.detokenizer();
  return tokens.map((token) => SPECIAL[token - END_OF_TEXT] ?? detokenizer.push(token)).join("");
}

describe("FakeText", () => {
  it("comes back as the text, and makes special tokens only when asked to", async () => {
    const some = fc
      .array(fc.oneof(fc.string({ unit: "binary", maxLength: 4 }), fc.constantFrom(...SPECIAL)))
      .map((parts) => parts.join(""));
    await fc.assert(
      fc.asyncProperty(some, async (s) => {
        const tokens = await text.encode(s, PLAIN);
        expect(show(tokens)).toBe(s);
        expect(tokens.every((token) => token < END_OF_TEXT)).toBe(true);
        expect(show(await text.encode(s, { special: true, start: false }))).toBe(s);
      }),
    );
    expect(await text.encode("a<|im_end|>", { special: true, start: false })).toEqual([
      97,
      TURN_END,
    ]);
  });

  it("writes turns as ChatML, after what the context holds", async () => {
    const chat = async (tail: ChatTail, lastToken: number) =>
      show(
        await text.encodeChat([{ role: "user", content: "Hi<|im_end|>" }], tail, {
          generationPrompt: true,
          lastToken,
        }),
      );
    const turns = "<|im_start|>user\nHi<|im_end|><|im_end|>\n<|im_start|>assistant\n";
    expect(await chat(ChatTail.EMPTY, 0)).toBe(turns);
    expect(await chat(ChatTail.CLOSED, 0)).toBe(turns);
    expect(await chat(ChatTail.ASSISTANT, 97)).toBe(`<|im_end|>\n${turns}`);
    expect(await chat(ChatTail.ASSISTANT, TURN_END)).toBe(`\n${turns}`);
  });

  it("refuses what the real one refuses", async () => {
    const options = { generationPrompt: true, lastToken: 0 };
    await expect(text.encodeChat([], ChatTail.EMPTY, options)).rejects.toThrow(/is empty/);
    await expect(
      text.encodeChat([{ role: "tool", content: "" }], ChatTail.CLOSED, options),
    ).rejects.toMatchObject({ code: "EINVAL", argument: "role" });
    expect(show(await text.encodeChat([], ChatTail.CLOSED, options))).toBe(
      "<|im_start|>assistant\n",
    );
  });
});
