/*
 * Clean-up: lapsed holds become expired, old personal data goes, and pg_cron calls both.
 *
 * Decisions
 * - Nothing depends on these jobs: every read and claim compares expires_at with the clock.
 * - One call takes one batch and skips rows somebody works on, so a claim beside it waits for no more
 *   than that batch. The jobs call again, each time in a transaction of its own, until a batch is not
 *   full: 100,000 lapsed holds are gone within seconds, not after a hundred minutes.
 * - Each organization is swept by a function of its own: a thin loop over those that have something
 *   to do.
 * - What is kept for how long is a row of private.retention_rules. Counting and deleting read the
 *   same row, so a dry run tells what the run would do. A later migration adds a row for its table.
 */

create function private.expire_holds(p_org uuid, p_holds uuid[], p_now timestamptz)
returns integer
language plpgsql volatile set search_path = ''
as $$
declare
  v_count integer;
begin
  with flipped as (
    update public.appointments as a
    set status = 'expired', updated_at = p_now
    where a.org_id = p_org and a.id = any (p_holds)
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
  if v_count > 0 then
    perform private.tally('audit',
      '{"action": "cleanup_expired_holds", "outcome": "expired"}', v_count);
  end if;
  return v_count;
end
$$;
comment on function private.expire_holds is 'Flips lapsed holds of one organization and forgets their codes.';

/*
 * Flips holds past their time to expired, at most p_batch in one call, and returns how many.
 * Called by pg_cron every minute; may run beside claims and beside itself.
 */
create function public.cleanup_expired_holds(p_batch integer default 1000) returns integer
language plpgsql volatile security definer set search_path = '' set jit = off
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
      select a.org_id, a.id from public.appointments as a
      where a.status = 'held' and a.expires_at <= v_now
      order by a.expires_at
      limit p_batch
      for update skip locked
    )
    select l.org_id, array_agg(l.id) as holds from locked as l group by l.org_id
  loop
    v_count := v_count + private.expire_holds(v_lapsed.org_id, v_lapsed.holds, v_now);
  end loop;
  return v_count;
end
$$;
comment on function public.cleanup_expired_holds is
  'Flips lapsed holds to expired in one batch and returns the count; pg_cron calls it every minute.';

create table private.retention_rules (
  name text primary key
    constraint retention_rules_name_plain check (name ~ '^[a-zA-Z]+$'),
  relation regclass not null,
  age text not null,
  applies text not null default 'true',
  kept text not null default 'retention_days'
    constraint retention_rules_kept_known check (kept in ('retention_days', 'audit_retention_days'))
);
comment on table private.retention_rules is
  'Which rows of which table go after how long: SQL over the table''s columns, written by migrations only.';
comment on column private.retention_rules.age is 'Since when a row is old, a timestamptz.';
comment on column private.retention_rules.applies is 'Which rows may go at all.';
comment on column private.retention_rules.kept is 'The column of organizations that says for how many days.';

-- Confirmed appointments are the clinic's to keep. Passcodes and texts go with their hold too.
insert into private.retention_rules (name, relation, age, applies, kept) values
  ('holds', 'public.appointments', 'coalesce(expires_at, updated_at)',
    $$status in ('expired', 'cancelled', 'requires_manual_followup')$$, 'retention_days'),
  ('passcodes', 'public.one_time_passcodes', 'claimed_at', 'true', 'retention_days'),
  ('texts', 'public.sms_messages', 'created_at', 'true', 'retention_days'),
  ('changes', 'public.appointment_changes', 'expires_at', 'true', 'retention_days'),
  ('toolCalls', 'public.tool_calls', 'created_at', 'true', 'retention_days'),
  ('auditLogs', 'public.audit_logs', 'at', 'true', 'audit_retention_days');
create index appointments_old on public.appointments (org_id, coalesce(expires_at, updated_at))
  where status in ('expired', 'cancelled', 'requires_manual_followup');

/*
 * Applies every rule to one organization: deletes at most p_batch rows of each, or counts all of
 * them. Returns the numbers by rule.
 */
create function private.retain(p_org public.organizations, p_dry_run boolean, p_batch integer)
returns jsonb
language plpgsql volatile set search_path = ''
as $$
declare
  v_rule private.retention_rules;
  v_old text;
  v_before timestamptz;
  v_rows bigint;
  v_counts jsonb := '{}';
