/** A hub that serves one file over HTTP, and misbehaves on purpose; for tests. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** What the hub does with the next request for the file; "ok" from then on. */
export type Behaviour =
  | { readonly kind: "ok" }
  /** Sends that many bytes of what was asked for, then nothing more. */
  | { readonly kind: "stall"; readonly after: number }
  /** Sends that many bytes, then breaks the connection. */
  | { readonly kind: "cut"; readonly after: number }
  | { readonly kind: "status"; readonly status: number }
  /** Sends the whole file whatever range was asked for. */
  | { readonly kind: "whole" };

export class TestHub implements AsyncDisposable {
  /** The ranges that were asked for, the hub client's probe (0-0) left out. */
  readonly ranges: (string | undefined)[] = [];
  readonly tokens: (string | undefined)[] = [];
  /** What happens to coming requests, the first first. */
  readonly script: Behaviour[] = [];
  /** Never answers anything. */
  silent = false;
  url = "";
  readonly #server = createServer((request, response) => this.#answer(request, response));
  readonly #path: string;
  readonly #content: Buffer;

  private constructor(path: string, content: Buffer) {
    this.#path = path;
    this.#content = content;
  }

  /** Serves `content` at `/<path>`, and 404 everywhere else. */
  static async start(path: string, content: Buffer): Promise<TestHub> {
    const hub = new TestHub(path, content);
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
    this.tokens.push(request.headers.authorization);
    if (request.url !== `/${this.#path}`) {
      response.writeHead(404, { "X-Error-Code": "EntryNotFound" }).end();
      return;
    }
    const { range } = request.headers;
    if (range === "bytes=0-0") this.#send(response, 0, 1, { kind: "ok" });
    else this.#file(range, response);
  }

  #file(range: string | undefined, response: ServerResponse): void {
    this.ranges.push(range);
    const behaviour = this.script.shift() ?? { kind: "ok" };
    if (behaviour.kind === "status") {
      response.writeHead(behaviour.status).end();
      return;
    }
    const from = Number(range?.match(/^bytes=(\d+)-$/)?.[1] ?? 0);
    this.#send(response, behaviour.kind === "whole" ? 0 : from, this.#content.length, behaviour);
  }

  #send(response: ServerResponse, from: number, to: number, behaviour: Behaviour): void {
    const total = this.#content.length;
    const partial = from > 0 || to < total;
    response.writeHead(partial ? 206 : 200, {
      ETag: '"test"',
      "Content-Length": to - from,
      ...(partial && { "Content-Range": `bytes ${from}-${to - 1}/${total}` }),
    });
    if (behaviour.kind === "ok" || behaviour.kind === "whole") {
      response.end(this.#content.subarray(from, to));
    } else if (behaviour.kind !== "status") {
      const part = this.#content.subarray(from, Math.min(to, from + behaviour.after));
      response.write(part, () => {
        if (behaviour.kind === "cut") response.destroy();
      });
    }
  }
}
