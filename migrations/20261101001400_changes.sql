/*
 * Changes by phone: an appointment is cancelled or moved by the patient it belongs to.
 *
 * Decisions
 * - Who calls is not proven by a number that can be forged, or by a name: they only find the
 *   appointment. The passcode, texted to the number it was booked with, proves the caller and makes
 *   the change take effect (private.verify_code).
 * - Before that nothing is told about an appointment. A wrong name, a wrong day, an appointment that
 *   has begun or belongs to another clinic, and none at all have one answer; of several the day is
 *   asked, not listed.
 * - One change of an appointment waits at a time: a later one replaces it, and the code that was
 *   texted for another call dies. A patient whose line dropped can start again at once.
 * - A new time is held while the code is under way. If it cannot be had, or lapses, the old
 *   appointment stays as it is.
 */

create function private.find_change(p_org uuid, p_appointment uuid, p_call_id text)
returns public.appointment_changes
language plpgsql stable set search_path = ''
as $$
declare
  v_change public.appointment_changes;
begin
  select c.* into v_change from public.appointment_changes as c
  where c.org_id = p_org and c.appointment_id = p_appointment
    and c.call_id is not distinct from p_call_id;
  return v_change;
end
$$;
comment on function private.find_change is 'The change that this call has asked for of an appointment.';

/* What has become of a change, for the call that asked for it and has proven the phone. */
create function private.describe_change(
  p_org public.organizations, p_change public.appointment_changes, p_now timestamptz
) returns jsonb
language sql stable set search_path = ''
as $$
  select private.describe_hold(p_org, a, p_now) || jsonb_build_object(
    'outcome', case p_change.kind when 'cancel' then 'cancelled' else 'rescheduled' end)
  from public.appointments as a
  where a.org_id = p_org.id and a.id = coalesce(p_change.hold_id, p_change.appointment_id)
$$;
comment on function private.describe_change is 'The outcome cancelled or rescheduled of an applied change.';

/*
 * A right code came: the change takes effect in this transaction, or, when the new time is not held
 * any more, nothing does. The new time is confirmed before the old one goes, so neither is free in
 * between.
 */
create function private.apply_change(
  p_org uuid, p_change public.appointment_changes, p_now timestamptz
) returns boolean
language plpgsql volatile set search_path = ''
as $$
begin
  if p_change.hold_id <> p_change.appointment_id then
    update public.appointments as n
    set status = 'confirmed', expires_at = null, contact_id = a.contact_id, updated_at = p_now
    from public.appointments as a
    where a.org_id = p_org and a.id = p_change.appointment_id
      and n.org_id = p_org and n.id = p_change.hold_id
      and n.status = 'held' and n.expires_at > p_now;
    if not found then
      return false;
    end if;
  end if;
  if p_change.hold_id is distinct from p_change.appointment_id then
    update public.appointments as a set status = 'cancelled', updated_at = p_now
    where a.org_id = p_org and a.id = p_change.appointment_id;
  end if;
  update public.appointment_changes as c set applied_at = p_now
  where c.org_id = p_org and c.appointment_id = p_change.appointment_id;
  return true;
end
$$;
comment on function private.apply_change is
  'Cancels an appointment, and confirms the hold of its new time if it has one; false when that is gone.';

/*
 * The upcoming appointments of a patient {name, phone} that fit what the caller says of them {id,
 * date, time}, the next two at most. An appointment's id names nothing without number and name.
 */
