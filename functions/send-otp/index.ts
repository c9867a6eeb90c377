/**
 * Tool `send_otp`: texts a six-digit passcode to the phone of a hold, or of an appointment that is to
 * be cancelled or moved.
 *
 * @module
 */

import { z } from "zod";
import { refuse, refuseCommonly, succeed } from "../../shared/answers.ts";
import { refuseLateChange, sayChange } from "../../shared/appointment.ts";
import { refuseHold, refuseLocked } from "../../shared/hold.ts";
import { askForAnotherPhone } from "../../shared/patient.ts";
import { serveTool } from "../../shared/request.ts";
import { type SendOutcome, sendPasscode } from "../../shared/sending.ts";
import * as sentences from "../../shared/sentences.ts";
import type { SmsFailure } from "../../shared/twilio.ts";

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
  outcomes: {
    sent: "Twilio accepted the text",
    cooldown: "the text before is less than 30 seconds old",
    already_confirmed: "the hold is confirmed; no code is needed",
    cancelled: "the appointment is cancelled; no code is needed",
    rescheduled: "the appointment is moved; no code is needed",
    change_expired: "the change took too long; nothing was changed",
    bad_destination: "the number takes no texts, such as a landline",
    opted_out: "the number has answered STOP",
    undelivered: "two texts in a row did not arrive",
    blocked_country: "the clinic does not text the number's country",
    hold_send_limit: "too many texts for this hold",
    phone_send_limit: "too many texts to this number",
    org_send_limit: "too many texts of this clinic",
    sms_not_configured: "no Twilio account is stored for the clinic",
    credentials_unreadable:
      "the stored account does not decrypt; an operator has to store it again",
    sms_blocked_country: "Twilio's geographic permissions exclude the country",
    sms_misconfigured: "the clinic's sender or account cannot text",
    sms_unauthorized: "Twilio refused the clinic's credentials",
    sms_rate_limited: "Twilio took too many requests from the clinic",
    sms_rejected: "Twilio refused for another reason",
    sms_provider_error: "Twilio failed",
    sms_timeout: "Twilio did not answer in time; the text may arrive",
    sms_unreachable: "Twilio could not be reached; the text may arrive",
    hold_not_found: "this call has no such hold",
    hold_expired: "the hold has expired",
    locked: "too many wrong codes; the front desk takes over",
  },
  run: async ({ holdId }, context) => say(await sendPasscode(context, context.call, holdId)),
});

function say(sent: SendOutcome) {
  switch (sent.outcome) {
    case "sent":
    case "already_sent": {
      const { phoneEnding, expiresInSeconds } = sent;
      const afterUndelivered = sent.outcome === "sent" && sent.afterUndelivered;
      const facts = { phoneEnding, expiresInSeconds, nextTool: "verify_otp" };
      return succeed("sent", sentences.textSent(phoneEnding, afterUndelivered), facts);
    }
    case "cooldown": {
      const { outcome, phoneEnding, retryAfterSeconds } = sent;
      const facts = { phoneEnding, retryAfterSeconds, nextTool: "verify_otp" };
      return succeed(outcome, sentences.textOnItsWay(retryAfterSeconds), facts);
    }
    case "already_confirmed": {
      const { outcome, startTime, doctor, holdId } = sent;
      return succeed(outcome, sentences.alreadyConfirmed(startTime, doctor), { holdId });
    }
    case "cancelled":
    case "rescheduled":
      return sayChange(sent);
    case "change_expired":
      return refuseLateChange();
    case "bad_destination":
      return refuseNumber(sent.outcome, sentences.phoneTakesNoTexts, sent.purpose);
    case "undelivered":
      return refuseNumber(sent.outcome, sentences.textUndelivered, sent.purpose);
    case "sms_failed":
      return sayFailure(sent.failure, sent.purpose);
    case "blocked_country":
    case "hold_send_limit":
    case "phone_send_limit":
    case "org_send_limit":
    case "sms_not_configured":
    case "credentials_unreadable":
      return refuse(sent.outcome, sentences.textImpossible, "ESCALATE");
    case "hold_not_found":
    case "hold_expired":
      return refuseHold(sent.outcome);
    case "locked":
      return refuseLocked();
    case "unknown_clinic":
    case "cross_tenant_denied":
    case "busy":
      return refuseCommonly(sent.outcome);
  }
}

type Purpose = Extract<SendOutcome, { readonly outcome: "sms_failed" }>["purpose"];

/** Another number helps a hold; the code of a change goes to the number of the booking and no other. */
function refuseNumber<Outcome extends string>(
  outcome: Outcome,
  sentence: string,
  purpose: Purpose,
) {
  return purpose === "change"
    ? refuse(outcome, sentences.bookedNumberTakesNoTexts, "ESCALATE")
    : askForAnotherPhone(outcome, sentence);
}

function sayFailure(failure: SmsFailure, purpose: Purpose) {
  switch (failure) {
    case "bad_destination":
      return refuseNumber(failure, sentences.phoneTakesNoTexts, purpose);
    case "opted_out":
      return refuseNumber(failure, sentences.textsSwitchedOff, purpose);
    case "rate_limited":
    case "provider_error":
    case "timeout":
    case "unreachable":
      return refuse(`sms_${failure}`, sentences.textFailed, "RETRY");
    case "blocked_country":
    case "misconfigured":
    case "unauthorized":
    case "rejected":
      return refuse(`sms_${failure}`, sentences.textImpossible, "ESCALATE");
  }
}
