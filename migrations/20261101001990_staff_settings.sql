/*
 * Staff settings: what the front desk does about numbers, and managers about hours and days off.
 *
 * Decisions
 * - The desk clears what was counted for a number only if the clinic knows it from a call, not from what the
 *   desk itself wrote, and twice a day at most: the counts are those of all clinics, and they bound how
 *   often a passcode can be guessed.
 * - A blocked number has used up its limits at this clinic (private.is_blocked). Only its hash is stored.
 * - Hours and days off change one at a time, under the clinic's row, as a clinic's document is applied.
 *   What is booked stays booked; the answer names the bookings that no longer fit. It is complete,
 *   because the providers are locked before anything changes: a claim is either in it or comes after it,
 *   and looks at the hours again once it has the lock.
 * - An impossible schedule is refused by the tables' constraints. Their reason is part of the answer.
 */

create function private.is_known_number(p_org uuid, p_phone text) returns boolean
language plpgsql stable set search_path = ''
as $$
begin
  return exists (
      select from public.contacts as c
      where c.org_id = p_org and c.phone = p_phone and c.proven_at is not null)
    or exists (
      select from public.appointments as a
      where a.org_id = p_org and a.patient_phone = p_phone and a.call_id is not null
        and a.status in ('held', 'expired', 'requires_manual_followup'));
end
$$;
comment on function private.is_known_number is
  'Whether a number was proven to an organization, or a call holds or held a time for it there.';

/*
 * Staff, from desk on: clears the counted texts and attempts of a number, so that its owner can get and
 * use a passcode again.
 *
 * p_phone   E.164
 * Outcomes  cleared, unknown_number (no call has proven it to the clinic or holds a time for it),
 *           clear_limit (twice a day for a number, over all clinics), invalid_phone, request_needed, request_reused,
 *           not_allowed, unknown_clinic, busy
 */
create function public.staff_clear_lock(p_org uuid, p_request uuid, p_phone text) returns jsonb
language plpgsql volatile security definer set search_path = '' set lock_timeout = '1500ms'
as $$
declare
  v_hash constant bytea := private.hash_phone(p_phone);
  v_desk record;
  v_counts public.phone_counts;
  v_has_counts boolean;
  v_now timestamptz;
  v_outcome text;
begin
  v_desk := private.enter_desk(
    p_org, p_request, 'staff_clear_lock', 'desk', jsonb_build_array(encode(v_hash, 'hex')));
  if v_desk.answer is not null then
    return v_desk.answer;
  end if;
  perform private.lock_phones(array[v_hash]);
  v_now := clock_timestamp();
  select c.* into v_counts from public.phone_counts as c where c.phone_hash = v_hash;
  v_has_counts :=
    coalesce(cardinality(v_counts.sent_at || v_counts.wrong_at || v_counts.asked_at), 0) > 0;
  v_outcome := case
    when coalesce(p_phone, '') !~ '^\+[1-9][0-9]{6,14}$' then 'invalid_phone'
    when not private.is_known_number(p_org, p_phone) then 'unknown_number'
    -- What was counted may have been counted at other clinics: whether anything was is not told.
    when v_has_counts and private.count_since(v_counts.cleared_at, v_now - interval '1 day') >= 2
      then 'clear_limit'
    else 'cleared' end;
  if v_outcome = 'cleared' and v_has_counts then
    update public.phone_counts as c
    set sent_at = '{}', wrong_at = '{}', asked_at = '{}', changed_at = v_now,
      cleared_at = private.keep_since(c.cleared_at, v_now - interval '1 day') || v_now
    where c.phone_hash = v_hash;
  end if;
  return private.leave_desk(
    p_org, v_desk.request, null, jsonb_build_object('outcome', v_outcome));
exception when lock_not_available or deadlock_detected then
  return '{"outcome": "busy"}';
end
$$;
comment on function public.staff_clear_lock is
  'Forgets the texts and attempts counted for a patient''s number; audited without the number.';

/*
 * Staff, from desk on: blocks a number at this clinic, or no longer.
 *
 * p_phone   E.164
 * Outcomes  blocked, unblocked, unchanged, invalid_phone, request_needed, request_reused, not_allowed,
 *           unknown_clinic, busy
 */
create function public.staff_block_number(
  p_org uuid, p_request uuid, p_phone text, p_is_blocked boolean
) returns jsonb
language plpgsql volatile security definer set search_path = '' set lock_timeout = '1500ms'
as $$
declare
  v_hash constant bytea := private.hash_phone(p_phone);
  v_desk record;
  v_outcome text := 'unchanged';
