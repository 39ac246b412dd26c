/**
 * Somebody who has a key and offers what is malformed, at a pace. What that brings upon her (a
 * frame that happens to be `exit` ends her process, too many end her link) is her own: then she
 * comes again. What the kernel does not read she does not hoard: she leaves it out.
 * usage: mallory.js JSON (`Mallory`), forked; told by messages (`Flood`), it answers each (`Sent`).
 */
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { Hello, Syscall } from "../../proto/gen/contix/v1/kernel.js";
import { doorOf } from "../../syscalls/wire/address.js";
import { encodeFrame, type Link, openLink } from "../../syscalls/wire/link.js";
import { malformedFrames, malformedRequests } from "../harness/malformed.js";
import { Flood, Mallory, type Sent } from "./words.js";

const { token, seed } = Mallory.parse(JSON.parse(process.argv[2] ?? ""));

const PATIENCE_MS = 10_000;
/** Who was refused, or hung up on, comes again after so long. */
const AGAIN_MS = 100;
/** Requests at once: each is a connection of its own. */
const MOST_OPEN = 64;
/** After so many frames she asks something, */
const ASK_EVERY = 50;
/** and sends no more while so many questions are not answered: they stand behind her frames. */
const MOST_ASKED = 4;
/** Beyond the seqs of all frames that she has. */
const FIRST_SEQ = 1n << 40n;

/** Where her frames go. */
interface Way {
  /** Sends one, if it can go now. */
  offer(): boolean;
  /** Leaves nothing behind that would still be sent. */
  cut(): void;
}

class LinkWay implements Way {
  readonly #address: string;
  /** Over NATS nothing holds her back but being hung up on. */
  readonly #isHeldBack: boolean;
  readonly #frames = malformedFrames(seed);
  #link: Link | undefined;
  #opening = false;
  #again = 0;
  #sent = 0;
  #seq = FIRST_SEQ;
  #asked = 0;
  #over = false;

  constructor(address: string) {
    this.#address = address;
    this.#isHeldBack = doorOf(address) !== "nats";
  }

  offer(): boolean {
    if (this.#link === undefined) {
      this.#open();
      return false;
    }
    if (this.#isHeldBack && this.#asked >= MOST_ASKED) return false;
    this.#link.send(Buffer.from(this.#frames.next().value));
    if (++this.#sent % ASK_EVERY === 0) this.#ask(this.#link);
    return true;
  }

  cut(): void {
    this.#over = true;
    this.#link?.destroy();
  }

  #ask(link: Link): void {
    this.#asked++;
    const call = { $case: "uname" as const, value: {} };
    const value = Syscall.fromPartial({ seq: this.#seq++, call });
    link.send(encodeFrame({ $case: "call", value }));
  }

  #open(): void {
    if (this.#opening || performance.now() < this.#again) return;
    this.#opening = true;
    const hello = Hello.fromPartial({ abi: 1, token, name: "mallory" });
    let opened: Link | undefined;
    let ended = false;
    const over = (): void => {
      ended = true;
      this.#again = performance.now() + AGAIN_MS;
      if (opened !== undefined && this.#link === opened) this.#link = undefined;
    };
    openLink({ address: this.#address, token, tls: {} }, hello, PATIENCE_MS, {
      frame: (frame) => {
        if (frame.$case === "reply" && frame.value.seq >= FIRST_SEQ) this.#asked--;
      },
      end: over,
    })
      .then((link) => {
        opened = link;
        this.#asked = 0;
        if (this.#over) link.destroy();
        else if (!ended) this.#link = link;
      }, over)
      .finally(() => {
        this.#opening = false;
      });
  }
}

class HttpWay implements Way {
  readonly #url: URL;
  readonly #requests = malformedRequests(seed, token);
  readonly #open = new Set<{ destroy(): void }>();

  constructor(address: string) {
    this.#url = new URL(address);
  }

  offer(): boolean {
    if (this.#open.size >= MOST_OPEN) return false;
    const socket = connect(Number(this.#url.port), this.#url.hostname);
    this.#open.add(socket);
    socket.on("error", () => undefined).resume();
    socket.once("close", () => this.#open.delete(socket));
    socket.end(this.#requests.next().value);
    return true;
  }

  cut(): void {
    for (const socket of this.#open) socket.destroy();
  }
}

async function flood({ address, frames, perSecond }: Flood): Promise<Sent> {
  const way = address.startsWith("http") ? new HttpWay(address) : new LinkWay(address);
  const start = performance.now();
  let sent = 0;
  for (let offered = 0; offered < frames; offered++) {
    if (way.offer()) sent++;
    const wait = start + (offered * 1000) / perSecond - performance.now();
    if (wait > 1) await sleep(wait);
  }
  way.cut();
  return { frames, sent, seconds: (performance.now() - start) / 1000 };
}

process.on("message", (message) => {
  flood(Flood.parse(message)).then(
    (sent) => process.send?.(sent),
    (error: unknown) => {
      process.stderr.write(`mallory: ${error}\n`);
      process.exit(1);
    },
  );
});
process.on("disconnect", () => process.exit());
process.send?.("ready");
