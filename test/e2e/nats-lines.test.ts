/** The kernel's lines to a real server, cut and made again. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "@nats-io/transport-node";
import { expect, test } from "vitest";
import { ensureNatsServer } from "../../cli/nats/find.js";
import { systemClock, systemRandomness } from "../../kernel/clock.js";
import { silentLog } from "../../kernel/log.js";
import { AGENTS, openAccounts, userOf } from "../../kernel/nats/accounts.js";
import { Lines } from "../../kernel/nats/lines.js";
import { startNatsServer } from "../../kernel/nats/server.js";

/** A server, the kernel's lines to it, and a client that asks what is listened to on them. */
async function withLines(
  act: (at: {
    readonly lines: Lines;
    readonly url: string;
    readonly system: string;
    /** Resolves when the lines' state changes next. */
    readonly change: () => Promise<void>;
    /** Asks, and has the answer that is given while the line for agents is there. */
    readonly ask: () => Promise<string>;
  }) => Promise<void>,
): Promise<boolean[]> {
  const dir = mkdtempSync(join(tmpdir(), "contix-lines-"));
  const accounts = openAccounts(join(dir, "nats"), systemRandomness);
  const server = await startNatsServer({
    ...{ binary: await ensureNatsServer(), directory: join(dir, "server"), port: 0 },
    ...{ settings: 'include "../nats/accounts.conf"\n', clock: systemClock, log: silentLog },
  });
  const url = `nats://127.0.0.1:${server.port}`;
  const states: boolean[] = [];
  let changed = (): void => {};
  const onState = (up: boolean): void => {
    states.push(up);
    changed();
  };
  const change = () =>
    new Promise<void>((resolve) => {
      changed = resolve;
    });
  const lines = await Lines.open({ url, ca: "", accounts, log: silentLog, onState });
  const agents = lines.line("agents");
  agents.subscribe("hello", { callback: (_, message) => void message.respond("heard") });
  await agents.flush();
  const user = { user: userOf("agents"), pass: accounts.passwords.agents };
  const client = await connect({ servers: url, ...user });
  const ask = async () => (await client.request("hello", "", { timeout: 5000 })).string();
  try {
    await act({ lines, url, system: accounts.passwords.system, change, ask });
  } finally {
    await client.close();
    await lines.close();
    await server.stop();
    rmSync(dir, { recursive: true, force: true });
  }
  return states;
}

test("who is told that all lines listen is heard, however often one was cut", async () => {
  const states = await withLines(async ({ lines, change, ask }) => {
    for (let i = 0; i < 20; i++) {
      const down = change();
      await lines.line("agents").reconnect();
      await down;
      expect(lines.up).toBe(false);
      await lines.listening();
      expect(await ask()).toBe("heard");
    }
  });
  expect(states.filter((up) => up)).toHaveLength(20);
}, 60_000);

/** Has the server cut the kernel's line for agents. */
const CUT = `
  import { connect } from "@nats-io/transport-node";
  const [servers, user, pass, account, name] = process.argv.slice(1);
  const system = await connect({ servers, user, pass });
  const wanted = JSON.stringify({ auth: true, acc: account });
  const { server, data } = (await system.request("$SYS.REQ.SERVER.PING.CONNZ", wanted)).json();
  for (const { cid, name: of } of data.connections) {
    if (of !== name) continue;
    await system.request("$SYS.REQ.SERVER." + server.id + ".KICK", JSON.stringify({ cid }));
    console.log("cut");
  }
  await system.close();
`;

test("a line that the server has cut does not listen, though nobody has read of its end", async () => {
  const states = await withLines(async ({ lines, url, system, ask }) => {
    const program = ["--input-type=module", "--eval", CUT];
    for (let i = 0; i < 3; i++) {
      // The line's end comes while this thread waits for the program, and is not read.
      const args = [...program, url, userOf("system"), system, AGENTS, userOf("agents")];
      expect(execFileSync(process.execPath, args, { encoding: "utf8" })).toBe("cut\n");
      expect(lines.up).toBe(true);
      await lines.listening();
      expect(lines.up).toBe(true);
      expect(await ask()).toBe("heard");
    }
  });
  expect(states).toEqual([false, true, false, true, false, true]);
}, 60_000);
