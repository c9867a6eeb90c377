/** Which appointment a caller means: nothing is said about it before the passcode. */
import assert from "node:assert/strict";
import { aClinic, aDay, aPhone, type Clinic, testWithBench as test } from "../support/clinic.ts";
import {
  aCaller,
  ada,
  anAppointment,
  book,
  slot,
  states,
  withoutNumber,
} from "../support/patient.ts";

test("a wrong name, number, day, doctor or id, a past visit, another clinic's appointment and none at all get the same answer", async (bench) => {
  const { clinic, appointmentId, phone } = await anAppointment(bench);
  const other = await aClinic(bench.database.sql);
  await bench.provision(other);
  const pastPhone = aPhone();
  const past = await book(bench, aCaller(bench, clinic, pastPhone), "12:00", "Past Person");
  await bench.database.sql`update public.appointments set
    starts_at = starts_at - interval '9 days', ends_at = ends_at - interval '9 days',
    busy = tstzrange(lower(busy) - interval '9 days', upper(busy) - interval '9 days')
    where id = ${past}`;
  const asks: [Clinic, string, object][] = [
    [clinic, phone, ada],
    [clinic, phone, { patientName: "Ada Browne" }],
    [clinic, phone, { patientName: "Brown" }],
    [clinic, aPhone(), ada],
    [clinic, phone, { ...ada, appointmentDate: aDay(3) }],
    [clinic, phone, { ...ada, appointmentTime: "11:00" }],
    [clinic, phone, { ...ada, appointmentId: crypto.randomUUID() }],
    [clinic, phone, { ...ada, appointmentId }],
    [clinic, phone, { ...ada, providerName: "Dr Nobody" }],
    [clinic, aPhone(), { ...ada, appointmentId }],
    [clinic, pastPhone, { patientName: "Past Person" }],
    [clinic, pastPhone, { patientName: "Past Person", appointmentId: past }],
    [other, phone, ada],
    [other, phone, { ...ada, appointmentId }],
  ];
  const texts = bench.twilio.messages.length;
  // Some ask about one number at the same time.
  await bench.database.sql`update public.organizations
    set phone_hourly_sends = 50, phone_daily_sends = 50`;
  for (const tool of ["cancel_appointment", "find_appointments"] as const) {
    await bench.database.sql`delete from public.phone_counts`;
    const conversations = await Promise.all(asks.map(async ([at, from, args]) => {
      const caller = aCaller(bench, at, from);
      const said = [
        await caller.ask(tool, args),
        await caller.ask("send_otp"),
        await caller.ask("send_otp"),
        await caller.ask("verify_otp", { code: "000000" }),
      ];
      return said.map(withoutNumber);
    }));
    assert.equal(conversations[0]?.[0]?.outcome, "code_needed");
    for (const conversation of conversations) assert.deepEqual(conversation, conversations[0]);
  }
  assert.ok(bench.twilio.messages.length > texts);
  assert.ok(
    bench.twilio.messages.slice(texts).every(({ to }) => to === phone),
    "a text goes to nobody whose name and number do not fit",
  );
});

test("a request for another day is not answered with the earlier change", async (bench) => {
  const { clinic, phone } = await anAppointment(bench);
  for (const isMove of [false, true]) {
    const caller = aCaller(bench, clinic, phone);
    const more = isMove ? { slotId: slot("12:00") } : {};
    const tool = isMove ? "reschedule_appointment" : "cancel_appointment";
    const ask = async (said: object) =>
      (await caller.ask(tool, { ...ada, ...more, ...said })).outcome;
    const said = { appointmentDate: aDay(), appointmentTime: "10:00" };
    assert.equal(await ask(said), "code_needed");
    const done = (await caller.prove()).outcome;
    assert.equal(done, isMove ? "rescheduled" : "cancelled");
    assert.equal(await ask(said), done, "the same again");
    assert.equal(await ask({ appointmentDate: aDay(3) }), "appointment_not_found");
    assert.equal(await ask({ appointmentTime: "16:00" }), "appointment_not_found");
    if (!isMove) await book(bench, aCaller(bench, clinic, phone), "10:00", "Ada Brown");
  }
});

