/** Ids as people type them. */
import { usage } from "./errors.js";

/** A process's: `n1.17` as it is; `17` is one of this node, n1. */
export function readPid(text: string): string {
  return readId(text, "is no pid: write it as `contix ps` shows it, such as n1.17");
}

/** A context's, in the same way. */
export function readCid(text: string): string {
  return readId(text, "is no context's id: write it as `contix ctx ls` shows it, such as n1.3");
}

/** As the SDK reads them: 12 bits of node, 52 of counter. */
function readId(text: string, wrong: string): string {
  const [, node = "1", counter = ""] = /^(?:n(\d{1,4})\.)?(\d{1,16})$/.exec(text) ?? [];
  if (counter === "" || Number(node) >= 2 ** 12 || Number(counter) >= 2 ** 52) {
    throw usage(`${text} ${wrong}`);
  }
  return `n${node}.${counter}`;
}
