/** What an agent of a ring needs, from the kernel or from the bare hub that it is measured beside. */
import { connect as connectSocket } from "node:net";
import type { Os } from "contix";
import { lines } from "./lines.js";
import { HubAnswer, type HubRequest } from "./words.js";

export interface Ring {
  /** A call of the model. @returns its tokens */
  model(): Promise<number>;
  send(to: string, text: string): Promise<void>;
  recv(): Promise<string>;
}

export function kernelRing(os: Os, tokens: number): Ring {
  return {
    async model() {
      // A prompt of one token needs no prefill: the fake model takes the same time for everybody.
      const answer = await os.llm.generate("?", { maxTokens: tokens, ignoreEos: true, seed: 1 });
      return answer.tokens.length;
    },
    send: async (to, text) => {
      await os.ipc.send(to, text);
    },
    recv: async () => (await os.ipc.recv({ timeoutMs: 60_000 })).text,
  };
}

/** @param name by which others of the ring send to it */
export function bareRing(path: string, name: string, tokens: number): Ring {
  const socket = connectSocket(path);
  const waiting = new Map<number, (text: string) => void>();
  lines(socket, (line) => {
    const { id, text } = HubAnswer.parse(JSON.parse(line));
    waiting.get(id)?.(text);
    waiting.delete(id);
  });
  let last = 0;
  const ask = (what: HubRequest["what"], to = "", text = ""): Promise<string> =>
    new Promise((resolve) => {
      const request: HubRequest = { id: ++last, from: name, what, to, text };
      waiting.set(request.id, resolve);
      socket.write(`${JSON.stringify(request)}\n`);
    });
  return {
    async model() {
      await ask("model");
      return tokens;
    },
    async send(to, text) {
      await ask("send", to, text);
    },
    recv: () => ask("recv"),
  };
}
