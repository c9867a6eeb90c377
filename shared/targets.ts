/**
 * The service's targets, and whether the metrics meet them.
 *
 * @module
 */

import { Counters } from "./counters.ts";
import type { Metrics } from "./database/metrics.ts";
import { durationBounds } from "./recording.ts";

/** The figures that have a target. */
export const targetNames = [
  "otp_success_rate",
  "sms_delivery_rate",
  "cross_tenant_denials",
  "tool_p95_ms",
] as const;

/** One figure and its target. */
export interface TargetStanding {
  readonly metric: typeof targetNames[number];
  /** Null when no event has happened from which it could be computed. */
  readonly value: number | null;
  readonly target: number;
  /** Whether the target is met; null when the value is. */
  readonly isMet: boolean | null;
  /** How many events it was computed from. */
  readonly events: number;
}

/**
 * Compares the last minutes with the targets.
 *
 * - More than 95 % of the holds for which a passcode was requested are confirmed. Holds that still wait
 *   for their passcode do not count.
 * - More than 99.5 % of the texts of calls are delivered. Texts that the number refuses, or whose delivery
 *   is not known, do not count.
 * - No call names another organization.
 * - The slowest tool answers 95 of 100 calls within 800 ms.
 */
export function readTargets({ recent, gauges }: Metrics): TargetStanding[] {
  const counters = new Counters(recent);
  const asked = counters.named("otp_requested").sum();
  const confirmed = counters
    .named("audit", { action: "confirm_appointment", outcome: "confirmed" }).sum();
  // A waiting hold may have been asked for before these minutes: never count fewer than were confirmed.
  const settled = Math.max(confirmed, asked - gauges.passcodesWaiting);
  const texts = (result: string) => counters.named("sms", { result }).sum();
  const delivered = texts("delivered");
  const known = delivered + texts("undelivered") + texts("failed");
  const denials = counters.named("audit", { outcome: "cross_tenant_denied" }).sum();
  const calls = counters.named("tool_seconds_bucket", { part: "total" });
  const rate = (part: number, whole: number) => whole > 0 ? part / whole : null;
  const p95 = slowestQuantile(calls, 0.95);
  return [
    standing("otp_success_rate", rate(confirmed, settled), 0.95, (value) => value > 0.95, settled),
    standing("sms_delivery_rate", rate(delivered, known), 0.995, (value) => value > 0.995, known),
    standing("cross_tenant_denials", denials, 0, (value) => value === 0, denials),
    standing("tool_p95_ms", p95, 800, (value) => value < 800, calls.sum()),
  ];
}

function standing(
  metric: TargetStanding["metric"],
  value: number | null,
  target: number,
  isMet: (value: number) => boolean,
  events: number,
): TargetStanding {
  return { metric, value, target, isMet: value === null ? null : isMet(value), events };
}

/** The quantile of the slowest tool in milliseconds, or null when no tool was called. */
function slowestQuantile(buckets: Counters, fraction: number): number | null {
  const quantiles = buckets.byTool().map(([, tool]) => quantileMs(tool, fraction));
  return quantiles.length > 0 ? Math.max(...quantiles) : null;
}

/** A quantile, interpolated within its bucket like in Prometheus; at most the last bound. */
function quantileMs(buckets: Counters, fraction: number): number {
  const rank = fraction * buckets.sum();
  let below = 0;
  let from = 0;
  for (const bound of durationBounds) {
    const count = buckets.where({ le: String(bound) }).sum();
    if (below + count >= rank) return 1000 * (from + (bound - from) * ((rank - below) / count));
    below += count;
    from = bound;
  }
  return 1000 * from;
}
