/**
 * An agent for measurements, one of a ring: it asks the model, tells its next neighbour, hears
 * from the one before, and so on. Forked with JSON (`Talker`); sends its pid, is told its next
 * neighbour's, then, for each run, to go; reports what it heard.
 */
import { connect } from "contix";
import { type Done, Talker, Word } from "./words.js";

const { home, token, calls, tokens } = Talker.parse(JSON.parse(process.argv[2] ?? ""));
const os = await connect({ address: `unix://${home}/contixd.sock`, token, name: "talker" });
let next = "";

async function run(number: number): Promise<Done> {
  const done = { tokens: 0, heard: 0, wrong: "" };
  for (let call = 0; call < calls; call++) {
    // A prompt of one token needs no prefill: the fake model takes the same time for everybody.
    const answer = await os.llm.generate("?", { maxTokens: tokens, ignoreEos: true, seed: 1 });
    done.tokens += answer.tokens.length;
    if (call === calls - 1) break;
    const [, { text }] = await Promise.all([
      os.ipc.send(next, `${number}.${call}`),
      os.ipc.recv({ timeoutMs: 60_000 }),
    ]);
    done.heard += 1;
    if (text !== `${number}.${call}`) done.wrong = `${text}, not ${number}.${call}`;
  }
  return done;
}

process.on("message", (message) => {
  const word = Word.parse(message);
  if ("next" in word) next = word.next;
  else {
    run(word.go).then(
      (done) => process.send?.(done),
      (error: unknown) => {
        process.stderr.write(`talker: ${error}\n`);
        process.exit(1);
      },
    );
  }
});
process.on("disconnect", () => process.exit());
process.send?.(os.pid);
