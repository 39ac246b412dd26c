/**
 * Unary Call: one syscall outside a stream, for tools and other languages. Each
 * runs as a process of its own that ends with the reply; an errno becomes a gRPC
 * status, with the whole Error in the trailer `contix-error-bin`.
 */
import { Metadata, type ServerUnaryCall, type sendUnaryData } from "@grpc/grpc-js";
import { ContixError, ERRNO, fromWire, toWire } from "../../proto/errno.js";
import { Error as WireError } from "../../proto/gen/contix/v1/errno.js";
import type { Reply, Syscall } from "../../proto/gen/contix/v1/kernel.js";
import type { Kernel } from "../kernel.js";
import type { Port } from "../trap.js";
import type { Authenticator } from "./authenticate.js";
import type { Visitor } from "./books.js";
import { chargeFault } from "./brake.js";
import { Malformed } from "./strict.js";

export function unaryCall(
  kernel: Kernel,
  auth: Authenticator,
  call: ServerUnaryCall<Syscall | Malformed, Reply>,
  answer: sendUnaryData<Reply>,
  { book, known }: Visitor,
): void {
  let leave = (): void => {};
  const fail = (error: unknown): void => {
    leave();
    const wire = toWire(error);
    const { code } = fromWire(wire);
    const metadata = new Metadata();
    metadata.set("contix-error-bin", Buffer.from(WireError.encode(wire).finish()));
    answer({ code: ERRNO[code].grpc, details: `${code}: ${wire.message}`, metadata });
  };
  let pid: bigint | undefined;
  let cancelled = false;
  call.on("cancelled", () => {
    cancelled = true;
    if (pid !== undefined) kernel.procs.exited(pid, 1, "detached");
  });
  const run = async (): Promise<void> => {
    const [bearer = ""] = call.metadata.get("authorization");
    const token = String(bearer).replace(/^Bearer /i, "");
    if (call.request instanceof Malformed || call.request.call === undefined) {
      await braked(kernel, call, chargeFault(kernel, book, await auth.principalOf(token)));
    }
    if (call.request instanceof Malformed) throw call.request.error;
    const own = await auth.admit(token, "call");
    leave = known(own);
    book.calls++;
    pid = own;
    const port: Port = {
      reply(reply) {
        if (reply.result?.$case === "error") fail(fromWire(reply.result.value));
        else answer(null, reply);
        kernel.procs.exited(own, 0, "exit");
      },
      chunk() {},
      signal() {},
      close(error) {
        leave();
        if (error) fail(error);
      },
    };
    kernel.procs.attach(own, port);
    // Whoever gave up while his token was looked at is gone already.
    if (cancelled) kernel.procs.exited(own, 1, "detached");
    else kernel.trap.enter(own, withoutStream(call.request));
  };
  run().catch((error: unknown) => {
    if (!(error instanceof ContixError)) kernel.log.error({ err: error }, "unary call");
    fail(error);
  });
}

/**
 * A call has no stream that could be left unread: who sends more that is none than he may is
 * answered late, and there are only so many calls of one connection. Others of his wait for nothing.
 */
function braked(
  { clock }: Kernel,
  call: ServerUnaryCall<Syscall | Malformed, Reply>,
  us: number,
): Promise<void> {
  if (us === 0 || call.cancelled) return Promise.resolve();
  return new Promise((resolve) => {
    const cancel = clock.after(us, resolve);
    call.once("cancelled", () => {
      cancel();
      resolve();
    });
  });
}

/** A unary reply carries everything, so chunks are not asked for; seq may be left out. */
function withoutStream(syscall: Syscall): Syscall {
  const seq = syscall.seq === 0n ? 1n : syscall.seq;
  const { call } = syscall;
  if (call?.$case !== "generate") return { ...syscall, seq };
  return { ...syscall, seq, call: { $case: "generate", value: { ...call.value, stream: false } } };
}
