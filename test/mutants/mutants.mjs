/** Each switches one guard off: `from`, which stands once in `file`, becomes `to`. */
const FEED = ["kernel/mm/feed.test.ts", "test/sim/schedule.test.ts"];
const POLICY = ["kernel/sched/policy.test.ts"];

export const MUTANTS = [
  {
    name: "feed: a remainder of one may be left",
    file: "kernel/mm/feed.ts",
    from: "if (left - size !== 1) return size;",
    to: "return size;",
    tests: FEED,
  },
  {
    name: "feed: a token that entered by decode counts as prefilled",
    file: "kernel/mm/feed.ts",
    from: "if (keep === run.start + 1) keep = run.start;",
    to: "",
    tests: FEED,
  },
  {
    name: "feed: a run of one enters by prefill",
    file: "kernel/mm/feed.ts",
    from: 'const how = run.given && run.end - run.start >= 2 ? "prefill" : "decode";',
    to: 'const how = run.given ? "prefill" : "decode";',
    tests: FEED,
  },
  {
    name: "feed: generated tokens are rebuilt by prefill",
    file: "kernel/mm/feed.ts",
    from: 'const how = run.given && run.end - run.start >= 2 ? "prefill" : "decode";',
    to: 'const how = run.end - run.start >= 2 ? "prefill" : "decode";',
    tests: FEED,
  },
  {
    name: "rr: nobody is ever preempted",
    file: "kernel/sched/policy.ts",
    from: "return c.quantumUsed >= Math.max(quantum, c.rebuildCost / 2);",
    to: "return false;",
    tests: POLICY,
  },
  {
    name: "policies: the cost of a switch does not count",
    file: "kernel/sched/policy.ts",
    from: "Math.max(quantum, c.rebuildCost / 2)",
    to: "quantum",
    tests: POLICY,
  },
  {
    name: "priority: waiting does not age",
    file: "kernel/sched/priority.ts",
    from: "c.nice - Math.max(0, now - c.readySince) / agingUs",
    to: "c.nice",
    tests: POLICY,
  },
];
