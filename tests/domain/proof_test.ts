/** A call proves a phone: what a passcode does in its own call, and what it does to other calls. */
import assert from "node:assert/strict";
import {
  aCaller,
  type Answer,
  type Caller,
  type Line,
  readCode,
  sendCode,
  testWithLines as test,
} from "../support/callers.ts";
import { aClinic, aDay, type Bench, letTimePass } from "../support/clinic.ts";

const code = "482913";
const slot = (time: string, doctor = "") => ({
  p_slot_id: `consultation/${aDay()}T${time}${doctor}`,
});

const hold = (line: Line, caller: Caller, name: string, time: string, more = {}) =>
  line.ask("claim_slot_atomic", caller, { ...slot(time), p_patient_name: name, ...more });

/** Texts a code and verifies it. */
async function prove(line: Line, caller: Caller): Promise<Answer> {
  const sent = await sendCode(line, caller, code);
  assert.equal(sent.outcome, "claimed", JSON.stringify(sent));
  return await readCode(line, caller, code);
}

/** Appointments as patient, start and status, in the order of creation. */
async function rowsOf({ database }: Bench): Promise<string[]> {
  const rows = await database.sql<{ row: string }[]>`
    select a.patient_name || to_char(a.starts_at at time zone o.timezone, ' HH24:MI ') || a.status
      as row
    from public.appointments as a join public.organizations as o on o.id = a.org_id
    order by a.created_at`;
  return rows.map(({ row }) => row);
}

const clock = (iso: unknown) => String(iso).slice(11, 16);

test("one code confirms every hold of its call, each for its own patient", async ({ bench, sql, one }) => {
  const clinic = await aClinic(sql, { providers: 2 });
  const mother = aCaller(clinic);
  assert.equal((await hold(one, mother, "Jane Example", "11:00")).outcome, "held");
  const second = await hold(one, mother, "Tim Example", "11:00");
  assert.equal(second.outcome, "held");
  assert.equal(second["released"], undefined);
  const said = await prove(one, mother);
  assert.equal(said.outcome, "confirmed");
  assert.equal((said["others"] as unknown[]).length, 1);
  assert.deepEqual(said["overlaps"], [], "two patients may come at one time");
  assert.deepEqual(await rowsOf(bench), [
    "Jane Example 11:00 confirmed",
    "Tim Example 11:00 confirmed",
  ]);
  // A third child needs no further code.
  const third = await hold(one, mother, "Eve Example", "12:00");
  assert.equal(third["proven"], true);
  const sent = await sendCode(one, mother, "000000");
  assert.equal(sent.outcome, "confirmed");
  assert.equal(clock(sent["startTime"]), "12:00");
  const [texts] = await sql`select count(*)::int as n from public.sms_messages`;
  assert.equal(texts?.["n"], 1);
});

/** Texts a code to each of two numbers that the call holds times for, in this order. */
async function twoNumbers(line: Line, bench: Bench, codes: readonly [string, string]) {
  const clinic = await aClinic(bench.database.sql, { providers: 2 });
  const caller = aCaller(clinic);
  const other = { ...aCaller(clinic), callId: caller.callId, from: caller.phone };
  const first = await hold(line, caller, "Jane Example", "11:00");
  assert.equal((await sendCode(line, caller, codes[0], first.holdId)).outcome, "claimed");
  const second = await hold(line, other, "Tim Example", "12:00");
  assert.equal((await sendCode(line, other, codes[1], second.holdId)).outcome, "claimed");
  return { caller, other, first, second };
}

const attemptsOf = async ({ database }: Bench) => {
  const [row] = await database.sql`
    select (select attempts from public.calls) as call,
      (select array_agg(code_attempts) from public.one_time_passcodes) as codes,
      (select array_agg(cardinality(wrong_at)) from public.phone_counts) as numbers`;
  return { ...row };
};