create function private.find_appointments(
  p_org public.organizations, p_patient jsonb, p_said jsonb, p_at timestamptz
) returns setof uuid
language sql stable set search_path = ''
as $$
  select a.id
  from public.contacts as c
  join public.appointments as a on a.org_id = c.org_id and a.contact_id = c.id
  where c.org_id = p_org.id and c.phone = p_patient ->> 'phone'
    and a.status = 'confirmed' and a.starts_at > p_at
    and private.is_same_name(a.patient_name, p_patient ->> 'name')
    and a.id = coalesce(private.read_id(p_said ->> 'id'), a.id)
    and to_char(a.starts_at at time zone p_org.timezone, 'YYYY-MM-DD')
      = coalesce(p_said ->> 'date', to_char(a.starts_at at time zone p_org.timezone, 'YYYY-MM-DD'))
    and to_char(a.starts_at at time zone p_org.timezone, 'HH24:MI')
      = coalesce(p_said ->> 'time', to_char(a.starts_at at time zone p_org.timezone, 'HH24:MI'))
  order by a.starts_at, a.id
  limit 2
$$;
comment on function private.find_appointments is
  'Ids of the upcoming appointments of a patient that fit the day and time said; two at most.';

/*
 * Holds the new time of an appointment, which is locked. Returns claim_slot's answer; held with the
 * appointment's own id when it has that time already.
 */
create function private.hold_new_time(
  p_org public.organizations, p_call jsonb, p_appointment public.appointments, p_slot_id text
) returns jsonb
language plpgsql volatile set search_path = ''
as $$
begin
  if exists (
    select from private.parse_slot_id(p_slot_id, p_org.timezone) as s
    join public.providers as p on p.org_id = p_org.id and p.id = p_appointment.provider_id
    where s.starts_at = p_appointment.starts_at
      and coalesce(s.provider_slug, p.slug) = p.slug
      and (private.find_service(p_org.id, s.service_slug)).id = p_appointment.service_id) then
    return private.describe_hold(p_org, p_appointment, clock_timestamp()) || '{"outcome": "held"}';
  end if;
  return private.claim_slot(p_org, p_call, p_slot_id, jsonb_build_object(
    'name', p_appointment.patient_name, 'phone', p_appointment.patient_phone,
    'country', p_appointment.patient_country), p_appointment.id);
end
$$;
comment on function private.hold_new_time is 'Holds the slot that an appointment is to move to.';

/* A held new time belongs to the call that asked for it last. */
create function private.pass_hold(p_org uuid, p_hold uuid, p_from text, p_to text) returns void
language plpgsql volatile set search_path = ''
as $$
begin
  update public.appointments as a set call_id = p_to
  where a.org_id = p_org and a.id = p_hold and a.status = 'held'
    and a.call_id is not distinct from p_from;
end
$$;
comment on function private.pass_hold is 'Gives a hold from one call to another.';

/* The same call asks again to cancel what its passcode has cancelled already. */
create function private.repeat_cancellation(
  p_org public.organizations, p_call jsonb, p_patient jsonb, p_at timestamptz
) returns jsonb
language sql stable set search_path = ''
as $$
  select private.describe_change(p_org, c, p_at)
  from public.appointment_changes as c
  join public.appointments as a on a.org_id = c.org_id and a.id = c.appointment_id
  where c.org_id = p_org.id and c.call_id = p_call ->> 'callId' and c.applied_at is not null
    and c.kind = 'cancel'
    and a.patient_phone = p_patient ->> 'phone'
    and private.is_same_name(a.patient_name, p_patient ->> 'name')
  order by c.applied_at desc limit 1
$$;
comment on function private.repeat_cancellation is
  'The outcome of the cancellation that this call has made, or null.';

/*
 * Cancels the call's own hold: nobody else's time is touched, so it needs no code. Named by its id,
 * or by number and name where the patient has no such appointment.
 */
create function private.cancel_hold(
  p_org public.organizations, p_call jsonb, p_patient jsonb, p_said jsonb
) returns jsonb
language plpgsql volatile set search_path = ''
as $$
declare
  v_id constant uuid := private.read_id(p_said ->> 'id');
  v_hold public.appointments;
