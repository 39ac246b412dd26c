/**
 * The matrix of rights, made from the syscall table itself: every call, with every right
 * that it needs missing, on objects of strangers, with handles that are forged, foreign,
 * revoked, closed, expired or of another type, without a namespace, without the scope,
 * with a void key. All must be denied and audited before a handler runs; and with just
 * what the row says the handler must be reached. A new row is in it by being in the table,
 * and an object type without a sample here fails.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Access, Demand } from "../../kernel/cap/access.js";
import {
  ALL_RIGHTS,
  EVERYONE,
  type ObjectRef,
  type ObjectType,
  RIGHTS,
} from "../../kernel/cap/rights.js";
import { ALL_SCOPES, scopeOf } from "../../kernel/cap/scopes.js";
import { SYSCALLS } from "../../kernel/table.js";
import { BareKernel, type CallName } from "../support/bare-kernel.js";

/** The rows as the trap sees them; their handlers say that they were reached. */
const ROWS = Object.entries(SYSCALLS) as [CallName, (typeof SYSCALLS)[CallName]][];
const handlers = ROWS.map(([, row]) => row.handler);
const REACHED = "EIO: reached";

beforeAll(() => {
  for (const [, row] of ROWS) {
    const handler = () => Promise.reject(Object.assign(new Error(), { reached: true }));
    Object.assign(row, { handler });
  }
});
afterAll(() => {
  ROWS.forEach(([, row], i) => {
    Object.assign(row, { handler: handlers[i] });
  });
});

/** Alice is the caller's principal; Bob a stranger. */
class Case extends BareKernel {
  readonly friend = this.process({ principal: "alice" });
  readonly stranger = this.process({ principal: "bob" });

  /** An object of a type, Alice's or Bob's; `undefined`: there is none of this type. */
  sample(type: ObjectType, of: "alice" | "bob"): ObjectRef {
    const owner = of === "alice" ? this.friend : this.stranger;
    return SAMPLES[type](this, owner, of);
  }

  /** A caller of Alice's with a namespace of these rights; 0: without one. */
  caller(rights: number, over: string = "alice", more: { expires?: number } = {}): bigint {
    const object = { type: "principal", id: over } as const;
    const gifts = rights === 0 ? [] : [{ parent: 0n, object, rights, ...more }];
    return this.process({ principal: "alice", gifts });
  }
}

/** Objects of every type. A type that calls name by an id has one that its finder finds. */
const SAMPLES: Record<ObjectType, (to: Case, owner: bigint, of: string) => ObjectRef> = {
  process: (_, owner) => ({ type: "process", id: owner }),
  context: (to, owner) => ({ type: "context", id: to.context(owner).cid }),
  principal: (_, __, of) => ({ type: "principal", id: of }),
  model: () => ({ type: "model", id: "tiny" }),
  mailbox: (to, owner, of) => ipcSample(to, "mailbox", owner, of),
  topic: (to, owner, of) => ipcSample(to, "topic", owner, of),
  pipe: (to, owner, of) => ipcSample(to, "pipe", owner, of),
  lock: (to, owner, of) => ipcSample(to, "lock", owner, of),
  barrier: (to, owner, of) => ipcSample(to, "barrier", owner, of),
  schedule: (to, owner, of) => ipcSample(to, "schedule", owner, of),
};

function ipcSample(_: Case, type: ObjectType, owner: bigint, of: string): ObjectRef {
  return { type, id: `${of}/thing ${owner}` };
}

const TYPES = Object.keys(SAMPLES) as ObjectType[];
const BITS = Object.entries(RIGHTS);

interface Way {
  readonly name: string;
  /** The demand that the case is about. */
  readonly demand: Demand;
  /** Another one that must be met for this one to be looked at: a handle and rights. */
  readonly first: Demand | undefined;
}

/** What a row demands, one by one. */
function waysOf(access: Access): Way[] {
  if (access.object === "none") return [];
  const { instead, also, ...first } = access;
  return [
    { name: first.object, demand: first, first: undefined },
    ...(instead && instead.object !== "none"
      ? [{ name: `${instead.object} instead`, demand: instead, first: undefined }]
      : []),
    ...(also ? [{ name: `${also.object} too`, demand: also, first }] : []),
  ];
}

/** Makes the call of a row, and says how it went. The refusal must be in the audit. */
async function attempt(
  to: Case,
  pid: bigint,
  call: CallName,
  args: object,
  handle: number,
): Promise<string> {
  const before = to.audit.length;
  const { result } = await to.call(pid, call, args, handle);
  if (result?.$case !== "error") return "ok";
  const { name, message } = result.value;
  if (name === "EIO") return REACHED;
  const entry = to.audit.slice(before).find((found) => found.pid === pid && found.result === name);
  const audited = entry?.call === SYSCALLS[call].name && entry.reason === message;
  return `${name}${audited ? "" : " (not audited)"}`;
}