test("two numbers in one call: each code is right for its number, whichever was texted last", async ({ bench, one }) => {
  const { caller, first, second } = await twoNumbers(one, bench, ["111111", "222222"]);
  const said = await readCode(one, caller, "111111", second.holdId);
  assert.deepEqual([said.outcome, said.holdId], ["confirmed", first.holdId]);
  assert.deepEqual(await rowsOf(bench), [
    "Jane Example 11:00 confirmed",
    "Tim Example 12:00 held",
  ]);
  assert.deepEqual(await attemptsOf(bench), { call: 0, codes: [0, 0], numbers: [0, 0] });
  const later = await readCode(one, caller, "222222");
  assert.deepEqual([later.outcome, later.holdId], ["confirmed", second.holdId]);
});

test("two numbers in one call: a wrong code counts once for the call, and locks no code early", async ({ bench, one }) => {
  const { caller } = await twoNumbers(one, bench, ["111111", "222222"]);
  const left = [];
  for (let guess = 0; guess < 4; guess++) {
    left.push((await readCode(one, caller, "333333"))["attemptsLeft"]);
  }
  assert.deepEqual(left, [4, 3, 2, 1]);
  assert.deepEqual(await attemptsOf(bench), { call: 4, codes: [4, 4], numbers: [4, 4] });
  assert.equal((await readCode(one, caller, "333333")).outcome, "code_locked");
  assert.equal((await readCode(one, caller, "111111")).outcome, "code_locked");
});

test("a number without attempts left is not guessed at through another number of the call", async ({ bench, sql, one }) => {
  const { caller, other } = await twoNumbers(one, bench, ["111111", "222222"]);
  await sql`update public.phone_counts
      set wrong_at = array_fill(now(), array[30]) where phone_hash = private.hash_phone(${caller.phone})`;
  assert.equal((await readCode(one, caller, "111111")).outcome, "wrong_code");
  assert.equal((await readCode(one, other, "222222")).outcome, "confirmed");
});

test("the code of a number that nothing waits for any more proves nothing and costs nothing", async ({ bench, one }) => {
  const { caller, other, first } = await twoNumbers(one, bench, ["111111", "222222"]);
  const released = await one.ask("cancel_appointment", caller, {
    ...{ p_patient_name: "Jane Example", p_appointment: first.holdId ?? null },
  });
  assert.equal(released.outcome, "hold_released");
  assert.equal((await readCode(one, caller, "111111")).outcome, "code_expired");
  assert.deepEqual((await attemptsOf(bench))["call"], 0);
  assert.equal((await readCode(one, other, "222222")).outcome, "confirmed");
});

test("what is offered instead is not what the call holds for another patient", async ({ sql, one }) => {
  const clinic = await aClinic(sql);
  const caller = aCaller(clinic);
  await hold(one, caller, "Jane Example", "10:00");
  const tim = await hold(one, caller, "Tim Example", "10:30");
  await hold(one, aCaller(clinic), "Eve Stone", "11:00");
  const refused = await hold(one, caller, "Tim Example", "11:00");
  const offered = (refused["slots"] as { slotId: string }[]).map(({ slotId }) => slotId);
  assert.deepEqual(offered.map((id) => id.slice(-5)), ["10:30", "11:30", "12:00"]);
  for (const p_slot_id of offered) {
    const held = await hold(one, caller, "Tim Example", "", { p_slot_id });
    assert.equal(held.outcome, "held", p_slot_id);
  }
  // The same for the new time of a move.
  const mover = { ...caller, callId: crypto.randomUUID() };
  await hold(one, mover, "Ben Example", "14:00");
  assert.equal(
    (await one.ask("reschedule_appointment", mover, slot("15:00"))).outcome,
    "code_needed",
  );
  await hold(one, aCaller(clinic), "Eve Stone", "14:30");
  const other = await one.ask("reschedule_appointment", mover, slot("14:30"));
  const times = (other["slots"] as { slotId: string }[]).map(({ slotId }) => slotId.slice(-5));
  assert.deepEqual(times, ["13:30", "15:00", "15:30"]);
  assert.equal(tim.outcome, "held");
});

