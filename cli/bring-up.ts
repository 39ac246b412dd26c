/** From nothing to a ready daemon: the configuration, the model, the process. */
import { type Config, type ConfigInput, loadConfig } from "../kernel/config.js";
import { ensureModel } from "./commands/model.js";
import { type Started, startDaemon } from "./daemon.js";
import { runningDaemon } from "./home.js";
import { compileChoice, FAKE } from "./served-models.js";

/** A model's first start reads its weights from a cold disk. */
const READY_MS = 120_000;

export interface BringUpOptions {
  readonly home: string;
  /** Settings by the names of the configuration, from the command line. */
  readonly settings: ConfigInput;
  readonly env: NodeJS.ProcessEnv;
  readonly signal: AbortSignal;
  /** Nothing about the model's download and compilation is shown. */
  readonly quiet?: boolean;
  /** Called with the daemon's OS process as soon as there is one. */
  readonly onSpawn?: (pid: number) => void;
}

/**
 * Makes sure that a daemon is ready on the home; pulls and compiles its model first, with
 * progress on stderr, so that the daemon itself starts in a moment.
 *
 * @throws ContixError for a wrong setting or a model that cannot be had, CliError when the daemon
 * does not come up.
 */
export async function bringUp(options: BringUpOptions): Promise<Started> {
  const found = await runningDaemon(options.home);
  if (found !== undefined) return { record: found, fresh: false };
  const { home, settings, signal, quiet = false } = options;
  const env = daemonEnvironment(options.env);
  const config: Config = loadConfig({ ...settings, home }, env);
  if (config.driver === "onnxruntime") {
    const names = [config.model, ...config.preload].filter((name) => name !== FAKE);
    const form = compileChoice(config);
    for (const name of names) await ensureModel(name, { signal, quiet, ...form });
  }
  // A command line is everybody's to read, so what may hold a password does not stand there.
  const { nats, ...open } = settings;
  return startDaemon({
    home,
    flags: flagsOf(open),
    env: { ...env, ...(typeof nats === "string" && { CONTIX_NATS: nats }) },
    timeoutMs: READY_MS,
    signal,
    onSpawn: options.onSpawn,
  });
}

/** `slotTokens: 512` as contixd's `--slot-tokens 512`; a list with commas. */
export function flagsOf(settings: ConfigInput): string[] {
  return Object.entries(settings).flatMap(([key, value]) =>
    value === undefined
      ? []
      : [`--${key.replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`)}`, String(value)],
  );
}

/** An agent's one-time credentials must not travel into a daemon that the agent starts. */
function daemonEnvironment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const { CONTIX_ADDRESS, CONTIX_TOKEN, CONTIX_PID, ...rest } = env;
  return rest;
}
