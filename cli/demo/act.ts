/**
 * One act of the demo: agents run, several at a time or one after the other, and are watched
 * through `ps` until the last has ended. Every figure is the kernel's own: tokens, waiting and the
 * time from an agent's start to its end are read from its row of the process table, before it is
 * waited for and the row goes.
 */
import { readFile } from "node:fs/promises";
import type { Child, Os, ProcInfo, Stats } from "../../syscalls/index.js";
import { exitCodeFor } from "../exit-code.js";
import { pause } from "../terminal.js";
import { answerIn, type Role } from "./cast.js";

/** How often `ps` is asked; the time to an agent's first token is as exact as this. */
export const POLL_MS = 100;

/** An agent as the demo sees it. Times in milliseconds. */
export interface Player {
  readonly name: string;
  readonly pid: string;
  /** As in `ps`; "ended" after it was waited for. */
  readonly state: ProcInfo["state"] | "ended";
  readonly waitingOn: string;
  readonly slot: number | null;
  readonly tokensIn: number;
  readonly tokensOut: number;
  readonly queuedMs: number;
  /** From its start to its first token; null while there is none. */
  readonly firstTokenMs: number | null;
  readonly ageMs: number;
  /** When it started, on the clock of the act. */
  readonly startedMs: number;
  readonly exitCode: number | null;
  readonly answer: string;
  /** The last line of its log when it failed; "" otherwise. */
  readonly failure: string;
}

export interface Act {
  readonly players: readonly Player[];
  /** Time in which at least one of the agents lived. */
  readonly wallMs: number;
  readonly before: Stats;
  readonly after: Stats;
}

/** What the watcher sees after each look at the process table. */
export type OnLook = (players: readonly Player[], elapsedMs: number) => void;

export interface ActOptions {
  readonly os: Os;
  readonly roles: readonly Role[];
  /** How many agents live at the same time. */
  readonly atOnce: number;
  readonly signal: AbortSignal;
  readonly onLook: OnLook;
}

/** Plays one act to its end. Rejects with an AbortError when `signal` is aborted. */
export async function play(options: ActOptions): Promise<Act> {
  const { os, roles, atOnce, signal, onLook } = options;
  const began = performance.now();
  const elapsed = (): number => performance.now() - began;
  const before = await os.sys.stats();
  const stage = new Map<string, { child: Child; player: Player }>();
  const waiting = [...roles];
  for (;;) {
    signal.throwIfAborted();
    const living = [...stage.values()].filter(({ player }) => player.state !== "ended").length;
    for (const role of waiting.splice(0, atOnce - living)) {
      const startedMs = elapsed();
      const child = await os.proc.spawn(role.argv, { name: role.name });
      stage.set(child.pid, { child, player: entrance(role.name, child.pid, startedMs) });
    }
    await look(os, stage);
    const players = [...stage.values()].map(({ player }) => player);
    onLook(players, elapsed());
    if (waiting.length === 0 && players.every(({ state }) => state === "ended")) {
      return { players, wallMs: coveredMs(players), before, after: await os.sys.stats() };
    }
    await pause(POLL_MS, signal);
  }
}

function entrance(name: string, pid: string, startedMs: number): Player {
  return {
    name,
    pid,
    state: "new",
    waitingOn: "",
    slot: null,
    tokensIn: 0,
    tokensOut: 0,
    queuedMs: 0,
    firstTokenMs: null,
    ageMs: 0,
    startedMs,
    exitCode: null,
    answer: "",
    failure: "",
  };
}

async function look(os: Os, stage: Map<string, { child: Child; player: Player }>): Promise<void> {
  for (const row of await os.proc.ps({ all: true })) {
    const seen = stage.get(row.pid);
    if (seen === undefined || seen.player.state === "ended") continue;
    seen.player = update(seen.player, row);
    if (row.state === "zombie") seen.player = await finale(seen.player, seen.child, row.log);
  }
}

/** The player after a look at its row of the process table. */
export function update(player: Player, row: ProcInfo): Player {
  const { state, waitingOn, slot, tokensIn, tokensOut, queuedMs, ageMs } = row;
  const first = player.firstTokenMs ?? (tokensOut > 0 ? ageMs : null);
  const seen = { state, waitingOn, slot, tokensIn, tokensOut, queuedMs, ageMs };
  return { ...player, ...seen, firstTokenMs: first };
}

async function finale(player: Player, child: Child, log: string | null): Promise<Player> {
  const exit = await child.wait();
  const exitCode = exitCodeFor(exit);
  const said = log === null ? "" : await readFile(log, "utf8").catch(() => "");
  const answer = answerIn(said);
  const last = said.trim().split("\n").at(-1) ?? "";
  const cause = exit.cause === "exit" ? `exit code ${exitCode}` : exit.cause;
  const failed = exitCode !== 0 || answer === "";
  const failure = failed ? [cause, last].filter(Boolean).join(": ") : "";
  return { ...player, state: "ended", waitingOn: "", slot: null, exitCode, answer, failure };
}

/** The length of the union of the times in which players lived, milliseconds. */
export function coveredMs(players: readonly Pick<Player, "startedMs" | "ageMs">[]): number {
  const spans = [...players].sort((a, b) => a.startedMs - b.startedMs);
  let total = 0;
  let until = Number.NEGATIVE_INFINITY;
  for (const { startedMs, ageMs } of spans) {
    const end = startedMs + ageMs;
    total += Math.max(0, end - Math.max(startedMs, until));
    until = Math.max(until, end);
  }
  return total;
}
