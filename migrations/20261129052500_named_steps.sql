/*
 * hold_slot and begin_send in named steps. They decide as before; hold_slot also says what else the call holds
 * at that time (private.describe_beside).
 */
set local lock_timeout = '2s';

/*
 * What hold_slot answers if the call has the time for the patient already, or if the request was answered
 * before. Null if it claims one.
 *
 * p_old        the hold to move or correct, or a row of nulls
 * p_confirmed  what the call has confirmed for the patient, or a row of nulls
 */
create function private.answer_without_claim(
  p_org public.organizations, p_call jsonb, p_wanted private.wanted_slot, p_patient jsonb,
  p_hash bytea, p_old public.appointments, p_confirmed public.appointments, p_now timestamptz
) returns jsonb
language plpgsql volatile set search_path = ''
as $$
declare
  v_call_id constant text := p_call ->> 'callId';
  v_request constant text := private.request_key(p_call, p_patient);
  v_move public.appointments;
  v_answer jsonb := private.repeat_request(
    p_org, v_call_id, v_request, p_wanted, p_patient ->> 'name', p_now);
begin
  if v_answer is null and (p_old.id is not null or p_confirmed.id is not null) then
    -- A refused request that arrives again after the patient has got another time.
    v_answer := private.recall_answer(p_org.id, p_call, 'hold_slot', p_hash);
  end if;
  if v_answer is not null or p_old.id is not null then
    return v_answer;
  elsif private.is_wanted(p_wanted, p_confirmed) then
    return private.describe_hold(p_org, p_confirmed, p_now) || '{"outcome": "already_confirmed"}';
  end if;
  v_move := private.find_new_time(p_org.id, v_call_id, p_now);
  if private.is_wanted(p_wanted, v_move) and private.is_for_patient(v_move, p_patient) then
    perform private.note_request(p_org.id, v_move.id, v_request);
    return private.describe_hold(p_org, v_move, p_now) || '{"outcome": "held", "repeated": true}';
  end if;
  return null;
end
$$;
comment on function private.answer_without_claim is
  'What hold_slot answers without a claim: held, already_confirmed, hold_expired, a refusal given before, or null.';
revoke execute on function private.answer_without_claim from public;

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

/*
 * What send_otp answers if its number is proven or its request has texted another number: a request that
 * is delivered again asks neither for what was held since its first answer, nor for a text to another
 * number. Null if a text is needed.
 */
create function private.answer_without_text(
  p_org public.organizations, p_call jsonb, p_entered public.calls, p_phone text, p_purpose text,
  p_hold uuid, p_hash bytea, p_first_answer jsonb, p_now timestamptz
) returns jsonb
language plpgsql volatile set search_path = ''
as $$
declare
  v_phone constant bytea := private.hash_phone(p_phone);
  v_is_proven constant boolean :=
    private.is_proven(p_org.id, p_entered.call_id, v_phone, p_now);
  v_text public.sms_messages;
  v_answer jsonb;
begin
  if v_is_proven and p_first_answer is not null then
    return coalesce(
      private.describe_settled(p_org, p_entered.call_id, p_phone, p_now),
      p_first_answer - 'isRefusal');
  end if;
  select m.* into v_text from public.sms_messages as m
  where m.org_id = p_org.id and m.call_id = p_entered.call_id
    and m.tool_call_id = nullif(p_call ->> 'toolCallId', '')
  order by m.created_at desc limit 1;
  if v_text.id is not null and (v_is_proven or v_text.to_hash <> v_phone) then
    return jsonb_build_object('outcome', 'already_sent', 'orgId', p_org.id,
      'purpose', p_purpose, 'phoneEnding', right(v_text.to_masked, 2),
      'expiresInSeconds', 0, 'retryAfterSeconds', 0);
  elsif not v_is_proven then
    return null;
  end if;
  v_answer := jsonb_build_object('orgId', p_org.id)
    || private.carry_out(p_org, p_call, p_entered, p_phone, false, p_now);
  perform private.audit(p_org.id, p_call, 'send_otp', p_hold, v_answer ->> 'outcome');
  perform private.record_answer(p_org.id, p_call, 'send_otp', p_hash, v_answer);
  return v_answer;
