/**
 * Counts what the functions answered, after the answer has been sent.
 *
 * The isolate adds up counts and sends them in a batch, one second after the first count.
 * `EdgeRuntime.waitUntil` keeps it alive for that. Counting never delays an answer or makes it fail.
 * An isolate that is killed loses the counts it has not sent. A batch has an id and does not change
 * after its first attempt, so it counts once even if the acknowledgement was lost.
 *
 * @module
 */

import { keepAlive } from "./background.ts";
import type { Counter } from "./database/metrics.ts";
import type { Log } from "./logging.ts";

/** Upper bounds of the histograms in seconds. 0.8 is the target for a tool's p95. */
export const durationBounds = [0.01, 0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4] as const;

/** One answered tool call. */
export interface RecordedCall {
  readonly tool: string;
  readonly outcome: string;
  readonly totalMs: number;
  /** Undefined when this part did not happen. */
  readonly databaseMs?: number | undefined;
  readonly smsMs?: number | undefined;
}

/** Sends one batch. Rejects when the batch may not have arrived. */
export type SendCounts = (batchId: string, counts: readonly Counter[]) => Promise<void>;

/** How long a recorder waits and how much it holds. */
export interface RecorderOptions {
  /** Milliseconds from a count to its batch, doubled after each failed attempt. */
  readonly delayMs?: number;
  /** A batch is dropped after this many failed attempts. */
  readonly attempts?: number;
  /** How many different counters are held; further ones are dropped. */
  readonly counterLimit?: number;
}

/** A batch that is being sent. Its counts no longer change. */
interface Batch {
  readonly id: string;
  readonly counts: readonly Counter[];
  failures: number;
}

/** Collects the counts of an isolate. No method throws, and only `flush` waits. */
export class Recorder {
  readonly #send: SendCounts;
  readonly #log: Log;
  readonly #options: Required<RecorderOptions>;
  /** Counts since the last batch, by name and labels. */
  #open = new Map<string, Counter>();
  #dropped = 0;
  #batch: Batch | undefined;
  #isScheduled = false;
  #sending: Promise<void> | undefined;

  constructor(
    send: SendCounts,
    log: Log,
    { delayMs = 1000, attempts = 5, counterLimit = 2000 }: RecorderOptions = {},
  ) {
    this.#send = send;
    this.#log = log;
    this.#options = { delayMs, attempts, counterLimit };
  }

  /** An answered tool call. */
  toolCall({ tool, outcome, totalMs, databaseMs, smsMs }: RecordedCall): void {
    this.#add("tool_calls", { tool, outcome }, 1);
    this.#observe(tool, "total", totalMs);
    if (databaseMs !== undefined) this.#observe(tool, "database", databaseMs);
    if (smsMs !== undefined) this.#observe(tool, "sms", smsMs);
  }

  /** A message that is not a tool call. Nobody waits for its answer. */
  message(type: string, outcome: string): void {
    this.#add("messages", { type, outcome }, 1);
  }

  /** A request with a wrong secret or none. */
  authenticationFailure(functionName: string): void {
    this.#add("authentication_failures", { function: functionName }, 1);
  }

  /** Sends the counts so far. Never rejects; what fails is kept for the next attempt. */
  flush(): Promise<void> {
    return this.#sending ??= this.#sendBatch().finally(() => this.#sending = undefined);
  }

  #observe(tool: string, part: string, durationMs: number): void {
    const seconds = durationMs / 1000;
    const bound = durationBounds.find((bound) => seconds <= bound);
    const le = bound === undefined ? "+Inf" : String(bound);
    this.#add("tool_seconds_bucket", { tool, part, le }, 1);
    this.#add("tool_seconds_sum", { tool, part }, seconds);
  }

  #add(name: string, labels: Counter["labels"], value: number): void {
    const key = JSON.stringify([name, labels]);
    const known = this.#open.get(key);
    if (known || this.#open.size < this.#options.counterLimit) {
      this.#open.set(key, { name, labels, value: (known?.value ?? 0) + value });
    } else this.#dropped++;
    this.#schedule();
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    const waitMs = this.#options.delayMs * 2 ** (this.#batch?.failures ?? 0);
    keepAlive(
      new Promise((resolve) => setTimeout(resolve, waitMs)).then(async () => {
        this.#isScheduled = false;
        await this.flush();
        if (this.#batch || this.#open.size > 0) this.#schedule();
      }),
    );
  }

  async #sendBatch(): Promise<void> {
    if (this.#dropped > 0) {
      const reason = "too many different counters";
      this.#log.error("recording_dropped", { counts: this.#dropped, reason });
      this.#dropped = 0;
    }
    if (!this.#batch && this.#open.size > 0) {
      this.#batch = { id: crypto.randomUUID(), counts: [...this.#open.values()], failures: 0 };
      this.#open = new Map();
    }
    const batch = this.#batch;
    if (!batch) return;
    try {
      await this.#send(batch.id, batch.counts);
      this.#batch = undefined;
    } catch (fault) {
      this.#fail(batch, fault);
    }
  }

  #fail(batch: Batch, fault: unknown): void {
    batch.failures++;
    const facts = { batchId: batch.id, counts: batch.counts.length, attempt: batch.failures };
    if (batch.failures < this.#options.attempts) {
      this.#log.warn("recording_delayed", { ...facts, fault });
    } else {
      this.#log.error("recording_dropped", { ...facts, reason: "no attempt succeeded", fault });
      this.#batch = undefined;
    }
  }
}
