/*
 * Holds: a slot becomes a hold, for exactly one of the callers who ask for it.
 *
 * Decisions
 * - A hold is inserted under its provider's lock, after private.would_overlap() has found the time
 *   free, and then the exclusion constraint decides again. Lock and check are separate statements, so
 *   the check sees what was committed during the wait for the lock. This requires READ COMMITTED,
 *   which is checked.
 * - Under the lock a claim looks at the clinic, the service, the hours and the absences again: whoever
 *   changes them takes the lock of each provider first. So no time is held that is not worked any more,
 *   and a change of hours names every booking that no longer fits.
 * - A claim waits for the lock of a named provider. If any provider will do, locked ones are skipped
 *   first, and a second pass waits for those whose time is not taken yet. No claim waits for one
 *   provider while it holds another.
 * - A patient has one hold in a call. Asking for another slot moves it, and the answer says what was
 *   released; if the other slot is taken, the caller keeps the first one. Another name is another
 *   patient, whose holds no other patient's request renames or releases. A hold named by its id can
 *   be moved and corrected whatever the name.
 * - A hold moves from one call to another in a single case, when the line dropped: both calls come
 *   from the number the hold is for, and the name is the same. Somebody who forges the number can
 *   cost the patient a hold, and nothing else: no passcode moves with it.
 * - A call has its own lock, taken first, so repeated requests run one after another and all get the
 *   same hold. Lock order: call, numbers, provider, rows.
 * - A failed attempt is rolled back to its savepoint and leaves no lock, so no two claims wait for
 *   each other.
 * - A wait of more than 300 ms for a lock is the outcome busy. Deadlocks must not happen, and if one
 *   does, it is busy too: PostgREST 14 repeats 40001 and 40P01 until the client gives up.
 */

/*
 * Whether a call may take over a hold from another one: both come from the number that the hold is
 * for, and the other call is the earlier one. The caller of this function has compared the names.
 */
create function private.is_left_to(p_org uuid, p_hold public.appointments, p_call_id text)
returns boolean
language plpgsql stable set search_path = ''
as $$
begin
  return exists (
    select from public.calls as mine
    join public.calls as theirs on theirs.org_id = mine.org_id and theirs.call_id = p_hold.call_id
    where mine.org_id = p_org and mine.call_id = p_call_id
      and mine.caller_hash = private.hash_phone(p_hold.patient_phone)
      and theirs.caller_hash = mine.caller_hash and theirs.created_at < mine.created_at);
end
$$;
comment on function private.is_left_to is 'Whether a later call may take over a hold of a dropped call.';

/*
 * Waits for any transaction that is changing the hold. A hold that was then confirmed or taken
 * over by another call is not released.
 */
create function private.release_hold(p_org uuid, p_call jsonb, p_action text, p_hold uuid)
returns void
language plpgsql volatile set search_path = ''
as $$
begin
  update public.appointments as a
  set status = 'cancelled', updated_at = clock_timestamp()
  where a.org_id = p_org and a.id = p_hold and a.status = 'held' and not private.is_kept(a)
    and (a.call_id = p_call ->> 'callId' or private.is_left_to(p_org, a, p_call ->> 'callId'));
  if found then
    perform private.audit(p_org, p_call, p_action, p_hold, 'released');
  end if;
end
$$;
comment on function private.release_hold is
  'Cancels and audits a hold that its call no longer wants, if that call still holds it.';

create function private.request_key(p_call jsonb, p_patient jsonb) returns text
language sql immutable
return md5(nullif(p_call ->> 'toolCallId', '') || p_patient::text);
comment on function private.request_key is
  'Tells a repeated request for a slot from a new one; null without a tool call id.';

/*
 * The session of a move's new time. If it overlaps the appointment that is moved, both get a session
 * that nobody else can have: the appointment's id. Null when the two need not share one.
 */
create function private.share_session(
  p_org uuid, p_moves uuid, p_provider uuid, p_busy tstzrange
) returns uuid
language plpgsql volatile set search_path = ''
as $$
declare
  v_session uuid;
begin
  update public.appointments as a set session_key = a.id
  where a.org_id = p_org and a.id = p_moves and a.provider_id = p_provider
    and a.capacity = 1 and private.overlaps(a.busy, p_busy)
    -- If others have joined its session, it cannot leave them.
    and not exists (
      select from public.appointments as o
      where o.org_id = p_org and o.provider_id = p_provider and o.id <> a.id
        and private.takes_time(o) and o.session_key = a.session_key
        and private.overlaps(o.busy, a.busy))
  returning a.session_key into v_session;
  return v_session;
end
$$;
comment on function private.share_session is
  'Lets the new time of an appointment overlap the appointment itself.';

/* Inserts p_hold with the lowest free seat of its session; nulls if the constraints refuse every seat. */
create function private.insert_seat(p_org uuid, p_hold public.appointments)
returns public.appointments
language plpgsql volatile set search_path = ''
as $$
declare
  v_hold public.appointments;
begin
  for v_seat in 0 .. p_hold.capacity - 1 loop
    continue when p_hold.capacity > 1 and exists (
      select from public.appointments as a
      where a.org_id = p_org and a.provider_id = p_hold.provider_id
        and a.service_id = p_hold.service_id and a.starts_at = p_hold.starts_at
        and a.seat = v_seat and private.takes_time(a));
    insert into public.appointments as a (
      org_id, provider_id, service_id, patient_name, patient_phone, patient_country,
      starts_at, ends_at, busy, session_key, seat, capacity, status, expires_at, call_id, asked_by
    ) values (
      p_org, p_hold.provider_id, p_hold.service_id, p_hold.patient_name, p_hold.patient_phone,
      p_hold.patient_country, p_hold.starts_at, p_hold.ends_at, p_hold.busy,
      p_hold.session_key, v_seat, p_hold.capacity, 'held', p_hold.expires_at, p_hold.call_id,
      p_hold.asked_by
    )
    on conflict do nothing
    returning a.* into v_hold;
    exit when v_hold.id is not null;
  end loop;
  return v_hold;
end
$$;
comment on function private.insert_seat is 'Inserts a hold at the lowest free seat, or returns nulls.';