begin
  v_desk := private.enter_desk(p_org, p_request, 'staff_block_number', 'desk',
    jsonb_build_array(encode(v_hash, 'hex'), p_is_blocked));
  if v_desk.answer is not null then
    return v_desk.answer;
  end if;
  if coalesce(p_phone, '') !~ '^\+[1-9][0-9]{6,14}$' then
    v_outcome := 'invalid_phone';
  elsif p_is_blocked is false then
    delete from public.blocked_numbers as b where b.org_id = p_org and b.phone_hash = v_hash;
    v_outcome := case when found then 'unblocked' else 'unchanged' end;
  else
    insert into public.blocked_numbers (org_id, phone_hash, phone_masked, blocked_by)
    values (p_org, v_hash, private.mask_phone(p_phone), auth.uid())
    on conflict do nothing;
    v_outcome := case when found then 'blocked' else 'unchanged' end;
  end if;
  return private.leave_desk(p_org, v_desk.request, null, jsonb_build_object('outcome', v_outcome),
    jsonb_build_object('number', private.mask_phone(p_phone)));
exception when lock_not_available or deadlock_detected then
  return '{"outcome": "busy"}';
end
$$;
comment on function public.staff_block_number is
  'Blocks a number from holds, texts and messages at a clinic, or unblocks it; audited.';

/*
 * The answer to a change of the schedule, once it is made, with the bookings that fitted before and no
 * longer do.
 *
 * p_provider  whose schedule it is; null for the whole clinic's
 */
create function private.leave_schedule(
  p_org uuid, p_request jsonb, p_provider uuid, p_known uuid[], p_answer jsonb, p_details jsonb
) returns jsonb
language plpgsql volatile set search_path = ''
as $$
declare
  v_org public.organizations;
  v_bookings jsonb;
begin
  select o.* into strict v_org from public.organizations as o where o.id = p_org;
  v_bookings := private.describe_misplaced(v_org, p_known, clock_timestamp(), p_provider);
  return private.leave_desk(p_org, p_request, p_provider,
    p_answer || jsonb_build_object('bookings', v_bookings),
    p_details || jsonb_build_object('bookings', jsonb_array_length(v_bookings)));
end
$$;
comment on function private.leave_schedule is
  'Answers and audits a change of hours or days off, with the bookings that no longer fit.';

create function private.misplaced_ids(p_org public.organizations, p_provider uuid default null)
returns uuid[]
language sql volatile set search_path = ''
as $$
  select array(
    select m.appointment_id
    from private.find_misplaced(p_org, clock_timestamp(), p_provider) as m)
$$;
comment on function private.misplaced_ids is 'Bookings that do not fit the schedule already.';

/* What a change of a schedule says, without what else the request may have in it: it goes into the log. */
create function private.read_schedule(p_kind text, p_value jsonb) returns jsonb
language plpgsql immutable set search_path = ''
as $$
declare
  v_hours constant jsonb := case p_kind when 'hours' then p_value when 'day' then p_value -> 'hours' end;
  v_read jsonb;
begin
  if jsonb_typeof(v_hours) is distinct from 'array' then
    return p_value;
  end if;
  select coalesce(jsonb_agg(jsonb_strip_nulls(to_jsonb(d))), '[]') into v_read
  from jsonb_to_recordset(v_hours) as d (
    dow integer, "startMin" integer, "endMin" integer, "from" date, "until" date);
  return case p_kind when 'hours' then v_read
    else jsonb_build_object('day', (p_value ->> 'day')::date, 'hours', v_read) end;
end
$$;
comment on function private.read_schedule is 'The known parts of a change of weekly hours or of a day''s hours.';

/* A change of one provider's schedule; p_kind says which. Raises what the tables' constraints raise. */
create function private.write_schedule(
  p_org public.organizations, p_provider uuid, p_kind text, p_value jsonb
) returns void
language plpgsql volatile set search_path = ''
as $$
begin
  if p_kind = 'hours' then
    perform private.require(coalesce(jsonb_typeof(p_value) = 'array', false),
      'hours of provider ' || p_provider, 'give a list');
    delete from public.working_hours as w
    where w.org_id = p_org.id and w.provider_id = p_provider;
    insert into public.working_hours (org_id, provider_id, dow, start_min, end_min, valid)
    select p_org.id, p_provider, d.dow, d."startMin", d."endMin",
      daterange(d."from", d."until", '[]')
    from jsonb_to_recordset(p_value) as d (
      dow integer, "startMin" integer, "endMin" integer, "from" date, "until" date);
  elsif p_kind = 'day' then
    delete from public.working_hours_overrides as v
    where v.org_id = p_org.id and v.provider_id = p_provider
      and v.day = (p_value ->> 'day')::date;
    insert into public.working_hours_overrides (org_id, provider_id, day, start_min, end_min)
    select p_org.id, p_provider, (p_value ->> 'day')::date, d."startMin", d."endMin"
    from jsonb_to_recordset(case when p_value -> 'hours' = '[]' then '[{}]'
      else coalesce(nullif(p_value -> 'hours', 'null'), '[]') end) as d (
      "startMin" integer, "endMin" integer);
  else
    perform private.require(p_value ->> 'from' is not null and p_value ->> 'to' is not null,
      'time off of provider ' || p_provider, 'give its beginning and its end');
    insert into public.time_off (org_id, id, provider_id, span)
    values (p_org.id, (p_value ->> 'id')::uuid, p_provider,
      tstzrange((p_value ->> 'from')::timestamptz, (p_value ->> 'to')::timestamptz));
  end if;
