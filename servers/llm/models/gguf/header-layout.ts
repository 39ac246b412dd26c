/**
 * Where the tensors of a GGUF file lie: each within the file, where its alignment
 * allows, in whole blocks, and none over another.
 */
import { ContixError } from "../../../../proto/errno.js";
import type { GgufHeader, GgufTensor } from "./header.js";
import { GGML_TYPES, packedBytes } from "./types.js";

interface Extent {
  readonly name: string;
  readonly start: number;
  readonly end: number;
}

/**
 * Checks the tensors of a file of `size` bytes whose data are aligned to `alignment`.
 * Of a type that is not known, only the beginning.
 * @throws ContixError EMODEL that names the tensor.
 */
export function checkLayout(header: GgufHeader, size: number, alignment: number): void {
  const bad = (what: string) => new ContixError("EMODEL", `${header.path} ${what}`);
  const extents: Extent[] = [];
  for (const tensor of header.tensors.values()) {
    const fault = shapeFault(tensor) ?? offsetFault(tensor, alignment);
    if (fault) throw bad(`is damaged: tensor "${tensor.name}" ${fault}`);
    const extent = extentOf(tensor);
    if (extent.end > size) {
      const where = `tensor "${tensor.name}" ends at byte ${extent.end}, the file at byte ${size}`;
      throw bad(`is truncated: ${where}`);
    }
    extents.push(extent);
  }
  extents.sort((a, b) => a.start - b.start);
  for (const [i, extent] of extents.entries()) {
    const next = extents[i + 1];
    if (next && next.start < extent.end) {
      throw bad(`is damaged: tensors "${extent.name}" and "${next.name}" overlap`);
    }
  }
}

function shapeFault({ type, shape }: GgufTensor): string | undefined {
  if (shape.includes(0)) return `has the shape [${shape.join(", ")}]`;
  const row = shape[0] ?? 1;
  const packing = GGML_TYPES.get(type);
  if (!packing || row % packing.values === 0) return undefined;
  return `has rows of ${row} values, and ${packing.name} packs ${packing.values} a block`;
}

function offsetFault({ offset }: GgufTensor, alignment: number): string | undefined {
  if (offset % alignment === 0) return undefined;
  return `begins at byte ${offset}, which is no multiple of general.alignment, ${alignment}`;
}

function extentOf({ name, type, shape, offset }: GgufTensor): Extent {
  const packing = GGML_TYPES.get(type);
  const values = shape.reduce((product, length) => product * length, 1);
  return { name, start: offset, end: offset + (packing ? packedBytes(packing, values) : 0) };
}
