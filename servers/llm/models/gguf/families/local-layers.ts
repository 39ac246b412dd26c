/** Which layers are local: a list of the file, or all but every n-th. */
import type { ArchMetadata } from "./arch-metadata.js";

const KEY = "attention.sliding_window_pattern";

/** Of each layer, whether it is local; without an entry, every `period`-th is not. */
export function localLayers(keys: ArchMetadata, layers: number, period: number): boolean[] {
  const listed = keys.flags(KEY);
  if (listed === undefined) {
    const every = keys.size(KEY, period);
    return Array.from({ length: layers }, (_, i) => i % every < every - 1);
  }
  if (listed.length !== layers) {
    throw keys.unusable(KEY, `it has ${listed.length} entries for ${layers} layers`);
  }
  return [...listed];
}
