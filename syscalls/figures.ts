/** What `sys.stats` tells of the kernel's doors, its queues, and its own time. */
import type {
  DoorStats,
  QueueStats,
  StatsResult,
  TimeStats,
} from "../proto/gen/contix/v1/calls.js";

/** What has happened at one of the kernel's doors; the gateway has metrics of its own. */
export interface DoorInfo {
  readonly door: "unix" | "grpc" | "grpcs" | "nats";
  /** Open now; of these, those whose peer has not said who it is. */
  readonly connections: number;
  readonly strangers: number;
  /** Connections that came; of these, those closed for what they did not say, or for their number. */
  readonly accepted: number;
  readonly refused: number;
  /** Attachments that were welcomed, and calls. */
  readonly attached: number;
  readonly calls: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** Messages that were not their senders' to send. */
  readonly denied: number;
  /** Frames that said nothing the kernel could do; of these, those after which their sender was not read for a while. */
  readonly faults: number;
  readonly braked: number;
}

/** What waits in a queue of the kernel; those of models are told of with the model. */
export interface QueueInfo {
  /** "audit", "inboxes", "mailboxes", "subscriptions", "pipes", "results", "requests", "calls", "questions", "links", "events" */
  readonly queue: string;
  readonly length: number;
  /** Null: what it bounds is each one's own, not the whole kernel's. */
  readonly limit: number | null;
  /** What waits, bytes; null where that is not counted. */
  readonly bytes: number | null;
  /** What found no room, since the start. */
  readonly lost: number;
}

/** How long something took, as a histogram. */
export interface TimeInfo {
  /** The call, "sys.uname". */
  readonly call: string;
  readonly count: number;
  readonly sumMs: number;
  /** How many took no longer than `ms`; all of those before are among them. */
  readonly upTo: readonly { readonly ms: number; readonly count: number }[];
}

/** From the wire. */
export function toDoor({ door, connections, strangers, ...counts }: DoorStats): DoorInfo {
  const { accepted, refused, attached, calls, bytesIn, bytesOut, denied, faults, braked } = counts;
  return {
    ...{ door: door as DoorInfo["door"], connections, strangers },
    ...{ accepted: Number(accepted), refused: Number(refused), attached: Number(attached) },
    ...{ calls: Number(calls), bytesIn: Number(bytesIn), bytesOut: Number(bytesOut) },
    ...{ denied: Number(denied), faults: Number(faults), braked: Number(braked) },
  };
}

export function toQueue({ queue, length, limit, bytes, lost }: QueueStats): QueueInfo {
  return {
    ...{ queue, length: Number(length), lost: Number(lost) },
    limit: limit === 0n ? null : Number(limit),
    bytes: bytes === undefined ? null : Number(bytes),
  };
}

export function toTimes({ callTime, slotWait, timeBoundsUs }: StatsResult) {
  const bounds = timeBoundsUs.map((us) => Number(us) / 1000);
  const to = ({ call, sumUs, bucket }: TimeStats): TimeInfo => {
    let count = 0;
    const counts = bucket.map((more) => {
      count += Number(more);
      return count;
    });
    const upTo = bounds.map((ms, at) => ({ ms, count: counts[at] ?? 0 }));
    return { call, count, sumMs: Number(sumUs) / 1000, upTo };
  };
  return { callTime: callTime.map(to), slotWait: slotWait && to(slotWait) };
}
