import { appendFile, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { linesFrom } from "./follow-lines.js";

it("reads lines longer than its chunks, and none before its end is there", async () => {
  const folder = await mkdtemp(join(tmpdir(), "contix-lines-"));
  const path = join(folder, "log");
  expect(await linesFrom(path, 0)).toEqual({ lines: [], position: 0 });
  const long = "ü".repeat(100_000);
  await writeFile(path, `one\n${long}`);
  const first = await linesFrom(path, 0);
  expect(first).toEqual({ lines: ["one"], position: 4 });
  expect(await linesFrom(path, 4)).toEqual({ lines: [], position: 4 });
  await appendFile(path, "\nlast\nhal");
  const second = await linesFrom(path, 4);
  expect(second).toEqual({ lines: [long, "last"], position: 4 + 200_000 + 6 });
  expect(await linesFrom(path, second.position)).toEqual({ ...second, lines: [] });
  await rm(folder, { recursive: true });
});
