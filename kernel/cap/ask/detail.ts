/** The arguments of a call as whoever is asked reads them: JSON, long parts cut. */
const TEXT = 200;
const WHOLE = 2000;

export function detailOf(args: unknown): string {
  const text = JSON.stringify(args, (_key, value: unknown) => {
    if (typeof value === "bigint") return value.toString();
    if (value instanceof Uint8Array) return `${value.length} bytes`;
    if (typeof value === "string") return cut(value, TEXT);
    return value;
  });
  return cut(text ?? "", WHOLE);
}

function cut(text: string, most: number): string {
  return text.length <= most ? text : `${text.slice(0, most)}… (${text.length} characters)`;
}
