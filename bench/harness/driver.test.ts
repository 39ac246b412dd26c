import { Duplex } from "node:stream";
import { describe, expect, it } from "vitest";
import { frames } from "../../proto/frame.js";
import { FromDriver, type Outcome, ToDriver } from "../../proto/gen/contix/driver/v1/llm.js";
import { PLAIN_DRIVER } from "../../proto/plain-driver.js";
import { DriverClient } from "./driver.js";
import { decodePlans } from "./plans.js";

/** Two streams that are each other's other end. */
function pair(): [Duplex, Duplex] {
  const end = (other: () => Duplex): Duplex =>
    new Duplex({
      read() {},
      write(bytes, _, done) {
        other().push(bytes);
        done();
      },
      final(done) {
        other().push(null);
        done();
      },
    });
  const a: Duplex = end(() => b);
  const b: Duplex = end(() => a);
  return [a, b];
}

/** A driver that answers with `answer`; returns the client's side of it. */
function driverThat(
  answer: (message: ToDriver, send: (reply: FromDriver) => void, stream: Duplex) => void,
) {
  const [ours, theirs] = pair();
  const channel = frames(
    theirs,
    ToDriver,
    FromDriver,
    (message) => answer(message, (reply) => channel.send(reply), theirs),
    () => {},
  );
  return new DriverClient(ours);
}

const outcome = (plan: bigint, step: number, last: boolean): FromDriver => {
  const value: Outcome = { plan, step, steps: 1, stepUs: 1, last, rows: [] };
  return { msg: { $case: "outcome", value } };
};

const OPEN = { model: "m", slots: 1, slotTokens: 8, threads: 1, options: "", ...PLAIN_DRIVER };
const { decode } = decodePlans({ prompts: [[1, 2]], tokens: 3, chunk: 4, firstBurst: 1n });

describe("DriverClient", () => {
  it("gathers a plan's outcomes until the last, and passes over those of other plans", async () => {
    const client = driverThat(({ msg }, send) => {
      if (msg?.$case !== "plan") return;
      send(outcome(msg.value.id + 1n, 0, true));
      send(outcome(msg.value.id, 0, false));
      send(outcome(msg.value.id, 1, true));
    });
    const steps = (await client.run(decode)).map((timed) => timed.outcome.step);
    expect(steps).toEqual([0, 1]);
    await expect(client.run(decode)).resolves.toHaveLength(2);
  });

  it("counts plan ids up", async () => {
    const ids: bigint[] = [];
    const client = driverThat(({ msg }, send) => {
      if (msg?.$case !== "plan") return;
      ids.push(msg.value.id);
      send(outcome(msg.value.id, 0, true));
    });
    await client.run(decode);
    await client.run(decode);
    expect(ids[1]).toBeGreaterThan(ids[0] ?? 0n);
  });

  it("matches texts with their tokens, and passes on the server's error", async () => {
    const client = driverThat(({ msg }, send) => {
      if (msg?.$case !== "text" || msg.value.what?.$case !== "encode") return;
      const { text } = msg.value.what.value;
      const error = text === "" ? "empty" : "";
      send({
        msg: {
          $case: "text",
          value: {
            ...{ id: msg.value.id, tokens: [text.length], ends: [], texts: [] },
            ...{ error, code: "", argument: "" },
          },
        },
      });
    });
    expect(await Promise.all([client.encode("a"), client.encode("bb")])).toEqual([[1], [2]]);
    await expect(client.encode("")).rejects.toThrow("empty");
  });

  it("fails what is under way, and what comes later, when the driver reports a fault", async () => {
    const client = driverThat((_, send) =>
      send({ msg: { $case: "fault", value: { message: "no such model" } } }),
    );
    await expect(client.open(OPEN)).rejects.toThrow("the driver: no such model");
    await expect(client.run(decode)).rejects.toThrow("no such model");
  });

  it("fails a plan when the driver's connection closes", async () => {
    const client = driverThat(({ msg }, _, stream) => {
      if (msg?.$case === "plan") stream.end();
    });
    await expect(client.run(decode)).rejects.toThrow("closed its connection");
  });
});
