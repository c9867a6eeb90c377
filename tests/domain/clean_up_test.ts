/** The jobs: expired holds are cleaned up in batches while claims run, and old data is deleted in time. */
import assert from "node:assert/strict";
import type postgres from "postgres";
import { writeClock } from "../../supabase/tasks/clinic/notation.ts";
import { retention } from "../../supabase/tasks/retention.ts";
import { runHere } from "../support/terminal.ts";
import { aCaller, type Line, openLines, readCode, sendCode, withLine } from "../support/callers.ts";
import { aClinic, aDay, type Clinic } from "../support/clinic.ts";
import { type TestDatabase, testWithDatabase as test } from "../support/database.ts";
import { atLength } from "../support/length.ts";
import { cpuMs } from "../support/processor.ts";

/** Creates half-hour holds that expired long ago or a moment ago. */
async function expiredHolds(
  sql: postgres.Sql,
  clinic: Clinic,
  count: number,
  { status = "held", expiredFor = "1 minute", first = aDay() } = {},
): Promise<void> {
  await sql`
    insert into public.appointments (
      org_id, provider_id, service_id, patient_name, patient_phone, starts_at, ends_at, busy,
      session_key, status, expires_at, call_id, updated_at)
    select p.org_id, p.id, s.id, 'Ada Brown', '+99900000001', t.at, t.at + interval '30 minutes',
      tstzrange(t.at, t.at + interval '30 minutes'), private.session_key(s.id, t.at), ${status},
      now() - ${expiredFor}::interval, gen_random_uuid()::text, now() - ${expiredFor}::interval
    from generate_series(0, ${count - 1}) as n
    cross join lateral (
      select ${first}::date::timestamptz + n * interval '30 minutes' as at) as t
    join public.providers as p on p.org_id = ${clinic.id} and p.slug = 'doctor-1'
    join public.services as s on s.org_id = p.org_id`;
}

const cleanUp = async (sql: postgres.Sql | Line["sql"], batch = 1000) => {
  const [row] = await sql<{ n: number }[]>`select public.cleanup_expired_holds(${batch}) as n`;
  return row?.n ?? NaN;
};

/** The cost of a plain update for the same number of holds: the same column in batches of a thousand. */
async function plainUpdateMs(sql: postgres.Sql): Promise<number> {
  const before = await cpuMs(sql);
  for (let count = 1; count > 0;) {
    ({ count } = await sql`
      update public.appointments set status = 'expired' where (org_id, id) in (
        select org_id, id from public.appointments where status = 'held' limit 1000)`);
  }
  return await cpuMs(sql) - before;
}

const countHolds = async (sql: postgres.Sql, status: string) => {
  const [row] = await sql<{ n: number }[]>`
    select count(*)::int as n from public.appointments where status = ${status}`;
  return row?.n;
};

test("a clean-up takes a batch of expired holds of all clinics, audits each, deletes their codes and keeps live holds", async ({ sql }) => {
  const clinics = [await aClinic(sql), await aClinic(sql)];
  for (const clinic of clinics) await expiredHolds(sql, clinic, 15);
  const [clinic] = clinics;
  assert.ok(clinic);
  await sql`insert into public.calls (org_id, call_id)
    select org_id, call_id from public.appointments`;
  await sql`insert into public.one_time_passcodes
    (org_id, call_id, phone_hash, send_id, purpose, state, mac, key_id, claimed_at, expires_at)
    select org_id, call_id, sha256(phone::bytea), id, 'confirm', 'sent', sha256('x'), 'v1', now(),
      now() + lasts
    from public.appointments,
      (values ('expired', interval '0'), ('lives', interval '1 minute')) as c (phone, lasts)`;
  await expiredHolds(sql, clinic, 2, { expiredFor: "-5 minutes", first: aDay(20) });
  await expiredHolds(sql, clinic, 2, { status: "cancelled", first: aDay(30) });
  assert.equal(await cleanUp(sql, 12), 12);
  assert.equal(await cleanUp(sql, 12), 12);
  assert.equal(await cleanUp(sql, 12), 6);
  assert.equal(await cleanUp(sql, 12), 0);
  assert.equal(await countHolds(sql, "expired"), 30);
  assert.equal(await countHolds(sql, "held"), 2);
  const [row] = await sql`
    select count(distinct l.subject_id)::int as audited,
      (select jsonb_agg(distinct encode(phone_hash, 'hex')) from public.one_time_passcodes
        where mac is not null) = jsonb_build_array(encode(sha256('lives'), 'hex')) as "onlyLiving"
    from public.audit_logs as l join public.appointments as a
      on a.org_id = l.org_id and a.id = l.subject_id
    where l.action = 'cleanup_expired_holds' and l.outcome = 'expired' and l.actor = 'system'`;
  assert.deepEqual({ ...row }, { audited: 30, onlyLiving: true });
  for (const batch of [0, -1, null]) {
    await assert.rejects(
      sql`select public.cleanup_expired_holds(${batch}::integer)`,
      /the batch must be at least 1/,
    );
  }
});

