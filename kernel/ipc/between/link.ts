/**
 * A link: frames between two kernels over a bus that may lose, double and delay what it
 * carries. Each frame arrives once and in order, or the session is over and both know.
 *
 * Each kernel has an *end* of the link, named by a number that rises whenever it begins
 * anew: at boot, and when it gives the other up. A session is a pair of ends; a packet
 * names both, so that one of a former session, or for one, is never taken for another's.
 * Whoever hears a higher end of the other knows that the other began anew, and begins anew
 * too. Within a session it is go-back-N: pieces are numbered, kept until they are
 * acknowledged, and sent again when that takes too long; the receiver takes the next in
 * order and nothing else. A frame that is longer than the bus takes goes in several pieces.
 *
 * Who is there beats. The other is given up when nothing came of it during `LOST_BEATS`
 * beats of our own with the line up: a kernel that slept itself, or whose line was down,
 * counts nothing meanwhile, so a session outlives a NATS server that is started again.
 */
import { ContixError } from "../../../proto/errno.js";
import { BetweenFrame, BetweenPacket } from "../../../proto/gen/contix/v1/between.js";
import type { Clock } from "../../clock.js";
import type { Bus } from "../bus.js";

export type Frame = NonNullable<BetweenFrame["frame"]>;

/** A beat each second, microseconds. */
export const BEAT_US = 1_000_000;
/** After so many beats without a word the other kernel is lost, and what it held is free. */
export const LOST_BEATS = 6;
/** After so many, new calls are refused: who waits already waits on. */
const SILENT_BEATS = 3;
const RESEND_US = 300_000;
const ACK_US = 5_000;
/** Pieces under way at most; the others wait their turn. */
const WINDOW = 256;
/** Bytes that may wait to be acknowledged before new calls are refused. */
const MOST_WAITING = 32 << 20;
/** What a packet takes besides its body, at most. */
const ENVELOPE = 64;

interface Piece {
  readonly seq: bigint;
  readonly more: boolean;
  readonly body: Buffer;
}

export interface LinkParts {
  /** Our own node, and the other's. */
  readonly own: number;
  readonly node: number;
  readonly bus: Bus;
  readonly clock: Clock;
  /** Our end at first. */
  readonly end: bigint;
  /** Takes each frame of the other's. */
  readonly deliver: (frame: Frame) => void;
  /** The session is over: what was under way is lost, or nobody knows. */
  readonly lost: (why: string) => void;
}

/** The subject on which a kernel hears the others. `$` is in no principal's word. */
export function subjectOf(node: number): string {
  return `$kernel.n${node}`;
}

export class Link {
  readonly node: number;
  readonly #with: LinkParts;
  #mine: bigint;
  /** The other's end; 0: not heard yet. */
  #theirs = 0n;
  #out: Piece[] = [];
  #outBytes = 0;
  /** The last piece that was made, and the last that was sent for the first time. */
  #made = 0n;
  #sent = 0n;
  /** The last piece that came. */
  #received = 0n;
  #parts: Buffer[] = [];
  #silent = 0;
  /** It was given up, and not heard of since. */
  #given = false;
  /** It ended in order, and was not heard of since. */
  #left = false;
  #cancelResend: (() => void) | undefined;
  #cancelAck: (() => void) | undefined;

  constructor(parts: LinkParts) {
    this.#with = parts;
    this.node = parts.node;
    this.#mine = parts.end;
  }

  /** Whether something new can be asked of the other now. */
  get reachable(): boolean {
    const { bus } = this.#with;
    const heard = this.#theirs !== 0n && !this.#left && this.#silent < SILENT_BEATS;
    return heard && bus.up && this.#outBytes < MOST_WAITING;
  }

