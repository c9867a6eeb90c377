/**
 * One piece of work: what it may use, and the one log line and the one count that it leaves.
 *
 * @module
 */

import type { Budget } from "./deadline.ts";
import type { Fault } from "./errors.ts";
import type { LogFields } from "./logging.ts";
import type { Runtime } from "./runtime.ts";
import type { ToolContext } from "./tool.ts";

const slowDatabaseMs = 500;
const slowTextMs = 2000;

/** What every piece of work may use; a tool call also has its call. */
export type WorkContext = Omit<ToolContext, "call">;

/** A tool call or another message of Vapi's that is being answered. */
export interface Work {
  readonly context: WorkContext;
  /** Writes what came of it; a fault is an outcome that should not happen. */
  record(outcome: string, fault?: Fault): void;
}

/**
 * Begins to measure a piece of work.
 *
 * @param named Fields of its log line; `tool` is also the label of its count.
 */
export function openWork(
  { config, accounts, log, database, recorder }: Runtime,
  budget: Budget,
  event: "tool_call" | "message",
  named: { readonly function: string; readonly tool: string } & LogFields,
): Work {
  const startedAt = performance.now();
  const measured = { databaseMs: 0, databaseCalls: 0, smsMs: 0 };
  let orgId: string | undefined;
  const observer = {
    called: (durationMs: number) => {
      measured.databaseMs += durationMs;
      measured.databaseCalls++;
    },
    resolved: (id: string) => orgId = id,
    alarmed: (kind: string, id: string) => log.error("alarm_raised", { ...named, kind, orgId: id }),
  };
  return {
    context: {
      config,
      accounts,
      log,
      budget,
      database: database.within(budget, observer),
      onText: (durationMs) => measured.smsMs += durationMs,
    },
    record: (outcome, fault) => {
      const { databaseMs, databaseCalls, smsMs } = measured;
      const totalMs = performance.now() - startedAt;
      if (event === "message") recorder.message(named.tool, outcome);
      else {
        recorder.toolCall({
          tool: named.tool,
          outcome,
          totalMs,
          ...(databaseCalls > 0 ? { databaseMs } : {}),
          ...(smsMs > 0 ? { smsMs } : {}),
        });
      }
      const fields = {
        ...named,
        orgId,
        outcome,
        totalMs: Math.round(totalMs),
        databaseMs: Math.round(databaseMs),
        databaseCalls,
        smsMs: Math.round(smsMs),
      };
      if (fault) log.error(`${event}_failed`, { ...fields, fault });
      else if (outcome === "cross_tenant_denied") log.warn(outcome, fields);
      else if (databaseMs > slowDatabaseMs || smsMs > slowTextMs) log.warn(`${event}_slow`, fields);
      else log.info(event, fields);
    },
  };
}
