/*
 * Availability: every start at which a service can be booked, and a few of them as an answer that a
 * voice agent can say.
 *
 * Decisions
 * - Starts are computed from sets of times, instead of testing each candidate.
 * - private.find_starts() defines what can be booked. private.find_free() does the same for one start,
 *   so a claim accepts exactly what was offered.
 * - The hours of day D, the overnight shift of D-1 and the hours of D+1 (a visit may run past
 *   midnight) are merged; starts stay within day D. The grid begins where the merged hours begin and
 *   counts elapsed minutes.
 * - A live appointment rules out the starts of the open interval (busy start - duration - buffer after,
 *   busy end + buffer before). An expired hold rules out nothing, cleaned up or not.
 * - A slotId is readable and stateless ("consultation/2026-03-03T14:30"): a language model copies it
 *   reliably, and the claim checks it again.
 */

/*
 * The hours of a part of the day: am, pm, morning (from 6:00, when people are up), afternoon (to 17:00),
 * evening (from 17:00) or night (from 21:00, and before 6:00). Null is any.
 */
create function private.hours_of_part(p_part text) returns int4multirange
language sql immutable
return case p_part
  when 'am' then int4multirange '{[0,12)}'
  when 'pm' then int4multirange '{[12,24)}'
  when 'morning' then int4multirange '{[6,12)}'
  when 'afternoon' then int4multirange '{[12,17)}'
  when 'evening' then int4multirange '{[17,24)}'
  when 'night' then int4multirange '{[0,6),[21,24)}'
  else int4multirange '{[0,24)}' end;
comment on function private.hours_of_part is
  'The hours of the clock that belong to a part of the day; null is the whole day.';

/*
 * The free seats of a group session that may begin at a start. A function of its own, because the query of
 * find_starts() would otherwise prepare to read the sessions of a service that has none.
 */
create function private.seats_left(
  p_org uuid, p_service public.services, p_provider uuid, p_start timestamptz, p_call_id text,
  p_at timestamptz, p_moves uuid
) returns integer
language plpgsql stable set search_path = ''
as $$
begin
  return p_service.capacity - (
    select count(*)::integer
    from public.appointments as a
    where a.org_id = p_org and a.provider_id = p_provider and a.service_id = p_service.id
      and a.starts_at = p_start and private.blocks(a, p_call_id, p_moves, p_at));
end
$$;
comment on function private.seats_left is 'How many seats of a group session are free.';

/*
 * Works one day at a time, so that what all providers have in common is computed once a day. Longer
 * than other functions, because it is the hot path: one query a day does everything, while
 * separate functions for its steps would be planned and run separately. Its steps have few rows, which
 * the planner cannot know: a cache for repeated ones would cost more than it saves.
 */
create function private.find_starts(
  p_org uuid, p_service uuid, p_provider uuid, p_first date, p_last date,
  p_call_id text, p_at timestamptz, p_moves uuid default null, p_part text default null
) returns table (starts_at timestamptz, provider_id uuid, seats_left integer)
language plpgsql stable set search_path = '' set jit = off set plan_cache_mode = force_generic_plan
  set enable_memoize = off
as $$
declare
  v_org public.organizations;
  v_zone text;
  v_service public.services;
  v_duration interval;
  v_before interval;
  v_after interval;
  v_step interval;
  v_opens timestamptz;
  v_hours constant int4multirange := private.hours_of_part(p_part);
  v_first date;
  v_last date;
  v_day date;
  v_earliest timestamptz;
  v_latest timestamptz;
  v_reach tstzrange;