/*
 * Locks the holds of a call before more than one of them is changed, in the order in which
 * private.expire_in_way() locks rows: an expired hold can be in the way of a claim while its call ends.
 */
create function private.lock_holds(p_org uuid, p_call_id text) returns void
language plpgsql volatile set search_path = ''
as $$
begin
  perform from public.appointments as a
  where a.org_id = p_org and a.call_id = p_call_id and a.status = 'held'
  order by a.id for update;
end
$$;
comment on function private.lock_holds is
  'Locks the holds of a call by id, the order of everybody who locks several appointments.';

/* Returns whether there were any. Their provider is locked. */
create function private.expire_in_way(
  p_org uuid, p_provider uuid, p_busy tstzrange, p_now timestamptz
) returns boolean
language plpgsql volatile set search_path = ''
as $$
declare
  v_ids constant uuid[] := array(
    select a.id from public.appointments as a
    where a.org_id = p_org and a.provider_id = p_provider and private.overlaps(a.busy, p_busy)
      -- In a form that appointments_taken can answer.
      and private.takes_time(a) and not private.is_live(a, p_now)
    order by a.id for update);
begin
  update public.appointments as a set status = private.expired_status(a), updated_at = p_now
  where a.org_id = p_org and a.id = any (v_ids);
  perform private.audit(p_org, null, 'hold_slot', v, 'expired') from unnest(v_ids) as v;
  return v_ids <> '{}';
end
$$;
comment on function private.expire_in_way is
  'Marks the expired holds that overlap a time, so that they no longer take it.';

/*
 * The service as it is now, if the provider, who is locked, works when it is to begin; else nulls. What
 * was read before the lock may have changed since: whoever changes hours or absences takes the same lock.
 */
create function private.read_offered(
  p_org uuid, p_provider uuid, p_service uuid, p_start timestamptz, p_at timestamptz
) returns public.services
language plpgsql volatile set search_path = ''
as $$
declare
  v_read record;
begin
  select o as org, s as service into v_read
  from public.organizations as o
  join public.services as s on s.org_id = o.id and s.id = p_service and s.active
  where o.id = p_org;
  return case when exists (
    select from private.find_open(v_read.org, v_read.service, p_provider, p_start, p_at))
    then v_read.service end;
end
$$;
comment on function private.read_offered is
  'A service, read under its provider''s lock, or nulls if the provider does not work then.';

/*
 * One attempt at one provider. Expired holds are marked only if they are in the way, so that a claim
 * that meets none does not look for them. A failed attempt is rolled back to its savepoint: it leaves
 * no mark, no release and no lock.
 *
 * p_replaces  the call's earlier hold at this provider, released first: it may be what is in the way
 * p_moves     the appointment that the new hold is to move: it stays, and may be in the way too
 * p_wait      whether to wait for another claim at this provider
 * hold        the new hold, or nulls when the time is taken or not worked any more, or was_locked
 * was_locked  without p_wait: whether another claim has the provider's lock
 */
create function private.try_provider(
  p_org uuid, p_provider uuid, p_service uuid, p_start timestamptz,
  p_replaces uuid, p_moves uuid, p_wait boolean, p_patient jsonb, p_call jsonb, p_action text,
  p_hold_for interval, out hold public.appointments, out was_locked boolean
)
language plpgsql volatile set search_path = ''
as $$
declare
  v_now timestamptz;
  v_service public.services;
  v_wanted public.appointments;
  v_shared uuid;
  v_is_last boolean := false;
begin
  was_locked := not private.lock_provider(p_org, p_provider, p_wait);
  if was_locked then
    return;
  end if;
  v_now := clock_timestamp();
  v_service := private.read_offered(p_org, p_provider, p_service, p_start, v_now);
  if v_service.id is null then
    raise exception using errcode = 'MO001', message = 'not worked any more';
  end if;
  if p_replaces is not null then
    perform private.release_hold(p_org, p_call, p_action, p_replaces);
  end if;
  v_wanted.provider_id := p_provider;
  v_wanted.service_id := v_service.id;
  v_wanted.patient_name := p_patient ->> 'name';
  v_wanted.patient_phone := p_patient ->> 'phone';
  v_wanted.patient_country := p_patient ->> 'country';
  v_wanted.starts_at := p_start;
  v_wanted.ends_at := p_start + make_interval(mins => v_service.duration_min);
  v_wanted.busy := private.busy_time(v_service, p_start);
  v_wanted.session_key := private.session_key(v_service.id, p_start);
  v_wanted.capacity := v_service.capacity;
  v_wanted.expires_at := v_now + p_hold_for;
  v_wanted.call_id := p_call ->> 'callId';
  v_wanted.asked_by := array[private.request_key(p_call, p_patient)];
  if v_service.capacity > 1 then
    v_shared := v_wanted.session_key;
  elsif p_moves is not null then
    v_shared := private.share_session(p_org, p_moves, p_provider, v_wanted.busy);
    v_wanted.session_key := coalesce(v_shared, v_wanted.session_key);
  end if;
  loop
    if not private.would_overlap(p_org, p_provider, v_wanted.busy, v_shared) then
      hold := private.insert_seat(p_org, v_wanted);
      if hold.id is not null then
        return;
      end if;
    end if;
    exit when v_is_last;
    -- If there were none, the clean-up may just have marked them: one more try.
    v_is_last := not private.expire_in_way(p_org, p_provider, v_wanted.busy, v_now);
  end loop;
  raise exception using errcode = 'MO001', message = 'slot taken';
exception when sqlstate 'MO001' then
  return;
end
$$;
comment on function private.try_provider is
  'Inserts a hold at one provider; nulls, and no trace, when the time is not to be had.';

create type private.wanted_slot as (
  service public.services, provider public.providers, starts_at timestamptz);
comment on type private.wanted_slot is 'A requested slot, see private.read_wanted(); the provider is null if any will do.';

/* The slot that a slotId means; without a start if the organization has no such slot. */
create function private.read_wanted(p_org public.organizations, p_slot_id text)
returns private.wanted_slot
language plpgsql stable set search_path = ''
as $$
declare
  v_parts record;
  v_service public.services;
  v_provider public.providers;
