/** Long work that lets others run: it shows how far it is, and ends when it is told to. */

const SLICE_MS = 50;

export class Steps {
  #done = 0;
  #sliceEnds = 0;

  /** `show` hears the share that is done, 0 to 1 of each part. */
  constructor(
    private readonly signal?: AbortSignal,
    private readonly show: (done: number) => void = () => {},
  ) {}

  /** A part begins. */
  begin(): void {
    this.#done = 0;
  }

  /** Something was done: `share` of the part. Throws an AbortError when the work is to end. */
  one(share: number): Promise<void> | undefined {
    this.#done += share;
    if (performance.now() < this.#sliceEnds) return undefined;
    return this.#breathe();
  }

  async #breathe(): Promise<void> {
    this.show(Math.min(1, this.#done));
    await new Promise((resolve) => setImmediate(resolve));
    this.signal?.throwIfAborted();
    this.#sliceEnds = performance.now() + SLICE_MS;
  }
}
