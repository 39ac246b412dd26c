/** Who comes by a token: a spawned program's is good once, however many come with it at once. */
import { expect, test } from "vitest";
import { Hello } from "../../proto/gen/contix/v1/kernel.js";
import { BareKernel } from "../../test/support/bare-kernel.js";
import { tokenHash } from "../cap/tokens.js";
import { ABI } from "../kernel.js";
import type { Port } from "../trap.js";
import { Authenticator } from "./authenticate.js";

const TOKEN = "s".repeat(43);
const PORT: Port = { reply: () => true, chunk: () => true, signal() {}, close() {} };

test.each([
  ["at a door that looks at the principal", async () => undefined],
  ["at a door that does not", undefined],
])(
  "of two who come with one spawned program's token at once %s, one is let in",
  async (_, admit) => {
    const { kernel } = new BareKernel();
    const of = { parent: 0n, name: "agent", principal: "alice", nice: 0, spawned: true };
    const { pid } = kernel.procs.create(of);
    const hash = { tokenHash: tokenHash(TOKEN), resumeHash: "" };
    kernel.journal.append({ type: "proc.run", pid, run: 1, ...hash });
    const auth = new Authenticator(kernel, tokenHash("admin"));
    const hello = Hello.fromPartial({ abi: ABI, token: TOKEN });
    const came = await Promise.allSettled([
      auth.attach(hello, PORT, admit),
      auth.attach(hello, PORT, admit),
    ]);
    expect(came).toMatchObject([
      { status: "fulfilled", value: { pid, run: 2, principal: "alice" } },
      { status: "rejected", reason: { code: "EACCES", argument: "token" } },
    ]);
  },
);
