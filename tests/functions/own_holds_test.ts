/** What a call itself holds: under which name, and what a late repeat does to it. */
import assert from "node:assert/strict";
import { aClinic, aDay, aPhone, type Bench, testWithBench as test } from "../support/clinic.ts";
import { aCaller, ada, anAppointment, type Caller, slot, states } from "../support/patient.ts";

/** The first hold of a call, as it was requested and repeated. */
async function aFirstHold(bench: Bench, caller: Caller) {
  const ask = (more = {}) =>
    caller.ask("hold_slot", { slotId: slot("10:00"), ...ada, ...more }, "call_first");
  assert.equal((await ask()).outcome, "held");
  return { late: ask, phones: () => phonesOf(bench) };
}

const phonesOf = async ({ database }: Bench) => {
  const rows = await database.sql<{ phone: string }[]>`
    select patient_phone as phone from public.appointments where status = 'held'`;
  return rows.map(({ phone }) => phone);
};

test("a call hears which time it holds under another name, and corrects the name", async (bench) => {
  const { clinic } = await anAppointment(bench);
  const caller = aCaller(bench, clinic);
  const held = await caller.ask("hold_slot", { slotId: slot("11:00"), ...ada });
  const right = { slotId: slot("11:00"), patientName: "Ada Braun" };
  const refused = await caller.ask("hold_slot", right);
  assert.equal(refused.outcome, "slot_taken");
  assert.match(refused.message, /already holding .* 11 AM .* same patient\? If not, I could offer/);
  assert.equal(Object(refused["kept"]).holdId, held.holdId);
  const named = await caller.ask("hold_slot", { ...right, holdId: held.holdId });
  assert.deepEqual([named.outcome, named.holdId], ["held", held.holdId]);
  assert.equal((await caller.prove()).outcome, "confirmed");
  for (const time of ["10:00", "11:00"]) {
    const other = aCaller(bench, clinic, caller.phone);
    await other.ask("hold_slot", { slotId: slot("15:00"), patientName: "Eve Stone" });
    const taken = await other.ask("hold_slot", { slotId: slot(time), patientName: "Ben Stone" });
    assert.match(taken.message, /just been taken/, "by another call");
    assert.equal(taken["kept"], undefined);
  }
});

test("a call that holds one time twice hears so before the code, and can let go of one", async (bench) => {
  const { clinic } = await anAppointment(bench, { providers: 3 });
  const caller = aCaller(bench, clinic);
  const ask = (patientName: string, more = {}) =>
    caller.ask("hold_slot", { slotId: slot("11:00"), patientName, ...more });
  const first = await ask("Ada Brown");
  assert.equal(first["kept"], undefined);
  const second = await ask("Ada Braun");
  assert.equal(second.outcome, "held");
  assert.match(second.message, /still holding .* 11 AM with Dr Number \d under another name/);
  assert.equal(Object(second["kept"]).holdId, first.holdId);
  const other = await ask("Eve Stone", { patientPhone: aPhone() });
  assert.equal(other["kept"], undefined, "for another number");
  const later = await ask("Eve Stone", { slotId: slot("12:00") });
  assert.equal(later["kept"], undefined, "at another time");
  const gone = await caller.ask("cancel_appointment", { ...ada, appointmentId: first.holdId });
  assert.equal(gone.outcome, "hold_released");
  const again = await ask("Ada Braun");
  assert.deepEqual([again.outcome, again.holdId], ["held", second.holdId]);
  assert.equal(again["kept"], undefined);
});

test("a repeated hold request that arrives late undoes nothing that came after it", async (bench) => {
  const clinic = await aClinic(bench.database.sql);
  await bench.provision(clinic);
  const caller = aCaller(bench, clinic);
  const first = await aFirstHold(bench, caller);
  const [corrected, third] = [aPhone(), aPhone()];
  await caller.ask(
    "hold_slot",
    { slotId: slot("10:00"), ...ada, patientPhone: corrected },
    "call_2",
  );
  assert.equal((await first.late()).phoneEnding, corrected.slice(-2));
  await caller.ask("hold_slot", { slotId: slot("10:00"), ...ada, patientPhone: third }, "call_3");
  await caller.ask(
    "hold_slot",
    { slotId: slot("10:00"), ...ada, patientPhone: corrected },
    "call_2",
  );
  assert.deepEqual(await first.phones(), [third], "a corrected number stays");

  const moved = await caller.ask("hold_slot", { slotId: slot("11:00"), ...ada });
  const late = await first.late();
  assert.deepEqual([late.outcome, late.holdId], ["held", moved.holdId], "what is held now");
  assert.deepEqual(await states(bench), ["10:00 cancelled", "11:00 held"]);
  const back = await caller.ask("hold_slot", { slotId: slot("10:00"), ...ada });
  assert.equal((await first.late()).holdId, back.holdId, "requested again, it is held again");

  const cancel = { ...ada, appointmentDate: aDay() };
  assert.equal((await caller.ask("cancel_appointment", cancel)).outcome, "hold_released");
  assert.equal((await first.late()).outcome, "hold_expired");
  await caller.ask("hold_slot", { slotId: slot("12:00"), ...ada });
  assert.equal((await caller.prove()).outcome, "confirmed");
  assert.equal((await first.late()).outcome, "already_confirmed");
  assert.deepEqual(await states(bench), [
    ...["10:00 cancelled", "11:00 cancelled", "10:00 cancelled", "12:00 confirmed"],
  ]);
});

test("a tool call with other arguments is not a repeat, and an expired hold is held again", async (bench) => {
  const clinic = await aClinic(bench.database.sql);
  const first = await aFirstHold(bench, aCaller(bench, clinic));
  const corrected = aPhone();
  await first.late({ patientPhone: corrected });
  assert.deepEqual(await first.phones(), [corrected]);
  await first.late({ slotId: slot("11:00") });
  await first.late({ slotId: slot("12:00") });
  assert.deepEqual((await states(bench)).slice(-1), ["12:00 held"]);
  await bench.database.sql`update public.appointments set expires_at = now() - interval '1 second'
    where status = 'held'`;
  assert.equal((await first.late({ slotId: slot("12:00") })).outcome, "held");
  assert.deepEqual((await states(bench)).slice(-2), ["12:00 expired", "12:00 held"]);
});
