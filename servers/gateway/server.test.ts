/** The certificates of the HTTP door: what is refused at the start, and what a reload takes. */
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { get } from "node:https";
import { connect as connectPlain } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "node:tls";
import { pino } from "pino";
import { expect, it, onTestFinished } from "vitest";
import { certificate } from "../../test/support/doors.js";
import { until } from "../../test/support/kernels.js";
import { readOptions } from "./options.js";
import { startGateway } from "./server.js";

it("refuses an expired certificate and one with another's key; takes new ones, and no bad ones", async () => {
  const directory = mkdtempSync(join(tmpdir(), "contix-gateway-tls-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const [tlsCert, tlsKey] = [join(directory, "cert.pem"), join(directory, "key.pem")];
  const put = async (until?: Date): Promise<string> => {
    const { cert, key } = await certificate(until);
    writeFileSync(tlsCert, cert);
    writeFileSync(tlsKey, key);
    return new X509Certificate(cert).serialNumber;
  };
  const told: string[] = [];
  const log = pino({}, { write: (line: string) => void told.push(JSON.parse(line).msg) });
  const kernel = "unix:///nowhere/contixd.sock";
  const options = readOptions({ listen: "127.0.0.1:0", kernel, tlsCert, tlsKey });

  await put(new Date(Date.now() - 60_000));
  await expect(startGateway(options, log)).rejects.toThrow(/^tlsCert: .*it expired on .*; put/);
  const first = await put();
  writeFileSync(tlsKey, (await certificate()).key);
  await expect(startGateway(options, log)).rejects.toThrow(/^tlsKey: .*not the key of/);

  const second = await put();
  const gateway = await startGateway(options, log);
  onTestFinished(() => gateway.stop());
  const shown = async (): Promise<string> => {
    const port = Number(new URL(gateway.address).port);
    const socket = connect({ port, host: "127.0.0.1", rejectUnauthorized: false });
    await once(socket, "secureConnect");
    const { serialNumber } = socket.getPeerCertificate();
    socket.destroy();
    return serialNumber;
  };
  expect(await shown()).toBe(second);
  writeFileSync(tlsCert, "words");
  gateway.reload();
  expect(await shown()).toBe(second);
  const third = await put();
  gateway.reload();
  expect(await shown()).toBe(third);
  expect(new Set([first, second, third]).size).toBe(3);
  const former = "the certificates were not taken; the former stay";
  expect(told.filter((text) => text.includes("certificates"))).toEqual([
    former,
    "certificates read again",
  ]);
});

it("makes room over TLS too: connections that have not even shaken hands are strangers'", async () => {
  const directory = mkdtempSync(join(tmpdir(), "contix-gateway-tls-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const [tlsCert, tlsKey] = [join(directory, "cert.pem"), join(directory, "key.pem")];
  const { cert, key } = await certificate();
  writeFileSync(tlsCert, cert);
  writeFileSync(tlsKey, key);
  const kernel = "unix:///nowhere/contixd.sock";
  const listen = "127.0.0.1:0";
  const options = readOptions({ listen, kernel, tlsCert, tlsKey, connections: 8 });
  const gateway = await startGateway(options, pino({ level: "silent" }));
  onTestFinished(() => gateway.stop());
  const port = Number(new URL(gateway.address).port);
  let closed = 0;
  const sockets = Array.from({ length: 6 }, () =>
    connectPlain(port, "127.0.0.1")
      .on("error", () => undefined)
      .once("close", () => closed++)
      .resume(),
  );
  onTestFinished(() => sockets.forEach((socket) => void socket.destroy()));
  // A quarter of the connections may be strangers'.
  await until(() => closed === 4);
  const [answer] = await once(
    get({ host: "localhost", port, ca: cert, path: "/healthz" }),
    "response",
  );
  expect([answer.statusCode, answer.headers.connection]).toEqual([200, "close"]);
  answer.resume();
  await until(() => closed === 5);
});
