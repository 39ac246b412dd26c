/** Frames of the ABI, and ways to break them, each by a number: for fuzzing and for measurements. */
import { ClientFrame, Syscall } from "../../proto/gen/contix/v1/kernel.js";

export const GOOD_FRAMES: readonly Uint8Array[] = [
  { call: { $case: "uname" as const, value: {} } },
  { call: { $case: "ctxStat" as const, value: { cid: 5n } } },
  { call: { $case: "send" as const, value: { pid: 3n, body: Buffer.from("words"), topic: "t" } } },
  { call: { $case: "tokenize" as const, value: { text: "some text to break" } } },
].map((body, i) => {
  const value = Syscall.fromPartial({ seq: BigInt(i + 1), ...body } as Partial<Syscall>);
  return ClientFrame.encode({ frame: { $case: "call", value } }).finish();
});

/** The most layers that `nested` has. */
export const DEEPEST = 3000;

/** Length-delimited fields in one another; layers stand before each other, so all depths are one buffer's ends. */
const [NEST, DEPTHS] = nest(DEEPEST);

function nest(depth: number): [Uint8Array, readonly number[]] {
  const layers: number[][] = [];
  const lengths = [0];
  for (let length = 0; layers.length < depth; lengths.push(length)) {
    const head = length < 128 ? [0x12, length] : [0x12, (length & 0x7f) | 0x80, length >> 7];
    layers.unshift(head);
    length += head.length;
  }
  return [Uint8Array.from(layers.flat()), lengths];
}

/** @param depth 0 to DEEPEST */
export function nested(depth: number): Uint8Array {
  return NEST.slice(NEST.length - (DEPTHS[depth] ?? 0));
}

/** The same bytes with one bit turned. */
export function flipped(bytes: Uint8Array, bit: number): Uint8Array {
  const wrong = Uint8Array.from(bytes);
  const at = (bit >> 3) % wrong.length;
  wrong[at] = (wrong[at] ?? 0) ^ (1 << (bit & 7));
  return wrong;
}

/** A good frame of which one field has another wire type than it should have. */
export function mistyped(bytes: Uint8Array, n: number): Uint8Array {
  const wrong = Uint8Array.from(bytes);
  // Tags stand at the start of the frame, of the call in it, and of the call's arguments.
  const at = [0, 2, 4][n % 3] ?? 0;
  const tag = wrong[at] ?? 0;
  wrong[at] = (tag & ~7) | ((tag + 1 + (n % 7)) & 7);
  return wrong;
}
