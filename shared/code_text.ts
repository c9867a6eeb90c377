/**
 * What the caller hears about the text with a passcode, sent or failed: from `send_otp`, and from a
 * `hold_slot` that texts.
 *
 * @module
 */

import { refuse, refuseCommonly, succeed } from "./answers.ts";
import { refuseLocked } from "./hold.ts";
import { askForAnotherPhone } from "./patient.ts";
import type { SendAtHoldOutcome, SendOutcome } from "./sending.ts";
import * as sentences from "./sentences.ts";
import type { SmsFailure } from "./twilio.ts";

/** The results of a text that do not end the hold or change that it is for. */
export type TextOutcome = Extract<SendOutcome | SendAtHoldOutcome, {
  readonly outcome:
    | ("sent" | "already_sent" | "cooldown" | "sms_failed")
    | ("bad_destination" | "undelivered" | "blocked_country" | "locked")
    | ("call_send_limit" | "phone_send_limit" | "org_send_limit")
    | ("sms_not_configured" | "credentials_unreadable")
    | ("unknown_clinic" | "cross_tenant_denied" | "busy");
}>;

/** Says the result of a text, and what to do next. */
export function sayText(text: TextOutcome) {
  switch (text.outcome) {
    case "sent":
    case "already_sent": {
      const { phoneEnding, expiresInSeconds, purpose } = text;
      const afterUndelivered = text.outcome === "sent" && text.afterUndelivered;
      const sentence = purpose === "change"
        ? sentences.textIfBooked(phoneEnding)
        : sentences.textSent(phoneEnding, afterUndelivered, expiresInSeconds);
      return succeed("sent", sentence, { phoneEnding, expiresInSeconds, nextTool: "verify_otp" });
    }
    case "cooldown": {
      const { outcome, phoneEnding, retryAfterSeconds, purpose } = text;
      const facts = { phoneEnding, retryAfterSeconds, nextTool: "verify_otp" };
      const sentence = purpose === "change"
        ? sentences.textOnItsWayIfBooked(retryAfterSeconds)
        : sentences.textOnItsWay(retryAfterSeconds);
      return succeed(outcome, sentence, facts);
    }
    case "bad_destination":
      return refuseNumber(text.outcome, sentences.phoneTakesNoTexts, text.purpose);
    case "undelivered":
      return refuseNumber(text.outcome, sentences.textUndelivered, text.purpose);
    case "sms_failed":
      return sayFailure(text.failure);
    case "blocked_country":
    case "call_send_limit":
    case "phone_send_limit":
    case "org_send_limit":
    case "sms_not_configured":
    case "credentials_unreadable":
      return refuse(text.outcome, sentences.textImpossible, "ESCALATE");
    case "locked":
      return refuseLocked();
    case "unknown_clinic":
    case "cross_tenant_denied":
    case "busy":
      return refuseCommonly(text.outcome);
  }
}

/** A hold can use another number. The code of a change goes only to the number of its booking. */
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
