/**
 * A work queue: jobs in a mailbox, workers that take them, and no job lost when a worker is
 * killed at its work. A worker acknowledges a job when it is done; until then the kernel
 * keeps it, and gives it to another when the worker ends.
 *
 *   contix run agents/queue.ts [JOBS] [WORKERS]
 */
import { connect } from "contix";

await using os = await connect();
await using jobs = await os.ipc.mailbox("jobs", { maxDeliveries: 3 });

if (process.argv.includes("--worker")) {
  for await (const job of jobs) {
    // One of the jobs is bad luck for whoever tries it first.
    if (job.text === "job 3" && job.delivery === 1) await os.proc.kill(os.pid, "KILL");
    await os.ipc.publish("done", `${job.text} by ${os.pid}, delivery ${job.delivery}`);
    await job.ack();
  }
}

const [count = 8, workers = 2] = process.argv.slice(2).map(Number);
const done = await os.ipc.subscribe("done");
for (let i = 1; i <= count; i++) await jobs.send(`job ${i}`);
const command = [...process.execArgv, process.argv[1] ?? "", "--worker"];
const children = await Promise.all(
  Array.from({ length: workers }, () => os.proc.spawn([process.execPath, ...command])),
);
for (let i = 1; i <= count; i++) console.log((await done.recv()).text);
await Promise.all(children.map((child) => child.kill("KILL").catch(() => undefined)));
await os.ipc.remove("mailbox", "jobs");
