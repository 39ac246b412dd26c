/** Takes the firing of a schedule to its target. */
import { findBox, hasRoom } from "../ipc/boxes.js";
import { type BoxRef, nameKey } from "../journal/fold-ipc.js";
import type { Schedule } from "../journal/fold-time.js";
import type { Kernel } from "../kernel.js";
import type { Firing } from "./schedules.js";

/** False: the target has no room, or is not there. */
export function fire(kernel: Kernel, schedule: Schedule, firing: Firing): boolean {
  const { target, principal } = schedule;
  const body = schedule.body.length > 0 ? schedule.body : describe(schedule, firing);
  switch (target.kind) {
    case "signal":
      if (!isAlive(kernel, target.pid)) return false;
      kernel.procs.signal(target.pid, target.signal, 0n);
      return true;
    case "subject":
      return publish(kernel, principal, target.subject, body);
    case "pid":
      return put(kernel, { pid: target.pid }, schedule, body);
    case "mailbox": {
      const id = kernel.journal.state.ipc.names.get(nameKey(principal, "mailbox", target.name));
      return id !== undefined && put(kernel, { id }, schedule, body);
    }
  }
}

/** What a firing says when its schedule has no words of its own. */
function describe({ name }: Schedule, { at, missed }: Firing): Uint8Array {
  return Buffer.from(JSON.stringify({ schedule: name, at: new Date(at).toISOString(), missed }));
}

function put(kernel: Kernel, ref: BoxRef, { name }: Schedule, body: Uint8Array): boolean {
  const { journal, config, ipc } = kernel;
  const box = findBox(journal.state, ref);
  if (!box || !hasRoom(journal.state, box, body.length, config.limits)) return false;
  const mail = { id: ipc.mail.nextId(), from: 0n, topic: `schedule.${name}`, body };
  journal.append({ type: "mail.sent", box: ref, mail });
  ipc.mail.offer(ref);
  return true;
}

function publish(kernel: Kernel, principal: string, subject: string, body: Uint8Array): boolean {
  const publication = { principal, from: 0n, subject, body };
  const { topics } = kernel.ipc;
  try {
    const { records, after } = topics.prepare(publication, "");
    topics.sendOn(publication, "");
    kernel.journal.append(...records);
    after();
    return true;
  } catch {
    // A subscriber that refuses is full: told as missed.
    return false;
  }
}

function isAlive({ journal }: Kernel, pid: bigint): boolean {
  const process = journal.state.processes.get(pid);
  return process !== undefined && !process.exit;
}
