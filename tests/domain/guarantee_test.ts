/**
 * Two mechanisms prevent double booking: the constraint, and the check under the provider's lock. Each
 * is sufficient alone, and rows that PostgreSQL loses from the constraint's index are found and
 * repaired.
 */
import assert from "node:assert/strict";
import type postgres from "postgres";
import { aCaller, countOutcomes, findDoubles, openLines, withLine } from "../support/callers.ts";
import { aClinic, type Clinic } from "../support/clinic.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { dropGuarantee, leaveOnly, legs } from "../support/guarantee.ts";
import { bookAgain, loseIndexRows, losses, readIndex } from "../support/lost_rows.ts";

function test(name: string, work: (database: TestDatabase) => Promise<void>): void {
  Deno.test({
    name,
    fn: async () => {
      const database = await createTestDatabase();
      try {
        await work(database);
      } finally {
        await database.drop();
      }
    },
  });
}

/** A clinic that never closes. */
const anOpenClinic = (sql: postgres.Sql, providers = 1) =>
  aClinic(sql, { zone: "UTC", endMin: 1440, providers });

/** The metrics about the guarantee. */
async function gauges(sql: postgres.Sql): Promise<[overlaps: number, indexRowsLost: number]> {
  const [row] = await sql<{ overlaps: number; lost: number }[]>`
    select (g ->> 'overlaps')::int as overlaps, (g ->> 'indexRowsLost')::int as lost
    from (select public.read_metrics() -> 'gauges' as g) as m`;
  return [row?.overlaps ?? NaN, row?.lost ?? NaN];
}

const watch = async (sql: postgres.Sql, batch = 1000) => {
  const [row] = await sql<{ n: number }[]>`select public.watch_overlaps(${batch}) as n`;
  return row?.n ?? NaN;
};

/** Tries to book an appointment's time for somebody else with plain SQL; rolled back. */
async function isRefused(sql: postgres.Sql, id: string): Promise<boolean> {
  let inserted = 0;
  await sql.begin(async (transaction) => {
    inserted = (await transaction`
      insert into public.appointments (org_id, provider_id, service_id, patient_name, patient_phone,
        starts_at, ends_at, busy, session_key, expires_at, seat, capacity)
      select org_id, provider_id, service_id, 'Eve Black', '+447700900999', starts_at, ends_at, busy,
        gen_random_uuid(), now() + interval '1 hour', 1, 2
      from public.appointments where id = ${id} on conflict do nothing`).count;
    await transaction`rollback and chain`;
  });
  return inserted === 0;
}

for (const loss of losses) {
  test(
    `rows that the index lost (${loss}) cannot be booked again, and the watch repairs them`,
    async ({ sql }) => {
      const clinic = await anOpenClinic(sql);
      const lost = await loseIndexRows(sql, clinic, loss);
      assert.ok(lost.length > 3, `PostgreSQL lost ${lost.length} rows`);
      const [first] = lost;
      assert.ok(first && !await isRefused(sql, first.id), "the constraint still sees the row");

      assert.deepEqual(await bookAgain(sql, clinic, lost), { slot_taken: lost.length });
      assert.deepEqual(await findDoubles(sql), []);

      // Callers come first.
      const caller = await sql.reserve();
      await caller`begin`;
      await caller`select private.lock_provider(org_id, id, true) from public.providers`;
      await watch(sql);
      await caller`rollback`;
      caller.release();
      assert.deepEqual(await gauges(sql), [0, 0]);

      // The first call finishes the round that the caller interrupted.
      await watch(sql);
      await watch(sql);
      assert.deepEqual(await gauges(sql), [0, lost.length]);
      const seen = await readIndex(sql, clinic);
      assert.deepEqual(lost.filter(({ id }) => !seen.has(id)), []);
      assert.ok(await isRefused(sql, first.id), "the constraint does not see the repaired row");
      const audited = await sql<{ subject: string; repaired: boolean }[]>`
        select subject_id as subject, (details ->> 'repaired')::boolean as repaired
        from public.audit_logs where action = 'watch_overlaps' and outcome = 'index_row_lost'`;
      assert.deepEqual(
        audited.map(({ subject, repaired }) => repaired && subject).sort(),
        lost.map(({ id }) => id).sort(),
      );

      await sql`update public.overlap_findings set found_at = now() - interval '2 days'`;
      await watch(sql);
      assert.deepEqual(await gauges(sql), [0, 0]);
    },
  );
}

