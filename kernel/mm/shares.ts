/**
 * Shares of a tier: of whom the pages are that lie there, and who has more than his share.
 *
 * Pages are a cache, so having many is no offence, and nobody is refused for it: whoever
 * is alone may fill the tier. A share says who gives way when there is no room: he who is
 * over it by most, with the page of his that the tier's policy ranks least. What can not
 * be taken away again, pinned pages, has quotas of its own (quota.ts), which refuse.
 *
 * A page counts for whom it was made, however many others use it: sharing costs nobody.
 * Every operation is O(1), but that `over` looks at each who is over his share; of shares
 * of a tenth that can be nine.
 */
import type { Whose } from "./eviction/policy.js";
import { type Payer, processOf } from "./page.js";

interface Holder {
  readonly whose: Whose;
  pages: number;
}

interface Known {
  readonly payer: Payer;
  readonly holder: Holder;
}

export class Shares<Who> {
  /** Places that one may have before he gives way; Infinity: all. */
  readonly #limit: number;
  readonly #who: (payer: Payer) => Who;
  readonly #whose: (payer: Payer) => Whose;
  readonly #holders = new Map<Who, Holder>();
  readonly #over = new Set<Holder>();
  /** A history's pages come one after the other, and another's go so meanwhile. */
  #comes: Known | undefined;
  #goes: Known | undefined;

  private constructor(limit: number, who: (payer: Payer) => Who, whose: (payer: Payer) => Whose) {
    this.#limit = limit;
    this.#who = who;
    this.#whose = whose;
  }

  static ofPrincipals(limit: number): Shares<string> {
    return new Shares(
      limit,
      ({ principal }) => principal,
      ({ principal }) => ({ principal }),
    );
  }

  static ofProcesses(limit: number): Shares<bigint | string> {
    return new Shares<bigint | string>(limit, processOf, ({ principal, process }) => ({
      principal,
      process,
    }));
  }

  added(payer: Payer): void {
    if (this.#comes?.payer !== payer) this.#comes = { payer, holder: this.#holder(payer) };
    const { holder } = this.#comes;
    holder.pages++;
    if (holder.pages > this.#limit) this.#over.add(holder);
  }

  removed(payer: Payer): void {
    if (this.#goes?.payer !== payer) this.#goes = { payer, holder: this.#holder(payer) };
    const { holder } = this.#goes;
    holder.pages--;
    if (holder.pages <= this.#limit) this.#over.delete(holder);
    if (holder.pages > 0) return;
    this.#holders.delete(this.#who(payer));
    this.#comes = undefined;
    this.#goes = undefined;
  }

  /**
   * Who has more than his share, or would have with a page for `entering`; undefined:
   * nobody. Who has all there is gives way to nobody: the policy chooses.
   */
  over(entering: Payer): Whose | undefined {
    if (this.#holders.size <= 1) return undefined;
    const known = this.#comes?.payer === entering ? this.#comes.holder : undefined;
    const own = known ?? this.#holders.get(this.#who(entering));
    let most = own && own.pages + 1 > this.#limit ? own : undefined;
    for (const holder of this.#over) if (!most || holder.pages > most.pages) most = holder;
    return most?.whose;
  }

  /** Pages of one. */
  pagesOf(who: Who): number {
    return this.#holders.get(who)?.pages ?? 0;
  }

  #holder(payer: Payer): Holder {
    const who = this.#who(payer);
    let holder = this.#holders.get(who);
    if (!holder) {
      holder = { whose: this.#whose(payer), pages: 0 };
      this.#holders.set(who, holder);
    }
    return holder;
  }
}
