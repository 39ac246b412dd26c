/** What a family of models is, to the reader of a GGUF file. One file a family beside this one. */
import type { Bias, DecoderShape } from "../../decoder-shape.js";
import type { ArchMetadata } from "./arch-metadata.js";

export interface Family {
  /** `general.architecture`. */
  readonly arch: string;
  /**
   * Rows of q and k lie in the file for rotary over neighbours (pairs 2i, 2i+1), as
   * llama.cpp's converter writes them for some families; the graph rotates halves.
   */
  readonly interleaved: boolean;
  /** A tensor may give divisors of the rotary frequencies. */
  readonly rotaryFactors: boolean;
  /** Biases that a file of the family may have; each is in every layer or in none. */
  readonly biases: readonly Bias[];
  /** What the metadata says beyond what every decoder has. */
  features(keys: ArchMetadata, base: DecoderShape): Partial<DecoderShape>;
}
