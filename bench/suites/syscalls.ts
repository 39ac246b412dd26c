/**
 * What a system call costs: an agent's process to the kernel and back, with all checks, beside a
 * bare echo over the same kind of transport with messages of the same sizes. Both sides are called
 * by the same processes, in turns, in one run. One caller gives the times of a call; many give
 * calls a second. The fake driver keeps the model out of it; what the model and the calls take
 * from each other is in syscalls-decode.ts.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ClientFrame, ServerFrame, Syscall, Usage } from "../../proto/gen/contix/v1/kernel.js";
import { connect } from "../../syscalls/index.js";
import type { Took, WayName } from "../agents/words.js";
import { alternate } from "../harness/alternate.js";
import { type Daemon, startDaemon } from "../harness/daemon.js";
import { processSeconds } from "../harness/machine.js";
import { type Figure, figure } from "../harness/report.js";
import { pairedRatio } from "../harness/stats.js";
import { type SuiteResult, say } from "./suite.js";
import { Callers, startEcho } from "./syscalls-callers.js";
import { decodeUnderCalls } from "./syscalls-decode.js";

export interface SyscallsOptions {
  readonly model: string;
  readonly threads: number;
  readonly seed: number;
  readonly rounds: number;
  /** Calls of one caller in a round. */
  readonly calls: number;
  /** Callers at once, and for how long in a round. */
  readonly agents: number;
  readonly seconds: number;
  /** Rows that decode while calls are timed; 0: that part is left out. */
  readonly rows: number;
  /** NATS beside gRPC. */
  readonly nats: boolean;
}

/** A side's run in one round. */
interface Run {
  readonly took: readonly Took[];
  /** Processor time of whoever answered, microseconds a call. */
  readonly serverUs: number;
}

export async function syscalls(options: SyscallsOptions): Promise<SuiteResult> {
  const figures = await besideEchoes(options);
  if (options.rows > 0) figures.push(...(await decodeUnderCalls(options)));
  return { parameters: { ...options }, figures, notes: NOTES };
}

const NOTES = [
  "null: sys.uname through the SDK; change: ctx.advise by a handle, which is journalled, kept until it is " +
    "acknowledged, and audited: its reply waits for the audit log to be on disk. echo: a bare grpc-js stream on a Unix socket, and bare " +
    "NATS request and reply on the kernel's nats-server, bytes as they are, of the null call's sizes. *.ratio and " +
    "*.share are taken round by round. *.server and *.caller: processor time of a call in the process that answers, " +
    "and in the one that asks. The callers, of both sides, have the OS priority that the kernel gives to agents " +
    "it spawns, and a session of their own as those have; the kernel, the engine and the echo have the usual one.",
];