begin
  perform private.lock_call(p_org.id, p_call ->> 'callId');
  select a.* into v_hold from public.appointments as a
  where a.org_id = p_org.id and a.call_id = p_call ->> 'callId' and a.status = 'held'
    and case when v_id is not null then a.id = v_id
      else a.patient_phone = p_patient ->> 'phone'
        and private.is_same_name(a.patient_name, p_patient ->> 'name')
        and to_char(a.starts_at at time zone p_org.timezone, 'YYYY-MM-DD') = coalesce(
          p_said ->> 'date', to_char(a.starts_at at time zone p_org.timezone, 'YYYY-MM-DD'))
        and to_char(a.starts_at at time zone p_org.timezone, 'HH24:MI') = coalesce(
          p_said ->> 'time', to_char(a.starts_at at time zone p_org.timezone, 'HH24:MI')) end
    and not exists (
      select from public.appointment_changes as c where c.org_id = p_org.id and c.hold_id = a.id)
  for update;
  if not found then
    return null;
  end if;
  perform private.release_hold(p_org.id, p_call, 'cancel_appointment', v_hold.id);
  return jsonb_build_object('outcome', 'hold_released', 'holdId', v_hold.id);
end
$$;
comment on function private.cancel_hold is 'Releases a hold for the call that made it, else null.';

/*
 * Opens a change for a call: finds the appointment, holds the new time if there is one, and waits
 * for the passcode. p_patient is {name, phone}, p_said as in find_appointments; p_slot_id is the new
 * time, null to cancel.
 */
create function private.open_change(
  p_org public.organizations, p_call jsonb, p_action text, p_patient jsonb, p_said jsonb,
  p_slot_id text
) returns jsonb
language plpgsql volatile set search_path = ''
as $$
declare
  v_call_id constant text := p_call ->> 'callId';
  v_now timestamptz;
  v_found uuid[];
  v_appointment public.appointments;
  v_earlier public.appointment_changes;
  v_takes_over boolean;
  v_held jsonb;
  v_hold public.appointments;
  v_made public.appointment_changes;
  v_expires timestamptz;
  v_facts jsonb := '{}';
begin
  perform private.lock_call(p_org.id, v_call_id);
  v_now := clock_timestamp();
  v_found := array(select private.find_appointments(p_org, p_patient, p_said, v_now));
  if cardinality(v_found) > 1 then
    return '{"outcome": "which_appointment"}';
  end if;
  select a.* into v_appointment from public.appointments as a
  where a.org_id = p_org.id and a.id = v_found[1] and a.status = 'confirmed' for update;
  if not found then
    if p_slot_id is null then
      v_held := coalesce(private.cancel_hold(p_org, p_call, p_patient, p_said),
        private.repeat_cancellation(p_org, p_call, p_patient, v_now));
    end if;
    return coalesce(v_held, '{"outcome": "appointment_not_found"}');
  elsif exists (
    select from public.one_time_passcodes as c
    where c.org_id = p_org.id and c.appointment_id = v_appointment.id and c.hold_attempts >= 10) then
    return jsonb_build_object('outcome', 'locked', 'holdId', v_appointment.id);
  end if;

  -- Another call's change goes over to this one, with the time it holds; its code does not. Where
  -- no change is opened, all of it stays with that call.
  select c.* into v_earlier from public.appointment_changes as c
  where c.org_id = p_org.id and c.appointment_id = v_appointment.id and c.applied_at is null;
  v_takes_over := v_earlier.call_id is distinct from v_call_id;
  if v_takes_over then
    perform private.pass_hold(p_org.id, v_earlier.hold_id, v_earlier.call_id, v_call_id);
  end if;
  v_expires := v_now + make_interval(mins => p_org.hold_minutes);
  if p_slot_id is not null then
    v_held := private.hold_new_time(p_org, p_call, v_appointment, p_slot_id);
    if v_held ->> 'outcome' = 'held' then
      select a.* into strict v_hold from public.appointments as a
      where a.org_id = p_org.id and a.id = (v_held ->> 'holdId')::uuid;
      select c.* into v_made from public.appointment_changes as c
      where c.org_id = p_org.id and c.hold_id = v_hold.id and c.call_id = v_call_id
        and c.applied_at is not null;
      if found then
        v_held := private.describe_change(p_org, v_made, v_now);
      end if;
    end if;
    if v_held ->> 'outcome' <> 'held' then
      if v_takes_over then
        perform private.pass_hold(p_org.id, v_earlier.hold_id, v_call_id, v_earlier.call_id);
      end if;
      return v_held;
    end if;
    v_expires := coalesce(v_hold.expires_at, v_expires);
    v_facts := jsonb_build_object('startTime', v_held -> 'startTime', 'endTime', v_held -> 'endTime',
      'service', v_held -> 'service', 'sameDoctor', v_hold.provider_id = v_appointment.provider_id);
  end if;
  if v_takes_over then
    perform private.forget_passcode(p_org.id, v_appointment.id);
  end if;
  if v_earlier.hold_id is distinct from v_hold.id then
    perform private.release_hold(p_org.id, p_call, p_action, v_earlier.hold_id);
  end if;
  -- A call holds one slot: besides the time it took over it may have had one of its own.
  if v_takes_over and v_hold.id is not null then
    perform private.release_hold(p_org.id, p_call, p_action, a.id)
    from public.appointments as a
    where a.org_id = p_org.id and a.call_id = v_call_id and a.id <> v_hold.id;
  end if;
  insert into public.appointment_changes (
    org_id, appointment_id, kind, hold_id, call_id, opened_at, expires_at
  ) values (
    p_org.id, v_appointment.id, case when p_slot_id is null then 'cancel' else 'reschedule' end,
    v_hold.id, v_call_id, v_now, v_expires
  )
  on conflict (org_id, appointment_id) do update
  set kind = excluded.kind, hold_id = excluded.hold_id, call_id = excluded.call_id,
    opened_at = excluded.opened_at, expires_at = excluded.expires_at, applied_at = null;
  return v_facts || jsonb_build_object('outcome', 'code_needed',
    'holdId', v_appointment.id, 'phoneEnding', right(v_appointment.patient_phone, 2));
