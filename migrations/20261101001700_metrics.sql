/*
 * Metrics: what happened, how often, and how long it took, for operators. They name no organization
 * and no person.
 *
 * Decisions
 * - Counters are rows of two tables, one with totals since the beginning and one by minute. Nothing is
 *   counted by reading history, so a million calls cost no more than a thousand.
 * - Writers only append to public.metric_events (private.tally), so a booking never waits for a
 *   counter. Reading the metrics, recording a batch and pg_cron move events into the counters, one at
 *   a time under an advisory lock. An event is counted by deleting it, so it counts once.
 * - Audit rows are counted in place, by the transaction that wrote them. A row is new if its
 *   transaction had not ended at the last count (private.metric_progress) and has ended now. So each
 *   row counts once, in whatever order transactions end, and a booking writes one row less.
 * - A backup has the rows, counters and progress of one moment. In another cluster its transaction
 *   numbers mean nothing. So the first count there goes by time, and rows that name a transaction
 *   which does not exist there yet are never counted again.
 * - The functions record tool calls after they have answered. They send totals in batches with an id,
 *   and a batch that arrives twice counts once.
 * - Current rows (holds, lag) are counted through an index, up to a limit.
 */

create table public.metric_totals (
  name text not null,
  labels jsonb not null,
  value double precision not null,
  primary key (name, labels)
);
comment on table public.metric_totals is 'Every counter since the beginning.';
select private.protect('public.metric_totals', null);

create table public.metric_minutes (
  minute timestamptz not null,
  name text not null,
  labels jsonb not null,
  value double precision not null,
  primary key (minute, name, labels)
);
comment on table public.metric_minutes is 'The same counters by the minute, for a day.';
select private.protect('public.metric_minutes', null);

create table public.metric_batches (
  id uuid primary key,
  at timestamptz not null default clock_timestamp()
);
comment on table public.metric_batches is 'Batches recorded in the last day, so that a batch sent twice counts once.';
create index metric_batches_by_time on public.metric_batches (at);
select private.protect('public.metric_batches', null);

-- A queue whose rows are deleted all the time.
alter table public.metric_events
  set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

/*
 * Moves at most p_limit events into the counters and returns how many. Called only under the lock of
 * private.collect_events, so that one transaction at a time writes both tables, in the same order.
 */
create function private.fold_events(p_limit integer) returns integer
language plpgsql volatile set search_path = ''
as $$
declare
  v_count integer;
begin
  with taken as (
    delete from public.metric_events as e
    where e.id in (select n.id from public.metric_events as n limit p_limit)
    returning e.at, e.name, e.labels, e.value
  ), by_minute as (
    select date_trunc('minute', t.at) as minute, t.name, t.labels, sum(t.value) as value,
      count(*) as events
    from taken as t group by 1, 2, 3
  ), minutes as (
    insert into public.metric_minutes as m (minute, name, labels, value)
    select b.minute, b.name, b.labels, b.value from by_minute as b
    on conflict (minute, name, labels) do update set value = m.value + excluded.value
  ), totals as (
    insert into public.metric_totals as t (name, labels, value)
    select b.name, b.labels, sum(b.value) from by_minute as b group by b.name, b.labels
    on conflict (name, labels) do update set value = t.value + excluded.value
  )
  select coalesce(sum(b.events), 0) into v_count from by_minute as b;
  return v_count;
end
$$;
comment on function private.fold_events is 'Moves events from the queue into the counters.';

create table private.metric_progress (
  only_row boolean primary key default true
    constraint metric_progress_has_one_row check (only_row),
  seen pg_snapshot not null,
  counted_at timestamptz not null,
  cluster bigint not null,
  restored_until timestamptz not null default '-infinity'
);
comment on table private.metric_progress is
  'The transactions that had ended when audit rows were last counted; no row before the first count.';
comment on column private.metric_progress.counted_at is
  'When audit rows were last counted; every counted row is older.';
comment on column private.metric_progress.cluster is 'See private.cluster_id().';
comment on column private.metric_progress.restored_until is
  'Rows up to this time came from another cluster and are counted.';

