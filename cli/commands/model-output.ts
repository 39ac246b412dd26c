/** What the commands of `contix model` share: options, and how a model is shown. */
import type { CatalogEntry } from "../../servers/llm/models/catalog.js";
import type { Choice } from "../../servers/llm/models/choose.js";
import { openLibrary } from "../../servers/llm/models/library.js";
import type { WorkOptions } from "../../servers/llm/models/options.js";
import { TINY } from "../../servers/llm/models/tiny.js";
import { out } from "../colour.js";
import { bytes } from "../format.js";
import { print } from "../terminal.js";
import type { ProgressView } from "./model-progress.js";

export interface Output {
  readonly json?: true;
}

/** Progress and notes of work go to `view`. */
export function workOf(view: ProgressView, signal: AbortSignal): WorkOptions {
  return {
    signal,
    onProgress: (progress) => view.update(progress),
    onNote: (line) => view.note(line),
  };
}

/** Keys and values, one a line. */
export function fields(rows: readonly (readonly string[])[]): void {
  for (const [key = "", value = ""] of rows) print(`${out.dim(key.padEnd(9))} ${value}`);
}

/** Which recipe a model has on this machine, and why: "q8: a model this small …". */
export function choiceText({ recipe, reason }: Choice): string {
  return `${recipe}: ${reason}`;
}

export function short(digest: string): string {
  return digest.slice(0, 12);
}

/** The models that can be pulled by name. */
export function catalogue(): string {
  const named = ({ name, aliases, size, license }: CatalogEntry) =>
    `${[name, ...aliases].join(" or ")} (${bytes(size)}, ${license})`;
  return [...openLibrary().catalog.map(named), `${TINY} needs no pull`].join("; ");
}

export function examples(...lines: readonly string[]): string {
  return `\nExamples:\n${lines.map((line) => `  $ ${line}`).join("\n")}`;
}
