/** Cancelling: an appointment after the passcode, a hold of the same call without one. */
import assert from "node:assert/strict";
import { aClinic, aDay, aPhone, testWithBench as test } from "../support/clinic.ts";
import { aCaller, ada, anAppointment, slot, states, withoutNumber } from "../support/patient.ts";

test("an appointment is cancelled by number, name and passcode, with one database call for the request", async (bench) => {
  const { clinic, phone } = await anAppointment(bench);
  const caller = aCaller(bench, clinic, phone);
  const before = bench.restCalls.length;
  const asked = await caller.ask("cancel_appointment", ada);
  assert.equal(bench.restCalls.length - before, 1);
  assert.equal(asked.outcome, "code_needed");
  assert.equal(asked.holdId, undefined);
  assert.doesNotMatch(JSON.stringify(withoutNumber(asked)), /10|Number|onsultation/);
  assert.deepEqual(await states(bench), ["10:00 confirmed"], "nothing is done before the code");
  const said = await caller.prove();
  assert.equal(said.outcome, "cancelled");
  assert.match(said.message, /10 AM with Dr Number 1 is cancelled/);
  assert.match(bench.twilio.messages.at(-1)?.body ?? "", /code to change your appointment/);
  assert.deepEqual(await states(bench), ["10:00 cancelled"]);
  const again = aCaller(bench, clinic);
  const taken = await again.ask("hold_slot", { slotId: slot("10:00"), patientName: "Ben" });
  assert.equal(taken.outcome, "held", "the time is free again");
});

test("a hold of the same call is released by its id without a code; another call's is not", async (bench) => {
  const clinic = await aClinic(bench.database.sql);
  const caller = aCaller(bench, clinic);
  const held = await caller.ask("hold_slot", { slotId: slot("10:00"), ...ada });
  const cancel = { ...ada, appointmentId: held.holdId };
  const other = aCaller(bench, clinic, caller.phone);
  assert.equal((await other.ask("cancel_appointment", cancel)).outcome, "code_needed");
  assert.equal((await caller.ask("cancel_appointment", cancel)).outcome, "hold_released");
  assert.deepEqual(await states(bench), ["10:00 cancelled"]);
});

test("a hold of the same call is released by number, name and day, also when asked twice", async (bench) => {
  const { clinic, phone } = await anAppointment(bench);
  const caller = aCaller(bench, clinic);
  const held = await caller.ask("hold_slot", { slotId: slot("11:00"), ...ada });
  assert.equal(held.outcome, "held");
  const cancel = (more: object) =>
    caller.ask("cancel_appointment", { ...ada, appointmentDate: aDay(), ...more });
  for (const other of [{ patientName: "Ben Stone" }, { patientPhone: aPhone() }]) {
    assert.equal((await cancel(other)).outcome, "code_needed");
  }
  assert.equal((await cancel({ appointmentTime: "12:00" })).outcome, "code_needed");
  assert.equal((await cancel({ patientPhone: phone })).outcome, "code_needed");
  const released = await cancel({});
  assert.equal(released.outcome, "hold_released");
  assert.match(released.message, /let go of .*11 AM/);
  assert.equal((await cancel({})).outcome, "hold_released");
  assert.deepEqual(await states(bench), ["10:00 confirmed", "11:00 cancelled"]);
});

test("a caller who asks again for the day of a released hold means the appointment on that day", async (bench) => {
  const { clinic, phone } = await anAppointment(bench);
  const caller = aCaller(bench, clinic, phone);
  const held = await caller.ask("hold_slot", { slotId: slot("11:00"), ...ada });
  const cancel = async (more: object) =>
    (await caller.ask("cancel_appointment", { ...ada, ...more })).outcome;
  const day = { appointmentDate: aDay() };
  assert.deepEqual([await cancel(day), await cancel(day)], ["hold_released", "hold_released"]);
  assert.equal(await cancel(day), "code_needed");
  assert.equal((await caller.prove()).outcome, "cancelled");
  assert.deepEqual(await states(bench), ["10:00 cancelled", "11:00 cancelled"]);
  const next = await caller.ask("hold_slot", { slotId: slot("12:00"), ...ada });
  assert.notEqual(next.holdId, held.holdId);
  const named = { appointmentId: next.holdId };
  for (let times = 0; times < 4; times++) assert.equal(await cancel(named), "hold_released");
});

test("cancelling without a day leaves the call's own hold, and says so", async (bench) => {
  const { clinic, phone } = await anAppointment(bench);
  const caller = aCaller(bench, clinic, phone);
  const held = await caller.ask("hold_slot", { slotId: slot("11:00"), ...ada });
  for (const said of [{}, { appointmentTime: "11:00" }, { appointmentId: "my appointment" }]) {
    const asked = await caller.ask("cancel_appointment", { ...ada, ...said });
    assert.equal(asked.outcome, "code_needed");
    assert.match(asked.message, /still holding .*11 AM/);
    assert.ok(JSON.stringify(asked["kept"]).includes(held.holdId ?? "none"));
  }
  assert.equal((await caller.ask("cancel_appointment", ada)).outcome, "code_needed");
  const said = await caller.prove();
  assert.equal(said.outcome, "confirmed");
  assert.match(said.message, /10 AM .* is cancelled/);
  assert.deepEqual(await states(bench), ["10:00 cancelled", "11:00 confirmed"]);
  // The number is proven now: a hold stays too.
  await caller.ask("hold_slot", { slotId: slot("12:00"), patientName: "Ben Stone" });
  const ben = await caller.ask("cancel_appointment", { patientName: "Ben Stone" });
  assert.deepEqual([ben.outcome, (await states(bench)).at(-1)], [
    "appointment_not_found",
    "12:00 held",
  ]);
  assert.match(ben.message, /still holding .* at noon/);
});