test("a hold is confirmed even while it is unclear which appointment the caller means", async (bench) => {
  const { clinic, phone } = await anAppointment(bench);
  await book(bench, aCaller(bench, clinic, phone), "11:00", "Ada Brown");
  const caller = aCaller(bench, clinic, phone);
  await caller.ask("cancel_appointment", ada);
  assert.equal((await caller.prove()).outcome, "which_appointment");
  await caller.ask("hold_slot", { slotId: slot("15:00"), patientName: "Ben Stone" });
  const said = await caller.ask("send_otp");
  assert.equal(said.outcome, "confirmed", said.message);
  assert.match(said.message, /3 PM .* can't tell which of those appointments/);
  assert.deepEqual(await states(bench), ["10:00 confirmed", "11:00 confirmed", "15:00 confirmed"]);
});

test("several appointments are named only after the code, and the caller is asked once which one is meant", async (bench) => {
  const { clinic, phone } = await anAppointment(bench);
  await book(bench, aCaller(bench, clinic, phone), "12:00", "Ada Brown");
  const caller = aCaller(bench, clinic, phone);
  const asked = await caller.ask("cancel_appointment", ada);
  assert.equal(asked.outcome, "code_needed");
  assert.doesNotMatch(JSON.stringify(withoutNumber(asked)), /10|12|Number|onsultation/);
  const which = await caller.prove();
  assert.deepEqual([which.outcome, which.action], ["which_appointment", "RETRY"]);
  assert.deepEqual(which["fields"], ["appointmentTime"]);
  assert.match(which.message, /10 AM with Dr Number 1 and .* noon with Dr Number 1\. Which time/);
  const again = await caller.ask("cancel_appointment", { ...ada, appointmentDate: aDay() });
  assert.deepEqual([again.outcome, again.action], ["which_appointment", "ESCALATE"]);
  const cancelled = await caller.ask("cancel_appointment", { ...ada, appointmentTime: "noon" });
  assert.equal(cancelled.outcome, "cancelled");
  assert.deepEqual(await states(bench), ["10:00 confirmed", "12:00 cancelled"]);
});

test("the day and the time that the caller said are compared after the proof", async (bench) => {
  const said = [
    { appointmentDate: aDay(), appointmentTime: "12:00" },
    { appointmentTime: `${aDay()}T12:00:00+00:00` },
    { appointmentTime: "12 pm" },
  ];
  for (const args of said) {
    const { clinic, phone } = await anAppointment(bench);
    await book(bench, aCaller(bench, clinic, phone), "12:00", "Ada Brown");
    const caller = aCaller(bench, clinic, phone);
    assert.equal(
      (await caller.ask("cancel_appointment", { ...ada, ...args })).outcome,
      "code_needed",
    );
    assert.equal((await caller.prove()).outcome, "cancelled", JSON.stringify(args));
    const [row] = await bench.database.sql`select to_char(starts_at at time zone 'Europe/London',
      'HH24:MI') as time from public.appointments
      where org_id = ${clinic.id} and status = 'cancelled'`;
    assert.equal(row?.["time"], "12:00");
  }
});

test("a request neither cancels nor moves what the call holds after it", async (bench) => {
  const cancel = ["cancel_appointment", { ...ada, appointmentDate: aDay() }] as const;
  const move = ["reschedule_appointment", { ...ada, slotId: slot("14:00") }] as const;
  const cases = [
    [true, cancel, "cancelled", ["10:00 cancelled", "11:00 confirmed"]],
    [false, cancel, "appointment_not_found", ["11:00 confirmed"]],
    [true, move, "rescheduled", ["10:00 cancelled", "11:00 confirmed", "14:00 confirmed"]],
    [false, move, "appointment_not_found", ["11:00 confirmed", "14:00 cancelled"]],
  ] as const;
  for (const [isBooked, [tool, args], outcome, left] of cases) {
    const { clinic, phone } = await anAppointment(bench);
    const caller = aCaller(bench, clinic, isBooked ? phone : aPhone());
    assert.equal((await caller.ask(tool, args)).outcome, "code_needed");
    const held = await caller.ask("hold_slot", { slotId: slot("11:00"), ...ada });
    assert.equal(held.outcome, "held");
    const said = await caller.prove();
    assert.equal(said.outcome, "confirmed");
    assert.equal(Object(said["change"]).outcome, outcome, said.message);
    const rows = await bench.database.sql<{ state: string }[]>`
      select to_char(a.starts_at at time zone 'Europe/London', 'HH24:MI ') || a.status as state
      from public.appointments as a
      where a.org_id = ${clinic.id} and a.patient_phone = ${caller.phone} order by a.starts_at`;
    assert.deepEqual(rows.map(({ state }) => state), left);
  }
});
