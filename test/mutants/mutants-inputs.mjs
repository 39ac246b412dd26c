/** Guards of what contexts are given, and of whose pages they find. See mutants.mjs. */
const MM = "kernel/mm";
const REFUSED = "test/e2e/contexts-refused.test.ts";
const CONTEXTS = "test/e2e/contexts.test.ts";
const SNAPSHOTS = "test/e2e/contexts-snapshots.test.ts";
const ISOLATION = "test/e2e/isolation.test.ts";
const PAGE_QUOTAS = `${MM}/page-quotas.test.ts`;

/** @type {readonly (readonly [name: string, file: string, from: string, to: string, test: string, only?: string])[]} */
const ROWS = [
  [
    "pages: everybody finds everybody's",
    `${MM}/pool.ts`,
    "saltOf(context), pinned",
    '"all", pinned',
    ISOLATION,
  ],
  [
    "pages: what both share is found by nobody",
    `${MM}/names.ts`,
    'context.share === "all" ? "all" : `principal',
    '"all" === "" ? "all" : `principal',
    ISOLATION,
  ],
  [
    "input: tokens outside the vocabulary are taken",
    `${MM}/input.ts`,
    "    checkIds(input.value.ids, engine.ready.vocab);\n",
    "",
    REFUSED,
    "that can not be is a typed error",
  ],
  [
    "input: nothing is appended",
    `${MM}/calls.ts`,
    "  if (tokens.length === 0) {\n",
    "  if (false) {\n",
    REFUSED,
    "that can not be is a typed error",
  ],
  [
    "input: a text of any length is tokenized",
    `${MM}/input.ts`,
    "  if (characters <= window * TOKEN_CHARACTERS) return;\n",
    "  return;\n",
    REFUSED,
    "that can not be is a typed error",
  ],
  [
    "input: what can never have room is let in",
    `${MM}/input.ts`,
    "  if (tokens + 1 > window) throw tooLong(before + tokens, window);\n",
    "",
    SNAPSHOTS,
    "that is damaged says how",
  ],
  [
    "snapshots: another engine's goes on as this one's",
    `${MM}/context-snapshot.ts`,
    "saved.engine !== engineDigest && !rebase",
    "saved.engine === undefined && !rebase",
    SNAPSHOTS,
    "of another engine is EXDEV",
  ],
  [
    "snapshots: one that is cut short is read",
    `${MM}/snapshot-file.ts`,
    "  if (file.length < length) {\n",
    "  if (false) {\n",
    SNAPSHOTS,
    "that is damaged says how",
  ],
  [
    "snapshots: one that has hardly begun is read",
    `${MM}/snapshot-file.ts`,
    "  if (file.length < HEAD + CHECKSUM) {\n",
    "  if (false) {\n",
    SNAPSHOTS,
    "that is damaged says how",
  ],
  [
    "snapshots: one with something behind it is read",
    `${MM}/snapshot-file.ts`,
    "  if (file.length > length) {\n",
    "  if (false) {\n",
    SNAPSHOTS,
    "that is damaged says how",
  ],
  [
    "swap: a driver without its file is no driver",
    "servers/llm/driver.ts",
    "    return undefined;\n  }\n}\n\nfunction ready(",
    "    throw error;\n  }\n}\n\nfunction ready(",
    "servers/llm/fake/main-swap.test.ts",
    "goes on without a swap file",
  ],
  [
    "contexts: pages change who may share them",
    `${MM}/context-advise.ts`,
    "    if (context.tokens.length > 0) {\n",
    "    if (false) {\n",
    CONTEXTS,
    "takes a share only while it is empty",
  ],
  [
    "contexts: two calls use one at once",
    `${MM}/context-life.ts`,
    "    if (this.#busy.has(cid)) {\n",
    "    if (false) {\n",
    CONTEXTS,
    "waits its turn",
  ],
  [
    "contexts: a fork is longer than its source",
    `${MM}/context-fork.ts`,
    '  inRange("length", length, 0, source.tokens.length);\n',
    "",
    CONTEXTS,
    "is refused beyond its source's end",
  ],
  [
    "contexts: a cut is behind the end",
    `${MM}/context-truncate.ts`,
    '  inRange("length", length, 0, before);\n',
    "",
    CONTEXTS,
    "is refused behind the end",
  ],
  [
    "page quotas: nobody's own pages go",
    `${MM}/page-quotas.ts`,
    "      while (this.#held(tier, of) + more > limit) {\n",
    "      while (false) {\n",
    PAGE_QUOTAS,
  ],
  [
    "page quotas: a page too many comes in",
    `${MM}/page-quotas.ts`,
    "if (!this.#evictOne(tier, of, now)) return false;",
    "if (!this.#evictOne(tier, of, now)) return true;",
    PAGE_QUOTAS,
  ],
  [
    "page quotas: what was spawned counts for nobody",
    `${MM}/page-quotas.ts`,
    "    for (const budget of state.processes.get(process)?.budgets ?? []) {\n",
    "    for (const budget of []) {\n",
    PAGE_QUOTAS,
  ],
  [
    "page quotas: more is pinned than may be kept",
    `${MM}/quota.ts`,
    "  checkQuota({ ...of, used, more, fix });\n",
    "",
    `${MM}/quota.test.ts`,
  ],
];

export const INPUT_MUTANTS = ROWS.map(([name, file, from, to, test, only]) => ({
  ...{ name, file, from, to },
  tests: [test],
  ...(only && { only }),
}));
