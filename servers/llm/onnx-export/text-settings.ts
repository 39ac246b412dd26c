/**
 * What an export's JSON files say of text: start and end tokens, chat template. Each
 * family writes it in its own places, so each is looked for in all of them.
 */
import { z } from "zod";
import { ContixError } from "../../../proto/errno.js";
import { jsonFile, textFile } from "./export-files.js";

export interface TextSettings {
  readonly bosId: number | null;
  readonly addBos: boolean;
  readonly eosIds: readonly number[];
  readonly chatTemplate: string | null;
  /** `tokenizer.json`, without the added tokens that the model has no row for. */
  readonly tokenizer: object;
}

const id = z.number().int().nonnegative();
const ids = z.union([id, z.array(id)]).nullish();
/** A token by its text; older files write an object around it. */
const tokenText = z
  .union([z.string(), z.object({ content: z.string() }).transform(({ content }) => content)])
  .nullish();

const Generation = z.object({ eos_token_id: ids, bos_token_id: ids });
const TokenizerConfig = z.object({
  bos_token: tokenText,
  eos_token: tokenText,
  add_bos_token: z.boolean().nullish(),
  chat_template: z
    .union([z.string(), z.array(z.object({ name: z.string(), template: z.string() }))])
    .nullish(),
});
type TokenizerConfig = z.infer<typeof TokenizerConfig>;

const Tokenizer = z.looseObject({
  added_tokens: z.array(z.looseObject({ id, content: z.string() })).nullish(),
  model: z.looseObject({ vocab: z.unknown().optional() }),
  post_processor: z.unknown().optional(),
});
type Tokenizer = z.infer<typeof Tokenizer>;

const Piece = z.union([
  z.object({ SpecialToken: z.object({ id: z.string() }) }),
  z.object({ Sequence: z.unknown() }),
]);
const Template = z.object({ type: z.literal("TemplateProcessing"), single: z.array(Piece) });
const Processors = z.object({ type: z.literal("Sequence"), processors: z.array(z.unknown()) });

/**
 * Reads the text files of the export in `dir`, of a model with `vocab` tokens.
 * @throws ContixError EMODEL that names the file at fault
 */
export async function readTextSettings(dir: string, vocab: number): Promise<TextSettings> {
  const file = await jsonFile(dir, "tokenizer.json");
  if (file === undefined) {
    throw new ContixError(
      "EMODEL",
      `${dir} has no tokenizer.json; a tokenizer in any other form is not read`,
    );
  }
  const tokenizer = parse(Tokenizer, file, "tokenizer.json");
  const config = parse(
    TokenizerConfig,
    (await jsonFile(dir, "tokenizer_config.json")) ?? {},
    "tokenizer_config.json",
  );
  const generation = await generationOf(dir);
  const idOf = tokenIds(tokenizer);
  const fits = (token: number): boolean => token < vocab;
  const eos = [...listOf(generation.eos_token_id), ...idOf(config.eos_token)];
  const bos = [...idOf(config.bos_token), ...listOf(generation.bos_token_id)];
  const bosId = bos.find(fits) ?? null;
  return {
    bosId,
    addBos: bosId !== null && startsWith(bosId, tokenizer, config),
    eosIds: [...new Set(eos.filter(fits))],
    chatTemplate: (await textFile(dir, "chat_template.jinja")) ?? templateOf(config),
    tokenizer: trimmed(tokenizer, vocab),
  };
}

/** generation_config.json, and what it leaves out from config.json. */
async function generationOf(dir: string): Promise<z.infer<typeof Generation>> {
  const [first, second] = await Promise.all(
    ["generation_config.json", "config.json"].map(async (name) =>
      parse(Generation, (await jsonFile(dir, name)) ?? {}, name),
    ),
  );
  return {
    eos_token_id: first?.eos_token_id ?? second?.eos_token_id,
    bos_token_id: first?.bos_token_id ?? second?.bos_token_id,
  };
}

function tokenIds(tokenizer: Tokenizer): (text: string | null | undefined) => number[] {
  const ids = new Map(Object.entries(piecesOf(tokenizer) ?? {}));
  for (const { id, content } of tokenizer.added_tokens ?? []) ids.set(content, id);
  return (text) => {
    const found = ids.get(text ?? "");
    return typeof found === "number" ? [found] : [];
  };
}

/** Ids by text, unchecked: a schema takes half a second for them. Unigram models have a list. */
function piecesOf({ model: { vocab } }: Tokenizer): Record<string, unknown> | undefined {
  if (typeof vocab !== "object" || vocab === null || Array.isArray(vocab)) return undefined;
  return { ...vocab };
}

/** The post-processor is what puts it there; without one of that kind, the flag decides. */
function startsWith(bosId: number, tokenizer: Tokenizer, config: TokenizerConfig): boolean {
  const sequence = Processors.safeParse(tokenizer.post_processor);
  const steps = sequence.success ? sequence.data.processors : [tokenizer.post_processor];
  for (const step of steps) {
    const template = Template.safeParse(step);
    if (!template.success) continue;
    const [start] = template.data.single;
    const name = start !== undefined && "SpecialToken" in start ? start.SpecialToken.id : "";
    return tokenIds(tokenizer)(name)[0] === bosId;
  }
  return config.add_bos_token ?? false;
}

function templateOf({ chat_template: template }: TokenizerConfig): string | null {
  if (typeof template === "string") return template;
  return template?.find(({ name }) => name === "default")?.template ?? null;
}

/**
 * Some families share a tokenizer with larger models that have more tokens; a token that
 * the graph has no row for can not be entered.
 */
function trimmed(tokenizer: Tokenizer, vocab: number): object {
  const added = tokenizer.added_tokens ?? [];
  const beyond = added.filter((token) => token.id >= vocab);
  if (beyond.length === 0) return tokenizer;
  const names = new Set(beyond.map(({ content }) => content));
  const { model } = tokenizer;
  const pieces = piecesOf(tokenizer);
  const kept = pieces
    ? Object.fromEntries(Object.entries(pieces).filter(([text]) => !names.has(text)))
    : model.vocab;
  return {
    ...tokenizer,
    added_tokens: added.filter((token) => token.id < vocab),
    model: { ...model, vocab: kept },
  };
}

function parse<T>(schema: z.ZodType<T>, json: unknown, file: string): T {
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new ContixError(
    "EMODEL",
    `${file}: ${issue?.path.join(".") ?? ""}: ${issue?.message ?? ""}`,
  );
}

function listOf(value: number | readonly number[] | null | undefined): readonly number[] {
  if (value === null || value === undefined) return [];
  return typeof value === "number" ? [value] : value;
}
