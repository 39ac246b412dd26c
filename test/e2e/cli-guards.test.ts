/** `contix ask` and `contix audit tail --follow`, as an operator meets them. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { connect, type Os } from "../../syscalls/index.js";
import { Bench } from "./cli-runner.js";

let bench: Bench;
let admin: Os;
beforeAll(async () => {
  bench = await Bench.open();
  await bench.ok(["up", "--driver", "fake"]);
  admin = await connect({ home: bench.home });
});
afterAll(async () => {
  await admin?.close();
  await bench?.[Symbol.asyncDispose]();
});

/** The number of the question that is open, as soon as there is one. */
async function asked(call: string): Promise<string> {
  for await (const question of admin.cap.ask.questions()) {
    expect(question).toMatchObject({ call, process: "agent" });
    return String(question.id);
  }
  throw new Error("no question");
}

it("questions are listed, allowed and denied; what happened is followed in the audit", {
  timeout: 180_000,
}, async () => {
  const following = bench.start(["audit", "tail", "--follow"]);
  const denied = bench.start(["audit", "tail", "--follow", "--denied", "--json"]);
  await using agent = await connect({ home: bench.home, name: "agent" });
  await using ctx = await admin.ctx.create();
  const ask = { principal: "admin", timeoutMs: 600_000 };
  const { handle } = await admin.cap.grant(ctx, { to: agent.pid, ask });

  const using = agent.ctx.use(handle);
  const first = await asked("ctx.stat");
  expect(await bench.ok(["ask", "ls"])).toMatch(/agent.*ctx\.stat/);
  expect(await bench.ok(["ask", "allow", first])).toBe(`question ${first}: allowed\n`);
  const borrowed = await using;

  const append = borrowed.append("some words").catch((error: Error) => error);
  const second = await asked("ctx.append");
  await bench.ok(["ask", "deny", second, "--reason", "not on a Friday"]);
  const message = expect.stringContaining("not on a Friday");
  expect(await append).toMatchObject({ code: "EPERM", message });
  const late = await bench.run(["ask", "allow", second]);
  expect(late).toMatchObject({ code: 1, stderr: expect.stringContaining("ENOENT") });

  await following.says("ask.answer");
  await denied.says("not on a Friday");
  for (const tail of [following, denied]) tail.child.kill("SIGINT");
  const [all, only] = await Promise.all([following.ended, denied.ended]);
  expect(all).toMatchObject({ code: 0, stderr: "" });
  expect(all.stdout).toMatch(/ask\.answer +ok/);
  const lines = only.stdout.trim().split("\n");
  const entries = lines.map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>);
  expect(entries).toContainEqual(expect.objectContaining({ call: "ctx.append", result: "EPERM" }));
  expect(entries.filter(({ result }) => result === "ok")).toEqual([]);
});
