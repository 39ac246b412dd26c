/** The client of a request: when it has left, and when it has been served long enough. */
import type { HttpBindings } from "@hono/node-server";

/** Calls `act` once, when the answer is out or its client is gone. Returns how not to. */
export function onOver({ incoming, outgoing }: HttpBindings, act: () => void): () => void {
  const { socket } = incoming;
  const forget = (): void => {
    outgoing.off("close", over);
    socket.off("close", over);
  };
  let told = false;
  const over = (): void => {
    forget();
    // The one event comes within the other, whose listeners are all called even so.
    if (!told) act();
    told = true;
  };
  outgoing.on("close", over);
  // A response that waits behind another one of its connection does not hear of its end.
  socket.on("close", over);
  return forget;
}

/** A client under watch, until disposed of. */
export interface Watch extends Disposable {
  /** Aborts when the client leaves before its answer's end. */
  readonly signal: AbortSignal;
}

/**
 * Watches the client of a request. Who sends nothing any more counts as gone: whether he still
 * reads is not to be seen. An answer that is not out `lateMs` after its deadline, because nobody
 * reads it, is cut off.
 */
export function watchClient(bindings: HttpBindings, lateMs: number): Watch {
  const { incoming, outgoing } = bindings;
  const gone = new AbortController();
  const { socket } = incoming;
  const leave = (): void => gone.abort();
  const forget = onOver(bindings, leave);
  const hangUp = (): void => void socket.end();
  if (socket.destroyed) leave();
  else if (socket.readableEnded) {
    leave();
    hangUp();
  } else socket.once("end", hangUp);
  const late = setTimeout(() => outgoing.destroy(), lateMs);
  return {
    signal: gone.signal,
    [Symbol.dispose]: () => {
      clearTimeout(late);
      socket.off("end", hangUp);
      forget();
    },
  };
}
