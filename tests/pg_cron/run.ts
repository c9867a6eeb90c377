// deno-lint-ignore-file no-console -- a command-line program
/**
 * The same migrations under the real pg_cron: its schedule turns a lapsed hold to expired by itself.
 *
 * Needs PG_BIN of a PostgreSQL whose pg_cron is installed (Debian: postgresql-15-cron).
 *
 * @module
 */

import postgres from "postgres";
import { migrate, seed } from "../../supabase/local/migrations.ts";
import { defaultStateDir, startPostgres } from "../../supabase/local/postgres.ts";

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
    ${sql.json(call)}, 'consultation', current_date + 1, 14) -> 'slots' -> 0 ->> 'slotId' as slot`;
  const [held] = await sql`select public.claim_slot_atomic(
    ${sql.json(call)}, ${offer?.["slot"]}, 'Ada Brown', '+447700900456', 'GB') as answer`;
  if (held?.["answer"]?.outcome !== "held") throw new Error("Cannot hold a slot to let it lapse");
  await sql`update public.appointments set expires_at = now() - interval '1 second'`;

  const startedAt = performance.now();
  let status = "held";
  while (status === "held" && performance.now() - startedAt < 90_000) {
    await new Promise((resolve) => setTimeout(resolve, 500));
    const [row] = await sql`select status from public.appointments`;
    status = String(row?.["status"]);
  }
  if (status !== "expired") throw new Error(`The lapsed hold is ${status} after 90 s`);
  const seconds = Math.round((performance.now() - startedAt) / 1000);
  console.log(`pg_cron swept the lapsed hold after ${seconds} s`);

  await sql`update cron.job_run_details set end_time = now() - interval '8 days'`;
  await sql`select public.apply_retention()`;
  const [left] = await sql`select count(*)::int as n from cron.job_run_details
    where end_time < now() - interval '7 days'`;
  if (left?.["n"] !== 0) throw new Error("apply_retention left old rows in cron.job_run_details");
  console.log("apply_retention pruned pg_cron's history");
} finally {
  await sql.end({ timeout: 5 });
  await server.stop();
}