/* Counts new audit rows. Called only under the lock of private.collect_events. */
create function private.count_audit() returns void
language plpgsql volatile set search_path = ''
as $$
begin
  with progress as (
    select pg_current_snapshot() as now, m.seen, m.counted_at,
      coalesce(m.restored_until, '-infinity') as restored_until,
      coalesce(m.cluster <> private.cluster_id()
        or pg_snapshot_xmax(m.seen) > pg_snapshot_xmax(pg_current_snapshot()), false) as is_restored
    from (select) as always left join private.metric_progress as m on true
  ), by_minute as (
    select date_trunc('minute', l.at) as minute, jsonb_strip_nulls(jsonb_build_object(
      'action', l.action, 'outcome', l.outcome, 'reason', l.details -> 'reason')) as labels,
      count(*)::double precision as value
    from progress as p
    join public.audit_logs as l on l.at > p.restored_until
      and l.transaction_id
        >= case when p.is_restored then '0' else coalesce(pg_snapshot_xmin(p.seen), '0') end
      and l.transaction_id < case when p.is_restored then '18446744073709551615'
        else pg_snapshot_xmax(p.now) end
    where (p.seen is null or not pg_visible_in_snapshot(l.transaction_id, p.seen)
        or p.is_restored and l.at > p.counted_at)
      and (p.is_restored or pg_visible_in_snapshot(l.transaction_id, p.now))
    group by 1, 2
  ), minutes as (
    insert into public.metric_minutes as m (minute, name, labels, value)
    select b.minute, 'audit', b.labels, b.value from by_minute as b
    on conflict (minute, name, labels) do update set value = m.value + excluded.value
  ), totals as (
    insert into public.metric_totals as t (name, labels, value)
    select 'audit', b.labels, sum(b.value) from by_minute as b group by b.labels
    on conflict (name, labels) do update set value = t.value + excluded.value
  )
  insert into private.metric_progress as m (seen, counted_at, cluster, restored_until)
  select p.now, clock_timestamp(), private.cluster_id(), greatest(p.restored_until, (
    -- Written here, a row that can be read is of a transaction that has ended.
    select max(l.at) from public.audit_logs as l
    where p.is_restored and l.transaction_id >= pg_snapshot_xmin(p.now)
      and not pg_visible_in_snapshot(l.transaction_id, p.now)))
  from progress as p
  on conflict (only_row) do update set seen = excluded.seen, counted_at = excluded.counted_at,
    cluster = excluded.cluster, restored_until = excluded.restored_until;
end
$$;
comment on function private.count_audit is 'Counts the audit rows of transactions that ended since the last count.';

/* Moves waiting events into the counters. If another transaction is doing so, waits only if p_wait. */
create function private.collect_events(p_wait boolean) returns integer
language plpgsql volatile set search_path = ''
as $$
declare
  v_lock constant bigint := hashtextextended('metrics', 2);
begin
  if p_wait then
    perform pg_advisory_xact_lock(v_lock);
  elsif not pg_try_advisory_xact_lock(v_lock) then
    return 0;
  end if;
  perform private.count_audit();
  return private.fold_events(20000);
exception when lock_not_available then
  -- The next run counts them.
  return 0;
end
$$;
comment on function private.collect_events is 'Moves events into the counters, one transaction at a time.';

/*
 * Entry function: a batch of counts from one isolate.
 *
 * p_batch   a new uuid; the same batch a second time changes nothing
 * p_counts  [{name, labels, value}]
 * Outcomes  recorded, repeated
 */
create function public.record_metrics(p_batch uuid, p_counts jsonb) returns jsonb
language plpgsql volatile security definer set search_path = '' set lock_timeout = '1s'
as $$
begin
  insert into public.metric_batches (id) values (p_batch) on conflict do nothing;
  if not found then
    return '{"outcome": "repeated"}';
  end if;
  insert into public.metric_events (name, labels, value)
  select c.name, coalesce(c.labels, '{}'), c.value
  from jsonb_to_recordset(p_counts) as c (name text, labels jsonb, value double precision);
  perform private.collect_events(false);
  return '{"outcome": "recorded"}';
end
$$;
comment on function public.record_metrics is
  'Adds a batch of counts, once even if it arrives twice. Called after the answers were sent.';

