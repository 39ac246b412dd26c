import { describe, expect, it } from "vitest";
import { alternate } from "./alternate.js";

const side = (name: string, order: string[]) => ({
  name,
  run: async (round: number) => {
    order.push(`${name}${round}`);
    return `${name}${round}`;
  },
});

describe("alternate", () => {
  it("runs A B A B after one run of each that does not count", async () => {
    const order: string[] = [];
    const results = await alternate(2, [side("a", order), side("b", order)]);
    expect(order).toEqual(["a-1", "b-1", "a0", "b0", "a1", "b1"]);
    expect([...results]).toEqual([
      ["a", ["a0", "a1"]],
      ["b", ["b0", "b1"]],
    ]);
  });

  it("hands each counted result over as it comes", async () => {
    const seen: string[] = [];
    await alternate(1, [side("a", []), side("b", [])], (name, round, result) =>
      seen.push(`${name} ${round} ${result}`),
    );
    expect(seen).toEqual(["a 0 a0", "b 0 b0"]);
  });

  it("refuses no rounds, and passes on a side's failure", async () => {
    await expect(alternate(0, [side("a", [])])).rejects.toThrow("0 rounds");
    const broken = { name: "x", run: () => Promise.reject(new Error("broken")) };
    await expect(alternate(1, [broken])).rejects.toThrow("broken");
  });
});
