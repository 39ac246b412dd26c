import { expect, it } from "vitest";
import { prefillLine } from "./prefill-line.js";

function screen(isTTY: boolean) {
  let seen = "";
  const stream = {
    isTTY,
    write: (text: string) => {
      seen += text;
      return true;
    },
  } as unknown as NodeJS.WriteStream;
  return { stream, seen: () => seen };
}

it("draws over itself on a terminal, and leaves nothing behind", () => {
  const { stream, seen } = screen(true);
  {
    using line = prefillLine(stream);
    line.clear();
    line.show(512, 2048);
    line.show(1024, 2048);
  }
  expect(seen().split("\r\u001b[K")).toEqual([
    "",
    "reading 512 of 2,048 tokens (25 %)",
    "reading 1,024 of 2,048 tokens (50 %)",
    "",
  ]);
});

it("writes nothing into a pipe", () => {
  const { stream, seen } = screen(false);
  using line = prefillLine(stream);
  line.show(1, 2);
  line.clear();
  expect(seen()).toBe("");
});
