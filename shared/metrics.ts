/**
 * The metrics in Prometheus' text format 0.0.4.
 *
 * The database uses short names. This module adds the names, units and help that operators read.
 *
 * @module
 */

import { type Count, Counters } from "./counters.ts";
import type { Metrics } from "./database/metrics.ts";
import { durationBounds } from "./recording.ts";
import { smsFailures } from "./twilio.ts";

/** `Content-Type` of the text format. */
export const exposition = "text/plain; version=0.0.4; charset=utf-8";

const prefix = "master_orchestrator";
const textResults = ["accepted", "delivered", "undelivered", "refused", "failed", "unknown"];
const followUpResults = ["confirmed", "moved", "cancelled"];
const webhookResults = ["delivered", "waiting", "failed"];
const alarmKinds = [
  ...["wrong_codes", "refused_sends", "other_numbers", "calendar_unread", "calendar_overlap"],
  "webhook_failed",
];

interface Sample extends Partial<Count> {
  /** Added to the family's name: blank, `_bucket`, `_sum` or `_count`. */
  readonly suffix?: string;
  readonly value: number;
}

interface Family {
  readonly name: string;
  readonly type: "counter" | "gauge" | "histogram";
  readonly help: string;
  readonly samples: readonly Sample[];
}

/** Writes all metrics. Each family has help and type, and samples are in a stable order. */
export function toPrometheus({ totals, gauges }: Metrics): string {
  const counters = new Counters(totals);
  return [
    ...describeTools(counters),
    ...describePasscodes(counters, gauges),
    ...describeTexts(counters),
    ...describeSafety(counters),
    ...describeHolds(gauges),
    ...describeFollowUps(counters, gauges),
    counter(
      "webhooks",
      "Attempts to tell an endpoint what has happened, by result: delivered, waiting for another " +
        "attempt, or failed for good.",
      withZeros(counters.named("webhooks").by("result"), "result", webhookResults),
    ),
  ].map(writeFamily).join("");
}

function describeTools(counters: Counters): Family[] {
  return [
    counter(
      "tool_calls",
      "Answered tool calls by outcome.",
      counters.named("tool_calls").each(),
    ),
    counter(
      "messages",
      "Vapi's other messages by type and outcome.",
      counters.named("messages").each(),
    ),
    histogram(
      "tool_duration",
      "Time from the arrival of a tool call to its answer.",
      counters.where({ part: "total" }),
    ),
    histogram(
      "tool_database",
      "The database's part of a tool call.",
      counters.where({ part: "database" }),
    ),
    histogram("tool_sms", "Twilio's part of a tool call.", counters.where({ part: "sms" })),
  ];
}

function describePasscodes(counters: Counters, gauges: Metrics["gauges"]): Family[] {
  const confirmed = { action: "confirm_appointment", outcome: "confirmed" };
  const cleared = { action: "send_otp", outcome: "cleared" };
  return [
    counter(
      "otp_requested",
      "Holds for which a passcode was requested, each counted once, however many texts were sent.",
      total(counters.named("otp_requested")),
    ),
    counter(
      "otp_confirmed",
      "Holds confirmed by a passcode.",
      total(counters.named("audit", confirmed)),
    ),
    gauge(
      "otp_waiting",
      "Live holds for which a passcode was requested and not yet given; stops at 10000.",
      gauges.passcodesWaiting,
    ),
    counter(
      "otp_verifications",
      "Passcodes compared, by outcome.",
      counters.named("audit", { action: "verify_otp" }).by("outcome"),
    ),
    counter(
      "otp_rollbacks",
      "Stored passcodes deleted because their text failed, by reason.",
      withZeros(counters.named("audit", cleared).by("reason"), "reason", smsFailures),
    ),
  ];
}

function describeTexts(counters: Counters): Family[] {
  return [
    counter(
      "sms",
      "Texts by result: accepted, then delivered or undelivered; refused by the destination, before " +
        "or after acceptance; failed at the provider; unknown.",
      withZeros(counters.named("sms").by("result"), "result", textResults),
    ),
    counter(
      "appointment_texts",
      "Texts about appointments by kind and result, which is as for the other texts.",
      counters.named("appointment_texts").by("kind", "result"),
    ),
    counter(
      "text_answers",
      "Texts from patients by outcome, such as confirmed, cancelled or unclear.",
      counters.named("text_answers").by("outcome"),
    ),
  ];
}

