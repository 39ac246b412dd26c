/** Text requests on the fake text server, whose tokens are bytes. */
import { describe, expect, it } from "vitest";
import { ChatTail } from "../../../proto/gen/contix/driver/v1/llm.js";
import type { Message } from "../../../proto/gen/contix/v1/calls.js";
import { FakeText } from "../fake/text.js";
import { queryForms, stubText } from "./notes.js";
import { answerText } from "./requests.js";

const text = new FakeText();
const bytes = (words: string): number[] => [...new TextEncoder().encode(words)];
const talk: Message[] = [
  { role: "system", content: "Be brief." },
  { role: "user", content: "Hello" },
  { role: "assistant", content: "Hi" },
];

async function chat(messages: Message[], tail: ChatTail, server = text, lastToken = 0) {
  const value = { messages, tail, generationPrompt: false, lastToken };
  return answerText(server, { what: { $case: "chat", value } });
}

describe("the parts of messages", () => {
  it("are theirs, one behind the other", async () => {
    const { tokens, ends } = await chat(talk, ChatTail.EMPTY);
    const lengths = await Promise.all(
      talk.map(async (message) => (await chat([message], ChatTail.CLOSED)).tokens.length),
    );
    expect(ends).toEqual([0, lengths[0], (lengths[0] ?? 0) + (lengths[1] ?? 0), tokens.length]);
  });

  it("begin behind what closes an answer", async () => {
    const { tokens, ends } = await chat(talk.slice(1), ChatTail.ASSISTANT);
    const closed = await chat(talk.slice(1), ChatTail.CLOSED);
    expect(ends[0]).toBe(tokens.length - closed.tokens.length);
    expect(ends.at(-1)).toBe(tokens.length);
  });

  it("begin behind a system prompt of the template's own", async () => {
    class Dated extends FakeText {
      override async encodeChat(...[messages, tail, options]: Parameters<FakeText["encodeChat"]>) {
        const tokens = await super.encodeChat(messages, tail, options);
        const own = tail === ChatTail.EMPTY && messages[0]?.role !== "system";
        return own ? [...bytes("own prompt"), ...tokens] : tokens;
      }
    }
    expect((await chat(talk.slice(1), ChatTail.EMPTY, new Dated())).ends[0]).toBe(10);
  });

  it("are joined where the template can not write one alone", async () => {
    class Folding extends FakeText {
      override async encodeChat(...[messages, tail, options]: Parameters<FakeText["encodeChat"]>) {
        if (messages.length === 1 && messages[0]?.role === "system") throw new Error("refused");
        return super.encodeChat(messages, tail, options);
      }
    }
    const whole = await chat(talk, ChatTail.EMPTY);
    const folded = await chat(talk, ChatTail.EMPTY, new Folding());
    expect(folded.tokens).toEqual(whole.tokens);
    const [, first, second, last] = folded.ends;
    expect(second).toBe(last);
    expect(first).toBe(last);
  });
});

describe("notes and texts", () => {
  it("say which segments left, how they begin, and how to bring them back", () => {
    const stub = { handles: [3, 5, 6, 7], tokens: 312, summary: false };
    expect(stubText(stub, "user\nMy dog")).toBe(
      "[segments 3, 5 to 7 were moved out: 312 tokens, begins: user My dog...; recall(3) brings the first back]",
    );
    expect(stubText({ handles: [7], tokens: 9, summary: true }, "A dog.")).toBe(
      "[segment 7 was moved out: 9 tokens; in short: A dog.; recall(7) brings it back]",
    );
  });

  it("stand in a turn, or on a line of their own", async () => {
    const value = { handles: [1], tokens: 9, head: bytes("abc"), summary: false, start: false };
    const note = stubText(value, "abc");
    const plain = { $case: "stub" as const, value: { ...value, turn: false } };
    expect((await answerText(text, { what: plain })).tokens).toEqual(bytes(`\n${note}\n`));
    const turn = { $case: "stub" as const, value: { ...value, turn: true } };
    expect((await answerText(text, { what: turn })).tokens).toEqual(
      (await chat([{ role: "user", content: note }], ChatTail.CLOSED)).tokens,
    );
  });

  it("are decoded stretch by stretch, and queries in all their forms", async () => {
    const value = { tokens: bytes("onetwo"), ends: [3, 6] };
    const { texts } = await answerText(text, { what: { $case: "decode", value } });
    expect(texts).toEqual(["one", "two"]);
    expect(queryForms("the Dog?")).toEqual([
      "the",
      " the",
      "The",
      " The",
      "Dog",
      " Dog",
      "dog",
      " dog",
    ]);
    const query = { $case: "query" as const, value: { text: "a b" } };
    const { tokens, ends } = await answerText(text, { what: query });
    expect(ends.at(-1)).toBe(tokens.length);
    expect(tokens.slice(0, ends[0])).toEqual(bytes("a"));
  });
});
