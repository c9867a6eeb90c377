/** A patient's answer to a reminder, and something else at the same time: the second sees the first. */
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
import { aClinic, type Bench } from "../support/clinic.ts";
import { code, envelope, hold, slot, someWait, start } from "../support/requests.ts";
import { aMember, claimsOf, type Member } from "../support/staff.ts";

interface Reminded {
  /** The patient's next call. */
  readonly caller: Caller;
  readonly holdId: string;
}

/** An appointment at 10:00 whose reminder, which offers an answer, was texted. */
async function aReminded({ database: { sql } }: Bench, line: Line): Promise<Reminded> {
  const clinic = await aClinic(sql);
  const first = aCaller(clinic);
  const held = await hold(line, first, "10:00");
  await sendCode(line, first, code);
  assert.equal((await readCode(line, first, code)).outcome, "confirmed");
  const sendId = crypto.randomUUID();
  await sql`insert into public.sms_messages (org_id, id, appointment_id, origin, to_masked, to_hash)
    values (${clinic.id}, ${sendId}, ${held.holdId ?? ""}, 'reminder', '***',
      private.hash_phone(${first.phone}))`;
  await sql`insert into public.appointment_texts (
      org_id, appointment_id, kind, starts_at, due_at, state, send_id, offers_answer)
    select a.org_id, a.id, 'reminder', a.starts_at, now(), 'sent', ${sendId}, true
    from public.appointments as a where a.id = ${held.holdId ?? ""}`;
  return { caller: aCaller(clinic, first.phone), holdId: held.holdId ?? "" };
}

/** Asks again while the answer is `busy`, as the function does. */
async function insist(ask: () => Promise<Answer>): Promise<Answer> {
  for (;;) {
    const answer = await ask();
    if (answer.outcome !== "busy") return answer;
  }
}

const text = (
  { sql }: Line,
  { clinic, phone }: Caller,
  meaning: "confirm" | "cancel",
  sid: string = crypto.randomUUID(),
): Promise<Answer> =>
  insist(async () => {
    const [row] = await sql<{ answer: Answer }[]>`
      select public.answer_text(${clinic.id}, ${sid}, ${phone}, ${
      sql.json({ meaning })
    }) as answer`;
    assert.ok(row);
    return row.answer;
  });

/** At the desk, in a transaction that the test has begun, or in one of its own. */
const moveAtDesk = (
  { sql }: Line,
  member: Member,
  { caller: { clinic }, holdId }: Reminded,
): Promise<Answer> =>
  insist(async () => {
    const [row] = await sql<{ answer: Answer }[]>`
      with token as materialized (
        select set_config('request.jwt.claims', ${JSON.stringify(claimsOf(member))}, false) as set)
      select public.staff_move(${clinic.id}, gen_random_uuid(), ${holdId},
        ${slot("15:00").p_slot_id}) as answer
      from token where token.set <> ''`;
    assert.ok(row);
    return row.answer;
  });

/** Runs the first, lets the second wait for its locks, then commits the first. */
async function meanwhile(
  bench: Bench,
  line: Line,
  first: () => Promise<Answer>,
  second: () => Promise<Answer>,
): Promise<[string, string]> {
  await line.sql`begin`;
  const done = await first();
  const waiting = start(second);
  await someWait(bench, 1, waiting.isOver);
  assert.ok(!waiting.isOver(), "the second did not wait");
  await line.sql`commit`;
  return [done.outcome, (await waiting.done).outcome];
}

test("C and X at once: the second is answered as if the first had come long before", async ({ bench, sql, one, two }) => {
  for (
    const [first, second, outcomes] of [
      ["confirm", "cancel", ["confirmed", "cancelled"]],
      ["cancel", "confirm", ["cancelled", "already_cancelled"]],
    ] as const
  ) {
    const { caller, holdId } = await aReminded(bench, one);
    const answered = await meanwhile(
      bench,
      one,
      () => text(one, caller, first),
      () => text(two, caller, second),
    );
    assert.deepEqual(answered, outcomes);
    const [row] = await sql`
      select status from public.appointments where id = ${holdId}`;
    assert.equal(row?.["status"], "cancelled");
  }
});

test("one text that is delivered twice at once is answered once", async ({ bench, sql, one, two }) => {
  const { caller } = await aReminded(bench, one);
  const answered = await meanwhile(
    bench,
    one,
    () => text(one, caller, "cancel", "SM1"),
    () => text(two, caller, "cancel", "SM1"),
  );
  assert.deepEqual(answered, ["cancelled", "cancelled"]);
  const [row] = await sql`select count(*)::int as count from public.audit_logs
    where action = 'answer_text'`;
  assert.equal(row?.["count"], 1);
});

test("an answer cancels nothing that the desk is moving, and the desk moves nothing that an answer is cancelling", async ({ bench, sql, one, two }) => {
  const moving = await aReminded(bench, one);
  const member = await aMember(sql, moving.caller.clinic.id);
  assert.deepEqual(
    await meanwhile(
      bench,
      one,
      () => moveAtDesk(one, member, moving),
      () => text(two, moving.caller, "cancel"),
    ),
    ["moved", "changed"],
  );
  assert.deepEqual(await statesOf(bench), ["10:00 cancelled", "15:00 confirmed"]);
  const leaving = await aReminded(bench, one);
  const other = await aMember(sql, leaving.caller.clinic.id);
  assert.deepEqual(
    await meanwhile(
      bench,
      one,
      () => text(one, leaving.caller, "cancel"),
      () => moveAtDesk(two, other, leaving),
    ),
    ["cancelled", "wrong_status"],
  );
});

test("an answer cancels nothing that a call is moving, and the call moves nothing that an answer is cancelling", async ({ bench, one, two }) => {
  const ask = async (caller: Caller) => {
    const asked = { ...slot("15:00"), ...envelope(caller, crypto.randomUUID()) };
    assert.equal((await one.ask("reschedule_appointment", caller, asked)).outcome, "code_needed");
    await sendCode(one, caller, code);
  };
  const moving = await aReminded(bench, one);
  await ask(moving.caller);
  assert.deepEqual(
    await meanwhile(
      bench,
      one,
      () => readCode(one, moving.caller, code),
      () => text(two, moving.caller, "cancel"),
    ),
    ["rescheduled", "changed"],
  );
  assert.deepEqual(await statesOf(bench), ["10:00 cancelled", "15:00 confirmed"]);
  const leaving = await aReminded(bench, one);
  await ask(leaving.caller);
  assert.deepEqual(
    await meanwhile(
      bench,
      one,
      () => text(one, leaving.caller, "cancel"),
      () => readCode(two, leaving.caller, code),
    ),
    ["cancelled", "appointment_not_found"],
  );
});
