/** Switches one guard off: `from`, which stands once in `file`, becomes `to`. */
export interface Mutant {
  readonly name: string;
  readonly file: string;
  readonly from: string;
  readonly to: string;
  /** Test files, one of whose tests must then fail. */
  readonly tests: readonly string[];
  /** Only tests with this in their name are run. */
  readonly only?: string;
}

export const MUTANTS: readonly Mutant[];
