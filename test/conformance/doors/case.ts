/**
 * What every door must do, the same: each case gets a door and a process attached
 * through it. Whoever adds a door runs all lists of this folder through it.
 */
import { expect } from "vitest";
import { type Door, DoorClient } from "../../support/door-client.js";

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

/** A typed failure. */
export const fails = (
  name: string,
  error: string,
  act: (os: DoorClient, door: Door) => Promise<unknown>,
): Case => [
  `${name}: ${error}`,
  async (os, door) => {
    expect(await act(os, door)).toBe(error);
  },
];

/** What `act` makes of a second process, which ends with it. */
export async function withPeer<T>(door: Door, act: (peer: DoorClient) => Promise<T>): Promise<T> {
  const peer = await DoorClient.open(door);
  try {
    return await act(peer);
  } finally {
    await peer.close();
  }
}

let named = 0;
/** A name that no case had before, through whichever door. */
export const fresh = (word: string): string => `${word}-${++named}`;
export const words = (body: Uint8Array): string => Buffer.from(body).toString();
