/** A client of the NATS door without the SDK: the plain token, requests and answers. */
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { Reply, ServerFrame, Syscall, type Welcome } from "../../proto/gen/contix/v1/kernel.js";
import { showId } from "../../syscalls/ids.js";
import type { CallName } from "../../syscalls/wire/pending.js";
import type { Door } from "./door-client.js";

export interface PlainClient {
  readonly nc: NatsConnection;
  /** The door id. */
  readonly id: string;
  readonly welcome: Welcome;
  /** Its own requests: `<subject>.call`. */
  readonly subject: string;
  /** The server's complaints, as texts. */
  readonly refused: readonly string[];
  /** Makes a call as a request; "ok", or the errno. */
  call(name: CallName, args?: object, handle?: number): Promise<string>;
}

/** The client's own second is too short for a machine that is busy. */
const PATIENT = { timeout: 5_000 };

/** Connects and is welcome; `name` makes its door id. */
export async function plainNats({ address, token, tls }: Door, name: string): Promise<PlainClient> {
  const id = `${name}-${"x".repeat(24)}`;
  const options = { servers: address, user: id, pass: token, name, inboxPrefix: `_INBOX.${id}` };
  const secure = tls.ca === undefined ? {} : { tls: { ca: tls.ca } };
  const nc = await connect({ ...options, ...secure, reconnect: false });
  const hello = await nc.request(`ctx.hello.${id}`, undefined, PATIENT);
  const { frame } = ServerFrame.decode(hello.data);
  if (frame?.$case !== "welcome") throw new Error("not welcome");
  const subject = `ctx.${showId(frame.value.pid)}.req.${id}`;
  const refused: string[] = [];
  void (async () => {
    for await (const status of nc.status()) refused.push(JSON.stringify(status));
  })();
  let seq = 1000n;
  return {
    ...{ nc, id, welcome: frame.value, subject, refused },
    async call(name, args = {}, handle = 0) {
      const call = { $case: name, value: args } as NonNullable<Syscall["call"]>;
      const syscall = Syscall.fromPartial({ seq: ++seq, handle, call } as Partial<Syscall>);
      const bytes = Syscall.encode(syscall).finish();
      const answer = await nc.request(`${subject}.call`, bytes, PATIENT);
      const { result } = Reply.decode(answer.data);
      return result?.$case === "error" ? result.value.name : "ok";
    },
  };
}
