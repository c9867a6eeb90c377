/**
 * Clinics by the thousand and appointments by the million, for plans and benches. Ids are derived from
 * numbers, so a script can compute them: clinic `o1`, its service `s1`, its doctor `p1/2`.
 *
 * @module
 */

import type postgres from "postgres";

/** How many clinics and doctors. */
export interface Settlement {
  readonly clinics: number;
  /** Doctors in each clinic. */
  readonly doctors: number;
}

/** The phone number of a clinic. */
export const calledNumber = (clinic: number): string =>
  `+4420790${String(clinic).padStart(5, "0")}`;

/** Creates clinics that are open 23 hours every day and can be booked two years ahead. */
export async function settle(sql: postgres.Sql, { clinics, doctors }: Settlement): Promise<void> {
  const last = clinics - 1;
  await sql`
    insert into public.organizations (id, slug, name, timezone, default_country, sms_countries)
    select md5('o' || n)::uuid, 'clinic-' || n, 'Clinic', 'Europe/London', 'GB', '{GB}'
    from generate_series(0, ${last}::integer) as n`;
  await sql`
    insert into public.org_channels (kind, value, org_id)
    select 'called_number', '+4420790' || lpad(n::text, 5, '0'), md5('o' || n)::uuid
    from generate_series(0, ${last}::integer) as n`;
  await sql`
    insert into public.services (org_id, id, slug, name, duration_min, step_min, horizon_days)
    select md5('o' || n)::uuid, md5('s' || n)::uuid, 'consultation', 'Consultation', 30, 5, 730
    from generate_series(0, ${last}::integer) as n`;
  await sql`
    insert into public.providers (org_id, id, slug, name)
    select md5('o' || n)::uuid, md5('p' || n || '/' || d)::uuid, 'doctor-' || d, 'Dr Number ' || d
    from generate_series(0, ${last}::integer) as n, generate_series(0, ${
    doctors - 1
  }::integer) as d`;
  await sql`
    insert into public.provider_services (org_id, provider_id, service_id)
    select p.org_id, p.id, s.id from public.providers as p
    join public.services as s on s.org_id = p.org_id`;
  await sql`
    insert into public.working_hours (org_id, provider_id, dow, start_min, end_min)
    select p.org_id, p.id, d, 0, 1380 from public.providers as p, generate_series(0, 6) as d`;
}

/**
 * Gives every doctor the same number of half-hour holds, one an hour from tomorrow on. They either
 * never expire or have already expired, one second apart. Rows are written without indexes and foreign
 * keys; `vacuum full` then builds the indexes. It does not compare each row with the others a second
 * time, which for the exclusion constraint would take as long as building it.
 *
 * @param admin As a superuser.
 */
export async function fill(
  admin: postgres.Sql,
  { rows, expired }: { readonly rows: number; readonly expired: boolean },
): Promise<void> {
  await admin.begin(async (sql) => {
    await sql`set local session_replication_role = replica`;
    // Fill pages as in an index that grew row by row, where most writes find room.
    for (const { name } of (await indexesOf(sql)).filter(({ kind }) => kind === "btree")) {
      await sql.unsafe(`alter index ${name} set (fillfactor = 70)`);
    }
    // Leave room in each page, so that expire() can update rows in place.
    await sql`alter table public.appointments set (fillfactor = 40)`;
    const keepIndexes = (isKept: boolean) =>
      sql`update pg_index set indisready = ${isKept}, indisvalid = ${isKept}
        where indrelid = 'public.appointments'::regclass`;
    await keepIndexes(false);
    await sql`
      insert into public.appointments (org_id, provider_id, service_id, patient_name, patient_phone,
        starts_at, ends_at, busy, session_key, status, expires_at, call_id)
      select p.org_id, p.id, s.id, 'Ada Brown', '+447700900123', t.at, t.at + interval '30 minutes',
        tstzrange(t.at, t.at + interval '30 minutes'), gen_random_uuid(), 'held',
        now() + case when ${expired} then interval '-1 day' else interval '100 years' end
          + t.n * interval '1 second',
        gen_random_uuid()
      from public.providers as p
      join public.services as s on s.org_id = p.org_id
      cross join lateral (
        select n, date_trunc('day', now()) + interval '1 day' + n * interval '1 hour' as at
        from generate_series(1, ${rows}::integer / (select count(*) from public.providers)) as n
      ) as t`;
    await keepIndexes(true);
  });
  await admin`set maintenance_work_mem = '256MB'`;
  await admin`vacuum full public.appointments`;
  await admin`reset maintenance_work_mem`;
}

/** The indexes of `appointments`. */
async function indexesOf(sql: postgres.TransactionSql) {
  return await sql<{ name: string; kind: string; definition: string }[]>`
    select i.indexrelid::regclass::text as name, m.amname as kind,
      pg_get_indexdef(i.indexrelid) as definition
    from pg_index as i join pg_class as c on c.oid = i.indexrelid join pg_am as m on m.oid = c.relam
    where i.indrelid = 'public.appointments'::regclass`;
}

/**
 * Lets every hold that `fill` created expire, and clears the planner's statistics. Most indexes stay as
 * they are: the new row versions fit into the same pages.
 *
 * @param admin As a superuser.
 */
export async function expire(admin: postgres.Sql): Promise<void> {
  await admin.begin(async (sql) => {
    await sql`set local session_replication_role = replica`;
    const indexes = (await indexesOf(sql)).filter(({ definition }) =>
      definition.includes("expires_at")
    );
    for (const { name } of indexes) await sql.unsafe(`drop index ${name}`);
    await sql`update public.appointments set expires_at = now() - interval '1 day'`;
    for (const { definition } of indexes) await sql.unsafe(definition);
    await sql`delete from pg_statistic where starelid = 'public.appointments'::regclass`;
  });
}
