/*
 * Clean-up: marks holds past their expires_at as expired.
 *
 * Decisions
 * - Nothing depends on it: every read and every claim compares expires_at with the clock.
 * - One call takes one batch and skips rows that are locked, so a concurrent claim waits for one batch
 *   at most.
 * - A batch loops over the organizations that have expired holds, and cleans up each in one function.
 */

/*
 * p_rows  the places of this organization's rows, which the caller has locked: a locked row does not
 *         move, so it need not be looked up again by its id
 */
create function private.expire_holds(p_org uuid, p_rows tid[], p_now timestamptz)
returns integer
-- Planned once instead of for every organization, which halves the time of a mixed batch.
language plpgsql volatile set search_path = '' set plan_cache_mode = force_generic_plan
as $$
declare
  v_calls text[];
  v_count integer;
begin
  with marked as (
    update public.appointments as a
    set status = private.expired_status(a), updated_at = p_now
    where a.org_id = p_org and a.ctid = any (p_rows)
      and a.status = 'held' and a.expires_at <= p_now
    returning a.id, a.call_id
  ), audited as (
    insert into public.audit_logs (org_id, actor, action, subject_id, outcome)
    select p_org, 'system', 'cleanup_expired_holds', m.id, 'expired' from marked as m
  )
  select array_agg(m.call_id), count(*) into v_calls, v_count from marked as m;
  perform private.forget_passcode(p_org, d.call_id, d.phone_hash)
  from (
    -- Skips a passcode that its call is using: the call takes these locks in the opposite order.
    select c.call_id, c.phone_hash from public.one_time_passcodes as c
    where c.org_id = p_org and c.call_id = any (v_calls)
      and c.mac is not null and c.expires_at <= p_now
    for update skip locked
  ) as d;
  return v_count;
end
$$;
comment on function private.expire_holds is 'Marks the expired holds of one organization, and clears the expired passcodes of their calls.';

/*
 * Marks at most p_batch expired holds as expired and returns how many. pg_cron calls it every minute;
 * it may run at the same time as claims and as itself.
 */
create function public.cleanup_expired_holds(p_batch integer default 1000) returns integer
language plpgsql volatile security definer set search_path = '' set lock_timeout = '1s'
  set jit = off
as $$
declare
  v_now constant timestamptz := clock_timestamp();
  v_next record;
  v_count integer := 0;
begin
  if p_batch is null or p_batch < 1 then
    raise exception 'Cannot clean up % holds: the batch must be at least 1', p_batch
      using errcode = '22023';
  end if;
  for v_next in
    with locked as materialized (
      select a.org_id, a.ctid as place from public.appointments as a
      -- In a form that appointments_expiring can answer.
      where a.status = 'held' and a.expires_at <= v_now
      order by a.expires_at
      limit p_batch
      for update skip locked
    )
    select l.org_id, array_agg(l.place) as places from locked as l group by l.org_id
  loop
    v_count := v_count + private.expire_holds(v_next.org_id, v_next.places, v_now);
  end loop;
  return v_count;
end
$$;
comment on function public.cleanup_expired_holds is
  'Marks a batch of expired holds as expired and returns how many; pg_cron calls it every minute.';

revoke execute on function public.cleanup_expired_holds from public, anon, authenticated;
grant execute on function public.cleanup_expired_holds to service_role;
