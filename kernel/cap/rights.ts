/**
 * Rights and the objects that they are rights to. A right never grows: whoever passes a
 * handle on passes on what it holds, or less.
 */
import { type ObjectType, RIGHTS, type Right } from "../../proto/rights.js";
import { showId } from "../ids.js";

export { ALL_RIGHTS, type ObjectType, RIGHTS, type Right } from "../../proto/rights.js";

/** One object: processes and contexts by their id, the others by name. */
export interface ObjectRef {
  readonly type: ObjectType;
  readonly id: bigint | string;
}

/** The id of the principal that stands for all there are: an administrator's namespace. */
export const EVERYONE = "*";

/** `context n1.3`, `topic news`: as messages and the audit say it. */
export function showObject({ type, id }: ObjectRef): string {
  if (type === "model" && id === "") return "the default model";
  return `${type} ${typeof id === "bigint" ? showId(id) : id}`;
}

/** `read, write` for 3; `none` for 0. */
export function showRights(rights: number): string {
  const names = (Object.keys(RIGHTS) as Right[]).filter((name) => (rights & RIGHTS[name]) !== 0);
  return names.length > 0 ? names.join(", ") : "none";
}
