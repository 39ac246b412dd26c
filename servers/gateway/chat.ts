/** POST /v1/chat/completions */
import { parseBody, readJson } from "./body.js";
import { ChatBody, logprobsOf, messagesOf } from "./chat-body.js";
import { type Exchange, type Gateway, withKernel } from "./gateway.js";
import { CHAT_LOGPROBS } from "./logprobs.js";
import { type Shape, serve } from "./serve.js";

const CHAT: Shape = {
  id: "chatcmpl",
  object: "chat.completion",
  chunkObject: "chat.completion.chunk",
  input: "messages",
  whole: ({ text }) => ({ message: { role: "assistant", content: text, refusal: null } }),
  opening: () => ({ delta: { role: "assistant", content: "" } }),
  piece: (text) => ({ delta: { content: text } }),
  closing: () => ({ delta: {} }),
  logprobs: CHAT_LOGPROBS,
};

export async function chatCompletions(gateway: Gateway, exchange: Exchange): Promise<Response> {
  // Who is unknown is told so before its body is read.
  await withKernel(gateway, exchange, async () => undefined);
  const json = await readJson(exchange.env.incoming, gateway.options.bodyBytes);
  const body = parseBody(ChatBody, json);
  const messages = messagesOf(body);
  return serve(gateway, exchange, {
    body: { ...body, max_tokens: body.max_completion_tokens ?? body.max_tokens },
    logprobs: logprobsOf(body),
    shape: CHAT,
    prompts: 1,
    generate: (os, _prompt, options) => os.llm.chat(messages, options),
  });
}