begin
  select o.* into strict v_org from public.organizations as o where o.id = p_org;
  v_zone := v_org.timezone;
  select s.* into strict v_service
  from public.services as s where s.org_id = p_org and s.id = p_service;
  v_duration := make_interval(mins => v_service.duration_min);
  v_before := make_interval(mins => v_service.buffer_before_min);
  v_after := make_interval(mins => v_service.buffer_after_min);
  v_step := make_interval(mins => v_service.step_min);
  v_opens := p_at + make_interval(mins => v_service.notice_min);
  v_first := greatest(p_first, (v_opens at time zone v_zone)::date);
  v_last := least(p_last, (p_at at time zone v_zone)::date + v_service.horizon_days);

  for v_n in 0 .. v_last - v_first loop
    v_day := v_first + v_n;
    v_earliest := greatest(v_opens,
      private.wall(v_day + make_interval(hours => lower(v_hours)), v_zone, false));
    v_latest := private.wall((v_day + 1)::timestamp, v_zone, false);
    if upper(v_hours) < 24 then
      v_latest := least(v_latest,
        private.wall(v_day + make_interval(hours => upper(v_hours)), v_zone, true));
    end if;
    -- A zone may skip a day.
    continue when v_earliest >= v_latest;
    v_reach := tstzrange(v_earliest - v_before, v_latest + v_duration + v_after);

    return query
    select g.starts_at, w.provider_id, l.seats
    from private.find_hours(v_org, p_service, p_provider, v_day) as w
    cross join lateral (
      -- The starts that appointments and time off make impossible. A row of the same group session does
      -- not rule out its own start, since others may join while there are seats.
      select coalesce(range_agg(x.impossible), '{}') as impossible
      from (
        select tstzmultirange(tstzrange(
            lower(a.busy) - v_duration - v_after, upper(a.busy) + v_before, '()'))
          - case when v_service.capacity > 1 and a.service_id = p_service
              then tstzmultirange(tstzrange(a.starts_at, a.starts_at, '[]'))
              else '{}' end as impossible
        from public.appointments as a
        where a.org_id = p_org and a.provider_id = w.provider_id
          and private.overlaps(a.busy, v_reach) and private.blocks(a, p_call_id, p_moves, p_at)
        union all
        select tstzmultirange(tstzrange(lower(t.span) - v_duration, upper(t.span),
          case when upper_inc(t.span) then '(]' else '()' end))
        from public.time_off as t
        where t.org_id = p_org and t.provider_id = w.provider_id
          and coalesce(upper(t.span), 'infinity') >= v_earliest
          and t.span && tstzrange(v_earliest, v_latest + v_duration)
      ) as x
    ) as b
    cross join lateral unnest(w.open) as whole (span)
    cross join lateral unnest(
      case when upper(whole.span) - v_duration >= lower(whole.span)
        then tstzmultirange(
            tstzrange(lower(whole.span), upper(whole.span) - v_duration, '[]')
            * tstzrange(v_earliest, v_latest)) - b.impossible
      end) as piece (span)
    cross join lateral generate_series(
      -- The first point of the grid inside the piece.
      date_bin(v_step, lower(piece.span) + v_step - interval '1 microsecond', lower(whole.span)),
      upper(piece.span), v_step) as g (starts_at)
    cross join lateral (
      select case when v_service.capacity = 1 then 1 else private.seats_left(
        p_org, v_service, w.provider_id, g.starts_at, p_call_id, p_at, p_moves) end as seats
    ) as l
    where g.starts_at <@ piece.span and l.seats > 0
      -- The night begins and ends the day, and an hour that is repeated may be in two parts.
      and (p_part is null
        or v_hours @> extract(hour from g.starts_at at time zone v_zone)::integer);
  end loop;
end
$$;
comment on function private.find_starts is
  'Every bookable start of a service in a part of the local days first to last, per provider, with seats left; the call''s own holds and the appointment p_moves do not block.';

/* What find_free() says without looking at appointments. */
create function private.find_open(
  p_org public.organizations, p_service public.services, p_provider uuid, p_start timestamptz,
  p_at timestamptz
) returns setof uuid
language plpgsql stable set search_path = ''
as $$
declare
  v_zone constant text := p_org.timezone;
  v_day constant date := p_start at time zone v_zone;
  v_end constant timestamptz := p_start + make_interval(mins => p_service.duration_min);
