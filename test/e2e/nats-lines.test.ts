/** The kernel's lines to a real server, cut and made again. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "@nats-io/transport-node";
import { expect, test } from "vitest";
import { ensureNatsServer } from "../../cli/nats/find.js";
import { systemClock, systemRandomness } from "../../kernel/clock.js";
import { silentLog } from "../../kernel/log.js";
import { openAccounts, userOf } from "../../kernel/nats/accounts.js";
import { Lines } from "../../kernel/nats/lines.js";
import { startNatsServer } from "../../kernel/nats/server.js";

test("who is told that all lines listen is heard, however often one was cut", async () => {
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
  const lines = await Lines.open({ url, ca: "", accounts, log: silentLog, onState });
  const agents = lines.line("agents");
  agents.subscribe("hello", { callback: (_, message) => void message.respond("heard") });
  await agents.flush();
  const user = { user: userOf("agents"), pass: accounts.passwords.agents };
  const client = await connect({ servers: url, ...user });
  try {
    for (let i = 0; i < 20; i++) {
      const down = new Promise<void>((resolve) => {
        changed = resolve;
      });
      await agents.reconnect();
      await down;
      expect(lines.up).toBe(false);
      await lines.listening();
      expect((await client.request("hello", "", { timeout: 5000 })).string()).toBe("heard");
    }
    expect(states.filter((up) => up)).toHaveLength(20);
  } finally {
    await client.close();
    await lines.close();
    await server.stop();
    rmSync(dir, { recursive: true, force: true });
  }
}, 60_000);
