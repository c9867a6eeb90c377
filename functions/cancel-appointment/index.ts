/**
 * Tool `cancel_appointment`: stores the request to cancel. The passcode then carries it out; if this call
 * has already proven the number, it takes effect at once.
 *
 * @module
 */

import { z } from "zod";
import { refuseCommonly, succeed } from "../../shared/answers.ts";
import {
  appointmentFields,
  changeOutcomes,
  proofOutcomes,
  referTo,
  refuseChange,
  refuseDay,
  saySettled,
  sayTimeReleased,
  sayUnread,
} from "../../shared/appointment.ts";
import { cancelAppointment, type CancellationOutcome } from "../../shared/database/changes.ts";
import { sayKept } from "../../shared/hold.ts";
import { choosePhone, phoneOutcomes, refusePhone } from "../../shared/patient.ts";
import { serveTool } from "../../shared/request.ts";
import * as sentences from "../../shared/sentences.ts";

export default serveTool({
  name: "cancel_appointment",
  description:
    "Cancels an appointment. Call it when the caller wants to cancel and said the name " +
    "it was booked under. If it answers code_needed, call send_otp and verify_otp: only the code " +
    "cancels it. Give day, time and doctor only as the caller said them. Without a mobile, the " +
    "front desk helps.",
  input: z.object(appointmentFields),
  outcomes: {
    code_needed: proofOutcomes.code_needed,
    hold_released: "the day or id is that of this call's own hold, which is released",
    cancelled: "the appointment is cancelled",
    ...changeOutcomes,
    ...phoneOutcomes,
  },
  run: async (asked, { call, database }) => {
    const phone = await choosePhone(asked.patientPhone, call, database);
    if (phone.kind !== "phone") return refusePhone(phone.kind);
    return sayUnread(say(await cancelAppointment(database, call, referTo(asked, phone))), asked);
  },
});

function say(cancellation: CancellationOutcome) {
  switch (cancellation.outcome) {
    case "code_needed": {
      const { outcome, phoneEnding, released, kept, postponed } = cancellation;
      return succeed(outcome, sentences.codeNeeded({ released, kept, postponed }), {
        ...{ phoneEnding, nextTool: "send_otp", postponed },
        ...sayTimeReleased(released),
        ...sayKept(kept),
      });
    }
    case "hold_released": {
      const { outcome, released } = cancellation;
      return succeed(outcome, sentences.holdReleased(released), sayTimeReleased(released));
    }
    case "cancelled":
    case "appointment_not_found":
    case "which_appointment":
      return saySettled(cancellation);
    case "date_unclear":
    case "past_date":
      return refuseDay(cancellation);
    case "change_limit":
    case "call_needed":
      return refuseChange(cancellation.outcome);
    case "unknown_clinic":
    case "cross_tenant_denied":
    case "busy":
      return refuseCommonly(cancellation.outcome);
  }
}
