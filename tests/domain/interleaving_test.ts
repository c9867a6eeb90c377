/** Two requests at the same time, step by step: what the later one sees once the earlier one commits. */
import assert from "node:assert/strict";
import holdSlot from "../../functions/hold-slot/index.ts";
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
import { leaveOnly, legs } from "../support/guarantee.ts";
import { anAppointment, code, slot, someWait, start } from "../support/requests.ts";

/**
 * Runs the first, lets the second wait for its locks, then commits the first.
 *
 * @param last What the first does while the second waits.
 */
async function meanwhile<First, Second>(
  bench: Bench,
  line: Line,
  first: () => Promise<First>,
  second: () => Promise<Second>,
  last: () => Promise<unknown> = () => Promise.resolve(),
): Promise<[First, Second]> {
  await line.sql`begin`;
  const done = await first();
  const waiting = start(second);
  await someWait(bench, 1, waiting.isOver);
  assert.ok(!waiting.isOver(), "the second did not wait");
  await last();
  await line.sql`commit`;
  return [done, await waiting.done];
}

/** The audit log of an appointment, in order. */
async function audited({ database }: Bench, id: string | undefined): Promise<string[]> {
  const rows = await database.sql<{ step: string }[]>`
    select action || ' ' || outcome as step from public.audit_logs
    where subject_id = ${id ?? null} order by at`;
  return rows.map(({ step }) => step);
}

const move = (line: Line, caller: Caller, time: string): Promise<Answer> =>
  line.ask("reschedule_appointment", caller, slot(time));

const end = (line: Line, { clinic, callId }: Caller) =>
  line.sql`select public.end_call(
    ${line.sql.json({ calledNumber: clinic.number, callId })}, 'customer-ended-call', null,
    gen_random_uuid())`;

test("a call that releases its hold does not release a time that the next call has just taken over", async ({ bench, sql, one, two }) => {
  const clinic = await aClinic(sql);
  const first = await anAppointment(one, clinic, "10:00");
  const next = aCaller(clinic, first.phone);
  assert.equal((await move(one, first, "11:00")).outcome, "code_needed");
  const [taken, moved] = await meanwhile(
    bench,
    one,
    () => move(one, next, "11:00"),
    () => two.ask("claim_slot_atomic", first, slot("13:00")),
  );
  assert.deepEqual([taken.outcome, moved.outcome], ["code_needed", "held"]);
  assert.deepEqual(await statesOf(bench), ["10:00 confirmed", "11:00 held", "13:00 held"]);
  await sendCode(one, next, code);
  assert.equal((await readCode(one, next, code)).outcome, "rescheduled");
});

test("a repeated request for a held time that the next call has just taken over changes nothing", async ({ bench, sql, one, two }) => {
  const clinic = await aClinic(sql);
  const first = await anAppointment(one, clinic, "10:00");
  const next = aCaller(clinic, first.phone);
  await move(one, first, "11:00");
  const [, repeated] = await meanwhile(
    bench,
    one,
    () => move(one, next, "11:00"),
    () => two.ask("claim_slot_atomic", first, slot("11:00")),
  );
  assert.equal(repeated.outcome, "slot_taken");
  await sendCode(one, next, code);
  assert.equal((await readCode(one, next, code)).outcome, "rescheduled");
});

test("a change that another call could not take over stays with the first: its hold and its code", async ({ bench, sql, one }) => {
  const clinic = await aClinic(sql);
  const first = await anAppointment(one, clinic, "10:00");
  const next = aCaller(clinic, first.phone);
  await one.ask("claim_slot_atomic", aCaller(clinic), slot("12:00"));
  assert.equal((await move(one, first, "11:00")).outcome, "code_needed");
  await sendCode(one, first, code);
  for (
    const [time, outcome] of [["12:00", "slot_taken"], ["12:07", "slot_taken"], [
      "x",
      "invalid_slot",
    ]] as const
  ) {
    assert.equal((await move(one, next, time)).outcome, outcome, time);
  }
  await end(one, next);
  assert.deepEqual(await statesOf(bench), ["10:00 confirmed", "12:00 held", "11:00 held"]);
  assert.equal((await readCode(one, first, code)).outcome, "rescheduled");
});

