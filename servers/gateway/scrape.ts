/**
 * The kernel's figures as metrics. The kernel is asked with the key of whoever asks for
 * them, and each answer has a registry of its own: what the key may not see is left out.
 */
import { Counter, Gauge, Registry } from "prom-client";
import { type Os, type Stats, SyscallError } from "../../syscalls/index.js";
import type { Facts, Spread } from "./figure.js";
import { KERNEL_FIGURES, KERNEL_SPREADS } from "./kernel-figures.js";

/** The kernel's figures in Prometheus's text format, as far as `os` may see them. EPERM: none. */
export async function kernelFigures(os: Os, timeoutMs: number): Promise<string> {
  const how = { timeoutMs };
  const [uname, stats, memory, limits, models, processes, principals] = await Promise.all([
    os.sys.uname(how),
    allowed(os.sys.stats(how)),
    allowed(os.sys.free({ ...how, top: 1 })),
    allowed(os.sys.limits(how)),
    allowed(os.llm.models(how)),
    allowed(os.proc.ps(how)),
    allowed(os.principals.list(how)),
  ]);
  return render({ uname, stats, memory, limits, models, processes, principals });
}

async function allowed<T>(asked: Promise<T>): Promise<T | undefined> {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof SyscallError && error.code === "EPERM") return undefined;
    throw error;
  }
}

export async function render(facts: Facts): Promise<string> {
  const registry = new Registry();
  for (const { name, help, labels, read } of KERNEL_FIGURES) {
    const samples = read(facts);
    // A metric without samples would be shown as 0, which nobody said.
    if (samples.length === 0) continue;
    const settings = { name, help, labelNames: [...labels], registers: [registry] };
    const counts = name.endsWith("_total");
    const metric = counts ? new Counter(settings) : new Gauge(settings);
    for (const [value, values = {}] of samples) metric.inc(values, value);
  }
  const spreads = KERNEL_SPREADS.map((spread) => spreadText(spread, facts.stats));
  return `${await registry.metrics()}${spreads.join("")}`;
}

/** A histogram that somebody else has counted, which prom-client has no way to show. */
function spreadText({ name, help, label, read }: Spread, stats: Stats | undefined): string {
  const lines = (stats ? read(stats) : []).flatMap(({ call, count, sumMs, upTo }) => {
    const of = label === "" ? [] : [`${label}="${call}"`];
    const bucket = (le: string, n: number) => `${name}_bucket{${[...of, `le="${le}"`]}} ${n}`;
    const labels = of.length === 0 ? "" : `{${of}}`;
    return [
      ...upTo.map(({ ms, count: n }) => bucket(String(ms / 1000), n)),
      bucket("+Inf", count),
      `${name}_sum${labels} ${sumMs / 1000}`,
      `${name}_count${labels} ${count}`,
    ];
  });
  if (lines.length === 0) return "";
  return [`\n# HELP ${name} ${help}`, `# TYPE ${name} histogram`, ...lines, ""].join("\n");
}
