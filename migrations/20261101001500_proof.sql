/*
 * Proof: a passcode is texted and read back, and proves that the caller has the phone. Then the holds
 * of the call that wait for that phone are confirmed, and its change is carried out.
 *
 * Decisions
 * - Digits are compared with every live code of the call, so the one that a caller reads out proves its
 *   own phone, whichever text came last. A wrong one counts once for the call, and at every code that it
 *   was compared with: none gets more attempts than its own.
 * - One code covers everything of its call that waits for its phone. After it the call needs no other
 *   code: send_otp confirms a further hold directly.
 * - A send for a change is stored, counted and answered the same whether or not an appointment fits.
 *   Only the function learns whether a text is due; the text goes out after the answer.
 * - A text makes the holds that wait for it last as long as its code, at most hold_minutes and five
 *   minutes from when they were made or extended.
 * - A repeated request gets the same answer and counts once: verify stores its answers by call, tool
 *   call and arguments, and each text stores the tool call that requested it.
 */

create function private.describe_state(
  p_org public.organizations, p_row public.appointments, p_now timestamptz
) returns jsonb
language plpgsql stable set search_path = ''
as $$
begin
  return case
    when p_row.status = 'confirmed'
      then private.describe_hold(p_org, p_row, p_now) || '{"outcome": "already_confirmed"}'
    when p_row.status = 'requires_manual_followup' or private.is_kept(p_row)
      then '{"outcome": "locked"}'::jsonb
    when p_row.status in ('held', 'expired') then '{"outcome": "hold_expired"}'::jsonb
    else '{"outcome": "hold_not_found"}'::jsonb end;
end
$$;
comment on function private.describe_state is 'The outcome for a row that does not wait for a passcode.';

/*
 * What the passcode of a tool call is for: the hold with that id, else the latest hold or change of
 * this call. Another call's or organization's hold is treated as if it did not exist. The id of a hold
 * of this call that was confirmed or released means whatever waits since; one that has expired or is
 * the front desk's is refused.
 *
 * purpose  confirm if a hold waits for that phone, else change
 * refusal  why nothing waits for a code
 */
create function private.find_waiting(
  p_org public.organizations, p_call_id text, p_hold text, p_now timestamptz,
  out hold public.appointments, out phone text, out country text, out purpose text,
  out refusal jsonb
)
language plpgsql stable set search_path = ''
as $$
declare
  v_id constant uuid := private.read_id(p_hold);
  v_change public.appointment_changes := private.find_change(p_org.id, p_call_id);
  v_waiting public.appointments[] := array(
    select h from private.find_holds(p_org.id, p_call_id, p_now) as h order by h.updated_at desc);
  v_named public.appointments;
  v_newest public.appointments;
  v_state jsonb;
begin
  if v_id is not null then
    select a.* into v_named from public.appointments as a
    where a.org_id = p_org.id and a.id = v_id and a.call_id = p_call_id;
    select w.* into hold from unnest(v_waiting) as w where w.id = v_id;
    if hold.id is null and not private.is_new_time(p_org.id, v_named) then
      v_state := private.describe_state(p_org, v_named, p_now);
      if v_named.id is null or v_state ->> 'outcome' in ('hold_expired', 'locked')
        or v_waiting = '{}' and (v_change.call_id is null or v_change.applied_at is not null) then
        refusal := v_state;
        return;
      end if;
    end if;
  end if;
  if hold.id is null then
    hold := v_waiting[1];
    if v_change.applied_at is null and v_change.opened_at > coalesce(hold.updated_at, '-infinity') then
      hold := null;
      phone := v_change.patient_phone;
      country := v_change.patient_country;
    end if;
  end if;
  if hold.id is null and phone is null then
    select m.* into v_newest from private.rows_of_call(p_org.id, p_call_id) as m
    order by m.updated_at desc limit 1;
    refusal := case when v_change.applied_at >= coalesce(v_newest.updated_at, '-infinity')
      then private.describe_change(p_org, v_change, p_now)
      else private.describe_state(p_org, v_newest, p_now) end;
    return;
  end if;
  if phone is null then
    phone := hold.patient_phone;
    country := hold.patient_country;
  else
    select w.* into hold from unnest(v_waiting) as w
    where w.patient_phone = find_waiting.phone limit 1;
  end if;
  purpose := case when hold.id is null then 'change' else 'confirm' end;
end
$$;
comment on function private.find_waiting is 'The hold or change of a call that waits for a passcode, and its phone.';

create function private.extend_holds(
  p_org public.organizations, p_call_id text, p_phone text, p_until timestamptz, p_now timestamptz
) returns timestamptz
language plpgsql volatile set search_path = ''
as $$
declare
  v_last timestamptz;
begin
  perform private.lock_holds(p_org.id, p_call_id);
  update public.appointments as a
  set updated_at = p_now, expires_at = greatest(a.expires_at, least(p_until,
    coalesce(a.extended_at, a.created_at) + make_interval(mins => p_org.hold_minutes)
      + private.code_lifetime()))
  where a.org_id = p_org.id and a.call_id = p_call_id and a.patient_phone = p_phone
    and private.awaits_code(a, p_now) and not private.is_held(a, p_until);
  select max(a.expires_at) into v_last from public.appointments as a
  where a.org_id = p_org.id and a.call_id = p_call_id and a.patient_phone = p_phone
    and private.awaits_code(a, p_now);
  return least(p_until, v_last);
end
$$;
comment on function private.extend_holds is
  'Makes the holds that wait for a text last as long as its code; returns when the code expires.';

/*
 * The limits allow this send: its code is stored, and its text is counted. If no appointment fits a
 * change, the stored value matches no code and no text is due; nothing else differs.
 */
