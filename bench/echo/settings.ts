import { z } from "zod";

/** What the process of the echoes is told. */
export const EchoServer = z.object({
  /** unix:///path to listen on. */
  grpc: z.string(),
  /** The home of a daemon with a private nats-server; "": no NATS. */
  home: z.string(),
  bytes: z.number(),
});
export type EchoServer = z.infer<typeof EchoServer>;
