/**
 * Input that a policy has charged before it is entered, of each burst that is not over.
 *
 * How much there is to enter is known when a burst comes, and most of it stays true; what
 * was found after all is given back with the first token, when no input is left.
 */
import { type BurstView, costOf, GIVEN_COST, type Service } from "./policy.js";

export class Prepaid {
  /** Given tokens. */
  readonly #ahead = new Map<BurstView, number>();

  /** Whether something of the burst was charged that was not entered yet. */
  has(burst: BurstView): boolean {
    return this.#ahead.has(burst);
  }

  /** What was charged and is not entered yet, in tokens generated. */
  of(burst: BurstView): number {
    return (this.#ahead.get(burst) ?? 0) * GIVEN_COST;
  }

  /** So many given tokens are to be charged now. @returns what they cost */
  charge(burst: BurstView, tokens: number): number {
    this.#ahead.set(burst, tokens);
    return tokens * GIVEN_COST;
  }

  /** @returns what a service costs beyond what was charged for it; below 0: so much was charged too much */
  settle(burst: BurstView, service: Service): number {
    const ahead = this.#ahead.get(burst);
    if (ahead === undefined) return costOf(service);
    const paid = Math.min(service.given, ahead);
    this.#ahead.set(burst, ahead - paid);
    const cost = costOf({ ...service, given: service.given - paid });
    return service.generated > 0 ? cost - this.refund(burst) : cost;
  }

  /** Nothing more of it will be entered. @returns what was charged for that */
  refund(burst: BurstView): number {
    const rest = this.of(burst);
    this.#ahead.delete(burst);
    return rest;
  }
}
