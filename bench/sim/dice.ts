/** Random durations of the shapes that pauses have, from one stream of random numbers. */

export class Dice {
  constructor(readonly next: () => number) {}

  /** 0 to n - 1. */
  below(n: number): number {
    return Math.floor(this.next() * n);
  }

  /** Of arrivals that know nothing of each other. */
  exponential(mean: number): number {
    return -mean * Math.log(1 - this.next());
  }

  /** Most near the median, some much longer: tools. `spread`: the logarithm's standard deviation. */
  lognormal(median: number, spread: number): number {
    const normal = Math.sqrt(-2 * Math.log(1 - this.next())) * Math.cos(2 * Math.PI * this.next());
    return median * Math.exp(spread * normal);
  }

  /** A power-law tail above `least`: people. A smaller `tail` is a heavier one. */
  pareto(least: number, tail: number): number {
    return least / (1 - this.next()) ** (1 / tail);
  }
}
