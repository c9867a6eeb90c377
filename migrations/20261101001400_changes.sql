/*
 * Changes by phone: a patient finds, cancels or moves an appointment.
 *
 * Decisions
 * - Neither a number, which can be forged, nor a name proves who is calling. The passcode proves it: it
 *   is texted to the number that the appointment was booked with.
 * - No appointment is looked up before the proof. A request gets the same answer whatever is stored, and
 *   counts the same for every limit; a new time is held as for any caller. What the caller says about
 *   the appointment is stored with the call. A later request replaces an earlier one.
 * - At the proof, the request is carried out if exactly one appointment fits. If several do, they are
 *   named and the caller is asked for the day, the time or the provider, each once; then the front desk
 *   helps. If none does, the new time is released: it never becomes a booking, unless the call was
 *   booking for the patient before it asked to move.
 * - After the proof, requests take effect at once. Only appointments of patients who were named in the
 *   call are told: families share a number, and numbers change hands.
 */

/* The words of p_doctor are compared with the provider's name and slug. */
create function private.is_with(p_org uuid, p_appointment public.appointments, p_doctor text)
returns boolean
language plpgsql stable set search_path = ''
as $$
begin
  return exists (
    select from public.providers as p
    where p.org_id = p_org and p.id = p_appointment.provider_id
      and (p.slug = lower(btrim(p_doctor))
        or private.plain_name(p_doctor) <> ''
          and string_to_array(private.spelled_like(p_doctor, p.name), ' ')
          <@ string_to_array(private.plain_name(p.name), ' ')));
end
$$;
comment on function private.is_with is 'Whether an appointment is with the doctor of that name.';

/* p_call_id  adds the holds of that call, which the passcode is about to confirm; null for none */
create function private.upcoming_appointments(
  p_org uuid, p_call_id text, p_phone text, p_at timestamptz
) returns setof public.appointments
language plpgsql stable set search_path = '' rows 5
as $$
declare
  -- First the contact: a join may read all appointments of the organization.
  v_contact constant uuid := (
    select c.id from public.contacts as c where c.org_id = p_org and c.phone = p_phone);
begin
  return query
  select a.* from public.appointments as a
  where a.org_id = p_org and a.contact_id = v_contact and a.status = 'confirmed'
    and a.starts_at > p_at
  union all
  select h.* from private.find_holds(p_org, p_call_id, p_at) as h where h.patient_phone = p_phone;
end
$$;
comment on function private.upcoming_appointments is 'The upcoming appointments of a proven number.';

create function private.fits_when(
  p_org public.organizations, p_appointment public.appointments, p_said jsonb
) returns boolean
language plpgsql stable set search_path = ''
as $$
begin
  return coalesce(p_said ->> 'date'
      = to_char(p_appointment.starts_at at time zone p_org.timezone, 'YYYY-MM-DD'), true)
    and private.is_said_time(p_appointment.starts_at, p_org.timezone, p_said -> 'time');
end
$$;
comment on function private.fits_when is
  'Whether an appointment is on the day and at the time that were said, as far as they were.';

create function private.names_hold(p_said jsonb) returns boolean
language sql immutable set search_path = ''
as $$
  select p_said ? 'date' or private.read_id(p_said ->> 'id') is not null
$$;
comment on function private.names_hold is
  'Whether what was said can mean a hold of the call itself: only by its id or its day.';

/*
 * Compares the patient's name and what was said about id, day, time and provider. If no appointment is
 * with the provider, the name was probably misheard and is ignored. Who cancels without naming a day
 * does not mean what the call itself is about to book.
 */
create function private.fitting_appointments(
  p_org public.organizations, p_change public.appointment_changes, p_call_id text, p_at timestamptz
) returns setof public.appointments
language plpgsql stable set search_path = '' rows 2
as $$
declare
  v_said constant jsonb := p_change.said;
  v_fits public.appointments[];
  v_with_doctor public.appointments[];
  v_appointment public.appointments;
begin
  v_fits := array(
    select a from private.upcoming_appointments(p_org.id,
      case when p_change.kind is distinct from 'cancel' or private.names_hold(v_said) then p_call_id end,
      p_change.patient_phone, p_at) as a
    where private.is_same_name(p_change.patient_name, a.patient_name)
      and a.id = coalesce(private.read_id(v_said ->> 'id'), a.id)
      and private.fits_when(p_org, a, v_said)
    order by a.starts_at, a.id);
  v_with_doctor := array(
    select a from unnest(v_fits) as a where private.is_with(p_org.id, a, v_said ->> 'provider'));
  if cardinality(v_with_doctor) > 0 then
    v_fits := v_with_doctor;
  end if;
  -- One by one: a query of the array alone would return rows without the column of a later migration.
  foreach v_appointment in array v_fits loop
    return next v_appointment;
  end loop;
end
$$;
comment on function private.fitting_appointments is
  'The upcoming appointments of a proven number that fit a request, by start.';

/* It is, if the name and number of the request fit any appointment, or what the call itself was booking. */
create function private.is_text_due(
  p_org public.organizations, p_change public.appointment_changes, p_at timestamptz
) returns boolean
language plpgsql stable set search_path = ''
as $$
begin
  return coalesce(p_change.is_booking, false) or exists (
    select from private.upcoming_appointments(
      p_org.id, null, p_change.patient_phone, p_at) as a
    where private.is_same_name(p_change.patient_name, a.patient_name));
end
$$;
comment on function private.is_text_due is 'Whether the code of a change is texted at all; callers do not learn it.';

create function private.find_change(p_org uuid, p_call_id text) returns public.appointment_changes
language plpgsql stable set search_path = ''
as $$
declare
  v_change public.appointment_changes;
begin
  select c.* into v_change from public.appointment_changes as c
  where c.org_id = p_org and c.call_id = p_call_id;
  return v_change;
end
$$;
comment on function private.find_change is 'The latest request of a call about existing appointments.';

