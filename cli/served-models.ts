/**
 * The model library as the kernel asks for it: what a name means, how its driver is
 * started, and the memory that it takes. The kernel gets it at boot (law 1).
 */
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { type Config, DEFAULT_MODEL } from "../kernel/config.js";
import type { DriverSpec, ModelFacts, ModelLibrary } from "../kernel/engines/library.js";
import { ContixError, isErrno } from "../proto/errno.js";
import type { CompileChoice } from "../servers/llm/models/options.js";
import { driverMemory } from "./driver-memory.js";

/** The model of the fake driver: there is always one, and it needs no library. */
export const FAKE = "fake";
/** What the fake driver takes; of that, its pages, which are small. */
const FAKE_BYTES = { memory: 64 << 20, pageMemory: 16 << 20 };

/** What the program prepare.ts says, as one line of JSON. */
export type Prepared =
  | { readonly dir: string }
  | { readonly code: string; readonly message: string };

export interface ServedModels extends ModelLibrary {
  /**
   * From now on the daemon serves: a model that must be compiled is compiled by a
   * process of its own, so that nobody waits for that but who asked for the model.
   */
  serving(): void;
}

export function servedModels(config: Config): ServedModels {
  return config.driver === "fake" ? fakeModels(config) : libraryModels(config);
}

/** Every model that is configured is made up, and there are no others. */
function fakeModels({ model, preload }: Config): ServedModels {
  const first = model === DEFAULT_MODEL ? FAKE : model;
  const names = [...new Set([first, ...preload])];
  return {
    list: async () => names.map(fakeFacts),
    async resolve(name) {
      if (names.includes(name)) return name;
      // An agent that names the usual model runs in tests too.
      if (name === model || name === FAKE) return first;
      const message = `no model is named "${name}": with the fake driver there are ${names.join(", ")}`;
      throw new ContixError("EMODEL", message, { argument: "model" });
    },
    prepare: async (name) => fakeDriver(name),
    serving() {},
  };
}

/** The models of the library, and beside them the fake one. */
function libraryModels(config: Config): ServedModels {
  let compile = compileHere;
  return {
    async list() {
      const library = await openLibrary();
      const { TINY } = await import("../servers/llm/models/tiny.js");
      const facts = (await library.list()).map(({ name, versions }) => ({
        ...UNKNOWN,
        name,
        license: versions[0]?.license ?? "",
      }));
      return [...facts, { ...UNKNOWN, name: TINY }, fakeFacts(FAKE)];
    },
    async resolve(name) {
      const { TINY } = await import("../servers/llm/models/tiny.js");
      if (name === TINY || name === FAKE) return name;
      const { manifest, version } = await (await openLibrary()).resolve(name);
      // A name alone means its newest version; another version is another model.
      const newest = manifest.versions[0]?.digest === version.digest;
      return newest ? manifest.name : `${manifest.name}@${version.digest.slice(0, 16)}`;
    },
    async prepare(name) {
      if (name === FAKE) return fakeDriver(name);
      const model = await compile(name, config);
      return { command: driver("main.js"), model, ...(await driverMemory(model, config)) };
    },
    serving() {
      compile = compileApart;
    },
  };
}

const UNKNOWN: ModelFacts = {
  name: "",
  digest: "",
  window: 0,
  vocab: 0,
  chat: false,
  license: "",
};

function fakeFacts(name: string): ModelFacts {
  return { ...UNKNOWN, name, chat: true };
}

function fakeDriver(name: string): DriverSpec {
  return { command: driver("fake/main.js"), model: name, ...FAKE_BYTES };
}

function driver(entry: string): string[] {
  return [process.execPath, fileURLToPath(new URL(`../servers/llm/${entry}`, import.meta.url))];
}

/** Loaded when it is needed: the fake driver needs none of it. */
async function openLibrary() {
  return (await import("../servers/llm/models/library.js")).openLibrary();
}

/** The compiled model's directory, which is made when it is not there. */
export async function compileHere(name: string, wanted: Wanted): Promise<string> {
  return (await openLibrary()).compiled(name, compileChoice(wanted));
}

/** What the configuration says of a model's form. */
export type Wanted = Pick<Config, "recipe" | "kv">;

/** The same for the library, which chooses what is left out. */
export function compileChoice({ recipe, kv }: Wanted): CompileChoice {
  return {
    recipe: recipe === "auto" ? undefined : recipe,
    kv: kv === "auto" ? undefined : kv,
  };
}

/** The same in a process of its own, which ends with this one. */
async function compileApart(name: string, { recipe, kv }: Wanted): Promise<string> {
  const program = fileURLToPath(new URL("./prepare.js", import.meta.url));
  const child = spawn(process.execPath, [program, name, recipe, kv], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  let said = "";
  child.stdout.on("data", (bytes) => {
    said += bytes;
  });
  const how = await new Promise<string>((resolve) => {
    child.once("error", (error) => resolve(error.message));
    child.once("close", (code, signal) => resolve(signal ?? `exit code ${code}`));
  });
  if (said === "") throw new ContixError("EIO", `the model ${name} was not compiled: ${how}`);
  const prepared: Prepared = JSON.parse(said);
  if ("dir" in prepared) return prepared.dir;
  const { code, message } = prepared;
  throw new ContixError(isErrno(code) ? code : "EIO", message, { argument: "model" });
}
