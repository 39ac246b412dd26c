/** `hf:OWNER/REPO[@REV][:FILE]`: a model of a Hugging Face hub as people write it. */
import { ContixError } from "../../../proto/errno.js";

const PREFIX = "hf:";
const SPEC = /^([\w.-]+\/[\w.-]+)(?:@([^:@\s]+))?(?::([^\s].*))?$/;

export interface HubSpec {
  /** OWNER/REPO */
  readonly repo: string;
  /** A branch, a tag or a commit; undefined: the newest of the main branch. */
  readonly revision: string | undefined;
  /** A path, a file's name, or the name of a quantization. */
  readonly wanted: string | undefined;
}

/** Whether the text means a model of a hub, and not a name of the library. */
export function isHubSpec(text: string): boolean {
  return text.startsWith(PREFIX);
}

/** @throws ContixError EINVAL that says how it is written. */
export function parseHubSpec(text: string): HubSpec {
  const [, repo, revision, wanted] = SPEC.exec(text.slice(PREFIX.length)) ?? [];
  const dots = repo?.split("/").some((part) => /^\.+$/.test(part));
  if (!isHubSpec(text) || !repo || dots) {
    const how = "write hf:OWNER/REPO, hf:OWNER/REPO:FILE or hf:OWNER/REPO@REVISION:FILE";
    throw new ContixError("EINVAL", `"${text}" is no model of a hub: ${how}`, { argument: "name" });
  }
  return { repo, revision, wanted };
}
