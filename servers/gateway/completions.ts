/** POST /v1/completions */
import { parseBody, readJson } from "./body.js";
import { CompletionBody, promptsOf } from "./completion-body.js";
import { type Exchange, type Gateway, withKernel } from "./gateway.js";
import { COMPLETION_LOGPROBS } from "./logprobs.js";
import { type Shape, serve } from "./serve.js";

const TEXT: Shape = {
  id: "cmpl",
  object: "text_completion",
  chunkObject: "text_completion",
  input: "prompt",
  whole: ({ text }) => ({ text }),
  opening: () => undefined,
  piece: (text) => ({ text }),
  closing: () => ({ text: "" }),
  logprobs: COMPLETION_LOGPROBS,
};

export async function completions(gateway: Gateway, exchange: Exchange): Promise<Response> {
  await withKernel(gateway, exchange, async () => undefined);
  const json = await readJson(exchange.env.incoming, gateway.options.bodyBytes);
  const body = parseBody(CompletionBody, json);
  const prompts = promptsOf(body);
  return serve(gateway, exchange, {
    body,
    logprobs: body.logprobs,
    shape: TEXT,
    prompts: prompts.length,
    generate: (os, prompt, options) => os.llm.generate(prompts[prompt] ?? "", options),
  });
}
