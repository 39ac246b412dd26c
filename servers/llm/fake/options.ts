/** What `Open.options` may say to the fake driver, as JSON. */
import { ContixError } from "../../../proto/errno.js";

export interface FakeOptions {
  /** Another seed, another text. */
  readonly seed: number;
  /** Cost of a decode step, of each row in it, and of each token of a prompt; microseconds. */
  readonly stepUs: number;
  readonly tokenUs: number;
  readonly prefillTokenUs: number;
  /** Words of an answer, on average. */
  readonly words: number;
  /** The process kills itself in the run of the model after so many; 0: never. */
  readonly crashAfterSteps: number;
  /** The run of the model after so many never ends; 0: never. */
  readonly hangAfterSteps: number;
  /** Opening fails with this message; "": it does not. */
  readonly failOpen: string;
}

const DEFAULTS: FakeOptions = {
  seed: 1,
  stepUs: 0,
  tokenUs: 0,
  prefillTokenUs: 0,
  words: 40,
  crashAfterSteps: 0,
  hangAfterSteps: 0,
  failOpen: "",
};

/** Reads the options; "" means the defaults. Throws EINVAL naming what is wrong. */
export function fakeOptions(json: string): FakeOptions {
  const given = parse(json);
  for (const [name, value] of Object.entries(given)) check(name, value);
  return { ...DEFAULTS, ...given };
}

function parse(json: string): Partial<FakeOptions> {
  if (json === "") return {};
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (cause) {
    throw invalid("driver options are not JSON", { cause });
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw invalid("driver options must be a JSON object");
  }
  return value;
}

function check(name: string, value: unknown): void {
  if (!Object.hasOwn(DEFAULTS, name)) {
    const known = Object.keys(DEFAULTS).join(", ");
    throw invalid(`driver option "${name}" is unknown; the fake driver has ${known}`);
  }
  if (name === "failOpen") {
    if (typeof value !== "string") throw invalid("driver option failOpen must be a string");
  } else if (typeof value !== "number" || !Number.isFinite(value) || value < 0) {
    throw invalid(`driver option ${name} must be a number, 0 or more`);
  }
}

function invalid(message: string, cause: ErrorOptions = {}): ContixError {
  return new ContixError("EINVAL", message, { argument: "options", ...cause });
}
