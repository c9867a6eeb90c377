/**
 * Days and times as callers say them: each is read as the caller means it at the clinic, or asked for
 * again.
 */
import assert from "node:assert/strict";
import cancelAppointment from "../../functions/cancel-appointment/index.ts";
import checkAvailability from "../../functions/check-availability/index.ts";
import holdSlot from "../../functions/hold-slot/index.ts";
import rescheduleAppointment from "../../functions/reschedule-appointment/index.ts";
import sendOtp from "../../functions/send-otp/index.ts";
import verifyOtp from "../../functions/verify-otp/index.ts";
import { readDay } from "../../shared/days.ts";
import { sayDate } from "../../shared/speech.ts";
import { readTime } from "../../shared/times.ts";
import { aDay, type Bench, type Clinic, testWithBench as test } from "../support/clinic.ts";
import { aTextingClinic, PhoneCall } from "../support/phone_call.ts";

test("a day is counted from the clinic's, and read in the order of its country", async (bench) => {
  const { sql } = bench.database;
  // A Saturday.
  const today = "2026-11-28";
  const expected: readonly (readonly [string, string | null, string | null])[] = [
    ["2026-12-1", "2026-12-01", "2026-12-01"],
    ["12/01/2026", "2026-01-12", "2026-12-01"],
    ["12/01/26", "2026-01-12", "2026-12-01"],
    ["12/1", "2027-01-12", "2026-12-01"],
    ["31/12/2026", "2026-12-31", "2026-12-31"],
    ["12/31/2026", "2026-12-31", "2026-12-31"],
    ["today", today, today],
    ["tomorrow", "2026-11-29", "2026-11-29"],
    ["the day after tomorrow", "2026-11-30", "2026-11-30"],
    ["Saturday", today, today],
    ["Tuesday", "2026-12-01", "2026-12-01"],
    ["next Tuesday", "2026-12-01", "2026-12-01"],
    ["next Saturday", "2026-12-05", "2026-12-05"],
    ["the 14th", "2026-12-14", "2026-12-14"],
    ["the 28th", today, today],
    ["the 31st", "2026-12-31", "2026-12-31"],
    ["1 March", "2027-03-01", "2027-03-01"],
    // New York is five hours behind.
    ["2026-12-01T02:30:00Z", "2026-12-01", "2026-11-30"],
    ["2026-12-01T23:30:00-05:00", "2026-12-02", "2026-12-01"],
    ["2026-12-01T23:30:00", "2026-12-01", "2026-12-01"],
    ["next Friday week", null, null],
    ["next week Friday", "2026-12-04", "2026-12-04"],
    ["Friday week", "2026-12-11", "2026-12-11"],
    ["a week from Monday", "2026-12-07", "2026-12-07"],
    ["in a fortnight", "2026-12-12", "2026-12-12"],
    ["the fourteenth of next month", "2026-12-14", "2026-12-14"],
    ["the 2nd of this month", "2026-11-02", "2026-11-02"],
    ["the 31st of this month", null, null],
    ["2027/01/15", "2027-01-15", "2027-01-15"],
    ["Friday 2027/01/15", "2027-01-15", "2027-01-15"],
    ["Thursday 2027/01/15", null, null],
    ["Tuesday 12/01/2027", "2027-01-12", null],
    ["Tuesday 1 December", "2026-12-01", "2026-12-01"],
    ["Monday 1 December", null, null],
    // The 19th of December is a Saturday.
    ["Saturday the 19th", "2026-12-19", "2026-12-19"],
    ["Tuesday the 19th", "2027-01-19", "2027-01-19"],
    ["Friday the 19th", "2027-02-19", "2027-02-19"],
    ["Monday the 19th", null, null],
    ["tomorrow, Sunday", "2026-11-29", "2026-11-29"],
    ["tomorrow, Monday", null, null],
    ["2026-12-011", null, null],
    ["2026-02-30", null, null],
    ["30/02/2026", null, null],
    ["whenever", null, null],
  ];
  for (const [text, british, american] of expected) {
    const [row] = await sql`
      select private.resolve_day(b, d.said, ${today}, '2027-03-01')::text as british,
        private.resolve_day(a, d.said, ${today}, '2027-03-01')::text as american
      from (select ${sql.json(readDay(text))} as said) as d,
        jsonb_populate_record(null::public.organizations,
          '{"timezone": "Europe/London", "default_country": "GB"}') as b,
        jsonb_populate_record(null::public.organizations,
          '{"timezone": "America/New_York", "default_country": "US"}') as a`;
    assert.deepEqual({ ...row }, { british, american }, text);
  }
});

