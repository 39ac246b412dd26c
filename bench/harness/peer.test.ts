import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { Peer } from "./peer.js";

const SCRIPT = `
import { createInterface } from "node:readline";
for await (const line of createInterface({ input: process.stdin })) {
  const { id, cmd, x } = JSON.parse(line);
  if (cmd === "die") process.exit(3);
  const reply = cmd === "double" ? { id, result: { x: 2 * x } }
    : cmd === "close" ? { id, result: {} } : { id, error: "no command " + cmd };
  console.log(JSON.stringify(reply));
  if (cmd === "close") process.exit(0);
}`;

const Doubled = z.object({ x: z.number() });
let folder = "";
let script = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "contix-peer-test-"));
  script = join(folder, "peer.mjs");
  await writeFile(script, SCRIPT);
});
afterAll(() => rm(folder, { recursive: true }));

describe("Peer", () => {
  it("matches answers with commands, errors too", async () => {
    await using peer = new Peer(script);
    const two = peer.call("double", { x: 1 }, Doubled);
    const none = peer.call("halve", { x: 1 }, Doubled);
    await expect(none).rejects.toThrow("the peer: no command halve");
    expect(await two).toEqual({ x: 2 });
  });

  it("refuses an answer of another shape", async () => {
    await using peer = new Peer(script);
    await expect(peer.call("double", { x: 1 }, z.object({ y: z.number() }))).rejects.toThrow();
  });

  it("fails what is under way, and what comes later, when the peer dies", async () => {
    await using peer = new Peer(script);
    await expect(peer.call("die", {}, z.unknown())).rejects.toThrow("the peer ended with 3");
    await expect(peer.call("double", { x: 1 }, Doubled)).rejects.toThrow("ended with 3");
  });
});