test("concurrent clean-ups share the work and skip holds that a confirmation has locked", async (database) => {
  const { sql } = database;
  const clinic = await aClinic(sql);
  await expiredHolds(sql, clinic, 4000);
  const lines = await openLines(database, 5);
  try {
    const [confirming, ...cleaners] = lines.all;
    assert.ok(confirming);
    await confirming.sql`begin`;
    await confirming.sql`select from public.appointments order by starts_at limit 10 for update`;
    const counts = await Promise.all(cleaners.map(async (line) => {
      let cleanedUp = 0;
      for (let count = await cleanUp(line.sql); count > 0; count = await cleanUp(line.sql)) {
        cleanedUp += count;
      }
      return cleanedUp;
    }));
    assert.equal(counts.reduce((sum, count) => sum + count, 0), 3990);
    await confirming.sql`rollback`;
    assert.equal(await cleanUp(sql), 10);
  } finally {
    await lines.close();
  }
});

const clinicsCleanedUp = atLength({ short: 2, full: 100 });
test(
  `the clean-up of ${clinicsCleanedUp},000 expired holds of ${clinicsCleanedUp} clinics costs at most five times a plain update`,
  async ({ sql, admin }, t) => {
    const [clinic] = [await aClinic(sql)];
    // Only the constraint against overlaps is removed: rows that are cleaned up leave its index, and
    // never enter it.
    await sql`alter table public.appointments drop constraint appointments_no_overlap`;
    await expiredHolds(sql, clinic, 1000);
    await sql`insert into public.organizations (slug, name, timezone, default_country, sms_countries)
    select 'tidy-' || n, 'Tidy', 'Europe/London', 'GB', '{GB}' from generate_series(2, ${clinicsCleanedUp}::integer) as n`;
    await sql`insert into public.providers (org_id, slug, name)
    select id, 'doctor-1', 'Dr One' from public.organizations where slug like 'tidy-%'`;
    await sql`insert into public.services (org_id, slug, name, duration_min)
    select id, 'consultation', 'Consultation', 30 from public.organizations where slug like 'tidy-%'`;
    await sql`insert into public.appointments (
      org_id, provider_id, service_id, patient_name, patient_phone, starts_at, ends_at, busy,
      session_key, expires_at, call_id)
    select p.org_id, p.id, s.id, a.patient_name, a.patient_phone, a.starts_at, a.ends_at, a.busy,
      a.session_key, a.expires_at, a.call_id
    from public.providers as p join public.services as s on s.org_id = p.org_id
    cross join public.appointments as a
    where p.org_id <> ${clinic.id}`;
    await admin`vacuum analyze public.appointments`;
    const cleaner = await sql.reserve();
    const before = await cpuMs(cleaner);
    const startedAt = performance.now();
    let total = 0;
    const batchesMs: number[] = [];
    for (let count = 1; count > 0; total += count) {
      const began = await cpuMs(cleaner);
      count = await cleanUp(cleaner);
      if (count > 0) batchesMs.push(await cpuMs(cleaner) - began);
    }
    const seconds = (performance.now() - startedAt) / 1000;
    const cleanUpMs = await cpuMs(cleaner) - before;
    assert.equal(total, clinicsCleanedUp * 1000);
    assert.equal(await countHolds(sql, "expired"), clinicsCleanedUp * 1000);
    await sql`update public.appointments set status = 'held'`;
    await admin`vacuum analyze public.appointments`;
    const plainMs = await plainUpdateMs(cleaner);
    cleaner.release();
    const longest = Math.max(...batchesMs);
    const median = batchesMs.toSorted((a, b) => a - b)[Math.floor(batchesMs.length / 2)] ?? NaN;
    await t.step(
      `${total} in ${seconds.toFixed(1)} s, ${cleanUpMs.toFixed(0)} ms of them on a processor: ` +
        `${Math.round(total / cleanUpMs * 1000)} a second, ` +
        `${(cleanUpMs / plainMs).toFixed(1)} times a plain update; a thousand at once in ` +
        `${median.toFixed(0)} ms, the longest in ${longest.toFixed(0)} ms`,
      () => {},
    );
    assert.ok(cleanUpMs <= 5 * plainMs, `${cleanUpMs} ms, a plain update ${plainMs} ms`);
    assert.ok(longest <= 5 * median, `batches of ${median} ms, one of ${longest} ms`);
  },
);

