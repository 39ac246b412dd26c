/** Agents that die, hang and fail again and again, in processes of their own. */
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import type { Child, Os, SpawnOptions } from "../../syscalls/index.js";
import { startTestKernel, type TestKernel } from "../../syscalls/testing.js";
import { osPidOf, until } from "../support/kernels.js";
import { Bench } from "./cli-runner.js";

/** Where `import "contix"` finds this package. */
const root = fileURLToPath(new URL("../..", import.meta.url));
let kernel: TestKernel;
let os: Os;

beforeAll(async () => {
  kernel = await startTestKernel({ stepUs: 2000 });
  os = await kernel.connect();
});
afterAll(async () => {
  await os.close();
  await kernel.stop();
});

/** Starts `body`, where `os` is attached, by `spawn`: alone, or in a group. */
function agent(
  body: string,
  options: SpawnOptions,
  spawn: { spawn(argv: readonly string[], options: SpawnOptions): Promise<Child> } = os.proc,
): Promise<Child> {
  const source = `import { connect } from "contix"; const os = await connect();\n${body}`;
  const argv = [process.execPath, "--input-type=module", "-e", source];
  return spawn.spawn(argv, {
    cwd: root,
    restart: { policy: "on-failure", backoffMs: 20 },
    ...options,
  });
}

/** As `kill -9` does it: the kernel does not know before. */
async function strike(pid: string): Promise<void> {
  process.kill(await osPidOf(os, pid), "SIGKILL");
}

/** The OS processes of children, as soon as all have one. */
async function osPids(children: readonly Child[]): Promise<number[]> {
  let found: number[] = [];
  await until(async () => {
    const procs = await os.proc.ps();
    found = children.map(({ pid }) => procs.find((proc) => proc.pid === pid)?.osPid ?? 0);
    return !found.includes(0);
  });
  return found;
}

const SLEEP = ["sleep", "600"];

describe("an agent that is killed", () => {
  it("in mid-generation, three times: its slot is free, and it comes back with its context and mail", async () => {
    const me = os.pid;
    const child = await agent(
      `const [held] = (await os.cap.list()).filter(({ object }) => object === "context");
       const ctx = held ? await os.ctx.use(held.handle) : await os.ctx.create();
       if (!held) await ctx.append("once upon a time");
       const before = (await ctx.stat()).length;
       await os.ipc.send("${me}", JSON.stringify({ run: os.run, before, pid: os.pid }), { topic: "up" });
       if (os.run < 4) for await (const _ of ctx.generate({ ignoreEos: true })) { /* for ever */ }
       const texts = [];
       while (texts.length < 3) texts.push((await os.ipc.recv()).text);
       await os.ipc.send("${me}", texts.join(), { topic: "mail" });
       process.exit(0);`,
      {},
    );
    const lengths: number[] = [];
    for (let run = 1; run <= 4; run++) {
      const up = JSON.parse((await os.ipc.recv({ from: child.pid })).text);
      expect(up).toMatchObject({ run, pid: child.pid });
      lengths.push(up.before);
      if (run === 4) break;
      await os.ipc.send(child.pid, `letter ${run}`);
      // What it had before is in the slot again as soon as it has one.
      await until(async () =>
        (await os.sys.stats()).slot.some((s) => s.pid === child.pid && s.tokens > up.before + 20),
      );
      await strike(child.pid);
      await until(async () => (await os.sys.stats()).slotsUsed === 0);
    }
    // What it had generated is there, and more each time.
    expect(lengths.every((length, i) => i === 0 || length > (lengths[i - 1] ?? 0))).toBe(true);
    expect((await os.ipc.recv({ from: child.pid })).text).toBe("letter 1,letter 2,letter 3");
    expect(await child.wait()).toMatchObject({ exitCode: 0, cause: "exit" });
    // Four starts of Node, one after the other, on a machine that may be busy.
  }, 180_000);
});

