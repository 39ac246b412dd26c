/**
 * An agent for measurements: told a way and how often, it calls and reports what it took. The
 * same process knows the kernel's doors and the bare echoes beside them, so that both sides of a
 * comparison have the same caller.
 * usage: caller.js JSON (`Caller`), forked; told by messages (`Order`), it answers each (`Took`).
 */
import { setTimeout as sleep } from "node:timers/promises";
import { connect, type Os } from "contix";
import { grpcEcho } from "../echo/grpc.js";
import { natsEcho, natsUrl } from "../echo/nats.js";
import type { Way } from "../echo/way.js";
import { percentile } from "../harness/stats.js";
import { Caller, Order, type Took, type WayName } from "./words.js";

const { home, token, echo, requestBytes, ways } = Caller.parse(JSON.parse(process.argv[2] ?? ""));

async function open(name: WayName, attached: Map<string, Os>): Promise<Way> {
  if (name === "grpc echo") return grpcEcho(echo, requestBytes);
  if (name === "nats echo") return natsEcho(home, requestBytes);
  const address = name === "nats null" ? await natsUrl(home) : `unix://${home}/contixd.sock`;
  const os = attached.get(address) ?? (await connect({ address, token, name: "caller" }));
  attached.set(address, os);
  const nothing = (): Promise<unknown> => os.sys.uname();
  const context = name === "change" ? await os.ctx.create() : undefined;
  const act = context ? () => context.advise({ need: "unknown" }) : nothing;
  return {
    async call() {
      await act();
    },
    close: () => os.close(),
  };
}

const attached = new Map<string, Os>();
const opened = new Map<WayName, Way>();
for (const name of ways) opened.set(name, await open(name, attached));

async function obey({ way, calls = Infinity, seconds = Infinity, everyMs, afterMs }: Order) {
  const { call } = opened.get(way) ?? (await open(way, attached));
  const us: number[] = [];
  if (afterMs > 0) await sleep(afterMs);
  const cpu = process.cpuUsage();
  const start = performance.now();
  let now = start;
  while (us.length < calls && now - start < seconds * 1000) {
    const begun = now;
    await call();
    now = performance.now();
    us.push((now - begun) * 1000);
    const wait = start + us.length * everyMs - now;
    if (wait <= 0) continue;
    await sleep(wait);
    now = performance.now();
  }
  const { user, system } = process.cpuUsage(cpu);
  return {
    calls: us.length,
    seconds: (now - start) / 1000,
    cpuUs: user + system,
    p50Us: percentile(us, 0.5),
    p99Us: percentile(us, 0.99),
    maxUs: percentile(us, 1),
  } satisfies Took;
}

process.on("message", (message) => {
  obey(Order.parse(message)).then(
    (took) => process.send?.(took),
    (error: unknown) => {
      process.stderr.write(`caller: ${error}\n`);
      process.exit(1);
    },
  );
});
process.on("disconnect", () => process.exit());
process.send?.("ready");
