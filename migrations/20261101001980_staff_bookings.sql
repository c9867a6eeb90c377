/*
 * Staff bookings: what the front desk does with appointments.
 *
 * Decisions
 * - A booking at the desk is claimed like one in a call, with the same bookable times, the provider's
 *   lock and both mechanisms against double booking. So if a caller and the desk want one time, one of
 *   them gets it. The hold is confirmed in the same transaction. Limits of calls do not apply.
 * - Nothing that staff enter is proven: the contact's proven_at stays unchanged, or null.
 * - A function that changes an appointment first locks the call that made it, if any, and the patient's number,
 *   and then reads it again. So neither a call nor the erasure of the patient runs at the same time.
 * - A row that no longer takes time, such as a hold that waits for the desk (requires_manual_followup), is
 *   confirmed only if its time is still free, checked under the provider's lock. While the time of such a
 *   hold is kept (private.is_kept), it is confirmed in place.
 * - How long a hold waited for the desk is measured once, when it is confirmed, moved or cancelled.
 * - Answers have ids, times and names of doctors and services, but nothing of the patient: they are kept.
 */

/* Null if there is none. The request is locked. */
create function private.lock_booking(p_org uuid, p_appointment uuid) returns public.appointments
language plpgsql volatile set search_path = ''
as $$
declare
  v_row public.appointments;
  v_locked public.appointments;
begin
  select a.* into v_row from public.appointments as a
  where a.org_id = p_org and a.id = p_appointment;
  perform private.lock_call(p_org, v_row.call_id);
  perform private.lock_phones(array[private.patient_key(p_org, v_row.patient_phone)]);
  select a.* into v_locked from public.appointments as a
  where a.org_id = p_org and a.id = p_appointment;
  perform private.require_unchanged((v_locked.call_id, v_locked.patient_phone)
    is not distinct from (v_row.call_id, v_row.patient_phone));
  return v_locked;
end
$$;
comment on function private.lock_booking is
  'An appointment, read after its call and its patient''s number were locked.';

/* The start is not available: other times, and whether somebody else has it. */
create function private.refuse_start(
  p_org public.organizations, p_wanted private.wanted_slot, p_moves uuid, p_was_free boolean
) returns jsonb
language plpgsql volatile set search_path = ''
as $$
begin
  return jsonb_build_object('outcome', 'slot_taken', 'timezone', p_org.timezone,
    'taken', p_was_free or private.is_taken(p_org.id, p_wanted.service, (p_wanted.provider).id,
      p_wanted.starts_at, null, clock_timestamp(), p_moves))
    || private.alternatives(
      p_org, p_wanted.service, p_wanted.provider, p_wanted.starts_at, null, p_moves);
end
$$;
comment on function private.refuse_start is 'The outcome slot_taken for staff, with up to three other slots.';

/* The new hold, as a call would get it, or the refusal. p_moves: the appointment that it moves, or nulls. */
create function private.claim_at_desk(
  p_org public.organizations, p_request jsonb, p_wanted private.wanted_slot, p_patient jsonb,
  p_moves public.appointments, out hold public.appointments, out refusal jsonb
)
language plpgsql volatile set search_path = ''
as $$
declare
  v_inserted constant record := private.insert_hold(
    p_org, p_request, p_request ->> 'action', p_wanted, p_patient, null, p_moves);
begin
  hold := v_inserted.hold;
  if hold.id is null then
    refusal := private.refuse_start(p_org, p_wanted, p_moves.id, v_inserted.was_free);
  end if;
end
$$;
comment on function private.claim_at_desk is 'Holds a slot for staff by the rules of the calls.';

/* p_patient is {name, phone, country}. */
create function private.patient_refusal(p_org uuid, p_patient jsonb) returns jsonb
language plpgsql stable set search_path = ''
as $$
begin
  return case
    when coalesce(length(btrim(p_patient ->> 'name')), 0) not between 1 and 120
      then '{"outcome": "invalid_name"}'::jsonb
    when p_patient ->> 'phone' !~ '^\+[1-9][0-9]{6,14}$' then '{"outcome": "invalid_phone"}'
    when p_patient ->> 'country' !~ '^[A-Z]{2}$' then '{"outcome": "invalid_country"}'
    when exists (
      select from public.org_channels as c
      where c.org_id = p_org and c.kind = 'called_number' and c.value = p_patient ->> 'phone')
      then '{"outcome": "unusable_phone"}' end;