test("a call that takes over a held time keeps its own booking, and releases the time for another one", async ({ bench, sql, one }) => {
  const clinic = await aClinic(sql);
  const first = await anAppointment(one, clinic, "10:00");
  const next = aCaller(clinic, first.phone);
  await one.ask("claim_slot_atomic", aCaller(clinic), slot("12:00"));
  await move(one, first, "11:00");
  await one.ask("claim_slot_atomic", next, slot("15:00"));
  assert.equal((await move(one, next, "12:00")).outcome, "slot_taken");
  assert.equal((await statesOf(bench)).at(-1), "15:00 held");
  const held = async () => (await statesOf(bench)).filter((state) => state.endsWith("held"));
  assert.equal((await move(one, next, "11:00")).outcome, "code_needed");
  assert.deepEqual(await held(), ["12:00 held", "11:00 held", "15:00 held"]);
  assert.equal((await move(one, next, "11:30")).outcome, "code_needed");
  assert.deepEqual(await held(), ["12:00 held", "15:00 held", "11:30 held"]);
});

test("a hold that is confirmed while its call chooses another slot stays, and the caller hears about both", async ({ bench, sql, one }) => {
  const clinic = await aClinic(sql);
  const caller = aCaller(clinic);
  const hold = await one.ask("claim_slot_atomic", caller, slot("10:00"));
  await sendCode(one, caller, code);
  const [confirmed, other] = await meanwhile(
    bench,
    one,
    () => readCode(one, caller, code),
    () =>
      bench.insist(holdSlot, {
        ...{ tool: "hold_slot", called: clinic.number, caller: caller.phone },
        callId: caller.callId,
        args: {
          slotId: slot("12:00").p_slot_id,
          patientName: "Ada Brown",
          patientPhone: "+447700900123",
        },
      }),
  );
  assert.equal(confirmed.outcome, "confirmed");
  assert.equal(other.outcome, "held");
  assert.match(other.message, /Your appointment on \w+ \d+ \w+ at 10 AM is confirmed and stays/);
  assert.deepEqual(await statesOf(bench), ["10:00 confirmed", "12:00 held"]);
  assert.deepEqual(
    (await audited(bench, hold.holdId)).filter((step) => /released|confirm_/.test(step)),
    ["confirm_appointment confirmed"],
  );
});

test("a hold that is confirmed while its call moves it by a quarter of an hour stays where it is", async ({ bench, sql, one, two }) => {
  const clinic = await aClinic(sql);
  await sql`update public.services set step_min = 15`;
  const caller = aCaller(clinic);
  const hold = await one.ask("claim_slot_atomic", caller, slot("10:00"));
  await sendCode(one, caller, code);
  const [confirmed, other] = await meanwhile(
    bench,
    one,
    () => readCode(one, caller, code),
    () => two.ask("claim_slot_atomic", caller, slot("10:15")),
  );
  assert.deepEqual([confirmed.outcome, other.outcome], ["confirmed", "slot_taken"]);
  assert.deepEqual(await statesOf(bench), ["10:00 confirmed"]);
  assert.ok(!(await audited(bench, hold.holdId)).includes("hold_slot released"));
});

test("every hold that is released is in the audit log once, whichever tool released it", async ({ bench, sql, one }) => {
  const clinic = await aClinic(sql, { providers: 2 });
  const released: Record<string, string[]> = {};
  const note = async (name: string, hold: Answer) => {
    const steps = await audited(bench, hold.holdId);
    released[name] = steps.filter((step) => step.endsWith(" released"));
  };
  const caller = aCaller(clinic);
  const hold = await one.ask("claim_slot_atomic", caller, slot("10:00"));
  const second = await one.ask("claim_slot_atomic", caller, slot("10:30"));
  await note("another slot", hold);
  await one.ask("cancel_appointment", caller, { p_date: { date: aDay() } });
  await note("cancelled", second);
  const third = await one.ask("claim_slot_atomic", caller, slot("11:00"));
  await end(one, caller);
  await note("call over", third);
  const patient = await anAppointment(one, clinic, "13:00");
  await move(one, patient, "14:00");
  const [row] = await sql<{ id: string }[]>`
    select id from public.appointments where status = 'held'`;
  await one.ask("cancel_appointment", patient);
  await note("cancelled instead of moved", { outcome: "held", holdId: row?.id ?? "" });
  assert.deepEqual(released, {
    "another slot": ["hold_slot released"],
    cancelled: ["cancel_appointment released"],
    "call over": ["end_call released"],
    "cancelled instead of moved": ["cancel_appointment released"],
  });
});

