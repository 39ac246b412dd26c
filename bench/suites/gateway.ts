/**
 * What the gateway itself costs: processor time of its process for a request and for a
 * streamed token, beside that of a program which reads the same streams from the kernel by
 * the SDK. The fake driver makes the tokens, so that hardly anything else runs. Two lengths
 * of answers tell the request's part from the token's.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { Agent, request } from "node:http";
import { join } from "node:path";
import { connect, type Os } from "../../syscalls/index.js";
import { cpuUsOf, ownCpuUs } from "../harness/cpu.js";
import { startDaemon } from "../harness/daemon.js";
import { figure } from "../harness/report.js";
import { inCheckout } from "../harness/root.js";
import { pairedRatio } from "../harness/stats.js";
import { type SuiteResult, say } from "./suite.js";

export interface GatewayBenchOptions {
  readonly rounds: number;
  /** Requests of one length in a round. */
  readonly requests: number;
  /** Streams at once. */
  readonly streams: number;
}

const SHORT = 1;
const LONG = 200;
const PROMPT = "Hello there.";

/** Reads one answer of `tokens` tokens to its end. */
type ReadOne = (tokens: number) => Promise<void>;

interface Cost {
  readonly requestUs: number;
  readonly tokenUs: number;
}

export async function gateway(options: GatewayBenchOptions): Promise<SuiteResult> {
  await using daemon = await startDaemon(["--driver", "fake"]);
  const key = (await readFile(join(daemon.home, "admin.token"), "utf8")).trim();
  const address = `unix://${join(daemon.home, "contixd.sock")}`;
  const { child, port } = await startGateway(address);
  await using os = await connect({ address, token: key });
  const agent = new Agent({ keepAlive: true, maxSockets: options.streams });
  const http: Cost[] = [];
  const sdk: Cost[] = [];
  try {
    const byHttp: ReadOne = (tokens) => readHttp(agent, port, key, tokens);
    const bySdk: ReadOne = (tokens) => readSdk(os, tokens);
    const ofGateway = (): Promise<number> => cpuUsOf(child.pid ?? 0);
    await costOf(options, byHttp, ofGateway); // warm
    await costOf(options, bySdk, async () => ownCpuUs());
    for (let round = 0; round < options.rounds; round++) {
      http.push(await costOf(options, byHttp, ofGateway));
      sdk.push(await costOf(options, bySdk, async () => ownCpuUs()));
      say(`round ${round + 1}: ${JSON.stringify(http.at(-1))} ${JSON.stringify(sdk.at(-1))}`);
    }
  } finally {
    agent.destroy();
    child.kill("SIGTERM");
    await once(child, "exit");
  }
  const of = (costs: readonly Cost[], what: keyof Cost): number[] =>
    costs.map((cost) => cost[what]);
  const ratio = (what: keyof Cost) => pairedRatio(of(http, what), of(sdk, what));
  return {
    parameters: { ...options, shortTokens: SHORT, longTokens: LONG },
    figures: [
      figure("gateway request", "us of CPU", of(http, "requestUs")),
      figure("gateway token", "us of CPU", of(http, "tokenUs")),
      figure("sdk request", "us of CPU", of(sdk, "requestUs")),
      figure("sdk token", "us of CPU", of(sdk, "tokenUs")),
      figure("request over sdk", "times", ratio("requestUs")),
      figure("token over sdk", "times", ratio("tokenUs")),
    ],
    notes: ["The gateway reads by the SDK too: what is over 1 is HTTP, JSON and events."],
  };
}

/** What a request and a token of it cost whoever's processor time `cpuUs` reads. */
async function costOf(
  { requests, streams }: GatewayBenchOptions,
  read: ReadOne,
  cpuUs: () => Promise<number>,
): Promise<Cost> {
  const spent = async (tokens: number): Promise<number> => {
    const before = await cpuUs();
    let left = requests;
    const reader = async (): Promise<void> => {
      while (left-- > 0) await read(tokens);
    };
    await Promise.all(Array.from({ length: streams }, reader));
    return ((await cpuUs()) - before) / requests;
  };
  const short = await spent(SHORT);
  const long = await spent(LONG);
  const tokenUs = (long - short) / (LONG - SHORT);
  return { requestUs: short - tokenUs * SHORT, tokenUs };
}

async function readSdk(os: Os, maxTokens: number): Promise<void> {
  for await (const _ of os.llm.chat(PROMPT, { maxTokens, ignoreEos: true }));
}

function readHttp(agent: Agent, port: number, key: string, tokens: number): Promise<void> {
  const body = JSON.stringify({
    ...{ model: "fake", stream: true, max_tokens: tokens, ignore_eos: true },
    messages: [{ role: "user", content: PROMPT }],
  });
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${key}`, "content-length": Buffer.byteLength(body) };
    const path = "/v1/chat/completions";
    const sent = request({ agent, port, path, method: "POST", headers }, (answer) => {
      if (answer.statusCode !== 200) reject(new Error(`HTTP status ${answer.statusCode}`));
      answer.on("end", resolve).resume();
    });
    sent.on("error", reject).end(body);
  });
}

async function startGateway(kernel: string): Promise<{ child: ChildProcess; port: number }> {
  const flags = ["--listen", "127.0.0.1:0", "--kernel", kernel, "--log-level", "warn"];
  const child = spawn(
    process.execPath,
    [inCheckout("dist", "cli", "contix.js"), "gateway", ...flags],
    { stdio: ["ignore", "ignore", "inherit", "ipc"] },
  );
  const [word] = (await Promise.race([
    once(child, "message"),
    once(child, "exit").then(() => {
      throw new Error("the gateway did not start");
    }),
  ])) as [{ listening: string }];
  return { child, port: Number(new URL(word.listening).port) };
}
