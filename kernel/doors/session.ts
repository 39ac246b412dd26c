/**
 * One attachment, whichever door it came through: its hello, its frames, and its
 * end. A door only moves frames; what they mean is here.
 */
import { ContixError, toWire } from "../../proto/errno.js";
import type {
  ClientFrame,
  Hello,
  ServerFrame,
  Signal,
  Welcome,
} from "../../proto/gen/contix/v1/kernel.js";
import { NO_USAGE } from "../call.js";
import { ABI, type Kernel, NODE, VERSION } from "../kernel.js";
import type { Attachment } from "../proc/processes.js";
import type { Port } from "../trap.js";
import type { Admit, Authenticator } from "./authenticate.js";
import type { DoorBook } from "./books.js";
import { Brake } from "./brake.js";
import { Malformed } from "./strict.js";

/** How long an attachment may stay without its hello, microseconds. */
const HELLO_US = 5_000_000;
/** Frames that may wait for the hello's answer; a client that waits for it sends none. */
const MOST_EARLY = 256;
/** What may wait of a client that is not to be read and cannot be stopped: frames, and bytes of them. */
const MOST_HELD = 64;
const MOST_HELD_BYTES = 1 << 20;

export type Frame = NonNullable<ServerFrame["frame"]>;

/** The door's end of an attachment. */
export interface Pipe {
  /** Where attachments and calls are counted. */
  readonly book: DoorBook;
  /** Sends the frame. False: its reader is behind, and `DoorSession.drained` will be called. */
  send(frame: Frame): boolean;
  /** Nothing is sent any more; what was sent still arrives. */
  end(): void;
  /** Stops and goes on reading what the client sends. */
  pause(): void;
  resume(): void;
  /** Where `pause` stops nobody: cuts a client off that may come back to its run. */
  hangUp?(): void;
  /** Rejects for a principal that may not come by this door now. */
  admit?: Admit;
}

/** A frame as it came: what waits, or is never taken, need not be decoded. */
export interface Undecoded {
  readonly bytes: number;
  decode(): ClientFrame | Malformed;
}
type Incoming = ClientFrame | Malformed | Undecoded;

/** A frame that waits, and how its sender hears that it was none. */
interface Held {
  readonly message: Incoming;
  readonly refuse: ((error: ContixError) => void) | undefined;
}

export class DoorSession {
  readonly #kernel: Kernel;
  readonly #auth: Authenticator;
  readonly #pipe: Pipe;
  readonly #port: Port;
  /** Hears of the identity before the welcome is sent. */
  readonly #onWelcome: (welcome: Welcome) => void;
  #pid: bigint | undefined;
  #state: "new" | "attaching" | "attached" | "over" = "new";
  #behind = false;
  /** What came while it could not be taken, in order. */
  readonly #held: Held[] = [];
  #heldBytes = 0;
  readonly #brake: Brake;
  /** Signals for a reader who is behind, or not attached yet, by name. */
  readonly #signals = new Map<string, Signal>();
  readonly #cancelHello: () => void;

