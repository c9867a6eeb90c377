// deno-lint-ignore-file no-console -- a bench prints
/**
 * `deno task bench sql`: compares the claim and availability with other designs, and with themselves at
 * other sizes; one table per goal.
 *
 * Machines differ and are shared, so only ratios count: everything in a table runs in turn on one
 * server, several times, and ratios are taken within a round. Commits wait for the disk.
 *
 * @module
 */

import { readFile, rm } from "node:fs/promises";
import postgres from "postgres";
import { withConnection } from "../../supabase/local/connection.ts";
import { migrate } from "../../supabase/local/migrations.ts";
import {
  defaultStateDir,
  type PostgresServer,
  startPostgres,
} from "../../supabase/local/postgres.ts";
import { writeClock } from "../../supabase/tasks/clinic/notation.ts";
import type { Running } from "../../supabase/tasks/task.ts";
import { calledNumber, fill, settle, type Settlement } from "../support/many_clinics.ts";
import { findPgbench, type Load, type Measured, runPgbench, warmUpTurns } from "./pgbench.ts";
import { median } from "./median.ts";

/** The size of a measurement. */
interface Size {
  readonly rounds: number;
  /** Rows in the big databases. */
  readonly rows: number;
  readonly clinics: number;
  /** Transactions per run, of all clients together, once they are warm. */
  readonly transactions: number;
}

const whole: Size = { rounds: 7, rows: 1_000_000, clinics: 10_000, transactions: 2000 };
const quick: Size = { rounds: 3, rows: 25_000, clinics: 1000, transactions: 400 };

const settlement: Settlement = { clinics: 20, doctors: 20 };
/** About the size of the REST pool of a hosted project. */
const pool = 10;

/** One design to measure. */
interface Contender {
  readonly name: string;
  readonly run: () => Promise<Measured>;
}

/** What every goal needs. */
interface Bench {
  readonly server: PostgresServer;
  readonly size: Size;
  /** Creates a database with the migrations and the rivals, once per name. */
  database(
    name: string,
    prepare?: (sql: postgres.Sql, admin: postgres.Sql) => Promise<void>,
  ): Promise<string>;
  load(clients: number): Load;
}

const goals = new Map<string, (bench: Bench) => Promise<void>>([
  ["G2", benchSpread],
  ["G3", benchHot],
  ["G5", benchNeighbour],
  ["G6", benchClaimSizes],
  ["G7", benchAvailability],
  ["G13", benchCleanUp],
]);

let broken = 0;

/**
 * Measures goals and prints a table for each.
 *
 * @returns The exit code: 1 if a promise was broken (a double booking, or a deadlock of ours).
 */
export async function benchSql(
  asked: { readonly isQuick: boolean; readonly goals: readonly string[] },
  running: Running,
): Promise<0 | 1> {
  findPgbench();
  // If this run is killed, a test run removes folders with this name.
  const stateDir = defaultStateDir(`test-${Deno.pid}-bench`);
  const starting = startPostgres({
    stateDir,
    fresh: true,
    settings: { shared_buffers: "1GB", max_wal_size: "8GB", checkpoint_timeout: "1h" },
  });
  const server = await running.start(starting, async (started) => {
    await started.stop("immediate");
    await rm(stateDir, { recursive: true, force: true });
  });
  const bench = await prepareBench(server, asked.isQuick ? quick : whole);
  console.log(`PostgreSQL ${server.version}, ${navigator.hardwareConcurrency} cores`);
  for (const [name, run] of goals) {
    if (asked.goals.includes(name)) await run(bench);
  }
  if (broken > 0) console.error(`${broken} promises were broken, see above`);
  return broken > 0 ? 1 : 0;
}

