/** The LLM driver on ONNX Runtime: `node dist/servers/llm/main.js` with the kernel on descriptor 3. */

import { runDriver } from "./driver.js";
import { OnnxModel } from "./engine/onnx-model.js";
import { openTextServer } from "./text/server.js";

runDriver({
  open: async (open) => {
    const [model, text] = await Promise.all([
      OnnxModel.open(open.model, open),
      openTextServer(open.model),
    ]);
    return { model, text };
  },
});