end
$$;
comment on function private.patient_refusal is 'Why a patient cannot be booked for as entered, or null.';

/* public.staff_book for a request that is to be carried out. */
create function private.book_at_desk(
  p_org public.organizations, p_request jsonb, p_slot_id text, p_patient jsonb, p_texts boolean
) returns jsonb
language plpgsql volatile set search_path = ''
as $$
declare
  v_wanted constant private.wanted_slot := private.read_wanted(p_org, p_slot_id);
  v_refusal constant jsonb := private.patient_refusal(p_org.id, p_patient);
  v_claimed record;
begin
  if v_refusal is not null then
    return v_refusal;
  elsif v_wanted.starts_at is null then
    return '{"outcome": "invalid_slot"}';
  end if;
  perform private.lock_phones(array[private.patient_key(p_org.id, p_patient ->> 'phone')]);
  v_claimed := private.claim_at_desk(p_org, p_request, v_wanted, p_patient, null);
  if v_claimed.refusal is not null then
    return v_claimed.refusal;
  end if;
  perform private.confirm_hold(p_org.id, v_claimed.hold, null, clock_timestamp());
  if p_texts then
    update public.contacts as c set texts_asked_at = clock_timestamp()
    where c.org_id = p_org.id and c.phone = p_patient ->> 'phone';
    perform private.queue_text(p_org.id, (v_claimed.hold).id, 'confirmation');
  end if;
  return private.describe_appointment(p_org, v_claimed.hold, clock_timestamp())
    || '{"outcome": "booked"}';
end
$$;
comment on function private.book_at_desk is 'Books a slot for a patient, or says why not.';

/*
 * Staff, from desk on: books for a patient.
 *
 * p_request        an id of the client's: a repeated request gets the same answer
 * p_slot_id        as staff_find_times and check_availability give it
 * p_patient_phone  E.164; null for a patient without a phone
 * p_texts          whether the patient wants texts about appointments at this number, which then need not
 *                  be proven
 * Outcomes         booked (appointmentId, startTime, endTime, service, doctor), slot_taken (taken, slots),
 *                  invalid_slot, invalid_name, invalid_phone, invalid_country, unusable_phone (a line of
 *                  the clinic's own), request_needed, request_reused, not_allowed, unknown_clinic, busy
 * Raises           25001 under another isolation level than read committed
 */
create function public.staff_book(
  p_org uuid, p_request uuid, p_slot_id text, p_patient_name text,
  p_patient_phone text default null, p_patient_country text default null,
  p_texts boolean default false
) returns jsonb
language plpgsql volatile security definer set search_path = '' set lock_timeout = '1500ms'
  set jit = off
as $$
declare
  v_patient constant jsonb := jsonb_build_object('name', btrim(p_patient_name),
    'phone', p_patient_phone, 'country', p_patient_country);
  v_desk record;
  v_answer jsonb;
begin
  v_desk := private.enter_desk(
    p_org, p_request, 'staff_book', 'desk', jsonb_build_array(p_slot_id, v_patient, p_texts));
  if v_desk.answer is not null then
    return v_desk.answer;
  end if;
  v_answer := private.book_at_desk(v_desk.org, v_desk.request, p_slot_id, v_patient, p_texts);
  return private.leave_desk(
    p_org, v_desk.request, private.read_id(v_answer ->> 'appointmentId'), v_answer);
exception when lock_not_available or deadlock_detected then
  return '{"outcome": "busy"}';
end
$$;
comment on function public.staff_book is 'Books for a patient at the desk, who may have no phone; audited.';

/*
 * Makes a row live again that no longer takes time, under the provider's lock. False if somebody else has
 * the time or has changed the row.
 *
 * p_contact  the patient's; null keeps what the row has
 */
create function private.retake_time(p_org uuid, p_row public.appointments, p_contact uuid)
returns boolean
language plpgsql volatile set search_path = ''
as $$
declare
  v_now timestamptz;
  v_seat integer;
