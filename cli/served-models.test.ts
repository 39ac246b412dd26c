/** The library as the kernel sees it: names, what a driver needs, and no models where all are made up. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type ConfigInput, loadConfig } from "../kernel/config.js";
import { driverMemory } from "./driver-memory.js";
import { servedModels } from "./served-models.js";

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "contix-served-"));
  vi.stubEnv("CONTIX_MODELS", root);
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(root, { recursive: true, force: true });
});

const config = (settings: ConfigInput) => loadConfig({ home: root, ...settings }, {});
const names = async (models: ReturnType<typeof servedModels>): Promise<string[]> =>
  (await models.list()).map(({ name }) => name);

describe("with the fake driver", () => {
  it("every configured model is there, and no other", async () => {
    const models = servedModels(config({ driver: "fake", model: "a", preload: "b,a" }));
    expect(await names(models)).toEqual(["a", "b"]);
    expect(await models.resolve("b")).toBe("b");
    await expect(models.resolve("c")).rejects.toMatchObject({
      code: "EMODEL",
      message: expect.stringContaining("a, b"),
    });
  });

  it("an agent that names the usual model runs", async () => {
    const models = servedModels(config({ driver: "fake" }));
    expect(await names(models)).toEqual(["fake"]);
    expect(await models.resolve("smollm2-135m-instruct")).toBe("fake");
    expect((await models.prepare("fake")).command.at(-1)).toMatch(/fake\/main\.js$/);
  });
});

describe("with the library", () => {
  it("tiny and fake are always there; who is not is refused by the library", async () => {
    const models = servedModels(config({}));
    expect(await names(models)).toEqual(["tiny", "fake"]);
    await expect(models.resolve("c")).rejects.toMatchObject({ code: "EMODEL" });
  });

  it("a driver takes its weights, the KV of its slots pages and itself", async () => {
    const { tinyModel } = await import("../servers/llm/models/tiny.js");
    const dir = await tinyModel(root);
    const room = { slots: 1, slotTokens: 1000, pageMemory: "0", memoryBudget: "8GiB" };
    const bytes = async (more: Partial<typeof room>) =>
      (await driverMemory(dir, { ...room, ...more })).memory;
    // Two layers of keys and values: 2 heads of 32 values of 4 bytes.
    expect((await bytes({ slots: 2 })) - (await bytes({}))).toBe(1000 * 2 * 2 * 2 * 32 * 4);
    const whole = await bytes({ slotTokens: 4096 });
    expect(await bytes({ slotTokens: 100_000 })).toBe(whole);
    expect((await bytes({ pageMemory: "3k" })) - (await bytes({}))).toBe(3072);
    // Pages never make the driver too large for the budget.
    expect(await bytes({ pageMemory: "1GiB", memoryBudget: "300MiB" })).toBe(300 << 20);
    const small = { ...room, pageMemory: "1GiB", memoryBudget: "1MiB" };
    expect((await driverMemory(dir, small)).pageMemory).toBe(0);
    writeFileSync(join(dir, "weights.bin"), Buffer.alloc(10 << 20));
    expect(await bytes({ slotTokens: 4096 })).toBeGreaterThan(whole);
  });
});
