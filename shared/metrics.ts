/**
 * The metrics in Prometheus' text format 0.0.4.
 *
 * The database counts by short names; here they get the names, units and help that operators read.
 *
 * @module
 */

import { matching, sum } from "./counters.ts";
import type { Counter, Metrics } from "./database/metrics.ts";
import { durationBounds } from "./recording.ts";
import { smsFailures } from "./twilio.ts";

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
