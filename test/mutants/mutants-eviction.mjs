/** Guards of eviction: what policy `agent` learns. See mutants.mjs. */
const EVICTION = "kernel/mm/eviction";

/** @type {readonly (readonly [name: string, file: string, from: string, to: string, test: string])[]} */
const ROWS = [
  [
    "eviction: a burst that was the last teaches nothing",
    `${EVICTION}/agent.ts`,
    "    this.#running.ended(now - holder.ranSince);\n",
    "",
    `${EVICTION}/policies.test.ts`,
  ],
  [
    "eviction: all waits of a kind are learned together",
    `${EVICTION}/agent.ts`,
    "this.learned.ofPart(wait.kind, Math.min(waited, OFTEN))",
    "this.learned.of(wait.kind)",
    `${EVICTION}/policies.test.ts`,
  ],
  [
    "eviction: a wait begins anew whenever it is told of",
    `${EVICTION}/agent.ts`,
    "goesOn ? holder.since : now",
    "now",
    `${EVICTION}/policies.test.ts`,
  ],
  [
    "eviction: a wait counts whenever it is told of",
    `${EVICTION}/agent.ts`,
    "if (!goesOn) holder.waited++;",
    "holder.waited++;",
    `${EVICTION}/policies.test.ts`,
  ],
  [
    "eviction: a context that was closed holds pages",
    "kernel/mm/write-through.ts",
    "this.#lives(cid) ? cid : NOBODY",
    "cid",
    "kernel/mm/pool.test.ts",
  ],
  [
    "eviction: nobody is somebody",
    `${EVICTION}/agent.ts`,
    "if (cid === NOBODY) this.#changed(node);",
    "if (cid < NOBODY) this.#changed(node);",
    `${EVICTION}/policies.test.ts`,
  ],
  [
    "eviction: a page is weighed by its own cost alone",
    `${EVICTION}/agent.ts`,
    "node.historyUs / node.depth",
    "this.#ports.rebuildUs(page)",
    `${EVICTION}/policies.test.ts`,
  ],
  [
    "eviction: what nobody saw has fixed odds",
    `${EVICTION}/waits.ts`,
    "carried = Math.min(carried + step, CARRIED_MOST)",
    "carried += 0 * step * CARRIED_MOST",
    `${EVICTION}/waits.test.ts`,
  ],
  [
    "eviction: newcomers are expected behind generated tokens",
    `${EVICTION}/findings.ts`,
    "(own ? this.#own : this.#new)",
    "(own ? this.#new : this.#new)",
    `${EVICTION}/findings.test.ts`,
  ],
  [
    "shares: another's page is the victim",
    "kernel/mm/tier.ts",
    "whose && this.policy.victim(now, whose)",
    "whose && this.policy.victim(now)",
    "kernel/mm/shares.test.ts",
  ],
];

export const EVICTION_MUTANTS = ROWS.map(([name, file, from, to, test]) => ({
  name,
  file,
  from,
  to,
  tests: [test],
}));
