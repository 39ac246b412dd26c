/** What the kernel tells over NATS, line by line, until somebody has enough. */
import { Hello } from "../../proto/gen/contix/v1/kernel.js";
import { showId } from "../../syscalls/ids.js";
import { ConnectionError } from "../../syscalls/index.js";
import { doorOf, type Endpoint, findEndpoint } from "../../syscalls/wire/address.js";
import { enterNats } from "../../syscalls/wire/nats.js";
import { endpointOf } from "../attach.js";
import type { Place } from "../command.js";
import { CliError } from "../errors.js";
import { readRecord } from "../home.js";
import { pause, remark } from "../terminal.js";

const ATTACH_MS = 10_000;
const AGAIN_MS = 1_000;

export interface Following {
  /** What `contix ps` shows. */
  readonly name: string;
  /** The subjects, given the kernel's node (`n1`) and the own principal. */
  readonly subject: (node: string, principal: string) => string;
  readonly hear: (text: string) => void;
  readonly signal: AbortSignal;
}

/**
 * Follows until `signal`. A connection that breaks is made again, for as long as it takes;
 * the first one must succeed. Throws CliError, ConnectionError, SyscallError.
 */
export async function followNats(place: Place, following: Following): Promise<void> {
  const endpoint = await natsEndpoint(place);
  const { signal } = following;
  for (let first = true; !signal.aborted; first = false) {
    try {
      const why = await once(endpoint, following);
      if (!signal.aborted) remark(`contix: the connection ended (${why}); again in a second`);
    } catch (error) {
      if (first || !(error instanceof ConnectionError)) throw error;
    }
    await pause(AGAIN_MS, signal);
  }
}

/** Resolves with the reason when the connection is over. */
async function once(
  endpoint: Endpoint,
  { name, subject, hear, signal }: Following,
): Promise<string> {
  const hello = Hello.fromPartial({ abi: 1, token: endpoint.token, name });
  const { nc, door, welcome } = await enterNats(endpoint, hello, ATTACH_MS);
  const own = `ctx.${showId(welcome.pid)}.req.${door}`;
  let refused: Error | undefined;
  nc.subscribe(subject(welcome.node, welcome.principal), {
    callback: (error, message) => {
      if (error) {
        refused = error;
        void nc.close();
      } else hear(message.string());
    },
  });
  nc.publish(`${own}.ready`);
  const leave = (): void => {
    nc.publish(`${own}.bye`);
    void nc.drain();
  };
  signal.addEventListener("abort", leave, { once: true });
  const why = await nc.closed();
  signal.removeEventListener("abort", leave);
  if (refused) throw new CliError(`${name}: this token may not hear that (${refused.message})`);
  return why instanceof Error ? why.message : "closed";
}

/** The NATS address that the user named, or that of the home's daemon. */
async function natsEndpoint(place: Place): Promise<Endpoint> {
  const endpoint = await findEndpoint(endpointOf(place));
  if (doorOf(endpoint.address) === "nats") return endpoint;
  const { addresses = [] } = (await readRecord(place.home)) ?? {};
  const address = addresses.find((each) => doorOf(each) === "nats");
  if (address !== undefined) return { ...endpoint, address };
  throw new CliError(
    "the daemon has no NATS door: start it with `--nats embedded`, or give --address nats://host:4222 and a key in CONTIX_TOKEN",
  );
}
