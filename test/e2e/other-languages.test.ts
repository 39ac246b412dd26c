/** The ABI stands without our SDK: a client in Python, from the .proto files and from reflection. */
import { execFile, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { connect } from "../../syscalls/index.js";
import { start } from "../support/kernels.js";

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const PROGRAMS = join(ROOT, "agents/other-languages/python");
const VENV_MS = 300_000;

const hasPython = spawnSync("python3", ["-c", "import venv, ensurepip"]).status === 0;

/** Python with the pinned packages; made once for each list of them. */
async function python(): Promise<string> {
  const list = join(PROGRAMS, "requirements.txt");
  const name = createHash("sha256").update(readFileSync(list)).digest("hex").slice(0, 16);
  const venv = join(ROOT, `node_modules/.cache/contix/python-${name}`);
  const program = join(venv, "bin/python");
  const ready = join(venv, "ready");
  if (!existsSync(ready)) {
    rmSync(venv, { recursive: true, force: true });
    await run("python3", ["-m", "venv", venv]);
    await run(program, ["-m", "pip", "install", "-q", "--only-binary", ":all:", "-r", list]);
    writeFileSync(ready, "");
  }
  return program;
}

test.skipIf(!hasPython && !process.env.CI)(
  "Python attaches, streams, is refused, and calls by reflection",
  { timeout: VENV_MS },
  async () => {
    const program = await python();
    const kernel = await start({ seed: 3 });
    const env = { ...process.env, ...kernel.env, PYTHONDONTWRITEBYTECODE: "1" };
    const say = (file: string, args: string[], over: object = {}) =>
      run(program, [join(PROGRAMS, file), ...args], { env: { ...env, ...over } }).then(
        ({ stdout }) => ({ code: 0, stdout, stderr: "" }),
        ({ code, stdout, stderr }) => ({ code, stdout, stderr }),
      );

    const agent = await say("agent.py", ["Once upon a time"]);
    expect(agent, agent.stderr).toMatchObject({ code: 0 });
    const [text, ...rest] = agent.stdout.split("\n");
    // A token is a byte of the fake driver's words, some of which have letters of several.
    expect(text).toMatch(/^.{13,40}$/u);
    expect(rest.slice(0, 3)).toEqual([
      "(40 tokens, length)",
      "16 tokens in, 16 slots",
      "EINVAL: the prompt is empty",
    ]);

    const seeded = JSON.stringify({ prompt: "Once", maxTokens: 12, sampling: { seed: "7" } });
    const unary = await say("unary.py", ["generate", seeded]);
    await using os = await connect(kernel);
    const same = await os.llm.generate("Once", { maxTokens: 12, seed: 7 });
    expect(JSON.parse(unary.stdout).generate.text).toBe(same.text);

    const empty = await say("unary.py", ["generate", "{}"]);
    expect(empty.code).toBe(1);
    expect(empty.stderr).toMatch(/INVALID_ARGUMENT: EINVAL[\s\S]*"argument": "prompt"/);
    for (const file of ["unary.py", "agent.py"]) {
      const stranger = await say(file, ["uname"], { CONTIX_TOKEN: "x".repeat(43) });
      expect(stranger.code, file).toBe(1);
      expect(stranger.stderr).toContain("EACCES");
    }
  },
);
