/**
 * How a peer is spoken to: one JSON request a line on standard input, {"id", "cmd", ...}, each
 * answered by one JSON line on standard output, {"id", "result"} or {"id", "error"}. After
 * "close" the process exits.
 */
import { createInterface } from "node:readline";

export function need(condition, message) {
  if (!condition) throw new Error(message);
}

/** Answers until "close"; `commands` by name, each from its arguments to its result. */
export async function serve(commands) {
  for await (const line of createInterface({ input: process.stdin })) {
    if (line.trim() === "") continue;
    const { last, ...reply } = await answer(commands, line);
    process.stdout.write(`${JSON.stringify(reply)}\n`);
    if (last) break;
  }
  process.exit(0);
}

async function answer(commands, line) {
  const { id, cmd, ...args } = JSON.parse(line);
  try {
    const command = Object.hasOwn(commands, cmd) ? commands[cmd] : undefined;
    need(command, `no command ${cmd}; there are ${Object.keys(commands).join(", ")}`);
    return { id, result: await command(args), last: cmd === "close" };
  } catch (error) {
    return { id, error: error instanceof Error ? error.message : String(error) };
  }
}
