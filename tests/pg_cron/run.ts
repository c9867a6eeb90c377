// deno-lint-ignore-file no-console -- a command-line program
/**
 * The same migrations under the real pg_cron: the schedule expires holds, one transaction per batch;
 * the nightly job prunes pg_cron's own history; a function is asked for a text; and the watch repairs
 * what the constraint's index has lost.
 *
 * Needs PG_BIN of a PostgreSQL with pg_cron (Debian: postgresql-15-cron).
 *
 * @module
 */

import postgres from "postgres";
import { migrate, seed } from "../../supabase/local/migrations.ts";
import { defaultStateDir, startPostgres } from "../../supabase/local/postgres.ts";
import { findDoubles } from "../support/callers.ts";
import { aClinic } from "../support/clinic.ts";
import { bookAgain, canLoseRows, loseIndexRows, losses } from "../support/lost_rows.ts";

/** This many full batches of a clean-up, and one hold more. */
const batchCount = 25;
const holdCount = 25 * batchCount + 1;
const root = new URL("../../", import.meta.url);
const server = await startPostgres({
  stateDir: defaultStateDir("pg-cron"),
  fresh: true,
  durable: false,
  settings: {
    shared_preload_libraries: "pg_cron",
    "cron.database_name": "postgres",
    "cron.use_background_workers": "on",
  },
});
const sql = postgres(server.url(), { max: 1, onnotice: () => {} });
try {
  const { applied } = await migrate(server.url(), new URL("migrations/", root));
  await seed(server.url(), new URL("supabase/seed.sql", root));
  const [extension] = await sql`select extversion from pg_extension where extname = 'pg_cron'`;
  const jobs = await sql`select jobname from cron.job where active order by jobname`;
  console.log(
    `PostgreSQL ${server.version}, pg_cron ${extension?.["extversion"]}: ` +
      `${applied.length} migrations, jobs ${jobs.map(({ jobname }) => jobname).join(", ")}`,
  );

  const call = { calledNumber: "+442079460123", callId: "pg-cron", toolCallId: "1" };
  const [offer] = await sql`select public.check_availability(
    ${
    sql.json(call)
  }, 'consultation', to_jsonb(current_date + 1), 14) -> 'slots' -> 0 ->> 'slotId' as slot`;
  const [held] = await sql`select public.claim_slot_atomic(
    ${sql.json(call)}, ${offer?.["slot"]}, 'Ada Brown', '+447700900456', 'GB') as answer`;
  if (held?.["answer"]?.outcome !== "held") throw new Error("Cannot hold a slot to let it expire");
  await sql`
    insert into public.appointments (org_id, provider_id, service_id, patient_name, patient_phone,
      starts_at, ends_at, busy, session_key, expires_at)
    select a.org_id, a.provider_id, a.service_id, a.patient_name, a.patient_phone, t.at,
      t.at + interval '30 minutes', tstzrange(t.at, t.at + interval '30 minutes'),
      gen_random_uuid(), now()
    from public.appointments as a, generate_series(1, ${holdCount - 1}) as n
    cross join lateral (select a.ends_at + n * interval '30 minutes' as at) as t`;
  await sql`update public.appointments set expires_at = now() - interval '1 second'`;
  await sql`
    select public.set_functions_target('http://127.0.0.1:9/functions/v1', 'a-secret-of-the-jobs')`;
  await sql`
    insert into public.appointment_texts (org_id, appointment_id, kind, starts_at, due_at)
    select a.org_id, a.id, 'confirmation', a.starts_at, now() from public.appointments as a limit 1`;
  // The nightly job is scheduled for the next minute too, and finds an old run to delete.
  await sql`select cron.schedule('apply-retention', '* * * * *', command) from cron.job
    where jobname = 'apply-retention'`;
  await sql`insert into cron.job_run_details (jobid, runid, command, status, end_time)
    values (0, -1, 'long ago', 'succeeded', now() - interval '8 days')`;

  const waitUntil = async (what: string, query: () => Promise<readonly postgres.Row[]>) => {
    const startedAt = performance.now();
    while (performance.now() - startedAt < 90_000) {
      const [row] = await query();
      if (row?.["done"]) return Math.round((performance.now() - startedAt) / 1000);
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
    const runs = await sql`select status, return_message from cron.job_run_details`;
    throw new Error(`${what} not within 90 s: ${JSON.stringify(runs)}`);
  };
  const seconds = await waitUntil(
    "The expired holds were cleaned up",
    () =>
      sql`select count(*) = ${holdCount} as done from public.appointments where status = 'expired'`,
  );
  const [batches] = await sql`
    select count(distinct xmin::text)::int as n from public.appointments`;
  if (batches?.["n"] <= batchCount) throw new Error("The clean-up did not commit each batch");
  console.log(
    `pg_cron cleaned up ${holdCount} expired holds after ${seconds} s, in ${
      batches?.["n"]
    } batches`,
  );

  const pruned = await waitUntil(
    "pg_cron's history was pruned",
    () => sql`select count(*) = 0 as done from cron.job_run_details where runid = -1`,
  );
  console.log(`pg_cron pruned its history after ${pruned} s`);
  const asked = await waitUntil(
    "A function was asked to send a text",
    () =>
      sql`select count(*) > 0 as done from net.http_request_queue
      where url = 'http://127.0.0.1:9/functions/v1/appointment-texts'`,
  );
  console.log(`pg_cron asked for the text that was due (${asked} s)`);
  const runs = await waitUntil(
    "Every run ended well",
    () =>
      sql`select count(distinct j.jobname) = 4 and bool_and(d.status = 'succeeded') as done
      from cron.job_run_details as d join cron.job as j using (jobid)
      where j.jobname in (
          'cleanup-expired-holds', 'apply-retention', 'seal-audit', 'watch-overlaps')`,
  );
  console.log(`pg_cron says that the jobs succeeded (${runs} s)`);

  // From here on, only this test repairs.
  await sql`select cron.unschedule('watch-overlaps')`;
  for (const loss of losses) {
    await sql`truncate public.appointments cascade`;
    const clinic = await aClinic(sql, { zone: "UTC", endMin: 1440 });
    const lost = await loseIndexRows(sql, clinic, loss);
    const outcomes = await bookAgain(sql, clinic, lost);
    const doubles = await findDoubles(sql);
    const isExpected = (lost.length > 0) === await canLoseRows(sql);
    if (!isExpected || (outcomes["slot_taken"] ?? 0) !== lost.length || doubles.length > 0) {
      throw new Error(
        `${loss}: ${lost.length} rows lost, ${JSON.stringify({ outcomes, doubles })}`,
      );
    }
    for (let time = 0; time < 2; time++) await sql`select public.watch_overlaps()`;
    const [repaired] = await sql`
      select count(*)::int as n from public.overlap_findings where repaired`;
    if (repaired?.["n"] !== lost.length) throw new Error(`${repaired?.["n"]} rows were repaired`);
    console.log(
      lost.length === 0
        ? `This PostgreSQL's index lost no rows (${loss})`
        : `The index lost ${lost.length} rows (${loss}): none was booked again, all were repaired`,
    );
  }
} finally {
  await sql.end({ timeout: 5 });
  await server.stop();
}