test("the id of a hold that was released means what the call holds now", async ({ sql, one }) => {
  const clinic = await aClinic(sql);
  const caller = aCaller(clinic);
  const first = await hold(one, caller, "Ada Brown", "10:00");
  const second = await hold(one, caller, "Ada Brown", "11:00");
  assert.equal((await sendCode(one, caller, code, first.holdId)).outcome, "claimed");
  const read = await readCode(one, caller, code, first.holdId);
  assert.deepEqual([read.outcome, read.holdId], ["confirmed", second.holdId]);
  assert.equal((await readCode(one, caller, code, first.holdId)).outcome, "confirmed", "again");
  // Nobody else's id means anything, as if it did not exist.
  const next = aCaller(clinic);
  await hold(one, next, "Eve Stone", "12:00");
  for (const id of [first.holdId, crypto.randomUUID()]) {
    assert.equal((await sendCode(one, next, code, id)).outcome, "hold_not_found");
    assert.equal((await readCode(one, next, code, id)).outcome, "hold_not_found");
  }
});

test("the right code confirms the others if the hold that is named has expired", async ({ sql, one }) => {
  const clinic = await aClinic(sql);
  const caller = aCaller(clinic);
  const first = await hold(one, caller, "Jane Example", "11:00");
  const second = await hold(one, caller, "Tim Example", "12:00");
  await sendCode(one, caller, code);
  await sql`update public.appointments set expires_at = now() - interval '1 second'
    where id = ${first.holdId ?? ""}`;
  assert.equal((await sendCode(one, caller, code, first.holdId)).outcome, "hold_expired");
  const read = await readCode(one, caller, code, first.holdId);
  assert.deepEqual([read.outcome, read.holdId], ["confirmed", second.holdId]);
  assert.equal(clock((read["lapsed"] as string[])[0]), "11:00");
});

test("the same name is the same patient: another slot moves the hold and says so", async ({ bench, sql, one }) => {
  const clinic = await aClinic(sql);
  const caller = aCaller(clinic);
  await hold(one, caller, "Jane Example", "11:00");
  await hold(one, caller, "Tim Example", "12:00");
  const moved = await hold(one, caller, "jane  EXAMPLE", "13:00");
  assert.equal(moved.outcome, "held");
  assert.equal(clock((moved["released"] as Answer)["startTime"]), "11:00");
  const taken = await hold(one, caller, "Jane Example", "12:00");
  assert.equal(taken.outcome, "slot_taken", "nobody's request takes the hold of another patient");
  const renamed = await hold(one, caller, "Tom Sample", "12:30", {
    p_hold: moved.holdId ?? "",
  });
  assert.equal(clock((renamed["released"] as Answer)["startTime"]), "13:00");
  assert.deepEqual(await rowsOf(bench), [
    "Jane Example 11:00 cancelled",
    "Tim Example 12:00 held",
    "jane  EXAMPLE 13:00 cancelled",
    "Tom Sample 12:30 held",
  ]);
});

test("only the patient who has the appointment hears already_confirmed, another one gets a time or a refusal", async ({ sql, one }) => {
  const clinic = await aClinic(sql);
  const caller = aCaller(clinic);
  await hold(one, caller, "Jane Example", "10:00");
  await prove(one, caller);
  assert.equal((await hold(one, caller, "Jane Example", "10:00")).outcome, "already_confirmed");
  assert.equal((await hold(one, caller, "Tim Example", "10:00")).outcome, "slot_taken");
});

test("a patient's second appointment at the same time is mentioned when it is confirmed", async ({ sql, one }) => {
  const clinic = await aClinic(sql, { providers: 2 });
  const first = aCaller(clinic);
  await hold(one, first, "Jane Example", "12:00");
  await prove(one, first);
  const second = aCaller(clinic, first.phone);
  assert.equal((await hold(one, second, "Jane Example", "12:00")).outcome, "held");
  const said = await prove(one, second);
  assert.equal((said["overlaps"] as unknown[]).length, 1);
});

