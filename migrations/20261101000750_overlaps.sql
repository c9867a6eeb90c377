/*
 * Overlaps: monitors the guarantee against double booking, and repairs index entries that PostgreSQL
 * lost.
 *
 * Decisions
 * - The question is whether appointments_no_overlap would refuse a second booking, so the constraint
 *   itself is tested: a probe of the same time is inserted and always rolled back. A query could be
 *   answered from another index, and could damage this one; checking the constraint does neither. If
 *   nothing is lost, nothing is written.
 * - A row whose time the constraint would give away is checked again, under the provider's lock and
 *   the row's lock. It is then rewritten, so that every index gets an entry for it. PostgreSQL adds
 *   entries only if an indexed column changes: updated_at is one.
 * - Rows of one session protect each other: while the constraint sees one of them, it refuses their
 *   time.
 * - Only future time is watched, in batches that go through the providers in turn.
 * - The guarantee holds without this: see private.would_overlap().
 */

create table public.overlap_findings (
  org_id uuid not null references public.organizations (id) on delete cascade,
  appointment_id uuid not null,
  kind text not null
    constraint overlap_findings_kind_known check (kind in ('overlap', 'index_row_lost')),
  found_at timestamptz not null default clock_timestamp(),
  repaired boolean not null default false,
  primary key (org_id, appointment_id, kind),
  foreign key (org_id, appointment_id)
    references public.appointments (org_id, id) on delete cascade
);
comment on table public.overlap_findings is
  'Appointments that overlap another one, and those that the constraint''s index lost within the last day.';
comment on column public.overlap_findings.repaired is 'Whether the constraint sees the row again.';
select private.protect('public.overlap_findings', 'desk');
grant select on public.overlap_findings to service_role;

create table private.overlap_watch (
  only_row boolean primary key default true
    constraint overlap_watch_has_one_row check (only_row),
  org_id uuid,
  provider_id uuid
);
comment on table private.overlap_watch is
  'The provider that public.watch_overlaps() checked last; nulls before the first one.';
insert into private.overlap_watch default values;

/*
 * The rows of a provider whose time the constraint would give to somebody else; only p_id if it is
 * given. The probes are rolled back.
 */
create function private.find_unguarded(
  p_org uuid, p_provider uuid, p_from timestamptz, p_id uuid default null
) returns uuid[]
language plpgsql volatile set search_path = ''
as $$
declare
  v_session constant uuid := gen_random_uuid();
  v_ids uuid[];
begin
  with probes as (
    insert into public.appointments (
      org_id, provider_id, service_id, patient_name, patient_phone, starts_at, ends_at, busy,
      session_key, seat, capacity, expires_at, call_id)
    select p_org, p_provider, a.service_id, 'Nobody', '+10000000', lower(a.busy), upper(a.busy),
      a.busy, v_session,
      -- Beyond the seats that a service can have, and a different one for each probe.
      1000 + row_number() over (), 2147483647, 'infinity', a.id
    from public.appointments as a
    where a.org_id = p_org and a.provider_id = p_provider and private.takes_time(a)
      and private.overlaps(a.busy, tstzrange(p_from, 'infinity')) and a.id = coalesce(p_id, a.id)
    on conflict do nothing
    returning call_id
  )
  select array_agg(p.call_id::uuid) into v_ids from probes as p;
  if v_ids is not null then
    raise exception using errcode = 'MO002', message = 'probes are rolled back';
  end if;
  return '{}';
exception when sqlstate 'MO002' then
  return v_ids;
end
$$;
comment on function private.find_unguarded is
  'Ids of a provider''s rows, from a time on, that the exclusion constraint does not see.';

/* Stores a finding, and audits it if it is new or has changed. */
create function private.note_finding(
  p_org uuid, p_appointment uuid, p_kind text, p_repaired boolean, p_details jsonb
) returns void
language plpgsql volatile set search_path = ''
as $$
begin
  insert into public.overlap_findings as f (org_id, appointment_id, kind, repaired)
  values (p_org, p_appointment, p_kind, p_repaired)
  on conflict (org_id, appointment_id, kind) do update set repaired = excluded.repaired
  where f.repaired <> excluded.repaired;
  if found then
    perform private.audit(p_org, null, 'watch_overlaps', p_appointment, p_kind, p_details);
  end if;
end
$$;
comment on function private.note_finding is 'Stores what public.watch_overlaps() has found, each finding once.';

/*
 * Gives new index entries to a row that the constraint's index has lost, unless it overlaps another
 * row: then the constraint would refuse them. Returns false if trying the next row is pointless: the
 * constraint still does not see this one, or the provider stays locked for too long.
 */
create function private.restore_entries(p_org uuid, p_provider uuid, p_id uuid) returns boolean
language plpgsql volatile set search_path = ''
as $$
declare
  v_row public.appointments;
  v_overlaps boolean;
  v_repaired boolean := false;
