/**
 * The metrics in Prometheus' text format 0.0.4, and how they stand against their targets.
 *
 * The database counts by short names; here they get the names, units and help that operators read.
 *
 * @module
 */

import type { Counter, Metrics } from "./database/metrics.ts";
import { durationBounds } from "./recording.ts";
import { smsFailures } from "./sms.ts";

/** `Content-Type` of the text format. */
export const exposition = "text/plain; version=0.0.4; charset=utf-8";

const prefix = "master_orchestrator";
const textResults = ["accepted", "delivered", "undelivered", "refused", "failed", "unknown"];

interface Sample {
  /** Behind the family's name: blank, `_bucket`, `_sum` or `_count`. */
  readonly suffix?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly value: number;
}

interface Family {
  readonly name: string;
  readonly type: "counter" | "gauge" | "histogram";
  readonly help: string;
  readonly samples: readonly Sample[];
}

/** Writes all metrics, each family with its help and type, samples in a stable order. */
export function toPrometheus(metrics: Metrics): string {
  return familiesOf(metrics).map(writeFamily).join("");
}

function familiesOf({ totals, gauges }: Metrics): Family[] {
  const counted = (name: string, labels: Counter["labels"] = {}) => sum(totals, name, labels);
  const each = (name: string): Sample[] =>
    totals.filter((counter) => counter.name === name)
      .map(({ labels, value }) => ({ labels, value }));
  const gauge = (name: string, help: string, value: number): Family => ({
    name: `${prefix}_${name}`,
    type: "gauge",
    help,
    samples: [{ value }],
  });
  const counter = (name: string, help: string, samples: readonly Sample[]): Family => ({
    name: `${prefix}_${name}_total`,
    type: "counter",
    help,
    samples,
  });
  const one = (name: string, help: string, value: number) => counter(name, help, [{ value }]);
  return [
    counter("tool_calls", "Answered tool calls by outcome.", each("tool_calls")),
    counter("messages", "Vapi's other messages by type and outcome.", each("messages")),
    histogram(
      totals,
      "total",
      "tool_duration",
      "Time from the arrival of a tool call to its answer.",
    ),
    histogram(totals, "database", "tool_database", "The database's part of a tool call."),
    histogram(totals, "sms", "tool_sms", "Twilio's part of a tool call."),
    one(
      "otp_requested",
      "Holds a passcode was asked for, each once however many texts it took.",
      counted("otp_requested"),
    ),
    one(
      "otp_confirmed",
      "Holds confirmed by their passcode.",
      counted("audit", { action: "confirm_appointment", outcome: "confirmed" }),
    ),
    gauge(
      "otp_waiting",
      "Live holds a passcode was asked for and not yet given; stops at 10000.",
      gauges.passcodesWaiting,
    ),
    counter(
      "otp_verifications",
      "Codes compared by outcome.",
      byLabel(totals, "audit", { action: "verify_otp" }, "outcome"),
    ),
    counter(
      "otp_rollbacks",
      "Stored codes forgotten because their text failed, by reason.",
      withZeros(
        byLabel(totals, "audit", { action: "send_otp", outcome: "cleared" }, "reason"),
        "reason",
        smsFailures,
      ),
    ),
    counter(
      "sms",
      "Texts by what became of them: accepted, then delivered or undelivered; refused by its " +
        "destination; failed at the provider; unknown.",
      withZeros(byLabel(totals, "sms", {}, "result"), "result", textResults),
    ),
    counter(
      "alarms",
      "Alarms raised by kind: too many wrong codes or refused texts in one organization.",
      withZeros(each("alarms"), "kind", ["wrong_codes", "refused_sends"]),
    ),
    one(
      "cross_tenant_denials",
      "Calls refused because an argument named another organization.",
      counted("audit", { outcome: "cross_tenant_denied" }),
    ),
    counter(
      "authentication_failures",
      "Requests with a wrong secret or none, by function.",
      each("authentication_failures"),
    ),
    counter(
      "audited",
      "Rows written to the audit log by action and outcome.",
      mergeBy(totals, "audit", ["action", "outcome"]),
    ),
    gauge("holds_live", "Holds that wait for their passcode; stops at 10000.", gauges.holdsLive),
    gauge(
      "holds_lapsed",
      "Holds past their time that the clean-up has not flipped yet; stops at 10000.",
      gauges.holdsLapsed,
    ),
    gauge(
      "cleanup_lag_seconds",
      "Age of the oldest lapsed hold that the clean-up has not flipped yet.",
      gauges.cleanupLagSeconds,
    ),
  ];
}

/** The sum of the counters of a name that carry these labels. */
function sum(
  counters: readonly Counter[],
  name: string,
  labels: Counter["labels"],
): number {
  return matching(counters, name, labels).reduce((total, { value }) => total + value, 0);
}

function matching(counters: readonly Counter[], name: string, labels: Counter["labels"]) {
  const wanted = Object.entries(labels);
  return counters.filter((counter) =>
    counter.name === name && wanted.every(([label, value]) => counter.labels[label] === value)
  );
}

/** Values a label can have: a counter that starts at 0 shows its first event to `increase()`. */
function withZeros(
  samples: readonly Sample[],
  label: string,
  values: readonly string[],
): Sample[] {
  const present = new Set(samples.map(({ labels }) => labels?.[label]));
  const missing = values.filter((value) => !present.has(value));
  return [...samples, ...missing.map((value) => ({ labels: { [label]: value }, value: 0 }))];
}

function byLabel(
  counters: readonly Counter[],
  name: string,
  labels: Counter["labels"],
  label: string,
): Sample[] {
  return mergeBy(matching(counters, name, labels), name, [label]);
}

/** Sums counters that agree in the labels that are kept. */
function mergeBy(counters: readonly Counter[], name: string, kept: readonly string[]): Sample[] {
  const groups = Map.groupBy(
    matching(counters, name, {}),
    ({ labels }) => JSON.stringify(kept.map((label) => labels[label] ?? "")),
  );
  return [...groups.values()].map((group) => ({
    labels: Object.fromEntries(kept.map((label) => [label, group[0]?.labels[label] ?? ""])),
    value: group.reduce((total, { value }) => total + value, 0),
  }));
}

function histogram(
  counters: readonly Counter[],
  part: string,
  name: string,
  help: string,
): Family {
  const buckets = matching(counters, "tool_seconds_bucket", { part });
  const tools = [...new Set(buckets.map(({ labels }) => labels["tool"] ?? ""))].sort();
  const samples = tools.flatMap((tool): Sample[] => {
    let count = 0;
    const cumulated = [...durationBounds.map(String), "+Inf"].map((le): Sample => {
      count += sum(buckets, "tool_seconds_bucket", { tool, le });
      return { suffix: "_bucket", labels: { tool, le }, value: count };
    });
    return [
      ...cumulated,
      {
        suffix: "_sum",
        labels: { tool },
        value: sum(counters, "tool_seconds_sum", { tool, part }),
      },
      { suffix: "_count", labels: { tool }, value: count },
    ];
  });
  return { name: `${prefix}_${name}_seconds`, type: "histogram", help, samples };
}

function writeFamily({ name, type, help, samples }: Family): string {
  const lines = samples.map(({ suffix = "", labels = {}, value }) =>
    `${name}${suffix}${writeLabels(labels)} ${value}\n`
  );
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join("")}`;
}

function writeLabels(labels: Readonly<Record<string, string>>): string {
  const written = Object.entries(labels).map(([label, value]) => `${label}="${escape(value)}"`);
  return written.length === 0 ? "" : `{${written.join(",")}}`;
}

function escape(value: string): string {
  return value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}

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