test(
  "a claim waits for one batch of the job at most, and gets its expired slot",
  async (database, t) => {
    const { sql, admin } = database;
    const clinic = await aClinic(sql);
    await expiredHolds(sql, clinic, 2000);
    const lines = await openLines(database, 4);
    const batchesMs: number[] = [];
    /** The clean-up transactions that each claim waited for. */
    const waitedFor = new Map<string, Set<string>>();
    let longestWaitMs = 0;
    const tried = new Set<number>();
    let isCleanedUp = false;
    let cleanedUp = 0;
    let held = 0;
    try {
      const [cleaner, ...claimers] = lines.all;
      assert.ok(cleaner);
      const [own] = await cleaner.sql<{ pid: number }[]>`select pg_backend_pid() as pid`;
      const cleanUpAll = async () => {
        for (let count = 1; count > 0;) {
          const startedAt = performance.now();
          count = await cleanUp(cleaner.sql, 25);
          batchesMs.push(performance.now() - startedAt);
          assert.ok(count <= 25, `a batch of ${count}`);
          cleanedUp += count;
        }
        isCleanedUp = true;
      };
      const claim = async (line: Line) => {
        while (!isCleanedUp) {
          // One of the times that are cleaned up now or next.
          const index = cleanedUp + Math.floor(Math.random() * 50);
          const minutes = index % 48 * 30;
          if (tried.has(index) || minutes >= 1380) {
            await new Promise((resolve) => setTimeout(resolve, 1));
            continue;
          }
          tried.add(index);
          const clock = writeClock(minutes);
          const day = aDay(2 + Math.floor(index / 48));
          const answer = await line.ask("claim_slot_atomic", aCaller(clinic), {
            p_slot_id: `consultation/${day}T${clock}`,
          });
          assert.equal(answer.outcome, "held", `${day} ${clock}`);
          held++;
        }
      };
      const watch = async () => {
        while (!isCleanedUp) {
          const waits = await admin<{ claim: string; batch: string | null; ms: number }[]>`
            select a.pid || ' ' || a.query_start as claim, s.backend_xid::text as batch,
              extract(epoch from clock_timestamp() - l.waitstart)::float8 * 1000 as ms
            from pg_locks as l
            join pg_stat_activity as a on a.pid = l.pid and a.query ~ 'claim_slot_atomic'
            join pg_stat_activity as s on s.pid = ${own?.pid ?? 0}
            where not l.granted and a.datname = current_database()
              and s.pid = any (pg_blocking_pids(a.pid))`;
          for (const { claim, batch, ms } of waits) {
            longestWaitMs = Math.max(longestWaitMs, ms);
            if (!waitedFor.has(claim)) waitedFor.set(claim, new Set());
            if (batch) waitedFor.get(claim)?.add(batch);
          }
        }
      };
      await Promise.all([cleanUpAll(), ...claimers.map(claim), watch()]);
    } finally {
      await lines.close();
    }
    await t.step(
      `${held} claims; ${waitedFor.size} seen waiting, the longest ${
        longestWaitMs.toFixed(0)
      } ms; ` +
        `the longest batch ${Math.max(...batchesMs).toFixed(0)} ms`,
      () => {},
    );
    assert.ok(held > 0, "nothing was claimed meanwhile");
    // Each batch is a transaction: waiting for two of them means waiting again.
    const again = [...waitedFor.values()].filter((batches) => batches.size > 1);
    assert.equal(again.length, 0, "a claim waited for more than one batch");
  },
);

