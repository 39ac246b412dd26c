/** Agents of two daemons on one NATS server send, ask, lock and pipe to each other. */
import { errors } from "@nats-io/transport-node";
import { expect, onTestFinished, test } from "vitest";
import { BetweenPacket } from "../../proto/gen/contix/v1/between.js";
import { connect, type Os, SyscallError } from "../../syscalls/index.js";
import { spawnAgent, until } from "../support/kernels.js";
import { plainNats } from "../support/nats-client.js";
import { givenServer, kernelAt } from "../support/nats-server.js";

const errnoOf = (error: unknown): string => (error instanceof SyscallError ? error.code : "");

/** Whether a kernel is not there yet: the other one, or ours that says to the server who is who. */
const isAway = (error: unknown): boolean =>
  errnoOf(error) === "EAGAIN" || error instanceof errors.AuthorizationError;

/** Tries until a kernel is reached. */
async function whenReached<T>(work: () => Promise<T>): Promise<T> {
  let result: { readonly value: T } | undefined;
  await until(async () => {
    try {
      result = { value: await work() };
      return true;
    } catch (error) {
      if (isAway(error)) return false;
      throw error;
    }
  });
  if (!result) throw new Error("until ended early");
  return result.value;
}

test("mail, requests, pipes and locks between daemons outlive the server, and a killed daemon holds nothing", async () => {
  const server = await givenServer(2);
  onTestFinished(() => server.close());
  await server.start();
  const start = (node: number) =>
    kernelAt(server.homes[node - 1] ?? "", [
      ...["--nats", server.url, "--nats-ca", server.caFile, "--node", String(node)],
    ]);
  const [one, two] = await Promise.all([start(1), start(2)]);
  onTestFinished(async () => void (await Promise.all([one.stop(), two.stop()])));
  const attach = ({ address, token }: { address: string; token: string }): Promise<Os> =>
    connect({ address, token, timeoutMs: 60_000 });
  const [here, there] = [await attach(one), await attach(two)];
  await using _ = there;

  // An agent in a process of its own, found by its pid.
  const clerk = await spawnAgent(
    there,
    `for await (const r of os.ipc.serve()) await r.reply("n2 heard " + r.text);`,
  );
  const { text } = await whenReached(() => here.ipc.request(clerk.pid, "you"));
  expect(text).toBe("n2 heard you");

  // Its mailbox, worked on from the other side.
  const [far, near] = [
    await here.ipc.mailbox("jobs", { node: "n2" }),
    await there.ipc.mailbox("jobs"),
  ];
  await near.send("job");
  const job = await far.recv({ ack: "manual" });
  expect(job.text).toBe("job");
  await job.ack();
  expect(await here.ipc.list({ node: "n2" })).toMatchObject([{ name: "jobs", messages: 0 }]);

  // A pipe, filled beyond what it holds.
  const [writer, reader] = [
    await here.ipc.pipeWriter("log", { node: "n2" }),
    await there.ipc.pipeReader("log"),
  ];
  const sent = Buffer.alloc(300_000, "0123456789");
  const writing = writer.write(sent).then(() => writer.close());
  const parts: Uint8Array[] = [];
  for await (const part of reader) parts.push(part);
  await writing;
  expect(Buffer.concat(parts).equals(sent)).toBe(true);

  // The server is started again under a call that waits.
  const waits = far.recv();
  // Goes the same way, behind it: without a line it would not wait there but be refused.
  await here.ipc.list({ node: "n2" });
  await server.stop();
  // One that left before the kernel knew is answered when the line is back: it is given up here.
  await until(() =>
    far.send("x", { signal: AbortSignal.timeout(1000) }).then(
      () => false,
      (error: unknown) => errnoOf(error) === "EAGAIN",
    ),
  );
  await server.start();
  const answered = waits.then((mail) => mail.text);
  await whenReached(() => far.send("after"));
  expect(["x", "after"]).toContain(await answered);

  // An agent may not speak as a kernel.
  const client = { address: server.url, token: one.token, tls: { ca: server.ca } };
  const liar = await whenReached(() => plainNats({ name: "nats", ...client }, "liar"));
  const hello = BetweenPacket.encode(BetweenPacket.fromPartial({ node: 9 })).finish();
  liar.nc.publish("contix.bus.pub.liar.$kernel.all", hello);
  await liar.nc.flush();
  await far.send("goes the same way, behind it");
  const nowhere = whenReached(() => here.ipc.lock("one", { node: "n9" }));
  await expect(nowhere).rejects.toThrow(/no kernel n9; known here are n1, n2/);
  await liar.nc.close();

  // kill -9: the lock goes to who waits for it there.
  const [mine, next] = [await here.ipc.lock("one", { node: "n2" }), await there.ipc.lock("one")];
  await mine.acquire();
  const held = next.acquire();
  await one.kill();
  const lock = await held;
  await lock.release();
  await here.close().catch(() => undefined);
}, 120_000);
