/** What a pull from a hub will bring: decided, and shown, before the first byte of it comes. */
import { createHash } from "node:crypto";
import { posix } from "node:path";
import type { PullContext } from "./pull.js";
import { type Choice, chooseFiles } from "./pull-choose.js";
import type { HubBlob } from "./pull-hub.js";
import { readRepo } from "./pull-repo.js";
import { parseHubSpec } from "./pull-spec.js";

export interface PullPlan {
  /** The name that it will have here. */
  readonly name: string;
  readonly kind: Choice<HubBlob>["kind"];
  readonly main: string;
  readonly files: readonly HubBlob[];
  /** Bytes of all files. */
  readonly size: number;
  /** "unknown" when the hub does not say. */
  readonly license: string;
  /** For people: hf:OWNER/REPO@COMMIT:FILE. */
  readonly source: string;
}

/**
 * Asks the hub what `spec` means.
 * @throws ContixError EINVAL for a spec that can not be read or is not plain; else
 * what the hub says.
 */
export async function planPull(
  spec: string,
  name: string | undefined,
  context: PullContext,
): Promise<PullPlan> {
  const { repo, revision, wanted } = parseHubSpec(spec);
  const { commit, license = "unknown", files } = await readRepo(repo, revision, context);
  const choice = chooseFiles(files, wanted, `hf:${repo}`);
  const blobs = choice.files.map((file) => ({ ...file, repo, revision: commit }));
  return {
    name: name ?? nameFor(repo, choice.kind, choice.main),
    kind: choice.kind,
    main: choice.main,
    files: blobs,
    size: blobs.reduce((sum, { size }) => sum + size, 0),
    license,
    source: `hf:${repo}@${commit}:${choice.main}`,
  };
}

/** Names the partial file of a blob: by its content when that is known, else by its place. */
export function keyOf({ expected, repo, revision, path }: HubBlob): string {
  const place = `${repo}@${revision}/${path}`;
  return expected.digest ?? createHash("sha256").update(place).digest("hex");
}

/** A GGUF file's name says what it is; a graph's ("model.onnx") does not, but its repository's. */
function nameFor(repo: string, kind: PullPlan["kind"], main: string): string {
  const stem = posix.basename(main).replace(/\.(gguf|onnx|safetensors)$/i, "");
  if (kind === "gguf") return asName(stem);
  const variant = stem.replace(/^model[-_.]?/, "");
  return asName([posix.basename(repo), variant].filter((part) => part !== "").join("-"));
}

/** "SmolLM2-135M-Instruct.Q4_1" is named "smollm2-135m-instruct.q4_1". */
export function asName(text: string): string {
  const plain = text.toLowerCase().replace(/[^a-z0-9._-]+/g, "-");
  return plain.replace(/^[^a-z0-9]+/, "").slice(0, 80);
}