begin
  perform private.lock_provider(p_org, p_row.provider_id, p_wait => true);
  v_now := clock_timestamp();
  perform private.expire_in_way(p_org, p_row.provider_id, p_row.busy, v_now);
  if private.would_overlap(p_org, p_row.provider_id, p_row.busy, p_row.session_key) then
    return false;
  end if;
  select min(s) into v_seat from generate_series(0, p_row.capacity - 1) as s
  where not exists (
    select from public.appointments as a
    where a.org_id = p_org and a.provider_id = p_row.provider_id
      and a.service_id = p_row.service_id and a.starts_at = p_row.starts_at and a.seat = s
      and private.takes_time(a));
  update public.appointments as a
  set status = 'confirmed', expires_at = null, seat = v_seat,
    contact_id = coalesce(p_contact, a.contact_id), updated_at = v_now
  -- An expired hold may have been in its own way.
  where a.org_id = p_org and a.id = p_row.id
    and a.status in (p_row.status, private.expired_status(p_row))
    and v_seat is not null
    -- The service may have fewer seats by now.
    and (
      select count(*) from public.appointments as o
      where o.org_id = p_org and o.provider_id = p_row.provider_id
        and o.service_id = p_row.service_id and o.starts_at = p_row.starts_at
        and private.takes_time(o)) < (
      select s.capacity from public.services as s
      where s.org_id = p_org and s.id = p_row.service_id);
  return found;
exception when exclusion_violation or unique_violation then
  return false;
end
$$;
comment on function private.retake_time is
  'Confirms a row that no longer takes its time, if the time is still free.';

/*
 * Its time is free: the provider works then, and nobody else has it. Notice no longer matters. Everything
 * is read again, since the provider was waited for.
 */
create function private.is_still_bookable(
  p_org uuid, p_row public.appointments, p_at timestamptz
) returns boolean
language plpgsql stable set search_path = ''
as $$
declare
  v_org public.organizations;
  v_service public.services;
begin
  select o.* into strict v_org from public.organizations as o where o.id = p_org;
  select s.* into v_service from public.services as s
  where s.org_id = p_org and s.id = p_row.service_id;
  v_service.notice_min := 0;
  return exists (
    select from private.find_free(
      v_org, v_service, p_row.provider_id, p_row.starts_at, null, p_at));
end
$$;
comment on function private.is_still_bookable is
  'Whether the booking of a row could be made now, ignoring the service''s notice.';

create function private.wanted_of(p_org uuid, p_row public.appointments)
returns private.wanted_slot
language sql stable set search_path = ''
as $$
  select row(s, p, p_row.starts_at)::private.wanted_slot
  from public.services as s, public.providers as p
  where s.org_id = p_org and s.id = p_row.service_id
    and p.org_id = p_org and p.id = p_row.provider_id
$$;
comment on function private.wanted_of is 'The slot of an appointment.';

/* p_row  as it was before */
create function private.measure_wait(p_row public.appointments, p_result text) returns void
language plpgsql volatile set search_path = ''
as $$
begin
  if p_row.handed_over_at is not null and p_row.status in ('held', 'requires_manual_followup') then
    perform private.tally('follow_ups_resolved', jsonb_build_object('result', p_result));
    perform private.tally('follow_ups_wait_seconds', jsonb_build_object('result', p_result),
      extract(epoch from clock_timestamp() - p_row.handed_over_at)::double precision);
  end if;
end
$$;
comment on function private.measure_wait is
  'Counts how long a hold waited for the front desk that has now been confirmed, moved or cancelled.';

/*
 * Confirms a live hold in place, or another row if its time is still free. False if it is not. p_row is
 * private.lock_booking()'s, and its time is to come.
 */
create function private.confirm_row(
  p_org uuid, p_row public.appointments, p_now timestamptz
) returns boolean
language plpgsql volatile set search_path = ''
as $$
declare
  v_is_done boolean;
begin
  if private.is_held(p_row, p_now) then
    v_is_done := private.confirm_hold(p_org, p_row, null, p_now);
  end if;
  if v_is_done is not true then
    perform private.lock_provider(p_org, p_row.provider_id, p_wait => true);
    v_is_done := private.is_still_bookable(p_org, p_row, p_now)
      and private.retake_time(p_org, p_row, private.save_contact(
        p_org, p_row.patient_phone, p_row.patient_name, null));
    if v_is_done then
      perform private.announce(p_org, p_row.id, 'confirmation');
    end if;
  end if;
  return v_is_done;
end
$$;
comment on function private.confirm_row is
  'Confirms a hold without a passcode, also one that has expired or waits for the desk; false if its time is taken.';

