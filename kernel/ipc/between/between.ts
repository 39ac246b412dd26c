/**
 * The other kernels on the bus: who there is, and the links to them. A call on an object
 * of another kernel goes to its home (away.ts), where it is made by a guest that stands
 * for the caller (guests.ts); what the caller holds there is told as it changes (held.ts).
 */
import { ContixError } from "../../../proto/errno.js";
import { BetweenPacket } from "../../../proto/gen/contix/v1/between.js";
import type { Call } from "../../call.js";
import type { Kernel } from "../../kernel.js";
import type { Bus, BusSubscription } from "../bus.js";
import { Away } from "./away.js";
import { Guests } from "./guests.js";
import { BEAT_US, type Frame, Link, subjectOf } from "./link.js";

/** Where each kernel says its node. */
const ALL = "$kernel.all";
const LARGEST_NODE = 4095;

export class Between {
  readonly #kernel: Kernel;
  readonly #bus: Bus;
  readonly #links = new Map<number, Link>();
  readonly #away: Away;
  readonly #guests: Guests;
  readonly #heard: BusSubscription[] = [];
  /** Our end of each new link. */
  readonly #end: bigint;
  /** Beats with the line up, 2 at most: who is there has said so when it is 2. */
  #beats = 0;
  #cancelBeat: () => void = () => {};

  constructor(kernel: Kernel, bus: Bus) {
    this.#kernel = kernel;
    this.#bus = bus;
    const { clock, random } = kernel;
    // Higher than the one of a kernel of this node that was here before.
    this.#end = (BigInt(Math.floor(clock.wall())) << 10n) | BigInt(random.bytes(1)[0] ?? 0);
    this.#away = new Away(kernel);
    this.#guests = new Guests(kernel);
    for (const subject of [subjectOf(this.#own), ALL]) void this.#listen(subject);
    void bus.flush().then(
      () => this.#sayHello(),
      () => {},
    );
    this.#beatLater();
  }

  /** Takes the call to the kernel of that node. ESRCH: there is none; EAGAIN: it can not be reached now. */
  forward(call: Call, node: number): void {
    this.#away.forward(call, this.#linkTo(node));
  }

  /** What the other kernels have not acknowledged. */
  get waiting() {
    const sum = { length: 0, bytes: 0 };
    for (const { waiting } of this.#links.values()) {
      sum.length += waiting.length;
      sum.bytes += waiting.bytes;
    }
    return sum;
  }

  processOver(pid: bigint): void {
    this.#away.processOver(pid, false);
  }
  runOver(pid: bigint): void {
    this.#away.processOver(pid, true);
  }

  /** Tells the others that this kernel ends. */
  close(): void {
    this.#cancelBeat();
    for (const link of this.#links.values()) link.bye();
    for (const each of this.#heard) each.close();
  }

  get #own(): number {
    return this.#kernel.journal.node;
  }

  #linkTo(node: number): Link {
    const link = this.#links.get(node);
    if (link?.reachable) return link;
    if (!link && this.#bus.up && this.#beats > 1) {
      const known = [this.#own, ...this.#links.keys()].sort((a, b) => a - b);
      const message = `there is no kernel n${node}; known here are ${known.map((n) => `n${n}`).join(", ")}`;
      throw new ContixError("ESRCH", message, { argument: "node" });
    }
    const message = `the kernel n${node} can not be reached now`;
    throw new ContixError("EAGAIN", message, { argument: "node", retryAfterUs: BEAT_US });
  }

  #beatLater(): void {
    this.#cancelBeat = this.#kernel.clock.after(BEAT_US, () => {
      this.#beatLater();
      if (this.#bus.up) this.#beats = Math.min(2, this.#beats + 1);
      else this.#beats = 0;
      this.#sayHello();
      for (const link of this.#links.values()) link.tick();
    });
  }

  #sayHello(): void {
    if (!this.#bus.up) return;
    const packet = BetweenPacket.fromPartial({ node: this.#own });
    try {
      this.#bus.publish(ALL, BetweenPacket.encode(packet).finish());
    } catch (error) {
      if (!(error instanceof ContixError && error.code === "EAGAIN")) throw error;
    }
  }

  async #listen(subject: string): Promise<void> {
    const subscription = this.#bus.subscribe(subject);
    this.#heard.push(subscription);
    for await (const { body } of subscription) {
      try {
        this.#receive(BetweenPacket.decode(body), subject === ALL);
      } catch (error) {
        this.#kernel.log.warn({ err: error }, "what another kernel sent was not understood");
      }
    }
  }

  #receive(packet: BetweenPacket, toAll: boolean): void {
    const { node } = packet;
    if (node < 1 || node > LARGEST_NODE || node === this.#own) return;
    let link = this.#links.get(node);
    if (!link) {
      link = this.#join(node);
      if (toAll) link.beat();
    }
    if (!toAll) link.receive(packet);
  }

  #join(node: number): Link {
    const link: Link = new Link({
      ...{ own: this.#own, node, bus: this.#bus, clock: this.#kernel.clock, end: this.#end },
      deliver: (frame) => this.#deliver(link, frame),
      lost: (why) => this.#lost(node, why),
    });
    this.#links.set(node, link);
    this.#kernel.log.info({ node: `n${node}` }, "another kernel is there");
    return link;
  }

  #deliver(link: Link, frame: Frame): void {
    const { $case, value } = frame;
    if ($case === "call") this.#guests.call(link, value);
    else if ($case === "cancel") this.#guests.cancel(link, value);
    else if ($case === "held") this.#guests.held(link, value);
    else if ($case === "over") this.#guests.over(link, value);
    else if ($case === "reply") this.#away.answered(link.node, value);
    else this.#away.gone(link.node, value);
  }

  #lost(node: number, why: string): void {
    this.#kernel.log.warn({ node: `n${node}`, why }, "another kernel is lost");
    this.#guests.lost(node);
    this.#away.lost(node, `the kernel n${node} ${why}`);
  }
}
