/**
 * Tool `send_otp`: texts a six-digit passcode to the phone of a hold, or of an appointment that the
 * caller asks about. If this call has already proven the phone, it confirms without a code.
 *
 * @module
 */

import { z } from "zod";
import { succeed } from "../../shared/answers.ts";
import {
  proofOutcomes,
  refuseCallNeeded,
  sayConfirmed,
  saySettled,
} from "../../shared/appointment.ts";
import { sayText } from "../../shared/code_text.ts";
import { refuseHold } from "../../shared/hold.ts";
import { serveTool } from "../../shared/request.ts";
import { type SendOutcome, sendPasscode } from "../../shared/sending.ts";
import * as sentences from "../../shared/sentences.ts";

const input = z.object({
  holdId: z.string().max(200).optional().catch(undefined)
    .describe("The holdId that the tool before gave; left out, what this call is about"),
});

export default serveTool({
  name: "send_otp",
  description:
    "Texts a six-digit code to the patient's phone. Call it after hold_slot, unless that has " +
    "texted the code, or after another tool answered code_needed, and again when the code did not " +
    "arrive or is no longer valid. Then ask for the code and call verify_otp. Once a code of this " +
    "call was right, it confirms a further hold without another one.",
  continues: true,
  input,
  outcomes: {
    sent: "Twilio accepted the text; for an existing appointment: it is sent if there is one",
    cooldown: "the previous text is less than 30 seconds old",
    confirmed: "the number is proven: what waited for it is confirmed",
    already_confirmed: "the hold is confirmed; no code is needed",
    cancelled: "the appointment is cancelled; no code is needed",
    rescheduled: "the appointment is moved; no code is needed",
    found: "the number is proven: the appointments of the patients named in this call",
    which_appointment: proofOutcomes.which_appointment,
    appointment_not_found: proofOutcomes.appointment_not_found,
    slot_taken: "the number is proven, but the new time is not available; times near it",
    hold_limit: "too many times are already held",
    bad_destination: "the number takes no texts, for example a landline",
    opted_out: "the number has answered STOP",
    undelivered: "two texts in a row did not arrive",
    blocked_country: "the clinic does not text the number's country",
    call_send_limit: "this call or its caller has asked for too many texts",
    phone_send_limit: "this number was sent too many texts",
    org_send_limit: "this clinic has sent too many texts",
    sms_not_configured: "no Twilio account is stored for the clinic",
    credentials_unreadable:
      "the stored account cannot be decrypted; an operator has to store it again",
    sms_blocked_country: "Twilio's geographic permissions exclude the country",
    sms_misconfigured: "the clinic's sender or account cannot text",
    sms_unauthorized: "Twilio refused the clinic's credentials",
    sms_rate_limited: "Twilio received too many requests from the clinic",
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
    case "hold_not_found":
    case "hold_expired":
      return refuseHold(sent.outcome);
    case "call_needed":
      return refuseCallNeeded();
    case "sent":
    case "already_sent":
    case "cooldown":
    case "bad_destination":
    case "undelivered":
    case "sms_failed":
    case "blocked_country":
    case "call_send_limit":
    case "phone_send_limit":
    case "org_send_limit":
    case "sms_not_configured":
    case "credentials_unreadable":
    case "locked":
    case "unknown_clinic":
    case "cross_tenant_denied":
    case "busy":
      return sayText(sent);
  }
}
