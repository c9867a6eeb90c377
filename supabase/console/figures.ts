/**
 * How the stack is doing: the figures with a target, tools, holds, alarms and the audit trail. Nothing
 * personal is in them: the database masks numbers before it keeps them there.
 *
 * @module
 */

import { Counters } from "../../shared/counters.ts";
import { readMetrics } from "../../shared/database/metrics.ts";
import { durationBounds } from "../../shared/recording.ts";
import { readTargets, type TargetStanding } from "../../shared/targets.ts";
import type { SwitchedDatabase } from "./database.ts";

const minutes = 60;

/** The figures of the last hour. */
export interface Figures {
  readonly targets: readonly TargetStanding[];
  readonly tools: readonly ToolFigures[];
  /** Tool calls by the minute, oldest first; the last one is the current minute. */
  readonly callsByMinute: readonly number[];
  readonly holds: {
    readonly live: number;
    readonly lapsed: number;
    readonly cleanupLagSeconds: number;
    readonly overlaps: number;
  };
  readonly alarms: readonly {
    readonly clinic: string;
    readonly kind: string;
    readonly events: number;
    readonly at: string;
  }[];
  readonly audit: readonly AuditEntry[];
}

/** How fast a tool was. */
export interface ToolFigures {
  readonly tool: string;
  readonly calls: number;
  /** Half of the calls were answered within this many ms; null if it was longer than any bound. */
  readonly half: number | null;
  /** The same for 95 calls in 100. */
  readonly most: number | null;
}

/** An entry of the audit log. */
export interface AuditEntry {
  readonly id: string;
  readonly at: string;
  readonly clinic: string | null;
  readonly actor: string;
  readonly caller: string | null;
  readonly action: string;
  readonly outcome: string;
}

/**
 * Within how many ms a part of the calls was answered: the bound of its bucket. A value between two bounds
 * would be a guess, which a handful of calls shows to be wrong.
 *
 * @returns Null beyond the last bound.
 */
export function withinMs(buckets: Counters, fraction: number): number | null {
  const rank = fraction * buckets.sum();
  let counted = 0;
  for (const bound of durationBounds) {
    counted += buckets.where({ le: String(bound) }).sum();
    if (counted >= rank) return Math.round(1000 * bound);
  }
  return null;
}

/** Reads the figures. @throws {Refusal} When the database is away. */
export function readFigures(database: SwitchedDatabase): Promise<Figures> {
  return database.ask(async (sql) => {
    const [row] = await sql`select public.read_metrics(${minutes}) as metrics`;
    const metrics = readMetrics.answer.parse(row?.["metrics"]);
    const buckets = new Counters(metrics.recent).named("tool_seconds_bucket", { part: "total" });
    const tools = buckets.byTool().map(([tool, calls]) => ({
      tool,
      calls: calls.sum(),
      half: withinMs(calls, 0.5),
      most: withinMs(calls, 0.95),
    }));
    const [byMinute, alarms, audit] = await Promise.all([
      sql<{ calls: number }[]>`
        select coalesce(sum(m.value), 0)::float8 as calls
        from generate_series(0, ${minutes - 1}) as n
        left join public.metric_minutes as m on m.name = 'tool_calls'
          and m.minute = date_trunc('minute', clock_timestamp()) - make_interval(mins => n)
        group by n order by n desc`,
      sql<Figures["alarms"][number][]>`
        select o.name as clinic, a.kind, a.events, a.raised_at as at
        from public.alarms as a join public.organizations as o on o.id = a.org_id
        order by a.raised_at desc limit 10`,
      sql<AuditEntry[]>`
        select l.id, l.at, o.name as clinic, l.actor, l.caller_masked as caller, l.action, l.outcome
        from public.audit_logs as l left join public.organizations as o on o.id = l.org_id
        order by l.at desc limit 30`,
    ]);
    const { holdsLive: live, holdsLapsed: lapsed, cleanupLagSeconds, overlaps } = metrics.gauges;
    return {
      targets: readTargets(metrics),
      tools: tools.sort((one, other) => other.calls - one.calls),
      callsByMinute: byMinute.map(({ calls }) => calls),
      holds: { live, lapsed, cleanupLagSeconds, overlaps },
      ...{ alarms, audit },
    };
  });
}
