import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { figure, newestReports, Report, resultsFolder, writeReport } from "./report.js";
import { reportTable } from "./table.js";
import { figureOf, reportOf } from "./testing.js";

let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "contix-bench-test-"));
});
afterEach(() => rm(folder, { recursive: true }));

describe("reports", () => {
  it("are kept under suite and time, and read back as they were", async () => {
    const report = reportOf("engine", [figureOf("rows8.ctx64.ratio", 2.6)]);
    const path = await writeReport(report, folder);
    expect(path).toBe(join(folder, "engine-2025-11-22T01-02-03Z.json"));
    expect((await newestReports(folder)).get("engine")).toEqual(report);
  });

  it("count when newest and not quick", async () => {
    const at = (startedAt: string, quick = false) =>
      writeReport(reportOf("kernel", [], { startedAt, quick }), folder);
    await at("2025-11-23T00:00:00.000Z");
    await at("2025-11-24T00:00:00.000Z");
    await at("2025-11-22T00:00:00.000Z");
    await at("2025-11-25T00:00:00.000Z", true);
    const newest = (await newestReports(folder)).get("kernel");
    expect(newest?.startedAt).toBe("2025-11-24T00:00:00.000Z");
  });

  it("that can not be read are an error, not none", async () => {
    await writeFile(join(folder, "engine-x.json"), '{"format": 1}');
    await expect(newestReports(folder)).rejects.toThrow("engine-x.json is no report");
    await writeFile(join(folder, "engine-x.json"), "{");
    await expect(newestReports(folder)).rejects.toThrow("engine-x.json is no report");
  });

  it("other files in the folder do not matter, nor does a missing folder", async () => {
    await writeFile(join(folder, "biome.json"), "{}");
    expect((await newestReports(folder)).size).toBe(0);
    expect((await newestReports(join(folder, "none"))).size).toBe(0);
  });

  it("of the repository are all readable", async () => {
    for (const report of (await newestReports(resultsFolder())).values()) {
      expect(Report.safeParse(report).success).toBe(true);
    }
  });
});

describe("figure", () => {
  it("names itself when its samples are no numbers", () => {
    expect(() => figure("rows8.ratio", "×", [Number.NaN])).toThrow("rows8.ratio: a sample is NaN");
  });
});

describe("reportTable", () => {
  it("says what was measured, on what, under which load", () => {
    const table = reportTable(reportOf("quality", [figureOf("nll", 0.00312)]));
    expect(table).toContain("## quality, 2025-11-22T01:02:03.000Z");
    expect(table).toContain("a CPU, 2 cores, 24 GiB");
    expect(table).toContain("Load 0.00 0.00 0.00 at the start");
    expect(table).toContain("model tiny, seed 1");
    expect(table).toMatch(/\| nll +\| 0\.00312 \|/);
  });

  it("marks a quick run", () => {
    expect(reportTable(reportOf("quality", [], { quick: true }))).toContain("not for the record");
  });
});