/** Everything that retention covers, old and young, in a clinic with this retention period. */
async function anArchive(
  { sql, admin }: TestDatabase,
  line: Line,
  retentionDays: number,
): Promise<Clinic> {
  const clinic = await aClinic(sql);
  await sql`update public.organizations
    set retention_days = ${retentionDays}, audit_retention_days = 40 where id = ${clinic.id}`;
  const claim = async (time: string) => {
    const caller = aCaller(clinic);
    const asked = { p_slot_id: `consultation/${aDay()}T${time}` };
    assert.equal((await line.ask("claim_slot_atomic", caller, asked)).outcome, "held");
    await sendCode(line, caller, "482913");
    return caller;
  };
  // Confirmed, with a change that came to nothing; cancelled by the next call; expired; locked; live.
  const kept = await claim("09:00");
  await readCode(line, kept, "482913");
  await line.ask("cancel_appointment", aCaller(clinic, kept.phone));
  const cancelled = await claim("10:00");
  await line.ask("claim_slot_atomic", cancelled, { p_slot_id: `consultation/${aDay()}T10:30` });
  await claim("11:00");
  await sql`update public.appointments set expires_at = now() - interval '1 second'
    where status = 'held' and org_id = ${clinic.id}`;
  await cleanUp(sql);
  await claim("12:00");
  await claim("13:00");
  await sql`update public.appointments set status = 'requires_manual_followup'
    where org_id = ${clinic.id} and status = 'held'
      and to_char(starts_at at time zone ${clinic.zone}, 'HH24') = '13'`;
  // Everything is aged; only a superuser can age audit rows.
  const age = "60 days";
  await sql`update public.appointments set created_at = created_at - ${age}::interval,
    updated_at = updated_at - ${age}::interval, expires_at = expires_at - ${age}::interval
    where org_id = ${clinic.id} and status <> 'held'`;
  await sql`update public.calls set seen_at = seen_at - interval '2 days'
    where org_id = ${clinic.id}`;
  await sql`update public.sms_messages set created_at = created_at - ${age}::interval
    where org_id = ${clinic.id}`;
  await sql`update public.tool_calls set created_at = created_at - ${age}::interval
    where org_id = ${clinic.id}`;
  await admin`update public.audit_logs set at = at - ${age}::interval where org_id = ${clinic.id}`;
  return clinic;
}

interface Counts {
  readonly rows: number;
  readonly organizations: readonly {
    readonly organization: string;
    readonly [rule: string]: unknown;
  }[];
}

const retain = async (sql: postgres.Sql, isDryRun: boolean, batch = 1000): Promise<Counts> => {
  const [row] = await sql<{ counts: Counts }[]>`
    select public.apply_retention(${isDryRun}, ${batch}) as counts`;
  assert.ok(row);
  return row.counts;
};

