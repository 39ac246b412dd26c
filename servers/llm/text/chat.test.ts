import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ChatTail } from "../../../proto/gen/contix/driver/v1/llm.js";
import type { Message } from "../../../proto/gen/contix/v1/calls.js";
import { ByteDetokenizer } from "./detokenizer.js";
import type { ModelText } from "./model-text.js";
import { CHATML_WITH_DEFAULT, END, SPECIAL, START, smallText } from "./testing/models.js";

const { EMPTY, CLOSED, ASSISTANT } = ChatTail;
const IM_END = 258;

const chatml = smallText();
const plain = smallText({
  chatTemplate: CHATML_WITH_DEFAULT.replace(/{% if loop.first.*?{% endif %}/s, ""),
});
const user = (content: string): Message => ({ role: "user", content });
const assistant = (content: string): Message => ({ role: "assistant", content });
const system = (content: string): Message => ({ role: "system", content });

/** The text of tokens, special ones written out. */
function show(text: ModelText, tokens: readonly number[]): string {
  const detokenizer = new ByteDetokenizer(text.tokenBytes);
  return tokens.map((token) => SPECIAL[token - 256] ?? detokenizer.push(token)).join("");
}

function chat(
  messages: readonly Message[],
  tail: ChatTail,
  { prompt = false, lastToken = 0, text = chatml } = {},
): number[] {
  return text.encodeChat(messages, tail, { generationPrompt: prompt, lastToken });
}
const shown = (...args: Parameters<typeof chat>) => show(args[2]?.text ?? chatml, chat(...args));

describe("ChatEncoder", () => {
  it("renders the messages at the start of a context", () => {
    expect(shown([user("Hi")], EMPTY, { prompt: true })).toBe(
      `${START}system\nYou are helpful.${END}\n${START}user\nHi${END}\n${START}assistant\n`,
    );
  });

  it("adds only the new messages to whole turns", () => {
    expect(shown([user("Hi")], CLOSED)).toBe(`${START}user\nHi${END}\n`);
    expect(shown([assistant("Yes"), user("So")], CLOSED, { prompt: true })).toBe(
      `${START}assistant\nYes${END}\n${START}user\nSo${END}\n${START}assistant\n`,
    );
    expect(shown([], CLOSED, { prompt: true })).toBe(`${START}assistant\n`);
  });

  it("closes the assistant's turn first, unless its last token did", () => {
    const rest = `\n${START}user\nHi${END}\n`;
    expect(shown([user("Hi")], ASSISTANT, { lastToken: 65 })).toBe(END + rest);
    expect(shown([user("Hi")], ASSISTANT, { lastToken: IM_END })).toBe(rest);
    // Another end token does not close the turn as the template does.
    expect(shown([user("Hi")], ASSISTANT, { lastToken: 256 })).toBe(END + rest);
  });

  it("extends a context to what rendering the whole gives", () => {
    const words = fc.string({ unit: "grapheme", maxLength: 12 });
    const turn = fc.record({
      role: fc.constantFrom("user", "assistant", "system"),
      content: words,
    });
    const turns = fc.array(turn, { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(
        turns,
        turns,
        fc.boolean(),
        fc.constantFrom(chatml, plain),
        (a, b, prompt, text) => {
          const whole = chat([...a, ...b], EMPTY, { prompt, text });
          expect([...chat(a, EMPTY, { text }), ...chat(b, CLOSED, { prompt, text })]).toEqual(
            whole,
          );
        },
      ),
    );
    fc.assert(
      fc.property(turns, words, turns, fc.boolean(), (a, answer, b, ended) => {
        const whole = chat([...a, assistant(answer), ...b], EMPTY, { prompt: true });
        const context = chat(a, EMPTY, { prompt: true });
        context.push(...chatml.encode(answer, { special: false, start: false }));
        if (ended) context.push(IM_END);
        const lastToken = context.at(-1) ?? 0;
        context.push(...chat(b, ASSISTANT, { prompt: true, lastToken }));
        expect(context).toEqual(whole);
      }),
    );
  });

  it("lets no content say a special token", () => {
    const piece = fc.constantFrom(...SPECIAL, "<|im_", "end|>", "<", "|", ">", "a", " ", "\ue000");
    const content = fc.array(piece, { maxLength: 8 }).map((pieces) => pieces.join(""));
    fc.assert(
      fc.property(content, content, (a, b) => {
        const tokens = chat([user(a), assistant(b)], EMPTY);
        expect(show(chatml, tokens)).toBe(
          `${START}system\nYou are helpful.${END}\n` +
            `${START}user\n${a}${END}\n${START}assistant\n${b}${END}\n`,
        );
        expect(tokens.filter((token) => token >= 256 && token <= 258).length).toBe(6);
      }),
      { numRuns: 1000 },
    );
  });

  it("lets no content be half of a special token whose other half the template writes", () => {
    const text = smallText({
      chatTemplate: "{% for m in messages %}<|im_{{ m.content | trim }}end|>{% endfor %}",
    });
    for (const content of [" end|> ", "a <|im_\n", "end|> <|im_"]) {
      const tokens = chat([user(content)], EMPTY, { text, prompt: true });
      expect(show(text, tokens)).toBe(`<|im_${content.trim()}end|>`);
      expect(tokens.some((token) => token >= 256 && token <= 258)).toBe(false);
    }
  });

  it("starts a context with the first token once", () => {
    const adding = smallText({ addBos: true });
    expect(chat([user("a")], EMPTY, { text: adding })[0]).toBe(256);
    expect(chat([user("a")], CLOSED, { text: adding })[0]).not.toBe(256);
    const writing = smallText({
      addBos: true,
      chatTemplate: `{{ bos_token }}${CHATML_WITH_DEFAULT}`,
    });
    const tokens = chat([user("a")], EMPTY, { text: writing });
    expect(tokens.filter((token) => token === 256)).toEqual([256]);
  });

  it("says which roles and messages it does not take", () => {
    expect(() => chat([{ role: "tool", content: "" }], EMPTY)).toThrow(
      expect.objectContaining({
        code: "EINVAL",
        argument: "role",
        message: expect.stringContaining("takes system, user, assistant"),
      }),
    );
    expect(() => chat([], EMPTY, { prompt: true })).toThrow(/messages is empty/);
    expect(() => chat([], CLOSED)).toThrow(/messages is empty/);
    const strict = smallText({
      chatTemplate:
        "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}" +
        CHATML_WITH_DEFAULT,
    });
    expect(() => chat([{ role: "tool", content: "" }], EMPTY, { text: strict })).toThrow(
      /takes user, assistant/,
    );
    expect(() => chat([system("a")], EMPTY, { text: strict, prompt: true })).toThrow(
      expect.objectContaining({ code: "EINVAL", message: expect.stringContaining("no system") }),
    );
  });

  it("refuses to extend where the template rewrites earlier turns", () => {
    const last = smallText({
      chatTemplate:
        "{% for m in messages %}{{ m.content }}{% if loop.last %}!{% endif %}{% endfor %}",
    });
    expect(show(last, chat([user("a")], EMPTY, { text: last, prompt: true }))).toBe("a!");
    for (const tail of [CLOSED, ASSISTANT]) {
      expect(() => chat([user("a")], tail, { text: last })).toThrow(/rewrites earlier turns/);
    }
    expect(() => chat([user("a")], EMPTY, { text: last })).toThrow(/rewrites earlier turns/);
  });

  it("renders the same at any time", () => {
    const dated = smallText({
      chatTemplate: `{% if strftime_now is defined %}{{ strftime_now('%s') }}{% endif %}${CHATML_WITH_DEFAULT}`,
    });
    expect(chat([user("a")], EMPTY, { text: dated })).toEqual(chat([user("a")], EMPTY));
  });

  it("tells a model without a template, and a broken one", () => {
    const base = smallText({ chatTemplate: null });
    expect(() => chat([user("a")], EMPTY, { text: base })).toThrow(
      expect.objectContaining({ code: "EMODEL" }),
    );
    expect(() => smallText({ chatTemplate: "{% for %}" })).toThrow(
      expect.objectContaining({ code: "EMODEL" }),
    );
    const broken = smallText({ chatTemplate: "{{ nothing() }}" });
    expect(() => chat([user("a")], EMPTY, { text: broken, prompt: true })).toThrow(
      expect.objectContaining({ code: "EMODEL" }),
    );
  });
});