/* p_row is private.lock_booking()'s. */
create function private.confirm_at_desk(p_org public.organizations, p_row public.appointments)
returns jsonb
language plpgsql volatile set search_path = ''
as $$
declare
  v_now constant timestamptz := clock_timestamp();
begin
  if p_row.starts_at <= v_now then
    return '{"outcome": "past"}';
  elsif not private.confirm_row(p_org.id, p_row, v_now) then
    return private.refuse_start(p_org, private.wanted_of(p_org.id, p_row), null, false);
  end if;
  perform private.measure_wait(p_row, 'confirmed');
  return private.describe_appointment(p_org, p_row, v_now) || '{"outcome": "confirmed"}';
end
$$;
comment on function private.confirm_at_desk is
  'Confirms a hold without a passcode, or says why not.';

/* What does not fit the state of an appointment. p_wanted: the states that do. */
create function private.status_refusal(p_row public.appointments, p_wanted text[]) returns jsonb
language sql immutable set search_path = ''
as $$
  select case when p_row.id is null then '{"outcome": "appointment_not_found"}'::jsonb
    when p_row.status <> all (p_wanted)
      then jsonb_build_object('outcome', 'wrong_status', 'status', p_row.status) end
$$;
comment on function private.status_refusal is
  'appointment_not_found, or wrong_status (status) if an appointment is in none of these states, or null.';

/* As private.status_refusal(), but a hold that is kept for the desk always does. */
create function private.waiting_refusal(p_row public.appointments, p_wanted text[]) returns jsonb
language sql immutable set search_path = ''
as $$
  select case when private.is_kept(p_row) is not true then private.status_refusal(p_row, p_wanted) end
$$;
comment on function private.waiting_refusal is
  'Why a row neither waits for the front desk with its time nor is in one of these states, or null.';

/*
 * Staff, from desk on: confirms a hold without its passcode, because the desk knows the patient.
 *
 * Outcomes  confirmed (as staff_book: booked), slot_taken (it had expired, and somebody else has the time
 *           or the doctor does not work then; taken, slots), new_time (it is the new time of a move that
 *           waits for its passcode: move the appointment), past, wrong_status (status),
 *           appointment_not_found, request_needed, request_reused, not_allowed, unknown_clinic, busy
 * Raises    25001 under another isolation level than read committed
 */
create function public.staff_confirm(p_org uuid, p_request uuid, p_appointment uuid) returns jsonb
language plpgsql volatile security definer set search_path = '' set lock_timeout = '1500ms'
  set jit = off
as $$
declare
  v_desk record;
  v_row public.appointments;
begin
  v_desk := private.enter_desk(
    p_org, p_request, 'staff_confirm', 'desk', jsonb_build_array(p_appointment));
  if v_desk.answer is not null then
    return v_desk.answer;
  end if;
  v_row := private.lock_booking(p_org, p_appointment);
  return private.leave_desk(p_org, v_desk.request, v_row.id, coalesce(
    private.status_refusal(v_row, array['held', 'expired']),
    case when private.is_new_time(p_org, v_row) then '{"outcome": "new_time"}'::jsonb end,
    private.confirm_at_desk(v_desk.org, v_row)));
exception when lock_not_available or deadlock_detected then
  return '{"outcome": "busy"}';
end
$$;
comment on function public.staff_confirm is 'Confirms a hold at the desk, without a passcode; audited.';

/*
 * A row may change between the look at it and the lock of it, as when the clean-up marks a hold. Then
 * everything is undone, and the answer is busy: the next request sees what is.
 */
create function private.require_unchanged(p_is_unchanged boolean) returns void
language plpgsql stable set search_path = ''
as $$
begin
  if not p_is_unchanged then
    raise exception using errcode = 'lock_not_available', message = 'changed meanwhile';
  end if;
end
$$;
comment on function private.require_unchanged is
  'Undoes the request of an entry function, whose answer is busy, unless the condition holds.';

/* Cancels a row in the state it was read in. */
create function private.cancel_row(p_org uuid, p_row public.appointments) returns jsonb
language plpgsql volatile set search_path = ''
as $$
begin
  update public.appointments as a set status = 'cancelled', updated_at = clock_timestamp()
  where a.org_id = p_org and a.id = p_row.id and a.status = p_row.status;
  perform private.require_unchanged(found);
  perform private.measure_wait(p_row, 'cancelled');
  if p_row.status = 'confirmed' then
    perform private.announce(p_org, p_row.id, 'cancellation');
  end if;
  return jsonb_build_object('outcome', 'cancelled', 'appointmentId', p_row.id);
