/**
 * For each call that is not pure: how to make one that succeeds. Each gets a process of its
 * own, `os`, makes ready what the call needs, and says what the call is. A row of the table
 * that is missing here fails the test of law 4.
 */
import { type CallName, SYSCALLS } from "../../kernel/table.js";
import type { Door, DoorClient } from "../support/door-client.js";

/** What to call. */
export interface Made {
  readonly args: object;
  readonly handle?: number;
  /** The process is over with it: its run can not be resumed. */
  readonly ends?: true;
}
export interface World {
  readonly door: Door;
  /** A name that nobody has used. */
  name(): string;
  /** Another process, that lives as long as the test. */
  friend(): Promise<DoorClient>;
}
export type Scenario = (os: DoorClient, world: World) => Promise<Made> | Made;

export const NOT_PURE = (Object.keys(SYSCALLS) as CallName[]).filter(
  (name) => SYSCALLS[name].kind !== "pure",
);

const text = (value: string) => ({ $case: "text" as const, value });
const words = Buffer.from("words");

async function context(
  os: DoorClient,
  value = "one two three four",
): Promise<{ handle: number; cid: bigint }> {
  const made = await os.ok("ctxCreate");
  await os.ok("ctxAppend", { input: text(value) }, { handle: made.handle });
  return made;
}
const onContext =
  (args: object): Scenario =>
  async (os) => ({ args, handle: (await context(os)).handle });

function open(os: DoorClient, type: string, name: string, more: object = {}) {
  return os.ok("open", { type, name, ...more });
}
const held = async (os: DoorClient, { name }: World) => {
  const { handle } = await open(os, "lock", name());
  const { token } = await os.ok("lock", {}, { handle });
  return { handle, token };
};
const principal = async (os: DoorClient, { name }: World): Promise<string> => {
  const made = name();
  await os.ok("principalAdd", { name: made });
  return made;
};
const key = async (os: DoorClient, world: World): Promise<string> =>
  (await os.ok("keyAdd", { principal: await principal(os, world) })).id;

/** A window that is too small for what is said: something of it is moved out. */
async function movedOut(os: DoorClient): Promise<{ handle: number; segment: number }> {
  const { handle } = await os.ok("ctxCreate");
  for (let turn = 0; ; turn++) {
    const said = [{ role: "user", content: `turn ${turn} ${"word ".repeat(8)}` }];
    await os.ok("ctxAppend", { input: { $case: "chat", value: { messages: said } } }, { handle });
    const { segments } = await os.ok("ctxFiled", {}, { handle });
    const [first] = segments;
    if (first) return { handle, segment: first.segment };
  }
}