end
$$;
comment on function private.open_change is
  'Finds a patient''s appointment and lets a change of it wait for the passcode.';

/* The same call asks again, as the last it asked for, to let go what it has let go already. */
create function private.repeat_release(p_org public.organizations, p_call jsonb, p_hash bytea)
returns jsonb
language sql stable set search_path = ''
as $$
  select t.result
  from (
    select c.* from public.tool_calls as c
    where c.org_id = p_org.id and c.call_id = p_call ->> 'callId'
    order by c.created_at desc limit 1) as t
  where t.tool = 'cancel_appointment' and t.outcome = 'hold_released' and t.arguments_hash = p_hash
$$;
comment on function private.repeat_release is
  'The answer to the release that this call has just made, or null.';

/* What both entry functions share: the first answer again, else a new one, audited and recorded. */
create function private.change_appointment(
  p_org public.organizations, p_call jsonb, p_action text, p_patient jsonb, p_said jsonb,
  p_slot_id text
) returns jsonb
language plpgsql volatile set search_path = ''
as $$
declare
  v_hash constant bytea :=
    sha256(convert_to(jsonb_build_array(p_patient, p_said, p_slot_id)::text, 'UTF8'));
  v_answer jsonb;
begin
  perform private.lock_call(p_org.id, p_call ->> 'callId');
  v_answer := private.recall_answer(p_org.id, p_call, p_action, v_hash);
  if v_answer is not null then
    return v_answer;
  end if;
  if p_slot_id is null and private.read_id(p_said ->> 'id') is not null then
    v_answer := private.cancel_hold(p_org, p_call, p_patient, p_said);
  end if;
  v_answer := jsonb_build_object('orgId', p_org.id, 'timezone', p_org.timezone)
    || coalesce(v_answer, private.open_change(p_org, p_call, p_action, p_patient, p_said, p_slot_id));
  if v_answer ->> 'outcome' = 'appointment_not_found' then
    v_answer := coalesce(private.repeat_release(p_org, p_call, v_hash), v_answer);
  end if;
  perform private.audit(p_org.id, p_call, p_action, (v_answer ->> 'holdId')::uuid,
    v_answer ->> 'outcome');
  perform private.record_answer(p_org.id, p_call, p_action, v_hash, v_answer);
  return v_answer;