create function private.describe_appointment(
  p_org public.organizations, p_appointment public.appointments, p_now timestamptz
) returns jsonb
language sql stable set search_path = ''
as $$
  select jsonb_build_object('appointmentId', d ->> 'holdId', 'startTime', d ->> 'startTime',
    'endTime', d ->> 'endTime', 'service', d ->> 'service', 'doctor', d ->> 'doctor')
  from private.describe_hold(p_org, p_appointment, p_now) as d
$$;
comment on function private.describe_appointment is 'What a caller may be told about an appointment after the proof.';

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

/* p_names  the patients who were named in the call */
create function private.list_appointments(
  p_org public.organizations, p_names text[], p_call_id text, p_phone text, p_now timestamptz
) returns jsonb
language plpgsql stable set search_path = ''
as $$
declare
  v_listed jsonb;
begin
  select jsonb_agg(private.describe_appointment(p_org, a, p_now) order by a.starts_at, a.id)
  into v_listed
  from private.upcoming_appointments(p_org.id, p_call_id, p_phone, p_now) as a
  where exists (
    select from unnest(p_names) as n where private.is_same_name(n, a.patient_name));
  return jsonb_build_object('outcome',
    case when v_listed is null then 'appointment_not_found' else 'found' end)
    || jsonb_strip_nulls(jsonb_build_object('appointments', v_listed));
end
$$;
comment on function private.list_appointments is 'found with the upcoming appointments, or appointment_not_found.';

/*
 * Several appointments fit: they are named, and the caller is asked for what tells them apart (ask: day,
 * time or doctor), each once. When nothing is left to ask, ask is null.
 */
create function private.ask_which(
  p_org public.organizations, p_change public.appointment_changes, p_fits public.appointments[],
  p_now timestamptz
) returns jsonb
language plpgsql volatile set search_path = ''
as $$
declare
  v_ask text;
begin
  select case
    when count(distinct (f.starts_at at time zone p_org.timezone)::date) > 1
      and not 'day' = any (p_change.asked) then 'day'
    when count(distinct (f.starts_at at time zone p_org.timezone)::time) > 1
      and not 'time' = any (p_change.asked) then 'time'
    when count(distinct f.provider_id) > 1 and not 'doctor' = any (p_change.asked) then 'doctor' end
  into v_ask
  from unnest(p_fits) as f;
  update public.appointment_changes as c set asked = c.asked || v_ask
  where c.org_id = p_org.id and c.call_id = p_change.call_id and v_ask is not null;
  return jsonb_build_object('outcome', 'which_appointment', 'ask', v_ask, 'appointments', (
    select jsonb_agg(private.describe_appointment(p_org, f, p_now)) from unnest(p_fits) as f));
end
$$;
comment on function private.ask_which is 'The outcome which_appointment, with what to ask for.';

/*
 * Decides what a proven request changes, and writes nothing but a new hold: the appointment to change
 * and the hold of its new time, or the answer that says why nothing changes. The new time may overlap
 * the appointment itself, and keeps its provider if possible. The hold is locked, so that nobody else
 * can get its time before it is confirmed; it is null if the appointment already has that time.
 *
 * p_with_holds  whether the holds of the call that wait for the number are about to be confirmed
 */
create function private.prepare_change(
  p_org public.organizations, p_call jsonb, p_entered public.calls,
  p_change public.appointment_changes, p_with_holds boolean, p_now timestamptz,
  out answer jsonb, out appointment public.appointments, out hold public.appointments
)
language plpgsql volatile set search_path = ''
as $$
declare
  v_call_id constant text := case when p_with_holds then p_change.call_id end;
  v_fits constant public.appointments[] :=
    array(select f from private.fitting_appointments(p_org, p_change, v_call_id, p_now) as f);
  v_wanted private.wanted_slot;
  v_doctor public.providers;
  v_old public.appointments;
  v_claimed jsonb;
begin
  if p_change.kind = 'find' then
    answer := private.list_appointments(
      p_org, p_entered.patient_names, v_call_id, p_change.patient_phone, p_now);
    return;
  elsif cardinality(v_fits) = 0 then
    if p_change.is_booking then
      -- From here on it is a hold like any other.
      update public.appointment_changes as c set hold_id = null
      where c.org_id = p_org.id and c.call_id = p_change.call_id;
    end if;
    answer := '{"outcome": "appointment_not_found"}';
    return;
  elsif cardinality(v_fits) > 1 then
    answer := private.ask_which(p_org, p_change, v_fits, p_now);
    return;
  end if;
  appointment := v_fits[1];
  v_wanted := private.read_wanted(p_org, p_change.slot_id);
  if p_change.kind = 'cancel' or private.is_wanted(v_wanted, appointment) then
    return;
  elsif v_wanted.starts_at is null then
    -- The clinic has since removed the service or the provider.
    answer := '{"outcome": "slot_taken", "taken": false, "slots": []}';
    return;
  end if;
  v_old := private.find_new_time(p_org.id, p_change.call_id, p_now);
  if v_old.id is not null then
    if (v_wanted.provider).id is not null or v_old.provider_id = appointment.provider_id then
      hold := private.lock_hold(p_org.id, v_old, p_now);
      if hold.id is not null then
        return;
      end if;
      v_old := null;
    else
      -- Try the same time with the provider of the appointment.
      select p.* into v_doctor from public.providers as p
      where p.org_id = p_org.id and p.id = appointment.provider_id;
      v_wanted.provider := v_doctor;
      if private.is_wanted(v_wanted, appointment) then
        return;
      end if;
    end if;
  end if;
  v_claimed := private.claim_start(p_org, p_call, p_entered, 'reschedule_appointment', v_wanted,
    jsonb_build_object('name', appointment.patient_name, 'phone', appointment.patient_phone,
      'country', appointment.patient_country), v_old, appointment);
  if v_claimed ->> 'outcome' = 'held' then
    select a.* into strict hold from public.appointments as a
    where a.org_id = p_org.id and a.id = (v_claimed ->> 'holdId')::uuid;
    -- Otherwise it would count as a separate booking.
    update public.appointment_changes as c set hold_id = hold.id
    where c.org_id = p_org.id and c.call_id = p_change.call_id;
    return;
  end if;
  hold := private.lock_hold(p_org.id, v_old, p_now);
  if hold.id is null then
    answer := v_claimed;
  end if;
