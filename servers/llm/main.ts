/** The LLM driver on ONNX Runtime: `node dist/servers/llm/main.js` with the kernel on descriptor 3. */

import { ContixError } from "../../proto/errno.js";
import type { Open } from "../../proto/gen/contix/driver/v1/llm.js";
import { runDriver } from "./driver.js";
import type { Model } from "./engine/model.js";
import { OnnxModel } from "./engine/onnx-model.js";
import { readAnyCompiled } from "./models/compiled.js";
import { holdCompiled } from "./models/holds.js";
import { ExportModel } from "./onnx-export/export-model.js";
import { openTextServer } from "./text/server.js";

runDriver({
  open: async (open) => {
    // Until the process ends: its files stay mapped, and must not be removed.
    await holdCompiled(open.model);
    const [model, text] = await Promise.all([openModel(open), openTextServer(open.model)]);
    return { model, text };
  },
});

/** Opens the compiled model by the adapter that its configuration names. */
async function openModel(open: Open): Promise<Model> {
  const { adapter, name } = await readAnyCompiled(open.model);
  if (adapter === "graph") return OnnxModel.open(open.model, open);
  if (adapter === "embedder") {
    throw new ContixError("EMODEL", `${name} is an embedding model: it generates no text`);
  }
  console.error(`driver: ${name} is an ONNX export, run as it came: slowly, each row alone`);
  return ExportModel.open(open.model, open);
}
