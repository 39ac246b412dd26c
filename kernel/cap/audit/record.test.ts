import { createHash } from "node:crypto";
import fc from "fast-check";
import { expect, it } from "vitest";
import { ERRNO, type Errno } from "../../../proto/errno.js";
import { showId } from "../../ids.js";
import type { AuditEntry } from "../audit.js";
import type { RecordLine } from "./chain.js";
import { recordText } from "./record.js";
import { entry } from "./testing.js";

const text = fc.string({ unit: "binary", maxLength: 300 });
const entries: fc.Arbitrary<AuditEntry> = fc
  .record({
    at: fc.nat(),
    principal: text,
    pid: fc.bigInt(0n, (1n << 64n) - 1n),
    run: fc.nat(),
    seq: fc.bigInt(0n, (1n << 64n) - 1n),
    call: fc.constantFrom("ctx.append", "attach", ""),
    object: text,
    handle: fc.nat(),
    result: fc.constantFrom<"ok" | Errno>("ok", ...(Object.keys(ERRNO) as Errno[])),
    reason: text,
    digest: text,
  })
  .map((fields) => entry(fields));

/** What a record says, made the plain way. */
function line(one: AuditEntry, denied: boolean, secret: string, times: number): RecordLine {
  const { at, principal, pid, run, seq, call, object, handle, result, reason, digest } = one;
  const args = createHash("sha256").update(`${secret}${digest}`).digest("hex").slice(0, 16);
  return {
    at,
    ...(pid !== 0n && { pid: showId(pid), run, seq: `${seq}` }),
    ...(principal !== "" && { principal: principal.slice(0, 200) }),
    call,
    ...(object !== "" && { object: object.slice(0, 200) }),
    ...(handle !== 0 && { handle }),
    result,
    ...(reason !== "" && denied && { reason: reason.slice(0, 200) }),
    ...(digest && { args }),
    ...(times > 0 && { times }),
  };
}

it("is the JSON of the record, whatever stands in it", () => {
  fc.assert(
    fc.property(entries, fc.boolean(), fc.nat(3), (one, denied, times) => {
      const made = recordText(one, denied, "secret", times || undefined);
      expect(made).toBe(JSON.stringify(line(one, denied, "secret", times)));
    }),
  );
});

it("is one line, and cannot be ended early by what a caller chose", () => {
  const made = recordText(entry({ object: 'topic x","result":"ok"}\n{"n":1' }), false, "s");
  expect(made).not.toContain("\n");
  expect(JSON.parse(made)).toMatchObject({ result: "ok", handle: 2 });
});
