/** What a context's owner says of its next use, as eviction policies hear it. */
import { expect, it } from "vitest";
import { BareKernel } from "../../test/support/bare-kernel.js";

it("advice is a wait with an end, until it is taken back", async () => {
  const to = new BareKernel();
  const pid = to.process();
  const { handle } = to.context(pid);
  const advise = async (args: object): Promise<unknown> => {
    expect(await to.outcome(pid, "ctxAdvise", args, handle)).toBe("ok");
    return to.waits.splice(0);
  };
  expect(await advise({ share: "all" })).toEqual([]);
  expect(await advise({ need: "dontneed" })).toEqual([
    { kind: "advised", until: Number.MAX_SAFE_INTEGER },
  ]);
  expect(await advise({ need: "unknown" })).toEqual([{ kind: "call" }]);
  expect(await advise({ need: "willneed", pauseUs: 500n })).toEqual([
    { kind: "advised", until: to.now + 500 },
  ]);
});
