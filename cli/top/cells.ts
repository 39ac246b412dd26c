/** Cells of a terminal: how many a text takes there, and what may be written into them. */

/** Takes two cells. No table of all of Unicode: what people write names with. */
const WIDE =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Emoji_Presentation}\u3000-\u303e\uff01-\uff60]/u;
/** Takes none: it goes onto the character before it. */
const JOINED = /\p{M}/u;
/** Would move the cursor, ring, or turn the line around. */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

/** `text` without what a terminal would take for a command: an agent chooses its own name. */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, "?");
}

/** The cells of a printable text. */
export function cells(text: string): number {
  let sum = 0;
  for (const character of text) sum += cellsOf(character);
  return sum;
}

/** `text` in exactly `columns` cells: filled up with spaces, or cut with an ellipsis. */
export function fit(text: string, columns: number, right = false): string {
  const width = cells(text);
  if (width > columns) return cut(text, columns);
  const gap = " ".repeat(columns - width);
  return right ? gap + text : text + gap;
}

function cut(text: string, columns: number): string {
  if (columns <= 0) return "";
  let kept = "";
  let width = 0;
  for (const character of text) {
    const more = cellsOf(character);
    if (width + more > columns - 1) break;
    kept += character;
    width += more;
  }
  return `${kept}…${" ".repeat(columns - 1 - width)}`;
}

function cellsOf(character: string): number {
  if (JOINED.test(character)) return 0;
  return WIDE.test(character) ? 2 : 1;
}
