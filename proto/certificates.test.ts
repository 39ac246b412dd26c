import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Authority, authority, writePems } from "../test/support/authority.js";
import { Certificates, type TlsFiles } from "./certificates.js";
import { ContixError } from "./errno.js";

const DAY_MS = 86_400_000;
const START = Date.parse("2030-01-01T00:00:00Z");
const at = (ms: number): Date => new Date(START + ms);

let dir: string;
let own: Authority;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "contix-certificates-"));
  own = await authority("own");
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** What reads them, with a clock that is moved by hand, and what the log heard. */
function reader(files: TlsFiles) {
  const heard: string[] = [];
  let ms = START;
  let due: (() => void) | undefined;
  const clock = {
    wall: () => ms,
    after: (us: number, fn: () => void) => {
      expect(us).toBeGreaterThan(0);
      due = fn;
      return () => {
        due = undefined;
      };
    },
  };
  const log = { warn: (_: object, text: string) => void heard.push(text) };
  const certificates = new Certificates(files, { clock, log });
  const pass = (to: number): void => {
    ms = START + to;
    due?.();
  };
  return { certificates, heard, pass, isWatching: () => due !== undefined };
}

const files = (over: Partial<TlsFiles>): TlsFiles => ({
  ...{ tlsCert: join(dir, "cert.pem"), tlsKey: join(dir, "key.pem"), tlsClientCa: "" },
  ...over,
});

describe("certificates", () => {
  it("are refused with the setting, the file, the fault and the remedy", async () => {
    const valid = await own.issue({ from: at(-DAY_MS), until: at(DAY_MS) });
    const other = await own.issue({ from: at(-DAY_MS), until: at(DAY_MS) });
    const write = (name: string, text: string): string => {
      writeFileSync(join(dir, name), text);
      return join(dir, name);
    };
    writePems(dir, valid);
    const past = write("past", (await own.issue({ from: at(-2), until: at(-1000) })).cert);
    const future = write("future", (await own.issue({ from: at(9e6), until: at(9e7) })).cert);
    mkdirSync(join(dir, "weak"));
    const soft = { from: at(-DAY_MS), until: at(DAY_MS), weak: true };
    const weak = writePems(join(dir, "weak"), await own.issue(soft));
    const none = write("none", "words");
    const table: [Partial<TlsFiles>, string, RegExp][] = [
      [{}, "", /^$/],
      [{ tlsCert: join(dir, "nowhere") }, "tlsCert", /ENOENT.*give the path of a PEM file/],
      [{ tlsCert: none }, "tlsCert", /no certificate .*BEGIN CERTIFICATE/],
      [{ tlsCert: past }, "tlsCert", /expired on .*put a new certificate there/],
      [{ tlsCert: future }, "tlsCert", /valid from .* on; wait/],
      [{ tlsKey: none }, "tlsKey", /no key that can be read .*without a passphrase/],
      [{ tlsKey: write("key", other.key) }, "tlsKey", /not the key of .* in tlsCert; give the key/],
      [{ tlsCert: weak.tlsCert, tlsKey: weak.tlsKey }, "tlsCert", /does not take it .*SHA-256/],
      [{ tlsClientCa: dir }, "tlsClientCa", /EISDIR.*give the path/],
      [{ tlsClientCa: past }, "tlsClientCa", /expired on/],
    ];
    for (const [over, argument, says] of table) {
      let error: unknown;
      try {
        reader(files(over)).certificates.read();
      } catch (thrown) {
        error = thrown;
      }
      if (argument === "") {
        expect(error).toBeUndefined();
        continue;
      }
      expect(error).toBeInstanceOf(ContixError);
      expect(error).toMatchObject({ code: "EINVAL", argument });
      expect((error as Error).message).toMatch(says);
      expect((error as Error).message).toContain(over[argument as keyof TlsFiles]);
    }
  });

  it("that expire while in use are told of before and then, until new ones are read", async () => {
    writePems(dir, await own.issue({ from: at(-DAY_MS), until: at(30 * DAY_MS) }));
    const { certificates, heard, pass, isWatching } = reader(files({}));
    certificates.read();
    pass(DAY_MS);
    expect(heard).toEqual([]);
    pass(24 * DAY_MS);
    pass(25 * DAY_MS);
    expect(heard).toEqual([expect.stringMatching(/expires soon.*SIGHUP/)]);
    pass(30 * DAY_MS);
    expect(heard[1]).toMatch(/has expired.*SIGHUP/);
    expect(isWatching()).toBe(false);
    writePems(dir, await own.issue({ from: at(0), until: at(31 * DAY_MS) }));
    certificates.read();
    pass(31 * DAY_MS);
    expect(heard).toHaveLength(4);
  });
});
