/**
 * Tool `reschedule_appointment`: holds a new time for an appointment. The passcode then moves it; if
 * this call has already proven the number, it is moved at once.
 *
 * @module
 */

import { z } from "zod";
import { refuseCommonly, succeed } from "../../shared/answers.ts";
import {
  appointmentFields,
  changeOutcomes,
  referTo,
  refuseChange,
  refuseDay,
  saySettled,
  sayTimeReleased,
  sayUnread,
} from "../../shared/appointment.ts";
import { rescheduleAppointment, type ReschedulingOutcome } from "../../shared/database/changes.ts";
import { offerInstead, refuseHoldLimit, refuseSlot } from "../../shared/hold.ts";
import { choosePhone, phoneOutcomes, refusePhone } from "../../shared/patient.ts";
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
    "Moves an appointment to another time. Call it when the caller has said the name it was " +
    "booked under and chosen a time that check_availability offered. If it answers code_needed, " +
    "call send_otp and verify_otp: only the code moves it, and until then the old time stays. Give " +
    "the old day, time and doctor only as the caller said them. Without a mobile, the front desk helps.",
  input,
  outcomes: {
    code_needed: "the new time is held; the passcode moves the appointment, if there is one",
    rescheduled: "the appointment is moved",
    slot_taken: "the new time is taken, or it never was bookable; times near it",
    hold_limit: "too many times are already held",
    invalid_slot: "the slotId is unknown",
    ...changeOutcomes,
    ...phoneOutcomes,
  },
  run: async (asked, { call, database }) => {
    const phone = await choosePhone(asked.patientPhone, call, database);
    if (phone.kind !== "phone") return refusePhone(phone.kind);
    const move = { ...referTo(asked, phone), slotId: asked.slotId };
    return sayUnread(say(await rescheduleAppointment(database, call, move)), asked);
  },
});

function say(rescheduling: ReschedulingOutcome) {
  switch (rescheduling.outcome) {
    case "code_needed": {
      const { outcome, phoneEnding, startTime, endTime, service } = rescheduling;
      const { released, postponed } = rescheduling;
      return succeed(outcome, sentences.codeToMove(startTime, released, postponed), {
        ...{ phoneEnding, startTime, endTime, spoken: sayTime(startTime), service, postponed },
        ...{ nextTool: "send_otp", ...sayTimeReleased(released) },
      });
    }
    case "rescheduled":
    case "appointment_not_found":
    case "which_appointment":
      return saySettled(rescheduling);
    case "slot_taken":
      return offerInstead(rescheduling);
    case "hold_limit":
      return refuseHoldLimit(rescheduling);
    case "invalid_slot":
      return refuseSlot(rescheduling.outcome);
    case "unusable_phone":
      return refusePhone("premium");
    case "date_unclear":
    case "past_date":
      return refuseDay(rescheduling);
    case "change_limit":
    case "call_needed":
      return refuseChange(rescheduling.outcome);
    case "unknown_clinic":
    case "cross_tenant_denied":
    case "busy":
      return refuseCommonly(rescheduling.outcome);
  }
}