  constructor(
    kernel: Kernel,
    auth: Authenticator,
    pipe: Pipe,
    onWelcome: (welcome: Welcome) => void = () => undefined,
  ) {
    this.#kernel = kernel;
    this.#auth = auth;
    this.#pipe = pipe;
    this.#onWelcome = onWelcome;
    this.#brake = new Brake(kernel, pipe.book, () => this.#goOn());
    this.#port = {
      reply: (value) => this.#send({ $case: "reply", value }),
      chunk: (value) => this.#send({ $case: "chunk", value }),
      signal: (value) => this.#signal(value),
      close: (error) => {
        if (this.over) return;
        if (error) this.#refuse(error);
        this.#end();
      },
    };
    this.#cancelHello = kernel.clock.after(HELLO_US, () => {
      this.#port.close(new ContixError("ETIMEDOUT", "no hello within 5 s"));
    });
  }

  get pid(): bigint | undefined {
    return this.#pid;
  }
  get over(): boolean {
    return this.#state === "over";
  }

  /** Takes a frame of the client's. `refuse` says an error of a malformed one elsewhere than on the pipe. */
  receive(message: Incoming, refuse?: (error: ContixError) => void): void {
    if (this.over) return;
    if (this.#state === "new" || this.#reads) {
      this.#take({ message, refuse });
      return;
    }
    this.#held.push({ message, refuse });
    if ("bytes" in message) this.#heldBytes += message.bytes;
    const tooMuch = this.#held.length > MOST_HELD || this.#heldBytes > MOST_HELD_BYTES;
    if (tooMuch && this.#brake.on && this.#pipe.hangUp) this.#hangUp();
    else if (this.#held.length >= MOST_EARLY) this.#pipe.pause();
  }

  /** Attaches; the welcome, or the reason against it, is sent. */
  async hello(hello: Hello): Promise<void> {
    this.#state = "attaching";
    try {
      this.#attached(await this.#auth.attach(hello, this.#port, this.#pipe.admit));
    } catch (error) {
      if (!this.over) this.#failed(error);
    }
  }

  /** The pipe takes frames again. */
  drained(): void {
    this.#behind = false;
    this.#tellSignals();
    this.#goOn();
  }

  /** The client ended in order. With calls under way it may be one whose cancel is late, and may come back. */
  left(): void {
    const { trap, procs } = this.#kernel;
    if (this.#pid !== undefined) {
      if (trap.isBusy(this.#pid)) procs.lost(this.#pid, this.#port);
      else procs.left(this.#pid, this.#port);
    }
    this.#end();
  }

  /** The connection broke. */
  lost(): void {
    if (this.over) return;
    this.#over();
    if (this.#pid !== undefined) this.#kernel.procs.lost(this.#pid, this.#port);
  }

  #attached(to: Attachment): void {
    // The connection may have broken meanwhile: then this process has lost it already.
    if (this.over) {
      this.#kernel.procs.lost(to.pid, this.#port);
      return;
    }
    this.#cancelHello();
    this.#pid = to.pid;
    this.#state = "attached";
    this.#pipe.book.attached++;
    const welcome = { ...to, abi: ABI, features: [], kernelVersion: VERSION, node: `n${NODE}` };
    this.#onWelcome(welcome);
    // Mail that came before is in its mailbox; of signals it hears now.
    this.#send({ $case: "welcome", value: welcome });
    if (!this.#behind) this.#tellSignals();
    this.#goOn();
  }

  /** Nothing is in the way of the client's next frame: neither its hello, nor its reader, nor its faults. */
  get #reads(): boolean {
    return this.#state === "attached" && !this.#behind && !this.#brake.on;
  }

  /** Takes what waits, and reads on, until something is in the way again. */
  #goOn(): void {
    while (this.#reads) {
      const next = this.#held.shift();
      if (next === undefined) {
        this.#pipe.resume();
        return;
      }
      if ("bytes" in next.message) this.#heldBytes -= next.message.bytes;
      this.#take(next);
    }
  }

  #take({ message: came, refuse }: Held): void {
    try {
      const message = "decode" in came ? came.decode() : came;
      if (message instanceof Malformed) throw message.error;
      if (this.#pid !== undefined) {
        if (message.frame?.$case === "call") this.#pipe.book.calls++;
        if (!serve(this.#kernel, this.#pid, message)) this.#fault();
        return;
      }
      if (message.frame?.$case !== "hello") {
        throw new ContixError("EPROTO", "the first frame must be hello");
      }
      void this.hello(message.frame.value);
    } catch (error) {
      if (refuse && error instanceof ContixError) refuse(error);
      else this.#failed(error);
      if (error instanceof ContixError) this.#fault();
    }
  }

  /** What it sent said nothing, or was not its to send. Whoever sends more of that than he may is not read for a while. */
  #fault(): void {
    if (this.over || this.#pid === undefined) return;
    this.#brake.fault(this.#pid);
    if (this.#brake.on) this.#pipe.pause();
  }

  /** It can not be held up, and sends on. Its process may come back for what it has not got yet. */
  #hangUp(): void {
    if (this.#pid === undefined) return;
    this.#refuse(this.#brake.tooMany(this.#pid, this.#held.length));
    this.#over();
    this.#pipe.hangUp?.();
    this.#kernel.procs.lost(this.#pid, this.#port);
  }

  #failed(error: unknown): void {
    if (!(error instanceof ContixError)) this.#kernel.log.error({ err: error }, "attach");
    this.#refuse(error);
    // Without an identity there is nothing to go on with; with one, only this frame is lost.
    if (this.#pid === undefined) this.#end();
  }

  #refuse(error: unknown): void {
    const result = { $case: "error" as const, value: toWire(error) };
    this.#send({ $case: "reply", value: { seq: 0n, usage: NO_USAGE, result } });
  }

  #signal(value: Signal): void {
    // As in Unix a signal that waits already is not queued again: who does not read gets it once.
    // And the first that a client hears is its welcome.
    if (this.#behind || this.#state === "attaching") this.#signals.set(value.name, value);
    else this.#send({ $case: "signal", value });
  }

  #tellSignals(): void {
    for (const value of this.#signals.values()) this.#send({ $case: "signal", value });
    this.#signals.clear();
  }

  #send(frame: Frame): void {
    if (this.over || this.#pipe.send(frame)) return;
    // Whoever does not read his answers is not read either, until he has caught up.
    this.#behind = true;
    this.#pipe.pause();
  }

  #end(): void {
    if (this.over) return;
    this.#over();
    this.#pipe.end();
  }

  #over(): void {
    this.#state = "over";
    this.#held.length = 0;
    this.#brake.off();
    this.#cancelHello();
  }
}

/** @returns whether it could be one: false of a call that is none. EPROTO of any other frame. */
function serve(kernel: Kernel, pid: bigint, { frame }: ClientFrame): boolean {
  const { trap } = kernel;
  switch (frame?.$case) {
    case "call":
      return trap.enter(pid, frame.value);
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
  return true;
}