test("the audit log has the slot itself, not the slotId as the model wrote it", async ({ sql, one }) => {
  const clinic = await aClinic(sql);
  const taken = slot("10:00").p_slot_id;
  await one.ask("claim_slot_atomic", aCaller(clinic), slot("10:00"));
  const asked = `  Consultation/${aDay()} 10:00:00//call me on 07700 900456`;
  const answer = await one.ask("claim_slot_atomic", aCaller(clinic), { p_slot_id: asked });
  assert.equal(answer.outcome, "slot_taken");
  const rows = await sql<{ id: string }[]>`
    select details ->> 'slotId' as id from public.audit_logs where outcome = 'slot_taken'`;
  assert.deepEqual(rows.map(({ id }) => id), [taken]);
});

test("a text that is counted while retention forgets the old ones of its phone is counted", async ({ bench, sql, one, two }) => {
  const clinic = await aClinic(sql);
  const caller = aCaller(clinic);
  await one.ask("claim_slot_atomic", caller, slot("10:00"));
  await sql`update public.phone_counts
      set changed_at = now() - interval '2 days', sent_at = array[now() - interval '2 days']`;
  // The row exists when it is asked for, and is gone when it is to be locked.
  const [, sent] = await meanwhile(
    bench,
    one,
    () => one.sql`select from public.phone_counts for update`,
    () => sendCode(two, caller, code),
    () => one.sql`select public.apply_retention(false)`,
  );
  assert.equal(sent.outcome, "claimed");
  const rows = await sql<{ texts: number }[]>`
    select cardinality(sent_at) as texts from public.phone_counts`;
  assert.deepEqual(rows.map(({ texts }) => texts), [1]);
});

test("the result of a follow-up is answered busy, not with an error, while the call's report is locked", async ({ sql, one, two }) => {
  const clinic = await aClinic(sql);
  const caller = aCaller(clinic);
  await end(one, caller);
  const settle = () =>
    two.sql<{ outcome: string }[]>`
      select public.settle_follow_up(${
      two.sql.json({ calledNumber: clinic.number, callId: caller.callId })
    }, gen_random_uuid(), 'SM1', null, true) ->> 'outcome' as outcome`;
  await sql`update public.call_reports set follow_up = 'claimed'`;
  await one.sql`begin`;
  await one.sql`select from public.call_reports for update`;
  assert.equal((await settle())[0]?.outcome, "busy");
  await one.sql`commit`;
  assert.equal((await settle())[0]?.outcome, "sent");
});

test("a call that hears again of the move it made takes nothing over from the next call", async ({ sql, one }) => {
  const clinic = await aClinic(sql);
  const first = await anAppointment(one, clinic, "10:00");
  const next = aCaller(clinic, first.phone);
  await move(one, first, "11:00");
  await sendCode(one, first, code);
  assert.equal((await readCode(one, first, code)).outcome, "rescheduled");
  assert.equal((await move(one, next, "12:00")).outcome, "code_needed");
  assert.equal((await move(one, first, "11:00")).outcome, "rescheduled");
  await end(one, first);
  await sendCode(one, next, code);
  assert.equal((await readCode(one, next, code)).outcome, "rescheduled");
});

test("a hold that becomes the new time of an appointment is not confirmed as a separate booking", async ({ bench, sql, one, two }) => {
  const clinic = await aClinic(sql);
  const caller = await anAppointment(one, clinic, "10:00");
  const hold = await one.ask("claim_slot_atomic", caller, slot("11:00"));
  await sendCode(one, caller, code);
  const macs = [{ keyId: "v1", mac: code.padStart(64, "0") }];
  const [moved, read] = await meanwhile(
    bench,
    one,
    () => move(one, caller, "11:00"),
    () => two.ask("verify_otp_and_confirm", caller, { p_hold: hold.holdId ?? "", p_macs: macs }),
  );
  assert.deepEqual([moved.outcome, read.outcome], ["code_needed", "rescheduled"]);
  assert.deepEqual(await statesOf(bench), ["10:00 cancelled", "11:00 confirmed"]);
});

test("a hold goes over to the next call while the first one reads its code: it is the next call's, unconfirmed", async ({ bench, sql, one, two }) => {
  const clinic = await aClinic(sql);
  const first = aCaller(clinic);
  const hold = await one.ask("claim_slot_atomic", first, slot("10:00"));
  await sendCode(one, first, code);
  const next = aCaller(clinic, first.phone);
  const [over, read] = await meanwhile(
    bench,
    one,
    () => one.ask("claim_slot_atomic", next, slot("10:00")),
    () => readCode(two, first, code),
  );
  assert.deepEqual([over.outcome, over.holdId], ["held", hold.holdId]);
  assert.equal(read.outcome, "hold_not_found");
  await sendCode(one, next, code);
  assert.equal((await readCode(one, next, code)).outcome, "confirmed");
});

