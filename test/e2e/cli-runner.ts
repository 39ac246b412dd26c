/** Runs the compiled `contix` as a user would, on homes and a temporary directory of its own. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const CONTIX = fileURLToPath(new URL("../../dist/cli/contix.js", import.meta.url));

export interface Result {
  /** The exit code, or the name of the signal that ended it. */
  readonly code: number | string | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly input?: string | Buffer;
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  /** Node's arguments for another program than the compiled `contix`. */
  readonly program?: readonly string[];
}

/** A running `contix`. */
export interface Running {
  readonly child: ChildProcess;
  readonly ended: Promise<Result>;
  /** Resolves when the output holds `text`; rejects when it ends without. */
  says(text: string): Promise<void>;
}

/** A place for one group of tests: a home, a temporary directory, nobody's settings. */
export class Bench implements AsyncDisposable {
  readonly root: string;
  readonly home: string;

  private constructor(root: string) {
    this.root = root;
    this.home = join(root, "home");
  }

  static async open(): Promise<Bench> {
    return new Bench(await mkdtemp(join(tmpdir(), "contix-cli-")));
  }

  start(args: readonly string[], options: RunOptions = {}): Running {
    const child = spawn(process.execPath, [...(options.program ?? [CONTIX]), ...args], {
      env: { ...this.#environment(), ...options.env },
      cwd: options.cwd ?? this.root,
      stdio: ["pipe", "pipe", "pipe"],
    });
    return watch(child, options.input);
  }

  run(args: readonly string[], options: RunOptions = {}): Promise<Result> {
    return this.start(args, options).ended;
  }

  /** The command must succeed; its stdout. */
  async ok(args: readonly string[], options: RunOptions = {}): Promise<string> {
    const { code, stdout, stderr } = await this.run(args, options);
    if (code !== 0) throw new Error(`contix ${args.join(" ")} ended with ${code}: ${stderr}`);
    return stdout;
  }

  /** Pids of processes whose command line or environment names this bench's directory. */
  async processes(): Promise<number[]> {
    const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name)).map(Number);
    const found = await Promise.all(
      pids.map(async (pid) => {
        const about = await Promise.all(
          ["cmdline", "environ"].map((file) => readFile(`/proc/${pid}/${file}`, "utf8")),
        ).catch(() => []);
        return about.some((text) => text.includes(this.root)) ? [pid] : [];
      }),
    );
    return found.flat();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.run(["down", "--force", "--timeout", "10"]);
    await rm(this.root, { recursive: true, force: true });
  }

  #environment(): NodeJS.ProcessEnv {
    const own = Object.entries(process.env).filter(([name]) => !/^(CONTIX_|NO_COLOR)/.test(name));
    return {
      ...Object.fromEntries(own),
      CONTIX_HOME: this.home,
      CONTIX_DRIVER: "fake",
      CONTIX_DRIVER_OPTIONS: '{"seed":1}',
      CONTIX_SLOTS: "4",
      TMPDIR: this.root,
    };
  }
}

function watch(child: ChildProcess, input: string | Buffer = ""): Running {
  let stdout = "";
  let stderr = "";
  const listeners = new Set<() => void>();
  const heard = (): void => {
    for (const listener of listeners) listener();
  };
  child.stdout?.on("data", (bytes) => {
    stdout += bytes;
    heard();
  });
  child.stderr?.on("data", (bytes) => {
    stderr += bytes;
    heard();
  });
  // A command may end before it has read its input.
  child.stdin?.on("error", () => undefined);
  child.stdin?.end(input);
  const ended = new Promise<Result>((resolve) => {
    child.once("close", (code, signal) => resolve({ code: code ?? signal, stdout, stderr }));
  });
  const says = (text: string): Promise<void> =>
    new Promise((resolve, reject) => {
      const listener = (): void => {
        if (stdout.includes(text) || stderr.includes(text)) resolve();
      };
      listeners.add(listener);
      listener();
      void ended.then(() => reject(new Error(`it never said "${text}": ${stdout}${stderr}`)));
    });
  return { child, ended, says };
}
