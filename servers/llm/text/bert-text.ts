/**
 * Kinds of characters as BERT's tokenizer takes them (`BertNormalizer` and
 * `BertPreTokenizer` of Hugging Face tokenizers).
 */

// Not U+2B820 to U+2B91F: models were trained with this.
const CHINESE =
  /[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u{20000}-\u{2a6df}\u{2a700}-\u{2b73f}\u{2b740}-\u{2b81f}\u{2b920}-\u{2ceaf}\u{2f800}-\u{2fa1f}]/gu;

/** Drops what is no text, and makes all white space U+0020. */
export function cleanText(text: string): string {
  return text
    .replace(/\ufffd|(?![\t\n\r])[\p{Cc}\p{Cf}\p{Co}]/gu, "")
    .replace(/\p{White_Space}/gu, " ");
}

/** Puts spaces around each Chinese character. */
export function spaceChinese(text: string): string {
  return text.replace(CHINESE, " $& ");
}

/** Character by character: where a word ends makes no difference to a sigma. */
export function lowercase(text: string): string {
  if (!text.includes("Σ")) return text.toLowerCase();
  return text
    .split("Σ")
    .map((part) => part.toLowerCase())
    .join("σ");
}

/** What stands alone: punctuation, and all ASCII symbols. */
export const PUNCTUATION = /[!-/:-@[-`{-~]|\p{P}/gu;
