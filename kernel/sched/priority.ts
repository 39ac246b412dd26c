/**
 * Priority by nice value, with aging: waiting lowers the effective value by one
 * for every `agingUs`, so a burst at +19 overtakes a fresh one at -20 after 40
 * such spans, and nobody starves.
 */
import { type Candidate, type Policy, preemptible } from "./policy.js";

/** `quantum` in tokens, `agingUs` in microseconds. */
export function priority(quantum: number, agingUs: number): Policy {
  return {
    name: "priority",
    choose({ now, slots, candidates }) {
      const rank = (c: Candidate): number =>
        c.running ? c.nice : c.nice - Math.max(0, now - c.readySince) / agingUs;
      const kept = candidates.filter((c) => c.running && !preemptible(c, quantum));
      const open = candidates.filter((c) => !c.running || preemptible(c, quantum));
      open.sort((a, b) => rank(a) - rank(b) || a.readySince - b.readySince || a.order - b.order);
      const free = Math.max(0, slots - kept.length);
      return [...kept, ...open.slice(0, free)].map((c) => c.id);
    },
  };
}
