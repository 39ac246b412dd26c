/** Pids as people type them. */
import { usage } from "./errors.js";

/** `n1.17` as it is; `17` is one of this node, n1. */
export function readPid(text: string): string {
  if (/^\d{1,16}$/.test(text)) return `n1.${text}`;
  if (/^n\d{1,4}\.\d{1,16}$/.test(text)) return text;
  throw usage(`${text} is no pid: write it as \`contix ps\` shows it, such as n1.17`);
}
