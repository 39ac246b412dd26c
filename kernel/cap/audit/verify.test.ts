import { sign } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { systemRandomness } from "../../clock.js";
import { hashOf, headLine, headText, lineAfter } from "./chain.js";
import { openKey } from "./files.js";
import { openTestLog, type TestLog, write } from "./testing.js";
import { verifyAudit } from "./verify.js";

/** A log of several files, as it was written. */
let log: TestLog;
let files: ReadonlyMap<string, string>;

beforeAll(async () => {
  log = await openTestLog({ auditFile: "4KiB" });
  await write(log, 6, 9);
  await log.close();
  files = new Map(
    readdirSync(log.directory).map((name) => [
      name,
      readFileSync(join(log.directory, name), "utf8"),
    ]),
  );
});
afterAll(() => rmSync(log.home, { recursive: true, force: true }));

/** Verifies the log with some of its files replaced; undefined: taken away. */
function verify(edits: Readonly<Record<string, string | undefined>>, heads?: string) {
  const directory = mkdtempSync(join(tmpdir(), "contix-audit-edit-"));
  for (const [name, text] of files) {
    const now = name in edits ? edits[name] : text;
    if (now !== undefined) writeFileSync(join(directory, name), now);
  }
  return verifyAudit({ directory, ...(heads !== undefined && { heads }) }).finally(() =>
    rmSync(directory, { recursive: true, force: true }),
  );
}

const logFiles = (): string[] => [...files.keys()].filter((name) => name.endsWith(".jsonl")).sort();
const textOf = (name: string): string => files.get(name) ?? "";
const first = (): string => logFiles()[0] ?? "";
const last = (): string => logFiles().at(-1) ?? "";
const whats = (found: { findings: readonly { what: string }[] }) =>
  found.findings.map((f) => f.what);

describe("a log that nobody touched", () => {
  it("is found to be whole, over its files", async () => {
    const found = await verify({}, log.heads.join("\n"));
    expect(found.findings).toEqual([]);
    expect(found).toMatchObject({ records: 54, unsigned: 0, from: 1 });
    expect(found.heads).toBe(log.heads.length);
    expect(logFiles().length).toBeGreaterThan(2);
    expect(found.compared).toBeGreaterThanOrEqual(6);
  });
});

describe("any single edit of the files is found", () => {
  const place = fc.record({ file: fc.nat(), at: fc.nat() });
  const pick = ({ file, at }: { file: number; at: number }) => {
    const name = logFiles()[file % logFiles().length] ?? "";
    return { name, text: textOf(name), at: at % textOf(name).length };
  };
  const found = async (name: string, text: string | undefined): Promise<void> => {
    const { findings } = await verify({ [name]: text });
    expect(findings.length).toBeGreaterThan(0);
  };

  it("a changed, an added, a removed byte", async () => {
    const edit = fc.constantFrom("change", "add", "remove");
    const byte = fc.integer({ min: 1, max: 126 }).map((code) => String.fromCharCode(code));
    await fc.assert(
      fc.asyncProperty(place, edit, byte, async (where, how, character) => {
        const { name, text, at } = pick(where);
        fc.pre(how !== "change" || text[at] !== character);
        const middle = how === "remove" ? "" : character;
        await found(name, text.slice(0, at) + middle + text.slice(how === "add" ? at : at + 1));
      }),
      { numRuns: 120 },
    );
  });

  it("a removed, a repeated, a moved line; a cut; a file that is gone", async () => {
    const edit = fc.constantFrom("remove", "repeat", "swap", "cut", "gone");
    await fc.assert(
      fc.asyncProperty(place, edit, async (where, how) => {
        const { name, text, at } = pick(where);
        if (how === "gone") return found(name, undefined);
        if (how === "cut") return found(name, text.slice(0, at));
        const lines = text.split("\n").slice(0, -1);
        const i = at % lines.length;
        const [line = "", next] = lines.slice(i, i + 2);
        if (how === "remove") lines.splice(i, 1);
        else if (how === "repeat") lines.splice(i, 0, line);
        else if (next === undefined) lines.unshift(...lines.splice(i, 1));
        else lines.splice(i, 2, next, line);
        return found(name, lines.map((l) => `${l}\n`).join(""));
      }),
      { numRuns: 60 },
    );
  });

  it("a line that stands twice is called that", async () => {
    const lines = textOf(first()).split("\n");
    const twice = [...lines.slice(0, 3), lines[2], ...lines.slice(3)].join("\n");
    expect(whats(await verify({ [first()]: twice }))).toContain(
      "number 3 after 3: out of order, or twice",
    );
  });

  it("and where it was", async () => {
    const lines = textOf(first()).split("\n");
    lines[4] = (lines[4] ?? "").replace('"result":"ok"', '"result":"no"');
    const { findings } = await verify({ [first()]: lines.join("\n") });
    const n = JSON.parse(lines[4] ?? "").n as number;
    expect(findings).toEqual([
      { file: first(), line: 6, what: expect.stringContaining(`line ${n}: that line`) },
    ]);
  });
});

