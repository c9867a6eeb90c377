/*
 * Holds: a slot becomes a hold, for one of however many callers ask at once.
 *
 * Decisions
 * - A hold is inserted under its provider's lock, after private.would_overlap() has found the time
 *   free, and the exclusion constraint decides once more. Lock and check are separate statements, so
 *   the check sees what was committed while the lock was waited for. READ COMMITTED is therefore
 *   required, and checked.
 * - A named provider's lock is waited for. When any provider will do, busy ones are skipped, and a
 *   second pass waits for those whose time is not taken yet. No provider lock is waited for while
 *   another is held.
 * - A call that changes its mind keeps what it holds until it has the other slot: if that is taken,
 *   the caller loses nothing.
 * - A call has a lock of its own, taken first, so its repeats come one after the other and all get
 *   the same hold. Lock order: call, provider, rows.
 * - An attempt that fails is rolled back to its savepoint and leaves no lock behind, so no claim
 *   waits for one provider while it holds another, and no two claims for each other.
 * - A lock wait of more than 300 ms is the outcome busy. Deadlocks must not happen, and if one
 *   does it is busy too: PostgREST 14 repeats 40001 and 40P01 until the client gives up.
 */

/*
 * Waits for whoever is at work on the hold, and then leaves alone what was confirmed meanwhile or
 * went over to another call.
 */
create function private.release_hold(p_org uuid, p_call jsonb, p_action text, p_hold uuid)
returns void
language plpgsql volatile set search_path = ''
as $$
begin
  update public.appointments as a
  set status = 'cancelled', updated_at = clock_timestamp()
  where a.org_id = p_org and a.id = p_hold and a.status = 'held'
    and a.call_id is not distinct from p_call ->> 'callId';
  if found then
    perform private.forget_passcode(p_org, p_hold);
    perform private.audit(p_org, p_call, p_action, p_hold, 'released');
  end if;
end
$$;
comment on function private.release_hold is
  'Cancels a hold that its call no longer wants, and audits it, if it is still held by that call.';

create function private.request_key(p_call jsonb, p_patient jsonb) returns text
language plpgsql immutable set search_path = ''
as $$
begin
  return md5(nullif(p_call ->> 'toolCallId', '') || p_patient::text);
end
$$;
comment on function private.request_key is
  'Tells a request for a slot that is delivered again from a new one; null without a tool call id.';

/*
 * One attempt at one provider: the lowest free seat is taken. Lapsed holds are flipped when they are
 * in the way, so that a claim where none is does not look for them.
 * Returns the new hold, or nulls when it is taken or, with the lock mode 'try', when another claim
 * of that provider is under way; with 'look' it does not wait for the lock of a provider whose time
 * is taken already. A failed attempt is rolled back to its savepoint: flips, release and
 * lock are gone. With p_replaces the caller's own earlier hold is released in the same breath,
 * since it may be what stands in the way; the appointment p_moves, which may stand in the way too,
 * stays, and shares its session_key with the new hold.
 */
create function private.try_provider(
  p_org uuid, p_provider uuid, p_service public.services, p_start timestamptz,
  p_replaces uuid, p_moves uuid, p_lock text, p_patient jsonb, p_call jsonb, p_action text,
  p_hold_for interval
) returns public.appointments
language plpgsql volatile set search_path = ''
as $$
declare
  v_now timestamptz;
  v_end constant timestamptz := p_start + make_interval(mins => p_service.duration_min);
  v_busy constant tstzrange := tstzrange(
    p_start - make_interval(mins => p_service.buffer_before_min),
    v_end + make_interval(mins => p_service.buffer_after_min));
  v_session uuid := private.session_key(p_service.id, p_start);
  v_lapsed uuid;
  v_moved uuid;
  v_is_last boolean := false;
  v_hold public.appointments;
