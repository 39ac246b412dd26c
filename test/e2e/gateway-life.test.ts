/** The gateway as an operator has it: beside its daemon with TLS, and before a kernel that dies. */
import { execFile } from "node:child_process";
import { readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { request } from "node:https";
import { join } from "node:path";
import { promisify } from "node:util";
import { pino } from "pino";
import { expect, it, onTestFinished } from "vitest";
import { readOptions } from "../../servers/gateway/options.js";
import { startGateway } from "../../servers/gateway/server.js";
import { certificate } from "../support/doors.js";
import { start, until } from "../support/kernels.js";
import { Bench } from "./cli-runner.js";

const run = promisify(execFile);
const ask = JSON.stringify({
  ...{ model: "fake", max_tokens: 4, seed: 1 },
  messages: [{ role: "user", content: "hi" }],
});

interface Asked {
  readonly ca?: string;
  readonly path?: string;
  readonly body?: string;
}

it("serves OpenAI's API over TLS beside the daemon, comes back when it is killed, and ends with it", async () => {
  await using bench = await Bench.open();
  const { cert, key } = await certificate();
  const [certFile, keyFile] = [join(bench.root, "cert.pem"), join(bench.root, "key.pem")];
  writeFileSync(certFile, cert);
  writeFileSync(keyFile, key, { mode: 0o600 });
  const tls = ["--tls-cert", certFile, "--tls-key", keyFile];
  const up = await bench.ok(["up", "--driver", "fake", "--http", "0.0.0.0:0", ...tls]);
  const port = /https:\/\/0\.0\.0\.0:(\d+)\/v1/.exec(up)?.[1] ?? "";
  const token = readFileSync(join(bench.home, "admin.token"), "utf8").trim();

  /** Resolves with the status and the body, or rejects as TLS does. */
  const get = ({ ca, path = "/v1/chat/completions", body = ask }: Asked): Promise<string> =>
    new Promise((resolve, reject) => {
      const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
      const where = { host: "localhost", port, path, method: body === "" ? "GET" : "POST" };
      const asking = request({ ...where, headers, ...(ca && { ca }), agent: false }, (answer) => {
        let text = `${answer.statusCode} `;
        answer.on("data", (part) => {
          text += part;
        });
        answer.on("end", () => resolve(text));
      });
      asking.on("error", reject);
      asking.end(body);
    });

  expect(await get({ ca: cert })).toMatch(/^200 .*"completion_tokens":4/);
  await expect(get({})).rejects.toThrow(/self-signed|unable to verify/);
  await expect(fetch(`http://localhost:${port}/healthz`)).rejects.toThrow();
  const curl = await run("curl", ["-sS", "--cacert", certFile, `https://localhost:${port}/healthz`])
    .then(({ stdout }) => stdout)
    .catch((error: NodeJS.ErrnoException) => (error.code === "ENOENT" ? "no curl" : error.message));
  expect(['{"status":"ok"}', "no curl"]).toContain(curl);

  const before = await gatewayPid(bench);
  process.kill(before, "SIGKILL");
  // A free port was asked for, so the new one has another; that it is there is what counts.
  await until(async () => ![0, before].includes(await gatewayPid(bench)));
  await bench.ok(["down"]);
  expect(await gatewayPid(bench)).toBe(0);
});

it("answers 503 with a time while its kernel is away, and goes on with the next", async () => {
  const first = await start();
  const at = join(first.home, "kernel.sock");
  symlinkSync(join(first.home, "contixd.sock"), at);
  const options = readOptions({ listen: "127.0.0.1:0", kernel: `unix://${at}` });
  const gateway = await startGateway(options, pino({ level: "silent" }));
  onTestFinished(() => gateway.stop());
  const post = (token: string, more: object = {}): Promise<Response> =>
    fetch(`${gateway.address}/v1/chat/completions`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      body: JSON.stringify({ ...JSON.parse(ask), ...more }),
    });
  const ready = async (): Promise<number> => (await fetch(`${gateway.address}/readyz`)).status;
  expect((await post(first.token)).status).toBe(200);

  // One in mid-stream is told in its stream; its head is out already.
  const streamed = await post(first.token, { stream: true, max_tokens: 1900, ignore_eos: true });
  const reader = streamed.body?.getReader();
  await reader?.read();
  process.kill(first.pid, "SIGKILL");
  let rest = "";
  const text = new TextDecoder();
  for (let part = await reader?.read(); part && !part.done; part = await reader?.read()) {
    rest += text.decode(part.value, { stream: true });
  }
  expect(rest).toMatch(/"code":"kernel_unavailable"/);
  expect(rest).not.toContain("[DONE]");

  const away = await post(first.token);
  expect(away.status).toBe(503);
  expect(Number(away.headers.get("retry-after"))).toBeGreaterThan(0);
  expect(Number(away.headers.get("retry-after-ms"))).toBeGreaterThan(0);
  expect(await away.json()).toMatchObject({ error: { code: "kernel_unavailable" } });
  await until(async () => (await ready()) === 503);

  const next = await start();
  rmSync(at);
  symlinkSync(join(next.home, "contixd.sock"), at);
  await until(async () => (await ready()) === 200);
  expect((await post(next.token)).status).toBe(200);
  // The key of the kernel that is gone is no key of this one.
  expect((await post(first.token)).status).toBe(401);
});

/** The gateway's process of this bench's daemon; 0: there is none. */
async function gatewayPid(bench: Bench): Promise<number> {
  for (const pid of await bench.processes()) {
    const line = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
    if (line.split("\0").includes("gateway")) return pid;
  }
  return 0;
}
