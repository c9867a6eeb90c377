/**
 * The results of texts.
 *
 * @module
 */

import type { Envelope } from "../vapi.ts";
import { bare, entry } from "./entry.ts";

/** Records what Twilio reports about a text. */
export const recordDelivery = entry("record_delivery_report", {
  args: (report: {
    readonly orgId: string;
    readonly sendId: string;
    /** Twilio's id of the text. */
    readonly sid: string;
    /** Twilio's MessageStatus. */
    readonly status: string;
    readonly errorCode?: number | undefined;
  }) => ({
    p_org: report.orgId,
    p_send_id: report.sendId,
    p_sid: report.sid,
    p_status: report.status,
    p_error_code: report.errorCode ?? null,
  }),
  answer: bare("recorded", "known", "unknown_send", "other_text", "busy"),
});

/** The result of a text: Twilio's id of it, or why there is none. */
export type TextResult = { readonly sid: string } | {
  readonly reason: string;
  readonly mayHaveBeenSent: boolean;
};

/** A result as the database's functions take it. */
export function resultArgs(became: TextResult) {
  const isSent = "sid" in became;
  return {
    p_sid: isSent ? became.sid : null,
    p_reason: isSent ? null : became.reason,
    p_may_have_been_sent: isSent || became.mayHaveBeenSent,
  };
}

/** Records the result of a follow-up. */
export const settleFollowUp = entry("settle_follow_up", {
  args: (call: Envelope, sendId: string, became: TextResult) => ({
    p_call: call,
    p_send: sendId,
    ...resultArgs(became),
  }),
  answer: bare("sent", "failed", "busy", "unknown_clinic"),
  busyIsFault: true,
});
