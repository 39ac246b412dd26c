/** Reading who is supervised by whom, and in words. */
import { showId } from "../../ids.js";
import type { ReadonlyState } from "../../journal/journal.js";
import type { RunEnd } from "./decide.js";

export type Supervision = ReadonlyState["supervision"];
export type Group = Supervision["groups"] extends ReadonlyMap<bigint, infer G> ? G : never;
export type Member = Group["members"] extends ReadonlyMap<bigint, infer M> ? M : never;

/** A supervised process and its group; undefined: nobody supervises it. */
export function find(
  { groups, groupOf }: Supervision,
  pid: bigint,
): { readonly group: Group; readonly member: Member } | undefined {
  const group = groups.get(groupOf.get(pid) ?? 0n);
  const member = group?.members.get(pid);
  return group && member && { group, member };
}

/** How an agent's SDK knows that it is to send heartbeats. */
export function heartbeatEnv(supervision: Supervision, pid: bigint): Record<string, string> {
  const member = find(supervision, pid)?.member;
  if (!member || member.watchdogUs === 0 || member.ownHeartbeat) return {};
  return { CONTIX_WATCHDOG_US: String(member.watchdogUs) };
}

/** Whether it runs, as opposed to waiting for its next run. */
export function hasRun({ due }: Member): boolean {
  return due === undefined;
}

/** How a member's run ended, when the kernel ended it, with the cause that it had for that. */
export function endOf({ doom }: Member, { code, cause }: RunEnd): RunEnd {
  return { code, cause: doom && doom.cause !== "" ? doom.cause : cause };
}

/** Why a group gives up: `gave up after 3 restarts within 10 s: n1.5 ended by signal KILL`. */
export function whyGivesUp({ restarts, intensity }: Group, pid: bigint, end: RunEnd): string {
  const times = `after ${restarts.length} restart${restarts.length === 1 ? "" : "s"}`;
  const how = end.cause === "exit" ? `exit code ${end.code}` : end.cause;
  return `gave up ${times} within ${seconds(intensity.withinUs)}: ${showId(pid)} ended by ${how}`;
}

/** `90 s`, `0.25 s`. */
export function seconds(us: number): string {
  return `${Number((us / 1e6).toFixed(3))} s`;
}