end
$$;
comment on function private.answer_without_text is
  'What send_otp answers without a text: already_sent, what the proven number carries out, or null.';
revoke execute on function private.answer_without_text from public;

create or replace function private.begin_send(
  p_org public.organizations, p_call jsonb, p_hold text, p_send uuid, p_mac text, p_key_id text,
  p_sender text
) returns jsonb
language plpgsql volatile set search_path = ''
as $$
declare
  v_tool_call_id constant text := nullif(p_call ->> 'toolCallId', '');
  v_hash constant bytea := sha256(convert_to(coalesce(p_hold, ''), 'UTF8'));
  v_call constant public.calls := private.enter_call(p_org, p_call);
  v_waiting record;
  v_phone bytea;
  v_code public.one_time_passcodes;
  v_now timestamptz;
  v_first_answer constant jsonb := private.recall_answer(p_org.id, p_call, 'send_otp', v_hash);
  v_answer jsonb;
begin
  -- A limit or a cooldown may have ended: that is decided again, while it would send a text.
  if v_first_answer is not null and v_first_answer -> 'isRefusal' is null then
    return v_first_answer;
  end if;
  v_waiting := private.find_waiting(p_org, v_call.call_id, p_hold, clock_timestamp());
  -- The caller may have hung up while this waited for the call.
  if v_waiting.purpose = 'change' and private.was_left(p_org.id, v_call.call_id) then
    v_waiting.refusal := '{"outcome": "hold_not_found"}'::jsonb;
  end if;
  if v_waiting.refusal is not null then
    return private.answer_idle(p_org.id, p_call, 'send_otp', v_hash, v_waiting.refusal);
  end if;
  v_phone := private.hash_phone(v_waiting.phone);
  perform private.lock_phones(array[private.caller_key(p_org.id, v_call), v_phone]);
  v_now := clock_timestamp();
  -- While this waited for the phone, the hold may have expired or gone to the patient's next call.
  v_waiting := private.find_waiting(p_org, v_call.call_id, p_hold, v_now);
  if v_waiting.refusal is not null then
    return private.answer_idle(p_org.id, p_call, 'send_otp', v_hash, v_waiting.refusal);
  elsif private.hash_phone(v_waiting.phone) <> v_phone then
    return '{"outcome": "busy"}';
  end if;
  v_answer := private.answer_without_text(p_org, p_call, v_call, v_waiting.phone, v_waiting.purpose,
    (v_waiting.hold).id, v_hash, v_first_answer, v_now);
  if v_answer is not null then
    return v_answer;
  end if;

  select c.* into v_code from public.one_time_passcodes as c
  where c.org_id = p_org.id and c.call_id = v_call.call_id and c.phone_hash = v_phone;
  if v_first_answer is not null and v_code.mac is not null and v_code.expires_at > v_now then
    -- Another text would replace the code that the caller is about to read out.
    return v_first_answer - 'isRefusal';
  end if;
  v_answer := coalesce(
    case when v_code.send_id is not null then
      private.repeated_send(p_org.id, v_code, v_tool_call_id, v_waiting.purpose, v_now) end,
    private.send_or_refuse(p_org, p_call, v_call, v_code, v_waiting.hold, jsonb_build_object(
      'phone', v_waiting.phone, 'country', v_waiting.country, 'purpose', v_waiting.purpose),
      p_send, p_mac, p_key_id, p_sender, v_now));
  if v_answer ->> 'outcome' <> 'claimed' then
    perform private.audit(
      p_org.id, p_call, 'send_otp', (v_waiting.hold).id, v_answer ->> 'outcome');
  end if;
  v_answer := jsonb_build_object('orgId', p_org.id, 'purpose', v_waiting.purpose,
    'phoneEnding', right(v_waiting.phone, 2)) || v_answer;
  if v_answer ->> 'outcome' <> 'claimed' then
    perform private.record_answer(
      p_org.id, p_call, 'send_otp', v_hash, v_answer || '{"isRefusal": true}');
  end if;
  return v_answer;
end
$$;
