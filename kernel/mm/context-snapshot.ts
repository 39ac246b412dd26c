/**
 * ctx.snapshot and ctx.restore: a context as a portable file, and back. Within one
 * engine digest a restored context answers as the one that was saved (law 2). Under
 * another a rebase takes its tokens over, and all of them count as given.
 */
import { ContixError } from "../../proto/errno.js";
import type { Sampling } from "../../proto/gen/contix/v1/calls.js";
import type { Snapshot } from "../../proto/gen/contix/v1/snapshot.js";
import { argumentsOf } from "../args.js";
import type { Call } from "../call.js";
import type { Engine } from "../engines/engine.js";
import type { JournalRecord, LastGeneration } from "../journal/records.js";
import { type Kernel, VERSION } from "../kernel.js";
import { nextCid, theContext } from "./calls.js";
import { shareOf, ttlOf } from "./context-options.js";
import { checkWindow } from "./input.js";
import { checkFiled, filedBy } from "./overflow/pager.js";
import { overflowOf } from "./overflow/ports.js";
import { partsOf, policyOf, type Saved, savePaging, segmentsOf } from "./overflow/saved.js";
import {
  isTail,
  lengthsOf,
  readSnapshot,
  runsOf,
  seamsOf,
  writeSnapshot,
} from "./snapshot-file.js";

export function snapshot(kernel: Kernel, call: Call): void {
  const context = theContext(call);
  const { vocab } = kernel.engines.of(context).ready;
  const saved = writeSnapshot({
    model: context.model,
    engine: context.engine,
    vocab,
    tokens: [...context.tokens],
    runs: lengthsOf(context.runs, context.tokens.length),
    seams: context.seams.map((seam) => ({ ...seam })),
    tail: context.tail,
    last: context.last && { start: context.last.start, sampling: { ...context.last.sampling } },
    cid: context.cid,
    kernelVersion: VERSION,
    createdMs: BigInt(kernel.clock.wall()),
    paging: savePaging(context.paging),
  });
  kernel.life.touch(context.cid);
  call.done({ $case: "ctxSnapshot", value: { snapshot: saved } });
}

export async function restore(kernel: Kernel, call: Call): Promise<void> {
  const args = argumentsOf(call, "ctxRestore");
  const saved = readSnapshot(args.snapshot);
  const options = { share: shareOf(args.share), ttlUs: ttlOf(args.ttlUs) };
  const model = await kernel.engines.find(args.model === "" ? saved.model : args.model);
  using _ = model.hold();
  const engine = model.engine ?? (await model.upFor(call));
  call.check();
  checkEngine(engine, saved, args.rebase);
  checkWindow(engine, saved.tokens.length);
  const { length } = saved.tokens;
  const segments = segmentsOf(saved);
  const filed = segments?.filed ?? [];
  checkFiled(kernel.config.limits.filedTokens, 0, filed);
  kernel.quotas.check(call.process, { contexts: 1, tokens: length + filedBy({ filed }) });
  kernel.rates.spend(call.process, length);
  kernel.accounts.of(call.process.pid).tokensIn += length;
  const cid = nextCid(kernel);
  const { pid: owner, nextHandle: handle } = call.process;
  const { engineDigest, slotTokens } = engine.ready;
  const belongs = { model: model.name, engine: engineDigest, ...options };
  const overflow = policyOf(saved) ?? overflowOf(kernel, { overflow: "", summaries: false });
  const at = kernel.clock.now();
  const value = { handle, cid, window: slotTokens, model: model.name };
  call.done({ $case: "ctxRestore", value }, [
    { type: "ctx.created", cid, owner, handle, ...belongs, ...overflow, at },
    filling(cid, saved, segments, engineDigest),
  ]);
  kernel.life.touch(cid);
}

function checkEngine({ model, ready }: Engine, saved: Snapshot, rebase: boolean): void {
  const { engineDigest, vocab } = ready;
  if (saved.engine !== engineDigest && !rebase) {
    const message = `the snapshot is of the engine ${saved.engine} of ${saved.model}, and ${model} runs here as ${engineDigest}: the same tokens would go on differently; with rebase they are taken over as given`;
    throw new ContixError("EXDEV", message, { argument: "snapshot" });
  }
  const check = (tokens: readonly number[], what: string): void => {
    const wrong = tokens.findIndex((token) => token >= vocab);
    if (wrong < 0) return;
    const message = `token ${wrong} of ${what} is ${tokens[wrong]}; the vocabulary of ${model} has ${vocab} tokens`;
    throw new ContixError("EINVAL", message, { argument: "snapshot" });
  };
  check(saved.tokens, "the snapshot");
  // A recall gives them to the model without another look.
  for (const { id, tokens } of saved.paging?.filed ?? []) {
    check(tokens, `the snapshot's filed segment ${id}`);
  }
}

function filling(
  cid: bigint,
  saved: Snapshot,
  segments: Saved | undefined,
  engine: string,
): JournalRecord {
  const { tokens } = saved;
  const tail = isTail(saved.tail) ? saved.tail : "text";
  const seams = seamsOf(saved);
  const runs = runsOf(saved.runs);
  const paging = segments ?? { parts: partsOf({ tokens, runs, seams }) };
  const filled = { type: "ctx.filled" as const, cid, tokens, seams, tail, paging };
  if (saved.engine === engine) return { ...filled, runs, last: lastOf(saved) };
  const given = tokens.length > 0 ? [{ start: 0, given: true }] : [];
  return { ...filled, runs: given, last: undefined };
}

function lastOf({ last }: Snapshot): LastGeneration | undefined {
  if (!last) return undefined;
  const s: Partial<Sampling> = last.sampling ?? {};
  const { temperature = 0, topK = 0, topP = 1, minP = 0 } = s;
  const { repetitionPenalty = 1, presencePenalty = 0, seed = 0n } = s;
  const sampling = { temperature, topK, topP, minP, repetitionPenalty, presencePenalty, seed };
  return { start: last.start, sampling };
}
