import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { ensureNatsServer } from "./find.js";
import type { Source } from "./sources.js";

const dir = mkdtempSync(join(tmpdir(), "contix-nats-"));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

describe("finding one", () => {
  /** An executable that says it is nats-server `version`. */
  function fake(name: string, version: string): string {
    const path = join(dir, name, "nats-server");
    mkdirSync(join(dir, name), { recursive: true });
    writeFileSync(path, `#!/bin/sh\necho "nats-server: ${version}"\n`);
    chmodSync(path, 0o755);
    return path;
  }
  const none: Source = { name: "nowhere", get: () => Promise.reject(new Error("no network")) };
  const env = (path: string) => ({ PATH: `${path}:/bin:/usr/bin` });
  const empty = join(dir, "empty-cache");

  test("the named one wins, and one that is none is refused at once", async () => {
    const path = fake("named", "v2.11.0");
    const found = await ensureNatsServer({ env: { CONTIX_NATS_SERVER: path }, sources: [] });
    expect(found).toBe(path);
    const wrong = { env: { CONTIX_NATS_SERVER: "/no/such" }, sources: [none] };
    await expect(ensureNatsServer(wrong)).rejects.toThrow("CONTIX_NATS_SERVER: /no/such: none");
  });

  test("one in PATH must be new enough", async () => {
    const old = fake("old", "v2.9.25");
    const fresh = fake("fresh", "v2.12.1");
    const options = { cache: empty, sources: [none] };
    expect(await ensureNatsServer({ ...options, env: env(join(dir, "fresh")) })).toBe(fresh);
    const both = { PATH: `${join(dir, "old")}:${join(dir, "fresh")}:/bin` };
    expect(await ensureNatsServer({ ...options, env: both })).toBe(fresh);
    await expect(ensureNatsServer({ ...options, env: env(join(dir, "old")) })).rejects.toThrow(
      `${old}: is v2.9.25; 2.11 or newer is needed`,
    );
  });

  test("every place and source that has none is named with its reason", async () => {
    const options = { cache: empty, sources: [none, { ...none, name: "elsewhere" }], env: env("") };
    await expect(ensureNatsServer(options)).rejects.toMatchObject({
      code: "ENOENT",
      message: expect.stringMatching(
        /PATH: none; .*: none; nowhere: no network; elsewhere: no network\); install nats-server/,
      ),
    });
  });

  test("what a source brings is kept when it runs, and asked for once", async () => {
    const cache = join(dir, "cache");
    let asked = 0;
    const source = (version: string): Source => ({
      name: "made",
      async get(into) {
        asked++;
        const path = join(into, "nats-server");
        writeFileSync(path, `#!/bin/sh\necho "${version}"\n`);
        return path;
      },
    });
    const options = { cache, env: env("") };
    await expect(ensureNatsServer({ ...options, sources: [source("nonsense")] })).rejects.toThrow(
      /made: says "nonsense", no version/,
    );
    const path = await ensureNatsServer({ ...options, sources: [source("v2.11.10")] });
    expect(await ensureNatsServer({ ...options, sources: [source("v2.11.10")] })).toBe(path);
    expect(asked).toBe(2);
  });
});
