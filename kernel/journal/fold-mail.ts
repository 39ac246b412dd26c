/** The fold's part for mail: what is in a mailbox, in which order, who has what, and whose bytes it is. */
import type { BoxRef, Held, IpcRecord, IpcState, Mail, Mailbox } from "./fold-ipc.js";
import { COUNTER, type State } from "./state.js";

/** The mailbox itself; undefined when it, or its process, is gone. */
function boxOf(state: State, ref: BoxRef): Mailbox | undefined {
  if ("pid" in ref) {
    const process = state.processes.get(ref.pid);
    return process?.exit ? undefined : process?.mailbox;
  }
  const object = state.ipc.objects.get(ref.id);
  return object?.type === "mailbox" ? object.box : undefined;
}

/** Applies a record of mail. */
export function applyMail(state: State, record: IpcRecord): void {
  if (!("box" in record) || record.type === "request.sent") return;
  const box = boxOf(state, record.box);
  if (record.type === "mail.sent") {
    state.counters.mail = Math.max(state.counters.mail, Number(record.mail.id & COUNTER));
    if (box) put(state.ipc, box, record.mail);
    return;
  }
  if (!box) return;
  if (record.type === "mail.missed") {
    box.lapsed ||= record.lapsed;
    box.missed += record.missed;
    return;
  }
  const at = box.mails.findIndex(({ id }) => id === record.id);
  const mail = box.mails[at];
  if (!mail) return;
  switch (record.type) {
    case "mail.taken":
      take(state.ipc, box, at);
      break;
    case "mail.leased":
      if (record.pid !== 0n) mail.deliveries++;
      mail.lease = { pid: record.pid, us: record.us };
      break;
    case "mail.returned":
      mail.lease = undefined;
      break;
    case "mail.died": {
      take(state.ipc, box, at);
      const grave = boxOf(state, record.to);
      const fresh = { handles: [], missed: 0, lapsed: false, deliveries: 0, lease: undefined };
      if (grave) put(state.ipc, grave, { ...mail, ...fresh, dead: record.why });
      break;
    }
  }
}

/** What a message takes besides its body, as it is counted: many empty ones are much, too. */
export const ENVELOPE = 256;

/** What lies in a mailbox, as it is counted. */
export function sizeOf({ mails, bytes }: Pick<Mailbox, "mails" | "bytes">): number {
  return bytes + mails.length * ENVELOPE;
}

/** So many bytes more, or less, lie there. */
export function hold({ bytes }: IpcState, { principal, budgets }: Held, more: number): void {
  for (const budget of budgets) budget.mailBytes += more;
  const now = (bytes.get(principal) ?? 0) + more;
  if (now > 0) bytes.set(principal, now);
  else bytes.delete(principal);
}

function put(
  ipc: IpcState,
  box: Mailbox,
  given: Pick<Mail, "id" | "from" | "topic" | "body"> & Partial<Mail>,
): void {
  const mail: Mail = {
    ...{ priority: 0, request: false, handles: [], dead: "", deliveries: 0, lease: undefined },
    ...given,
    missed: box.missed,
    lapsed: box.lapsed,
  };
  box.missed = 0;
  box.lapsed = false;
  // From the end: most have the same priority as the last.
  let at = box.mails.length;
  while ((box.mails[at - 1]?.priority ?? 9) < mail.priority) at--;
  box.mails.splice(at, 0, mail);
  box.bytes += mail.body.length;
  hold(ipc, box, mail.body.length + ENVELOPE);
}

function take(ipc: IpcState, box: Mailbox, at: number): void {
  const [mail] = box.mails.splice(at, 1);
  if (!mail) return;
  box.bytes -= mail.body.length;
  hold(ipc, box, -mail.body.length - ENVELOPE);
}
