/** Guards of certificates, of what is said once, and of what is owed. See mutants.mjs. */

/** @type {readonly (readonly [name: string, file: string, from: string, to: string, test: string])[]} */
const ROWS = [
  [
    "tls: an expired certificate is taken",
    "proto/certificates.ts",
    "if (Date.parse(validTo) <= nowMs) {",
    "if (false) {",
    "proto/certificates.test.ts",
  ],
  [
    "tls: a key need not fit",
    "proto/certificates.ts",
    "if (leaf.checkPrivateKey(createPrivateKey(pem))) return;",
    "createPrivateKey(pem);\n    return;",
    "proto/certificates.test.ts",
  ],
  [
    "tls: nobody is told that a certificate expires",
    "proto/certificates.ts",
    "    this.#watch(Date.parse(leaf.validTo), false);\n",
    "",
    "proto/certificates.test.ts",
  ],
  [
    "tls: the gateway keeps the certificates it was started with",
    "servers/gateway/server.ts",
    "server.setSecureContext(certificates.read());",
    "certificates.read();",
    "servers/gateway/server.test.ts",
  ],
  [
    "tls: nobody tells the gateway of new certificates",
    "kernel/main.ts",
    "beside?.reload();",
    "",
    "test/e2e/gateway-life.test.ts",
  ],
  [
    "tls: every client's certificate is good",
    "kernel/doors/turned-away.ts",
    "if (socket.authorized) return undefined;",
    "return undefined;",
    "test/e2e/tls.test.ts",
  ],
  [
    "trap: a repeated reply does not wait for the audit",
    "kernel/trap.ts",
    "void Promise.all([journal.sync(), audit.sync()]).then(() => live.reply(Reply.decode(reply)));",
    "void [journal, audit];\n    live.reply(Reply.decode(reply));",
    "kernel/trap.test.ts",
  ],
  [
    "trap: any number of calls may be in flight",
    "kernel/trap.ts",
    "if (live.calls.size >= config.limits.callsPerProcess) {",
    "if (false) {",
    "kernel/trap.test.ts",
  ],
  [
    "trap: any number of results may wait",
    "kernel/trap.ts",
    "process.results.size >= unackedResults ||",
    "",
    "kernel/trap.test.ts",
  ],
  [
    "trap: results of any size may wait",
    "kernel/trap.ts",
    "|| process.resultBytes >= unackedBytes",
    "",
    "kernel/trap.test.ts",
  ],
  [
    "trap: an external call begins without its intent",
    "kernel/trap.ts",
    'row.kind === "external" ? this.#intend(call) : undefined',
    "undefined",
    "kernel/trap.test.ts",
  ],
  [
    "journal: an intent stays when its call was answered",
    "kernel/journal/state.ts",
    "    process.intents.delete(record.seq);\n    if (record.seq > process.lastSeq)",
    "    if (record.seq > process.lastSeq)",
    "kernel/trap.test.ts",
  ],
  [
    "rates: a wait is until nothing is missing",
    "kernel/cap/rates/bucket.ts",
    "((missing - COUNTED) / rate)",
    "(missing / rate)",
    "kernel/cap/rates/bucket.test.ts",
  ],
];

export const TLS_MUTANTS = ROWS.map(([name, file, from, to, test]) => ({
  name,
  file,
  from,
  to,
  tests: [test],
}));