test("a time of day fits what starts then at the clinic, or at that instant", async (bench) => {
  const { sql } = bench.database;
  // 14:30 in New York.
  const start = "2026-12-01T19:30:00Z";
  const fits = async (text: string) => {
    const said = readTime(text);
    assert.ok(said, text);
    const [row] = await sql`
      select private.is_said_time(${start}, 'America/New_York', ${sql.json(said)}) as fits`;
    return row?.["fits"];
  };
  for (
    const text of [
      ...["14:30", "2:30", "half past two", "2:30 PM", "14:30 - 15:00", "2026-12-01T14:30:00"],
      ...["19:30Z", "14:30-05:00", "2026-12-01T19:30:00Z", "2026-12-01T14:30-05:00"],
    ]
  ) assert.equal(await fits(text), true, text);
  for (
    const text of [
      "2:30 AM",
      "19:30",
      "14:30Z",
      "2026-12-01T14:30:00Z",
      "2026-12-02T19:30:00Z",
      "3",
    ]
  ) assert.equal(await fits(text), false, text);
});

/** A call that has confirmed Ada Brown's appointments at these times on one day, and proven the phone. */
async function aBookedCall(bench: Bench, clinic: Clinic, times: readonly string[], day = aDay()) {
  const call = new PhoneCall(bench, clinic);
  for (const [index, time] of times.entries()) {
    const booking = new PhoneCall(bench, clinic, call.phone, `${call.callId}/${index}`);
    const slotId = `consultation/${day}T${time}`;
    const held = await booking.ask(holdSlot, { slotId, patientName: "Ada Brown" });
    assert.equal(held.outcome, "held", held.message);
    await booking.ask(sendOtp);
    assert.equal((await booking.verify(booking.code)).outcome, "confirmed");
    await bench.database.sql`delete from public.phone_counts`;
  }
  return call;
}

const startsOf = async ({ database }: Bench, clinic: Clinic, status: string) => {
  const rows = await database.sql<{ time: string }[]>`
    select to_char(a.starts_at at time zone o.timezone, 'HH24:MI') as time
    from public.appointments as a join public.organizations as o on o.id = a.org_id
    where o.id = ${clinic.id} and a.status = ${status} order by a.starts_at`;
  return rows.map(({ time }) => time);
};

test("2:30 means the afternoon if the appointment is then, and is asked about if there is one at either time", async (bench) => {
  const clinic = await aTextingClinic(bench);
  const call = await aBookedCall(bench, clinic, ["02:30", "10:00", "14:30"]);
  const cancel = (more: object) =>
    call.ask(cancelAppointment, { patientName: "Ada Brown", ...more });
  assert.equal((await cancel({ appointmentTime: "2:30" })).outcome, "code_needed");
  await call.ask(sendOtp);
  const both = await call.ask(verifyOtp, { code: call.code });
  assert.equal(both.outcome, "which_appointment", both.message);
  assert.deepEqual(both["fields"], ["appointmentTime"]);
  assert.match(both.message, /2:30 AM.*2:30 PM/);
  assert.doesNotMatch(both.message, /10 AM/);
  assert.equal(
    (await cancel({ appointmentTime: "two thirty in the afternoon" })).outcome,
    "cancelled",
  );
  assert.deepEqual(await startsOf(bench, clinic, "cancelled"), ["14:30"]);
  assert.equal((await cancel({ appointmentTime: "2:30" })).outcome, "cancelled");
  assert.deepEqual(await startsOf(bench, clinic, "confirmed"), ["10:00"]);
  // The day in words, and a range.
  const move = await call.ask(rescheduleAppointment, {
    ...{ patientName: "Ada Brown", slotId: `consultation/${aDay()}T16:00` },
    ...{ appointmentDate: "the day after tomorrow", appointmentTime: "10-10:30" },
  });
  assert.equal(move.outcome, "rescheduled", move.message);
  assert.deepEqual(await startsOf(bench, clinic, "confirmed"), ["16:00"]);
});

test("a time that is negated or one of several is asked about", async (bench) => {
  const clinic = await aTextingClinic(bench);
  const call = await aBookedCall(bench, clinic, ["09:00", "10:00", "14:30"]);
  const cancel = (appointmentTime: string) =>
    call.ask(cancelAppointment, { patientName: "Ada Brown", appointmentTime });
  assert.equal((await cancel("9 or 2:30")).outcome, "code_needed");
  await call.ask(sendOtp);
  assert.equal((await call.ask(verifyOtp, { code: call.code })).outcome, "which_appointment");
  for (const said of ["not 2:30", "either 9 or 2:30", "before 2:30", "not at 2:30"]) {
    const which = await cancel(said);
    assert.equal(which.outcome, "which_appointment", `${said}: ${which.message}`);
  }
  assert.deepEqual(await startsOf(bench, clinic, "cancelled"), []);
  assert.equal((await cancel("10 to 11")).outcome, "cancelled");
  assert.deepEqual(await startsOf(bench, clinic, "cancelled"), ["10:00"]);
});

