import fc from "fast-check";
import { expect, it } from "vitest";
import { newBurst } from "./new-burst.js";
import { costOf } from "./policy.js";
import { Prepaid } from "./prepaid.js";
import { NOBODY, specOf } from "./testing/bursts.js";

const burst = newBurst(1, specOf(1n), NOBODY, 0, 0, 0);
const service = fc.record({ given: fc.nat(100), generated: fc.nat(3) });

it("charges what was served in the end, whatever was charged before", () => {
  fc.assert(
    fc.property(fc.nat(500), fc.array(service), (tokens, services) => {
      const prepaid = new Prepaid();
      let charged = prepaid.charge(burst, tokens);
      for (const each of services) charged += prepaid.settle(burst, each);
      charged -= prepaid.refund(burst);
      const served = services.reduce((sum, each) => sum + costOf(each), 0);
      expect(charged).toBeCloseTo(served, 6);
      expect(prepaid.has(burst)).toBe(false);
    }),
  );
});

it("charges input that comes as it was foreseen once, when it was foreseen", () => {
  const prepaid = new Prepaid();
  expect(prepaid.charge(burst, 100)).toBe(10);
  expect(prepaid.settle(burst, { given: 64, generated: 0 })).toBe(0);
  expect(prepaid.of(burst)).toBeCloseTo(3.6);
  expect(prepaid.settle(burst, { given: 36, generated: 1 })).toBe(1);
  expect(prepaid.has(burst)).toBe(false);
});
