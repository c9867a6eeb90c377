/**
 * deno task doctor: a healthy bench passes, and everything that is taken away is reported, with a fix.
 */
import assert from "node:assert/strict";
import type postgres from "postgres";
import { readConfig } from "../../shared/config.ts";
import { openLog } from "../../shared/logging.ts";
import { createRuntime } from "../../shared/runtime.ts";
import { doctor } from "../../supabase/tasks/doctor.ts";
import { compareClocks, findDifference } from "../../supabase/tasks/doctor/data.ts";
import { runTask } from "../../supabase/tasks/task.ts";
import { aClinic, type Bench, type Clinic, jobsSecret, testWithBench } from "../support/clinic.ts";
import { serveFunctions } from "../support/line.ts";
import { loseIndexRows } from "../support/lost_rows.ts";
import { aTerminal, runHere } from "../support/terminal.ts";

/** A project at its own address, whose answers can be replaced. */
async function withProject(
  bench: Bench,
  work: (examine: Examine, spoil: (answer: Spoil | undefined) => void) => Promise<void>,
) {
  const { functionsUrl, stop } = await serveFunctions(bench);
  let spoilt: Spoil | undefined;
  const door = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
    const { pathname, search } = new URL(request.url);
    const name = pathname.split("/").at(-1) ?? "";
    return spoilt?.(name) ?? fetch(`${functionsUrl}/${name}${search}`, request);
  });
  const url = `http://127.0.0.1:${door.addr.port}`;
  await bench.database.sql`
    select public.set_functions_target(${`${url}/functions/v1`}, ${jobsSecret})`;
  const settings = {
    ...bench.environment,
    SUPABASE_DB_URL: bench.database.url(),
    FUNCTIONS_PUBLIC_URL: `${url}/functions/v1`,
  };
  const examine: Examine = (changes = {}, args = []) =>
    runHere(doctor, ["--url", url, ...args], { ...settings, ...changes });
  try {
    await work(examine, (answer) => spoilt = answer);
  } finally {
    await door.shutdown();
    await stop();
  }
}

type Spoil = (name: string) => Response | undefined;
type Examine = (
  changes?: Readonly<Record<string, string>>,
  args?: readonly string[],
) => Promise<{ readonly code: number; readonly said: string }>;

/** The names of the checks that failed. */
const failed = (said: string) => [...said.matchAll(/^FAILED {3}(.*)$/gm)].map(([, name]) => name);

testWithBench("a correct project passes every check and is not changed", async (bench) => {
  const { sql } = bench.database;
  await bench.provision(await aClinic(sql));
  const count = async () => {
    const [row] = await sql`select
      (select count(*) from public.audit_logs) + (select count(*) from public.overlap_findings)
        + (select count(*) from public.appointments) as n`;
    return row?.["n"];
  };
  await withProject(bench, async (examine) => {
    const before = await count();
    const { code, said } = await examine();
    assert.deepEqual([code, failed(said)], [0, []], said);
    assert.match(said, /All is well$/);
    assert.match(said, /^skipped {2}jobs have run lately: this database has no pg_cron/m);
    assert.equal(await count(), before);
    // Signed as Vapi signs with a credential of the other kind, which the functions do not know.
    const signing = { VAPI_HMAC_SECRETS: "a-secret-to-sign-with-of-32-chars" };
    const unknown = await examine(signing);
    assert.match(unknown.said, /hold-slot answered 401 to a signature with VAPI_HMAC_SECRETS/);
    const without = await examine({ SUPABASE_DB_URL: "" });
    assert.equal(without.code, 0);
    assert.match(without.said, /^skipped {2}the database: give --db URL or set SUPABASE_DB_URL$/m);
  });
});

/** What is taken away from the database, which check notices, and what it says. */
type Loss = readonly [
  string,
  (sql: postgres.Sql, clinic: Clinic, bench: Bench) => unknown,
  string,
  RegExp,
];

