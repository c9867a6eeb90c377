/** Calls that ran out of passcodes: their time is kept for the front desk, for a while and for few. */
import assert from "node:assert/strict";
import type postgres from "postgres";
import {
  aCaller,
  type Answer,
  type Caller,
  findDoubles,
  type Line,
  openLines,
  readCode,
  sendCode,
  testWithLines as test,
} from "../support/callers.ts";
import { aClinic, aDay, aPhone, type Clinic, letTimePass } from "../support/clinic.ts";
import { atLength } from "../support/length.ts";
import { someWait, start } from "../support/requests.ts";
import { aMember, asMember } from "../support/staff.ts";

const slotOf = (time: string) => ({ p_slot_id: `consultation/${aDay()}T${time}` });
const hold = (line: Line, caller: Caller, time: string) =>
  line.ask("claim_slot_atomic", caller, slotOf(time));

/** A clinic whose calls may read out two wrong codes. */
async function aStrictClinic(sql: postgres.Sql, settings: Record<string, number> = {}) {
  const clinic = await aClinic(sql);
  await set(sql, clinic, { call_attempts: 2, ...settings });
  return clinic;
}

async function set(sql: postgres.Sql, { id }: Clinic, settings: Record<string, number>) {
  await sql`update public.organizations set ${sql(settings)} where id = ${id}`;
}

/** Holds a time and reads out wrong codes until none is left. */
async function runOut(line: Line, caller: Caller, time: string): Promise<Answer> {
  const held = await hold(line, caller, time);
  assert.equal(held.outcome, "held");
  await readOut(line, caller, 2);
  return held;
}

async function readOut(line: Line, caller: Caller, attempts: number) {
  await sendCode(line, caller, "482913");
  let last: Answer | undefined;
  for (let n = 0; n < attempts; n++) last = await readCode(line, caller, `00000${n}`);
  assert.equal(last?.outcome, "locked");
}

interface Row {
  readonly status: string;
  readonly handed_over: boolean;
  readonly seconds: number;
}

async function rowOf(sql: postgres.Sql, { holdId = "" }: Answer): Promise<Row> {
  const [row] = await sql<Row[]>`
    select status, handed_over_at is not null as handed_over,
      extract(epoch from expires_at - clock_timestamp())::float8 as seconds
    from public.appointments where id = ${holdId}`;
  assert.ok(row);
  return row;
}

const kept = (row: Row) => row.status === "held" && row.handed_over && row.seconds > 0;
const givenUp = (row: Row) => row.status === "requires_manual_followup" && row.handed_over;

const aDeskOf = async (sql: postgres.Sql, clinic: Clinic) =>
  asMember(sql, await aMember(sql, clinic.id), clinic);

const end = (line: Line, { clinic, callId }: Caller) =>
  line.sql`select public.end_call(
    ${line.sql.json({ calledNumber: clinic.number, callId })}, 'customer-ended-call', null,
    gen_random_uuid())`;

test("the time of a call that ran out of codes is kept for the desk, even after the call", async ({ sql, one, two }) => {
  const clinic = await aStrictClinic(sql, { desk_hold_minutes: 45 });
  const caller = aCaller(clinic);
  const held = await runOut(one, caller, "10:00");
  const row = await rowOf(sql, held);
  assert.ok(kept(row) && row.seconds > 44 * 60 && row.seconds <= 45 * 60, JSON.stringify(row));
  await end(one, caller);
  assert.ok(kept(await rowOf(sql, held)), "the end of the call released it");
  assert.equal((await hold(two, aCaller(clinic), "10:00")).outcome, "slot_taken");
  const trail = await sql`select outcome from public.audit_logs
    where action = 'hand_over' and subject_id = ${held.holdId ?? ""}`;
  assert.deepEqual([...trail], [{ outcome: "kept" }]);
});

/** Makes the desk answer for two hours, beginning this many whole hours from now. */
async function openDesk(sql: postgres.Sql, { id }: Clinic, hoursFromNow: number): Promise<Date> {
  const opens = new Date(Math.floor(Date.now() / 3_600_000 + hoursFromNow) * 3_600_000);
  const startMin = opens.getUTCHours() * 60;
  await sql`update public.organizations set transfer_number = '+442079460999' where id = ${id}`;
  await sql`insert into public.desk_hours (org_id, dow, start_min, end_min)
    values (${id}, ${opens.getUTCDay()}, ${startMin}, ${startMin + 120})`;
  return opens;
}

