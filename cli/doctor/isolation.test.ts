import { expect, it } from "vitest";
import { isolation } from "./isolation.js";

const found = (machine: Partial<Parameters<typeof isolation>[1]>): string => {
  const cgroups = { held: false, controllers: [] };
  return isolation("/nowhere", { cgroups, autogroup: false, root: false, ...machine }).found;
};

it("says which control groups hold agents, and what they limit", () => {
  expect(found({})).toContain("no control group (cgroup v2) may be made here");
  const held = (controllers?: readonly ("cpu" | "memory" | "pids")[]) =>
    found({ cgroups: { held: true, controllers } });
  expect(held()).toContain("which limits they set shows with the first agent");
  expect(held([])).toContain("they were given no controllers and limit nothing");
  const all = held(["memory", "pids"]);
  expect(all).toContain("they limit all of an agent together: memory, pids");
  expect(all).not.toContain("no control group");
});

it("says who gives way to whom, and how soon", () => {
  expect(found({})).toMatch(/agents run at nice 10, drivers at 5;/);
  expect(found({ autogroup: true, root: true })).toMatch(/session groups \(autogroup\);/);
  expect(found({ autogroup: true })).toContain("of which the system lowers one in 100 ms");
});
