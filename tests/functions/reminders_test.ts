/** Reminders: each patient is reminded once, at the clinic's time and never at night. */
import assert from "node:assert/strict";
import { aBooking, cancel, moveTo, statesOf } from "../support/appointment_texts.ts";
import { aDay, testWithBench as test } from "../support/clinic.ts";
import { aTextingClinic } from "../support/phone_call.ts";
import { sendDue, zoneAtNoon } from "../support/text_answers.ts";

test("patients are reminded the day before, each once, and not of what was booked too late", async (bench) => {
  const { sql } = bench.database;
  const clinic = await aTextingClinic(bench, { providers: 2 });
  const early = await aBooking(bench, clinic);
  const late = await aBooking(bench, clinic, "11:00");
  await sendDue(bench);
  await sql`update public.appointments set created_at = created_at - interval '3 days'
    where id = ${early.holdId}`;
  await sql`update public.organizations set reminder_min = 600, reminder_notice_hours = 60`;
  const remind = (day = aDay()) =>
    sql`select private.queue_reminders(o, ${day}, now()) from public.organizations as o`;
  // Another day's are not this day's.
  await remind(aDay(1));
  assert.equal((await statesOf(bench)).length, 2);
  await Promise.all([remind(), remind(), remind()]);
  // Whatever the time is at the clinic.
  await sql`update public.organizations set timezone = ${zoneAtNoon()}`;
  await sendDue(bench);
  await remind();
  await sendDue(bench);
  assert.equal(early.told().length, 2);
  assert.match(early.told()[1] ?? "", /: a reminder of your appointment on .* with Dr Number/);
  assert.equal(late.told().length, 1);
});

test("nobody is reminded of an appointment that was moved, cancelled or made after the reminders were written", async (bench) => {
  const { sql } = bench.database;
  const clinic = await aTextingClinic(bench, { providers: 2 });
  const moved = await aBooking(bench, clinic);
  const cancelled = await aBooking(bench, clinic, "11:00");
  await sendDue(bench);
  await sql`update public.organizations set reminder_min = 600, reminder_notice_hours = 0`;
  await sql`select private.queue_reminders(o, ${aDay()}, now()) from public.organizations as o`;
  await moveTo(moved, "15:00");
  await cancel(cancelled);
  await aBooking(bench, clinic, "16:00");
  await sql`select private.queue_reminders(o, ${aDay()}, now()) from public.organizations as o`;
  await sql`update public.organizations set timezone = ${zoneAtNoon()}`;
  assert.deepEqual(await sendDue(bench), { sent: 1 });
  assert.deepEqual((await statesOf(bench)).filter((state) => state.startsWith("reminder")), [
    "reminder dropped outdated",
    "reminder dropped outdated",
  ]);
});

test("the time of the reminder is the clinic's own, whatever the clocks do, and never at night", async (bench) => {
  const { sql } = bench.database;
  const clinic = await aTextingClinic(bench);
  await sql`update public.organizations set reminder_min = 1020 where id = ${clinic.id}`;
  const cases: [at: string, day: string | null][] = [
    ["2027-03-26T16:59:59Z", null],
    ["2027-03-26T17:00:00Z", "2027-03-27"],
    ["2027-03-26T20:59:59Z", "2027-03-27"],
    ["2027-03-26T21:00:00Z", null],
    // The clocks go forward in the night before: five o'clock is an hour earlier.
    ["2027-03-28T15:59:59Z", null],
    ["2027-03-28T16:00:00Z", "2027-03-29"],
    ["2027-10-30T16:00:00Z", "2027-10-31"],
    ["2027-10-31T16:59:59Z", null],
    ["2027-10-31T17:00:00Z", "2027-11-01"],
  ];
  for (const [at, day] of cases) {
    const [row] = await sql`
      select private.reminder_day(o, ${at})::text as day from public.organizations as o`;
    assert.equal(row?.["day"], day, at);
  }
  const nights: [at: string, wakes: string][] = [
    ["2027-03-27T22:30:00Z", "2027-03-28T07:00:00.000Z"],
    ["2027-03-28T06:59:00Z", "2027-03-28T07:00:00.000Z"],
    ["2027-03-28T12:00:00Z", "2027-03-28T12:00:00.000Z"],
  ];
  for (const [at, wakes] of nights) {
    const [row] = await sql`select private.wake_time('Europe/London', ${at}) as wakes`;
    assert.equal(row?.["wakes"].toISOString(), wakes, at);
  }
});

