/**
 * Which texts fit a query, by their tokens alone: Okapi BM25 (Robertson and Zaragoza,
 * "The Probabilistic Relevance Framework: BM25 and Beyond", 2009), with the weight of
 * rare terms that Lucene uses, ln(1 + (N - n + 1/2) / (n + 1/2)), which is never below 0.
 *
 * Terms are runs of one, two and three tokens. Where a token is a word, the longer ones
 * reward words that stand together; where tokens are bytes or characters, they are what
 * tells texts apart. What stands in every text (a template's own tokens) weighs next to
 * nothing.
 */

/** How soon a term that is repeated counts no more, and how much long texts are held back. */
const K1 = 1.2;
const B = 0.75;
/** The longest run of tokens that is a term. */
const LONGEST = 3;

/** A text, or the ways in which a query may be written: no term spans two stretches. */
export type Stretches = readonly (readonly number[])[];

/** The score of each text for the query, 0: no term in common. */
export function bm25(query: Stretches, texts: readonly (readonly number[])[]): number[] {
  const asked = new Set(query.flatMap((stretch) => [...terms(stretch)]));
  const counts = texts.map((text) => countTerms(text, asked));
  const frequency = new Map<string, number>();
  for (const of of counts) {
    for (const term of of.keys()) frequency.set(term, (frequency.get(term) ?? 0) + 1);
  }
  const total = texts.reduce((sum, { length }) => sum + length, 0);
  const mean = total / Math.max(1, texts.length);
  return counts.map((of, i) => {
    const length = K1 * (1 - B + (B * (texts[i]?.length ?? 0)) / Math.max(1, mean));
    let score = 0;
    for (const [term, count] of of) {
      const n = frequency.get(term) ?? 0;
      const rare = Math.log(1 + (texts.length - n + 0.5) / (n + 0.5));
      score += (rare * count * (K1 + 1)) / (count + length);
    }
    return score;
  });
}

function countTerms(text: readonly number[], asked: ReadonlySet<string>): Map<string, number> {
  const counts = new Map<string, number>();
  for (const term of terms(text)) {
    if (asked.has(term)) counts.set(term, (counts.get(term) ?? 0) + 1);
  }
  // Sums of floats depend on their order, so it is that of the terms, not of the text.
  return new Map([...counts].sort(([a], [b]) => (a < b ? -1 : 1)));
}

function* terms(tokens: readonly number[]): Generator<string> {
  for (let start = 0; start < tokens.length; start++) {
    let term = "";
    for (let length = 1; length <= LONGEST && start + length <= tokens.length; length++) {
      term += `${tokens[start + length - 1]} `;
      yield term;
    }
  }
}
