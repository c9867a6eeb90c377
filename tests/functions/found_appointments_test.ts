/** Finding appointments: by number, name and passcode, only the patient's own. */
import assert from "node:assert/strict";
import { aPhone, newestCode, type Said, testWithBench as test } from "../support/clinic.ts";
import { aCaller, ada, anAppointment, book, slot, states } from "../support/patient.ts";

test("names match whatever their case, accents, titles and order; a family on one phone is told apart", async (bench) => {
  const { clinic, phone } = await anAppointment(bench, { name: "Zoë O'Brien-Núñez" });
  await book(bench, aCaller(bench, clinic, phone), "12:00", "Ben O'Brien-Nunez");
  const found = async (patientName: string) => {
    await bench.database.sql`delete from public.phone_counts`;
    const texts = bench.twilio.messages.length;
    const caller = aCaller(bench, clinic, phone);
    assert.equal((await caller.ask("find_appointments", { patientName })).outcome, "code_needed");
    await caller.ask("send_otp");
    if (bench.twilio.messages.length === texts) return [];
    const said = await caller.ask("verify_otp", { code: newestCode(bench.twilio) });
    return (said["appointments"] as { startTime: string }[]).map(({ startTime }) =>
      startTime.slice(11, 16)
    );
  };
  for (
    const patientName of [
      "zoe obrien nunez",
      "Mrs. ZOE O'BRIEN NUÑEZ",
      "Dr. Núñez, Zoë O'Brien",
      "Zoë Maria O'Brien-Núñez",
      "Zoe Nunez",
    ]
  ) assert.deepEqual(await found(patientName), ["10:00"], patientName);
  assert.deepEqual(await found("Ben O’Brien Núñez"), ["12:00"]);
  for (
    const patientName of [
      ...["Nunez", "Zoe", "Zoe Zoe", "Tim O'Brien Nunez", "Mrs"],
      "Amy Zoe Ben Tom Smith Nunez Brown Jones OBrien",
    ]
  ) assert.deepEqual(await found(patientName), [], patientName);
});

test("after the code, a caller who asks about one patient hears only of that patient's appointments", async (bench) => {
  const { clinic, phone } = await anAppointment(bench);
  await book(bench, aCaller(bench, clinic, phone), "12:00", "Ben Stone");
  const caller = aCaller(bench, clinic, phone);
  const times = (said: Said) =>
    ((said["appointments"] ?? []) as Said[]).map(({ startTime }) =>
      String(startTime).slice(11, 16)
    );
  const find = async (patientName: string) =>
    times(await caller.ask("find_appointments", { patientName }));
  assert.deepEqual(await find("Ada Brown"), []);
  assert.deepEqual(await find("Ben Stone"), []);
  assert.deepEqual(times(await caller.prove()), ["10:00", "12:00"], "both were asked about");
  assert.deepEqual(await find("Ben Stone"), ["12:00"]);
  assert.deepEqual(await find("Ada"), ["10:00"], "under another name that this call gave her");
  assert.deepEqual(await find("Tim Stone"), []);
});

test("a move that waits to hear which appointment is meant keeps its new time while the caller asks what is booked", async (bench) => {
  const { clinic, phone } = await anAppointment(bench);
  await book(bench, aCaller(bench, clinic, phone), "11:00", "Ada Brown");
  const caller = aCaller(bench, clinic, phone);
  const move = (more = {}) =>
    caller.ask("reschedule_appointment", { ...ada, slotId: slot("15:00"), ...more });
  await move();
  assert.equal((await caller.prove()).outcome, "which_appointment");
  assert.equal((await caller.ask("find_appointments", ada)).outcome, "found");
  assert.deepEqual(await states(bench), ["10:00 confirmed", "11:00 confirmed", "15:00 held"]);
  assert.equal((await move({ appointmentTime: "11:00" })).outcome, "rescheduled");
  assert.deepEqual(await states(bench), ["10:00 confirmed", "11:00 cancelled", "15:00 confirmed"]);
});

test("a code that confirms a hold and lists appointments says each time once", async (bench) => {
  const { clinic, phone } = await anAppointment(bench);
  for (const isFirst of [true, false]) {
    const caller = aCaller(bench, clinic, isFirst ? aPhone() : phone);
    const time = isFirst ? "13:00" : "14:00";
    assert.equal((await caller.ask("hold_slot", { slotId: slot(time), ...ada })).outcome, "held");
    assert.equal((await caller.ask("find_appointments", ada)).outcome, "code_needed");
    const said = await caller.prove();
    assert.equal(said.outcome, "confirmed");
    assert.equal(said.message.match(/ at [12] PM/g)?.length, 1, said.message);
    assert.equal(/You also have .* at 10 AM/.test(said.message), !isFirst, said.message);
    assert.match(
      JSON.stringify(said["change"]),
      isFirst ? /T13:00/ : /T10:00.*T14:00/,
      "the facts",
    );
  }
});