end
$$;
comment on function private.prepare_change is 'Decides what a proven request changes, and holds its new time.';

/*
 * Carries out a prepared change: cancels the appointment and confirms the hold of its new time under
 * the same name. If somebody else has just changed the appointment, it is not found.
 */
create function private.apply_change(
  p_org public.organizations, p_call jsonb, p_change public.appointment_changes,
  p_appointment public.appointments, p_hold public.appointments, p_now timestamptz
) returns jsonb
language plpgsql volatile set search_path = ''
as $$
declare
  v_old public.appointments;
  v_change public.appointment_changes;
begin
  -- The appointment already has the requested provider and time: nothing moves.
  if p_change.kind = 'reschedule' and p_hold.id is null then
    perform from public.appointments as a
    where a.org_id = p_org.id and a.id = p_appointment.id and a.status = 'confirmed' for update;
  else
    update public.appointments as a set status = 'cancelled', updated_at = p_now
    where a.org_id = p_org.id and a.id = p_appointment.id and a.status = 'confirmed'
    returning a.* into v_old;
  end if;
  if not found then
    return '{"outcome": "appointment_not_found"}';
  end if;
  update public.appointments as n
  set status = 'confirmed', expires_at = null, contact_id = v_old.contact_id, updated_at = p_now,
    patient_name = v_old.patient_name, patient_phone = v_old.patient_phone,
    patient_country = v_old.patient_country
  where n.org_id = p_org.id and n.id = p_hold.id;
  if p_change.kind = 'cancel' then
    perform private.announce(p_org.id, p_appointment.id, 'cancellation');
  elsif p_hold.id is not null then
    perform private.announce(p_org.id, p_hold.id, 'change', p_appointment.id);
  end if;
  update public.appointment_changes as c
  set applied_at = p_now, appointment_id = p_appointment.id,
    hold_id = case when c.kind = 'reschedule' then coalesce(p_hold.id, p_appointment.id) end
  where c.org_id = p_org.id and c.call_id = p_change.call_id
  returning c.* into v_change;
  perform private.audit(p_org.id, p_call, p_change.kind || '_appointment', p_appointment.id,
    case p_change.kind when 'cancel' then 'cancelled' else 'rescheduled' end,
    jsonb_strip_nulls(jsonb_build_object('newTime', p_hold.id)));
  return private.describe_change(p_org, v_change, p_now);
end
$$;
comment on function private.apply_change is 'Cancels or moves an appointment, and says so.';

create function private.drop_new_time(
  p_org public.organizations, p_call jsonb, p_action text, p_change public.appointment_changes
) returns jsonb
language plpgsql volatile set search_path = ''
as $$
declare
  v_hold public.appointments;
begin
  select a.* into v_hold from public.appointments as a
  where a.org_id = p_org.id and a.id = p_change.hold_id and a.call_id = p_change.call_id
    and a.status = 'held';
  if v_hold.id is null then
    return '{}';
  end if;
  perform private.release_hold(p_org.id, p_call, p_action, v_hold.id);
  return private.describe_released(p_org, v_hold);
end
$$;
comment on function private.drop_new_time is 'Releases the new time of a change that no longer waits, and says so.';

/*
 * Returns {confirmed: [...], overlaps: [...]}. An overlap is another appointment of the same patient at
 * the same time, which the caller may not want.
 */
create function private.confirm_holds(
  p_org public.organizations, p_call jsonb, p_phone text, p_now timestamptz
) returns jsonb
language plpgsql volatile set search_path = ''
as $$
declare
  v_hold public.appointments;
  v_confirmed jsonb := '[]';
  v_overlaps jsonb := '[]';
begin
  perform private.lock_holds(p_org.id, p_call ->> 'callId');
  for v_hold in
    select h.* from private.find_holds(p_org.id, p_call ->> 'callId', p_now) as h
    where h.patient_phone = p_phone order by h.created_at
  loop
    continue when not private.confirm_hold(p_org.id, v_hold, p_now, p_now);
    perform private.audit(p_org.id, p_call, 'confirm_appointment', v_hold.id, 'confirmed');
    v_confirmed := v_confirmed || (private.describe_hold(p_org, v_hold, p_now));
    v_overlaps := v_overlaps || coalesce((
      select jsonb_agg(private.describe_appointment(p_org, a, p_now) order by a.starts_at)
      from private.upcoming_appointments(p_org.id, p_call ->> 'callId', p_phone, p_now) as a
      where a.status = 'confirmed' and a.id <> v_hold.id
        and tstzrange(a.starts_at, a.ends_at) && tstzrange(v_hold.starts_at, v_hold.ends_at)
        and private.is_same_patient(a.patient_name, v_hold.patient_name)), '[]');
  end loop;
  return jsonb_build_object('confirmed', v_confirmed, 'overlaps', v_overlaps);
end
$$;
comment on function private.confirm_holds is 'Confirms every hold of a call that waits for a proven number.';

/* Only of patients who have nothing else in this call, and not longer than a proof lasts. */
create function private.expired_holds(
  p_org public.organizations, p_call_id text, p_phone text, p_now timestamptz
) returns jsonb
language plpgsql stable set search_path = ''
as $$
begin
  return (
    with mine as materialized (
      select m.* from private.rows_of_call(p_org.id, p_call_id) as m where m.patient_phone = p_phone
    )
    select coalesce(jsonb_agg(private.iso_local(m.starts_at, p_org.timezone) order by m.starts_at), '[]')
    from mine as m
    where private.has_expired(m, p_now) and m.expires_at > p_now - private.proof_lifetime()
      and not private.is_new_time(p_org.id, m)
      and not exists (
        select from mine as o
        where private.is_live(o, p_now)
          and private.is_same_patient(o.patient_name, m.patient_name)));
