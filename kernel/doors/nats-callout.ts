/**
 * The auth-callout service. The server asks it about everyone who connects; it
 * attaches whoever presents a good token and answers with a user that may publish to
 * its own subjects and hear its own, nothing else. The user is bound to the connection
 * (the server made its key), so it can not be passed on; what revocation does not cut,
 * time does.
 */
import { z } from "zod";
import { ContixError } from "../../proto/errno.js";
import { Hello } from "../../proto/gen/contix/v1/kernel.js";
import { ABI, NODE } from "../kernel.js";
import { AGENTS } from "../nats/accounts.js";
import { claimsOf, type Issuer, signed } from "../nats/jwt.js";
import { DOOR_ID, HELLO, inboxOf, inSubject, reqSubject } from "./nats-subjects.js";
import { decodeStrictly, Malformed } from "./strict.js";

/** How long a user is good, seconds: where connections can be cut, and where they can not. */
export const USER_S = 12 * 3600;
export const UNCUT_USER_S = 300;

/** Whose clients need not say so. */
const FIRST_NODE = 1;

/** What a password begins with that holds a whole Hello. */
const HELLO_MARK = "hello.";

const Request = z.object({
  nats: z.object({
    user_nkey: z.string().startsWith("U"),
    server_id: z.object({ id: z.string().startsWith("N") }),
    client_info: z.object({ id: z.number() }),
    connect_opts: z.object({
      user: z.string().default(""),
      pass: z.string().default(""),
      auth_token: z.string().default(""),
      name: z.string().default(""),
    }),
  }),
});

/** Somebody connects. */
export interface Asked {
  /** The key that the server made for the connection. */
  readonly user: string;
  readonly server: string;
  readonly connection: number;
  /** Which of the server's kernels is asked. */
  readonly node: number;
  readonly door: string;
  readonly hello: Hello;
}

/** What the server wrote. EPROTO when the client presents nothing that we read. */
export function readRequest(body: string): Asked {
  const { nats } = Request.parse(claimsOf(body));
  const { user, pass, auth_token: token, name } = nats.connect_opts;
  const { node, door } = readUser(user);
  return {
    user: nats.user_nkey,
    server: nats.server_id.id,
    connection: nats.client_info.id,
    node,
    door,
    hello: helloOf(pass || token, name),
  };
}

/** A user name is a door id, or one behind the node of the kernel that it means: `n2.…`. EPROTO. */
export function readUser(user: string): { readonly node: number; readonly door: string } {
  const [, node = `${FIRST_NODE}`, door = ""] = /^(?:n(\d{1,4})\.)?([^.]*)$/.exec(user) ?? [];
  if (DOOR_ID.test(door)) return { node: Number(node), door };
  throw new ContixError("EPROTO", "the user name must be a door id: 22 to 64 random letters");
}

/** Whether a user name is that of a client of this kernel. */
export function isOurs(user: string): boolean {
  try {
    return readUser(user).node === NODE;
  } catch {
    return false;
  }
}

/** A password is the token itself, or "hello." and a Hello in base64url. */
function helloOf(password: string, name: string): Hello {
  if (!password.startsWith(HELLO_MARK)) {
    return Hello.fromPartial({ abi: ABI, token: password, name });
  }
  const bytes = Buffer.from(password.slice(HELLO_MARK.length), "base64url");
  const hello = decodeStrictly((r) => Hello.decode(r), bytes);
  if (hello instanceof Malformed) throw hello.error;
  return hello;
}

/** What a welcome allows: `pid` undefined, only to hear why there is none. */
export interface Allowed {
  readonly door: string;
  readonly pid: bigint | undefined;
  /** What it hears of the kernel besides. */
  readonly events: readonly string[];
  /** How long at most, seconds: then it comes again. */
  readonly seconds: number;
}

/** The answer that lets a client in. */
export function admission(issuer: Issuer, nowS: number, asked: Asked, allowed: Allowed): string {
  const { door, pid, events, seconds } = allowed;
  const own = pid === undefined ? [] : [`${reqSubject(pid, door)}.>`];
  const heard = pid === undefined ? [] : [`${inSubject(pid, door)}.>`, ...events];
  const user = signed(issuer, nowS, {
    sub: asked.user,
    aud: AGENTS,
    name: door,
    exp: nowS + seconds,
    nats: {
      pub: { allow: [`${HELLO}.${door}`, ...own] },
      sub: { allow: [`${inboxOf(door)}.>`, ...heard] },
      subs: 64,
      data: -1,
      payload: -1,
      type: "user",
      version: 2,
    },
  });
  return answer(issuer, nowS, asked, { jwt: user });
}

/** The answer that lets nobody in. */
export function denial(issuer: Issuer, nowS: number, asked: Asked, error: string): string {
  return answer(issuer, nowS, asked, { error });
}

function answer(issuer: Issuer, nowS: number, asked: Asked, what: object): string {
  return signed(issuer, nowS, {
    sub: asked.user,
    aud: asked.server,
    nats: { ...what, type: "authorization_response", version: 2 },
  });
}
