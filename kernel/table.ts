/**
 * The syscall table: one row per call. `kind` is law 4's: pure (repeatable, not
 * journalled), local (effect and result in one transaction), external (intent,
 * effect with a key, result). `access` says what object the call is on, how it names it,
 * and which rights it needs: a row without it does not compile.
 */
import type { Call } from "./call.js";
import {
  type Access,
  ADMINISTER,
  ANY,
  CALL_MODEL,
  type CallName,
  GRANT_ANY,
  LOOK,
  MAKE,
  type Naming,
  NOTHING,
  OWN_CONTEXT,
  READ_CONTEXT,
  RULE_PROCESS,
  SIGNAL_PROCESS,
  TELL_ANYWHERE,
  TELL_PROCESS,
  WRITE_CONTEXT,
} from "./cap/access.js";
import { askAnswer, askList } from "./cap/ask/calls.js";
import {
  close as closeHandle,
  grant,
  list as handles,
  open as openHandle,
  revoke,
} from "./cap/calls.js";
import {
  keyAdd,
  keyList,
  keyRevoke,
  keyRotate,
  principalAdd,
  principalList,
  principalRemove,
} from "./cap/principal-calls.js";
import { limits, principalQuota } from "./cap/rates/calls.js";
import { type ObjectType, RIGHTS } from "./cap/rights.js";
import { scopeOf } from "./cap/scopes.js";
import { models, tokenize } from "./engines/calls.js";
import { anywhere } from "./ipc/between/anywhere.js";
import { ack, recv, send } from "./ipc/mail-calls.js";
import { list as ipcList, open as ipcOpen, remove } from "./ipc/open-calls.js";
import { reply, request } from "./ipc/requests.js";
import { barrierWait, lock, pipeRead, pipeWrite, renew, unlock } from "./ipc/sync-calls.js";
import { publish, subscribe } from "./ipc/topic-calls.js";
import type { Kernel } from "./kernel.js";
import { writeLog } from "./log-call.js";
import { append, close, create } from "./mm/calls.js";
import { advise, pin } from "./mm/context-advise.js";
import { fork } from "./mm/context-fork.js";
import { give, open } from "./mm/context-give.js";
import { list, stat } from "./mm/context-list.js";
import { restore, snapshot } from "./mm/context-snapshot.js";
import { truncate } from "./mm/context-truncate.js";
import { free } from "./mm/free.js";
import { filed, forget, recall } from "./mm/overflow/calls.js";
import { exit, kill, nice, wait } from "./proc/calls.js";
import { ps } from "./proc/ps.js";
import { spawn } from "./proc/spawn.js";
import { heartbeat, stop, stopGroup, supervise, watchdog } from "./proc/supervise/calls.js";
import { sched, schedSet } from "./sched/calls.js";
import { generate } from "./sched/generate.js";
import { stats, uname } from "./sys.js";
import { alarm, schedule, scheduleList, scheduleRemove, sleep } from "./time/calls.js";

export type { CallName } from "./cap/access.js";

/** `Id`: how the call may name its object. */
export interface SyscallRow<Id extends string = string> {
  /** Its field number in the ABI's Syscall. */
  readonly number: number;
  /** Its first word is the scope that a key must have for it. */
  readonly name: string;
  readonly kind: "pure" | "local" | "external";
  readonly access: Access<Id>;
  readonly handler: (kernel: Kernel, call: Call) => Promise<void> | undefined;
  /** It only takes away: it is made also while the audit log can not be written. */
  readonly takes: boolean;
}

const row = <Id extends string>(
  number: number,
  name: string,
  kind: SyscallRow["kind"],
  access: Access<Id>,
  handler: (kernel: Kernel, call: Call) => Promise<void> | void,
  { takes = false }: { readonly takes?: boolean } = {},
): SyscallRow<Id> => ({
  number,
  name,
  kind,
  access,
  handler: (k, c) => handler(k, c) ?? undefined,
  takes,
});
const TAKES = { takes: true } as const;

