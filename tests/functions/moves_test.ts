/** Moving: the new time is held before the passcode, and the old one stays until then. */
import assert from "node:assert/strict";
import { aPhone, newestCode, testWithBench as test } from "../support/clinic.ts";
import {
  aCaller,
  ada,
  anAppointment,
  book,
  rowsOf,
  slot,
  states,
  withoutNumber,
} from "../support/patient.ts";

test("an appointment is moved: the new time is held while the code is on its way, and the old one stays", async (bench) => {
  const { clinic, phone } = await anAppointment(bench);
  const caller = aCaller(bench, clinic, phone);
  const asked = await caller.ask("reschedule_appointment", { ...ada, slotId: slot("11:00") });
  assert.equal(asked.outcome, "code_needed");
  assert.equal(asked.holdId, undefined);
  assert.deepEqual(await states(bench), ["10:00 confirmed", "11:00 held"]);
  for (const time of ["10:00", "11:00"]) {
    const other = await aCaller(bench, clinic).ask("hold_slot", {
      slotId: slot(time),
      patientName: "Ben",
    });
    assert.equal(other.outcome, "slot_taken", `${time} is nobody else's`);
  }
  const said = await caller.prove();
  assert.equal(said.outcome, "rescheduled");
  assert.match(said.message, /11 AM with Dr Number 1/);
  assert.deepEqual(await states(bench), ["10:00 cancelled", "11:00 confirmed"]);
  const [moved] = (await rowsOf(bench)).filter(({ status }) => status === "confirmed");
  assert.equal(said.holdId, moved?.id);
  // The moved appointment can be moved and cancelled like any other.
  const next = aCaller(bench, clinic, phone);
  await bench.database.sql`delete from public.phone_counts`;
  await next.ask("cancel_appointment", ada);
  assert.equal((await next.prove()).outcome, "cancelled");
});

test("an appointment moves to a time that overlaps it, once the number is proven", async (bench) => {
  const { clinic, phone } = await anAppointment(bench);
  await bench.database.sql`update public.services set step_min = 15`;
  const caller = aCaller(bench, clinic, phone);
  const asked = await caller.ask("reschedule_appointment", { ...ada, slotId: slot("10:15") });
  assert.equal(asked.outcome, "slot_taken", "before the proof it is anybody's time");
  assert.match(asked.message, /your own appointment/);
  for (const time of ["09:45", "10:00", "10:15"]) {
    const other = await aCaller(bench, clinic).ask("hold_slot", {
      slotId: slot(time),
      patientName: "Ben",
    });
    assert.equal(other.outcome, "slot_taken", time);
  }
  assert.equal((await caller.prove()).outcome, "rescheduled");
  assert.deepEqual(await states(bench), ["10:00 cancelled", "10:15 confirmed"]);
  // And back again, over itself: no further code.
  const back = await caller.ask("reschedule_appointment", { ...ada, slotId: slot("10:00") });
  assert.equal(back.outcome, "rescheduled");
  const free = await aCaller(bench, clinic).ask("hold_slot", {
    slotId: slot("10:30"),
    patientName: "Ben",
  });
  assert.equal(free.outcome, "held");
});

test("the new time of one appointment is not taken for the new time of another one", async (bench) => {
  const { clinic, phone } = await anAppointment(bench);
  await book(bench, aCaller(bench, clinic, phone), "15:00", "Ada Brown");
  await bench.database.sql`update public.services set step_min = 15`;
  const caller = aCaller(bench, clinic, phone);
  const move = (time: string, to: string) =>
    caller.ask("reschedule_appointment", { ...ada, slotId: slot(to), appointmentTime: time });
  assert.equal((await move("10:00", "12:00")).outcome, "code_needed");
  assert.equal((await move("15:00", "12:00")).outcome, "code_needed", "the last word counts");
  assert.equal((await caller.prove()).outcome, "rescheduled");
  assert.deepEqual(await states(bench), ["10:00 confirmed", "15:00 cancelled", "12:00 confirmed"]);

  assert.equal((await move("10:00", "10:15")).outcome, "rescheduled");
  assert.equal((await move("12:00", "10:15")).outcome, "slot_taken");
});

