/** Reports for tests. */
import type { Figure, Report, SuiteName } from "./report.js";

/** A figure with one sample. */
export function figureOf(id: string, value: number): Figure {
  return { id, unit: "s", median: value, min: value, max: value, samples: [value] };
}

/** A whole report of a suite. */
export function reportOf(
  suite: SuiteName,
  figures: readonly Figure[],
  change: Partial<Report> = {},
) {
  const report: Report = {
    format: 1,
    suite,
    startedAt: "2025-11-22T01:02:03.000Z",
    quick: false,
    parameters: { model: "tiny", seed: 1 },
    machine: {
      cpu: "a CPU",
      cores: 2,
      memoryGiB: 24,
      kernels: "x64 avx2",
      os: "linux 6",
      node: "v20",
      onnxruntime: "1",
      commit: "0123456789abcdef",
      dirty: false,
    },
    load: { atStart: "0.00 0.00 0.00", atEnd: "1.00 0.50 0.10", foreignCores: 0.01 },
    figures: [...figures],
    notes: [],
  };
  return { ...report, ...change };
}
