/** Sessions of a link, packet by packet. */
import { expect, it } from "vitest";
import { BetweenPacket } from "../../../proto/gen/contix/v1/between.js";
import { systemClock } from "../../clock.js";
import { MemoryLine } from "../bus-memory.js";
import { Link } from "./link.js";

function link() {
  const line = new MemoryLine(systemClock);
  const sent: BetweenPacket[] = [];
  const lost: string[] = [];
  const delivered: string[] = [];
  const bus = line.join();
  bus.publish = (_, body) => void sent.push(BetweenPacket.decode(body));
  // Timers never fire: what is sent again is another test's matter.
  const clock = { ...systemClock, after: () => () => {} };
  const made = new Link({
    ...{ own: 1, node: 2, bus, clock, end: 100n },
    deliver: ({ $case }) => void delivered.push($case),
    lost: (why) => void lost.push(why),
  });
  const hear = (packet: Partial<BetweenPacket>): void => {
    made.receive(BetweenPacket.fromPartial({ node: 2, ...packet }));
  };
  return { made, sent, lost, delivered, hear };
}

it("a link goes on with the other's newest end, and hears no former one", () => {
  const { made, sent, lost, hear } = link();
  hear({ from: 10n, to: 100n });
  hear({ from: 20n, to: 100n });
  expect(lost).toHaveLength(1);
  hear({ from: 10n, to: 100n, bye: true });
  hear({ from: 10n, to: 100n });
  expect(lost).toHaveLength(1);
  expect(made.reachable).toBe(true);
  made.beat();
  expect(sent.at(-1)).toMatchObject({ from: 100n, to: 20n });
});

it("what is for a former end of ours is not taken, and answered with the present one", () => {
  const { sent, delivered, hear } = link();
  const { body } = BetweenPacket.fromPartial({ body: Buffer.from([0x2a, 0]) });
  hear({ from: 10n, to: 99n, seq: 1n, body });
  expect(delivered).toEqual([]);
  expect(sent.at(-1)).toMatchObject({ from: 100n, to: 10n });
  hear({ from: 10n, to: 100n, seq: 1n, body });
  hear({ from: 10n, to: 100n, seq: 1n, body });
  expect(delivered).toEqual(["over"]);
});