async function prepareBench(server: PostgresServer, size: Size): Promise<Bench> {
  const template = postgres(server.url(), { max: 1, onnotice: () => {} });
  await template.unsafe("create database empty");
  const url = server.url({ database: "empty" });
  await migrate(url, new URL("../../migrations/", import.meta.url));
  await withSql(url, async (sql) => {
    await sql.unsafe(await readFile(new URL("rivals.sql", import.meta.url), "utf8"));
  });
  await template.end();
  const made = new Map<string, Promise<string>>();
  return {
    server,
    size,
    load: (clients) => ({ clients, transactions: Math.ceil(size.transactions / clients) }),
    database: (name, prepare) => {
      const known = made.get(name);
      if (known) return known;
      const making = makeDatabase(server, name, async (sql, admin) => {
        if (prepare) await prepare(sql, admin);
        else await settle(sql, settlement);
      });
      made.set(name, making);
      return making;
    },
  };
}

async function makeDatabase(
  server: PostgresServer,
  name: string,
  prepare: (sql: postgres.Sql, admin: postgres.Sql) => Promise<void>,
): Promise<string> {
  const url = (role: "postgres" | "supabase_admin", database: string) =>
    server.url({ role, database });
  await withSql(url("supabase_admin", "postgres"), async (sql) => {
    await sql.unsafe(`create database ${name} template empty owner postgres`);
  });
  await withSql(
    url("postgres", name),
    (sql) =>
      withSql(url("supabase_admin", name), async (admin) => {
        await prepare(sql, admin);
        await admin`analyze`;
        await admin`checkpoint`;
      }),
  );
  return url("postgres", name);
}

async function withSql(
  url: string,
  work: (sql: postgres.Sql) => Promise<void>,
  max = 1,
): Promise<void> {
  // Each connection runs one statement at a time; others wait.
  const options = { max, max_pipeline: 1, onnotice: () => {} };
  const sql = postgres(url, options);
  try {
    await work(sql);
  } finally {
    await sql.end({ timeout: 5 });
  }
}

/** A local day some days from today, where the clinics are. */
function dayFromNow(days: number): string {
  return new Date(Date.now() + days * 86_400_000).toISOString().slice(0, 10);
}

/**
 * A start between the rows that `fill` made, far from the starts of other clients: `:doctor`,
 * `:clinic`, `:call`, and `:hour` of a day.
 */
const aSpreadStart = `
\\set clinic random(0, ${settlement.clinics - 1})
\\set doctor random(0, ${settlement.doctors - 1})
\\set hour random(0, 14000)
\\set call random(1, 2000000000)
`;
const spreadTime = `(timestamp '${
  dayFromNow(2)
}' + make_interval(days => :hour::int / 22, hours => :hour::int % 22, mins => 30))`;

function claimAt(
  time: string,
  { clinic = ":clinic", doctor = "'/doctor-' || :doctor::text" } = {},
) {
  // pgbench would read a word after a colon as a variable.
  return `claim_slot_atomic(
    jsonb_build_object('calledNumber', '+4420790' || lpad(${clinic}::text, 5, '0'),
      'callId', 'call-' || :call::text, 'callerNumber', '+4477' || :call::text),
    'consultation/' || replace(to_char(${time}, 'YYYY-MM-DD"T"HH24.MI'), '.', chr(58)) || ${doctor},
    'Ada Brown', '+4477' || :call::text, 'GB');\n`;
}

const aSpreadClaim = `${aSpreadStart}select public.${claimAt(spreadTime)}`;
const aSpreadClaimOfAny = `${aSpreadStart}select public.${claimAt(spreadTime, { doctor: "''" })}`;
const aBareInsert = `${aSpreadStart}
insert into rival.bare (org_id, provider_id, service_id, patient_name, patient_phone,
  patient_country, starts_at, ends_at, busy, session_key, status, expires_at, call_id)
select md5('o' || :clinic::text)::uuid, md5('p' || :clinic::text || '/' || :doctor::text)::uuid,
  md5('s' || :clinic::text)::uuid, 'Ada Brown', '+447700900123', 'GB', t, t + interval '30 minutes',
  tstzrange(t, t + interval '30 minutes'), md5(:clinic::text || t)::uuid, 'held',
  now() + interval '10 minutes', 'call-' || :call::text
from (select ${spreadTime} at time zone 'UTC' as t) as t
on conflict do nothing;
`;

