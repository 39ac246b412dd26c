/** Guards of messages between kernels. See mutants.mjs. */

/** @type {readonly (readonly [name: string, file: string, from: string, to: string, test: string])[]} */
const ROWS = [
  [
    "between: a doubled piece counts",
    "kernel/ipc/between/link.ts",
    "if (seq !== this.#received + 1n) return;",
    "",
    "test/conformance/ipc-faults.test.ts",
  ],
  [
    "between: nothing is sent again",
    "kernel/ipc/between/link.ts",
    "if (piece.seq <= this.#sent && !this.#packet(piece)) break;",
    "",
    "test/conformance/ipc-faults.test.ts",
  ],
  [
    "between: a former session is heard",
    "kernel/ipc/between/link.ts",
    "if (from < this.#theirs || from === 0n) return;",
    "if (from === 0n) return;",
    "kernel/ipc/between/link.test.ts",
  ],
  [
    "between: silence counts while the line is down",
    "kernel/ipc/between/link.ts",
    "    if (!bus.up) return;\n    this.#silent++;",
    "    this.#silent++;",
    "test/conformance/ipc-lost.test.ts",
  ],
  [
    "between: a silent kernel is never lost",
    "kernel/ipc/between/link.ts",
    "this.#silent >= LOST_BEATS",
    "false",
    "test/conformance/ipc-lost.test.ts",
  ],
  [
    "between: given up is over at once",
    "kernel/ipc/between/away.ts",
    "call.goesOnElsewhere((error) => this.#ask(pending, error));",
    "",
    "test/conformance/ipc-faults.test.ts",
  ],
  [
    "between: handles on what is lost stay",
    "kernel/ipc/between/away.ts",
    "this.#close(this.#held.drop(node));",
    "",
    "test/conformance/ipc-lost.test.ts",
  ],
  [
    "between: any call from afar",
    "kernel/ipc/between/guests.ts",
    ' || !CALLS.has(call.call?.$case ?? "")',
    "",
    "test/conformance/ipc-lost.test.ts",
  ],
  [
    "between: speaks for another's process",
    "kernel/ipc/between/guests.ts",
    "if (!call || nodeOf(pid) !== link.node ||",
    "if (!call ||",
    "test/conformance/ipc-lost.test.ts",
  ],
  [
    "between: the lost hold on",
    "kernel/ipc/between/guests.ts",
    "if (link.node === node) this.#end(pid);",
    "void [node, pid, link];",
    "test/conformance/ipc-lost.test.ts",
  ],
  [
    "between: what is not held is kept",
    "kernel/ipc/between/guests.ts",
    'else records.push({ type: "cap.closed", id: cap });',
    "",
    "test/conformance/ipc-between.test.ts",
  ],
  [
    "between: a guest is ruled from here",
    "kernel/cap/objects.ts",
    " || found.guest",
    "",
    "test/conformance/ipc-lost.test.ts",
  ],
  [
    "between: what was opened for a call that was given up stays open",
    "kernel/ipc/between/away.ts",
    "if (link.reachable) return this.#giveUpLater(pending, error);",
    "if (link.reachable) return this.#giveUpLater(pending, error);\n      this.#forget(pending);",
    "test/conformance/ipc-lost.test.ts",
  ],
];

export const BETWEEN_MUTANTS = ROWS.map(([name, file, from, to, test]) => ({
  name,
  file,
  from,
  to,
  tests: [test],
}));