begin
  perform private.lock_provider(p_org, p_provider, p_wait => true);
  select a.* into v_row from public.appointments as a
  where a.org_id = p_org and a.id = p_id and private.takes_time(a) for update;
  -- It may have been cancelled since the probe.
  if not found or private.find_unguarded(p_org, p_provider, lower(v_row.busy), p_id) = '{}' then
    return true;
  end if;
  v_overlaps := private.would_overlap(p_org, p_provider, v_row.busy, v_row.session_key);
  if not v_overlaps then
    update public.appointments as a set updated_at = clock_timestamp()
    where a.org_id = p_org and a.id = p_id;
    v_repaired := private.find_unguarded(p_org, p_provider, lower(v_row.busy), p_id) = '{}';
  end if;
  perform private.note_finding(
    p_org, p_id, 'index_row_lost', v_repaired, jsonb_build_object('repaired', v_repaired));
  return v_repaired or v_overlaps;
exception when lock_not_available then
  -- Callers come first: the next round will find this row again.
  return false;
end
$$;
comment on function private.restore_entries is
  'Rewrites a lost row under its provider''s lock, so that the constraint sees it.';

/*
 * Records which rows of a provider overlap from a time on, and deletes the findings of those that no
 * longer do. Returns how many rows there are.
 */
create function private.note_overlaps(p_org uuid, p_provider uuid, p_from timestamptz)
returns integer
language plpgsql volatile set search_path = ''
as $$
declare
  v_found record;
  v_count integer;
begin
  delete from public.overlap_findings as f
  using public.appointments as a
  where f.org_id = p_org and f.kind = 'overlap'
    and a.org_id = p_org and a.id = f.appointment_id and a.provider_id = p_provider
    and (not private.takes_time(a) or upper(a.busy) <= p_from
      or not private.would_overlap(p_org, p_provider, a.busy, a.session_key));
  -- Sorted by start: a session overlaps if it starts before an earlier one has ended. Joining all rows
  -- with each other took 40 s for 3,000 rows without statistics.
  for v_found in
    with sessions as materialized (
      select a.session_key, min(a.id::text)::uuid as id, min(lower(a.busy)) as opens,
        max(upper(a.busy)) as closes
      from public.appointments as a
      where a.org_id = p_org and a.provider_id = p_provider and private.takes_time(a)
        and private.overlaps(a.busy, tstzrange(p_from, 'infinity'))
      group by a.session_key
    )
    select s.id, (
      select o.id from sessions as o
      where o.session_key <> s.session_key and o.opens <= s.opens and o.closes > s.opens
      order by o.opens, o.id limit 1) as other
    from (
      select s.*, max(s.closes) over (
        order by s.opens, s.session_key rows between unbounded preceding and 1 preceding) as reached
      from sessions as s
    ) as s
    where s.reached > s.opens
  loop
    perform private.note_finding(
      p_org, v_found.id, 'overlap', false, jsonb_build_object('other', v_found.other));
  end loop;
  select count(*) into v_count from public.appointments as a
  where a.org_id = p_org and a.provider_id = p_provider and private.takes_time(a)
    and private.overlaps(a.busy, tstzrange(p_from, 'infinity'));
  return v_count;
end
$$;
comment on function private.note_overlaps is
  'Compares the rows of a provider with their neighbours, without the constraint''s index.';

/*
 * Looks for appointments that overlap, and for those that the index of the constraint has lost. It
 * checks the future time of one provider after another, until it has seen p_batch rows. A batch also
 * ends when a row had to be repaired, so that it never waits for one provider's lock while it holds
 * another. Returns the number of rows and providers. pg_cron calls it every minute; a concurrent
 * second call does nothing.
 */
create function public.watch_overlaps(p_batch integer default 2000) returns integer
language plpgsql volatile security definer set search_path = '' set lock_timeout = '300ms'
  set jit = off
as $$
declare
  v_now constant timestamptz := clock_timestamp();
  v_last private.overlap_watch;
  v_next record;
  v_lost uuid[];
  v_id uuid;
  v_count integer := 0;
  v_goes_on boolean := false;
begin
  perform private.require_read_committed();
  if p_batch is null or p_batch < 1 then
    raise exception 'Cannot look at % appointments: the batch must be at least 1', p_batch
      using errcode = '22023';
  end if;
  select w.* into v_last from private.overlap_watch as w for update skip locked;
  if not found then
    return 0;
  end if;
  delete from public.overlap_findings as f
  where f.kind = 'index_row_lost' and f.repaired and f.found_at < v_now - interval '1 day';
  for v_next in
    select p.org_id, p.id from public.providers as p
    where v_last.org_id is null or (p.org_id, p.id) > (v_last.org_id, v_last.provider_id)
    order by p.org_id, p.id
  loop
    v_lost := private.find_unguarded(v_next.org_id, v_next.id, v_now);
    foreach v_id in array v_lost loop
      exit when not private.restore_entries(v_next.org_id, v_next.id, v_id);
    end loop;
    v_count := v_count + 1 + private.note_overlaps(v_next.org_id, v_next.id, v_now);
    v_goes_on := v_count >= p_batch or v_lost <> '{}';
    exit when v_goes_on;
  end loop;
  -- After the last provider, start again with the first one.
  update private.overlap_watch as w
  set org_id = case when v_goes_on then v_next.org_id end,
    provider_id = case when v_goes_on then v_next.id end;
  return v_count;
end
$$;
comment on function public.watch_overlaps is
  'Monitors the guarantee against double booking, one batch per call; pg_cron calls it every minute.';

revoke execute on function public.watch_overlaps from public, anon, authenticated, service_role;
