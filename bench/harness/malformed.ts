/** What no door should be given, from a seed: frames of the ABI and requests of HTTP with something wrong. */
import { ClientFrame, Syscall } from "../../proto/gen/contix/v1/kernel.js";
import { random } from "./random.js";

const GOOD = [
  { call: { $case: "uname" as const, value: {} } },
  { call: { $case: "ctxStat" as const, value: { cid: 5n } } },
  { call: { $case: "send" as const, value: { pid: 3n, body: Buffer.from("words"), topic: "t" } } },
  { call: { $case: "tokenize" as const, value: { text: "some text to break" } } },
].map((body, i) => {
  const value = Syscall.fromPartial({ seq: BigInt(i + 1), ...body } as Partial<Syscall>);
  return Buffer.from(ClientFrame.encode({ frame: { $case: "call", value } }).finish());
});

const LARGEST = 100_000;
const DEEPEST = 1000;

type Dice = (below: number) => number;

/** Frames without end: truncated, bit-flipped, mistyped, nested, oversized, and noise. */
export function* malformedFrames(seed: number): Generator<Buffer, never> {
  const dice = diceOf(seed);
  const good = (): Buffer => Buffer.from(GOOD[dice(GOOD.length)] ?? "");
  for (;;) {
    const bytes = good();
    const how = dice(100);
    if (how < 30) yield bytes.subarray(0, dice(bytes.length));
    else if (how < 60) yield flipped(bytes, dice);
    else if (how < 80) yield mistyped(bytes, dice);
    else if (how < 90) yield Buffer.from(Array.from({ length: dice(200) }, () => dice(256)));
    else if (how < 98) yield nested(dice(DEEPEST));
    else yield Buffer.alloc(dice(LARGEST), 0x0a);
  }
}

/** Requests without end, each the whole of its connection; `key` opens the gateway. */
export function* malformedRequests(seed: number, key: string): Generator<Buffer, never> {
  const dice = diceOf(seed);
  for (;;) {
    const how = dice(100);
    const body = how < 20 ? "[".repeat(dice(DEEPEST)) : how < 40 ? "" : BODY;
    const bytes = Buffer.from(request(key, body));
    if (how < 40) yield bytes;
    else if (how < 65) yield bytes.subarray(0, dice(bytes.length));
    else if (how < 95) yield flipped(bytes, dice);
    else yield Buffer.from(request(key, "x".repeat(dice(LARGEST))));
  }
}

const BODY = JSON.stringify({
  ...{ model: "fake", max_tokens: 1 },
  messages: [{ role: "user", content: "Hello" }],
});

function request(key: string, body: string): string {
  const head = ["POST /v1/chat/completions HTTP/1.1", "Host: g", `Authorization: Bearer ${key}`];
  return [...head, `Content-Length: ${Buffer.byteLength(body)}`, "", body].join("\r\n");
}

function diceOf(seed: number): Dice {
  const next = random(seed);
  return (below) => Math.floor(next() * below);
}

function flipped(bytes: Buffer, dice: Dice): Buffer {
  const at = dice(bytes.length);
  bytes[at] = (bytes[at] ?? 0) ^ (1 << dice(8));
  return bytes;
}

/** One tag, of the frame, of its call, or of that one's arguments, has another wire type. */
function mistyped(bytes: Buffer, dice: Dice): Buffer {
  const at = [0, 2, 4][dice(3)] ?? 0;
  const tag = bytes[at] ?? 0;
  bytes[at] = (tag & ~7) | ((tag + 1 + dice(7)) & 7);
  return bytes;
}

/** Length-delimited fields in one another. */
function nested(depth: number): Buffer {
  const heads: Buffer[] = [];
  for (let i = 0, length = 0; i < depth; i++) {
    const head = length < 128 ? [0x12, length] : [0x12, (length & 0x7f) | 0x80, length >> 7];
    heads.unshift(Buffer.from(head));
    length += head.length;
  }
  return Buffer.concat(heads);
}
