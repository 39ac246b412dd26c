import { expect, test } from "vitest";
import { Bandwidth } from "./bandwidth.js";

test("measures again and again, every thread at once", async () => {
  await using memory = await Bandwidth.open(2, 2 ** 16);
  for (let i = 0; i < 3; i++) expect(await memory.measure(2)).toBeGreaterThan(0);
});
