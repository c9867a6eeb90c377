/**
 * Tool `send_otp`: texts a six-digit passcode to the phone of a hold, or of an appointment that is to
 * be cancelled or moved.
 *
 * @module
 */

import { z } from "zod";
import {
  type Answer,
  refuse,
  refuseCommonly,
  refuseUndelivered,
  succeed,
} from "../../shared/answers.ts";
import { refuseLateChange, sayChange } from "../../shared/booking.ts";
import { type SendOutcome, sendPasscode } from "../../shared/otp.ts";
import type { SmsFailure } from "../../shared/sms.ts";
import { sayTime } from "../../shared/speech.ts";
import { serveTool } from "../../shared/tool.ts";

const input = z.object({
  holdId: z.string().max(200).optional().catch(undefined)
    .describe("The holdId that the tool before gave; left out, what this call is about"),
});

export default serveTool({
  name: "send_otp",
  description: "Texts a six-digit code to the patient's phone. Call it after hold_slot, " +
    "cancel_appointment or reschedule_appointment, and again when the code did not arrive or is no " +
    "longer valid. Then ask for the code and call verify_otp.",
  input,
  run: async ({ holdId }, context) => say(await sendPasscode(context, context.call, holdId)),
});

function say(sent: SendOutcome): Answer {
  switch (sent.outcome) {
    case "sent":
    case "already_sent":
      return succeed(
        "sent",
        (sent.outcome === "sent" && sent.afterUndelivered
          ? "The last text didn't arrive, so I've texted a new six-digit code to the number ending "
          : "I've texted a six-digit code to the number ending ") +
          `${sent.phoneEnding}. Read it to me when it arrives.`,
        {
          phoneEnding: sent.phoneEnding,
          expiresInSeconds: sent.expiresInSeconds,
          nextTool: "verify_otp",
        },
      );
    case "cooldown":
      return succeed(
        sent.outcome,
        "A code is on its way. If nothing arrives in " +
          `${sent.retryAfterSeconds} seconds I can send another.`,
        {
          phoneEnding: sent.phoneEnding,
          retryAfterSeconds: sent.retryAfterSeconds,
          nextTool: "verify_otp",
        },
      );
    case "already_confirmed":
      return succeed(
        sent.outcome,
        `${sayTime(sent.startTime)} with ${sent.doctor} is already confirmed.`,
        { holdId: sent.holdId },
      );
    case "cancelled":
    case "rescheduled":
      return sayChange(sent);
    case "change_expired":
      return refuseLateChange();
    case "bad_destination":
      return sayFailure(sent.outcome, sent.purpose);
    case "undelivered":
      return sent.purpose === "change"
        ? refuseBookedNumber(sent.outcome)
        : refuseUndelivered(sent.outcome);
    case "sms_failed":
      return sayFailure(sent.failure, sent.purpose);
    case "blocked_country":
    case "hold_send_limit":
    case "phone_send_limit":
    case "org_send_limit":
    case "sms_not_configured":
    case "credentials_unreadable":
      return couldNotSend(sent.outcome, "ESCALATE");
    case "hold_not_found":
      return refuse(sent.outcome, "I can't find that booking.", "RETRY", {
        nextTool: "check_availability",
      });
    case "hold_expired":
      return refuse(
        sent.outcome,
        "Your hold has run out. Let me look at the free times again.",
        "OFFER_ALTERNATIVES",
        { nextTool: "check_availability" },
      );
    case "locked":
      return refuse(
        sent.outcome,
        "I can't take more codes for this booking. I'll connect you to the front desk.",
        "ESCALATE",
      );
    case "unknown_clinic":
    case "cross_tenant_denied":
    case "busy":
      return refuseCommonly(sent.outcome);
  }
}

/** The code of a change goes to the number of the booking and no other: asking for one is no help. */
function refuseBookedNumber(outcome: string): Answer {
  return refuse(
    outcome,
    "I can't text the number it was booked with. Let me pass you to the front desk.",
    "ESCALATE",
  );
}

function sayFailure(failure: SmsFailure, purpose: "confirm" | "change"): Answer {
  switch (failure) {
    case "bad_destination":
      if (purpose === "change") return refuseBookedNumber(failure);
      return refuse(
        failure,
        "That number can't receive texts. Is there a mobile number I can use?",
        "RETRY",
        { nextTool: "hold_slot", fields: ["patientPhone"] },
      );
    case "opted_out":
      if (purpose === "change") return refuseBookedNumber(failure);
      return refuse(
        failure,
        "That number has texts from us switched off. Is there another mobile number I can use?",
        "RETRY",
        { nextTool: "hold_slot", fields: ["patientPhone"] },
      );
    case "rate_limited":
    case "provider_error":
    case "timeout":
    case "unreachable":
      return couldNotSend(`sms_${failure}`, "RETRY");
    case "blocked_country":
    case "misconfigured":
    case "unauthorized":
    case "rejected":
      return couldNotSend(`sms_${failure}`, "ESCALATE");
  }
}

function couldNotSend(outcome: string, action: "RETRY" | "ESCALATE"): Answer {
  const isWorthTrying = action === "RETRY";
  return refuse(
    outcome,
    isWorthTrying
      ? "I couldn't send the text just now. Shall I try once more, or pass you to the front desk?"
      : "I can't send a text for this booking just now. Let me pass you to the front desk.",
    action,
  );
}
