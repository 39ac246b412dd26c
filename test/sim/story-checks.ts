/** What holds at every decision of a story (sched-story.ts): slots and queue, then processes. */
import type { Machine } from "../../bench/sim/sched/machine.js";
import type { Process } from "../../kernel/journal/journal.js";
import { find, hasRun } from "../../kernel/proc/supervise/members.js";
import type { Burst } from "../../kernel/sched/burst.js";

export function must(holds: boolean, otherwise: string): void {
  if (!holds) throw new Error(otherwise);
}

/** Every slot has one owner, nobody is forgotten, counts add up, bounds hold. */
export function checkSlots({ sched, placer, pool, journal, kernel }: Machine, slots: number): void {
  pool.invariants();
  const all = [...sched.all()];
  const of = (state: Burst["state"]): Burst[] => all.filter((burst) => burst.state === state);
  const running = new Set(sched.running);
  const ready = of("ready").length;
  must(running.size === sched.running.length, "a burst runs twice");
  must(running.size <= slots, "more run than there are slots");
  must(ready === sched.waiting, `${ready} are ready, ${sched.waiting} wait`);
  must(of("running").length === running.size, "who runs is not who has a slot");
  must(
    of("running").every((burst) => running.has(burst)),
    "a running burst was not chosen",
  );
  must(sched.waiting === 0 || running.size === slots, "a slot is free and somebody waits");
  const owners = placer.table.slots.flatMap(({ cid }) => (cid === undefined ? [] : [cid]));
  must(new Set(owners).size === owners.length, "a context is in two slots");
  for (const { cid, binding, resident } of placer.table.slots) {
    if (binding !== 0n) must(placer.bound(binding) !== undefined, "a slot serves nobody");
    const held = cid === undefined ? undefined : journal.state.contexts.get(cid);
    must(
      cid === undefined || resident <= (held?.tokens.length ?? 0),
      "a slot has more than its context",
    );
  }
  for (const { owner, cid } of journal.state.contexts.values()) {
    must(isAlive(kernel.procs.get(owner)), `context ${cid} has outlived its process`);
  }
}

/** Who asks is alive and has a run; the dead have nothing; books of all are right. */
export function checkProcesses(machine: Machine): void {
  const { sched, kernel } = machine;
  const { procs } = kernel;
  for (const { spec, state, nice } of sched.all()) {
    const process = procs.get(spec.pid);
    must(isAlive(process), "a burst of a process that is over");
    must(!isDue(machine, spec.pid), "a burst of a run that is over");
    must(!process?.stopped || state === "paused", "a stopped process competes for a slot");
    must(process?.nice === nice, "a burst of another nice value than its process");
  }
  checkPlaces(machine);
  checkTable(machine);
  checkSupervision(machine);
}

/** Whoever has a place is a generation that is not over, or was given back. */
function checkPlaces({ sched, admission }: Machine): void {
  const all = [...sched.all()];
  const away = all.filter(({ state }) => state === "paused").length;
  const { admitted } = admission;
  must(admitted <= all.length, `${admitted} places are taken by ${all.length} generations`);
  must(admitted >= all.length - away, "a generation that is read has no place");
}

function checkTable(machine: Machine): void {
  const { journal, procs } = machine.kernel;
  const alive = new Map<object, number>();
  const zombies = new Map<object, number>();
  const add = (counts: Map<object, number>, { budgets }: Process): void => {
    for (const budget of budgets) counts.set(budget, (counts.get(budget) ?? 0) + 1);
  };
  for (const process of journal.state.processes.values()) {
    const { pid, parent, exit, spawned } = process;
    must(parent === 0n || isAlive(procs.get(parent)), `${pid} is nobody's child`);
    add(exit ? zombies : alive, process);
    if (exit) {
      must(process.handles.size === 0, `${pid} is over and has handles`);
      continue;
    }
    // It has an OS process, or waits for its next: never both, never neither.
    const due = isDue(machine, pid);
    must(!spawned || procs.runs.has(pid) !== due, `${pid} ${due ? "is doubled" : "is lost"}`);
  }
  for (const { budgets } of journal.state.processes.values()) {
    for (const budget of budgets) {
      const { processes, quota } = budget;
      const least = alive.get(budget) ?? 0;
      const most = least + (zombies.get(budget) ?? 0);
      must(processes >= least && processes <= most, `${processes} counted, ${least} alive`);
      must(least <= (quota.processes ?? least), `${least} live on a quota of ${quota.processes}`);
    }
  }
}

function checkSupervision({ kernel: { journal, procs } }: Machine): void {
  const { groups, groupOf } = journal.state.supervision;
  let members = 0;
  for (const group of groups.values()) {
    const { id, restarts, intensity } = group;
    must(restarts.length <= intensity.max, `group ${id} has restarted too often`);
    for (const pid of group.members.keys()) {
      members++;
      must(groupOf.get(pid) === id, `${pid} is in two groups`);
      must(isAlive(procs.get(pid)), `${pid} is supervised and over`);
    }
  }
  must(groupOf.size === members, "somebody is of a group that is gone");
}

/** After the kernel's end nothing of anybody is left. */
export function checkEnd({ sched, placer, journal, kernel, admission }: Machine): void {
  must([...sched.all()].length === 0, "a burst is left");
  must(sched.running.length === 0, "a burst runs after the end");
  must(journal.state.contexts.size === 0, "a context is left");
  must(
    placer.table.slots.every(({ cid, binding }) => cid === undefined && binding === 0n),
    "a slot has an owner",
  );
  must(admission.admitted === 0, `${admission.admitted} places are taken after the end`);
  must(kernel.trap.busy === 0, "a call is in flight after the end");
  must(kernel.procs.runs.size === 0, "an OS process is left");
  must(journal.state.supervision.groups.size === 0, "a supervised group is left");
  must(
    [...journal.state.processes.values()].every(({ exit }) => exit),
    "a process is left",
  );
}

function isAlive(process: Process | undefined): boolean {
  return process !== undefined && !process.exit;
}

/** Whether it waits for its next run. */
function isDue({ journal }: Machine, pid: bigint): boolean {
  const found = find(journal.state.supervision, pid);
  return found !== undefined && !hasRun(found.member);
}
