/** Something that happens now and again, and that any number of callers may wait for. */
export class Latch<T> {
  #waiting: { resolve(value: T): void; reject(error: Error): void }[] = [];

  /** Resolves, or rejects, the next time that it happens. */
  wait(): Promise<T> {
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  resolve(value: T): void {
    for (const waiter of this.#waiting.splice(0)) waiter.resolve(value);
  }

  reject(error: Error): void {
    for (const waiter of this.#waiting.splice(0)) waiter.reject(error);
  }
}