begin
  v_parts := private.parse_slot_id(p_slot_id, p_org.timezone);
  if v_parts.starts_at is not null then
    v_service := private.find_service(p_org.id, v_parts.service_slug);
  end if;
  if v_parts.provider_slug is not null then
    select p.* into v_provider from public.providers as p
    where p.org_id = p_org.id and p.slug = v_parts.provider_slug and p.active;
  end if;
  if v_service.id is null or v_parts.provider_slug is not null and v_provider.id is null then
    return null;
  end if;
  return row(v_service, v_provider, v_parts.starts_at)::private.wanted_slot;
end
$$;
comment on function private.read_wanted is 'The slot that a slotId names, or nulls.';

create function private.is_wanted(p_wanted private.wanted_slot, p_hold public.appointments)
returns boolean
language sql immutable
return (p_hold).service_id = ((p_wanted).service).id and (p_hold).starts_at = (p_wanted).starts_at
  and (((p_wanted).provider).id is null or (p_hold).provider_id = ((p_wanted).provider).id);
comment on function private.is_wanted is 'Whether an appointment is at the requested slot.';

/* p_patient is {name, phone}. */
create function private.is_for_patient(p_hold public.appointments, p_patient jsonb) returns boolean
language plpgsql immutable set search_path = ''
as $$
begin
  return p_hold.patient_phone = p_patient ->> 'phone'
    and private.is_same_patient(p_patient ->> 'name', p_hold.patient_name);
end
$$;
comment on function private.is_for_patient is 'Whether a hold is for the patient of that name and phone.';

/* The new time of a move must never be confirmed as a separate booking. */
create function private.is_new_time(p_org uuid, p_hold public.appointments) returns boolean
language plpgsql stable set search_path = ''
as $$
begin
  return exists (
    select from public.appointment_changes as c
    where c.org_id = p_org and c.hold_id = p_hold.id and c.call_id = p_hold.call_id
      and c.applied_at is null);
end
$$;
comment on function private.is_new_time is 'Whether a hold is the new time of a waiting change.';

/*
 * All rows of a call, whatever their state. A call has few. The function keeps its query apart from
 * the caller's conditions, which would make the planner prefer an index of live rows.
 */
create function private.rows_of_call(p_org uuid, p_call_id text)
returns setof public.appointments
language plpgsql stable set search_path = '' rows 3
as $$
begin
  return query
  select a.* from public.appointments as a where a.org_id = p_org and a.call_id = p_call_id;
end
$$;
comment on function private.rows_of_call is 'The holds and appointments that a call has made.';

create function private.find_holds(p_org uuid, p_call_id text, p_at timestamptz)
returns setof public.appointments
language plpgsql stable set search_path = '' rows 3
as $$
begin
  -- From the table, not from rows_of_call: the plan of a query that names no table is not made again
  -- when a migration adds a column, and then it returns rows without it. "offset 0" keeps the
  -- conditions apart.
  return query
  select m.* from (
    select a.* from public.appointments as a
    where a.org_id = p_org and a.call_id = p_call_id
    offset 0
  ) as m
  where private.awaits_code(m, p_at) and not private.is_new_time(p_org, m);
end
$$;
comment on function private.find_holds is
  'The live holds that a call has, except the new time of a change.';

/*
 * The patient's hold in this call: the one that p_hold names, whatever the patient's name, else the one
 * under that name. An id does not count if it is not a live hold of this call, or if another hold has
 * the patient's name: models repeat ids.
 */
create function private.find_own_hold(
  p_org uuid, p_call_id text, p_hold uuid, p_name text, p_at timestamptz
) returns public.appointments
language plpgsql stable set search_path = ''
as $$
declare
  v_hold public.appointments;
begin
  select h.* into v_hold from private.find_holds(p_org, p_call_id, p_at) as h
  where h.id = p_hold or private.is_same_patient(p_name, h.patient_name)
  order by private.is_same_patient(p_name, h.patient_name) desc, (h.id = p_hold) is true desc,
    lower(h.patient_name) = lower(p_name) desc, h.created_at desc
  limit 1;
  return v_hold;
end
$$;
comment on function private.find_own_hold is 'The hold that a request of this call moves or corrects, or nulls.';

/*
 * The same patient's hold in an earlier call from the same number, if that call dropped and Vapi has
 * not reported its end yet. It is found through the counts of the number, which is locked.
 */
create function private.find_left_hold(
  p_org uuid, p_call public.calls, p_wanted private.wanted_slot, p_patient jsonb, p_at timestamptz
) returns public.appointments
language plpgsql stable set search_path = ''
as $$
declare
  v_hold public.appointments;
begin
  -- Fetched by their ids first, so that no index of held rows seems to be the better one.
  with counted as materialized (
    select a as hold
    from public.phone_counts as n
    cross join lateral unnest(n.holds) as h
    join public.appointments as a on a.org_id = h.org_id and a.id = h.hold_id
    where n.phone_hash = p_call.caller_hash and h.org_id = p_org
  )
  select (c.hold).* into v_hold from counted as c
  where private.awaits_code(c.hold, p_at) and (c.hold).call_id <> p_call.call_id
    and private.is_for_patient(c.hold, p_patient)
    and private.is_left_to(p_org, c.hold, p_call.call_id)
    -- Another slot does not replace the new time of a move.
    and (private.is_wanted(p_wanted, c.hold) or not private.is_new_time(p_org, c.hold))
  order by private.is_wanted(p_wanted, c.hold) desc, (c.hold).created_at desc limit 1;
  return v_hold;
end
$$;
comment on function private.find_left_hold is 'The hold of a patient that a dropped call left behind, or nulls.';

create function private.take_over(p_org uuid, p_call jsonb, p_hold uuid) returns boolean
language plpgsql volatile set search_path = ''
as $$
begin
  update public.appointments as a
  set call_id = p_call ->> 'callId', updated_at = clock_timestamp()
  where a.org_id = p_org and a.id = p_hold and private.awaits_code(a, clock_timestamp())
    and private.is_left_to(p_org, a, p_call ->> 'callId');
  if found then
    perform private.audit(p_org, p_call, 'hold_slot', p_hold, 'taken_over');
  end if;
  return found;
end
$$;
comment on function private.take_over is 'Moves a hold from a dropped call to a later one; false when it is gone.';

