/** Arguments of the simulator's commands. */
import { InvalidArgumentError } from "commander";

/** Parses a whole number of at least `min`. */
export function atLeast(min: number): (text: string) => number {
  return (text) => {
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    if (value >= min && Number.isSafeInteger(value)) return value;
    throw new InvalidArgumentError(`Expected a whole number of at least ${min}.`);
  };
}

/** Names out of those that there are. */
export function some(known: readonly string[]): (text: string) => string[] {
  return (text) => {
    const names = text.split(",");
    if (names.every((name) => known.includes(name))) return names;
    throw new InvalidArgumentError(`Expected some of ${known.join(", ")}.`);
  };
}