export const SCENARIOS: Partial<Record<CallName, Scenario>> = {
  log: () => ({ args: { message: "said once" } }),
  generate: onContext({ maxTokens: 3, ignoreEos: true, logprobs: 2 }),
  ctxCreate: () => ({ args: {} }),
  ctxAppend: onContext({ input: text(" and five") }),
  ctxClose: onContext({}),
  ctxFork: onContext({}),
  ctxTruncate: onContext({ length: 2 }),
  ctxPin: onContext({ pinned: true }),
  ctxAdvise: onContext({ need: "willneed" }),
  ctxGive: onContext({ pid: 0n }),
  async ctxOpen(os) {
    const { handle, cid } = await context(os);
    await os.ok("ctxGive", { pid: 0n }, { handle });
    return { args: { cid } };
  },
  async ctxRestore(os) {
    const { handle } = await context(os);
    const { snapshot } = await os.ok("ctxSnapshot", {}, { handle });
    return { args: { snapshot } };
  },
  async ctxRecall(os) {
    const { handle, segment } = await movedOut(os);
    return { args: { what: { $case: "segment", value: segment } }, handle };
  },
  async ctxForget(os) {
    const { handle, segment } = await movedOut(os);
    return { args: { segments: [segment] }, handle };
  },
  spawn: () => ({ args: { argv: [process.execPath, "-e", "setTimeout(() => {}, 1e9)"] } }),
  async wait(os) {
    const { pid } = await os.ok("spawn", { argv: [process.execPath, "-e", ""] });
    return { args: { pid } };
  },
  kill: async (_, world) => ({
    args: { pid: (await world.friend()).welcome.pid, signal: "USR1" },
  }),
  exit: () => ({ args: { code: 0 }, ends: true }),
  nice: (os) => ({ args: { pid: os.welcome.pid, nice: 7 } }),
  schedSet: () => ({ args: { policy: "rr" } }),
  supervise: () => ({ args: { strategy: "all_for_one" } }),
  watchdog: () => ({ args: { watchdogUs: 3_600_000_000n } }),
  async stop(os) {
    const argv = [process.execPath, "-e", "setTimeout(() => {}, 1e9)"];
    return { args: { pid: (await os.ok("spawn", { argv })).pid } };
  },
  stopGroup: async (os) => ({ args: { group: (await os.ok("supervise")).group } }),
  send: async (_, world) => ({ args: { pid: (await world.friend()).welcome.pid, body: words } }),
  async recv(os) {
    const { pid } = os.welcome;
    for (const body of ["first", "second"]) await os.ok("send", { pid, body: Buffer.from(body) });
    return { args: {} };
  },
  async ack(os) {
    await os.ok("send", { pid: os.welcome.pid, body: words });
    const { id, delivery } = await os.ok("recv", { visibilityUs: 60_000_000n });
    return { args: { id, delivery } };
  },
  open: (_, { name }) => ({ args: { type: "mailbox", name: name() } }),
  async remove(os, { name }) {
    const made = name();
    await open(os, "mailbox", made);
    return { args: { type: "mailbox", name: made } };
  },
  async request(_, world) {
    const clerk = await world.friend();
    const asked = clerk.reply(clerk.call("recv", { requests: true }));
    void asked.then((reply) => {
      const result = clerk.outcome<"recv">(reply);
      if (typeof result !== "string") clerk.call("reply", { id: result.id, body: words });
    });
    return { args: { pid: clerk.welcome.pid, body: words } };
  },
  async reply(os, world) {
    const asker = await world.friend();
    asker.call("request", { pid: os.welcome.pid, body: words });
    const { id } = await os.ok("recv", { requests: true });
    return { args: { id, body: words } };
  },
  async pipeRead(os) {
    const { handle, writeHandle } = await open(os, "pipe", "");
    await os.ok("pipeWrite", { data: words }, { handle: writeHandle });
    return { args: { max: 2 }, handle };
  },
  async pipeWrite(os) {
    const { writeHandle } = await open(os, "pipe", "");
    return { args: { data: words }, handle: writeHandle };
  },
  async publish(_, world) {
    const subject = world.name();
    await (await world.friend()).ok("subscribe", { pattern: subject });
    return { args: { subject, body: words } };
  },
  subscribe: (_, { name }) => ({ args: { pattern: name() } }),
  alarm: () => ({ args: { us: 3_600_000_000n } }),
  schedule: (_, { name }) => ({ args: { name: name(), cron: "0 0 1 1 *", inbox: true } }),
  async scheduleRemove(os, world) {
    const name = world.name();
    await os.ok("schedule", { name, cron: "0 0 1 1 *", inbox: true });
    return { args: { name } };
  },
  async capGrant(os, world) {
    const { handle } = await context(os);
    return { args: { pid: (await world.friend()).welcome.pid, rights: 1 }, handle };
  },
  async capRevoke(os, world) {
    const { handle } = await context(os);
    await os.ok("capGrant", { pid: (await world.friend()).welcome.pid }, { handle });
    return { args: {}, handle };
  },
  async capClose(os) {
    const { handle } = await os.ok("capOpen", { object: "process", id: os.welcome.pid });
    return { args: {}, handle };
  },
  capOpen: (os) => ({ args: { object: "process", id: os.welcome.pid } }),
  principalQuota: async (os, world) => ({
    args: { name: await principal(os, world), quota: [{ quota: "tokens", limit: 5n }] },
  }),
  async askAnswer(os, world) {
    const asked = await world.friend();
    const { handle } = await context(os);
    const ask = { principal: "", pid: os.welcome.pid, timeoutUs: 0n };
    const grant = await os.ok("capGrant", { pid: asked.welcome.pid, ask }, { handle });
    asked.call("ctxStat", {}, { handle: grant.handle });
    const { questions } = await os.ok("askList", { wait: true });
    return { args: { id: questions[0]?.id ?? 0n, allow: true } };
  },
  principalAdd: (_, { name }) => ({ args: { name: name() } }),
  principalRemove: async (os, world) => ({ args: { name: await principal(os, world) } }),
  keyAdd: async (os, world) => ({ args: { principal: await principal(os, world) } }),
  keyRotate: async (os, world) => ({ args: { id: await key(os, world) } }),
  keyRevoke: async (os, world) => ({ args: { id: await key(os, world) } }),
  lock: async (os, { name }) => ({
    args: {},
    handle: (await open(os, "lock", name())).handle,
  }),
  async unlock(os, world) {
    const { handle, token } = await held(os, world);
    return { args: { token }, handle };
  },
  async renew(os, world) {
    const { handle, token } = await held(os, world);
    return { args: { token, leaseUs: 60_000_000n }, handle };
  },
  barrierWait: async (os, { name }) => ({
    args: {},
    handle: (await open(os, "barrier", name(), { parties: 1 })).handle,
  }),
};