end
$$;
comment on function private.write_schedule is
  'Changes weekly hours, the hours of one day or an absence of a provider.';

/* What the three functions below have in common. */
create function private.change_schedule(
  p_org uuid, p_request uuid, p_action text, p_provider uuid, p_kind text, p_value jsonb
) returns jsonb
language plpgsql volatile set search_path = ''
as $$
declare
  v_desk record;
  v_known uuid[];
  v_value jsonb;
  v_reason text;
begin
  v_desk := private.enter_desk(
    p_org, p_request, p_action, 'manager', jsonb_build_array(p_provider, p_value));
  if v_desk.answer is not null then
    return v_desk.answer;
  elsif not exists (
    select from public.providers as p where p.org_id = p_org and p.id = p_provider) then
    return private.leave_desk(p_org, v_desk.request, null, '{"outcome": "unknown_provider"}');
  end if;
  v_known := private.misplaced_ids(v_desk.org, p_provider);
  perform private.lock_provider(p_org, p_provider, p_wait => true);
  begin
    v_value := private.read_schedule(p_kind, p_value);
    perform private.write_schedule(v_desk.org, p_provider, p_kind, v_value);
  exception when integrity_constraint_violation or data_exception then
    get stacked diagnostics v_reason = message_text;
    return private.leave_desk(p_org, v_desk.request, p_provider,
      jsonb_build_object('outcome', 'invalid_schedule', 'reason', v_reason));
  end;
  return private.leave_schedule(p_org, v_desk.request, p_provider, v_known,
    jsonb_strip_nulls(jsonb_build_object('outcome', 'changed', 'timeOffId', p_value -> 'id')),
    jsonb_build_object(p_kind, v_value));
end
$$;
comment on function private.change_schedule is 'Changes the schedule of a provider for a manager.';

/*
 * Staff, from manager on: a provider's weekly hours, in place of all before.
 *
 * p_hours   [{dow, startMin, endMin, from, until}] in local minutes from midnight, dow 0 is Sunday; from
 *           and until are the first and the last day, null for no such end
 * Outcomes  changed (bookings that no longer fit: [{appointmentId, status, reason, startTime, service,
 *           doctor}]), invalid_schedule (reason), unknown_provider, request_needed, request_reused,
 *           not_allowed, unknown_clinic, busy
 */
create function public.staff_set_hours(
  p_org uuid, p_request uuid, p_provider uuid, p_hours jsonb
) returns jsonb
language plpgsql volatile security definer set search_path = '' set lock_timeout = '1500ms'
  set jit = off
as $$
begin
  return private.change_schedule(
    p_org, p_request, 'staff_set_hours', p_provider, 'hours', p_hours);
exception when lock_not_available or deadlock_detected then
  return '{"outcome": "busy"}';
end
$$;
comment on function public.staff_set_hours is 'Sets the weekly hours of a provider; audited.';

/*
 * Staff, from manager on: a provider's hours on one local day, in place of the weekly ones.
 *
 * p_hours   [{startMin, endMin}], [] for a day off, null for the weekly hours again
 * Outcomes  changed (bookings, as staff_set_hours), invalid_schedule (reason), unknown_provider,
 *           request_needed, request_reused, not_allowed, unknown_clinic, busy
 */
create function public.staff_set_day(
  p_org uuid, p_request uuid, p_provider uuid, p_day date, p_hours jsonb
) returns jsonb
language plpgsql volatile security definer set search_path = '' set lock_timeout = '1500ms'
  set jit = off
as $$
begin
  return private.change_schedule(p_org, p_request, 'staff_set_day', p_provider, 'day',
    jsonb_build_object('day', p_day, 'hours', p_hours));
exception when lock_not_available or deadlock_detected then
  return '{"outcome": "busy"}';
end
$$;
comment on function public.staff_set_day is
  'Sets the hours of a provider on one day, none for a day off; audited.';

/*
 * Staff, from manager on: a provider is away.
 *
 * Outcomes  changed (timeOffId; bookings, as staff_set_hours), invalid_schedule (reason),
 *           unknown_provider, request_needed, request_reused, not_allowed, unknown_clinic, busy
 */
