/**
 * Reminders that patients answer, in tests.
 *
 * @module
 */

import assert from "node:assert/strict";
import appointmentTexts from "../../functions/appointment-texts/index.ts";
import { type Bench, type Clinic, jobsSecret } from "./clinic.ts";
import { aHold, aTextingClinic, type PhoneCall } from "./phone_call.ts";

/** A zone where it is about noon now. Those of Etc have the inverse sign. */
export function zoneAtNoon(): string {
  const hours = 12 - new Date().getUTCHours();
  return hours > 0 ? `Etc/GMT-${hours}` : `Etc/GMT+${-hours}`;
}

/** A clinic whose reminders can be answered, where it is day whenever the test runs. */
export async function anAnsweringClinic(bench: Bench): Promise<Clinic> {
  const clinic = await aTextingClinic(bench, { providers: 3, zone: zoneAtNoon() });
  await bench.database.sql`
    update public.organizations set text_answers = true, confirmation_texts = false,
      reminder_min = 600, reminder_notice_hours = 0 where id = ${clinic.id}`;
  return clinic;
}

/** Sends what is due. Returns how many texts had which result, or the status if it is not 200. */
export async function sendDue(bench: Bench, runtime = bench.runtime) {
  const request = new Request("http://functions.test/", {
    method: "POST",
    headers: { authorization: `Bearer ${jobsSecret}` },
  });
  const response = await appointmentTexts.using(runtime).fetch(request);
  return response.status === 200 ? await response.json() : response.status;
}

/** Books an appointment, for the number of an earlier call if one is given. */
export async function aBookingFor(
  bench: Bench,
  clinic: Clinic,
  time: string,
  phone?: string,
): Promise<PhoneCall> {
  const call = await aHold(bench, { clinic, time, ...(phone === undefined ? {} : { phone }) });
  await call.send();
  assert.equal((await call.verify(call.code)).outcome, "confirmed");
  return call;
}

/** Reminds of everything that is booked at a clinic and was not reminded of. */
export async function remind(bench: Bench, clinic: Clinic): Promise<void> {
  const { sql } = bench.database;
  await sql`insert into public.appointment_texts (org_id, appointment_id, kind, starts_at, due_at)
    select a.org_id, a.id, 'reminder', a.starts_at, now() from public.appointments as a
    where a.org_id = ${clinic.id} and a.status = 'confirmed' on conflict do nothing`;
  assert.equal(typeof await sendDue(bench), "object");
}

/** An appointment whose patient was reminded. */
export async function aReminder(bench: Bench, clinic?: Clinic): Promise<PhoneCall> {
  const call = await aBookingFor(bench, clinic ?? await anAnsweringClinic(bench), "10:00");
  await remind(bench, call.clinic);
  return call;
}

/** Reminders of two appointments of one patient, at 10:00 and 14:30. */
export async function twoReminders(bench: Bench) {
  const clinic = await anAnsweringClinic(bench);
  const call = await aBookingFor(bench, clinic, "10:00");
  const other = await aBookingFor(bench, clinic, "14:30", call.phone);
  await remind(bench, clinic);
  return { clinic, call, other };
}

/** Where Twilio posts patients' texts. */
export const webhookOf = ({ restUrl }: Bench) => `${restUrl}/functions/v1/sms-inbound`;

/** A patient texts the clinic. Returns the replies, or the status where it is not 200. */
export async function text(
  { bench, clinic, phone }: PhoneCall,
  body: string,
  more: { readonly sid?: string; readonly from?: string } = {},
): Promise<readonly string[] | number> {
  const result = await bench.twilio.receive(
    { from: phone, to: clinic.number, body, ...more },
    webhookOf(bench),
  );
  assert.ok(result, "nobody has texted from the clinic's number");
  return result.answered === 200 ? result.replies : result.answered;
}

/** The appointments of a clinic by start: their status, and `!` where the patient has confirmed. */
export async function statesOf({ database }: Bench, clinic: Clinic): Promise<string[]> {
  const rows = await database.sql<{ state: string }[]>`
    select to_char(a.starts_at at time zone o.timezone, 'HH24:MI') || ' ' || a.status
      || case when a.patient_confirmed_at is null then '' else '!' end as state
    from public.appointments as a join public.organizations as o on o.id = a.org_id
    where a.org_id = ${clinic.id} order by a.starts_at, a.created_at`;
  return rows.map(({ state }) => state);
}