async function benchSpread(bench: Bench): Promise<void> {
  const url = await bench.database("spread");
  const run = (script: string) => () => runPgbench(url, script, bench.load(pool));
  await compare(
    bench,
    "G2  Claims spread over 400 doctors, 10 callers",
    [
      { name: "bare insert, same table and indexes", run: run(aBareInsert) },
      { name: "claim of a named doctor", run: run(aSpreadClaim) },
      { name: "claim of any of 20 doctors", run: run(aSpreadClaimOfAny) },
    ],
    { of: ({ rate }) => rate, what: "rate", goals: { "claim of a named doctor": [">=", 0.55] } },
  );
}

/**
 * Five-minute steps of a week: a start overlaps eleven others. `:doctor` is the second one until the
 * client is warm, so that the first one's week is empty then.
 */
const aHotStart = `
\\set step random(0, 1900)
\\set call random(1, 2000000000)
\\set doctor case when :turn > ${warmUpTurns} then 0 else 1 end
`;
const hotTime = `(timestamp '${
  dayFromNow(3)
}' + make_interval(days => :step::int / 272, mins => 5 * (:step::int % 272)))`;

const hotDesigns: readonly (readonly [name: string, call: string, table: string, ours: boolean])[] =
  [
    ["check, then insert", "check_then_insert", "unguarded", false],
    ["lock keyed on the exact start", "lock_exact_start", "unguarded", false],
    ["lock and check in one statement", "lock_in_one_statement", "unguarded", false],
    ["advisory lock, then check", "lock_then_check", "unguarded", false],
    ["select for update, then check", "for_update", "unguarded", false],
    ["exclusion constraint, error caught", "exclusion_caught", "guarded", false],
    ["exclusion constraint, on conflict do nothing", "exclusion_do_nothing", "guarded", false],
  ];

async function benchHot(bench: Bench): Promise<void> {
  const callers = 40;
  const url = await bench.database("hot");
  await withSql(url, makeClaimForUpdate);
  const claim = (schema: string) =>
    `${aHotStart}select ${schema}.${claimAt(hotTime, { clinic: "0" })}`;
  const runClaim = (schema: string) => async () => {
    await withSql(url, async (sql) => {
      await sql`delete from public.appointments`;
      await sql`vacuum public.appointments`;
    });
    const measured = await runPgbench(url, claim(schema), bench.load(callers));
    const doubles = await countDoubles(url, "public.appointments");
    if (schema === "public") broken += doubles + measured.failed;
    return { ...measured, doubles };
  };
  await compare(
    bench,
    `G3  Claims of one doctor's week, ${callers} callers`,
    [
      { name: "the claim under select for update", run: runClaim("rival") },
      { name: "the claim", run: runClaim("public") },
    ],
    { of: ({ rate }) => rate, what: "rate", goals: { "the claim": [">=", 1.3] } },
  );

  const bareCase = (call: string, table: string) => async () => {
    await withSql(url, async (sql) => {
      await sql.unsafe(`truncate rival.${table}`);
    });
    const script = `${aHotStart}select rival.${call}(md5('p0/' || :doctor::text)::uuid,
      tstzrange(t, t + interval '30 minutes')) from (select ${hotTime} at time zone 'UTC' as t) as t;\n`;
    // These are many times faster.
    const { clients, transactions } = bench.load(callers);
    const measured = await runPgbench(url, script, { clients, transactions: 3 * transactions });
    return { ...measured, doubles: await countDoubles(url, `rival.${table}`) };
  };
  await compare(
    bench,
    `    The same by the designs alone: no hours, holds, calls or audit`,
    hotDesigns.map(([name, call, table]) => ({ name, run: bareCase(call, table) })),
    { of: ({ rate }) => rate, what: "rate", goals: {} },
  );
}

/** Pairs of live rows of one doctor that overlap. */
async function countDoubles(url: string, table: string): Promise<number> {
  let doubles = 0;
  const live = table === "public.appointments" ? "and a.status = 'held' and b.status = 'held'" : "";
  await withSql(url, async (sql) => {
    const [row] = await sql.unsafe<{ n: number }[]>(`
      select count(*)::int as n from ${table} as a join ${table} as b
      on a.provider_id = b.provider_id and a.busy && b.busy and a.id < b.id ${live}`);
    doubles = row?.n ?? 0;
  });
  return doubles;
}

