/** Guards of the paging of meaning. See mutants.mjs. */
const OVERFLOW = "kernel/mm/overflow";
const PAGER = `${OVERFLOW}/pager.test.ts`;
const SAVED = `${OVERFLOW}/saved.test.ts`;
const E2E = "test/e2e/overflow.test.ts";
const FAULTS = "test/e2e/overflow-faults.test.ts";

/** @type {readonly (readonly [name: string, file: string, from: string, to: string, test: string, only?: string])[]} */
const ROWS = [
  [
    "overflow: what is pinned may leave",
    `${OVERFLOW}/choose.ts`,
    "id > 0 && !pinned && ",
    "id > 0 && ",
    PAGER,
  ],
  [
    "overflow: the last question may leave",
    `${OVERFLOW}/choose.ts`,
    "(asked !== undefined || id !== last?.id)",
    "true",
    PAGER,
  ],
  [
    "overflow: as much may be filed as there is",
    `${OVERFLOW}/pager.ts`,
    "  checkFiled(ports.filedTokens, context.paging.filedTokens, made.edit.filed);\n",
    "",
    PAGER,
  ],
  [
    "overflow: only what does not fit leaves",
    `${OVERFLOW}/pager.ts`,
    "Math.floor(ports.engine.ready.slotTokens / 2)",
    "Math.floor(ports.engine.ready.slotTokens)",
    PAGER,
  ],
  [
    "overflow: KV behind an edit counts as it was",
    `${OVERFLOW}/events.ts`,
    "  kernel.engines.cut(context, validAfter(context, edit.from));\n",
    "",
    E2E,
    "answers the same",
  ],
  [
    "overflow: the mark is told again and again",
    `${OVERFLOW}/events.ts`,
    "  if (high === paging.high) return;\n",
    "",
    E2E,
    "the mark",
  ],
  [
    "overflow: a cut does not end what the mark was told for",
    "kernel/mm/context-truncate.ts",
    "  afterChange(kernel, context);\n",
    "",
    E2E,
    "the mark",
  ],
  [
    "overflow: a cancelled call's summary is written to its end",
    `${OVERFLOW}/summary.ts`,
    'call.onEnd((error) => leave({ kind: "failed", error }))',
    "call.onEnd(() => {})",
    FAULTS,
    "cancelled during a summary",
  ],
  [
    "overflow: what is generated leaves with the copy before it",
    `${OVERFLOW}/segments.ts`,
    " && last.copyOf === 0",
    "",
    SAVED,
  ],
  [
    "snapshot: any handles will do",
    `${OVERFLOW}/saved.ts`,
    "if (ids.some((id) => id === 0 || id >= nextId) || new Set(ids).size < ids.length) {",
    "if (false) {",
    SAVED,
  ],
  [
    "snapshot: a note may be anything",
    `${OVERFLOW}/saved.ts`,
    "if (note !== (id === 0) || note !== stands.length > 0 || (note && !pinned)) return false;",
    "",
    SAVED,
  ],
  [
    "overflow: the mark is not told of an answer that was cancelled",
    "kernel/sched/generate.ts",
    "this.#usage() : NO_USAGE, effects);\n    this.#watchMark();\n",
    "this.#usage() : NO_USAGE, effects);\n",
    E2E,
    "that nobody reads",
  ],
  [
    "overflow: a summary has its caller's class",
    `${OVERFLOW}/summary.ts`,
    "class: CLASS",
    "class: call.process.class",
    "test/e2e/contexts-quotas.test.ts",
    "waits for everybody else",
  ],
  [
    "snapshot: notes stand for any number",
    `${OVERFLOW}/saved.ts`,
    "if (stood > filed.length + MOST_FORGOTTEN) {",
    "if (false) {",
    SAVED,
  ],
  [
    "snapshot: handles never run out",
    `${OVERFLOW}/saved.ts`,
    " || nextId > MOST_SEGMENTS",
    "",
    SAVED,
  ],
  [
    "texts: messages end where their lengths say",
    "servers/llm/text/requests.ts",
    " && matches(tokens, at, piece)",
    "",
    "servers/llm/text/requests.test.ts",
  ],
];

export const OVERFLOW_MUTANTS = ROWS.map(([name, file, from, to, test, only]) => ({
  name,
  file,
  from,
  to,
  tests: [test],
  ...(only !== undefined && { only }),
}));