/* Holds that count for a number: made within the hour by calls from it, or live and made for it. */
create function private.count_holds(
  p_org uuid, p_key bytea, p_replaced uuid, p_at timestamptz,
  out live_by integer, out live_for integer, out made integer, out kept private.counted_hold[]
)
language plpgsql stable set search_path = ''
as $$
begin
  select count(*) filter (where x.is_live and (x.hold).by_caller and (x.hold).hold_id is distinct from p_replaced),
    count(*) filter (where x.is_live and x.phone = p_key and (x.hold).hold_id is distinct from p_replaced),
    count(*) filter (where x.is_recent and (x.hold).by_caller),
    coalesce(array_agg(x.hold) filter (where (x.hold).hold_id is distinct from p_replaced
      and (x.is_live or x.is_recent and (x.hold).by_caller)), '{}')
  into live_by, live_for, made, kept
  from (
    select h as hold, h.made_at > p_at - interval '1 hour' as is_recent,
      coalesce(private.is_held(a, p_at), false) as is_live,
      private.hash_phone(a.patient_phone) as phone
    from public.phone_counts as n
    cross join lateral unnest(n.holds) as h
    -- Of any organization: p_org only says for whom it is counted.
    left join public.appointments as a on a.org_id = h.org_id and a.id = h.hold_id
    where n.phone_hash = p_key
  ) as x;
end
$$;
comment on function private.count_holds is
  'How many live holds count for a number, as the caller''s and as the patient''s, and how many it made this hour.';

/*
 * Whether a number has as many live holds as may wait for it. Strangers can hold for a number, but not
 * use it up for the calls that come from it: these have the caller's limits.
 */
create function private.is_phone_full(
  p_org public.organizations, p_call public.calls, p_phone bytea, p_replaced uuid, p_at timestamptz
) returns boolean
language plpgsql stable set search_path = ''
as $$
begin
  return p_call.caller_hash is distinct from p_phone
    and (private.count_holds(p_org.id, p_phone, p_replaced, p_at)).live_for >= p_org.phone_holds;
end
$$;
comment on function private.is_phone_full is
  'Whether no more holds may wait for a number, asked by a call from another number.';

/*
 * Whose limit another hold would exceed: call, caller, clinic (calls without a number), phone, or null.
 * The numbers are locked.
 *
 * p_replaced  the hold that the new one replaces
 */
create function private.hold_limit(
  p_org public.organizations, p_call public.calls, p_phone bytea, p_replaced uuid, p_at timestamptz
) returns text
language plpgsql stable set search_path = ''
as $$
declare
  v_known constant boolean := p_call.caller_hash is not null;
  v_mine integer;
  v_caller record;
begin
  if private.is_blocked(p_org.id, p_call.caller_hash, p_phone) then
    return 'caller';
  end if;
  select count(*) into v_mine from public.appointments as a
  where a.org_id = p_org.id and a.call_id = p_call.call_id and private.is_held(a, p_at)
    and a.id is distinct from p_replaced;
  v_caller := private.count_holds(p_org.id, private.caller_key(p_org.id, p_call), p_replaced, p_at);
  return case
    when v_mine >= case when v_known then p_org.call_holds else p_org.unknown_call_holds end
      then 'call'
    when v_known and (v_caller.live_by >= p_org.caller_holds
      or v_caller.made >= p_org.caller_hourly_holds) then 'caller'
    when not v_known and v_caller.live_by >= p_org.unknown_caller_holds then 'clinic'
    when private.is_phone_full(p_org, p_call, p_phone, p_replaced, p_at) then 'phone'
  end;
end
$$;
comment on function private.hold_limit is 'Whose limit of holds is reached, or null.';

/* Counts a hold for its caller and for its phone, which are locked: once, however often it is corrected. */
create function private.count_hold(
  p_org uuid, p_call public.calls, p_hold public.appointments, p_now timestamptz
) returns void
language plpgsql volatile set search_path = ''
as $$
declare
  v_caller constant bytea := private.caller_key(p_org, p_call);
  v_phone constant bytea := private.hash_phone(p_hold.patient_phone);
begin
  insert into public.phone_counts as n (phone_hash, holds)
  select k, array[row(p_org, p_hold.id, p_now, k = v_caller)::private.counted_hold]
  from unnest(case when v_caller = v_phone then array[v_caller] else array[v_caller, v_phone] end) as k
  on conflict (phone_hash) do update set changed_at = p_now,
    holds = (private.count_holds(p_org, n.phone_hash, p_hold.id, p_now)).kept || excluded.holds;
end
$$;
comment on function private.count_hold is 'Counts a hold for the caller''s number and for the patient''s.';

/*
 * Who is free at a start, least booked first, by the same rule as availability. The provider of the
 * replaced hold comes first, since that hold may be what is in the way; then the provider of the moved
 * appointment, so that patients keep their doctor.
 */
create function private.choose_providers(
  p_org public.organizations, p_wanted private.wanted_slot, p_old public.appointments,
  p_moves public.appointments, p_at timestamptz
) returns uuid[]
language plpgsql stable set search_path = ''
as $$
begin
  return (
    select array_agg(c.provider_id
      order by (c.provider_id = p_old.provider_id) desc nulls last,
        (c.provider_id = p_moves.provider_id) desc nulls last, c.booked, c.provider_id)
    from (
      select f.provider_id, case when (p_wanted.provider).id is null then (
        select count(*) from public.appointments as a
        where a.org_id = p_org.id and a.provider_id = f.provider_id
          and private.is_live(a, p_at)
          and lower(a.busy) between p_wanted.starts_at - interval '12 hours'
            and p_wanted.starts_at + interval '12 hours') end as booked
      from private.find_free(p_org, p_wanted.service, (p_wanted.provider).id, p_wanted.starts_at,
        p_old.call_id, p_at, p_moves.id) as f (provider_id)
    ) as c);
end
$$;
comment on function private.choose_providers is 'The providers who are free at the requested slot, best first, or null.';