create function public.staff_add_time_off(
  p_org uuid, p_request uuid, p_provider uuid, p_from timestamptz, p_to timestamptz
) returns jsonb
language plpgsql volatile security definer set search_path = '' set lock_timeout = '1500ms'
  set jit = off
as $$
begin
  -- The request's id becomes the row's: a repeated request is the same request to the letter.
  return private.change_schedule(p_org, p_request, 'staff_add_time_off', p_provider, 'timeOff',
    jsonb_build_object('id', p_request, 'from', p_from, 'to', p_to));
exception when lock_not_available or deadlock_detected then
  return '{"outcome": "busy"}';
end
$$;
comment on function public.staff_add_time_off is 'Adds an absence of a provider; audited.';

/*
 * Staff, from manager on: an absence is over, or will not be.
 *
 * Outcomes  removed, unknown_time_off, imported_time_off (it is in the doctor's own calendar),
 *           request_needed, request_reused, not_allowed, unknown_clinic, busy
 */
create function public.staff_remove_time_off(p_org uuid, p_request uuid, p_time_off uuid)
returns jsonb
language plpgsql volatile security definer set search_path = '' set lock_timeout = '1500ms'
as $$
declare
  v_desk record;
  v_removed public.time_off;
begin
  v_desk := private.enter_desk(
    p_org, p_request, 'staff_remove_time_off', 'manager', jsonb_build_array(p_time_off));
  if v_desk.answer is not null then
    return v_desk.answer;
  end if;
  delete from public.time_off as t
  where t.org_id = p_org and t.id = p_time_off and t.calendar_id is null
  returning t.* into v_removed;
  return private.leave_desk(p_org, v_desk.request, v_removed.provider_id, jsonb_build_object(
    'outcome', case when found then 'removed' when exists (
        select from public.time_off as t where t.org_id = p_org and t.id = p_time_off)
      then 'imported_time_off' else 'unknown_time_off' end),
    jsonb_strip_nulls(jsonb_build_object('timeOff', v_removed.span)));
exception when lock_not_available or deadlock_detected then
  return '{"outcome": "busy"}';
end
$$;
comment on function public.staff_remove_time_off is 'Removes an absence of a provider; audited.';

/*
 * Staff, from manager on: the days on which the whole clinic is closed, in place of all before.
 *
 * p_days    [{first, last}], local days
 * Outcomes  changed (bookings, as staff_set_hours), invalid_schedule (reason), request_needed,
 *           request_reused, not_allowed, unknown_clinic, busy
 */
create function public.staff_set_closing_days(p_org uuid, p_request uuid, p_days jsonb)
returns jsonb
language plpgsql volatile security definer set search_path = '' set lock_timeout = '1500ms'
  set jit = off
as $$
declare
  v_desk record;
  v_known uuid[];
  v_reason text;
begin
  v_desk := private.enter_desk(
    p_org, p_request, 'staff_set_closing_days', 'manager', jsonb_build_array(p_days));
  if v_desk.answer is not null then
    return v_desk.answer;
  end if;
  v_known := private.misplaced_ids(v_desk.org);
  perform private.lock_providers(p_org);
  begin
    perform private.require(coalesce(jsonb_typeof(p_days) = 'array', false),
      'organization ' || (v_desk.org).slug, 'give its closing days as a list');
    update public.organizations as o
    set closing_days = (
      select coalesce(range_agg(daterange(d.first, d.last, '[]')), '{}')
      from jsonb_to_recordset(p_days) as d (first date, last date))
    where o.id = p_org;
  exception when integrity_constraint_violation or data_exception then
    get stacked diagnostics v_reason = message_text;
    return private.leave_desk(p_org, v_desk.request, null,
      jsonb_build_object('outcome', 'invalid_schedule', 'reason', v_reason));
  end;
  return private.leave_schedule(p_org, v_desk.request, null, v_known, '{"outcome": "changed"}',
    jsonb_build_object('closingDays', (
      select o.closing_days from public.organizations as o where o.id = p_org)));
exception when lock_not_available or deadlock_detected then
  return '{"outcome": "busy"}';
end
$$;
comment on function public.staff_set_closing_days is 'Sets the closing days of a clinic; audited.';

revoke execute on function
  public.staff_clear_lock, public.staff_block_number, public.staff_set_hours,
  public.staff_set_day, public.staff_add_time_off, public.staff_remove_time_off,
  public.staff_set_closing_days
  from public, anon, authenticated, service_role;
grant execute on function
  public.staff_clear_lock, public.staff_block_number, public.staff_set_hours,
  public.staff_set_day, public.staff_add_time_off, public.staff_remove_time_off,
  public.staff_set_closing_days
  to authenticated;
