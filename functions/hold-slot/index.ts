/**
 * Tool `hold_slot`: reserves a time for the caller until the passcode has confirmed it.
 *
 * @module
 */

import { z } from "zod";
import { refuse, refuseCommonly, succeed } from "../../shared/answers.ts";
import { type ClaimOutcome, claimSlot } from "../../shared/database/holds.ts";
import { refuseCallNeeded, sayTimeReleased } from "../../shared/appointment.ts";
import { offerInstead, refuseHoldLimit, refuseSlot } from "../../shared/hold.ts";
import { choosePhone, patientFields, phoneOutcomes, refusePhone } from "../../shared/patient.ts";
import { serveTool } from "../../shared/request.ts";
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
    "caller has chosen and said a name; then call send_otp. Several patients get a hold each: one " +
    "code confirms them all. Call it again with the same name and another slotId to change the " +
    "time, or with another patientPhone to change the number; to correct the name, give the holdId.",
  continues: true,
  input,
  outcomes: {
    held: "held for the patient until it expires; the passcode confirms it",
    already_confirmed: "this call has confirmed it for this patient already",
    slot_taken: "somebody else has it, or it never was bookable; times near it",
    hold_limit: "too many times are held already",
    invalid_slot: "the slotId is not one of ours",
    hold_expired: "the request is a repeat, and its hold has expired",
    call_needed: "outside of a call nobody can prove a number",
    ...phoneOutcomes,
    blocked_country: "the clinic does not text the number's country; another number is asked for",
  },
  run: async ({ slotId, patientName, patientPhone, holdId }, { call, database }) => {
    const phone = await choosePhone(patientPhone, call, database);
    if (phone.kind !== "phone") return refusePhone(phone.kind);
    const { e164, country } = phone;
    const asked = { slotId, patientName, patientPhone: e164, patientCountry: country, holdId };
    return say(await claimSlot(database, call, asked));
  },
});

function say(claimed: ClaimOutcome) {
  switch (claimed.outcome) {
    case "held": {
      const { outcome, expiresInSeconds, alsoConfirmed, released, proven } = claimed;
      return succeed(outcome, sentences.held(claimed), {
        ...describe(claimed),
        expiresInMinutes: Math.ceil(expiresInSeconds / 60),
        alsoConfirmed,
        ...sayTimeReleased(released),
        codeNeeded: !proven,
        nextTool: "send_otp",
      });
    }
    case "already_confirmed": {
      const { outcome, startTime, doctor } = claimed;
      return succeed(outcome, sentences.confirmedBefore(startTime, doctor), describe(claimed));
    }
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

function describe(
  claimed: Extract<ClaimOutcome, { readonly outcome: "held" | "already_confirmed" }>,
) {
  const { holdId, startTime, endTime, service, doctor, phoneEnding } = claimed;
  return { holdId, startTime, endTime, spoken: sayTime(startTime), service, doctor, phoneEnding };
}
