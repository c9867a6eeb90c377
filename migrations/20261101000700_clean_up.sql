/*
 * Clean-up: lapsed holds become expired, old personal data goes, and pg_cron calls both.
 *
 * Decisions
 * - Nothing depends on these jobs: every read and claim compares expires_at with the clock.
 * - A run takes one batch, so that a claim beside it waits for no more than that batch, and skips
 *   rows somebody works on. pg_cron calls again a minute later.
 * - Each organization is swept on its own: a thin loop over those that have something to do.
 */

create function private.expire_holds(p_org uuid, p_batch integer, p_now timestamptz)
returns integer
language plpgsql volatile set search_path = ''
as $$
declare
  v_count integer;
begin
  with lapsed as (
    select a.id from public.appointments as a
    where a.org_id = p_org and a.status = 'held' and a.expires_at <= p_now
    order by a.id
    limit p_batch
    for update skip locked
  ), flipped as (
    update public.appointments as a
    set status = 'expired', updated_at = p_now
    from lapsed as l
    where a.org_id = p_org and a.id = l.id
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
  if v_count > 0 then
    perform private.tally('audit',
      '{"action": "cleanup_expired_holds", "outcome": "expired"}', v_count);
  end if;
  return v_count;
end
$$;
comment on function private.expire_holds is 'Flips one organization''s lapsed holds, at most a batch.';

/*
 * Flips holds past their time to expired, at most p_batch in one call, and returns how many.
 * Called by pg_cron every minute; may run beside claims and beside itself.
 */
create function public.cleanup_expired_holds(p_batch integer default 1000) returns integer
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_now constant timestamptz := clock_timestamp();
  v_org uuid;
  v_count integer := 0;
begin
  if p_batch is null or p_batch < 1 then
    raise exception 'Cannot clean up % holds: the batch must be at least 1', p_batch
      using errcode = '22023';
  end if;
  for v_org in
    select distinct l.org_id from (
      select a.org_id from public.appointments as a
      where a.status = 'held' and a.expires_at <= v_now
      order by a.expires_at
      limit p_batch
    ) as l
  loop
    exit when v_count >= p_batch;
    v_count := v_count + private.expire_holds(v_org, p_batch - v_count, v_now);
  end loop;
  return v_count;
end
$$;
comment on function public.cleanup_expired_holds is
  'Flips lapsed holds to expired in one batch and returns the count; pg_cron calls it every minute.';

create function private.retain(p_org public.organizations, p_dry_run boolean, p_batch integer)
returns jsonb
language plpgsql volatile set search_path = ''
as $$
declare
  v_before constant timestamptz := clock_timestamp() - make_interval(days => p_org.retention_days);
  v_audit_before constant timestamptz :=
    clock_timestamp() - make_interval(days => p_org.audit_retention_days);
  v_holds uuid[];
  v_calls integer;
  v_audits integer;
  v_reports integer;
begin
  -- Passcodes and texts go with their hold.
  select coalesce(array_agg(h.id), '{}') into v_holds from (
    select a.id from public.appointments as a
    where a.org_id = p_org.id and a.updated_at < v_before
      and (a.status in ('expired', 'cancelled')
        or a.status = 'held' and a.expires_at < v_before)
    order by a.id limit p_batch for update skip locked
  ) as h;
  select count(*) into v_calls from public.tool_calls as t
  where t.org_id = p_org.id and t.created_at < v_before;
  select count(*) into v_audits from public.audit_logs as l
  where l.org_id = p_org.id and l.at < v_audit_before;
  select count(*) into v_reports from public.call_reports as r
  where r.org_id = p_org.id and r.created_at < v_before;
  if not p_dry_run then
    delete from public.appointments as a where a.org_id = p_org.id and a.id = any (v_holds);
    delete from public.tool_calls as t where t.org_id = p_org.id and t.created_at < v_before;
    delete from public.audit_logs as l where l.org_id = p_org.id and l.at < v_audit_before;
    delete from public.call_reports as r where r.org_id = p_org.id and r.created_at < v_before;
    if cardinality(v_holds) + v_calls + v_audits + v_reports > 0 then
      perform private.audit(p_org.id, null, 'apply_retention', null, 'deleted',
        jsonb_build_object('holds', cardinality(v_holds), 'toolCalls', v_calls,
          'auditLogs', v_audits, 'callReports', v_reports));
    end if;
  end if;
  return jsonb_build_object('organization', p_org.slug, 'holds', cardinality(v_holds),
    'toolCalls', v_calls, 'auditLogs', v_audits, 'callReports', v_reports);
end
$$;
comment on function private.retain is 'Deletes what one organization need not keep any longer, or counts it.';

/*
 * Deletes lapsed and cancelled holds with their passcodes and texts, tool calls, call reports and
 * audit rows past each organization's retention, phone quotas older than a day and pg_cron's history older
 * than a week. With p_dry_run it only counts. Returns one object per organization.
 */
create function public.apply_retention(p_dry_run boolean default false, p_batch integer default 10000)
returns jsonb
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_org public.organizations;
  v_counts jsonb := '[]';
begin
  for v_org in select o.* from public.organizations as o order by o.id loop
    v_counts := v_counts || private.retain(v_org, p_dry_run, p_batch);
  end loop;
  if not p_dry_run then
    delete from public.sms_phone_quota as q
    where not exists (
      select from unnest(q.sent_at) as t where t > clock_timestamp() - interval '1 day');
    delete from cron.job_run_details as d where d.end_time < clock_timestamp() - interval '7 days';
  end if;
  return v_counts;
end
$$;
comment on function public.apply_retention is
  'Deletes what is older than each organization keeps; pg_cron calls it every night.';

revoke execute on function public.cleanup_expired_holds, public.apply_retention
  from public, anon, authenticated;
grant execute on function public.cleanup_expired_holds, public.apply_retention to service_role;

-- No function of private is for anybody but the entry functions' owner.
revoke execute on all functions in schema private from public;
-- A check constraint runs as whoever writes the row.
grant execute on function private.is_time_zone to service_role;

create extension if not exists pg_cron with schema pg_catalog;
-- schedule() by name is an upsert: running this again changes nothing.
select cron.schedule('cleanup-expired-holds', '* * * * *', 'select public.cleanup_expired_holds()');
select cron.schedule('apply-retention', '17 3 * * *', 'select public.apply_retention()');