create function private.store_send(
  p_org public.organizations, p_call jsonb, p_entered public.calls,
  p_code public.one_time_passcodes, p_hold public.appointments, p_phone text, p_purpose text,
  p_send uuid, p_mac text, p_key_id text, p_now timestamptz
) returns jsonb
language plpgsql volatile set search_path = ''
as $$
declare
  v_call_id constant text := p_entered.call_id;
  v_phone constant bytea := private.hash_phone(p_phone);
  v_origin constant text := private.origin_of(p_entered, v_phone);
  v_is_due constant boolean := p_purpose = 'confirm' or private.is_text_due(
    p_org, private.find_change(p_org.id, v_call_id), p_now);
  v_held_until constant timestamptz := private.extend_holds(
    p_org, v_call_id, p_phone, p_now + private.code_lifetime(), p_now);
  -- The new time of a move is claimed again after the proof, so its expiry does not limit the code.
  v_expires constant timestamptz := case p_purpose when 'confirm' then v_held_until
    else p_now + private.code_lifetime() end;
  v_asked integer;
begin
  insert into public.one_time_passcodes as c (
    org_id, call_id, phone_hash, send_id, purpose, state, mac, key_id, claimed_at, expires_at, sends
  ) values (
    p_org.id, v_call_id, v_phone, p_send, p_purpose, 'sending',
    private.bind_mac(case when v_is_due then p_mac else
      encode(sha256(convert_to(gen_random_uuid()::text, 'UTF8')), 'hex') end,
      p_org.id, v_call_id, v_phone, p_send), p_key_id, p_now, v_expires, 1
  )
  on conflict (org_id, call_id, phone_hash) do update
  set send_id = excluded.send_id, purpose = excluded.purpose, state = 'sending',
    mac = excluded.mac,
    key_id = excluded.key_id, claimed_at = excluded.claimed_at,
    expires_at = excluded.expires_at, code_attempts = 0, sends = c.sends + 1;
  -- created_at is the time that count_send notes: clear_otp_send gives it back by that.
  insert into public.sms_messages (
    org_id, id, appointment_id, origin, to_masked, to_hash, call_id, tool_call_id, status, created_at
  ) values (
    p_org.id, p_send, case p_purpose when 'confirm' then p_hold.id end, v_origin,
    private.mask_phone(p_phone), v_phone, v_call_id, nullif(p_call ->> 'toolCallId', ''),
    case when v_is_due then 'sending' else 'not_due' end, p_now
  );
  perform private.count_send(v_phone, p_entered.caller_hash, p_now);
  update public.calls as c set sends = c.sends + 1
  where c.org_id = p_org.id and c.call_id = v_call_id;
  perform private.audit(p_org.id, p_call, 'send_otp', p_hold.id, 'claimed',
    jsonb_build_object('sendId', p_send));
  select count(*) into v_asked from private.find_holds(p_org.id, v_call_id, p_now) as h
  where h.patient_phone = p_phone and h.created_at > coalesce(p_code.claimed_at, '-infinity');
  if v_asked > 0 then
    perform private.tally('otp_requested', '{}', v_asked);
  end if;
  return jsonb_strip_nulls(jsonb_build_object(
    'outcome', 'claimed', 'orgId', p_org.id, 'holdId', p_hold.id, 'clinic', p_org.name,
    'purpose', p_purpose, 'isDue', v_is_due,
    'phone', p_phone, 'phoneEnding', right(p_phone, 2),
    'afterUndelivered', p_purpose = 'confirm' and coalesce(p_code.state = 'sent'
      and private.was_not_delivered(p_org.id, p_code.send_id), false),
    'expiresInSeconds', floor(extract(epoch from v_expires - p_now))::integer,
    'alarm', case when v_origin <> 'own_number' then
      private.count_for_alarm(p_org, 'other_numbers', p_now) end));
end
$$;
comment on function private.store_send is 'Stores the MAC of a code, and counts its text.';

/*
 * p_target  {phone, country, purpose}
 * Returns   claimed, as private.store_send(), or why the phone may not be texted
 */
create function private.send_or_refuse(
  p_org public.organizations, p_call jsonb, p_entered public.calls,
  p_code public.one_time_passcodes, p_hold public.appointments, p_target jsonb,
  p_send uuid, p_mac text, p_key_id text, p_sender text, p_now timestamptz
) returns jsonb
language plpgsql volatile set search_path = ''
as $$
declare
  v_refusal constant jsonb := private.send_refusal(
    p_org, p_entered, p_code, p_target, p_sender, p_now);
begin
  if v_refusal ->> 'outcome' = 'locked' then
    perform private.hand_over_holds(
      p_org, p_call, p_entered, p_hold.id, array[p_target ->> 'phone'], p_now);
  end if;
  return case when v_refusal is null
    then private.store_send(p_org, p_call, p_entered, p_code, p_hold, p_target ->> 'phone',
      p_target ->> 'purpose', p_send, p_mac, p_key_id, p_now)
    else v_refusal || jsonb_strip_nulls(jsonb_build_object(
      'alarm', private.count_for_alarm(p_org, 'refused_sends', p_now))) end;
end
$$;
comment on function private.send_or_refuse is
  'Begins a send if the limits allow it, or says why they do not.';

/*
 * Answers a request where nothing takes a code; audited and recorded. A request that has settled what
 * waited, and is made again, gets its answer again.
 */
create function private.answer_idle(
  p_org uuid, p_call jsonb, p_tool text, p_hash bytea, p_refusal jsonb
) returns jsonb
language plpgsql volatile set search_path = ''
as $$
declare
  v_answer constant jsonb := coalesce(
    case p_refusal ->> 'outcome' when 'hold_not_found'
      then private.repeat_answer(p_org, p_call, p_tool, p_hash) end,
    p_refusal || jsonb_build_object('orgId', p_org));
