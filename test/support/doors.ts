/** One kernel with the fake driver behind all three doors: Unix gRPC, TLS gRPC over TCP, NATS. */
import { readFileSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { generate } from "selfsigned";
import { startTestKernel, type TestKernel } from "../../syscalls/testing.js";
import type { Door } from "./door-client.js";

export interface Certificates {
  readonly cert: string;
  readonly key: string;
}

/** A certificate for this machine, valid until `until`. */
export async function certificate(
  until = new Date(Date.now() + 86_400_000),
): Promise<Certificates> {
  const pems = await generate([{ name: "commonName", value: "localhost" }], {
    algorithm: "sha256",
    keySize: 2048,
    notBeforeDate: new Date(until.getTime() - 2 * 86_400_000),
    notAfterDate: until,
    extensions: [
      { name: "basicConstraints", cA: true },
      {
        name: "subjectAltName",
        altNames: [
          { type: 2, value: "localhost" },
          { type: 7, ip: "127.0.0.1" },
        ],
      },
    ],
  });
  return { cert: pems.cert, key: pems.private };
}

export interface Doors extends AsyncDisposable {
  readonly kernel: TestKernel;
  readonly doors: readonly Door[];
  /** "unix", "tls" or "nats". */
  door(name: string): Door;
}

export async function startDoors(flags: readonly string[] = []): Promise<Doors> {
  const dir = await mkdtemp(join(tmpdir(), "contix-doors-"));
  const { cert, key } = await certificate();
  writeFileSync(join(dir, "cert.pem"), cert);
  writeFileSync(join(dir, "key.pem"), key);
  const tls = ["--tls-cert", join(dir, "cert.pem"), "--tls-key", join(dir, "key.pem")];
  const kernel = await startTestKernel({
    flags: ["--listen", "127.0.0.1:0", ...tls, "--nats", "embedded", ...flags],
  });
  const facts = JSON.parse(readFileSync(join(kernel.home, "contixd.json"), "utf8"));
  const [unix, tcp, nats] = facts.addresses as string[];
  const { token } = kernel;
  const doors = [
    { name: "unix", address: unix ?? "", token, tls: {} },
    { name: "tls", address: tcp ?? "", token, tls: { ca: cert } },
    { name: "nats", address: nats ?? "", token, tls: {} },
  ];
  return {
    kernel,
    doors,
    door(name) {
      const found = doors.find((one) => one.name === name);
      if (found === undefined) throw new Error(`there is no ${name} door`);
      return found;
    },
    async [Symbol.asyncDispose]() {
      await kernel.stop();
      await rm(dir, { recursive: true, force: true });
    },
  };
}
