/** The gateway as an operator has it: beside its daemon with TLS, and before a kernel that dies. */
import { execFile } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import type { IncomingMessage } from "node:http";
import { request } from "node:https";
import { join } from "node:path";
import { connect as connectTls } from "node:tls";
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

it("refuses an expired certificate at its start, and takes new ones at SIGHUP while answers go on", async () => {
  await using bench = await Bench.open();
  const [certFile, keyFile] = [join(bench.root, "cert.pem"), join(bench.root, "key.pem")];
  const put = async (until?: Date): Promise<string> => {
    const { cert, key } = await certificate(until);
    writeFileSync(certFile, cert);
    writeFileSync(keyFile, key, { mode: 0o600 });
    return cert;
  };
  const tls = ["--tls-cert", certFile, "--tls-key", keyFile];
  const flags = ["up", "--driver", "fake", "--http", "0.0.0.0:0", ...tls];
  await put(new Date(Date.now() - 60_000));
  const refused = await bench.run(flags);
  expect(refused.code).not.toBe(0);
  expect(refused.stderr).toMatch(/the gateway: tlsCert: .*cert.pem: it expired on .*; put a new/);

  const ca = await put();
  const up = await bench.ok(flags);
  const port = Number(/https:\/\/0\.0\.0\.0:(\d+)\/v1/.exec(up)?.[1]);
  const token = readFileSync(join(bench.home, "admin.token"), "utf8").trim();
  const { pid } = JSON.parse(readFileSync(join(bench.home, "contixd.json"), "utf8"));
  const [answer] = (await once(
    request({
      ...{ host: "localhost", port, ca, path: "/v1/chat/completions", method: "POST" },
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    }).end(
      JSON.stringify({ ...JSON.parse(ask), stream: true, max_tokens: 1900, ignore_eos: true }),
    ),
    "response",
  )) as [IncomingMessage];
  let text = "";
  answer.on("data", (part) => {
    text += part;
  });
  const over = once(answer, "end");

  const shown = async (): Promise<string> => {
    const socket = connectTls({ host: "127.0.0.1", port, rejectUnauthorized: false });
    await once(socket, "secureConnect");
    const { serialNumber } = socket.getPeerCertificate();
    socket.destroy();
    return serialNumber;
  };
  const before = await shown();
  // Bad ones are not taken.
  writeFileSync(certFile, "words");
  process.kill(pid, "SIGHUP");
  const log = (): string => readFileSync(join(bench.home, "logs", "contixd.log"), "utf8");
  await until(() => log().includes("the certificates were not taken; the former stay"));
  expect(await shown()).toBe(before);
  const next = await put();
  process.kill(pid, "SIGHUP");
  await until(async () => (await shown()) !== before);
  expect(await shown()).toBe(new X509Certificate(next).serialNumber);
  await until(() => log().includes("certificates read again"));
  // The daemon has read none itself, and does not say so.
  expect(log().match(/certificates read again/g)).toHaveLength(1);
  await over;
  expect(text).toContain("[DONE]");
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
