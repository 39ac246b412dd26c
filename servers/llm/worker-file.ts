import { Worker, type WorkerOptions } from "node:worker_threads";

/**
 * Runs a module as a worker: `name` as it lies beside the one at `base`,
 * compiled; or, when that runs as a source (tests, tsx), as a source too, by way of tsx's API.
 */
export function workerFile(base: string, name: string, options: WorkerOptions): Worker {
  const all = { ...options, execArgv: [] };
  if (!base.endsWith(".ts")) return new Worker(new URL(`./${name}.js`, base), all);
  const module = JSON.stringify(`./${name}.ts`);
  const start = `import("tsx/esm/api").then(({ tsImport }) => tsImport(${module}, ${JSON.stringify(base)}))`;
  return new Worker(start, { ...all, eval: true });
}
