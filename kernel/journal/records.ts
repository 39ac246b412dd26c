/**
 * The records of the journal. The kernel's state is a fold over them (state.ts);
 * nothing else changes it.
 */

/** What stands at the end of a context, for the text server: see ChatTail in llm.proto. */
export type Tail = "empty" | "text" | "closed" | "assistant";

export type JournalRecord =
  // ---- processes ----
  | {
      type: "proc.created";
      pid: bigint;
      parent: bigint;
      name: string;
      principal: string;
      nice: number;
      /** Spawned by the kernel, as opposed to started elsewhere and attached. */
      spawned: boolean;
      log: string;
      at: number;
    }
  | { type: "proc.run"; pid: bigint; run: number; tokenHash: string; resumeHash: string }
  | { type: "proc.niced"; pid: bigint; nice: number }
  | { type: "proc.exited"; pid: bigint; code: number; cause: string; at: number }
  | { type: "proc.reaped"; pid: bigint }
  // ---- contexts ----
  | {
      type: "ctx.created";
      cid: bigint;
      owner: bigint;
      handle: number;
      /** Its model, and the engine digest within which law 2 holds for it. */
      model: string;
      engine: string;
    }
  | { type: "ctx.given"; cid: bigint; tokens: readonly number[]; tail: Tail }
  | { type: "ctx.generated"; cid: bigint; tokens: readonly number[] }
  | { type: "ctx.tail"; cid: bigint; tail: Tail }
  | { type: "ctx.closed"; cid: bigint }
  // ---- calls ----
  /** The inputs of a local generation, durable before it starts (law 2 regenerates its tokens). */
  | {
      type: "call.generate";
      pid: bigint;
      run: number;
      seq: bigint;
      cid: bigint;
      genStart: number;
      seed: bigint;
      engine: string;
      call: Uint8Array;
    }
  /** A finished call: its reply stays until the caller acknowledges it. */
  | { type: "call.done"; pid: bigint; run: number; seq: bigint; digest: string; reply: Uint8Array }
  | { type: "call.acked"; pid: bigint; run: number; through: bigint; also: readonly bigint[] }
  // ---- messages ----
  | { type: "mail.sent"; id: bigint; from: bigint; to: bigint; topic: string; body: Uint8Array }
  | { type: "mail.taken"; id: bigint; pid: bigint };
