/*
 * Seals: they show whether the audit log is still what was written.
 *
 * Decisions
 * - Every minute the new rows of each organization are sealed: a hash of them and of the previous seal.
 *   A row that is changed, removed or inserted later no longer matches.
 * - Only rows of transactions older than the oldest running one are sealed. So no row that commits late
 *   is missed, and a call only has to write its row.
 * - In another cluster, where a backup was restored, the numbers of the transactions mean nothing. The
 *   first run there seals every row without a seal, and rows that came with the backup are looked up in
 *   the seals from then on.
 * - A seal has the id, time and hash of each of its rows. So it stays valid when retention deletes rows;
 *   the time up to which retention has deleted is recorded.
 * - The newest seal is also written to the server's log. The owner of the database could rewrite all rows
 *   and seals, but not the log, unless the owner controls that too.
 */

create table private.audit_seals (
  org_id uuid not null,
  number integer not null
    constraint audit_seals_number_counted check (number > 0),
  sealed_at timestamptz not null,
  through xid8 not null,
  ids uuid[] not null,
  times timestamptz[] not null,
  digests bytea[] not null,
  hash bytea not null
    constraint audit_seals_hash_length check (octet_length(hash) = 32),
  primary key (org_id, number),
  constraint audit_seals_rows_complete check (cardinality(ids) > 0
    and cardinality(times) = cardinality(ids) and cardinality(digests) = cardinality(ids))
);
comment on table private.audit_seals is
  'Batches of the audit log, numbered by organization, each with a hash of its rows and the previous seal.';
comment on column private.audit_seals.through is 'The newest transaction whose rows are sealed.';
comment on column private.audit_seals.ids is 'The rows, in the order of times and digests.';
comment on column private.audit_seals.hash is 'Computed by private.hash_seal().';
create index audit_seals_by_transaction on private.audit_seals (through);
-- Also from the owner, because entry functions run with its rights.
revoke update, delete, truncate, references, trigger on private.audit_seals from current_user;

create table private.audit_sealing (
  only_row boolean primary key default true
    constraint audit_sealing_has_one_row check (only_row),
  through xid8 not null default '0',
  cluster bigint,
  restored_until timestamptz not null default '-infinity'
);
comment on table private.audit_sealing is
  'The newest transaction whose rows public.seal_audit() has sealed. Locking the row keeps out a second run.';
comment on column private.audit_sealing.cluster is
  'See private.cluster_id(); null before the first run.';
comment on column private.audit_sealing.restored_until is
  'Rows up to this time may come from another cluster, so their transaction does not tell whether they are sealed.';
insert into private.audit_sealing default values;

create table private.audit_purges (
  org_id uuid primary key,
  purged_before timestamptz not null
);
comment on table private.audit_purges is
  'The time before which retention has deleted rows of an organization''s audit log.';

create function private.note_purge(p_org uuid, p_before timestamptz) returns void
language plpgsql volatile set search_path = ''
as $$
begin
  insert into private.audit_purges as p (org_id, purged_before) values (p_org, p_before)
  on conflict (org_id) do update
  set purged_before = greatest(p.purged_before, excluded.purged_before);
end
$$;
comment on function private.note_purge is
  'Records that retention deletes audit rows before that time. Their seals still have their hashes.';

/* All columns of a row, in a form that no setting of a session changes. */
create function private.digest_row(p_row public.audit_logs) returns bytea
language sql stable set search_path = ''
as $$
  select sha256(convert_to(jsonb_build_array(
    p_row.org_id, p_row.id, extract(epoch from p_row.at), p_row.actor, p_row.call_id,
    p_row.tool_call_id, p_row.assistant_id, p_row.caller_masked, p_row.staff_user, p_row.action,
    p_row.subject_id, p_row.outcome, p_row.details, p_row.transaction_id::text)::text, 'UTF8'))
$$;
comment on function private.digest_row is 'SHA-256 of an audit row.';

/* SHA-256 of the previous seal's hash, the seal's organization and number, and each row's id, time and hash. */
create function private.hash_seal(
  p_org uuid, p_number integer, p_sealed_at timestamptz, p_ids uuid[], p_times timestamptz[],
  p_digests bytea[], p_previous bytea
) returns bytea
language sql stable set search_path = ''
as $$
  select sha256(coalesce(p_previous, '') || uuid_send(p_org) || int4send(p_number)
    || timestamptz_send(p_sealed_at)
    || string_agg(uuid_send(r.id) || timestamptz_send(r.at) || r.digest, '' order by r.n))
  from unnest(p_ids, p_times, p_digests) with ordinality as r (id, at, digest, n)
$$;
comment on function private.hash_seal is 'The hash that a seal must have; the first seal has no previous one.';

