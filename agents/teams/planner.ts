/** Hands questions to the workers of its team and prints what comes back from the critic. */
import { connect } from "contix";

await using os = await connect();
const team = os.team();

const questions = process.argv.slice(2);
for (const question of questions) await team.to("worker").send(question);

for (let i = 0; i < questions.length; i++) {
  const mail = await team.inbox.recv({ ack: "manual" });
  console.log(`${mail.text}\n`);
  await mail.ack();
}

// Everybody may go home: each worker takes one of these.
for (let i = 0; i < 2; i++) await team.to("worker").send("", { topic: "end" });
await team.to("critic").send("", { topic: "end" });