async function besideEchoes(options: SyscallsOptions): Promise<Figure[]> {
  const { nats } = options;
  const flags = ["--driver", "fake", ...(nats ? ["--nats", "embedded"] : [])];
  await using daemon = await startDaemon(flags);
  const directory = await mkdtemp(join(tmpdir(), "contix-echo-"));
  try {
    const { request, reply } = await sizes(daemon);
    const grpc = `unix://${join(directory, "echo.sock")}`;
    await using echo = await startEcho({ grpc, home: nats ? daemon.home : "", bytes: reply });
    const server = (way: WayName): number => (way.endsWith("echo") ? echo.pid : daemon.pid);
    const ways: WayName[] = ["null", "grpc echo", "change"];
    if (nats) ways.push("nats null", "nats echo");
    const bare = { echo: grpc, requestBytes: request };
    const one = await Callers.start(1, daemon, ways, bare);
    const alone = await inTurns(options, one, ways, server, { calls: options.calls });
    await one[Symbol.asyncDispose]();
    await using many = await Callers.start(options.agents, daemon, ways, bare);
    const crowd = await inTurns(options, many, ways, server, { seconds: options.seconds });
    return [
      ...aloneFigures(alone, nats),
      ...crowdFigures(crowd, nats),
      figure("request", "bytes", [request]),
      figure("reply", "bytes", [reply]),
    ];
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** The bytes of the null call's frames, there and back. */
async function sizes(daemon: Daemon): Promise<{ request: number; reply: number }> {
  await using os = await connect({ home: daemon.home, name: "bench" });
  const { uptimeMs, ...value } = await os.sys.uname();
  const seq = 1000n;
  const call = Syscall.fromPartial({
    ...{ seq, ackedThrough: seq - 1n },
    call: { $case: "uname", value: {} },
  });
  const uname = { ...value, uptimeUs: BigInt(Math.round(uptimeMs * 1000)) };
  const reply = {
    seq,
    usage: Usage.fromPartial({}),
    result: { $case: "uname" as const, value: uname },
  };
  return {
    request: ClientFrame.encode({ frame: { $case: "call", value: call } }).finish().length,
    reply: ServerFrame.encode({ frame: { $case: "reply", value: reply } }).finish().length,
  };
}

async function inTurns(
  { rounds }: SyscallsOptions,
  callers: Callers,
  ways: readonly WayName[],
  server: (way: WayName) => number,
  much: { readonly calls?: number; readonly seconds?: number },
): Promise<Map<string, Run[]>> {
  const side = (way: WayName) => ({
    name: way,
    run: async (): Promise<Run> => {
      const before = processSeconds(server(way));
      const took = await callers.run({ way, ...much, everyMs: 0 });
      const cpu = processSeconds(server(way)) - before;
      return { took, serverUs: (cpu * 1e6) / sum(took, "calls") };
    },
  });
  return alternate(rounds, ways.map(side), (name, round, run) => {
    const p50 = Math.round(run.took[0]?.p50Us ?? 0);
    say(`round ${round + 1}: ${name} ${Math.round(rate(run))}/s, p50 ${p50} µs`);
  });
}

function aloneFigures(runs: ReadonlyMap<string, readonly Run[]>, nats: boolean): Figure[] {
  const of = (way: WayName, what: keyof Took): number[] =>
    (runs.get(way) ?? []).map(({ took }) => took[0]?.[what] ?? Number.NaN);
  const about = (id: string, way: WayName): Figure[] => [
    figure(`${id}.p50`, "µs", of(way, "p50Us")),
    figure(`${id}.p99`, "µs", of(way, "p99Us")),
    figure(
      `${id}.server`,
      "µs of CPU",
      (runs.get(way) ?? []).map(({ serverUs }) => serverUs),
    ),
    figure(`${id}.caller`, "µs of CPU", (runs.get(way) ?? []).map(callerUs)),
  ];
  const ratio = (id: string, ours: WayName, bare: WayName): Figure[] =>
    (["p50", "p99"] as const).map((p) =>
      figure(
        `${id}.${p}.ratio`,
        "× bare echo",
        pairedRatio(of(ours, `${p}Us`), of(bare, `${p}Us`)),
      ),
    );
  const figures = [
    ...ratio("null", "null", "grpc echo"),
    ...about("null", "null"),
    ...about("echo", "grpc echo"),
    ...about("change", "change"),
  ];
  if (!nats) return figures;
  return [
    ...figures,
    ...ratio("nats.null", "nats null", "nats echo"),
    ...about("nats.null", "nats null"),
    ...about("nats.echo", "nats echo"),
  ];
}

function crowdFigures(runs: ReadonlyMap<string, readonly Run[]>, nats: boolean): Figure[] {
  const of = (way: WayName): readonly Run[] => runs.get(way) ?? [];
  const rates = (way: WayName): number[] => of(way).map(rate);
  const about = (id: string, way: WayName): Figure[] => [
    figure(`${id}.rate`, "calls/s", rates(way)),
    figure(
      `${id}.crowd.server`,
      "µs of CPU",
      of(way).map(({ serverUs }) => serverUs),
    ),
    figure(`${id}.crowd.caller`, "µs of CPU", of(way).map(callerUs)),
  ];
  const share = (id: string, ours: WayName, bare: WayName): Figure =>
    figure(`${id}.share`, "of bare echo", pairedRatio(rates(ours), rates(bare)));
  const figures = [
    share("null", "null", "grpc echo"),
    share("change", "change", "grpc echo"),
    ...about("null", "null"),
    ...about("change", "change"),
    ...about("echo", "grpc echo"),
  ];
  if (!nats) return figures;
  return [
    ...figures,
    share("nats.null", "nats null", "nats echo"),
    ...about("nats.null", "nats null"),
    ...about("nats.echo", "nats echo"),
  ];
}

/** Calls a second of all callers together. */
function rate({ took }: Run): number {
  return took.reduce((all, { calls, seconds }) => all + calls / seconds, 0);
}

function callerUs({ took }: Run): number {
  return sum(took, "cpuUs") / sum(took, "calls");
}

function sum(took: readonly Took[], what: "calls" | "cpuUs"): number {
  return took.reduce((all, one) => all + one[what], 0);
}
