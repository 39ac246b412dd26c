/** A command for each suite. A suite's module is loaded only when it is named. */
import { type Command, InvalidArgumentError, Option } from "commander";
import { z } from "zod";
import { atLeast, Common, list, report, rounds, suiteCommand } from "./common.js";

const Engine = Common.extend({
  gguf: z.string().optional(),
  rows: z.array(z.number()),
  contexts: z.array(z.number()),
  peers: z.array(z.enum(["llama", "formats", "transformers"])),
  prefill: z.number(),
  steps: z.number().optional(),
});

const Step = Common.extend({ rows: z.number(), context: z.number(), steps: z.number().optional() });

const Soak = Common.extend({ seconds: z.number().optional(), threadCounts: z.array(z.number()) });

const Quality = Common.extend({ window: z.number(), windows: z.number().optional() });

const Pages = Common.extend({ agents: z.number().optional() });

const Kernel = Common.extend({
  agents: z.number(),
  words: z.number(),
  tokens: z.number().optional(),
  slotTokens: z.number(),
});

const PEERS = ["llama", "formats", "transformers"];

/** Peers by name, or none. */
function peerList(text: string): string[] {
  const names = text === "none" ? [] : text.split(",");
  const wrong = names.find((name) => !PEERS.includes(name));
  if (wrong === undefined) return names;
  throw new InvalidArgumentError(`Expected some of ${PEERS.join(", ")}, or none.`);
}

export function engineCommand(): Command {
  return suiteCommand("engine", "our driver against its peers on the same weights, in turns")
    .addOption(
      new Option("--rows <list>", "rows to decode at once").default([1, 8, 16]).argParser(list),
    )
    .addOption(
      new Option("--contexts <list>", "tokens before the timed ones")
        .default([64, 512])
        .argParser(list),
    )
    .addOption(
      new Option(
        "--peers <list>",
        "llama: node-llama-cpp; formats: it on Q8_0 and Q4_0 too; transformers",
      )
        .default(PEERS)
        .argParser(peerList),
    )
    .addOption(
      new Option("--prefill <n>", "tokens of the timed prompt; 0: none")
        .default(512)
        .argParser(atLeast(0)),
    )
    .option("--steps <n>", "timed decode steps (default: 64, with --quick 8)", atLeast(1))
    .option("--gguf <file>", "another GGUF for llama.cpp")
    .action(async (raw) => {
      const options = Engine.parse(raw);
      const { model, gguf, rows, contexts, peers, prefill, threads, seed, quick } = options;
      await report("engine", options, async () => {
        const { engine } = await import("../suites/engine.js");
        const steps = options.steps ?? (quick ? 8 : 64);
        return engine({
          model,
          gguf,
          rows,
          contexts,
          peers,
          prefill,
          steps,
          rounds: rounds(options),
          threads,
          seed,
        });
      });
    });
}

export function stepCommand(): Command {
  return suiteCommand("step", "where a decode step's time goes, in the real driver")
    .addOption(new Option("--rows <n>", "rows to decode at once").default(16).argParser(atLeast(1)))
    .addOption(
      new Option("--context <n>", "tokens before the timed ones").default(64).argParser(atLeast(2)),
    )
    .option("--steps <n>", "steps of a round (default: 200, with --quick 24)", atLeast(8))
    .action(async (raw) => {
      const options = Step.parse(raw);
      const { model, rows, context, threads, seed, quick } = options;
      await report("step", options, async () => {
        const { step } = await import("../suites/step.js");
        const steps = options.steps ?? (quick ? 24 : 200);
        return step({ model, rows, context, steps, rounds: rounds(options), threads, seed });
      });
    });
}

export function soakCommand(): Command {
  return suiteCommand("soak", "random work with cancels and collections; nothing may break or grow")
    .option(
      "--seconds <n>",
      "at each number of threads (default: 600, with --quick 20)",
      atLeast(1),
    )
    .addOption(
      new Option("--thread-counts <list>", "threads of the engine, one soak each")
        .default([1, 2])
        .argParser(list),
    )
    .action(async (raw) => {
      const options = Soak.parse(raw);
      const { model, threadCounts, seed, quick } = options;
      await report("soak", options, async () => {
        const { soak } = await import("../suites/soak.js");
        const seconds = options.seconds ?? (quick ? 20 : 600);
        return soak({ model, seconds, threadCounts, seed });
      });
    });
}

export function qualityCommand(): Command {
  return suiteCommand("quality", "what the recipe costs against the fp32 graph, on bench/texts")
    .addOption(new Option("--window <n>", "tokens of a window").default(512).argParser(atLeast(2)))
    .option("--windows <n>", "windows of each text (default: 9, with --quick 1)", atLeast(1))
    .action(async (raw) => {
      const options = Quality.parse(raw);
      const { model, window, threads, seed, quick } = options;
      await report("quality", options, async () => {
        const { quality } = await import("../suites/quality.js");
        return quality({
          model,
          window,
          windows: options.windows ?? (quick ? 1 : 9),
          threads,
          seed,
        });
      });
    });
}

