/** Who owes for faults is refused, late, and once on record. */
import { describe, expect, it } from "vitest";
import { BareKernel } from "../../test/support/bare-kernel.js";
import { Debtors, type Indebted } from "./debtors.js";

const SECOND = 1_000_000;
/** What a principal may send at once, and a second. */
const BURST = 200;
const RATE = 20;

/** A door's debtors, with a kernel in which alice owes what `seconds` pay for. */
function owing(seconds: number) {
  const bare = new BareKernel();
  const { faults } = bare.kernel.rates;
  for (let i = 0; i < BURST + seconds * RATE; i++) faults.charge("alice");
  const debtors = new Debtors(bare.kernel);
  const refused: Indebted[] = [];
  const come = (principal = "alice"): Promise<void> =>
    debtors.check(principal).catch((error: Indebted) => void refused.push(error));
  const pass = async (us: number): Promise<void> => {
    bare.pass(us);
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { come, refused, pass, bare };
}

describe("who owes for faults", () => {
  it("is refused when he has paid, and others are let in at once", async () => {
    const { come, refused, pass } = owing(1);
    void come();
    await come("bob");
    await pass(SECOND);
    expect(refused).toEqual([]);
    await pass(SECOND / RATE);
    // Who he was before he waited is not who he must be now: he comes again.
    expect(refused).toMatchObject([{ code: "EAGAIN", retryAfterUs: 1, onRecord: true }]);
    await come();
    expect(refused).toHaveLength(1);
  });

  it("waits two seconds for that, not longer, and is told what is left", async () => {
    const { come, refused, pass } = owing(5);
    void come();
    await pass(2 * SECOND - 1);
    expect(refused).toEqual([]);
    await pass(1);
    expect(refused).toMatchObject([{ retryAfterUs: 3 * SECOND + SECOND / RATE }]);
  });

  it("is on record once, however often he comes", async () => {
    const { come, refused, pass } = owing(5);
    for (let i = 0; i < 3; i++) void come();
    await pass(2 * SECOND);
    expect(refused.map(({ onRecord }) => onRecord)).toEqual([true, false, false]);
  });

  it("is refused at once when too many wait, and again late when they have heard", async () => {
    const { come, refused, pass } = owing(9);
    for (let i = 0; i < 64; i++) void come();
    await come();
    expect(refused).toHaveLength(1);
    await pass(2 * SECOND);
    expect(refused).toHaveLength(65);
    void come();
    await pass(SECOND);
    expect(refused).toHaveLength(65);
    await pass(SECOND);
    expect(refused).toHaveLength(66);
  });
});
