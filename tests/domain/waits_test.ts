/** Requests that wait for a lock: what others commit in the meantime counts, and nobody hears an error. */
import assert from "node:assert/strict";
import {
  aCaller,
  type Answer,
  type Caller,
  type Line,
  readCode,
  sendCode,
  statesOf,
  testWithLines as test,
} from "../support/callers.ts";
import { aClinic, aDay, type Bench } from "../support/clinic.ts";
import {
  anAppointment,
  code,
  complete,
  envelope,
  hold,
  send,
  slot,
  someWait,
  start,
} from "../support/requests.ts";
import { aMember, claimsOf, type Member } from "../support/staff.ts";

const lockPhone = (line: Line, phone: string) =>
  line.sql`select private.lock_phones(array[private.hash_phone(${phone})])`;

const atHold = async (line: Line, caller: Caller, holdId = "") =>
  (await line.sql<{ answer: Answer }[]>`select public.begin_send_at_hold(
    ${line.sql.json(envelope(caller, "t1").p_call)}, ${holdId}, gen_random_uuid(),
    ${"0".repeat(64)}, 'v1', ${caller.clinic.id}, null) as answer`)[0]?.answer;

/** Erases the caller as a patient, and lets the work wait for it before the erasure is committed. */
async function whileErased(
  bench: Bench,
  { clinic, phone }: Caller,
  work: () => Promise<void>,
): Promise<void> {
  const connection = await bench.database.admin.reserve();
  try {
    await connection`begin`;
    const [row] = await connection<{ answer: Answer }[]>`
      select public.erase_patient(${clinic.id}, ${phone}, 'Ada Brown') as answer`;
    assert.equal(row?.answer.outcome, "erased");
    const working = start(work);
    await someWait(bench, 1, working.isOver);
    await connection`commit`;
    await working.done;
  } finally {
    connection.release();
  }
}

/** Lets a member of staff act in the transaction that has begun. */
async function asStaff(line: Line, member: Member): Promise<void> {
  const claims = JSON.stringify(claimsOf(member));
  await line.sql`select set_config('request.jwt.claims', ${claims}, true)`;
}

test("a hold that expires and is given away while its send waits is not texted for", async ({ bench, sql, one, two, three }) => {
  const clinic = await aClinic(sql);
  const caller = aCaller(clinic);
  await hold(one, caller, "10:00");
  await three.sql`begin`;
  await lockPhone(three, caller.phone);
  const sent = start(() => send(two, caller, "s1", crypto.randomUUID()));
  await someWait(bench, 1, sent.isOver);
  await sql`update public.appointments set expires_at = clock_timestamp()`;
  assert.equal((await hold(one, aCaller(clinic), "10:00")).outcome, "held");
  await three.sql`commit`;
  assert.equal((await sent.done).outcome, "hold_expired");
});

test("a hold that the next call takes over while its send waits is not texted for", async ({ bench, sql, one, two }) => {
  const clinic = await aClinic(sql);
  const caller = aCaller(clinic);
  const next = aCaller(clinic, caller.phone);
  await hold(one, caller, "10:00");
  await one.sql`begin`;
  await hold(one, next, "10:00");
  const sent = start(() => send(two, caller, "s1", crypto.randomUUID()));
  await someWait(bench, 1, sent.isOver);
  await one.sql`commit`;
  assert.equal((await sent.done).outcome, "hold_not_found");
});

test("a hold that the next call takes over while its text at the hold waits is not texted for", async ({ bench, sql, one, two }) => {
  const clinic = await aClinic(sql);
  const caller = aCaller(clinic);
  const next = aCaller(clinic, caller.phone);
  const held = await hold(one, caller, "10:00");
  await one.sql`begin`;
  await hold(one, next, "10:00");
  const sent = start(() => atHold(two, caller, held.holdId));
  await someWait(bench, 1, sent.isOver);
  await one.sql`commit`;
  assert.equal((await sent.done)?.outcome, "hold_not_found");
});

