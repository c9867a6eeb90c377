/**
 * The end of a call: its holds are released, its report is stored without personal data, and a caller
 * who was cut off before the passcode may get one text.
 *
 * @module
 */

import { endCall, type EndedCallOutcome, type KeptReport } from "./database/calls.ts";
import { settleFollowUp, type TextResult } from "./database/texts.ts";
import { callbackOf } from "./delivery_reports.ts";
import { isName } from "./given.ts";
import { type KnownFacts, redact, redactCall } from "./redaction.ts";
import { composeFollowUp, resultOf, sendText, type TextingTools } from "./texting.ts";
import type { Envelope, SpokenReport } from "./vapi.ts";

/** How much of a transcript is read, in characters. An hour of talk has about 60,000. */
const transcriptLimit = 120_000;
const summaryLimit = 10_000;
/** Dropped at the end of a cut text, because a number that is cut in two cannot be recognized. */
const seam = 1000;
/** A follow-up is useless the next day. */
const followUpValiditySeconds = 4 * 3600;

/**
 * Closes a call, once, however often and in whatever order Vapi reports its end.
 *
 * @param report What was said. It is redacted before it leaves this function.
 */
export async function closeCall(
  tools: TextingTools,
  envelope: Envelope,
  endedReason: string | undefined,
  report?: SpokenReport,
): Promise<EndedCallOutcome["outcome"]> {
  const sendId = crypto.randomUUID();
  const end = (kept?: KeptReport) =>
    endCall(tools.database, envelope, {
      endedReason: endedReason && redact(endedReason.slice(0, 100)).text,
      report: kept,
      sendId,
    });
  // Read what is known of the call first, so that the redaction can find it in the report.
  const { outcome, followUp, known } = await end();
  const filed = report && known ? await end(redactReport(report, envelope, known)) : undefined;
  const due = followUp ?? filed?.followUp;
  if (due) {
    const became = await sendFollowUp(tools, envelope, sendId, due);
    await settleFollowUp(tools.database, envelope, sendId, became);
  }
  return filed?.outcome ?? outcome;
}

/** The report in the form in which it may be stored. */
function redactReport(
  { transcript, summary, durationSeconds, cost, given }: SpokenReport,
  { callerNumber }: Envelope,
  known: KnownFacts,
): KeptReport {
  const told = given.map(readGiven);
  const names = [...known.names, ...told.flatMap(({ names }) => names)];
  const phones = [
    ...known.phones,
    ...told.flatMap(({ phones }) => phones),
    ...callerNumber === undefined ? [] : [callerNumber],
  ];
  const redactions: Record<string, number> = {};
  const keep = (text: string | undefined, limit: number) => {
    if (text === undefined) return undefined;
    const kept = redactAtMost(text, limit, { ...known, names, phones });
    for (const type of kept.types) redactions[type] = (redactions[type] ?? 0) + 1;
    return kept.text;
  };
  return {
    durationSeconds,
    cost,
    transcript: keep(transcript, transcriptLimit),
    summary: keep(summary, summaryLimit),
    redactions,
  };
}

/** Names and numbers among a tool's arguments, including those that the tool refused. */
function readGiven(args: SpokenReport["given"][number]): Pick<KnownFacts, "names" | "phones"> {
  const texts = (fields: readonly string[]) =>
    fields.map((field) => args[field]).filter((value) =>
      typeof value === "string" || typeof value === "number"
    ).map((value) => String(value).slice(0, 200));
  return {
    names: texts(["patientName", "callerName"]).filter(isName),
    phones: texts(["patientPhone", "callbackNumber"]).map((text) => text.replace(/\D/g, "")),
  };
}

function redactAtMost(
  text: string,
  limit: number,
  known: KnownFacts,
): { text: string; types: string[] } {
  // PostgreSQL can store neither a NUL nor half a surrogate pair.
  const clean = text.slice(0, limit).toWellFormed().replace(/(?![\n\t])\p{Cc}/gu, " ");
  const redacted = redactCall(clean, known);
  return text.length > limit
    ? { text: `${redacted.text.slice(0, -seam)}\n[CUT]`, types: redacted.types }
    : redacted;
}

/** Sends a follow-up. If that fails, it is not tried again. */
async function sendFollowUp(
  tools: TextingTools,
  envelope: Envelope,
  sendId: string,
  due: NonNullable<EndedCallOutcome["followUp"]>,
): Promise<TextResult> {
  const call = { ...envelope, toolCallId: "", claims: {} };
  const ready = await tools.accounts.get(tools.database, call).catch((fault) => {
    tools.log.error("follow_up_failed", { callId: envelope.callId, fault });
  });
  if (ready?.outcome !== "found") {
    return { reason: ready?.outcome ?? "unreadable_account", mayHaveBeenSent: false };
  }
  const sms = await sendText(tools, call, ready, {
    to: due.phone,
    body: composeFollowUp(due.clinic, due.callBack),
    validitySeconds: followUpValiditySeconds,
    statusCallback: callbackOf(tools.config.functionsPublicUrl, { orgId: ready.orgId, sendId }),
  });
  return resultOf(sms);
}
