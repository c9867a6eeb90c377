/*
 * Busy calendars: doctors' own calendars, whose busy times are absences.
 *
 * Decisions
 * - The address of such a calendar opens it, so it is a secret: no role of the API reads the table, no
 *   audit row, answer or log has more of it than the host. The function that reads the calendar gets the
 *   address with its task.
 * - Only times are stored, as rows of time_off that name their calendar. A reading replaces all of them
 *   in one transaction, under the provider's lock like any change of hours, and touches no other row.
 * - A reading has an id. One that was overtaken by a later one, or by a new address, changes nothing.
 * - What cannot be read keeps the last busy times. After three failures in a row an alarm is raised, once;
 *   later attempts are further apart.
 * - A booking that a new busy time overlaps stays. An alarm is raised for it, and the view
 *   calendar_overlaps shows it until it no longer overlaps.
 * - An answer that nothing has changed is asked for only for half a day: a calendar that repeats reaches
 *   further with each day.
 */

create table public.busy_calendars (
  org_id uuid not null references public.organizations (id) on delete cascade,
  id uuid not null default gen_random_uuid(),
  provider_id uuid not null,
  address text not null
    constraint busy_calendars_address_https check (private.require(
      address ~ '^https://[^[:space:]/?#@]+([/?#][^[:space:]]*)?$' and length(address) <= 2000,
      'a doctor''s calendar', 'its address begins with https:// and has no name or password before its host')),
  created_at timestamptz not null default clock_timestamp(),
  due_at timestamptz not null default clock_timestamp(),
  fetch_id uuid,
  etag text,
  read_at timestamptz,
  loaded_at timestamptz,
  failures integer not null default 0,
  failed_at timestamptz,
  failure text,
  primary key (org_id, id),
  constraint busy_calendars_one_each unique (org_id, provider_id),
  foreign key (org_id, provider_id) references public.providers (org_id, id) on delete cascade
);
comment on table public.busy_calendars is
  'Doctors'' own calendars, whose busy times become absences. The address is a secret.';
comment on column public.busy_calendars.fetch_id is 'The reading that is under way; null when it has ended.';
comment on column public.busy_calendars.read_at is 'When it was last read, changed or not.';
comment on column public.busy_calendars.loaded_at is 'When it was last read as a whole.';
comment on column public.busy_calendars.failures is 'How many readings in a row have failed.';
comment on column public.busy_calendars.failed_at is 'When the first of these failed.';
create index busy_calendars_due on public.busy_calendars (due_at);
select private.protect('public.busy_calendars', null);

alter table public.time_off
  add constraint time_off_calendar foreign key (org_id, calendar_id)
    references public.busy_calendars (org_id, id) on delete cascade;
create index time_off_by_calendar on public.time_off (org_id, calendar_id)
  where calendar_id is not null;

create view public.calendar_overlaps with (security_invoker = true) as
  select a.org_id, a.id as appointment_id, a.provider_id, a.service_id, a.status, a.starts_at, a.ends_at
  from public.appointments as a
  where (a.status = 'confirmed' or a.status = 'held' and a.expires_at > now()) and a.ends_at > now()
    and exists (
      select from public.time_off as t
      where t.org_id = a.org_id and t.provider_id = a.provider_id and t.calendar_id is not null
        and coalesce(upper(t.span), 'infinity') >= a.starts_at
        and t.span && tstzrange(a.starts_at, a.ends_at));
comment on view public.calendar_overlaps is
  'Bookings to come that a busy time of the doctor''s own calendar overlaps: the desk moves or cancels them.';
grant select on public.calendar_overlaps to authenticated, service_role;

create function private.host_of(p_address text) returns text
language sql immutable strict
return substring(p_address from '^https://([^/?#]+)');
comment on function private.host_of is 'All of a calendar''s address that may be shown.';

create function private.list_busy(p_org uuid) returns jsonb
language plpgsql stable set search_path = ''
as $$
begin
  return (
    select coalesce(jsonb_agg(jsonb_build_object(
      'providerId', p.id, 'doctor', p.name, 'host', private.host_of(c.address), 'readAt', c.read_at,
      'failures', c.failures, 'failure', c.failure, 'absences', (
        select count(*) from public.time_off as t where t.org_id = p_org and t.calendar_id = c.id))
      order by p.name, p.id), '[]')
    from public.busy_calendars as c
    join public.providers as p on p.org_id = p_org and p.id = c.provider_id
    where c.org_id = p_org);
end
$$;
comment on function private.list_busy is
  'The doctors'' own calendars of an organization, without their addresses.';