/*
 * Lock, check and insert, each in a new statement, provider by provider. A named provider whom nobody
 * has locked is looked at only once, under the lock, free or not. Otherwise those who seem to be free are
 * tried in two passes. The first one waits only for the providers that matter to this patient, and skips any
 * other one that is locked. The second one waits for those, unless their time is taken already.
 *
 * p_old     the hold that the new one replaces, or nulls
 * p_moves   the appointment that the new hold is to move, or nulls
 * hold      the new hold, at the first provider who has the time, or nulls
 * was_free  whether anybody seemed to be free
 */
create function private.insert_hold(
  p_org public.organizations, p_call jsonb, p_action text, p_wanted private.wanted_slot,
  p_patient jsonb, p_old public.appointments, p_moves public.appointments,
  out hold public.appointments, out was_free boolean
)
language plpgsql volatile set search_path = ''
as $$
declare
  v_named constant uuid := (p_wanted.provider).id;
  v_service constant uuid := (p_wanted.service).id;
  v_busy constant tstzrange := private.busy_time(p_wanted.service, p_wanted.starts_at);
  v_shared constant uuid := case when (p_wanted.service).capacity > 1
    then private.session_key(v_service, p_wanted.starts_at) end;
  v_preferred constant uuid[] := array[v_named, p_old.provider_id, p_moves.provider_id];
  v_hold_for constant interval := make_interval(mins => p_org.hold_minutes);
  v_candidates uuid[];
  v_candidate uuid;
  v_tried record;
begin
  if v_named is not null then
    v_tried := private.try_provider(p_org.id, v_named, v_service, p_wanted.starts_at,
      case when v_named = p_old.provider_id then p_old.id end, p_moves.id, p_wait => false,
      p_patient => p_patient, p_call => p_call, p_action => p_action, p_hold_for => v_hold_for);
    hold := v_tried.hold;
    was_free := hold.id is not null;
    if not v_tried.was_locked then
      return;
    end if;
  end if;
  v_candidates := private.choose_providers(p_org, p_wanted, p_old, p_moves, clock_timestamp());
  was_free := v_candidates is not null;
  foreach v_candidate in array coalesce(v_candidates, '{}') loop
    v_tried := private.try_provider(p_org.id, v_candidate, v_service, p_wanted.starts_at,
      case when v_candidate = p_old.provider_id then p_old.id end, p_moves.id,
      p_wait => coalesce(v_candidate = any (v_preferred), false),
      p_patient => p_patient, p_call => p_call, p_action => p_action, p_hold_for => v_hold_for);
    hold := v_tried.hold;
    if hold.id is not null then
      return;
    end if;
  end loop;
  foreach v_candidate in array coalesce(v_candidates, '{}') loop
    continue when v_candidate = any (v_preferred)
      or private.would_overlap(p_org.id, v_candidate, v_busy, v_shared, clock_timestamp());
    v_tried := private.try_provider(p_org.id, v_candidate, v_service, p_wanted.starts_at,
      null, p_moves.id, p_wait => true, p_patient => p_patient, p_call => p_call,
      p_action => p_action, p_hold_for => v_hold_for);
    hold := v_tried.hold;
    if hold.id is not null then
      return;
    end if;
  end loop;
end
$$;
comment on function private.insert_hold is
  'The new hold, at the first provider who has the time, or nulls and whether anybody seemed free.';

create function private.refuse_slot(
  p_org public.organizations, p_call jsonb, p_action text, p_wanted private.wanted_slot,
  p_old public.appointments, p_moves public.appointments, p_was_free boolean, p_at timestamptz
) returns jsonb
language plpgsql volatile set search_path = ''
as $$
begin
  perform private.audit(p_org.id, p_call, p_action, null, 'slot_taken',
    jsonb_build_object('slotId', private.slot_id((p_wanted.service).slug, p_wanted.starts_at,
      p_org.timezone, (p_wanted.provider).slug)));
  return jsonb_build_object('outcome', 'slot_taken', 'orgId', p_org.id, 'timezone', p_org.timezone,
    'taken', p_was_free or private.is_taken(p_org.id, p_wanted.service, (p_wanted.provider).id,
      p_wanted.starts_at, p_old.call_id, p_at, p_moves.id))
    || private.alternatives(
      p_org, p_wanted.service, p_wanted.provider, p_wanted.starts_at, p_old, p_moves.id);
end
$$;
comment on function private.refuse_slot is 'The outcome slot_taken with up to three other slots.';

create function private.describe_released(p_org public.organizations, p_hold public.appointments)
returns jsonb
language plpgsql stable set search_path = ''
as $$
begin
  if p_hold.id is null then
    return '{}';
  end if;
  return jsonb_strip_nulls(jsonb_build_object('released', (
    select jsonb_build_object('startTime', private.iso_local(p_hold.starts_at, p_org.timezone),
      'doctor', p.name)
    from public.appointments as a
    join public.providers as p on p.org_id = a.org_id and p.id = a.provider_id
    where a.org_id = p_org.id and a.id = p_hold.id and a.status = 'cancelled')));
end
$$;
comment on function private.describe_released is 'What was released for another slot: the caller is always told.';

/*
 * Holds a slot for a call whose numbers are locked, within its limits. The hold that it replaces is
 * released in the same transaction, as soon as the new one exists.
 *
 * p_patient  {name, phone, country}
 * p_old      the hold that the new one replaces, or nulls
 * p_moves    the appointment that it is to move, or nulls
 * Returns    slot_taken, hold_limit (of: call, caller, clinic, phone; codeWaits: the caller can read out
 *            a code of this call), or held with the hold, and with released {startTime, doctor} if
 *            another one was released
 */
create function private.claim_start(
  p_org public.organizations, p_call jsonb, p_entered public.calls, p_action text,
  p_wanted private.wanted_slot, p_patient jsonb, p_old public.appointments,
  p_moves public.appointments
) returns jsonb
language plpgsql volatile set search_path = ''
as $$
declare
  v_now constant timestamptz := clock_timestamp();
  v_limit constant text := private.hold_limit(
    p_org, p_entered, private.hash_phone(p_patient ->> 'phone'), p_old.id, v_now);
  v_inserted record;
  v_hold public.appointments;
