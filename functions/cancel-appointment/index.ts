/**
 * Tool `cancel_appointment`: finds the caller's appointment; the passcode then cancels it.
 *
 * @module
 */

import { z } from "zod";
import { type Answer, refuseCommonly, succeed } from "../../shared/answers.ts";
import {
  appointmentFields,
  choosePhone,
  referTo,
  refuseChange,
  refusePhone,
  sayChange,
} from "../../shared/booking.ts";
import { cancelAppointment, type CancellationOutcome } from "../../shared/database/changes.ts";
import { serveTool } from "../../shared/tool.ts";

export default serveTool({
  name: "cancel_appointment",
  description:
    "Prepares to cancel an appointment. Call it when the caller wants to cancel and said " +
    "the name it was booked under; then call send_otp and verify_otp: only the code cancels it. " +
    "Give the day and time only as the caller said them.",
  input: z.object(appointmentFields),
  run: async (asked, { call, database }) => {
    const phone = await choosePhone(asked.patientPhone, call, database);
    if (phone.kind !== "phone") return refusePhone(phone.kind);
    return say(await cancelAppointment(database, call, referTo(asked, phone.e164)));
  },
});

function say(cancellation: CancellationOutcome): Answer {
  switch (cancellation.outcome) {
    case "code_needed": {
      const { holdId, phoneEnding } = cancellation;
      return succeed(
        cancellation.outcome,
        `To be sure it's you I'll text a code to the number ending ${phoneEnding}. ` +
          "Once you've read it to me, I'll cancel the appointment.",
        { holdId, phoneEnding, nextTool: "send_otp" },
      );
    }
    case "hold_released":
      return succeed(
        cancellation.outcome,
        "I've let go of the time I was holding for you. Nothing is booked.",
      );
    case "cancelled":
      return sayChange(cancellation);
    case "appointment_not_found":
    case "which_appointment":
    case "locked":
      return refuseChange(cancellation.outcome);
    case "unknown_clinic":
    case "cross_tenant_denied":
    case "busy":
      return refuseCommonly(cancellation.outcome);
  }
}
