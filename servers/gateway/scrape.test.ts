import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import type { Os, Stats, Uname } from "../../syscalls/index.js";
import { SyscallError } from "../../syscalls/index.js";
import { KERNEL_FIGURES, KERNEL_SPREADS } from "./kernel-figures.js";
import { GatewayMetrics } from "./metrics.js";
import { kernelFigures, render } from "./scrape.js";

const own = new GatewayMetrics({
  connections: async () => 0,
  attachments: () => 0,
  cut: () => 0,
  late: () => 0,
});

const denied = async (): Promise<never> => {
  throw new SyscallError("EPERM", "no");
};
const uname = {
  ...{ kernelVersion: "0", abi: 1, node: "n1", engineDigest: "d", model: "m" },
  ...{ driver: "fake", uptimeMs: 1500, daemonPid: 1, driverPid: 2 },
};

/** A kernel that answers what it is asked, and denies the rest. */
function kernel(answers: Record<string, unknown>): Os {
  const call = (name: string) => async () => (name in answers ? answers[name] : denied());
  return {
    sys: {
      uname: call("uname"),
      stats: call("stats"),
      free: call("free"),
      limits: call("limits"),
    },
    llm: { models: call("models") },
    proc: { ps: call("ps") },
    principals: { list: call("principals") },
  } as unknown as Os;
}

const NOTHING = {
  ...{ memory: undefined, limits: undefined, models: undefined },
  ...{ processes: undefined, principals: undefined },
};

/** Figures of which all others are 0. */
function zeroBut(told: Record<string, unknown>): Stats {
  return new Proxy(told, { get: (what, name: string) => what[name] ?? 0 }) as unknown as Stats;
}