/* Entry function of pg_cron's job: counts waiting events, and deletes minutes and batches after a day. */
create function public.collect_metrics() returns integer
language plpgsql volatile security definer set search_path = '' set lock_timeout = '1s'
as $$
declare
  v_count constant integer := private.collect_events(false);
begin
  delete from public.metric_minutes as m where m.minute < clock_timestamp() - interval '1 day';
  delete from public.metric_batches as b where b.at < clock_timestamp() - interval '1 day';
  return v_count;
end
$$;
comment on function public.collect_metrics is
  'Moves events into the counters and deletes what is older than a day; pg_cron calls it every minute.';

/*
 * Entry function: every counter since the beginning and over the last p_minutes (1 to 1440), and
 * current rows: {totals: [{name, labels, value}], recent: [...], gauges: {...}}. Rows are counted up to
 * 10,000; that value means 10,000 or more.
 */
create function public.read_metrics(p_minutes integer default 60) returns jsonb
language plpgsql volatile security definer set search_path = '' set lock_timeout = '1s'
  set jit = off
as $$
declare
  v_since constant timestamptz := date_trunc('minute', clock_timestamp())
    - make_interval(mins => greatest(1, least(p_minutes, 1440)) - 1);
  v_now constant timestamptz := clock_timestamp();
  v_totals jsonb;
  v_recent jsonb;
  v_live bigint;
  v_lapsed bigint;
  v_waiting bigint;
  v_oldest timestamptz;
  v_open bigint;
  v_kept bigint;
  v_waits_since timestamptz;
  v_overlaps bigint;
  v_lost bigint;
begin
  perform private.collect_events(true);
  select coalesce(jsonb_agg(t order by t.name, t.labels), '[]') into v_totals
  from public.metric_totals as t;
  select coalesce(jsonb_agg(r order by r.name, r.labels), '[]') into v_recent
  from (
    select m.name, m.labels, sum(m.value) as value
    from public.metric_minutes as m where m.minute >= v_since group by m.name, m.labels
  ) as r;
  select count(*), count(*) filter (where n.has_passcode) into v_live, v_waiting
  from (
    select exists (
      select from public.one_time_passcodes as c
      where c.org_id = a.org_id and c.call_id = a.call_id
        and c.phone_hash = private.hash_phone(a.patient_phone)) as has_passcode
    from public.appointments as a
    where a.status = 'held' and a.handed_over_at is null and a.expires_at > v_now limit 10000
  ) as n;
  select count(*), count(*) filter (where n.is_kept), min(n.handed_over_at)
  into v_open, v_kept, v_waits_since
  from (
    select private.is_kept(a) and private.is_live(a, v_now) as is_kept, a.handed_over_at
    from public.organizations as o
    join public.appointments as a on a.org_id = o.id and a.starts_at > v_now
    where a.handed_over_at is not null and a.status in ('held', 'requires_manual_followup')
    limit 10000
  ) as n;
  select count(*), min(n.expires_at) into v_lapsed, v_oldest
  from (
    select a.expires_at from public.appointments as a
    where a.status = 'held' and a.expires_at <= v_now order by a.expires_at limit 10000
  ) as n;
  select count(*) filter (where f.kind = 'overlap'),
    count(*) filter (where f.kind = 'index_row_lost')
  into v_overlaps, v_lost
  from (select f.kind from public.overlap_findings as f limit 10000) as f;
  return jsonb_build_object('totals', v_totals, 'recent', v_recent, 'gauges', jsonb_build_object(
    'holdsLive', v_live, 'holdsLapsed', v_lapsed, 'passcodesWaiting', v_waiting,
    'cleanupLagSeconds', coalesce(extract(epoch from v_now - v_oldest), 0),
    'overlaps', v_overlaps, 'indexRowsLost', v_lost, 'followUpsOpen', v_open,
    'followUpsKept', v_kept,
    'followUpsLagSeconds', coalesce(extract(epoch from v_now - v_waits_since), 0)));
end
$$;
comment on function public.read_metrics is 'Counters and gauges for operators; names no organization.';

revoke execute on function
  public.record_metrics, public.collect_metrics, public.read_metrics
  from public, anon, authenticated, service_role;
grant execute on function public.record_metrics, public.read_metrics to service_role;
