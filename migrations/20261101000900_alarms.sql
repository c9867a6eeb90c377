/*
 * Alarms: somebody is guessing a clinic's passcodes, or making it text numbers that it should not; or a
 * doctor's own calendar or an endpoint of the clinic's webhooks needs a person.
 *
 * Decisions
 * - Too many events of a kind within any hour raise an alarm, at most once an hour: a row that staff
 *   can read, and an answer that lets the function log alarm_raised.
 * - An event is counted in the transaction that it belongs to, under one row's lock, and that row
 *   keeps the newest times: no history is read, and an attack around a full hour is not split in two.
 * - The counter's row is always the last lock taken, so whoever holds it waits for nothing.
 * - Whoever knows without counting that a person has to look raises an alarm at once.
 * - An alarm about an attack is a brake for an hour: calls that text another number than their own share a tenth of the
 *   organization's texts (private.has_texts_left).
 * - The kinds are listed once, in the domain private.alarm_kind.
 */

create domain private.alarm_kind as text
  constraint alarm_kind_known check (value in (
    'wrong_codes', 'refused_sends', 'other_numbers', 'calendar_unread', 'calendar_overlap',
    'webhook_failed'));
comment on domain private.alarm_kind is
  'wrong_codes: wrong passcodes. refused_sends: texts refused by a limit or for their number. '
  'other_numbers: texts to another number than the caller''s. '
  'calendar_unread: a doctor''s own calendar could not be read several times. '
  'calendar_overlap: appointments that a doctor''s own calendar has become busy for. '
  'webhook_failed: an endpoint that could not be told what happened.';

create table public.alarm_counters (
  org_id uuid not null references public.organizations (id) on delete cascade,
  kind private.alarm_kind not null,
  happened_at timestamptz[] not null default '{}',
  primary key (org_id, kind)
);
comment on table public.alarm_counters is
  'Times of the last events, newest first: within the hour, and no more than raise an alarm.';
select private.protect('public.alarm_counters', null);

create table public.alarms (
  org_id uuid not null references public.organizations (id) on delete cascade,
  kind private.alarm_kind not null,
  raised_at timestamptz not null,
  cleared_at timestamptz,
  first_at timestamptz not null,
  events integer not null
    constraint alarms_events_positive check (events > 0),
  id uuid not null default gen_random_uuid(),
  handled_at timestamptz,
  handled_by uuid,
  primary key (org_id, kind, raised_at),
  constraint alarms_id_unique unique (org_id, id)
);
comment on table public.alarms is
  'Alarms, for staff to read: how many events of a kind there were from first_at to raised_at.';
comment on column public.alarms.cleared_at is 'When an operator ended its brake before the hour was over.';
comment on column public.alarms.handled_at is 'When the desk had dealt with it.';
comment on column public.alarms.handled_by is 'The account of the member of staff who said so.';
create index alarms_by_time on public.alarms (org_id, raised_at);
select private.protect('public.alarms', 'desk');
grant select on public.alarms to service_role;

/*
 * Events that somebody has counted, from p_first_at to p_now.
 *
 * p_endpoint  the endpoint that the alarm is about, which is not told
 */
create function private.raise_alarm(
  p_org uuid, p_kind private.alarm_kind, p_events integer, p_first_at timestamptz, p_now timestamptz,
  p_endpoint uuid default null
) returns void
language plpgsql volatile set search_path = ''
as $$
declare
  v_alarm uuid;
begin
  insert into public.alarms as a (org_id, kind, raised_at, first_at, events)
  values (p_org, p_kind, p_now, p_first_at, p_events)
  returning a.id into v_alarm;
  perform private.audit(p_org, null, 'raise_alarm', null, p_kind,
    jsonb_build_object('events', p_events, 'since', p_first_at));
  perform private.tally('alarms', jsonb_build_object('kind', p_kind));
  perform private.tell(p_org, 'alarm.raised', v_alarm, jsonb_build_object(
    'alarmId', v_alarm, 'kind', p_kind, 'events', p_events, 'since', p_first_at),
    p_endpoint);
