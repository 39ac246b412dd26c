/** Pages of two principals: nobody finds what another computed, unless both asked to share. */
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Os } from "../../syscalls/index.js";
import { startTestKernel, type TestKernel } from "../../syscalls/testing.js";

type Share = "all" | "principal";

let kernel: TestKernel;
const principals = new Map<string, Os>();
beforeAll(async () => {
  kernel = await startTestKernel();
  await using admin = await kernel.connect();
  for (const name of ["alice", "bob"]) {
    await admin.principals.add(name);
    const { key } = await admin.principals.addKey(name);
    principals.set(name, await kernel.connect({ token: key }));
  }
});
afterAll(async () => {
  for (const os of principals.values()) await os.close();
  await kernel.stop();
});

/** Tokens of `text`, 320 of them, that a new context found computed. */
async function found(name: string, share: Share, text: string): Promise<number> {
  const os = principals.get(name);
  if (!os) throw new Error(`no ${name}`);
  const ctx = await os.ctx.create({ share });
  await ctx.append(text);
  // Long enough that its pages are saved while it runs.
  const { usage } = await ctx.generate({ maxTokens: 40, seed: 1, ignoreEos: true });
  return usage.cachedTokens;
}

const HIT = expect.toSatisfy((tokens: number) => tokens > 300);

it.each<[string, ...[string, Share, unknown][]]>([
  ["of one principal", ["alice", "principal", 0], ["alice", "principal", HIT]],
  ["of two principals", ["alice", "principal", 0], ["bob", "principal", 0]],
  ["that only who came first shares", ["alice", "all", 0], ["bob", "principal", 0]],
  ["that only who comes later shares", ["alice", "principal", 0], ["bob", "all", 0]],
  ["that both share", ["alice", "all", 0], ["bob", "all", HIT], ["alice", "all", HIT]],
])("equal histories %s", async (what, ...turns) => {
  const text = what.padEnd(320, ".");
  for (const [name, share, tokens] of turns) {
    expect(await found(name, share, text), `${name}, ${share}`).toEqual(tokens);
  }
});