/** A confirmed appointment of an earlier call, and its patient's next call. */
async function anAppointment(line: Line, caller: Caller, name: string, time: string) {
  await hold(line, caller, name, time);
  assert.equal((await prove(line, caller)).outcome, "confirmed");
  return aCaller(caller.clinic, caller.phone);
}

test("a change is answered before the proof, carried out by it, and takes effect at once after it", async ({ bench, sql, one }) => {
  const clinic = await aClinic(sql);
  const caller = await anAppointment(one, aCaller(clinic), "Ada Brown", "10:00");
  const asked = await one.ask("reschedule_appointment", caller, slot("11:00"));
  assert.equal(asked.outcome, "code_needed");
  assert.equal(asked.holdId, undefined);
  const moved = await prove(one, caller);
  assert.equal(moved.outcome, "rescheduled");
  const again = await one.ask("reschedule_appointment", caller, slot("11:30"));
  assert.equal(again.outcome, "rescheduled");
  const found = await one.ask("find_appointments", caller);
  assert.equal(found.outcome, "found");
  assert.equal((found["appointments"] as unknown[]).length, 1);
  assert.equal((await one.ask("cancel_appointment", caller)).outcome, "cancelled");
  assert.equal((await one.ask("cancel_appointment", caller)).outcome, "cancelled", "asked again");
  assert.equal((await one.ask("find_appointments", caller)).outcome, "appointment_not_found");
  assert.deepEqual(await rowsOf(bench), [
    "Ada Brown 10:00 cancelled",
    "Ada Brown 11:00 cancelled",
    "Ada Brown 11:30 cancelled",
  ]);
});

test("a move whose answer was lost is answered again, whatever was said of the old time", async ({ bench, sql, one }) => {
  const clinic = await aClinic(sql);
  const caller = await anAppointment(one, aCaller(clinic), "Ada Brown", "10:00");
  const [row] = await sql<{ id: string }[]>`select id from public.appointments`;
  await one.ask("find_appointments", caller);
  assert.equal((await prove(one, caller)).outcome, "found");
  const said = { ...slot("12:00"), p_appointment: row?.id ?? "", p_time: { times: ["10:00"] } };
  const moved = await one.ask("reschedule_appointment", caller, said);
  assert.equal(moved.outcome, "rescheduled");
  const again = await one.ask("reschedule_appointment", caller, said);
  assert.deepEqual([again.outcome, again.holdId], ["rescheduled", moved.holdId]);
  const other = await one.ask("reschedule_appointment", caller, { ...said, ...slot("13:00") });
  assert.equal(other.outcome, "appointment_not_found", "a new request needs an appointment");
  assert.deepEqual(await rowsOf(bench), [
    "Ada Brown 10:00 cancelled",
    "Ada Brown 12:00 confirmed",
  ]);
});

test("the id that an appointment had before its move in the call still means it", async ({ bench, sql, one }) => {
  const clinic = await aClinic(sql);
  const caller = await anAppointment(one, aCaller(clinic), "Ada Brown", "10:00");
  await anAppointment(one, { ...aCaller(clinic), phone: caller.phone }, "Ada Brown", "15:00");
  const [row] = await sql<{ id: string }[]>`
    select id from public.appointments order by starts_at limit 1`;
  const named = { p_appointment: row?.id ?? "" };
  await one.ask("reschedule_appointment", caller, { ...slot("12:00"), ...named });
  assert.equal((await prove(one, caller)).outcome, "rescheduled");
  assert.equal((await one.ask("cancel_appointment", caller, named)).outcome, "cancelled");
  assert.deepEqual(await rowsOf(bench), [
    "Ada Brown 10:00 cancelled",
    "Ada Brown 15:00 confirmed",
    "Ada Brown 12:00 cancelled",
  ]);
});

