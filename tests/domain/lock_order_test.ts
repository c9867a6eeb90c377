/**
 * Requests that need the same locks take them in the same order, so none is the victim of a deadlock.
 * Here lock waits never end with `busy`, and PostgreSQL resolves a deadlock after a second.
 */
import assert from "node:assert/strict";
import {
  aCaller,
  type Answer,
  type Caller,
  type Line,
  readCode,
  sendCode,
  testWithLines,
} from "../support/callers.ts";
import { aClinic, aDay, type Bench } from "../support/clinic.ts";
import { code, envelope, hold, send, slot, someWait, start } from "../support/requests.ts";

function test(name: string, work: Parameters<typeof testWithLines>[1]): void {
  testWithLines(name, async (given) => {
    const { sql } = given;
    const named = await sql<{ name: string }[]>`
      select p.oid::regprocedure::text as name from pg_proc as p
      where p.pronamespace = 'public'::regnamespace and p.proconfig::text ~ 'lock_timeout'`;
    for (const { name } of named) {
      await sql.unsafe(`alter function ${name} set lock_timeout = '60s'`);
    }
    await work(given);
  });
}

async function answerOf(asked: PromiseLike<{ answer: Answer }[]>): Promise<Answer> {
  const [row] = await asked;
  assert.ok(row);
  return row.answer;
}

const end = (line: Line, caller: Caller) =>
  answerOf(
    line.sql<{ answer: Answer }[]>`select public.end_call(
      ${line.sql.json(envelope(caller, "end").p_call)}, 'customer-ended-call', null,
      gen_random_uuid()) as answer`,
  );

const erase = ({ database }: Bench, { clinic, phone }: Caller) =>
  answerOf(
    database.admin<{ answer: Answer }[]>`
      select public.erase_patient(${clinic.id}, ${phone}, 'Ada Brown') as answer`,
  );

/**
 * Lets the first and then the second request wait, in this order, for what a third session has locked.
 *
 * @returns Their outcomes.
 */
async function behind(
  bench: Bench,
  line: Line,
  lock: () => PromiseLike<unknown>,
  first: () => Promise<Answer>,
  second: () => Promise<Answer>,
): Promise<string[]> {
  await line.sql`begin`;
  await lock();
  const one = start(first);
  await someWait(bench, 1, one.isOver);
  const two = start(second);
  await someWait(bench, 2, () => one.isOver() || two.isOver());
  await line.sql`commit`;
  return (await Promise.all([one.done, two.done])).map(({ outcome }) => outcome);
}

test("a call that ends and a claim that needs the time of two of its expired holds", async ({ bench, sql, one, two, three }) => {
  const clinic = await aClinic(sql);
  const caller = aCaller(clinic);
  // The later time is held first.
  await hold(one, caller, "10:30");
  await one.ask("claim_slot_atomic", caller, { ...slot("10:00"), p_patient_name: "Ben Stone" });
  await sql`update public.appointments set expires_at = clock_timestamp()`;
  await sql`update public.services set duration_min = 60`;
  const outcomes = await behind(
    bench,
    three,
    () =>
      three.sql`select from public.appointments
        where starts_at = (select max(starts_at) from public.appointments) for update`,
    () => end(one, caller),
    () => two.once("claim_slot_atomic", aCaller(clinic), slot("10:00")),
  );
  assert.deepEqual(outcomes, ["ended", "held"]);
});

test("a patient who is erased and a call that ends", async ({ bench, sql, one, three }) => {
  const clinic = await aClinic(sql);
  const caller = aCaller(clinic);
  await hold(one, caller, "10:00");
  await sendCode(one, caller, code);
  const outcomes = await behind(
    bench,
    three,
    () => three.sql`select from public.one_time_passcodes for update`,
    () => erase(bench, caller),
    () => end(one, caller),
  );
  assert.deepEqual(outcomes, ["erased", "ended"]);
});

test("a patient who is erased and a call that names another", async ({ bench, sql, one, two, three }) => {
  const clinic = await aClinic(sql);
  const caller = aCaller(clinic);
  await hold(one, caller, "10:00");
  const outcomes = await behind(
    bench,
    three,
    () => three.sql`select private.lock_phones(array[private.hash_phone(${caller.phone})])`,
    () => erase(bench, caller),
    () => two.once("claim_slot_atomic", caller, { ...slot("12:00"), p_patient_name: "Ben Stone" }),
  );
  assert.deepEqual(outcomes, ["erased", "held"]);
});