end
$$;
comment on function private.expired_holds is 'The starts of holds for which the passcode came too late.';

/* So that nobody tries out names. */
create function private.count_missed(p_org uuid, p_call_id text, p_outcome text) returns void
language sql volatile set search_path = ''
as $$
  update public.calls as c set change_requests = c.change_requests + 1
  where c.org_id = p_org and c.call_id = p_call_id and p_outcome = 'appointment_not_found'
$$;
comment on function private.count_missed is 'Counts a request that found no appointment.';

/*
 * Cleans up after a request. A question keeps it waiting with its new time. Otherwise a new time that
 * was not used is released. A request that found nothing counts.
 */
create function private.settle_change(
  p_org public.organizations, p_call jsonb, p_change public.appointment_changes, p_answer jsonb,
  p_hold public.appointments
) returns jsonb
language plpgsql volatile set search_path = ''
as $$
declare
  v_outcome constant text := p_answer ->> 'outcome';
  v_released jsonb := '{}';
begin
  if v_outcome = 'which_appointment' then
    return '{}';
  elsif v_outcome in ('cancelled', 'rescheduled') then
    if p_change.hold_id is distinct from p_hold.id then
      perform private.drop_new_time(p_org, p_call, p_change.kind || '_appointment', p_change);
    end if;
    return '{}';
  end if;
  if p_hold.id is not null then
    p_change.hold_id := p_hold.id;
  elsif p_change.is_booking and v_outcome = 'appointment_not_found' then
    p_change.hold_id := null;
  end if;
  v_released := private.drop_new_time(p_org, p_call, 'reschedule_appointment', p_change);
  delete from public.appointment_changes as c
  where c.org_id = p_org.id and c.call_id = p_change.call_id;
  perform private.count_missed(p_org.id, p_change.call_id, v_outcome);
  return v_released;
end
$$;
comment on function private.settle_change is 'Ends a request unless it waits for an answer, and says what was released.';

/*
 * A call has proven a number, now (p_is_proof) or before: everything of the call that waits for it is
 * confirmed and carried out. Claims come first, before any other row is changed.
 *
 * Returns  confirmed (others, overlaps, lapsed; change, as below), or without a hold the outcome of the
 *          change: cancelled, rescheduled, found, which_appointment, appointment_not_found, slot_taken,
 *          hold_limit (released: the new time that was released); hold_expired if all have expired
 */
create function private.carry_out(
  p_org public.organizations, p_call jsonb, p_entered public.calls, p_phone text,
  p_is_proof boolean, p_now timestamptz
) returns jsonb
language plpgsql volatile set search_path = ''
as $$
declare
  v_change public.appointment_changes := private.find_change(p_org.id, p_entered.call_id);
  v_plan record;
  v_holds jsonb;
  v_confirmed jsonb;
  v_expired jsonb;
  v_changed jsonb;
begin
  if v_change.patient_phone <> p_phone or v_change.applied_at is not null then
    v_change := null;
  end if;
  if v_change.call_id is not null then
    v_plan := private.prepare_change(p_org, p_call, p_entered, v_change, true, p_now);
  end if;
  if p_is_proof then
    perform private.prove_phone(p_org.id, p_entered.call_id, private.hash_phone(p_phone), p_now);
  end if;
  v_holds := private.confirm_holds(p_org, p_call, p_phone, p_now);
  -- By the clock: a hold may have expired while this waited for its lock.
  v_expired := private.expired_holds(p_org, p_entered.call_id, p_phone, clock_timestamp());
  if v_change.call_id is not null then
    v_changed := coalesce(v_plan.answer,
      private.apply_change(p_org, p_call, v_change, v_plan.appointment, v_plan.hold, p_now));
    v_changed := v_changed || private.settle_change(p_org, p_call, v_change, v_changed, v_plan.hold);
  end if;
  v_confirmed := v_holds -> 'confirmed' -> 0;
  if v_confirmed is null then
    return coalesce(v_changed, jsonb_build_object('outcome',
      case when v_expired = '[]' then 'hold_not_found' else 'hold_expired' end));
  end if;
  return v_confirmed || jsonb_build_object('outcome', 'confirmed',
    'others', (v_holds -> 'confirmed') - 0, 'overlaps', v_holds -> 'overlaps', 'lapsed', v_expired)
    || case when v_changed is null then '{}' else jsonb_build_object('change', v_changed) end;
end
$$;
comment on function private.carry_out is
  'Confirms the holds of a call that wait for a proven number, and carries out its change.';

/*
 * Releases a hold of this call. Nobody else's time is affected, so it needs no code. The hold is found
 * by its id, or by number, name, day and what was said about time and provider. Without a day, the
 * caller means an appointment: the hold stays.
 */
create function private.cancel_hold(
  p_org public.organizations, p_call jsonb, p_patient jsonb, p_said jsonb, p_now timestamptz
) returns jsonb
language plpgsql volatile set search_path = ''
as $$
declare
  v_id constant uuid := private.read_id(p_said ->> 'id');
  v_hold public.appointments;
begin
  select h.* into v_hold from private.find_holds(p_org.id, p_call ->> 'callId', p_now) as h
  where case when v_id is not null then h.id = v_id
    else private.names_hold(p_said)
      and private.is_for_patient(h, p_patient) and private.fits_when(p_org, h, p_said)
      and (p_said ->> 'provider' is null
        or private.is_with(p_org.id, h, p_said ->> 'provider')) end
  order by h.created_at desc limit 1;
  if v_hold.id is null then
    return null;
  end if;
  perform private.release_hold(p_org.id, p_call, 'cancel_appointment', v_hold.id);
  return jsonb_build_object('outcome', 'hold_released', 'holdId', v_hold.id)
    || private.describe_released(p_org, v_hold);