const losses: readonly Loss[] = [
  [
    "a migration",
    (sql) => sql`delete from supabase_migrations.schema_migrations where version like '%001500'`,
    "migrations are applied",
    /not applied: 20261101001500\n +fix: supabase db push --remote/,
  ],
  [
    "the checkout that was deployed",
    (sql) =>
      sql`insert into supabase_migrations.schema_migrations (version) values ('20991231000000')`,
    "migrations are applied",
    /not in this checkout: 20991231000000\n +fix: check out/,
  ],
  [
    "an entry function",
    (sql) => sql`alter function public.begin_otp_send rename to begin_send`,
    "entry functions are there",
    /public\.begin_otp_send does not exist/,
  ],
  [
    "the right to call one",
    (sql) => sql`revoke execute on function public.claim_slot_atomic from service_role`,
    "entry functions are there",
    /fix: grant execute on function public\.claim_slot_atomic to service_role/,
  ],
  [
    "the constraint against overlaps",
    (sql) => sql`alter table public.appointments drop constraint appointments_no_overlap`,
    "constraints and indexes are valid",
    /appointments_no_overlap, which prevents double booking, does not exist/,
  ],
  [
    "a valid index",
    (_, __, { database }) =>
      database.admin`update pg_index set indisvalid = false
        where indexrelid = 'public.appointments_taken'::regclass`,
    "constraints and indexes are valid",
    /fix: reindex index (public\.)?appointments_taken/,
  ],
  [
    "the default privileges that the migrations set",
    (sql) => sql`alter default privileges in schema public grant select on tables to anon`,
    "the API's roles have no rights by default",
    /anon gets rights on tables .*\n +fix: alter default privileges for role postgres .* from anon/,
  ],
  [
    "what keeps a table and a function from the API's roles",
    async (sql) => {
      await sql`grant delete, truncate on public.contacts to anon`;
      await sql`grant update on public.services to authenticated`;
      await sql`grant execute on function public.erase_patient to public`;
    },
    "the API's roles have the rights that the migrations give",
    /everybody has EXECUTE on function public\.erase_patient, .*\n +fix: revoke all on function public\.erase_patient from public\n[^]*anon has DELETE, TRUNCATE on table public\.contacts, and should have none\n +fix: revoke all on table public\.contacts from anon\n[^]*authenticated has SELECT, UPDATE on table public\.services, and should have SELECT\n +fix: revoke all on table public\.services from authenticated; grant SELECT on/,
  ],
  [
    "statistics",
    (sql) =>
      sql`insert into public.metric_events (name, labels)
        select 'test', jsonb_build_object('padding', repeat('-', 1000))
        from generate_series(1, 2000)`,
    "tables have statistics",
    /(public\.)?metric_events has never been analyzed\n +fix: analyze (public\.)?metric_events/,
  ],
  [
    "row level security",
    (sql) => sql`alter table public.contacts disable row level security`,
    "the API's roles have no rights by default",
    /fix: alter table (public\.)?contacts enable row level security/,
  ],
  [
    "pg_net",
    (_, __, { database }) =>
      database.admin`alter function net.http_post(text, jsonb, jsonb, jsonb, integer)
        rename to gone`,
    "the database reaches the functions",
    /pg_net is not installed\n +fix: create extension pg_net/,
  ],
  [
    "a job",
    (_, __, { database }) => database.admin`delete from cron.job where jobname = 'seal-audit'`,
    "jobs are scheduled",
    /seal-audit is not scheduled/,
  ],
  [
    "a job that is active",
    (_, __, { database }) =>
      database.admin`update cron.job set active = false where jobname = 'watch-overlaps'`,
    "jobs are scheduled",
    /watch-overlaps is switched off\n +fix: select cron\.alter_job/,
  ],
  [
    "a schedule",
    (_, __, { database }) =>
      database.admin`update cron.job set schedule = '0 0 1 1 *' where jobname = 'collect-metrics'`,
    "jobs are scheduled",
    /collect-metrics runs at 0 0 1 1 \*, not at \* \* \* \* \*/,
  ],
  [
    "a run of a job",
    (_, __, { database }) =>
      database.admin`insert into cron.job_run_details (jobid, status, start_time)
      select jobid, 'succeeded', now() - interval '1 hour' from cron.job
      where jobname = 'cleanup-expired-holds'`,
    "jobs have run lately",
    /cleanup-expired-holds ran last 60 minutes ago/,
  ],
  [
    "a run that succeeds",
    (_, __, { database }) =>
      database.admin`insert into cron.job_run_details (jobid, status, return_message, start_time)
      select jobid, 'failed', 'ERROR: out of disk', now() from cron.job
      where jobname = 'apply-retention'`,
    "jobs have run lately",
    /apply-retention failed: ERROR: out of disk\n +fix: .*job_run_details/,
  ],
  [
    "the space between two appointments",
    async (sql, { id }) => {
      await sql`alter table public.appointments drop constraint appointments_no_overlap`;
      await sql`insert into public.appointments (org_id, provider_id, service_id, patient_name,
          patient_phone, starts_at, ends_at, busy, session_key, status, expires_at, call_id)
        select s.org_id, p.id, s.id, 'Ada Brown', '+447700900001', t.at, t.at + interval '30 minutes',
          tstzrange(t.at, t.at + interval '30 minutes'), gen_random_uuid(), 'held', 'infinity', 'call'
        from public.services as s join public.providers as p on p.org_id = s.org_id,
          generate_series(now() + interval '1 day', now() + interval '1 day 20 minutes',
            interval '20 minutes') as t (at)
        where s.org_id = ${id}`;
    },
    "no two appointments overlap",
    /appointment \S+ of Dr Number 1 overlaps an earlier one, such as \S+\n +fix: docs\/runbook\.md/,
  ],
  [
    "rows of the constraint's index",
    (sql, clinic) => loseIndexRows(sql, clinic, "the only page is split"),
    "the constraint sees every appointment",
    /does not see appointment \S+\n +fix: select public\.watch_overlaps\(\)/,
  ],
  [
    "a time zone that the database knows",
    async (sql, { id }) => {
      await sql`alter table public.organizations drop constraint organizations_timezone_known`;
      await sql`update public.organizations set timezone = 'Europe/Kyjiw' where id = ${id}`;
    },
    "time zones are up to date",
    /the database does not know Europe\/Kyjiw, the zone of clinic-\S+\n +fix: update the time-zone data/,
  ],
  [
    "the clinic's account",
    (sql, { id }) => sql`delete from public.org_credentials where org_id = ${id}`,
    "every clinic can text",
    /has no Twilio account: .*\n +fix: deno task credentials set --org clinic-/,
  ],
  [
    "the key of its account",
    (sql, { id }) => sql`update public.org_credentials set key_id = 'gone' where org_id = ${id}`,
    "every clinic can text",
    /stored under key gone, which is not in CREDENTIAL_KEYS/,
  ],
  [
    "its account at Twilio",
    (_, { id }, { twilio }) => twilio.setAccount(`AC${id.replaceAll("-", "")}`, "another token"),
    "every clinic can text",
    /the auth token is refused \(401\)/,
  ],
  [
    "its number at Twilio",
    (_, { number }, { twilio }) => twilio.loseNumber(number),
    "every clinic can text",
    /the account has no number \+4420\d+ to text from/,
  ],
  [
    "the webhook of its number",
    (sql, { id }) => sql`update public.organizations set text_answers = true where id = ${id}`,
    "every clinic can text",
    /texts that the number receives nowhere\. Set .* to http\S+\/functions\/v1\/sms-inbound, .*\n +fix: .* for a webhook docs\/texts\.md/,
  ],
];

