/**
 * Tool `hold_slot`: reserves a time for the caller until the passcode has confirmed it.
 *
 * @module
 */

import { z } from "zod";
import { type Answer, refuseCommonly, succeed } from "../../shared/answers.ts";
import {
  choosePhone,
  offerInstead,
  patientFields,
  refusePhone,
  refuseSlot,
} from "../../shared/booking.ts";
import { type ClaimOutcome, claimSlot } from "../../shared/database/holds.ts";
import { sayTime } from "../../shared/speech.ts";
import { serveTool } from "../../shared/tool.ts";

const input = z.object({
  slotId: z.string("a slotId from check_availability is needed").max(200)
    .describe("The slotId of the chosen time, exactly as check_availability gave it"),
  ...patientFields,
});

export default serveTool({
  name: "hold_slot",
  description: "Holds a time that check_availability offered. Call it when the caller has chosen " +
    "and said a name; then call send_otp. Call it again with another slotId to change the time, " +
    "or with another patientPhone to change the number.",
  input,
  run: async ({ slotId, patientName, patientPhone }, { call, database }) => {
    const phone = await choosePhone(patientPhone, call, database);
    if (phone.kind !== "phone") return refusePhone(phone.kind);
    const patientCountry = phone.country;
    return say(
      await claimSlot(database, call, {
        slotId,
        patientName,
        patientPhone: phone.e164,
        patientCountry,
      }),
    );
  },
});

function say(claimed: ClaimOutcome): Answer {
  switch (claimed.outcome) {
    case "held": {
      const spoken = sayTime(claimed.startTime);
      const { alsoConfirmed } = claimed;
      const kept = alsoConfirmed === undefined
        ? ""
        : `Your appointment on ${sayTime(alsoConfirmed)} is confirmed and stays. `;
      return succeed(
        claimed.outcome,
        `${kept}I'm holding ${spoken} with ${claimed.doctor} for you. To confirm it I'll text a ` +
          `code to the number ending ${claimed.phoneEnding}.`,
        {
          ...describe(claimed),
          expiresInMinutes: Math.ceil(claimed.expiresInSeconds / 60),
          ...(alsoConfirmed === undefined ? {} : { alsoConfirmed }),
        },
      );
    }
    case "already_confirmed":
      return succeed(
        claimed.outcome,
        `${sayTime(claimed.startTime)} with ${claimed.doctor} is already confirmed for you.`,
        describe(claimed),
      );
    case "slot_taken":
      return offerInstead(claimed);
    case "invalid_slot":
    case "hold_expired":
      return refuseSlot(claimed.outcome);
    case "unusable_phone":
      return refusePhone("premium");
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
