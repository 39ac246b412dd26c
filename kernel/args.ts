/** Checks of arguments. Each failure names the argument, what it was, and what would be right. */
import { ContixError } from "../proto/errno.js";
import type { Call } from "./call.js";
import type { Arguments, CallName } from "./cap/access.js";

/** The arguments of a call that the table dispatched as `name`. */
export function argumentsOf<N extends CallName>(call: Call, name: N): Arguments<N> {
  const { call: body } = call.syscall;
  if (body?.$case !== name) throw new ContixError("EPROTO", `the call is not ${name}`);
  return body.value as Arguments<N>;
}

export function inRange(argument: string, value: number, min: number, max: number): number {
  if (!(value >= min && value <= max)) {
    throw new ContixError("EINVAL", `${argument} is ${value}; it must be ${min} to ${max}`, {
      argument,
    });
  }
  return value;
}

export function notEmpty(argument: string, text: string): string {
  if (text === "") throw new ContixError("EINVAL", `${argument} is empty`, { argument });
  return text;
}
