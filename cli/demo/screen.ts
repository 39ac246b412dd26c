/** The demo while it runs: a table that is drawn over on a terminal, lines of changes elsewhere. */
import { createLogUpdate } from "log-update";
import type { Colours } from "../colour.js";
import { stateColour } from "../commands/ps.js";
import { count, duration, table } from "../format.js";
import type { OnLook, Player } from "./act.js";

export interface Screen {
  readonly show: OnLook;
  /** Leaves what is drawn where it is. */
  done(): void;
}

/** A screen for nobody: with `--json`. */
export const darkness: Screen = { show: () => undefined, done: () => undefined };

/** Draws over the last picture. */
export function liveScreen(title: string, colours: Colours): Screen {
  const draw = createLogUpdate(process.stdout);
  return {
    show: (players, elapsedMs) => draw(picture(title, players, elapsedMs, colours)),
    done: () => draw.done(),
  };
}

/** Writes a line whenever an agent's state changes. */
export function plainScreen(title: string, write: (line: string) => void): Screen {
  const last = new Map<string, string>();
  write(title);
  return {
    show: (players, elapsedMs) => {
      for (const player of players) {
        const key = [player.state, player.waitingOn, player.slot].join();
        if (last.get(player.pid) === key) continue;
        last.set(player.pid, key);
        write(changeLine(player, elapsedMs));
      }
    },
    done: () => undefined,
  };
}

/** One change of one agent. */
export function changeLine(player: Player, elapsedMs: number): string {
  const { name, pid, waitingOn, slot, tokensIn, tokensOut } = player;
  const what = [
    status(player),
    waitingOn === "" ? "" : `waiting on ${waitingOn}`,
    slot === null ? "" : `slot ${slot}`,
    `${count(tokensIn)} tokens in, ${count(tokensOut)} out`,
  ].filter(Boolean);
  return `${(elapsedMs / 1000).toFixed(1).padStart(6)} s  ${name} (${pid}): ${what.join(", ")}`;
}

/** The whole picture: title and time, a row for each agent, the totals. */
export function picture(
  title: string,
  players: readonly Player[],
  elapsedMs: number,
  colours: Colours,
): string {
  const columns = [
    { title: "AGENT" },
    { title: "PID" },
    { title: "STATE" },
    { title: "WAITING ON" },
    { title: "SLOT", right: true },
    { title: "IN", right: true },
    { title: "OUT", right: true },
    { title: "FIRST TOKEN", right: true },
    { title: "TIME", right: true },
  ];
  const rows = players.map((player) => [
    player.name,
    player.pid,
    paint(player, colours),
    player.waitingOn || "-",
    player.slot === null ? "-" : String(player.slot),
    count(player.tokensIn),
    count(player.tokensOut),
    player.firstTokenMs === null ? "-" : seconds(player.firstTokenMs),
    seconds(player.ageMs),
  ]);
  const out = players.reduce((sum, player) => sum + player.tokensOut, 0);
  return [
    `${colours.bold(title)}  ${seconds(elapsedMs)}`,
    "",
    table(columns, rows, colours.dim),
    "",
    `${bar(players, colours)}  ${count(out)} tokens out`,
  ].join("\n");
}

/** A mark for each agent: done, in a slot, or neither. */
function bar(players: readonly Player[], colours: Colours): string {
  const marks = players.map((player) => {
    if (player.failure !== "") return colours.red("✗");
    if (player.state === "ended") return colours.green("✓");
    return player.slot === null ? colours.dim("·") : colours.yellow("▮");
  });
  return marks.join(" ");
}

function paint(player: Player, colours: Colours): string {
  const text = status(player);
  if (player.failure !== "") return colours.red(text);
  return player.state === "ended" ? colours.dim(text) : stateColour(player.state, colours)(text);
}

function status(player: Player): string {
  if (player.state !== "ended") return player.state === "zombie" ? "ending" : player.state;
  return player.failure === "" ? "done" : "failed";
}

function seconds(ms: number): string {
  return duration(Math.round(ms) * 1000);
}
