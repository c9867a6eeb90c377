/*
 * A hold beside another one of its call, for the same number at the same time, under another name. These can be
 * two children with two doctors, or one patient whose name was misheard at first: only the caller knows, and
 * hears of it before one passcode confirms both.
 */
set local lock_timeout = '2s';

create function private.describe_beside(
  p_org public.organizations, p_call_id text, p_hold uuid, p_at timestamptz
) returns jsonb
language plpgsql stable set search_path = ''
as $$
declare
  v_beside public.appointments;
begin
  select h.* into v_beside
  from private.find_holds(p_org.id, p_call_id, p_at) as h
  join public.appointments as n on n.org_id = p_org.id and n.id = p_hold
  where h.id <> n.id and h.patient_phone = n.patient_phone
    and h.starts_at < n.ends_at and h.ends_at > n.starts_at
  order by h.created_at desc limit 1;
  return private.describe_own_hold(p_org, v_beside, p_at);
end
$$;
comment on function private.describe_beside is
  'What a call holds at the same time as a hold, for the same number: {kept}, or {}.';
revoke execute on function private.describe_beside from public;

create or replace function private.hold_slot(
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
    v_old := private.find_own_hold(p_org.id, v_call.call_id, p_hold, v_name, v_now);
    v_confirmed := private.find_confirmed(p_org.id, v_call.call_id, v_wanted, v_name);
    v_answer := private.answer_without_claim(
      p_org, p_call, v_wanted, p_patient, v_hash, v_old, v_confirmed, v_now);
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
    'alsoConfirmed', private.iso_local(v_confirmed.starts_at, p_org.timezone)))
    || case when v_found.has_held then private.describe_beside(
      p_org, v_call.call_id, private.read_id(v_answer ->> 'holdId'), v_now) else '{}' end;
end
$$;
