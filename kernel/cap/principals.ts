/**
 * Principals and their keys, for whoever administers them. A change is in the home's file
 * before it is acknowledged. What takes away takes effect first of all, whether or not it
 * can be saved: a file that can not be written is EIO for whoever asked, and is tried again
 * every second, for until it is written a restart would bring the former state back.
 */
import { ContixError } from "../../proto/errno.js";
import { LONGEST_SLEEP_US } from "../clock.js";
import { showId } from "../ids.js";
import type { Context, Process } from "../journal/journal.js";
import type { JournalRecord } from "../journal/records.js";
import type { Kernel } from "../kernel.js";
import type { KeyFile } from "./key-file.js";
import { type Key, Keys, makeKey } from "./keys.js";
import type { Quota } from "./rates/quota.js";
import { ADMIN_SCOPE, ALL_BUT_ADMIN } from "./scopes.js";

/** The one who has the token in the home. It is always there. */
export const ADMIN = "admin";

const NAME = /^[a-z0-9][a-z0-9._-]{0,63}$/;
const PRINCIPALS = 10_000;
const KEYS_EACH = 256;
const SAVE_AGAIN_US = 1_000_000;

export interface NewKey {
  readonly principal: string;
  readonly name: string;
  readonly scopes: readonly string[];
  /** Wall time, milliseconds; 0: never. */
  readonly expiresAt: number;
}

export class Principals {
  readonly keys: Keys;
  readonly #kernel: Kernel;
  readonly #file: KeyFile;
  /** Removed ones that the file still has. */
  readonly #unsaved = new Set<string>();
  #saveAgain: (() => void) | undefined;
  #cancelWatch: () => void = () => {};

  constructor(kernel: Kernel, file: KeyFile) {
    this.#kernel = kernel;
    this.#file = file;
    this.keys = new Keys(kernel);
    const createdAt = kernel.clock.wall();
    kernel.journal.append({ type: "principal.added", name: ADMIN, createdAt }, ...file.load());
    this.#watch();
  }

  add(name: string, quota: Quota = {}): void {
    const { principals } = this.#state;
    if (!NAME.test(name)) {
      const message = `name is "${name}"; it must be 1 to 64 of a-z, 0-9, ".", "_" and "-", and begin with a letter or a digit`;
      throw new ContixError("EINVAL", message, { argument: "name" });
    }
    if (principals.has(name)) {
      throw new ContixError("EEXIST", `there is a principal ${name}`, { argument: "name" });
    }
    if (principals.size >= PRINCIPALS) {
      throw new ContixError(
        "EDQUOT",
        `there are ${principals.size} principals, the most there can be`,
      );
    }
    const createdAt = this.#kernel.clock.wall();
    const made = { type: "principal.added", name, createdAt, quota } as const;
    this.#give(made, { type: "principal.removed", name });
  }

  /** Its own limits from now on, in place of those before. ENOENT. */
  setQuota(name: string, quota: Quota): void {
    const { quota: before = {} } = this.#named(name);
    const type = "principal.quota";
    this.#give({ type, name, quota }, { type, name, quota: before });
  }