test("a send that waits for the erasure of its patient is answered", async ({ bench, sql, one, two }) => {
  const clinic = await aClinic(sql);
  const caller = aCaller(clinic);
  await hold(one, caller, "10:00");
  await whileErased(bench, caller, async () => {
    const sent = await send(two, caller, "s1", crypto.randomUUID());
    assert.equal(sent.outcome, "hold_not_found");
  });
});

test("a text at the hold that waits for the erasure of its patient is answered", async ({ bench, sql, one, two }) => {
  const clinic = await aClinic(sql);
  const caller = aCaller(clinic);
  const held = await hold(one, caller, "10:00");
  await whileErased(bench, caller, async () => {
    assert.equal((await atHold(two, caller, held.holdId))?.outcome, "hold_not_found");
  });
});

test("a number that is corrected while the patient of the old one is erased is answered", async ({ bench, sql, one, two }) => {
  const clinic = await aClinic(sql);
  const caller = aCaller(clinic, undefined, "+447700900999");
  await hold(one, caller, "10:00");
  await whileErased(bench, caller, async () => {
    const fixed = await two.ask("claim_slot_atomic", {
      ...caller,
      phone: "+447700900123",
      from: "+447700900999",
    }, slot("10:00"));
    assert.ok(["held", "hold_expired", "busy"].includes(fixed.outcome), fixed.outcome);
  });
});

for (const tool of ["cancel_appointment", "reschedule_appointment", "find_appointments"] as const) {
  test(`a send for ${tool} that waits while its call ends is not texted`, async ({ bench, sql, one, two, three }) => {
    const clinic = await aClinic(sql);
    const caller = await anAppointment(one, clinic, "10:00");
    const asked = tool === "reschedule_appointment" ? slot("11:00") : {};
    assert.equal((await one.ask(tool, caller, asked)).outcome, "code_needed");
    await three.sql`begin`;
    await three.sql`select public.end_call(${three.sql.json(envelope(caller, "e").p_call)},
        'customer-ended-call', null, gen_random_uuid())`;
    const sent = start(() => send(two, caller, "s1"));
    await someWait(bench, 1, sent.isOver);
    await three.sql`commit`;
    assert.equal((await sent.done).outcome, "hold_not_found");
    assert.equal((await sql`select from public.sms_messages`).length, 1);
  });
}

test("an opt-out that is reported before the answer to its text stays", async ({ sql, one }) => {
  const clinic = await aClinic(sql);
  const caller = aCaller(clinic);
  const id = crypto.randomUUID();
  await hold(one, caller, "10:00");
  await send(one, caller, "s1", id);
  await one
    .sql`select public.record_delivery_report(${clinic.id}, ${id}, 'SM1', 'undelivered', 21610)`;
  await complete(one, caller, id);
  const rows = await sql`select from public.sms_opt_outs`;
  assert.equal(rows.length, 1);
});

test("a text that is reported as delivered before its send is given up keeps its code", async ({ sql, one }) => {
  const clinic = await aClinic(sql);
  const caller = aCaller(clinic);
  const id = crypto.randomUUID();
  await hold(one, caller, "10:00");
  await send(one, caller, "s1", id);
  await one
    .sql`select public.record_delivery_report(${clinic.id}, ${id}, 'SM1', 'delivered', null)`;
  await one
    .sql`select public.clear_otp_send('{}', ${clinic.id}, ${id}, 'sms_timeout', true)`;
  assert.equal((await readCode(one, caller, code)).outcome, "confirmed");
});

test("a clinic that gets a hold while it is deleted stays", async ({ bench, sql, one }) => {
  const clinic = await aClinic(sql);
  const caller = aCaller(clinic);
  await hold(one, caller, "10:00");
  await sql`update public.appointments set status = 'cancelled'`;
  await one.sql`begin`;
  await hold(one, caller, "12:00");
  const deleted = start(async () =>
    (await bench.database.admin<{ answer: Answer }[]>`
      select public.delete_clinic(${clinic.id}) as answer`)[0]?.answer
  );
  await someWait(bench, 1, deleted.isOver);
  await one.sql`commit`;
  assert.ok(["appointments_ahead", "busy"].includes((await deleted.done)?.outcome ?? ""));
});

