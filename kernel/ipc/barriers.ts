/**
 * Barriers: n processes wait until all n do. Its members are those who opened it. One
 * that is gone (its process is over, or it closed its handle) will never come, so all
 * who wait, and who come later, get ESRCH, until another process opens the barrier in
 * its place.
 */
import { ContixError } from "../../proto/errno.js";
import type { Call } from "../call.js";
import { showId } from "../ids.js";
import type { Journal } from "../journal/journal.js";
import { holders, type ObjectOf } from "./objects.js";
import { type Waiting, Waits } from "./waits.js";

type Barrier = ObjectOf<"barrier">;

interface Party extends Waiting {
  readonly call: Call;
}

export class Barriers {
  readonly #journal: Journal;
  readonly #arrived = new Waits<Party>();

  constructor(journal: Journal) {
    this.#journal = journal;
  }

  wait(call: Call, barrier: Barrier): void {
    const { pid } = call.process;
    const { id, parties, members } = barrier;
    if (this.#arrived.of(id).some((party) => party.pid === pid)) {
      throw new ContixError("EBUSY", "this process waits at the barrier already");
    }
    this.settle(id);
    if (!members.has(pid)) this.join(barrier, pid);
    if (barrier.gone > 0) throw gone(barrier);
    const end = (error: ContixError): void => call.end(error);
    call.waitingOn = "barrier";
    call.onEnd(this.#arrived.add(id, { pid, call, end }));
    const all = this.#arrived.of(id);
    if (all.length < parties) return;
    const { generation } = barrier;
    this.#journal.append({ type: "barrier.passed", id });
    all.forEach((party, index) => {
      this.#arrived.remove(id, party);
      party.call.done({ $case: "barrierWait", value: { generation, index } });
    });
  }

  /** Makes the process a member. EBUSY: the barrier has all its parties. */
  join(barrier: Barrier, pid: bigint): void {
    this.settle(barrier.id);
    this.checkRoom(barrier, pid);
    this.#journal.append({ type: "barrier.joined", id: barrier.id, pid });
  }

  checkRoom({ members, parties }: Barrier, pid: bigint): void {
    if (members.has(pid) || members.size < parties) return;
    const message = `the barrier has its ${parties} parties`;
    throw new ContixError("EBUSY", message, { argument: "name" });
  }

  waiting(id: bigint): Waiting[] {
    return this.#arrived.of(id);
  }
  get ids(): bigint[] {
    return this.#arrived.ids;
  }

  /** Notes who is gone, and tells those who wait for them. */
  settle(id: bigint): void {
    const { state } = this.#journal;
    const barrier = state.ipc.objects.get(id);
    if (barrier?.type !== "barrier") return;
    const there = new Set(holders(state, barrier, 0));
    const left = [...barrier.members].filter((pid) => !there.has(pid));
    for (const pid of left) this.#journal.append({ type: "barrier.left", id, pid });
    if (barrier.gone === 0) return;
    for (const party of this.#arrived.of(id)) party.end(gone(barrier, left[0]));
  }
}

function gone(barrier: Barrier, pid?: bigint): ContixError {
  const who = pid === undefined ? "a party" : showId(pid);
  const message = `${who} left the barrier; ${barrier.gone} of ${barrier.parties} are missing until another process opens it`;
  return new ContixError("ESRCH", message, { argument: "handle" });
}