end
$$;
comment on function private.cancel_hold is 'Releases a hold for the call that made it, or returns null.';

/* Returns {kept: {holdId, startTime, doctor}}, or {} where the request named a day or there is no hold. */
create function private.describe_kept(
  p_org public.organizations, p_call_id text, p_patient jsonb, p_said jsonb, p_now timestamptz
) returns jsonb
language plpgsql stable set search_path = ''
as $$
declare
  v_hold public.appointments;
begin
  if private.names_hold(p_said) then
    return '{}';
  end if;
  select h.* into v_hold from private.find_holds(p_org.id, p_call_id, p_now) as h
  where private.is_for_patient(h, p_patient)
  order by h.created_at desc limit 1;
  return case when v_hold.id is null then '{}'::jsonb else jsonb_build_object('kept', (
    select jsonb_build_object('holdId', d -> 'holdId', 'startTime', d -> 'startTime',
      'doctor', d -> 'doctor')
    from private.describe_hold(p_org, v_hold, p_now) as d)) end;
end
$$;
comment on function private.describe_kept is
  'The hold that stays while its call cancels without naming a day: the caller is told.';

create function private.keep_change(
  p_org uuid, p_call_id text, p_kind text, p_patient jsonb, p_said jsonb, p_slot_id text,
  p_hold uuid, p_is_booking boolean, p_now timestamptz
) returns public.appointment_changes
language plpgsql volatile set search_path = ''
as $$
declare
  v_change public.appointment_changes;
begin
  insert into public.appointment_changes as c (
    org_id, call_id, kind, patient_name, patient_phone, patient_country, said, slot_id, hold_id,
    is_booking, opened_at
  ) values (
    p_org, p_call_id, p_kind, p_patient ->> 'name', p_patient ->> 'phone', p_patient ->> 'country',
    p_said, p_slot_id, p_hold, p_is_booking, p_now
  )
  on conflict (org_id, call_id) do update
  set kind = excluded.kind, patient_name = excluded.patient_name,
    patient_phone = excluded.patient_phone, patient_country = excluded.patient_country,
    said = excluded.said, slot_id = excluded.slot_id, hold_id = excluded.hold_id,
    is_booking = excluded.is_booking, opened_at = excluded.opened_at, applied_at = null,
    appointment_id = null,
    -- A question about the same patient's appointments is not asked twice.
    asked = case when c.applied_at is null and c.patient_phone = excluded.patient_phone
      and private.is_same_patient(c.patient_name, excluded.patient_name) then c.asked else '{}' end
  returning c.* into v_change;
  return v_change;
end
$$;
comment on function private.keep_change is 'Stores a request of a call about existing appointments in place of the earlier one.';

/*
 * Either the new time was requested before, or the same patient has a booking at that slot, or a
 * dropped call left a hold there.
 */
create function private.find_held_time(
  p_org uuid, p_call jsonb, p_entered public.calls, p_wanted private.wanted_slot, p_patient jsonb,
  p_now timestamptz
) returns public.appointments
language plpgsql volatile set search_path = ''
as $$
declare
  v_hold public.appointments;
begin
  v_hold := private.find_new_time(p_org, p_entered.call_id, p_now);
  if not (private.is_wanted(p_wanted, v_hold) and private.is_for_patient(v_hold, p_patient)) is true then
    select h.* into v_hold from private.find_holds(p_org, p_entered.call_id, p_now) as h
    where private.is_wanted(p_wanted, h) and private.is_for_patient(h, p_patient)
    limit 1;
  end if;
  if v_hold.id is null then
    v_hold := private.find_left_hold(p_org, p_entered, p_wanted, p_patient, p_now);
    if private.is_wanted(p_wanted, v_hold) is not true
      or not private.take_over(p_org, p_call, v_hold.id) then
      return null;
    end if;
  end if;
  return v_hold;
end
$$;
comment on function private.find_held_time is 'The hold of a requested new time, if this call has it already, or nulls.';

/*
 * Whether a call that asks for a new time has been booking for the patient: its hold is at that slot, or
 * was when the call asked before.
 */
create function private.is_booking(
  p_org uuid, p_call_id text, p_earlier public.appointment_changes, p_wanted private.wanted_slot,
  p_patient jsonb, p_now timestamptz
) returns boolean
language plpgsql stable set search_path = ''
as $$
begin
  return exists (
      select from private.find_holds(p_org, p_call_id, p_now) as h
      where private.is_wanted(p_wanted, h) and private.is_for_patient(h, p_patient))
    or coalesce(p_earlier.is_booking and p_earlier.applied_at is null and p_earlier.hold_id is not null
      and p_earlier.patient_phone = p_patient ->> 'phone'
      and private.is_same_patient(p_earlier.patient_name, p_patient ->> 'name'), false);
end
$$;
comment on function private.is_booking is
  'Whether a requested new time takes the place of what the call was about to book.';

/*
 * A request before the proof: it reads only the call's own state and who is free. The new time is held.
 * If it is taken, the appointment itself may be what takes it, so the request is stored without a hold
 * and the time is checked again after the proof.
 */
create function private.open_change(
  p_org public.organizations, p_call jsonb, p_entered public.calls, p_kind text, p_patient jsonb,
  p_said jsonb, p_slot_id text, p_now timestamptz
) returns jsonb
language plpgsql volatile set search_path = ''
as $$
declare
  v_earlier constant public.appointment_changes := private.find_change(p_org.id, p_entered.call_id);
  v_wanted private.wanted_slot;
  v_old public.appointments;
  v_hold public.appointments;
  v_held jsonb := '{}';
  v_is_booking boolean := false;
  -- A call has one request at a time: what is asked for another patient takes its place.
  v_postpones constant boolean := v_earlier.applied_at is null and v_earlier.kind <> 'find'
    and not private.is_same_patient(v_earlier.patient_name, p_patient ->> 'name');
