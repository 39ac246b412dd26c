import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { until } from "../../test/support/kernels.js";
import { isOver } from "../../test/support/os-process.js";
import { systemClock, systemRandomness } from "../clock.js";
import type { Confinement } from "../journal/fold-procs.js";
import { silentLog } from "../log.js";
import { type Cgroup, Cgroups } from "./cgroups.js";
import { Keeper } from "./keeper.js";
import { Logs } from "./logs.js";
import { startOsProcess } from "./os-process.js";
import { AGENT_NICE, Priorities } from "./priority.js";
import { Stragglers } from "./stragglers.js";

const dir = mkdtempSync(join(tmpdir(), "contix-os-"));
afterAll(() => rmSync(dir, { recursive: true, force: true }));
const keeper = new Keeper();
const cgroups = new Cgroups(keeper, silentLog);
const stragglers = new Stragglers(systemRandomness);
const priorities = new Priorities(systemClock);
const logs = new Logs(1 << 16, systemClock);
let last = 0n;

const FREE: Confinement = {
  ...{ memoryBytes: 0, cpuUs: 0, openFiles: 0, permission: false },
  ...{ read: [], write: [] },
};

/** Starts and waits for the end; resolves with its exit and its log. */
async function run(argv: string[], confinement = FREE, cgroup?: Cgroup) {
  const path = join(dir, `${++last}.log`);
  const log = await logs.begin(last, path);
  const spec = { argv, env: { SAID: "yes" }, cwd: dir, confinement, keeper, log };
  let ended: unknown;
  try {
    const os = await startOsProcess({ ...spec, cgroup, stragglers, priorities }, (code, cause) => {
      ended = { code, cause };
    });
    await os.gone;
  } finally {
    logs.close(last);
  }
  return { ended, text: readFileSync(path, "utf8"), path };
}

/** Waits until it is nicer than it began; says how nice is what it starts then. */
const LOWERED = `until [ "$(nice)" -gt 5 ]; do sleep 0.01; done; sh -c nice`;

/** Starts two that are in sessions of their own when it ends, one of them without its environment. */
const LEAVER = `
  rm -f one two
  setsid sh -c 'echo $$ | tee one; exec sleep 600' &
  env -i setsid sh -c 'echo $$ | tee two; exec sleep 600' &
  until [ -s one ] && [ -s two ]; do sleep 0.01; done`;
const mayGroup = cgroups.make("probe", 0) !== undefined;

describe("an agent's OS process", () => {
  it("has its environment, and nothing secret of the daemon's", async () => {
    process.env.CONTIX_TEST_SECRET = "no";
    const { ended, text } = await run(["sh", "-c", "echo first >&2; env; exit 3"]);
    delete process.env.CONTIX_TEST_SECRET;
    expect(ended).toEqual({ code: 3, cause: "exit" });
    expect(text).toContain("SAID=yes");
    expect(text).toMatch(/^first\n/);
    expect(text).not.toContain("CONTIX_TEST_SECRET");
  });

  it("gives way to drivers with all that it starts", async () => {
    const { text } = await run(["sh", "-c", LOWERED]);
    expect(text).toBe(`${AGENT_NICE}\n`);
  });

  it("leaves nothing behind: what it started ends with it", async () => {
    const { text } = await run(["sh", "-c", "env -i sleep 600 & echo $!"]);
    await until(() => isOver(Number(text)));
  });

  it.skipIf(!mayGroup)(
    "nor does who has left its group, where there are control groups",
    async () => {
      const cgroup = cgroups.make("test", 0);
      const { text, ended } = await run(["sh", "-c", LEAVER], FREE, cgroup);
      expect(ended).toEqual({ code: 0, cause: "exit" });
      const left = text.trim().split("\n").map(Number);
      expect(left.length).toBe(2);
      await until(() => left.every(isOver));
      const group = dirname(cgroup?.entrance ?? "");
      await until(() => !existsSync(group));
      expect(existsSync(dirname(group))).toBe(true);
    },
  );

  it("nor, without them, who has left his group with his environment", async () => {
    const { text } = await run(["sh", "-c", LEAVER.replace("env -i ", "")]);
    const left = text.trim().split("\n").map(Number);
    expect(left.length).toBe(2);
    await stragglers.settled();
    await until(() => left.every(isOver));
  });

  it("is held to its limits", async () => {
    const limits = { ...FREE, memoryBytes: 512 << 20, cpuUs: 1_500_000, openFiles: 77 };
    const { text } = await run(["sh", "-c", "ulimit -d; ulimit -t; ulimit -n"], limits);
    expect(text).toBe("524288\n2\n77\n");
  });

  it("under Node's permissions reads what it needs and what it may, and starts nothing", async () => {
    const body = `
      const tried = (what) => { try { return String(what()).length > 0; } catch ({ code }) { return code; } };
      const { readFileSync, writeFileSync } = require("node:fs");
      console.log(JSON.stringify([
        tried(() => readFileSync("/etc/hostname")), tried(() => readFileSync("/etc/passwd")),
        tried(() => writeFileSync("${dir}/made", "x")),
        tried(() => require("node:child_process").spawnSync("ls")) ]));`;
    const confinement = { ...FREE, permission: true, read: ["/etc/hostname"] };
    const { text } = await run(["node", "-e", body], confinement);
    const [denied, line] = ["ERR_ACCESS_DENIED", text.split("\n").find((l) => l.startsWith("["))];
    expect(JSON.parse(line ?? "[]")).toEqual([true, denied, denied, denied]);
  });

  it("writes into a log that is bounded, in order, and loses nothing of its end", async () => {
    const { text, path } = await run([
      "sh",
      "-c",
      "i=0; while [ $i -lt 9000 ]; do echo line $i of a long text; i=$((i+1)); done",
    ]);
    const former = readFileSync(`${path}.1`, "utf8");
    expect(statSync(path).size).toBeLessThanOrEqual(1 << 16);
    expect(former.length).toBeLessThanOrEqual(1 << 16);
    const lines = (former + text).trimEnd().split("\n");
    const numbers = lines.slice(1).map((line) => Number(/^line (\d+) of/.exec(line)?.[1]));
    expect(numbers).toEqual(numbers.map((_, i) => 9000 - numbers.length + i));
  });

  it.each([
    [["/no/such/program"], "ENOENT"],
    [["no-such-program-anywhere"], "ENOENT"],
    [["/etc/passwd"], "EPERM"],
    [["sh", "a\0b"], "EINVAL"],
    [["sh", "x".repeat(3_000_000)], "E2BIG"],
  ])("that can not start is a typed error, and costs no descriptor", async (argv, code) => {
    const before = readdirSync("/proc/self/fd").length;
    for (let i = 0; i < 5; i++) {
      await expect(run(argv)).rejects.toMatchObject({ code, argument: "argv" });
    }
    expect(readdirSync("/proc/self/fd").length).toBeLessThan(before + 5);
  });
});
