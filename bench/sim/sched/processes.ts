/**
 * The kernel's process table on the virtual clock. Who is born, supervised, signalled, waited
 * for and reaped is production's (kernel/proc); here is what the operating system does: a
 * program takes its time to attach, a killed one is silent at once and known to be gone a
 * moment later, a stopped one does nothing until it goes on.
 */
import { constants } from "node:os";
import type { Clock } from "../../../kernel/clock.js";
import type { Kernel } from "../../../kernel/kernel.js";
import type { OsProcess } from "../../../kernel/proc/os-process.js";
import { type Attachment, type Birth, Processes } from "../../../kernel/proc/processes.js";
import { find } from "../../../kernel/proc/supervise/members.js";
import { Supervisor } from "../../../kernel/proc/supervise/supervisor.js";
import type { Port } from "../../../kernel/trap.js";

/** What a program does. */
export interface Program {
  /** From its start until it attaches, microseconds; 0 or missing: at once. */
  readonly bootUs?: () => number;
  /** Why it can not be started now; undefined: it can. */
  readonly broken?: () => Error | undefined;
  /** A run of it has attached. */
  begin?(run: Run): void;
  /** It handles the signal. False: it does not, and ends by one that ends. */
  signal?(run: Run, name: string): boolean;
}

/** From the end of an OS process until the kernel knows of it, microseconds. */
const EXIT_US = 1000;
/** Heartbeats to a watchdog's time. */
const BEATS = 3;

export class VirtualProcesses extends Processes {
  override readonly supervisor: Supervisor;
  /** By process: the run whose OS process there is. */
  readonly runs = new Map<bigint, Run>();
  readonly #kernel: Kernel;
  readonly #programs = new Map<bigint, Program>();
  #osPids = 0;

  constructor(kernel: Kernel) {
    super(kernel);
    this.#kernel = kernel;
    // As the table itself makes it, but that no OS process is started.
    this.supervisor = new Supervisor(kernel.journal, kernel.clock, {
      start: async (pid) => this.#start(pid),
      signal: (pid, name) => this.signal(pid, name, 0n),
      over: (pid, code, cause) => this.exited(pid, code, cause),
      stopped: (pid) => this.get(pid)?.stopped === true,
    });
  }

  /** As proc.spawn does it. EAGAIN, or what `broken` says. */
  spawn(birth: Omit<Birth, "spawned">, program: Program = {}): bigint {
    const { pid } = this.create({ ...birth, spawned: true });
    this.#programs.set(pid, program);
    try {
      this.#start(pid);
    } catch (error) {
      this.end(pid, "spawn failed");
      this.#kernel.journal.append(this.reap(pid));
      throw error;
    }
    return pid;
  }

  /** A program that was started elsewhere attaches. EAGAIN. */
  enter(birth: Omit<Birth, "spawned">, program: Program): bigint {
    const { pid } = this.create({ ...birth, spawned: false });
    this.#programs.set(pid, program);
    new Run(this.#kernel, this, { pid, osPid: 0, program }).attach();
    return pid;
  }

  #start(pid: bigint): void {
    const program = this.#programs.get(pid) ?? {};
    const error = program.broken?.();
    if (error) throw error;
    const run = new Run(this.#kernel, this, { pid, osPid: ++this.#osPids, program });
    if (this.runs.has(pid)) throw new Error(`${pid} has two OS processes`);
    this.runs.set(pid, run);
    this.started(pid, run.os);
    const bootUs = program.bootUs?.() ?? 0;
    if (bootUs === 0) run.attach();
    else run.after(bootUs, () => run.attach());
  }
}

/** One run of a program. What it is to do later dies with it, and waits while it is stopped. */
export class Run {
  readonly pid: bigint;
  readonly os: OsProcess;
  /** Its program hangs: it sends no heartbeats. */
  hangs = false;
  readonly #kernel: Kernel;
  readonly #procs: VirtualProcesses;
  readonly #program: Program;
  readonly #port: Port;
  readonly #timers = new Set<() => void>();
  #attachment: Attachment | undefined;
  #over = false;
  /** It does nothing until it goes on. */
  #stopped = false;
  /** It has lost its stream. */
  #cut = false;
  #held: (() => void)[] = [];
  #gone: () => void = () => {};