test("a patient who is erased and a follow-up that was texted", async ({ bench, sql, one, three }) => {
  const clinic = await aClinic(sql);
  await sql`update public.organizations set follow_up_texts = true`;
  const caller = aCaller(clinic);
  await hold(one, caller, "10:00");
  await end(one, caller);
  const [text] = await sql<{ id: string }[]>`select id from public.sms_messages`;
  const outcomes = await behind(
    bench,
    three,
    () => three.sql`select from public.sms_messages for update`,
    () =>
      answerOf(
        one.sql<{ answer: Answer }[]>`select public.settle_follow_up(
          ${one.sql.json(envelope(caller, "f").p_call)}, ${text?.id ?? ""}, 'SM1', null, false)
          as answer`,
      ),
    () => erase(bench, caller),
  );
  assert.deepEqual(outcomes, ["sent", "erased"]);
});

test("retention of the counts of two numbers and a call that counts in both", async ({ bench, sql, two, three }) => {
  const clinic = await aClinic(sql);
  // Retention takes the patient's number first, whether it goes by the table or by its index.
  const counted = await sql<{ number: string }[]>`
    select number from unnest(array['+447700900701', '+447700900702']) as number
    order by private.hash_phone(number)`;
  const [phone = "", from = ""] = counted.map(({ number }) => number);
  for (const number of [phone, from]) {
    await sql`insert into public.phone_counts (phone_hash, changed_at)
      values (private.hash_phone(${number}), now() - interval '2 days')`;
  }
  await three.sql`begin`;
  await three.sql`select from public.phone_counts
    where phone_hash = private.hash_phone(${phone}) for update`;
  const retained = start(() => bench.database.admin`select public.apply_retention(false)`);
  await someWait(bench, 1, retained.isOver);
  const claimed = start(() =>
    two.once("claim_slot_atomic", aCaller(clinic, phone, from), slot("10:00"))
  );
  await someWait(bench, retained.isOver() ? 1 : 2, claimed.isOver);
  await three.sql`commit`;
  await retained.done;
  assert.equal((await claimed.done).outcome, "held");
});

const tools: Readonly<Record<string, (line: Line, caller: Caller) => Promise<Answer>>> = {
  claim_slot_atomic: (line, caller) => hold(line, caller, "12:00"),
  cancel_appointment: (line, caller) => line.once("cancel_appointment", caller),
  reschedule_appointment: (line, caller) =>
    line.once("reschedule_appointment", caller, slot("12:00")),
  find_appointments: (line, caller) => line.once("find_appointments", caller),
  begin_otp_send: (line, caller) => send(line, caller, "s1"),
  verify_otp_and_confirm: (line, caller) => readCode(line, caller, code),
  end_call: end,
  leave_message: (line, caller) =>
    answerOf(
      line.sql<{ answer: Answer }[]>`select public.leave_message(
        ${line.sql.json(envelope(caller, "m").p_call)}, 'Ada Brown', ${caller.phone}, null,
        'Please call') as answer`,
    ),
  answer_question: (line, caller) =>
    answerOf(
      line.sql<{ answer: Answer }[]>`select public.answer_question(
        ${line.sql.json(envelope(caller, "q").p_call)}, 'Do you take dogs?', false) as answer`,
    ),
};

for (const isKnown of [false, true]) {
  const which = isKnown ? "known" : "new";
  test(`every tool of a ${which} call, while its clinic is deleted`, async ({ bench, sql, one, two }) => {
    for (const [tool, ask] of Object.entries(tools)) {
      const clinic = await aClinic(sql);
      const caller = aCaller(clinic);
      if (isKnown) {
        await hold(one, caller, "10:00");
        await one.once("cancel_appointment", caller, { p_date: { date: aDay() } });
      }
      const connection = await bench.database.admin.reserve();
      try {
        await connection`begin`;
        const deleted = await answerOf(
          connection<{ answer: Answer }[]>`select public.delete_clinic(${clinic.id}) as answer`,
        );
        assert.equal(deleted.outcome, "deleted");
        const asked = start(() => ask(two, caller));
        await someWait(bench, 1, asked.isOver);
        await connection`commit`;
        assert.equal((await asked.done).outcome, "unknown_clinic", tool);
      } finally {
        connection.release();
      }
    }
  });
}