describe("a group", () => {
  it("all_for_one: one ends, all start again; and it stops in order, the last first", async () => {
    const group = await os.proc.supervise({ strategy: "all_for_one" });
    const restart = { policy: "on-failure", backoffMs: 10 } as const;
    const children: Child[] = [];
    for (let i = 0; i < 3; i++) children.push(await group.spawn(SLEEP, { restart }));
    const before = await osPids(children);
    process.kill(before[1] ?? 0, "SIGKILL");
    await until(async () => {
      const now = await osPids(children);
      return now.every((osPid) => !before.includes(osPid));
    });
    const rows = (await os.proc.ps()).filter((proc) => proc.group === group.id);
    expect(rows.map(({ pid }) => pid)).toEqual(children.map(({ pid }) => pid));
    const ends: string[] = [];
    const waits = children.map(async (child) => {
      await child.wait();
      ends.push(child.pid);
    });
    await group.stop();
    await Promise.all(waits);
    expect(ends).toEqual(children.map(({ pid }) => pid).reverse());
    await expect(group.spawn(SLEEP)).rejects.toMatchObject({ code: "EPERM" });
  });

  it("gives up when its members fail too often, and its parent hears why of all of them", async () => {
    const group = await os.proc.supervise({ max: 2, withinMs: 60_000 });
    const bystander = await group.spawn(SLEEP, { restart: "always" });
    const restart = { policy: "on-failure", backoffMs: 10 } as const;
    const child = await group.spawn(["sh", "-c", "exit 3"], { restart });
    const why = "gave up after 2 restarts within 60 s: ";
    const end = await child.wait();
    expect(end).toMatchObject({
      exitCode: 3,
      cause: `exit; ${why}${child.pid} ended by exit code 3`,
    });
    expect((await bystander.wait()).cause).toBe(
      `its group ${why}${child.pid} ended by exit code 3`,
    );
  });
});

it("who waits for its restart says so, and when that is", async () => {
  const restart = { policy: "on-failure", backoffMs: 600_000, maxBackoffMs: 600_000 } as const;
  const child = await os.proc.spawn(["sh", "-c", "exit 3"], { restart });
  const row = async () => (await os.proc.ps()).find(({ pid }) => pid === child.pid);
  await until(async () => (await row())?.waitingOn === "restart");
  const told = await row();
  expect(told).toMatchObject({ state: "blocked", osPid: null });
  const [waited = 0, left = 0] = [told?.waitingMs, told?.restartInMs ?? 0];
  expect(Math.round((waited + left) / 1000)).toBe(600);
  await child.kill("TERM");
  expect(await child.wait()).toMatchObject({ cause: "signal TERM" });
  const runs = await os.proc.spawn(SLEEP);
  expect((await os.proc.ps()).find(({ pid }) => pid === runs.pid)?.restartInMs).toBe(null);
  await runs.kill("KILL");
});

describe("a watchdog", () => {
  it("kills who hangs and starts it again", async () => {
    const child = await agent(
      `if (os.run === 1) for (;;);
       await os.ipc.send("${os.pid}", String(os.run));
       await os.close(); process.exit(0);`,
      { restart: { policy: "on-failure", backoffMs: 10, max: 100 }, watchdog: 1000 },
    );
    expect(await child.wait()).toMatchObject({ exitCode: 0, cause: "exit" });
    const mail = await os.ipc.recv({ from: child.pid });
    expect(Number(mail.text)).toBeGreaterThan(1);
  });
});