test("retention counts the same as it deletes, per clinic, in batches, and keeps confirmed appointments", async (database) => {
  const { sql } = database;
  await withLine(database, async (line) => {
    const short = await anArchive(database, line, 30);
    const long = await anArchive(database, line, 90);
    await sql`insert into public.phone_counts (phone_hash, changed_at)
      values (sha256('old'), now() - interval '2 days')`;
    await sql`insert into cron.job_run_details (jobid, runid, end_time)
      values (1, 1, now() - interval '8 days'), (1, 2, now() - interval '6 days')`;

    const counted = await retain(sql, true);
    const [kept, deleted] = [long, short].map(({ slug }) =>
      counted.organizations.find(({ organization }) => organization === slug)
    );
    assert.deepEqual(
      [deleted?.["holds"], deleted?.["calls"]],
      [4, 6],
      JSON.stringify(deleted),
    );
    assert.deepEqual([kept?.["holds"], kept?.["toolCalls"]], [0, 0]);
    assert.equal(kept?.["calls"], 6, "what a call has proven and asked for goes a day after it");
    assert.ok(Number(kept?.["auditLogs"]) > 0, "audit rows have a time of their own");
    assert.equal((await retain(sql, true)).rows, counted.rows, "a dry run deletes nothing");

    let rows = 0;
    let calls = 0;
    for (
      let batch = await retain(sql, false, 2);
      batch.rows > 0;
      batch = await retain(sql, false, 2)
    ) {
      rows += batch.rows;
      calls++;
      for (
        const { organization: _, retentionDays: _days, auditRetentionDays: _audit, ...counts }
          of batch.organizations
      ) {
        for (const count of Object.values(counts)) assert.ok(Number(count) <= 2);
      }
    }
    assert.ok(calls > 3, `${calls} batches`);
    // Texts that were deleted with their hold are not counted again.
    assert.ok(rows <= counted.rows && rows > 0, `${rows} of ${counted.rows}`);
    assert.equal((await retain(sql, true)).rows, 0);

    const left = await sql`
      select o.slug = ${short.slug} as short, a.status, count(*)::int as n
      from public.appointments as a join public.organizations as o on o.id = a.org_id
      group by 1, 2 order by 1, 2`;
    assert.deepEqual(left.map(({ short, status, n }) => [short, status, n]), [
      [false, "cancelled", 1],
      [false, "confirmed", 1],
      [false, "expired", 2],
      [false, "held", 1],
      [false, "requires_manual_followup", 1],
      [true, "confirmed", 1],
      [true, "held", 1],
    ]);
    const [proof] = await sql`select (select count(*)::int from public.one_time_passcodes) as codes,
      (select count(*)::int from public.appointment_changes) as changes`;
    assert.deepEqual({ ...proof }, { codes: 0, changes: 0 });
    const [row] = await sql`
      select (select count(*)::int from public.phone_counts where phone_hash = sha256('old')) as quotas,
        (select count(*)::int from cron.job_run_details) as runs,
        (select sum((details ->> 'holds')::int)::int from public.audit_logs
          where org_id = ${short.id} and action = 'apply_retention' and outcome = 'deleted') as holds`;
    assert.deepEqual({ ...row }, { quotas: 0, runs: 1, holds: 4 });
    for (const batch of [0, null]) {
      await assert.rejects(
        sql`select public.apply_retention(false, ${batch}::integer)`,
        /must be at least 1/,
      );
    }
    await assert.rejects(
      sql`select public.apply_retention(null)`,
      /p_dry_run is null; say true to count, false to delete/,
    );
  });
});