  /** What the other has not acknowledged, in pieces and bytes. */
  get waiting() {
    return { length: this.#out.length, bytes: this.#outBytes };
  }

  /** Sends a frame, now or when the line is back. Without a session nobody hears it. */
  send(frame: Frame): void {
    if (this.#theirs === 0n || this.#left) return;
    const bytes = Buffer.from(BetweenFrame.encode({ frame }).finish());
    const most = Math.max(1, this.#with.bus.maxBytes - ENVELOPE);
    for (let at = 0; at < bytes.length; at += most) {
      const body = bytes.subarray(at, at + most);
      this.#out.push({ seq: ++this.#made, more: at + most < bytes.length, body });
      this.#outBytes += body.length;
    }
    this.#fill();
  }

  /** What the other kernel sent, or somebody who says so. */
  receive(packet: BetweenPacket): void {
    const { from, to } = packet;
    if (from < this.#theirs || from === 0n) return;
    if (from > this.#theirs) {
      const had = this.#theirs !== 0n && !this.#left;
      this.#theirs = from;
      this.#left = false;
      this.#renew();
      if (had) this.#with.lost("was started again, or gave this one up");
    }
    if (this.#left) return;
    this.#silent = 0;
    this.#given = false;
    if (packet.bye) {
      this.#left = true;
      this.#renew();
      this.#with.lost("has ended");
    } else if (to !== this.#mine) this.beat();
    else this.#take(packet);
  }

  /** A second has passed. */
  tick(): void {
    const { bus, lost } = this.#with;
    if (!bus.up) return;
    this.#silent++;
    if (this.#silent >= LOST_BEATS && this.#theirs !== 0n && !this.#left && !this.#given) {
      this.#given = true;
      this.#mine += 1n;
      this.#renew();
      lost(`has not been heard of for ${(LOST_BEATS * BEAT_US) / 1e6} s`);
    }
    this.beat();
  }

  /** Says that we are there, and what came. */
  beat(): void {
    this.#packet({});
  }

  /** Ends in order. */
  bye(): void {
    if (this.#theirs !== 0n) this.#packet({ bye: true });
    this.#left = true;
    this.#renew();
  }

  /** The session is over: nothing that is under way counts any more. */
  #renew(): void {
    this.#out = [];
    this.#outBytes = 0;
    this.#made = 0n;
    this.#sent = 0n;
    this.#received = 0n;
    this.#parts = [];
    this.#cancelResend?.();
    this.#cancelResend = undefined;
    this.#cancelAck?.();
    this.#cancelAck = undefined;
  }

  #take({ seq, through, more, body }: BetweenPacket): void {
    this.#acknowledged(through);
    if (seq === 0n) return;
    this.#ackSoon();
    if (seq !== this.#received + 1n) return;
    this.#received = seq;
    this.#parts.push(body);
    if (more) return;
    const [only = body, ...rest] = this.#parts.splice(0);
    const { frame } = BetweenFrame.decode(
      rest.length === 0 ? only : Buffer.concat([only, ...rest]),
    );
    if (frame) this.#with.deliver(frame);
  }

  #acknowledged(through: bigint): void {
    let count = 0;
    for (const { seq, body } of this.#out) {
      if (seq > through) break;
      this.#outBytes -= body.length;
      count++;
    }
    if (count === 0) return;
    this.#out.splice(0, count);
    this.#cancelResend?.();
    this.#cancelResend = undefined;
    this.#fill();
  }

  /** Sends for the first time what the window has room for. */
  #fill(): void {
    for (const piece of this.#out.slice(0, WINDOW)) {
      if (piece.seq <= this.#sent) continue;
      this.#sent = piece.seq;
      this.#packet(piece);
    }
    if (this.#out.length > 0) this.#cancelResend ??= this.#resendLater();
  }

  #resendLater(): () => void {
    return this.#with.clock.after(RESEND_US, () => {
      this.#cancelResend = undefined;
      for (const piece of this.#out.slice(0, WINDOW)) {
        if (piece.seq <= this.#sent && !this.#packet(piece)) break;
      }
      this.#fill();
    });
  }

  #ackSoon(): void {
    this.#cancelAck ??= this.#with.clock.after(ACK_US, () => this.beat());
  }

  /** False: the line does not take it; it goes again when it was not acknowledged. */
  #packet(what: Partial<BetweenPacket>): boolean {
    this.#cancelAck?.();
    this.#cancelAck = undefined;
    const { own, node, bus } = this.#with;
    const ends = { node: own, from: this.#mine, to: this.#theirs, through: this.#received };
    const packet = BetweenPacket.fromPartial({ ...ends, ...what });
    try {
      bus.publish(subjectOf(node), BetweenPacket.encode(packet).finish());
      return true;
    } catch (error) {
      if (error instanceof ContixError && error.code === "EAGAIN") return false;
      throw error;
    }
  }
}
