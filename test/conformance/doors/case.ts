/**
 * What every door must do, the same: each case gets a door and a process attached
 * through it. Whoever adds a door runs all lists of this folder through it.
 */
import type { Door, DoorClient } from "../../support/door-client.js";

export type Case = readonly [string, (os: DoorClient, door: Door) => Promise<void>];

export const prompt = (value: string) => ({ $case: "prompt" as const, value });
export const text = (value: string) => ({ $case: "text" as const, value });
export const bytes = (word: string) => Buffer.from(word);
export const NOBODY = (1n << 52n) | 999_999n;
export const endless = { input: prompt("go on"), ignoreEos: true, maxTokens: 1500 };

export async function context(os: DoorClient, words = "one two three four") {
  const made = await os.ok("ctxCreate");
  await os.ok("ctxAppend", { input: text(words) }, { handle: made.handle });
  return made;
}
