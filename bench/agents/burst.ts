/**
 * An agent for measurements: told a prompt, it generates and reports, until it is told to end.
 * usage: burst.js PID, the process that tells it
 */
import { createHash } from "node:crypto";
import { connect, type Pid } from "contix";

const teller: Pid = process.argv[2] ?? "";
await using os = await connect();
await os.ipc.send(teller, "", { topic: "ready" });
while (true) {
  const { topic, text } = await os.ipc.recv({ from: teller });
  if (topic === "end") break;
  const { prompt, maxTokens, stream } = JSON.parse(text);
  const generation = os.llm.generate(prompt, { maxTokens, temperature: 0, ignoreEos: true });
  let chunks = 0;
  if (stream) for await (const _ of generation) chunks += 1;
  const { tokens, usage } = await generation;
  const digest = createHash("sha256").update(tokens.join()).digest("hex");
  const report = { tokens: tokens.length, digest, chunks, usage };
  await os.ipc.send(teller, JSON.stringify(report), { topic: "done" });
}
