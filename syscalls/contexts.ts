/** `os.ctx`: contexts are made, found and restored here. */
import type { CtxStatResult } from "../proto/gen/contix/v1/calls.js";
import { type Held, numberOf } from "./cap.js";
import { checkCount, checkText } from "./check.js";
import { Context, type ContextOptions, toOptions, toTtl } from "./context.js";
import { type ContextStat, toStat } from "./context-stat.js";
import { type Cid, readId } from "./ids.js";
import { type CallOptions, request } from "./invoke.js";
import { type OverflowOptions, toOverflow } from "./overflow.js";
import type { Session } from "./wire/session.js";

export class Contexts {
  readonly #session: Session;

  constructor(session: Session) {
    this.#session = session;
  }

  /**
   * Opens an empty context of a model, the daemon's default or another. It ends with
   * `close()`, after `ttlMs` without use, or with the process that holds it.
   *
   * @example
   * await using ctx = await os.ctx.create({ ttlMs: 600_000 });
   */
  async create(
    options: CallOptions &
      ContextOptions &
      OverflowOptions & { readonly model?: string | undefined } = {},
  ): Promise<Context> {
    const model = checkText("model", options.model ?? "");
    const args = { model, ...toOptions(options), ...toOverflow(options) };
    const made = await request(this.#session, { name: "ctxCreate", args }, options);
    return new Context(this.#session, made);
  }

  /**
   * A context that this process holds, by its id: one that was given to it, or that
   * it held before its program was restarted. One that is kept for the principal
   * (`ctx.give(null)`) becomes this process's. EBUSY: another process holds it.
   */
  async open(cid: Cid, options?: CallOptions): Promise<Context> {
    const args = { cid: readId("cid", cid) };
    const made = await request(this.#session, { name: "ctxOpen", args }, options);
    return new Context(this.#session, made);
  }

  /**
   * A context by a handle that this process was granted, or that came with a message. What
   * it may do with it is what the handle's rights say; to look at it needs "read". Closing it
   * gives the handle back, and does not end the context.
   *
   * @example
   * const mail = await os.ipc.recv();
   * await using lent = await os.ctx.use(mail.handles[0] ?? 0);
   */
  async use(handle: Held, options?: CallOptions): Promise<Context> {
    const number = numberOf(handle);
    const call = { name: "ctxStat" as const, handle: number, args: { cid: 0n } };
    const { cid, window, model, handle: own } = await request(this.#session, call, options);
    return new Context(this.#session, { handle: number, cid, window, model }, own !== number);
  }

  /** This process's contexts; with `all` those of its principal, for an admin all there are. */
  async list(
    options: CallOptions & { readonly all?: boolean | undefined } = {},
  ): Promise<ContextStat[]> {
    const args = { all: options.all ?? false };
    const { contexts } = await request(this.#session, { name: "ctxList", args }, options);
    return contexts.map(toStat);
  }

  /**
   * Makes a context from a snapshot. Within the engine that the snapshot names it goes
   * on as the one that was saved. Another engine is EXDEV, unless `rebase` is set: then
   * its tokens are taken over, and all of them count as given. EINVAL: it is damaged.
   *
   * @example
   * await writeFile("teacher.ctx", await ctx.snapshot());
   * const again = await os.ctx.restore(await readFile("teacher.ctx"));
   */
  async restore(
    snapshot: Uint8Array,
    options: CallOptions &
      ContextOptions & {
        readonly rebase?: boolean | undefined;
        readonly model?: string | undefined;
      } = {},
  ): Promise<Context> {
    if (!(snapshot instanceof Uint8Array)) {
      throw new TypeError("snapshot: expected a Uint8Array, as ctx.snapshot() gives it");
    }
    const { rebase = false, model = "" } = options;
    const args = {
      snapshot: Buffer.from(snapshot.buffer, snapshot.byteOffset, snapshot.byteLength),
      rebase,
      model: checkText("model", model),
      ...toOptions(options),
    };
    const made = await request(this.#session, { name: "ctxRestore", args }, options);
    return new Context(this.#session, made);
  }

  /** Where a context of this principal stands (for an admin: any). ENOENT. */
  async stat(cid: Cid, options?: CallOptions): Promise<ContextStat> {
    const args = { cid: readId("cid", cid) };
    const stat: CtxStatResult = await request(this.#session, { name: "ctxStat", args }, options);
    return toStat(stat);
  }

  /** Forks a context of this principal, whoever holds it; the new one is this process's. */
  async fork(
    cid: Cid,
    options: CallOptions & Pick<ContextOptions, "ttlMs"> & { readonly length?: number } = {},
  ): Promise<Context> {
    const { length, ttlMs } = options;
    const args = {
      cid: readId("cid", cid),
      length: length === undefined ? undefined : checkCount("length", length),
      ttlUs: toTtl(ttlMs),
    };
    const made = await request(this.#session, { name: "ctxFork", args }, options);
    return new Context(this.#session, made);
  }

  /** The snapshot of a context of this principal, whoever holds it. */
  async snapshot(cid: Cid, options?: CallOptions): Promise<Uint8Array> {
    const args = { cid: readId("cid", cid) };
    return (await request(this.#session, { name: "ctxSnapshot", args }, options)).snapshot;
  }

  /** Closes a context of this principal, whoever holds it. EBUSY while it is used. */
  async close(cid: Cid, options?: CallOptions): Promise<void> {
    const args = { cid: readId("cid", cid) };
    await request(this.#session, { name: "ctxClose", args }, options);
  }
}