end
$$;
comment on function private.change_appointment is
  'Opens a change of an appointment and writes down what came of it.';

/*
 * Entry function of the tool cancel_appointment.
 *
 * p_patient_phone  E.164: the number the caller calls from, or says
 * p_appointment    an id given in this call, or null or nonsense
 * p_date, p_time   of the appointment, clinic-local YYYY-MM-DD and HH:MM, null when not said
 * Outcomes  code_needed (holdId for send_otp and verify_otp, phoneEnding), hold_released (the call's
 *           own hold), cancelled (by this call already), appointment_not_found, which_appointment,
 *           locked, busy, unknown_clinic, cross_tenant_denied
 * Raises    25001 under another isolation level than read committed
 */
create function public.cancel_appointment(
  p_call jsonb, p_patient_name text, p_patient_phone text, p_appointment text default null,
  p_date text default null, p_time text default null
) returns jsonb
language plpgsql volatile security definer set search_path = '' set lock_timeout = '300ms'
  set jit = off
as $$
declare
  v_opened record;
begin
  perform private.require_read_committed();
  select * into v_opened from private.open_call(p_call, 'cancel_appointment');
  if v_opened.refusal is not null then
    return v_opened.refusal;
  end if;
  return private.answer(v_opened.org, private.change_appointment(
    v_opened.org, p_call, 'cancel_appointment',
    jsonb_build_object('name', p_patient_name, 'phone', p_patient_phone),
    jsonb_build_object('id', p_appointment, 'date', p_date, 'time', p_time), null));
exception when lock_not_available or deadlock_detected then
  return '{"outcome": "busy"}';
end
$$;
comment on function public.cancel_appointment is
  'Tool cancel_appointment: prepares a cancellation, which the passcode then makes.';

/*
 * Entry function of the tool reschedule_appointment: as cancel_appointment, and holds the new time.
 *
 * Outcomes  code_needed (holdId, phoneEnding, the new startTime, endTime and service, sameDoctor: the
 *           doctor's name would tell who treats the patient), rescheduled (by this call already),
 *           slot_taken (with alternatives), invalid_slot, hold_expired, unusable_phone,
 *           appointment_not_found, which_appointment, locked, busy, unknown_clinic,
 *           cross_tenant_denied
 * Raises    25001 under another isolation level than read committed
 */
create function public.reschedule_appointment(
  p_call jsonb, p_patient_name text, p_patient_phone text, p_slot_id text,
  p_appointment text default null, p_date text default null, p_time text default null
) returns jsonb
language plpgsql volatile security definer set search_path = '' set lock_timeout = '300ms'
  set jit = off
as $$
declare
  v_opened record;
begin
  perform private.require_read_committed();
  select * into v_opened from private.open_call(p_call, 'reschedule_appointment');
  if v_opened.refusal is not null then
    return v_opened.refusal;
  end if;
  return private.answer(v_opened.org, private.change_appointment(
    v_opened.org, p_call, 'reschedule_appointment',
    jsonb_build_object('name', p_patient_name, 'phone', p_patient_phone),
    jsonb_build_object('id', p_appointment, 'date', p_date, 'time', p_time),
    coalesce(p_slot_id, '')));
exception when lock_not_available or deadlock_detected then
  return '{"outcome": "busy"}';
end
$$;
comment on function public.reschedule_appointment is
  'Tool reschedule_appointment: holds a new time, and the passcode then moves the appointment there.';

revoke execute on function
  public.cancel_appointment, public.reschedule_appointment
  from public, anon, authenticated;
grant execute on function public.cancel_appointment, public.reschedule_appointment to service_role;
