/**
 * Tool `hold_slot`: reserves a time until the passcode confirms it, and also texts the passcode where
 * the clinic wants that.
 *
 * @module
 */

import { z } from "zod";
import { type Answer, refuse, refuseCommonly, succeed } from "../../shared/answers.ts";
import { type ClaimOutcome, claimSlot } from "../../shared/database/holds.ts";
import { refuseCallNeeded, sayTimeReleased } from "../../shared/appointment.ts";
import { sayText } from "../../shared/code_text.ts";
import {
  offerInstead,
  refuseHold,
  refuseHoldLimit,
  refuseLocked,
  refuseSlot,
  sayKept,
} from "../../shared/hold.ts";
import { choosePhone, patientFields, phoneOutcomes, refusePhone } from "../../shared/patient.ts";
import { serveTool } from "../../shared/request.ts";
import { sendAtHold, type SendAtHoldOutcome } from "../../shared/sending.ts";
import * as sentences from "../../shared/sentences.ts";
import { sayTime } from "../../shared/speech.ts";

const { needed } = sentences;

const input = z.object({
  slotId: z.string(needed.slot).max(200, needed.slot)
    .describe("The slotId of the chosen time, exactly as check_availability gave it"),
  ...patientFields,
  holdId: z.string().max(200).optional().catch(undefined)
    .describe("Only to move or correct a hold of this call: its holdId"),
});

export default serveTool({
  name: "hold_slot",
  description: "Holds a time that check_availability offered for one patient. Call it when the " +
    "caller has chosen and said a name; then call the nextTool of its answer: send_otp, or " +
    "verify_otp if the code is texted already. Several patients get a hold each: one code confirms " +
    "them all. Call it again with the same name and another slotId to change the time, or with " +
    "another patientPhone to change the number; to correct the name, give the holdId.",
  continues: true,
  input,
  outcomes: {
    held:
      "held for the patient until it expires; the passcode confirms it. Where the clinic texts " +
      "with the hold, `text` is the result of the text, an outcome of `send_otp`, or `under_way`: " +
      "a code texted before confirms this hold too. The hold stays even if no text could be sent",
    already_confirmed: "this call has already confirmed it for this patient",
    slot_taken:
      "somebody else has it, or it never was bookable; times near it. With `kept`: this call " +
      "holds it under another name, which a request with that holdId corrects",
    hold_limit: "too many times are already held",
    invalid_slot: "the slotId is unknown",
    hold_expired: "the request is a repeat, and its hold has expired",
    hold_not_found: "the call ended and released the hold before its code could be texted",
    locked: "no code can be texted after too many wrong ones; the front desk takes over",
    call_needed: "there is no call, so nobody can prove a number",
    ...phoneOutcomes,
    blocked_country: "the clinic does not text the number's country; another number is asked for",
  },
  run: async ({ slotId, patientName, patientPhone, holdId }, context) => {
    const { call, database } = context;
    const phone = await choosePhone(patientPhone, call, database);
    if (phone.kind !== "phone") return refusePhone(phone.kind);
    const { e164, country } = phone;
    const asked = { slotId, patientName, patientPhone: e164, patientCountry: country, holdId };
    const claimed = await claimSlot(database, call, asked);
    return claimed.outcome === "held" && claimed.textsCode && !claimed.proven
      ? sayTexted(claimed, await sendAtHold(context, call, claimed.holdId))
      : say(claimed);
  },
});

type Held = Extract<ClaimOutcome, { readonly outcome: "held" }>;
type Confirmed = Extract<
  ClaimOutcome | SendAtHoldOutcome,
  { readonly outcome: "already_confirmed" }
>;

function say(claimed: ClaimOutcome) {
  switch (claimed.outcome) {
    case "held":
      return sayHeld(claimed);
    case "already_confirmed":
      return sayConfirmedBefore(claimed);
    case "slot_taken":
      return offerInstead(claimed);
    case "hold_limit":
      return refuseHoldLimit(claimed);
    case "call_needed":
      return refuseCallNeeded();
    case "invalid_slot":
    case "hold_expired":
      return refuseSlot(claimed.outcome);
    case "unusable_phone":
      return refusePhone("premium");
    case "blocked_country":
      return refuse(claimed.outcome, sentences.countryTakesNoTexts, "RETRY", {
        fields: ["patientPhone"],
      });
    case "unknown_clinic":
    case "cross_tenant_denied":
    case "busy":
      return refuseCommonly(claimed.outcome);
  }
}

/** Says what is held, and the result of its text. */
function sayTexted(held: Held, text: SendAtHoldOutcome) {
  switch (text.outcome) {
    case "send_otp_needed":
      return sayHeld(held);
    // Another request of this call came in between.
    case "already_confirmed":
      return sayConfirmedBefore(text);
    case "hold_expired":
    case "hold_not_found":
      return refuseHold(text.outcome);
    case "locked":
      return refuseLocked();
    case "call_needed":
      return refuseCallNeeded();
    case "under_way": {
      const { outcome, phoneEnding, expiresInSeconds } = text;
      const sentence = sentences.textCoversBoth(phoneEnding, expiresInSeconds);
      const facts = { expiresInSeconds, nextTool: "verify_otp" };
      return sayHeldWith(held, succeed(outcome, sentence, facts));
    }
    case "text_failed":
      return sayHeldWith(held, refuse(text.outcome, sentences.textFailed, "RETRY"));
    case "sent":
    case "already_sent":
    case "bad_destination":
    case "undelivered":
    case "sms_failed":
    case "blocked_country":
    case "call_send_limit":
    case "phone_send_limit":
    case "org_send_limit":
    case "sms_not_configured":
    case "credentials_unreadable":
    case "unknown_clinic":
    case "cross_tenant_denied":
    case "busy":
      return sayHeldWith(held, sayText(text));
  }
}

function sayHeld(held: Held) {
  return succeed(held.outcome, sentences.held(held), {
    ...describeHeld(held),
    nextTool: "send_otp",
  });
}

/** The slot stays held if the text failed. Then send_otp tries again, unless another tool is named. */
function sayHeldWith(held: Held, text: Answer): Answer<"held"> {
  return {
    success: true,
    outcome: held.outcome,
    message: sentences.heldAndTexted(held, text.message),
    ...(text.action === undefined ? {} : { action: text.action }),
    facts: {
      ...describeHeld(held),
      ...(text.action === "RETRY" ? { nextTool: "send_otp" } : {}),
      ...text.facts,
      text: text.outcome,
    },
  };
}

function describeHeld(held: Held) {
  const { expiresInSeconds, alsoConfirmed, released, kept, proven } = held;
  return {
    ...describe(held),
    expiresInMinutes: Math.ceil(expiresInSeconds / 60),
    alsoConfirmed,
    ...sayTimeReleased(released),
    ...sayKept(kept),
    codeNeeded: !proven,
  };
}

function sayConfirmedBefore(confirmed: Confirmed) {
  const { outcome, startTime, doctor } = confirmed;
  return succeed(outcome, sentences.confirmedBefore(startTime, doctor), describe(confirmed));
}

function describe(claimed: Held | Confirmed) {
  const { holdId, startTime, endTime, service, doctor, phoneEnding } = claimed;
  return { holdId, startTime, endTime, spoken: sayTime(startTime), service, doctor, phoneEnding };
}
