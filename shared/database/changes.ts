/**
 * Existing appointments: finding, cancelling or moving them, once their number is proven.
 *
 * @module
 */

import { z } from "zod";
import type { SaidDay } from "../days.ts";
import type { SaidTime } from "../times.ts";
import { contradiction } from "./availability.ts";
import { type AnswerOf, bare, type CallFacts, entry, orgId, refusals } from "./entry.ts";
import { hold, holdLimit, kept, released, slotTaken } from "./holds.ts";

/** The patient that a request about appointments is for. */
export interface PatientReference {
  readonly patientName: string;
  /** E.164. */
  readonly patientPhone: string;
  /** ISO 3166. */
  readonly patientCountry: string;
}

/** How a caller names an appointment: the patient, and what the caller said about it. */
export interface AppointmentReference extends PatientReference {
  readonly appointmentId?: string | undefined;
  readonly date?: SaidDay | undefined;
  readonly time?: SaidTime | undefined;
  readonly provider?: string | undefined;
}

/** An appointment as the caller hears it once the number is proven. */
export const appointment = z.object({
  appointmentId: z.string(),
  startTime: z.string(),
  endTime: z.string(),
  service: z.string(),
  doctor: z.string(),
});
/** An {@link appointment}. */
export type Appointment = z.infer<typeof appointment>;

/** A change that took effect, and the appointment it was made to. */
const changed = hold.extend({ outcome: z.enum(["cancelled", "rescheduled"]), released });

/** The result of a request about appointments, once its number is proven. */
export const settled = [
  changed,
  z.object({ outcome: z.literal("found"), orgId, appointments: z.array(appointment) }),
  z.object({
    outcome: z.literal("which_appointment"),
    orgId,
    appointments: z.array(appointment),
    /** What would tell them apart and has not been asked yet; null when the front desk has to help. */
    ask: z.enum(["day", "time", "doctor"]).nullable(),
    released,
  }),
  z.object({ outcome: z.literal("appointment_not_found"), orgId, released, kept }),
  slotTaken,
  holdLimit,
] as const;
const settledUnion = z.discriminatedUnion("outcome", [...settled]);
/** One of {@link settled}. */
export type Settled = z.infer<typeof settledUnion>;

const codeNeeded = z.object({
  outcome: z.literal("code_needed"),
  orgId: z.string(),
  phoneEnding: z.string(),
  released,
  /** Whether what was asked for another patient before has to be asked for again. */
  postponed: z.boolean().optional(),
});
const dayRefused = z.object({
  outcome: z.enum(["date_unclear", "past_date"]),
  orgId,
  /** The date at the clinic. */
  today: z.string(),
  contradiction,
});
const changeRefusals = [...refusals, "call_needed", "change_limit"] as const;

/** Stores the request to cancel. */
export const cancelAppointment = entry("cancel_appointment", {
  args: (call: CallFacts, asked: AppointmentReference) => ({ p_call: call, ...referTo(asked) }),
  answer: z.discriminatedUnion("outcome", [
    bare(...changeRefusals),
    dayRefused,
    z.object({ outcome: z.literal("hold_released"), orgId, released }),
    codeNeeded.extend({ kept }),
    changed.extend({ outcome: z.literal("cancelled") }),
    ...[settled[2], settled[3]],
  ]),
});
/** The answer of {@link cancelAppointment}. */
export type CancellationOutcome = AnswerOf<typeof cancelAppointment>;

/** Stores the request to move an appointment to another slot, and holds that slot. */
export const rescheduleAppointment = entry("reschedule_appointment", {
  args: (call: CallFacts, asked: AppointmentReference & { readonly slotId: string }) => ({
    p_call: call,
    ...referTo(asked),
    p_slot_id: asked.slotId,
  }),
  answer: z.discriminatedUnion("outcome", [
    bare(...changeRefusals, "invalid_slot", "unusable_phone"),
    dayRefused,
    codeNeeded.extend({ startTime: z.string(), endTime: z.string(), service: z.string() }),
    changed.extend({ outcome: z.literal("rescheduled") }),
    ...[settled[2], settled[3], slotTaken, holdLimit],
  ]),
});
/** The answer of {@link rescheduleAppointment}. */
export type ReschedulingOutcome = AnswerOf<typeof rescheduleAppointment>;

/** Asks which appointments a patient has. */
export const findAppointments = entry("find_appointments", {
  args: (call: CallFacts, asked: PatientReference) => ({ p_call: call, ...nameThe(asked) }),
  answer: z.discriminatedUnion("outcome", [
    bare(...changeRefusals),
    codeNeeded,
    settled[1],
    settled[3],
  ]),
});
/** The answer of {@link findAppointments}. */
export type FindingOutcome = AnswerOf<typeof findAppointments>;

function nameThe({ patientName, patientPhone, patientCountry }: PatientReference) {
  return {
    p_patient_name: patientName,
    p_patient_phone: patientPhone,
    p_patient_country: patientCountry,
  };
}

function referTo(asked: AppointmentReference) {
  return {
    ...nameThe(asked),
    p_appointment: asked.appointmentId ?? null,
    p_date: asked.date ?? null,
    p_time: asked.time ?? null,
    p_provider: asked.provider ?? null,
  };
}