begin
  if p_start < p_at + make_interval(mins => p_service.notice_min)
    or v_day > (p_at at time zone v_zone)::date + p_service.horizon_days then
    return;
  end if;
  return query
  select w.provider_id
  from private.find_hours(p_org, p_service.id, p_provider, v_day) as w
  where w.open @> tstzrange(p_start, v_end)
    -- The grid begins where the closed time before the start ends.
    and p_start = date_bin(make_interval(mins => p_service.step_min), p_start,
      upper(('{(,)}'::tstzmultirange - w.open) * tstzmultirange(tstzrange(null, p_start))))
    and not exists (
      select from public.time_off as t
      where t.org_id = p_org.id and t.provider_id = w.provider_id
        and coalesce(upper(t.span), 'infinity') >= p_start and t.span && tstzrange(p_start, v_end));
end
$$;
comment on function private.find_open is
  'The providers who work when a service is to begin, whether or not somebody else has the time.';

/*
 * What find_starts() would offer for this start, without reading the rest of the day. A test compares
 * both with the same oracle.
 */
create function private.find_free(
  p_org public.organizations, p_service public.services, p_provider uuid, p_start timestamptz,
  p_call_id text, p_at timestamptz, p_moves uuid default null
) returns setof uuid
language plpgsql stable set search_path = ''
as $$
declare
  v_busy constant tstzrange := private.busy_time(p_service, p_start);
begin
  return query
  select w.provider_id
  from private.find_open(p_org, p_service, p_provider, p_start, p_at) as w (provider_id)
  where (
    select count(*) = 0 or count(*) < p_service.capacity
      and bool_and(a.service_id = p_service.id and a.starts_at = p_start)
    from public.appointments as a
    where a.org_id = p_org.id and a.provider_id = w.provider_id
      and private.overlaps(a.busy, v_busy) and private.blocks(a, p_call_id, p_moves, p_at));
end
$$;
comment on function private.find_free is
  'The providers with whom a service can begin at one instant; find_starts() for a single start.';

/* A time outside the hours, off the grid, too soon or too far ahead could never be booked. */
create function private.is_taken(
  p_org uuid, p_service public.services, p_provider uuid, p_start timestamptz, p_call_id text,
  p_at timestamptz, p_moves uuid
) returns boolean
language plpgsql stable set search_path = ''
as $$
declare
  v_time constant tstzrange :=
    tstzrange(p_start, p_start + make_interval(mins => p_service.duration_min));
begin
  return exists (
    select from public.provider_services as ps
    join public.appointments as a on a.org_id = p_org and a.provider_id = ps.provider_id
    where ps.org_id = p_org and ps.service_id = p_service.id
      and (p_provider is null or ps.provider_id = p_provider)
      and private.overlaps(a.busy, v_time) and private.blocks(a, p_call_id, p_moves, p_at));
end
$$;
comment on function private.is_taken is
  'Whether somebody else has a time that is not free; otherwise it was never bookable.';

/* p_local_start is private.iso_local() of the start. */
create function private.name_slot(
  p_service_slug text, p_local_start text, p_zone text, p_provider_slug text
) returns text
language plpgsql stable set search_path = ''
as $$
declare
  v_local constant timestamp := left(p_local_start, 19);
begin
  return p_service_slug || '/' || left(p_local_start, 16)
    || case when private.steady_offset(v_local::date, p_zone) is null
        and private.wall(v_local, p_zone, false) <> private.wall(v_local, p_zone, true)
         then right(p_local_start, 6) else '' end
    || coalesce('/' || p_provider_slug, '');
end
$$;
comment on function private.name_slot is
  'Readable id of a slot: service/local start, the offset in a repeated hour, and /provider if one is given.';

create function private.slot_id(
  p_service_slug text, p_start timestamptz, p_zone text, p_provider_slug text
) returns text
language sql stable
return private.name_slot(
  p_service_slug, private.iso_local(p_start, p_zone), p_zone, p_provider_slug);
comment on function private.slot_id is 'private.name_slot() of an instant.';

create function private.describe_slot(
  p_zone text, p_service public.services, p_provider_slug text, p_start timestamptz, p_doctors bigint
) returns jsonb
language plpgsql stable set search_path = ''
as $$
declare
  v_local_start constant text := private.iso_local(p_start, p_zone);
