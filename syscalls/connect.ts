/** The way in: attach this program to a kernel as a process. */
import { basename } from "node:path";
import { Capabilities } from "./cap.js";
import { checkNumber } from "./check.js";
import { Contexts } from "./contexts.js";
import { type Pid, showId } from "./ids.js";
import { Ipc } from "./ipc.js";
import { Llm } from "./llm.js";
import { Principals } from "./principals.js";
import { Proc } from "./proc.js";
import { type SignalHandler, type SignalName, Signals } from "./signals.js";
import { heartbeats } from "./supervise.js";
import { Sys } from "./sys.js";
import { Team } from "./team.js";
import { Time } from "./time.js";
import { findEndpoint } from "./wire/address.js";
import { Session } from "./wire/session.js";

export interface ConnectOptions {
  /**
   * `unix:///path/contixd.sock`, `grpc://127.0.0.1:7777`, `grpcs://host:7777` (TLS) or
   * `nats://host:4222`. Default: CONTIX_ADDRESS, else `home`'s socket.
   */
  readonly address?: string | undefined;
  /** An API key, for example. Default: CONTIX_TOKEN, else the admin token in `home`. */
  readonly token?: string | undefined;
  /** The daemon's home. Default: CONTIX_HOME, else `~/.contix`. */
  readonly home?: string | undefined;
  /**
   * For `grpcs:` and for a NATS server with TLS: the CA of the kernel's certificate, and the
   * client's own certificate and key (mutual TLS). PEM text or the path of a PEM file.
   * Default: CONTIX_CA, CONTIX_CERT, CONTIX_KEY.
   */
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  /** Shown in `ps`; by default the name of the program's file. */
  readonly name?: string | undefined;
  /** How long attaching may take, milliseconds; 10 s by default. */
  readonly timeoutMs?: number | undefined;
}

/** What the kernel said at attach. */
export interface Welcome {
  readonly abi: number;
  readonly kernelVersion: string;
  /** The kernel's node, such as "n1". */
  readonly node: string;
  readonly features: readonly string[];
}

/**
 * Attaches this program to the kernel as a process, until `close()`. A program
 * that the kernel spawned needs no options; nor does one started by hand next
 * to a daemon (`contix up`). Rejects with ConnectionError when there is no
 * daemon, with SyscallError when it refuses (EACCES: a wrong token).
 *
 * @example
 * await using os = await connect();
 * for await (const text of os.llm.chat("Say hello.")) process.stdout.write(text);
 */
export async function connect(options: ConnectOptions = {}): Promise<Os> {
  const { name = basename(process.argv[1] ?? "node"), timeoutMs = 10_000 } = options;
  checkNumber("timeoutMs", timeoutMs);
  const endpoint = await findEndpoint(options);
  const signals = new Signals();
  const session = await Session.open({
    ...endpoint,
    name,
    timeoutMs,
    onSignal: (signal) => signals.deliver(signal),
  });
  return new Os(session, signals);
}

/** A process's kernel: its system calls by noun, and who the process is. */
export class Os implements AsyncDisposable {
  readonly #session: Session;
  readonly #signals: Signals;
  readonly llm: Llm;
  readonly ctx: Contexts;
  readonly proc: Proc;
  readonly ipc: Ipc;
  readonly time: Time;
  readonly sys: Sys;
  readonly cap: Capabilities;
  readonly principals: Principals;

  readonly #endHeartbeats: () => void;

  /** Made by `connect()`. */
  constructor(session: Session, signals: Signals) {
    this.#session = session;
    this.#endHeartbeats = heartbeats(session);
    this.#signals = signals;
    this.llm = new Llm(session);
    this.ctx = new Contexts(session);
    this.proc = new Proc(session);
    this.ipc = new Ipc(session);
    this.time = new Time(session);
    this.sys = new Sys(session);
    this.cap = new Capabilities(session);
    this.principals = new Principals(session);
  }

  /** This process's id. */
  get pid(): Pid {
    return showId(this.#session.welcome.pid);
  }

  /** Counts the runs of the process's program: a restart begins a new one. */
  get run(): number {
    return this.#session.welcome.run;
  }

  /** Who the process acts for. */
  get principal(): string {
    return this.#session.welcome.principal;
  }

  get welcome(): Welcome {
    const { abi, kernelVersion, node, features } = this.#session.welcome;
    return { abi, kernelVersion, node, features };
  }

  /**
   * Handles a signal, until the function it returns is called. A TERM, INT or
   * HUP that nobody handles ends the program, as in Unix; others do nothing.
   */
  on(signal: SignalName, handler: SignalHandler): () => void {
    return this.#signals.on(signal, handler);
  }

  /** The team that this agent was started in by `contix run -f`. Error when it is in none. */
  team(): Team {
    return new Team(this.#session);
  }

  /** Ends the process. Calls under way reject with ConnectionError. Never fails. */
  close(): Promise<void> {
    this.#endHeartbeats();
    return this.#session.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
