/**
 * What a ring of agents is measured beside: a server of lines on a Unix socket that answers a
 * call of the model when its time is over and hands messages on. It checks, books and keeps
 * nothing, so what a ring takes with it is the processes' and the machine's. Forked with JSON
 * (`Hub`); says when it listens.
 */
import { createServer, type Socket } from "node:net";
import { lines } from "./lines.js";
import { Hub, HubRequest } from "./words.js";

const { path, callMs } = Hub.parse(JSON.parse(process.argv[2] ?? ""));

interface Peer {
  readonly mail: string[];
  /** Whoever waits for the next message. */
  hear: ((text: string) => void) | undefined;
}

const peers = new Map<string, Peer>();

function peerOf(name: string): Peer {
  const peer = peers.get(name) ?? { mail: [], hear: undefined };
  peers.set(name, peer);
  return peer;
}

function deliver(peer: Peer): void {
  const { hear } = peer;
  const text = hear === undefined ? undefined : peer.mail.shift();
  if (text === undefined) return;
  peer.hear = undefined;
  hear?.(text);
}

function serve(socket: Socket): void {
  socket.on("error", () => undefined);
  lines(socket, (line) => {
    const { id, from, what, to, text } = HubRequest.parse(JSON.parse(line));
    const answer = (said: string): void => {
      socket.write(`${JSON.stringify({ id, text: said })}\n`);
    };
    if (what === "model") setTimeout(answer, callMs, "");
    else if (what === "send") {
      const peer = peerOf(to);
      peer.mail.push(text);
      answer("");
      deliver(peer);
    } else {
      const peer = peerOf(from);
      peer.hear = answer;
      deliver(peer);
    }
  });
}

createServer(serve).listen(path, () => process.send?.("ready"));
process.on("disconnect", () => process.exit());
