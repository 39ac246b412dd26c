/**
 * The kernel's trap over a real journal, without drivers and doors: rights, principals
 * and the audit can be tested by the thousand. The clock is moved by hand.
 */
import type { AuditEntry } from "../../kernel/cap/audit.js";
import type { Gift } from "../../kernel/cap/births.js";
import { type KeyFile, NO_KEY_FILE } from "../../kernel/cap/key-file.js";
import { Principals } from "../../kernel/cap/principals.js";
import { QuotaBooks } from "../../kernel/cap/rates/books.js";
import { Faults } from "../../kernel/cap/rates/faults.js";
import type { ObjectRef } from "../../kernel/cap/rights.js";
import { systemRandomness } from "../../kernel/clock.js";
import { ConfigSchema } from "../../kernel/config.js";
import { Events } from "../../kernel/events/events.js";
import { Ipc } from "../../kernel/ipc/ipc.js";
import { memoryJournal } from "../../kernel/journal/journal.js";
import type { Kernel } from "../../kernel/kernel.js";
import { silentLog } from "../../kernel/log.js";
import { ContextLife } from "../../kernel/mm/context-life.js";
import type { Wait } from "../../kernel/mm/eviction/policy.js";
import type { PageQuotas } from "../../kernel/mm/page-quotas.js";
import { Quotas } from "../../kernel/mm/quota.js";
import { Accounts } from "../../kernel/proc/accounts.js";
import { Processes } from "../../kernel/proc/processes.js";
import { type KernelTime, makeTime } from "../../kernel/time/make.js";
import { type Port, Trap } from "../../kernel/trap.js";
import { type Reply, Syscall } from "../../proto/gen/contix/v1/kernel.js";

export type CallName = NonNullable<Syscall["call"]>["$case"];

/** Who a process is, where the test cares. */
interface Being {
  readonly principal?: string;
  readonly key?: string;
  readonly scopes?: readonly string[];
  readonly gifts?: readonly Gift[];
  readonly parent?: bigint;
}

/** A part that does nothing, but for `what`. */
function neutral(what: Readonly<Record<string, unknown>> = {}): object {
  return new Proxy(what, { get: (part, name: string) => part[name] ?? (() => undefined) });
}

export class BareKernel {
  readonly kernel: Kernel;
  readonly audit: AuditEntry[] = [];
  /** Ends of attachments that the kernel made, and why. */
  readonly cut = new Map<bigint, string>();
  /** Principals whose pages were erased. */
  readonly erased: string[] = [];
  /** What the eviction policies are told of contexts. */
  readonly waits: Wait[] = [];
  now = 1000;
  /** What the wall clock is ahead of it, milliseconds. */
  wall = 0;
  /** Signals that came: `ALRM 17`, with the counter of the process. */
  readonly signals: string[] = [];
  #timers = new Map<() => void, number>();
  #seq = 0n;
  readonly #replies = new Map<bigint, (reply: Reply) => void>();

  constructor(node = 1, keys: KeyFile = NO_KEY_FILE) {
    const clock = {
      now: () => this.now,
      wall: () => this.wall + this.now / 1000,
      after: (us: number, fn: () => void) => {
        this.#timers.set(fn, this.now + us);
        return () => void this.#timers.delete(fn);
      },
    };
    const journal = memoryJournal(node);
    const events = new Events(journal);
    const pool = { erase: (principal: string) => void this.erased.push(principal) };
    const waits = (_: unknown, wait: Wait): void => void this.waits.push(wait);
    const engines = { drop() {}, waits, running: [{ placer: { pool } }] };
    const config = ConfigSchema.parse({ home: "/nowhere" });
    const accounts = new Accounts();
    const pages = neutral() as PageQuotas;
    const faults = new Faults(new QuotaBooks({ clock, journal, accounts, config, pages }));
    const parts = {
      ...{ clock, journal, engines, config, random: systemRandomness, log: silentLog },
      life: new ContextLife({ clock, journal, engines, log: silentLog }),
      quotas: new Quotas(config.limits, journal),
      accounts,
      rates: neutral({ settle: (_: unknown, usage: object) => usage, pressing: () => [], faults }),
      ...{ ask: neutral(), ipc: new Ipc({ journal, clock, config }) },
      events,
      audit: events.overhearing({
        record: (entry: AuditEntry) => void this.audit.push(entry),
        admit() {},
        sync: () => Promise.resolve(),
      }),
    };
    this.kernel = parts as unknown as Kernel;
    const whole = parts as unknown as {
      trap: Trap;
      procs: Processes;
      principals: Principals;
      time: KernelTime;
    };
    whole.trap = new Trap(this.kernel);
    whole.procs = new Processes(this.kernel);
    whole.time = makeTime(this.kernel);
    whole.principals = new Principals(this.kernel, keys);
  }

  /** Timers that will still ring. */
  get timers(): number {
    return this.#timers.size;
  }

  get state() {
    return this.kernel.journal.state;
  }

  /** A process that is attached; without `gifts` it has no capability at all. */
  process({ principal = "alice", parent = 0n, ...rest }: Being = {}): bigint {
    const of = { parent, name: "p", principal, nice: 0, spawned: false };
    const { pid } = this.kernel.procs.create({ ...of, ...rest });
    const port: Port = {
      reply: (reply) => this.#replies.get(reply.seq)?.(reply),
      chunk() {},
      signal: ({ name }) => void this.signals.push(`${name} ${pid & 0xffffffn}`),
      close: (error) => {
        if (!this.cut.has(pid)) this.cut.set(pid, error?.message ?? "");
      },
    };
    this.kernel.procs.attach(pid, port);
    return pid;
  }

  /** A context of that process. */
  context(owner: bigint): { cid: bigint; handle: number } {
    const handle = this.state.processes.get(owner)?.nextHandle ?? 1;
    const cid = BigInt(this.state.counters.cid + 1);
    const belongs = { owner, handle, model: "m", engine: "e", at: 0 };
    this.kernel.journal.append({ type: "ctx.created", cid, ...belongs });
    return { cid, handle };
  }

  /** A handle of that process on an object, with those rights. */
  handle(pid: bigint, object: ObjectRef, rights: number, more: Partial<Gift> = {}): number {
    const handle = this.state.processes.get(pid)?.nextHandle ?? 1;
    const id = BigInt(this.state.counters.cap + 1);
    const made = { id, parent: 0n, holder: pid, handle, object, rights, ...more };
    this.kernel.journal.append({ type: "cap.made", ...made });
    return handle;
  }

  /** Makes a call; resolves with its reply. */
  call(pid: bigint, name: CallName, args: object = {}, handle = 0): Promise<Reply> {
    const seq = ++this.#seq;
    const call = { $case: name, value: args } as Parameters<typeof Syscall.fromPartial>[0]["call"];
    return new Promise((resolve) => {
      this.#replies.set(seq, resolve);
      this.kernel.trap.enter(pid, Syscall.fromPartial({ seq, handle, ...(call && { call }) }));
    });
  }

  /** The same; resolves with "ok", or the errno and its message. */
  async outcome(pid: bigint, name: CallName, args: object = {}, handle = 0): Promise<string> {
    const { result } = await this.call(pid, name, args, handle);
    if (result?.$case !== "error") return "ok";
    return `${result.value.name}: ${result.value.message}`;
  }

  /** Time passes, microseconds. */
  pass(us: number): void {
    this.now += us;
    for (const [fn, at] of [...this.#timers]) {
      if (at > this.now || !this.#timers.delete(fn)) continue;
      fn();
    }
  }
}