begin
  if v_limit is not null then
    perform private.audit(p_org.id, p_call, p_action, null, 'hold_limit',
      jsonb_build_object('of', v_limit));
    return jsonb_build_object('outcome', 'hold_limit', 'orgId', p_org.id, 'of', v_limit,
      'codeWaits', exists (
        select from public.one_time_passcodes as c
        where c.org_id = p_org.id and c.call_id = p_entered.call_id and c.mac is not null
          and c.expires_at > v_now
          -- Callers must not learn whether the code of a change was texted.
          and (c.purpose = 'change' or not private.was_not_delivered(p_org.id, c.send_id))));
  end if;
  v_inserted := private.insert_hold(p_org, p_call, p_action, p_wanted, p_patient, p_old, p_moves);
  v_hold := v_inserted.hold;
  if v_hold.id is null then
    return private.refuse_slot(
      p_org, p_call, p_action, p_wanted, p_old, p_moves, v_inserted.was_free, v_now);
  end if;
  if p_old.id is not null then
    perform private.release_hold(p_org.id, p_call, p_action, p_old.id);
  end if;
  perform private.count_hold(p_org.id, p_entered, v_hold, clock_timestamp());
  perform private.audit(p_org.id, p_call, p_action, v_hold.id, 'held');
  return private.describe_hold(p_org, v_hold, clock_timestamp()) || '{"outcome": "held"}'
    || private.describe_released(p_org, p_old);
end
$$;
comment on function private.claim_start is 'Holds a slot of one organization for a call, or says why not.';

create function private.find_new_time(p_org uuid, p_call_id text, p_at timestamptz)
returns public.appointments
language plpgsql stable set search_path = ''
as $$
declare
  v_hold public.appointments;
begin
  select a.* into v_hold
  from public.appointment_changes as c
  join public.appointments as a on a.org_id = c.org_id and a.id = c.hold_id
  where c.org_id = p_org and c.call_id = p_call_id and c.applied_at is null
    and a.call_id = p_call_id and private.is_held(a, p_at);
  return v_hold;
end
$$;
comment on function private.find_new_time is
  'The live hold of the new time that a call has requested for an appointment, or nulls.';

/*
 * Locks a hold until its transaction confirms it, and returns its current row. Nulls if its call no
 * longer has it: after it expired, a claim may have taken its time while this function waited.
 */
create function private.lock_hold(p_org uuid, p_hold public.appointments, p_at timestamptz)
returns public.appointments
language plpgsql volatile set search_path = ''
as $$
declare
  v_hold public.appointments;
begin
  perform private.lock_holds(p_org, p_hold.call_id);
  select a.* into v_hold from public.appointments as a
  where a.org_id = p_org and a.id = p_hold.id and a.call_id is not distinct from p_hold.call_id
    and private.is_held(a, p_at)
  for update;
  return v_hold;
end
$$;
comment on function private.lock_hold is 'Keeps a live hold of a call from expiring until it is confirmed.';

/* The number of a hold was corrected: unless something else waits for the old number, its code is void. */
create function private.forget_old_phone(p_org uuid, p_hold public.appointments) returns void
language plpgsql volatile set search_path = ''
as $$
begin
  if not exists (
    select from public.appointments as a
    where a.org_id = p_org and a.call_id = p_hold.call_id and a.status = 'held'
      and not private.is_kept(a) and a.patient_phone = p_hold.patient_phone and a.id <> p_hold.id)
    and not exists (
      select from public.appointment_changes as c
      where c.org_id = p_org and c.call_id = p_hold.call_id and c.applied_at is null
        and c.patient_phone = p_hold.patient_phone) then
    perform private.forget_passcode(
      p_org, p_hold.call_id, private.hash_phone(p_hold.patient_phone));
  end if;
end
$$;
comment on function private.forget_old_phone is 'Forgets the code of a number that a hold no longer has.';

/*
 * The answer to a repeated request, which may arrive late: what the caller asked for since then stays.
 * Null if the request is new, or if its hold has expired: then it is decided again.
 */
create function private.repeat_request(
  p_org public.organizations, p_call_id text, p_request text, p_wanted private.wanted_slot,
  p_name text, p_now timestamptz
) returns jsonb
language plpgsql stable set search_path = ''
as $$
declare
  v_hold public.appointments;
  v_has_expired boolean;
begin
  if p_request is null then
    return null;
  end if;
  select m.* into v_hold from private.rows_of_call(p_org.id, p_call_id) as m
  where p_request = any (m.asked_by) and private.is_wanted(p_wanted, m)
  order by m.created_at desc limit 1;
  if v_hold.id is null then
    return null;
  elsif not private.is_live(v_hold, p_now) or private.is_kept(v_hold) then
    -- It was released, has expired or is the front desk's: what the patient has now.
    v_has_expired := private.has_expired(v_hold, p_now);
    select m.* into v_hold from private.rows_of_call(p_org.id, p_call_id) as m
    where private.is_live(m, p_now) and not private.is_kept(m)
      and private.is_same_patient(p_name, m.patient_name) and not private.is_new_time(p_org.id, m)
    order by m.status = 'held' desc, m.created_at desc limit 1;
    if v_hold.id is null and v_has_expired then
      return null;
    end if;
  end if;
  return case v_hold.status
    when 'held' then private.describe_hold(p_org, v_hold, p_now) || '{"outcome": "held", "repeated": true}'
    when 'confirmed' then private.describe_hold(p_org, v_hold, p_now)
      || '{"outcome": "already_confirmed", "repeated": true}'
    else jsonb_build_object('outcome', 'hold_expired', 'orgId', p_org.id) end;
end
$$;
comment on function private.repeat_request is
  'The answer to a repeated request: held, already_confirmed, hold_expired, or null.';

create function private.note_request(p_org uuid, p_hold uuid, p_request text) returns void
language plpgsql volatile set search_path = ''
as $$
begin
  update public.appointments as a set asked_by = a.asked_by || p_request
  where a.org_id = p_org and a.id = p_hold and p_request <> all (a.asked_by);
end
$$;
comment on function private.note_request is
  'Stores that a request was answered with a hold: if it is delivered again later, it changes nothing.';

/*
 * A patient asks again for the slot that is held, and gets the same answer. The hold is extended once,
 * when more than half of its time has passed. A corrected number or name replaces the old one.
 */
