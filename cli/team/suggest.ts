/** What somebody probably meant. */

/** The word that is nearest, if it is near: by Levenshtein's distance, a third of the letters at most. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  let best: { readonly name: string; readonly distance: number } | undefined;
  for (const name of known) {
    const distance = distanceOf(word.toLowerCase(), name.toLowerCase());
    if (distance > Math.max(1, Math.floor(Math.max(word.length, name.length) / 3))) continue;
    if (!best || distance < best.distance) best = { name, distance };
  }
  return best?.name;
}

/** `; did you mean X?`, or what there is. */
export function instead(word: string, known: readonly string[]): string {
  const name = nearest(word, known);
  if (name !== undefined) return `did you mean "${name}"?`;
  return known.length === 0 ? "there is none" : `there are ${known.join(", ")}`;
}

function distanceOf(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const swap = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(swap, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
