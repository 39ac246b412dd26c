/** The smallest agent: asks the model a question and prints the answer as it comes. */
import { connect } from "contix";

const question = process.argv.slice(2).join(" ") || "Why is the sky blue?";

await using os = await connect();
const answer = os.llm.chat(question, { maxTokens: 100 });
for await (const text of answer) process.stdout.write(text);

const { usage } = await answer;
console.log(`\n(${os.pid}: ${usage.generatedTokens} tokens in ${Math.round(usage.servedMs)} ms)`);
