/** A sweep for people: tables for a terminal. */
import { markdownTable } from "../../harness/table.js";
import { HAD } from "./sizes.js";
import { type PolicyRow, summary } from "./summary.js";
import { CLAIRVOYANT, type Sweep } from "./sweep.js";

const HEADS = [
  ...[
    "load",
    "policy",
    "response",
    "p50",
    "p99",
    "÷ fifo",
    "of the gain",
    "active",
    "slowdown",
    "wait",
  ],
  ...[
    "p99 wait",
    "makespan",
    "busy",
    "alive",
    "Jain",
    "switches",
    "KV hits",
    "rebuilt",
    "decisions/s",
  ],
];

export function sweepTable(sweep: Sweep): string {
  const { workload, assumptions, options, sessions, capacity, work, spread } = sweep;
  const rows = summary(sweep).flatMap(({ load, rows }) =>
    rows.map((row, i) => [i === 0 ? load.toFixed(2) : "", ...cells(row)]),
  );
  const { programs, warmUp, slots, quantum, frames, blocks, seeds, arrivals } = options;
  const come = arrivals === "bursty" ? "in bursts, " : "";
  return [
    `## ${workload}`,
    `${programs} programs out of ${sessions} sessions, by chance, ${come}the first ${warmUp} not counted; ${slots} slots, quantum ${quantum}, ` +
      `${frames} pages of RAM${blocks > 0 ? ` and ${blocks} of swap` : ""}; seeds ${seeds.join(", ")}. Capacity ` +
      `${capacity.toFixed(1)} and a program's work ${work.toFixed(0)}, in tokens generated (a given one is a tenth).`,
    `Work of sessions: cv² ${spread.cv2.toFixed(2)}; of those that had ${HAD.join(", ")} means of it, what is left is on ` +
      `average ${spread.rest.map((rest) => rest.toFixed(2)).join(", ")} means. The nearer to 1, the less a policy that ` +
      "does not know the future can do for the mean.",
    `Assumed: ${assumptions}; a call is made a pause after the end of what it waited for, pauses scaled as lengths.`,
    "",
    markdownTable(HEADS, rows),
    "",
    "Seconds, but for ratios and counts. response, p50, p99: of programs, from their coming to their end, pauses " +
      `included. of the gain: of what ${CLAIRVOYANT}, which knows how large programs are, gains over fifo. active: response without the program's own pauses. slowdown: over ` +
      "the same program alone. busy: of the makespan, the engine. alive: programs that were not over when the last one came. Jain: of the programs' speeds. KV hits: of all tokens of prompts.",
  ].join("\n");
}

function cells(row: PolicyRow): string[] {
  const { policy, ofFifo, gain, hitRate, rebuilt, switches, decisionsPerSecond } = row;
  return [
    policy,
    ...[row.meanResponse, row.p50, row.p99].map((seconds) => seconds.toFixed(1)),
    ofFifo === undefined ? "" : ofFifo.toFixed(3),
    gain === undefined ? "" : `${(100 * gain).toFixed(0)} %`,
    row.meanActive.toFixed(1),
    row.meanSlowdown.toFixed(2),
    row.meanWait.toFixed(3),
    row.p99Wait.toFixed(2),
    row.makespan.toFixed(0),
    `${(100 * row.busy).toFixed(0)} %`,
    row.alive.toFixed(0),
    row.jain.toFixed(3),
    switches.toFixed(0),
    `${(100 * hitRate).toFixed(1)} %`,
    rebuilt.toFixed(0),
    decisionsPerSecond.toFixed(0),
  ];
}
