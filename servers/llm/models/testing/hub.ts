/** A hub that serves one repository over HTTP, and misbehaves on purpose; for tests. */
import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** What the hub does with the next request for a file; "ok" from then on. */
export type Behaviour =
  | { readonly kind: "ok" }
  /** Sends that many bytes of what was asked for, then nothing more. */
  | { readonly kind: "stall"; readonly after: number }
  /** Sends that many bytes, then breaks the connection. */
  | { readonly kind: "cut"; readonly after: number }
  /** A byte every few milliseconds, for ever. */
  | { readonly kind: "trickle"; readonly everyMs: number }
  | { readonly kind: "status"; readonly status: number; readonly retryAfter?: string }
  /** Sends the whole file whatever range was asked for. */
  | { readonly kind: "whole" }
  /** Ends in good order, but so many bytes early; negative: late. Says no length. */
  | { readonly kind: "short"; readonly by: number }
  /** Claims a length (or a total of ranges) that is not the file's. */
  | { readonly kind: "claim"; readonly length: number }
  /** Sends a range that was not asked for. */
  | { readonly kind: "shift"; readonly by: number }
  /** Redirects to where it came from. */
  | { readonly kind: "loop" }
  /** Has another file, with another tag, from now on. */
  | { readonly kind: "change"; readonly content: Buffer };

export interface Repository {
  /** OWNER/NAME */
  readonly repo: string;
  readonly commit: string;
  readonly license?: string;
  readonly files: Readonly<Record<string, Buffer>>;
}

/** Files as large as this have a sha256 in a listing, smaller ones the id of git. */
const LARGE = 10_000;

export class TestHub implements AsyncDisposable {
  /** The ranges that were asked for. */
  readonly ranges: (string | undefined)[] = [];
  readonly tokens: (string | undefined)[] = [];
  /** Paths of all requests. */
  readonly paths: string[] = [];
  /** What happens to coming requests of files, the first first. */
  readonly script: Behaviour[] = [];
  /** What is sent instead of the answers of the API. */
  api: ((response: ServerResponse) => void) | undefined;
  /** Never answers anything. */
  silent = false;
  /** Without tags, nobody can tell whether a file has changed. */
  tags = true;
  url = "";
  readonly #server = createServer((request, response) => this.#answer(request, response));
  readonly #repository: Repository;
  readonly #files: Map<string, Buffer>;

  private constructor(repository: Repository) {
    this.#repository = repository;
    this.#files = new Map(Object.entries(repository.files));
  }

  static async start(repository: Repository): Promise<TestHub> {
    const hub = new TestHub(repository);
    await new Promise<void>((resolve) => hub.#server.listen(0, "127.0.0.1", resolve));
    hub.url = `http://127.0.0.1:${(hub.#server.address() as AddressInfo).port}`;
    return hub;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    if (this.silent) return;
    const { pathname } = new URL(request.url ?? "", "http://hub");
    this.tokens.push(request.headers.authorization);
    this.paths.push(pathname);
    const { repo, commit } = this.#repository;
    const api = `/api/models/${repo}`;
    const file = `/${repo}/resolve/${commit}/`;
    if (pathname.startsWith(file)) {
      this.#file(decodeURIComponent(pathname.slice(file.length)), request, response);
    } else if (this.api && pathname.startsWith("/api/")) this.api(response);
    else if (pathname === `${api}/revision/HEAD` || pathname === `${api}/revision/${commit}`) {
      json(response, this.#info());
    } else if (pathname === `${api}/tree/${commit}`) json(response, this.#tree());
    else response.writeHead(404).end();
  }

  #info(): object {
    const { repo, commit, license } = this.#repository;
    const lastModified = "2026-01-01T00:00:00.000Z";
    return { _id: "1", id: repo, sha: commit, lastModified, cardData: license && { license } };
  }

  #tree(): object[] {
    return [...this.#files].map(([path, content]) => {
      const common = { type: "file", path, size: content.length };
      const sha256 = createHash("sha256").update(content).digest("hex");
      const lfs = { oid: sha256, size: content.length, pointerSize: 130 };
      const head = `blob ${content.length}\0`;
      const oid = createHash("sha1").update(head).update(content).digest("hex");
      return content.length >= LARGE ? { ...common, oid, lfs } : { ...common, oid };
    });
  }

  #file(path: string, request: IncomingMessage, response: ServerResponse): void {
    this.ranges.push(request.headers.range);
    const behaviour = this.script.shift() ?? { kind: "ok" };
    if (behaviour.kind === "change") this.#files.set(path, behaviour.content);
    const content = this.#files.get(path);
    if (!content) response.writeHead(404, { "X-Error-Code": "EntryNotFound" }).end();
    else if (behaviour.kind === "status") {
      const wait = behaviour.retryAfter;
      response.writeHead(behaviour.status, wait === undefined ? {} : { "Retry-After": wait }).end();
    } else if (behaviour.kind === "loop") {
      this.script.unshift(behaviour);
      response.writeHead(302, { Location: request.url }).end();
    } else this.#send(content, behaviour, request.headers.range, response);
  }

  #send(
    content: Buffer,
    behaviour: Behaviour,
    range: string | undefined,
    response: ServerResponse,
  ): void {
    const [, first, last] = /^bytes=(\d+)-(\d*)$/.exec(range ?? "") ?? [];
    const ranged = first !== undefined && behaviour.kind !== "whole";
    const shift = behaviour.kind === "shift" ? behaviour.by : 0;
    const from = ranged ? Number(first) + shift : 0;
    const to = ranged && last ? Number(last) + 1 + shift : content.length;
    const total = behaviour.kind === "claim" ? behaviour.length : content.length;
    const length = behaviour.kind === "claim" && !ranged ? behaviour.length : to - from;
    response.writeHead(ranged ? 206 : 200, {
      ...(this.tags && { ETag: `"${createHash("sha1").update(content).digest("hex")}"` }),
      ...(behaviour.kind !== "short" && { "Content-Length": length }),
      ...(ranged && { "Content-Range": `bytes ${from}-${to - 1}/${total}` }),
    });
    sendBody(content.subarray(from, to), behaviour, response);
  }
}

function sendBody(body: Buffer, behaviour: Behaviour, response: ServerResponse): void {
  if (behaviour.kind === "stall") response.write(body.subarray(0, behaviour.after));
  else if (behaviour.kind === "cut") {
    response.write(body.subarray(0, behaviour.after), () => response.destroy());
  } else if (behaviour.kind === "trickle") {
    let at = 0;
    const timer = setInterval(() => response.write(body.subarray(at, ++at)), behaviour.everyMs);
    response.once("close", () => clearInterval(timer));
  } else if (behaviour.kind === "short") {
    const more = Buffer.alloc(Math.max(0, -behaviour.by));
    response.end(Buffer.concat([body.subarray(0, body.length - Math.max(0, behaviour.by)), more]));
  } else response.end(body);
}

function json(response: ServerResponse, value: unknown): void {
  response.writeHead(200, { "Content-Type": "application/json" }).end(JSON.stringify(value));
}
