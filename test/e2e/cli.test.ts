/** The command line as a user meets it: the compiled `contix` and a daemon with the fake model. */
import { mkdirSync, statSync, writeFileSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Bench } from "./cli-runner.js";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

let bench: Bench;
beforeAll(async () => {
  bench = await Bench.open();
  await bench.ok(["up"]);
});
afterAll(() => bench[Symbol.asyncDispose]());

/** Writes a program that runs without the SDK, and returns its path. */
function program(name: string, source: string): string {
  const path = join(bench.root, name);
  writeFileSync(path, source);
  return path;
}

describe("the daemon", () => {
  it("is started once; a second up says so and succeeds", async () => {
    expect(await bench.ok(["up"])).toMatch(/^already running: contixd .* on /);
    const { pid, fresh } = JSON.parse(await bench.ok(["up", "--json"]));
    expect(fresh).toBe(false);
    expect(statSync(join(bench.home, "logs", "contixd.log")).mode & 0o777).toBe(0o600);
    expect(JSON.parse(await readFile(join(bench.home, "contixd.json"), "utf8")).pid).toBe(pid);
  });

  it("shows its figures and its log", async () => {
    const stats = JSON.parse(await bench.ok(["stats", "--json"]));
    expect(stats).toMatchObject({ driver: "fake", slots: 4, queued: 0 });
    expect(await bench.ok(["stats"])).toMatch(/^slots +0 of 4 in use$/m);
    expect(await bench.ok(["logs", "daemon"])).toContain('"msg":"ready"');
  });

  it("is checked by doctor", async () => {
    const checks: { name: string; status: string; found: string }[] = JSON.parse(
      await bench.ok(["doctor", "--json"]),
    );
    const status = new Map(checks.map((check) => [check.name, check.status]));
    for (const name of ["node", "koffi", "onnxruntime", "home", "config", "model", "daemon"])
      expect([name, status.get(name)]).toEqual([name, "ok"]);
    const isolation = checks.find(({ name }) => name === "isolation")?.found ?? "";
    // Its daemon may make control groups here, or not; one of both is said.
    expect(isolation).toMatch(
      /control groups \(cgroup v2\): agents die|no control group \(cgroup v2\)/,
    );
    expect(isolation).toContain("a one-time token for each agent");
    expect(isolation).toContain("limits by setrlimit: 4GiB of memory");
    expect(isolation).toContain("agents run at nice 10, drivers at 5");
    expect(isolation).toContain("no sandbox");
  });

  it("ends by down, which then has nothing more to do", async () => {
    await using other = await Bench.open();
    const { pid } = JSON.parse(await other.ok(["up", "--json"]));
    expect(await other.ok(["down"])).toBe(`contixd (process ${pid}) has ended\n`);
    expect(await other.processes()).toEqual([]);
    expect(await other.ok(["down"])).toBe(`no daemon runs on ${other.home}\n`);
  });

  it("is started by the first command that needs it", async () => {
    await using other = await Bench.open();
    const { code, stdout, stderr } = await other.run(["generate", "Hello", "-n", "5"]);
    expect(code).toBe(0);
    expect(stderr).toMatch(/^contix: no daemon on .*: starting one; `contix down` ends it$/m);
    expect(stdout.trim()).not.toBe("");
  });
});

