/*
 * Schedule: who works when, what can be booked, and how callers name providers and services.
 *
 * Decisions
 * - Working hours are minutes from the clinic's local midnight, so nine o'clock stays nine o'clock
 *   when the clocks change. end_min may exceed 1440: an overnight shift belongs to the day on which it
 *   starts.
 * - An override replaces a whole local day; null minutes mean closed. A closing day of the clinic
 *   closes it for everybody, overrides included.
 * - Exclusion constraints refuse overlapping hours. An overnight shift may overlap the hours of the
 *   next day: the two are merged.
 * - An impossible schedule is refused when it is written. Check constraints raise an error with the
 *   row and the reason. The message of an exclusion constraint has its name and both rows, so the
 *   constraints on hours are named after what they require. They must stay constraints, because only
 *   a constraint holds between concurrent writers and supports "on conflict do nothing".
 * - The where clauses of these constraints are true for every row but match no query. Without them the
 *   planner would look hours up in the constraints' indexes, at five times the cost of the B-trees.
 */

create table public.providers (
  org_id uuid not null references public.organizations (id) on delete cascade,
  id uuid not null default gen_random_uuid(),
  slug text not null
    constraint providers_slug_readable check (slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$'),
  name text not null
    constraint providers_name_given check (length(btrim(name)) between 1 and 120),
  active boolean not null default true,
  primary key (org_id, id),
  constraint providers_slug_unique unique (org_id, slug)
);
comment on table public.providers is 'Doctors and practitioners whose time is booked.';

create table public.services (
  org_id uuid not null references public.organizations (id) on delete cascade,
  id uuid not null default gen_random_uuid(),
  slug text not null
    constraint services_slug_readable check (slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$'),
  name text not null
    constraint services_name_given check (length(btrim(name)) between 1 and 120),
  duration_min integer not null
    constraint services_duration_positive check (private.require(
      duration_min between 1 and 1440, 'service ' || slug,
      format('it lasts %s minutes, and 1 to 1440 are possible', duration_min))),
  step_min integer not null default 30
    constraint services_step_positive check (private.require(
      step_min between 1 and 1440, 'service ' || slug,
      format('its starts are %s minutes apart, and 1 to 1440 are possible', step_min))),
  buffer_before_min integer not null default 0
    constraint services_buffer_before_sane check (private.require(
      buffer_before_min between 0 and 1440, 'service ' || slug,
      format('its buffer before is %s minutes, and 0 to 1440 are possible', buffer_before_min))),
  buffer_after_min integer not null default 0
    constraint services_buffer_after_sane check (private.require(
      buffer_after_min between 0 and 1440, 'service ' || slug,
      format('its buffer after is %s minutes, and 0 to 1440 are possible', buffer_after_min))),
  notice_min integer not null default 60
    constraint services_notice_sane check (private.require(
      notice_min between 0 and 525600, 'service ' || slug,
      format('its notice is %s minutes, and 0 to 525600 (a year) are possible', notice_min))),
  horizon_days integer not null default 90
    constraint services_horizon_sane check (private.require(
      horizon_days between 0 and 730, 'service ' || slug,
      format('its horizon is %s days, and 0 to 730 are possible', horizon_days))),
  capacity integer not null default 1
    constraint services_capacity_sane check (private.require(
      capacity between 1 and 1000, 'service ' || slug,
      format('it has %s seats, and 1 to 1000 are possible', capacity))),
  active boolean not null default true,
  primary key (org_id, id),
  constraint services_slug_unique unique (org_id, slug)
);
comment on table public.services is
  'What can be booked: duration, grid, buffers, notice and horizon; capacity above 1 is a group session.';
comment on column public.services.step_min is
  'Grid of starts in elapsed minutes, anchored at the start of the opening window.';
comment on column public.services.notice_min is 'Earliest start, in minutes from now.';
comment on column public.services.horizon_days is 'Last bookable local day, in days from today.';

create table public.provider_services (
  org_id uuid not null,
  provider_id uuid not null,
  service_id uuid not null,
  primary key (org_id, provider_id, service_id),
  foreign key (org_id, provider_id) references public.providers (org_id, id) on delete cascade,
  foreign key (org_id, service_id) references public.services (org_id, id) on delete cascade
);
comment on table public.provider_services is 'Which provider offers which service.';
create index provider_services_service on public.provider_services (org_id, service_id);

create table public.working_hours (
  org_id uuid not null,
  id uuid not null default gen_random_uuid(),
  provider_id uuid not null,
  dow smallint not null
    constraint working_hours_dow_known check (private.require(dow between 0 and 6,
      format('hours of provider %s on weekday %s', provider_id, dow),
      'the weekdays are 0 (Sunday) to 6 (Saturday)')),
  start_min integer not null,
  end_min integer not null,
  valid daterange not null default '(,)'
    constraint working_hours_valid_some_day check (private.require(not isempty(valid),
      format('hours of provider %s on weekday %s', provider_id, dow), 'they are valid on no day')),
  primary key (org_id, id),
  foreign key (org_id, provider_id) references public.providers (org_id, id) on delete cascade,
  constraint working_hours_possible check (private.require_hours(
    format('hours of provider %s on weekday %s', provider_id, dow), start_min, end_min)),
  constraint "hours of one provider and weekday must not overlap" exclude using gist (
    org_id with =, provider_id with =, dow with =,
    int4range(start_min, end_min) with &&, valid with &&) where (start_min >= 0)
);
comment on table public.working_hours is
  'Weekly opening hours in local minutes from midnight; end_min above 1440 runs into the next day.';
comment on column public.working_hours.dow is 'Day of the week, 0 is Sunday (as extract(dow)).';
comment on column public.working_hours.valid is 'Local days on which the rule holds.';
create index working_hours_by_day on public.working_hours (org_id, provider_id, dow);

create table public.working_hours_overrides (
  org_id uuid not null,
  id uuid not null default gen_random_uuid(),
  provider_id uuid not null,
  day date not null,
  start_min integer,
  end_min integer,
  primary key (org_id, id),
  foreign key (org_id, provider_id) references public.providers (org_id, id) on delete cascade,
  constraint working_hours_overrides_both_or_none
    check (private.require((start_min is null) = (end_min is null),
      format('hours of provider %s on %s', provider_id, day),
      'give both minutes, or neither for a day that is closed')),
  constraint working_hours_overrides_possible check (private.require_hours(
    format('hours of provider %s on %s', provider_id, day), start_min, end_min)),
  -- "Closed" covers the whole range, so a day cannot be both closed and open.
  constraint "hours of one provider and day must not overlap" exclude using gist (
    org_id with =, provider_id with =, day with =,
    int4range(coalesce(start_min, 0), coalesce(end_min, 2880)) with &&)
    where (coalesce(start_min, 0) >= 0)
);
comment on table public.working_hours_overrides is
  'Replaces a provider''s hours for one local day; null minutes mean closed.';
create index working_hours_overrides_by_day
  on public.working_hours_overrides (org_id, provider_id, day);

create table public.time_off (
  org_id uuid not null,
  id uuid not null default gen_random_uuid(),
  provider_id uuid not null,
  span tstzrange not null
    constraint time_off_some_time check (private.require(
      not isempty(span), 'time off of provider ' || provider_id, 'it ends when it begins')),
  calendar_id uuid,
  primary key (org_id, id),
  foreign key (org_id, provider_id) references public.providers (org_id, id) on delete cascade
);
comment on table public.time_off is 'Holidays and absences of a provider.';
comment on column public.time_off.calendar_id is
  'The calendar of the provider''s own that the absence was read from; null if staff entered it.';
-- Lookups are for a future time, and few absences end after it.
create index time_off_by_end
  on public.time_off (org_id, provider_id, coalesce(upper(span), 'infinity'));

select private.protect('public.providers', 'viewer');
select private.protect('public.services', 'viewer');
select private.protect('public.provider_services', 'viewer');
select private.protect('public.working_hours', 'viewer');
select private.protect('public.working_hours_overrides', 'viewer');
select private.protect('public.time_off', 'viewer');

grant select on
  public.providers, public.services, public.provider_services, public.working_hours,
  public.working_hours_overrides, public.time_off
  to service_role;

/*
 * The hours of one provider, or of all who offer a service, around a local day: its own hours, the
 * overnight shift of the day before and the hours of the day after, merged where they touch. An
 * override replaces the hours of its day; on a closing day of the clinic no hours begin.
 */
create function private.find_hours(
  p_org public.organizations, p_service uuid, p_provider uuid, p_day date
) returns table (provider_id uuid, open tstzmultirange)
language plpgsql stable set search_path = ''
as $$
declare
  v_zone constant text := p_org.timezone;
  v_dow constant integer := extract(dow from p_day);
  v_days constant smallint[] := array[(v_dow + 6) % 7, v_dow, (v_dow + 1) % 7];
  -- Minutes count from midnight of the day before: the day itself begins at 1440.
  v_eve constant timestamp := p_day - 1;
  v_steady_eve constant timestamptz := v_eve at time zone private.steady_offset(p_day, v_zone);
begin
  return query
  select ps.provider_id, range_agg(tstzrange(h.opens, greatest(h.opens, h.closes)))
  from public.provider_services as ps
  join public.providers as p on p.org_id = p_org.id and p.id = ps.provider_id and p.active
  cross join lateral (
    select
      coalesce(v_steady_eve + r.opens * interval '1 minute',
        private.wall(v_eve + r.opens * interval '1 minute', v_zone, false)) as opens,
      coalesce(v_steady_eve + r.closes * interval '1 minute',
        private.wall(v_eve + r.closes * interval '1 minute', v_zone, true)) as closes
    from (
      select n.day * 1440 + w.start_min as opens, n.day * 1440 + w.end_min as closes
      from public.working_hours as w
      cross join lateral (select (w.dow + 8 - v_dow) % 7 as day) as n
      where w.org_id = p_org.id and w.provider_id = ps.provider_id
        and w.dow = any (v_days) and w.valid @> p_day - 1 + n.day
        and not p_org.closing_days @> p_day - 1 + n.day
        and not exists (
          select from public.working_hours_overrides as v
          where v.org_id = p_org.id and v.provider_id = w.provider_id and v.day = p_day - 1 + n.day)
      union all
      select (v.day - p_day + 1) * 1440 + v.start_min, (v.day - p_day + 1) * 1440 + v.end_min
      from public.working_hours_overrides as v
      where v.org_id = p_org.id and v.provider_id = ps.provider_id
        and v.day between p_day - 1 and p_day + 1 and v.start_min is not null
        and not p_org.closing_days @> v.day
    ) as r
    where r.closes > 1440
  ) as h
  where ps.org_id = p_org.id and ps.service_id = p_service
    and (p_provider is null or ps.provider_id = p_provider)
  group by ps.provider_id;
end
$$;
comment on function private.find_hours is
  'When the providers of a service work around a local day, as instants.';

-- Names as people say them: "Dr. Amara Núñez" equals "Doctor amara nunez", and "O'Brien" is one word.
create function private.plain_name(p_name text) returns text
language plpgsql immutable strict set search_path = ''
as $$
begin
  return btrim(regexp_replace(
    regexp_replace(
      -- Removes the marks of letters that can be decomposed, and replaces those that cannot.
      replace(replace(replace(translate(
        regexp_replace(normalize(lower(p_name), nfkd), '[\u0300-\u036f''`\u2018\u2019\u02bc]', '', 'g'),
        'øłđðı', 'olddi'), 'ß', 'ss'), 'æ', 'ae'), 'œ', 'oe'),
      '[^[:alnum:]]+', ' ', 'g'),
    '^\s*((dr|doctor|mr|mrs|ms|mx|miss|sir|prof|professor|nurse)\s+)+'
      || '|(\s+(md|phd|dds|dmd|mbbs|mbchb|bds|frcs|facs))+\s*$', '', 'g'));
end
$$;
comment on function private.plain_name is 'Lower case, no accents, no title, no punctuation.';

create function private.write_umlauts(p_name text) returns text
language sql immutable strict set search_path = ''
as $$
  select replace(replace(replace(replace(replace(
    normalize(lower(p_name), nfc), 'ä', 'ae'), 'ö', 'oe'), 'ü', 'ue'), 'ø', 'oe'), 'å', 'aa')
$$;
comment on function private.write_umlauts is 'A name with its umlauts in two letters: Müller is mueller.';

/*
 * The plain form of a name that was said, for comparison with the plain form of a stored one. Müller can
 * be written Muller or Mueller, so such a word is spelled as in the stored name. Joe and Jo stay two names.
 */
create function private.spelled_like(p_said text, p_stored text) returns text
language plpgsql immutable strict set search_path = ''
as $$
declare
  v_said constant text := private.plain_name(p_said);
begin
  if octet_length(p_said || p_stored) = length(p_said || p_stored) then
    return v_said;
  end if;
  return (
    select coalesce(string_agg(coalesce(t.plain, s.plain), ' ' order by s.place), '')
    from unnest(string_to_array(v_said, ' '),
        string_to_array(private.plain_name(private.write_umlauts(p_said)), ' '))
      with ordinality as s (plain, written, place)
    left join lateral (
      select w.plain
      from unnest(string_to_array(private.plain_name(p_stored), ' '),
          string_to_array(private.plain_name(private.write_umlauts(p_stored)), ' '))
        as w (plain, written)
      where w.plain in (s.plain, s.written) or w.written in (s.plain, s.written)
      limit 1) as t on true);
end
$$;
comment on function private.spelled_like is
  'The plain form of a name, with umlauts spelled as in another name.';

create function private.find_service(p_org uuid, p_asked text) returns public.services
language plpgsql stable set search_path = ''
as $$
declare
  v_asked text;
  v_service public.services;
begin
  select s.* into v_service from public.services as s
  where s.org_id = p_org and s.slug = p_asked and s.active;
  if found then
    return v_service;
  end if;
  -- "Face-Lift", "face lift" and "facelift" are the same.
  v_asked := replace(private.plain_name(p_asked), ' ', '');
  select s.* into v_service from public.services as s
  where s.org_id = p_org and s.active
    and v_asked in (replace(s.slug, '-', ''), replace(private.plain_name(s.name), ' ', ''))
  order by s.slug limit 1;
  return v_service;
end
$$;
comment on function private.find_service is 'The service of that slug or name, or null.';

/*
 * Callers name a provider by slug, full name, or some words of the name in any order, so "Patel, Amara"
 * and "Doctor Patel" find Dr Amara Patel. A provider with exactly that name is the only result.
 */
create function private.find_providers(p_org uuid, p_asked text) returns setof public.providers
language plpgsql stable set search_path = ''
as $$
declare
  v_asked constant text := private.plain_name(p_asked);
begin
  return query
  select p.* from public.providers as p
  where p.org_id = p_org and p.active
    and (p.slug = lower(btrim(p_asked))
      or v_asked = replace(p.slug, '-', ' ')
      or private.spelled_like(p_asked, p.name) = private.plain_name(p.name))
  order by p.slug limit 1;
  if not found and v_asked <> '' then
    return query
    select p.* from public.providers as p
    where p.org_id = p_org and p.active
      and string_to_array(private.spelled_like(p_asked, p.name), ' ')
        <@ string_to_array(private.plain_name(p.name), ' ')
    order by p.name;
  end if;
end
$$;
comment on function private.find_providers is
  'The providers with that slug, name or part of a name; several if the part is ambiguous.';

create function private.desk_opens_at(p_org public.organizations, p_at timestamptz)
returns timestamptz
language plpgsql stable set search_path = ''
as $$
declare
  v_today constant date := (p_at at time zone p_org.timezone)::date;
begin
  return (
    select min(o.opens_at)
    from generate_series(0, 30) as n (days)
    cross join lateral (select v_today + n.days as day) as d
    join public.desk_hours as h on h.org_id = p_org.id and h.dow = extract(dow from d.day)
    cross join lateral (
      select private.wall(d.day + make_interval(mins => h.start_min), p_org.timezone, false)
        as opens_at) as o
    where not p_org.closing_days @> d.day and o.opens_at > p_at);
end
$$;
comment on function private.desk_opens_at is
  'When the front desk opens next; null if it does not within a month.';
