import { describe, expect, it } from "vitest";
import { Deaths } from "./deaths.js";

describe("deaths", () => {
  it("are followed by ever later starts, and by none after too many", () => {
    const deaths = new Deaths({ restartLimit: 4, restartWindowUs: 1000 });
    expect([0, 1, 2, 3, 4].map((now) => deaths.next(now))).toEqual([
      0,
      200_000,
      400_000,
      800_000,
      undefined,
    ]);
    deaths.forget();
    expect(deaths.next(5)).toBe(0);
  });

  it("that are long ago do not count", () => {
    const deaths = new Deaths({ restartLimit: 1, restartWindowUs: 1000 });
    expect([deaths.next(0), deaths.next(1000), deaths.next(2000)]).toEqual([0, 0, 0]);
    expect(deaths.next(2999)).toBeUndefined();
  });
});
