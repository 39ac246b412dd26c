/** What a running team does, as events: what its agents write, restarts, ends. */
import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import type { Exit, Os, ProcInfo } from "../../syscalls/index.js";
import { follow } from "../follow.js";
import { pause } from "../terminal.js";
import type { Member, RunningTeam } from "./start.js";

export type TeamEvent =
  | { readonly event: "started"; readonly name: string; readonly pid: string }
  | {
      readonly event: "restarted";
      readonly name: string;
      readonly pid: string;
      readonly times: number;
    }
  | { readonly event: "said"; readonly name: string; readonly pid: string; readonly text: string }
  | ({ readonly event: "over"; readonly name: string } & Exit);

const POLL_MS = 250;

/** Follows a team until all of it is over. @returns how its processes ended, as they were started. */
export async function watchTeam(
  os: Os,
  { members }: RunningTeam,
  tell: (event: TeamEvent) => void,
): Promise<Exit[]> {
  const over = new AbortController();
  const restarts = watchRestarts(os, members, tell, over.signal);
  const logs = new Map((await os.proc.ps({ all: true })).map(({ pid, log }) => [pid, log]));
  let told = Promise.resolve();
  const exits = members.map(async ({ name, child }) => {
    const done = new AbortController();
    const log = logs.get(child.pid);
    const copied = log
      ? copy(log, done.signal, (text) => tell({ event: "said", name, pid: child.pid, text }))
      : undefined;
    const exit = await child.wait().finally(() => done.abort());
    // The rest of a log may take a while: ends are told in the order in which they came.
    const last = Promise.all([told, copied]).then(() => tell({ event: "over", name, ...exit }));
    told = last;
    await last;
    return exit;
  });
  try {
    return await Promise.all(exits);
  } finally {
    over.abort();
    await restarts;
  }
}

async function copy(log: string, done: AbortSignal, line: (text: string) => void): Promise<void> {
  for await (const text of createInterface({ input: Readable.from(follow(log, { done })) }))
    line(text);
}

/** A process that has another OS process than before was started again. */
async function watchRestarts(
  os: Os,
  members: readonly Member[],
  tell: (event: TeamEvent) => void,
  over: AbortSignal,
): Promise<void> {
  const seen = new Map<string, { osPid: number; times: number }>();
  while (!over.aborted) {
    const procs = await os.proc.ps().catch(() => [] as ProcInfo[]);
    for (const { name, child } of members) {
      const osPid = procs.find(({ pid }) => pid === child.pid)?.osPid ?? null;
      if (osPid === null) continue;
      const before = seen.get(child.pid) ?? { osPid, times: 0 };
      const times = before.osPid === osPid ? before.times : before.times + 1;
      seen.set(child.pid, { osPid, times });
      if (times > before.times) tell({ event: "restarted", name, pid: child.pid, times });
    }
    await pause(POLL_MS, over);
  }
}