describe("contix run -f", () => {
  const cli = (bench: Bench, file: string, ...more: string[]) =>
    bench.start(["run", "-f", file, "--home", kernel.home, ...more]);

  it("starts a team in order, tells what it does, and stops it in order at Ctrl-C", async () => {
    const bench = await Bench.open();
    onTestFinished(() => rm(bench.root, { recursive: true }));
    const file = join(bench.root, "pair.yaml");
    const text = `
agents:
  second: { command: "sh -c 'echo $TEAM_AGENT of $TEAM_NAME; exec sleep 600'", depends_on: first }
  first: { command: sleep 600, count: 2, restart: { policy: always, backoff: 10ms }, nice: 7 }
`;
    await writeFile(file, text);
    const team = cli(bench, file, "--json");
    await team.says('"text":"second of pair"');
    const procs = (await os.proc.ps()).filter((proc) => /^(first|second)/.test(proc.name));
    expect(procs.map(({ name, nice }) => `${name} ${nice}`)).toEqual([
      ...["first.1 7", "first.2 7", "second 0"],
    ]);
    expect(new Set(procs.flatMap(({ group, session }) => [group, session])).size).toBe(2);
    await strike(procs[0]?.pid ?? "");
    await team.says('"event":"restarted","name":"first.1"');
    team.child.kill("SIGINT");
    const { code, stdout } = await team.ended;
    expect(code).toBe(130);
    const events = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    const of = (event: string) => events.filter((e) => e.event === event).map((e) => e.name);
    expect(of("started")).toEqual(["first.1", "first.2", "second"]);
    expect(of("over")).toEqual(["second", "first.2", "first.1"]);
    expect((await os.ipc.list()).filter(({ type }) => type === "mailbox")).toEqual([]);
  });

  it("ends those that it has started at a Ctrl-C before all are", async () => {
    const bench = await Bench.open();
    onTestFinished(() => rm(bench.root, { recursive: true }));
    const file = join(bench.root, "many.yaml");
    await writeFile(file, "agents:\n  many: { command: sleep 600, count: 32, restart: always }\n");
    const team = cli(bench, file, "--json");
    await team.says('"event":"started"');
    team.child.kill("SIGINT");
    expect(await team.ended).toMatchObject({ code: 130 });
    expect((await os.proc.ps()).filter(({ name }) => name.startsWith("many"))).toEqual([]);
  });

  it("holds an agent to Node's permissions, and says where they can not hold", async () => {
    const bench = await Bench.open();
    onTestFinished(() => rm(bench.root, { recursive: true }));
    await mkdir(join(bench.root, "own"));
    const source = `
      import { readFileSync } from "node:fs";
      const read = (path) => { try { return readFileSync(path).length > 0; } catch ({ code }) { return code; } };
      console.log(read(process.argv[1]), read("/etc/hostname"), read("/etc/passwd"));`;
    await writeFile(join(bench.root, "own", "agent.mjs"), source);
    const file = join(bench.root, "held.yaml");
    const held = (command: string) =>
      `agents:\n  held:\n    command: ${command}\n    permissions: { read: [/etc/hostname] }\n`;
    await writeFile(file, held("node own/agent.mjs"));
    const told = await cli(bench, file, "--json").ended;
    expect(told).toMatchObject({ code: 0 });
    expect(told.stdout).toContain('"text":"true true ERR_ACCESS_DENIED"');
    await writeFile(file, held("node --import tsx own/agent.ts"));
    const refused = await cli(bench, file).ended;
    expect(refused.stderr).toMatch(
      /held\.yaml:4:\d+: agents\.held\.permissions: EINVAL: agent\.ts/,
    );
  });

  it("says where a manifest is wrong, also when it is the kernel that finds it", async () => {
    const bench = await Bench.open();
    onTestFinished(() => rm(bench.root, { recursive: true }));
    const file = join(bench.root, "wrong.yaml");
    await writeFile(file, "agents:\n  a:\n    command: sleep 600\n    restrat: always\n");
    const wrong = await cli(bench, file).ended;
    expect(wrong).toMatchObject({ code: 2, stdout: "" });
    expect(wrong.stderr).toContain(`wrong.yaml:4:5: agents.a: unknown key "restrat"; did you mean`);
    await writeFile(
      file,
      "agents:\n  a: { command: sleep 600 }\n  b:\n    command: no-such-program\n",
    );
    const refused = await cli(bench, file).ended;
    expect(refused.code).toBe(2);
    expect(refused.stderr).toContain(
      'wrong.yaml:4:14: agents.b.command: ENOENT: cannot start "no-such-program"',
    );
    // What was started before is over again.
    expect((await os.proc.ps()).filter(({ name }) => name === "a")).toEqual([]);
  });
});

describe("what can not be", () => {
  it("is refused with the argument's name", async () => {
    const group = await os.proc.supervise();
    const wrong = (promise: Promise<unknown>, code: string, argument: string) =>
      expect(promise, argument).rejects.toMatchObject({ code, argument });
    // @ts-expect-error a policy that there is not
    await wrong(os.proc.spawn(SLEEP, { restart: "sometimes" }), "EINVAL", "restart");
    await wrong(os.proc.spawn(SLEEP, { watchdog: 1 }), "EINVAL", "watchdog_us");
    await wrong(os.proc.spawn(SLEEP, { supervisor: "n1.999" }), "EPERM", "supervisor");
    await wrong(group.spawn(SLEEP, { restart: { policy: "always", max: 3 } }), "EINVAL", "restart");
    await wrong(group.spawn(SLEEP, { newGroup: true }), "EINVAL", "new_group");
    await wrong(os.proc.supervise({ max: 5000 }), "EINVAL", "max");
    await wrong(os.proc.stop(os.pid), "EINVAL", "pid");
    await group.stop();
  });
});