  constructor(
    kernel: Kernel,
    procs: VirtualProcesses,
    { pid, osPid, program }: { readonly pid: bigint; osPid: number; program: Program },
  ) {
    this.pid = pid;
    this.#kernel = kernel;
    this.#procs = procs;
    this.#program = program;
    const gone = new Promise<void>((resolve) => {
      this.#gone = resolve;
    });
    this.os = { osPid, gone, signal: (name) => this.#hit(name) };
    const signal: Port["signal"] = ({ name }) => this.#hear(name);
    const close = (): void => this.#closed();
    this.#port = { reply() {}, chunk() {}, signal, close };
  }

  get #clock(): Clock {
    return this.#kernel.clock;
  }
  get over(): boolean {
    return this.#over;
  }
  get #spawned(): boolean {
    return this.os.osPid !== 0;
  }

  attach(): void {
    const process = this.#procs.get(this.pid);
    if (this.#over || !process || process.exit) return;
    this.#attachment = this.#procs.attach(this.pid, this.#port);
    this.#beat();
    this.#program.begin?.(this);
  }

  /** Does it so much later, if the run is not over then. */
  after(us: number, act: () => void): void {
    const cancel = this.#clock.after(us, () => {
      this.#timers.delete(cancel);
      if (this.#stopped) this.#held.push(act);
      else act();
    });
    this.#timers.add(cancel);
  }

  /** The program ends by itself. */
  exit(code: number): void {
    this.#end(code, "exit");
  }

  /**
   * Its stream breaks, and it does nothing until it has another: after `us`, if that is not
   * too late. Of one that was started elsewhere.
   */
  breaks(us: number): void {
    if (this.#over || this.#cut || !this.#attachment) return;
    this.#cut = true;
    this.#stopped = true;
    this.#procs.lost(this.pid, this.#port);
    const cancel = this.#clock.after(us, () => {
      this.#timers.delete(cancel);
      this.#comeBack();
    });
    this.#timers.add(cancel);
  }

  #comeBack(): void {
    const { run, resumeToken } = this.#attachment ?? { run: 0, resumeToken: "" };
    const process = this.#procs.get(this.pid);
    this.#cut = false;
    if (!process || process.exit) {
      this.#silence();
      return;
    }
    this.#procs.resume(this.pid, run, resumeToken, this.#port);
    this.#goOn();
  }

  /** What the operating system does with a signal. */
  #hit(name: NodeJS.Signals): void {
    if (name === "SIGSTOP") this.#stopped = true;
    else if (name === "SIGCONT") this.#goOn();
    else if (name === "SIGKILL") this.#end(137, "signal KILL");
    else this.#later(() => this.#endBy(name.replace("SIG", "")));
  }

  /** A signal over the stream. */
  #hear(name: string): void {
    this.#later(() => {
      if (this.#program.signal?.(this, name)) return;
      if (name === "TERM" || name === "INT") this.#endBy(name);
    });
  }

  #endBy(name: string): void {
    const number = constants.signals[`SIG${name}` as NodeJS.Signals] ?? 0;
    this.#end(128 + number, `signal ${name}`);
  }

  /** At once, or when it goes on. */
  #later(act: () => void): void {
    if (this.#over) return;
    if (this.#stopped) this.#held.push(act);
    else act();
  }

  #goOn(): void {
    this.#stopped = false;
    for (const act of this.#held.splice(0)) if (!this.#over) act();
  }

  #end(code: number, cause: string): void {
    if (this.#over) return;
    this.#silence();
    const { pid } = this;
    if (!this.#spawned) {
      this.#procs.left(pid, this.#port);
      return;
    }
    this.#clock.after(EXIT_US, () => {
      this.#procs.runs.delete(pid);
      if (this.#attachment) this.#procs.lost(pid, this.#port);
      this.#gone();
      this.#procs.exited(pid, code, cause);
    });
  }

  /** The kernel has closed its stream: one that was started elsewhere is over. */
  #closed(): void {
    if (!this.#spawned) this.#silence();
  }

  #silence(): void {
    this.#over = true;
    this.#held = [];
    for (const cancel of this.#timers) cancel();
    this.#timers.clear();
  }

  #beat(): void {
    const { supervision } = this.#kernel.journal.state;
    const watchdogUs = find(supervision, this.pid)?.member.watchdogUs ?? 0;
    if (watchdogUs === 0) return;
    this.after(Math.ceil(watchdogUs / BEATS), () => {
      if (!this.hangs) this.#procs.supervisor.pat(this.pid);
      this.#beat();
    });
  }
}
