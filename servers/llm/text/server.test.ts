import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ChatTail } from "../../../proto/gen/contix/driver/v1/llm.js";
import { openTextServer, type TextServer } from "./server.js";
import { smallModelDir, smallText } from "./testing/models.js";

const PLAIN = { special: false, start: false };

describe("openTextServer", () => {
  let model: Awaited<ReturnType<typeof smallModelDir>>;
  let server: TextServer;

  beforeAll(async () => {
    model = await smallModelDir();
    server = await openTextServer(model.dir);
  });
  afterAll(async () => {
    await server.close();
    await model.remove();
  });

  it("encodes in its thread as the model does in ours", async () => {
    const text = "the thing 😀 <|im_end|>";
    expect(await server.encode(text, PLAIN)).toEqual(smallText().encode(text, PLAIN));
    const messages = [{ role: "user", content: text }];
    const options = { generationPrompt: true, lastToken: 0 };
    expect(await server.encodeChat(messages, ChatTail.EMPTY, options)).toEqual(
      smallText().encodeChat(messages, ChatTail.EMPTY, options),
    );
  });

  it("detokenizes without the thread, each generation by itself", async () => {
    const [first = 0, ...rest] = await server.encode("😀", PLAIN);
    const a = server.detokenizer();
    const b = server.detokenizer();
    expect([a.push(first), b.push(97)]).toEqual(["", "a"]);
    expect(rest.map((token) => a.push(token)).join("")).toBe("😀");
  });

  it("answers in order, and passes errors on as they are", async () => {
    const order: number[] = [];
    const long = "long ".repeat(20_000);
    const asked = [long, "b", "c"].map((text, i) =>
      server.encode(text, PLAIN).then(() => order.push(i)),
    );
    const bad = server.encodeChat([], ChatTail.EMPTY, { generationPrompt: true, lastToken: 0 });
    await expect(bad).rejects.toMatchObject({
      name: "ContixError",
      code: "EINVAL",
      argument: "messages",
    });
    await Promise.all(asked);
    expect(order).toEqual([0, 1, 2]);
  });

  it("fails what its thread took down with it, and goes on with another", async () => {
    const small = await openTextServer(model.dir, { heapMiB: 40 });
    const flood = Array.from({ length: 1_500_000 }, (_, i) => ` ${i.toString(36)}`).join("");
    const lost = [small.encode(flood, PLAIN), small.encode("after", PLAIN)];
    for (const request of lost) {
      await expect(request).rejects.toMatchObject({ name: "ContixError", code: "EIO" });
    }
    expect(await small.encode("a", PLAIN)).toEqual([97]);
    await small.close();
  });

  it("fails with ESHUTDOWN once closed", async () => {
    const closing = await openTextServer(model.dir);
    const pending = closing.encode("the ".repeat(50_000), PLAIN);
    const closed = closing.close();
    await expect(pending).rejects.toMatchObject({ code: "ESHUTDOWN" });
    await closed;
    await expect(closing.encode("a", PLAIN)).rejects.toMatchObject({ code: "ESHUTDOWN" });
  });

  it("tells what is no compiled model", async () => {
    await expect(openTextServer("/nowhere")).rejects.toMatchObject({ code: "EMODEL" });
  });
});
