/**
 * A patient who calls about appointments, with every tool that holds, finds or changes one.
 *
 * @module
 */

import assert from "node:assert/strict";
import cancelAppointment from "../../functions/cancel-appointment/index.ts";
import findAppointments from "../../functions/find-appointments/index.ts";
import holdSlot from "../../functions/hold-slot/index.ts";
import rescheduleAppointment from "../../functions/reschedule-appointment/index.ts";
import sendOtp from "../../functions/send-otp/index.ts";
import verifyOtp from "../../functions/verify-otp/index.ts";
import { aClinic, aDay, aPhone, type Bench, type Clinic, newestCode, type Said } from "./clinic.ts";

/** The tools that a patient's call uses. */
export const tools = {
  hold_slot: holdSlot,
  find_appointments: findAppointments,
  cancel_appointment: cancelAppointment,
  reschedule_appointment: rescheduleAppointment,
  send_otp: sendOtp,
  verify_otp: verifyOtp,
};

/** One phone call to one clinic. */
export interface Caller {
  readonly phone: string;
  readonly callId: string;
  ask(tool: keyof typeof tools, args?: object, toolCallId?: string): Promise<Said>;
  /** Texts a code and verifies it. */
  prove(): Promise<Said>;
}

/** The id of a time in two days. */
export const slot = (time: string) => `consultation/${aDay()}T${time}`;

/** The patient of `anAppointment`. */
export const ada = { patientName: "Ada Brown" };

/** A new call to the clinic. @param caller The number it comes from; null if withheld. */
export function aCaller(
  bench: Bench,
  clinic: Clinic,
  phone = aPhone(),
  caller: string | null = phone,
): Caller {
  const callId = crypto.randomUUID();
  const ask: Caller["ask"] = (tool, args = {}, toolCallId) =>
    bench.insist(tools[tool], {
      ...{ tool, called: clinic.number, caller, callId, args },
      ...(toolCallId ? { toolCallId } : {}),
    });
  return {
    phone,
    callId,
    ask,
    prove: async () => {
      const sent = await ask("send_otp");
      assert.equal(sent.outcome, "sent", JSON.stringify(sent));
      return await ask("verify_otp", { code: newestCode(bench.twilio) });
    },
  };
}

/** A clinic where Ada Brown has a confirmed appointment at ten, made in an earlier call. */
export async function anAppointment(
  bench: Bench,
  { providers = 1, capacity = 1, time = "10:00", name = "Ada Brown" } = {},
) {
  const clinic = await aClinic(bench.database.sql, { providers, capacity });
  await bench.provision(clinic);
  const appointmentId = await book(bench, aCaller(bench, clinic), time, name);
  const [row] = await bench.database.sql<{ patient_phone: string }[]>`
    select patient_phone from public.appointments where id = ${appointmentId}`;
  return { clinic, appointmentId, phone: row?.patient_phone ?? "" };
}

/** Books a time in the given call; returns the appointment's id. */
export async function book(bench: Bench, caller: Caller, time: string, patientName: string) {
  await caller.ask("hold_slot", { slotId: slot(time), patientName });
  const confirmed = await caller.prove();
  assert.equal(confirmed.outcome, "confirmed");
  assert.ok(confirmed.holdId);
  await bench.database.sql`delete from public.phone_counts`;
  return confirmed.holdId;
}

/** Every appointment and hold, in the order in which they were made. */
export async function rowsOf(bench: Bench) {
  const rows = await bench.database.sql<{ id: string; status: string; time: string }[]>`
    select a.id, a.status, to_char(a.starts_at at time zone o.timezone, 'HH24:MI') as time
    from public.appointments as a join public.organizations as o on o.id = a.org_id
    order by a.created_at`;
  return rows.map(({ id, status, time }) => ({ id, status, time }));
}

/** An answer without the number that the caller named and the seconds that have passed. */
export const withoutNumber = (
  { message, phoneEnding: _, retryAfterSeconds: _seconds, ...said }: Said,
) => ({
  ...said,
  message: message.replace(/(ending|in) \d\d\b/, "$1 NN"),
});

/** The same as lines such as `10:00 held`. */
export const states = async (bench: Bench) =>
  (await rowsOf(bench)).map(({ status, time }) => `${time} ${status}`);
