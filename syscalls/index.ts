/**
 * The SDK of Contix: `import { connect } from "contix"`. Agents are ordinary
 * programs; `connect()` makes one a process of the kernel.
 */
export { type ConnectOptions, connect, type Os, type Welcome } from "./connect.js";
export type { Advice, Context, ContextOptions } from "./context.js";
export type { ContextStat, Segment } from "./context-stat.js";
export { ConnectionError, type Errno, SyscallError } from "./errors.js";
export type { GenerateResult, Generation } from "./generation.js";
export type { Cid, Pid } from "./ids.js";
export type { CallOptions } from "./invoke.js";
export type { Mail } from "./ipc.js";
export type { GenerateOptions, ModelInfo } from "./llm.js";
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
export type { Child, Exit, ProcInfo, SpawnOptions } from "./proc.js";
export type { Signal, SignalHandler, SignalName } from "./signals.js";
export type { Memory, SlotInfo, Stats, Tier, Uname } from "./sys.js";
export type { Usage } from "./usage.js";
