/*
 * What a call hears about further requests, once it has proven its number.
 *
 * A caller who asks about a patient hears the appointments of that patient, under any name that the call has
 * given the patient. Those of a brother whom the call named before are left out, since a caller hears only times
 * and doctors. The first answer, which comes with the proof, still lists every patient who was named, because
 * the questions before it got no other answer.
 *
 * A request that was carried out and is repeated gets the same answer. A request that names another day, time or
 * id is a new one: "and cancel Friday's too" must not be answered with what was cancelled on Monday.
 */
set local lock_timeout = '2s';

create function private.was_said(
  p_org public.organizations, p_earlier public.appointment_changes, p_said jsonb
) returns boolean
language plpgsql stable set search_path = ''
as $$
begin
  return exists (
    select from public.appointments as a
    where a.org_id = p_org.id and a.id = p_earlier.appointment_id
      and private.fits_when(p_org, a, p_said)
      and coalesce(private.read_id(p_said ->> 'id') in (a.id, p_earlier.hold_id), true));
end
$$;
comment on function private.was_said is
  'Whether day, time and id that were said are those of the appointment that a call has changed.';
revoke execute on function private.was_said from public;

create or replace function private.change_now(
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
    v_answer := private.list_appointments(p_org, array(
      select n from unnest(p_entered.patient_names) as n
      where private.is_same_patient(n, p_patient ->> 'name')), null, p_patient ->> 'phone', p_now);
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
    and private.was_said(p_org, v_earlier, p_said)
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
