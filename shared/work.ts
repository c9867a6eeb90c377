/**
 * One piece of work: what it may use, and the log line, the count and the trace that it leaves.
 *
 * @module
 */

import type { Turn } from "./admission.ts";
import type { Desk } from "./database/client.ts";
import type { Budget } from "./deadline.ts";
import type { Fault } from "./errors.ts";
import type { LogFields } from "./logging.ts";
import type { Runtime } from "./runtime.ts";
import type { ToolContext } from "./tool.ts";
import type { SmsOutcome } from "./twilio.ts";
import { endSpan, newTraceId, type Span } from "./tracing.ts";

const slowDatabaseMs = 500;
const slowTextMs = 2000;

/** What every piece of work may use. A tool call also has its call. */
export type WorkContext = Omit<ToolContext, "call">;

/** Fields of a log line. `tool` is also the label of the count. */
export type WorkName = { readonly function: string; readonly tool: string } & LogFields;

/** The rights of an admitted request. */
export interface Pass {
  readonly budget: Budget;
  readonly turn: Turn;
}

/** A tool call or another message from Vapi that is being answered. */
export class Work {
  readonly context: WorkContext;
  readonly #runtime: Runtime;
  readonly #event: "tool_call" | "message";
  readonly #name: WorkName;
  readonly #startedAt = performance.now();
  /** The calls of the database and the texts, for the trace; empty where nobody receives it. */
  readonly #parts: Span[] = [];
  #databaseMs = 0;
  #databaseCalls = 0;
  #smsMs = 0;
  #orgId: string | undefined;
  #desk: Desk | undefined;

  /** Starts the measurement. */
  constructor(
    runtime: Runtime,
    { budget, turn }: Pass,
    event: "tool_call" | "message",
    name: WorkName,
  ) {
    const { config, accounts, log, database, background, deadlines } = runtime;
    this.#runtime = runtime;
    this.#event = event;
    this.#name = name;
    this.context = {
      ...{ config, accounts, log, budget, deadlines, background },
      database: database.within(budget, {
        called: ({ sqlName, durationMs, failure }) => {
          this.#databaseMs += durationMs;
          this.#databaseCalls++;
          if (!runtime.tracer) return;
          const attributes = { "db.system.name": "postgresql", "db.operation.name": sqlName };
          const startedAt = performance.now() - durationMs;
          this.#parts.push(
            endSpan({ name: `database ${sqlName}`, startedAt, attributes, failure }),
          );
        },
        resolved: (orgId, desk) => {
          this.#orgId = orgId;
          this.#desk = desk ?? this.#desk;
        },
        denied: (orgId) =>
          log.warn("cross_tenant_denied", { ...name, orgId, reason: "secret_of_others" }),
        alarmed: (kind, orgId) => log.error("alarm_raised", { ...name, kind, orgId }),
      }),
      texting: (send) => this.#measureText(() => turn.away(send)),
    };
  }

  async #measureText(send: () => Promise<SmsOutcome>): Promise<SmsOutcome> {
    const startedAt = performance.now();
    let failure: string | undefined = "internal";
    try {
      const sms = await send();
      failure = sms.kind === "failed" ? sms.failure : undefined;
      return sms;
    } finally {
      this.#smsMs += performance.now() - startedAt;
      if (this.#runtime.tracer) {
        this.#parts.push(endSpan({ name: "text", startedAt, attributes: {}, failure }));
      }
    }
  }

  /** Whether the clinic's front desk answers, once the database has said so. */
  get desk(): Desk | undefined {
    return this.#desk;
  }

  /** Logs and counts the outcome. A fault is an outcome that should not happen. */
  record(outcome: string, fault?: Fault): void {
    const totalMs = performance.now() - this.#startedAt;
    this.#count(outcome, totalMs);
    const fields = {
      ...this.#name,
      traceId: this.#endTrace(outcome, fault),
      orgId: this.#orgId,
      outcome,
      totalMs: Math.round(totalMs),
      databaseMs: Math.round(this.#databaseMs),
      databaseCalls: this.#databaseCalls,
      smsMs: Math.round(this.#smsMs),
    };
    const { log } = this.#runtime;
    const isSlow = this.#databaseMs > slowDatabaseMs || this.#smsMs > slowTextMs;
    if (fault) log.error(`${this.#event}_failed`, { ...fields, fault });
    else if (outcome === "cross_tenant_denied") log.warn(outcome, fields);
    else if (isSlow) log.warn(`${this.#event}_slow`, fields);
    else log.info(this.#event, fields);
  }

  /** @returns The id of the trace; undefined where none is written. */
  #endTrace(outcome: string, fault?: Fault): string | undefined {
    const { tracer } = this.#runtime;
    if (!tracer) return undefined;
    const { tool, ...ids } = this.#name;
    const root = endSpan({
      name: `${this.#event} ${tool}`,
      startedAt: this.#startedAt,
      attributes: { ...ids, tool, outcome, orgId: this.#orgId },
      failure: fault?.code,
    });
    const id = newTraceId();
    tracer.add({ id, root, parts: this.#parts });
    return id;
  }

  #count(outcome: string, totalMs: number): void {
    const { recorder } = this.#runtime;
    const { tool } = this.#name;
    if (this.#event === "message") return recorder.message(tool, outcome);
    recorder.toolCall({
      ...{ tool, outcome, totalMs },
      databaseMs: this.#databaseCalls > 0 ? this.#databaseMs : undefined,
      smsMs: this.#smsMs > 0 ? this.#smsMs : undefined,
    });
  }
}
