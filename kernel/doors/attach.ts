/** The Attach stream: one per process, all its syscalls multiplexed by seq. */
import type { ServerDuplexStream } from "@grpc/grpc-js";
import type { ClientFrame, ServerFrame } from "../../proto/gen/contix/v1/kernel.js";
import type { Kernel } from "../kernel.js";
import type { Authenticator } from "./authenticate.js";
import type { Visitor } from "./books.js";
import { DoorSession } from "./session.js";
import type { Malformed } from "./strict.js";

/** How long after a stream's end it may still turn out to be broken, microseconds. */
const END_US = 50_000;

type Stream = ServerDuplexStream<ClientFrame | Malformed, ServerFrame>;

/** Serves one stream. */
export function attachStream(
  kernel: Kernel,
  auth: Authenticator,
  stream: Stream,
  { book, known }: Visitor,
): void {
  let leave = (): void => {};
  const pipe = {
    book,
    send: (frame: NonNullable<ServerFrame["frame"]>) => !stream.writable || stream.write({ frame }),
    end: () => {
      stream.end();
      leave();
    },
    pause: () => stream.pause(),
    resume: () => stream.resume(),
  };
  const session = new DoorSession(kernel, auth, pipe, ({ pid }) => {
    leave = known(pid);
  });
  stream.on("data", (message: ClientFrame | Malformed) => session.receive(message));
  stream.on("drain", () => session.drained());
  let cancelLeft = (): void => {};
  stream.on("end", () => {
    // A stream that breaks ends first and is cancelled a moment later: wait and see which it is.
    cancelLeft = kernel.clock.after(END_US, () => session.left());
  });
  const lost = (): void => {
    cancelLeft();
    session.lost();
    leave();
  };
  stream.on("cancelled", lost);
  stream.on("error", lost);
}
