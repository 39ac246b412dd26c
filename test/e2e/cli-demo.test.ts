/** `contix demo` with the fake model: what it shows, what makes it fail, what it leaves behind. */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { DEFAULT_MODEL } from "../../kernel/config.js";
import { CATALOG, findInCatalog } from "../../servers/llm/models/catalog.js";
import { openLibrary } from "../../servers/llm/models/library.js";
import { TestHub } from "../../servers/llm/models/testing/hub.js";
import { connect } from "../../syscalls/index.js";
import { largeGguf } from "../support/large-gguf.js";
import { Bench, type Running } from "./cli-runner.js";

const DEMO = ["demo", "--driver", "fake"];

let bench: Bench;
beforeEach(async () => {
  bench = await Bench.open();
});
afterEach(() => bench[Symbol.asyncDispose]());

/** The private homes that demos have left. */
async function homes(): Promise<string[]> {
  return (await readdir(bench.root)).filter((name) => name.startsWith("contix-demo-"));
}

/** Kills the agent that was started last, by no program of its own: the others are soon done. */
async function killNewest(home: string): Promise<string> {
  await using os = await connect({ home });
  const agents = (await os.proc.ps()).filter(({ osPid }) => osPid !== null);
  const newest = agents.at(-1);
  if (newest === undefined) throw new Error("no agent runs");
  await os.proc.kill(newest.pid, "KILL");
  return newest.name;
}

async function expectNothingLeft(): Promise<void> {
  expect(await homes()).toEqual([]);
  expect(await bench.processes()).toEqual([]);
}

/** Ctrl-C to a demo that has its home already, and no daemon yet. */
async function interruptedBeforeTheDaemon({ child, ended }: Running): Promise<void> {
  const [home = ""] = await homes();
  expect(await readdir(join(bench.root, home))).toEqual([]);
  child.kill("SIGINT");
  const { code, stdout, stderr } = await ended;
  expect([code, stdout], stderr).toEqual([130, ""]);
  expect(stderr).not.toMatch(/contix:|^ +at /m);
  await expectNothingLeft();
}

function usualModel() {
  const entry = findInCatalog(CATALOG, DEFAULT_MODEL);
  if (!entry?.hub) throw new Error("the usual model is on no hub");
  return { hub: entry.hub, size: entry.size };
}

describe("contix demo", () => {
  it("runs eight agents at once and one by one, and says the same both times", async () => {
    const report = JSON.parse(await bench.ok([...DEMO, "--json"]));
    expect(report).toMatchObject({ driver: "fake", sameAnswers: 8, failed: [] });
    for (const act of [report.together, report.oneByOne]) {
      expect(act.agents).toHaveLength(8);
      expect(act.tokensOut).toBeGreaterThan(0);
      // Instructions that one agent computed the others find; their texts differ, and are most.
      expect(act.tokensPrefilled).toBeGreaterThan(act.tokensIn / 2);
      for (const agent of act.agents) {
        expect(agent).toMatchObject({ state: "ended", exitCode: 0 });
        expect(agent.answer).not.toBe("");
        expect(agent.firstTokenMs).toBeLessThanOrEqual(agent.ageMs);
      }
    }
    await expectNothingLeft();
  }, 180_000);

  it("leaves no process and no directory at Ctrl-C", async () => {
    const running = bench.start(DEMO);
    await running.says("running, slot");
    expect(await homes()).toHaveLength(1);
    running.child.kill("SIGINT");
    expect(await running.ended).toMatchObject({ code: 130, stderr: "" });
    await expectNothingLeft();
  });

  it("leaves nothing at Ctrl-C before the daemon is ready", async () => {
    const running = bench.start(DEMO);
    while ((await homes()).length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    running.child.kill("SIGINT");
    expect((await running.ended).code).toBe(130);
    await expectNothingLeft();
  });

  it("leaves nothing at Ctrl-C while its model is being pulled", async () => {
    // The usual model, from a hub that stops in the middle of whatever it is asked for.
    const { hub: place, size } = usualModel();
    const files = { [place.path]: Buffer.alloc(size) };
    await using hub = await TestHub.start({ repo: place.repo, commit: place.revision, files });
    for (let i = 0; i < 8; i++) hub.script.push({ kind: "stall", after: 100_000 });
    const env = { CONTIX_MODELS: join(bench.root, "models"), HF_ENDPOINT: hub.url };
    const running = bench.start(["demo"], { env });
    await running.says("downloading");
    await interruptedBeforeTheDaemon(running);
  });

  it("leaves nothing at Ctrl-C while its model is being compiled", {
    timeout: 180_000,
  }, async () => {
    const files = { "large.gguf": await largeGguf() };
    await using hub = await TestHub.start({ repo: "a/b", commit: "0".repeat(40), files });
    const models = join(bench.root, "models");
    await openLibrary(models).pull("hf:a/b:large.gguf", { name: "mine", hub: { url: hub.url } });
    const running = bench.start(["demo", "--model", "mine"], { env: { CONTIX_MODELS: models } });
    await running.says("compiling");
    await interruptedBeforeTheDaemon(running);
    expect(await readdir(join(models, "compiled"))).toEqual([]);
  });

  it("leaves nothing when its reader has enough", async () => {
    const running = bench.start(DEMO);
    running.child.stdout?.once("data", () => running.child.stdout?.destroy());
    await running.ended;
    await expectNothingLeft();
  });

  it("fails when an agent fails, and says which", async () => {
    const running = bench.start(DEMO);
    await running.says("running, slot");
    const [name = ""] = await homes();
    const victim = await killNewest(join(bench.root, name));
    const { code, stderr } = await running.ended;
    expect(code).toBe(1);
    expect(stderr.split("\n")[0]).toContain(
      `contix: 1 of 16 agents failed: ${victim}: signal KILL`,
    );
    await expectNothingLeft();
  }, 180_000);
});
