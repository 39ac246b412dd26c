/**
 * Says where a driver's steps spend their time: loaded before a driver's program
 * (traced-driver.ts), it puts clocks around what a step consists of, and writes what they said
 * to the file of CONTIX_BENCH_TRACE when the process exits. The driver itself is the ordinary
 * one and knows nothing of it.
 *
 * A step is what lies between two runs of ONNX Runtime: from the moment a run of decode is handed
 * over until the next one is. The thread that hands it over is free meanwhile, so whatever the
 * driver can do during a run costs the step nothing, and is not counted as time outside.
 */
import { writeFileSync } from "node:fs";
import { Socket } from "node:net";
import { FromDriver } from "../../proto/gen/contix/driver/v1/llm.js";
import { OnnxModel } from "../../servers/llm/engine/onnx-model.js";
import {
  loadOrt,
  type NativeArgument,
  type NativeFunction,
} from "../../servers/llm/engine/ort-library.js";
import { RunningBurst } from "../../servers/llm/engine/running-burst.js";
import { Sampler } from "../../servers/llm/sampling/sampler.js";
import { StopMatcher } from "../../servers/llm/text/stops.js";
import type { StepTrace, Trace } from "./trace.js";

type Part = Exclude<keyof StepTrace, "rows" | "prefill" | "period" | "run">;

const steps: StepTrace[] = [];
let current: StepTrace | undefined;
/** When the run of the current step was handed over. */
let begun = 0;
/** Rows of a call of `decode` that has handed over no run yet; 0: there is none. */
let decoding = 0;

const empty = (rows: number): StepTrace => ({
  rows,
  prefill: false,
  period: 0,
  run: 0,
  prepare: 0,
  sample: 0,
  burst: 0,
  stops: 0,
  encode: 0,
  write: 0,
});

function add(part: Part, since: number): void {
  if (current !== undefined) current[part] += performance.now() - since;
}

/** Puts a clock around the method `name` of an object or a prototype. */
function clocked(owner: object, name: string, part: Part): void {
  const original: unknown = Reflect.get(owner, name);
  if (typeof original !== "function") throw new TypeError(`there is no method ${name} to clock`);
  Reflect.set(owner, name, function (this: unknown, ...args: unknown[]): unknown {
    const since = performance.now();
    try {
      return Reflect.apply(original, this, args);
    } finally {
      add(part, since);
    }
  });
}

function watchRuns(): void {
  const { calls } = loadOrt();
  const run = calls.run;
  const call: NativeFunction["async"] = (...args) => {
    const given = performance.now();
    if (decoding > 0) startStep(given);
    const step = current;
    const done: unknown = args.at(-1);
    if (typeof done !== "function") throw new TypeError("an async call without a callback");
    const back = (error: unknown, result: unknown): void => {
      if (step !== undefined) step.run += performance.now() - given;
      done(error, result);
    };
    const rest = args.slice(0, -1) as NativeArgument[];
    run.async(...rest, back);
  };
  Object.assign(calls, { run: Object.assign((...args: never[]) => run(...args), { async: call }) });
}

function startStep(now: number): void {
  if (current !== undefined) {
    current.period = now - begun;
    steps.push(current);
  }
  current = empty(decoding);
  begun = now;
  // Rows that are cut into several runs are one step.
  decoding = 0;
}

function watchModel(): void {
  const { decode, prefill } = OnnxModel.prototype;
  OnnxModel.prototype.decode = function (rows) {
    const since = performance.now();
    decoding = rows.length;
    const result = decode.call(this, rows);
    // What comes before the first run is done by now; the step that it belongs to has begun.
    if (current !== undefined) current.prepare += begun - since;
    return result;
  };
  OnnxModel.prototype.prefill = function (...args) {
    if (current !== undefined) current.prefill = true;
    return prefill.apply(this, args);
  };
}

function watchMessages(): void {
  const encode = FromDriver.encode;
  FromDriver.encode = (...args) => {
    const since = performance.now();
    const writer = encode(...args);
    add("encode", since);
    clocked(writer, "finish", "encode");
    return writer;
  };
  clocked(Socket.prototype, "write", "write");
}

/** The median time of an asynchronous native call that does nothing, milliseconds. */
async function asyncCallMs(): Promise<number> {
  const { calls, releases } = loadOrt();
  const out = new BigUint64Array(new ArrayBuffer(128), 0, 1);
  calls.createSessionOptions(out);
  const options = out[0] ?? 0n;
  const times: number[] = [];
  for (let i = 0; i < 200; i++) {
    const since = performance.now();
    await new Promise((resolve) => calls.setIntraOpNumThreads.async(options, 1, resolve));
    times.push(performance.now() - since);
  }
  releases.releaseSessionOptions(options);
  return times.sort((a, b) => a - b)[100] ?? 0;
}

const file = process.env.CONTIX_BENCH_TRACE;
if (file !== undefined) {
  const callMs = await asyncCallMs();
  watchRuns();
  watchModel();
  watchMessages();
  clocked(Sampler.prototype, "sample", "sample");
  clocked(RunningBurst.prototype, "sample", "burst");
  clocked(StopMatcher.prototype, "push", "stops");
  process.on("exit", () => {
    const trace: Trace = { asyncCallMs: callMs, steps };
    writeFileSync(file, JSON.stringify(trace));
  });
}