begin
  perform private.audit(
    p_org, p_call, p_tool, private.read_id(v_answer ->> 'holdId'), v_answer ->> 'outcome');
  perform private.record_answer(p_org, p_call, p_tool, p_hash, v_answer);
  return v_answer;
end
$$;
comment on function private.answer_idle is 'Why nothing takes a code, or the answer that settled it.';

/* Its holds are released at the end. What it asked about appointments stays, for its report. */
create function private.was_left(p_org uuid, p_call_id text) returns boolean
language plpgsql stable set search_path = ''
as $$
begin
  return exists (
    select from public.appointment_changes as c
    join public.call_reports as r on r.org_id = c.org_id and r.call_id = c.call_id
    where c.org_id = p_org and c.call_id = p_call_id and r.ended_at > c.opened_at);
end
$$;
comment on function private.was_left is
  'Whether a call has ended since it asked about an appointment: nobody is left to read out a code.';

/*
 * The answer to a request that is delivered again after its phone was proven: what was confirmed or
 * changed then, without another look at what has been held since. Null if there is nothing.
 */
create function private.describe_settled(
  p_org public.organizations, p_call_id text, p_phone text, p_now timestamptz
) returns jsonb
language plpgsql stable set search_path = ''
as $$
declare
  v_change constant public.appointment_changes := private.find_change(p_org.id, p_call_id);
  v_confirmed public.appointments;
begin
  select m.* into v_confirmed from private.rows_of_call(p_org.id, p_call_id) as m
  where m.status = 'confirmed' and m.patient_phone = p_phone
  order by m.updated_at desc limit 1;
  return case
    when v_change.patient_phone = p_phone
      and v_change.applied_at >= coalesce(v_confirmed.updated_at, '-infinity')
      then private.describe_change(p_org, v_change, p_now)
    when v_confirmed.id is not null then private.describe_state(p_org, v_confirmed, p_now) end;
end
$$;
comment on function private.describe_settled is
  'What a call has confirmed or changed last for a proven phone, or null.';

