/** Who speaks: from a token to an attached process. Every door uses this. */
import { ContixError } from "../../proto/errno.js";
import type { Hello } from "../../proto/gen/contix/v1/kernel.js";
import { tokenMatches } from "../cap/tokens.js";
import { ABI, type Kernel } from "../kernel.js";
import type { Attachment } from "../proc/processes.js";
import type { Port } from "../trap.js";

const NAME_LENGTH = 128;

export class Authenticator {
  readonly #kernel: Kernel;
  readonly #adminHash: string;

  /** `adminHash`: the hash of the token in the 0700 home. */
  constructor(kernel: Kernel, adminHash: string) {
    this.#kernel = kernel;
    this.#adminHash = adminHash;
  }

  /** Attaches whoever says hello. EACCES for a token that is wrong, missing or spent. */
  attach(hello: Hello, port: Port): Attachment {
    if (hello.abi !== ABI) {
      const message = `the client speaks ABI ${hello.abi}, this kernel ${ABI}`;
      throw new ContixError("EPROTO", message, { argument: "abi" });
    }
    const { procs } = this.#kernel;
    if (hello.resumeToken !== "") {
      return procs.resume(hello.pid, hello.run, hello.resumeToken, port);
    }
    if (hello.token === "") {
      throw new ContixError("EACCES", "no token; every attachment needs one", {
        argument: "token",
      });
    }
    if (tokenMatches(hello.token, this.#adminHash)) {
      const pid = this.admit(hello.name === "" ? "external" : hello.name.slice(0, NAME_LENGTH));
      return procs.attach(pid, port);
    }
    const spawned = procs.byToken(hello.token);
    if (!spawned) {
      throw new ContixError("EACCES", "the token is wrong or was used before", {
        argument: "token",
      });
    }
    return procs.attach(spawned.pid, port);
  }

  /** Checks a bearer token of a unary call: admin's. */
  checkAdmin(token: string): void {
    if (!tokenMatches(token, this.#adminHash)) {
      throw new ContixError("EACCES", "the token is missing or wrong", {
        argument: "authorization",
      });
    }
  }

  /** A process for a program that was started elsewhere. */
  admit(name: string): bigint {
    const { procs } = this.#kernel;
    return procs.create({ parent: 0n, name, principal: "admin", nice: 0, spawned: false }).pid;
  }
}
