/** How a file says that its rotary positions are stretched. */
import type { RopeScaling } from "../../rotary.js";
import type { ArchMetadata } from "./arch-metadata.js";

/** No model stretches so far, or sharpens so much; beyond, tables would overflow. */
const MOST_SCALING = 2 ** 14;

/** The paper's bounds; files of these families can not set others. */
const YARN_BETAS = { betaFast: 32, betaSlow: 1 } as const;

/**
 * The scaling, or undefined for a model that is as it was trained.
 * @throws ContixError EMODEL for a kind that the graph would compute wrongly.
 */
export function ropeScaling(keys: ArchMetadata, window: number): RopeScaling | undefined {
  const key = "rope.scaling.type";
  // A factor without a type is linear, as it was before there were types.
  const type = keys.text(key, "linear");
  if (type === "none") return undefined;
  const old = scale(keys, "rope.scale_linear", 1);
  const factor = scale(keys, "rope.scaling.factor", old);
  const magnitude = scale(keys, "rope.scaling.attn_factor", 1);
  if (type === "linear") {
    return factor === 1 && magnitude === 1 ? undefined : { type, factor, magnitude };
  }
  if (type !== "yarn") {
    throw keys.unusable(key, `"${type}"; those that can be read: none, linear, yarn`);
  }
  const originalWindow = keys.size("rope.scaling.original_context_length", window);
  return { type, factor, magnitude, originalWindow, ...YARN_BETAS };
}

function scale(keys: ArchMetadata, key: string, fallback: number): number {
  const value = keys.number(key, fallback);
  if (value > MOST_SCALING || value < 1 / MOST_SCALING) {
    throw keys.unusable(key, `${value} is no scale of positions`);
  }
  return value;
}
