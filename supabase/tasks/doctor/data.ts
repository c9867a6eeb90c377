/**
 * Checks that the database does its work: the jobs, the guarantee against double booking, time zones,
 * the clock.
 *
 * @module
 */

import type postgres from "postgres";
import type { Config } from "../../../shared/config.ts";
import { type Check, check, type Problem, skip } from "./check.ts";
import { readJobs } from "./schema.ts";

/**
 * Every check of the database's work.
 *
 * @param isNew Whether the jobs were scheduled just now, and have not had time to run.
 */
export async function checkData(sql: postgres.Sql, { isNew = false } = {}): Promise<Check[]> {
  return [
    check("jobs are scheduled", ...await findJobs(sql)),
    isNew ? skip(runs, "they were scheduled just now") : await checkRuns(sql),
    check("tables have statistics", ...await findUnanalyzed(sql)),
    check("no two appointments overlap", ...await findOverlaps(sql)),
    check("the constraint sees every appointment", ...await findLost(sql)),
    check("time zones are up to date", ...await findZones(sql)),
    check("the database's clock is right", ...await findDatabaseClock(sql)),
  ];
}

const restore = "supabase db push --remote DATABASE_URL, or the statement in migrations/*_jobs.sql";

async function findJobs(sql: postgres.Sql): Promise<Problem[]> {
  const rows = await sql<{ name: string; schedule: string; active: boolean }[]>`
    select jobname as name, schedule, active from cron.job`;
  return [...readJobs()].flatMap(([name, schedule]) => {
    const job = rows.find((row) => row.name === name);
    if (!job) return [{ what: `${name} is not scheduled`, fix: restore }];
    const alter = (change: string) =>
      `select cron.alter_job((select jobid from cron.job where jobname = '${name}'), ${change})`;
    if (!job.active) {
      return [{ what: `${name} is switched off`, fix: alter("active => true") }];
    }
    return job.schedule === schedule ? [] : [{
      what: `${name} runs at ${job.schedule}, not at ${schedule}`,
      fix: alter(`schedule => '${schedule}'`),
    }];
  });
}

const runs = "jobs have run lately";
/** A run may take a while, and missing two does no harm. */
const minuteJobMinutes = 10;
const otherJobMinutes = 26 * 60;

async function checkRuns(sql: postgres.Sql): Promise<Check> {
  // The local stand-in is not written in C. pg_cron's settings are not readable in every database.
  const [cron] = await sql`
    select exists (
      select from pg_proc as p join pg_language as l on l.oid = p.prolang
      where p.pronamespace = to_regnamespace('cron') and p.proname = 'schedule' and l.lanname = 'c'
    ) as runs`;
  const rows = await sql<
    {
      name: string;
      schedule: string;
      status: string | null;
      said: string | null;
      minutesAgo: number | null;
    }[]
  >`
    select j.jobname as name, j.schedule, d.status, d.return_message as said,
      (extract(epoch from clock_timestamp() - d.start_time) / 60)::float8 as "minutesAgo"
    from cron.job as j
    left join lateral (
      select r.* from cron.job_run_details as r
      where r.jobid = j.jobid and r.start_time is not null order by r.start_time desc limit 1
    ) as d on true
    where j.active and j.jobname = any (${[...readJobs().keys()]}::text[])
    order by j.jobname`;
  if (!cron?.["runs"] && rows.every(({ status }) => status === null)) {
    return skip(runs, "this database has no pg_cron; the local stack runs the jobs");
  }
  const see = "select * from cron.job_run_details order by start_time desc limit 20; " +
    "docs/runbook.md says what each job does";
  return check(
    runs,
    ...rows.flatMap(({ name, schedule, status, said, minutesAgo }): Problem[] => {
      const allowed = schedule.startsWith("*") ? minuteJobMinutes : otherJobMinutes;
      // In a new project, a nightly job may not have run yet.
      if (minutesAgo === null) {
        return allowed === otherJobMinutes ? [] : [{ what: `${name} has never run`, fix: see }];
      }
      if (status === "failed") {
        return [{ what: `${name} failed: ${said ?? "no message"}`, fix: see }];
      }
      return minutesAgo <= allowed
        ? []
        : [{ what: `${name} ran last ${Math.round(minutesAgo)} minutes ago`, fix: see }];
    }),
  );
}

/** Without statistics, for example after a restore, plans are bad. Small tables do not need any. */
async function findUnanalyzed(sql: postgres.Sql): Promise<Problem[]> {
  const rows = await sql<{ name: string }[]>`
    select c.oid::regclass::text as name from pg_class as c
    where c.relnamespace in (to_regnamespace('public'), to_regnamespace('private'))
      and c.relkind = 'r' and c.reltuples = -1 and pg_relation_size(c.oid) > 1024 * 1024
    order by 1`;
  return rows.map(({ name }) => ({
    what: `${name} has never been analyzed`,
    fix: `analyze ${name}`,
  }));
}

const repair = "docs/runbook.md, DoubleBooking: call the patients, then move one of the two";

/** Compares future appointments by their times, without the constraint's index. */
async function findOverlaps(sql: postgres.Sql): Promise<Problem[]> {
  const pairs = await sql<{ one: string; other: string; doctor: string }[]>`
    with sessions as (
      select a.org_id, a.provider_id, a.session_key, min(a.id::text) as id,
        min(lower(a.busy)) as opens, max(upper(a.busy)) as closes
      from public.appointments as a
      where private.is_live(a, clock_timestamp()) and upper(a.busy) > clock_timestamp()
      group by a.org_id, a.provider_id, a.session_key
    ), ordered as (
      select s.*, lag(s.id) over w as before, max(s.closes) over (
        partition by s.org_id, s.provider_id order by s.opens, s.session_key
        rows between unbounded preceding and 1 preceding) as reached
      from sessions as s
      window w as (partition by s.org_id, s.provider_id order by s.opens, s.session_key)
    )
    select o.id as one, o.before as other, p.name as doctor
    from ordered as o
    join public.providers as p on p.org_id = o.org_id and p.id = o.provider_id
    where o.reached > o.opens order by o.opens limit 20`;
  return pairs.map(({ one, other, doctor }) => ({
    what: `appointment ${one} of ${doctor} overlaps an earlier one, such as ${other}`,
    fix: repair,
  }));
}

