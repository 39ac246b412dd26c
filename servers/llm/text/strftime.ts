/** Dates as chat templates write them: C's `strftime` in English, in UTC. */

const MONTHS = [
  ["January", "February", "March", "April", "May", "June"],
  ["July", "August", "September", "October", "November", "December"],
].flat();
const DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

const two = (value: number): string => String(value).padStart(2, "0");
const hour12 = (date: Date): number => date.getUTCHours() % 12 || 12;
const month = (date: Date): string => MONTHS[date.getUTCMonth()] ?? "";
const day = (date: Date): string => DAYS[date.getUTCDay()] ?? "";

const CODES: Readonly<Record<string, (date: Date) => string>> = {
  Y: (date) => String(date.getUTCFullYear()),
  y: (date) => two(date.getUTCFullYear() % 100),
  m: (date) => two(date.getUTCMonth() + 1),
  B: month,
  b: (date) => month(date).slice(0, 3),
  d: (date) => two(date.getUTCDate()),
  e: (date) => String(date.getUTCDate()).padStart(2),
  A: day,
  a: (date) => day(date).slice(0, 3),
  H: (date) => two(date.getUTCHours()),
  I: (date) => two(hour12(date)),
  M: (date) => two(date.getUTCMinutes()),
  S: (date) => two(date.getUTCSeconds()),
  p: (date) => (date.getUTCHours() < 12 ? "AM" : "PM"),
  Z: () => "UTC",
  "%": () => "%",
};

/** `date` in `format`; a code that is unknown stays as it is. */
export function strftime(date: Date, format: string): string {
  return format.replace(/%(-?)(.)/gs, (whole, dash: string, code: string) => {
    const write = Object.hasOwn(CODES, code) ? CODES[code] : undefined;
    if (write === undefined) return whole;
    return dash === "" ? write(date) : write(date).replace(/^[0 ](?=.)/, "");
  });
}