begin
  return jsonb_build_object(
    'slotId', private.name_slot(p_service.slug, v_local_start, p_zone, p_provider_slug),
    'startTime', v_local_start,
    'endTime', private.iso_local(p_start + make_interval(mins => p_service.duration_min), p_zone),
    'availableDoctors', p_doctors);
end
$$;
comment on function private.describe_slot is 'A bookable slot as JSON.';

/* Reads service/local start[offset][/provider] as check_availability wrote it; otherwise all are null. */
create function private.parse_slot_id(
  p_slot_id text, p_zone text, out service_slug text, out starts_at timestamptz,
  out provider_slug text
)
language plpgsql stable set search_path = ''
as $$
declare
  v_when constant text := lower(split_part(btrim(p_slot_id), '/', 2));
  v_offset constant text := regexp_replace(substr(v_when, 17), '^:00(\.0+)?', '');
  v_local timestamp;
begin
  v_local := left(v_when, 16);
  if v_offset = '' then
    starts_at := private.wall(v_local, p_zone, false);
  elsif v_offset ~ '^(z|[+-][0-9]{2}:[0-9]{2})$' then
    starts_at := left(v_when, 16) || v_offset;
  end if;
  -- A different spelling, a time in a gap, or an offset that the clinic does not use then, is not a slot.
  if replace(left(v_when, 16), ' ', 't') <> to_char(v_local, 'YYYY-MM-DD"t"HH24:MI')
    or starts_at at time zone p_zone <> v_local then
    starts_at := null;
    return;
  end if;
  service_slug := lower(split_part(btrim(p_slot_id), '/', 1));
  provider_slug := nullif(lower(split_part(btrim(p_slot_id), '/', 3)), '');
exception when data_exception then
  -- Not a time, or a date such as 31 April.
  return;
end
$$;
comment on function private.parse_slot_id is 'The parts of a slotId, or nulls if it is not one.';

/*
 * The day that was said, relative to the clinic's today; null if it cannot be read, or if it is not the
 * weekday that was said with it.
 *
 * p_said  "2026-12-01" or one of {date}, {instant} with an offset, {daysAhead}, {dayOfMonth, month?,
 *         year?} (the next such day if the year or the month is missing), {dayOfMonth, monthsAhead},
 *         {parts: [12, 1], year?} (day and month in the clinic's order: the month first in the United
 *         States), each also with weekday (0 is Sunday); or {weekday, next, weeks?}: the coming one, or
 *         the one of the next calendar week, and so many weeks later
 * p_last  the last day on which a weekday and a day of any month are looked for
 */
create function private.resolve_day(
  p_org public.organizations, p_said jsonb, p_today date, p_last date default 'infinity'
) returns date
language plpgsql stable set search_path = ''
as $$
declare
  v_weekday constant integer := (p_said ->> 'weekday')::integer;
  v_month_first constant boolean := p_org.default_country = 'US';
  v_day constant integer := coalesce((p_said ->> 'dayOfMonth')::integer,
    (p_said -> 'parts' ->> case when v_month_first then 1 else 0 end)::integer);
  v_month constant integer := coalesce((p_said ->> 'month')::integer,
    (p_said -> 'parts' ->> case when v_month_first then 0 else 1 end)::integer);
  v_year constant integer := (p_said ->> 'year')::integer;
  v_ahead constant date := date_trunc('month', p_today)
    + make_interval(months => (p_said ->> 'monthsAhead')::integer);
  v_date date;