test("one call of retention deletes a batch in all, however many clinics and kinds have old rows", async ({ sql }) => {
  const clinics: Clinic[] = [];
  for (let index = 0; index < 5; index++) clinics.push(await aClinic(sql));
  for (const clinic of clinics.slice(1)) {
    await expiredHolds(sql, clinic, 7, { status: "expired", expiredFor: "91 days" });
    await sql`insert into public.tool_calls
      (org_id, call_id, tool_call_id, tool, arguments_hash, outcome, result, created_at)
      select ${clinic.id}, n::text, 'x', 'x', sha256('x'), 'x', '{}', now() - interval '91 days'
      from generate_series(1, 7) as n`;
  }
  await sql`insert into public.phone_counts (phone_hash, changed_at)
    select sha256(n::text::bytea), now() - interval '2 days' from generate_series(1, 7) as n`;
  await sql`insert into cron.job_run_details (jobid, runid, end_time)
    select 1, n, now() - interval '8 days' from generate_series(1, 7) as n`;
  const counted = await retain(sql, true);
  assert.equal(counted.rows, 4 * 14 + 14);
  assert.equal(counted.organizations.length, 5, "a dry run tells of every clinic");
  const batches: number[] = [];
  const named = new Set<string>();
  for (let batch = await retain(sql, false, 10);; batch = await retain(sql, false, 10)) {
    batches.push(batch.rows);
    for (const { organization } of batch.organizations) named.add(organization);
    if (batch.rows === 0) break;
  }
  assert.deepEqual(batches, [10, 10, 10, 10, 10, 10, 10, 0]);
  assert.deepEqual(named, new Set(clinics.slice(1).map(({ slug }) => slug)));
  const [row] = await sql`
    select count(distinct org_id)::int as clinics, sum((details ->> 'holds')::int)::int as holds,
      sum((details ->> 'toolCalls')::int)::int as calls
    from public.audit_logs where action = 'apply_retention' and outcome = 'deleted'`;
  assert.deepEqual({ ...row }, { clinics: 4, holds: 28, calls: 28 });
});

test("the jobs clean up and delete in transactions of their own until nothing is left, and the clean-up sleeps in between", async (database) => {
  const { sql } = database;
  const clinic = await aClinic(sql);
  await expiredHolds(sql, clinic, 2500);
  const [job] = await sql`select command from cron.job where jobname = 'cleanup-expired-holds'`;
  const jobs = await sql.reserve();
  const [before, startedAt] = [await cpuMs(jobs), performance.now()];
  await jobs.unsafe(job?.["command"]);
  const share = (await cpuMs(jobs) - before) / (performance.now() - startedAt);
  jobs.release();
  assert.ok(share < 0.5, `the clean-up keeps a processor busy for ${Math.round(share * 100)} %`);
  assert.equal(await countHolds(sql, "held"), 0);
  const [row] = await sql`
    select count(distinct xmin::text)::int as n from public.appointments where status = 'expired'`;
  assert.equal(row?.["n"], 100, "a transaction a batch");
  await sql`update public.appointments set expires_at = now() - interval '91 days'`;
  const [nightly] = await sql`select command from cron.job where jobname = 'apply-retention'`;
  await sql.unsafe(nightly?.["command"]);
  assert.equal(await countHolds(sql, "expired"), 0);
});

/** Runs the task as an operator would, and returns its output. */
const runRetention = (args: readonly string[], env = {}) => runHere(retention, args, env);

test("deno task retention counts with --dry-run, deletes without it, and explains errors", async (database) => {
  const { sql } = database;
  const clinic = await aClinic(sql);
  await expiredHolds(sql, clinic, 25, { status: "expired", expiredFor: "91 days" });
  const db = ["--db", database.url()];
  const dry = await runRetention(["--dry-run", ...db]);
  assert.equal(dry.code, 0, dry.said);
  assert.match(dry.said, /\(90 days, audit 2555\): .*holds 25/);
  assert.match(dry.said, /25 rows would be deleted, nothing was/);
  const real = await runRetention(["--batch", "10"], { SUPABASE_DB_URL: database.url() });
  assert.equal(real.code, 0, real.said);
  assert.match(real.said, /holds 25/);
  assert.match(real.said, /25 rows deleted in 4 transactions/);
  for (
    const [args, code, sentence] of [
      [["--dry"], 2, /Unknown option '--dry'/],
      [["--batch", "none", ...db], 2, /--batch takes a whole number from 1/],
      [["--db", "mysql://x"], 2, /must begin with postgres/],
      [["--db", "postgres://postgres:x@127.0.0.1:1/x"], 3, /could not be reached \(ECONNREFUSED\)/],
      [["--env", "/nowhere/.env"], 2, /Cannot read/],
      [["--help"], 0, /deno task retention/],
    ] as const
  ) {
    const run = await runRetention(args);
    assert.equal(run.code, code, run.said);
    assert.match(run.said, sentence);
  }
});