const minutesKept = async (sql: postgres.Sql, held: Answer, from: number) =>
  (Date.now() - from) / 60_000 + (await rowOf(sql, held)).seconds / 60;

test("a time is kept from the next opening of a desk that is closed", async ({ sql, one }) => {
  const aDeskThatOpens = async (hoursFromNow: number) => {
    const clinic = await aClinic(sql, { zone: "Etc/UTC" });
    await set(sql, clinic, { call_attempts: 2, desk_hold_minutes: 45 });
    return { clinic, opens: await openDesk(sql, clinic, hoursFromNow) };
  };
  const closed = await aDeskThatOpens(3);
  const tomorrow = await runOut(one, aCaller(closed.clinic), "10:00");
  assert.equal(Math.round(await minutesKept(sql, tomorrow, closed.opens.getTime())), 45);

  const open = await aDeskThatOpens(0);
  const now = await runOut(one, aCaller(open.clinic), "10:00");
  assert.ok(kept(await rowOf(sql, now)) && (await rowOf(sql, now)).seconds <= 45 * 60);

  // It begins before anybody at the desk can call.
  const late = await aDeskThatOpens(80);
  assert.ok(givenUp(await rowOf(sql, await runOut(one, aCaller(late.clinic), "10:00"))));
  // Nobody can for days, so no time is worth keeping.
  const { clinic } = await aDeskThatOpens(5 * 24);
  const [row] = await sql`select private.desk_answers_at(o, now()) as at
    from public.organizations as o where o.id = ${clinic.id}`;
  assert.equal(row?.["at"], null);

  // Without hours nobody knows when the desk answers.
  const unknown = await aDeskThatOpens(3);
  await sql`delete from public.desk_hours where org_id = ${unknown.clinic.id}`;
  const soon = await runOut(one, aCaller(unknown.clinic), "10:00");
  assert.ok(kept(await rowOf(sql, soon)) && (await rowOf(sql, soon)).seconds <= 45 * 60);
});

test("a clinic that keeps nothing, and a time that has expired, are as before", async ({ sql, one }) => {
  const off = await aStrictClinic(sql, { desk_hold_minutes: 0 });
  assert.ok(givenUp(await rowOf(sql, await runOut(one, aCaller(off), "10:00"))));

  const clinic = await aStrictClinic(sql);
  const caller = aCaller(clinic);
  const first = await hold(one, caller, "10:00");
  const other = await one.ask("claim_slot_atomic", caller, {
    ...slotOf("11:00"),
    p_patient_name: "Grace Hopper",
  });
  await sendCode(one, caller, "482913");
  await sql`update public.appointments set expires_at = now() - interval '1 second'
    where id = ${first.holdId ?? ""}`;
  for (const wrong of ["000000", "000001"]) await readCode(one, caller, wrong);
  assert.ok(givenUp(await rowOf(sql, first)), "an expired time was taken back");
  assert.ok(kept(await rowOf(sql, other)));
});

test("the call that ran out neither has the time nor blocks itself with it", async ({ sql, one }) => {
  const clinic = await aStrictClinic(sql);
  const caller = aCaller(clinic);
  const held = await runOut(one, caller, "10:00");
  const asked = { p_hold: held.holdId ?? "" };
  assert.equal((await readCode(one, caller, "482913", asked.p_hold)).outcome, "locked");
  assert.equal((await sendCode(one, caller, "482913", asked.p_hold)).outcome, "locked");
  assert.equal((await hold(one, caller, "10:00")).outcome, "slot_taken");
  const call = one.sql.json({ calledNumber: clinic.number, callId: caller.callId });
  const [offer] = await one.sql<{ times: string[] }[]>`
    select array(select jsonb_path_query(public.check_availability(
      ${call}, 'consultation', ${one.sql.json({ date: aDay() })}), '$.slots[*].startTime') #>> '{}')
      as times`;
  assert.ok(offer && offer.times.length > 3);
  assert.ok(!offer.times.some((time) => time.includes("T10:00")), "its time is offered to it");
  const other = await one.ask("claim_slot_atomic", caller, { ...slotOf("12:00"), ...asked });
  assert.equal(other.outcome, "held");
  assert.equal(other["released"], undefined);
  assert.ok(kept(await rowOf(sql, held)), "another request of the call changed it");
});

