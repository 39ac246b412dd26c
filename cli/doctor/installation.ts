/** What is set up: the home, its daemon, the model library, and what keeps agents apart. */
import { spawnSync } from "node:child_process";
import { statSync } from "node:fs";
import { join } from "node:path";
import { type ConfigInput, loadConfig } from "../../kernel/config.js";
import { openLibrary } from "../../servers/llm/models/library.js";
import { connect } from "../../syscalls/index.js";
import { describe } from "../errors.js";
import { bytes } from "../format.js";
import { isServing } from "../health.js";
import { readRecord, runningDaemon } from "../home.js";
import { type Check, fail, ok, warn } from "./check.js";

/** A Unix socket's path is at most this long. */
const SOCKET_PATH_MAX = 107;

export function checkHome(home: string): Check {
  const socket = join(home, "contixd.sock");
  if (Buffer.byteLength(socket) > SOCKET_PATH_MAX)
    return fail("home", home, `its socket's path is over ${SOCKET_PATH_MAX} bytes: use --home DIR`);
  try {
    const { mode, uid } = statSync(home);
    if (process.getuid !== undefined && uid !== process.getuid())
      return fail("home", `${home} is another user's`, "use --home DIR, or become that user");
    if ((mode & 0o077) !== 0)
      return warn("home", `${home}: others may look into it`, `chmod 700 ${home}`);
    return ok("home", `${home}, mode 700`);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT")
      return ok("home", `${home}, not there yet: the first \`contix up\` makes it`);
    return fail("home", describe(error), "use --home DIR");
  }
}

export function checkConfig(home: string): Check {
  try {
    const { model, driver, slots, slotTokens } = config(home);
    return ok("config", `model ${model}, driver ${driver}, ${slots} slots of ${slotTokens} tokens`);
  } catch (error) {
    return fail("config", describe(error), `correct ${join(home, "config.yaml")} or CONTIX_…`);
  }
}

/** No daemon is fine: there is one when it is wanted. */
export async function checkDaemon(home: string): Promise<Check> {
  const record = await runningDaemon(home);
  if (record === undefined)
    return (await readRecord(home)) === undefined
      ? ok("daemon", "none runs; `contix up` starts one")
      : warn("daemon", "the last one did not end in order", "`contix up` starts a new one");
  if (!(await isServing(record.address, 3_000)))
    return fail(
      "daemon",
      `process ${record.pid} does not answer at ${record.address}`,
      "see `contix logs daemon`; end it with `contix down --force`",
    );
  try {
    await using os = await connect({ home, name: "contix doctor", timeoutMs: 3_000 });
    const { kernelVersion, model, driver } = await os.sys.uname();
    return ok("daemon", `${kernelVersion} serves ${model} (${driver}), process ${record.pid}`);
  } catch (error) {
    return fail("daemon", describe(error), "see `contix logs daemon`");
  }
}

/** Whether the model that a daemon would serve is here, and whether it could be brought. */
export async function checkModel(home: string): Promise<Check[]> {
  const { driver, model } = config(home);
  if (driver === "fake") return [ok("model", "none needed: the driver is fake")];
  const library = openLibrary();
  try {
    const { manifest, version } = await library.resolve(model);
    const forms = await library.compiledForms(version.digest);
    const compiled = forms.length > 0 ? "compiled" : "compiled by the first `contix up`";
    return [ok("model", `${manifest.name}, ${bytes(version.size)}, ${compiled}`)];
  } catch {
    const entry = library.catalog.some(
      ({ name, aliases }) => name === model || aliases.includes(model),
    );
    const fix = entry ? `contix model pull ${model}` : "see `contix model pull --help`";
    return [warn("model", `${model} is not in the library`, fix), checkPip()];
  }
}

/** The second way by which a model comes, besides a hub. */
function checkPip(): Check {
  const pip = spawnSync("python3", ["-m", "pip", "--version"], { encoding: "utf8" });
  const found = /^pip (\S+)/.exec(pip.stdout ?? "")?.[1];
  return found === undefined
    ? warn("pip", "no python3 -m pip", "only needed where no Hugging Face hub can be reached")
    : ok("pip", `${found}, for where no Hugging Face hub can be reached`);
}

function config(home: string): ReturnType<typeof loadConfig> {
  const flags: ConfigInput = { home };
  return loadConfig(flags, process.env);
}
