/** The `post_processor` of a `tokenizer.json`: the tokens put around a whole text. */
import { z } from "zod";
import { broken, parse, type Reader, reader } from "./components.js";

export interface Around {
  readonly prefix: readonly number[];
  readonly suffix: readonly number[];
}

const NOTHING: Around = { prefix: [], suffix: [] };

const Piece = z.union([
  z.object({ SpecialToken: z.object({ id: z.string() }) }),
  z.object({ Sequence: z.object({ id: z.literal("A") }) }),
]);
const Template = z.object({
  single: z.array(Piece),
  special_tokens: z.record(z.string(), z.object({ ids: z.array(z.number().int().nonnegative()) })),
});
const Pair = z.tuple([z.string(), z.number().int().nonnegative()]);
const Enclosing = z.object({ cls: Pair, sep: Pair });
const Sequence = z.object({ processors: z.array(z.unknown()) });

function enclosing(part: unknown, where: string): Around {
  const { cls, sep } = parse(Enclosing, part, where);
  return { prefix: [cls[1]], suffix: [sep[1]] };
}

const readStep: Reader<Around> = reader({
  ByteLevel: () => NOTHING,
  BertProcessing: enclosing,
  RobertaProcessing: enclosing,
  TemplateProcessing: (part, where) => template(parse(Template, part, where), where),
  Sequence: (part, where) => {
    const { processors } = parse(Sequence, part, where);
    return processors
      .map((step, i) => readStep(step, `${where}.processors.${i}`))
      .reduce(
        (inner, outer) => ({
          prefix: [...outer.prefix, ...inner.prefix],
          suffix: [...inner.suffix, ...outer.suffix],
        }),
        NOTHING,
      );
  },
});

/** What `part` describes; null: nothing. EMODEL. */
export function readPostProcessor(part: unknown): Around {
  return part === null || part === undefined ? NOTHING : readStep(part, "post_processor");
}

function template({ single, special_tokens }: z.infer<typeof Template>, where: string): Around {
  const at = single.findIndex((piece) => "Sequence" in piece);
  if (at < 0) throw broken(`${where}.single: has no sequence A`);
  const idsOf = (piece: z.infer<typeof Piece>): number[] => {
    if ("Sequence" in piece) throw broken(`${where}.single: has sequence A twice`);
    const ids = special_tokens[piece.SpecialToken.id]?.ids;
    if (!ids) throw broken(`${where}.special_tokens: has no "${piece.SpecialToken.id}"`);
    return ids;
  };
  return {
    prefix: single.slice(0, at).flatMap(idsOf),
    suffix: single.slice(at + 1).flatMap(idsOf),
  };
}
