/*
 * Clean-up: lapsed holds become expired.
 *
 * Decisions
 * - Nothing depends on it: every read and claim compares expires_at with the clock.
 * - One call takes one batch and skips rows somebody works on, so a claim beside it waits for no more
 *   than that batch.
 * - Each organization is swept by a function of its own: a thin loop over those that have something
 *   to do.
 */

/*
 * p_rows  where the caller has locked rows of this organization: a row that is locked stays where it
 *         is, and is not looked up again by its id
 */
create function private.expire_holds(p_org uuid, p_rows tid[], p_now timestamptz)
returns integer
-- Planned once, not for every organization of a batch: half of the time of a mixed batch.
language plpgsql volatile set search_path = '' set plan_cache_mode = force_generic_plan
as $$
declare
  v_count integer;
begin
  with flipped as (
    update public.appointments as a
    set status = 'expired', updated_at = p_now
    where a.org_id = p_org and a.ctid = any (p_rows)
      and a.status = 'held' and a.expires_at <= p_now
    returning a.id
  ), forgotten as (
    update public.one_time_passcodes as c
    set state = 'replaced', mac = null
    from flipped as f
    where c.org_id = p_org and c.appointment_id = f.id and c.mac is not null
  ), audited as (
    insert into public.audit_logs (org_id, actor, action, subject_id, outcome)
    select p_org, 'system', 'cleanup_expired_holds', f.id, 'expired' from flipped as f
  )
  select count(*) into v_count from flipped;
  return v_count;
end
$$;
comment on function private.expire_holds is 'Flips lapsed holds of one organization and forgets their codes.';

/*
 * Flips holds past their time to expired, at most p_batch in one call, and returns how many.
 * Called by pg_cron every minute; may run beside claims and beside itself.
 */
create function public.cleanup_expired_holds(p_batch integer default 1000) returns integer
language plpgsql volatile security definer set search_path = '' set lock_timeout = '1s'
  set jit = off
as $$
declare
  v_now constant timestamptz := clock_timestamp();
  v_lapsed record;
  v_count integer := 0;
begin
  if p_batch is null or p_batch < 1 then
    raise exception 'Cannot clean up % holds: the batch must be at least 1', p_batch
      using errcode = '22023';
  end if;
  for v_lapsed in
    with locked as materialized (
      select a.org_id, a.ctid as place from public.appointments as a
      where a.status = 'held' and a.expires_at <= v_now
      order by a.expires_at
      limit p_batch
      for update skip locked
    )
    select l.org_id, array_agg(l.place) as places from locked as l group by l.org_id
  loop
    v_count := v_count + private.expire_holds(v_lapsed.org_id, v_lapsed.places, v_now);
  end loop;
  if v_count > 0 then
    perform private.tally('audit',
      '{"action": "cleanup_expired_holds", "outcome": "expired"}', v_count);
  end if;
  return v_count;
end
$$;
comment on function public.cleanup_expired_holds is
  'Flips lapsed holds to expired in one batch and returns the count; pg_cron calls it every minute.';

revoke execute on function public.cleanup_expired_holds from public, anon, authenticated;
grant execute on function public.cleanup_expired_holds to service_role;