begin
  v_now := clock_timestamp();
  if p_lock = 'look' and private.would_overlap(p_org, p_provider, v_busy, v_session, v_now)
    or not private.lock_provider(p_org, p_provider, p_wait => p_lock <> 'try') then
    return null;
  end if;
  v_now := clock_timestamp();
  if p_replaces is not null then
    perform private.release_hold(p_org, p_call, p_action, p_replaces);
  end if;
  if p_moves is not null and p_service.capacity = 1 then
    update public.appointments as a set session_key = a.id
    where a.org_id = p_org and a.id = p_moves and a.provider_id = p_provider
      and a.capacity = 1 and private.overlaps(a.busy, v_busy)
      -- Where others have joined its session, it cannot leave them.
      and not exists (
        select from public.appointments as o
        where o.org_id = p_org and o.provider_id = p_provider and o.id <> a.id
          and o.status in ('held', 'confirmed') and o.session_key = a.session_key
          and private.overlaps(o.busy, a.busy))
    returning a.session_key into v_moved;
    v_session := coalesce(v_moved, v_session);
  end if;
  loop
    if not private.would_overlap(p_org, p_provider, v_busy, v_session) then
      for v_seat in 0 .. p_service.capacity - 1 loop
        if p_service.capacity > 1 then
          continue when exists (
            select from public.appointments as a
            where a.org_id = p_org and a.provider_id = p_provider and a.service_id = p_service.id
              and a.starts_at = p_start and a.seat = v_seat and a.status in ('held', 'confirmed'));
        end if;
        insert into public.appointments as a (
          org_id, provider_id, service_id, patient_name, patient_phone, patient_country,
          starts_at, ends_at, busy, session_key, seat, capacity, status, expires_at, call_id,
          asked_by
        ) values (
          p_org, p_provider, p_service.id, p_patient ->> 'name', p_patient ->> 'phone',
          p_patient ->> 'country', p_start, v_end, v_busy, v_session, v_seat, p_service.capacity,
          'held', v_now + p_hold_for, p_call ->> 'callId',
          array[private.request_key(p_call, p_patient)]
        )
        on conflict do nothing
        returning a.* into v_hold;
        if v_hold.id is not null then
          return v_hold;
        end if;
      end loop;
    end if;
    exit when v_is_last;
    for v_lapsed in
      update public.appointments as a
      set status = 'expired', updated_at = v_now
      where a.org_id = p_org and a.provider_id = p_provider
        and private.overlaps(a.busy, v_busy)
        and a.status in ('held', 'confirmed') and coalesce(a.expires_at, 'infinity') <= v_now
      returning a.id
    loop
      perform private.audit(p_org, null, 'hold_slot', v_lapsed, 'expired');
    end loop;
    -- Where none was flipped, somebody else may just have done it: one more try.
    v_is_last := not found;
  end loop;
  -- To the savepoint: no flip, release or lock may outlive a failed attempt.
  raise exception using errcode = 'MO001', message = 'slot taken';
exception when sqlstate 'MO001' then
  return null;
end
$$;
comment on function private.try_provider is
  'Inserts a hold for one provider and returns it, or nulls and no trace when it is taken.';

/*
 * What a call holds now, or has confirmed last. Not a new time that waits for its passcode: whose
 * appointment it moves has not been proven.
 */
create function private.describe_call(
  p_org public.organizations, p_call_id text, p_now timestamptz
) returns jsonb
language plpgsql stable set search_path = ''
as $$
declare
  v_hold public.appointments;
begin
  select a.* into v_hold from public.appointments as a
  where a.org_id = p_org.id and a.call_id = p_call_id and a.status in ('held', 'confirmed')
    and coalesce(a.expires_at, 'infinity') > p_now
    and not exists (
      select from public.appointment_changes as c
      where c.org_id = p_org.id and c.hold_id = a.id and c.applied_at is null)
  order by a.status = 'held' desc, a.created_at desc limit 1;
  if not found then
    return jsonb_build_object('outcome', 'hold_expired', 'orgId', p_org.id);
  end if;
  return private.describe_hold(p_org, v_hold, p_now) || jsonb_build_object('repeated', true,
    'outcome', case v_hold.status when 'held' then 'held' else 'already_confirmed' end);
end
$$;
comment on function private.describe_call is
  'The answer to a request that was answered before: held, already_confirmed or hold_expired.';