test("the time held for a move stays with the move, even if another patient requests it", async (bench) => {
  const { clinic, phone } = await anAppointment(bench);
  const caller = aCaller(bench, clinic, phone);
  await caller.ask("reschedule_appointment", { ...ada, slotId: slot("12:00") });
  const eve = { patientName: "Eve Green", patientPhone: aPhone() };
  const other = await caller.ask("hold_slot", { ...eve, slotId: slot("12:00") });
  assert.equal(other.outcome, "slot_taken", "another patient's request does not take it");
  const again = await caller.ask("hold_slot", { ...ada, slotId: slot("12:00") });
  assert.equal(again.outcome, "held", "it is held, and is not a booking besides the move");
  assert.equal((await caller.prove()).outcome, "rescheduled");
  assert.deepEqual(await states(bench), ["10:00 cancelled", "12:00 confirmed"]);
});

test("a time held as a booking becomes the new time of a move, not a second appointment", async (bench) => {
  const { clinic, phone } = await anAppointment(bench);
  const caller = aCaller(bench, clinic, phone);
  await caller.ask("hold_slot", { ...ada, slotId: slot("12:00") });
  const asked = await caller.ask("reschedule_appointment", { ...ada, slotId: slot("12:00") });
  assert.equal(asked.outcome, "code_needed");
  assert.equal((await caller.prove()).outcome, "rescheduled");
  assert.deepEqual(await states(bench), ["10:00 cancelled", "12:00 confirmed"]);
});

test("a move whose new time has expired gets it at the proof if it is still free, else others are offered", async (bench) => {
  for (const isFree of [true, false]) {
    const { clinic, phone } = await anAppointment(bench);
    const caller = aCaller(bench, clinic, phone);
    await caller.ask("reschedule_appointment", { ...ada, slotId: slot("11:00") });
    await caller.ask("send_otp");
    const code = newestCode(bench.twilio);
    await bench.database.sql`update public.appointments
      set expires_at = now() - interval '1 second' where status = 'held'`;
    if (!isFree) {
      const ben = { slotId: slot("11:00"), patientName: "Ben" };
      assert.equal((await aCaller(bench, clinic).ask("hold_slot", ben)).outcome, "held");
    }
    const said = await caller.ask("verify_otp", { code });
    assert.equal(said.outcome, isFree ? "rescheduled" : "slot_taken");
    assert.equal(said.slots?.length, isFree ? undefined : 3);
    const rows = await bench.database.sql`select status from public.appointments
      where org_id = ${clinic.id} and status = 'confirmed'`;
    assert.equal(rows.length, 1, "the old one or the new one");
  }
});

test("a move to a taken time offers others and keeps the appointment and the earlier new time", async (bench) => {
  const { clinic, phone } = await anAppointment(bench);
  await aCaller(bench, clinic).ask("hold_slot", { slotId: slot("12:00"), patientName: "Ben" });
  const caller = aCaller(bench, clinic, phone);
  await caller.ask("reschedule_appointment", { ...ada, slotId: slot("11:00") });
  const taken = await caller.ask("reschedule_appointment", { ...ada, slotId: slot("12:00") });
  assert.equal(taken.outcome, "slot_taken");
  assert.equal(taken.slots?.length, 3);
  assert.equal((await caller.prove()).outcome, "rescheduled");
  assert.deepEqual(await states(bench), ["10:00 cancelled", "12:00 held", "11:00 confirmed"]);
});

test("a caller may choose another new time, or cancel instead; the last request counts", async (bench) => {
  const { clinic, phone } = await anAppointment(bench);
  const caller = aCaller(bench, clinic, phone);
  await caller.ask("reschedule_appointment", { ...ada, slotId: slot("11:00") });
  const other = await caller.ask("reschedule_appointment", { ...ada, slotId: slot("12:00") });
  assert.match(other.message, /let go of .*11 AM/);
  assert.deepEqual(await states(bench), ["10:00 confirmed", "11:00 cancelled", "12:00 held"]);
  const cancel = await caller.ask("cancel_appointment", ada);
  assert.match(cancel.message, /let go of .*noon/);
  assert.deepEqual(await states(bench), ["10:00 confirmed", "11:00 cancelled", "12:00 cancelled"]);
  assert.equal((await caller.prove()).outcome, "cancelled");
});

