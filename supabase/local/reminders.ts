/**
 * Reminders on request, to try out how patients answer them: nobody has to wait for the day before.
 *
 * @module
 */

import type postgres from "postgres";

/** What became of a request. */
export interface RemindersAsked {
  /** How many reminders were written. They are sent at once, but not at night. */
  readonly written: number;
  /** Whether it is night at the clinic: then they wait for the morning. */
  readonly isNight: boolean;
}

/**
 * Writes a reminder for every appointment ahead of a phone that was not reminded of yet, as on the day
 * before, and sends it. From now on its clinics send reminders and take answers.
 */
export async function writeReminders(sql: postgres.Sql, phone: string): Promise<RemindersAsked> {
  return await sql.begin(async (tx) => {
    await tx`update public.organizations as o
      set text_answers = true, reminder_min = coalesce(o.reminder_min, 1020)
      where o.id in (select a.org_id from public.appointments as a where a.patient_phone = ${phone})`;
    const written = await tx<{ isNight: boolean }[]>`
      insert into public.appointment_texts (org_id, appointment_id, kind, starts_at, due_at)
      select a.org_id, a.id, 'reminder', a.starts_at, clock_timestamp()
      from public.appointments as a
      where a.patient_phone = ${phone} and a.status = 'confirmed' and a.starts_at > clock_timestamp()
      on conflict do nothing
      returning (select private.wake_time(o.timezone, now()) > now() from public.organizations as o
        where o.id = org_id) as "isNight"`;
    await tx`select public.send_appointment_texts()`;
    return { written: written.length, isNight: written.some(({ isNight }) => isNight) };
  });
}
