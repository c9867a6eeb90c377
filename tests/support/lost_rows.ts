/**
 * Makes PostgreSQL lose live rows of the constraint's index, as docs/decisions describes, by the only
 * kind of query that can: one that repeats the index's own condition word for word.
 * @module
 */

import type postgres from "postgres";
import { type Clinic } from "./clinic.ts";

/** The condition of the index of `appointments_no_overlap`; no query of ours uses it. */
const indexed = "coalesce(a.status in ('held', 'confirmed'), false)";

/** Midnight of a future day. */
const day = new Date(Math.ceil(Date.now() / 86_400_000 + 3) * 86_400_000).toISOString();

/** Books the first doctor of a clinic: appointments of one length, numbered from midnight on. */
const book = ({ id }: Clinic, numbers: string, length = "30 minutes") => `
  insert into public.appointments (org_id, provider_id, service_id, contact_id, patient_name,
    patient_phone, starts_at, ends_at, busy, session_key, status)
  select s.org_id, p.id, s.id, c.id, 'Ada Brown', c.phone, t.first, t.last,
    tstzrange(t.first, t.last), gen_random_uuid(), 'confirmed'
  from public.services as s
  join public.providers as p on p.org_id = s.org_id and p.slug = 'doctor-1'
  join public.contacts as c on c.org_id = s.org_id
  cross join ${numbers} as x (n)
  cross join lateral (
    select timestamptz '${day}' + x.n * interval '${length}' as first,
      timestamptz '${day}' + (x.n + 1) * interval '${length}' as last
  ) as t
  where s.org_id = '${id}'`;

/**
 * How to read the index: by an index scan, which remembers dead entries, or by a bitmap scan, which
 * does not.
 */
const scans = {
  plain: "set local enable_seqscan = off; set local enable_bitmapscan = off; " +
    "set local enable_indexonlyscan = off; set local enable_material = off",
  bitmap: "set local enable_seqscan = off; set local enable_indexscan = off; " +
    "set local enable_indexonlyscan = off",
};

/** Ids of a clinic's live appointments, as read from the constraint's index. */
export async function readIndex(sql: postgres.Sql, { id }: Clinic): Promise<Set<string>> {
  const rows = await sql.begin(async (transaction) => {
    await transaction.unsafe(scans.bitmap);
    return await transaction.unsafe<{ id: string }[]>(`
      select a.id from public.appointments as a
      where a.busy && tstzrange('-infinity', 'infinity') and ${indexed} and a.org_id = '${id}'`);
  });
  return new Set(rows.map((row) => row.id));
}

/** The ways in which PostgreSQL is made to lose rows. */
export const losses = ["the only page is split", "a scan stops early"] as const;

/** One of these ways. */
export type Loss = (typeof losses)[number];

/** Whether this server can be made to lose rows. PostgreSQL 15.20 has been seen to lose none. */
export async function canLoseRows(sql: postgres.Sql): Promise<boolean> {
  const [row] = await sql<{ version: number }[]>`
    select current_setting('server_version_num')::integer as version`;
  const { version = 0 } = row ?? {};
  return version < 150_020 || version >= 160_000;
}

/** An appointment that is missing from the constraint's index. */
export interface LostRow {
  readonly id: string;
  readonly startsAt: Date;
}

/**
 * Books the first doctor of a clinic, in an index without other rows, and makes the index lose some
 * rows.
 */
export async function loseIndexRows(
  sql: postgres.Sql,
  clinic: Clinic,
  loss: Loss,
): Promise<LostRow[]> {
  const series = (first: number, last: number) =>
    sql.unsafe(book(clinic, `generate_series(${first}, ${last})`));
  await sql`alter table public.appointments set (autovacuum_enabled = off)`;
  // An earlier test in this database left dead entries, and pages with room.
  await sql`reindex index public.appointments_no_overlap`;
  await sql`insert into public.contacts (org_id, phone, name)
    values (${clinic.id}, '+447700900123', 'Ada Brown')`;
  const stopsEarly = loss === "a scan stops early";
  // Dead entries take up places of the page that live ones will take after the split.
  const half = stopsEarly ? 40 : 20;
  await series(half + 1, 2 * half);
  await series(1, half);
  if (stopsEarly) await series(1001, 1300);
  const [deletion] = await sql<{ xid: string }[]>`
    delete from public.appointments where org_id = ${clinic.id}
      and starts_at > ${day}::timestamptz + ${half}::integer * interval '30 minutes'
      and starts_at <= ${day}::timestamptz + ${half + 10}::integer * interval '30 minutes'
    returning pg_current_xact_id()::text as xid`;
  // A scan sees an entry as dead only after every older transaction of the server has ended.
  let isDead = false;
  while (!isDead) {
    const [row] = await sql<{ isDead: boolean }[]>`
      select pg_snapshot_xmin(pg_current_snapshot()) > ${deletion?.xid ?? ""}::xid8 as "isDead"`;
    isDead = row?.isDead ?? false;
  }
  await sql.begin(async (transaction) => {
    await transaction.unsafe(scans.plain);
    await transaction.unsafe(`
      create or replace function pg_temp.split_page(n integer) returns integer language plpgsql as $$
      declare
        v_pages constant bigint := pg_relation_size('public.appointments_no_overlap');
      begin
        for v_n in 1 .. 400 loop
          exit when n <> 2 or pg_relation_size('public.appointments_no_overlap') > v_pages;
          ${book(clinic, "(select v_n)", "1 second")};
        end loop;
        return n;
      end
      $$`);
    await transaction.unsafe(`
      select x.n, pg_temp.split_page(x.n), c.*
      from generate_series(1, 4) as x (n)
      cross join lateral (
        select ${stopsEarly ? "a.id" : "count(a.id)"} from public.appointments as a
        where a.busy && tstzrange('${day}', timestamptz '${day}' + interval '40 hours')
          and ${indexed} and x.n > 0
        ${stopsEarly ? "limit 1" : ""}) as c`);
  });
  const seen = await readIndex(sql, clinic);
  const rows = await sql<LostRow[]>`
    select id, starts_at as "startsAt" from public.appointments
    where org_id = ${clinic.id} and status = 'confirmed' order by starts_at`;
  return rows.filter(({ id }) => !seen.has(id));
}

/** Other callers ask for the times of lost rows; counts their outcomes. The clinic is in UTC. */
export async function bookAgain(
  sql: postgres.Sql,
  { number }: Clinic,
  lost: readonly LostRow[],
): Promise<Record<string, number>> {
  const outcomes: Record<string, number> = {};
  for (const { startsAt } of lost) {
    const phone = `+44${crypto.getRandomValues(new Uint32Array(1))[0]}0`;
    const call = JSON.stringify({
      ...{ calledNumber: number, callId: crypto.randomUUID(), callerNumber: phone },
    });
    const slot = `consultation/${startsAt.toISOString().slice(0, 16)}`;
    const [row] = await sql<{ outcome: string }[]>`
      select public.claim_slot_atomic(${call}::text::jsonb, ${slot}, 'Eve Black', ${phone},
        'GB') ->> 'outcome' as outcome`;
    const outcome = row?.outcome ?? "";
    outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
  }
  return outcomes;
}