/** One caller books. The other one looked before that, waits, and asks for a time that overlaps. */
async function bookBothAtOnce(database: TestDatabase): Promise<Record<string, number>> {
  const { sql, admin } = database;
  const clinic = await aClinic(sql);
  await sql`update public.services set step_min = 15`;
  const lines = await openLines(database, 2);
  try {
    const [one, two] = lines.all;
    assert.ok(one && two);
    const slot = (time: string) => ({ p_slot_id: `consultation/${dayAfterTomorrow()}T${time}` });
    await one.sql`begin`;
    const first = await one.once("claim_slot_atomic", aCaller(clinic), slot("10:00"));
    let isAnswered = false;
    const waiting = two.ask("claim_slot_atomic", aCaller(clinic), slot("10:15"))
      .finally(() => isAnswered = true);
    while (!isAnswered) {
      const [row] = await admin`select from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock'`;
      if (row) break;
    }
    assert.ok(!isAnswered, "the second did not wait");
    await one.sql`commit`;
    return countOutcomes([first, await waiting]);
  } finally {
    await lines.close();
  }
}

const dayAfterTomorrow = () => new Date(Date.now() + 2 * 86_400_000).toISOString().slice(0, 10);

for (const leg of legs) {
  test(`with ${leg} alone, a caller who looked too early hears slot_taken`, async (database) => {
    await leaveOnly(leg, database.sql);
    assert.deepEqual(await bookBothAtOnce(database), { held: 1, slot_taken: 1 });
    assert.deepEqual(await findDoubles(database.sql), []);
  });
}

test("CONTROL: without both, a caller who looked too early books the doctor twice", async (database) => {
  await dropGuarantee(database.sql);
  assert.deepEqual(await bookBothAtOnce(database), { held: 2 });
  assert.equal((await findDoubles(database.sql)).length, 1);
});

test("the look under the lock alone refuses the same start of the same service", async (database) => {
  const { sql } = database;
  await leaveOnly("the look under the lock", sql);
  await sql`drop index public.appointments_seat_unique`;
  const clinic = await aClinic(sql);
  await withLine(database, async (line) => {
    const slot = { p_slot_id: `consultation/${dayAfterTomorrow()}T10:00/doctor-1` };
    const first = await line.ask("claim_slot_atomic", aCaller(clinic), slot);
    const second = await line.ask("claim_slot_atomic", aCaller(clinic), slot);
    assert.deepEqual([first.outcome, second.outcome], ["held", "slot_taken"]);
  });
});

test(
  "an appointment that shares its session does not leave it to be moved over itself",
  async (database) => {
    const { sql } = database;
    const clinic = await aClinic(sql);
    await withLine(database, async (line) => {
      const slot = (time: string) => ({ p_slot_id: `consultation/${dayAfterTomorrow()}T${time}` });
      await sql`update public.services set buffer_after_min = 30`;
      const { holdId = "" } = await line.ask("claim_slot_atomic", aCaller(clinic), slot("10:00"));
      // A second patient joins while there are two seats and no buffer.
      await sql`update public.services set buffer_after_min = 0, capacity = 2`;
      assert.equal(
        (await line.ask("claim_slot_atomic", aCaller(clinic), slot("10:00"))).outcome,
        "held",
      );
      await sql`update public.services set capacity = 1`;
      const [row] = await sql<{ outcome: string }[]>`
        select private.claim_start(o, '{"callId": "moving"}',
          private.enter_call(o, '{"callId": "moving"}'), 'reschedule_appointment',
          private.read_wanted(o, ${slot("10:30").p_slot_id}),
          '{"name": "Ada Brown", "phone": "+447700900123", "country": "GB"}', null, a)
          ->> 'outcome' as outcome
        from public.organizations as o
        join public.appointments as a on a.org_id = o.id and a.id = ${holdId}`;
      assert.equal(row?.outcome, "slot_taken");
    });
  },
);

test("no query can read the constraint's index, whatever the planner is told", async ({ sql }) => {
  const reads = [
    "a.org_id = gen_random_uuid() and a.provider_id = gen_random_uuid() and a.busy && tstzrange(now(), now())",
    "a.busy && tstzrange(now(), now()) and a.status in ('held', 'confirmed')",
    "a.busy @> now() and a.status = 'held'",
    "a.busy && tstzrange(now(), now()) and (a.status = 'held' or a.status = 'confirmed')",
    "a.org_id = gen_random_uuid() and a.status = any ('{held,confirmed}')",
  ];
  await sql.begin(async (transaction) => {
    await transaction.unsafe("set local enable_seqscan = off; set local enable_bitmapscan = off");
    const explain = async (condition: string) => {
      const rows = await transaction.unsafe<{ "QUERY PLAN": string }[]>(
        `explain select a.id from public.appointments as a where ${condition} limit 1`,
      );
      return rows.map((row) => row["QUERY PLAN"]).join("\n");
    };
    for (const condition of reads) {
      assert.doesNotMatch(await explain(condition), /appointments_no_overlap/, condition);
    }
    // The same query in the index's own words would use it, so this test can fail.
    assert.match(
      await explain(
        "a.busy && tstzrange(now(), now()) and coalesce(a.status in ('held', 'confirmed'), false)",
      ),
      /appointments_no_overlap/,
    );
  });
});