  /** Ends all that is the principal's: processes, contexts, pages, keys. ENOENT, EINVAL, EIO. */
  remove(name: string): { processes: number; contexts: number; keys: number } {
    // Of one that is gone the file may still have to hear.
    if (!this.#unsaved.has(name)) this.#named(name);
    if (name === ADMIN) {
      throw new ContixError("EINVAL", "the principal admin can not be removed", {
        argument: "name",
      });
    }
    const keys = this.keysOf(name);
    for (const { id } of keys) this.keys.forget(id);
    // First of all nobody can attach any more; then what is there ends.
    this.#kernel.journal.append({ type: "principal.removed", name });
    this.#unsaved.add(name);
    const contexts = this.#contextsOf(name).length;
    const processes = this.#end((process) => process.principal === name, `${name} was removed`);
    this.#closeContexts(name);
    this.#forgetNames(name);
    for (const { placer } of this.#kernel.engines.running) placer.pool.erase(name);
    this.#kernel.journal.append({ type: "cap.gone", object: { type: "principal", id: name } });
    this.#kernel.trap.recheck();
    this.#taken();
    return { processes, contexts, keys: keys.length };
  }

  keysOf(principal: string): Key[] {
    return [...this.#state.keys.values()].filter((key) => key.principal === principal);
  }

  /** Makes a key; its text is nowhere but in the result. EINVAL, ENOENT, EDQUOT. */
  async addKey(wanted: NewKey): Promise<{ key: string; id: string }> {
    const { principal } = wanted;
    this.#named(principal);
    if (this.keysOf(principal).length >= KEYS_EACH) {
      throw new ContixError("EDQUOT", `${principal} has ${KEYS_EACH} keys, the most there can be`);
    }
    const { text, ...kept } = await makeKey(this.#kernel.random);
    // It may have been removed meanwhile.
    this.#named(principal);
    const createdAt = this.#kernel.clock.wall();
    const scopes = wanted.scopes.length === 0 ? [ALL_BUT_ADMIN] : [...wanted.scopes];
    const made = { ...wanted, ...kept, scopes, createdAt, revokedAt: 0 };
    const undone = { type: "key.revoked", id: kept.id, at: createdAt } as const;
    this.#give({ type: "key.added", ...made }, undone);
    this.#watch();
    return { key: text, id: kept.id };
  }

  /** A new key like an old one, which is good for `graceMs` more. ENOENT, EINVAL. */
  async rotate(
    id: string,
    graceMs: number,
    expiresAt: number,
  ): Promise<{ key: string; id: string }> {
    const { principal, name, scopes } = this.#good(id);
    const fresh = await this.addKey({ principal, name, scopes: [...scopes], expiresAt });
    const old = this.#good(id);
    if (graceMs === 0) this.revoke(id);
    else {
      const end = this.#kernel.clock.wall() + graceMs;
      if (old.expiresAt === 0 || end < old.expiresAt)
        this.#kernel.journal.append({ type: "key.expires", id, at: end });
      this.#watch();
      this.#taken();
    }
    return fresh;
  }

  /**
   * The key opens nothing from now on, and who lives by it ends. Of one that is revoked the
   * file is written again. ENOENT, EIO. @returns so many processes
   */
  revoke(id: string): number {
    const key = this.#key(id);
    this.keys.forget(id);
    if (key.revokedAt === 0) {
      this.#kernel.journal.append({ type: "key.revoked", id, at: this.#kernel.clock.wall() });
    }
    const over = this.#end(by(id), `the key ${id} was revoked`);
    this.#taken();
    return over;
  }

  /**
   * Ends who lives by a key whose time is over, now and whenever there is one. The time is
   * the wall's, which timers know nothing of: none is long.
   */
  #watch(): void {
    const { clock } = this.#kernel;
    const now = clock.wall();
    let next = Number.POSITIVE_INFINITY;
    for (const { id, expiresAt, revokedAt } of this.#state.keys.values()) {
      if (expiresAt === 0 || revokedAt !== 0) continue;
      if (expiresAt <= now) this.#end(by(id), `the key ${id} has expired`);
      const us = expiresAt > now ? (expiresAt - now) * 1000 : LONGEST_SLEEP_US;
      next = Math.min(next, us, LONGEST_SLEEP_US);
    }
    this.#cancelWatch();
    if (next < Number.POSITIVE_INFINITY) {
      this.#cancelWatch = clock.after(next, () => this.#watch());
    }
  }

  get #state() {
    return this.#kernel.journal.state;
  }

  #named(name: string) {
    const principal = this.#state.principals.get(name);
    if (principal) return principal;
    throw new ContixError("ENOENT", `there is no principal ${name}`, { argument: "principal" });
  }

  #key(id: string): Key {
    const key = this.#state.keys.get(id);
    if (key) return key;
    throw new ContixError("ENOENT", `there is no key ${id}`, { argument: "id" });
  }

