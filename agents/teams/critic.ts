/** Reads what the workers answered and tells the planner what it thinks of it. */
import { connect } from "contix";

await using os = await connect();
const team = os.team();

for (;;) {
  const mail = await team.inbox.recv({ ack: "manual", visibilityMs: 300_000 });
  if (mail.topic !== "end") {
    const { question, answer } = JSON.parse(mail.text);
    const { text } = await os.llm.chat(
      `Question: ${question}\nAnswer: ${answer}\nIs this a good answer? Say why in one sentence.`,
      { maxTokens: 40, seed: 7, stop: ["\n"] },
    );
    await team.to("planner").send(`${question}\n${answer}\n— ${text.trim()}`);
  }
  await mail.ack();
  if (mail.topic === "end") break;
}