/*
 * The same call asks for what it holds already: the same answer. The hold is extended once, when
 * more than half of it is gone. A corrected number or name replaces the old one; a passcode that
 * went to the old number dies.
 */
create function private.repeat_hold(
  p_org public.organizations, p_call jsonb, p_hold uuid, p_patient jsonb
) returns jsonb
language plpgsql volatile set search_path = ''
as $$
declare
  v_ttl constant interval := make_interval(mins => p_org.hold_minutes);
  v_hold public.appointments;
  v_now timestamptz;
  v_extends boolean;
begin
  select a.* into strict v_hold from public.appointments as a
  where a.org_id = p_org.id and a.id = p_hold for update;
  v_now := clock_timestamp();
  if v_hold.status = 'confirmed' then
    return private.describe_hold(p_org, v_hold, v_now) || '{"outcome": "already_confirmed"}';
  elsif v_hold.status <> 'held' or v_hold.expires_at <= v_now
    or v_hold.call_id <> p_call ->> 'callId' then
    -- It lapsed, or the next call of the patient has taken it over.
    return jsonb_build_object('outcome', 'hold_expired', 'orgId', p_org.id);
  end if;
  v_extends := not v_hold.extended and v_hold.expires_at < v_now + v_ttl / 2;
  if v_hold.patient_phone <> p_patient ->> 'phone' then
    perform private.forget_passcode(p_org.id, v_hold.id);
    perform private.audit(p_org.id, p_call, 'hold_slot', v_hold.id, 'phone_changed');
  end if;
  if v_hold.patient_name <> p_patient ->> 'name' then
    perform private.audit(p_org.id, p_call, 'hold_slot', v_hold.id, 'name_changed');
  end if;
  if v_extends then
    perform private.audit(p_org.id, p_call, 'hold_slot', v_hold.id, 'extended');
  end if;
  if v_extends or v_hold.patient_phone <> p_patient ->> 'phone'
    or v_hold.patient_name <> p_patient ->> 'name' then
    update public.appointments as a
    set patient_name = p_patient ->> 'name', patient_phone = p_patient ->> 'phone',
      patient_country = p_patient ->> 'country', updated_at = v_now,
      asked_by = a.asked_by || private.request_key(p_call, p_patient),
      extended = a.extended or v_extends,
      expires_at = case when v_extends then v_now + v_ttl else a.expires_at end
    where a.org_id = p_org.id and a.id = p_hold
    returning a.* into v_hold;
  end if;
  return private.describe_hold(p_org, v_hold, v_now) || '{"outcome": "held", "repeated": true}';
end
$$;
comment on function private.repeat_hold is 'The answer to a call that asks again for the slot it holds.';

/*
 * The tenant's claim. p_patient is {name, phone, country}; p_call as in check_availability; p_moves
 * is the confirmed appointment, locked, that the hold is to replace.
 */
create function private.claim_slot(
  p_org public.organizations, p_call jsonb, p_slot_id text, p_patient jsonb,
  p_moves uuid default null
) returns jsonb
language plpgsql volatile set search_path = ''
as $$
declare
  v_call_id constant text := p_call ->> 'callId';
  v_request constant text := private.request_key(p_call, p_patient);
  v_action constant text :=
    case when p_moves is null then 'hold_slot' else 'reschedule_appointment' end;
  v_slot record;
  v_service public.services;
  v_provider public.providers;
  v_old public.appointments;
  v_hold public.appointments;
  v_now timestamptz;
  v_candidates uuid[];
  v_candidate uuid;
  v_preferred uuid;
  v_own boolean;
  v_waits boolean;
  v_lock text;
  v_kept jsonb;