test("the next call from the number books another time, and takes nothing over", async ({ sql, one, two }) => {
  const clinic = await aStrictClinic(sql);
  const first = aCaller(clinic);
  const held = await runOut(one, first, "10:00");
  const next = aCaller(clinic, first.phone);
  assert.equal((await hold(two, next, "10:00")).outcome, "slot_taken");
  assert.equal((await hold(two, next, "11:00")).outcome, "held");
  await sendCode(two, next, "913482");
  assert.equal((await readCode(two, next, "913482")).outcome, "confirmed");
  const row = await rowOf(sql, held);
  assert.ok(kept(row), "the next call changed it");
  const [owner] = await sql`select call_id from public.appointments where id = ${
    held.holdId ?? ""
  }`;
  assert.equal(owner?.["call_id"], first.callId);
});

test("it ends at its own time without any job, and goes on waiting for the desk", async ({ sql, one, two }) => {
  const clinic = await aStrictClinic(sql);
  const held = await runOut(one, aCaller(clinic), "10:00");
  const swept = await runOut(one, aCaller(clinic), "12:00");
  await letTimePass(sql, clinic.id, 60 * 60 + 1);
  assert.equal((await hold(two, aCaller(clinic), "10:00")).outcome, "held");
  assert.equal((await rowOf(sql, held)).status, "requires_manual_followup");
  await sql`select public.cleanup_expired_holds()`;
  assert.equal((await rowOf(sql, swept)).status, "requires_manual_followup");
  assert.deepEqual(await findDoubles(sql), []);
});

test("it ends when its time begins", async ({ sql, one }) => {
  const clinic = await aStrictClinic(sql);
  const caller = aCaller(clinic);
  const held = await hold(one, caller, "10:00");
  await sendCode(one, caller, "482913");
  await sql`update public.appointments as a
    set starts_at = n.at, ends_at = n.at + (ends_at - starts_at),
      busy = tstzrange(n.at, n.at + (ends_at - starts_at))
    from (select now() + interval '20 minutes' as at) as n where a.id = ${held.holdId ?? ""}`;
  for (const wrong of ["000000", "000001"]) await readCode(one, caller, wrong);
  const row = await rowOf(sql, held);
  assert.ok(kept(row) && row.seconds <= 20 * 60, JSON.stringify(row));
});

test("one time is kept for a number in a day, whether it called or was called for", async ({ sql, one }) => {
  const clinic = await aStrictClinic(sql);
  const elsewhere = await aStrictClinic(sql);
  const [mine, theirs] = [aPhone(), aPhone()];
  const first = await runOut(one, aCaller(clinic, theirs, mine), "09:00");
  assert.ok(kept(await rowOf(sql, first)));
  for (
    const caller of [
      aCaller(clinic, theirs, mine),
      aCaller(clinic, aPhone(), mine),
      aCaller(clinic, theirs, aPhone()),
      aCaller(elsewhere, aPhone(), mine),
    ]
  ) {
    const time = ["11:00", "12:00", "13:00", "14:00"].find((at) => !used.has(at)) ?? "";
    used.add(time);
    assert.ok(givenUp(await rowOf(sql, await runOut(one, caller, time))), time);
  }
  await letTimePass(sql, clinic.id, 24 * 3600 + 1);
  const later = await runOut(one, aCaller(clinic, theirs, mine), "15:00");
  assert.ok(kept(await rowOf(sql, later)), "the next day it is kept again");
});
const used = new Set<string>();

test("calls without a number share one kept time", async ({ sql, one }) => {
  const clinic = await aStrictClinic(sql);
  const first = await runOut(one, aCaller(clinic, aPhone(), null), "09:00");
  const second = await runOut(one, aCaller(clinic, aPhone(), null), "11:00");
  assert.ok(kept(await rowOf(sql, first)));
  assert.ok(givenUp(await rowOf(sql, second)));
});

