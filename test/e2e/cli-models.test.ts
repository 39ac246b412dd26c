/** Several models on the command line: preloaded, named, listed, and one that is not there. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Bench } from "./cli-runner.js";

let bench: Bench;
beforeAll(async () => {
  bench = await Bench.open();
  await bench.ok(["up", "--model", "a", "--model", "b", "--memory-budget", "1GiB"]);
});
afterAll(() => bench[Symbol.asyncDispose]());

describe("contix with two models", () => {
  it("lists them, the default first", async () => {
    const list = JSON.parse(await bench.ok(["models", "--json"]));
    expect(list).toMatchObject([
      { name: "a", default: true, state: "running", slots: 4 },
      { name: "b", default: false, state: "running", slots: 4 },
    ]);
    expect(await bench.ok(["models"])).toMatch(/^a \* +running +0\/4 /m);
    expect(await bench.ok(["stats"])).toMatch(/^memory +128\.0 MiB of 1\.0 GiB /m);
  });

  it("generates and talks with the one that is named", async () => {
    const asked = ["generate", "--model", "b", "--json", "-n", "3", "Once"];
    expect(JSON.parse(await bench.ok(asked)).tokens.length).toBe(3);
    const said = await bench.ok(["chat", "--model", "b"], { input: "/stats\n" });
    expect(said).toContain("tokens");
    const { stderr, code } = await bench.run(["chat", "--model", "c"], { input: "hello\n" });
    expect([code, stderr]).toEqual([1, expect.stringContaining("EMODEL")]);
  });

  it("says which there are when another is asked for", async () => {
    const { code, stderr } = await bench.run(["generate", "--model", "c", "Once"]);
    expect([code, stderr]).toEqual([1, expect.stringMatching(/EMODEL.*"c".*a, b/)]);
  });
});