create function private.repeat_hold(
  p_org public.organizations, p_call jsonb, p_entered public.calls, p_hold uuid, p_patient jsonb
) returns jsonb
language plpgsql volatile set search_path = ''
as $$
declare
  v_ttl constant interval := make_interval(mins => p_org.hold_minutes);
  v_hold public.appointments;
  v_now timestamptz;
  v_extends boolean;
  v_moves_phone boolean;
begin
  select a.* into v_hold from public.appointments as a
  where a.org_id = p_org.id and a.id = p_hold for update;
  v_now := clock_timestamp();
  if private.awaits_code(v_hold, v_now) is not true or v_hold.call_id <> p_call ->> 'callId' then
    -- It has expired, or the patient's next call has taken it over.
    return jsonb_build_object('outcome', 'hold_expired', 'orgId', p_org.id);
  end if;
  v_extends := v_hold.extended_at is null and v_hold.expires_at < v_now + v_ttl / 2;
  v_moves_phone := v_hold.patient_phone <> p_patient ->> 'phone';
  if v_moves_phone then
    if private.is_phone_full(
      p_org, p_entered, private.hash_phone(p_patient ->> 'phone'), v_hold.id, v_now) then
      return jsonb_build_object('outcome', 'hold_limit', 'orgId', p_org.id, 'of', 'phone');
    end if;
    perform private.forget_old_phone(p_org.id, v_hold);
    perform private.audit(p_org.id, p_call, 'hold_slot', v_hold.id, 'phone_changed');
  end if;
  if v_hold.patient_name <> p_patient ->> 'name' then
    perform private.audit(p_org.id, p_call, 'hold_slot', v_hold.id, 'name_changed');
  end if;
  if v_extends then
    perform private.audit(p_org.id, p_call, 'hold_slot', v_hold.id, 'extended');
  end if;
  if v_extends or v_moves_phone or v_hold.patient_name <> p_patient ->> 'name' then
    update public.appointments as a
    set patient_name = p_patient ->> 'name', patient_phone = p_patient ->> 'phone',
      patient_country = p_patient ->> 'country', updated_at = v_now,
      asked_by = a.asked_by || private.request_key(p_call, p_patient),
      extended_at = case when v_extends then v_now else a.extended_at end,
      expires_at = case when v_extends then greatest(a.expires_at, v_now + v_ttl)
        else a.expires_at end
    where a.org_id = p_org.id and a.id = p_hold
    returning a.* into v_hold;
    if v_moves_phone then
      perform private.count_hold(p_org.id, p_entered, v_hold, v_now);
    end if;
  else
    perform private.note_request(p_org.id, p_hold, private.request_key(p_call, p_patient));
  end if;
  return private.describe_hold(p_org, v_hold, v_now) || '{"outcome": "held", "repeated": true}';
end
$$;
comment on function private.repeat_hold is 'The answer to a call that asks again for the slot it holds.';

/* p_proven_at  when a passcode proved the number; null if none did: what was proven before stays so */
create function private.save_contact(
  p_org uuid, p_phone text, p_name text, p_proven_at timestamptz
) returns uuid
language plpgsql volatile set search_path = ''
as $$
declare
  v_contact uuid;
begin
  insert into public.contacts as c (org_id, phone, name, proven_at)
  values (p_org, p_phone, p_name, p_proven_at)
  on conflict (org_id, phone) do update
  set name = excluded.name, proven_at = coalesce(excluded.proven_at, c.proven_at)
  returning c.id into v_contact;
  return v_contact;
end
$$;
comment on function private.save_contact is
  'Makes a patient a contact, or renames the contact with that number; without one it is always a new contact.';

/*
 * The patient becomes a contact, under the name of this hold.
 *
 * p_proven_at  as in private.save_contact()
 */
create function private.confirm_hold(
  p_org uuid, p_hold public.appointments, p_proven_at timestamptz, p_now timestamptz
) returns boolean
language plpgsql volatile set search_path = ''
as $$
declare
  v_contact constant uuid := private.save_contact(
    p_org, p_hold.patient_phone, p_hold.patient_name, p_proven_at);
begin
  update public.appointments as a
  set status = 'confirmed', expires_at = null, contact_id = v_contact, updated_at = p_now
  where a.org_id = p_org and a.id = p_hold.id and a.call_id is not distinct from p_hold.call_id
    and private.is_held(a, p_now);
  if not found then
    return false;
  end if;
  perform private.announce(p_org, p_hold.id, 'confirmation');
  return true;
end
$$;
comment on function private.confirm_hold is 'Confirms a hold in place; false if its call no longer holds it.';

create function private.find_confirmed(
  p_org uuid, p_call_id text, p_wanted private.wanted_slot, p_name text
) returns public.appointments
language plpgsql stable set search_path = ''
as $$
declare
  v_appointment public.appointments;
begin
  select m.* into v_appointment from private.rows_of_call(p_org, p_call_id) as m
  where m.status = 'confirmed' and private.is_same_patient(p_name, m.patient_name)
  order by private.is_wanted(p_wanted, m) desc, m.updated_at desc limit 1;
  return v_appointment;
end
$$;
comment on function private.find_confirmed is 'What this call has confirmed for a patient, preferably the requested slot.';

/*
 * hold_slot for a known organization.
 *
 * p_patient  {name, phone, country}
 * p_hold     the hold to move or correct, or null
 */
create function private.hold_slot(
  p_org public.organizations, p_call jsonb, p_slot_id text, p_patient jsonb, p_hold uuid
) returns jsonb
language plpgsql volatile set search_path = ''
as $$
declare
  v_name constant text := p_patient ->> 'name';
  v_phone constant bytea := private.hash_phone(p_patient ->> 'phone');
  v_hash constant bytea :=
    sha256(convert_to(jsonb_build_array(p_patient, p_hold, p_slot_id)::text, 'UTF8'));
  v_wanted private.wanted_slot;
  v_call public.calls;
  v_found record;
  v_now timestamptz;
  v_old public.appointments;
  v_confirmed public.appointments;
  v_move public.appointments;
  v_answer jsonb;
