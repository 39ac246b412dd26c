/**
 * Topics: one process publishes, others read what they subscribed to. A slow reader is
 * told how many messages it missed.
 *
 *   contix run agents/news.ts
 */
import { connect } from "contix";

await using os = await connect();
const [role, pattern = ">"] = process.argv.slice(2);

if (role === "--reader") {
  const news = await os.ipc.subscribe(`news.${pattern}`, { messages: 4 });
  await (await os.ipc.barrier("ready", 3)).wait();
  for await (const { topic, text, missed } of news) {
    if (missed > 0) console.log(`(${missed} missed)`);
    console.log(`${topic}: ${text}`);
    if (topic === "news.end") break;
  }
  await os.close();
  process.exit();
}

const command = [process.execPath, ...process.execArgv, process.argv[1] ?? "", "--reader"];
const readers = await Promise.all([">", "*"].map((each) => os.proc.spawn([...command, each])));
// Who publishes before the others listen tells nobody.
await (await os.ipc.barrier("ready", 3)).wait();
for (const subject of ["news.sports", "news.sports.chess", "news.weather", "news.end"]) {
  const { delivered } = await os.ipc.publish(subject, `what is new in ${subject}`);
  console.log(`${subject} went to ${delivered}`);
}
for (const reader of readers) await reader.wait();