test("a booking that is moved back and forth like an appointment stays a booking", async ({ bench, sql, one }) => {
  const clinic = await aClinic(sql);
  for (const times of [["10:30", "10:00"], ["10:00", "10:30"], ["10:00"]]) {
    const caller = aCaller(clinic);
    const last = times.at(-1) ?? "";
    assert.equal((await hold(one, caller, "Ada Brown", "10:00")).outcome, "held");
    for (const time of times) {
      const asked = await one.ask("reschedule_appointment", caller, slot(time));
      assert.equal(asked.outcome, "code_needed");
    }
    const sent = await sendCode(one, caller, code);
    assert.deepEqual([sent.outcome, sent["isDue"]], ["claimed", true]);
    const read = await readCode(one, caller, code);
    assert.deepEqual([read.outcome, clock(read["startTime"])], ["confirmed", last]);
    assert.equal((read["change"] as Answer).outcome, "appointment_not_found");
    const rows = await rowsOf(bench);
    assert.deepEqual(rows.filter((row) => !/cancelled/.test(row)), [
      `Ada Brown ${last} confirmed`,
    ]);
    // The number is proven now.
    await hold(one, caller, "Ben Stone", "15:00");
    const none = await one.ask("reschedule_appointment", caller, {
      ...slot("15:00"),
      p_patient_name: "Ben Stone",
    });
    assert.deepEqual([none.outcome, none["released"]], ["appointment_not_found", undefined]);
    assert.equal((await sendCode(one, caller, code)).outcome, "confirmed");
    await sql`update public.appointments set status = 'cancelled'`;
  }
});

test("a move stays with the patient's doctor where that is possible, which is seen at the proof", async ({ sql, one }) => {
  const clinic = await aClinic(sql, { providers: 3 });
  const first = aCaller(clinic);
  const booked = await hold(one, first, "Ada Brown", "10:00");
  await prove(one, first);
  const caller = aCaller(clinic, first.phone);
  await one.ask("reschedule_appointment", caller, slot("11:00"));
  const moved = await prove(one, caller);
  assert.deepEqual([moved.outcome, moved["doctor"]], ["rescheduled", booked["doctor"]]);
  const next = aCaller(clinic, first.phone);
  const other = booked["doctor"] === "Dr Number 1" ? "/doctor-2" : "/doctor-1";
  await one.ask("reschedule_appointment", next, slot("12:00", other));
  const named = await prove(one, next);
  assert.notEqual(named["doctor"], booked["doctor"], "the doctor who was asked for is kept");
});

test("a move to a time that overlaps the appointment is settled at the proof", async ({ bench, sql, one }) => {
  const clinic = await aClinic(sql);
  await sql`update public.services set step_min = 15`;
  const caller = await anAppointment(one, aCaller(clinic), "Ada Brown", "10:00");
  const asked = await one.ask("reschedule_appointment", caller, slot("10:15"));
  assert.equal(asked.outcome, "slot_taken", "its own appointment is anybody's before the proof");
  assert.equal((await prove(one, caller)).outcome, "rescheduled");
  assert.deepEqual(await rowsOf(bench), [
    "Ada Brown 10:00 cancelled",
    "Ada Brown 10:15 confirmed",
  ]);
});

test("a new time for an appointment that does not exist is released, never booked", async ({ bench, sql, one }) => {
  const clinic = await aClinic(sql);
  const patient = await anAppointment(one, aCaller(clinic), "Ada Brown", "10:00");
  const caller = aCaller(clinic, patient.phone);
  await one.ask("reschedule_appointment", caller, {
    ...slot("11:00"),
    p_date: { date: aDay(3) },
  });
  const said = await prove(one, caller);
  assert.equal(said.outcome, "appointment_not_found");
  assert.equal(clock((said["released"] as Answer)["startTime"]), "11:00");
  assert.deepEqual(await rowsOf(bench), [
    "Ada Brown 10:00 confirmed",
    "Ada Brown 11:00 cancelled",
  ]);
});

