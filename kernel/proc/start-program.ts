/**
 * The start of a program's OS process, the first one or, for a restart, the next: with a
 * token of its own, by which it attaches as a new run of its process.
 */
import { ContixError } from "../../proto/errno.js";
import { tokenHash } from "../cap/tokens.js";
import { secret } from "../clock.js";
import { showId } from "../ids.js";
import type { Kernel } from "../kernel.js";
import { type OsProcess, startOsProcess } from "./os-process.js";
import { heartbeatEnv } from "./supervise/members.js";

/**
 * Starts what the journal says the process runs. The token of its former run is void.
 * Rejects with ENOENT, EPERM, E2BIG or EINVAL when it can not be started; nothing has
 * changed then but the token.
 */
export async function startProgram(kernel: Kernel, pid: bigint): Promise<OsProcess> {
  const { journal, procs, config, random } = kernel;
  const process = procs.get(pid);
  if (!process?.program || process.exit) {
    throw new ContixError("ESRCH", `${showId(pid)} is over, or was started elsewhere`);
  }
  const { program, run, log } = process;
  const token = secret(random);
  const hash = tokenHash(token);
  journal.append({ type: "proc.run", pid, run, tokenHash: hash, resumeHash: "" });
  const env = {
    ...program.env,
    CONTIX_ADDRESS: `unix://${config.home}/contixd.sock`,
    CONTIX_TOKEN: token,
    CONTIX_PID: showId(pid),
    ...heartbeatEnv(journal.state.supervision, pid),
  };
  let ended = false;
  let late = false;
  const { keeper, logs, cgroups, stragglers, priorities } = procs;
  const opened = await logs.begin(pid, log);
  await procs.starts.next();
  const cgroup = cgroups.make(showId(pid), program.confinement.memoryBytes);
  const spec = { ...program, env, keeper, cgroup, stragglers, priorities, log: opened };
  const os = await startOsProcess(spec, (code, cause) => {
    ended = true;
    if (!late) procs.exited(pid, code, cause);
  }).catch((error: unknown) => {
    cgroup?.end();
    throw error;
  });
  // Its run was ended while it started, and perhaps the next begun: this is nobody's any more.
  const now = procs.get(pid);
  late = !ended && now?.run === run && now.tokenHash !== hash;
  if (late) os.signal("SIGKILL");
  else if (!ended) procs.started(pid, os);
  return os;
}
