/** The Attach stream: one per process, all its syscalls multiplexed by seq. */
import type { ServerDuplexStream } from "@grpc/grpc-js";
import { ContixError, toWire } from "../../proto/errno.js";
import type { ClientFrame, Hello, ServerFrame, Signal } from "../../proto/gen/contix/v1/kernel.js";
import { NO_USAGE } from "../call.js";
import { ABI, type Kernel, NODE, VERSION } from "../kernel.js";
import type { Port } from "../trap.js";
import type { Authenticator } from "./authenticate.js";
import { Malformed } from "./strict.js";

/** How long a stream may stay without its hello, microseconds. */
const HELLO_US = 5_000_000;

/** How long after a stream's end it may still turn out to be broken, microseconds. */
const END_US = 50_000;

type Stream = ServerDuplexStream<ClientFrame | Malformed, ServerFrame>;

export function attachStream(kernel: Kernel, auth: Authenticator, stream: Stream): void {
  let pid: bigint | undefined;
  let ended = false;
  /** Signals for a reader who is behind, by name. */
  const signals = new Map<string, Signal>();
  const send = (frame: NonNullable<ServerFrame["frame"]>): void => {
    if (ended || !stream.writable) return;
    // Whoever does not read his answers is not read either, until he has caught up.
    if (!stream.write({ frame })) stream.pause();
  };
  const end = (): void => {
    ended = true;
    cancelHello();
    stream.end();
  };
  const refuse = (error: unknown): void => {
    const result = { $case: "error" as const, value: toWire(error) };
    send({ $case: "reply", value: { seq: 0n, usage: NO_USAGE, result } });
  };
  const port: Port = {
    reply: (value) => send({ $case: "reply", value }),
    chunk: (value) => send({ $case: "chunk", value }),
    signal(value) {
      // As in Unix a signal that waits already is not queued again: who does not read gets it once.
      if (!stream.writableNeedDrain) send({ $case: "signal", value });
      else signals.set(value.name, value);
    },
    close(error) {
      if (ended) return;
      if (error) refuse(error);
      end();
    },
  };
  const cancelHello = kernel.clock.after(HELLO_US, () => {
    port.close(new ContixError("ETIMEDOUT", "no hello within 5 s"));
  });
  const hello = (message: Hello): void => {
    cancelHello();
    const to = auth.attach(message, port);
    pid = to.pid;
    send({
      $case: "welcome",
      value: { ...to, abi: ABI, features: [], kernelVersion: VERSION, node: `n${NODE}` },
    });
    // Mail and signals that came before the attachment are in its mailbox; nothing is replayed here.
  };
  stream.on("data", (message: ClientFrame | Malformed) => {
    if (ended) return;
    try {
      if (message instanceof Malformed) throw message.error;
      if (pid === undefined) {
        if (message.frame?.$case !== "hello")
          throw new ContixError("EPROTO", "the first frame must be hello");
        hello(message.frame.value);
      } else serve(kernel, pid, message);
    } catch (error) {
      if (!(error instanceof ContixError)) kernel.log.error({ err: error }, "attach");
      refuse(error);
      // Without an identity there is nothing to go on with; with one, only this frame is lost.
      if (pid === undefined) end();
    }
  });
  stream.on("drain", () => {
    for (const value of signals.values()) send({ $case: "signal", value });
    signals.clear();
    if (!stream.writableNeedDrain) stream.resume();
  });
  /** Whoever ends in order has nothing under way: who has may be one whose cancel is late, and may come back. */
  const gone = (pid: bigint): void => {
    const { trap, procs } = kernel;
    if (trap.isBusy(pid)) procs.lost(pid, port);
    else procs.left(pid, port);
  };
  let cancelLeft = (): void => {};
  stream.on("end", () => {
    // A stream that breaks ends first and is cancelled a moment later: wait and see which it is.
    cancelLeft = kernel.clock.after(END_US, () => {
      if (pid !== undefined) gone(pid);
      end();
    });
  });
  const lost = (): void => {
    if (ended) return;
    ended = true;
    cancelHello();
    cancelLeft();
    if (pid !== undefined) kernel.procs.lost(pid, port);
  };
  stream.on("cancelled", lost);
  stream.on("error", lost);
}

function serve(kernel: Kernel, pid: bigint, { frame }: ClientFrame): void {
  const { trap } = kernel;
  switch (frame?.$case) {
    case "call":
      trap.enter(pid, frame.value);
      break;
    case "credit":
      trap.credit(pid, frame.value.seq, frame.value.n);
      break;
    case "cancel":
      trap.cancel(pid, frame.value.seq);
      break;
    case "ack":
      trap.ack(pid, frame.value.ackedThrough, frame.value.acked);
      break;
    case "hello":
      throw new ContixError("EPROTO", "hello was said already");
    default:
      throw new ContixError("EPROTO", "an empty or unknown frame");
  }
}
