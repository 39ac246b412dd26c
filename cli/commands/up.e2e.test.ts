/** `contix up` with a form named: the model is compiled to that form only, and served in it. */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { readCompiled } from "../../servers/llm/models/compiled.js";
import { Bench } from "../../test/e2e/cli-runner.js";

/** The forms that are compiled once the daemon serves, and that which it serves. */
async function formsOf(...flags: string[]) {
  await using bench = await Bench.open();
  const models = join(bench.root, "models");
  const compiled = join(models, "compiled");
  const env = { CONTIX_MODELS: models };
  const up = ["up", "--driver", "onnxruntime", "--driver-options", "{}", "--model", "tiny"];
  await bench.ok([...up, "--slot-tokens", "64", "--page-memory", "0", ...flags], { env });
  const [served] = JSON.parse(await bench.ok(["models", "--json"]));
  const form = async (digest: string) => {
    const { recipe, kv } = await readCompiled(join(compiled, digest));
    return `${recipe}, ${kv}`;
  };
  const digests = (await readdir(compiled)).filter((name) => !name.startsWith("."));
  return { served: await form(served.digest), all: (await Promise.all(digests.map(form))).sort() };
}

it("takes --recipe", async () => {
  expect(await formsOf("--recipe", "fp32")).toEqual({ served: "fp32, fp32", all: ["fp32, fp32"] });
});

it("takes --kv, for which the plain form is calibrated with", async () => {
  expect(await formsOf("--kv", "int8", "--recipe", "int8")).toEqual({
    served: "int8, int8",
    all: ["int8, int8", "q8, fp32"],
  });
});