const { read, write, call, admin } = RIGHTS;
/** On a context, or, stateless, on a model alone. */
const GENERATE = { object: "context", id: "handle", rights: write | call } as const;
/** Whoever gives a context away gives it to a process that it may tell things. */
const GIVE = { object: "context", id: "handle", rights: admin, also: TELL_PROCESS } as const;

/** On an object that only a handle names. */
const on = <T extends ObjectType>(object: T, rights: number) =>
  ({ object, id: "handle", rights }) as const;
/** Into a mailbox; out of one, or out of the caller's own. */
const PUT = on("mailbox", write);
const TAKE = { ...on("mailbox", read), instead: NOTHING } as const;
/** To signal what is the caller's principal's and has no handle. */
const SIGNAL_OWN = { object: "principal", id: "namespace", rights: RIGHTS.signal } as const;
/** To end what is in the caller's namespace. */
const OWN = { object: "principal", id: "namespace", rights: admin } as const;

export const SYSCALLS: { readonly [N in CallName]: SyscallRow<Naming<N>> } = {
  uname: row(16, "sys.uname", "pure", NOTHING, uname),
  stats: row(17, "sys.stats", "pure", LOOK, stats),
  models: row(18, "llm.models", "pure", NOTHING, models),
  tokenize: row(19, "llm.tokenize", "pure", CALL_MODEL, tokenize),
  free: row(20, "sys.free", "pure", LOOK, free),
  limits: row(21, "sys.limits", "pure", NOTHING, limits),
  log: row(22, "sys.log", "external", NOTHING, writeLog),
  sched: row(23, "sys.sched", "pure", LOOK, sched),
  schedSet: row(24, "sys.schedSet", "local", ADMINISTER, schedSet),
  generate: row(32, "llm.generate", "local", { ...GENERATE, instead: CALL_MODEL }, generate),
  ctxCreate: row(48, "ctx.create", "local", MAKE, create),
  ctxAppend: row(49, "ctx.append", "local", WRITE_CONTEXT, append),
  ctxStat: row(50, "ctx.stat", "pure", READ_CONTEXT, stat),
  ctxClose: row(51, "ctx.close", "local", OWN_CONTEXT, close, TAKES),
  ctxFork: row(52, "ctx.fork", "local", READ_CONTEXT, fork),
  ctxTruncate: row(53, "ctx.truncate", "local", WRITE_CONTEXT, truncate),
  ctxPin: row(54, "ctx.pin", "local", WRITE_CONTEXT, pin),
  ctxAdvise: row(55, "ctx.advise", "local", WRITE_CONTEXT, advise),
  ctxGive: row(56, "ctx.give", "local", GIVE, give),
  ctxOpen: row(57, "ctx.open", "local", OWN_CONTEXT, open),
  ctxList: row(58, "ctx.list", "pure", NOTHING, list),
  ctxSnapshot: row(59, "ctx.snapshot", "pure", READ_CONTEXT, snapshot),
  ctxRestore: row(60, "ctx.restore", "local", MAKE, restore),
  ctxRecall: row(61, "ctx.recall", "local", WRITE_CONTEXT, recall),
  ctxFiled: row(62, "ctx.filed", "pure", on("context", read), filed),
  ctxForget: row(63, "ctx.forget", "local", WRITE_CONTEXT, forget),
  spawn: row(64, "proc.spawn", "external", MAKE, spawn),
  wait: row(65, "proc.wait", "local", NOTHING, wait),
  kill: row(66, "proc.kill", "local", SIGNAL_PROCESS, kill, TAKES),
  exit: row(67, "proc.exit", "local", NOTHING, exit, TAKES),
  ps: row(68, "proc.ps", "pure", LOOK, ps),
  nice: row(69, "proc.nice", "local", RULE_PROCESS, nice),
  supervise: row(72, "proc.supervise", "local", MAKE, supervise),
  heartbeat: row(73, "proc.heartbeat", "pure", NOTHING, heartbeat),
  watchdog: row(74, "proc.watchdog", "local", NOTHING, watchdog),
  stop: row(75, "proc.stop", "local", SIGNAL_PROCESS, stop, TAKES),
  stopGroup: row(76, "proc.stopGroup", "local", SIGNAL_OWN, stopGroup, TAKES),
  send: row(80, "ipc.send", "local", { ...PUT, instead: TELL_ANYWHERE }, anywhere(send)),
  recv: row(81, "ipc.recv", "local", TAKE, anywhere(recv)),
  ack: row(82, "ipc.ack", "local", TAKE, anywhere(ack)),
  open: row(83, "ipc.open", "local", MAKE, anywhere(ipcOpen)),
  remove: row(84, "ipc.remove", "local", OWN, anywhere(remove), TAKES),
  request: row(85, "ipc.request", "local", { ...PUT, instead: TELL_ANYWHERE }, anywhere(request)),
  reply: row(86, "ipc.reply", "local", NOTHING, anywhere(reply)),
  pipeRead: row(87, "ipc.read", "local", on("pipe", read), anywhere(pipeRead)),
  pipeWrite: row(88, "ipc.write", "local", on("pipe", write), anywhere(pipeWrite)),
  publish: row(89, "ipc.publish", "local", { ...on("topic", write), instead: MAKE }, publish),
  subscribe: row(90, "ipc.subscribe", "local", { ...on("topic", read), instead: LOOK }, subscribe),
  ipcList: row(91, "ipc.list", "pure", LOOK, anywhere(ipcList)),
  sleep: row(96, "time.sleep", "pure", NOTHING, sleep),
  alarm: row(97, "time.alarm", "local", NOTHING, alarm),
  schedule: row(98, "time.schedule", "local", MAKE, schedule),
  scheduleList: row(99, "time.schedules", "pure", LOOK, scheduleList),
  scheduleRemove: row(100, "time.unschedule", "local", OWN, scheduleRemove, TAKES),
  capGrant: row(112, "cap.grant", "local", { ...GRANT_ANY, also: TELL_PROCESS }, grant),
  capRevoke: row(113, "cap.revoke", "local", GRANT_ANY, revoke, TAKES),
  capClose: row(114, "cap.close", "local", ANY, closeHandle, TAKES),
  capOpen: row(115, "cap.open", "local", NOTHING, openHandle),
  capList: row(116, "cap.list", "pure", NOTHING, handles),
  principalQuota: row(135, "principal.quota", "local", ADMINISTER, principalQuota),
  askList: row(136, "ask.list", "pure", NOTHING, askList),
  askAnswer: row(137, "ask.answer", "local", NOTHING, askAnswer),
  principalAdd: row(128, "principal.add", "local", ADMINISTER, principalAdd),
  principalList: row(129, "principal.list", "pure", ADMINISTER, principalList),
  principalRemove: row(130, "principal.remove", "local", ADMINISTER, principalRemove, TAKES),
  keyAdd: row(131, "key.add", "local", ADMINISTER, keyAdd(scopes)),
  keyList: row(132, "key.list", "pure", ADMINISTER, keyList),
  keyRotate: row(133, "key.rotate", "local", ADMINISTER, keyRotate),
  keyRevoke: row(134, "key.revoke", "local", ADMINISTER, keyRevoke, TAKES),
  lock: row(144, "ipc.lock", "local", on("lock", write), anywhere(lock)),
  unlock: row(145, "ipc.unlock", "local", on("lock", write), anywhere(unlock)),
  renew: row(146, "ipc.renew", "local", on("lock", write), anywhere(renew)),
  barrierWait: row(147, "ipc.meet", "local", on("barrier", write), anywhere(barrierWait)),
};

/** The groups of calls that there are: what a key may be limited to. */
function scopes(): ReadonlySet<string> {
  return new Set(Object.values(SYSCALLS).map(scopeOf));
}
