/** `contix events`: what the kernel tells of itself, over NATS. */
import type { Command } from "commander";
import { wordOf } from "../../kernel/doors/nats-subjects.js";
import { out } from "../colour.js";
import { finish, placeOf } from "../command.js";
import { followNats } from "../nats/follow.js";
import { interruptible, print } from "../terminal.js";

interface Options {
  readonly json?: true;
  readonly all?: true;
}

/** `contix events` */
export function registerEvents(program: Command): void {
  const events = program
    .command("events")
    .description(
      "What happens to the agents of your principal, as it happens: processes, contexts, keys, denied calls; an administrator's --all hears everybody's, and of the models too. It comes over the daemon's NATS door.",
    )
    .option("--all", "everybody's, and the kernel's own")
    .option("--json", "the messages as they are, a line each")
    .action(({ json, all }: Options, self: Command) => {
      return interruptible((signal) => {
        return followNats(placeOf(self), {
          name: "events",
          subject: (node, principal) => {
            return all === true
              ? `ctx.events.${node}.>`
              : `ctx.events.${node}.${wordOf(principal)}.>`;
          },
          hear: (text) => print(json === true ? text : eventLine(text)),
          signal,
        });
      });
    });
  finish(events, [
    "contix events",
    "contix events --all --json | jq -c 'select(.event == \"process.over\")'",
  ]);
}

/** A message as one line. */
export function eventLine(text: string): string {
  const { at, event, principal = "", missed, node: _, seq: __, ...facts } = JSON.parse(text);
  const told = Object.entries(facts).map(([name, value]) => `${name}=${shown(value)}`);
  const gap = missed > 0 ? out.red(` (${missed} before it were left out)`) : "";
  const when = out.dim(new Date(at).toISOString());
  return `${when}  ${String(principal).padEnd(8)} ${String(event).padEnd(16)} ${told.join(" ")}${gap}`;
}

function shown(value: unknown): string {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return /^[^\s"]+$/.test(text) || typeof value !== "string" ? text : JSON.stringify(text);
}
