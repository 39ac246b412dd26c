/** Which calls go to another kernel: those on an object, or a process, whose home is there. */
import { ContixError } from "../../../proto/errno.js";
import type { Call } from "../../call.js";
import { nodeOf } from "../../ids.js";
import type { Kernel } from "../../kernel.js";

type Handler = (kernel: Kernel, call: Call) => Promise<void> | void;

/** A handler of calls that may be on what lives on another kernel. */
export function anywhere(here: Handler): Handler {
  return (kernel, call) => {
    const node = homeOf(call, kernel.journal.node);
    if (node === kernel.journal.node) return here(kernel, call);
    kernel.ipc.forward(call, node);
  };
}

/** The node of what the call is on; `own`: nothing says that it is elsewhere. */
function homeOf({ uses, syscall: { call } }: Call, own: number): number {
  const id = uses[0]?.object.id;
  if (typeof id === "bigint") return nodeOf(id);
  if (call?.$case === "open" && call.value.type === "topic" && call.value.node !== "") {
    const message = "a topic is on all kernels: leave node out";
    throw new ContixError("EINVAL", message, { argument: "node" });
  }
  switch (call?.$case) {
    case "open":
    case "remove":
    case "ipcList":
      return readNode(call.value.node, own);
    case "reply":
      return nodeOf(call.value.id) || own;
    default:
      return own;
  }
}

/** `n2` as 2. EINVAL. */
function readNode(text: string, own: number): number {
  if (text === "") return own;
  const node = Number(/^n(\d{1,4})$/.exec(text)?.[1] ?? Number.NaN);
  if (node >= 1 && node <= 4095) return node;
  const message = `node is "${text.slice(0, 16)}"; it must be that of a kernel, such as n2`;
  throw new ContixError("EINVAL", message, { argument: "node" });
}
