import { appendFile, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { follow } from "./follow.js";

let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "contix-follow-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe("follow", () => {
  it("reads what is there and ends when it is done", async () => {
    const path = join(folder, "log");
    await writeFile(path, "one\n".repeat(50_000));
    let bytes = 0;
    for await (const chunk of follow(path, { done: AbortSignal.abort() })) bytes += chunk.length;
    expect(bytes).toBe(200_000);
  });

  it("waits for the file, reads what is appended, and a last time after the end", async () => {
    const path = join(folder, "log");
    const done = new AbortController();
    let text = "";
    const reading = (async () => {
      for await (const chunk of follow(path, { done: done.signal })) {
        text += chunk.toString();
        if (text === "first") await appendFile(path, " second");
        if (text === "first second") {
          await appendFile(path, " last");
          done.abort();
        }
      }
    })();
    await writeFile(path, "first");
    await reading;
    expect(text).toBe("first second last");
  });

  it("goes on over rotations, two between two looks too, and begins with the former file", async () => {
    const path = join(folder, "log");
    const rotate = async (text: string): Promise<void> => {
      await rename(path, `${path}.1`);
      await writeFile(path, text);
    };
    await writeFile(path, "a");
    await rotate("b");
    const done = new AbortController();
    let text = "";
    for await (const chunk of follow(path, { done: done.signal })) {
      text += chunk.toString();
      if (text === "ab") {
        await appendFile(path, "c");
        await rotate("d");
        await rotate("e");
      }
      if (text === "abcde") done.abort();
    }
    expect(text).toBe("abcde");
  });

  it("is empty for a file that never came", async () => {
    const chunks = [];
    for await (const chunk of follow(join(folder, "none"), { done: AbortSignal.abort() }))
      chunks.push(chunk);
    expect(chunks).toEqual([]);
  });
});
