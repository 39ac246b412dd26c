/**
 * The fake driver: `node dist/servers/llm/fake/main.js` with the kernel on descriptor 3.
 * It speaks the protocol of the real one, on the same executor, and needs no model.
 */
import { ContixError } from "../../../proto/errno.js";
import { runDriver } from "../driver.js";
import { FakeModel } from "./model.js";
import { fakeOptions } from "./options.js";
import { FakeText } from "./text.js";

runDriver({
  open: async (open) => {
    const options = fakeOptions(open.options);
    if (options.failOpen !== "") throw new ContixError("EMODEL", options.failOpen);
    return { model: new FakeModel(open, options), text: new FakeText() };
  },
});
