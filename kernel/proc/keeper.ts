/**
 * No agent outlives a daemon that is killed, not even by -9: a tiny shell holds the list of
 * the agents' process groups and a pipe from the daemon. When the daemon ends, however that
 * comes, the pipe does, and the shell kills who is left on its list. Unlike a signal at the
 * parent's death (PR_SET_PDEATHSIG) it reaches what agents started, too; what left its
 * process group (setsid) it reaches where agents are in control groups.
 */
import { type ChildProcess, spawn } from "node:child_process";

const SCRIPT = `
trap '' INT TERM HUP
groups=
while read -r op pid; do
  case $op in
  +) groups="$groups $pid" ;;
  -) rest=
     for g in $groups; do [ "$g" = "$pid" ] || rest="$rest $g"; done
     groups=$rest ;;
  esac
done
for g in $groups; do kill -s KILL -- "-$g"; done
[ -z "$1" ] && exit
echo 1 >"$1/cgroup.kill"
for try in 1 2 3 4 5 6 7 8 9; do
  rmdir "$1"/*/ "$1" && exit
  sleep 0.1
done
`;

export class Keeper {
  readonly #groups = new Set<number>();
  #cgroup = "";
  #shell: ChildProcess | undefined;

  /** The control group in which those of all agents are: what is in it dies, and it goes, with this process. */
  endsToo(cgroup: string): void {
    this.#cgroup = cgroup;
  }

  /** The group dies with this process from now on. */
  watch(group: number): void {
    this.#groups.add(group);
    if (this.#shell) this.#tell(`+ ${group}\n`);
    else this.#start();
  }

  /** The group is over: its number may be another's soon. */
  forget(group: number): void {
    if (this.#groups.delete(group)) this.#tell(`- ${group}\n`);
  }

  #start(): void {
    // A group of its own: a Ctrl-C at the daemon's terminal is not for it.
    const shell = spawn("/bin/sh", ["-c", SCRIPT, "sh", this.#cgroup], {
      stdio: ["pipe", "ignore", "ignore"],
      ...{ cwd: "/", env: {}, detached: true },
    });
    this.#shell = shell;
    shell.unref();
    // An end of the pipe that is gone is told by the exit.
    shell.stdin.on("error", () => undefined);
    (shell.stdin as unknown as { unref(): void }).unref();
    shell.once("error", () => this.#gone(shell));
    shell.once("exit", () => this.#gone(shell));
    for (const group of this.#groups) this.#tell(`+ ${group}\n`);
  }

  /** Somebody killed it: another takes its place when there is whom to keep. */
  #gone(shell: ChildProcess): void {
    if (this.#shell !== shell) return;
    this.#shell = undefined;
    // One that can not be started at all is tried again with the next agent.
    if (shell.pid !== undefined && this.#groups.size > 0) this.#start();
  }

  #tell(line: string): void {
    this.#shell?.stdin?.write(line);
  }
}