begin
  if p_said ? 'next' then
    -- Weeks begin on Monday, so that Sunday's "next Tuesday" is in two days.
    return case when (p_said ->> 'next')::boolean
      then date_trunc('week', p_today)::date + 7 + (v_weekday + 6) % 7
      else p_today + (v_weekday - extract(dow from p_today)::integer + 7) % 7 end
      + 7 * coalesce((p_said ->> 'weeks')::integer, 0);
  end if;
  v_date := case
    when jsonb_typeof(p_said) = 'string' then (p_said #>> '{}')::date
    when p_said ? 'date' then (p_said ->> 'date')::date
    when p_said ? 'instant'
      then ((p_said ->> 'instant')::timestamptz at time zone p_org.timezone)::date
    when p_said ? 'daysAhead' then p_today + (p_said ->> 'daysAhead')::integer
    when v_ahead is not null then make_date(extract(year from v_ahead)::integer,
      extract(month from v_ahead)::integer, v_day)
    when v_year is not null then make_date(v_year, v_month, v_day)
    -- 29 February may be years ahead.
    when v_day is not null then (
      select min(d.day)::date
      from generate_series(p_today, p_today + 3000, interval '1 day') as d (day)
      where extract(day from d.day) = v_day
        and (v_month is null or extract(month from d.day) = v_month)
        and (v_weekday is null or d.day <= p_last and extract(dow from d.day) = v_weekday))
    end;
  return case when extract(dow from v_date) = coalesce(v_weekday, extract(dow from v_date))
    then v_date end;
exception when data_exception then
  return null;
end
$$;
comment on function private.resolve_day is 'The clinic-local day that was said, or null.';

/* {contradiction: {date, weekday}} if it only cannot be read because that date is another weekday. */
create function private.describe_unclear_day(
  p_org public.organizations, p_said jsonb, p_today date
) returns jsonb
language plpgsql stable set search_path = ''
as $$
declare
  v_date constant date := private.resolve_day(p_org, p_said - 'weekday', p_today);
begin
  return '{"outcome": "date_unclear"}'::jsonb || case when p_said ? 'weekday' and v_date is not null
    then jsonb_build_object('contradiction',
      jsonb_build_object('date', v_date, 'weekday', p_said -> 'weekday'))
    else '{}' end;
end
$$;
comment on function private.describe_unclear_day is 'Why a day that was said is not one.';

/*
 * Whether something starts at the time of day that was said.
 *
 * p_said  {times: ["02:30", "14:30"], offset?}: any of these, on clocks with that offset or else the
 *         clinic's; or {instant} with an offset; null is any time
 */
create function private.is_said_time(p_at timestamptz, p_zone text, p_said jsonb) returns boolean
language plpgsql stable set search_path = ''
as $$
declare
  v_local constant timestamp := case when p_said ? 'offset'
    then p_at at time zone (p_said ->> 'offset')::interval else p_at at time zone p_zone end;
begin
  return case when p_said is null then true
    when p_said ? 'instant' then p_at = (p_said ->> 'instant')::timestamptz
    else p_said -> 'times' ? to_char(v_local, 'HH24:MI') end;
end
$$;
comment on function private.is_said_time is 'Whether a start fits the time of day that was said.';

/*
 * A few slots for the agent to say, spread over all bookable ones, and the number of all.
 * p_part is as in private.hours_of_part().
 */
create function private.offer(
  p_org public.organizations, p_service public.services, p_provider public.providers,
  p_first date, p_last date, p_part text, p_call_id text, p_at timestamptz, p_few integer
) returns jsonb
language plpgsql stable set search_path = ''
as $$
declare
  v_starts timestamptz[];
  v_doctors bigint[];
  v_seats bigint[];
  v_total integer;
  v_n integer;
  v_slots jsonb := '[]';
begin
  select array_agg(s.starts_at), array_agg(s.doctors), array_agg(s.seats)
  into v_starts, v_doctors, v_seats
  from (
    select f.starts_at, count(*) as doctors, sum(f.seats_left) as seats
    from private.find_starts(
      p_org.id, p_service.id, p_provider.id, p_first, p_last, p_call_id, p_at, null, p_part) as f
    group by f.starts_at
    order by f.starts_at
  ) as s;
  v_total := coalesce(cardinality(v_starts), 0);
  for v_few in 0 .. least(v_total, p_few) - 1 loop
    v_n := 1 + case when v_total <= p_few then v_few
      else round(v_few * (v_total - 1) / (p_few - 1)::numeric) end;
    v_slots := v_slots || (private.describe_slot(
        p_org.timezone, p_service, p_provider.slug, v_starts[v_n], v_doctors[v_n])
      || case when p_service.capacity > 1 then jsonb_build_object('seatsLeft', v_seats[v_n])
        else '{}' end);
  end loop;
  return jsonb_build_object('total', v_total, 'slots', v_slots);
end
$$;
comment on function private.offer is 'A few bookable slots as JSON, spread over the days, and their total.';

/*
 * The nearest ones: on the same day, else in the week after it, whose days are read one by one until
 * there are enough.
 *
 * p_old  the hold that one of them would replace, or nulls: what its call holds for other patients stays
 */
create function private.alternatives(
  p_org public.organizations, p_service public.services, p_provider public.providers,
  p_start timestamptz, p_old public.appointments, p_moves uuid
) returns jsonb
language plpgsql volatile set search_path = ''
as $$
declare
  v_now constant timestamptz := clock_timestamp();
  v_others constant public.appointments[] := array(
    select a from public.appointments as a
    where a.org_id = p_org.id and a.call_id = p_old.call_id and a.id <> p_old.id);
  v_day constant date := (p_start at time zone p_org.timezone)::date;
  v_slots jsonb := '[]';
  v_few constant integer := 3;
begin
  for v_ahead in 0 .. 7 loop
    exit when jsonb_array_length(v_slots) >= case v_ahead when 1 then 1 else v_few end;
    select v_slots || coalesce(jsonb_agg(private.describe_slot(
      p_org.timezone, p_service, p_provider.slug, n.starts_at, n.doctors) order by n.starts_at), '[]')
    into v_slots
    from (
      select f.starts_at, count(*) as doctors
      from private.find_starts(p_org.id, p_service.id, p_provider.id,
        v_day + v_ahead, v_day + v_ahead, p_old.call_id, v_now, p_moves) as f
      where f.starts_at <> p_start and not exists (
        select from unnest(v_others) as o
        where o.provider_id = f.provider_id and private.blocks(o, null, p_moves, v_now)
          and private.overlaps(o.busy, private.busy_time(p_service, f.starts_at))
          -- A class can have a seat left.
          and (p_service.capacity = 1
            or o.session_key <> private.session_key(p_service.id, f.starts_at)))
      group by f.starts_at
      order by abs(extract(epoch from f.starts_at - p_start)), f.starts_at
      limit v_few - jsonb_array_length(v_slots)
    ) as n;
  end loop;
  return jsonb_build_object('slots', v_slots);
end
$$;
comment on function private.alternatives is 'Up to three bookable starts near one that cannot be had.';

/*
 * Nothing is free as requested. If the caller asked for a part of the day, other times of the same days
 * come first; then the next four weeks, a week at a time.
 */
create function private.offer_nearest(
  p_org public.organizations, p_service public.services, p_provider public.providers,
  p_first date, p_last date, p_horizon date, p_part text, p_call_id text, p_at timestamptz
) returns jsonb
language plpgsql stable set search_path = ''
as $$
declare
  v_today constant date := p_at at time zone p_org.timezone;
  v_week date := p_last + 1;
  v_offer jsonb := '{"total": 0, "slots": []}';
begin
  if p_part is not null then
    v_offer := private.offer(p_org, p_service, p_provider, greatest(p_first, v_today),
      least(p_last, p_horizon), null, p_call_id, p_at, 3);
  end if;
  while (v_offer ->> 'total')::integer = 0 and v_week <= least(p_horizon, p_last + 28) loop
    v_offer := private.offer(p_org, p_service, p_provider, greatest(v_week, v_today),
      least(v_week + 6, p_horizon), p_part, p_call_id, p_at, 3);
    v_week := v_week + 7;
  end loop;
  return v_offer;
end
$$;
comment on function private.offer_nearest is
  'A few bookable slots near days on which nothing is free, or none within four weeks.';

/*
 * Entry function of the tool check_availability.
 *
 * p_call    the authenticated envelope: calledNumber, phoneNumberId, assistantId, callId,
 *           toolCallId, callerNumber, claims {tenantId, inboundPhoneNumber}
 * p_day     the first day as it was said, see private.resolve_day()
 * p_provider  a doctor's name or slug; several, any of which will do, are separated by |
 * Outcomes  available, fully_booked (with slots of later days), date_unclear (contradiction: the date
 *           that was said, if it is not the weekday that was said), past_date, beyond_horizon, unknown_service, unknown_provider, which_provider (several of
 *           that name), unknown_clinic, cross_tenant_denied
 * Only writes the audit row of a refused call that named another clinic; a rollback is harmless.
 */
create function public.check_availability(
  p_call jsonb, p_service text, p_day jsonb, p_days integer default 1,
  p_part_of_day text default null, p_provider text default null
) returns jsonb
language plpgsql volatile security definer set search_path = ''
  set jit = off set plan_cache_mode = force_generic_plan
as $$
declare
  v_now constant timestamptz := clock_timestamp();
  v_call_id constant text := p_call ->> 'callId';
  v_first date;
  v_end date;
  v_opened record;
  v_org public.organizations;
  v_service public.services;
  v_provider public.providers;
  v_found public.providers[];
  v_today date;
  v_last date;
  v_offer jsonb;
  v_facts jsonb;
begin
  v_opened := private.open_call(p_call, 'check_availability');
  if v_opened.refusal is not null then
    return v_opened.refusal;
  end if;
  v_org := v_opened.org;
  v_today := (v_now at time zone v_org.timezone)::date;
  v_facts := private.answer(
    v_org, jsonb_build_object('timezone', v_org.timezone, 'today', v_today));

  v_service := private.find_service(v_org.id, p_service);
  if v_service.id is null then
    return v_facts || jsonb_build_object('outcome', 'unknown_service', 'services', (
      select coalesce(jsonb_agg(s.name order by s.name), '[]')
      from public.services as s where s.org_id = v_org.id and s.active));
  end if;

  if p_provider is not null then
    v_found := array(
      select distinct p from string_to_table(p_provider, '|') as n
      cross join lateral private.find_providers(v_org.id, n) as p
      where exists (
        select from public.provider_services as ps
        where ps.org_id = v_org.id and ps.provider_id = p.id and ps.service_id = v_service.id));
    if cardinality(v_found) = 0 then
      return v_facts || jsonb_build_object('outcome', 'unknown_provider', 'providers', (
        select coalesce(jsonb_agg(p.name order by p.name), '[]')
        from public.providers as p
        join public.provider_services as ps on ps.org_id = p.org_id and ps.provider_id = p.id
        where p.org_id = v_org.id and p.active and ps.service_id = v_service.id));
    elsif cardinality(v_found) > 1 then
      return v_facts || jsonb_build_object('outcome', 'which_provider', 'providers', (
        select jsonb_agg(p.name order by p.name) from unnest(v_found) as p));
    end if;
    v_provider := v_found[1];
  end if;

  v_last := v_today + v_service.horizon_days;
  v_facts := v_facts || jsonb_build_object('service', v_service.name);
  v_first := private.resolve_day(v_org, p_day, v_today, v_last);
  if v_first is null then
    return v_facts || private.describe_unclear_day(v_org, p_day, v_today);
  elsif v_first > v_last then
    return v_facts || jsonb_build_object('outcome', 'beyond_horizon', 'lastDay', v_last);
  end if;
  v_end := v_first + least(greatest(coalesce(p_days, 1), 1), 14) - 1;
  if v_end < v_today then
    return v_facts || jsonb_build_object('outcome', 'past_date');
  end if;
  v_facts := v_facts || jsonb_build_object('day', v_first);

  v_offer := private.offer(v_org, v_service, v_provider, greatest(v_first, v_today),
    least(v_end, v_last), p_part_of_day, v_call_id, v_now, 5);
  if (v_offer ->> 'total')::integer > 0 then
    return v_facts || v_offer || '{"outcome": "available"}';
  end if;
  return v_facts || '{"outcome": "fully_booked"}' || private.offer_nearest(v_org, v_service,
    v_provider, v_first, v_end, v_last, p_part_of_day, v_call_id, v_now);
end
$$;
comment on function public.check_availability is
  'Tool check_availability: bookable slots of a service on one to fourteen local days.';

revoke execute on function public.check_availability from public, anon, authenticated;
grant execute on function public.check_availability to service_role;
