/**
 * An agent for measurements, one of a ring: it asks the model, tells its next neighbour, hears
 * from the one before, and so on. Forked with JSON (`Talker`); sends its pid, is told its next
 * neighbour's, then, for each run, to go, by the kernel or by the bare hub; reports what it heard.
 */
import { connect } from "contix";
import { bareRing, kernelRing } from "./ring.js";
import { type Done, Talker, Word } from "./words.js";

const { home, token, hub, calls, tokens } = Talker.parse(JSON.parse(process.argv[2] ?? ""));
const os = await connect({ address: `unix://${home}/contixd.sock`, token, name: "talker" });
const [kernel, bare] = [kernelRing(os, tokens), bareRing(hub, os.pid, tokens)];
let next = "";

async function run(ring: typeof kernel, number: number): Promise<Done> {
  const done = { tokens: 0, heard: 0, wrong: "" };
  for (let call = 0; call < calls; call++) {
    done.tokens += await ring.model();
    if (call === calls - 1) break;
    const said = `${number}.${call}`;
    const [, text] = await Promise.all([ring.send(next, said), ring.recv()]);
    done.heard += 1;
    if (text !== said) done.wrong = `${text}, not ${said}`;
  }
  return done;
}

process.on("message", (message) => {
  const word = Word.parse(message);
  if ("next" in word) next = word.next;
  else {
    run(word.bare ? bare : kernel, word.go).then(
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