end
$$;
comment on function private.cancel_row is 'Cancels an appointment or a hold, unless it has changed.';

create function private.cancel_at_desk(p_org uuid, p_row public.appointments) returns jsonb
language plpgsql volatile set search_path = ''
as $$
begin
  if p_row.ends_at <= clock_timestamp() then
    return '{"outcome": "past"}';
  end if;
  return private.cancel_row(p_org, p_row);
end
$$;
comment on function private.cancel_at_desk is 'Cancels an appointment or a hold that is not over yet.';

/*
 * Staff, from desk on: cancels an appointment, or releases a hold.
 *
 * Outcomes  cancelled (appointmentId), past, wrong_status (status), appointment_not_found,
 *           request_needed, request_reused, not_allowed, unknown_clinic, busy
 * Raises    25001 under another isolation level than read committed
 */
create function public.staff_cancel(p_org uuid, p_request uuid, p_appointment uuid) returns jsonb
language plpgsql volatile security definer set search_path = '' set lock_timeout = '1500ms'
as $$
declare
  v_desk record;
  v_row public.appointments;
begin
  v_desk := private.enter_desk(
    p_org, p_request, 'staff_cancel', 'desk', jsonb_build_array(p_appointment));
  if v_desk.answer is not null then
    return v_desk.answer;
  end if;
  v_row := private.lock_booking(p_org, p_appointment);
  return private.leave_desk(p_org, v_desk.request, v_row.id, coalesce(
    private.status_refusal(v_row, array['held', 'confirmed']),
    private.cancel_at_desk(p_org, v_row)));
exception when lock_not_available or deadlock_detected then
  return '{"outcome": "busy"}';
end
$$;
comment on function public.staff_cancel is 'Cancels an appointment at the desk; audited.';

/*
 * Staff, from desk on: ends the wait of a hold whose call ran out of passcodes, whether its time is still
 * kept (held, with handed_over_at) or not (requires_manual_followup).
 *
 * p_as      confirmed: the patient was reached and comes; cancelled: does not come, or was not reached. For
 *           another time there is staff_move
 * Outcomes  confirmed (as staff_book: booked), cancelled (appointmentId), slot_taken (taken, slots), past
 *           (only cancelled is left), unknown_resolution, wrong_status (status), appointment_not_found,
 *           request_needed, request_reused, not_allowed, unknown_clinic, busy
 * Raises    25001 under another isolation level than read committed
 */
create function public.staff_resolve(
  p_org uuid, p_request uuid, p_appointment uuid, p_as text
) returns jsonb
language plpgsql volatile security definer set search_path = '' set lock_timeout = '1500ms'
  set jit = off
as $$
declare
  v_desk record;
  v_row public.appointments;
  v_answer jsonb;
begin
  v_desk := private.enter_desk(
    p_org, p_request, 'staff_resolve', 'desk', jsonb_build_array(p_appointment, p_as));
  if v_desk.answer is not null then
    return v_desk.answer;
  end if;
  v_row := private.lock_booking(p_org, p_appointment);
  v_answer := private.waiting_refusal(v_row, array['requires_manual_followup']);
  if v_answer is null and p_as = 'cancelled' then
    v_answer := private.cancel_row(p_org, v_row);
  elsif v_answer is null then
    v_answer := case when p_as = 'confirmed' then private.confirm_at_desk(v_desk.org, v_row)
      else '{"outcome": "unknown_resolution"}' end;
  end if;
  return private.leave_desk(p_org, v_desk.request, v_row.id, v_answer);
exception when lock_not_available or deadlock_detected then
  return '{"outcome": "busy"}';
end
$$;
comment on function public.staff_resolve is
  'Confirms or cancels a hold that waits for the front desk; audited.';

/* Claims the new time and cancels the old row: both or neither. p_row is private.lock_booking()'s. */
create function private.move_at_desk(
  p_org public.organizations, p_request jsonb, p_row public.appointments, p_slot_id text
) returns jsonb
language plpgsql volatile set search_path = ''
as $$
declare
  v_wanted constant private.wanted_slot := private.read_wanted(p_org, p_slot_id);
  v_claimed record;
  v_old public.appointments;