begin
  v_slot := private.parse_slot_id(p_slot_id, p_org.timezone);
  if v_slot.starts_at is null then
    return '{"outcome": "invalid_slot"}';
  end if;
  v_service := private.find_service(p_org.id, v_slot.service_slug);
  if v_service.id is null then
    return '{"outcome": "invalid_slot"}';
  end if;
  if v_slot.provider_slug is not null then
    select p.* into v_provider from public.providers as p
    where p.org_id = p_org.id and p.slug = v_slot.provider_slug and p.active;
    if not found then
      return '{"outcome": "invalid_slot"}';
    end if;
  end if;
  if exists (
    select from public.org_channels as c
    where c.org_id = p_org.id and c.kind = 'called_number' and c.value = p_patient ->> 'phone') then
    return '{"outcome": "unusable_phone"}';
  end if;

  -- 1. One request of a call at a time.
  perform private.lock_call(p_org.id, v_call_id);
  v_now := clock_timestamp();

  -- 2. The same call again: its own hold, or its own confirmed appointment, or what became of this
  -- very request. A call has few rows; they are fetched first, so that no index of live rows seems
  -- to be the better one.
  with mine as materialized (
    select a.* from public.appointments as a
    where a.org_id = p_org.id and a.call_id = v_call_id
  )
  select m.* into v_old from mine as m
  where m.status = 'held' and m.expires_at > v_now
    or m.status = 'confirmed' and p_moves is null and m.service_id = v_service.id
      and m.starts_at = v_slot.starts_at
      and (v_provider.id is null or m.provider_id = v_provider.id)
    or m.status = 'cancelled' and v_request = any (m.asked_by) and p_moves is null
      and m.service_id = v_service.id and m.starts_at = v_slot.starts_at
      and (v_provider.id is null or m.provider_id = v_provider.id)
  order by (m.service_id, m.starts_at) = (v_service.id, v_slot.starts_at) desc,
    v_request = any (m.asked_by) desc nulls last, m.status, m.created_at
  limit 1;
  if v_old.service_id = v_service.id and v_old.starts_at = v_slot.starts_at
    and (v_provider.id is null or v_old.provider_id = v_provider.id) then
    -- Delivered again, and perhaps late: what the caller asked for since then stays.
    if v_request = any (v_old.asked_by) and p_moves is null then
      return private.describe_call(p_org, v_call_id, v_now);
    end if;
    -- What is held for moving one appointment may overlap it: it is no new time for another one,
    -- and no booking for another patient.
    if v_old.status = 'confirmed' or not exists (
      select from public.appointment_changes as c
      where c.org_id = p_org.id and c.hold_id = v_old.id
        and c.appointment_id is distinct from p_moves
        and (p_moves is not null or v_old.patient_phone <> p_patient ->> 'phone'
          or not private.is_same_name(v_old.patient_name, p_patient ->> 'name'))) then
      return private.repeat_hold(p_org, p_call, v_old.id, p_patient);
    end if;
  end if;

  -- 3. Who is free then, least booked first: the same question that availability answers.
  -- The doctor of the call's own hold comes first: it may be what stands in the way. Then the one
  -- whose appointment is moved: patients keep their doctor.
  if p_moves is not null then
    select m.provider_id into v_preferred from public.appointments as m
    where m.org_id = p_org.id and m.id = p_moves;
  end if;
  select array_agg(c.provider_id
    order by (c.provider_id = v_old.provider_id) desc nulls last,
      (c.provider_id = v_preferred) desc nulls last, c.booked, c.provider_id)
  into v_candidates
  from (
    select f.provider_id, case when v_provider.id is null then (
      select count(*) from public.appointments as a
      where a.org_id = p_org.id and a.provider_id = f.provider_id
        and a.status in ('held', 'confirmed') and coalesce(a.expires_at, 'infinity') > v_now
        and lower(a.busy) between v_slot.starts_at - interval '12 hours'
          and v_slot.starts_at + interval '12 hours') end as booked
    from private.find_free(p_org, v_service, v_provider.id, v_slot.starts_at, v_call_id, v_now,
      p_moves) as f (provider_id)
  ) as c;

  -- 4. Lock, look and insert, each a new statement. The second pass waits for locks.
  foreach v_lock in array array['try', 'look'] loop
    foreach v_candidate in array coalesce(v_candidates, '{}') loop
      v_own := coalesce(v_candidate = v_old.provider_id, false);
      v_waits := v_own or v_candidate in (v_provider.id, v_preferred) is true;
      continue when v_lock = 'look' and v_waits;
      v_hold := private.try_provider(p_org.id, v_candidate, v_service, v_slot.starts_at,
        case when v_own then v_old.id end, p_moves,
        case when v_waits then 'wait' else v_lock end,
        p_patient, p_call, v_action, make_interval(mins => p_org.hold_minutes));
      exit when v_hold.id is not null;
    end loop;
    exit when v_hold.id is not null;
  end loop;

  if v_hold.id is null then
    perform private.audit(p_org.id, p_call, v_action, null, 'slot_taken',
      jsonb_build_object('slotId', private.slot_id(
        v_service.slug, v_slot.starts_at, p_org.timezone, v_provider.slug)));
    return jsonb_build_object('outcome', 'slot_taken', 'orgId', p_org.id,
      'timezone', p_org.timezone,
      'taken', v_candidates is not null
        or private.is_taken(
          p_org.id, v_service, v_provider.id, v_slot.starts_at, v_call_id, v_now, p_moves))
      || private.alternatives(
        p_org, v_service, v_provider, v_slot.starts_at, v_call_id, p_moves);
  end if;

  -- 5. A call holds one slot: the earlier one goes in the same transaction, unless its passcode
  -- has confirmed it just now. Then the caller has both, and is told.
  if v_old.id is not null then
    perform private.release_hold(p_org.id, p_call, v_action, v_old.id);
    select jsonb_build_object('alsoConfirmed', private.iso_local(a.starts_at, p_org.timezone))
    into v_kept
    from public.appointments as a
    where a.org_id = p_org.id and a.id = v_old.id and a.call_id = v_call_id
      and a.status = 'confirmed';
  end if;
  perform private.audit(p_org.id, p_call, v_action, v_hold.id, 'held');
  return private.describe_hold(p_org, v_hold, clock_timestamp()) || coalesce(v_kept, '{}')
    || '{"outcome": "held"}';
