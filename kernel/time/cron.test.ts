/** When expressions fire: as croner says, and without its search where nothing is near. */
import { Cron, CronPattern } from "croner";
import fc from "fast-check";
import { afterEach, describe, expect, it, vi } from "vitest";
import { nextAfter, parseCron } from "./cron.js";
import { firstDay } from "./days.js";

const DAY = 86_400_000;
const NOW = Date.UTC(2026, 10, 23, 12);
const next = (expression: string, ms = NOW, timezone = "UTC"): string | undefined => {
  const at = nextAfter(parseCron(expression, timezone), ms);
  return at === undefined ? undefined : new Date(at).toISOString();
};

afterEach(() => void vi.restoreAllMocks());

describe("what never fires", () => {
  it.each([
    "0 0 31 2 *",
    "0 0 30-31 2 *",
    "0 0 31 FEB *",
    "0 0 31 4-4 *",
    "0 0 31 2-6/2,9,NOV *",
    "0 0 31 4,11 +MON-FRI",
    "0 0 30W 2 *",
    "0 0 8 * +MON#1",
    "0 0 1-21 2 +SUN#L",
    "0 0 0 31 2 * 2026-9999",
    "0 0 0 29 2 * 2027-9999/2",
    "0 0 0 1 1 * 2020",
  ])("is known of %j without a search", (expression) => {
    const searches = vi.spyOn(Cron.prototype, "nextRun");
    expect(next(expression)).toBeUndefined();
    expect(searches).not.toHaveBeenCalled();
  });

  it("again is known too, on the last day of all", () => {
    const searches = vi.spyOn(Cron.prototype, "nextRun");
    expect(next("0 0 10 23 11 +MON 2026-2031")).toBeUndefined();
    for (const [from] of searches.mock.calls) expect(from).toEqual(new Date(NOW));
    expect(next("0 0 14 23 11 +MON 2026-2031")).toBe("2026-11-23T14:00:00.000Z");
  });
});

describe("what fires seldom", () => {
  it.each([
    ["0 0 29 2 *", "2028-02-29T00:00:00.000Z"],
    ["0 0 29 2 +MON", "2044-02-29T00:00:00.000Z"],
    ["0 30 9 1 1 * 2040", "2040-01-01T09:30:00.000Z"],
    ["@yearly", "2027-01-01T00:00:00.000Z"],
  ])("%j is searched for where it is", (expression, at) => {
    const searches = vi.spyOn(Cron.prototype, "nextRun");
    expect(next(expression)).toBe(at);
    const [from] = searches.mock.calls.at(-1) ?? [];
    expect(Date.parse(at) - Number(from)).toBeLessThanOrEqual(366 * DAY);
  });

  it("fires in its timezone, on either side of the date line", () => {
    expect(next("0 0 29 2 *", NOW, "Pacific/Kiritimati")).toBe("2028-02-28T10:00:00.000Z");
    expect(next("0 0 29 2 *", NOW, "Pacific/Pago_Pago")).toBe("2028-02-29T11:00:00.000Z");
  });
});

const one = (min: number, max: number) => fc.integer({ min, max }).map(String);
const field = (min: number, max: number, more: fc.Arbitrary<string>) =>
  fc.oneof(
    fc.constant("*"),
    one(min, max),
    fc.tuple(fc.integer({ min, max }), fc.integer({ min, max })).map(([a, b]) => {
      return `${Math.min(a, b)}-${Math.max(a, b)}`;
    }),
    fc.integer({ min: 2, max: 5 }).map((step) => `*/${step}`),
    more,
  );
const weekdays = fc.tuple(
  fc.constantFrom("", "+"),
  field(0, 6, fc.constantFrom("MON#1", "TUE#5", "FRI#L", "1-5", "SAT,SUN", "7")),
);
const days = field(1, 31, fc.constantFrom("L", "LW", "15W", "31W", "1W", "L,15"));

describe("a day fits", () => {
  it("as croner says, whatever the expression", () => {
    const date = fc.integer({ min: 0, max: 40_000 }).map((n) => new Date(n * DAY));
    fc.assert(
      fc.property(days, field(1, 12, fc.constant("FEB")), weekdays, date, (d, m, [and, w], on) => {
        // "+" before a wildcard is no weekday.
        const expression = `* * * ${d} ${m} ${w === "*" ? w : and + w}`;
        const fits = firstDay(new CronPattern(expression), on) === on.getTime();
        expect(fits).toBe(new Cron(expression, { paused: true, timezone: "UTC" }).match(on));
      }),
      { numRuns: 2000 },
    );
  });

  it("and the time on it is croner's", () => {
    const expression = fc
      .tuple(field(0, 59, fc.constant("5")), field(0, 23, fc.constant("7")), days)
      .map(([minute, hour, day]) => `${minute} ${hour} ${day} * *`);
    const from = fc.integer({ min: 0, max: 4_000_000_000_000 });
    const zone = fc.constantFrom("UTC", "Europe/Berlin", "Pacific/Apia", "America/Santiago");
    fc.assert(
      fc.property(expression, from, zone, (text, ms, timezone) => {
        const cron = new Cron(text, { paused: true, timezone });
        expect(nextAfter(parseCron(text, timezone), ms)).toBe(
          cron.nextRun(new Date(ms))?.getTime(),
        );
      }),
      { numRuns: 300 },
    );
  });
});