test("a hold that its call confirms while the next call asks for it stays confirmed", async ({ bench, sql, one, two }) => {
  const clinic = await aClinic(sql);
  const first = aCaller(clinic);
  await one.ask("claim_slot_atomic", first, slot("10:00"));
  await sendCode(one, first, code);
  const next = aCaller(clinic, first.phone);
  const [read, asked] = await meanwhile(
    bench,
    one,
    () => readCode(one, first, code),
    () => two.ask("claim_slot_atomic", next, slot("10:00")),
  );
  assert.deepEqual([read.outcome, asked.outcome], ["confirmed", "slot_taken"]);
  assert.deepEqual(await statesOf(bench), ["10:00 confirmed"]);
});

test("two calls that name each other's number wait for each other, and neither fails", async ({ sql, one, two }) => {
  const clinic = await aClinic(sql, { providers: 2 });
  const [left, right] = ["+447700900701", "+447700900702"];
  for (let round = 0; round < 10; round++) {
    const time = `${String(8 + round).padStart(2, "0")}:00`;
    const answers = await Promise.all([
      one.ask("claim_slot_atomic", aCaller(clinic, left, right), slot(time)),
      two.ask("claim_slot_atomic", aCaller(clinic, right, left), slot(time)),
    ]);
    assert.deepEqual(answers.map(({ outcome }) => outcome), ["held", "held"]);
    await sql`update public.appointments set status = 'cancelled'
        where status = 'held'`;
  }
});

for (const leg of legs) {
  test(`with ${leg} alone: a new time that expires while its move waits is the move's, not the next claim's`, async ({ bench, sql, one, two, three }) => {
    await leaveOnly(leg, sql);
    const clinic = await aClinic(sql);
    await sql`update public.services set step_min = 15`;
    const caller = await anAppointment(one, clinic, "10:00");
    await move(one, caller, "11:00");
    await sendCode(one, caller, code);
    await three.sql`begin`;
    await three.sql`select from public.appointments where status = 'confirmed' for update`;
    const read = start(() => readCode(two, caller, code));
    await someWait(bench, 1, read.isOver);
    const expired = start(async () =>
      await sql`update public.appointments
          set expires_at = clock_timestamp() where status = 'held'`
    );
    await someWait(bench, 2, () => read.isOver() || expired.isOver());
    const claimed = await one.ask("claim_slot_atomic", aCaller(clinic), slot("11:15"));
    await three.sql`commit`;
    assert.deepEqual([(await read.done).outcome, claimed.outcome], ["rescheduled", "slot_taken"]);
    await expired.done;
    assert.deepEqual(await statesOf(bench), ["10:00 cancelled", "11:00 confirmed"]);
  });
}

test("a new time that is given to another caller while its code is read is reported as taken, and nothing moves", async ({ bench, sql, one, two }) => {
  const clinic = await aClinic(sql);
  await sql`update public.services set step_min = 15`;
  const caller = await anAppointment(one, clinic, "10:00");
  await move(one, caller, "11:00");
  await sendCode(one, caller, code);
  const [claimed, read] = await meanwhile(
    bench,
    one,
    async () => {
      await one.sql`update public.appointments set status = 'expired' where status = 'held'`;
      return await one.ask("claim_slot_atomic", aCaller(clinic), slot("11:15"));
    },
    () => readCode(two, caller, code),
  );
  assert.deepEqual([claimed.outcome, read.outcome], ["held", "slot_taken"]);
  assert.deepEqual(await statesOf(bench), ["10:00 confirmed", "11:00 expired", "11:15 held"]);
});

test("a new time that the clean-up has just expired is held again for the move whose code is read", async ({ bench, sql, one, two }) => {
  const clinic = await aClinic(sql);
  const caller = await anAppointment(one, clinic, "10:00");
  await move(one, caller, "11:00");
  await sendCode(one, caller, code);
  const [, read] = await meanwhile(
    bench,
    one,
    () => one.sql`update public.appointments set status = 'expired' where status = 'held'`,
    () => readCode(two, caller, code),
  );
  assert.equal(read.outcome, "rescheduled");
  assert.deepEqual(await statesOf(bench), [
    "10:00 cancelled",
    "11:00 expired",
    "11:00 confirmed",
  ]);
});
