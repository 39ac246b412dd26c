/** What no door should be given, from a seed: frames of the ABI and requests of HTTP with something wrong. */
import { flipped, GOOD_FRAMES, mistyped, nested } from "./bad-frames.js";
import { random } from "./random.js";

const LARGEST = 100_000;
/** Layers of a nested frame or body. */
const DEEP = 1000;

type Dice = (below: number) => number;

/** Frames without end: truncated, bit-flipped, mistyped, nested, oversized, and noise. */
export function* malformedFrames(seed: number): Generator<Uint8Array, never> {
  const dice = diceOf(seed);
  const good = (): Uint8Array => GOOD_FRAMES[dice(GOOD_FRAMES.length)] ?? Buffer.alloc(0);
  for (;;) {
    const bytes = good();
    const how = dice(100);
    if (how < 30) yield bytes.subarray(0, dice(bytes.length));
    else if (how < 60) yield flipped(bytes, dice(8 * bytes.length));
    else if (how < 80) yield mistyped(bytes, dice(21));
    else if (how < 90) yield Buffer.from(Array.from({ length: dice(200) }, () => dice(256)));
    else if (how < 98) yield nested(dice(DEEP));
    else yield Buffer.alloc(dice(LARGEST), 0x0a);
  }
}

/** Requests without end, each the whole of its connection; `key` opens the gateway. */
export function* malformedRequests(seed: number, key: string): Generator<Uint8Array, never> {
  const dice = diceOf(seed);
  for (;;) {
    const how = dice(100);
    const body = how < 20 ? "[".repeat(dice(DEEP)) : how < 40 ? "" : BODY;
    const bytes = Buffer.from(request(key, body));
    if (how < 40) yield bytes;
    else if (how < 65) yield bytes.subarray(0, dice(bytes.length));
    else if (how < 95) yield flipped(bytes, dice(8 * bytes.length));
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