export function kernelCommand(): Command {
  return suiteCommand("kernel", "agents through the daemon against the bare driver, in turns")
    .addOption(new Option("--agents <n>", "agents, and slots").default(16).argParser(atLeast(1)))
    .addOption(new Option("--words <n>", "words of a prompt").default(60).argParser(atLeast(2)))
    .option("--tokens <n>", "tokens an agent generates (default: 128, with --quick 16)", atLeast(1))
    .addOption(
      new Option("--slot-tokens <n>", "window of a slot").default(512).argParser(atLeast(16)),
    )
    .action(async (raw) => {
      const options = Kernel.parse(raw);
      const { model, agents, words, slotTokens, threads, seed, quick } = options;
      await report("kernel", options, async () => {
        const { kernel } = await import("../suites/kernel.js");
        const tokens = options.tokens ?? (quick ? 16 : 128);
        return kernel({
          model,
          agents,
          words,
          tokens,
          slotTokens,
          rounds: rounds(options),
          threads,
          seed,
        });
      });
    });
}

export function pagesCommand(): Command {
  return suiteCommand("pages", "what pages save, and what moving them costs")
    .option("--agents <n>", "agents of the sharing part (default: 64, with --quick 8)", atLeast(4))
    .action(async (raw) => {
      const options = Pages.parse(raw);
      const { model, threads, seed, quick } = options;
      await report("pages", options, async () => {
        const { pages } = await import("../suites/pages.js");
        const agents = options.agents ?? (quick ? 8 : 64);
        return pages({ model, rounds: rounds(options), threads, seed, agents });
      });
    });
}

export function startupCommand(): Command {
  return suiteCommand("startup", "from the start of contixd to SERVING").action(async (raw) => {
    const options = Common.parse(raw);
    await report("startup", options, async () => {
      const { startup } = await import("../suites/startup.js");
      return startup({ model: options.model, rounds: rounds(options) });
    });
  });
}

const Gateway = Common.extend({ requests: z.number(), streams: z.number() });

export function gatewayCommand(): Command {
  return suiteCommand("gateway", "the gateway's own processor time against the SDK's")
    .addOption(
      new Option("--requests <n>", "requests of each length in a round")
        .default(200)
        .argParser(atLeast(1)),
    )
    .addOption(new Option("--streams <n>", "streams at once").default(8).argParser(atLeast(1)))
    .action(async (raw) => {
      const options = Gateway.parse(raw);
      await report("gateway", options, async () => {
        const { gateway } = await import("../suites/gateway.js");
        const { requests, streams } = options;
        return gateway({ rounds: rounds(options), requests, streams });
      });
    });
}

const Syscalls = Common.extend({
  calls: z.number().optional(),
  agents: z.number().optional(),
  seconds: z.number().optional(),
  rows: z.number(),
  nats: z.boolean(),
});

export function syscallsCommand(): Command {
  return suiteCommand("syscalls", "a call to the kernel and back, against a bare echo, in turns")
    .option("--calls <n>", "of one caller in a round (default: 5000, with --quick 300)", atLeast(1))
    .option("--agents <n>", "callers at once (default: 64, with --quick 4)", atLeast(1))
    .option("--seconds <n>", "they call in a round (default: 4, with --quick 1)", atLeast(1))
    .addOption(
      new Option("--rows <n>", "that decode on the real engine meanwhile; 0: leave that out")
        .default(16)
        .argParser(atLeast(0)),
    )
    .option("--no-nats", "gRPC only")
    .action(async (raw) => {
      const options = Syscalls.parse(raw);
      const { model, threads, seed, rows, nats, quick } = options;
      await report("syscalls", options, async () => {
        const { syscalls } = await import("../suites/syscalls.js");
        const calls = options.calls ?? (quick ? 300 : 5000);
        const agents = options.agents ?? (quick ? 4 : 64);
        const seconds = options.seconds ?? (quick ? 1 : 4);
        const much = { calls, agents, seconds, rows, nats, rounds: rounds(options) };
        return syscalls({ model, threads, seed, ...much });
      });
    });
}

const Messages = Common.extend({ agents: z.array(z.number()).optional() });

export function messagesCommand(): Command {
  return suiteCommand("messages", "agents that ask a 200 ms model and tell each other, in a ring")
    .option("--agents <list>", "how many (default: 64,250, with --quick 8)", list)
    .action(async (raw) => {
      const options = Messages.parse(raw);
      await report("messages", options, async () => {
        const { messages } = await import("../suites/messages.js");
        const agents = options.agents ?? (options.quick ? [8] : [64, 250]);
        return messages({ agents, rounds: rounds(options) });
      });
    });
}

const Malformed = Common.extend({ frames: z.number().optional(), rate: z.number() });

export function malformedCommand(): Command {
  return suiteCommand("malformed", "another agent's calls while malformed frames come, by the door")
    .option("--frames <n>", "through each door (default: 100000, with --quick 500)", atLeast(1))
    .addOption(new Option("--rate <n>", "frames a second").default(1000).argParser(atLeast(1)))
    .action(async (raw) => {
      const options = Malformed.parse(raw);
      const { seed, quick, rate: perSecond } = options;
      await report("malformed", options, async () => {
        const { malformed } = await import("../suites/malformed.js");
        const frames = options.frames ?? (quick ? 500 : 100_000);
        return malformed({ seed, rounds: rounds(options), frames, perSecond });
      });
    });
}
