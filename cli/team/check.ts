/** What a manifest's data must say together: names that there are, and an order to start in. */
import { type Mistake, said } from "./issues.js";
import type { Path, Source } from "./places.js";
import { type AgentSpec, OBJECTS, type TeamSpec } from "./schema.js";
import { instead } from "./suggest.js";

/** All processes of a team. */
const MOST = 256;

/** What is wrong with data whose form is right. */
export function check(source: Source, team: TeamSpec): Mistake[] {
  const names = Object.keys(team.agents);
  const mistakes: Mistake[] = [];
  const wrong = (path: Path, message: string): void => {
    mistakes.push({ ...source.valueAt(path), message: said(path, message) });
  };
  if (names.length === 0) wrong(["agents"], "a team has one agent at least");
  const all = Object.values(team.agents).reduce((sum, { count }) => sum + count, 0);
  if (all > MOST) wrong(["agents"], `${all} processes; at most ${MOST}`);
  for (const [name, agent] of Object.entries(team.agents)) {
    const at = (...path: Path): Path => ["agents", name, ...path];
    for (const key of ["depends_on", "sends_to"] as const) {
      agent[key].forEach((other, i) => {
        if (!names.includes(other)) {
          wrong(at(key, i), `there is no agent "${other}"; ${instead(other, names)}`);
        } else if (agent[key].indexOf(other) < i)
          wrong(at(key, i), `"${other}" stands there twice`);
      });
    }
    checkAgent(agent, (path, message) => wrong(at(...path), message));
  }
  if (mistakes.length === 0) mistakes.push(...cycle(source, team));
  return mistakes;
}

function checkAgent(agent: AgentSpec, wrong: (path: Path, message: string) => void): void {
  const { restart, watchdog, capabilities } = agent;
  if (restart.backoff !== undefined && restart.backoff > (restart.max_backoff ?? Infinity)) {
    wrong(["restart", "backoff"], "it is longer than max_backoff");
  }
  if (watchdog !== undefined && watchdog.timeout < 100) {
    wrong(["watchdog"], "it must be 100ms at least: an agent is no clockwork");
  }
  capabilities.forEach((capability, i) => {
    const named = OBJECTS.filter((object) => capability[object] !== undefined);
    if (named.length === 1) return;
    const what = named.length === 0 ? "it names nothing" : `it names ${named.join(" and ")}`;
    wrong(["capabilities", i], `${what}; it must name one of ${OBJECTS.join(", ")}`);
  });
}

/** The first circle of dependencies: nobody in it could be the first to start. */
function cycle(source: Source, { agents }: TeamSpec): Mistake[] {
  const done = new Set<string>();
  const walk = (name: string, way: readonly string[]): Mistake | undefined => {
    if (done.has(name)) return undefined;
    const dependencies = agents[name]?.depends_on ?? [];
    for (const [i, next] of dependencies.entries()) {
      const from = [...way, name].indexOf(next);
      if (from >= 0) {
        const circle = [...[...way, name].slice(from), next].join(" → ");
        const path = ["agents", name, "depends_on", i];
        return { ...source.valueAt(path), message: said(path, `a circle: ${circle}`) };
      }
      const found = walk(next, [...way, name]);
      if (found) return found;
    }
    done.add(name);
    return undefined;
  };
  for (const name of Object.keys(agents)) {
    const found = walk(name, []);
    if (found) return [found];
  }
  return [];
}

/** Agents in an order in which each comes after those that it depends on; else as they stand. */
export function startOrder(
  agents: Readonly<Record<string, Pick<AgentSpec, "depends_on">>>,
): string[] {
  const order = new Set<string>();
  const add = (name: string): void => {
    if (order.has(name)) return;
    for (const other of agents[name]?.depends_on ?? []) add(other);
    order.add(name);
  };
  for (const name of Object.keys(agents)) add(name);
  return [...order];
}
