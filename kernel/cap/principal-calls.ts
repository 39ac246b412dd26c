/** The principal and key syscalls: an administrator's. */
import { ContixError } from "../../proto/errno.js";
import { argumentsOf } from "../args.js";
import type { Call } from "../call.js";
import type { Kernel } from "../kernel.js";
import { checkScopes } from "./principals.js";
import { readQuota } from "./rates/quota.js";

const NAME_LENGTH = 128;

export function principalAdd(kernel: Kernel, call: Call): void {
  const { name, quota } = argumentsOf(call, "principalAdd");
  kernel.principals.add(name, readQuota(quota));
  call.done({ $case: "principalAdd", value: {} });
}

export function principalList(kernel: Kernel, call: Call): void {
  const { principals: all, processes, holdings } = kernel.journal.state;
  const now = kernel.clock.wall();
  const running = new Map<string, number>();
  for (const { principal, exit } of processes.values()) {
    if (!exit) running.set(principal, (running.get(principal) ?? 0) + 1);
  }
  const principals = [...all.values()].map(({ name, createdAt, quota = {} }) => {
    const good = kernel.principals
      .keysOf(name)
      .filter(
        ({ revokedAt, expiresAt }) => revokedAt === 0 && (expiresAt === 0 || expiresAt > now),
      );
    const held = holdings.get(name);
    return {
      name,
      createdMs: BigInt(createdAt),
      keys: good.length,
      processes: running.get(name) ?? 0,
      contexts: held?.contexts ?? 0,
      tokens: BigInt(held?.tokens ?? 0),
      quota: Object.entries(quota).map(([name, limit]) => ({ quota: name, limit: BigInt(limit) })),
    };
  });
  call.done({ $case: "principalList", value: { principals } });
}

export function principalRemove(kernel: Kernel, call: Call): void {
  const { name } = argumentsOf(call, "principalRemove");
  if (call.process.principal === name) {
    throw new ContixError("EINVAL", "a principal can not remove itself", { argument: "name" });
  }
  call.done({ $case: "principalRemove", value: kernel.principals.remove(name) });
}

/** `known`: the groups of calls that there are. */
export function keyAdd(known: () => ReadonlySet<string>) {
  return async (kernel: Kernel, call: Call): Promise<void> => {
    const { principal, name, scopes, ttlMs } = argumentsOf(call, "keyAdd");
    checkScopes(scopes, known());
    if (name.length > NAME_LENGTH) {
      const message = `a name of ${name.length} characters; at most ${NAME_LENGTH}`;
      throw new ContixError("EINVAL", message, { argument: "name" });
    }
    const expiresAt = endOf(kernel, ttlMs);
    const value = await kernel.principals.addKey({ principal, name, scopes, expiresAt });
    call.done({ $case: "keyAdd", value });
  };
}

export function keyList(kernel: Kernel, call: Call): void {
  const { principal } = argumentsOf(call, "keyList");
  const { keys: all, processes } = kernel.journal.state;
  const living = new Map<string, number>();
  for (const { key, exit } of processes.values()) {
    if (!exit) living.set(key, (living.get(key) ?? 0) + 1);
  }
  const keys = [...all.values()]
    .filter((key) => principal === "" || key.principal === principal)
    .map((key) => ({
      id: key.id,
      principal: key.principal,
      name: key.name,
      scopes: [...key.scopes],
      createdMs: BigInt(key.createdAt),
      expiresMs: BigInt(key.expiresAt),
      revokedMs: BigInt(key.revokedAt),
      processes: living.get(key.id) ?? 0,
    }));
  call.done({ $case: "keyList", value: { keys } });
}

export async function keyRotate(kernel: Kernel, call: Call): Promise<void> {
  const { id, graceMs, ttlMs } = argumentsOf(call, "keyRotate");
  const value = await kernel.principals.rotate(id, Number(graceMs), endOf(kernel, ttlMs));
  call.done({ $case: "keyRotate", value });
}

export function keyRevoke(kernel: Kernel, call: Call): void {
  const { id } = argumentsOf(call, "keyRevoke");
  call.done({ $case: "keyRevoke", value: { processes: kernel.principals.revoke(id) } });
}

/** The wall time at which something of `ttlMs` ends, milliseconds; 0: never. */
function endOf({ clock }: Pick<Kernel, "clock">, ttlMs: bigint): number {
  if (ttlMs === 0n) return 0;
  if (ttlMs < BigInt(Number.MAX_SAFE_INTEGER) / 2n) return clock.wall() + Number(ttlMs);
  throw new ContixError("EINVAL", `ttl_ms is ${ttlMs}; it must be below 2^52`, {
    argument: "ttl_ms",
  });
}
