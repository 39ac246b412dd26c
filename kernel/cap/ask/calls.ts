/** The ask syscalls: who may answer questions lists them, and answers. */
import { argumentsOf } from "../../args.js";
import type { Call } from "../../call.js";
import type { Kernel } from "../../kernel.js";
import { callWaits } from "../../mm/process-waits.js";

export function askList(kernel: Kernel, call: Call): void {
  const { after, wait } = argumentsOf(call, "askList");
  const { process } = call;
  if (!wait) {
    const questions = kernel.ask.list(process, after);
    call.done({ $case: "askList", value: { questions } });
    return;
  }
  call.waitingOn = "question";
  const stop = kernel.ask.watch({
    process,
    after,
    found: (questions) => call.done({ $case: "askList", value: { questions } }),
  });
  call.onEnd(stop);
  callWaits(kernel, call);
}

export function askAnswer(kernel: Kernel, call: Call): void {
  const { id, allow, reason } = argumentsOf(call, "askAnswer");
  kernel.ask.answer(call.process, id, allow, reason);
  call.done({ $case: "askAnswer", value: {} });
}
