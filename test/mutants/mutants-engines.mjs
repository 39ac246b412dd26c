/** Guards of the kernel's engines: one for each model. See mutants.mjs. */
const ENGINES = "kernel/engines";

/** @type {readonly (readonly [name: string, file: string, from: string, to: string, test: string])[]} */
const ROWS = [
  [
    "driver: what nothing caught is not said",
    "servers/llm/driver.ts",
    "if (options.stream === undefined) process",
    "if (false) process",
    "servers/llm/driver.test.ts",
  ],
  [
    "budget: any tenant goes first",
    `${ENGINES}/budget.ts`,
    ".sort((a, b) => a.lastUsed - b.lastUsed)",
    "",
    `${ENGINES}/budget.test.ts`,
  ],
  [
    "budget: a tenant at work may go",
    `${ENGINES}/budget.ts`,
    "tenants.filter((tenant) => tenant.idle).sort(",
    "[...tenants].sort(",
    `${ENGINES}/budget.test.ts`,
  ],
  [
    "engine: a driver starts while its last one ends",
    `${ENGINES}/served-model.ts`,
    "    await this.#resting;\n",
    "",
    `${ENGINES}/engines.test.ts`,
  ],
  [
    "engine: a driver at work is stopped",
    `${ENGINES}/served-model.ts`,
    "if (!this.idle || this.memory === 0) return;",
    "if (this.memory === 0) return;",
    `${ENGINES}/engines.test.ts`,
  ],
  [
    "engine: two drivers for two who ask",
    `${ENGINES}/served-model.ts`,
    "this.#starting ??= this.#start()",
    "this.#starting = this.#start()",
    `${ENGINES}/engines.test.ts`,
  ],
  [
    "engine: a context goes on under another digest",
    `${ENGINES}/engines.ts`,
    "if (model?.engine?.ready.engineDigest === context.engine) return model;",
    "if (model?.engine) return model;",
    `${ENGINES}/engines.test.ts`,
  ],
  [
    "engine: memory that was promised is not counted",
    `${ENGINES}/engines.ts`,
    "    model.memory = bytes;\n",
    "",
    `${ENGINES}/engines.test.ts`,
  ],
  [
    "driver: one that ended is started though nobody wants it",
    "kernel/drivers/llm.ts",
    "    if (asked && this.#wanted) this.#spawn();\n",
    "",
    "kernel/drivers/llm.test.ts",
  ],
  [
    "pace: chunks are as long as they like",
    "kernel/mm/chunk-pace.ts",
    "return Math.min(LONGEST, Math.max(SHORTEST, whole));",
    "return Math.max(SHORTEST, whole);",
    "kernel/mm/chunk-pace.test.ts",
  ],
  [
    "pace: a chunk pays for the rows beside it",
    "kernel/mm/chunk-pace.ts",
    "Math.max(0, stepUs - this.#stepUs(rows))",
    "stepUs",
    "kernel/mm/chunk-pace.test.ts",
  ],
  [
    "gathering: what somebody waits for is held",
    "servers/llm/engine/gathering.ts",
    "!awaited && outcome.rows.every(isPlain)",
    "outcome.rows.every(isPlain)",
    "servers/llm/engine/gathering.test.ts",
  ],
  [
    "gathering: an end is held",
    "servers/llm/engine/gathering.ts",
    'sampled.length > 0 && finish === ""',
    "sampled.length > 0",
    "servers/llm/engine/gathering.test.ts",
  ],
  [
    "gathering: the last steps are held",
    "servers/llm/engine/gathering.ts",
    "outcome.last || outcome.step + LAST_STEPS >= steps",
    "outcome.last",
    "servers/llm/engine/gathering.test.ts",
  ],
  [
    "swap: a page of another name is taken",
    "servers/llm/engine/block-reads.ts",
    "this.#format.holds(name, block)",
    "true",
    "servers/llm/engine/swap-file.test.ts",
  ],
  [
    "swap: all pages are taken for whole ones",
    "servers/llm/engine/kv-frames.ts",
    "if (buffer === bytes.buffer) whole",
    "if (true) whole",
    "servers/llm/engine/kv-frames.test.ts",
  ],
];

export const ENGINE_MUTANTS = ROWS.map(([name, file, from, to, test]) => ({
  name,
  file,
  from,
  to,
  tests: [test],
}));