test("a clinic keeps a limited number of times, and none while an alarm about an attack is on", async ({ sql, one }) => {
  const clinic = await aStrictClinic(sql, { desk_holds: 2 });
  const states: string[] = [];
  for (const time of ["09:00", "11:00", "13:00"]) {
    states.push((await rowOf(sql, await runOut(one, aCaller(clinic), time))).status);
  }
  assert.deepEqual(states, ["held", "held", "requires_manual_followup"]);

  const attacked = await aStrictClinic(sql);
  await sql`select private.raise_alarm(
    ${attacked.id}, 'wrong_codes', 50, now() - interval '1 minute', now())`;
  assert.ok(givenUp(await rowOf(sql, await runOut(one, aCaller(attacked), "09:00"))));
});

test("a kept time counts in the limits of its number", async ({ sql, one }) => {
  const clinic = await aStrictClinic(sql, { caller_holds: 2 });
  const caller = aCaller(clinic);
  await runOut(one, caller, "09:00");
  await letTimePass(sql, clinic.id, 20 * 60);
  const next = aCaller(clinic, caller.phone);
  assert.equal((await hold(one, next, "11:00")).outcome, "held");
  const again = aCaller(clinic, caller.phone);
  const refused = await one.ask("claim_slot_atomic", again, {
    ...slotOf("13:00"),
    p_patient_name: "Grace Hopper",
  });
  assert.deepEqual([refused.outcome, refused["of"]], ["hold_limit", "caller"]);
});

test("the desk confirms, moves or closes what is kept for it, and its wait is measured", async ({ sql, one }) => {
  const clinic = await aStrictClinic(sql);
  const ask = await aDeskOf(sql, clinic);
  const comes = await runOut(one, aCaller(clinic), "09:00");
  const goes = await runOut(one, aCaller(clinic), "11:00");
  const moves = await runOut(one, aCaller(clinic), "13:00");
  const stays = await runOut(one, aCaller(clinic), "15:00");
  await letTimePass(sql, clinic.id, 30 * 60);
  const resolve = ({ holdId }: Answer, p_as: string) =>
    ask("staff_resolve", { p_appointment: holdId, p_as });
  assert.equal((await resolve(comes, "confirmed")).outcome, "confirmed");
  assert.equal((await resolve(comes, "confirmed")).outcome, "wrong_status");
  assert.equal((await resolve(goes, "cancelled")).outcome, "cancelled");
  const moved = await ask("staff_move", { p_appointment: moves.holdId, ...slotOf("14:00") });
  assert.equal(moved.outcome, "moved");
  const same = await ask("staff_move", { p_appointment: stays.holdId, ...slotOf("15:00") });
  assert.deepEqual([same.outcome, same["appointmentId"]], ["moved", stays.holdId]);
  assert.deepEqual(
    await Promise.all(
      [comes, goes, moves, stays].map(async (held) => (await rowOf(sql, held)).status),
    ),
    ["confirmed", "cancelled", "cancelled", "confirmed"],
  );
  const [row] = await sql<{ gauges: Record<string, number>; totals: Record<string, number> }[]>`
    with read as (select public.read_metrics() as m)
    select m -> 'gauges' as gauges, (
      select jsonb_object_agg((t ->> 'name') || ' ' || (t -> 'labels' ->> 'result'), t -> 'value')
      from jsonb_array_elements(m -> 'totals') as t where t ->> 'name' like 'follow_ups%') as totals
    from read`;
  assert.equal(row?.gauges["followUpsOpen"], 0);
  const { totals = {} } = row ?? {};
  assert.equal(totals["follow_ups_resolved confirmed"], 1);
  assert.equal(totals["follow_ups_resolved cancelled"], 1);
  assert.equal(totals["follow_ups_resolved moved"], 2);
  const waited = totals["follow_ups_wait_seconds cancelled"] ?? 0;
  assert.ok(waited >= 30 * 60 && waited < 60 * 60, String(waited));
});