begin
  -- A repeated request does not count.
  if (v_earlier.kind, v_earlier.patient_name, v_earlier.patient_phone, v_earlier.said)
      is distinct from (p_kind, p_patient ->> 'name', p_patient ->> 'phone', p_said)
    or v_earlier.slot_id is distinct from p_slot_id then
    if p_entered.change_requests >= p_org.call_change_requests then
      return '{"outcome": "change_limit"}';
    end if;
    update public.calls as c set change_requests = c.change_requests + 1
    where c.org_id = p_org.id and c.call_id = p_entered.call_id;
  end if;
  if p_kind = 'find' and v_earlier.kind <> 'find' and v_earlier.applied_at is null
    and v_earlier.patient_phone = p_patient ->> 'phone' then
    -- It is answered together with the change that already waits.
    return jsonb_build_object('outcome', 'code_needed', 'phoneEnding', right(p_patient ->> 'phone', 2));
  end if;
  v_old := private.find_new_time(p_org.id, p_entered.call_id, p_now);
  if p_kind = 'reschedule' then
    v_wanted := private.read_wanted(p_org, p_slot_id);
    if v_wanted.starts_at is null then
      return '{"outcome": "invalid_slot"}';
    end if;
    v_is_booking := private.is_booking(
      p_org.id, p_entered.call_id, v_earlier, v_wanted, p_patient, p_now);
    v_hold := private.find_held_time(p_org.id, p_call, p_entered, v_wanted, p_patient, p_now);
    if v_hold.id is not null then
      v_held := private.describe_hold(p_org, v_hold, p_now);
    else
      v_held := private.claim_start(p_org, p_call, p_entered, 'reschedule_appointment', v_wanted,
        p_patient, v_old, null);
      if v_held ->> 'outcome' <> 'held' then
        if v_held ->> 'outcome' = 'slot_taken' and v_old.id is null then
          perform private.keep_change(
            p_org.id, p_entered.call_id, p_kind, p_patient, p_said, p_slot_id, null, false, p_now);
          return v_held || jsonb_build_object('isKept', v_held -> 'taken');
        end if;
        return v_held;
      end if;
      select a.* into strict v_hold from public.appointments as a
      where a.org_id = p_org.id and a.id = (v_held ->> 'holdId')::uuid;
    end if;
    v_held := jsonb_strip_nulls(jsonb_build_object('startTime', v_held -> 'startTime',
      'endTime', v_held -> 'endTime', 'service', v_held -> 'service',
      'released', v_held -> 'released'));
  end if;
  if v_old.id is distinct from v_hold.id and v_old.id is not null and v_held -> 'released' is null then
    v_held := v_held || private.drop_new_time(p_org, p_call, p_kind || '_appointment', v_earlier);
  end if;
  perform private.keep_change(p_org.id, p_entered.call_id, p_kind, p_patient, p_said, p_slot_id,
    v_hold.id, v_is_booking, p_now);
  return v_held || jsonb_strip_nulls(jsonb_build_object(
    'outcome', 'code_needed', 'phoneEnding', right(p_patient ->> 'phone', 2),
    'postponed', case when v_postpones then true end));
end
$$;
comment on function private.open_change is 'Stores a request of a call that has not proven the number, and holds its new time.';

/* A model whose request was carried out, and that has lost the answer, makes it again. */
create function private.was_applied(
  p_org uuid, p_earlier public.appointment_changes, p_kind text, p_patient jsonb, p_slot_id text
) returns boolean
language plpgsql stable set search_path = ''
as $$
begin
  return p_earlier.applied_at is not null and p_earlier.kind = p_kind
    and p_earlier.slot_id is not distinct from p_slot_id
    and p_earlier.patient_phone = p_patient ->> 'phone'
    and private.is_same_patient(p_earlier.patient_name, p_patient ->> 'name')
    and (p_kind = 'cancel' or exists (
      select from public.appointments as a
      where a.org_id = p_org and a.id = p_earlier.hold_id and a.status = 'confirmed'));
end
$$;
comment on function private.was_applied is
  'Whether a call''s latest change did what is requested: the same for the same patient, and it still stands.';

create function private.change_now(
  p_org public.organizations, p_call jsonb, p_entered public.calls, p_kind text, p_patient jsonb,
  p_said jsonb, p_slot_id text, p_now timestamptz
) returns jsonb
language plpgsql volatile set search_path = ''
as $$
declare
  v_earlier constant public.appointment_changes := private.find_change(p_org.id, p_entered.call_id);
  v_wanted private.wanted_slot;
  v_old public.appointments;
  v_hold public.appointments;
  v_change public.appointment_changes;
  v_plan record;
  v_is_booking boolean := false;
  v_answer jsonb;
