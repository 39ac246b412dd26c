/**
 * The days on which a cron expression fires, found by counting days.
 *
 * croner walks from one time to the next until all fields fit, and where a day never comes
 * it walks for centuries, while nobody else is served. Here only days are looked at, month
 * by month, by what croner read of the expression: ranges, steps, names, `L`, `W` and `#`
 * are resolved there. So what never fires is known at once, and croner is asked for the time
 * of day alone.
 */
import type { CronPattern } from "croner";

/**
 * Years looked at, of those that the expression names. The rarest day that there is, a
 * February 29th that is a given day of the week, is at most forty years away.
 */
const YEARS = 41;
/** In croner's masks of weekdays: the first to the fifth of a month, and the last. */
const LAST = 32;

/** Of the days from that of `from` on, UTC, the first that fits: its midnight. Undefined: there is none. */
export function firstDay(pattern: CronPattern, from: Date): number | undefined {
  const [year, month, day] = [from.getUTCFullYear(), from.getUTCMonth(), from.getUTCDate()];
  let left = YEARS;
  for (let y = year; y < pattern.year.length && left > 0; y++) {
    if (!pattern.year[y]) continue;
    left--;
    for (let m = y === year ? month : 0; m < 12; m++) {
      if (!pattern.month[m]) continue;
      const found = dayIn(pattern, y, m, y === year && m === month ? day : 1);
      if (found !== undefined) return Date.UTC(y, m, found);
    }
  }
  return undefined;
}

function dayIn(pattern: CronPattern, year: number, month: number, from: number) {
  const last = new Date(Date.UTC(year, month + 1, 0)).getUTCDate();
  const sunday = new Date(Date.UTC(year, month, 1)).getUTCDay();
  const weekday = (day: number): number => (sunday + day - 1) % 7;
  const named = namedIn(pattern, last, weekday);
  for (let day = from; day <= last; day++) {
    const byDate = pattern.day[day - 1] === 1 || named.has(day);
    if (pattern.starDOW ? byDate : both(pattern, byDate, fitsWeekday(pattern, day, last, weekday)))
      return day;
  }
  return undefined;
}

type Weekday = (day: number) => number;

/** The days of a month that are not named by their number: by `L`, `LW` and `W`. */
function namedIn(pattern: CronPattern, last: number, weekday: Weekday): ReadonlySet<number> {
  const named = new Set<number>();
  if (pattern.lastDayOfMonth) named.add(last);
  if (pattern.lastWeekday) named.add(nearest(last, last, weekday));
  for (let day = 1; day <= last; day++) {
    if (pattern.nearestWeekdays[day - 1]) named.add(nearest(day, last, weekday));
  }
  return named;
}

/** The working day that is nearest, within the month. */
function nearest(day: number, last: number, weekday: Weekday): number {
  if (weekday(day) === 0) return day === last ? day - 2 : day + 1;
  if (weekday(day) === 6) return day === 1 ? day + 2 : day - 1;
  return day;
}

function fitsWeekday(pattern: CronPattern, day: number, last: number, weekday: Weekday): boolean {
  const mask = pattern.dayOfWeek[weekday(day)] ?? 0;
  const nth = 1 << Math.floor((day - 1) / 7);
  return (mask & nth) !== 0 || ((mask & LAST) !== 0 && day + 7 > last);
}

/** A date and a weekday: one of them is enough, unless the expression wants both or names no date. */
function both({ useAndLogic, starDOM }: CronPattern, date: boolean, weekday: boolean): boolean {
  return useAndLogic || starDOM ? date && weekday : date || weekday;
}
