/** A certificate authority of a test's own. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { generate } from "selfsigned";

const DAY_MS = 86_400_000;

export interface Pems {
  readonly cert: string;
  readonly key: string;
}

export interface Authority {
  /** Its own certificate, PEM. */
  readonly ca: string;
  /** A certificate for this machine, or a client on it; by default valid for a day. */
  issue(how?: {
    readonly from?: Date;
    readonly until?: Date;
    /** Signed over SHA-1. */
    readonly weak?: boolean;
  }): Promise<Pems>;
}

const EXTENSIONS = [
  {
    name: "subjectAltName" as const,
    altNames: [
      { type: 2 as const, value: "localhost" },
      { type: 7 as const, ip: "127.0.0.1" },
    ],
  },
];

export async function authority(name: string): Promise<Authority> {
  const own = await generate([{ name: "commonName", value: name }], {
    keyType: "ec",
    algorithm: "sha256",
    notBeforeDate: new Date(Date.now() - 9 * DAY_MS),
    notAfterDate: new Date(Date.now() + 9 * DAY_MS),
    extensions: [{ name: "basicConstraints", cA: true }],
  });
  return {
    ca: own.cert,
    async issue({ until = new Date(Date.now() + DAY_MS), from, weak = false } = {}) {
      const made = await generate([{ name: "commonName", value: "localhost" }], {
        keyType: "ec",
        algorithm: weak ? "sha1" : "sha256",
        ca: { cert: own.cert, key: own.private },
        notBeforeDate: from ?? new Date(until.getTime() - 2 * DAY_MS),
        notAfterDate: until,
        extensions: EXTENSIONS,
      });
      return { cert: made.cert, key: made.private };
    },
  };
}

/** Writes them as `cert.pem` and `key.pem`; the paths, as the daemon's settings want them. */
export function writePems(dir: string, { cert, key }: Pems): { tlsCert: string; tlsKey: string } {
  const files = { tlsCert: join(dir, "cert.pem"), tlsKey: join(dir, "key.pem") };
  writeFileSync(files.tlsCert, cert);
  writeFileSync(files.tlsKey, key);
  return files;
}
