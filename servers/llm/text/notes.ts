/**
 * The words of the notes that the kernel has put into contexts, and the ways in which a
 * query's words are looked for. The kernel knows tokens only; words are made here.
 */
import type { EncodeStub } from "../../../proto/gen/contix/driver/v1/llm.js";

/** Words of a query beyond these are not looked for. */
const QUERY_WORDS = 64;

/** What stands where segments were moved out; `head`: their beginning, or their summary. */
export function stubText(
  { handles, tokens, summary }: Pick<EncodeStub, "handles" | "tokens" | "summary">,
  head: string,
): string {
  const one = handles.length === 1;
  const who = `segment${one ? "" : "s"} ${ranges(handles)} ${one ? "was" : "were"} moved out`;
  const line = head.replace(/\s+/g, " ").replaceAll("\ufffd", "").trim();
  const what = line === "" ? "" : summary ? `; in short: ${line}` : `, begins: ${line}...`;
  return `[${who}: ${tokens} tokens${what}; recall(${handles[0]}) brings ${one ? "it" : "the first"} back]`;
}

/** Asks for the sum of a conversation or text. */
export function askText(): string {
  return "Summarize what was said above in one short sentence. Keep names, numbers and facts.";
}

/**
 * The forms of a text's words, each to be encoded by itself: as it is, in small letters
 * and with a capital, at a text's beginning and after a space. Vocabularies have another
 * token for each.
 */
export function queryForms(text: string): string[] {
  const forms = new Set<string>();
  const words = text.split(/[\s\p{P}]+/u).filter((word) => word !== "");
  for (const word of words.slice(0, QUERY_WORDS)) {
    const small = word.toLowerCase();
    const [first = ""] = small;
    const capital = first.toUpperCase() + small.slice(first.length);
    for (const form of [word, small, capital]) forms.add(form).add(` ${form}`);
  }
  return [...forms];
}

/** "3, 5 to 9" */
function ranges(handles: readonly number[]): string {
  const out: string[] = [];
  for (let i = 0; i < handles.length; i++) {
    const from = handles[i];
    while (handles[i + 1] === (handles[i] ?? 0) + 1) i++;
    out.push(handles[i] === from ? `${from}` : `${from} to ${handles[i]}`);
  }
  return out.join(", ");
}
