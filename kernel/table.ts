/**
 * The syscall table: one row per call. `kind` is law 4's: pure (repeatable, not
 * journalled), local (effect and result in one transaction), external (intent,
 * effect with a key, result). `handle` is what Syscall.handle must name.
 */
import type { Syscall } from "../proto/gen/contix/v1/kernel.js";
import type { Call } from "./call.js";
import { models, tokenize } from "./engines/calls.js";
import { recv, send } from "./ipc/calls.js";
import type { Kernel } from "./kernel.js";
import { append, close, create } from "./mm/calls.js";
import { advise, pin } from "./mm/context-advise.js";
import { fork } from "./mm/context-fork.js";
import { give, open } from "./mm/context-give.js";
import { list, stat } from "./mm/context-list.js";
import { restore, snapshot } from "./mm/context-snapshot.js";
import { truncate } from "./mm/context-truncate.js";
import { free } from "./mm/free.js";
import { filed, forget, recall } from "./mm/overflow/calls.js";
import { exit, kill, nice, ps, spawn, wait } from "./proc/calls.js";
import { generate } from "./sched/generate.js";
import { sleep, stats, uname } from "./sys.js";

export type CallName = NonNullable<Syscall["call"]>["$case"];

export interface SyscallRow {
  /** Its field number in the ABI's Syscall. */
  readonly number: number;
  readonly name: string;
  readonly kind: "pure" | "local" | "external";
  readonly handle: "none" | "context" | "context or cid" | "optional context";
  readonly handler: (kernel: Kernel, call: Call) => Promise<void> | undefined;
}

const row = (
  number: number,
  name: string,
  kind: SyscallRow["kind"],
  handle: SyscallRow["handle"],
  handler: (kernel: Kernel, call: Call) => Promise<void> | void,
): SyscallRow => ({ number, name, kind, handle, handler: (k, c) => handler(k, c) ?? undefined });

export const SYSCALLS: Readonly<Record<CallName, SyscallRow>> = {
  uname: row(16, "sys.uname", "pure", "none", uname),
  stats: row(17, "sys.stats", "pure", "none", stats),
  models: row(18, "llm.models", "pure", "none", models),
  tokenize: row(19, "llm.tokenize", "pure", "none", tokenize),
  free: row(20, "sys.free", "pure", "none", free),
  generate: row(32, "llm.generate", "local", "optional context", generate),
  ctxCreate: row(48, "ctx.create", "local", "none", create),
  ctxAppend: row(49, "ctx.append", "local", "context", append),
  ctxStat: row(50, "ctx.stat", "pure", "context or cid", stat),
  ctxClose: row(51, "ctx.close", "local", "context or cid", close),
  ctxFork: row(52, "ctx.fork", "local", "context or cid", fork),
  ctxTruncate: row(53, "ctx.truncate", "local", "context", truncate),
  ctxPin: row(54, "ctx.pin", "local", "context", pin),
  ctxAdvise: row(55, "ctx.advise", "local", "context", advise),
  ctxGive: row(56, "ctx.give", "local", "context", give),
  ctxOpen: row(57, "ctx.open", "local", "none", open),
  ctxList: row(58, "ctx.list", "pure", "none", list),
  ctxSnapshot: row(59, "ctx.snapshot", "pure", "context or cid", snapshot),
  ctxRestore: row(60, "ctx.restore", "local", "none", restore),
  ctxRecall: row(61, "ctx.recall", "local", "context", recall),
  ctxFiled: row(62, "ctx.filed", "pure", "context", filed),
  ctxForget: row(63, "ctx.forget", "local", "context", forget),
  spawn: row(64, "proc.spawn", "external", "none", spawn),
  wait: row(65, "proc.wait", "local", "none", wait),
  kill: row(66, "proc.kill", "local", "none", kill),
  exit: row(67, "proc.exit", "local", "none", exit),
  ps: row(68, "proc.ps", "pure", "none", ps),
  nice: row(69, "proc.nice", "local", "none", nice),
  send: row(80, "ipc.send", "local", "none", send),
  recv: row(81, "ipc.recv", "local", "none", recv),
  sleep: row(96, "time.sleep", "pure", "none", sleep),
};
