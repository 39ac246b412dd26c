/**
 * Cron expressions: when does one fire next? The parser is croner's, and so is the time of
 * day; the day is found first, see days.ts.
 */
import { Cron, CronPattern } from "croner";
import { ContixError } from "../../proto/errno.js";
import { firstDay } from "./days.js";

const LONGEST = 256;
const DAY_MS = 86_400_000;
/** croner is sent no further than this. */
const NEAR_MS = 366 * DAY_MS;

/** An expression that was read. */
export interface Times {
  readonly cron: Cron;
  readonly pattern: CronPattern;
}

/** Parses an expression. EINVAL says what is wrong: of the form, or the timezone. */
export function parseCron(expression: string, timezone: string): Times {
  if (expression.length > LONGEST) {
    throw wrong("cron", `is ${expression.length} characters; at most ${LONGEST}`);
  }
  checkTimezone(timezone);
  try {
    const cron = new Cron(expression, { paused: true, timezone });
    return { cron, pattern: new CronPattern(expression.trim(), timezone) };
  } catch (error) {
    throw wrong("cron", `"${expression}": ${reason(error)}`);
  }
}

/** The first firing after a time, milliseconds since 1970; undefined: never again. */
export function nextAfter({ cron, pattern }: Times, ms: number): number | undefined {
  // Wherever its timezone is, a date begins less than a day before or after it does in UTC.
  const soon: number[] = [];
  let day = firstDay(pattern, new Date(ms - DAY_MS));
  while (day !== undefined && day <= ms + DAY_MS) {
    soon.push(day);
    day = firstDay(pattern, new Date(day + DAY_MS));
  }
  // croner finds what is near; it is not sent past years in which nothing fits.
  if (day !== undefined && day < ms + NEAR_MS) return run(cron, ms);
  for (const date of soon) {
    const at = run(onDate(pattern, date), ms);
    if (at !== undefined) return at;
  }
  return day === undefined ? undefined : run(cron, day - DAY_MS);
}

function run(cron: Cron, ms: number): number | undefined {
  return cron.nextRun(new Date(ms))?.getTime();
}

/** The same times of day, on that date alone. */
function onDate({ pattern, timezone = "UTC" }: CronPattern, date: number): Cron {
  const fields = pattern.split(/\s+/);
  const time = fields.length === 5 ? ["0", ...fields.slice(0, 2)] : fields.slice(0, 3);
  const at = new Date(date);
  const place = [at.getUTCDate(), at.getUTCMonth() + 1, "*", at.getUTCFullYear()];
  return new Cron([...time, ...place].join(" "), { paused: true, timezone });
}

/** EINVAL for an expression that never fires again. */
export function never(expression: string): ContixError {
  return wrong("cron", `"${expression}" never fires: there is no such day in the time to come`);
}

function checkTimezone(timezone: string): void {
  try {
    new Intl.DateTimeFormat("en", { timeZone: timezone });
  } catch {
    const name = timezone.slice(0, 64);
    throw wrong("timezone", `"${name}" is not known; it must be a name such as Europe/Berlin`);
  }
}

function wrong(argument: string, what: string): ContixError {
  return new ContixError("EINVAL", `${argument} ${what}`, { argument });
}

function reason(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.replace(/^CronPattern: /, "");
}
