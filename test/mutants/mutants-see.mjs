/** Guards of what is shown: of ps, stats, top, vmstat and of the gateway's ways. See mutants.mjs. */

/** @type {readonly (readonly [name: string, file: string, from: string, to: string, test: string])[]} */
const ROWS = [
  [
    "stats: whose context is in a slot is told to everybody",
    "kernel/sys.ts",
    "const seen = owner !== undefined && sees(asker, owner);",
    "const seen = owner !== undefined || sees(asker, cid.toString());",
    "test/e2e/observing.test.ts",
  ],
  [
    "stats: everybody's processes are counted",
    "kernel/proc/ps.ts",
    "    if (!sees(asker, process.principal)) continue;\n    const { state }",
    "    const { state }",
    "test/e2e/observing.test.ts",
  ],
  [
    "sched: everybody's weights are told",
    "kernel/sched/calls.ts",
    ".filter(([principal]) => sees(asker, principal))",
    ".filter(([principal]) => principal !== asker.process.name)",
    "test/e2e/observing.test.ts",
  ],
  [
    "top: a name may command the terminal",
    "cli/top/cells.ts",
    'return text.replace(UNPRINTABLE, "?");',
    "return text === UNPRINTABLE.source ? '?' : text;",
    "cli/top/top.test.ts",
  ],
  [
    "top: wide characters take one cell",
    "cli/top/cells.ts",
    "return WIDE.test(character) ? 2 : 1;",
    "return WIDE.test(character) ? 1 : 1;",
    "cli/top/top.test.ts",
  ],
  [
    "top: a signal goes to the first of the list when nobody was chosen",
    "cli/top/view.ts",
    "const row = rows[markedAt(view, rows)];",
    "const row = rows[Math.max(0, markedAt(view, rows))];",
    "cli/top/top.test.ts",
  ],
  [
    "top: rates go on across another kernel",
    "cli/top/reading.ts",
    "before?.uname.daemonPid === now.uname.daemonPid ? before : undefined",
    "before?.uname.daemonPid !== 0 || now.at < 0 ? before : undefined",
    "cli/top/top.test.ts",
  ],
  [
    "ps: a tree is a list",
    "cli/processes.ts",
    'there.has(proc.parent) ? proc.parent : "";',
    'there.has(proc.parent) ? "" : "";',
    "cli/processes.test.ts",
  ],
  [
    "gateway: half a certificate is enough",
    "servers/gateway/options.ts",
    'if ((tlsCert === "") !== (tlsKey === "")) {',
    'if (tlsCert === "-" && tlsKey === "") {',
    "servers/gateway/options.test.ts",
  ],
  [
    "gateway: keys leave the machine in the clear",
    "servers/gateway/options.ts",
    'if (tlsCert === "" && !behindProxy && !isLoopback(hostOf(listen))) {',
    'if (tlsCert === "-" && !behindProxy && !isLoopback(hostOf(listen))) {',
    "servers/gateway/options.test.ts",
  ],
  [
    "gateway: an attachment in use makes room",
    "servers/gateway/attachments.ts",
    "find(({ users }) => users === 0)",
    "find(({ users }) => users >= 0)",
    "servers/gateway/attachments.test.ts",
  ],
  [
    "gateway: a refused key is asked about again",
    "servers/gateway/attachments.ts",
    "if (refused !== undefined) throw refused;",
    'if (refused?.message === "") throw refused;',
    "servers/gateway/attachments.test.ts",
  ],
  [
    "gateway: a slow reader is not waited for",
    "servers/gateway/sse.ts",
    "await drained(outgoing);",
    "void drained(outgoing);",
    "servers/gateway/sse.test.ts",
  ],
  [
    "run: the prefill of others is shown",
    "cli/prefill-watch.ts",
    "slot.pid === pid && slot.phase",
    "slot.phase",
    "cli/prefill-watch.test.ts",
  ],
  [
    "address: any name is a path",
    "cli/command.ts",
    'if (text.includes("://"))',
    "if (false)",
    "cli/command.test.ts",
  ],
  [
    "connect: every address is a socket here",
    "syscalls/wire/address.ts",
    'address.startsWith("unix:")',
    "true",
    "syscalls/connect.test.ts",
  ],
];

/** @type {readonly import("./mutants.d.mts").Mutant[]} */
export const SEE_MUTANTS = ROWS.map(([name, file, from, to, test]) => ({
  ...{ name, file, from, to },
  tests: [test],
}));