describe("the kernel's figures", () => {
  it("leave out what the key may not see, and need the least", async () => {
    const limits = [
      { quota: "tokens", of: "principal", limit: 100, used: 25 },
      { quota: "contexts", of: "process", limit: Number.POSITIVE_INFINITY, used: 3 },
    ];
    const text = await kernelFigures(kernel({ uname, limits }), 1000);
    expect(text).toContain("contix_kernel_uptime_seconds 1.5");
    expect(text).toContain('contix_quota_used{quota="tokens",of="principal"} 25');
    expect(text).not.toContain('quota="contexts"');
    expect(text).not.toMatch(/^contix_kernel_slots /m);
    await expect(kernelFigures(kernel({ limits }), 1000)).rejects.toThrow("EPERM");
    const lost = kernel({ uname, limits: Promise.reject(new Error("lost")) });
    await expect(kernelFigures(lost, 1000)).rejects.toThrow("lost");
  });

  it("tell of each door, and of each way to be denied", async () => {
    const counts = { connections: 3, strangers: 1, accepted: 9, refused: 2, attached: 6 };
    const braked = { denied: 1, faults: 30, braked: 5 };
    const told: Record<string, unknown> = {
      slot: [],
      denials: [{ result: "EPERM", calls: 4 }],
      door: [{ door: "unix", ...counts, calls: 70, bytesIn: 800, bytesOut: 900, ...braked }],
      ...{ queue: [], callTime: [] },
    };
    const text = await render({ ...NOTHING, uname: uname as Uname, stats: zeroBut(told) });
    const shown = text.split("\n").filter((line) => /^contix_(door|kernel_denials)_/.test(line));
    expect(shown).toEqual([
      'contix_kernel_denials_total{result="EPERM"} 4',
      'contix_door_connections{door="unix"} 3',
      'contix_door_strangers_connections{door="unix"} 1',
      'contix_door_accepted_total{door="unix"} 9',
      'contix_door_refused_total{door="unix"} 2',
      'contix_door_attached_total{door="unix"} 6',
      'contix_door_calls_total{door="unix"} 70',
      'contix_door_received_bytes_total{door="unix"} 800',
      'contix_door_sent_bytes_total{door="unix"} 900',
      'contix_door_denied_total{door="unix"} 1',
      'contix_door_faults_total{door="unix"} 30',
      'contix_door_braked_total{door="unix"} 5',
    ]);
  });

  it("tell of each tier, and of what the tiers could not keep", async () => {
    const tier = { places: 9, used: 4, bytes: 90, bytesUsed: 40, evicted: 3 };
    const model = {
      ...{ model: "m", contexts: 1, contextTokens: 2, tokensEntered: 3, tokensRecomputed: 4 },
      ...{ pagesAsked: 5, pagesFound: 6, pagesBad: 7, swapErrors: 8, pagesRefused: 9 },
      tiers: [
        { ...tier, name: "swap" },
        { ...tier, name: "dropped", places: 0 },
      ],
    };
    const text = await kernelFigures(kernel({ uname, free: { models: [model] } }), 1000);
    for (const line of [
      'contix_pages_bad_total{model="m"} 7',
      'contix_swap_errors_total{model="m"} 8',
      'contix_pages_refused_total{model="m"} 9',
      'contix_tier_evicted_pages_total{model="m",tier="swap"} 3',
      'contix_tier_used_places{model="m",tier="dropped"} 4',
    ]) {
      expect(text).toContain(line);
    }
  });

  it("tell of each queue, and how long calls take in the kernel", async () => {
    const times = { count: 3, sumMs: 4.5, upTo: [{ ms: 0.1, count: 2 }] };
    const told: Record<string, unknown> = {
      ...{ slot: [], denials: [], door: [] },
      queue: [
        { queue: "audit", length: 2, limit: 16384, bytes: null, lost: 7 },
        { queue: "pipes", length: 4, limit: null, bytes: 4096, lost: 0 },
      ],
      callTime: [{ call: "sys.uname", ...times }],
      slotWait: { call: "", ...times },
    };
    const text = await render({ ...NOTHING, uname: uname as Uname, stats: zeroBut(told) });
    const shown = text
      .split("\n")
      .filter((line) => /^contix_kernel_(queue_[lb]|call|slot_w)/.test(line));
    expect(shown).toEqual([
      'contix_kernel_queue_length{queue="audit"} 2',
      'contix_kernel_queue_length{queue="pipes"} 4',
      'contix_kernel_queue_limit_length{queue="audit"} 16384',
      'contix_kernel_queue_bytes{queue="pipes"} 4096',
      'contix_kernel_queue_lost_total{queue="audit"} 7',
      'contix_kernel_queue_lost_total{queue="pipes"} 0',
      "contix_kernel_queue_limit_generations 0",
      'contix_kernel_call_seconds_bucket{call="sys.uname",le="0.0001"} 2',
      'contix_kernel_call_seconds_bucket{call="sys.uname",le="+Inf"} 3',
      'contix_kernel_call_seconds_sum{call="sys.uname"} 0.0045',
      'contix_kernel_call_seconds_count{call="sys.uname"} 3',
      'contix_kernel_slot_wait_seconds_bucket{le="0.0001"} 2',
      'contix_kernel_slot_wait_seconds_bucket{le="+Inf"} 3',
      "contix_kernel_slot_wait_seconds_sum 0.0045",
      "contix_kernel_slot_wait_seconds_count 3",
    ]);
    expect(text).toMatch(/\n# TYPE contix_kernel_call_seconds histogram\n/);
  });

  it("add up what has the same labels", async () => {
    const ps = [
      { state: "ready", mail: 2 },
      { state: "ready", mail: 3 },
      { state: "running", mail: 0 },
    ];
    const text = await kernelFigures(kernel({ uname, ps }), 1000);
    expect(text).toContain('contix_processes{state="ready"} 2');
    expect(text).toContain("contix_mailbox_messages 5");
  });

  it("are named as Prometheus wants it, each once", () => {
    const names = [...KERNEL_FIGURES, ...KERNEL_SPREADS].map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    for (const name of names) expect(name).toMatch(/^contix_[a-z_]+$/);
  });
});

it("the dashboard names only figures that there are", async () => {
  const json = await own.registry.getMetricsAsJSON();
  const histograms = json.filter(({ type }) => String(type) === "histogram");
  const known = new Set([
    ...[...json, ...KERNEL_FIGURES].map(({ name }) => name),
    ...[...histograms, ...KERNEL_SPREADS].flatMap(({ name }) => [
      `${name}_bucket`,
      `${name}_sum`,
      `${name}_count`,
    ]),
  ]);
  const directory = fileURLToPath(new URL("../../deploy/grafana/", import.meta.url));
  const named = new Set<string>();
  for (const file of readdirSync(directory)) {
    const board = JSON.parse(readFileSync(`${directory}${file}`, "utf8"));
    for (const { targets = [] } of board.panels as { targets?: { expr: string }[] }[]) {
      for (const { expr } of targets) {
        for (const [name] of expr.matchAll(/contix_\w+/g)) named.add(name);
      }
    }
  }
  expect(named.size).toBeGreaterThan(30);
  expect([...named].filter((name) => !known.has(name))).toEqual([]);
});
