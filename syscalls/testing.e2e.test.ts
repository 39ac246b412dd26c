/** The test kernel itself: the real daemon with the fake driver. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { ConnectionError } from "./index.js";
import { startTestKernel } from "./testing.js";

const alive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

async function until(what: () => boolean): Promise<void> {
  while (!what()) await new Promise((turn) => setTimeout(turn, 10));
}

test("the same seed gives the same text in another kernel, another seed another", async () => {
  const texts: string[] = [];
  for (const seed of [1, 1, 2]) {
    await using kernel = await startTestKernel({ seed });
    await using os = await kernel.connect();
    texts.push((await os.llm.generate("Once upon a time", { maxTokens: 20, seed: 5 })).text);
  }
  expect(texts[0]).not.toBe("");
  expect(texts[1]).toBe(texts[0]);
  expect(texts[2]).not.toBe(texts[0]);
});

test("stop ends the daemon and takes its home along", async () => {
  const kernel = await startTestKernel();
  expect(statSync(kernel.home).mode & 0o777).toBe(0o700);
  await kernel.stop();
  await kernel.stop();
  expect(existsSync(kernel.home)).toBe(false);
  expect(alive(kernel.pid)).toBe(false);
});

test("a client that is still attached hears of the end, and lives on", async () => {
  const kernel = await startTestKernel();
  const os = await kernel.connect();
  const mail = expect(os.ipc.recv()).rejects.toThrow();
  await kernel.stop();
  await mail;
  await expect(os.sys.uname()).rejects.toBeInstanceOf(ConnectionError);
});

test("a kernel that can not start says why", async () => {
  await expect(startTestKernel({ flags: ["--slots", "-1"] })).rejects.toThrow(/slots/);
});

test("a kernel ends with the program that started it, even a killed one", async () => {
  const testing = fileURLToPath(new URL("../dist/syscalls/testing.js", import.meta.url));
  const program = `
    const { startTestKernel } = await import(${JSON.stringify(testing)});
    const { pid, home } = await startTestKernel();
    console.log(JSON.stringify({ pid, home }));
    setInterval(() => {}, 1000);`;
  const starter = spawn(process.execPath, ["--input-type=module", "-e", program], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [line] = await once(starter.stdout, "data");
  const { pid, home } = JSON.parse(String(line));
  expect(alive(pid)).toBe(true);
  starter.kill("SIGKILL");
  await until(() => !alive(pid) && !existsSync(home));
});

test("a program that forgets to stop its kernel can end", async () => {
  const testing = fileURLToPath(new URL("../dist/syscalls/testing.js", import.meta.url));
  const program = `
    const { startTestKernel } = await import(${JSON.stringify(testing)});
    console.log((await startTestKernel()).pid);`;
  const starter = spawn(process.execPath, ["--input-type=module", "-e", program], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [line] = await once(starter.stdout, "data");
  const [code] = await once(starter, "exit");
  expect(code).toBe(0);
  await until(() => !alive(Number(line)));
});
