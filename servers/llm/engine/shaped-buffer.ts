/** A buffer for inputs or outputs of runs, with a tensor for each shape it was used in. */

import { aligned, type Data, Tensor, type Typed } from "./ort.js";

export class ShapedBuffer<T extends Data> {
  readonly data: T;
  readonly #tensors = new Map<string, Tensor>();

  /** Zeros. */
  constructor(type: Typed<T>, length: number) {
    this.data = aligned(type, length);
  }

  /** The first elements of the buffer as a tensor. */
  tensor(...shape: number[]): Tensor {
    const key = shape.join("×");
    let tensor = this.#tensors.get(key);
    if (tensor === undefined) {
      tensor = new Tensor(this.data, shape);
      this.#tensors.set(key, tensor);
    }
    return tensor;
  }

  close(): void {
    for (const tensor of this.#tensors.values()) tensor.close();
    this.#tensors.clear();
  }
}
