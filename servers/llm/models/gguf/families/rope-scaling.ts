/** How a file says that its rotary positions are stretched. */
import type { RopeScaling } from "../../rotary.js";
import type { ArchMetadata } from "./arch-metadata.js";

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
  const factor = keys.number("rope.scaling.factor", keys.number("rope.scale_linear", 1));
  const magnitude = keys.number("rope.scaling.attn_factor", 1);
  if (type === "linear") {
    return factor === 1 && magnitude === 1 ? undefined : { type, factor, magnitude };
  }
  if (type !== "yarn") {
    throw keys.unusable(key, `"${type}"; those that can be read: none, linear, yarn`);
  }
  const originalWindow = keys.size("rope.scaling.original_context_length", window);
  return { type, factor, magnitude, originalWindow, ...YARN_BETAS };
}
