import { mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { systemClock, systemRandomness } from "../../clock.js";
import { silentLog } from "../../log.js";
import type { AuditEntry } from "../audit.js";
import { GENESIS, publicHex, signingKey } from "./chain.js";
import { auditFile, auditFiles, openKey } from "./files.js";
import { AuditLog } from "./log.js";
import type { AuditStore } from "./store.js";
import { entry, openTestLog, type TestLog, write } from "./testing.js";
import { verifyAudit } from "./verify.js";

type OpenOptions = Parameters<typeof openTestLog>[0];

async function open(options?: OpenOptions): Promise<TestLog> {
  const log = await openTestLog(options);
  onTestFinished(() => rmSync(log.home, { recursive: true, force: true }));
  return log;
}

const linesOf = ({ directory }: TestLog, file = 1): Record<string, unknown>[] =>
  readFileSync(auditFile(directory, file), "utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line));
const recordsOf = (log: TestLog) => linesOf(log).filter((line) => "call" in line);
const notesOf = (log: TestLog) =>
  linesOf(log)
    .map(({ note }) => note)
    .filter(Boolean);
const findings = async ({ directory }: TestLog) => (await verifyAudit({ directory })).findings;

describe("a record", () => {
  it("says who, what, when and with which result, and is on disk once sync says so", async () => {
    const log = await open();
    log.audit.record(entry());
    log.audit.record(
      entry({
        pid: 0n,
        principal: "",
        call: "attach",
        object: "",
        handle: 0,
        digest: "",
        result: "EACCES",
        reason: "the token is wrong",
      }),
    );
    await log.audit.sync();
    expect(recordsOf(log)).toEqual([
      expect.objectContaining({
        at: 1_700_000_000_000,
        pid: "n1.3",
        principal: "team",
        run: 1,
        seq: "7",
        call: "ctx.append",
        object: "context n1.9",
        handle: 2,
        result: "ok",
        args: expect.stringMatching(/^[0-9a-f]{16}$/),
      }),
      expect.objectContaining({ call: "attach", result: "EACCES", reason: "the token is wrong" }),
    ]);
    expect(recordsOf(log)[1]).not.toHaveProperty("pid");
    await log.close();
    expect(await findings(log)).toEqual([]);
  });

  it("tells neither the digest of the arguments as it is nor what a failure quotes", async () => {
    const log = await open();
    log.audit.record(entry({ result: "EINVAL", reason: 'unknown signal "a secret"' }));
    await log.close();
    const text = readFileSync(auditFile(log.directory, 1), "utf8");
    expect(text).not.toMatch(/secret|abc"/);
    const other = await open();
    other.audit.record(entry());
    await other.close();
    expect(recordsOf(other)[0]?.args).not.toBe(recordsOf(log)[0]?.args);
  });

  it("of the same refusal again and again is one line that says how often", async () => {
    const log = await open();
    const refused = { result: "EBADF", reason: "no such handle" } as const;
    for (let seq = 1n; seq <= 500n; seq++) log.audit.record(entry({ ...refused, seq }));
    log.audit.record(entry({ ...refused, handle: 3 }));
    for (let seq = 1n; seq <= 3n; seq++) log.audit.record(entry({ seq }));
    await log.close();
    expect(recordsOf(log).map(({ handle, times }) => [handle, times])).toEqual([
      [2, 500],
      [3, undefined],
      ...Array(3).fill([2, undefined]),
    ]);
  });

  it("that came after the end is not taken", async () => {
    const log = await open();
    await log.close();
    log.audit.record(entry());
    await log.audit.sync();
    expect(await findings(log)).toEqual([]);
  });
});

describe("the files", () => {
  it("are closed to others, and the key is made once", async () => {
    const log = await open();
    await log.close();
    for (const name of ["key", "head.json", "audit-000001.jsonl"]) {
      expect(statSync(join(log.directory, name)).mode & 0o077, name).toBe(0);
    }
    const key = readFileSync(join(log.directory, "key"), "utf8");
    const again = await open({ home: log.home });
    await again.close();
    expect(readFileSync(join(log.directory, "key"), "utf8")).toBe(key);
    writeFileSync(join(log.directory, "key"), "rubbish");
    expect(() => openKey(log.directory, systemRandomness)).toThrow(/key is not a key/);
  });

  it("go on over a restart, and the chain over the files", async () => {
    const first = await open({ auditFile: "2KiB" });
    await write(first, 4, 5);
    await first.close();
    const second = await open({ home: first.home, auditFile: "2KiB" });
    await write(second, 4, 5);
    await second.close();
    const found = await verifyAudit({ directory: first.directory });
    expect(found).toMatchObject({ findings: [], records: 40 });
    expect(auditFiles(first.directory).length).toBeGreaterThan(4);
  });

  it("are dropped beyond the bound, and the log says so", async () => {
    const log = await open({ auditFile: "2KiB", auditFiles: 3 });
    await write(log, 12, 5);
    await log.close();
    const kept = auditFiles(log.directory);
    expect(kept.length).toBeLessThanOrEqual(4);
    expect(kept[0]).toBeGreaterThan(1);
    const whole = await verifyAudit({ directory: log.directory, heads: log.heads.join("\n") });
    expect(whole.findings).toEqual([]);
    rmSync(auditFile(log.directory, kept[0] ?? 0));
    expect((await findings(log)).map(({ what }) => what).join()).toMatch(/does not say/);
  });

  it("export each head to a file of the operator's", async () => {
    const home = mkdtempSync(join(tmpdir(), "contix-audit-"));
    const path = join(home, "heads.jsonl");
    const log = await open({ home, auditHeads: path });
    await write(log, 3, 2);
    await log.close();
    const heads = readFileSync(path, "utf8");
    expect(heads).toBe(log.heads.map((line) => `${line}\n`).join(""));
    expect((await verifyAudit({ directory: log.directory, heads })).findings).toEqual([]);
  });
});

describe("after a kill", () => {
  async function killed(): Promise<TestLog> {
    const log = await open();
    await write(log, 3, 3);
    await log.close();
    return log;
  }

  it("half a line is cut off, and said", async () => {
    const log = await killed();
    const path = auditFile(log.directory, 1);
    const whole = readFileSync(path, "utf8");
    writeFileSync(path, `${whole}{"n":99,"pr`);
    const again = await open({ home: log.home });
    await again.close();
    expect(notesOf(again)).toContain("torn");
    expect(await findings(again)).toEqual([]);
  });

  it("an end that was taken away meanwhile stays a finding for good", async () => {
    const log = await killed();
    const path = auditFile(log.directory, 1);
    const lines = readFileSync(path, "utf8").split("\n");
    truncateSync(path, Buffer.byteLength(`${lines.slice(0, 6).join("\n")}\n`));
    const again = await open({ home: log.home });
    await write(again, 2, 2);
    await again.close();
    const whats = (await findings(again)).map(({ what }) => what).join();
    expect(whats).toMatch(/found at its start: lines \d+ to \d+ are gone/);
  });

  it.each([
    ["the whole log", (path: string) => rmSync(path)],
    ["its only file, emptied", (path: string) => truncateSync(path, 0)],
    ["the file, overwritten", (path: string) => writeFileSync(path, "rubbish\n")],
  ])("%s is missed too", async (_what, harm) => {
    const log = await killed();
    harm(auditFile(log.directory, 1));
    const again = await open({ home: log.home });
    await write(again, 1, 1);
    await again.close();
    expect((await findings(again)).map(({ what }) => what).join()).toMatch(/found at its start/);
  });

  it("a file that was only begun is gone on with", async () => {
    const log = await killed();
    writeFileSync(auditFile(log.directory, 2), "");
    const again = await open({ home: log.home });
    await write(again, 1, 1);
    await again.close();
    expect(await findings(again)).toEqual([]);
  });
});

describe("a disk that refuses", () => {
  /** A store in memory that can be full, and a clock whose pauses end at once. */
  function failing(onPause = (): void => {}) {
    const disk = { full: false, text: "", tries: 0, onTry: () => {} };
    const store: AuditStore = {
      file: 1,
      get size() {
        return disk.text.length;
      },
      async append(text) {
        disk.tries++;
        disk.onTry();
        if (disk.full)
          throw Object.assign(new Error("no space left on device"), { code: "ENOSPC" });
        disk.text += text;
      },
      next: async () => {},
      endOf: async () => undefined,
      remove: async () => {},
      keepHead: async () => {},
      close: async () => {},
    };
    const key = signingKey(systemRandomness.bytes(32));
    const log = new AuditLog({
      store,
      end: { n: 0, hash: GENESIS },
      notes: [],
      key,
      publicHex: publicHex(key),
      secret: "s",
      clock: {
        ...systemClock,
        // It stands still: what is to be apart in time waits.
        now: () => 0,
        after(_us, fn) {
          onPause();
          return systemClock.after(0, fn);
        },
      },
      log: silentLog,
      fileBytes: 1 << 30,
      files: 0,
      onHead: () => {},
    });
    /** Resolves when the disk was asked `n` more times. */
    const asked = (n: number): Promise<void> =>
      new Promise((resolve) => {
        const until = disk.tries + n;
        disk.onTry = () => {
          if (disk.tries >= until) resolve();
        };
      });
    return { disk, log, asked };
  }

  it("ends what changes something until it takes records again; nothing is acknowledged unwritten", async () => {
    const { disk, log, asked } = failing();
    await log.sync();
    disk.full = true;
    log.record(entry({ call: "ctx.create" }));
    let acknowledged = false;
    const synced = log.sync().then(() => {
      acknowledged = true;
    });
    await asked(3);
    expect(() => log.admit()).toThrow(expect.objectContaining({ code: "ENOSPC" }));
    expect(acknowledged).toBe(false);
    disk.full = false;
    await synced;
    log.admit();
    expect(disk.text.match(/ctx\.create/g)).toHaveLength(1);
    await log.close();
  });

  it.each([
    ["one who waits for each answer", () => [{ pid: 1n }], 0],
    ["two at once", () => [{ pid: 1n }, { pid: 2n }], 4],
    ["two in turns", (turn: number) => [{ pid: BigInt(turn % 2) }], 4],
    ["one whose calls come together", () => [{ pid: 1n }, { pid: 1n }], 4],
    ["refusals, which nobody waits for", () => [{ pid: 1n, result: "EPERM" as const }], 4],
  ] as const)(
    "group commits are apart, but for a lone caller's: %s",
    async (_who, calls, paused) => {
      let pauses = 0;
      const { log } = failing(() => pauses++);
      await log.sync();
      // The first after another's waits.
      for (let turn = 0; turn < 5; turn++) {
        if (turn === 1) pauses = 0;
        for (const one of calls(turn)) log.record(entry({ ...one, seq: BigInt(turn) }));
        await log.sync();
      }
      expect(pauses).toBe(paused);
      await log.close();
    },
  );

  it("is given up at the end, and the daemon's log says so", async () => {
    const { disk, log, asked } = failing();
    disk.full = true;
    log.record(entry());
    await asked(1);
    await log.close();
    expect(disk.text).toBe("");
  });

  it("is waited for within bounds: refusals beyond them are counted, calls told to come back", async () => {
    const { disk, log, asked } = failing();
    disk.full = true;
    log.record(entry());
    await asked(2);
    const refused = (i: number): AuditEntry =>
      entry({ result: "EPERM", pid: BigInt(i + 1), call: "proc.kill" });
    for (let i = 0; i < 20_000; i++) log.record(refused(i));
    disk.full = false;
    await log.sync();
    await log.close();
    const lost = /"note":"lost","text":"(\d+) records/.exec(disk.text)?.[1];
    const kept = disk.text.match(/proc\.kill/g)?.length ?? 0;
    expect(Number(lost) + kept).toBe(20_000);
    expect(Number(lost)).toBeGreaterThan(0);
  });

  it("refuses none that only takes away, so many of a process; what they did is written then", async () => {
    const { disk, log, asked } = failing();
    await log.sync();
    disk.full = true;
    log.record(entry({ call: "key.revoke" }));
    await asked(2);
    const taken = (pid: bigint): void => {
      log.admit(pid);
      log.record(entry({ pid, call: "cap.close" }));
    };
    for (let i = 0; i < 64; i++) taken(1n);
    expect(() => taken(1n)).toThrow(expect.objectContaining({ code: "EAGAIN" }));
    taken(2n);
    let acknowledged = false;
    const synced = log.sync().then(() => {
      acknowledged = true;
    });
    await asked(2);
    expect(acknowledged).toBe(false);
    disk.full = false;
    await synced;
    expect(disk.text.match(/cap\.close/g)).toHaveLength(65);
    taken(1n);
    await log.close();
  });

  it("takes no more of these than it has room for in all", () => {
    const { log } = failing();
    // And the note of its start.
    for (let i = 1; i < 16_384; i++) log.record(entry({ seq: BigInt(i) }));
    expect(() => log.admit()).toThrow(expect.objectContaining({ code: "EAGAIN" }));
    let taken = 0;
    const all = (): void => {
      for (let pid = 1n; taken < 40_000; pid++, taken++) {
        log.admit(pid);
        log.record(entry({ pid, call: "cap.close" }));
      }
    };
    expect(all).toThrow(expect.objectContaining({ code: "EAGAIN" }));
    expect(taken).toBe(16_384);
  });

  it("that is only slow makes calls wait outside: EAGAIN with a time", () => {
    const { log } = failing();
    for (let i = 0; i < 20_000; i++) log.record(entry({ seq: BigInt(i) }));
    expect(() => log.admit()).toThrow(
      expect.objectContaining({ code: "EAGAIN", retryAfterUs: expect.any(Number) }),
    );
  });
});