describe("somebody who rewrites everything", () => {
  /** The last file with its records from line `at` on made anew, signed with the key. */
  function rewritten(at: number): string {
    const lines = textOf(last()).split("\n").slice(0, -1);
    const kept = lines.slice(0, at);
    const before = kept.at(-1) ?? "";
    let end = { n: JSON.parse(before).n as number, hash: hashOf(before) };
    const add = (line: string): void => {
      kept.push(line);
      end = { n: end.n + 1, hash: hashOf(line) };
    };
    const { key } = openKey(log.directory, systemRandomness);
    for (const line of lines.slice(at, -1)) {
      const { n: _n, prev: _prev, sig, ...body } = JSON.parse(line);
      if (sig === undefined) add(lineAfter(end, { ...body, principal: "nobody" }));
      else
        add(headLine(headText(end, body.at), sign(null, Buffer.from(headText(end, body.at)), key)));
    }
    add(headLine(headText(end, 5), sign(null, Buffer.from(headText(end, 5)), key)));
    return kept.map((line) => `${line}\n`).join("");
  }

  it("is found out by the heads that were exported, though he has the key", async () => {
    // Whoever rewrites the log rewrites the copy of its last head too.
    const edits = { [last()]: rewritten(2), "head.json": "" };
    expect((await verify(edits)).findings).toEqual([]);
    const found = await verify(edits, log.heads.join("\n"));
    expect(whats(found).join()).toMatch(/not the head \d+ that was exported/);
  });

  it("cuts the end off at a head, and is found out by them too", async () => {
    const lines = textOf(first()).split("\n");
    const head = lines.findIndex((line) => line.includes('"sig"'));
    const cut: Record<string, string | undefined> = { "head.json": "" };
    for (const name of logFiles()) cut[name] = undefined;
    cut[first()] = `${lines.slice(0, head + 1).join("\n")}\n`;
    expect((await verify(cut)).findings).toEqual([]);
    expect(whats(await verify(cut, log.heads.join("\n"))).join()).toMatch(/log ends with line/);
  });

  it("without the key can sign nothing", async () => {
    const text = rewritten(2).replace(/"sig":"[0-9a-f]{8}/g, '"sig":"00000000');
    expect(whats(await verify({ [last()]: text }))).toContain("a signature that is wrong");
  });

  it("with a key of his own is found by the key", async () => {
    const text = textOf("key.pub").replace(/^../, (two) => (two === "00" ? "11" : "00"));
    expect((await verify({ "key.pub": text })).findings.length).toBeGreaterThan(0);
    expect(whats(await verify({ "key.pub": undefined })).join()).toMatch(/no public key/);
  });
});

describe("heads", () => {
  it("that are none, or not signed, or two of one number, are findings", async () => {
    const [head = ""] = log.heads;
    const twice = head.replace(/"at":\d+/, '"at":1');
    expect(whats(await verify({}, "rubbish\n"))).toEqual([
      "the exported heads, line 1: not a head",
    ]);
    expect(whats(await verify({}, `${head}\n${twice}\n`)).join()).toMatch(/line 2: a signature/);
  });
});
