/**
 * What a row of the syscall table demands of its caller, as data: the trap checks it
 * (check.ts), and the matrix of tests is made from it.
 */
import type { Syscall } from "../../proto/gen/contix/v1/kernel.js";
import { type ObjectType, RIGHTS } from "./rights.js";

export type CallName = NonNullable<Syscall["call"]>["$case"];
export type Arguments<N extends CallName> = Extract<
  NonNullable<Syscall["call"]>,
  { $case: N }
>["value"];

/**
 * How a call names its object when Syscall.handle is 0: not at all ("handle"), by an
 * argument of its own, as the caller's namespace, or as everybody's (an administrator's).
 */
export type Naming<N extends CallName> =
  | "handle"
  | "namespace"
  | "everyone"
  | (keyof Arguments<N> & string);

/** An object, and the rights to it that a call needs. `Id` is how it may be named. */
export interface Demand<Id extends string = string> {
  /** "any": whatever the handle names. */
  readonly object: ObjectType | "any";
  readonly id: Id;
  readonly rights: number;
  /** It may live on another kernel, which then says whose it is. */
  readonly anywhere?: true;
}

/** The call is on nothing but its caller: every process may make it, and it takes no handle. */
export interface OnNothing {
  readonly object: "none";
}

export interface OnObject<Id extends string = string> extends Demand<Id> {
  /** What the call is on when its handle is none, or one of this type; nothing: its caller. */
  readonly instead?: Demand<Id> | OnNothing;
  /** A second object, named by an argument; 0 or "" there: none. */
  readonly also?: Demand<Id>;
}

export type Access<Id extends string = string> = OnNothing | OnObject<Id>;

export const NOTHING: OnNothing = { object: "none" };

const { read, write, call, signal, grant, admin } = RIGHTS;
/** To look at what is the caller's principal's; to make something there. */
export const LOOK = { object: "principal", id: "namespace", rights: read } as const;
export const MAKE = { object: "principal", id: "namespace", rights: write } as const;
/** To a context by its handle: to change it, and to end it or give it away. */
export const WRITE_CONTEXT = { object: "context", id: "handle", rights: write } as const;
/** To a context by its handle or its id. */
export const READ_CONTEXT = { object: "context", id: "cid", rights: read } as const;
export const OWN_CONTEXT = { object: "context", id: "cid", rights: admin } as const;
/** To another process by its handle or its pid. */
export const TELL_PROCESS = { object: "process", id: "pid", rights: write } as const;
/** The same, wherever that process lives. */
export const TELL_ANYWHERE = { ...TELL_PROCESS, anywhere: true } as const;
export const RULE_PROCESS = { object: "process", id: "pid", rights: admin } as const;
export const SIGNAL_PROCESS = { object: "process", id: "pid", rights: signal } as const;
/** To whatever a handle names: to pass it on; to have it. */
export const GRANT_ANY = { object: "any", id: "handle", rights: grant } as const;
export const ANY = { object: "any", id: "handle", rights: 0 } as const;
/** To let a model work. */
export const CALL_MODEL = { object: "model", id: "model", rights: call } as const;
/** To the whole kernel: an administrator's. */
export const ADMINISTER = { object: "principal", id: "everyone", rights: admin } as const;