begin
  if v_wanted.starts_at is null then
    return '{"outcome": "invalid_slot"}';
  elsif p_row.patient_name is null then
    return '{"outcome": "patient_erased"}';
  elsif p_row.ends_at <= clock_timestamp() then
    return '{"outcome": "past"}';
  elsif p_row.status = 'confirmed' and private.is_wanted(v_wanted, p_row) then
    return private.describe_appointment(p_org, p_row, clock_timestamp())
      || '{"outcome": "unchanged"}';
  elsif private.is_kept(p_row) and private.is_held(p_row, clock_timestamp())
    and private.is_wanted(v_wanted, p_row) then
    -- Its own seat, which is kept, would be in the way of a new row.
    if not private.confirm_row(p_org.id, p_row, clock_timestamp()) then
      return private.refuse_start(p_org, v_wanted, p_row.id, false);
    end if;
    perform private.measure_wait(p_row, 'moved');
    return private.describe_appointment(p_org, p_row, clock_timestamp())
      || '{"outcome": "moved"}';
  end if;
  v_claimed := private.claim_at_desk(p_org, p_request, v_wanted, jsonb_build_object(
    'name', p_row.patient_name, 'phone', p_row.patient_phone, 'country', p_row.patient_country),
    p_row);
  if v_claimed.refusal is not null then
    return v_claimed.refusal;
  end if;
  update public.appointments as a set status = 'cancelled', updated_at = clock_timestamp()
  where a.org_id = p_org.id and a.id = p_row.id
    -- The time of a hold may have been over since, and the claim has marked it.
    and a.status in (p_row.status, private.expired_status(p_row))
  returning a.* into v_old;
  perform private.require_unchanged(found);
  perform private.measure_wait(p_row, 'moved');
  update public.appointments as n
  set status = 'confirmed', expires_at = null, updated_at = clock_timestamp(),
    contact_id = coalesce(v_old.contact_id, private.save_contact(
      p_org.id, v_old.patient_phone, v_old.patient_name, null))
  where n.org_id = p_org.id and n.id = (v_claimed.hold).id;
  perform private.announce(p_org.id, (v_claimed.hold).id,
    case p_row.status when 'confirmed' then 'change' else 'confirmation' end, p_row.id);
  return private.describe_appointment(p_org, v_claimed.hold, clock_timestamp())
    || '{"outcome": "moved"}';
end
$$;
comment on function private.move_at_desk is 'Books the new time of an appointment and cancels the old one.';

/*
 * Staff, from desk on: moves an appointment, or a hold that waits for the desk, to another slot.
 *
 * Outcomes  moved (appointmentId of the new row, startTime, endTime, service, doctor), unchanged (it is at
 *           that slot), slot_taken (taken, slots), invalid_slot, past, patient_erased, wrong_status
 *           (status), appointment_not_found, request_needed, request_reused, not_allowed,
 *           unknown_clinic, busy
 * Raises    25001 under another isolation level than read committed
 */
create function public.staff_move(
  p_org uuid, p_request uuid, p_appointment uuid, p_slot_id text
) returns jsonb
language plpgsql volatile security definer set search_path = '' set lock_timeout = '1500ms'
  set jit = off
as $$
declare
  v_desk record;
  v_row public.appointments;
  v_answer jsonb;
begin
  v_desk := private.enter_desk(
    p_org, p_request, 'staff_move', 'desk', jsonb_build_array(p_appointment, p_slot_id));
  if v_desk.answer is not null then
    return v_desk.answer;
  end if;
  v_row := private.lock_booking(p_org, p_appointment);
  v_answer := coalesce(
    private.waiting_refusal(v_row, array['confirmed', 'requires_manual_followup']),
    private.move_at_desk(v_desk.org, v_desk.request, v_row, p_slot_id));
  return private.leave_desk(p_org, v_desk.request, v_row.id, v_answer,
    jsonb_strip_nulls(jsonb_build_object('newTime', v_answer -> 'appointmentId')));
exception when lock_not_available or deadlock_detected then
  return '{"outcome": "busy"}';
end
$$;
comment on function public.staff_move is 'Moves an appointment to another slot at the desk; audited.';

/* p_as as in public.staff_mark; p_row is private.lock_booking()'s. */
create function private.mark_at_desk(
  p_org public.organizations, p_row public.appointments, p_as text
) returns jsonb
language plpgsql volatile set search_path = ''
as $$
declare
  v_now constant timestamptz := clock_timestamp();
  v_today constant date := (v_now at time zone p_org.timezone)::date;
  v_day constant date := (p_row.starts_at at time zone p_org.timezone)::date;