/** The claim with one change: it locks the provider's row first, and then looks at the appointments. */
async function makeClaimForUpdate(sql: postgres.Sql): Promise<void> {
  const definitionOf = async (name: string) => {
    const [row] = await sql<{ text: string }[]>`
      select pg_get_functiondef(${name}::regproc) as text`;
    return row?.text ?? "";
  };
  const swap = (text: string, from: string, to: string) => {
    if (!text.includes(from)) throw new Error(`Cannot make the rival claim: no "${from}" in it`);
    return text.replaceAll(from, to);
  };
  const attempt = await definitionOf("private.try_provider");
  await sql.unsafe(swap(
    swap(attempt, "private.try_provider", "rival.try_provider"),
    "private.lock_provider(p_org, p_provider, p_wait)",
    "true",
  ));
  let insert = await definitionOf("private.insert_hold");
  insert = swap(insert, "FUNCTION private.insert_hold", "FUNCTION rival.insert_hold");
  insert = swap(insert, "private.try_provider", "rival.try_provider");
  const attemptOfNamed = "  if v_named is not null then";
  insert = swap(
    insert,
    attemptOfNamed,
    "  perform from public.providers as p\n" +
      `  where p.org_id = p_org.id and p.id = v_named for update;\n${attemptOfNamed}`,
  );
  await sql.unsafe(insert);
  let claim = await definitionOf("private.claim_start");
  claim = swap(claim, "FUNCTION private.claim_start", "FUNCTION rival.claim_start");
  claim = swap(claim, "private.insert_hold", "rival.insert_hold");
  await sql.unsafe(claim);
  const hold = await definitionOf("private.hold_slot");
  await sql.unsafe(swap(
    swap(hold, "FUNCTION private.hold_slot", "FUNCTION rival.hold_slot"),
    "private.claim_start(",
    "rival.claim_start(",
  ));
  let entry = await definitionOf("public.claim_slot_atomic");
  entry = swap(entry, "FUNCTION public.claim_slot_atomic", "FUNCTION rival.claim_slot_atomic");
  entry = swap(entry, "private.hold_slot(", "rival.hold_slot(");
  // A longer wait: otherwise most of its callers would only get `busy`.
  await sql.unsafe(swap(entry, "SET lock_timeout TO '300ms'", "SET lock_timeout TO '0'"));
}

/** How 40 callers for one provider's day affect a quiet clinic: a pool of 10, commits of 3 ms. */
async function benchNeighbour(bench: Bench): Promise<void> {
  const url = await bench.database("neighbour");
  await withSql(url, makeClaimForUpdate);
  const admin = bench.server.url({ role: "supabase_admin", database: "neighbour" });
  await withSql(admin, async (sql) => {
    await sql`alter database neighbour set commit_delay = 3000`;
    await sql`alter database neighbour set commit_siblings = 0`;
  });
  const quietCalls = Math.max(30, bench.size.transactions / 20);
  const whileOthersClaim = (schema: string | undefined) => async () => {
    let measured: Measured | undefined;
    await withSql(url, async (sql) => {
      await sql`delete from public.appointments`;
      let isQuiet = false;
      const hot = Array.from({ length: schema === undefined ? 0 : 40 }, async () => {
        while (!isQuiet) await claim(sql, schema ?? "", 0, randomSlot(1));
      });
      const times: number[] = [];
      const startedAt = performance.now();
      for (let call = 0; call < quietCalls; call++) {
        const sentAt = performance.now();
        await claim(sql, "public", 1, randomSlot(600));
        times.push(performance.now() - sentAt);
      }
      const tookMs = performance.now() - startedAt;
      isQuiet = true;
      await Promise.all(hot);
      times.sort((a, b) => a - b);
      const at = (part: number) => times[Math.floor(part * (times.length - 1))] ?? Number.NaN;
      measured = { rate: quietCalls / tookMs * 1000, p50Ms: at(0.5), p95Ms: at(0.95), failed: 0 };
    }, pool);
    if (!measured) throw new Error("Cannot measure the quiet clinic");
    return measured;
  };
  await compare(
    bench,
    "G5  Another clinic's claims while 40 callers claim one doctor's day, commits of 3 ms, a pool of 10",
    [
      { name: "alone", run: whileOthersClaim(undefined) },
      { name: "while 40 claim", run: whileOthersClaim("public") },
      { name: "while 40 claim under select for update", run: whileOthersClaim("rival") },
    ],
    { of: ({ p95Ms }) => p95Ms, what: "p95", goals: { "while 40 claim": ["<=", 8] } },
  );
}

