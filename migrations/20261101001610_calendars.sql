/*
 * Calendars: appointments as a feed that calendar programs read.
 *
 * Decisions
 * - Calendar programs send no credentials, so anyone with a feed's token can read the feed. Therefore
 *   each feed has its own token, which can be revoked. A token has 256 random bits. Only its hash is
 *   stored, and whoever creates the token hashes it, so the token is never in a request, answer or log of
 *   the database.
 * - The token names its organization, so a feed is found by organization and hash, like every other
 *   row.
 * - A feed has no phone numbers, and has patients' names only if organizations.calendar_patient_names
 *   allows it. A hold is a tentative time without a name.
 * - Readers ask every few minutes and name the version that they have. If it is current, they are told
 *   so, and nothing is sent.
 * - An appointment keeps its id from hold to completion, and a new time is a new row. So the id
 *   identifies an event, and the seconds since its creation are its revision.
 */

create table public.calendar_feeds (
  org_id uuid not null references public.organizations (id) on delete cascade,
  id uuid not null default gen_random_uuid(),
  provider_id uuid,
  label text not null
    constraint calendar_feeds_label_given check (private.require(
      length(btrim(label)) between 1 and 80, 'a calendar feed', 'its label has 1 to 80 characters')),
  token_hash bytea not null
    constraint calendar_feeds_token_hashed check (private.require(
      octet_length(token_hash) = 32, 'a calendar feed', 'its token''s hash has 32 bytes')),
  created_at timestamptz not null default clock_timestamp(),
  read_at timestamptz,
  revoked_at timestamptz,
  primary key (org_id, id),
  constraint calendar_feeds_token_unique unique (org_id, token_hash),
  foreign key (org_id, provider_id) references public.providers (org_id, id) on delete cascade
);
comment on table public.calendar_feeds is
  'Calendars that are given out, one for each token: of one provider, or of the whole clinic.';
comment on column public.calendar_feeds.label is 'Who has the token, in the words of who gave it out.';
comment on column public.calendar_feeds.token_hash is 'SHA-256 of the token, which is not stored.';
comment on column public.calendar_feeds.read_at is 'When it was last read, to within five minutes.';
create index calendar_feeds_by_provider on public.calendar_feeds (org_id, provider_id)
  where provider_id is not null;
create index calendar_feeds_by_end on public.calendar_feeds (org_id, revoked_at);
select private.protect('public.calendar_feeds', null);

/* A token that was given out cannot be read again, so what is lost is revoked and replaced. */
create function private.list_feeds(p_org uuid) returns jsonb
language plpgsql stable set search_path = ''
as $$
begin
  return (
    select coalesce(jsonb_agg(jsonb_build_object(
      'feedId', f.id, 'label', f.label, 'doctor', p.name, 'createdAt', f.created_at,
      'readAt', f.read_at, 'revokedAt', f.revoked_at)
      order by f.revoked_at is not null, f.created_at, f.id), '[]')
    from public.calendar_feeds as f
    left join public.providers as p on p.org_id = p_org and p.id = f.provider_id
    where f.org_id = p_org);
end
$$;
comment on function private.list_feeds is 'The calendar feeds of an organization, without their tokens.';

/*
 * The organization's row is locked.
 *
 * p_id        the id of the new feed
 * p_provider  null for the whole clinic
 */
create function private.add_feed(
  p_org uuid, p_id uuid, p_provider uuid, p_label text, p_token_hash text
) returns jsonb
language plpgsql volatile set search_path = ''
as $$
declare
  v_reason text;
