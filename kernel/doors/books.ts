/** What has happened at each door since the start, for those who watch the kernel. */

/** One door's books; whoever keeps the door writes them. */
export class DoorBook {
  /** "unix", "grpc", "grpcs" or "nats": as its addresses begin. */
  readonly door: string;
  /** Open now; of them, those whose peer has not said who it is. */
  connections = 0;
  strangers = 0;
  /** Connections that came, and those that were closed for what they did not say, or for their number. */
  accepted = 0;
  refused = 0;
  /** Attachments that were welcomed, and calls that came; a call that is repeated counts again. */
  attached = 0;
  calls = 0;
  /** Messages that were not their senders' to send: by another's name, for another's inbox. */
  denied = 0;
  /** Frames that said nothing the kernel could do, and those of them after which their sender was not read for a while. */
  faults = 0;
  braked = 0;
  /** Of connections that are over, and what `underWay` counts of those that are open. */
  bytesIn = 0;
  bytesOut = 0;
  /** Of the open connections: bytes that came, and that went. */
  underWay: () => readonly [number, number] = () => [0, 0];

  constructor(door: string) {
    this.door = door;
  }

  /** As the wire tells it. */
  get figures() {
    const { door, connections, strangers } = this;
    const [came, went] = this.underWay();
    return {
      ...{ door, connections, strangers },
      accepted: BigInt(this.accepted),
      refused: BigInt(this.refused),
      attached: BigInt(this.attached),
      calls: BigInt(this.calls),
      denied: BigInt(this.denied),
      faults: BigInt(this.faults),
      braked: BigInt(this.braked),
      bytesIn: BigInt(this.bytesIn + came),
      bytesOut: BigInt(this.bytesOut + went),
    };
  }
}

/** Who comes through a door: where that is booked, and what is to be called once he is known. */
export interface Visitor {
  readonly book: DoorBook;
  /** He is that process; @returns what is to be called once it is not there any more. */
  known(pid: bigint): () => void;
}

export class DoorBooks {
  readonly #books = new Map<string, DoorBook>();

  /** The books of a door, begun when it is first named. */
  of(door: string): DoorBook {
    const known = this.#books.get(door);
    if (known) return known;
    const book = new DoorBook(door);
    this.#books.set(door, book);
    return book;
  }

  all(): readonly DoorBook[] {
    return [...this.#books.values()];
  }
}