test("retention keeps a hold that the desk confirms while it waits to be deleted", async ({ bench, sql, one }) => {
  const clinic = await aClinic(sql);
  const caller = aCaller(clinic);
  const held = await hold(one, caller, "10:00");
  const member = await aMember(sql, clinic.id);
  await sql`update public.appointments
    set status = 'requires_manual_followup', expires_at = now() - interval '100 days'`;
  await sql`delete from public.calls`;
  await sql`insert into public.appointments (org_id, provider_id, service_id,
      patient_name, starts_at, ends_at, busy, session_key, status, expires_at)
    select org_id, provider_id, service_id, patient_name, starts_at, ends_at, busy, session_key,
      'expired', now() - interval '99 days' from public.appointments, generate_series(1, 3000)`;
  await bench.database.admin`analyze public.appointments`;
  await one.sql`begin`;
  await asStaff(one, member);
  const [row] = await one.sql<{ answer: Answer }[]>`select public.staff_resolve(
    ${clinic.id}, gen_random_uuid(), ${held.holdId ?? ""}, 'confirmed') as answer`;
  assert.equal(row?.answer.outcome, "confirmed");
  const purged = start(() => bench.database.admin`select public.apply_retention(false)`);
  await someWait(bench, 1, purged.isOver);
  assert.ok(!purged.isOver(), "retention did not wait");
  await one.sql`commit`;
  await purged.done;
  assert.ok((await statesOf(bench)).includes("10:00 confirmed"));
});

test("a lock hands over no new time of a waiting move, which the desk could confirm as a booking", async ({ sql, one }) => {
  const clinic = await aClinic(sql);
  const caller = await anAppointment(one, clinic, "10:00");
  const member = await aMember(sql, clinic.id);
  await one.ask("reschedule_appointment", caller, slot("11:00"));
  await hold(one, caller, "15:00");
  await sql`update public.organizations set call_attempts = 1`;
  await sendCode(one, caller, code);
  assert.equal((await readCode(one, caller, "111111")).outcome, "locked");
  const [row] = await sql<{ id: string; status: string }[]>`
    select hold_id as id, a.status from public.appointment_changes as c
    join public.appointments as a on a.id = c.hold_id`;
  await one.sql`begin`;
  await asStaff(one, member);
  const [resolved] = await one.sql<{ answer: Answer }[]>`select public.staff_resolve(
    ${clinic.id}, gen_random_uuid(), ${row?.id ?? ""}, 'confirmed') as answer`;
  await one.sql`commit`;
  assert.deepEqual([row?.status, resolved?.answer.outcome], ["held", "wrong_status"]);
});

test("a wrong code counts while the alarms of its clinic are locked", async ({ sql, one, two, three }) => {
  const clinic = await aClinic(sql);
  const caller = aCaller(clinic);
  await hold(one, caller, "10:00");
  await sendCode(one, caller, code);
  await sql`insert into public.alarm_counters (org_id, kind)
    values (${clinic.id}, 'wrong_codes')`;
  await three.sql`begin`;
  await three.sql`select from public.alarm_counters for update`;
  const wrong = await two.once("verify_otp_and_confirm", caller, {
    p_macs: [{ keyId: "v1", mac: "111111".padStart(64, "0") }],
  });
  const right = await two.once("verify_otp_and_confirm", caller, {
    p_macs: [{ keyId: "v1", mac: code.padStart(64, "0") }],
  });
  await three.sql`commit`;
  const [row] = await sql<{ attempts: number }[]>`
    select attempts from public.calls`;
  assert.deepEqual([wrong.outcome, right.outcome, row?.attempts], ["wrong_code", "confirmed", 1]);
});

test("a report whose release was busy is told to be sent again", async ({ bench, sql, one, two, three }) => {
  const clinic = await aClinic(sql);
  await sql`update public.organizations set follow_up_texts = true`;
  const caller = aCaller(clinic);
  await hold(one, caller, "10:00");
  await three.sql`begin`;
  await lockPhone(three, caller.phone);
  const report = JSON.stringify({ endedReason: "x", transcript: "t", summary: "s" });
  const [row] = await two.sql<{ answer: Answer }[]>`select public.end_call(
    ${two.sql.json(envelope(caller, "e").p_call)}, 'customer-ended-call',
    ${report}::text::jsonb, gen_random_uuid()) as answer`;
  await three.sql`commit`;
  assert.deepEqual([row?.answer.outcome, await statesOf(bench)], ["busy", ["10:00 held"]]);
});

