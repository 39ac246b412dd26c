/** How near the answers of one graph are to those of another, over windows of text. */
import type { DecoderShape } from "./decoder-shape.js";
import { WindowSession } from "./window-session.js";

export interface Agreement {
  /** What the graph loses, nats a token: mean negative log-likelihood less the reference's. */
  readonly nll: number;
  /** The share of places at which both have the same likeliest token. */
  readonly top1: number;
  /** How many places were compared. */
  readonly places: number;
}

/** Compares the graph at `path` with that at `reference`; windows of equal length. */
export async function agreement(
  path: string,
  reference: string,
  shape: DecoderShape,
  windows: readonly (readonly number[])[],
  threads: number,
  signal?: AbortSignal,
): Promise<Agreement> {
  const ours = await scores(path, shape, windows, threads, signal);
  const theirs = await scores(reference, shape, windows, threads, signal);
  const places = ours.length;
  const sum = (all: readonly Score[]) => all.reduce((total, { nll }) => total + nll, 0);
  const same = ours.filter(({ top }, i) => top === theirs[i]?.top).length;
  return { nll: (sum(ours) - sum(theirs)) / places, top1: same / places, places };
}

/** Of one place: what the graph says of the token that follows. */
interface Score {
  readonly nll: number;
  readonly top: number;
}

/** Tokens whose logits are in memory at once; windows of other lengths are short. */
const PART = 128;

async function scores(
  path: string,
  shape: DecoderShape,
  windows: readonly (readonly number[])[],
  threads: number,
  signal: AbortSignal | undefined,
): Promise<Score[]> {
  const length = windows[0]?.length ?? 0;
  const part = length % PART === 0 ? PART : length;
  const options = { shape, length, part, logits: "all", threads } as const;
  const session = await WindowSession.open(path, options);
  try {
    const out: Score[] = [];
    for (const window of windows) {
      for (let at = 0; at + 1 < length; at++) {
        const i = at % part;
        signal?.throwIfAborted();
        if (i === 0) await session.read(window, at);
        const row = session.logits.subarray(i * shape.vocab, (i + 1) * shape.vocab);
        out.push(scoreOf(row, window[at + 1] ?? 0));
      }
    }
    return out;
  } finally {
    session.close();
  }
}

function scoreOf(logits: Float32Array, next: number): Score {
  let top = 0;
  for (let i = 1; i < logits.length; i++) if ((logits[i] ?? 0) > (logits[top] ?? 0)) top = i;
  const most = logits[top] ?? 0;
  let sum = 0;
  for (let i = 0; i < logits.length; i++) sum += Math.exp((logits[i] ?? 0) - most);
  return { nll: Math.log(sum) + most - (logits[next] ?? 0), top };
}
