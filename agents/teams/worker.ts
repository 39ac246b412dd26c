/** Answers the questions in its inbox. One that it does not finish goes to another worker. */
import { connect } from "contix";

await using os = await connect();
const team = os.team();

for (;;) {
  // Its own for as long as it lives; five minutes, should it forget.
  const question = await team.inbox.recv({ ack: "manual", visibilityMs: 300_000 });
  if (question.topic !== "end") {
    console.log(`(${question.text})`);
    const { text } = await os.llm.chat(question.text, { maxTokens: 60, seed: 7 });
    await team.to("critic").send(JSON.stringify({ question: question.text, answer: text.trim() }));
  }
  await question.ack();
  if (question.topic === "end") break;
}