test("a hold whose number is corrected while the patient of the old one is erased stays", async ({ bench, sql, one }) => {
  const clinic = await aClinic(sql);
  const caller = aCaller(clinic, undefined, "+447700900999");
  await hold(one, caller, "10:00");
  await one.sql`begin`;
  const fixed = await one.ask(
    "claim_slot_atomic",
    { ...caller, phone: "+447700900123" },
    slot("10:00"),
  );
  assert.equal(fixed.outcome, "held");
  const erased = start(async () =>
    (await bench.database.admin<{ answer: Answer }[]>`select public.erase_patient(
      ${clinic.id}, ${caller.phone}, 'Ada Brown') as answer`)[0]?.answer
  );
  await someWait(bench, 1, erased.isOver);
  await one.sql`commit`;
  await erased.done;
  assert.deepEqual(await statesOf(bench), ["10:00 held"]);
});

test("the desk can cancel the appointment of a patient who was erased", async ({ bench, sql, one }) => {
  const clinic = await aClinic(sql);
  const caller = await anAppointment(one, clinic, "10:00");
  const member = await aMember(sql, clinic.id);
  await bench.database
    .admin`select public.erase_patient(${clinic.id}, ${caller.phone}, 'Ada Brown')`;
  const [row] = await sql<{ id: string }[]>`select id from public.appointments`;
  await one.sql`begin`;
  await asStaff(one, member);
  try {
    const [cancelled] = await one.sql<{ answer: Answer }[]>`select public.staff_cancel(
      ${clinic.id}, gen_random_uuid(), ${row?.id ?? ""}) as answer`;
    assert.equal(cancelled?.answer.outcome, "cancelled");
  } finally {
    await one.sql`rollback`;
  }
});

test("a claim that waits while the clinic closes the day does not get it", async ({ bench, sql, one, two, three }) => {
  const clinic = await aClinic(sql);
  const caller = aCaller(clinic);
  const member = await aMember(sql, clinic.id, "manager");
  await three.sql`begin`;
  await lockPhone(three, caller.phone);
  const claimed = start(() => two.once("claim_slot_atomic", caller, slot("10:00")));
  await someWait(bench, 1, claimed.isOver);
  await one.sql`begin`;
  await asStaff(one, member);
  const days = JSON.stringify([{ first: aDay(), last: aDay() }]);
  const [closed] = await one.sql<{ answer: Answer }[]>`select public.staff_set_closing_days(
    ${clinic.id}, gen_random_uuid(), ${days}::text::jsonb) as answer`;
  await one.sql`commit`;
  await three.sql`commit`;
  assert.deepEqual([closed?.answer.outcome, closed?.answer["bookings"]], ["changed", []]);
  assert.equal((await claimed.done).outcome, "slot_taken");
});

test("a claim that waits while a session loses a seat does not get that seat", async ({ bench, sql, one, two, three }) => {
  const clinic = await aClinic(sql, { capacity: 2 });
  const caller = aCaller(clinic);
  await hold(one, aCaller(clinic), "10:00");
  await three.sql`begin`;
  await lockPhone(three, caller.phone);
  const claimed = start(() => two.once("claim_slot_atomic", caller, slot("10:00")));
  await someWait(bench, 1, claimed.isOver);
  await sql`update public.services set capacity = 1`;
  await three.sql`commit`;
  assert.equal((await claimed.done).outcome, "slot_taken");
});

test("a claim that waits while its doctor leaves does not get the doctor", async ({ bench, sql, two, three }) => {
  const clinic = await aClinic(sql);
  const caller = aCaller(clinic);
  await three.sql`begin`;
  await lockPhone(three, caller.phone);
  const claimed = start(() => two.once("claim_slot_atomic", caller, slot("10:00/doctor-1")));
  await someWait(bench, 1, claimed.isOver);
  await sql`update public.providers set active = false`;
  await three.sql`commit`;
  assert.equal((await claimed.done).outcome, "invalid_slot");
});
