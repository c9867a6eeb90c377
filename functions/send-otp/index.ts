/**
 * Tool `send_otp`: texts a six-digit passcode to the phone of a hold, or of an appointment that is
 * asked about. Where this call has proven the phone, it confirms without one.
 *
 * @module
 */

import { z } from "zod";
import { refuse, refuseCommonly, succeed } from "../../shared/answers.ts";
import {
  proofOutcomes,
  refuseCallNeeded,
  sayConfirmed,
  saySettled,
} from "../../shared/appointment.ts";
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
  description: "Texts a six-digit code to the patient's phone. Call it after hold_slot, or after " +
    "another tool answered code_needed, and again when the code did not arrive or is no longer " +
    "valid. Then ask for the code and call verify_otp. Once a code of this call was right, it " +
    "confirms a further hold without another one.",
  continues: true,
  input,
  outcomes: {
    sent: "Twilio accepted the text; for an appointment asked about: one goes out if there is one",
    cooldown: "the text before is less than 30 seconds old",
    confirmed: "the number is proven: what waited for it is confirmed",
    already_confirmed: "the hold is confirmed; no code is needed",
    cancelled: "the appointment is cancelled; no code is needed",
    rescheduled: "the appointment is moved; no code is needed",
    found: "the number is proven: the appointments of the patients who were named",
    which_appointment: proofOutcomes.which_appointment,
    appointment_not_found: proofOutcomes.appointment_not_found,
    slot_taken: "the number is proven, but the new time cannot be had; times near it",
    hold_limit: "too many times are held already",
    bad_destination: "the number takes no texts, such as a landline",
    opted_out: "the number has answered STOP",
    undelivered: "two texts in a row did not arrive",
    blocked_country: "the clinic does not text the number's country",
    call_send_limit: "too many texts of this call or its caller",
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
    call_needed: proofOutcomes.call_needed,
  },
  run: async ({ holdId }, context) => say(await sendPasscode(context, context.call, holdId)),
});

function say(sent: SendOutcome) {
  switch (sent.outcome) {
    case "sent":
    case "already_sent": {
      const { phoneEnding, expiresInSeconds, purpose } = sent;
      const afterUndelivered = sent.outcome === "sent" && sent.afterUndelivered;
      const sentence = purpose === "change"
        ? sentences.textIfBooked(phoneEnding)
        : sentences.textSent(phoneEnding, afterUndelivered, expiresInSeconds);
      return succeed("sent", sentence, { phoneEnding, expiresInSeconds, nextTool: "verify_otp" });
    }
    case "cooldown": {
      const { outcome, phoneEnding, retryAfterSeconds, purpose } = sent;
      const facts = { phoneEnding, retryAfterSeconds, nextTool: "verify_otp" };
      const sentence = purpose === "change"
        ? sentences.textOnItsWayIfBooked(retryAfterSeconds)
        : sentences.textOnItsWay(retryAfterSeconds);
      return succeed(outcome, sentence, facts);
    }
    case "confirmed":
      return sayConfirmed(sent);
    case "already_confirmed": {
      const { outcome, startTime, doctor, holdId } = sent;
      return succeed(outcome, sentences.alreadyConfirmed(startTime, doctor), { holdId });
    }
    case "cancelled":
    case "rescheduled":
    case "found":
    case "which_appointment":
    case "appointment_not_found":
    case "slot_taken":
    case "hold_limit":
      return saySettled(sent);
    case "bad_destination":
      return refuseNumber(sent.outcome, sentences.phoneTakesNoTexts, sent.purpose);
    case "undelivered":
      return refuseNumber(sent.outcome, sentences.textUndelivered, sent.purpose);
    case "sms_failed":
      return sayFailure(sent.failure);
    case "blocked_country":
    case "call_send_limit":
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
    case "call_needed":
      return refuseCallNeeded();
    case "unknown_clinic":
    case "cross_tenant_denied":
    case "busy":
      return refuseCommonly(sent.outcome);
  }
}

/** Another number helps a hold; the code of a change goes to the number of the booking and no other. */
function refuseNumber<Outcome extends string>(
  outcome: Outcome,
  sentence: string,
  purpose: "confirm" | "change",
) {
  return purpose === "change"
    ? refuse(outcome, sentences.textImpossible, "ESCALATE")
    : askForAnotherPhone(outcome, sentence);
}

function sayFailure(failure: SmsFailure) {
  switch (failure) {
    case "bad_destination":
      return askForAnotherPhone(failure, sentences.phoneTakesNoTexts);
    case "opted_out":
      return askForAnotherPhone(failure, sentences.textsSwitchedOff);
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
