/*
 * Which appointment a request means: never one that the call held for the patient after it made the request.
 *
 * "Cancel what I have on Monday, and book me in at three" are two requests, and one passcode carries out
 * both. The new booking must not be cancelled or moved, and the caller must not be asked which one is meant.
 * A call that cancels by day or id while it holds that time releases the hold at once (private.cancel_hold), so
 * a cancellation that waits never means a hold. A move can mean one: the hold that the call had when it asked.
 */
set local lock_timeout = '2s';

/*
 * Compares the patient's name and what was said about id, day, time and provider. If no appointment is
 * with the provider, the name was probably misheard and is ignored.
 */
create or replace function private.fitting_appointments(
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
      case when p_change.kind is distinct from 'cancel' then p_call_id end,
      p_change.patient_phone, p_at) as a
    where private.is_same_name(p_change.patient_name, a.patient_name)
      and (a.status = 'confirmed' or a.created_at < p_change.opened_at)
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
