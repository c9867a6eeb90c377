/**
 * Counts what the functions answered, after the answer has been sent.
 *
 * The isolate adds counts up and sends them in batches, a second after the first count, kept alive by
 * `EdgeRuntime.waitUntil`. Nothing here delays an answer or makes one fail. An isolate that ends
 * loses what it had not sent. A batch has an id and does not change after its first attempt, so it
 * counts once even if its acknowledgement was lost.
 *
 * @module
 */

import type { Counter } from "./database/metrics.ts";
import type { Log } from "./logging.ts";

/** Upper bounds of the histograms in seconds; 0.8 is the target of a tool's p95. */
export const durationBounds = [0.01, 0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4] as const;

/** One answered tool call. */
export interface RecordedCall {
  readonly tool: string;
  readonly outcome: string;
  readonly totalMs: number;
  /** Missing when the part did not happen. */
  readonly databaseMs?: number;
  readonly smsMs?: number;
}

/** Takes counts. No method throws, and only `flush` waits. */
export interface Recorder {
  toolCall(call: RecordedCall): void;
  /** A message that is not a tool call; nobody waits for its answer. */
  message(type: string, outcome: string): void;
  /** A request with a wrong secret or none. */
  authenticationFailure(functionName: string): void;
  /** Sends what was counted so far. Never rejects; what cannot be sent is kept for the next attempt. */
  flush(): Promise<void>;
}

/** Sends one batch; rejects when it may not have arrived. */
export type SendCounts = (batchId: string, counts: readonly Counter[]) => Promise<void>;

/** How long a recorder waits and how much it keeps. */
export interface RecorderOptions {
  /** Milliseconds from a count to its batch; doubled after each failed attempt. */
  readonly delayMs?: number;
  /** After this many failed attempts a batch is dropped. */
  readonly attempts?: number;
  /** How many different counters are kept; further ones are dropped. */
  readonly counterLimit?: number;
}

/** A batch that is being sent: its counts no longer change. */
interface Batch {
  readonly id: string;
  readonly counts: readonly Counter[];
  failures: number;
}

/** Makes the recorder of an isolate. */
export function createRecorder(
  send: SendCounts,
  log: Log,
  { delayMs = 1000, attempts = 5, counterLimit = 2000 }: RecorderOptions = {},
): Recorder {
  let open = new Map<string, Counter>();
  let dropped = 0;
  let batch: Batch | undefined;
  let isScheduled = false;
  let sending: Promise<void> | undefined;

  function add(name: string, labels: Counter["labels"], value: number): void {
    const key = JSON.stringify([name, labels]);
    const known = open.get(key);
    if (!known && open.size >= counterLimit) {
      dropped++;
      return;
    }
    open.set(key, { name, labels, value: (known?.value ?? 0) + value });
  }

  function observe(tool: string, part: string, durationMs: number): void {
    const seconds = durationMs / 1000;
    const bound = durationBounds.find((bound) => seconds <= bound);
    add("tool_seconds_bucket", { tool, part, le: bound === undefined ? "+Inf" : String(bound) }, 1);
    add("tool_seconds_sum", { tool, part }, seconds);
  }

  function schedule(): void {
    if (isScheduled) return;
    isScheduled = true;
    const waitMs = delayMs * 2 ** (batch?.failures ?? 0);
    keepAlive(
      new Promise((resolve) => setTimeout(resolve, waitMs)).then(async () => {
        isScheduled = false;
        await flush();
        if (batch || open.size > 0) schedule();
      }),
    );
  }

  function flush(): Promise<void> {
    return sending ??= sendBatch().finally(() => sending = undefined);
  }

  async function sendBatch(): Promise<void> {
    if (dropped > 0) {
      log.error("recording_dropped", { counts: dropped, reason: "too many different counters" });
      dropped = 0;
    }
    if (!batch && open.size > 0) {
      batch = { id: crypto.randomUUID(), counts: [...open.values()], failures: 0 };
      open = new Map();
    }
    const current = batch;
    if (!current) return;
    try {
      await send(current.id, current.counts);
      batch = undefined;
    } catch (fault) {
      current.failures++;
      const { id: batchId, counts, failures } = current;
      const facts = { batchId, counts: counts.length, attempt: failures };
      if (failures < attempts) return log.warn("recording_delayed", { ...facts, fault });
      log.error("recording_dropped", { ...facts, reason: "no attempt succeeded", fault });
      batch = undefined;
    }
  }

  return {
    toolCall: ({ tool, outcome, totalMs, databaseMs, smsMs }) => {
      add("tool_calls", { tool, outcome }, 1);
      observe(tool, "total", totalMs);
      if (databaseMs !== undefined) observe(tool, "database", databaseMs);
      if (smsMs !== undefined) observe(tool, "sms", smsMs);
      schedule();
    },
    message: (type, outcome) => {
      add("messages", { type, outcome }, 1);
      schedule();
    },
    authenticationFailure: (functionName) => {
      add("authentication_failures", { function: functionName }, 1);
      schedule();
    },
    flush,
  };
}

/**
 * Asks hosted Supabase to keep the isolate until the work is done. Elsewhere the promise is enough.
 */
function keepAlive(work: Promise<void>): void {
  const edge: unknown = Reflect.get(globalThis, "EdgeRuntime");
  if (
    typeof edge === "object" && edge !== null && "waitUntil" in edge &&
    typeof edge.waitUntil === "function"
  ) {
    try {
      edge.waitUntil(work);
    } catch {
      // Counting must never make a response fail.
    }
  }
}
