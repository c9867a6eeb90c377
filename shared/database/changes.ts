/**
 * Changes of a confirmed appointment: asked for here, carried out by the passcode.
 *
 * @module
 */

import { z } from "zod";
import { type AnswerOf, bare, type CallFacts, entry, refusals } from "./entry.ts";
import { hold, slotRefusals, slotTaken } from "./holds.ts";

/** How a caller names an appointment: who it is for, and what is said of its time. */
export interface AppointmentReference {
  readonly patientName: string;
  /** E.164. */
  readonly patientPhone: string;
  readonly appointmentId?: string | undefined;
  /** `YYYY-MM-DD`, clinic-local. */
  readonly date?: string | undefined;
  /** `HH:MM`, clinic-local. */
  readonly time?: string | undefined;
}

/** A change that took effect, and the appointment it was made to. */
export const changed = hold.extend({ outcome: z.enum(["cancelled", "rescheduled"]) });
/** The same, as a type. */
export type Changed = z.infer<typeof changed>;

const changeRefusals = [
  ...refusals,
  "appointment_not_found",
  "which_appointment",
  "locked",
] as const;

const codeNeeded = z.object({
  outcome: z.literal("code_needed"),
  orgId: z.string(),
  holdId: z.string(),
  phoneEnding: z.string(),
});

/** Opens a cancellation. */
export const cancelAppointment = entry("cancel_appointment", {
  args: (call: CallFacts, asked: AppointmentReference) => ({ p_call: call, ...referTo(asked) }),
  answer: z.discriminatedUnion("outcome", [
    bare(...changeRefusals, "hold_released"),
    codeNeeded,
    hold.extend({ outcome: z.literal("cancelled") }),
  ]),
});
/** What it answers. */
export type CancellationOutcome = AnswerOf<typeof cancelAppointment>;

/** Opens a move to another slot, and holds that. */
export const rescheduleAppointment = entry("reschedule_appointment", {
  args: (call: CallFacts, asked: AppointmentReference & { readonly slotId: string }) => ({
    p_call: call,
    ...referTo(asked),
    p_slot_id: asked.slotId,
  }),
  answer: z.discriminatedUnion("outcome", [
    bare(...changeRefusals, ...slotRefusals),
    codeNeeded.extend({
      startTime: z.string(),
      endTime: z.string(),
      service: z.string(),
      sameDoctor: z.boolean(),
    }),
    hold.extend({ outcome: z.literal("rescheduled") }),
    slotTaken,
  ]),
});
/** What it answers. */
export type ReschedulingOutcome = AnswerOf<typeof rescheduleAppointment>;

function referTo({ patientName, patientPhone, appointmentId, date, time }: AppointmentReference) {
  return {
    p_patient_name: patientName,
    p_patient_phone: patientPhone,
    p_appointment: appointmentId ?? null,
    p_date: date ?? null,
    p_time: time ?? null,
  };
}
