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
    else if (how < 95) yield wrong(bytes, key, dice);
    else yield Buffer.from(request(key, "x".repeat(dice(LARGEST))));
  }
}

const ROUTE = "POST /v1/chat/completions HTTP/1.1";
const BODY = JSON.stringify({
  ...{ model: "fake", max_tokens: 1 },
  messages: [{ role: "user", content: "Hello" }],
});

function request(key: string, body: string): string {
  const head = [ROUTE, "Host: g", `Authorization: Bearer ${key}`];
  return [...head, `Content-Length: ${Buffer.byteLength(body)}`, "", body].join("\r\n");
}

/** With one bit turned, somewhere where that makes it none. */
function wrong(good: Buffer, key: string, dice: Dice): Uint8Array {
  for (;;) {
    const bytes = flipped(good, dice(8 * good.length));
    if (!isRequest(Buffer.from(bytes), key)) return bytes;
  }
}

/** Whether a gateway has to answer it: other words are words, too. */
function isRequest(bytes: Buffer, key: string): boolean {
  const [head = "", body = ""] = bytes.toString("latin1").split("\r\n\r\n");
  if (!head.startsWith(`${ROUTE}\r\n`) || !head.includes(`\r\nAuthorization: Bearer ${key}\r\n`))
    return false;
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(-body.length));
    const { model, max_tokens, messages } = JSON.parse(text);
    return (
      model === "fake" &&
      max_tokens > 0 &&
      messages[0].role === "user" &&
      messages[0].content !== undefined
    );
  } catch {
    return false;
  }
}

function diceOf(seed: number): Dice {
  const next = random(seed);
  return (below) => Math.floor(next() * below);
}