describe("agents", () => {
  it("run: the README's ten lines, from TypeScript", async () => {
    const out = await bench.ok(["run", "agents/hello.ts", "What", "now?"], { cwd: ROOT });
    expect(out).toMatch(/\(n1\.\d+: \d+ tokens in \d+ ms\)\n$/);
  });

  it("run: streams the output and ends with the program's exit code", async () => {
    const path = program(
      "three.mjs",
      "console.log('out', process.argv[2], process.env.COLOUR); console.error('err'); process.exitCode = 3;",
    );
    const { code, stdout } = await bench.run(["run", "-e", "COLOUR=red", path, "--json"]);
    expect([code, stdout]).toEqual([3, "out --json red\nerr\n"]);
  });

  it("run: any command, in this directory", async () => {
    expect(await bench.ok(["run", "pwd"])).toBe(`${bench.root}\n`);
  });

  it("run: hands Ctrl-C on, and what the agent makes of it is the exit code", async () => {
    const path = program(
      "patient.mjs",
      "process.on('SIGINT', () => { console.log('tidied'); process.exit(7); }); console.log('here'); setInterval(() => {}, 1000);",
    );
    const running = bench.start(["run", path]);
    await running.says("here");
    running.child.kill("SIGINT");
    expect(await running.ended).toMatchObject({ code: 7, stdout: "here\ntidied\n" });
  });

  it("run: says by what signal the agent ended", async () => {
    const path = program("sleeper.mjs", "console.log('here'); setInterval(() => {}, 1000);");
    const running = bench.start(["run", "--name", "sleeper", path]);
    await running.says("here");
    const procs: { pid: string; name: string }[] = JSON.parse(await bench.ok(["ps", "--json"]));
    const pid = procs.find(({ name }) => name === "sleeper")?.pid ?? "";
    await bench.ok(["kill", "-s", "KILL", pid]);
    const { code, stderr } = await running.ended;
    expect(code).toBe(137);
    expect(stderr).toContain(`contix: ${pid} ended: signal KILL`);
  });

  it("run: under Node's permissions a program has its own folder; TypeScript is refused", async () => {
    const dir = join(bench.root, "apart");
    mkdirSync(dir);
    writeFileSync(join(dir, "own.txt"), "own");
    const agent = join(dir, "agent.mjs");
    writeFileSync(
      agent,
      `import { readFileSync } from "node:fs";
       const read = (path) => { try { return readFileSync(path, "utf8"); } catch ({ code }) { return code; } };
       console.log(read(new URL("own.txt", import.meta.url)), read("/etc/passwd"));`,
    );
    expect(await bench.ok(["run", "--permission", agent])).toContain("own ERR_ACCESS_DENIED\n");
    const typed = join(dir, "typed.ts");
    writeFileSync(typed, "export {};");
    const refused = await bench.run(["run", "--permission", typed]);
    expect(refused.code).not.toBe(0);
    expect(refused.stderr).toMatch(/EINVAL: typed\.ts is TypeScript, .* run the \.js/);
  });

  it("run --detach, ps, logs and kill", async () => {
    const path = program("worker.mjs", "console.log('at work'); setInterval(() => {}, 1000);");
    const pid = (await bench.ok(["run", "--detach", "--nice", "5", path])).trim();
    expect(pid).toMatch(/^n1\.\d+$/);
    expect(await bench.ok(["ps"])).toMatch(new RegExp(`^${pid}  worker +ready `, "m"));
    const following = bench.start(["logs", "--follow", pid.replace("n1.", "")]);
    await following.says("at work");
    // One that its program does not handle.
    await bench.ok(["kill", "-s", "ALRM", pid]);
    await bench.ok(["kill", pid]);
    expect((await following.ended).code).toBe(0);
    expect(await bench.ok(["ps"])).not.toContain(pid);
    const all: { pid: string; state: string; nice: number }[] = JSON.parse(
      await bench.ok(["ps", "--all", "--json"]),
    );
    expect(all.find((proc) => proc.pid === pid)).toMatchObject({ state: "zombie", nice: 5 });
    expect(await bench.ok(["logs", pid])).toBe("at work\n");
  });

  it("top, vmstat and sched: pages for a pipe, lines of figures, and another policy", async () => {
    const pid = (await bench.ok(["run", "--detach", "--", "sleep", "300"])).trim();
    const page = await bench.ok(["top", "--filter", "sleep"]);
    expect(page).toMatch(/^contix top {2}n1 .*\nslots {2}\[\.\.\.\.\] 0\/4 {2}policy rr/);
    expect(page).toMatch(new RegExp(`\n${pid} +sleep +ready`));
    // Nothing that a terminal would take for a command.
    expect(page).not.toContain("\x1b");
    const samples = (await bench.ok(["top", "--json", "-n", "2", "-d", "0.1"])).trim().split("\n");
    expect(samples).toHaveLength(2);
    expect(JSON.parse(samples[1] ?? "")).toMatchObject({ rows: [{ pid }], rates: { steps: 0 } });
    const lines = (await bench.ok(["vmstat", "0.1", "3"])).trim().split("\n");
    expect(lines.map((line) => line.trim().split(/\s+/).length)).toEqual([6, 17, 17, 17, 17]);
    const set = ["sched", "set", "fair", "--quantum", "20", "--weight", "admin=3", "--json"];
    expect(JSON.parse(await bench.ok(set))).toMatchObject({
      ...{ policy: "fair", quantum: 20, weights: [{ principal: "admin", weight: 3 }] },
    });
  });

  it("run --interactive reads this stdin", async () => {
    const faq = join(ROOT, "agents/data/faq");
    const args = ["run", "-i", "agents/support.ts", faq];
    const out = await bench.ok(args, { cwd: ROOT, input: "anna: How long is delivery?\n" });
    expect(out).toMatch(/^anna: How long is delivery\?\n {2}\S/);
  });
});