/** Books half hours of a clinic's doctor tomorrow, from a given hour on, with plain SQL. */
async function book(
  sql: postgres.Sql,
  { id }: Clinic,
  hour: number,
  { count = 1, doctor = "doctor-1", sessionKey = null as string | null, seat = 0 } = {},
): Promise<string[]> {
  const rows = await sql<{ id: string }[]>`
    insert into public.appointments (org_id, provider_id, service_id, patient_name, patient_phone,
      starts_at, ends_at, busy, session_key, expires_at, seat, capacity)
    select s.org_id, p.id, s.id, 'Ada Brown', '+447700900123', t.at, t.at + interval '30 minutes',
      tstzrange(t.at, t.at + interval '30 minutes'), coalesce(${sessionKey}::uuid, gen_random_uuid()),
      'infinity', ${seat}, 10
    from public.services as s
    join public.providers as p on p.org_id = s.org_id and p.slug = ${doctor}
    cross join generate_series(0, ${count - 1}::integer) as n
    cross join lateral (
      select date_trunc('day', now()) + interval '1 day' + interval '30 minutes' * n
        + interval '1 hour' * ${hour}::float8 as at) as t
    where s.org_id = ${id}
    returning id`;
  return rows.map((row) => row.id);
}

test("appointments that overlap are found and named, until one of them is gone", async ({ sql }) => {
  await leaveOnly("the look under the lock", sql);
  const clinic = await aClinic(sql, { providers: 2, capacity: 10 });
  const session = crypto.randomUUID();
  await book(sql, clinic, 8, { sessionKey: session, seat: 0 });
  await book(sql, clinic, 8, { sessionKey: session, seat: 1 });
  await book(sql, clinic, 10, { doctor: "doctor-2" });
  const [first] = await book(sql, clinic, 10);
  const [second] = await book(sql, clinic, 10.25);
  assert.deepEqual(
    (await findDoubles(sql)).length,
    1,
    "a session and another doctor are not double bookings",
  );
  for (let time = 0; time < 4; time++) await watch(sql);
  const found = await sql<{ id: string; other: string }[]>`
    select f.appointment_id as id, l.details ->> 'other' as other
    from public.overlap_findings as f
    join public.audit_logs as l on l.subject_id = f.appointment_id and l.outcome = f.kind
    where f.kind = 'overlap'`;
  assert.deepEqual([...found], [{ id: second, other: first }]);
  assert.equal((await gauges(sql))[0], 1);
  await sql`update public.appointments set status = 'cancelled' where id = ${second ?? ""}`;
  for (let time = 0; time < 4; time++) await watch(sql);
  assert.equal((await gauges(sql))[0], 0);
});

test("a missing constraint is noticed, and rows are not rewritten for nothing", async ({ sql }) => {
  const clinic = await anOpenClinic(sql);
  await book(sql, clinic, 8, { count: 20 });
  await watch(sql);
  assert.deepEqual(await gauges(sql), [0, 0]);
  await leaveOnly("the look under the lock", sql);
  for (let time = 0; time < 4; time++) await watch(sql);
  assert.deepEqual(await gauges(sql), [0, 1]);
  const rows = await sql`select distinct xmin::text from public.appointments`;
  assert.ok(rows.length <= 2, `rows were written by ${rows.length} transactions`);
});

test("the watch goes through all providers in batches, and never waits for a lock", async (database) => {
  const { sql } = database;
  const clinics = [await anOpenClinic(sql, 3), await anOpenClinic(sql, 3)];
  for (const clinic of clinics) {
    for (const doctor of clinic.providers) await book(sql, clinic, 0, { doctor, count: 10 });
  }
  const counts = [];
  for (let time = 0; time < 4; time++) counts.push(await watch(sql, 20));
  assert.deepEqual(counts, [22, 22, 22, 0]);
  const lines = await openLines(database, 2);
  try {
    const [one, two] = lines.all;
    assert.ok(one && two);
    // Every doctor's lock is taken, and every row is locked.
    await one.sql`begin`;
    await one.sql`select private.lock_provider(org_id, id, true) from public.providers`;
    await one.sql`select from public.appointments for update`;
    assert.equal(await watch(two.sql, 1000), 66);
    await one.sql`select public.watch_overlaps(1)`;
    assert.equal(await watch(two.sql, 1000), 0, "two watches at once");
    await one.sql`rollback`;
  } finally {
    await lines.close();
  }
  await assert.rejects(
    watch(sql, 0),
    /Cannot look at 0 appointments: the batch must be at least 1/,
  );
});
