/** How long a daemon takes from its start until it serves, the model compiled and in the page cache. */
import { startDaemon } from "../harness/daemon.js";
import { figure } from "../harness/report.js";
import { compiledModel } from "./model.js";
import { type SuiteResult, say } from "./suite.js";

export interface StartupOptions {
  readonly model: string;
  readonly rounds: number;
}

export async function startup({ model, rounds }: StartupOptions): Promise<SuiteResult> {
  await compiledModel(model);
  await ready(model); // reads the model and the code into the page cache
  const seconds: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const took = await ready(model);
    say(`round ${round + 1}: ${took.toFixed(3)} s`);
    seconds.push(took);
  }
  const notes = ["From the start of the process to the first SERVING of the gRPC health service."];
  return { parameters: { model, rounds }, figures: [figure("ready", "s", seconds)], notes };
}

async function ready(model: string): Promise<number> {
  await using daemon = await startDaemon(["--model", model]);
  return daemon.readyMs / 1000;
}