function describeSafety(counters: Counters): Family[] {
  return [
    counter(
      "alarms",
      "Alarms by kind: too many wrong codes or refused texts in one organization, or a doctor's own " +
        "calendar that could not be read or overlaps appointments, or an endpoint that failed.",
      withZeros(counters.named("alarms").each(), "kind", alarmKinds),
    ),
    counter(
      "cross_tenant_denials",
      "Calls refused because an argument named another organization.",
      total(counters.named("audit", { outcome: "cross_tenant_denied" })),
    ),
    counter(
      "authentication_failures",
      "Requests with a wrong secret or none, by function.",
      counters.named("authentication_failures").each(),
    ),
    counter(
      "audited",
      "Rows written to the audit log by action and outcome.",
      counters.named("audit").by("action", "outcome"),
    ),
  ];
}

function describeHolds(gauges: Metrics["gauges"]): Family[] {
  return [
    gauge("holds_live", "Holds that wait for their passcode; stops at 10000.", gauges.holdsLive),
    gauge(
      "holds_lapsed",
      "Expired holds that are not cleaned up yet; stops at 10000.",
      gauges.holdsLapsed,
    ),
    gauge(
      "cleanup_lag_seconds",
      "Seconds since the expiry of the oldest hold that is not cleaned up yet.",
      gauges.cleanupLagSeconds,
    ),
    gauge(
      "overlaps",
      "Live appointments that overlap another one of their provider; stops at 10000.",
      gauges.overlaps,
    ),
    gauge(
      "index_rows_lost",
      "Appointments found missing from the index of the overlap constraint in the last day, " +
        "including repaired ones; stops at 10000.",
      gauges.indexRowsLost,
    ),
  ];
}

function describeFollowUps(counters: Counters, gauges: Metrics["gauges"]): Family[] {
  const resolved = counters.named("follow_ups_resolved").by("result");
  const waited = counters.named("follow_ups_wait_seconds").by("result");
  return [
    gauge(
      "follow_ups_open",
      "Holds to come that ran out of passcodes and wait for the front desk; stops at 10000.",
      gauges.followUpsOpen,
    ),
    gauge(
      "follow_ups_kept",
      "Those of them whose time is still kept; stops at 10000.",
      gauges.followUpsKept,
    ),
    gauge(
      "follow_ups_lag_seconds",
      "Seconds that the oldest of them has waited.",
      gauges.followUpsLagSeconds,
    ),
    counter(
      "follow_ups_resolved",
      "Holds that ran out of passcodes and were resolved at the front desk, by result.",
      withZeros(resolved, "result", followUpResults),
    ),
    counter(
      "follow_ups_wait_seconds",
      "Seconds that they had waited, added up, by result.",
      withZeros(waited, "result", followUpResults),
    ),
  ];
}

function counter(name: string, help: string, samples: readonly Sample[]): Family {
  return { name: `${prefix}_${name}_total`, type: "counter", help, samples };
}

function gauge(name: string, help: string, value: number): Family {
  return { name: `${prefix}_${name}`, type: "gauge", help, samples: [{ value }] };
}

function total(counters: Counters): Sample[] {
  return [{ value: counters.sum() }];
}

/** Adds values of a label with 0, so that `increase()` sees the first event of a counter. */
function withZeros(
  samples: readonly Sample[],
  label: string,
  values: readonly string[],
): Sample[] {
  const present = new Set(samples.map(({ labels }) => labels?.[label]));
  const missing = values.filter((value) => !present.has(value));
  return [...samples, ...missing.map((value) => ({ labels: { [label]: value }, value: 0 }))];
}

function histogram(name: string, help: string, counters: Counters): Family {
  const tools = counters.named("tool_seconds_bucket").byTool()
    .sort(([first], [second]) => first < second ? -1 : 1);
  const samples = tools.flatMap(([tool, buckets]): Sample[] => {
    let count = 0;
    const cumulated = [...durationBounds.map(String), "+Inf"].map((le): Sample => {
      count += buckets.where({ le }).sum();
      return { suffix: "_bucket", labels: { tool, le }, value: count };
    });
    const seconds = counters.named("tool_seconds_sum", { tool }).sum();
    return [
      ...cumulated,
      { suffix: "_sum", labels: { tool }, value: seconds },
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