test("where no appointment fits no code proves anything, however it is guessed", async ({ sql, one }) => {
  const clinic = await aClinic(sql);
  const stranger = aCaller(clinic);
  await one.ask("cancel_appointment", stranger);
  const sent = await sendCode(one, stranger, code);
  assert.deepEqual([sent.outcome, sent["isDue"]], ["claimed", false]);
  const outcomes = [];
  for (let guess = 0; guess < 5; guess++) {
    outcomes.push((await readCode(one, stranger, code)).outcome);
  }
  assert.deepEqual(outcomes, [...Array(4).fill("wrong_code"), "code_locked"]);
});

test("several appointments are named after the proof, each question is asked once", async ({ sql, one }) => {
  const clinic = await aClinic(sql, { providers: 2 });
  const first = aCaller(clinic);
  await anAppointment(one, first, "Ada Brown", "10:00");
  const second = await anAppointment(one, aCaller(clinic, first.phone), "Ada Brown", "10:00");
  const cancel = (more = {}) => one.ask("cancel_appointment", second, more);
  assert.equal(
    (await cancel({ p_date: { date: aDay() }, p_time: { times: ["10:00"] } })).outcome,
    "code_needed",
  );
  const asked = await prove(one, second);
  assert.deepEqual([asked.outcome, asked["ask"]], ["which_appointment", "doctor"]);
  assert.equal((asked["appointments"] as unknown[]).length, 2);
  const again = await cancel({ p_provider: "the tall one" });
  assert.deepEqual([again.outcome, again["ask"]], ["which_appointment", null]);
  assert.equal((await cancel({ p_provider: "number 2" })).outcome, "cancelled");
  assert.equal((await cancel()).outcome, "cancelled", "one is left, and fits alone");
});

test("only appointments of the patient who is asked about are told", async ({ sql, one }) => {
  const clinic = await aClinic(sql);
  const mother = aCaller(clinic);
  await anAppointment(one, mother, "Jane Example", "10:00");
  const next = await anAppointment(one, aCaller(clinic, mother.phone), "Tim Example", "11:00");
  await one.ask("find_appointments", next, { p_patient_name: "Jane Example" });
  const hers = await prove(one, next);
  const his = await one.ask("find_appointments", next, { p_patient_name: "Tim Example" });
  const timesOf = (answer: Answer) =>
    (answer["appointments"] as Answer[]).map(({ startTime }) => clock(startTime));
  assert.deepEqual([hers, his].map(timesOf), [["10:00"], ["11:00"]]);
});

test("a call that has proven nothing changes no state of another call", async ({ sql, one, two }) => {
  const clinic = await aClinic(sql, { providers: 2 });
  const patient = await anAppointment(one, aCaller(clinic), "Ada Brown", "10:00");
  await one.ask("reschedule_appointment", patient, slot("11:00"));
  await sendCode(one, patient, code);
  const stranger = aCaller(clinic, patient.phone, null);
  await two.ask("reschedule_appointment", stranger, slot("11:00"));
  await two.ask("cancel_appointment", stranger);
  await sendCode(two, stranger, "111111");
  for (let guess = 0; guess < 5; guess++) await readCode(two, stranger, "222222");
  assert.equal((await readCode(one, patient, code)).outcome, "rescheduled");
});

