import { describe, expect, it } from "vitest";
import { ContixError } from "../../proto/errno.js";
import { Texts } from "./texts.js";

const text = (length: number) => ({
  $case: "encode" as const,
  value: { text: "x".repeat(length), special: false, start: false },
});
const reply = (id: bigint, over: object = {}) => ({
  id,
  tokens: [1, 2],
  error: "",
  code: "",
  argument: "",
  ends: [],
  texts: [],
  ...over,
});

describe("texts", () => {
  it("are bounded, and what is answered makes room", async () => {
    const texts = new Texts();
    const big = texts.add(text(15_000_000));
    expect(() => texts.add(text(2_000_000))).toThrow(
      expect.objectContaining({ code: "EAGAIN", retryAfterUs: 100_000 }),
    );
    texts.answer(reply(big.request.id));
    expect((await big.reply).tokens).toEqual([1, 2]);
    texts.add(text(2_000_000));
  });

  it("of any length pass alone", () => {
    expect(() => new Texts().add(text(17_000_000))).not.toThrow();
  });

  it("go to the next driver once, and then count as the cause of its death", async () => {
    const texts = new Texts();
    const { request, reply: answer } = texts.add(text(3));
    const outcome = answer.catch((error: unknown) => error);
    texts.sent(request.id);
    expect(texts.forNewDriver()).toEqual([request]);
    const fresh = texts.add(text(4));
    expect(texts.forNewDriver()).toEqual([fresh.request]);
    expect(await outcome).toMatchObject({ code: "EIO" });
  });

  it("fail with the server's own error, as EINVAL when its name is unknown", async () => {
    const texts = new Texts();
    const known = texts.add(text(1));
    const unknown = texts.add(text(1));
    texts.answer(reply(known.request.id, { error: "too deep", code: "E2BIG", argument: "chat" }));
    texts.answer(reply(unknown.request.id, { error: "odd", code: "ENEW" }));
    await expect(known.reply).rejects.toMatchObject({ code: "E2BIG", argument: "chat" });
    await expect(unknown.reply).rejects.toMatchObject({ code: "EINVAL" });
    texts.answer(reply(known.request.id));
  });

  it("all fail when the driver is given up", async () => {
    const texts = new Texts();
    const { reply: answer } = texts.add(text(1));
    texts.failAll(new ContixError("EIO", "gone"));
    await expect(answer).rejects.toMatchObject({ message: "gone" });
    expect(texts.forNewDriver()).toEqual([]);
  });
});
