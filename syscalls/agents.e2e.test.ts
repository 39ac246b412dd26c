/** The agents of agents/, as programs, against the real kernel with the fake driver. */
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { text as readAll } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Os } from "./index.js";
import { startTestKernel, type TestKernel } from "./testing.js";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const TEXTS = join(ROOT, "agents/data/texts");
const FAQ = join(ROOT, "agents/data/faq");

let kernel: TestKernel;
let os: Os;
beforeAll(async () => {
  kernel = await startTestKernel({ slots: 4, slotTokens: 256, stepUs: 100 });
  os = await kernel.connect();
});
afterAll(async () => {
  await os.close();
  await kernel.stop();
});

type Agent = ChildProcessByStdio<Writable, Readable, Readable>;

function start(name: string, ...args: string[]): Agent {
  return spawn(process.execPath, [join(ROOT, `dist/agents/${name}.js`), ...args], {
    env: { ...process.env, ...kernel.env },
    stdio: ["pipe", "pipe", "pipe"],
  });
}

interface Run {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function run(name: string, args: string[], input = ""): Promise<Run> {
  const agent = start(name, ...args);
  agent.stdin.end(input);
  const [out, err, [code]] = await Promise.all([
    readAll(agent.stdout),
    readAll(agent.stderr),
    once(agent, "exit"),
  ]);
  return { code, out, err };
}

/** Gathers the agent's output; the function resolves when `what` has come since its last match. */
function listen(agent: Agent): (what: RegExp) => Promise<void> {
  let seen = "";
  agent.stdout.on("data", (bytes) => {
    seen += bytes;
  });
  return async (what) => {
    while (!what.test(seen)) await once(agent.stdout, "data");
    seen = "";
  };
}

test("hello answers and says what it cost", async () => {
  const { code, out, err } = await run("hello", ["Who", "are", "you?"]);
  expect({ code, err }).toEqual({ code: 0, err: "" });
  expect(out).toMatch(/\S\s*\n\(n1\.\d+: \d+ tokens in \d+ ms\)\n$/);
});

test("queue loses no job, though a worker is killed at its work", async () => {
  const { code, out, err } = await run("queue", ["5", "2"]);
  expect({ code, err }).toEqual({ code: 0, err: "" });
  const jobs = out.match(/job \d+/g)?.sort();
  expect(jobs).toEqual(["job 1", "job 2", "job 3", "job 4", "job 5"]);
  expect(out).toMatch(/job 3 by n1\.\d+, delivery 2/);
});

test("news reaches those that subscribed to it", async () => {
  const { code, out, err } = await run("news", []);
  expect({ code, err }).toEqual({ code: 0, err: "" });
  expect(out).toBe(
    "news.sports went to 2\nnews.sports.chess went to 1\nnews.weather went to 2\nnews.end went to 2\n",
  );
});

test("summarize reduces a text of many windows to one summary", async () => {
  const all = await Promise.all(
    ["bees", "maps", "salt"].map((name) => readFile(join(TEXTS, `${name}.txt`), "utf8")),
  );
  const file = join(kernel.home, "long.txt");
  await writeFile(file, all.join("\n\n"));
  const { code, out, err } = await run("summarize", [file]);
  expect(code).toBe(0);
  expect(err).toMatch(/ of \d\d chunks of /);
  expect(out.trim()).not.toBe("");
  const tokens = await os.llm.tokenize(out.trim());
  expect(tokens.length).toBeLessThan(256);
});

test("summarize takes a text without a single gap, and refuses an empty one", async () => {
  const file = join(kernel.home, "odd.txt");
  await writeFile(file, "🙂x".repeat(3_000));
  expect(await run("summarize", [file])).toMatchObject({ code: 0 });
  await writeFile(file, " \n");
  expect(await run("summarize", [file])).toMatchObject({ code: 1, out: "" });
  expect(await run("summarize", ["/no/such"])).toMatchObject({
    code: 1,
    err: "summarize: ENOENT: no such file or directory, open '/no/such'\n",
  });
  expect(await run("summarize", [])).toMatchObject({ code: 2, err: "usage: summarize FILE\n" });
});

test("support answers every question of a file, each customer's in their order", async () => {
  const { code, out, err } = await run("support", [FAQ, join(ROOT, "agents/data/questions.txt")]);
  expect({ code, err }).toEqual({ code: 0, err: "" });
  const asked = out.split("\n").filter((line) => /^\w+: /.test(line));
  expect(asked).toHaveLength(6);
  expect(asked.filter((line) => line.startsWith("anna"))).toEqual([
    "anna: How long does delivery to Spain take?",
    "anna: And what does the delivery cost?",
  ]);
});

test("support reads stdin, and forgets customers when there are too many", async () => {
  const lines = Array.from({ length: 40 }, (_, i) => `customer${i}: How can I pay?\n`);
  const { code, out, err } = await run("support", [FAQ], lines.join(""));
  expect({ code, err }).toEqual({ code: 0, err: "" });
  expect(out.match(/How can I pay\?/g)).toHaveLength(40);
});

test("support says what is missing: a folder, or questions", async () => {
  expect(await run("support", ["/no/such"])).toMatchObject({
    code: 1,
    err: "support: ENOENT: no such file or directory, scandir '/no/such'\n",
  });
  const { code, err } = await run("support", [FAQ]);
  expect(code).toBe(0);
  expect(err).toContain("contix run -i");
});

test("support answers its mailbox until it is told to stop", async () => {
  const desk = await os.proc.spawn([
    process.execPath,
    join(ROOT, "dist/agents/support.js"),
    FAQ,
    "--mailbox",
  ]);
  await os.ipc.send(desk.pid, "When is the shop open?");
  const { from, text } = await os.ipc.recv();
  expect(from).toBe(desk.pid);
  expect(text).not.toBe("");
  await desk.kill();
  expect(await desk.wait()).toMatchObject({ cause: "signal TERM" });
});

test("chat talks on over a full window, and shows where it stands", async () => {
  const input = `${"Tell me more.\n".repeat(8)}/stats\n`;
  const { code, out, err } = await run("chat", [], input);
  expect({ code, err }).toEqual({ code: 0, err: "" });
  expect(out).toMatch(/\(\d+ turns, \d+ tokens, were moved out; \/recall WORDS finds them\)/);
  expect(out).toMatch(
    /context n1\.\d+: \d+ of 256 tokens, \d+ of them generated\nlast answer: \d+/,
  );
});

test("an interrupt stops the answer, and two end the chat", async () => {
  await using slow = await startTestKernel({ stepUs: 20_000 });
  await using admin = await slow.connect();
  const agent = spawn(process.execPath, [join(ROOT, "dist/agents/chat.js")], {
    env: { ...process.env, ...slow.env },
    stdio: ["pipe", "pipe", "pipe"],
  });
  const ended = once(agent, "exit");
  const said = listen(agent);
  await said(/> $/);
  const chat = (await admin.proc.ps()).find(({ name }) => name === "chat.js");
  agent.stdin.write("Tell me a very long story.\n");
  await said(/\w/);
  await admin.proc.kill(chat?.pid ?? "", "INT");
  await said(/\(stopped\)\n> $/);
  await admin.proc.kill(chat?.pid ?? "", "INT");
  expect((await ended)[0]).toBe(0);
});

test("tree keeps one branch of eight a line, and closes the others", async () => {
  await using roomy = await startTestKernel({ slots: 4, slotTokens: 1024 });
  await using admin = await roomy.connect();
  const agent = spawn(process.execPath, [join(ROOT, "dist/agents/tree.js"), "A", "tale."], {
    env: { ...process.env, ...roomy.env },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = once(agent, "exit");
  const out = await readAll(agent.stdout);
  expect((await ended)[0]).toBe(0);
  expect(out.match(/^\d\. \(\d\/9, of 8\) .*$/gm)).toHaveLength(3);
  expect(await admin.ctx.list({ all: true })).toEqual([]);
});

test("without a daemon an agent says what to do", async () => {
  const agent = spawn(process.execPath, [join(ROOT, "dist/agents/hello.js")], {
    env: { PATH: process.env.PATH, CONTIX_HOME: join(kernel.home, "nowhere") },
    stdio: ["pipe", "pipe", "pipe"],
  });
  const ended = once(agent, "exit");
  expect(await readAll(agent.stderr)).toContain("start one with `contix up`");
  expect((await ended)[0]).toBe(1);
});
