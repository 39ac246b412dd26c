/** The routes of the gateway, and what every request passes. */
import { randomUUID } from "node:crypto";
import { Hono, type MiddlewareHandler } from "hono";
import { cors } from "hono/cors";
import { chatCompletions } from "./chat.js";
import { onOver } from "./client.js";
import { completions } from "./completions.js";
import { ApiError, toApiError } from "./errors.js";
import { type Exchange, type Gateway, type GatewayEnv, senderOf, withKernel } from "./gateway.js";
import { listModels, showModel } from "./models.js";
import { kernelFigures } from "./scrape.js";

type Handler = (gateway: Gateway, exchange: Exchange) => Response | Promise<Response>;

/** What each route does; every other method on them is a 405. */
const ROUTES: readonly (readonly [method: "GET" | "POST", path: string, handler: Handler])[] = [
  ["GET", "/healthz", (_gateway, exchange) => exchange.json({ status: "ok" })],
  ["GET", "/readyz", readiness],
  ["GET", "/metrics", figures],
  ["GET", "/v1/models", listModels],
  ["GET", "/v1/models/:model{.+}", showModel],
  ["POST", "/v1/chat/completions", chatCompletions],
  ["POST", "/v1/completions", completions],
];

const REQUEST_ID = /^[\w.-]{1,128}$/;
const DRAIN_RETRY_MS = 1_000;
const FIGURES_MS = 10_000;

export function makeApp(gateway: Gateway): Hono<GatewayEnv> {
  const app = new Hono<GatewayEnv>();
  app.use(observe(gateway));
  if (gateway.options.corsOrigins.length > 0) app.use("/v1/*", openTo(gateway.options.corsOrigins));
  app.use("/v1/*", admit(gateway));
  for (const [method, path, handler] of ROUTES) {
    app.on(method, path, (exchange) => handler(gateway, exchange));
    app.all(path, ({ req }) => {
      throw new ApiError(405, `${path} takes no ${req.method}; it takes ${method}`);
    });
  }
  app.notFound(({ req }) => {
    throw new ApiError(404, `unknown request URL: ${req.method} ${req.path.slice(0, 200)}`, {
      code: "unknown_url",
    });
  });
  app.onError((error, exchange) => answerError(gateway, exchange, error));
  return app;
}

/** Names the request, counts it, and knows how many there are. Whoever shows no good key is hung up on. */
function observe(gateway: Gateway): MiddlewareHandler<GatewayEnv> {
  return async (exchange, next) => {
    const { req, env } = exchange;
    const given = req.header("x-request-id") ?? "";
    const id = REQUEST_ID.test(given) ? given : randomUUID();
    env.outgoing.setHeader("x-request-id", id);
    const done = gateway.metrics.request(req.method);
    gateway.open += 1;
    onOver(env, () => {
      gateway.open -= 1;
      const { statusCode, writableFinished } = env.outgoing;
      done(routeOf(req.path), statusCode, !writableFinished);
      const what = { id, method: req.method, path: req.path, status: statusCode };
      gateway.log.debug({ ...what, whole: writableFinished }, "answered");
    });
    try {
      await next();
    } finally {
      if (exchange.get("known") !== true) env.outgoing.setHeader("connection", "close");
    }
  };
}

/** A path as a label: the route's, or "other". */
function routeOf(path: string): string {
  if (path.startsWith("/v1/models/")) return "/v1/models/:model";
  return ROUTES.some(([, route]) => route === path) ? path : "other";
}

/** Nothing new while draining, and no more at once than there is room for. */
function admit(gateway: Gateway): MiddlewareHandler<GatewayEnv> {
  return async (_exchange, next) => {
    const full = gateway.open > gateway.options.requests;
    if (gateway.draining || full) {
      const message = full ? "the gateway is full; try again" : "the gateway is shutting down";
      const code = full ? "overloaded" : "shutting_down";
      throw new ApiError(503, message, { code, retryAfterMs: DRAIN_RETRY_MS });
    }
    await next();
  };
}

function openTo(origins: readonly string[]): MiddlewareHandler<GatewayEnv> {
  const exposeHeaders = ["x-request-id", "retry-after", "retry-after-ms"];
  return cors({ origin: [...origins], allowMethods: ["GET", "POST"], exposeHeaders });
}

async function readiness(gateway: Gateway, exchange: Exchange): Promise<Response> {
  const ready = !gateway.draining && (await gateway.health.serving());
  return exchange.json({ status: ready ? "ready" : "unready" }, ready ? 200 : 503);
}

/** The gateway's figures and the kernel's, as far as the key of the request may see these. */
async function figures(gateway: Gateway, exchange: Exchange): Promise<Response> {
  const kernel = await withKernel(gateway, exchange, (os) => kernelFigures(os, FIGURES_MS));
  const { registry } = gateway.metrics;
  const own = await registry.metrics();
  return exchange.body(`${own}${kernel}`, 200, { "content-type": registry.contentType });
}

/** Every failure's answer. */
export async function answerError(
  gateway: Gateway,
  exchange: Exchange,
  error: unknown,
): Promise<Response> {
  const failure = toApiError(error);
  gateway.metrics.error(failure.code ?? String(failure.status));
  if (failure.code === "internal_error") {
    const id = exchange.env.outgoing.getHeader("x-request-id");
    gateway.log.error({ err: error, id, path: exchange.req.path }, "a request failed");
  }
  if (isFault(exchange, error, failure)) await holdBack(gateway, exchange);
  // The rest of a body that nobody reads would stand before the next request.
  const hangUp = !exchange.env.incoming.complete || failure.code === "shutting_down";
  return new Response(JSON.stringify(failure.body), {
    status: failure.status,
    headers: {
      ...failure.headers,
      "content-type": "application/json",
      ...(hangUp && { connection: "close" }),
    },
  });
}

/**
 * It was no request: wrong in form, or without a key that is known to be good. What the kernel
 * says of a good one is none.
 */
function isFault(exchange: Exchange, error: unknown, { status }: ApiError): boolean {
  if (status === 401 || (status === 429 && exchange.get("known") !== true)) return true;
  return error instanceof ApiError && status >= 400 && status < 500 && status !== 429;
}

/** Resolves when the request may be refused. */
function holdBack({ late }: Gateway, exchange: Exchange): Promise<void> {
  const { env } = exchange;
  const { socket } = env.incoming;
  return new Promise((resolve) => {
    const gone = (forget: () => void): void => {
      const over = (): void => {
        forget();
        resolve();
      };
      if (socket.destroyed) over();
      else onOver(env, over);
    };
    const sender = exchange.get("sender") ?? senderOf(socket);
    if (late.refuse(sender, resolve, gone)) return;
    socket.destroy();
    resolve();
  });
}
