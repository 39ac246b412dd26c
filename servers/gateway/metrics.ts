/**
 * What the gateway counts of its own work. Names are Prometheus's: the unit in the name,
 * `_total` for what only grows. Labels take few values, whatever clients send.
 */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import type { GenerateResult } from "../../syscalls/index.js";

/** Seconds: from a null request to an answer of ten minutes. */
const REQUEST = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600];
const FIRST_TOKEN = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
const TOKEN = [0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.08, 0.12, 0.2, 0.5, 1, 5];

/** What is read when the figures are asked for. */
export interface Levels {
  connections(): Promise<number>;
  attachments(): number;
  /** Connections that made room for others. */
  cut(): number;
  /** Refusals that came late. */
  late(): number;
}

export class GatewayMetrics {
  readonly registry = new Registry();
  readonly #requests: Histogram<"route" | "method" | "status">;
  readonly #errors: Counter<"code">;
  readonly #aborted: Counter;
  readonly #open: Gauge;
  readonly #firstToken: Histogram<"model">;
  readonly #gaps: Histogram;
  readonly #queue: Histogram<"model">;
  readonly #tokens: Counter<"model" | "kind">;

  constructor(levels: Levels) {
    const registers = [this.registry];
    collectDefaultMetrics({ register: this.registry, prefix: "contix_gateway_" });
    this.#requests = new Histogram({
      name: "contix_gateway_request_seconds",
      help: "From a request's head to the end of its answer, seconds",
      labelNames: ["route", "method", "status"],
      buckets: REQUEST,
      registers,
    });
    this.#errors = new Counter({
      name: "contix_gateway_errors_total",
      help: "Answers that were errors, and streams that ended with one, by their code",
      labelNames: ["code"],
      registers,
    });
    this.#aborted = new Counter({
      name: "contix_gateway_aborted_total",
      help: "Requests whose client left before the answer's end",
      registers,
    });
    this.#open = new Gauge({
      name: "contix_gateway_requests_open",
      help: "Requests being answered",
      registers,
    });
    this.#firstToken = new Histogram({
      name: "contix_gateway_first_token_seconds",
      help: "From a generation's arrival at the kernel to its first token, seconds",
      labelNames: ["model"],
      buckets: FIRST_TOKEN,
      registers,
    });
    this.#gaps = new Histogram({
      name: "contix_gateway_inter_token_seconds",
      help: "Between one piece of a streamed text and the next, seconds",
      buckets: TOKEN,
      registers,
    });
    this.#queue = new Histogram({
      name: "contix_gateway_queue_seconds",
      help: "How long a generation waited for a slot, seconds",
      labelNames: ["model"],
      buckets: FIRST_TOKEN,
      registers,
    });
    this.#tokens = new Counter({
      name: "contix_gateway_tokens_total",
      help: "Tokens of answers: prompt (cached of these were found), generated",
      labelNames: ["model", "kind"],
      registers,
    });
    new Gauge({
      name: "contix_gateway_connections",
      help: "Open connections of clients",
      registers,
      async collect() {
        this.set(await levels.connections());
      },
    });
    new Gauge({
      name: "contix_gateway_attachments",
      help: "Keys that are attached to the kernel",
      registers,
      collect() {
        this.set(levels.attachments());
      },
    });
    new Counter({
      name: "contix_gateway_connections_cut_total",
      help: "Connections that nothing was answered on, closed to make room for others",
      registers,
      collect() {
        this.reset();
        this.inc(levels.cut());
      },
    });
    new Counter({
      name: "contix_gateway_late_total",
      help: "Refusals that were held back, of senders of many requests that are none",
      registers,
      collect() {
        this.reset();
        this.inc(levels.late());
      },
    });
  }

  /** A request came. The result is called at its end. */
  request(method: string): (route: string, status: number, aborted: boolean) => void {
    const from = performance.now();
    this.#open.inc();
    return (route, status, aborted) => {
      this.#open.dec();
      if (aborted) this.#aborted.inc();
      const seconds = (performance.now() - from) / 1000;
      this.#requests.observe(
        { route, method: METHODS.has(method) ? method : "other", status },
        seconds,
      );
    };
  }

  error(code: string): void {
    this.#errors.inc({ code });
  }

  /** Milliseconds between two pieces of a text. */
  gap(ms: number): void {
    this.#gaps.observe(ms / 1000);
  }

  /** A generation ended well. */
  generated(model: string, { usage }: GenerateResult): void {
    this.#firstToken.observe({ model }, usage.firstTokenMs / 1000);
    this.#queue.observe({ model }, usage.queuedMs / 1000);
    this.#tokens.inc({ model, kind: "prompt" }, usage.promptTokens);
    this.#tokens.inc({ model, kind: "cached" }, usage.cachedTokens);
    this.#tokens.inc({ model, kind: "generated" }, usage.generatedTokens);
  }
}

const METHODS: ReadonlySet<string> = new Set(["GET", "HEAD", "POST", "OPTIONS"]);
