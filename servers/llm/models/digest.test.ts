import { expect, it } from "vitest";
import { digestOf, engineDigest, kernelClass, runtimeVersion } from "./digest.js";

const PARTS = {
  weightsDigest: "w",
  recipe: "q8",
  kv: "fp32",
  attention: "plain",
  graphVersion: 1,
  runtimeVersion: "1.30.0",
  kernelClass: "x64 avx2",
} as const;

it("changes with every part", () => {
  const changes = [
    { weightsDigest: "v" },
    { recipe: "fp32" },
    { graphVersion: 2 },
    { runtimeVersion: "1.31.0" },
    { kernelClass: "x64 avx2 avx512f" },
  ] as const;
  const digests = [{}, ...changes].map((change) => digestOf({ ...PARTS, ...change }));
  expect(new Set(digests).size).toBe(digests.length);
  expect(digestOf({ ...PARTS })).toBe(digests[0]);
});

it("is the same on the same machine, whatever order the flags stand in", () => {
  const form = { recipe: "q8", kv: "fp32" } as const;
  expect(engineDigest("a".repeat(64), form)).toBe(engineDigest("a".repeat(64), { ...form }));
  const one = kernelClass("processor : 0\nflags\t\t: fpu avx2 sse avx512_vnni fma\nflags : other");
  expect(one).toBe(kernelClass("flags : fma avx512_vnni avx2 mmx"));
  expect(one).toMatch(/^\S+ avx2 avx512_vnni fma$/);
  expect(kernelClass("Features : fp asimd asimddp i8mm")).toMatch(/ asimd asimddp i8mm$/);
});

it("falls back to the processor's name where there is no list of flags", () => {
  expect(kernelClass("nothing here")).not.toBe("");
});

it("knows the runtime's version", () => {
  expect(runtimeVersion()).toMatch(/^\d+\.\d+\.\d+/);
});
