/**
 * Somebody who has a key and sends what is malformed, at a pace. What that brings upon him (a
 * frame that happens to be `exit` ends his process) is his own: then he comes again.
 * usage: mallory.js JSON (`Mallory`), forked; told by messages (`Flood`), it answers each (`Sent`).
 */
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { Hello } from "../../proto/gen/contix/v1/kernel.js";
import { type Link, openLink } from "../../syscalls/wire/link.js";
import { malformedFrames, malformedRequests } from "../harness/malformed.js";
import { Flood, Mallory, type Sent } from "./words.js";

const { token, seed } = Mallory.parse(JSON.parse(process.argv[2] ?? ""));

const PATIENCE_MS = 10_000;
/** Requests at once: each is a connection of its own. */
const MOST_OPEN = 64;

/** Sends one; resolves when the next may follow. */
type Send = () => Promise<void>;

function overLink(address: string): Send {
  const frames = malformedFrames(seed);
  let link: Link | undefined;
  return async () => {
    if (link === undefined) {
      const hello = Hello.fromPartial({ abi: 1, token, name: "mallory" });
      const opened = await openLink({ address, token, tls: {} }, hello, PATIENCE_MS, {
        frame: () => undefined,
        end: () => {
          if (link === opened) link = undefined;
        },
      });
      link = opened;
    }
    link.send(Buffer.from(frames.next().value));
  };
}

function overHttp(address: string): Send {
  const requests = malformedRequests(seed, token);
  const { hostname, port } = new URL(address);
  const open = new Set<Promise<unknown>>();
  return async () => {
    if (open.size >= MOST_OPEN) await Promise.race(open);
    const socket = connect(Number(port), hostname);
    socket.on("error", () => undefined).resume();
    socket.end(requests.next().value);
    const over = new Promise((resolve) => socket.once("close", resolve));
    void over.then(() => open.delete(over));
    open.add(over);
  };
}

async function flood({ address, frames, perSecond }: Flood): Promise<Sent> {
  const send = address.startsWith("http") ? overHttp(address) : overLink(address);
  const start = performance.now();
  for (let sent = 0; sent < frames; sent++) {
    await send();
    const wait = start + (sent * 1000) / perSecond - performance.now();
    if (wait > 1) await sleep(wait);
  }
  return { frames, seconds: (performance.now() - start) / 1000 };
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
