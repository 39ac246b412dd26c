/**
 * What malformed frames cost others: the p99 of an agent's null calls while somebody with a key
 * sends them through a door, over that of the same calls without. Stretches of each door and of
 * quiet follow each other in one run; in all, each door gets `frames` of them.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { connect, type Os } from "../../syscalls/index.js";
import { type Mallory, Sent, type Took } from "../agents/words.js";
import { alternate } from "../harness/alternate.js";
import { type Daemon, startDaemon } from "../harness/daemon.js";
import { Forked } from "../harness/forked.js";
import { type Figure, figure } from "../harness/report.js";
import { pairedRatio } from "../harness/stats.js";
import { type SuiteResult, say } from "./suite.js";
import { Callers } from "./syscalls-callers.js";

export interface MalformedOptions {
  readonly seed: number;
  readonly rounds: number;
  /** Through each door, in all rounds. */
  readonly frames: number;
  readonly perSecond: number;
}

/** Of the agent whose calls are timed, milliseconds apart. */
const EVERY_MS = 2;

/** Of one door, a second. */
interface Rates {
  /** Frames that were offered, and of them those that went out. */
  readonly offered: number;
  readonly sent: number;
  /** What the kernel took of them and found to say nothing; of HTTP, which the gateway takes, none. */
  readonly faults: number;
}
const NONE: Rates = { offered: 0, sent: 0, faults: 0 };

interface Stretch {
  readonly took: Took;
  readonly rates: Rates;
}

const NOTES = [
  "bare: Node's own HTTP server, which answers everything with 400, given the requests of http: what its ratio shows is " +
    "the sender's and the machine's. It has the usual OS priority, where the gateway is nicer.",
  "Truncated, bit-flipped, mistyped, nested and oversized (to 100 kB) frames of the ABI, and requests of HTTP, by one " +
    "principal with a key, offered at the pace of the parameters (*.rate). A sender that is not read stops when its " +
    "link is full, and one that is hung up on comes again every 100 ms: *.sent is what went out, and *.faults what the " +
    "kernel took of that and found to say nothing, by its own figures; a frame that happens to be a call is none. " +
    "The timed agent calls sys.uname over the Unix socket every 2 ms. *.ratio is its p99 over that of the quiet " +
    "stretch of the same round.",
];

export async function malformed(options: MalformedOptions): Promise<SuiteResult> {
  const flags = ["--driver", "fake", "--nats", "embedded"];
  await using daemon = await startDaemon([
    ...flags,
    ...["--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"],
  ]);
  await using bare = await Forked.start("agents/bare-http.js", {});
  const doors = await doorsOf(daemon);
  doors.set("bare", z.string().parse(bare.greeting));
  const settings: Mallory = { token: await keyOfMallory(daemon), seed: options.seed };
  await using mallory = await Forked.startAgent("agents/mallory.js", settings);
  await using caller = await Callers.start(1, daemon, ["null"]);
  await using os = await connect({ home: daemon.home, name: "bench" });
  const runs = await inTurns(options, doors, mallory, caller, () => faultsOf(os));
  return { parameters: { ...options }, figures: figuresOf(runs, doors), notes: NOTES };
}

const Facts = z.object({ addresses: z.array(z.string()), http: z.string() });

/** The doors by name, and where they are. */
async function doorsOf({ home }: Daemon): Promise<Map<string, string>> {
  const facts = Facts.parse(JSON.parse(await readFile(join(home, "contixd.json"), "utf8")));
  const [unix = "", tcp = "", nats = ""] = facts.addresses;
  return new Map(Object.entries({ unix, tcp, nats, http: facts.http }));
}

/** She may do as little as the frames could ask for, and nothing that lasts. */
async function keyOfMallory({ home }: Daemon): Promise<string> {
  await using os = await connect({ home, name: "bench" });
  await os.principals.add("mallory");
  const { key } = await os.principals.addKey("mallory", { scopes: ["sys", "llm", "ctx", "ipc"] });
  return key;
}

/** So far, by the kernel's names of its doors. */
async function faultsOf(os: Os): Promise<ReadonlyMap<string, number>> {
  const { door } = await os.sys.stats();
  return new Map(door.map(({ door: name, faults }) => [name, faults]));
}

async function inTurns(
  { rounds, frames, perSecond }: MalformedOptions,
  doors: ReadonlyMap<string, string>,
  mallory: Forked,
  caller: Callers,
  faults: () => Promise<ReadonlyMap<string, number>>,
): Promise<Map<string, Stretch[]>> {
  const each = Math.ceil(frames / rounds);
  const seconds = each / perSecond;
  const timed = async (): Promise<Took> => {
    const [took] = await caller.run({ way: "null", seconds, everyMs: EVERY_MS });
    if (took === undefined) throw new Error("the caller said nothing");
    return took;
  };
  const quiet = { name: "quiet", run: async () => ({ took: await timed(), rates: NONE }) };
  const under = [...doors].map(([name, address]) => ({
    name,
    run: async () => {
      const kernels = name === "tcp" ? "grpc" : name;
      const before = (await faults()).get(kernels) ?? 0;
      const flooded = mallory.hear(600_000);
      mallory.tell({ address, frames: each, perSecond });
      const [took, sent] = await Promise.all([timed(), flooded]);
      const { frames: n, sent: out, seconds: long } = Sent.parse(sent);
      const taken = ((await faults()).get(kernels) ?? 0) - before;
      return { took, rates: { offered: n / long, sent: out / long, faults: taken / long } };
    },
  }));
  return alternate<Stretch>(rounds, [quiet, ...under], (side, round, { took, rates }) => {
    const [offered, sent, taken] = [rates.offered, rates.sent, rates.faults].map(Math.round);
    const pace = `${offered}/s offered, ${sent} sent, ${taken} faults taken`;
    say(`round ${round + 1}: ${side} ${pace}, p99 ${Math.round(took.p99Us)} µs`);
  });
}

function figuresOf(
  runs: ReadonlyMap<string, readonly Stretch[]>,
  doors: ReadonlyMap<string, string>,
): Figure[] {
  const p99 = (side: string): number[] => (runs.get(side) ?? []).map(({ took }) => took.p99Us);
  const p50 = (side: string): number[] => (runs.get(side) ?? []).map(({ took }) => took.p50Us);
  const rates = (side: string, name: keyof Rates): number[] =>
    (runs.get(side) ?? []).map((stretch) => stretch.rates[name]);
  const of = (side: string): Figure[] => [
    figure(`${side}.p99`, "µs", p99(side)),
    figure(`${side}.p50`, "µs", p50(side)),
  ];
  return [
    ...[...doors.keys()].map((door) =>
      figure(`${door}.ratio`, "× quiet p99", pairedRatio(p99(door), p99("quiet"))),
    ),
    ...["quiet", ...doors.keys()].flatMap(of),
    ...[...doors.keys()].flatMap((door) => [
      figure(`${door}.rate`, "frames/s", rates(door, "offered")),
      figure(`${door}.sent`, "frames/s", rates(door, "sent")),
      figure(`${door}.faults`, "frames/s", rates(door, "faults")),
    ]),
  ];
}
