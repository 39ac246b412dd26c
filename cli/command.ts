/** What every command shares: the global options, examples in its help, and how it reads them. */
import { resolve } from "node:path";
import { type Command, InvalidArgumentError, Option } from "commander";
import { usage } from "./errors.js";
import { homeDirectory } from "./home.js";

/** Where a command finds the daemon. */
export interface Place {
  readonly home: string;
  /** Only when the user named one: the home's daemon otherwise. */
  readonly address: string | undefined;
  /** Whether the user named a home: it then wins over CONTIX_ADDRESS. */
  readonly homeGiven: boolean;
}

/** Puts the global options and a section of examples on a command. */
export function finish(command: Command, examples: readonly string[]): Command {
  addPlaceOptions(command);
  const lines = examples.map((example) => `  $ ${example}`).join("\n");
  return command.addHelpText("after", `\nExamples:\n${lines}`);
}

/** `--home` and `--address`: on the program and on every command, so both orders work. */
export function addPlaceOptions(command: Command): Command {
  return command
    .addOption(
      new Option("--home <dir>", "the daemon's home (CONTIX_HOME; default ~/.contix)").helpGroup(
        "Global options:",
      ),
    )
    .addOption(
      new Option(
        "--address <address>",
        "a daemon elsewhere: a socket's path, host:port, grpcs://… or nats://… (CONTIX_ADDRESS; token in CONTIX_TOKEN)",
      ).helpGroup("Global options:"),
    );
}

/** The global options of a command, its own before the program's. */
export function placeOf(command: Command): Place {
  const find = (name: "home" | "address"): string | undefined => {
    for (let c: Command | null = command; c !== null; c = c.parent) {
      const value: unknown = c.opts()[name];
      if (typeof value === "string" && value !== "") return value;
    }
    return undefined;
  };
  const home = find("home");
  const address = find("address");
  return {
    home: homeDirectory(home),
    address: address === undefined ? undefined : fullAddress(address),
    homeGiven: home !== undefined,
  };
}

/** `127.0.0.1:7777` and `/run/contixd.sock` as the SDK wants them; whole addresses as they are. */
export function fullAddress(text: string): string {
  if (/^(unix|grpcs?|nats|tls):\/\//.test(text)) return text;
  if (/^(\[[^\]]+\]|[^/:]+):\d+$/.test(text)) return `grpc://${text}`;
  if (text.includes("://"))
    throw usage(`--address ${text}: there are unix://, grpc://, grpcs://, nats:// and tls://`);
  if (text.includes("/") || text.endsWith(".sock")) return `unix://${resolve(text)}`;
  throw usage(`--address ${text}: give a socket's path, or host:port`);
}

/** A parser for an option that is a whole number of at least `least`. */
export function whole(least: number, most = Number.MAX_SAFE_INTEGER): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^-?\d+$/.test(text) || value < least || value > most)
      throw new InvalidArgumentError(`must be a whole number ${span(least, most)}`);
    return value;
  };
}

/** A parser for an option that is a number between two bounds. */
export function number(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() === "" || !Number.isFinite(value) || value < least || value > most)
      throw new InvalidArgumentError(`must be a number ${span(least, most)}`);
    return value;
  };
}

function span(least: number, most: number): string {
  return most === Number.MAX_SAFE_INTEGER ? `of at least ${least}` : `from ${least} to ${most}`;
}

/** For an option that may be given several times. */
export function collect(value: string, before: readonly string[] = []): string[] {
  return [...before, value];
}