function randomSlot(days: number): string {
  const clock = writeClock(30 * Math.floor(Math.random() * 45));
  return `consultation/${dayFromNow(2 + Math.floor(Math.random() * days))}T${clock}/doctor-0`;
}

async function claim(
  sql: postgres.Sql,
  schema: string,
  clinic: number,
  slotId: string,
): Promise<void> {
  const phone = `+44${crypto.getRandomValues(new Uint32Array(1))[0]}`;
  const call = JSON.stringify({
    ...{ calledNumber: calledNumber(clinic), callId: crypto.randomUUID(), callerNumber: phone },
  });
  await sql.unsafe(
    `select ${schema}.claim_slot_atomic($1::text::jsonb, $2, 'Ada Brown', $3, 'GB')`,
    [call, slotId, phone],
    { prepare: true },
  );
}

async function benchClaimSizes(bench: Bench): Promise<void> {
  const rows = bench.size.rows;
  const contenders = [];
  for (const [name, database] of await sizedDatabases(bench)) {
    contenders.push({ name, run: () => runPgbench(database, aSpreadClaim, bench.load(4)) });
  }
  await compare(
    bench,
    `G6  Claims among ${rows.toLocaleString("en")} rows, 4 callers`,
    contenders,
    {
      of: ({ p95Ms }) => p95Ms,
      what: "p95",
      goals: { "live rows": ["<=", 1.3], "expired holds, none cleaned up": ["<=", 1.3] },
    },
  );
}

/** Names and addresses of databases: without rows, with live holds, and with expired holds. */
async function sizedDatabases(bench: Bench): Promise<[string, string][]> {
  const filled = (expired: boolean) => async (sql: postgres.Sql, admin: postgres.Sql) => {
    await settle(sql, settlement);
    await fill(admin, { rows: bench.size.rows, expired });
  };
  return [
    ["no rows", await bench.database("norows")],
    ["live rows", await bench.database("live", filled(false))],
    ["expired holds, none cleaned up", await bench.database("expired", filled(true))],
  ];
}

