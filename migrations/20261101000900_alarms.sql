/*
 * Alarms: one clinic's passcodes are guessed, or somebody makes it text where it must not.
 *
 * Decisions
 * - 50 wrong codes, or 100 refused texts, of one organization within any hour raise an alarm, once an
 *   hour: a row that staff can read, and an answer that lets the function log alarm_raised.
 * - Counted in the transaction of what is counted, under one row's lock, with the newest times in that
 *   row: no history is read, and no boundary of an hour hides half of an attack.
 * - The counter's row is always the last lock taken, so nobody who holds it waits for another.
 */

create table public.alarm_counters (
  org_id uuid not null references public.organizations (id) on delete cascade,
  kind text not null
    constraint alarm_counters_kind_known check (kind in ('wrong_codes', 'refused_sends')),
  happened_at timestamptz[] not null default '{}',
  primary key (org_id, kind)
);
comment on table public.alarm_counters is
  'When it last happened, newest first: within the hour, and no more times than raise an alarm.';
select private.protect('public.alarm_counters', false);

create table public.alarms (
  org_id uuid not null references public.organizations (id) on delete cascade,
  kind text not null
    constraint alarms_kind_known check (kind in ('wrong_codes', 'refused_sends')),
  raised_at timestamptz not null,
  first_at timestamptz not null,
  events integer not null
    constraint alarms_events_positive check (events > 0),
  primary key (org_id, kind, raised_at)
);
comment on table public.alarms is 'Alarms raised, for staff: so many events of a kind between first_at and raised_at.';
create index alarms_by_time on public.alarms (org_id, raised_at);
select private.protect('public.alarms', true);
grant select on public.alarms to service_role;

/*
 * Counts one event. Returns the kind when this one raised an alarm, else null. A rollback un-counts
 * the event together with what it counts.
 */
create function private.count_for_alarm(p_org uuid, p_kind text, p_now timestamptz) returns text
language plpgsql volatile set search_path = ''
as $$
declare
  v_limit constant integer := case p_kind when 'wrong_codes' then 50 else 100 end;
  v_times timestamptz[];
begin
  insert into public.alarm_counters (org_id, kind) values (p_org, p_kind) on conflict do nothing;
  select array(
    select t from unnest(c.happened_at || p_now) as t
    where t > p_now - interval '1 hour' order by t desc limit v_limit
  ) into v_times
  from public.alarm_counters as c where c.org_id = p_org and c.kind = p_kind for update;
  update public.alarm_counters as c set happened_at = v_times
  where c.org_id = p_org and c.kind = p_kind;
  if cardinality(v_times) < v_limit or exists (
    select from public.alarms as a
    where a.org_id = p_org and a.kind = p_kind and a.raised_at > p_now - interval '1 hour') then
    return null;
  end if;
  insert into public.alarms (org_id, kind, raised_at, first_at, events)
  values (p_org, p_kind, v_times[1], v_times[v_limit], v_limit);
  perform private.audit(p_org, null, 'raise_alarm', null, p_kind,
    jsonb_build_object('events', v_limit, 'since', v_times[v_limit]));
  perform private.tally('alarms', jsonb_build_object('kind', p_kind));
  return p_kind;
end
$$;
comment on function private.count_for_alarm is
  'Counts an event of an organization; returns its kind when that raised an alarm.';
