/** Every figure of the kernel, a row each. */
import type { Limit } from "../../syscalls/index.js";
import {
  type Figure,
  figure,
  type Labels,
  perDoor,
  perMemory,
  perModel,
  perTier,
  type Spread,
} from "./figure.js";

/** By what they are named: `_total` is a counter, the rest are gauges. */
export const KERNEL_FIGURES: readonly Figure[] = [
  figure(
    "contix_kernel_info",
    "1; what the kernel is",
    "uname",
    ({ kernelVersion, node, driver, model, engineDigest }) => [
      [1, { version: kernelVersion, node, driver, model, engine: engineDigest }],
    ],
    ["version", "node", "driver", "model", "engine"],
  ),
  figure(
    "contix_kernel_uptime_seconds",
    "Since the kernel's start",
    "uname",
    (uname) => uname.uptimeMs / 1000,
  ),
  figure(
    "contix_kernel_syscalls_total",
    "Calls that processes made",
    "stats",
    (stats) => stats.syscalls,
  ),
  figure("contix_kernel_denied_total", "Calls that were denied", "stats", (stats) => stats.denied),
  figure(
    "contix_kernel_denials_total",
    "Calls and attachments that were denied, by the error that said so",
    "stats",
    ({ denials }) => denials.map(({ result, calls }) => [calls, { result }]),
    ["result"],
  ),
  perDoor("contix_door_connections", "Open connections of the door", (door) => door.connections),
  perDoor(
    "contix_door_strangers_connections",
    "Of these, those whose peer has not said who it is",
    (door) => door.strangers,
  ),
  perDoor("contix_door_accepted_total", "Connections that came", (door) => door.accepted),
  perDoor(
    "contix_door_refused_total",
    "Of these, those closed for what they did not say, or for their number",
    (door) => door.refused,
  ),
  perDoor("contix_door_attached_total", "Attachments that were welcomed", (door) => door.attached),
  perDoor("contix_door_calls_total", "Calls that came through the door", (door) => door.calls),
  perDoor("contix_door_received_bytes_total", "Bytes that came", (door) => door.bytesIn),
  perDoor("contix_door_sent_bytes_total", "Bytes that went", (door) => door.bytesOut),
  perDoor(
    "contix_door_denied_total",
    "Messages that were not their senders' to send",
    (door) => door.denied,
  ),
  perDoor(
    "contix_door_faults_total",
    "Frames that said nothing the kernel could do",
    (door) => door.faults,
  ),
  perDoor(
    "contix_door_braked_total",
    "Of these, those after which their sender was not read for a while",
    (door) => door.braked,
  ),
  figure(
    "contix_kernel_queue_length",
    "What waits in each queue of the kernel; those of models are told of apart",
    "stats",
    ({ queue }) => queue.map(({ queue: name, length }) => [length, { queue: name }]),
    ["queue"],
  ),
  figure(
    "contix_kernel_queue_limit_length",
    "What may wait at most; queues whose bound is each mailbox's, pipe's or process's own are left out",
    "stats",
    ({ queue }) =>
      queue.flatMap(({ queue: name, limit }) => (limit === null ? [] : [[limit, { queue: name }]])),
    ["queue"],
  ),
  figure(
    "contix_kernel_queue_bytes",
    "What waits, in bytes, where that is counted",
    "stats",
    ({ queue }) =>
      queue.flatMap(({ queue: name, bytes }) => (bytes === null ? [] : [[bytes, { queue: name }]])),
    ["queue"],
  ),
  figure(
    "contix_kernel_queue_lost_total",
    "What found no room: records of refusals, events",
    "stats",
    ({ queue }) => queue.map(({ queue: name, lost }) => [lost, { queue: name }]),
    ["queue"],
  ),
  figure("contix_kernel_slots", "Contexts that can run at once", "stats", (stats) => stats.slots),
  figure(
    "contix_kernel_slots_used",
    "Slots whose context runs",
    "stats",
    (stats) => stats.slotsUsed,
  ),
  figure(
    "contix_kernel_slot_tokens",
    "The window of a slot, tokens",
    "stats",
    (stats) => stats.slotTokens,
  ),
  figure(
    "contix_kernel_slots_phase",
    "Slots by what they do",
    "stats",
    (stats) =>
      (["prefill", "decode", "idle"] as const).map((phase) => [
        stats.slot.filter((slot) => slot.phase === phase).length,
        { phase },
      ]),
    ["phase"],
  ),
  figure(
    "contix_kernel_queue_generations",
    "Generations that wait for a slot",
    "stats",
    (stats) => stats.queued,
  ),
  figure(
    "contix_kernel_queue_limit_generations",
    "Generations that are admitted at most",
    "stats",
    (stats) => stats.queueLimit,
  ),
  figure(
    "contix_kernel_prefilled_tokens_total",
    "Tokens that entered the model by prefill",
    "stats",
    (stats) => stats.tokensPrefilled,
  ),
  figure(
    "contix_kernel_decoded_tokens_total",
    "Tokens that entered the model one a step",
    "stats",
    (stats) => stats.tokensDecoded,
  ),
  figure(
    "contix_kernel_generated_tokens_total",
    "Tokens that were generated",
    "stats",
    (stats) => stats.tokensGenerated,
  ),
  figure(
    "contix_kernel_recomputed_tokens_total",
    "Tokens that entered again because their KV was lost",
    "stats",
    (stats) => stats.tokensRecomputed,
  ),
  figure("contix_kernel_steps_total", "Steps of the drivers", "stats", (stats) => stats.steps),
  figure(
    "contix_kernel_step_seconds_total",
    "Time in the drivers, all steps",
    "stats",
    (stats) => stats.stepMs / 1000,
  ),
  figure(
    "contix_kernel_context_switches_total",
    "Times that a slot changed its context",
    "stats",
    (stats) => stats.contextSwitches,
  ),
  figure(
    "contix_kernel_driver_restarts_total",
    "Times that a driver was started again",
    "stats",
    (stats) => stats.driverRestarts,
  ),
  figure(
    "contix_kernel_memory_budget_bytes",
    "Memory that all drivers together may take",
    "stats",
    (stats) => stats.memoryBudget,
  ),
  figure(
    "contix_kernel_memory_used_bytes",
    "Memory set aside for the drivers that run",
    "stats",
    (stats) => stats.memoryUsed,
  ),

  perModel("contix_model_up", "1: the model's driver runs", ({ loaded }) => (loaded ? 1 : 0)),
  perModel("contix_model_slots", "Slots of the model", ({ slots }) => slots),
  perModel(
    "contix_model_slots_used",
    "Slots of the model whose context runs",
    ({ slotsUsed }) => slotsUsed,
  ),
  perModel(
    "contix_model_queue_generations",
    "Generations that wait for the model",
    ({ queued }) => queued,
  ),
  perModel(
    "contix_model_memory_bytes",
    "Memory that the model's driver takes",
    ({ memory }) => memory,
  ),
  perModel(
    "contix_model_idle_seconds",
    "Since the model's last use; 0: in use",
    ({ idleMs }) => idleMs / 1000,
  ),
  perModel(
    "contix_model_driver_restarts_total",
    "Times that its driver was started again",
    ({ driverRestarts }) => driverRestarts,
  ),

  perMemory("contix_contexts", "Open contexts", ({ contexts }) => contexts),
  perMemory(
    "contix_context_tokens",
    "Tokens of all contexts, wherever their KV is",
    ({ contextTokens }) => contextTokens,
  ),
  perMemory(
    "contix_entered_tokens_total",
    "Tokens computed, each time",
    ({ tokensEntered }) => tokensEntered,
  ),
  perMemory(
    "contix_recomputed_tokens_total",
    "Of these, computed again because their KV was lost",
    ({ tokensRecomputed }) => tokensRecomputed,
  ),
  perMemory(
    "contix_pages_asked_total",
    "Full pages that contexts needed when they came to a slot",
    ({ pagesAsked }) => pagesAsked,
  ),
  perMemory(
    "contix_pages_found_total",
    "Of these, those that were kept",
    ({ pagesFound }) => pagesFound,
  ),
  perMemory(
    "contix_pages_bad_total",
    "Pages that came back from the swap file other than they were written",
    ({ pagesBad }) => pagesBad,
  ),
  perMemory(
    "contix_pages_refused_total",
    "Pages that were not kept for want of a place",
    ({ pagesRefused }) => pagesRefused,
  ),
  perMemory(
    "contix_swap_errors_total",
    "Reads and writes of the swap file that failed",
    ({ swapErrors }) => swapErrors,
  ),
  perTier(
    "contix_tier_places",
    "Slots, or pages of 16 tokens, that the tier has; dropped has none",
    ({ places }) => places,
  ),
  perTier(
    "contix_tier_used_places",
    "Of these, those in use; of dropped: full pages of contexts that are in no other tier",
    ({ used }) => used,
  ),
  perTier("contix_tier_bytes", "Size of the tier", ({ bytes }) => bytes),
  perTier("contix_tier_used_bytes", "Of these, those in use", ({ bytesUsed }) => bytesUsed),
  perTier(
    "contix_tier_evicted_pages_total",
    "Pages whose place in the tier another took",
    ({ evicted }) => evicted,
  ),

  figure(
    "contix_quota_limit",
    "Limits of the asking key's process and principal, in the quota's own unit; those without are left out",
    "limits",
    (limits) =>
      limits.filter(({ limit }) => Number.isFinite(limit)).map((one) => [one.limit, ofQuota(one)]),
    ["quota", "of"],
  ),
  figure(
    "contix_quota_used",
    "What is in use of these limits; of a rate, of what a second brings",
    "limits",
    (limits) =>
      limits.filter(({ limit }) => Number.isFinite(limit)).map((one) => [one.used, ofQuota(one)]),
    ["quota", "of"],
  ),
  figure(
    "contix_processes",
    "Processes that the asking key sees, by their state",
    "processes",
    (processes) => processes.map(({ state }) => [1, { state }]),
    ["state"],
  ),
  figure(
    "contix_mailbox_messages",
    "Messages in these processes' mailboxes",
    "processes",
    (processes) => processes.reduce((sum, { mail }) => sum + mail, 0),
  ),
  ...(["keys", "processes", "contexts", "tokens"] as const).map((what) =>
    figure(
      `contix_principal_${what === "tokens" ? "context_tokens" : what}`,
      `${what === "tokens" ? "Tokens of the contexts" : `The ${what}`} of each principal; for an administrator's key`,
      "principals",
      (principals) => principals.map((one) => [one[what], { principal: one.name }]),
      ["principal"],
    ),
  ),
];

/** Times, counted in buckets. */
export const KERNEL_SPREADS: readonly Spread[] = [
  {
    name: "contix_kernel_call_seconds",
    help: "From a call's arrival at the kernel to its answer, by the call; what waits by its nature waits here too",
    label: "call",
    read: ({ callTime }) => callTime,
  },
  {
    name: "contix_kernel_slot_wait_seconds",
    help: "How long generations waited for a slot, whichever door they came through",
    label: "",
    read: ({ slotWait }) => (slotWait ? [slotWait] : []),
  },
];

function ofQuota({ quota, of }: Limit): Labels {
  return { quota, of };
}
