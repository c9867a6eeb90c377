/*
 * What the claim is measured against: other ways to book, as people write them, on tables of their
 * own. Some of them book twice; the bench counts it.
 */

create schema rival;

-- As public.appointments, for a bare insert: the same columns, checks, indexes and foreign keys.
create table rival.bare (like public.appointments including all);
alter table rival.bare
  add foreign key (org_id, provider_id) references public.providers (org_id, id),
  add foreign key (org_id, service_id) references public.services (org_id, id);

-- For the designs that rely on code: no constraint.
create table rival.unguarded (
  id uuid primary key default gen_random_uuid(),
  provider_id uuid not null,
  busy tstzrange not null
);
create index on rival.unguarded using gist (provider_id, busy);

create table rival.guarded (
  id uuid primary key default gen_random_uuid(),
  provider_id uuid not null,
  busy tstzrange not null,
  exclude using gist (provider_id with =, busy with &&)
);

create function rival.check_then_insert(p_provider uuid, p_busy tstzrange) returns boolean
language plpgsql as $$
begin
  if exists (select from rival.unguarded as b where b.provider_id = p_provider and b.busy && p_busy) then
    return false;
  end if;
  insert into rival.unguarded (provider_id, busy) values (p_provider, p_busy);
  return true;
end
$$;

create function rival.lock_exact_start(p_provider uuid, p_busy tstzrange) returns boolean
language plpgsql as $$
begin
  perform pg_advisory_xact_lock(hashtextextended(p_provider || '/' || lower(p_busy), 0));
  if exists (select from rival.unguarded as b where b.provider_id = p_provider and b.busy && p_busy) then
    return false;
  end if;
  insert into rival.unguarded (provider_id, busy) values (p_provider, p_busy);
  return true;
end
$$;

create function rival.lock_in_one_statement(p_provider uuid, p_busy tstzrange) returns boolean
language sql as $$
  with locked as materialized (
    select pg_advisory_xact_lock(hashtextextended(p_provider::text, 0))
  ), booked as (
    insert into rival.unguarded (provider_id, busy)
    select p_provider, p_busy from locked
    where not exists (
      select from rival.unguarded as b where b.provider_id = p_provider and b.busy && p_busy)
    returning id
  )
  select exists (select from booked)
$$;

create function rival.lock_then_check(p_provider uuid, p_busy tstzrange) returns boolean
language plpgsql as $$
begin
  perform pg_advisory_xact_lock(hashtextextended(p_provider::text, 0));
  if exists (select from rival.unguarded as b where b.provider_id = p_provider and b.busy && p_busy) then
    return false;
  end if;
  insert into rival.unguarded (provider_id, busy) values (p_provider, p_busy);
  return true;
end
$$;

create function rival.for_update(p_provider uuid, p_busy tstzrange) returns boolean
language plpgsql as $$
begin
  perform from public.providers as p where p.id = p_provider for update;
  if exists (select from rival.unguarded as b where b.provider_id = p_provider and b.busy && p_busy) then
    return false;
  end if;
  insert into rival.unguarded (provider_id, busy) values (p_provider, p_busy);
  return true;
end
$$;

-- The textbook: the constraint, and its error caught.
create function rival.exclusion_caught(p_provider uuid, p_busy tstzrange) returns boolean
language plpgsql as $$
begin
  insert into rival.guarded (provider_id, busy) values (p_provider, p_busy);
  return true;
exception when exclusion_violation then
  return false;
end
$$;

create function rival.exclusion_do_nothing(p_provider uuid, p_busy tstzrange) returns boolean
language plpgsql as $$
begin
  insert into rival.guarded (provider_id, busy) values (p_provider, p_busy) on conflict do nothing;
  return found;
end
$$;

-- Availability as it is mostly written: every candidate asked about by itself.
create function rival.find_by_candidate(p_org uuid, p_service uuid, p_day date) returns bigint
language sql stable as $$
  select count(*)
  from public.provider_services as ps
  join public.working_hours as w on w.org_id = ps.org_id and w.provider_id = ps.provider_id
    and w.dow = extract(dow from p_day)
  join public.services as s on s.org_id = ps.org_id and s.id = ps.service_id
  cross join lateral generate_series(
    (p_day + make_interval(mins => w.start_min)) at time zone 'Europe/London',
    (p_day + make_interval(mins => w.end_min - s.duration_min)) at time zone 'Europe/London',
    make_interval(mins => s.step_min)) as g (at)
  where ps.org_id = p_org and ps.service_id = p_service
    and not exists (
      select from public.appointments as a
      where a.org_id = p_org and a.provider_id = ps.provider_id
        and a.status in ('held', 'confirmed')
        and (a.expires_at is null or a.expires_at > now())
        and a.starts_at < g.at + make_interval(mins => s.duration_min) and a.ends_at > g.at)
$$;
