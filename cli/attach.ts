/** How a command reaches the kernel: as a process of its own, through the SDK. */
import { type ConnectOptions, connect, type Os } from "../syscalls/index.js";
import { bringUp } from "./bring-up.js";
import type { Place } from "./command.js";
import { runningDaemon } from "./home.js";
import { remark } from "./terminal.js";

/** The SDK's options for a place; what the user did not name, the SDK takes from the environment. */
export function endpointOf(place: Place): ConnectOptions {
  return { address: place.address, home: place.homeGiven ? place.home : undefined };
}

/**
 * Attaches to the daemon.
 *
 * @param name what `contix ps` shows while the command runs.
 * @throws ConnectionError with what to do when there is no daemon.
 */
export function attach(place: Place, name: string): Promise<Os> {
  return connect({ ...endpointOf(place), name });
}

/** Attaches to the daemon, and starts one first when the home has none. */
export async function attachOrStart(place: Place, name: string, signal: AbortSignal): Promise<Os> {
  await startIfNone(place, signal);
  return attach(place, name);
}

/** The first run needs no configuration, and no `contix up` either. */
export async function startIfNone(place: Place, signal: AbortSignal): Promise<void> {
  const elsewhere = place.homeGiven ? undefined : process.env.CONTIX_ADDRESS;
  if ((place.address ?? elsewhere ?? "") !== "") return;
  if ((await runningDaemon(place.home)) !== undefined) return;
  remark(`contix: no daemon on ${place.home}: starting one; \`contix down\` ends it`);
  await bringUp({ home: place.home, settings: {}, env: process.env, signal });
}
