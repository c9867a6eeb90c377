/**
 * Tool `reschedule_appointment`: holds a new time for the caller's appointment; the passcode then
 * moves it there.
 *
 * @module
 */

import { z } from "zod";
import { refuseCommonly, succeed } from "../../shared/answers.ts";
import { appointmentFields, referTo, refuseChange, sayChange } from "../../shared/appointment.ts";
import { rescheduleAppointment, type ReschedulingOutcome } from "../../shared/database/changes.ts";
import { offerInstead, refuseSlot } from "../../shared/hold.ts";
import { choosePhone, refusePhone } from "../../shared/patient.ts";
import { serveTool } from "../../shared/request.ts";
import * as sentences from "../../shared/sentences.ts";
import { sayTime } from "../../shared/speech.ts";

const { needed } = sentences;

const input = z.object({
  slotId: z.string(needed.slot).max(200, needed.slot)
    .describe("The slotId of the new time, exactly as check_availability gave it"),
  ...appointmentFields,
});

export default serveTool({
  name: "reschedule_appointment",
  description:
    "Prepares to move an appointment to another time. Call it when the caller has said " +
    "the name it was booked under and chosen a time that check_availability offered; then call " +
    "send_otp and verify_otp: only the code moves it, and until then the old time stays. Give the " +
    "old day and time only as the caller said them.",
  input,
  outcomes: {
    code_needed: "the new time is held; the passcode will move the appointment",
    rescheduled: "this call has moved it already",
    slot_taken: "somebody else has the new time, or it never was bookable; times near it",
    invalid_slot: "the slotId is not one of ours",
    hold_expired: "the request is a repeat, and its hold has expired",
    appointment_not_found: "name, number and time fit no appointment",
    which_appointment: "several fit; day and time are needed",
    locked: "too many wrong codes; the front desk takes over",
    phone_needed: "no number was given and the caller withholds theirs",
    phone_unclear: "the number cannot be read",
    unusable_phone: "the number cannot be texted",
  },
  run: async (asked, { call, database }) => {
    const phone = await choosePhone(asked.patientPhone, call, database);
    if (phone.kind !== "phone") return refusePhone(phone.kind);
    const move = { ...referTo(asked, phone.e164), slotId: asked.slotId };
    return say(await rescheduleAppointment(database, call, move));
  },
});

function say(rescheduling: ReschedulingOutcome) {
  switch (rescheduling.outcome) {
    case "code_needed": {
      const { holdId, phoneEnding, startTime, endTime, service, sameDoctor } = rescheduling;
      return succeed(
        rescheduling.outcome,
        sentences.codeToMove(startTime, sameDoctor, phoneEnding),
        {
          ...{ holdId, phoneEnding, startTime, endTime, spoken: sayTime(startTime) },
          ...{ service, sameDoctor, nextTool: "send_otp" },
        },
      );
    }
    case "rescheduled":
      return sayChange(rescheduling);
    case "slot_taken":
      return offerInstead(rescheduling);
    case "invalid_slot":
    case "hold_expired":
      return refuseSlot(rescheduling.outcome);
    case "unusable_phone":
      return refusePhone("premium");
    case "appointment_not_found":
    case "which_appointment":
    case "locked":
      return refuseChange(rescheduling.outcome);
    case "unknown_clinic":
    case "cross_tenant_denied":
    case "busy":
      return refuseCommonly(rescheduling.outcome);
  }
}