/*
 * Function of the owner's, for the task calendar: the calendars of an organization.
 *
 * Outcomes  found (feeds: [{feedId, label, doctor, createdAt, readAt, revokedAt}], busy: [{providerId,
 *           doctor, host, readAt, failures, failure, absences}]), unknown_clinic
 */
create function public.list_calendars(p_org uuid) returns jsonb
language plpgsql volatile security definer set search_path = ''
as $$
begin
  return case when exists (select from public.organizations as o where o.id = p_org)
    then jsonb_build_object('outcome', 'found', 'orgId', p_org, 'feeds', private.list_feeds(p_org),
      'busy', private.list_busy(p_org))
    else '{"outcome": "unknown_clinic"}' end;
end
$$;
comment on function public.list_calendars is 'The feeds of an organization and its doctors'' own calendars, for its operator.';

/*
 * The organization's row is locked. A new address keeps the absences until it has been read; without one
 * they are gone at once.
 *
 * p_address  https:// or webcal://, which calendar programs write for the same; null for none
 */
create function private.set_busy(p_org uuid, p_provider uuid, p_address text) returns jsonb
language plpgsql volatile set search_path = ''
as $$
declare
  v_address constant text := regexp_replace(btrim(p_address), '^webcals?://', 'https://', 'i');
  v_reason text;
begin
  if not exists (
    select from public.providers as p where p.org_id = p_org and p.id = p_provider) then
    return '{"outcome": "unknown_provider"}';
  elsif v_address is null then
    delete from public.busy_calendars as c where c.org_id = p_org and c.provider_id = p_provider;
    return jsonb_build_object('outcome', case when found then 'removed' else 'unchanged' end);
  end if;
  begin
    insert into public.busy_calendars as c (org_id, provider_id, address)
    values (p_org, p_provider, v_address)
    on conflict (org_id, provider_id) do update
    set address = excluded.address, due_at = clock_timestamp(), fetch_id = null, etag = null,
      loaded_at = null, failures = 0, failed_at = null, failure = null;
  exception when integrity_constraint_violation then
    get stacked diagnostics v_reason = message_text;
    return jsonb_build_object('outcome', 'invalid_address', 'reason', v_reason);
  end;
  return '{"outcome": "set"}';
end
$$;
comment on function private.set_busy is 'Sets or removes the address of a doctor''s own calendar.';

/*
 * Function of the owner's, for the task calendar: the address of a doctor's own calendar, whose busy times
 * become absences.
 *
 * p_provider  slug
 * p_address   https:// or webcal://; null for none
 * Outcomes    set, removed, unchanged, unknown_provider, invalid_address (reason), unknown_clinic, busy
 */
create function public.set_busy_calendar(p_org uuid, p_provider text, p_address text)
returns jsonb
language plpgsql volatile security definer set search_path = '' set lock_timeout = '5s'
as $$
declare
  v_provider uuid;
  v_answer jsonb;
begin
  perform from public.organizations as o where o.id = p_org for no key update;
  if not found then
    return '{"outcome": "unknown_clinic"}';
  end if;
  select p.id into v_provider from public.providers as p
  where p.org_id = p_org and p.slug = p_provider;
  v_answer := private.set_busy(p_org, v_provider, p_address);
  perform private.audit(p_org, null, 'set_busy_calendar', v_provider, v_answer ->> 'outcome',
    jsonb_strip_nulls(jsonb_build_object('host', private.host_of(p_address))));
  return v_answer || jsonb_build_object('orgId', p_org);
exception when lock_not_available or deadlock_detected then
  return '{"outcome": "busy"}';
end
$$;
comment on function public.set_busy_calendar is
  'Sets or removes the address of a doctor''s own calendar; audited without it.';

/* From yesterday until nothing can be booked any more. */
create function private.busy_window(p_org uuid, p_now timestamptz) returns tstzrange
language plpgsql stable set search_path = ''
as $$
begin
  return tstzrange(p_now - interval '1 day', p_now + make_interval(days => 3 + coalesce((
    select max(s.horizon_days) from public.services as s where s.org_id = p_org and s.active), 0)));
end
$$;
comment on function private.busy_window is 'The time in which a doctor''s own calendar matters.';

/*
 * Entry function of the function busy-times: calendars to be read, which nobody else gets for five
 * minutes.
 *
 * Outcomes  found (calendars: [{orgId, calendarId, fetchId, address, etag, timezone, from, until}]),
 *           busy
 */
create function public.take_busy_calendars(p_limit integer) returns jsonb
language plpgsql volatile security definer set search_path = '' set lock_timeout = '1s'
as $$
declare
  v_now constant timestamptz := clock_timestamp();
  v_calendars jsonb;