begin
  if p_entered.change_requests >= p_org.call_change_requests then
    return '{"outcome": "change_limit"}';
  elsif p_kind = 'find' then
    -- A change that waits to hear which appointment is meant goes on waiting, with its new time.
    v_answer := private.list_appointments(
      p_org, p_entered.patient_names, null, p_patient ->> 'phone', p_now);
    perform private.count_missed(p_org.id, p_entered.call_id, v_answer ->> 'outcome');
    return v_answer;
  end if;
  if p_kind = 'reschedule' then
    v_wanted := private.read_wanted(p_org, p_slot_id);
    if v_wanted.starts_at is null then
      return '{"outcome": "invalid_slot"}';
    end if;
    v_is_booking := private.is_booking(
      p_org.id, p_entered.call_id, v_earlier, v_wanted, p_patient, p_now);
    v_hold := private.find_held_time(p_org.id, p_call, p_entered, v_wanted, p_patient, p_now);
  end if;
  if v_earlier.applied_at is not null
    and v_earlier.appointment_id = private.read_id(p_said ->> 'id') then
    -- This call has moved it: there it has another id.
    p_said := p_said || jsonb_build_object('id', coalesce(v_earlier.hold_id, v_earlier.appointment_id));
  end if;
  v_change.call_id := p_entered.call_id;
  v_change.patient_name := p_patient ->> 'name';
  v_change.patient_phone := p_patient ->> 'phone';
  v_change.said := p_said;
  if private.was_applied(p_org.id, v_earlier, p_kind, p_patient, p_slot_id)
    and not exists (select from private.fitting_appointments(p_org, v_change, null, p_now)) then
    return private.describe_change(p_org, v_earlier, p_now);
  end if;
  select a.* into v_old from public.appointments as a
  where a.org_id = p_org.id and a.id = v_earlier.hold_id and v_earlier.applied_at is null
    and a.id is distinct from v_hold.id;
  v_change := private.keep_change(p_org.id, p_entered.call_id, p_kind, p_patient, p_said, p_slot_id,
    v_hold.id, v_is_booking, p_now);
  v_plan := private.prepare_change(p_org, p_call, p_entered, v_change, false, p_now);
  v_answer := coalesce(v_plan.answer,
    private.apply_change(p_org, p_call, v_change, v_plan.appointment, v_plan.hold, p_now));
  v_answer := v_answer || private.settle_change(p_org, p_call, v_change, v_answer, v_plan.hold);
  if v_old.id is not null then
    perform private.release_hold(p_org.id, p_call, p_kind || '_appointment', v_old.id);
    v_answer := v_answer || private.describe_released(p_org, v_old);
  end if;
  return v_answer;
end
$$;
comment on function private.change_now is 'Carries out a request of a call that has proven the number.';

create function private.change_appointment(
  p_org public.organizations, p_call jsonb, p_kind text, p_patient jsonb, p_said jsonb,
  p_slot_id text
) returns jsonb
language plpgsql volatile set search_path = ''
as $$
declare
  v_action constant text :=
    p_kind || case when p_kind = 'find' then '_appointments' else '_appointment' end;
  v_hash constant bytea :=
    sha256(convert_to(jsonb_build_array(p_patient, p_said, p_slot_id)::text, 'UTF8'));
  v_phone constant bytea := private.hash_phone(p_patient ->> 'phone');
  v_call public.calls;
  v_now timestamptz;
  v_answer jsonb;
begin
  v_call := private.enter_call(p_org, p_call, p_patient ->> 'name');
  v_answer := private.recall_answer(p_org.id, p_call, v_action, v_hash);
  if v_answer is not null then
    return v_answer;
  end if;
  perform private.lock_phones(array[private.caller_key(p_org.id, v_call), v_phone]);
  v_now := clock_timestamp();
  if p_kind = 'cancel' then
    v_answer := coalesce(private.cancel_hold(p_org, p_call, p_patient, p_said, v_now),
      private.repeat_answer(p_org.id, p_call, v_action, v_hash, 'hold_released'));
  end if;
  if v_answer is null then
    v_answer := case when private.is_proven(p_org.id, v_call.call_id, v_phone, v_now)
      then private.change_now(p_org, p_call, v_call, p_kind, p_patient, p_said, p_slot_id, v_now)
      else private.open_change(p_org, p_call, v_call, p_kind, p_patient, p_said, p_slot_id, v_now) end;
  end if;
  if p_kind = 'cancel' and v_answer ->> 'outcome' in ('code_needed', 'appointment_not_found') then
    v_answer := v_answer
      || private.describe_kept(p_org, v_call.call_id, p_patient, p_said, v_now);
  end if;
  perform private.audit(
    p_org.id, p_call, v_action, (v_answer ->> 'holdId')::uuid, v_answer ->> 'outcome');
  perform private.record_answer(p_org.id, p_call, v_action, v_hash, v_answer);
  return v_answer;
end
$$;
comment on function private.change_appointment is
  'Answers a request about existing appointments, and audits and records the answer; a repeated request gets its first answer.';

/*
 * What was said of an appointment, as appointment_changes keeps it, with the day that was meant; or the
 * refusal of a day that nobody can read or that has passed. No appointment is looked at.
 */
create function private.read_said(
  p_org public.organizations, p_call jsonb, p_patient_name text, p_appointment text, p_date jsonb,
  p_time jsonb, p_provider text, out said jsonb, out refusal jsonb
)
language plpgsql volatile set search_path = ''
as $$
declare
  v_today constant date := (clock_timestamp() at time zone p_org.timezone)::date;
  v_last constant date := v_today + coalesce((
    select max(s.horizon_days) from public.services as s where s.org_id = p_org.id), 0);
  v_day constant date := private.resolve_day(p_org, p_date, v_today, v_last);
begin
  if p_date is not null and coalesce(v_day < v_today, true) then
    -- The name must not be in the report of the call.
    perform private.enter_call(p_org, p_call, p_patient_name);
    refusal := private.answer(p_org, jsonb_build_object('today', v_today) || case
      when v_day is null then private.describe_unclear_day(p_org, p_date, v_today)
      else '{"outcome": "past_date"}' end);
  end if;
  said := jsonb_strip_nulls(jsonb_build_object(
    'id', p_appointment, 'date', v_day, 'time', p_time, 'provider', p_provider));
end
$$;
comment on function private.read_said is 'What a caller said of an appointment, or why the day cannot be.';

/*
 * Entry function of the tool cancel_appointment.
 *
 * p_patient_phone  E.164: the number the caller calls from, or says; p_patient_country is its country
 * p_appointment    an id given in this call, or null or nonsense
 * p_date, p_time   of the appointment as they were said, see private.resolve_day() and
 *                  private.is_said_time(); null when not said
 * p_provider       its doctor as the caller says, null when not said
 * Outcomes  code_needed (phoneEnding: of the number said; released {startTime, doctor}: a new time that
 *           was held for a move; kept {holdId, startTime, doctor}: the call's own hold, which stays; postponed:
 *           what was requested before, for another patient, has to be requested again),
 *           change_limit, hold_released (the call's own hold, named by its day or id), cancelled (after
 *           the proof, as the next two), appointment_not_found (kept), which_appointment (appointments, and
 *           ask: day, time, doctor, or null for the front desk), date_unclear (today, contradiction), past_date (today),
 *           call_needed, busy, unknown_clinic, cross_tenant_denied
 * Raises    25001 under another isolation level than read committed
 */
