/**
 * Runs the sides of a comparison in turns, A B A B, so that a drift of the machine (heat, a
 * neighbour) meets all of them alike. One run of each comes first and is not counted: it warms
 * caches and code.
 */

/** One side: `run` does it once and gives the result. */
export interface Side<T> {
  readonly name: string;
  run(round: number): Promise<T>;
}

/** The results of each side, in order of the rounds. */
export async function alternate<T>(
  rounds: number,
  sides: readonly Side<T>[],
  onResult: (side: string, round: number, result: T) => void = () => {},
): Promise<Map<string, T[]>> {
  if (!Number.isInteger(rounds) || rounds < 1) throw new RangeError(`${rounds} rounds`);
  for (const side of sides) await side.run(-1);
  const results = new Map<string, T[]>(sides.map(({ name }) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    for (const side of sides) {
      const result = await side.run(round);
      results.get(side.name)?.push(result);
      onResult(side.name, round, result);
    }
  }
  return results;
}