begin
  with due as (
    select c.org_id, c.id from public.busy_calendars as c
    where c.due_at <= v_now order by c.due_at limit least(greatest(p_limit, 1), 50)
    for no key update skip locked
  ), taken as (
    update public.busy_calendars as c
    set fetch_id = gen_random_uuid(), due_at = v_now + interval '5 minutes'
    from due as d where c.org_id = d.org_id and c.id = d.id
    returning c.*
  )
  select coalesce(jsonb_agg(jsonb_build_object(
    'orgId', t.org_id, 'calendarId', t.id, 'fetchId', t.fetch_id, 'address', t.address,
    'etag', case when t.loaded_at > v_now - interval '12 hours' then t.etag end,
    'timezone', o.timezone, 'from', lower(w.span), 'until', upper(w.span))), '[]')
  into v_calendars
  from taken as t
  join public.organizations as o on o.id = t.org_id
  cross join lateral (select private.busy_window(t.org_id, v_now) as span) as w;
  return jsonb_build_object('outcome', 'found', 'calendars', v_calendars);
exception when lock_not_available or deadlock_detected then
  return '{"outcome": "busy"}';
end
$$;
comment on function public.take_busy_calendars is 'Doctors'' own calendars that are to be read now.';

/*
 * The live bookings to come that absences of a calendar overlap. These do not overlap each other, so for
 * each booking only the first one that ends after its start is looked at.
 */
create function private.find_overlapped(
  p_org uuid, p_calendar uuid, p_provider uuid, p_now timestamptz
) returns uuid[]
language plpgsql volatile set search_path = ''
as $$
begin
  return array(
    select a.id
    from public.appointments as a
    cross join lateral (
      select t.span from public.time_off as t
      where t.org_id = p_org and t.provider_id = p_provider and t.calendar_id = p_calendar
        and coalesce(upper(t.span), 'infinity') > a.starts_at
      order by coalesce(upper(t.span), 'infinity') limit 1) as n
    where a.org_id = p_org and a.provider_id = p_provider
      -- No appointment is longer than a day.
      and a.starts_at > p_now - interval '2 days' and a.ends_at > p_now
      and private.is_live(a, p_now) and lower(n.span) < a.ends_at);
end
$$;
comment on function private.find_overlapped is
  'Bookings to come that the busy times of a doctor''s own calendar overlap.';

/*
 * Makes the absences of a calendar these ones, and says how many rows came and went. Both sides can have
 * thousands, so they are compared as sets.
 */
create function private.replace_absences(
  p_org uuid, p_calendar uuid, p_provider uuid, p_spans tstzrange[], out added integer,
  out removed integer
)
-- Before its first rows are counted, the planner would compare each with each.
language plpgsql volatile set search_path = '' set enable_nestloop = off
as $$
begin
  delete from public.time_off as t
  where t.org_id = p_org and t.calendar_id = p_calendar and t.span in (
    select h.span from public.time_off as h where h.org_id = p_org and h.calendar_id = p_calendar
    except select unnest(p_spans));
  get diagnostics removed = row_count;
  insert into public.time_off (org_id, provider_id, calendar_id, span)
  select p_org, p_provider, p_calendar, n.span
  from (
    select unnest(p_spans) as span
    except
    select h.span from public.time_off as h where h.org_id = p_org and h.calendar_id = p_calendar
  ) as n;
  get diagnostics added = row_count;
end
$$;
comment on function private.replace_absences is
  'Makes the absences that come from a calendar these ones; others are not touched.';

/*
 * Entry function of the function busy-times: a calendar was read.
 *
 * p_fetch   the reading, as take_busy_calendars named it
 * p_spans   [[from, until]], instants that do not overlap; null if nothing has changed
 * Outcomes  replaced (added, removed, overlaps: bookings that were not overlapped before; alarm if there
 *           are any), unchanged, superseded (by a later reading or another address), busy
 */
create function public.replace_busy_times(
  p_org uuid, p_calendar uuid, p_fetch uuid, p_etag text, p_spans jsonb
) returns jsonb
language plpgsql volatile security definer set search_path = '' set lock_timeout = '1500ms'
  set jit = off
as $$
declare
  v_now timestamptz;
  v_provider uuid;
  v_calendar public.busy_calendars;
  v_before uuid[];
  v_rows record;
  v_new integer;
