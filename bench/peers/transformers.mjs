#!/usr/bin/env node
/**
 * @huggingface/transformers as a peer: a process of its own that speaks the protocol of serve.mjs.
 *
 *   load   {folder, name, dtype, threads}     → {version, device}
 *   decode {prompts: [[ids], ...], steps}     → {seconds, stepMs, tokens}
 *
 * A model is a directory `folder/name` in the layout of the Hugging Face hub (config.json and
 * onnx/). Prompts of one length are one batch of `generate`, greedy; the clock starts when each
 * row has its first token, and covers `steps` more of every row.
 */
import { AutoModelForCausalLM, BaseStreamer, env, Tensor } from "@huggingface/transformers";
import { need, serve } from "./serve.mjs";

env.allowRemoteModels = false;
env.allowLocalModels = true;

const state = { model: undefined };

async function load({ folder, name, dtype, threads }) {
  env.localModelPath = folder;
  state.model = await AutoModelForCausalLM.from_pretrained(name, {
    dtype,
    device: "cpu",
    local_files_only: true,
    session_options: { intraOpNumThreads: threads, executionMode: "sequential" },
  });
  return { version: env.version };
}

/** When each token of the batch came, and what it was. */
class Clock extends BaseStreamer {
  at = [];
  tokens = [];
  #prompt = true;

  put(rows) {
    if (this.#prompt) {
      this.#prompt = false;
      return;
    }
    this.at.push(performance.now());
    this.tokens.push(rows.map(([id]) => Number(id)));
  }

  end() {}
}

async function decode({ prompts, steps }) {
  need(state.model, "load a model first");
  const shape = [prompts.length, prompts[0].length];
  const ids = BigInt64Array.from(prompts.flat(), BigInt);
  const clock = new Clock();
  await state.model.generate({
    inputs: new Tensor("int64", ids, shape),
    attention_mask: new Tensor(
      "int64",
      ids.map(() => 1n),
      shape,
    ),
    max_new_tokens: steps + 1,
    do_sample: false,
    eos_token_id: null,
    streamer: clock,
  });
  const { at, tokens } = clock;
  need(at.length === steps + 1, `${at.length} tokens came, not ${steps + 1}`);
  const stepMs = at.slice(1).map((end, i) => end - at[i]);
  const seconds = (at.at(-1) - at[0]) / 1000;
  return { seconds, stepMs, tokens: prompts.map((_, row) => tokens.map((step) => step[row])) };
}

async function close() {
  await state.model?.dispose();
  return {};
}

await serve({ load, decode, close });