/* begin_otp_send for a known organization. */
create function private.begin_send(
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
  v_text public.sms_messages;
  v_is_proven boolean;
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
  -- A request that is delivered again does not ask for what was held since its first answer, nor for a
  -- text to another number.
  v_is_proven := private.is_proven(p_org.id, v_call.call_id, v_phone, v_now);
  if v_is_proven and v_first_answer is not null then
    return coalesce(
      private.describe_settled(p_org, v_call.call_id, v_waiting.phone, v_now),
      v_first_answer - 'isRefusal');
  end if;
  select m.* into v_text from public.sms_messages as m
  where m.org_id = p_org.id and m.call_id = v_call.call_id and m.tool_call_id = v_tool_call_id
  order by m.created_at desc limit 1;
  if v_text.id is not null and (v_is_proven or v_text.to_hash <> v_phone) then
    return jsonb_build_object('outcome', 'already_sent', 'orgId', p_org.id,
      'purpose', v_waiting.purpose, 'phoneEnding', right(v_text.to_masked, 2),
      'expiresInSeconds', 0, 'retryAfterSeconds', 0);
  elsif v_is_proven then
    v_answer := jsonb_build_object('orgId', p_org.id)
      || private.carry_out(p_org, p_call, v_call, v_waiting.phone, false, v_now);
    perform private.audit(
      p_org.id, p_call, 'send_otp', (v_waiting.hold).id, v_answer ->> 'outcome');
    perform private.record_answer(p_org.id, p_call, 'send_otp', v_hash, v_answer);
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
comment on function private.begin_send is 'Begins the one send to a phone of a call, or confirms what needs no code.';

/*
 * Entry function, first half of the tool send_otp.
 *
 * p_hold          the hold, or null or nonsense for what this call is about
 * p_send_id       a fresh uuid; complete_otp_send and clear_otp_send name it
 * p_mac           HMAC-SHA-256(pepper, "otp:v1|" code), 64 hex digits; p_key_id names the pepper
 * p_expected_org  the organization whose Twilio account the caller has ready
 * p_sender        the number that account texts from, never a destination; null for a service
 * Outcomes        claimed (the send has begun: phone, clinic, purpose, isDue: whether a text is to go out,
 *                 expiresInSeconds, afterUndelivered: the text before did not arrive), already_sent,
 *                 cooldown, blocked_country, bad_destination, undelivered, call_send_limit,
 *                 phone_send_limit, org_send_limit, hold_not_found, hold_expired, already_confirmed,
 *                 locked, confirmed (the phone is proven, here and in all that follows),
 *                 cancelled, rescheduled, found, which_appointment, appointment_not_found,
 *                 slot_taken, hold_limit, wrong_account, call_needed, busy,
 *                 unknown_clinic, cross_tenant_denied; what is proven as verify_otp_and_confirm
 */
create function public.begin_otp_send(
  p_call jsonb, p_hold text, p_send_id uuid, p_mac text, p_key_id text, p_expected_org uuid,
  p_sender text
) returns jsonb
language plpgsql volatile security definer set search_path = '' set lock_timeout = '1500ms'
  set jit = off set plan_cache_mode = force_generic_plan
as $$
declare
  v_opened record;
begin
  perform private.require_read_committed();
  v_opened := private.open_call(p_call, 'send_otp');
  if v_opened.refusal is not null then
    return v_opened.refusal;
  elsif (v_opened.org).id <> p_expected_org then
    return '{"outcome": "wrong_account"}';
  elsif p_call ->> 'callId' is null then
    return private.answer(v_opened.org, '{"outcome": "call_needed"}');
  end if;
  return private.answer(v_opened.org, private.begin_send(
    v_opened.org, p_call, p_hold, p_send_id, p_mac, p_key_id, p_sender));
exception
  when lock_not_available or deadlock_detected then
    return '{"outcome": "busy"}';
  when foreign_key_violation then
    return private.refuse_gone(p_call, 'send_otp');
end
$$;
comment on function public.begin_otp_send is
  'Tool send_otp, before the text: checks cooldown and limits, stores the code''s MAC.';

/*
 * begin_send_at_hold for a known organization. It carries nothing out: what a proven phone confirms is
 * for send_otp.
 */
create function private.begin_at_hold(
  p_org public.organizations, p_call jsonb, p_hold uuid, p_send uuid, p_mac text, p_key_id text,
  p_sender text
) returns jsonb
language plpgsql volatile set search_path = ''
as $$
declare
  v_call constant public.calls := private.enter_call(p_org, p_call);
  v_hold public.appointments;
  v_phone bytea;
  v_code public.one_time_passcodes;
  v_now timestamptz;
  v_answer jsonb;
begin
  select m.* into v_hold from private.rows_of_call(p_org.id, v_call.call_id) as m
  where m.id = p_hold;
  v_phone := private.hash_phone(v_hold.patient_phone);
  perform private.lock_phones(array[private.caller_key(p_org.id, v_call), v_phone]);
  v_now := clock_timestamp();
  -- As above.
  select m.* into v_hold from private.rows_of_call(p_org.id, v_call.call_id) as m
  where m.id = p_hold;
  if private.hash_phone(v_hold.patient_phone) <> v_phone then
    return '{"outcome": "busy"}';
  elsif private.awaits_code(v_hold, v_now) is not true then
    v_answer := private.describe_state(p_org, v_hold, v_now);
  else
    select c.* into v_code from public.one_time_passcodes as c
    where c.org_id = p_org.id and c.call_id = v_call.call_id and c.phone_hash = v_phone;
    v_answer := coalesce(
      private.sent_at_hold(p_org.id, v_hold, v_code, nullif(p_call ->> 'toolCallId', ''),
        private.is_proven(p_org.id, v_call.call_id, v_phone, v_now)
          or private.is_new_time(p_org.id, v_hold), v_now),
      private.send_or_refuse(p_org, p_call, v_call, v_code, v_hold, jsonb_build_object(
        'phone', v_hold.patient_phone, 'country', v_hold.patient_country, 'purpose', 'confirm'),
        p_send, p_mac, p_key_id, p_sender, v_now));
  end if;
  if v_answer ->> 'outcome' = 'under_way' then
    perform private.extend_holds(
      p_org, v_call.call_id, v_hold.patient_phone, v_code.expires_at, v_now);
  end if;
  if v_answer ->> 'outcome' <> 'claimed' then
    perform private.audit(p_org.id, p_call, 'send_otp', v_hold.id, v_answer ->> 'outcome');
  end if;
  return jsonb_strip_nulls(jsonb_build_object('orgId', p_org.id, 'purpose', 'confirm',
    'phoneEnding', right(v_hold.patient_phone, 2))) || v_answer;
end
$$;
comment on function private.begin_at_hold is
  'Begins the send of a hold that was made just now, unless its phone has a code already.';

/*
 * Entry function of the tool hold_slot, where the clinic wants the code texted at once: begins a send
 * for a hold, if no code of its call can confirm it. complete_otp_send and clear_otp_send end it.
 *
 * p_hold     the hold; p_send_id to p_sender as begin_otp_send
 * Outcomes   claimed (the send has begun, as begin_otp_send), already_sent (a repeated request),
 *            under_way (a code for another hold confirms this one too), send_otp_needed (no code
 *            waits, and only send_otp goes on), blocked_country, bad_destination, undelivered,
 *            call_send_limit, phone_send_limit, org_send_limit, hold_not_found, hold_expired,
 *            already_confirmed, locked, wrong_account, call_needed, busy, unknown_clinic,
 *            cross_tenant_denied
 */
create function public.begin_send_at_hold(
  p_call jsonb, p_hold text, p_send_id uuid, p_mac text, p_key_id text, p_expected_org uuid,
  p_sender text
) returns jsonb
language plpgsql volatile security definer set search_path = '' set lock_timeout = '1500ms'
  set jit = off set plan_cache_mode = force_generic_plan
as $$
declare
  v_opened record;
begin
  perform private.require_read_committed();
  v_opened := private.open_call(p_call, 'send_otp');
  if v_opened.refusal is not null then
    return v_opened.refusal;
  elsif (v_opened.org).id <> p_expected_org then
    return '{"outcome": "wrong_account"}';
  elsif p_call ->> 'callId' is null then
    return private.answer(v_opened.org, '{"outcome": "call_needed"}');
  end if;
  return private.answer(v_opened.org, private.begin_at_hold(
    v_opened.org, p_call, private.read_id(p_hold), p_send_id, p_mac, p_key_id, p_sender));
exception
  when lock_not_available or deadlock_detected then
    return '{"outcome": "busy"}';
  when foreign_key_violation then
    return private.refuse_gone(p_call, 'send_otp');
end
$$;
comment on function public.begin_send_at_hold is
  'Tool hold_slot, before the text: begins a send unless a code can confirm the hold already.';

/* Records that Twilio has a text. Its code can be read out already. */
create function private.complete_send(
  p_org uuid, p_call jsonb, p_text public.sms_messages, p_sid text
) returns jsonb
language plpgsql volatile set search_path = ''
as $$
declare
  v_current boolean;
begin
  update public.one_time_passcodes as c
  set state = 'sent'
  where c.org_id = p_org and c.call_id = p_text.call_id and c.phone_hash = p_text.to_hash
    and c.send_id = p_text.id and c.state = 'sending';
  v_current := found;
  perform private.accept_text(p_org, p_text.id, p_sid);
  perform private.audit(p_org, p_call, 'send_otp', p_text.appointment_id, 'sent',
    jsonb_build_object('sendId', p_text.id));
  return jsonb_build_object('outcome', case when v_current then 'sent' else 'not_current' end);
end
$$;
comment on function private.complete_send is 'Records that Twilio has a text.';

/*
 * Entry function, after Twilio has accepted the text. It may fail or come late without harm: the code
 * also verifies in state sending.
 *
 * Outcomes  sent, not_current (there is a newer send), busy
 */
create function public.complete_otp_send(p_call jsonb, p_org uuid, p_send_id uuid, p_sid text)
returns jsonb
language plpgsql volatile security definer set search_path = '' set lock_timeout = '1500ms'
  set jit = off set plan_cache_mode = force_generic_plan
as $$
declare
  v_text public.sms_messages;
begin
  select m.* into v_text from public.sms_messages as m where m.org_id = p_org and m.id = p_send_id;
  perform private.lock_call(p_org, v_text.call_id);
  return private.complete_send(p_org, p_call, v_text, p_sid);
exception when lock_not_available or deadlock_detected then
  return '{"outcome": "busy"}';
end
$$;
comment on function public.complete_otp_send is 'Tool send_otp, after the text was accepted.';

/*
 * Entry function, after Twilio has refused the text or did not answer. If this send is still the newest,
 * its code is forgotten and the cooldown lifted. Attempt counts stay. A text that certainly did not go
 * out is uncounted, once and however late; one that may have gone out still counts. The text of a
 * change always counts, and its cooldown stays: callers must not learn whether there was one.
 *
 * Outcomes  cleared, sent (a delivery report has shown that Twilio has the text), not_current (there is a
 *           newer send), busy (the send expires by itself)
 */
create function public.clear_otp_send(
  p_call jsonb, p_org uuid, p_send_id uuid, p_reason text, p_may_have_been_sent boolean
) returns jsonb
language plpgsql volatile security definer set search_path = '' set lock_timeout = '1500ms'
  set jit = off set plan_cache_mode = force_generic_plan
as $$
declare
  v_text public.sms_messages;
  v_caller bytea;
  v_cleared boolean;
  v_organization public.organizations;
  v_alarm text;
begin
  select m.* into v_text from public.sms_messages as m where m.org_id = p_org and m.id = p_send_id;
  perform private.lock_call(p_org, v_text.call_id);
  select c.caller_hash into v_caller from public.calls as c
  where c.org_id = p_org and c.call_id = v_text.call_id;
  perform private.lock_phones(array[v_text.to_hash, v_caller]);
  select m.* into v_text from public.sms_messages as m where m.org_id = p_org and m.id = p_send_id;
  if v_text.sid is not null then
    -- A delivery report came first: Twilio has the text.
    return private.complete_send(p_org, p_call, v_text, v_text.sid);
  end if;
  update public.one_time_passcodes as c
  set mac = null, state = case c.purpose when 'confirm' then 'cleared' else c.state end
  where c.org_id = p_org and c.call_id = v_text.call_id and c.phone_hash = v_text.to_hash
    and c.send_id = p_send_id and c.state = 'sending';
  v_cleared := found;
  v_text := private.fail_text(p_org, p_send_id, p_reason, p_may_have_been_sent);
  if v_text.appointment_id is not null then
    perform private.uncount_send(v_text.to_hash, v_caller, v_text.created_at);
    update public.calls as c set sends = greatest(c.sends - 1, 0)
    where c.org_id = p_org and c.call_id = v_text.call_id;
    update public.one_time_passcodes as c set sends = greatest(c.sends - 1, 0)
    where c.org_id = p_org and c.call_id = v_text.call_id and c.phone_hash = v_text.to_hash;
    if p_reason in ('bad_destination', 'opted_out', 'blocked_country') then
      select o.* into v_organization from public.organizations as o where o.id = p_org;
      v_alarm := private.count_for_alarm(v_organization, 'refused_sends', clock_timestamp());
    end if;
  end if;
  perform private.audit(p_org, p_call, 'send_otp', v_text.appointment_id, 'cleared',
    jsonb_build_object('sendId', p_send_id, 'reason', p_reason));
  return jsonb_strip_nulls(jsonb_build_object(
    'outcome', case when v_cleared then 'cleared' else 'not_current' end,
    'orgId', p_org, 'alarm', v_alarm));
exception when lock_not_available or deadlock_detected then
  return '{"outcome": "busy"}';
end
$$;
comment on function public.clear_otp_send is
  'Tool send_otp, after the text failed: forgets the code of that send only.';

/*
 * The passcodes that a caller may read out: all that are live, and those of the phones that something of
 * the call waits for. Live ones come first, then the phone of the named hold, then the newest. The first
 * one explains why no code can be compared; it is the code of p_phone, or nulls, if there is no other.
 */
create function private.find_codes(
  p_org uuid, p_call_id text, p_hold public.appointments, p_phone text, p_now timestamptz
) returns private.awaited_code[]
language plpgsql stable set search_path = ''
as $$
begin
  return coalesce((
    select array_agg(row(w.phone, c)::private.awaited_code order by c.mac is not null desc,
      (p_hold.id is not null and w.phone = p_phone) is true desc, c.claimed_at desc)
    from public.one_time_passcodes as c
    left join (
      select p_phone as phone
      union select h.patient_phone from private.find_holds(p_org, p_call_id, p_now) as h
      union select x.patient_phone from public.appointment_changes as x
      where x.org_id = p_org and x.call_id = p_call_id and x.applied_at is null
    ) as w on private.hash_phone(w.phone) = c.phone_hash
    where c.org_id = p_org and c.call_id = p_call_id and (c.mac is not null or w.phone is not null)
  ), array[row(p_phone, null)::private.awaited_code]);
end
$$;
comment on function private.find_codes is 'The passcodes that a caller may read out, with their phones.';

/* For a change, digits are compared even if no code was texted or its text failed: they are wrong. */
create function private.refuse_code(
  p_org public.organizations, p_call public.calls, p_awaited private.awaited_code, p_purpose text,
  p_macs jsonb, p_now timestamptz
) returns jsonb
language plpgsql volatile set search_path = ''
as $$
declare
  v_code constant public.one_time_passcodes := p_awaited.code;
  v_phone constant bytea := coalesce(v_code.phone_hash, private.hash_phone(p_awaited.phone));
  v_purpose constant text := coalesce(v_code.purpose, p_purpose);
begin
  if p_call.attempts >= p_org.call_attempts
    or private.attempts_left(p_org, p_call, v_phone, p_now) <= 0 then
    return private.refuse_attempts(v_purpose);
  elsif v_code.state = 'locked' then
    return '{"outcome": "code_locked"}';
  elsif v_code.mac is null and v_purpose = 'confirm' then
    return '{"outcome": "no_code"}';
  elsif v_code.expires_at <= p_now or v_code.state in ('cleared', 'used', 'replaced') then
    return '{"outcome": "code_expired"}';
  elsif v_code.mac is not null and not jsonb_path_exists(
    p_macs, '$[*] ? (@.keyId == $key)', jsonb_build_object('key', v_code.key_id)) then
    -- Its pepper is gone, so no digits can match: nothing is counted, and the next text need not wait.
    perform private.forget_passcode(p_org.id, p_call.call_id, v_phone);
    return '{"outcome": "code_unreadable"}';
  end if;
  return null;
end
$$;
comment on function private.refuse_code is 'Why no digits are compared with a passcode, or null.';

create function private.is_code(p_code public.one_time_passcodes, p_macs jsonb) returns boolean
language plpgsql stable set search_path = ''
as $$
begin
  return exists (
    select from jsonb_to_recordset(p_macs) as m ("keyId" text, mac text)
    where m."keyId" = p_code.key_id and private.bind_mac(
      m.mac, p_code.org_id, p_code.call_id, p_code.phone_hash, p_code.send_id) = p_code.mac);
end
$$;
comment on function private.is_code is 'Whether digits are a passcode, by their MACs.';

/*
 * Compares digits with every passcode that can be compared: they are right if they are one of them.
 * A code of a phone that nothing waits for any more proves nothing, and costs no attempt.
 *
 * p_purpose  of the code that would be texted now
 * matched    the passcode that the digits are
 * answer     why nothing is proven, or null
 * compared   whether there was anything to compare with
 */
create function private.compare_digits(
  p_org public.organizations, p_call public.calls, p_codes private.awaited_code[], p_purpose text,
  p_macs jsonb, p_now timestamptz,
  out matched private.awaited_code, out answer jsonb, out compared boolean
)
language plpgsql volatile set search_path = ''
as $$
declare
  v_awaited private.awaited_code;
  v_open private.awaited_code[] := '{}';
  v_refusal jsonb;
begin
  foreach v_awaited in array p_codes loop
    v_refusal := private.refuse_code(p_org, p_call, v_awaited, p_purpose, p_macs, p_now);
    if v_refusal is null then
      v_open := array_append(v_open, v_awaited);
    end if;
    answer := coalesce(answer, v_refusal);
  end loop;
  compared := v_open <> '{}';
  if not compared then
    return;
  end if;
  select o.phone, o.code into matched from unnest(v_open) as o
  where private.is_code(o.code, p_macs) order by o.phone is null limit 1;
  answer := case
    when not found then private.count_wrong_code(p_org, p_call, v_open, p_purpose, p_now)
    when matched.phone is null then '{"outcome": "code_expired"}'::jsonb end;
end
$$;
comment on function private.compare_digits is 'The passcode that digits are, or why they are none; a wrong one is counted.';

/*
 * Whether one more slot may be kept for the front desk, so that nobody can reserve a clinic's day by
 * reading out wrong passcodes. One is kept for a number within a day, whether it called or was called
 * for, and one for all calls of a clinic without a number; desk_holds at a clinic at one time; none while an
 * alarm about an attack is on. The numbers are locked, and the clinic's slots are counted under a lock,
 * which is the last one but rows of this call. If that takes too long, nothing is kept.
 */
create function private.may_keep(
  p_org public.organizations, p_keys bytea[], p_now timestamptz
) returns boolean
language plpgsql volatile set search_path = ''
as $$
begin
  if p_org.desk_hold_minutes = 0 or private.is_braked(p_org.id, p_now)
    or exists (select from unnest(p_keys) as k (hash) where private.is_blocked(p_org.id, k.hash))
    or exists (
      select from public.phone_counts as n
      where n.phone_hash = any (p_keys)
        and private.count_since(n.kept_at, p_now - interval '1 day') > 0) then
    return false;
  end if;
  perform pg_advisory_xact_lock(hashtextextended(p_org.id || '/kept for the desk', 0));
  return (
    select count(*) < p_org.desk_holds from public.appointments as a
    where a.org_id = p_org.id and a.handed_over_at is not null
      and a.status in ('held', 'requires_manual_followup') and private.is_held(a, p_now));
exception when lock_not_available or deadlock_detected then
  return false;
end
$$;
comment on function private.may_keep is
  'Whether the slot of a call that ran out of passcodes may be kept for the front desk.';

/*
 * When the front desk can call back: now, unless its hours say otherwise. Null if it does not open within
 * four days, which covers a weekend with a holiday.
 */
create function private.desk_answers_at(p_org public.organizations, p_now timestamptz)
returns timestamptz
language plpgsql stable set search_path = ''
as $$
declare
  v_opens_at timestamptz;
begin
  if private.desk_state(p_org, p_now) <> 'closed'
    or not exists (select from public.desk_hours as h where h.org_id = p_org.id) then
    return p_now;
  end if;
  v_opens_at := private.desk_opens_at(p_org, p_now);
  return case when v_opens_at <= p_now + interval '4 days' then v_opens_at end;
end
$$;
comment on function private.desk_answers_at is
  'When the front desk can call back; null if it does not open within four days.';

/*
 * What waits for these phones is left to the front desk, except for a phone that is proven, or that can
 * still be proven: the call and the phone have attempts left, and a code or a further text. One slot is
 * kept for desk_hold_minutes from when the desk can call back, if private.may_keep() allows it and the slot
 * begins after that; the others are given up. A slot that has expired is not taken back. The phones are locked. If a row cannot be locked in time, nothing is left to the desk,
 * and the wrong code counts all the same: the next code of the call comes here again.
 *
 * p_named  the hold that the caller meant, which is kept rather than others
 */
create function private.hand_over_holds(
  p_org public.organizations, p_call jsonb, p_entered public.calls, p_named uuid, p_phones text[],
  p_now timestamptz
) returns void
language plpgsql volatile set search_path = ''
as $$
declare
  v_phones constant text[] := array(
    select p from unnest(p_phones) as p
    cross join lateral (select private.hash_phone(p)) as h (hash)
    join public.calls as c on c.org_id = p_org.id and c.call_id = p_entered.call_id
    where not private.is_proven(p_org.id, c.call_id, h.hash, p_now)
      and (c.attempts >= p_org.call_attempts
        or private.attempts_left(p_org, p_entered, h.hash, p_now) <= 0
        or c.sends >= p_org.call_sends and not exists (
          select from public.one_time_passcodes as o
          where o.org_id = c.org_id and o.call_id = c.call_id and o.phone_hash = h.hash
            and o.mac is not null)));
  v_answers_at constant timestamptz := private.desk_answers_at(p_org, p_now);
  v_kept public.appointments;
  v_keys bytea[];
  v_hold public.appointments;
begin
  perform private.lock_holds(p_org.id, p_entered.call_id);
  select h.* into v_kept from private.find_holds(p_org.id, p_entered.call_id, p_now) as h
  where h.patient_phone = any (v_phones) and h.starts_at > v_answers_at
  order by (h.id = p_named) is true desc, h.updated_at desc limit 1;
  if v_kept.id is not null then
    v_keys := array[
      private.caller_key(p_org.id, p_entered), private.hash_phone(v_kept.patient_phone)];
    if private.may_keep(p_org, v_keys, p_now) then
      insert into public.phone_counts as n (phone_hash, kept_at)
      select distinct k.hash, array[p_now] from unnest(v_keys) as k (hash)
      on conflict (phone_hash) do update set changed_at = p_now,
        kept_at = private.keep_since(n.kept_at, p_now - interval '1 day') || p_now;
    else
      v_kept := null;
    end if;
  end if;
  for v_hold in
    update public.appointments as a
    set handed_over_at = p_now, updated_at = p_now,
      status = case when a.id = v_kept.id then 'held' else 'requires_manual_followup' end,
      expires_at = case when a.id = v_kept.id
        then least(a.starts_at, v_answers_at + make_interval(mins => p_org.desk_hold_minutes))
        else a.expires_at end
    where a.org_id = p_org.id and a.call_id = p_entered.call_id
      and a.patient_phone = any (v_phones) and a.status = 'held' and not private.is_kept(a)
      and not private.is_new_time(p_org.id, a)
    returning a.*
  loop
    perform private.audit(p_org.id, p_call, 'hand_over', v_hold.id,
      case v_hold.status when 'held' then 'kept' else 'given_up' end);
    perform private.tell_of_booking(p_org.id, v_hold.id, 'followup');
  end loop;
exception when lock_not_available or deadlock_detected then
  null;
end
$$;
comment on function private.hand_over_holds is
  'Leaves the holds of a call that wait for these phones to the front desk, and keeps one of them for it.';

/*
 * verify_otp for a known organization, under the call's lock: compares and counts, or confirms and
 * carries out, and then audits and records the answer.
 */
create function private.verify_code(
  p_org public.organizations, p_call jsonb, p_hold text, p_macs jsonb
) returns jsonb
language plpgsql volatile set search_path = ''
as $$
declare
  v_hash constant bytea := sha256(convert_to(coalesce(p_hold, '') || p_macs::text, 'UTF8'));
  v_call constant public.calls := private.enter_call(p_org, p_call);
  v_waiting record;
  v_other record;
  v_codes private.awaited_code[];
  v_read private.awaited_code;
  v_compared record;
  v_was_compared boolean := false;
  v_purpose text;
  v_now timestamptz;
  v_answer jsonb;
  v_alarm text;
begin
  v_answer := private.recall_answer(p_org.id, p_call, 'verify_otp', v_hash);
  if v_answer is not null then
    return v_answer;
  end if;
  v_waiting := private.find_waiting(p_org, v_call.call_id, p_hold, clock_timestamp());
  if v_waiting.refusal ->> 'outcome' in ('hold_expired', 'locked') then
    -- The digits may be the code of what else waits.
    v_other := private.find_waiting(p_org, v_call.call_id, null, clock_timestamp());
    if v_other.refusal is null then
      v_waiting := v_other;
    end if;
  end if;
  if v_waiting.refusal is not null then
    return private.answer_idle(p_org.id, p_call, 'verify_otp', v_hash, v_waiting.refusal);
  end if;
  v_codes := private.find_codes(
    p_org.id, v_call.call_id, v_waiting.hold, v_waiting.phone, clock_timestamp());
  perform private.lock_phones(array[private.caller_key(p_org.id, v_call)] || array(
    select coalesce((c.code).phone_hash, private.hash_phone(c.phone)) from unnest(v_codes) as c));
  v_now := clock_timestamp();
  v_read := v_codes[1];
  if not private.is_proven(p_org.id, v_call.call_id, private.hash_phone(v_read.phone), v_now) then
    v_compared := private.compare_digits(
      p_org, v_call, v_codes, v_waiting.purpose, p_macs, v_now);
    v_was_compared := v_compared.compared;
    v_answer := v_compared.answer;
    if v_answer is null then
      v_read := v_compared.matched;
    end if;
  end if;
  v_purpose := coalesce((v_read.code).purpose, v_waiting.purpose);
  v_answer := coalesce(v_answer, private.carry_out(
    p_org, p_call, v_call, v_read.phone, v_was_compared, v_now));
  if v_answer ->> 'outcome' = 'locked' then
    perform private.hand_over_holds(p_org, p_call, v_call, (v_waiting.hold).id,
      array(select c.phone from unnest(v_codes) as c), v_now);
  end if;

  v_answer := jsonb_strip_nulls(jsonb_build_object('holdId',
    case v_purpose when 'confirm' then (v_waiting.hold).id end)) || v_answer
    || jsonb_build_object('orgId', p_org.id);
  if v_purpose = 'confirm' and v_answer ->> 'outcome' in ('wrong_code', 'no_code', 'code_expired')
    and private.was_not_delivered(p_org.id, (v_read.code).send_id) then
    v_answer := v_answer || '{"undelivered": true}';
  end if;
  perform private.audit(p_org.id, p_call, 'verify_otp',
    coalesce(private.read_id(v_answer ->> 'holdId'), (v_waiting.hold).id), v_answer ->> 'outcome',
    jsonb_strip_nulls(jsonb_build_object('attemptsLeft', v_answer -> 'attemptsLeft',
      -- Only if digits were compared.
      'attempt', case when v_was_compared then v_call.attempts + 1 end)));
  perform private.record_answer(p_org.id, p_call, 'verify_otp', v_hash, v_answer);
  if v_was_compared and v_answer ->> 'outcome' in ('wrong_code', 'code_locked', 'locked') then
    begin
      v_alarm := private.count_for_alarm(p_org, 'wrong_codes', v_now);
    exception when lock_not_available or deadlock_detected then
      -- The attempt counts all the same.
      null;
    end;
  end if;
  return v_answer || jsonb_strip_nulls(jsonb_build_object('alarm', v_alarm));
end
$$;
comment on function private.verify_code is
  'Compares, counts, and confirms or changes under the call''s lock.';

/*
 * Entry function of the tool verify_otp: checks a code, confirms every hold of the call that waits for
 * its phone and carries out the change it asked for, in one transaction. Never raises after counting.
 *
 * p_macs    [{keyId, mac}]: the code under the current and the previous pepper
 * Outcomes  confirmed (others: further holds; overlaps: other appointments of a patient at that time;
 *           lapsed: starts of holds that had run out; change: what came of the change, as below),
 *           cancelled, rescheduled, found (appointments), which_appointment (appointments, ask),
 *           appointment_not_found, slot_taken, hold_limit (released: the new time that was given up),
 *           already_confirmed, wrong_code (attemptsLeft), code_locked (isFinal: no further code),
 *           code_expired, code_unreadable (its pepper is not among p_macs), no_code, locked (front
 *           desk), hold_not_found, hold_expired, call_needed, busy, unknown_clinic,
 *           cross_tenant_denied; wrong_code, no_code and code_expired with undelivered when Twilio
 *           reported that the newest text did not arrive
 */
create function public.verify_otp_and_confirm(p_call jsonb, p_hold text, p_macs jsonb)
returns jsonb
language plpgsql volatile security definer set search_path = '' set lock_timeout = '1500ms'
  set jit = off set plan_cache_mode = force_generic_plan
as $$
declare
  v_opened record;
begin
  perform private.require_read_committed();
  v_opened := private.open_call(p_call, 'verify_otp');
  if v_opened.refusal is not null then
    return v_opened.refusal;
  elsif p_call ->> 'callId' is null then
    return private.answer(v_opened.org, '{"outcome": "call_needed"}');
  end if;
  return private.answer(v_opened.org, private.verify_code(v_opened.org, p_call, p_hold, p_macs));
exception
  when lock_not_available or deadlock_detected then
    return '{"outcome": "busy"}';
  when foreign_key_violation then
    return private.refuse_gone(p_call, 'verify_otp');
end
$$;
comment on function public.verify_otp_and_confirm is
  'Tool verify_otp: checks a passcode, confirms what waits for its phone, and carries out the change.';

revoke execute on function
  public.begin_otp_send, public.begin_send_at_hold, public.complete_otp_send, public.clear_otp_send,
  public.verify_otp_and_confirm
  from public, anon, authenticated;
grant execute on function
  public.begin_otp_send, public.begin_send_at_hold, public.complete_otp_send, public.clear_otp_send,
  public.verify_otp_and_confirm
  to service_role;