  #good(id: string): Key {
    const key = this.#key(id);
    if (key.revokedAt === 0) return key;
    throw new ContixError("EINVAL", `the key ${id} is revoked already`, { argument: "id" });
  }

  /** What gives holds once it is saved. EIO: it can not be. */
  #give(record: JournalRecord, undo: JournalRecord): void {
    this.#kernel.journal.append(record);
    const error = this.#save();
    if (!error) return;
    this.#kernel.journal.append(undo);
    throw new ContixError("EIO", `nothing was changed, as it can not be saved: ${error}`);
  }

  /** What took away has taken effect. EIO: it is not saved yet. */
  #taken(): void {
    const error = this.#save();
    if (!error) return;
    const message = `it is done, and holds while the daemon runs, but can not be saved: ${error}; that is tried every second, and a restart before it succeeds brings the former state back`;
    throw new ContixError("EIO", message);
  }

  /** @returns why it can not be saved; then it is tried again */
  #save(): string | undefined {
    const { clock, log } = this.#kernel;
    this.#saveAgain?.();
    this.#saveAgain = undefined;
    try {
      this.#file.save(this.#state);
      this.#unsaved.clear();
      return undefined;
    } catch (error) {
      log.error({ err: error }, "principals and keys can not be saved");
      this.#saveAgain = clock.after(SAVE_AGAIN_US, () => {
        if (!this.#save()) log.info({}, "principals and keys are saved again");
      });
      return error instanceof Error ? error.message : String(error);
    }
  }

  #end(ends: (process: Process) => boolean, why: string): number {
    const { procs, trap } = this.#kernel;
    const over = [...this.#state.processes.values()].filter((p) => !p.exit && ends(p));
    for (const { pid } of over) {
      trap.port(pid)?.close(new ContixError("EACCES", why));
      procs.end(pid, why);
    }
    if (over.length > 0) {
      this.#kernel.log.info({ processes: over.map(({ pid }) => showId(pid)), why }, "ended");
    }
    return over.length;
  }

  #contextsOf(principal: string): Context[] {
    return [...this.#state.contexts.values()].filter((context) => context.principal === principal);
  }

  /** What has a name, and schedules, end with no process: whoever has the principal's name next has none of them. */
  #forgetNames(principal: string): void {
    const { journal, time } = this.#kernel;
    const { ipc, time: set } = this.#state;
    for (const { id, type, principal: owner } of [...ipc.objects.values()]) {
      if (owner !== principal) continue;
      journal.append({ type: "cap.gone", object: { type, id } }, { type: "ipc.removed", id });
    }
    for (const { id, principal: owner } of [...set.schedules.values()]) {
      if (owner !== principal) continue;
      journal.append({ type: "schedule.removed", id });
      time.schedules.forget(id);
    }
  }

  /** Those that no process of its own held: kept, or held by an administrator's. */
  #closeContexts(principal: string): void {
    const { journal, life, trap } = this.#kernel;
    for (const context of this.#contextsOf(principal)) {
      trap.endOn(context.cid, new ContixError("ECANCELED", "the context's principal was removed"));
      journal.append(life.close(context));
    }
  }
}

/** Whether a process lives by the key. */
function by(id: string): (process: Process) => boolean {
  return ({ key }) => key === id;
}

/** Groups of calls that a key may name, of the rows of the table. EINVAL for another. */
export function checkScopes(scopes: readonly string[], known: ReadonlySet<string>): void {
  const wrong = scopes.find(
    (scope) => !known.has(scope) && scope !== ADMIN_SCOPE && scope !== ALL_BUT_ADMIN,
  );
  if (wrong === undefined) return;
  const message = `there is no scope "${wrong}"; one of ${[...known].join(", ")}`;
  throw new ContixError("EINVAL", message, { argument: "scopes" });
}
