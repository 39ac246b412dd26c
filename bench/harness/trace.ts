/** What driver-trace.ts says of a driver's steps, and what follows from it. All times in milliseconds. */
import { readFile } from "node:fs/promises";
import { z } from "zod";

export const StepTrace = z.object({
  rows: z.number(),
  /** A chunk of a prompt was entered in this step: its time tells nothing of decoding. */
  prefill: z.boolean(),
  /** From handing over this step's run to handing over the next one's. */
  period: z.number(),
  /** Handing the run to a thread, ONNX Runtime itself, and the way back to ours. */
  run: z.number(),
  /** Writing the run's inputs. */
  prepare: z.number(),
  /** Sampling, all rows. */
  sample: z.number(),
  /** Sampling, detokenization and stop checks, all rows. */
  burst: z.number(),
  stops: z.number(),
  /** Serializing the outcome. */
  encode: z.number(),
  /** Writing it to the kernel's socket. */
  write: z.number(),
});
export type StepTrace = z.infer<typeof StepTrace>;

export const Trace = z.object({
  /** An asynchronous native call that does nothing: the part of `run` that is not ONNX Runtime. */
  asyncCallMs: z.number(),
  steps: z.array(StepTrace),
});
export type Trace = z.infer<typeof Trace>;

export async function readTrace(path: string): Promise<Trace> {
  return Trace.parse(JSON.parse(await readFile(path, "utf8")));
}

/** Where a step's time goes; the parts but `run` add up to `outside`, `share` is outside / period. */
export interface StepParts {
  readonly period: number;
  /** ONNX Runtime alone. */
  readonly run: number;
  readonly outside: number;
  readonly share: number;
  readonly call: number;
  readonly prepare: number;
  readonly sample: number;
  readonly stops: number;
  /** Detokenization and the burst's bookkeeping. */
  readonly text: number;
  readonly encode: number;
  readonly write: number;
  /** What is left: the turn of the event loop at the boundary, the plan, the executor. */
  readonly loop: number;
}

/** The parts of one step. */
export function partsOf(step: StepTrace, asyncCallMs: number): StepParts {
  const call = Math.min(asyncCallMs, step.run);
  const run = step.run - call;
  const outside = Math.max(0, step.period - run);
  const text = Math.max(0, step.burst - step.sample - step.stops);
  const known = call + step.prepare + step.burst + step.encode + step.write;
  return {
    period: step.period,
    run,
    outside,
    share: outside / step.period,
    call,
    prepare: step.prepare,
    sample: step.sample,
    stops: step.stops,
    text,
    encode: step.encode,
    write: step.write,
    loop: Math.max(0, outside - known),
  };
}

/** The steps of a trace with `rows` rows and nothing but decoding. */
export function decodeSteps({ steps, asyncCallMs }: Trace, rows: number): StepParts[] {
  return steps
    .filter((step) => step.rows === rows && !step.prefill && step.run > 0)
    .map((step) => partsOf(step, asyncCallMs));
}