test("a hold goes over to the next call of a dropped line, from the same number only", async ({ sql, one, two }) => {
  const clinic = await aClinic(sql, { providers: 2 });
  const dropped = aCaller(clinic);
  const held = await hold(one, dropped, "Jane Example", "16:00", slot("16:00", "/doctor-1"));
  await sendCode(one, dropped, code);
  const stranger = aCaller(clinic, dropped.phone, "+447700900999");
  const other = await hold(two, stranger, "Jane Example", "16:00", slot("16:00", "/doctor-1"));
  assert.equal(other.outcome, "slot_taken");
  const sister = aCaller(clinic, dropped.phone);
  const named = await hold(two, sister, "June Example", "16:00", slot("16:00", "/doctor-1"));
  assert.equal(named.outcome, "slot_taken");
  const next = aCaller(clinic, dropped.phone);
  const over = await hold(two, next, "Jane Example", "16:00", slot("16:00", "/doctor-1"));
  assert.deepEqual([over.outcome, over.holdId], ["held", held.holdId]);
  assert.equal((await readCode(two, next, code)).outcome, "no_code", "the code does not go over");
  assert.equal((await sendCode(two, next, "111111")).outcome, "claimed", "at once");
  assert.equal((await readCode(one, dropped, code)).outcome, "hold_not_found");
  // The first call sends a late request: it takes nothing back.
  const late = await hold(one, dropped, "Jane Example", "16:00", slot("16:00", "/doctor-1"));
  assert.equal(late.outcome, "slot_taken");
  assert.equal((await readCode(two, next, "111111")).outcome, "confirmed");
});

test("a text makes its holds last as long as its code, and no longer than twice their time", async ({ sql, one }) => {
  const clinic = await aClinic(sql);
  const caller = aCaller(clinic);
  await hold(one, caller, "Ada Brown", "10:00");
  await letTimePass(sql, clinic.id, 9 * 60 + 46);
  const sent = await sendCode(one, caller, code);
  assert.equal(sent["expiresInSeconds"], 300);
  await letTimePass(sql, clinic.id, 4 * 60);
  const short = await sendCode(one, caller, code);
  assert.ok(Number(short["expiresInSeconds"]) <= 75, JSON.stringify(short));
  assert.equal((await readCode(one, caller, code)).outcome, "confirmed");
});

test("a name is the same however its umlauts are written, and no two names become one", async ({ sql }) => {
  const isSame = async (one: string, other: string) => {
    const [row] = await sql`select private.is_same_patient(${one}, ${other}) as same`;
    return row?.["same"];
  };
  for (
    const [one, other] of [
      ...[["Jörg Müller", "Joerg Mueller"], ["Jorg Mueller", "Jörg Müller"], ["Zoë", "Zoe"]],
      ...[["Bjørn Gråberg", "Bjoern Graaberg"], ["Mueller, Jörg", "Jorg Müller"]],
      ...[["J\u006f\u0308rg Müller", "Joerg Muller"], ["Dr. Müller", "Mueller"]],
      ...[["Mr Khan", "Khan"], ["Ms Khan", "Mrs Khan"], ["Dr Khan", "Mrs Khan"]],
      ...[["Mr Ali Khan", "Ali Khan"], ["Mrs Robin Lee", "Mr Robin Lee"]],
    ] as [string, string][]
  ) assert.equal(await isSame(one, other), true, `${one}, ${other}`);
  for (
    const [one, other] of [
      ...[["Joe Müller", "Jo Müller"], ["Joe Brown", "Jo Brown"], ["Sue Müller", "Su Mueller"]],
      ...[["Jörg Müller", "Jörg Miller"], ["Rae Lee", "Ra Lee"]],
      // A couple, if that is all that was said.
      ...[["Mr Khan", "Mrs Khan"], ["mrs. khan", "Mr. Khan"], ["Miss Khan", "Mr Khan"]],
    ] as [string, string][]
  ) assert.equal(await isSame(one, other), false, `${one}, ${other}`);
  const clinic = await aClinic(sql);
  await sql`update public.providers set name = 'Dr Anna Müller' where org_id = ${clinic.id}`;
  for (const name of ["Dr Mueller", "Muller", "anna müller"]) {
    const found = await sql`select from private.find_providers(${clinic.id}, ${name})`;
    assert.equal(found.length, 1, name);
  }
});