test("the desk confirms what was kept until a moment ago, unless somebody else has it", async ({ sql, one }) => {
  const clinic = await aStrictClinic(sql);
  const ask = await aDeskOf(sql, clinic);
  const free = await runOut(one, aCaller(clinic), "09:00");
  const taken = await runOut(one, aCaller(clinic), "11:00");
  const moves = await runOut(one, aCaller(clinic), "13:00");
  await letTimePass(sql, clinic.id, 60 * 60 + 1);
  assert.equal((await hold(one, aCaller(clinic), "11:00")).outcome, "held");
  const resolve = ({ holdId }: Answer) =>
    ask("staff_resolve", { p_appointment: holdId, p_as: "confirmed" });
  assert.equal((await resolve(free)).outcome, "confirmed");
  assert.equal((await resolve(taken)).outcome, "slot_taken");
  const moved = await ask("staff_move", { p_appointment: moves.holdId, ...slotOf("13:00") });
  assert.equal(moved.outcome, "moved");
  assert.deepEqual(await findDoubles(sql), []);
});

test("what waits for the desk is measured: how many, how many with their time, since when", async ({ sql, one }) => {
  const clinic = await aStrictClinic(sql, { desk_holds: 1 });
  await runOut(one, aCaller(clinic), "09:00");
  await runOut(one, aCaller(clinic), "11:00");
  await letTimePass(sql, clinic.id, 600);
  const [row] = await sql<{ gauges: Record<string, number> }[]>`
    select public.read_metrics() -> 'gauges' as gauges`;
  const { followUpsOpen, followUpsKept, followUpsLagSeconds = 0, holdsLive } = row?.gauges ?? {};
  assert.deepEqual([followUpsOpen, followUpsKept, holdsLive], [2, 1, 0]);
  assert.ok(followUpsLagSeconds >= 600, String(followUpsLagSeconds));
});

test("a call that wants to take the hold over waits for the last wrong code, and gets nothing", async ({ bench, sql, one, two }) => {
  const clinic = await aStrictClinic(sql);
  const first = aCaller(clinic);
  const held = await hold(one, first, "10:00");
  await sendCode(one, first, "482913");
  await readCode(one, first, "000000");
  await one.sql`begin`;
  assert.equal((await readCode(one, first, "000001")).outcome, "locked");
  const next = start(() => hold(two, aCaller(clinic, first.phone), "10:00"));
  await someWait(bench, 1, next.isOver);
  await one.sql`commit`;
  assert.equal((await next.done).outcome, "slot_taken");
  assert.ok(kept(await rowOf(sql, held)));
});

test("the desk releases a time that a caller asks for, and only then is it free", async ({ sql, one, two }) => {
  const clinic = await aStrictClinic(sql);
  const held = await runOut(one, aCaller(clinic), "10:00");
  const member = await aMember(sql, clinic.id);
  await two.sql`begin`;
  await two.sql`select set_config('role', 'authenticated', true),
    set_config('request.jwt.claims', ${
    JSON.stringify({ sub: member.userId, role: "authenticated" })
  }, true)`;
  await two.sql`select public.staff_resolve(
    ${clinic.id}, gen_random_uuid(), ${held.holdId ?? ""}, 'cancelled')`;
  assert.equal((await hold(one, aCaller(clinic), "10:00")).outcome, "slot_taken");
  await two.sql`commit`;
  assert.equal((await hold(one, aCaller(clinic), "10:00")).outcome, "held");
  assert.deepEqual(await findDoubles(sql), []);
});

