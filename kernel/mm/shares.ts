/**
 * Shares of a tier: of whom the pages are that lie there, and who has more than his share.
 *
 * Pages are a cache, so having many is no offence, and nobody is refused for it: whoever
 * is alone may fill the tier. A share says who gives way when there is no room: he who is
 * over it by most, with the page of his that was used longest ago and has none behind it.
 * What can not be taken away again, pinned pages, has quotas of its own (quota.ts), which
 * refuse.
 *
 * A page counts for whom it was made, however many others use it: sharing costs nobody.
 * Every operation is O(1), but that `victim` looks at each who is over his share; of
 * shares of a tenth that can be nine.
 */
import { Lru } from "./eviction/lru.js";
import type { EvictionPorts } from "./eviction/policy.js";
import type { PoolPage } from "./pool-page.js";

interface Holder {
  /** Of those who may be over their share. */
  readonly order: Lru | undefined;
  pages: number;
}

export class Shares<Who> {
  /** Places that one may have before he gives way; Infinity: all. */
  readonly #limit: number;
  readonly #who: (page: PoolPage) => Who;
  readonly #ports: EvictionPorts;
  readonly #holders = new Map<Who, Holder>();
  readonly #over = new Set<Holder>();

  constructor(limit: number, who: (page: PoolPage) => Who, ports: EvictionPorts) {
    this.#limit = limit;
    this.#who = who;
    this.#ports = ports;
  }

  added(page: PoolPage, cid: bigint, now: number): void {
    const who = this.#who(page);
    const holder = this.#holders.get(who) ?? this.#newcomer(who);
    holder.pages++;
    if (holder.pages > this.#limit) this.#over.add(holder);
    holder.order?.added(page, cid, now);
  }

  used(page: PoolPage, cid: bigint, now: number): void {
    this.#holders.get(this.#who(page))?.order?.used(page, cid, now);
  }

  removed(page: PoolPage): void {
    const who = this.#who(page);
    const holder = this.#holders.get(who);
    if (!holder) return;
    holder.order?.removed(page);
    holder.pages--;
    if (holder.pages <= this.#limit) this.#over.delete(holder);
    if (holder.pages === 0) this.#holders.delete(who);
  }

  /**
   * The page that goes because its holder has more than his share, or would have with
   * `entering`; undefined: nobody has, or he can spare none. Who has all there is gives
   * way to nobody: the policy chooses.
   */
  victim(entering: PoolPage, now: number): PoolPage | undefined {
    if (this.#holders.size <= 1) return undefined;
    const own = this.#holders.get(this.#who(entering));
    let most = own && own.pages + 1 > this.#limit ? own : undefined;
    for (const holder of this.#over) if (!most || holder.pages > most.pages) most = holder;
    return most?.order?.victim(now) as PoolPage | undefined;
  }

  /** Pages of one. */
  pagesOf(who: Who): number {
    return this.#holders.get(who)?.pages ?? 0;
  }

  #newcomer(who: Who): Holder {
    const order = this.#limit === Number.POSITIVE_INFINITY ? undefined : new Lru(this.#ports);
    const holder = { order, pages: 0 };
    this.#holders.set(who, holder);
    return holder;
  }
}