describe("the model", () => {
  it("generates the same text from the same seed", async () => {
    const args = ["generate", "Once upon a time", "-n", "12", "--seed", "7"];
    const text = await bench.ok(args);
    expect(text).toMatch(/\S.*\n$/);
    expect(await bench.ok(args)).toBe(text);
    const json = JSON.parse(await bench.ok([...args, "--json"]));
    expect(json).toMatchObject({ finish: "length", seed: "7" });
    expect(`${json.text}`.trim()).toBe(text.trim());
    expect(json.usage.generatedTokens).toBe(12);
    expect(json.logprobs).toBeUndefined();
    const told = JSON.parse(await bench.ok([...args, "--json", "--logprobs", "2"]));
    expect(told.text).toBe(json.text);
    expect(told.logprobs.map((one: { token: number }) => one.token)).toEqual(json.tokens);
    expect(told.logprobs[0].top).toHaveLength(2);
  });

  it("takes the prompt from stdin, and says what it took", async () => {
    const { stdout, stderr } = await bench.run(["generate", "-n", "4", "--stats", "--chat"], {
      input: "Why?",
    });
    expect(stdout).not.toBe("");
    expect(stderr).toMatch(/tokens in, 4 out, first after /);
  });

  it("is silent when its reader has enough", async () => {
    const running = bench.start(["generate", "Tell", "-n", "500", "--seed", "1"]);
    running.child.stdout?.once("data", () => running.child.stdout?.destroy());
    expect(await running.ended).toMatchObject({ code: 0, stderr: "" });
  });

  it("stops at Ctrl-C", async () => {
    await using slow = await Bench.open();
    const env = { CONTIX_DRIVER_OPTIONS: '{"seed":1,"stepUs":20000}' };
    await slow.ok(["up"], { env });
    const running = slow.start(["generate", "Tell", "-n", "2000", "--seed", "1"]);
    await new Promise<void>((resolve) => running.child.stdout?.once("data", () => resolve()));
    running.child.kill("SIGINT");
    expect(await running.ended).toMatchObject({ code: 130, stderr: "" });
  });

  it("chats over standard input", async () => {
    const out = await bench.ok(["chat"], { input: "Hello\n/stats\n" });
    expect(out).toMatch(/context n1\.\d+: \d+ of \d+ tokens/);
  });
});