/** The handle that meets the demand which comes before; 0 when nothing does. */
function firstHandle(to: Case, pid: bigint, way: Way): number {
  if (!way.first) return 0;
  const type = way.first.object === "any" ? "context" : way.first.object;
  return to.handle(pid, to.sample(type, "alice"), ALL_RIGHTS);
}

describe.each(ROWS)("%s", (call, row) => {
  const { access } = row;

  it("needs its scope, and a key that is good", async () => {
    const scope = scopeOf(row);
    const to = new Case();
    const object = { type: "principal", id: EVERYONE } as const;
    const gifts = [{ parent: 0n, object, rights: ALL_RIGHTS }];
    const others = [...new Set(ROWS.map(([, other]) => scopeOf(other)))].filter((s) => s !== scope);
    const without = to.process({ scopes: others, gifts });
    expect(await attempt(to, without, call, {}, 0)).toBe("EPERM");
    for (const expiresAt of [0, to.now / 1000 - 1]) {
      const key = { id: "k", principal: "alice", name: "", hash: "", salt: "", createdAt: 0 };
      const scopes = ALL_SCOPES;
      to.kernel.journal.append(
        { type: "principal.added", name: "alice", createdAt: 0 },
        { type: "key.added", ...key, scopes, expiresAt, revokedAt: expiresAt === 0 ? 1 : 0 },
      );
      const pid = to.process({ key: "k", scopes, gifts });
      expect(await attempt(to, pid, call, {}, 0)).toBe("EACCES");
    }
  });

  if (access.object === "none") {
    it("is open to every process, and takes no handle", async () => {
      const to = new Case();
      const pid = to.caller(0);
      expect(await attempt(to, pid, call, {}, 0)).toBe(REACHED);
      const handle = to.handle(pid, to.sample("context", "alice"), ALL_RIGHTS);
      expect(await to.outcome(pid, call, {}, handle)).toMatch(/^EINVAL: .*takes no handle/);
    });
    return;
  }

  describe.each(waysOf(access))("on a $name", (way) => {
    const { demand } = way;
    const { rights } = demand;
    const needed = BITS.filter(([, bit]) => (rights & bit) !== 0);
    const types = demand.object === "any" ? TYPES : [demand.object];

    // ---- by a handle ----
    if (way.first === undefined) {
      it("takes a handle with its rights, and none with one missing", async () => {
        for (const type of types) {
          const to = new Case();
          const pid = to.caller(0);
          const object =
            demand.id === "everyone"
              ? { type: "principal" as const, id: EVERYONE }
              : to.sample(type, "alice");
          // A second object that the row may name is not named here.
          const good = to.handle(pid, object, rights);
          expect(await attempt(to, pid, call, {}, good), type).toBe(REACHED);
          for (const [name, bit] of needed) {
            const weak = to.handle(pid, object, ALL_RIGHTS & ~bit);
            expect(await attempt(to, pid, call, {}, weak), `${type} ${name}`).toBe("EPERM");
          }
        }
      });

      it("refuses handles that are forged, foreign, revoked, closed or expired", async () => {
        for (const type of types) {
          const to = new Case();
          const pid = to.caller(0);
          const object = to.sample(type, "alice");
          expect(await attempt(to, pid, call, {}, 4711), "forged").toBe("EBADF");
          const theirs = to.handle(to.friend, object, ALL_RIGHTS, {});
          expect(to.state.processes.get(pid)?.handles.has(theirs)).toBe(false);
          expect(await attempt(to, pid, call, {}, theirs), "foreign").toBe("EBADF");
          const root = to.state.processes.get(to.friend)?.handles.get(theirs) ?? 0n;
          const below = to.handle(pid, object, ALL_RIGHTS, { parent: root });
          to.kernel.journal.append({ type: "cap.revoked", id: root, self: false });
          expect(await attempt(to, pid, call, {}, below), "revoked").toBe("EBADF");
          const again = to.handle(pid, object, ALL_RIGHTS, { parent: root });
          to.kernel.procs.exited(to.friend, 0, "exit");
          expect(await attempt(to, pid, call, {}, again), "its granter died").toBe("EBADF");
          const own = to.handle(pid, to.sample("model", "alice"), ALL_RIGHTS);
          const id = to.state.processes.get(pid)?.handles.get(own) ?? 0n;
          to.kernel.journal.append({ type: "cap.closed", id });
          expect(await attempt(to, pid, call, {}, own), "closed").toBe("EBADF");
          const late = to.handle(pid, object, ALL_RIGHTS, { expires: to.now + 5 });
          to.now += 5;
          expect(await attempt(to, pid, call, {}, late), "expired").toBe("EBADF");
        }
      });

      it("refuses a handle on an object of another type", async () => {
        const right = new Set(
          waysOf(access)
            .filter(({ first }) => !first)
            .map((w) => w.demand.object),
        );
        if (right.has("any")) return;
        const to = new Case();
        const pid = to.caller(0);
        for (const type of TYPES.filter((other) => !right.has(other))) {
          const handle = to.handle(pid, to.sample(type, "alice"), ALL_RIGHTS);
          expect(await attempt(to, pid, call, {}, handle), type).toBe("EBADF");
        }
      });

      if (demand.object === "principal") {
        it("refuses a handle on the namespace of another principal", async () => {
          const to = new Case();
          const pid = to.caller(0);
          const handle = to.handle(pid, to.sample("principal", "bob"), ALL_RIGHTS);
          expect(await attempt(to, pid, call, {}, handle)).toBe("EPERM");
        });
      }
    }

    // ---- by its name ----
    if (demand.id === "handle") {
      const alone = "instead" in access && access.instead?.object === "none";
      const other =
        alone || waysOf(access).some(({ demand: d, first: f }) => !f && d.id !== "handle");
      if (way.first === undefined && !other) {
        it("is not to be had without a handle, whatever namespace there is", async () => {
          const to = new Case();
          const pid = to.caller(ALL_RIGHTS, EVERYONE);
          expect(await attempt(to, pid, call, {}, 0)).toBe("EBADF");
        });
      }
      return;
    }
    const type = demand.object;
    if (type === "any") throw new Error(`${call}: what is named by an id is of one type`);
    const namespace = demand.id === "namespace" || demand.id === "everyone";
    const over = demand.id === "everyone" ? EVERYONE : "alice";
    const named = (object: ObjectRef): object => (namespace ? {} : { [demand.id]: object.id });

    it("is reached by its name through a namespace that gives the rights, and no other", async () => {
      const to = new Case();
      const object = to.sample(type, "alice");
      const go = (pid: bigint): Promise<string> =>
        attempt(to, pid, call, named(object), firstHandle(to, pid, way));
      expect(await go(to.caller(rights, over))).toBe(REACHED);
      expect(await go(to.caller(rights, EVERYONE)), "an administrator").toBe(REACHED);
      for (const [name, bit] of needed) {
        expect(await go(to.caller(ALL_RIGHTS & ~bit, over)), name).toBe("EPERM");
      }
      expect(await go(to.caller(0)), "no namespace").toBe("EPERM");
      const late = to.caller(ALL_RIGHTS, over, { expires: to.now + 5 });
      to.now += 5;
      expect(await go(late), "expired").toBe("EPERM");
      const revoked = to.caller(ALL_RIGHTS, over);
      for (const id of to.state.processes.get(revoked)?.namespaces ?? []) {
        to.kernel.journal.append({ type: "cap.revoked", id, self: true });
      }
      expect(await go(revoked), "revoked").toBe("EPERM");
    });

    it("is not reached by those of another principal", async () => {
      const to = new Case();
      const go = (pid: bigint, of: "alice" | "bob"): Promise<string> => {
        return attempt(to, pid, call, named(to.sample(type, of)), firstHandle(to, pid, way));
      };
      // What belongs to nobody is everybody's to name.
      if (type !== "model") {
        const wrong = to.caller(ALL_RIGHTS, namespace && over === EVERYONE ? "alice" : "bob");
        expect(await go(wrong, "alice"), "a namespace of another's").toBe("EPERM");
        if (!namespace)
          expect(await go(to.caller(ALL_RIGHTS), "bob"), "an object of another's").toBe("EPERM");
      }
    });

    if (type === "process" || type === "context") {
      it("says that there is none only to those who may look", async () => {
        const to = new Case();
        const go = (pid: bigint): Promise<string> =>
          attempt(to, pid, call, { [demand.id]: 99n }, firstHandle(to, pid, way));
        const missing = type === "process" ? /^ESRCH/ : /^ENOENT/;
        expect(await go(to.caller(ALL_RIGHTS))).toMatch(missing);
        expect(await go(to.caller(0))).toBe("EPERM");
      });
    }
  });
});

it("has every right and every type of object in it somewhere", () => {
  const demands = ROWS.flatMap(([, row]) => waysOf(row.access)).map(({ demand }) => demand);
  const used = demands.reduce((mask, { rights }) => mask | rights, 0);
  expect(used).toBe(ALL_RIGHTS);
  expect(demands.length).toBeGreaterThan(30);
});
