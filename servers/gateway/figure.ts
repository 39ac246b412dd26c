/** One figure of the kernel: its name, what it is, and from which of the kernel's answers it is read. */
import type {
  Limit,
  Memory,
  ModelInfo,
  PrincipalInfo,
  ProcInfo,
  Stats,
  TimeInfo,
  Uname,
} from "../../syscalls/index.js";

/** What the kernel is asked; undefined: the key may not see it. */
export interface Facts {
  readonly uname: Uname;
  readonly stats: Stats | undefined;
  readonly memory: Memory | undefined;
  readonly limits: readonly Limit[] | undefined;
  readonly models: readonly ModelInfo[] | undefined;
  readonly processes: readonly ProcInfo[] | undefined;
  readonly principals: readonly PrincipalInfo[] | undefined;
}

export type Labels = Readonly<Record<string, string>>;
type Sample = readonly [value: number, labels?: Labels];

export interface Figure {
  readonly name: string;
  readonly help: string;
  readonly labels: readonly string[];
  readonly read: (facts: Facts) => readonly Sample[];
}

/** One whose values are counted in buckets. */
export interface Spread {
  readonly name: string;
  readonly help: string;
  /** The label that says of what; "": there is but one. */
  readonly label: string;
  readonly read: (stats: Stats) => readonly TimeInfo[];
}

/** A figure from one of the facts; it is not there when that is not. */
export function figure<K extends keyof Facts>(
  name: string,
  help: string,
  of: K,
  read: (fact: NonNullable<Facts[K]>) => number | readonly Sample[],
  labels: readonly string[] = [],
): Figure {
  return {
    name,
    help,
    labels,
    read: (facts) => {
      const fact = facts[of];
      if (fact === undefined) return [];
      const value = read(fact);
      return typeof value === "number" ? [[value]] : value;
    },
  };
}

/** A figure of each door. */
export const perDoor = (
  name: string,
  help: string,
  read: (door: Stats["door"][number]) => number,
): Figure =>
  figure(name, help, "stats", ({ door }) => door.map((one) => [read(one), { door: one.door }]), [
    "door",
  ]);

/** A figure of each model that runs or ran. */
export const perModel = (name: string, help: string, read: (model: ModelInfo) => number): Figure =>
  figure(
    name,
    help,
    "models",
    (models) =>
      models
        .filter(({ default: first, slots }) => first || slots > 0)
        .map((model) => [read(model), { model: model.name }]),
    ["model"],
  );

type ModelMemory = Memory["models"][number];
export const perMemory = (
  name: string,
  help: string,
  read: (model: ModelMemory) => number,
): Figure =>
  figure(
    name,
    help,
    "memory",
    ({ models }) => models.map((model) => [read(model), { model: model.model }]),
    ["model"],
  );

type Tier = ModelMemory["tiers"][number];
export const perTier = (name: string, help: string, read: (tier: Tier) => number): Figure =>
  figure(
    name,
    help,
    "memory",
    ({ models }) =>
      models.flatMap(({ model, tiers }) =>
        tiers.map((tier): Sample => [read(tier), { model, tier: tier.name }]),
      ),
    ["model", "tier"],
  );