create function public.cancel_appointment(
  p_call jsonb, p_patient_name text, p_patient_phone text, p_patient_country text default null,
  p_appointment text default null, p_date jsonb default null, p_time jsonb default null,
  p_provider text default null
) returns jsonb
language plpgsql volatile security definer set search_path = '' set lock_timeout = '300ms'
  set jit = off set plan_cache_mode = force_generic_plan
as $$
declare
  v_opened record;
  v_read record;
begin
  perform private.require_read_committed();
  v_opened := private.open_call(p_call, 'cancel_appointment');
  if v_opened.refusal is not null then
    return v_opened.refusal;
  elsif p_call ->> 'callId' is null then
    return private.answer(v_opened.org, '{"outcome": "call_needed"}');
  end if;
  select * into v_read from private.read_said(
    v_opened.org, p_call, p_patient_name, p_appointment, p_date, p_time, p_provider);
  return coalesce(v_read.refusal, private.answer(v_opened.org, private.change_appointment(
    v_opened.org, p_call, 'cancel', jsonb_build_object(
      'name', p_patient_name, 'phone', p_patient_phone, 'country', p_patient_country),
    v_read.said, null)));
exception
  when lock_not_available or deadlock_detected then
    return '{"outcome": "busy"}';
  when foreign_key_violation then
    return private.refuse_gone(p_call, 'cancel_appointment');
end
$$;
comment on function public.cancel_appointment is
  'Tool cancel_appointment: takes a request to cancel, which is carried out when the number is proven.';

/*
 * Entry function of the tool reschedule_appointment: as cancel_appointment, and holds the new time.
 *
 * Outcomes  code_needed (phoneEnding; the new startTime, endTime and service; released), slot_taken
 *           (with alternatives; before the proof the caller's own appointment may be what is in the
 *           way), invalid_slot, hold_limit (of), change_limit, unusable_phone, rescheduled (after the
 *           proof, as the next two), appointment_not_found, which_appointment, date_unclear, past_date
 *           (as there), call_needed, busy, unknown_clinic, cross_tenant_denied
 * Raises    25001 under another isolation level than read committed
 */
create function public.reschedule_appointment(
  p_call jsonb, p_patient_name text, p_patient_phone text, p_slot_id text,
  p_patient_country text default null, p_appointment text default null, p_date jsonb default null,
  p_time jsonb default null, p_provider text default null
) returns jsonb
language plpgsql volatile security definer set search_path = '' set lock_timeout = '300ms'
  set jit = off set plan_cache_mode = force_generic_plan
as $$
declare
  v_opened record;
  v_read record;
begin
  perform private.require_read_committed();
  v_opened := private.open_call(p_call, 'reschedule_appointment');
  if v_opened.refusal is not null then
    return v_opened.refusal;
  elsif p_call ->> 'callId' is null then
    return private.answer(v_opened.org, '{"outcome": "call_needed"}');
  elsif exists (
    select from public.org_channels as c
    where c.org_id = (v_opened.org).id and c.kind = 'called_number' and c.value = p_patient_phone) then
    return private.answer(v_opened.org, '{"outcome": "unusable_phone"}');
  end if;
  select * into v_read from private.read_said(
    v_opened.org, p_call, p_patient_name, p_appointment, p_date, p_time, p_provider);
  return coalesce(v_read.refusal, private.answer(v_opened.org, private.change_appointment(
    v_opened.org, p_call, 'reschedule', jsonb_build_object(
      'name', p_patient_name, 'phone', p_patient_phone, 'country', p_patient_country),
    v_read.said, coalesce(p_slot_id, ''))));
exception
  when lock_not_available or deadlock_detected then
    return '{"outcome": "busy"}';
  when foreign_key_violation then
    return private.refuse_gone(p_call, 'reschedule_appointment');
end
$$;
comment on function public.reschedule_appointment is
  'Tool reschedule_appointment: holds a new time; the appointment moves there when the number is proven.';

/*
 * Entry function of the tool find_appointments.
 *
 * Outcomes  code_needed (phoneEnding), change_limit, found (after the proof: appointments of the
 *           patients named in this call), appointment_not_found, call_needed, busy, unknown_clinic,
 *           cross_tenant_denied
 * Raises    25001 under another isolation level than read committed
 */
create function public.find_appointments(
  p_call jsonb, p_patient_name text, p_patient_phone text, p_patient_country text default null
) returns jsonb
language plpgsql volatile security definer set search_path = '' set lock_timeout = '300ms'
  set jit = off set plan_cache_mode = force_generic_plan
as $$
declare
  v_opened record;
begin
  perform private.require_read_committed();
  v_opened := private.open_call(p_call, 'find_appointments');
  if v_opened.refusal is not null then
    return v_opened.refusal;
  elsif p_call ->> 'callId' is null then
    return private.answer(v_opened.org, '{"outcome": "call_needed"}');
  end if;
  return private.answer(v_opened.org, private.change_appointment(v_opened.org, p_call, 'find', jsonb_build_object(
    'name', p_patient_name, 'phone', p_patient_phone, 'country', p_patient_country), '{}', null));
exception
  when lock_not_available or deadlock_detected then
    return '{"outcome": "busy"}';
  when foreign_key_violation then
    return private.refuse_gone(p_call, 'find_appointments');
end
$$;
comment on function public.find_appointments is
  'Tool find_appointments: the appointments of the patients named in a call, after its number is proven.';

revoke execute on function
  public.cancel_appointment, public.reschedule_appointment, public.find_appointments
  from public, anon, authenticated;
grant execute on function
  public.cancel_appointment, public.reschedule_appointment, public.find_appointments
  to service_role;
