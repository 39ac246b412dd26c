/**
 * The accounts of the NATS door and who may act for the kernel in them. Three: AUTH,
 * where the server asks us who a client is; CONTIX, where agents and the kernel talk;
 * SYS, where the server tells of connections and cuts them. The same text configures
 * the private server and, by `include`, one that an operator runs.
 */
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { ContixError } from "../../proto/errno.js";
import { type Randomness, secret } from "../clock.js";
import { type Issuer, issuerFrom } from "./jwt.js";

/** The account in which agents are. */
export const AGENTS = "CONTIX";
/** The longest message, bytes: what is longer goes through the gRPC door. */
export const MAX_PAYLOAD = 8 * 1024 * 1024;

export type Part = "auth" | "agents" | "system";

export interface Accounts {
  readonly issuer: Issuer;
  /** The kernel's own passwords, by the account they are for. */
  readonly passwords: Readonly<Record<Part, string>>;
  /** The server's configuration of all this. */
  readonly settings: string;
  /** Where the settings lie, for an operator's `include`. */
  readonly path: string;
}

const Secrets = z.strictObject({
  seed: z.string().length(43),
  auth: z.string().min(32),
  agents: z.string().min(32),
  system: z.string().min(32),
});

/** The user name of the kernel in an account. */
export function userOf(part: Part): string {
  return `contix-${part}`;
}

/** Reads the secrets in `directory`, made 0700, or makes them. EIO. */
export function openAccounts(directory: string, random: Randomness): Accounts {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const { seed, ...passwords } = secrets(join(directory, "secrets.json"), random);
    const issuer = issuerFrom(Buffer.from(seed, "base64url"));
    const text = settings(issuer.publicKey, passwords);
    const path = join(directory, "accounts.conf");
    writePrivately(path, text);
    return { issuer, passwords, settings: text, path };
  } catch (error) {
    throw new ContixError("EIO", `${directory}: ${(error as Error).message}`);
  }
}

function secrets(path: string, random: Randomness): z.infer<typeof Secrets> {
  if (existsSync(path)) return Secrets.parse(JSON.parse(readFileSync(path, "utf8")));
  const make = (): string => secret(random);
  const made = { seed: make(), auth: make(), agents: make(), system: make() };
  writePrivately(path, `${JSON.stringify(made)}\n`);
  return made;
}

/** Whole or not at all. */
function writePrivately(path: string, text: string): void {
  writeFileSync(`${path}.new`, text, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

function settings(issuer: string, passwords: Readonly<Record<Part, string>>): string {
  const user = (part: Part): string =>
    `{ user: "${userOf(part)}", password: "${passwords[part]}" }`;
  return `max_payload: ${MAX_PAYLOAD}
max_connections: 4096
max_pending: 67108864
write_deadline: "5s"
accounts {
  AUTH { users: [ ${user("auth")} ] }
  ${AGENTS} { users: [ ${user("agents")} ] }
  SYS { users: [ ${user("system")} ] }
}
system_account: SYS
authorization {
  # What a stranger has to say who he is.
  timeout: 5
  auth_callout {
    issuer: ${issuer}
    account: AUTH
    auth_users: [ "${userOf("auth")}", "${userOf("agents")}", "${userOf("system")}" ]
  }
}
`;
}
