/**
 * Texts about appointments, in tests: a booking, its texts, and the changes that lead to more of them.
 *
 * @module
 */

import cancelAppointment from "../../functions/cancel-appointment/index.ts";
import rescheduleAppointment from "../../functions/reschedule-appointment/index.ts";
import { aDay, type Bench, type Clinic } from "./clinic.ts";
import { aTextingClinic, type PhoneCall } from "./phone_call.ts";
import { aBookingFor } from "./text_answers.ts";

/** A call that has booked, and the texts that its phone has got since. */
export async function aBooking(bench: Bench, clinic?: Clinic, time = "10:00") {
  const call = await aBookingFor(bench, clinic ?? await aTextingClinic(bench), time);
  const seen = bench.twilio.messages.length;
  return Object.assign(call, {
    told: () =>
      bench.twilio.messages.slice(seen).filter(({ to }) => to === call.phone)
        .map(({ body }) => body),
  });
}

/** Every text's kind, state and the reason for it, in the order in which they were written. */
export const statesOf = async (bench: Bench) =>
  (await bench.database.sql<{ kind: string; state: string; reason: string | null }[]>`
    select kind, state, reason from public.appointment_texts order by created_at`)
    .map(({ kind, state, reason }) => [kind, state, ...reason === null ? [] : [reason]].join(" "));

/** Makes waiting texts due, and texts that are being sent overdue. */
export const passDue = ({ database }: Bench) =>
  database.sql`update public.appointment_texts set due_at = due_at - interval '1 hour'`;

/** Cancels by phone, in the call that has proven its number. */
export const cancel = (call: PhoneCall) =>
  call.ask(cancelAppointment, { patientName: "Ada Brown" });

/** Moves to a time of the same day, in such a call. */
export const moveTo = (call: PhoneCall, time: string) =>
  call.ask(rescheduleAppointment, {
    patientName: "Ada Brown",
    slotId: `consultation/${aDay()}T${time}`,
  });