async function benchAvailability(bench: Bench): Promise<void> {
  const rows = bench.size.rows;
  const few = await bench.database("few", async (sql, admin) => {
    await settle(sql, settlement);
    await fill(admin, { rows: 1000, expired: false });
  });
  const [, [, many] = ["", ""]] = await sizedDatabases(bench);
  const days = Math.floor(rows / (settlement.clinics * settlement.doctors) / 24);
  const ask = (clinics: number) =>
    `\\set clinic random(0, ${clinics - 1})
\\set day random(1, ${days})
select public.check_availability(jsonb_build_object('calledNumber',
  '+4420790' || lpad(:clinic::text, 5, '0'), 'callId', 'x'), 'consultation', to_jsonb(date '${
      dayFromNow(1)
    }' + :day::int));\n`;
  const askRival = `\\set clinic random(0, ${settlement.clinics - 1})
\\set day random(1, ${days})
select rival.find_by_candidate(md5('o' || :clinic::text)::uuid, md5('s' || :clinic::text)::uuid, date '${
    dayFromNow(1)
  }' + :day::int);\n`;
  const run = (url: string, script: string) => () =>
    runPgbench(url, script, { clients: 2, transactions: bench.size.transactions / 4 });
  // Each takes seconds at a million rows, so a warm connection makes no difference.
  const runRival = (url: string) => () =>
    runPgbench(url, askRival, { clients: 2, transactions: 4, warmUp: 1 });
  const count = rows.toLocaleString("en");
  await compare(
    bench,
    `G7  A day of 20 doctors, from 1,000 rows to ${count}`,
    [
      { name: "1,000 rows", run: run(few, ask(settlement.clinics)) },
      { name: `${count} rows`, run: run(many, ask(settlement.clinics)) },
      { name: "not exists for each slot, 1,000 rows", run: runRival(few) },
      { name: `not exists for each slot, ${count} rows`, run: runRival(many) },
    ],
    { of: ({ p95Ms }) => p95Ms, what: "p95", goals: { [`${count} rows`]: ["<=", 4] } },
  );

  const settled = (clinics: number) => (sql: postgres.Sql) => settle(sql, { clinics, doctors: 1 });
  const ten = await bench.database("ten", settled(10));
  const crowd = await bench.database("crowd", settled(bench.size.clinics));
  const crowded = `${bench.size.clinics.toLocaleString("en")} clinics`;
  await compare(
    bench,
    "    A day of one doctor, among other clinics",
    [
      { name: "10 clinics", run: run(ten, ask(10)) },
      { name: crowded, run: run(crowd, ask(bench.size.clinics)) },
    ],
    { of: ({ p95Ms }) => p95Ms, what: "p95", goals: { [crowded]: ["<=", 1.3] } },
  );
}

async function benchCleanUp(bench: Bench): Promise<void> {
  const [[, empty] = ["", ""], , [, expired] = ["", ""]] = await sizedDatabases(bench);
  const goal = bench.size.rows / 10;
  const [cleanUpMs = Number.NaN] = await cleanUpTimes(expired, goal, 1);
  const idleMs = median(await cleanUpTimes(empty, 0, 50));
  console.log(
    `\nG13 ${goal.toLocaleString("en")} expired holds cleaned up in ${
      (cleanUpMs / 1000).toFixed(1)
    } s, ` +
      `${Math.round(goal / cleanUpMs * 1000).toLocaleString("en")} a second (goal 100,000); ` +
      `with nothing to clean up ${idleMs.toFixed(1)} ms (goal 5)`,
  );
  const claims = () => runPgbench(expired, aSpreadClaim, bench.load(4));
  const cleanedUpMeanwhile: number[] = [];
  const duringJob = async () => {
    const { result, cleanedUpASecond } = await runDuringJob(expired, claims);
    cleanedUpMeanwhile.push(cleanedUpASecond);
    return result;
  };
  await compare(
    bench,
    "    Claims meanwhile, 4 callers",
    [{ name: "alone", run: claims }, { name: "while pg_cron's job runs", run: duringJob }],
    { of: ({ p95Ms }) => p95Ms, what: "p95", goals: { "while pg_cron's job runs": ["<=", 1.3] } },
  );
  const idle = await runDuringJob(expired, () => new Promise((done) => setTimeout(done, 1000)));
  console.log(
    `    The job cleaned up ${
      Math.round(median(cleanedUpMeanwhile)).toLocaleString("en")
    } a second meanwhile, ` +
      `${Math.round(idle.cleanedUpASecond).toLocaleString("en")} alone`,
  );
}

/**
 * Cleans up in batches of 1,000 until `enough` holds are done, several times; returns the time of each
 * in ms.
 */
async function cleanUpTimes(url: string, enough: number, times: number): Promise<number[]> {
  const list: number[] = [];
  await withSql(url, async (sql) => {
    // As the job does.
    await sql`set synchronous_commit = off`;
    for (let time = 0; time < times; time++) {
      const startedAt = performance.now();
      let cleaned = 0;
      do {
        const [row] = await sql<{ n: number }[]>`select public.cleanup_expired_holds() as n`;
        if (!row?.n && enough > 0) throw new Error("Cannot bench the clean-up: nothing is left");
        cleaned += row?.n ?? 0;
      } while (cleaned < enough);
      list.push(performance.now() - startedAt);
    }
  });
  return list;
}

