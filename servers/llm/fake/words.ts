/** What the fake model talks with. Some words are not ASCII: a character may be several tokens. */
const WORDS =
  "a all and are as at away before below between bird blue bread bridge bright brings but by " +
  "café calls carries child city clear cloud cold comes corn day deep door down draws early " +
  "earth every eyes falls far field finds fire fish for forest found from garden gate gives " +
  "glass gold grass green hand hears high hill holds home house in into is island keeps kind " +
  "lake lamp land leaf leaves letter light like long looks loves makes meadow mild mill moon " +
  "morning moves near never new night no north now of often old on once one open over paper " +
  "path quiet rain reads ring rises river road roof room runs sails salt sand says sea seed " +
  "sees señor ship silver sings sky sleeps slow small snow so some song south spring stands " +
  "star still stone street sun takes tells that the their then there they this time to today " +
  "tower train tree turns two under until voice waits walks wall warm water we wheel when white " +
  "wind window winter with wood word writes yellow yet young naïve 日本 ☀";

const encoder = new TextEncoder();

/** Each word in UTF-8. */
export const WORD_LIST: readonly Uint8Array[] = WORDS.split(" ").map((word) =>
  encoder.encode(word),
);
