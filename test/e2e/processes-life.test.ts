/** The life of processes, with real daemons and real programs: stopped, signalled, held to quotas, outlived. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { getPriority } from "node:os";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Child, Os } from "../../syscalls/index.js";
import { startTestKernel, type TestKernel } from "../../syscalls/testing.js";
import { osPidOf, spawnAgent, start, until } from "../support/kernels.js";
import { isOver } from "../support/os-process.js";

let kernel: TestKernel;
let os: Os;
beforeAll(async () => {
  kernel = await startTestKernel({ stepUs: 3000, flags: ["--detach-grace-ms", "50"] });
  os = await kernel.connect();
});
afterAll(async () => {
  await os?.close();
  await kernel?.stop();
});

const told = async (child: Child) => {
  return (await os.proc.ps({ all: true })).find(({ pid }) => pid === child.pid);
};
const stateOf = async (child: Child) => (await told(child))?.state;
const logOf = async (child: Child): Promise<string> => {
  return readFileSync((await told(child))?.log ?? "", "utf8");
};

describe("a stopped process", () => {
  it("loses its slot, waits with its calls and signals, and goes on with the same bytes", async () => {
    const body = `
      os.on("USR1", () => console.log("USR1"));
      os.on("CONT", () => console.log("CONT"));
      let text = "";
      for await (const piece of os.llm.generate("to be stopped",
        { maxTokens: 150, seed: 5n, temperature: 1, ignoreEos: true })) text += piece;
      console.log(JSON.stringify(text));
      await os.close();`;
    const undisturbed = await spawnAgent(os, body);
    expect(await undisturbed.wait()).toMatchObject({ exitCode: 0 });
    const child = await spawnAgent(os, body);
    await until(async () => (await stateOf(child)) === "running");
    await child.kill("STOP");
    expect(await stateOf(child)).toBe("stopped");
    await until(async () => (await os.sys.stats()).slotsUsed === 0);
    const osPid = await osPidOf(os, child.pid);
    await until(() => readFileSync(`/proc/${osPid}/stat`, "utf8").includes(") T "));
    const before = (await told(child))?.tokensOut ?? 0;
    await child.kill("USR1");
    // Others are served meanwhile.
    await os.llm.generate("another", { maxTokens: 20, ignoreEos: true });
    expect((await told(child))?.tokensOut).toBe(before);
    expect(before).toBeLessThan(150);
    await child.kill("CONT");
    expect(await child.wait()).toMatchObject({ exitCode: 0, cause: "exit" });
    const lines = async (of: Child) =>
      readFileSync(`${kernel.home}/logs/${of.pid}.log`, "utf8").trim().split("\n");
    const [own, other] = [await lines(child), await lines(undisturbed)];
    expect(own.at(-1)).toBe(other.at(-1));
    expect(own.slice(0, -1).sort()).toEqual(["CONT", "USR1"]);
  });

  it("that was started elsewhere has its calls held until it goes on", async () => {
    await using other = await kernel.connect();
    // Nobody reads along: no lack of credit takes the slot.
    const held = other.llm.generate("to be held", { maxTokens: 200, ignoreEos: true });
    const answer = held.then(({ usage }) => usage.generatedTokens);
    await until(async () => (await os.sys.stats()).slotsUsed === 1);
    await os.proc.kill(other.pid, "STOP");
    await until(async () => (await os.sys.stats()).slotsUsed === 0);
    const self = (await os.proc.ps()).find(({ pid }) => pid === other.pid);
    expect(self?.tokensOut).toBeLessThan(200);
    let answered = false;
    const asked = other.sys.uname().then(() => {
      answered = true;
    });
    const late = other.sys.uname({ timeoutMs: 50 });
    await expect(late).rejects.toMatchObject({ code: "ETIMEDOUT" });
    expect(answered).toBe(false);
    await os.proc.kill(other.pid, "CONT");
    await asked;
    expect(await answer).toBe(200);
    await expect(os.proc.kill(other.pid, "KILL")).resolves.toBe(1);
  });
});

describe("groups and orphans", () => {
  it("kill of a group ends the whole team; its orphans' parent is init, their end is known", async () => {
    const body = `
      const child = await os.proc.spawn(["sleep", "600"]);
      const apart = await os.proc.spawn(["sleep", "600"], { newGroup: true });
      console.log([child.pid, apart.pid].join());
      await os.ipc.recv();`;
    const source = `import { connect } from "contix"; const os = await connect();\n${body}`;
    const argv = [process.execPath, "--input-type=module", "-e", source];
    const leader = await os.proc.spawn(argv, { cwd: process.cwd(), newSession: true });
    await until(async () => (await logOf(leader)).includes("\n"));
    const [member = "", apart = ""] = (await logOf(leader)).trim().split(",");
    const rows = new Map((await os.proc.ps()).map((proc) => [proc.pid, proc]));
    expect(rows.get(member)).toMatchObject({
      group: leader.pid,
      session: leader.pid,
      parent: leader.pid,
    });
    expect(rows.get(apart)).toMatchObject({ group: apart, session: leader.pid });
    const osPid = rows.get(member)?.osPid ?? 0;
    // One that knows no SDK gets the system's signals.
    expect(await os.proc.kill(member, "TERM", { group: true })).toBe(2);
    expect(await leader.wait()).toMatchObject({ cause: "signal TERM", exitCode: 143 });
    await until(() => isOver(osPid));
    await until(async () =>
      (await os.proc.ps({ all: true })).some(
        ({ pid, state }) => pid === member && state === "zombie",
      ),
    );
    const orphans = (await os.proc.ps({ all: true })).filter(({ pid }) =>
      [member, apart].includes(pid),
    );
    expect(orphans).toMatchObject([
      { state: "zombie", parent: null, waitingOn: "signal TERM", exitCode: 143 },
      { parent: null, pid: apart },
    ]);
    await os.proc.kill(apart, "KILL");
  });
});

describe("quotas of a process", () => {
  it("a fork bomb gets EAGAIN, in all that it spawned together; others are not touched", async () => {
    const bomb = `
      import { connect } from "contix";
      const os = await connect();
      for (;;) {
        try {
          await os.proc.spawn([process.execPath, "--input-type=module", "-e", process.env.BOMB], { cwd: process.cwd(), env: { BOMB: process.env.BOMB } });
        } catch ({ code, message }) { console.log(code, message); break; }
      }
      await os.ipc.recv();`;
    const child = await os.proc.spawn([process.execPath, "--input-type=module", "-e", bomb], {
      ...{ cwd: process.cwd(), env: { BOMB: bomb }, newSession: true },
      quota: { processes: 4, tokens: 30 },
    });
    await until(async () => (await logOf(child)).includes("EAGAIN"));
    expect(await logOf(child)).toContain("quota processes");
    const mine = async () => (await os.proc.ps()).filter(({ session }) => session === child.pid);
    expect((await mine()).length).toBe(4);
    expect((await os.llm.generate("untouched", { maxTokens: 4 })).text).not.toBe("");
    expect(await os.proc.kill(child.pid, "KILL", { group: true })).toBe(4);
    await child.wait();
    await until(async () => (await mine()).length === 0);
  });

  it("tokens are one budget for it and its children, never more than is left; PRESSURE is told before", async () => {
    const body = `
      os.on("PRESSURE", ({ quota }) => console.log("PRESSURE", quota.quota, quota.limit));
      await os.llm.generate("a", { maxTokens: 180, ignoreEos: true });
      const more = await os.proc.spawn(["true"], { quota: { tokens: 100 } }).catch((e) => e);
      console.log(more.code);
      const worker = await os.proc.spawn([process.execPath, "--input-type=module", "-e",
        'import { connect } from "contix"; const os = await connect();' +
        'console.log(await os.llm.generate("b", { maxTokens: 40 }).then(() => "served", (e) => e.code)); await os.close();'],
        { cwd: process.cwd() });
      await worker.wait();
      console.log(worker.pid);
      await os.close();`;
    const source = `import { connect } from "contix"; const os = await connect();\n${body}`;
    const argv = [process.execPath, "--input-type=module", "-e", source];
    const child = await os.proc.spawn(argv, { cwd: process.cwd(), quota: { tokens: 200 } });
    expect(await child.wait()).toMatchObject({ exitCode: 0 });
    const lines = readFileSync(`${kernel.home}/logs/${child.pid}.log`, "utf8").trim().split("\n");
    expect(lines.slice(0, 2)).toEqual(["PRESSURE tokens 200", "EDQUOT"]);
    expect(readFileSync(`${kernel.home}/logs/${lines[2]}.log`, "utf8")).toBe("EDQUOT\n");
  });
});

describe("an agent's OS process", () => {
  it("bears no token on its command line", async () => {
    const child = await spawnAgent(
      os,
      `console.log(JSON.stringify({ token: process.env.CONTIX_TOKEN })); await os.ipc.recv();`,
    );
    await until(async () => (await logOf(child)).includes("\n"));
    const { token } = JSON.parse(await logOf(child));
    expect(token).toMatch(/^\S{20,}$/);
    const ours = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
    const lines = ours.map((osPid) => {
      try {
        return readFileSync(`/proc/${osPid}/cmdline`, "latin1");
      } catch {
        // It ended meanwhile.
        return "";
      }
    });
    const own = readFileSync(`/proc/${await osPidOf(os, child.pid)}/cmdline`, "latin1");
    expect(own).toContain("CONTIX_TOKEN");
    expect(lines).toContain(own);
    expect(lines.filter((line) => line.includes(token))).toEqual([]);
    await child.kill("KILL");
  });

  it("and those that it starts give way to drivers", async () => {
    const { driverPid } = await os.sys.uname();
    const lowered = 'until [ "$(nice)" -gt 5 ]; do sleep 0.01; done; sleep 600 & echo $!; wait';
    const child = await os.proc.spawn(["sh", "-c", lowered]);
    await until(async () => (await logOf(child)).includes("\n"));
    const its = Number(await logOf(child));
    for (const osPid of [await osPidOf(os, child.pid), its]) {
      expect(getPriority(osPid)).toBeGreaterThan(getPriority(driverPid));
    }
    await child.kill("KILL");
  });
});

describe("bad input", () => {
  it("is a typed error, whatever is wrong", async () => {
    const refused = async (what: Promise<unknown>) =>
      await what.then(
        () => "",
        ({ code }) => code,
      );
    const spawn = (options: object, argv = ["true"]) => refused(os.proc.spawn(argv, options));
    expect(await spawn({}, ["/no/such/program"])).toBe("ENOENT");
    expect(await spawn({}, [])).toBe("EINVAL");
    expect(await spawn({ nice: 20 })).toBe("EINVAL");
    expect(await spawn({ nice: -21 })).toBe("EINVAL");
    expect(await spawn({ class: "urgent" })).toBe("EINVAL");
    expect(await spawn({ quota: { realtime: 1 } })).toBe("EINVAL");
    expect(await spawn({ quota: { tokens: 0 } })).toBe("EINVAL");
    expect(await spawn({ quota: { processes: 100_000 } })).toBe("EDQUOT");
    expect(await spawn({ confinement: { permission: true } })).toBe("EINVAL");
    expect(
      await spawn({ confinement: { permission: true, read: [kernel.home] } }, ["node", "a.js"]),
    ).toBe("EINVAL");
    const compiled = ["node", "--import", "file:///x/tsx.mjs", "agent.ts"];
    expect(await spawn({ confinement: { permission: true } }, compiled)).toBe("EINVAL");
    expect(await refused(os.proc.nice(os.pid, 99))).toBe("EINVAL");
    expect(await refused(os.proc.kill("n1.4000000"))).toBe("ESRCH");
    expect(await refused(os.proc.kill(os.pid, "WINCH"))).toBe("EINVAL");
    const over = await os.proc.spawn(["true"]);
    expect(await over.wait()).toMatchObject({ exitCode: 0, cause: "exit" });
    expect(await refused(over.kill("KILL"))).toBe("ESRCH");
    await os.principals.add("stranger");
    const { key } = await os.principals.addKey("stranger");
    await using stranger = await kernel.connect({ token: key });
    expect(await refused(stranger.proc.kill(os.pid, "STOP"))).toBe("EPERM");
    expect(await refused(stranger.proc.kill(os.pid, "KILL", { group: true }))).toBe("EPERM");
    expect(await refused(stranger.proc.spawn(["true"], { class: "realtime" }))).toBe("EPERM");
    expect(await refused(os.proc.spawn(["true"], { class: "realtime" }))).toBe("");
  });

  it("a program that never attaches and one whose clock is wrong are processes as any other", async () => {
    const silent = await os.proc.spawn([
      "sh",
      "-c",
      "trap '' TERM; echo there; while :; do sleep 0.05; done",
    ]);
    await until(async () => (await logOf(silent)) !== "");
    await silent.kill("TERM");
    expect((await told(silent))?.run).toBe(0);
    await silent.kill("KILL");
    expect(await silent.wait()).toMatchObject({ cause: "signal KILL", exitCode: 137 });
    const late = await spawnAgent(
      os,
      `Date.now = () => 5; await os.sys.log("from the past");
       const { text } = await os.llm.generate("when?", { maxTokens: 5, timeoutMs: 60_000 });
       await os.time.sleep(10); console.log(text.length > 0 ? "served" : ""); await os.close();`,
    );
    expect(await late.wait()).toMatchObject({ exitCode: 0 });
    const log = readFileSync(`${kernel.home}/logs/${late.pid}.log`, "utf8");
    expect(log).toContain("served");
    expect(new Date(JSON.parse(log.split("\n")[0] ?? "").time).getFullYear()).toBeGreaterThan(2020);
  });
});

it("none outlives a daemon that is killed by -9, attached or not, nor what it started", async () => {
  const doomed = await start();
  const client = await doomed.connect();
  const leaver = "sleep 600 & one=$!; setsid sleep 600 & echo $one $!; wait";
  const child = await client.proc.spawn(["sh", "-c", leaver]);
  const stopped = await client.proc.spawn(["sleep", "600"]);
  await stopped.kill("STOP");
  const path = `${doomed.home}/logs/${child.pid}.log`;
  await until(() => existsSync(path) && readFileSync(path, "utf8").includes("\n"));
  const osPid = await osPidOf(client, child.pid);
  const [inGroup = 0, left = 0] = readFileSync(path, "utf8").trim().split(" ").map(Number);
  // Where there are no control groups, who leaves his process group is out of reach.
  const held = readFileSync(`/proc/${osPid}/cgroup`, "utf8").includes(`/contix-${doomed.pid}/`);
  if (!held) process.kill(left, "SIGKILL");
  const pids = [...[inGroup, left, osPid], await osPidOf(client, stopped.pid)];
  process.kill(doomed.pid, "SIGKILL");
  await until(() => pids.every(isOver));
  await client.close().catch(() => {});
});
