/*
 * Clean-up: lapsed holds become expired, old personal data goes, and pg_cron calls both.
 *
 * Decisions
 * - Nothing depends on these jobs: every read and claim compares expires_at with the clock.
 * - One call takes one batch and skips rows somebody works on, so a claim beside it waits for no more
 *   than that batch. The jobs call again, each time in a transaction of its own, until a batch is not
 *   full: 100,000 lapsed holds are gone within half a minute, not after a hundred.
 * - Callers come first: the job that sweeps takes batches about as long as a claim, and rests three
 *   times as long as each took, so a busy server is left alone more than an idle one. It does not
 *   wait for the disk: after a power cut the last batches are held again, and are swept again.
 * - Each organization is swept by a function of its own: a thin loop over those that have something
 *   to do. Retention finds those by their oldest row, so every rule needs an index by age.
 * - What is kept for how long is a row of private.retention_rules. Counting and deleting read the
 *   same row, so a dry run tells what the run would do. A later migration adds a row for its table.
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
create index one_time_passcodes_by_time on public.one_time_passcodes (org_id, claimed_at);
create index appointment_changes_by_time on public.appointment_changes (org_id, expires_at);

/* What one organization need not keep any longer: [{org, rule, rows}], every rule. */
create function private.count_old(p_org public.organizations, p_now timestamptz) returns jsonb
language plpgsql volatile set search_path = ''
as $$
declare
  v_rule private.retention_rules;
  v_rows bigint;
  v_counts jsonb := '[]';
begin
  for v_rule in select r.* from private.retention_rules as r loop
    execute format('select count(*) from %s where org_id = $1 and %s < $2 and (%s)',
      v_rule.relation, v_rule.age, v_rule.applies)
    into v_rows
    using p_org.id, p_now - make_interval(days => (to_jsonb(p_org) ->> v_rule.kept)::integer);
    v_counts := v_counts
      || jsonb_build_object('org', p_org.id, 'rule', v_rule.name, 'rows', v_rows);
  end loop;
  return v_counts;
end
$$;
comment on function private.count_old is 'How many rows of an organization retention would delete, by rule.';

/*
 * Deletes by one rule, oldest rows first, of the organizations that have any: at most p_limit rows.
 * Whether one has any is asked of its oldest row, which an index by age tells at once, however much
 * is kept. Returns [{org, rule, rows}].
 */
create function private.delete_old(
  p_rule private.retention_rules, p_now timestamptz, p_limit bigint
) returns jsonb
language plpgsql volatile set search_path = ''
as $$
declare
  v_org uuid;
  v_before timestamptz;
  v_rows bigint;
  v_left bigint := p_limit;
  v_counts jsonb := '[]';
begin
  for v_org, v_before in execute format(
    'select o.id, k.before from public.organizations as o
    cross join lateral (select $1 - make_interval(days => o.%I) as before) as k
    where (select min(%s) from %s where org_id = o.id and (%s)) < k.before',
    p_rule.kept, p_rule.age, p_rule.relation, p_rule.applies) using p_now
  loop
    execute format(
      'delete from %1$s as t where t.org_id = $1 and t.ctid = any (array(
        select ctid from %1$s where org_id = $1 and %2$s < $2 and (%3$s) order by %2$s limit $3))',
      p_rule.relation, p_rule.age, p_rule.applies)
    using v_org, v_before, v_left;
    get diagnostics v_rows = row_count;
    v_counts := v_counts || jsonb_build_object('org', v_org, 'rule', p_rule.name, 'rows', v_rows);
    v_left := v_left - v_rows;
    exit when v_left <= 0;
  end loop;
  return v_counts;
end
$$;
comment on function private.delete_old is 'Deletes a batch of what one rule lets go, of any organization.';

/*
 * What belongs to no organization: phone quotas older than a day and pg_cron's history older than a
 * week. Deletes at most p_limit rows, or counts all with a null one.
 */
create function private.delete_shared(p_now timestamptz, p_limit bigint) returns jsonb
language plpgsql volatile set search_path = ''
as $$
declare
  v_quotas constant bytea[] := array(
    select q.phone_hash from public.sms_phone_quota as q
    where not exists (select from unnest(q.sent_at) as t where t > p_now - interval '1 day')
    limit p_limit);
  v_runs constant bigint[] := array(
    select d.runid from cron.job_run_details as d
    where d.end_time < p_now - interval '7 days'
    limit p_limit - cardinality(v_quotas));
