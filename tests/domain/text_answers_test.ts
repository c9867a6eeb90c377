/** What answers to reminders change, and whom they tell: only what the patient certainly meant. */
import assert from "node:assert/strict";
import { aCaller, type Answer, type Caller, readCode, sendCode } from "../support/callers.ts";
import { type Line, testWithLines as test } from "../support/callers.ts";
import { aClinic, type Bench, type Clinic } from "../support/clinic.ts";
import { code, hold } from "../support/requests.ts";

const aFamily = async ({ database: { sql } }: Bench): Promise<Caller> =>
  aCaller(await aClinic(sql, { providers: 3 }));

/** An appointment whose reminder, which offers an answer, was texted. */
async function aReminded({ database: { sql } }: Bench, line: Line, family: Caller, time: string) {
  const { clinic, phone } = family;
  const caller = aCaller(clinic, phone);
  const { holdId = "" } = await hold(line, caller, time);
  await sendCode(line, caller, code);
  assert.equal((await readCode(line, caller, code)).outcome, "confirmed");
  const sendId = crypto.randomUUID();
  await sql`insert into public.sms_messages (org_id, id, appointment_id, origin, to_masked, to_hash)
    values (${clinic.id}, ${sendId}, ${holdId}, 'reminder', '***', private.hash_phone(${phone}))`;
  await sql`insert into public.appointment_texts (
      org_id, appointment_id, kind, starts_at, due_at, state, send_id, offers_answer)
    select a.org_id, a.id, 'reminder', a.starts_at, now(), 'sent', ${sendId}, true
    from public.appointments as a where a.id = ${holdId}`;
  return holdId;
}

const cancelAtDesk = ({ database: { sql } }: Bench, id: string) =>
  sql`update public.appointments set status = 'cancelled' where id = ${id}`;

/** Moves an appointment and its reminder, so that it began an hour ago. */
async function letBegin({ database: { sql } }: Bench, id: string): Promise<void> {
  await sql`update public.appointments as a set starts_at = now() - interval '1 hour',
    ends_at = now() - interval '30 minutes', busy = tstzrange(now() - interval '1 hour',
    now() - interval '30 minutes') where a.id = ${id}`;
  await sql`update public.appointment_texts as t set starts_at = a.starts_at
    from public.appointments as a where a.id = ${id} and t.appointment_id = a.id`;
}

interface Told extends Answer {
  readonly isReplied: boolean;
  readonly appointments: readonly { readonly startTime: string }[];
}

async function text(
  { sql }: Line,
  { clinic, phone }: { readonly clinic: Clinic; readonly phone: string },
  meaning: string,
  more: Readonly<Record<string, string | boolean | number[]>> = {},
): Promise<Told> {
  const [row] = await sql<{ answer: Told }[]>`
    select public.answer_text(${clinic.id}, ${crypto.randomUUID()}, ${phone}, ${
    sql.json({ meaning, country: "GB", ...more })
  }) as answer`;
  assert.ok(row);
  return row.answer;
}

const timesOf = ({ appointments }: Told) => appointments.map((one) => one.startTime.slice(11, 16));

test("X cancels nothing at once if it may mean an appointment that others have changed", async ({ bench, one: line }) => {
  const family = await aFamily(bench);
  const first = await aReminded(bench, line, family, "10:00");
  await aReminded(bench, line, family, "14:30");
  await cancelAtDesk(bench, first);
  const asked = await text(line, family, "cancel");
  assert.deepEqual([asked.outcome, timesOf(asked)], ["which", ["14:30"]]);
  // Nobody needs to be asked for a yes.
  assert.equal((await text(line, family, "confirm")).outcome, "confirmed");
  assert.equal((await text(line, family, "cancel")).outcome, "which");
  const chosen = await text(line, family, "choice", { choices: [1] });
  assert.deepEqual([chosen.outcome, timesOf(chosen)], ["cancelled", ["14:30"]]);
});

test("X cancels nothing at once if it may mean an appointment that has begun", async ({ bench, one: line }) => {
  const family = await aFamily(bench);
  const first = await aReminded(bench, line, family, "10:00");
  await aReminded(bench, line, family, "14:30");
  await letBegin(bench, first);
  assert.equal((await text(line, family, "cancel")).outcome, "which");
});

test("X cancels the other appointment after the patient has cancelled one by text", async ({ bench, one: line }) => {
  const family = await aFamily(bench);
  await aReminded(bench, line, family, "10:00");
  await aReminded(bench, line, family, "14:30");
  assert.equal((await text(line, family, "cancel")).outcome, "which");
  await text(line, family, "choice", { choices: [1] });
  const other = await text(line, family, "cancel");
  assert.deepEqual([other.outcome, timesOf(other)], ["cancelled", ["14:30"]]);
});

test("a number chooses nothing from a list that the patient was not sent", async ({ bench, sql, one: line }) => {
  const family = await aFamily(bench);
  await aReminded(bench, line, family, "10:00");
  await aReminded(bench, line, family, "14:30");
  const limit = (texts: number) =>
    sql`update public.organizations set sms_hourly_limit = ${texts} where id = ${family.clinic.id}`;
  await text(line, family, "other");
  await limit(1);
  const asked = await text(line, family, "cancel");
  assert.deepEqual([asked.outcome, asked.isReplied], ["which", false]);
  assert.equal((await text(line, family, "choice", { choices: [1] })).outcome, "unclear");
  await limit(200);
  assert.equal((await text(line, family, "cancel")).isReplied, true);
  assert.equal((await text(line, family, "choice", { choices: [1] })).outcome, "cancelled");
});

test("strangers get a fifth of the replies, and patients the rest", async ({ bench, sql, one: line }) => {
  const family = await aFamily(bench);
  await aReminded(bench, line, family, "10:00");
  await sql`update public.organizations set sms_hourly_limit = 10
    where id = ${family.clinic.id}`;
  const told: boolean[] = [];
  for (let count = 0; count < 4; count++) {
    const answer = await text(line, aCaller(family.clinic), "other");
    assert.equal(answer.outcome, "no_reminder");
    told.push(answer.isReplied);
  }
  assert.deepEqual(told, [true, true, false, false]);
  assert.equal((await text(line, family, "other")).isReplied, true);
});

test("CANCEL asks the desk about each appointment once, also after STOP", async ({ bench, sql, one: line }) => {
  const family = await aFamily(bench);
  await aReminded(bench, line, family, "10:00");
  await text(line, family, "stop", { wish: "stop" });
  const cancel = () => text(line, family, "stop", { wish: "stop", asksDesk: true });
  await cancel();
  await cancel();
  await aReminded(bench, line, family, "14:30");
  await cancel();
  const messages = await sql<{ message: string }[]>`
    select message from public.desk_messages order by created_at`;
  assert.deepEqual(messages.map(({ message }) => /\d\d:\d\d/.exec(message)?.[0]), [
    "10:00",
    "14:30",
  ]);
});
