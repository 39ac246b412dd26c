import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { random } from "../../harness/random.js";
import { Dice } from "../dice.js";
import { SECOND } from "../workload.js";
import { azure } from "./azure.js";
import { claudeSessions } from "./claude.js";
import { TraceError } from "./lines.js";
import { mooncake } from "./mooncake.js";
import { tau } from "./tau.js";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "contix-traces-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const dice = () => new Dice(random(1));
function put(name: string, lines: readonly (string | object)[]): void {
  const text = lines.map((line) => (typeof line === "string" ? line : JSON.stringify(line)));
  writeFileSync(join(folder, name), gzipSync(text.join("\n")));
}

describe("claude_code_sessions", () => {
  const FILE = "claude_code_sessions.jsonl.gz";
  const request = (t: number, hr: number[][], stop: string) => ({
    ...{ t, type: "n", model: "m", in: 1, out: 128, hr, stop },
    ...{ input_types: ["text"], output_types: ["text"], api_time: 2, think_time: 0 },
  });
  const session = (requests: object[]) => ({ id: "x", block_size: 64, requests });
  const load = (scale = 64) => claudeSessions(folder, scale, 1, dice());

  it("makes a context of requests that go on, and another of those that do not", () => {
    const requests = [
      request(0, [[1, 10]], "tool_use"),
      request(9, [[1, 14]], "end_turn"),
      request(20, [[50, 6]], "end_turn"),
    ];
    put(FILE, [session([...requests, { t: 30, type: "subagent", requests: requests.slice(2) }])]);
    const { lives } = load();
    expect(lives.map(({ turns }) => turns.length)).toEqual([2, 1, 1]);
    const [first, second] = lives[0]?.turns ?? [];
    expect(first?.wait.kind).toBe("tool");
    expect(second?.wait.kind).toBe("message");
    expect((second?.at ?? 0) - (first?.at ?? 0)).toBeCloseTo(9 * SECOND, 3);
    expect(first?.prompt()).toHaveLength(10);
    // What it generated is what the next prompt has there.
    expect(second?.prompt()).toEqual(
      expect.arrayContaining([...(first?.prompt() ?? []), ...(first?.output() ?? [])]),
    );
    // Block ids are local: the sub-agent's are its session's.
    expect(lives[2]?.turns[0]?.prompt()).toEqual(lives[1]?.turns[0]?.prompt());
  });

  it("keeps lengths in proportion at any scale", () => {
    put(FILE, [session([request(0, [[1, 100]], "end_turn")])]);
    for (const scale of [16, 64, 256]) {
      const prompt = load(scale).lives[0]?.turns[0]?.prompt() ?? [];
      expect(prompt).toHaveLength(6400 / scale);
      expect(new Set(prompt).size).toBe(prompt.length);
    }
  });

  it("names file, line and place of what is wrong", () => {
    put(FILE, [session([]), session([{ ...request(0, [[1, 1]], "x"), out: "many" }])]);
    expect(load).toThrow(TraceError);
    expect(load).toThrow(/claude_code_sessions.jsonl.gz, line 2: requests\.0\.out: /);
    put(FILE, [session([]), "{"]);
    expect(load).toThrow(/line 2: /);
    writeFileSync(join(folder, FILE), "no gzip");
    expect(load).toThrow(/can not be unpacked/);
    rmSync(join(folder, FILE));
    expect(load).toThrow(/there is no such file/);
  });
});

describe("mooncake", () => {
  it("makes equal tokens of equal blocks", () => {
    const row = (timestamp: number, hash_ids: number[]) => ({
      ...{ timestamp, input_length: hash_ids.length * 512, output_length: 64, hash_ids },
    });
    put("mooncake_conversation_2000.jsonl.gz", [row(0, [0, 1]), row(5, [0, 2])]);
    const { lives } = mooncake(folder, 64, 1);
    const [one, two] = lives.map(({ turns }) => turns[0]?.prompt() ?? []);
    expect(one).toHaveLength(16);
    expect(two?.slice(0, 8)).toEqual(one?.slice(0, 8));
    expect(two?.[8]).not.toBe(one?.[8]);
    expect(lives[1]?.turns[0]?.at).toBe(5000);
    put("mooncake_conversation_2000.jsonl.gz", [{ timestamp: -1 }]);
    expect(() => mooncake(folder, 64, 1)).toThrow(/line 1: timestamp: /);
  });
});

describe("azure", () => {
  const FILE = "azure_llm_2023_conv.csv.gz";
  const HEAD = "TIMESTAMP,ContextTokens,GeneratedTokens";
  it("joins a request to the conversation that it can go on from", () => {
    const at = (s: string) => `2023-11-16 18:15:${s}.0000000`;
    put(FILE, [HEAD, `${at("00")},100,20`, `${at("01")},1000,20`, `${at("30")},160,20`]);
    const { lives } = azure(folder, 1, 1);
    expect(lives.map(({ turns }) => turns.length)).toEqual([2, 1]);
    const [first, second] = lives[0]?.turns ?? [];
    expect(second?.at).toBe(30 * SECOND);
    expect(second?.prompt().slice(0, 120)).toEqual([
      ...(first?.prompt() ?? []),
      ...(first?.output() ?? []),
    ]);
  });

  it("names what is wrong", () => {
    put(FILE, [HEAD, "yesterday,1,2"]);
    expect(() => azure(folder, 1, 1)).toThrow(/line 2: 0: expected a time/);
    put(FILE, [HEAD, "2023-11-16 18:15:00,1,-2"]);
    expect(() => azure(folder, 1, 1)).toThrow(/line 2: 2: expected a number of tokens/);
    put(FILE, ["a,b"]);
    expect(() => azure(folder, 1, 1)).toThrow(/line 1: expected TIMESTAMP/);
  });
});

describe("tau", () => {
  it("takes a turn at each message of the assistant", () => {
    const traj = [
      { role: "system", content: "Be brief and helpful." },
      { role: "user", content: "Hello, I would like a flight." },
      { role: "assistant", content: null, tool_calls: [{ id: "1" }] },
      { role: "tool", content: "a flight" },
      { role: "assistant", content: "Here it is." },
    ];
    put("tau_bench_gpt4o_airline_40.jsonl.gz", [{ task_id: 1, trial: 0, reward: 1, traj }]);
    const { lives } = tau(folder, 1, 1, dice());
    const [first, second] = lives[0]?.turns ?? [];
    expect([first?.wait.kind, second?.wait.kind]).toEqual(["tool", "message"]);
    const said = [...(first?.prompt() ?? []), ...(first?.output() ?? [])];
    expect(second?.prompt().slice(0, said.length)).toEqual(said);
    expect(lives[1]?.turns[0]?.prompt()).toEqual(first?.prompt());
    put("tau_bench_gpt4o_airline_40.jsonl.gz", [{ task_id: 1, trial: 0, traj: [{ role: "me" }] }]);
    expect(() => tau(folder, 1, 1, dice())).toThrow(/line 1: traj\.0\.role: /);
  });
});