begin
  if p_provider is not null and not exists (
    select from public.providers as p where p.org_id = p_org and p.id = p_provider) then
    return '{"outcome": "unknown_provider"}';
  elsif (
    select count(*) from public.calendar_feeds as f
    where f.org_id = p_org and f.revoked_at is null) >= 200 then
    return '{"outcome": "too_many_feeds"}';
  end if;
  begin
    insert into public.calendar_feeds (org_id, id, provider_id, label, token_hash)
    values (p_org, p_id, p_provider, btrim(p_label), decode(p_token_hash, 'hex'));
  exception when integrity_constraint_violation or data_exception then
    get stacked diagnostics v_reason = message_text;
    return jsonb_build_object('outcome', 'invalid_feed', 'reason', v_reason);
  end;
  return jsonb_build_object('outcome', 'added', 'feedId', p_id);
end
$$;
comment on function private.add_feed is 'Adds a calendar feed; an organization has 200 at most.';

create function private.revoke_feed(p_org uuid, p_feed uuid) returns jsonb
language plpgsql volatile set search_path = ''
as $$
begin
  update public.calendar_feeds as f set revoked_at = coalesce(f.revoked_at, clock_timestamp())
  where f.org_id = p_org and f.id = p_feed;
  return jsonb_build_object('outcome', case when found then 'revoked' else 'unknown_feed' end);
end
$$;
comment on function private.revoke_feed is 'Revokes a calendar feed. From then on its token opens nothing.';

/*
 * Function of the owner's, for the task calendar: gives out a feed.
 *
 * p_provider    slug; null for the whole clinic
 * p_token_hash  SHA-256 of the token, hex
 * Outcomes      added (feedId), unknown_provider, too_many_feeds, invalid_feed (reason), unknown_clinic,
 *               busy
 */
create function public.add_calendar_feed(
  p_org uuid, p_provider text, p_label text, p_token_hash text
) returns jsonb
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
  if p_provider is not null and v_provider is null then
    return '{"outcome": "unknown_provider"}';
  end if;
  v_answer := private.add_feed(p_org, gen_random_uuid(), v_provider, p_label, p_token_hash);
  perform private.audit(p_org, null, 'add_calendar_feed', (v_answer ->> 'feedId')::uuid,
    v_answer ->> 'outcome');
  return v_answer || jsonb_build_object('orgId', p_org);
exception when lock_not_available or deadlock_detected then
  return '{"outcome": "busy"}';
end
$$;
comment on function public.add_calendar_feed is 'Gives out a calendar feed of a clinic; audited.';

/*
 * Function of the owner's, for the task calendar.
 *
 * Outcomes  revoked, unknown_feed, unknown_clinic, busy
 */
create function public.revoke_calendar_feed(p_org uuid, p_feed uuid) returns jsonb
language plpgsql volatile security definer set search_path = '' set lock_timeout = '5s'
as $$
declare
  v_answer jsonb;
begin
  perform from public.organizations as o where o.id = p_org for no key update;
  if not found then
    return '{"outcome": "unknown_clinic"}';
  end if;
  v_answer := private.revoke_feed(p_org, p_feed);
  perform private.audit(p_org, null, 'revoke_calendar_feed', p_feed, v_answer ->> 'outcome');
  return v_answer || jsonb_build_object('orgId', p_org);
exception when lock_not_available or deadlock_detected then
  return '{"outcome": "busy"}';
end
$$;
comment on function public.revoke_calendar_feed is 'Revokes a calendar feed of a clinic; audited.';

/*
 * The events of a feed: from 30 days ago to 180 days ahead, at most 5,000, future ones first.
 */
create function private.describe_feed(
  p_org public.organizations, p_feed public.calendar_feeds, p_now timestamptz
) returns jsonb
language plpgsql stable set search_path = ''
as $$
declare
  v_from constant timestamptz := date_trunc('day', p_now, 'UTC') - interval '30 days';
  v_until constant timestamptz := date_trunc('day', p_now, 'UTC') + interval '181 days';
  v_limit constant integer := 5000;
  v_events jsonb;
