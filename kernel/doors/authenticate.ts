/** Who speaks: from a token to an attached process. Every door uses this. */
import { ContixError } from "../../proto/errno.js";
import type { Hello } from "../../proto/gen/contix/v1/kernel.js";
import { namespaceGift } from "../cap/births.js";
import { Keys } from "../cap/keys.js";
import { ADMIN } from "../cap/principals.js";
import { ALL_SCOPES } from "../cap/scopes.js";
import { tokenMatches } from "../cap/tokens.js";
import type { Process } from "../journal/journal.js";
import { ABI, type Kernel } from "../kernel.js";
import type { Attachment } from "../proc/processes.js";
import type { Port } from "../trap.js";
import { Indebted } from "./debtors.js";

const NAME_LENGTH = 128;

/** Rejects for a principal that may not come in now. */
export type Admit = (principal: string) => Promise<void>;

/** Whom a token speaks for, and what it opens. */
interface Identity {
  readonly principal: string;
  /** "": the administrator's token. */
  readonly key: string;
  readonly scopes: readonly string[];
}

export class Authenticator {
  readonly #kernel: Kernel;
  readonly #adminHash: string;

  /** `adminHash`: the hash of the token in the 0700 home. */
  constructor(kernel: Kernel, adminHash: string) {
    this.#kernel = kernel;
    this.#adminHash = adminHash;
  }

  /**
   * Attaches whoever says hello. EACCES for a token that is wrong, missing, spent, revoked or
   * expired; EAGAIN when too many present one key at once. Refusals are audited. `admit` may
   * refuse a principal that presented a good key.
   */
  async attach(hello: Hello, port: Port, admit?: Admit): Promise<Attachment> {
    try {
      return await this.#attach(hello, port, admit);
    } catch (error) {
      this.denied(error);
      throw error;
    }
  }

  /** A process for a call outside a stream, by its bearer token: the administrator's or a key. */
  async admit(token: string, name: string): Promise<bigint> {
    try {
      const identity = await this.#identify(token);
      if (!identity) throw refused("the token is missing or wrong", "authorization");
      return this.#enter(identity, name);
    } catch (error) {
      this.denied(error);
      throw error;
    }
  }

  /** For whom a bearer token speaks. EACCES, as of `admit`. */
  async principalOf(token: string): Promise<string> {
    try {
      const identity = await this.#identify(token);
      if (!identity) throw refused("the token is missing or wrong", "authorization");
      return identity.principal;
    } catch (error) {
      this.denied(error, "call");
      throw error;
    }
  }

  /** Audits that somebody was not let in, or what a process that is in was denied by its door. */
  denied(error: unknown, call = "attach", by?: bigint): void {
    if (!(error instanceof ContixError)) return;
    this.#kernel.trap.countDenial(error.code);
    if (error instanceof Indebted && !error.onRecord) return;
    const process = this.#kernel.journal.state.processes.get(by ?? 0n);
    const { principal, pid, run } = process ?? { principal: "", pid: 0n, run: 0 };
    this.#kernel.audit.record({
      ...{ at: this.#kernel.clock.wall(), principal, pid, run, seq: 0n },
      ...{ call, object: "", handle: 0, result: error.code, reason: error.message },
    });
  }

  async #attach(
    hello: Hello,
    port: Port,
    admit: Admit = async () => undefined,
  ): Promise<Attachment> {
    if (hello.abi !== ABI) {
      const message = `the client speaks ABI ${hello.abi}, this kernel ${ABI}`;
      throw new ContixError("EPROTO", message, { argument: "abi" });
    }
    const { procs } = this.#kernel;
    if (hello.resumeToken !== "") {
      await admit(procs.get(hello.pid)?.principal ?? "");
      return procs.resume(hello.pid, hello.run, hello.resumeToken, port);
    }
    if (hello.token === "") throw refused("no token; every attachment needs one");
    const identity = await this.#identify(hello.token);
    if (identity) {
      await admit(identity.principal);
      const name = hello.name === "" ? "external" : hello.name.slice(0, NAME_LENGTH);
      return procs.attach(this.#enter(identity, name), port);
    }
    await admit(this.#spawned(hello.token).principal);
    // It is good once, and another may have come with it meanwhile.
    return procs.attach(this.#spawned(hello.token).pid, port);
  }

  /** The process that the kernel started with this token. EACCES. */
  #spawned(token: string): Process {
    const process = this.#kernel.procs.byToken(token);
    if (!process) throw refused("the token is wrong or was used before");
    return process;
  }

  /** Undefined for what is neither the administrator's token nor looks like a key. */
  async #identify(token: string): Promise<Identity | undefined> {
    if (tokenMatches(token, this.#adminHash)) {
      return { principal: ADMIN, key: "", scopes: ALL_SCOPES };
    }
    if (!Keys.looksLikeOne(token)) return undefined;
    const { id, principal, scopes } = await this.#kernel.principals.keys.verify(token);
    return { principal, key: id, scopes };
  }

  /** A process for a program that was started elsewhere. */
  #enter({ principal, key, scopes }: Identity, name: string): bigint {
    const gifts = [namespaceGift(principal, scopes)];
    const of = { parent: 0n, name, principal, nice: 0, spawned: false };
    return this.#kernel.procs.create({ ...of, key, scopes: [...scopes], gifts }).pid;
  }
}

function refused(message: string, argument = "token"): ContixError {
  return new ContixError("EACCES", message, { argument });
}