begin
  if p_limit is not null then
    -- A text may have been counted meanwhile.
    delete from public.sms_phone_quota as q
    where q.phone_hash = any (v_quotas)
      and not exists (select from unnest(q.sent_at) as t where t > p_now - interval '1 day');
    delete from cron.job_run_details as d where d.runid = any (v_runs);
  end if;
  return jsonb_build_object(
    'phoneQuotas', cardinality(v_quotas), 'jobRuns', cardinality(v_runs));
end
$$;
comment on function private.delete_shared is
  'Deletes a batch of old phone quotas and job runs, or counts them.';

/*
 * Deletes what is older than each organization keeps (private.retention_rules), phone quotas older
 * than a day and pg_cron's history older than a week: at most p_batch rows, so a call is short
 * however many organizations there are, and is made again until it deletes none.
 * With p_dry_run it only counts, and counts everything of every organization.
 * Returns {rows, phoneQuotas, jobRuns,
 *          organizations: [{organization, retentionDays, auditRetentionDays, RULE: rows}]}.
 */
create function public.apply_retention(p_dry_run boolean default false, p_batch integer default 1000)
returns jsonb
language plpgsql volatile security definer set search_path = '' set lock_timeout = '5s'
  set jit = off
as $$
declare
  v_now constant timestamptz := clock_timestamp();
  v_left bigint := p_batch;
  v_rule private.retention_rules;
  v_found jsonb := '[]';
  v_deleted jsonb;
  v_shared jsonb;
  v_answer jsonb;
begin
  if p_dry_run is null then
    raise exception 'Cannot apply retention: p_dry_run is null; say true to count, false to delete'
      using errcode = '22023';
  elsif p_batch is null or p_batch < 1 then
    raise exception 'Cannot apply retention to % rows: the batch must be at least 1', p_batch
      using errcode = '22023';
  end if;
  if p_dry_run then
    select jsonb_agg(f.found) into v_found
    from public.organizations as o
    cross join lateral jsonb_array_elements(private.count_old(o, v_now)) as f (found);
    v_shared := private.delete_shared(v_now, null);
  else
    for v_rule in select r.* from private.retention_rules as r order by r.name loop
      v_deleted := private.delete_old(v_rule, v_now, v_left);
      v_found := v_found || v_deleted;
      v_left := v_left - (
        select coalesce(sum(d.rows), 0) from jsonb_to_recordset(v_deleted) as d (rows bigint));
      exit when v_left <= 0;
    end loop;
    v_shared := private.delete_shared(v_now, greatest(v_left, 0));
  end if;

  -- By organization.
  select jsonb_agg(f) into v_found
  from (
    select r.org, jsonb_object_agg(r.rule, r.rows) as counts, sum(r.rows) as rows
    from jsonb_to_recordset(v_found) as r (org uuid, rule text, rows bigint) group by r.org
  ) as f;
  perform private.audit(f.org, null, 'apply_retention', null, 'deleted', f.counts)
  from jsonb_to_recordset(v_found) as f (org uuid, counts jsonb, rows bigint)
  where f.rows > 0 and not p_dry_run;
  select jsonb_build_object(
    'rows', coalesce(sum(f.rows), 0) + (v_shared ->> 'phoneQuotas')::bigint
      + (v_shared ->> 'jobRuns')::bigint,
    'organizations', coalesce(jsonb_agg(jsonb_build_object('organization', o.slug,
      'retentionDays', o.retention_days, 'auditRetentionDays', o.audit_retention_days)
      || f.counts order by o.slug), '[]'))
  into v_answer
  from jsonb_to_recordset(v_found) as f (org uuid, counts jsonb, rows bigint)
  join public.organizations as o on o.id = f.org;
  return v_answer || v_shared;
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
    v_began timestamptz;
  begin
    loop
      v_began := clock_timestamp();
      perform set_config('synchronous_commit', 'off', true);
      exit when public.cleanup_expired_holds(25) < 25 or v_began > v_until;
      commit;
      perform pg_sleep(3 * extract(epoch from clock_timestamp() - v_began));
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