begin
  if v_day > v_today or p_as in ('completed', 'no_show') and p_row.starts_at > v_now then
    return '{"outcome": "too_early"}';
  elsif p_as = 'expected' and p_row.status <> 'confirmed'
    and not private.retake_time(p_org.id, p_row, null) then
    return '{"outcome": "slot_taken"}';
  end if;
  update public.appointments as a
  set status = case when p_as in ('completed', 'no_show') then p_as else 'confirmed' end,
    arrived_at = case p_as when 'arrived' then coalesce(a.arrived_at, v_now)
      when 'completed' then a.arrived_at end,
    updated_at = v_now
  where a.org_id = p_org.id and a.id = p_row.id
    and a.status = case p_as when 'expected' then 'confirmed' else p_row.status end;
  perform private.require_unchanged(found);
  return jsonb_build_object('outcome', 'marked', 'appointmentId', p_row.id);
end
$$;
comment on function private.mark_at_desk is 'Marks what happened to an appointment.';

/*
 * Staff, from desk on: marks what happened to an appointment on its day.
 *
 * p_as      arrived, completed, no_show; or expected, which takes any of them back
 * Outcomes  marked (appointmentId), too_early (before its day; completed and no_show before its start), slot_taken
 *           (expected, but the time was booked again), unknown_mark, wrong_status (status),
 *           appointment_not_found, request_needed, request_reused, not_allowed, unknown_clinic, busy
 * Raises    25001 under another isolation level than read committed
 */
create function public.staff_mark(p_org uuid, p_request uuid, p_appointment uuid, p_as text)
returns jsonb
language plpgsql volatile security definer set search_path = '' set lock_timeout = '1500ms'
as $$
declare
  v_desk record;
  v_row public.appointments;
begin
  v_desk := private.enter_desk(
    p_org, p_request, 'staff_mark', 'desk', jsonb_build_array(p_appointment, p_as));
  if v_desk.answer is not null then
    return v_desk.answer;
  end if;
  v_row := private.lock_booking(p_org, p_appointment);
  return private.leave_desk(p_org, v_desk.request, v_row.id, coalesce(
    case when coalesce(p_as, '') not in ('arrived', 'completed', 'no_show', 'expected')
      then '{"outcome": "unknown_mark"}'::jsonb end,
    private.status_refusal(v_row, case p_as
      when 'expected' then array['confirmed', 'completed', 'no_show'] else array['confirmed'] end),
    private.mark_at_desk(v_desk.org, v_row, p_as)),
    case when p_as in ('arrived', 'completed', 'no_show', 'expected')
      then jsonb_build_object('as', p_as) else '{}' end);
exception when lock_not_available or deadlock_detected then
  return '{"outcome": "busy"}';
end
$$;
comment on function public.staff_mark is
  'Marks an appointment as arrived, completed, missed, or expected again; audited.';

/* Only the row is locked: whether it was dealt with concerns no call. */
create function private.handle_notice(p_org uuid, p_kind text, p_id uuid) returns jsonb
language plpgsql volatile set search_path = ''
as $$
declare
  v_now constant timestamptz := clock_timestamp();
  v_handled_at timestamptz;
  v_id uuid;
begin
  if p_kind = 'message' then
    select m.id, m.handled_at into v_id, v_handled_at from public.desk_messages as m
    where m.org_id = p_org and m.id = p_id for no key update;
    update public.desk_messages as m set handled_at = v_now, handled_by = auth.uid()
    where m.org_id = p_org and m.id = v_id and v_handled_at is null;
  elsif p_kind = 'text' then
    select s.id, s.handled_at into v_id, v_handled_at from public.sms_messages as s
    where s.org_id = p_org and s.id = p_id for no key update;
    update public.sms_messages as s set handled_at = v_now, handled_by = auth.uid()
    where s.org_id = p_org and s.id = v_id and v_handled_at is null;
  elsif p_kind = 'alarm' then
    select a.id, a.handled_at into v_id, v_handled_at from public.alarms as a
    where a.org_id = p_org and a.id = p_id for no key update;
    update public.alarms as a set handled_at = v_now, handled_by = auth.uid()
    where a.org_id = p_org and a.id = v_id and v_handled_at is null;
  else
    return '{"outcome": "unknown_kind"}';
  end if;
  return case when v_id is null then '{"outcome": "unknown_notice"}'::jsonb
    when v_handled_at is null then '{"outcome": "handled"}' else '{"outcome": "unchanged"}' end;