end
$$;
comment on function private.claim_slot is 'Holds a slot of one organization for a call, or says why not.';

/* A right code came: the hold is confirmed, the patient becomes a contact. */
create function private.confirm_hold(p_org uuid, p_hold public.appointments, p_now timestamptz)
returns void
language plpgsql volatile set search_path = ''
as $$
declare
  v_contact uuid;
begin
  insert into public.contacts (org_id, phone, name)
  values (p_org, p_hold.patient_phone, p_hold.patient_name)
  on conflict (org_id, phone) do update set name = public.contacts.name
  returning id into v_contact;
  update public.appointments as a
  set status = 'confirmed', expires_at = null, contact_id = v_contact, updated_at = p_now
  where a.org_id = p_org and a.id = p_hold.id and a.status = 'held' and a.expires_at > p_now;
end
$$;
comment on function private.confirm_hold is 'Confirms a hold in place, under its row lock.';

/*
 * Entry function of the tool hold_slot: one call, one transaction.
 *
 * Outcomes  held (with alsoConfirmed, a start, when the call's earlier hold was confirmed by its
 *           passcode at the same time), already_confirmed, slot_taken (with alternatives; taken is
 *           false for a time that was never bookable),
 *           invalid_slot, unusable_phone, hold_expired, busy, unknown_clinic, cross_tenant_denied
 * Raises    25001 under another isolation level than read committed
 */
create function public.claim_slot_atomic(
  p_call jsonb, p_slot_id text, p_patient_name text, p_patient_phone text,
  p_patient_country text default null
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
  end if;
  return private.answer(v_opened.org, private.claim_slot(v_opened.org, p_call, p_slot_id,
    jsonb_build_object(
      'name', p_patient_name, 'phone', p_patient_phone, 'country', p_patient_country)));
exception when lock_not_available or deadlock_detected then
  return '{"outcome": "busy"}';
end
$$;
comment on function public.claim_slot_atomic is
  'Tool hold_slot: holds a slot for a call, exactly once however many ask.';

revoke execute on function public.claim_slot_atomic from public, anon, authenticated;
grant execute on function public.claim_slot_atomic to service_role;
