/**
 * Round robin: bursts hold a slot for a quantum of tokens; then, if others wait,
 * the one that waited longest takes it.
 */
import { type Candidate, type Policy, preemptible } from "./policy.js";

/** `quantum` is in tokens. */
export function roundRobin(quantum: number): Policy {
  return {
    name: "rr",
    choose({ slots, candidates }) {
      const running = candidates.filter((c) => c.running);
      const waiting = candidates.filter((c) => !c.running).sort(byWaiting);
      const kept = running.filter((c) => !preemptible(c, quantum));
      const spent = running.filter((c) => preemptible(c, quantum)).sort(byUse);
      const free = Math.max(0, slots - kept.length);
      // Whoever waits goes before whoever used up its quantum; the least served go on last.
      return [...kept, ...[...waiting, ...spent].slice(0, free)].map((c) => c.id);
    },
  };
}

const byWaiting = (a: Candidate, b: Candidate): number =>
  a.readySince - b.readySince || a.order - b.order;
const byUse = (a: Candidate, b: Candidate): number =>
  a.quantumUsed - b.quantumUsed || a.order - b.order;