test("a job that did not run sends its reminders in the morning, if it is not too late for them", async (bench) => {
  const { sql } = bench.database;
  const clinic = await aTextingClinic(bench, { providers: 3, zone: zoneAtNoon() });
  const bookings = [await aBooking(bench, clinic), await aBooking(bench, clinic)];
  await sendDue(bench);
  // About noon: in three hours, and in one.
  for (const [index, hours] of [3, 1].entries()) {
    await sql`update public.appointments as a
      set starts_at = n.at, ends_at = n.at + interval '30 minutes', session_key = gen_random_uuid(),
        busy = tstzrange(n.at, n.at + interval '30 minutes'), created_at = n.at - interval '3 days'
      from (select now() + make_interval(hours => ${hours}) as at) as n
      where a.id = ${bookings[index]?.holdId ?? ""}`;
  }
  await sql`update public.organizations set reminder_min = 1200`;
  // A clinic that has never reminded begins with the next day.
  await sql`select public.send_appointment_texts()`;
  assert.equal((await statesOf(bench)).length, 2);
  await sql`insert into private.reminded_days (org_id, day)
    select id, (now() at time zone timezone)::date - 1 from public.organizations`;
  await sql`select public.send_appointment_texts()`;
  await sql`select public.send_appointment_texts()`;
  await sendDue(bench);
  assert.deepEqual((await statesOf(bench)).slice(2).sort(), [
    "reminder dropped late",
    "reminder sent",
  ]);
  assert.equal(bookings[0]?.told().length, 2);
});

test("a clinic that reminds from eight on also sends the reminders missed the day before", async (bench) => {
  const { sql } = bench.database;
  await aTextingClinic(bench, { zone: zoneAtNoon() });
  await sql`update public.organizations set reminder_min = 480`;
  await sql`insert into private.reminded_days (org_id, day)
    select id, (now() at time zone timezone)::date - 1 from public.organizations`;
  const days: number[] = [];
  for (let run = 0; run < 3; run++) {
    await sql`select public.send_appointment_texts()`;
    const [row] = await sql<{ ahead: number }[]>`
      select r.day - (now() at time zone o.timezone)::date as ahead
      from private.reminded_days as r join public.organizations as o on o.id = r.org_id`;
    days.push(row?.ahead ?? NaN);
  }
  assert.deepEqual(days, [0, 1, 1]);
});

test("a clinic that is being moved does not stop the reminders of the others", async (bench) => {
  const [moving, other] = [await aTextingClinic(bench), await aTextingClinic(bench)];
  const { sql, admin } = bench.database;
  await sql`update public.organizations set reminder_min = 480, timezone = ${zoneAtNoon()}`;
  await admin.begin(async (tx) => {
    await tx`select from public.organizations where id = ${moving.id} for update`;
    await sql`select public.send_appointment_texts()`;
  });
  const reminded = await sql<{ org: string }[]>`select org_id as org from private.reminded_days`;
  assert.deepEqual(reminded.map(({ org }) => org), [other.id]);
});

test("a reminder that would go out at night waits for the morning", async (bench) => {
  const { sql } = bench.database;
  const clinic = await aTextingClinic(bench);
  const booking = await aBooking(bench, clinic);
  await sendDue(bench);
  await sql`update public.organizations set reminder_min = 600, reminder_notice_hours = 0`;
  await sql`select private.queue_reminders(o, ${aDay()}, now()) from public.organizations as o`;
  const hours = new Date().getUTCHours() - 2;
  await sql`update public.organizations
    set timezone = ${hours > 0 ? `Etc/GMT+${Math.min(12, hours)}` : `Etc/GMT-${-hours}`}`;
  const [{ isNight } = { isNight: false }] = await sql<{ isNight: boolean }[]>`
    select private.wake_time(timezone, now()) > now() as "isNight" from public.organizations`;
  await sendDue(bench);
  assert.equal(booking.told().length, isNight ? 1 : 2);
  assert.equal((await statesOf(bench))[1], isNight ? "reminder waiting night" : "reminder sent");
});

test("the job writes the reminders of each clinic whose time has come, once a day", async (bench) => {
  const { sql } = bench.database;
  const clinics = [await aTextingClinic(bench), await aTextingClinic(bench)];
  await sql`update public.organizations set timezone = ${zoneAtNoon()}, reminder_notice_hours = 0,
    reminder_min = 480 where id = ${clinics[0]?.id ?? ""}`;
  await sql`update public.organizations set timezone = ${zoneAtNoon()}, reminder_min = 1200
    where id = ${clinics[1]?.id ?? ""}`;
  const days = async () =>
    (await sql`select org_id from private.reminded_days`).map((row) => row["org_id"]);
  await sql`select public.send_appointment_texts()`;
  await sql`select public.send_appointment_texts()`;
  assert.deepEqual(await days(), [clinics[0]?.id]);
});
