/**
 * The fold's part for supervision: groups, their members, and what was decided about them.
 * Every supervised program is a member of one group; one that was spawned without any is
 * alone in a group with its own pid as id.
 */
import { COUNTER, type State } from "../../journal/state.js";
import {
  type Backoff,
  type Intensity,
  type Restart,
  type RestartPolicy,
  recentOf,
  type Strategy,
} from "./decide.js";

/** Why a member's run is being ended by the kernel, and what then becomes of the member. */
export interface Doom {
  /** The cause of death to tell; "": that of the operating system. */
  readonly cause: string;
  /** "policy": as if the run had ended by itself. */
  readonly next: "policy" | "restart" | "over";
}

export interface MemberState {
  readonly pid: bigint;
  readonly policy: RestartPolicy;
  readonly backoff: Backoff;
  /** The longest time between two heartbeats; 0: nobody watches. */
  watchdogUs: number;
  /** Its program sends the heartbeats; else the SDK does. */
  readonly ownHeartbeat: boolean;
  /** It has no run, and begins one at that time; undefined: it has one. */
  due: number | undefined;
  /** When its last run ended, of one that is due. */
  endedAt: number;
  doom: Doom | undefined;
}

export interface GroupState {
  readonly id: bigint;
  /** The process that made it and may spawn into it. */
  readonly owner: bigint;
  readonly principal: string;
  readonly strategy: Strategy;
  readonly intensity: Intensity;
  /** Of one program that was spawned alone. */
  readonly solo: boolean;
  /** In the order in which they were spawned. */
  readonly members: Map<bigint, MemberState>;
  /** As many as still may count. */
  restarts: readonly Restart[];
  /** Why nothing in it starts again; "": it lives. */
  ending: string;
}

export interface SupervisionState {
  readonly groups: Map<bigint, GroupState>;
  /** Of each supervised process: its group. */
  readonly groupOf: Map<bigint, bigint>;
}

export type SuperviseRecord =
  | {
      type: "supervise.group";
      group: bigint;
      owner: bigint;
      principal: string;
      strategy: Strategy;
      max: number;
      withinUs: number;
      solo: boolean;
    }
  | {
      type: "supervise.joined";
      group: bigint;
      pid: bigint;
      policy: RestartPolicy;
      backoff: Backoff;
      watchdogUs: number;
      ownHeartbeat: boolean;
    }
  | { type: "supervise.watched"; pid: bigint; watchdogUs: number }
  | { type: "supervise.doomed"; pid: bigint; doom: Doom }
  /** Its run is over and the next begins at `due`; `counts`: it is the one that made it so. */
  | { type: "supervise.due"; pid: bigint; at: number; due: number; counts: boolean }
  | { type: "supervise.started"; pid: bigint }
  /** Its process is over. */
  | { type: "supervise.left"; pid: bigint }
  /** The group gives up, or is stopped. */
  | { type: "supervise.ending"; group: bigint; why: string }
  | { type: "supervise.removed"; group: bigint };

export function emptySupervision(): SupervisionState {
  return { groups: new Map(), groupOf: new Map() };
}

/** Applies a record of supervision. Records about what is gone change nothing. */
export function applySupervision(state: State, record: SuperviseRecord): void {
  const { groups, groupOf } = state.supervision;
  if (record.type === "supervise.group") {
    const { group: id, owner, principal, strategy, max, withinUs, solo } = record;
    // Its id is one of the pids', so that a group and a process never have the same.
    state.counters.pid = Math.max(state.counters.pid, Number(id & COUNTER));
    const intensity = { max, withinUs };
    const empty = { members: new Map(), restarts: [], ending: "" };
    groups.set(id, { id, owner, principal, strategy, intensity, solo, ...empty });
    return;
  }
  if ("group" in record) {
    const group = groups.get(record.group);
    if (!group) return;
    if (record.type === "supervise.ending") group.ending = record.why;
    else if (record.type === "supervise.removed") remove(state.supervision, group);
    else {
      const { type: _, group: __, ...member } = record;
      group.members.set(member.pid, { ...member, due: undefined, endedAt: 0, doom: undefined });
      groupOf.set(member.pid, group.id);
    }
    return;
  }
  const group = groups.get(groupOf.get(record.pid) ?? 0n);
  const member = group?.members.get(record.pid);
  if (group && member) applyMember(state.supervision, group, member, record);
}

function applyMember(
  supervision: SupervisionState,
  group: GroupState,
  member: MemberState,
  record: Exclude<SuperviseRecord, { group: bigint }>,
): void {
  switch (record.type) {
    case "supervise.watched":
      member.watchdogUs = record.watchdogUs;
      break;
    case "supervise.doomed":
      member.doom = record.doom;
      break;
    case "supervise.due":
      member.due = record.due;
      member.endedAt = record.at;
      member.doom = undefined;
      if (record.counts) {
        const recent = recentOf(group.restarts, group.intensity, record.at);
        group.restarts = [...recent, { pid: member.pid, at: record.at }];
      }
      break;
    case "supervise.started":
      member.due = undefined;
      break;
    case "supervise.left":
      group.members.delete(member.pid);
      supervision.groupOf.delete(member.pid);
      if (group.solo) remove(supervision, group);
      break;
  }
}

function remove({ groups, groupOf }: SupervisionState, group: GroupState): void {
  groups.delete(group.id);
  for (const pid of group.members.keys()) groupOf.delete(pid);
}