begin
  -- Also if it is refused: the name must not be in the report of the call.
  v_call := private.enter_call(p_org, p_call, v_name);
  perform private.lock_phones(array[private.caller_key(p_org.id, v_call), v_phone]);
  -- Staff may have changed the clinic while this waited.
  select o as org,
    exists (
      select from public.org_channels as c
      where c.org_id = o.id and c.kind = 'called_number' and c.value = p_patient ->> 'phone')
      as is_clinics_phone,
    exists (
      select from public.appointments as a
      where a.org_id = o.id and a.call_id = v_call.call_id) as has_held
  into v_found
  from public.organizations as o where o.id = p_org.id;
  if not found then
    return '{"outcome": "unknown_clinic"}';
  end if;
  p_org := v_found.org;
  if v_found.is_clinics_phone then
    return '{"outcome": "unusable_phone"}';
  elsif p_patient ->> 'country' <> all (p_org.sms_countries) then
    -- No code could reach it: another number is asked for now, while there is nothing to lose.
    perform private.audit(p_org.id, p_call, 'hold_slot', null, 'blocked_country');
    return jsonb_strip_nulls(jsonb_build_object('outcome', 'blocked_country', 'orgId', p_org.id,
      'alarm', private.count_for_alarm(p_org, 'refused_sends', clock_timestamp())));
  end if;
  v_wanted := private.read_wanted(p_org, p_slot_id);
  if v_wanted.starts_at is null then
    return '{"outcome": "invalid_slot"}';
  end if;
  v_now := clock_timestamp();
  -- Most calls ask for their first hold, and skip all of this.
  if v_found.has_held then
    v_answer := private.repeat_request(
      p_org, v_call.call_id, private.request_key(p_call, p_patient), v_wanted, v_name, v_now);
    v_old := private.find_own_hold(p_org.id, v_call.call_id, p_hold, v_name, v_now);
    v_confirmed := private.find_confirmed(p_org.id, v_call.call_id, v_wanted, v_name);
    if v_answer is null and (v_old.id is not null or v_confirmed.id is not null) then
      -- A refused request that arrives again after the patient has got another time.
      v_answer := private.recall_answer(p_org.id, p_call, 'hold_slot', v_hash);
    end if;
    if v_answer is null and v_old.id is null then
      if private.is_wanted(v_wanted, v_confirmed) then
        v_answer := private.describe_hold(p_org, v_confirmed, v_now)
          || '{"outcome": "already_confirmed"}';
      else
        v_move := private.find_new_time(p_org.id, v_call.call_id, v_now);
        if private.is_wanted(v_wanted, v_move) and private.is_for_patient(v_move, p_patient) then
          perform private.note_request(
            p_org.id, v_move.id, private.request_key(p_call, p_patient));
          v_answer := private.describe_hold(p_org, v_move, v_now)
            || '{"outcome": "held", "repeated": true}';
        end if;
      end if;
    end if;
    if v_answer is not null then
      return jsonb_build_object('textsCode', p_org.texts_at_hold) || v_answer;
    end if;
  end if;
  if v_old.id is null and v_call.caller_hash = v_phone then
    v_old := private.find_left_hold(p_org.id, v_call, v_wanted, p_patient, v_now);
    if private.is_wanted(v_wanted, v_old) then
      v_old := case when private.take_over(p_org.id, p_call, v_old.id) then v_old end;
    end if;
  end if;
  v_answer := case when private.is_wanted(v_wanted, v_old)
    then private.repeat_hold(p_org, p_call, v_call, v_old.id, p_patient)
    else private.claim_start(p_org, p_call, v_call, 'hold_slot', v_wanted, p_patient, v_old, null) end;
  if v_answer ->> 'outcome' <> 'held' then
    perform private.record_answer(p_org.id, p_call, 'hold_slot', v_hash, v_answer);
    return v_answer;
  end if;
  return v_answer || jsonb_strip_nulls(jsonb_build_object(
    -- A call that has asked for no text has proven nothing.
    'proven', v_call.sends > 0 and private.is_proven(p_org.id, v_call.call_id, v_phone, v_now),
    'textsCode', p_org.texts_at_hold,
    'alsoConfirmed', private.iso_local(v_confirmed.starts_at, p_org.timezone)));
end
$$;
comment on function private.hold_slot is 'Holds a slot for one patient of a call, or says why not.';

/*
 * Entry function of the tool hold_slot: one call, one transaction.
 *
 * p_hold    the id of a hold of this call to move or correct; null or nonsense for none
 * Outcomes  held (proven: its phone needs no further code in this call; textsCode: the clinic wants the
 *           code texted at once, by begin_send_at_hold; released {startTime, doctor}:
 *           what the patient held before; alsoConfirmed: the start of what the patient has confirmed in
 *           this call), already_confirmed, slot_taken (with alternatives; taken is false for a time
 *           that was never bookable), hold_limit (of: call, caller, clinic, phone; codeWaits), invalid_slot,
 *           unusable_phone, blocked_country (the clinic does not text there), hold_expired, call_needed, busy, unknown_clinic, cross_tenant_denied
 * Raises    25001 under another isolation level than read committed
 */
create function public.claim_slot_atomic(
  p_call jsonb, p_slot_id text, p_patient_name text, p_patient_phone text,
  p_patient_country text default null, p_hold text default null
) returns jsonb
language plpgsql volatile security definer set search_path = '' set lock_timeout = '300ms'
  set jit = off set plan_cache_mode = force_generic_plan
as $$
declare
  v_opened record;
begin
  perform private.require_read_committed();
  v_opened := private.open_call(p_call, 'hold_slot');
  if v_opened.refusal is not null then
    return v_opened.refusal;
  elsif p_call ->> 'callId' is null then
    return private.answer(v_opened.org, '{"outcome": "call_needed"}');
  end if;
  return private.answer(v_opened.org, private.hold_slot(v_opened.org, p_call, p_slot_id,
    jsonb_build_object(
      'name', p_patient_name, 'phone', p_patient_phone, 'country', p_patient_country),
    private.read_id(p_hold)));
exception
  when lock_not_available or deadlock_detected then
    return '{"outcome": "busy"}';
  when foreign_key_violation then
    return private.refuse_gone(p_call, 'hold_slot');
end
$$;
comment on function public.claim_slot_atomic is
  'Tool hold_slot: holds a slot for exactly one of the calls that ask for it.';

revoke execute on function public.claim_slot_atomic from public, anon, authenticated;
grant execute on function public.claim_slot_atomic to service_role;
