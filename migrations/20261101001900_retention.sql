/*
 * Retention: deletes old personal data.
 *
 * Decisions
 * - Each row of private.retention_rules says what is kept and for how long. Counting and deleting use
 *   the same row, so a dry run shows what the run would do.
 * - Organizations that have anything to delete are found by their oldest row, so every rule needs an
 *   index by age.
 * - One call deletes one batch in its own transaction, and is repeated until nothing is left.
 */

-- Its history of runs is retained for a week.
create extension if not exists pg_cron with schema pg_catalog;

create table private.retention_rules (
  name text primary key
    constraint retention_rules_name_plain check (name ~ '^[a-zA-Z]+$'),
  relation regclass not null,
  age text not null,
  applies text not null default 'true',
  kept text not null default 'retention_days'
    constraint retention_rules_kept_known
    check (kept in ('retention_days', 'audit_retention_days', '1'))
);
comment on table private.retention_rules is
  'Which rows of which table go after how long: SQL over the table''s columns, written by migrations only.';
comment on column private.retention_rules.age is 'The timestamptz from which the age of a row counts.';
comment on column private.retention_rules.applies is 'Which rows may be deleted at all.';
comment on column private.retention_rules.kept is 'The number of days: a column of organizations, or a constant.';

-- Confirmed appointments are the clinic's to keep. Texts go with their hold too; what a call has
-- proven and asked for goes with the call, a day after its end.
insert into private.retention_rules (name, relation, age, applies, kept) values
  ('holds', 'public.appointments', 'coalesce(expires_at, updated_at)',
    $$status in ('expired', 'cancelled', 'requires_manual_followup')$$, 'retention_days'),
  ('calls', 'public.calls', 'seen_at', 'true', '1'),
  ('texts', 'public.sms_messages', 'created_at', 'true', 'retention_days'),
  ('appointmentTexts', 'public.appointment_texts', 'created_at',
    $$state not in ('waiting', 'sending')$$, 'retention_days'),
  ('textAnswers', 'public.text_answers', 'received_at', 'true', 'retention_days'),
  ('toolCalls', 'public.tool_calls', 'created_at', 'true', 'retention_days'),
  ('callReports', 'public.call_reports', 'created_at', 'true', 'retention_days'),
  ('openQuestions', 'public.open_questions', 'last_asked_at', 'true', 'retention_days'),
  ('deskMessages', 'public.desk_messages', 'created_at', 'true', 'retention_days'),
  ('webhookMessages', 'public.webhook_messages', 'created_at',
    -- An endpoint that was given up is sent nothing.
    $$state in ('delivered', 'failed') or (org_id, endpoint_id) in (
      select e.org_id, e.id from public.webhook_endpoints as e where e.disabled_at is not null)$$,
    'retention_days'),
  ('calendarFeeds', 'public.calendar_feeds', 'revoked_at', 'revoked_at is not null', 'retention_days'),
  ('alarms', 'public.alarms', 'raised_at', 'true', 'audit_retention_days'),
  ('auditLogs', 'public.audit_logs', 'at', 'true', 'audit_retention_days');

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
    using p_org.id, p_now - make_interval(days => coalesce(to_jsonb(p_org) ->> v_rule.kept, v_rule.kept)::integer);
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
    cross join lateral (select $1 - make_interval(days => %s) as before) as k
    where (select min(%s) from %s where org_id = o.id and (%s)) < k.before',
    case p_rule.kept when '1' then '1' else format('o.%I', p_rule.kept) end,
    p_rule.age, p_rule.relation, p_rule.applies) using p_now
  loop
    execute format(
      'delete from %1$s as t where t.org_id = $1 and t.ctid = any (array(
        select ctid from %1$s where org_id = $1 and %2$s < $2 and (%3$s) order by %2$s limit $3))
        and %2$s < $2 and (%3$s)',
      p_rule.relation, p_rule.age, p_rule.applies)
    using v_org, v_before, v_left;
    get diagnostics v_rows = row_count;
    if p_rule.name = 'auditLogs' then
      perform private.note_purge(v_org, v_before);
    end if;
    v_counts := v_counts || jsonb_build_object('org', v_org, 'rule', p_rule.name, 'rows', v_rows);
    v_left := v_left - v_rows;
    exit when v_left <= 0;
  end loop;
  return v_counts;
end
$$;
comment on function private.delete_old is 'Deletes a batch of what one rule lets go, of any organization.';

/*
 * What belongs to no organization: counts of numbers older than a day and pg_cron's history older than a
 * week. Deletes at most p_limit rows, or counts all with a null one.
 */
create function private.delete_shared(p_now timestamptz, p_limit bigint) returns jsonb
language plpgsql volatile set search_path = ''
as $$
declare
  v_counted constant bytea[] := array(
    select n.phone_hash from public.phone_counts as n
    where n.changed_at < p_now - interval '1 day'
    limit p_limit);
  v_runs constant bigint[] := array(
    select d.runid from cron.job_run_details as d
    where d.end_time < p_now - interval '7 days'
    limit p_limit - cardinality(v_counted));
  v_numbers integer := cardinality(v_counted);
begin
  if p_limit is not null then
    -- Something may have been counted since they were selected. What a call counts in now stays: it may
    -- count in two rows, and would wait for this while this waits for it.
    with old as materialized (
      select n.phone_hash from public.phone_counts as n
      where n.phone_hash = any (v_counted) and n.changed_at < p_now - interval '1 day'
      for update skip locked
    )
    delete from public.phone_counts as n using old as o where n.phone_hash = o.phone_hash;
    get diagnostics v_numbers = row_count;
    delete from cron.job_run_details as d where d.runid = any (v_runs);
  end if;
  return jsonb_build_object(
    'phoneCounts', v_numbers, 'jobRuns', cardinality(v_runs));
end
$$;
comment on function private.delete_shared is
  'Deletes a batch of old counts of numbers and job runs, or counts them.';

/*
 * Deletes what is older than each organization keeps (private.retention_rules), counts of numbers older
 * than a day and pg_cron's history older than a week: at most p_batch rows, so a call is short
 * however many organizations there are, and is made again until it deletes none.
 * With p_dry_run it only counts, and counts everything of every organization.
 * Returns {rows, phoneCounts, jobRuns,
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
    'rows', coalesce(sum(f.rows), 0) + (v_shared ->> 'phoneCounts')::bigint
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

-- Only the owner's job deletes.
revoke execute on function public.apply_retention from public, anon, authenticated, service_role;
