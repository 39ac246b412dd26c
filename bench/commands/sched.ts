/** Commands of the scheduler's suites. A suite's module is loaded only when it is named. */
import { type Command, Option } from "commander";
import { z } from "zod";
import { POLICY_NAMES } from "../../kernel/sched/policies.js";
import { atLeast, Common, report, rounds, suiteCommand } from "./common.js";

const Latency = Common.extend({
  ...{ slots: z.number(), longs: z.number(), longTokens: z.number().optional() },
  ...{ shortTokens: z.number(), everyMs: z.number() },
});
const Fair = Common.extend({
  ...{ slots: z.number(), others: z.number(), tokens: z.number() },
  seconds: z.number().optional(),
});
const Crowd = Common.extend({
  ...{ agents: z.number().optional(), calls: z.number(), tokens: z.number() },
});
const Real = Common.extend({
  ...{ policy: z.string(), agents: z.number().optional(), slots: z.number(), calls: z.number() },
  ...{ given: z.number(), generated: z.number(), calibration: z.string().optional() },
});

function count(flags: string, what: string, value: number): Option {
  return new Option(flags, what).default(value).argParser(atLeast(1));
}

export function schedLatencyCommand(): Command {
  return suiteCommand("sched-latency", "short calls behind long ones: rr against fifo, in turns")
    .addOption(count("--slots <n>", "of each daemon", 2))
    .addOption(count("--longs <n>", "long bursts", 8))
    .option("--long-tokens <n>", "of each (default: 1500, with --quick 100)", atLeast(1))
    .addOption(count("--short-tokens <n>", "of a short call", 20))
    .addOption(count("--every-ms <n>", "from one short call to the next", 2000))
    .action(async (raw) => {
      const options = Latency.parse(raw);
      await report("sched-latency", options, async () => {
        const { schedLatency } = await import("../suites/sched-latency.js");
        const longTokens = options.longTokens ?? (options.quick ? 100 : 1500);
        const { model, slots, longs, shortTokens, everyMs, threads, seed } = options;
        const calls = { longs, longTokens, shortTokens, everyMs };
        return schedLatency({ model, slots, ...calls, rounds: rounds(options), threads, seed });
      });
    });
}

export function schedFairCommand(): Command {
  return suiteCommand(
    "sched-fair",
    "one principal offers 20 times what each other does, under fair",
  )
    .addOption(count("--slots <n>", "of the daemon", 4))
    .addOption(count("--others <n>", "principals beside the greedy one", 9))
    .addOption(count("--tokens <n>", "of an answer", 32))
    .option("--seconds <n>", "of a run (default: 120, with --quick 10)", atLeast(1))
    .action(async (raw) => {
      const options = Fair.parse(raw);
      await report("sched-fair", options, async () => {
        const { schedFair } = await import("../suites/sched-fair.js");
        const seconds = options.seconds ?? (options.quick ? 10 : 120);
        const { model, slots, others, tokens, threads, seed } = options;
        const shape = { slots, others, tokens, seconds };
        return schedFair({ model, ...shape, rounds: rounds(options), threads, seed });
      });
    });
}

export function schedCrowdCommand(): Command {
  return suiteCommand("sched-crowd", "many real agent processes at once, on the fake driver")
    .option("--agents <n>", "processes (default: 250, with --quick 20)", atLeast(1))
    .addOption(count("--calls <n>", "of each", 3))
    .addOption(count("--tokens <n>", "of an answer", 16))
    .action(async (raw) => {
      const options = Crowd.parse(raw);
      await report("sched-crowd", options, async () => {
        const { schedCrowd } = await import("../suites/sched-crowd.js");
        const agents = options.agents ?? (options.quick ? 20 : 250);
        return schedCrowd({ agents, calls: options.calls, tokens: options.tokens });
      });
    });
}

export function schedRealCommand(): Command {
  return suiteCommand("sched-real", "the simulator against the real engine")
    .addOption(new Option("--policy <name>", "of both").default("rr").choices(POLICY_NAMES))
    .option("--agents <n>", "that live at once (default: 64, with --quick 8)", atLeast(1))
    .addOption(count("--slots <n>", "of the engine", 8))
    .addOption(count("--calls <n>", "of an agent", 4))
    .addOption(count("--given <n>", "tokens that a call gives, on average", 60))
    .addOption(count("--generated <n>", "tokens of an answer, on average", 30))
    .option("--calibration <file>", "keep the measured cost as JSON, for `sim sched --engine`")
    .action(async (raw) => {
      const options = Real.parse(raw);
      await report("sched-real", options, async () => {
        const { schedReal } = await import("../suites/sched-real.js");
        const agents = options.agents ?? (options.quick ? 8 : 64);
        const { model, policy, slots, calls, given, generated, threads, seed } = options;
        const shape = { policy, agents, slots, calls, given, generated };
        const { calibration } = options;
        const more = { rounds: rounds(options), threads, seed, calibration };
        return schedReal({ model, ...shape, ...more });
      });
    });
}
