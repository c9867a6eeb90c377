/**
 * Tool `cancel_appointment`: finds the caller's appointment; the passcode then cancels it.
 *
 * @module
 */

import { z } from "zod";
import { refuseCommonly, succeed } from "../../shared/answers.ts";
import { appointmentFields, referTo, refuseChange, sayChange } from "../../shared/appointment.ts";
import { cancelAppointment, type CancellationOutcome } from "../../shared/database/changes.ts";
import { choosePhone, refusePhone } from "../../shared/patient.ts";
import { serveTool } from "../../shared/request.ts";
import * as sentences from "../../shared/sentences.ts";

export default serveTool({
  name: "cancel_appointment",
  description:
    "Prepares to cancel an appointment. Call it when the caller wants to cancel and said " +
    "the name it was booked under; then call send_otp and verify_otp: only the code cancels it. " +
    "Give the day and time only as the caller said them.",
  input: z.object(appointmentFields),
  outcomes: {
    code_needed: "the appointment was found; the passcode will cancel it",
    hold_released: "what the caller meant was this call's own hold; it is released",
    cancelled: "this call has cancelled it already",
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
    return say(await cancelAppointment(database, call, referTo(asked, phone.e164)));
  },
});

function say(cancellation: CancellationOutcome) {
  switch (cancellation.outcome) {
    case "code_needed": {
      const { outcome, holdId, phoneEnding } = cancellation;
      return succeed(outcome, sentences.codeToCancel(phoneEnding), {
        ...{ holdId, phoneEnding, nextTool: "send_otp" },
      });
    }
    case "hold_released":
      return succeed(cancellation.outcome, sentences.holdReleased);
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
