/**
 * The certificates of a door that speaks TLS: the kernel's gRPC and the gateway's HTTP. What is wrong with one is said when it is read, not
 * by the first client that can not connect; and when the one in force expires, the log
 * says so: from then on new clients refuse it, while those that are connected stay.
 */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { createSecureContext, type SecureContextOptions } from "node:tls";
import { ContixError } from "./errno.js";

/** Paths of PEM files. */
export interface TlsFiles {
  readonly tlsCert: string;
  readonly tlsKey: string;
  /** The CA that clients' certificates must come from; "": they need none. */
  readonly tlsClientCa: string;
}

export interface CertificateParts {
  readonly clock: {
    /** Milliseconds since 1970. */
    wall(): number;
    /** Calls once, so many microseconds from now. @returns how not to */
    after(us: number, fn: () => void): () => void;
  };
  readonly log: { warn(facts: object, text: string): void };
}

const HOUR_MS = 3_600_000;
/** The log tells of an end that is nearer than this, once. */
const SOON_MS = 7 * 24 * HOUR_MS;

export class Certificates {
  readonly #files: TlsFiles;
  readonly #parts: CertificateParts;
  #cancel = (): void => {};

  constructor(files: TlsFiles, parts: CertificateParts) {
    this.#files = files;
    this.#parts = parts;
  }

  /** Reads and checks the files. EINVAL names the setting, what is wrong with its file, and the remedy. */
  read(): SecureContextOptions {
    const { tlsCert, tlsKey, tlsClientCa } = this.#files;
    const now = this.#parts.clock.wall();
    const cert = fileOf("tlsCert", tlsCert);
    const leaf = check("tlsCert", tlsCert, now, cert);
    const key = fileOf("tlsKey", tlsKey);
    checkKey(leaf, tlsKey, key);
    const ca = tlsClientCa === "" ? undefined : fileOf("tlsClientCa", tlsClientCa);
    if (ca) check("tlsClientCa", tlsClientCa, now, ca);
    const options = { cert, key, ...(ca && { ca }) };
    tryOut(tlsCert, options);
    this.#watch(Date.parse(leaf.validTo), false);
    return options;
  }

  /** Watches no more. */
  close(): void {
    this.#cancel();
  }

  /** Timers know nothing of the wall clock's steps: it is looked at each hour. */
  #watch(until: number, warned: boolean): void {
    this.#cancel();
    const { clock, log } = this.#parts;
    const left = until - clock.wall();
    const facts = { file: this.#files.tlsCert, until: new Date(until).toISOString() };
    const how = "put a new one there and send SIGHUP";
    if (left <= 0) {
      log.warn(facts, `tlsCert has expired, and new clients refuse it: ${how}`);
      return;
    }
    const soon = left <= SOON_MS;
    if (soon && !warned) log.warn(facts, `tlsCert expires soon: ${how}`);
    const sleepUs = Math.min(left, HOUR_MS) * 1000;
    this.#cancel = clock.after(sleepUs, () => this.#watch(until, soon));
  }
}

function check(setting: string, path: string, nowMs: number, pem: Buffer): X509Certificate {
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(pem);
  } catch (error) {
    const why = `no certificate (${(error as Error).message})`;
    throw invalid(
      setting,
      path,
      `${why}; give a file that begins with -----BEGIN CERTIFICATE-----`,
    );
  }
  const { validFrom, validTo } = certificate;
  if (Date.parse(validTo) <= nowMs) {
    throw invalid(setting, path, `it expired on ${validTo}; put a new certificate there`);
  }
  if (Date.parse(validFrom) > nowMs) {
    const how = "wait, set the clock right, or put another certificate there";
    throw invalid(setting, path, `it is valid from ${validFrom} on; ${how}`);
  }
  return certificate;
}

function checkKey(leaf: X509Certificate, path: string, pem: Buffer): void {
  let why = "it is not the key of the certificate in tlsCert";
  try {
    if (leaf.checkPrivateKey(createPrivateKey(pem))) return;
  } catch (error) {
    why = `no key that can be read (${(error as Error).message})`;
  }
  const how = "give the key that the certificate was made with, as PEM without a passphrase";
  throw invalid("tlsKey", path, `${why}; ${how}`);
}

/** What OpenSSL does not take is more than can be listed: weak digests, short keys, broken chains. */
function tryOut(path: string, options: SecureContextOptions): void {
  try {
    createSecureContext(options);
  } catch (error) {
    const why = `TLS does not take it (${(error as Error).message})`;
    throw invalid("tlsCert", path, `${why}; make it with SHA-256 and a key of today's strength`);
  }
}

function fileOf(setting: string, path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw invalid(setting, path, `${(error as Error).message}; give the path of a PEM file`);
  }
}

function invalid(setting: string, path: string, why: string): ContixError {
  return new ContixError("EINVAL", `${setting}: ${path}: ${why}`, { argument: setting });
}