/* Adds the next seal of an organization and writes it to the server's log. */
create function private.add_seal(
  p_org uuid, p_through xid8, p_ids uuid[], p_times timestamptz[], p_digests bytea[]
) returns void
language plpgsql volatile set search_path = ''
as $$
declare
  v_before private.audit_seals;
  v_number integer;
  v_now constant timestamptz := clock_timestamp();
  v_hash bytea;
begin
  select s.* into v_before from private.audit_seals as s
  where s.org_id = p_org order by s.number desc limit 1;
  v_number := coalesce(v_before.number, 0) + 1;
  v_hash := private.hash_seal(p_org, v_number, v_now, p_ids, p_times, p_digests, v_before.hash);
  insert into private.audit_seals (
    org_id, number, sealed_at, through, ids, times, digests, hash
  ) values (p_org, v_number, v_now, p_through, p_ids, p_times, p_digests, v_hash);
  raise log 'audit_sealed %', jsonb_build_object('orgId', p_org, 'seal', v_number,
    'rows', cardinality(p_ids), 'hash', encode(v_hash, 'hex'));
end
$$;
comment on function private.add_seal is 'Seals rows of an organization and writes the seal to the server''s log.';

/* Whether the sealed transactions are those of this cluster. */
create function private.is_sealed_here(p_sealing private.audit_sealing) returns boolean
language sql stable
return coalesce((p_sealing).cluster = private.cluster_id(), true)
  and (p_sealing).through < pg_snapshot_xmin(pg_current_snapshot());
comment on function private.is_sealed_here is
  'Whether audit_sealing.through is a transaction of this cluster, not of the one that a backup came from.';

/*
 * Seals about p_rows rows without a seal, one seal for each organization, and never a part of a
 * transaction. The first run after a restore seals all of them. Returns how many rows it sealed.
 * pg_cron calls it every minute, as the owner.
 */
create function public.seal_audit(p_rows integer default 10000) returns integer
language plpgsql volatile security definer set search_path = '' set lock_timeout = '1s'
  set jit = off
as $$
declare
  v_sealing private.audit_sealing;
  v_is_restored boolean;
  v_looks_up boolean;
  v_from xid8;
  v_limit xid8;
  v_last xid8;
  v_batch record;
  v_count integer := 0;
begin
  if p_rows is null or p_rows < 1 then
    raise exception 'Cannot seal % rows: the batch must be at least 1', p_rows
      using errcode = '22023';
  end if;
  select s.* into v_sealing from private.audit_sealing as s for update skip locked;
  if not found then
    return 0;
  end if;
  -- All transactions before this one have ended, including those that are sealed.
  v_limit := pg_snapshot_xmin(pg_current_snapshot());
  v_is_restored := not private.is_sealed_here(v_sealing);
  v_from := case when v_is_restored then '0' else v_sealing.through end;
  if v_is_restored then
    v_last := (v_limit::text::bigint - 1)::text::xid8;
  else
    select l.transaction_id into v_last from public.audit_logs as l
    where l.transaction_id > v_from and l.transaction_id < v_limit
    order by l.transaction_id offset p_rows - 1 limit 1;
    if v_last is null then
      select l.transaction_id into v_last from public.audit_logs as l
      where l.transaction_id > v_from and l.transaction_id < v_limit
      order by l.transaction_id desc limit 1;
    end if;
  end if;
  v_looks_up := v_is_restored or exists (
    select from public.audit_logs as l
    where l.transaction_id > v_from and l.transaction_id <= v_last
      and l.at <= v_sealing.restored_until);
  for v_batch in
    with sealed as materialized (
      select s.org_id, r.id
      from private.audit_seals as s cross join lateral unnest(s.ids) as r (id)
      where v_looks_up and s.through > v_from
    )
    select l.org_id, array_agg(l.id order by l.at, l.id) as ids,
      array_agg(l.at order by l.at, l.id) as times,
      array_agg(private.digest_row(l) order by l.at, l.id) as digests,
      (array_agg(l.transaction_id order by l.transaction_id desc))[1] as newest
    from public.audit_logs as l
    where l.transaction_id > v_from and (v_is_restored or l.transaction_id <= v_last)
      and not exists (select from sealed as s where s.org_id = l.org_id and s.id = l.id)
    group by l.org_id
  loop
    perform private.add_seal(v_batch.org_id, greatest(v_last, v_batch.newest),
      v_batch.ids, v_batch.times, v_batch.digests);
    v_count := v_count + cardinality(v_batch.ids);
  end loop;
  update private.audit_sealing as s
  set through = coalesce(v_last, s.through), cluster = private.cluster_id(),
    restored_until = case when v_is_restored then greatest(
      s.restored_until, (select max(l.at) from public.audit_logs as l)) else s.restored_until end;
  return v_count;
end
$$;
comment on function public.seal_audit is
  'Seals the audit rows of transactions that have ended; pg_cron calls it every minute.';

