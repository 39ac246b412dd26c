/** The objects of messages between processes: how the parts find them, and who holds them. */
import { ContixError } from "../../proto/errno.js";
import type { Call } from "../call.js";
import { objectKey } from "../journal/fold-caps.js";
import type { IpcObject, IpcType } from "../journal/fold-ipc.js";
import type { ReadonlyState } from "../journal/journal.js";

type Objects = ReadonlyState["ipc"]["objects"] extends ReadonlyMap<bigint, infer O> ? O : never;

/** An object of one type, as readers see it. */
export type ObjectOf<T extends IpcType> = Extract<Objects, { type: T }>;

/** The object that the call is on, as the check of its rights found it. */
export function theObject<T extends IpcType>(
  state: ReadonlyState,
  call: Call,
  type: T,
): ObjectOf<T> {
  const used = call.uses.find(({ object }) => object.type === type);
  const object = state.ipc.objects.get(typeof used?.object.id === "bigint" ? used.object.id : 0n);
  if (object?.type !== type) {
    throw new ContixError("EBADF", `the call is on no ${type}`, { argument: "handle" });
  }
  return object as ObjectOf<T>;
}

/** The processes that hold a capability on the object with all of `rights`. Each as often as it holds one. */
export function holders(
  state: ReadonlyState,
  { type, id }: Pick<IpcObject, "type" | "id">,
  rights: number,
): bigint[] {
  const found: bigint[] = [];
  for (const cap of state.capsOn.get(objectKey({ type, id })) ?? []) {
    const { holder = 0n, rights: held = 0 } = state.caps.get(cap) ?? {};
    if (holder !== 0n && (held & rights) === rights) found.push(holder);
  }
  return found;
}
