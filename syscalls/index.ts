/**
 * The SDK of Contix: `import { connect } from "contix"`. Agents are ordinary
 * programs; `connect()` makes one a process of the kernel.
 */
export type { Question } from "./ask.js";
export type {
  AskFirst,
  Grant,
  GrantOptions,
  Handle,
  HandleInfo,
  Held,
  ObjectType,
  Right,
} from "./cap.js";
export type { Piece } from "./chunks.js";
export { type ConnectOptions, connect, type Os, type Welcome } from "./connect.js";
export type { Advice, Context, ContextOptions } from "./context.js";
export type { ContextStat, Segment } from "./context-stat.js";
export { ConnectionError, type Errno, SyscallError } from "./errors.js";
export type { DoorInfo, QueueInfo, TimeInfo } from "./figures.js";
export type { GenerateResult, Generation } from "./generation.js";
export type { Cid, Pid } from "./ids.js";
export type { CallOptions } from "./invoke.js";
export type { IpcObject, MailboxOptions, PlaceOptions } from "./ipc.js";
export { Barrier, HeldLock, Lock, type LockOptions } from "./ipc-lock.js";
export {
  Mail,
  Mailbox,
  type RecvOptions,
  type Reply,
  Request,
  type RequestOptions,
  RequestRefused,
  type SendOptions,
} from "./ipc-mail.js";
export { PipeReader, PipeWriter } from "./ipc-pipe.js";
export {
  type Published,
  type PublishOptions,
  type SubscribeOptions,
  Subscription,
  Topic,
} from "./ipc-topic.js";
export type { GenerateOptions, ModelInfo } from "./llm.js";
export type { LikelyToken, TokenLogprob } from "./logprobs.js";
export type { Chat, Message, Tokens } from "./messages.js";
export type {
  ContextEdit,
  ContextEvent,
  Filed,
  FiledSegment,
  OverflowOptions,
  Recalled,
  SegmentOptions,
} from "./overflow.js";
export type { KeyInfo, KeyOptions, NewKey, PrincipalInfo, Quota } from "./principals.js";
export type { Child, ConfinementOptions, Exit, ProcInfo, SpawnOptions } from "./proc.js";
export type { QuotaEvent, Signal, SignalHandler, SignalName } from "./signals.js";
export type {
  Group,
  GroupOptions,
  RestartOptions,
  RestartPolicy,
  StopOptions,
  SupervisionOptions,
  WatchdogOptions,
} from "./supervise.js";
export type {
  Limit,
  Memory,
  Sched,
  SchedChange,
  SlotInfo,
  Stats,
  Tier,
  Uname,
} from "./sys.js";
export type { Team } from "./team.js";
export type { Schedule, ScheduleOptions, ScheduleTarget } from "./time.js";
export type { Usage } from "./usage.js";