test("many calls that run out at once: no more are kept than the clinic allows", async ({ bench, sql }) => {
  const clinic = await aStrictClinic(sql, { desk_holds: 2 });
  const times = ["09:00", "10:00", "11:00", "12:00", "13:00", "14:00"];
  const lines = await openLines(bench.database, times.length);
  try {
    for (let round = 0; round < atLength({ short: 1, full: 8 }); round++) {
      const callers = times.map(() => aCaller(clinic));
      for (const [index, line] of lines.all.entries()) {
        const caller = callers[index];
        assert.ok(caller);
        assert.equal((await hold(line, caller, times[index] ?? "")).outcome, "held");
        await sendCode(line, caller, "482913");
        await readCode(line, caller, "000000");
      }
      const last = await Promise.all(lines.all.map((line, index) => {
        const caller = callers[index];
        assert.ok(caller);
        return readCode(line, caller, "000001");
      }));
      assert.ok(last.every(({ outcome }) => outcome === "locked"));
      const states = await sql`select status, count(*)::int as n from public.appointments
        where org_id = ${clinic.id} group by status order by status`;
      assert.deepEqual([...states], [
        { status: "held", n: 2 },
        { status: "requires_manual_followup", n: 4 },
      ]);
      await sql`delete from public.appointments where org_id = ${clinic.id}`;
      // So many wrong codes raise an alarm, during which nothing is kept.
      await sql`delete from public.alarm_counters where org_id = ${clinic.id}`;
    }
  } finally {
    await lines.close();
  }
});

test("a proven phone's hold stays when the codes of another phone run out", async ({ sql, one }) => {
  const clinic = await aStrictClinic(sql);
  const caller = aCaller(clinic);
  await hold(one, caller, "09:00");
  await sendCode(one, caller, "482913");
  assert.equal((await readCode(one, caller, "482913")).outcome, "confirmed");
  const own = await one.ask("claim_slot_atomic", caller, {
    ...slotOf("10:00"),
    p_patient_name: "Grace Hopper",
  });
  assert.equal(own.outcome, "held");
  const other = { ...caller, phone: aPhone(), from: caller.phone };
  const theirs = await one.ask("claim_slot_atomic", other, {
    ...slotOf("11:00"),
    p_patient_name: "Alan Turing",
  });
  assert.equal(theirs.outcome, "held");
  await sendCode(one, other, "482914", theirs.holdId);
  for (const wrong of ["000000", "000001"]) await readCode(one, other, wrong, theirs.holdId ?? "");
  assert.ok(kept(await rowOf(sql, theirs)));
  const row = await rowOf(sql, own);
  assert.deepEqual([row.status, row.handed_over], ["held", false]);
  assert.equal((await sendCode(one, caller, "482915", own.holdId)).outcome, "confirmed");
});

test("a call that can have no code because of earlier calls leaves its time to the desk", async ({ sql, one }) => {
  const clinic = await aStrictClinic(sql, { phone_daily_attempts: 2 });
  const phone = aPhone();
  const first = await runOut(one, aCaller(clinic, phone, aPhone()), "09:00");
  assert.ok(kept(await rowOf(sql, first)));
  const next = aCaller(clinic, phone, aPhone());
  const held = await hold(one, next, "11:00");
  assert.equal((await sendCode(one, next, "482913")).outcome, "locked");
  assert.ok(givenUp(await rowOf(sql, held)), "the desk does not hear of it");
  const last = aCaller(clinic, phone, aPhone());
  const texted = await hold(one, last, "13:00");
  const [row] = await one.sql<{ answer: Answer }[]>`select public.begin_send_at_hold(
      ${one.sql.json({ calledNumber: clinic.number, callId: last.callId })}, ${texted.holdId ?? ""},
      gen_random_uuid(), repeat('0', 64), 'v1', ${clinic.id}, null) as answer`;
  assert.equal(row?.answer.outcome, "locked");
  assert.ok(givenUp(await rowOf(sql, texted)));
});

test("a wrong code counts even if its hold cannot be handed over in time", async ({ sql, one, two }) => {
  const clinic = await aStrictClinic(sql);
  const caller = aCaller(clinic);
  const held = await hold(one, caller, "10:00");
  await sendCode(one, caller, "482913");
  await readCode(one, caller, "000000");
  await two.sql`begin`;
  await two.sql`select from public.appointments where id = ${held.holdId ?? ""} for update`;
  assert.equal((await readCode(one, caller, "000001")).outcome, "locked");
  await two.sql`rollback`;
  const [counted] = await sql`select attempts from public.calls where call_id = ${caller.callId}`;
  assert.equal(counted?.["attempts"], 2);
  assert.equal((await rowOf(sql, held)).handed_over, false);
  assert.equal((await readCode(one, caller, "482913")).outcome, "locked");
  assert.ok(kept(await rowOf(sql, held)), "the next code does not hand over");
});