describe("bad input", () => {
  const wrong: [string, string[], number, RegExp][] = [
    ["an unknown command", ["frob"], 2, /^contix: unknown command 'frob'.*see `contix --help`/],
    [
      "an unknown option",
      ["ps", "--frob"],
      2,
      /^contix: unknown option '--frob'.*contix ps --help/,
    ],
    ["a missing argument", ["kill"], 2, /^contix: missing required argument 'pid'/],
    ["a pid that is none", ["kill", "abc"], 2, /^contix: abc is no pid/],
    [
      "a signal that is none",
      ["kill", "-s", "FOO", "1"],
      2,
      /one of INT, TERM, KILL, STOP, CONT, USR1/,
    ],
    ["a number out of range", ["generate", "x", "--top-p", "2"], 2, /must be a number from 0 to 1/],
    ["an address that is none", ["ps", "--address", "x"], 2, /give a socket's path, or host:port/],
    ["a process that is not there", ["kill", "99999"], 1, /n1\.99999: ESRCH/],
    ["a log that is not there", ["logs", "99999"], 1, /no log of 99999/],
    ["a program that is not there", ["run", "none.ts"], 1, /no such program: none\.ts/],
    ["a command that is not there", ["run", "no-such-command"], 1, /ENOENT/],
    ["an empty prompt", ["generate", ""], 2, /^contix: the prompt is empty/],
    ["log probabilities of a text", ["generate", "x", "--logprobs", "2"], 2, /give --json with it/],
    ["an unknown model", ["generate", "x", "--model", "gpt-9"], 1, /gpt-9/],
    ["sampling out of range", ["generate", "x", "--repetition-penalty", "0"], 1, /EINVAL/],
    ["an unknown policy", ["sched", "set", "best"], 1, /there is no policy "best"; there are fifo/],
    ["seconds of nothing", ["vmstat", "0"], 2, /from 0.1 to 3600/],
    ["a wrong setting", ["up", "--home", "HOME2", "--policy", "x"], 2, /policy/],
    ["an unknown driver", ["up", "--driver", "x"], 2, /onnxruntime, fake/],
  ];

  it.each(wrong)("%s is one line and an exit code", async (_what, args, code, message) => {
    const home2 = join(bench.root, "home2");
    const result = await bench.run(args.map((arg) => (arg === "HOME2" ? home2 : arg)));
    expect(result.stderr.trim().split("\n")).toHaveLength(1);
    expect([result.code, result.stdout]).toEqual([code, ""]);
    expect(result.stderr).toMatch(message);
  });

  it("text that is not UTF-8", async () => {
    const { code, stderr } = await bench.run(["generate"], { input: Buffer.from([0xff, 0xfe]) });
    expect([code, stderr]).toEqual([1, "contix: the prompt on stdin is not UTF-8 text\n"]);
  });

  it("no daemon: says how to start one", async () => {
    const { code, stderr } = await bench.run(["ps", "--home", join(bench.root, "none")]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^contix: no daemon at .*: start one with `contix up`\n$/);
  });

  it("a wrong token", async () => {
    const CONTIX_ADDRESS = `unix://${bench.home}/contixd.sock`;
    const env = { CONTIX_ADDRESS, CONTIX_TOKEN: "wrong" };
    const { code, stderr } = await bench.run(["ps"], { env });
    expect([code, stderr.split(":")[1]]).toEqual([1, " EACCES"]);
  });

  it("a port in use: the daemon's own line, and no daemon stays", async () => {
    await using other = await Bench.open();
    const server = createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => server.once("listening", resolve));
    const address = server.address();
    const port = typeof address === "object" ? address?.port : 0;
    const { code, stderr } = await other.run(["up", "--listen", `127.0.0.1:${port}`]);
    server.close();
    expect(code).toBe(1);
    expect(stderr).toMatch(/^contix: the daemon did not start: .*\n$/);
    expect(stderr).toContain(String(port));
    expect(await other.processes()).toEqual([]);
  });

  it("a configuration file with a mistake", async () => {
    await using other = await Bench.open();
    mkdirSync(other.home);
    await writeFile(join(other.home, "config.yaml"), "slotz: 3\n");
    const { code, stderr } = await other.run(["up"]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/slotz/);
    const checks: { name: string; status: string }[] = JSON.parse(
      (await other.run(["doctor", "--json"])).stdout,
    );
    expect(checks.find(({ name }) => name === "config")?.status).toBe("fail");
  });

  it("two ups at once: one daemon, and both succeed", async () => {
    await using other = await Bench.open();
    const results = await Promise.all([1, 2, 3].map(() => other.run(["up", "--json"])));
    expect(results.map(({ code, stderr }) => [code, stderr])).toEqual([
      [0, ""],
      [0, ""],
      [0, ""],
    ]);
    const pids = results.map(({ stdout }) => JSON.parse(stdout).pid);
    expect(new Set(pids).size).toBe(1);
  });
});
