/** The text server's thread: encodes, one request after the other. */
import { parentPort, workerData } from "node:worker_threads";
import { ContixError } from "../../../proto/errno.js";
import { ModelText } from "./model-text.js";
import type { Failure, Job, Request, Response, WorkerData } from "./worker-protocol.js";

const port = parentPort;
if (port === null) throw new Error("worker.ts runs as a worker thread only");

const say = (response: Response): void => port.postMessage(response);

const { dir }: WorkerData = workerData;
try {
  const text = await ModelText.open(dir);
  say({ kind: "ready", tokenBytes: text.tokenBytes });
  port.on("message", ({ id, job }: Request) => say(answer(text, id, job)));
} catch (error) {
  say({ kind: "unable", failure: failure(error) });
}

function answer(text: ModelText, id: number, job: Job): Response {
  try {
    return { kind: "tokens", id, tokens: run(text, job) };
  } catch (error) {
    return { kind: "failed", id, failure: failure(error) };
  }
}

function run(text: ModelText, job: Job): number[] {
  if (job.kind === "encode") return text.encode(job.text, job.options);
  return text.encodeChat(job.messages, job.tail, job.options);
}

function failure(error: unknown): Failure {
  if (error instanceof ContixError) {
    const { code, message, argument } = error;
    return { code, message, argument };
  }
  const message = error instanceof Error ? error.message : String(error);
  return { code: "EIO", message: `text server: ${message}`, argument: "" };
}
