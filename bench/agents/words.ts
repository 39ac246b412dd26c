/** What the benchmark and its agents say to each other. */
import { z } from "zod";

/** null: sys.uname; change: ctx.advise by a handle: journalled, audited, kept until acknowledged. */
const WAYS = ["null", "change", "grpc echo", "nats null", "nats echo"] as const;
export type WayName = (typeof WAYS)[number];

/** What a caller is to be. */
export const Caller = z.object({
  home: z.string(),
  token: z.string(),
  /** unix:///path of the echo. */
  echo: z.string(),
  requestBytes: z.number(),
  ways: z.array(z.enum(WAYS)),
});
export type Caller = z.infer<typeof Caller>;

/** What it is told. */
export const Order = z.object({
  way: z.enum(WAYS),
  /** So many calls, or as many as there is time for. */
  calls: z.number().optional(),
  seconds: z.number().optional(),
  /** From the start of a call to that of the next, milliseconds; 0: at once. */
  everyMs: z.number(),
  /** Before the first call. */
  afterMs: z.number(),
});
export type Order = z.infer<typeof Order>;

/** What it answers. */
export const Took = z.object({
  calls: z.number(),
  seconds: z.number(),
  cpuUs: z.number(),
  p50Us: z.number(),
  p99Us: z.number(),
  maxUs: z.number(),
});
export type Took = z.infer<typeof Took>;

/** Who sends what is malformed: with that key, and from that seed. */
export const Mallory = z.object({ token: z.string(), seed: z.number() });
export type Mallory = z.infer<typeof Mallory>;

/** What she is told: how many, through the door at that address, at what pace. */
export const Flood = z.object({ address: z.string(), frames: z.number(), perSecond: z.number() });
export type Flood = z.infer<typeof Flood>;

/** How many she offered, and how many of them went out. */
export const Sent = z.object({ frames: z.number(), sent: z.number(), seconds: z.number() });
export type Sent = z.infer<typeof Sent>;

/** What a talker is to be. */
export const Talker = z.object({
  home: z.string(),
  token: z.string(),
  /** Where the bare hub listens. */
  hub: z.string(),
  /** Calls of the model, and messages between them. */
  calls: z.number(),
  /** Tokens of each. */
  tokens: z.number(),
});
export type Talker = z.infer<typeof Talker>;

/** What it is told. */
export const Word = z.union([
  z.object({ next: z.string() }),
  z.object({ go: z.number(), bare: z.boolean() }),
]);

/** What it did and heard in a run: each message once and in order, or `wrong` says how not. */
export const Done = z.object({ tokens: z.number(), heard: z.number(), wrong: z.string() });
export type Done = z.infer<typeof Done>;

/** What the bare hub is to be. */
export const Hub = z.object({ path: z.string(), callMs: z.number() });
export type Hub = z.infer<typeof Hub>;

/** What it is asked. */
export const HubRequest = z.object({
  id: z.number(),
  from: z.string(),
  what: z.enum(["model", "send", "recv"]),
  to: z.string(),
  text: z.string(),
});
export type HubRequest = z.infer<typeof HubRequest>;

export const HubAnswer = z.object({ id: z.number(), text: z.string() });
