/** Many agents at once, each an OS process of its own, in bad company: what others do is not theirs to suffer. */
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Child, Os } from "../../syscalls/index.js";
import { startTestKernel, type TestKernel } from "../../syscalls/testing.js";
import { until } from "../support/kernels.js";

const CROWD = 30;
const CALLS = 3;
const TOKENS = 8;
const SLOTS = 4;

const root = fileURLToPath(new URL("../..", import.meta.url));
let kernel: TestKernel;
let os: Os;
beforeAll(async () => {
  kernel = await startTestKernel({ slots: SLOTS, queueLimit: 2 * CROWD });
  os = await kernel.connect();
});
afterAll(async () => {
  await os?.close();
  await kernel?.stop();
});

/** Spawns a program; in `body` it is attached as `os`, and `tell(text)` reaches the mailbox of that name. */
function agent(body: string, name: string, options: object = {}): Promise<Child> {
  const source = `
    import { connect } from "contix";
    const os = await connect();
    const tell = (text) => os.ipc.send("${os.pid}", text, { topic: "${name}" });
    ${body}`;
  const argv = [process.execPath, "--input-type=module", "-e", source];
  return os.proc.spawn(argv, { cwd: root, name, ...options });
}

/** What agent `i` asks: the same of its own in each call, so that an answer can not be another's. */
const prompt = (i: number, call: number): string => `call ${call} of agent ${i}`;
const options = { maxTokens: TOKENS, ignoreEos: true, temperature: 1, seed: 5n };
const member = (i: number): string => `
  const answers = [];
  for (let call = 0; call < ${CALLS}; call++) {
    const options = { maxTokens: ${TOKENS}, ignoreEos: true, temperature: 1, seed: 5n };
    answers.push((await os.llm.generate("call " + call + " of agent ${i}", options)).tokens.join());
  }
  await tell(JSON.stringify([${i}, ...answers]));
  await os.close();`;

/** Each tells when it is at its worst, and stays. */
const COMPANY: Readonly<Record<string, { readonly body: string; readonly options?: object }>> = {
  "floods calls": {
    body: `
      let [answered, refused] = [0, 0];
      const one = () => os.sys.uname().then(() => answered++, ({ code }) => refused += code === "EAGAIN");
      const batch = () => Promise.all(Array.from({ length: 2000 }, one));
      await batch();
      await tell(String(answered + refused));
      for (let i = 0; i < 5; i++) await batch();
      await os.ipc.recv();`,
  },
  "reads no stream": {
    body: `
      for (let i = 0; i < ${2 * SLOTS}; i++) {
        await os.llm.generate("never read", { ignoreEos: true })[Symbol.asyncIterator]().next();
      }
      await tell("begun");
      await os.ipc.recv();`,
  },
  "has a wrong clock": {
    body: `
      let now = 4e12;
      Date.now = () => (now -= 1e9);
      performance.now = () => (now -= 1e6);
      const { tokens } = await os.llm.generate("when?", { maxTokens: 5, ignoreEos: true });
      await tell(String(tokens.length));
      await os.ipc.recv();`,
  },
  "is a fork bomb": {
    body: `
      for (;;) {
        const error = await os.proc.spawn(["sleep", "600"]).then(() => {}, (error) => error);
        if (error) { await tell(error.code); break; }
      }
      await os.ipc.recv();`,
    options: { quota: { processes: 8 } },
  },
  "waits for nobody": {
    body: `
      for (;;) {
        const error = await os.proc.spawn(["true"]).then(() => {}, (error) => error);
        if (error) { await tell(error.code); break; }
      }
      await os.ipc.recv();`,
    options: { quota: { processes: 8 } },
  },
};

it("all finish, each with its own answers, none lost and none doubled, beside a flood, a dead reader, a wrong clock and a fork bomb", async () => {
  const company: Child[] = [];
  for (const [name, { body, options: more }] of Object.entries(COMPANY)) {
    company.push(await agent(body, name, { newSession: true, ...more }));
  }
  const said: Record<string, string> = {};
  while (Object.keys(said).length < company.length) {
    const { topic, text } = await os.ipc.recv();
    said[topic] = text;
  }
  expect(said).toEqual({
    "floods calls": "2000",
    "reads no stream": "begun",
    "has a wrong clock": "5",
    "is a fork bomb": "EAGAIN",
    "waits for nobody": "EAGAIN",
  });

  const crowd = await Promise.all(
    Array.from({ length: CROWD }, (_, i) => agent(member(i), "crowd")),
  );
  const answers = new Map<number, string[]>();
  while (answers.size < CROWD) {
    const [i, ...own] = JSON.parse((await os.ipc.recv()).text);
    expect(answers.has(i)).toBe(false);
    answers.set(i, own);
  }
  for (const i of answers.keys()) {
    const alone = Array.from({ length: CALLS }, (_, call) =>
      os.llm.generate(prompt(i, call), options),
    );
    const expected = (await Promise.all(alone)).map(({ tokens }) => tokens.join());
    expect(answers.get(i)).toEqual(expected);
  }
  const mine = new Set(crowd.map(({ pid }) => pid));
  const over = async () =>
    (await os.proc.ps({ all: true })).filter(
      ({ pid, state }) => mine.has(pid) && state === "zombie",
    );
  await until(async () => (await over()).length === CROWD);
  expect(new Set((await over()).map(({ tokensOut }) => tokensOut))).toEqual(
    new Set([CALLS * TOKENS]),
  );
  const ends = await Promise.all(crowd.map((child) => child.wait()));
  expect(new Set(ends.map(({ cause, exitCode }) => `${cause} ${exitCode}`))).toEqual(
    new Set(["exit 0"]),
  );
  // The company was there all the time.
  const there = (await os.proc.ps()).map(({ pid }) => pid);
  for (const { pid } of company) expect(there).toContain(pid);
  for (const child of company) await child.kill("KILL");
});