test("an unreadable time or doctor of the appointment is ignored, and the answer says so", async (bench) => {
  const clinic = await aTextingClinic(bench);
  const call = await aBookedCall(bench, clinic, ["10:00"]);
  const tomorrow = `consultation/${aDay()}T11:00`;
  for (
    const [tool, more] of [
      [cancelAppointment, {}],
      [rescheduleAppointment, { slotId: tomorrow }],
    ] as const
  ) {
    for (const appointmentTime of ["after lunch or so", "25:99", true, {}]) {
      const asked = { patientName: "Ada Brown", appointmentTime, ...more };
      const said = await new PhoneCall(bench, clinic).ask(tool, asked);
      assert.equal(said.outcome, "code_needed", said.message);
      assert.match(
        said.message,
        /^I didn't get the time of the appointment, so I go on without it\./,
      );
      assert.deepEqual(said["ignored"], ["appointmentTime"]);
      await bench.database.sql`delete from public.appointments where status = 'held'`;
    }
  }
  const wish = { patientName: "Ada Brown", providerName: "Patel or Hughes", appointmentTime: "10" };
  const said = await call.ask(cancelAppointment, wish);
  assert.deepEqual([said.outcome, said["ignored"]], ["code_needed", ["providerName"]]);
  const wrongDay = { appointmentDate: "Tuesday 2027-01-18", ...wish };
  const unclear = await call.ask(cancelAppointment, wrongDay);
  assert.equal(unclear.outcome, "date_unclear");
  assert.match(unclear.message, /^18 January is a Monday, not a Tuesday\. Today is/);
});

test("an instant is that instant at the clinic, near midnight too", async (bench) => {
  const clinic = await aTextingClinic(bench, { zone: "America/New_York", endMin: 1440 });
  const day = aDay(5, "America/New_York");
  const call = await aBookedCall(bench, clinic, ["22:30"], day);
  const [row] = await bench.database.sql<{ at: string }[]>`
    select to_char(starts_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as at
    from public.appointments where org_id = ${clinic.id}`;
  const instant = row?.at ?? "";
  assert.notEqual(instant.slice(0, 10), day, "another day in UTC");
  const cancel = (more: object) =>
    call.ask(cancelAppointment, { patientName: "Ada Brown", ...more });
  const wrong = { appointmentDate: instant.slice(0, 10), appointmentTime: instant };
  assert.equal((await cancel(wrong)).outcome, "code_needed");
  await call.ask(sendOtp);
  assert.equal((await call.verify(call.code)).outcome, "appointment_not_found");
  assert.equal((await cancel({ appointmentTime: instant.slice(11) })).outcome, "cancelled");
  const again = await call.ask(checkAvailability, { date: instant, serviceType: "consultation" });
  assert.equal(again.slots?.[0]?.startTime.slice(0, 10), day);
});

test("a day that cannot be read or has passed is refused with today's date, whatever is stored", async (bench) => {
  const clinic = await aTextingClinic(bench);
  const booked = await aBookedCall(bench, clinic, ["10:00"]);
  const today = aDay(0);
  const slotId = `consultation/${aDay()}T12:00`;
  for (const call of [booked, new PhoneCall(bench, clinic)]) {
    for (
      const [appointmentDate, outcome] of [
        ...[["2026-12-011", "date_unclear"], ["sometime", "date_unclear"], [7, "date_unclear"]],
        ...[["yesterday", "past_date"], ["2020-03-03", "past_date"]],
      ]
    ) {
      for (const tool of [cancelAppointment, rescheduleAppointment]) {
        const said = await call.ask(tool, { patientName: "Ada Brown", slotId, appointmentDate });
        assert.equal(said.outcome, outcome, `${appointmentDate}: ${said.message}`);
        assert.deepEqual([said["today"], said["todayIs"]], [today, sayDate(today)]);
        assert.ok(said.message.includes(sayDate(today)), said.message);
        assert.deepEqual(said["fields"], ["appointmentDate"]);
      }
    }
    const unread = await call.ask(checkAvailability, { date: 7, serviceType: "consultation" });
    assert.deepEqual([unread.outcome, unread["todayIs"]], ["date_unclear", sayDate(today)]);
  }
  assert.deepEqual(await startsOf(bench, clinic, "confirmed"), ["10:00"]);
  assert.deepEqual(await startsOf(bench, clinic, "held"), []);
});
