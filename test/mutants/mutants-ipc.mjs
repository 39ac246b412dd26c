/** Guards of messages and time. See mutants.mjs. */

/** @type {readonly (readonly [name: string, file: string, from: string, to: string, test: string])[]} */
const ROWS = [
  [
    "mail: an old delivery is acknowledged",
    "kernel/ipc/mail-calls.ts",
    "|| mail.deliveries !== delivery",
    "",
    "kernel/ipc/models.test.ts",
  ],
  [
    "mail: what the dead had is lost",
    "kernel/ipc/mailboxes.ts",
    "for (const [key] of held) this.#expired(key);",
    "",
    "kernel/ipc/ipc.test.ts",
  ],
  [
    "mail: nothing is ever a dead letter",
    "kernel/ipc/mailboxes.ts",
    "mail.deliveries >= box.maxDeliveries",
    "false",
    "kernel/ipc/ipc.test.ts",
  ],
  [
    "requests: anybody answers",
    "kernel/ipc/requests.ts",
    "asked.to !== call.process.pid",
    "false",
    "kernel/ipc/ipc.test.ts",
  ],
  [
    "pipes: there is always room",
    "kernel/ipc/pipes.ts",
    "return bytes + data.length <= capacity;",
    "return true;",
    "kernel/ipc/ipc.test.ts",
  ],
  [
    "pipes: the reader is gone at once",
    "kernel/ipc/pipes.ts",
    "return pipe.read && holders(",
    "return false && holders(",
    "kernel/ipc/ipc.test.ts",
  ],
  [
    "barriers: one that broke is waited at",
    "kernel/ipc/barriers.ts",
    "if (barrier.gone > 0) throw gone(barrier);",
    "",
    "kernel/ipc/ipc.test.ts",
  ],
  [
    "topics: a subscriber that refuses is not asked",
    "kernel/ipc/topics.ts",
    "if (refuser) {",
    "if (false) {",
    "test/conformance/ipc-bus.test.ts",
  ],
  [
    "topics: every subject is covered",
    "kernel/ipc/topic-calls.ts",
    "|| covers(topic, text)",
    "|| true",
    "test/conformance/ipc-bus.test.ts",
  ],
  [
    "bus: a queue has no bound",
    "kernel/ipc/bus-queue.ts",
    "if (full && this.#queue.length > 0)",
    "if (false)",
    "test/conformance/ipc-bus.test.ts",
  ],
  [
    "bus: one hears oneself",
    "kernel/ipc/bus-nats.ts",
    "subject.startsWith(own)",
    "false",
    "test/conformance/ipc-bus.test.ts",
  ],
  [
    "bus: as much is under way as likes",
    "kernel/ipc/bus-nats.ts",
    "this.#underWay + body.length > MOST_UNDER_WAY",
    "false",
    "test/conformance/ipc-bus.test.ts",
  ],
  [
    "schedules: a long step back repeats nothing",
    "kernel/time/schedules.ts",
    "schedule.since - now > LONG_STEP_MS",
    "false",
    "kernel/time/time.test.ts",
  ],
  [
    "schedules: what was missed is not told",
    "kernel/time/schedules.ts",
    "missed: schedule.untold + skipped",
    "missed: 0",
    "kernel/time/time.test.ts",
  ],
  [
    "topics: a full line to all is no error",
    "kernel/ipc/topics.ts",
    'if (full && scope !== "all") return false;',
    "if (full) return false;",
    "test/e2e/nats-slow.test.ts",
  ],
];

export const IPC_MUTANTS = ROWS.map(([name, file, from, to, test]) => ({
  name,
  file,
  from,
  to,
  tests: [test],
}));
