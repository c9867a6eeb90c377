/**
 * How the metrics stand against their targets.
 *
 * @module
 */

import { matching, sum } from "./counters.ts";
import type { Counter, Metrics } from "./database/metrics.ts";
import { durationBounds } from "./recording.ts";

/** Figures that have a target. */
export const targetNames = [
  "otp_success_rate",
  "sms_delivery_rate",
  "cross_tenant_denials",
  "tool_p95_ms",
] as const;

/** How one of them stands. */
export interface TargetStanding {
  readonly metric: typeof targetNames[number];
  /** Null when nothing happened that it could be made of. */
  readonly value: number | null;
  readonly target: number;
  /** The target is a floor or a ceiling, or what it must be exactly. */
  readonly isMet: boolean | null;
  /** Of how many events it was made. */
  readonly events: number;
}

/**
 * How the last minutes stand against the targets: more than 95 % of the holds a passcode was asked
 * for are confirmed, more than 99.5 % of the texts are delivered that did not fail at their number
 * and whose fate is known, nothing reaches for another organization, 95 of 100 calls of the slowest
 * tool are answered within 800 ms.
 *
 * A hold that still waits for its passcode counts neither way.
 */
export function readTargets({ recent, gauges }: Metrics): TargetStanding[] {
  const asked = sum(recent, "otp_requested", {});
  const confirmed = sum(recent, "audit", { action: "confirm_appointment", outcome: "confirmed" });
  // What waits may have been asked for before these minutes: never more failures than asked for.
  const settled = Math.max(confirmed, asked - gauges.passcodesWaiting);
  const texts = (result: string) => sum(recent, "sms", { result });
  const delivered = texts("delivered");
  // A number that takes no texts is refused at once, and says nothing about the delivery.
  const known = delivered + texts("undelivered") + texts("failed");
  const calls = sum(recent, "tool_seconds_bucket", { part: "total" });
  const denials = sum(recent, "audit", { outcome: "cross_tenant_denied" });
  const rate = (part: number, whole: number) => whole > 0 ? part / whole : null;
  const standing = (
    metric: TargetStanding["metric"],
    value: number | null,
    target: number,
    isMet: (value: number) => boolean,
    events: number,
  ): TargetStanding => ({
    metric,
    value,
    target,
    isMet: value === null ? null : isMet(value),
    events,
  });
  return [
    standing(
      "otp_success_rate",
      rate(confirmed, settled),
      0.95,
      (value) => value > 0.95,
      settled,
    ),
    standing("sms_delivery_rate", rate(delivered, known), 0.995, (value) => value > 0.995, known),
    standing("cross_tenant_denials", denials, 0, (value) => value === 0, denials),
    standing("tool_p95_ms", slowestQuantile(recent, 0.95), 800, (value) => value < 800, calls),
  ];
}

/** The quantile of the slowest tool in milliseconds; null when no tool was called. */
function slowestQuantile(counters: readonly Counter[], fraction: number): number | null {
  const buckets = matching(counters, "tool_seconds_bucket", { part: "total" });
  const tools = Map.groupBy(buckets, ({ labels }) => labels["tool"]);
  const quantiles = [...tools.values()].map((tool) => quantile(tool, fraction));
  return quantiles.length > 0 ? Math.max(...quantiles) : null;
}

/** A quantile by straight lines inside the buckets; beyond the last bound that bound, as Prometheus. */
function quantile(buckets: readonly Counter[], fraction: number): number {
  const all = sum(buckets, "tool_seconds_bucket", {});
  const rank = fraction * all;
  let below = 0;
  let from: number = 0;
  for (const bound of durationBounds) {
    const count = sum(buckets, "tool_seconds_bucket", { le: String(bound) });
    if (below + count >= rank) return 1000 * (from + (bound - from) * ((rank - below) / count));
    below += count;
    from = bound;
  }
  return 1000 * from;
}
