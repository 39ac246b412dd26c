/** What the kernel tells of itself: one thing that happened, to whom, and its facts. */

/** Numbers that JSON cannot hold are texts, ids are shown as everywhere: `n1.17`. */
export type Fact = string | number | boolean | readonly string[] | Readonly<Record<string, number>>;

export interface KernelEvent {
  /** Whose it is; "": the kernel's own, for administrators. */
  readonly principal: string;
  /** Noun and verb: `process.over`. */
  readonly name: string;
  readonly facts: Readonly<Record<string, Fact>>;
}