begin
  perform private.require_read_committed();
  select c.provider_id into v_provider from public.busy_calendars as c
  where c.org_id = p_org and c.id = p_calendar;
  if v_provider is null then
    return '{"outcome": "superseded"}';
  end if;
  -- Before any row: nobody books meanwhile, and every booking before is seen.
  perform private.lock_provider(p_org, v_provider, p_wait => true);
  select c.* into v_calendar from public.busy_calendars as c
  where c.org_id = p_org and c.id = p_calendar for no key update;
  if v_calendar.fetch_id is distinct from p_fetch then
    return '{"outcome": "superseded"}';
  end if;
  v_now := clock_timestamp();
  update public.busy_calendars as c
  set fetch_id = null, read_at = v_now, failures = 0, failed_at = null, failure = null,
    etag = case when p_spans is null then c.etag else p_etag end,
    loaded_at = case when p_spans is null then c.loaded_at else v_now end
  where c.org_id = p_org and c.id = p_calendar;
  if p_spans is null then
    return jsonb_build_object('outcome', 'unchanged', 'orgId', p_org);
  end if;
  v_before := private.find_overlapped(p_org, p_calendar, v_provider, v_now);
  v_rows := private.replace_absences(p_org, p_calendar, v_provider, array(
    select tstzrange((s.span ->> 0)::timestamptz, (s.span ->> 1)::timestamptz)
    from jsonb_array_elements(p_spans) as s (span)));
  select count(*) into v_new
  from unnest(private.find_overlapped(p_org, p_calendar, v_provider, v_now)) as o (id)
  where o.id <> all (v_before);
  if v_rows.added + v_rows.removed > 0 then
    perform private.audit(p_org, null, 'import_busy_times', v_provider, 'replaced',
      jsonb_build_object('added', v_rows.added, 'removed', v_rows.removed, 'overlaps', v_new));
  end if;
  if v_new > 0 then
    perform private.raise_alarm(p_org, 'calendar_overlap', v_new, v_now, v_now);
  end if;
  return jsonb_strip_nulls(jsonb_build_object(
    'outcome', 'replaced', 'orgId', p_org, 'added', v_rows.added, 'removed', v_rows.removed,
    'overlaps', v_new, 'alarm', case when v_new > 0 then 'calendar_overlap' end));
exception when lock_not_available or deadlock_detected then
  return '{"outcome": "busy"}';
end
$$;
comment on function public.replace_busy_times is
  'Replaces the absences that come from a doctor''s own calendar, in one transaction.';

/*
 * Entry function of the function busy-times: a calendar could not be read. The absences stay.
 *
 * p_reason  a word
 * Outcomes  noted (failures, alarm after the third), superseded, busy
 */
create function public.miss_busy_times(p_org uuid, p_calendar uuid, p_fetch uuid, p_reason text)
returns jsonb
language plpgsql volatile security definer set search_path = '' set lock_timeout = '1500ms'
as $$
declare
  v_now constant timestamptz := clock_timestamp();
  v_calendar public.busy_calendars;
  v_is_alarm boolean;
begin
  update public.busy_calendars as c
  set fetch_id = null, failures = c.failures + 1, failed_at = coalesce(c.failed_at, v_now), failure = p_reason,
    due_at = v_now + interval '5 minutes' * power(2, least(c.failures, 4))
  where c.org_id = p_org and c.id = p_calendar and c.fetch_id = p_fetch
  returning c.* into v_calendar;
  if v_calendar.id is null then
    return '{"outcome": "superseded"}';
  end if;
  v_is_alarm := v_calendar.failures = 3;
  if v_is_alarm then
    perform private.raise_alarm(
      p_org, 'calendar_unread', v_calendar.failures, v_calendar.failed_at, v_now);
  end if;
  return jsonb_strip_nulls(jsonb_build_object(
    'outcome', 'noted', 'orgId', p_org, 'failures', v_calendar.failures,
    'alarm', case when v_is_alarm then 'calendar_unread' end));
exception when lock_not_available or deadlock_detected then
  return '{"outcome": "busy"}';
end
$$;
comment on function public.miss_busy_times is
  'Notes that a doctor''s own calendar could not be read; the third time in a row raises an alarm.';

/*
 * Entry function of pg_cron's job: asks for the calendars that are due. Returns whether a function was
 * asked.
 */
create function public.request_busy_times() returns boolean
language plpgsql volatile security definer set search_path = ''
as $$
begin
  return exists (select from public.busy_calendars as c where c.due_at <= clock_timestamp())
    and private.ask_function('busy-times');
end
$$;
comment on function public.request_busy_times is
  'Asks the function busy-times to read the doctors'' own calendars that are due; pg_cron calls it every minute.';

revoke execute on function
  public.list_calendars, public.request_busy_times, public.set_busy_calendar, public.take_busy_calendars, public.replace_busy_times,
  public.miss_busy_times
  from public, anon, authenticated, service_role;
grant execute on function
  public.take_busy_calendars, public.replace_busy_times, public.miss_busy_times
  to service_role;