end
$$;
comment on function private.raise_alarm is 'Raises an alarm: a row for staff, an audit row, a count.';

/*
 * Counts one event. Returns the kind if this event raised an alarm, else null. A rollback undoes the
 * count together with the event.
 */
create function private.count_for_alarm(
  p_org public.organizations, p_kind private.alarm_kind, p_now timestamptz
)
returns text
language plpgsql volatile set search_path = ''
as $$
declare
  v_limit constant integer not null :=
    case p_kind when 'wrong_codes' then 50 when 'refused_sends' then 100
      -- Half of what such calls may text, so that the brake comes before their limit.
      when 'other_numbers' then greatest(10, least(100, p_org.sms_hourly_limit / 2)) end;
  v_times timestamptz[];
begin
  insert into public.alarm_counters as c (org_id, kind, happened_at)
  values (p_org.id, p_kind, array[p_now])
  on conflict (org_id, kind) do update set happened_at = array(
    select t from unnest(c.happened_at || p_now) as t
    where t > p_now - interval '1 hour' order by t desc limit v_limit)
  returning c.happened_at into v_times;
  if cardinality(v_times) < v_limit or exists (
    select from public.alarms as a
    where a.org_id = p_org.id and a.kind = p_kind and a.raised_at > p_now - interval '1 hour') then
    return null;
  end if;
  perform private.raise_alarm(p_org.id, p_kind, v_limit, v_times[v_limit], v_times[1]);
  return p_kind;
end
$$;
comment on function private.count_for_alarm is
  'Counts an event of an organization; returns its kind if that raised an alarm.';

create function private.is_braked(p_org uuid, p_now timestamptz) returns boolean
language plpgsql stable set search_path = ''
as $$
begin
  return exists (
    select from public.alarms as a
    where a.org_id = p_org and a.raised_at > p_now - interval '1 hour' and a.cleared_at is null
      and a.kind in ('wrong_codes', 'refused_sends', 'other_numbers'));
end
$$;
comment on function private.is_braked is
  'Whether an alarm about an attack on an organization is on.';

/*
 * Function of the owner's, for operators: clears the counts of a number (in every organization) or, without
 * a number, ends the brake of an organization's alarms. Audited without the number.
 *
 * Outcomes  cleared, nothing_counted, unknown_clinic, busy
 */
create function public.clear_limits(p_org uuid, p_phone text default null) returns jsonb
language plpgsql volatile security definer set search_path = '' set lock_timeout = '1500ms'
as $$
declare
  v_hash constant bytea := private.hash_phone(p_phone);
  v_outcome text;
begin
  if not exists (select from public.organizations as o where o.id = p_org) then
    return '{"outcome": "unknown_clinic"}';
  elsif p_phone is null then
    update public.alarms as a set cleared_at = clock_timestamp()
    where a.org_id = p_org and a.cleared_at is null
      and a.raised_at > clock_timestamp() - interval '1 hour';
    v_outcome := case when found then 'cleared' else 'nothing_counted' end;
    delete from public.alarm_counters as c where c.org_id = p_org;
  else
    perform private.lock_phones(array[v_hash]);
    delete from public.phone_counts as c where c.phone_hash = v_hash;
    v_outcome := case when found then 'cleared' else 'nothing_counted' end;
  end if;
  perform private.audit(p_org, null, 'clear_limits', null, v_outcome,
    jsonb_build_object('of', case when p_phone is null then 'alarms' else 'number' end));
  return jsonb_build_object('outcome', v_outcome, 'orgId', p_org);
exception when lock_not_available or deadlock_detected then
  return '{"outcome": "busy"}';
end
$$;
comment on function public.clear_limits is
  'Forgets what was counted for a number, or ends the brake of an organization''s alarms; audited.';

revoke execute on function public.clear_limits from public, anon, authenticated, service_role;