end
$$;
comment on function private.handle_notice is
  'Notes that the desk has dealt with a message, a text that did not arrive, or an alarm.';

/*
 * Staff, from desk on: somebody has dealt with what waited for a person.
 *
 * p_kind    message (a caller's), text (one that did not arrive) or alarm
 * Outcomes  handled, unchanged (somebody had already), unknown_kind, unknown_notice (there is none with
 *           this id), request_needed, request_reused, not_allowed, unknown_clinic, busy
 */
create function public.staff_handle(p_org uuid, p_request uuid, p_kind text, p_id uuid)
returns jsonb
language plpgsql volatile security definer set search_path = '' set lock_timeout = '1500ms'
as $$
declare
  v_desk record;
  v_answer jsonb;
  v_is_known boolean;
begin
  v_desk := private.enter_desk(
    p_org, p_request, 'staff_handle', 'desk', jsonb_build_array(p_kind, p_id));
  if v_desk.answer is not null then
    return v_desk.answer;
  end if;
  v_answer := private.handle_notice(p_org, p_kind, p_id);
  v_is_known := v_answer ->> 'outcome' in ('handled', 'unchanged');
  return private.leave_desk(p_org, v_desk.request, case when v_is_known then p_id end, v_answer,
    case when v_is_known then jsonb_build_object('kind', p_kind) else '{}' end);
exception when lock_not_available or deadlock_detected then
  return '{"outcome": "busy"}';
end
$$;
comment on function public.staff_handle is
  'Notes that a message, a text that did not arrive or an alarm was dealt with; audited.';

/*
 * Staff, from viewer on: what the desk can book, by the rules of check_availability.
 *
 * p_service   slug or name; p_provider slug or name, null for any
 * p_first     a local day of the clinic's, p_days one to fourteen
 * Outcomes    found (timezone, total, slots: [{slotId, startTime, endTime, availableDoctors,
 *             seatsLeft}]), unknown_service, unknown_provider, not_allowed, unknown_clinic
 */
create function public.staff_find_times(
  p_org uuid, p_service text, p_first date, p_days integer default 1, p_provider text default null
) returns jsonb
language plpgsql volatile security definer set search_path = '' set jit = off
as $$
declare
  v_now constant timestamptz := clock_timestamp();
  v_refusal constant jsonb :=
    private.role_refusal(private.find_role(p_org, auth.uid()), 'viewer');
  v_days constant integer := least(greatest(coalesce(p_days, 1), 1), 14);
  v_org public.organizations;
  v_service public.services;
  v_provider public.providers;
  v_today date;
  v_first date;
begin
  if v_refusal is not null then
    return v_refusal;
  end if;
  select o.* into strict v_org from public.organizations as o where o.id = p_org;
  v_service := private.find_service(p_org, p_service);
  select p.* into v_provider from private.find_providers(p_org, p_provider) as p limit 1;
  if v_service.id is null then
    return '{"outcome": "unknown_service"}';
  elsif p_provider is not null and v_provider.id is null then
    return '{"outcome": "unknown_provider"}';
  end if;
  v_today := v_now at time zone v_org.timezone;
  -- Nothing is bookable later than a service's horizon; the end of the calendar has no next day.
  v_first := case when isfinite(p_first) then least(p_first, v_today + 10000) else v_today end;
  return jsonb_build_object('outcome', 'found', 'orgId', p_org, 'timezone', v_org.timezone)
    || private.offer(v_org, v_service, v_provider, greatest(v_first, v_today),
      v_first + v_days - 1, null, null, v_now, 10000);
end
$$;
comment on function public.staff_find_times is 'The bookable slots of a service, for staff.';

revoke execute on function
  public.staff_book, public.staff_confirm, public.staff_cancel, public.staff_resolve,
  public.staff_move, public.staff_mark, public.staff_handle, public.staff_find_times
  from public, anon, authenticated, service_role;
grant execute on function
  public.staff_book, public.staff_confirm, public.staff_cancel, public.staff_resolve,
  public.staff_move, public.staff_mark, public.staff_handle, public.staff_find_times
  to authenticated;