/** Losses that need a constraint that others remove, or that remove it themselves. */
const alone = losses.filter(([what]) => /constraint|space between/.test(what));
const together = losses.filter((loss) => !alone.includes(loss));

for (const group of [together, ...alone.map((loss) => [loss])]) {
  testWithBench(`the doctor misses ${group.map(([what]) => what).join(", ")}`, async (bench) => {
    const { sql } = bench.database;
    for (const [, takeAway] of group) {
      const clinic = await aClinic(sql);
      await bench.provision(clinic);
      await takeAway(sql, clinic, bench);
    }
    await withProject(bench, async (examine) => {
      const found = await examine();
      assert.equal(found.code, 1, found.said);
      for (const [what, , name, said] of group) {
        assert.ok(failed(found.said).includes(name), `${what}: ${found.said}`);
        assert.match(found.said, said);
      }
    });
  });
}

testWithBench("an extension that is gone is named", async (bench) => {
  await bench.database.admin`drop extension pg_trgm cascade`;
  await withProject(bench, async (examine) => {
    const { code, said } = await examine();
    assert.equal(code, 1);
    assert.match(said, /pg_trgm is not installed\n +fix: create extension if not exists pg_trgm/);
  });
});

testWithBench("functions, secrets and addresses that are wrong are named", async (bench) => {
  await withProject(bench, async (examine, spoil) => {
    const expect = async (name: string, said: RegExp, changes = {}) => {
      const found = await examine(changes);
      assert.equal(found.code, 1, found.said);
      assert.ok(failed(found.said).includes(name), found.said);
      assert.match(found.said, said);
    };
    spoil((name) => name === "verify-otp" ? new Response(null, { status: 404 }) : undefined);
    await expect(
      "functions answer",
      /verify-otp answered 404\n +fix: supabase functions deploy verify-otp/,
    );
    spoil((name) => name === "hold-slot" ? new Response(null, { status: 500 }) : undefined);
    await expect("functions answer", /hold-slot answered 500/);
    // The answer while a setting is malformed.
    spoil(() => new Response(null, { status: 401 }));
    await expect(
      "secrets are accepted",
      /hold-slot answered 401 .*\n +fix: look for environment_in/,
    );
    spoil((name) => name === "metrics" ? Response.json({}, { status: 503 }) : undefined);
    await expect(
      "the functions reach the database",
      /metrics answered 503\n +fix: look for metrics_/,
    );
    const date = new Date(Date.now() - 90_000).toUTCString();
    spoil(() => new Response(null, { status: 401, headers: { date } }));
    await expect("the functions' clock is right", /the functions' clock is (8|9)\d s behind/);
    spoil(undefined);
    await expect("secrets are accepted", /answered 401 to the secret in VAPI_SECRETS/, {
      VAPI_SECRETS: "a-secret-that-was-rotated",
    });
    await expect("the functions reach the database", /same METRICS_TOKEN/, {
      METRICS_TOKEN: "another-token-of-24-chars",
    });
    await expect("the functions know the secret of the jobs", /same JOBS_SECRET/, {
      JOBS_SECRET: "another-secret-of-24-chars",
    });
    const { sql } = bench.database;
    await sql`update private.functions_target set secret = 'the-secret-of-before'`;
    await expect("the database reaches the functions", /another JOBS_SECRET than the functions/);
    await sql`delete from private.functions_target`;
    await expect(
      "the database reaches the functions",
      /does not know where the functions are\n +fix: deno task deploy --apply, or select public\.set/,
    );
    await expect("settings are complete", /OTP_PEPPERS/, { OTP_PEPPERS: "nonsense" });
    await expect("Vapi and Twilio reach the functions", /fix: set FUNCTIONS_PUBLIC_URL/, {
      FUNCTIONS_PUBLIC_URL: "http://127.0.0.1:9/functions/v1",
    });
    await expect("the database", /could not be reached/, {
      SUPABASE_DB_URL: "postgres://postgres@127.0.0.1:9/postgres",
    });
  });
});

testWithBench("a project whose requests Vapi signs is asked with a signature", async (bench) => {
  const signing = { VAPI_SECRETS: "", VAPI_HMAC_SECRETS: "a-secret-to-sign-with-of-32-chars" };
  const kinds = [{}, {
    ...{ VAPI_HMAC_PAYLOAD: "{body}", VAPI_HMAC_ENCODING: "base64", VAPI_HMAC_PREFIX: "sha256=" },
    VAPI_HMAC_SIGNATURE_HEADER: "x-signed",
  }];
  for (const kind of kinds) {
    const environment = { ...bench.environment, ...signing, ...kind };
    const runtime = createRuntime(readConfig(environment), openLog("error", () => {}));
    await withProject({ ...bench, environment, runtime }, async (examine) => {
      const { code, said } = await examine({ SUPABASE_DB_URL: "" });
      assert.equal(code, 0, said);
    });
  }
});

Deno.test("where nothing answers, the doctor says so once", async () => {
  const { terminal, lines } = aTerminal();
  assert.equal(await runTask(doctor, ["--url", "http://127.0.0.1:9"], { terminal, env: {} }), 1);
  assert.match(lines.join("\n"), /FAILED {3}functions answer\n +nothing answers at .*:9\n +fix: /);
  assert.equal(failed(lines.join("\n")).filter((name) => name === "functions answer").length, 1);
});

Deno.test("a clock is wrong beyond five seconds, in either direction", () => {
  const compare = (offsetMs: number) =>
    compareClocks("its clock", new Date(1_000_000 + offsetMs), [1_000_000, 1_000_200]);
  for (const offsetMs of [-5000, 0, 5200]) assert.deepEqual(compare(offsetMs), []);
  assert.match(compare(-5600)[0]?.what ?? "", /^its clock is 6 s behind this machine's clock$/);
  assert.match(compare(6200)[0]?.what ?? "", /^its clock is 6 s ahead of this machine's clock$/);
});

Deno.test("a day with another offset than this machine's is found", () => {
  const day = (iso: string, minutes: number) => ({ at: new Date(`${iso}T00:00:00Z`), minutes });
  const right = [day("2026-01-01", 0), day("2026-07-01", 60), day("2026-12-01", 0)];
  assert.equal(findDifference("Europe/London", right), undefined);
  const wrong = [...right, day("2027-07-01", 0)];
  assert.deepEqual(findDifference("Europe/London", wrong), wrong.at(-1));
  assert.equal(findDifference("Pacific/Marquesas", [day("2026-01-01", -570)]), undefined);
});
