/** Texts for tokenizers, drawn from a seed: many scripts, and what is likely to go wrong. */

/** Numbers in [0, 1): mulberry32. */
export function random(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const WORDS = [
  "the of and to a in that is was for on as with his they at be this from I have or by one had",
  "Der die und in den von zu das mit sich des auf für ist im dem nicht ein Straße Übermut",
  "и в не на я быть он с что а по это она этот к но они мы весь который Москва",
  "το και της με για από είναι που στην ὁ ΛΌΓΟΣ λόγος",
  "的 一 是 不 了 在 人 有 我 他 这 中 大 来 上 国 个 到 说 们 你好世界",
  "これ は テスト です 日本語 カタカナ ひらがな 한국어 시험 입니다",
  "في من على أن إلى هذا التي الذي שלום עולם नमस्ते दुनिया สวัสดี ไทย",
  "it's don't I'll we've they're he'd I'm IT'S DON'T you'Ve ain't o'clock l'été",
  "123 4567 3.14159 1,000,000 0x1F 2024-01-31 ١٢٣ ४५६ Ⅷ ½ ²",
  "function foo(bar) { return bar[0] + \"x\\n\"; } // => <div class='a'>&amp;</div> #include",
  "café naïve résumé Ångström ﬁne ﬀ Ａ１ ℃ ㌔ ｶﾞ ñ",
  "😀 👩‍👩‍👧 🇩🇪 👍🏽 ❤️ 🏳️‍🌈 ☃ ∑ ∫ → © ™",
].flatMap((line) => line.split(" "));

const ODD = [
  ..."\t\n\r\u0000\u0001\u007f\u0085\u00a0\u00ad\u200b\u200d\u2028\u3000\ufeff\ufffd\u0301\u0345",
  "  ",
  "   ",
  "\n\n",
  "\r\n",
  " \n ",
  "\t\t\t",
  "▁",
  "▁▁",
  " ▁ ",
  "Ġ",
  "aaaaaaaaaaaaaaaaaaaa",
  "................",
  "----",
  "\u{10ffff}",
  "\u{1f9ff}",
  "\ue000",
  "e\u0301",
  "o\u0308\u0323",
  "ΣΑΣ",
  "İı",
  "'ſ",
  "<0x0A>",
  "##ing",
];

/** Characters that every Unicode of the last ten years has, and of the same kind. */
const OLD: readonly (readonly [number, number])[] = [
  [0x20, 0x36f],
  [0x391, 0x3a1],
  [0x3b1, 0x3ce],
  [0x400, 0x52f],
  [0x5d0, 0x5ea],
  [0x621, 0x652],
  [0x905, 0x94d],
  [0xe01, 0xe3a],
  [0x1e00, 0x1eff],
  [0x2000, 0x2064],
  [0x2190, 0x23fa],
  [0x2460, 0x26ff],
  [0x3000, 0x303f],
  [0x3041, 0x3096],
  [0x30a0, 0x30ff],
  [0x4e00, 0x9fa5],
  [0xac00, 0xd7a3],
  [0xff01, 0xff9f],
  [0x1f300, 0x1f5ff],
];

/** `count` texts of up to `length` words. */
export function texts(seed: number, count: number, length = 30): string[] {
  const draw = random(seed);
  const pick = <T>(from: readonly T[]): T => from[Math.floor(draw() * from.length)] as T;
  const word = (): string => {
    const kind = draw();
    if (kind < 0.15) return pick(ODD);
    if (kind < 0.2) {
      const [first, last] = pick(OLD);
      return String.fromCodePoint(first + Math.floor(draw() * (last - first + 1)));
    }
    return draw() < 0.1 ? pick(WORDS).toUpperCase() : pick(WORDS);
  };
  const between = (): string => (draw() < 0.75 ? " " : draw() < 0.3 ? "\n" : "");
  const one = (): string =>
    Array.from({ length: 1 + Math.floor(draw() * length) }, () => word() + between()).join("");
  return ["", " ", "a", " a", "a ", ...ODD, ...Array.from({ length: count }, one)];
}

/** What tokenizers are trained on: the words only. */
export function corpus(seed: number, lines: number): string[] {
  const draw = random(seed);
  const word = (): string => WORDS[Math.floor(draw() * WORDS.length)] ?? "";
  return Array.from({ length: lines }, () => Array.from({ length: 12 }, word).join(" "));
}
