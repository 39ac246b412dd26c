/** The small llm syscalls: what models there are, and the tokens of a text. */
import { ContixError } from "../../proto/errno.js";
import type { ModelInfo } from "../../proto/gen/contix/v1/calls.js";
import { argumentsOf } from "../args.js";
import type { Call } from "../call.js";
import type { Kernel } from "../kernel.js";
import type { ModelFacts } from "./library.js";
import type { ServedModel } from "./served-model.js";

/** The longest text that one tokenize call takes, characters. */
const TOKENIZE_LIMIT = 4_000_000;

/** Every model that can be served: the default first, then those that were used, then the rest. */
export async function models(kernel: Kernel, call: Call): Promise<void> {
  const { engines } = kernel;
  const here = new Map((await kernel.library.list()).map((facts) => [facts.name, facts]));
  const others = engines.all.filter((model) => model !== engines.default);
  const list = [engines.default, ...others].map((model) => {
    const facts = here.get(model.name);
    here.delete(model.name);
    return { ...describe(kernel, model, facts), default: model === engines.default };
  });
  const rest = [...here.values()].map((facts) => ({ ...UNUSED, ...facts }));
  call.done({ $case: "models", value: { models: [...list, ...rest] } });
}

const UNUSED: ModelInfo = {
  name: "",
  digest: "",
  window: 0,
  vocab: 0,
  loaded: false,
  license: "",
  chat: false,
  state: "stopped",
  default: false,
  slots: 0,
  slotsUsed: 0,
  queued: 0,
  memory: 0n,
  idleUs: 0n,
  driverPid: 0,
  driverRestarts: 0,
  error: "",
};

function describe(kernel: Kernel, model: ServedModel, facts: ModelFacts | undefined): ModelInfo {
  const { engine, driver, state, idle, lastUsed } = model;
  const ready = engine?.ready;
  const slotsUsed = engine?.sched.running.length ?? 0;
  return {
    ...UNUSED,
    ...facts,
    ...(ready && {
      digest: ready.engineDigest,
      window: ready.slotTokens,
      vocab: ready.vocab,
      license: ready.license,
      chat: ready.chat,
      slots: ready.slots,
    }),
    name: model.name,
    loaded: state === "running",
    state,
    slotsUsed,
    queued: model.admission.admitted - slotsUsed,
    memory: BigInt(model.needs),
    idleUs: BigInt(idle && lastUsed > 0 ? kernel.clock.now() - lastUsed : 0),
    driverPid: driver.osPid,
    driverRestarts: driver.restarts,
    error: model.failure?.message ?? "",
  };
}

/** The model that the call's handle names, or its argument. EPERM when they differ. */
export function modelNamed(call: Call, asked: string): string {
  const held = call.uses.find(({ object }) => object.type === "model");
  const name = String(held?.object.id ?? asked);
  if (asked === "" || asked === name) return name;
  const message = `the handle is on the model ${name}, and the call asks for ${asked}`;
  throw new ContixError("EPERM", message, { argument: "model" });
}

export async function tokenize(kernel: Kernel, call: Call): Promise<void> {
  const { text, special, model: asked } = argumentsOf(call, "tokenize");
  if (text.length > TOKENIZE_LIMIT) {
    const message = `a text of ${text.length} characters; at most ${TOKENIZE_LIMIT} a call`;
    throw new ContixError("E2BIG", message, { argument: "text" });
  }
  const model = await kernel.engines.find(modelNamed(call, asked));
  using _ = model.hold();
  const { driver } = await model.upFor(call);
  const what = { $case: "encode" as const, value: { text, special, start: false } };
  const tokens = text === "" ? [] : await driver.text(what);
  call.done({ $case: "tokenize", value: { tokens } });
}