/** Runs work while the clean-up job runs as under pg_cron, then stops the job. */
async function runDuringJob<Result>(
  url: string,
  work: () => Promise<Result>,
): Promise<{ readonly result: Result; readonly cleanedUpASecond: number }> {
  return await withConnection(url, async (job) => {
    const [row] = await job<{ command: string; expired: number }[]>`
      select command, (select count(*)::int from public.appointments where status = 'held'
        and expires_at < now()) as expired
      from cron.job where jobname = 'cleanup-expired-holds'`;
    if (!row) throw new Error("Cannot find the clean-up job");
    const startedAt = performance.now();
    const cleaning = job.unsafe(row.command).execute();
    const ended = cleaning.then(() => "done", () => "cancelled");
    const result = await work();
    cleaning.cancel();
    if (await ended === "done") {
      throw new Error("Cannot bench during the clean-up: nothing is left");
    }
    const seconds = (performance.now() - startedAt) / 1000;
    const [left] = await job<{ expired: number }[]>`
      select count(*)::int as expired from public.appointments where status = 'held'
        and expires_at < now()`;
    return { result, cleanedUpASecond: (row.expired - (left?.expired ?? 0)) / seconds };
  });
}

/** The figure that is compared with the first contender's, and the goal. */
interface Comparison {
  readonly of: (measured: Measured) => number;
  readonly what: string;
  readonly goals: Readonly<Record<string, readonly [">=" | "<=", number]>>;
}

/** Runs all contenders in turn, round by round, and prints the table. The first round is a warm-up. */
async function compare(
  bench: Bench,
  title: string,
  contenders: readonly Contender[],
  { of, what, goals }: Comparison,
): Promise<void> {
  const rounds: (Measured & { readonly doubles?: number })[][] = [];
  for (let round = 0; round <= bench.size.rounds; round++) {
    const row = [];
    for (const { run } of contenders) row.push(await run());
    if (round > 0) rounds.push(row);
  }
  const rows = contenders.map(({ name }, index) => {
    const mine = rounds.flatMap((row) => row[index] ?? []);
    const ratios = rounds.flatMap((row) => {
      const [first] = row;
      const own = row[index];
      return first && own ? [of(own) / of(first)] : [];
    });
    const [sign, bound] = goals[name] ?? [];
    const ratio = median(ratios);
    const isMet = sign === ">=" ? ratio >= (bound ?? 0) : ratio <= (bound ?? 0);
    const doubles = mine.map(({ doubles }) => doubles).filter((count) => count !== undefined);
    return [
      name,
      Math.round(median(mine.map(({ rate }) => rate))).toLocaleString("en"),
      median(mine.map(({ p50Ms }) => p50Ms)).toFixed(1),
      median(mine.map(({ p95Ms }) => p95Ms)).toFixed(1),
      index === 0
        ? "1"
        : `${ratio.toFixed(2)} (${Math.min(...ratios).toFixed(2)}-${
          Math.max(...ratios).toFixed(2)
        })`,
      sign === undefined ? "" : `${sign} ${bound} ${isMet ? "met" : "missed"}`,
      `${doubles.reduce((sum, count) => sum + count, 0)}`,
      `${mine.reduce((sum, { failed }) => sum + failed, 0)}`,
    ];
  });
  const isCounted = rounds.some((row) => row.some(({ doubles }) => doubles !== undefined));
  const heads = [
    "",
    "a second",
    "p50 ms",
    "p95 ms",
    `${what} ratio`,
    "goal",
    "doubles",
    "deadlocks",
  ];
  const columns = isCounted ? heads.length : heads.length - 2;
  const lines = [heads, ...rows].map((row) => row.slice(0, columns));
  const widths = heads.map((_, column) =>
    Math.max(...lines.map((line) => line[column]?.length ?? 0))
  );
  console.log(`\n${title}: medians of ${bench.size.rounds} rounds`);
  for (const line of lines) {
    console.log(
      line.map((cell, column) =>
        column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0)
      ).join("  ").trimEnd(),
    );
  }
}
