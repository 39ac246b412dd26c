/** GET /v1/models, and one of them by name. */
import type { ModelInfo } from "../../syscalls/index.js";
import { ApiError } from "./errors.js";
import { type Exchange, type Gateway, withKernel } from "./gateway.js";

const TIMEOUT_MS = 10_000;

const toModel = ({ name, window, state }: ModelInfo) => ({
  id: name,
  object: "model",
  // The kernel does not know when a model was made.
  created: 0,
  owned_by: "contix",
  /** Tokens of the longest context; null before the model has run. */
  max_model_len: window === 0 ? null : window,
  state,
});

function modelsFor(gateway: Gateway, exchange: Exchange): Promise<ModelInfo[]> {
  return withKernel(gateway, exchange, (os) => os.llm.models({ timeoutMs: TIMEOUT_MS }));
}

export async function listModels(gateway: Gateway, exchange: Exchange): Promise<Response> {
  const models = await modelsFor(gateway, exchange);
  return exchange.json({ object: "list", data: models.map(toModel) });
}

export async function showModel(gateway: Gateway, exchange: Exchange): Promise<Response> {
  const wanted = exchange.req.param("model") ?? "";
  const model = (await modelsFor(gateway, exchange)).find(({ name }) => name === wanted);
  if (model !== undefined) return exchange.json(toModel(model));
  throw new ApiError(404, `there is no model ${wanted.slice(0, 100)}`, {
    code: "model_not_found",
    param: "model",
  });
}
