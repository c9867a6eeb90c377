/**
 * The end of a call: what it held is released, what was said is kept without personal data, and a
 * caller who was cut off before the passcode may be texted once.
 *
 * @module
 */

import { endCall, type EndedCallOutcome, type KeptReport } from "./database/calls.ts";
import { type FollowUpResult, settleFollowUp } from "./database/texts.ts";
import { callbackOf } from "./delivery_reports.ts";
import { redact } from "./redaction.ts";
import { composeFollowUp, sendText, type TextingTools } from "./texting.ts";
import type { Envelope, SpokenReport } from "./vapi.ts";

/** How much of a transcript is read, in characters; an hour of talk has about 60,000. */
const transcriptLimit = 120_000;
const summaryLimit = 10_000;
/** Goes with what is cut off: a number that the cut went through is not recognised any more. */
const seam = 1000;
/** A follow-up is of no use tomorrow. */
const followUpValiditySeconds = 4 * 3600;

/** What closing a call led to. */
export type ClosedCall = Pick<EndedCallOutcome, "outcome"> & {
  /** Missing when no text was due. */
  readonly followUp?: "sent" | "failed";
};

/**
 * Closes a call, once however often and in whatever order its end is told.
 *
 * @param report What was said, raw; nothing of it leaves this function before it is redacted.
 */
export async function closeCall(
  tools: TextingTools,
  envelope: Envelope,
  ended: { readonly endedReason?: string; readonly report?: SpokenReport },
): Promise<ClosedCall> {
  const sendId = crypto.randomUUID();
  const { outcome, followUp } = await endCall(tools.database, envelope, {
    endedReason: ended.endedReason && redact(ended.endedReason.slice(0, 100)).text,
    report: ended.report && redactReport(ended.report),
    sendId,
  });
  if (!followUp) return { outcome };
  return { outcome, followUp: await sendFollowUp(tools, envelope, sendId, followUp) };
}

/** The report as it may be kept. */
export function redactReport(
  { transcript, summary, durationSeconds, cost }: SpokenReport,
): KeptReport {
  const redactions: Record<string, number> = {};
  const keep = (text: string | undefined, limit: number) => {
    if (text === undefined) return undefined;
    const kept = redactAtMost(text, limit);
    for (const type of kept.types) redactions[type] = (redactions[type] ?? 0) + 1;
    return kept.text;
  };
  const said = {
    transcript: keep(transcript, transcriptLimit),
    summary: keep(summary, summaryLimit),
  };
  return {
    ...(durationSeconds === undefined ? {} : { durationSeconds }),
    ...(cost === undefined ? {} : { cost }),
    ...(said.transcript === undefined ? {} : { transcript: said.transcript }),
    ...(said.summary === undefined ? {} : { summary: said.summary }),
    redactions,
  };
}

function redactAtMost(text: string, limit: number): { text: string; types: string[] } {
  // Neither a NUL nor half a surrogate pair can be stored in PostgreSQL.
  const clean = text.slice(0, limit).toWellFormed().replace(/(?![\n\t])\p{Cc}/gu, " ");
  const redacted = redact(clean);
  const types = redacted.spans.map(({ type }) => type);
  return text.length > limit
    ? { text: `${redacted.text.slice(0, -seam)}\n[CUT]`, types }
    : { text: redacted.text, types };
}

type DueFollowUp = NonNullable<EndedCallOutcome["followUp"]>;

/** Sends the text that the database has claimed; whatever goes wrong, it is not tried again. */
async function sendFollowUp(
  tools: TextingTools,
  envelope: Envelope,
  sendId: string,
  due: DueFollowUp,
): Promise<"sent" | "failed"> {
  const became = await tryFollowUp(tools, envelope, sendId, due);
  await settleFollowUp(tools.database, envelope, sendId, became);
  return "sid" in became ? "sent" : "failed";
}

async function tryFollowUp(
  tools: TextingTools,
  envelope: Envelope,
  sendId: string,
  due: DueFollowUp,
): Promise<FollowUpResult> {
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
  return sms.kind === "accepted"
    ? { sid: sms.sid }
    : { reason: sms.failure, mayHaveBeenSent: sms.mayHaveBeenSent };
}