begin
  select coalesce(jsonb_agg(e.event order by e.starts_at, e.id), '[]') into v_events
  from (
    select a.id, a.starts_at, jsonb_build_object(
      'id', a.id, 'isHeld', a.status = 'held', 'startTime', a.starts_at, 'endTime', a.ends_at,
      'service', s.name, 'doctor', p.name, 'changedAt', a.updated_at,
      'revision', floor(extract(epoch from a.updated_at))::bigint
        - floor(extract(epoch from a.created_at))::bigint,
      'patient', case when p_org.calendar_patient_names and a.status <> 'held'
        then a.patient_name end) as event
    from public.providers as p
    join public.appointments as a on a.org_id = p_org.id and a.provider_id = p.id
      and a.starts_at >= v_from and a.starts_at < v_until
      and (private.is_live(a, p_now) or a.status in ('completed', 'no_show'))
    join public.services as s on s.org_id = p_org.id and s.id = a.service_id
    where p.org_id = p_org.id and (p_feed.provider_id is null or p.id = p_feed.provider_id)
    order by a.ends_at <= p_now, abs(extract(epoch from a.starts_at - p_now)), a.id
    limit v_limit
  ) as e;
  return jsonb_build_object(
    'clinic', p_org.name, 'timezone', p_org.timezone,
    'doctor', (
      select p.name from public.providers as p
      where p.org_id = p_org.id and p.id = p_feed.provider_id),
    'isWhole', jsonb_array_length(v_events) < v_limit, 'events', v_events);
end
$$;
comment on function private.describe_feed is 'What a calendar feed shows.';

/*
 * Entry function of the function calendar: what the feed of a token shows.
 *
 * p_org         the organization that the token names
 * p_token_hash  SHA-256 of the token, hex
 * p_seen        versions that the reader has; * for any
 * Outcomes      found (feedId, version, calendar: {clinic, timezone, doctor, isWhole, events: [{id,
 *               isHeld, startTime, endTime, service, doctor, patient, changedAt, revision}]}),
 *               unchanged (feedId, version), not_found (also for a revoked token), busy
 */
create function public.read_calendar(p_org uuid, p_token_hash text, p_seen text[]) returns jsonb
language plpgsql volatile security definer set search_path = '' set jit = off
  set lock_timeout = '1s'
as $$
declare
  v_now constant timestamptz := clock_timestamp();
  v_feed public.calendar_feeds;
  v_org public.organizations;
  v_calendar jsonb;
  v_answer jsonb;
begin
  select f.* into v_feed from public.calendar_feeds as f
  where f.org_id = p_org and f.token_hash = decode(p_token_hash, 'hex') and f.revoked_at is null;
  if v_feed.id is null then
    return '{"outcome": "not_found"}';
  end if;
  if coalesce(v_feed.read_at, '-infinity') < v_now - interval '5 minutes' then
    -- Readers do not wait for each other.
    update public.calendar_feeds as f set read_at = v_now
    where f.org_id = p_org and f.id in (
      select g.id from public.calendar_feeds as g
      where g.org_id = p_org and g.id = v_feed.id for no key update skip locked);
  end if;
  select o.* into strict v_org from public.organizations as o where o.id = p_org;
  v_calendar := private.describe_feed(v_org, v_feed, v_now);
  v_answer := jsonb_build_object(
    'orgId', p_org, 'feedId', v_feed.id, 'version', md5(v_calendar::text));
  return case when p_seen && array[v_answer ->> 'version', '*']
    then v_answer || '{"outcome": "unchanged"}'
    else v_answer || jsonb_build_object('outcome', 'found', 'calendar', v_calendar) end;
exception when lock_not_available or deadlock_detected then
  return '{"outcome": "busy"}';
end
$$;
comment on function public.read_calendar is
  'What the calendar feed of a token shows, or that the reader has it already.';

revoke execute on function
  public.add_calendar_feed, public.revoke_calendar_feed, public.read_calendar
  from public, anon, authenticated, service_role;
grant execute on function public.read_calendar to service_role;