class Undone extends Error {}

/** Tests the constraint itself with inserts that are rolled back, as the job watch-overlaps does. */
async function findLost(sql: postgres.Sql): Promise<Problem[]> {
  let lost: { id: string }[] = [];
  try {
    await sql.begin("read write", async (transaction) => {
      await transaction`set local lock_timeout = '2s'`;
      lost = await transaction<{ id: string }[]>`
        select u.id::text as id from public.providers as p,
          unnest(private.find_unguarded(p.org_id, p.id, clock_timestamp())) as u (id) limit 20`;
      throw new Undone();
    });
  } catch (thrown) {
    if (!(thrown instanceof Undone)) throw thrown;
  }
  return lost.map(({ id }) => ({
    what: `the constraint against overlaps does not see appointment ${id}`,
    fix: "select public.watch_overlaps(), which gives it new index entries",
  }));
}

/** The offset of a zone from UTC at an instant. */
export interface Offset {
  readonly at: Date;
  readonly minutes: number;
}

/** The first instant at which this machine has another offset than the database, if any. */
export function findDifference(zone: string, offsets: readonly Offset[]): Offset | undefined {
  const format = new Intl.DateTimeFormat("en", { timeZone: zone, timeZoneName: "longOffset" });
  return offsets.find(({ at, minutes }) => {
    const name = format.formatToParts(at).find(({ type }) => type === "timeZoneName")?.value ?? "";
    const [, sign = "+", hours = "0", rest = "0"] = /GMT(?:([+-])(\d\d):(\d\d))?/.exec(name) ?? [];
    return minutes !== (sign === "-" ? -1 : 1) * (60 * Number(hours) + Number(rest));
  });
}

async function findZones(sql: postgres.Sql): Promise<Problem[]> {
  const update = "update the time-zone data of the database's server or of this machine";
  const unknown = await sql<{ slug: string; zone: string }[]>`
    select o.slug, o.timezone as zone from public.organizations as o
    where not exists (select from pg_timezone_names as z where z.name = o.timezone)`;
  if (unknown.length > 0) {
    return unknown.map(({ slug, zone }) => ({
      what: `the database does not know ${zone}, the zone of ${slug}`,
      fix: update,
    }));
  }
  const rows = await sql<{ zone: string; at: Date; minutes: number }[]>`
    select z.timezone as zone, d.at,
      (extract(epoch from (d.at at time zone z.timezone) - (d.at at time zone 'UTC')) / 60)::int
        as minutes
    from (select distinct o.timezone from public.organizations as o) as z,
      generate_series(date_trunc('day', now()), now() + interval '400 days', interval '1 day')
        as d (at)
    order by z.timezone, d.at`;
  return [...Map.groupBy(rows, ({ zone }) => zone)].flatMap(([zone, offsets]) => {
    const difference = findDifference(zone, offsets);
    return difference === undefined ? [] : [{
      what: `the database and this machine disagree about ${zone} on ` +
        `${difference.at.toISOString().slice(0, 10)}`,
      fix: update,
    }];
  });
}

/** Whether the database can ask the functions for texts about appointments. */
export async function checkRequests(sql: postgres.Sql, { jobsSecret }: Config): Promise<Check> {
  const name = "the database reaches the functions";
  if (jobsSecret === undefined) {
    return skip(name, "JOBS_SECRET is not set, so no text about an appointment is sent");
  }
  const [row] = await sql<{ secret: string | null; canPost: boolean }[]>`
    select private.read_functions_target() ->> 'secret' as secret,
      to_regproc('net.http_post') is not null as "canPost"`;
  const tell = "deno task deploy --apply, or select public.set_functions_target(" +
    "'https://PROJECT.supabase.co/functions/v1', 'JOBS_SECRET')";
  return check(
    name,
    ...row?.canPost ? [] : [{
      what: "pg_net is not installed",
      fix: "create extension pg_net with schema extensions",
    }],
    ...row?.secret === jobsSecret ? [] : [{
      what: row?.secret
        ? "the database has another JOBS_SECRET than the functions"
        : "the database does not know where the functions are",
      fix: tell,
    }],
  );
}

/** Vapi's signatures and passcodes depend on the time. */
const toleratedMs = 5000;

/**
 * @param whose Whose clock it is, for people.
 * @param shown What that clock showed.
 * @param between This machine's time in milliseconds before and after it was read.
 */
export function compareClocks(
  whose: string,
  shown: Date,
  [from, to]: readonly [number, number],
): Problem[] {
  const early = from - shown.getTime();
  const late = shown.getTime() - to;
  const off = Math.max(early, late);
  return off <= toleratedMs ? [] : [{
    what: `${whose} is ${Math.round(off / 1000)} s ${early > late ? "behind" : "ahead of"} this ` +
      "machine's clock",
    fix: "set both by NTP; this machine's may be the one that is wrong",
  }];
}

async function findDatabaseClock(sql: postgres.Sql): Promise<Problem[]> {
  const from = Date.now();
  const [row] = await sql<{ now: Date }[]>`select clock_timestamp() as now`;
  return row ? compareClocks("the database's clock", row.now, [from, Date.now()]) : [];
}