test("a caller hears that the new time is let go when another request replaces the move", async (bench) => {
  const { clinic, phone } = await anAppointment(bench);
  await book(bench, aCaller(bench, clinic, phone), "11:00", "Ada Brown");
  const caller = aCaller(bench, clinic, phone);
  const move = () =>
    caller.ask("reschedule_appointment", {
      ...ada,
      slotId: slot("15:00"),
      patientPhone: aPhone(),
    });
  assert.equal((await move()).outcome, "code_needed");
  const found = await caller.ask("find_appointments", ada);
  assert.match(found.message, /let go of .* at 3 PM/);
  assert.equal((await caller.prove()).outcome, "found");
  assert.equal((await move()).outcome, "code_needed");
  const which = await caller.ask("cancel_appointment", ada);
  assert.equal(which.outcome, "which_appointment");
  assert.match(which.message, /let go of .* at 3 PM/);
  assert.ok(which["released"]);
});

test("a patient whose line dropped takes the change and the held time over in the next call", async (bench) => {
  const { clinic, phone } = await anAppointment(bench);
  const move = { ...ada, slotId: slot("11:00") };
  const dropped = aCaller(bench, clinic, phone);
  await dropped.ask("reschedule_appointment", move);
  const caller = aCaller(bench, clinic, phone);
  assert.equal((await caller.ask("reschedule_appointment", move)).outcome, "code_needed");
  assert.deepEqual(await states(bench), ["10:00 confirmed", "11:00 held"]);
  assert.equal((await caller.prove()).outcome, "rescheduled");
});

test("an appointment moves to another doctor if its own is not free, and the caller is told at the proof", async (bench) => {
  const { clinic, phone } = await anAppointment(bench, { providers: 2 });
  const [row] = await bench.database.sql<{ slug: string; name: string }[]>`
    select p.slug, p.name from public.appointments as a
    join public.providers as p on p.id = a.provider_id where a.status = 'confirmed'`;
  await aCaller(bench, clinic).ask("hold_slot", {
    slotId: `${slot("12:00")}/${row?.slug}`,
    patientName: "Ben",
  });
  const caller = aCaller(bench, clinic, phone);
  const asked = await caller.ask("reschedule_appointment", { ...ada, slotId: slot("12:00") });
  assert.doesNotMatch(
    JSON.stringify(withoutNumber(asked)),
    /Number/,
    "nor whose patient it would be",
  );
  const other = await caller.prove();
  assert.equal(other.outcome, "rescheduled");
  assert.match(other.message, row?.name === "Dr Number 1" ? /Dr Number 2/ : /Dr Number 1/);
});

test("the time that the appointment already has is taken before the proof; after it, nothing is moved", async (bench) => {
  const { clinic, appointmentId, phone } = await anAppointment(bench);
  const caller = aCaller(bench, clinic, phone);
  const same = await caller.ask("reschedule_appointment", { ...ada, slotId: slot("10:00") });
  const stranger = aCaller(bench, clinic);
  const other = await stranger.ask("reschedule_appointment", { ...ada, slotId: slot("10:00") });
  assert.deepEqual(same, other);
  const said = await caller.prove();
  assert.equal(said.outcome, "rescheduled");
  assert.equal(said.holdId, appointmentId);
  assert.deepEqual(await states(bench), ["10:00 confirmed"]);
});

test("a seat of a group session moves to another session and frees the old seat", async (bench) => {
  const { clinic, phone } = await anAppointment(bench, { capacity: 2 });
  await aCaller(bench, clinic).ask("hold_slot", { slotId: slot("10:00"), patientName: "Ben" });
  await aCaller(bench, clinic).ask("hold_slot", { slotId: slot("11:00"), patientName: "Cleo" });
  const caller = aCaller(bench, clinic, phone);
  await caller.ask("reschedule_appointment", { ...ada, slotId: slot("11:00") });
  const hold = (time: string) =>
    aCaller(bench, clinic).ask("hold_slot", { slotId: slot(time), patientName: "Dan" });
  assert.equal((await hold("11:00")).outcome, "slot_taken");
  assert.equal((await hold("10:00")).outcome, "slot_taken");
  assert.equal((await caller.prove()).outcome, "rescheduled");
  assert.equal((await hold("10:00")).outcome, "held");
});