begin
  for v_rule in select r.* from private.retention_rules as r order by r.name loop
    v_before := clock_timestamp()
      - make_interval(days => (to_jsonb(p_org) ->> v_rule.kept)::integer);
    v_old := format('from %s where org_id = $1 and %s < $2 and (%s)',
      v_rule.relation, v_rule.age, v_rule.applies);
    if p_dry_run then
      execute 'select count(*) ' || v_old into v_rows using p_org.id, v_before;
    else
      execute format(
        'delete from %s as t where t.org_id = $1 and t.ctid = any (array(select ctid %s limit $3))',
        v_rule.relation, v_old)
      using p_org.id, v_before, p_batch;
      get diagnostics v_rows = row_count;
    end if;
    v_counts := v_counts || jsonb_build_object(v_rule.name, v_rows);
  end loop;
  return v_counts;
end
$$;
comment on function private.retain is
  'Deletes a batch of what one organization need not keep any longer, or counts all of it.';

/*
 * Deletes what is older than each organization keeps (private.retention_rules), at most p_batch rows
 * a rule and organization, phone quotas older than a day and pg_cron's history older than a week.
 * With p_dry_run it only counts, and counts everything.
 * Returns {rows, organizations: [{organization, retentionDays, auditRetentionDays, RULE: rows}]}.
 */
create function public.apply_retention(p_dry_run boolean default false, p_batch integer default 1000)
returns jsonb
language plpgsql volatile security definer set search_path = '' set jit = off
as $$
declare
  v_org public.organizations;
  v_counts jsonb;
  v_rows bigint;
  v_total bigint := 0;
  v_organizations jsonb := '[]';
begin
  if p_batch is null or p_batch < 1 then
    raise exception 'Cannot apply retention to % rows: the batch must be at least 1', p_batch
      using errcode = '22023';
  end if;
  for v_org in select o.* from public.organizations as o order by o.slug loop
    v_counts := private.retain(v_org, p_dry_run, p_batch);
    select sum(c.value::bigint) into v_rows from jsonb_each_text(v_counts) as c;
    if v_rows > 0 and not p_dry_run then
      perform private.audit(v_org.id, null, 'apply_retention', null, 'deleted', v_counts);
    end if;
    v_total := v_total + v_rows;
    v_organizations := v_organizations || (jsonb_build_object('organization', v_org.slug,
      'retentionDays', v_org.retention_days, 'auditRetentionDays', v_org.audit_retention_days)
      || v_counts);
  end loop;
  if not p_dry_run then
    delete from public.sms_phone_quota as q
    where not exists (
      select from unnest(q.sent_at) as t where t > clock_timestamp() - interval '1 day');
    delete from cron.job_run_details as d where d.end_time < clock_timestamp() - interval '7 days';
  end if;
  return jsonb_build_object('rows', v_total, 'organizations', v_organizations);
end
$$;
comment on function public.apply_retention is
  'Deletes a batch of what is older than each organization keeps; pg_cron calls it every night.';

revoke execute on function public.cleanup_expired_holds, public.apply_retention
  from public, anon, authenticated;
grant execute on function public.cleanup_expired_holds, public.apply_retention to service_role;

-- No function of private is for anybody but the entry functions' owner.
revoke execute on all functions in schema private from public;
-- A check constraint runs as whoever writes the row.
grant execute on function private.is_time_zone to service_role;

create extension if not exists pg_cron with schema pg_catalog;
-- schedule() by name is an upsert: running this again changes nothing. A batch is a transaction, and
-- a run ends before the next one is due.
select cron.schedule('cleanup-expired-holds', '* * * * *', $job$
  do $$
  declare
    v_until constant timestamptz := clock_timestamp() + interval '50 seconds';
  begin
    while public.cleanup_expired_holds() = 1000 and clock_timestamp() < v_until loop
      commit;
    end loop;
  end
  $$
$job$);
select cron.schedule('apply-retention', '17 3 * * *', $job$
  do $$
  declare
    v_until constant timestamptz := clock_timestamp() + interval '3 hours';
  begin
    while (public.apply_retention() ->> 'rows')::bigint > 0 and clock_timestamp() < v_until loop
      commit;
    end loop;
  end
  $$
$job$);
