/** A Unix socket in front of another, whose connections a test can cut. */
import { mkdtemp, rm } from "node:fs/promises";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface Proxy extends AsyncDisposable {
  readonly address: string;
  /** Breaks every connection, as a lost transport would. */
  cut(): void;
}

/** Starts a proxy to the Unix socket of `address`. */
export async function startProxy(address: string): Promise<Proxy> {
  const home = await mkdtemp(join(tmpdir(), "contix-proxy-"));
  const sockets = new Set<Socket>();
  const server = createServer((near) => {
    const far = connect(address.replace("unix://", ""));
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from);
      from.pipe(to);
      from.on("error", () => to.destroy());
      from.on("close", () => {
        sockets.delete(from);
        to.destroy();
      });
    }
  });
  await new Promise<void>((listening) => server.listen(join(home, "s"), listening));
  const cut = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    address: `unix://${home}/s`,
    cut,
    async [Symbol.asyncDispose]() {
      cut();
      await new Promise((closed) => server.close(closed));
      await rm(home, { recursive: true, force: true });
    },
  };
}
