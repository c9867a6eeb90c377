/**
 * Tool `reschedule_appointment`: holds a new time for the caller's appointment; the passcode then
 * moves it there.
 *
 * @module
 */

import { z } from "zod";
import { type Answer, refuseCommonly, succeed } from "../../shared/answers.ts";
import {
  appointmentFields,
  choosePhone,
  offerInstead,
  referTo,
  refuseChange,
  refusePhone,
  refuseSlot,
  sayChange,
} from "../../shared/booking.ts";
import { rescheduleAppointment, type ReschedulingOutcome } from "../../shared/database/changes.ts";
import { sayTime } from "../../shared/speech.ts";
import { serveTool } from "../../shared/tool.ts";

const input = z.object({
  slotId: z.string("a slotId from check_availability is needed").max(200)
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
  run: async (asked, { call, database }) => {
    const phone = await choosePhone(asked.patientPhone, call, database);
    if (phone.kind !== "phone") return refusePhone(phone.kind);
    const reference = referTo(asked, phone.e164);
    return say(await rescheduleAppointment(database, call, { ...reference, slotId: asked.slotId }));
  },
});

function say(rescheduling: ReschedulingOutcome): Answer {
  switch (rescheduling.outcome) {
    case "code_needed": {
      const { holdId, phoneEnding, startTime, endTime, service, sameDoctor } = rescheduling;
      const spoken = sayTime(startTime);
      return succeed(
        rescheduling.outcome,
        `I'm holding ${spoken}${sameDoctor ? "" : ", with another doctor than before"}. To move ` +
          `your appointment I'll text a code to the number ending ${phoneEnding}.`,
        {
          ...{ holdId, phoneEnding, startTime, endTime, spoken, service, sameDoctor },
          nextTool: "send_otp",
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
