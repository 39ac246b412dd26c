/** What each process has used: syscalls, tokens, time. Books only; limits are checked elsewhere. */
import { Bucket } from "../cap/rates/bucket.js";

export interface Account {
  syscalls: number;
  tokensIn: number;
  tokensOut: number;
  queuedUs: number;
  servedUs: number;
  /** Its rates: requests and tokens a second. */
  readonly requests: Bucket;
  readonly tokens: Bucket;
  /** Tokens that calls under way may still add. */
  reserved: number;
}

export class Accounts {
  readonly #byPid = new Map<bigint, Account>();

  of(pid: bigint): Account {
    let account = this.#byPid.get(pid);
    if (!account) {
      account = {
        ...{ syscalls: 0, tokensIn: 0, tokensOut: 0, queuedUs: 0, servedUs: 0 },
        ...{ requests: new Bucket(), tokens: new Bucket(), reserved: 0 },
      };
      this.#byPid.set(pid, account);
    }
    return account;
  }

  /** The process is reaped. */
  drop(pid: bigint): void {
    this.#byPid.delete(pid);
  }
}
