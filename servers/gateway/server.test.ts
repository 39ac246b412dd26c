/** The certificates of the HTTP door: what is refused at the start, and what a reload takes. */
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "node:tls";
import { pino } from "pino";
import { expect, it, onTestFinished } from "vitest";
import { certificate } from "../../test/support/doors.js";
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