/*
 * What does not match in an organization's audit log:
 *   seals_removed  the seal's number does not follow the one before
 *   seal_changed   the seal's hash does not match its rows and the previous seal
 *   row_removed    a row of the seal is missing, and retention has not deleted it
 *   row_changed    a row of the seal is not what was sealed
 *   row_added      a row is older than the newest seal, but no seal has it
 *   purge_early    retention claims to have deleted rows of the last 30 days, which no clinic allows
 */
create function private.find_tampering(p_org uuid)
returns table (seal integer, finding text, row_id uuid, at timestamptz)
language sql stable set search_path = '' set jit = off
as $$
  with seals as (
    select s.*, lag(s.number, 1, 0) over n as number_before, lag(s.hash) over n as hash_before
    from private.audit_seals as s where s.org_id = p_org window n as (order by s.number)
  ), covered as materialized (
    select s.number, r.id, r.at, r.digest
    from seals as s cross join lateral unnest(s.ids, s.times, s.digests) as r (id, at, digest)
  ), written as materialized (
    select l.id, l.at, l.transaction_id, private.digest_row(l) as digest
    from public.audit_logs as l where l.org_id = p_org
  )
  select s.number, case when s.number = s.number_before + 1 then 'seal_changed' else 'seals_removed' end,
    null::uuid, s.sealed_at
  from seals as s
  where s.number <> s.number_before + 1 or s.hash <> private.hash_seal(
    s.org_id, s.number, s.sealed_at, s.ids, s.times, s.digests, s.hash_before)
  union all
  select c.number, case when w.id is null then 'row_removed' else 'row_changed' end, c.id, c.at
  from covered as c left join written as w on w.id = c.id
  where w.id is null and not exists (
      select from private.audit_purges as p where p.org_id = p_org and c.at < p.purged_before)
    or w.digest <> c.digest
  union all
  select null, 'row_added', w.id, w.at
  from written as w join private.audit_sealing as s on w.transaction_id <= s.through
  where not exists (select from covered as c where c.id = w.id) and private.is_sealed_here(s)
  union all
  select null, 'purge_early', null, p.purged_before
  from private.audit_purges as p
  where p.org_id = p_org and p.purged_before > clock_timestamp() - interval '30 days'
$$;
comment on function private.find_tampering is 'What in an organization''s audit log does not match its seals.';

/*
 * Whether an organization's audit log is what was sealed, for the task audit.
 *
 * Outcomes  intact, broken
 * Returns   {outcome, seals, sealed (existing rows that a seal has), purged (rows that retention
 *           deleted), waiting (rows not sealed yet), waitingSince, newest: {seal, sealedAt, hash},
 *           findings: [{seal, finding, rowId, at}] with the first 100, found with their number}
 */
create function public.verify_audit(p_org uuid) returns jsonb
language plpgsql stable security definer set search_path = '' set jit = off
as $$
declare
  v_found bigint;
  v_findings jsonb;
  v_counts jsonb;
begin
  select count(*), coalesce(jsonb_agg(jsonb_build_object('seal', f.seal, 'finding', f.finding,
    'rowId', f.row_id, 'at', f.at) order by f.seal, f.at, f.row_id) filter (where f.n <= 100), '[]')
  into v_found, v_findings
  from (
    select t.*, row_number() over (order by t.seal, t.at, t.row_id) as n
    from private.find_tampering(p_org) as t
  ) as f;
  with covered as materialized (
    select r.id, r.at
    from private.audit_seals as s cross join lateral unnest(s.ids, s.times) as r (id, at)
    where s.org_id = p_org
  )
  select jsonb_build_object(
    'seals', (select count(*) from private.audit_seals as s where s.org_id = p_org),
    'sealed', count(*) filter (where c.id = l.id),
    'purged', count(*) filter (where l.id is null and c.at < (
      select p.purged_before from private.audit_purges as p where p.org_id = p_org)),
    'waiting', count(*) filter (where c.id is null),
    'waitingSince', min(l.at) filter (where c.id is null))
  into v_counts
  from covered as c
  full join (select a.id, a.at from public.audit_logs as a where a.org_id = p_org) as l
    on l.id = c.id;
  return jsonb_build_object('outcome', case v_found when 0 then 'intact' else 'broken' end,
    'found', v_found, 'findings', v_findings, 'newest', (
      select jsonb_build_object(
        'seal', s.number, 'sealedAt', s.sealed_at, 'hash', encode(s.hash, 'hex'))
      from private.audit_seals as s where s.org_id = p_org order by s.number desc limit 1))
    || v_counts;
end
$$;
comment on function public.verify_audit is
  'Compares an organization''s audit log with its seals, and lists what does not match.';

-- Only for the owner's job and task.
revoke execute on function public.seal_audit, public.verify_audit
  from public, anon, authenticated, service_role;
