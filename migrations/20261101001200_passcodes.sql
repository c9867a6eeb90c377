/*
 * Passcodes: six digits in a text, which prove that a caller has a phone. This file decides how a code
 * is stored, what limits guessing and texting, and what a proof is good for.
 *
 * Decisions
 * - A code belongs to a phone in a call: one row, changed under the call's lock. It proves the phone
 *   for 15 minutes of this call, for every hold and change of the call that waits for it. No other
 *   call can use it, replace it or count for it.
 * - Attempts are counted in the function that compares them, so concurrent requests cannot exceed the
 *   limits, and a new text does not reset them (NIST SP 800-63B-4 §3.2.2). verify returns wrong_code
 *   and never raises after counting: a rollback would undo the count.
 * - The code never reaches the database. The function sends HMAC-SHA-256(pepper, "otp:v1|" code); the
 *   row stores SHA-256 of that with organization, call, phone and send, so it is useless anywhere
 *   else. It is null as soon as the code is used, locked, cleared or replaced; null matches nothing.
 *   Both sides of the comparison are hashes of a keyed value, so its timing reveals nothing.
 * - A send has a fresh send_id and is in state sending until Twilio answers, or for 30 seconds.
 *   complete and clear compare send_id: a late failure of send A never touches code B.
 * - A code for a change is stored and counted whether or not there is an appointment to change. If
 *   there is none, nothing is texted, and the stored value matches no code.
 */

create table public.one_time_passcodes (
  org_id uuid not null,
  call_id text not null,
  phone_hash bytea not null
    constraint one_time_passcodes_phone_hash_length check (octet_length(phone_hash) = 32),
  send_id uuid not null,
  purpose text not null
    constraint one_time_passcodes_purpose_known check (purpose in ('confirm', 'change')),
  state text not null
    constraint one_time_passcodes_state_known
    check (state in ('sending', 'sent', 'cleared', 'used', 'locked', 'replaced')),
  mac bytea
    constraint one_time_passcodes_mac_length check (octet_length(mac) = 32),
  key_id text not null,
  claimed_at timestamptz not null,
  expires_at timestamptz not null,
  code_attempts integer not null default 0
    constraint one_time_passcodes_code_attempts_capped check (code_attempts between 0 and 5),
  sends integer not null default 0
    constraint one_time_passcodes_sends_counted check (sends >= 0),
  proven_until timestamptz,
  primary key (org_id, call_id, phone_hash),
  foreign key (org_id, call_id) references public.calls (org_id, call_id) on delete cascade,
  constraint one_time_passcodes_dead_has_no_mac
    check (mac is null or state in ('sending', 'sent'))
);
comment on table public.one_time_passcodes is
  'The passcode of a phone in a call: a MAC (never the code), its counts, and the proof.';
comment on column public.one_time_passcodes.purpose is 'What the newest send was requested for.';
comment on column public.one_time_passcodes.code_attempts is 'Wrong codes since the newest send, up to private.code_attempts().';
comment on column public.one_time_passcodes.sends is
  'Texts to this phone that this call requested, without those that were refused.';
comment on column public.one_time_passcodes.proven_until is
  'Until when the phone is proven for this call; null before the proof and after the call.';
select private.protect('public.one_time_passcodes', null);

create function private.bind_mac(p_mac text, p_org uuid, p_call_id text, p_phone bytea, p_send uuid)
returns bytea
language sql stable
return sha256(decode(p_mac, 'hex') || convert_to(
  'otp:v2|' || p_org || '|' || p_call_id || '|' || encode(p_phone, 'hex') || '|' || p_send, 'UTF8'));
comment on function private.bind_mac is 'A code''s MAC bound to one organization, call, phone and send.';

create function private.forget_passcode(p_org uuid, p_call_id text, p_phone bytea) returns void
language sql volatile set search_path = ''
as $$
  update public.one_time_passcodes as c
  set state = 'replaced', mac = null
  where c.org_id = p_org and c.call_id = p_call_id and c.phone_hash = p_phone
    and c.state in ('sending', 'sent')
$$;
comment on function private.forget_passcode is
  'Makes the code of a phone in a call unusable and lifts its cooldown; counts stay.';

create function private.is_proven(p_org uuid, p_call_id text, p_phone bytea, p_at timestamptz)
returns boolean
language plpgsql stable set search_path = ''
as $$
begin
  return exists (
    select from public.one_time_passcodes as c
    where c.org_id = p_org and c.call_id = p_call_id and c.phone_hash = p_phone
      and c.proven_until > p_at);
end
$$;
comment on function private.is_proven is 'Whether a call has proven a phone, and the proof has not expired.';

create function private.prove_phone(p_org uuid, p_call_id text, p_phone bytea, p_now timestamptz)
returns void
language plpgsql volatile set search_path = ''
as $$
begin
  update public.one_time_passcodes as c
  set state = 'used', mac = null, code_attempts = 0, 
    proven_until = p_now + private.proof_lifetime()
  where c.org_id = p_org and c.call_id = p_call_id and c.phone_hash = p_phone;
end
$$;
comment on function private.prove_phone is 'Uses up a code that was right: its call has proven the phone.';

create function private.end_proofs(p_org uuid, p_call_id text) returns void
language plpgsql volatile set search_path = ''
as $$
begin
  perform private.forget_passcode(p_org, p_call_id, c.phone_hash)
  from public.one_time_passcodes as c
  where c.org_id = p_org and c.call_id = p_call_id;
  update public.one_time_passcodes as c set proven_until = null
  where c.org_id = p_org and c.call_id = p_call_id;
end
$$;
comment on function private.end_proofs is
  'Ends the proofs and passcodes of a call that is over.';

/* The call or the number has no attempts left. A change must not reveal whether a hold waits. */
create function private.refuse_attempts(p_purpose text) returns jsonb
language sql immutable
return case p_purpose when 'change' then '{"outcome": "code_locked", "isFinal": true}'::jsonb
  else '{"outcome": "locked"}' end;
comment on function private.refuse_attempts is
  'The outcome locked; for a change code_locked with isFinal: no further code.';

create type private.awaited_code as (phone text, code public.one_time_passcodes);
comment on type private.awaited_code is
  'A passcode that a caller may read out; phone is null if nothing of the call waits for it any more.';

/*
 * Counts a wrong attempt: once for the call, and for each code that it was compared with and its number.
 * Returns wrong_code (attemptsLeft: until the last of them is locked), code_locked if all are, or locked
 * if the front desk has to help.
 *
 * p_codes  what was compared; the code is null if none was requested yet
 */
create function private.count_wrong_code(
  p_org public.organizations, p_call public.calls, p_codes private.awaited_code[], p_purpose text,
  p_now timestamptz
) returns jsonb
language plpgsql volatile set search_path = ''
as $$
declare
  v_awaited private.awaited_code;
  v_phone bytea;
  v_code public.one_time_passcodes;
  v_call public.calls;
  v_left integer := 0;
  v_left_of_phone integer;
  v_left_today integer := 0;
begin
  update public.calls as c set attempts = c.attempts + 1
  where c.org_id = p_org.id and c.call_id = p_call.call_id
  returning c.* into v_call;
  foreach v_awaited in array p_codes loop
    v_phone := coalesce((v_awaited.code).phone_hash, private.hash_phone(v_awaited.phone));
    update public.one_time_passcodes as c
    set code_attempts = c.code_attempts + 1,
      state = case when c.code_attempts + 1 < private.code_attempts() then c.state else 'locked' end,
      mac = case when c.code_attempts + 1 < private.code_attempts() then c.mac end
    where c.org_id = p_org.id and c.call_id = p_call.call_id and c.phone_hash = v_phone
    returning c.* into v_code;
    perform private.count_attempt(v_phone, p_now);
    v_left_of_phone := private.attempts_left(p_org, p_call, v_phone, p_now);
    v_left_today := greatest(v_left_today, v_left_of_phone);
    v_left := greatest(v_left, least(
      v_left_of_phone, private.code_attempts() - coalesce(v_code.code_attempts, 0)));
  end loop;
  v_left_today := least(v_left_today, p_org.call_attempts - v_call.attempts);
  if v_left_today <= 0 or v_left <= 0 and v_call.sends >= p_org.call_sends then
    return private.refuse_attempts(coalesce((p_codes[1].code).purpose, p_purpose));
  elsif v_left <= 0 then
    return '{"outcome": "code_locked"}';
  end if;
  return jsonb_build_object('outcome', 'wrong_code', 'attemptsLeft', least(v_left, v_left_today));
end
$$;
comment on function private.count_wrong_code is
  'Counts a wrong attempt and returns wrong_code, code_locked or locked.';

/*
 * The answer to a request that needs no further text; else null.
 * already_sent  the same tool call requested it before, and its text was accepted or is under way
 * cooldown      another text went out less than text_cooldown() ago, its code is live, and it is not
 *               known to be undelivered
 * For a change, neither reveals whether there was a text: each counts as accepted.
 */
create function private.repeated_send(
  p_org uuid, p_code public.one_time_passcodes, p_tool_call_id text, p_purpose text,
  p_now timestamptz
) returns jsonb
language plpgsql stable set search_path = ''
as $$
declare
  v_open constant boolean := p_purpose = 'change';
  -- The code of a change may never have gone out: a hold does not wait for it.
  v_cooling constant boolean := coalesce(p_code.state in ('sending', 'sent')
    and (v_open or p_code.purpose = 'confirm')
    and p_code.claimed_at > p_now - private.text_cooldown() and p_code.expires_at > p_now
    and (v_open or not private.was_not_delivered(p_org, p_code.send_id)), false);
  v_repeated constant boolean := exists (
    select from public.sms_messages as m
    where m.org_id = p_org and m.call_id = p_code.call_id and m.to_hash = p_code.phone_hash
      and m.tool_call_id = p_tool_call_id
      and (v_open or m.sid is not null or v_cooling and m.id = p_code.send_id));
begin
  if not v_repeated and not v_cooling then
    return null;
  end if;
  return jsonb_build_object(
    'outcome', case when v_repeated then 'already_sent' else 'cooldown' end,
    'expiresInSeconds', floor(extract(epoch from p_code.expires_at - p_code.claimed_at))::integer,
    'retryAfterSeconds', case when v_cooling then
      ceil(extract(epoch from p_code.claimed_at + private.text_cooldown() - p_now))::integer
      else 0 end);
end
$$;
comment on function private.repeated_send is
  'already_sent for a repeated request, cooldown shortly after another text, else null.';

/*
 * The answer to hold_slot where it texts nothing; else null. One code confirms all holds of a call that
 * wait for its phone, and only send_otp texts for the same hold again. A text that certainly did not go
 * out does not count.
 * already_sent     this request, or an earlier one for the hold, has texted the code that waits
 * under_way        the code that waits was texted for another hold
 * send_otp_needed  no code waits, and it is for send_otp to go on: the hold had its text, its phone is
 *                  proven, or its code is that of a change
 */
create function private.sent_at_hold(
  p_org uuid, p_hold public.appointments, p_code public.one_time_passcodes, p_tool_call_id text,
  p_is_settled boolean, p_now timestamptz
) returns jsonb
language plpgsql stable set search_path = ''
as $$
declare
  v_sent constant uuid[] := array(
    select m.id from public.sms_messages as m
    where m.org_id = p_org and m.call_id = p_hold.call_id
      and m.to_hash = private.hash_phone(p_hold.patient_phone) and m.status <> 'refused'
      and (m.appointment_id = p_hold.id or m.tool_call_id = p_tool_call_id));
  -- A code about to expire could not be read out in time.
  v_waits constant boolean := coalesce(p_code.mac is not null and p_code.purpose = 'confirm'
    and (p_code.state = 'sent' or p_code.claimed_at > p_now - private.text_cooldown())
    and p_code.expires_at > p_now + private.text_cooldown()
    and not private.was_not_delivered(p_org, p_code.send_id), false);
begin
  return case
    when p_is_settled or v_sent <> '{}' and not v_waits then '{"outcome": "send_otp_needed"}'::jsonb
    when v_waits then jsonb_build_object(
      'outcome', case when p_code.send_id = any (v_sent) then 'already_sent' else 'under_way' end,
      'expiresInSeconds', floor(extract(epoch from p_code.expires_at - case
        when p_code.send_id = any (v_sent) then p_code.claimed_at else p_now end))::integer)
  end;
end
$$;
comment on function private.sent_at_hold is
  'Why hold_slot texts no code: it was texted before, or it is for send_otp; else null.';

create function private.origin_of(p_call public.calls, p_phone bytea) returns text
language sql immutable
return case when (p_call).caller_hash is null then 'no_number'
  when (p_call).caller_hash = p_phone then 'own_number' else 'other_number' end;
comment on function private.origin_of is 'Whether a call comes from the number it texts: own_number, other_number or no_number.';

/*
 * Whether the organization's hourly limit leaves room for a text of this origin; takes the lock of its
 * texts. A fifth is reserved for calls that text the number they come from. Calls without a number
 * share a tenth, and during an alarm so do all calls that text another number.
 */
create function private.has_texts_left(
  p_org public.organizations, p_origin text, p_now timestamptz
) returns boolean
language plpgsql volatile set search_path = ''
as $$
declare
  v_tenth constant integer := greatest(1, p_org.sms_hourly_limit / 10);
  v_all integer;
  v_others integer;
  v_unknown integer;
begin
  perform pg_advisory_xact_lock(hashtextextended(p_org.id || '/sms', 0));
  select count(*), count(*) filter (where m.origin <> 'own_number'),
    count(*) filter (where m.origin = 'no_number')
  into v_all, v_others, v_unknown
  from public.sms_messages as m
  where m.org_id = p_org.id and m.created_at > p_now - interval '1 hour'
    and m.origin <> 'follow_up' and not private.is_appointment_text(m.origin)
    -- The text of a change always counts, even if it was refused or not due.
    and (m.status <> 'refused' or m.appointment_id is null);
  return v_all < p_org.sms_hourly_limit and (p_origin = 'own_number'
    or v_all < p_org.sms_hourly_limit - p_org.sms_hourly_limit / 5
      and (p_origin <> 'no_number' or v_unknown < v_tenth)
      and (v_others < v_tenth or not private.is_braked(p_org.id, p_now)));
end
$$;
comment on function private.has_texts_left is
  'Whether an organization may send one more text this hour for a call of that origin.';

/*
 * Why a phone may not be texted, else null. The call and the numbers are locked; this locks the texts
 * of the organization.
 *
 * p_code    the newest code of this phone in this call, or nulls
 * p_target  {phone, country, purpose}
 * p_sender  the number that texts come from
 */
create function private.send_refusal(
  p_org public.organizations, p_call public.calls, p_code public.one_time_passcodes,
  p_target jsonb, p_sender text, p_now timestamptz
) returns jsonb
language plpgsql volatile set search_path = ''
as $$
declare
  v_phone constant text := p_target ->> 'phone';
  v_hash constant bytea := private.hash_phone(v_phone);
  v_for_change constant boolean := p_target ->> 'purpose' = 'change';
  v_refusal jsonb;
begin
  v_refusal := case
    when p_call.attempts >= p_org.call_attempts
      or private.attempts_left(p_org, p_call, v_hash, p_now) <= 0
      then case when v_for_change then '{"outcome": "call_send_limit"}'::jsonb
        else '{"outcome": "locked"}' end
    when not coalesce(p_target ->> 'country' = any (p_org.sms_countries), false)
      then '{"outcome": "blocked_country"}'
    when v_phone = p_sender or exists (
      select from public.org_channels as c
      where c.kind = 'called_number' and c.value = v_phone and c.org_id = p_org.id)
      then '{"outcome": "bad_destination"}'
    when not v_for_change and p_code.state = 'sent'
      and private.was_refused_by_number(p_org.id, p_code.send_id, p_now)
      then '{"outcome": "bad_destination"}'
    -- Not a third time at once: the caller can give another number, or wait for the cooldown.
    when not v_for_change and p_code.state is not distinct from 'sent'
      and p_code.claimed_at > p_now - private.text_cooldown()
      and private.failed_twice(p_org.id, p_call.call_id, v_hash) then '{"outcome": "undelivered"}'
    when p_call.sends >= p_org.call_sends then '{"outcome": "call_send_limit"}'
    -- Nothing came twice: a third text would not help, and callers must not learn whether there was one.
    when v_for_change and p_code.sends >= 2 then '{"outcome": "call_send_limit"}'
    when coalesce(p_code.sends, 0) = 0 and (
      select count(*) from public.one_time_passcodes as c
      where c.org_id = p_org.id and c.call_id = p_call.call_id and c.sends > 0)
      >= p_org.call_numbers then '{"outcome": "call_send_limit"}'
    else private.phone_send_refusal(p_org, p_call, v_hash, p_now)
  end;
  return coalesce(v_refusal, case
    when not private.has_texts_left(p_org, private.origin_of(p_call, v_hash), p_now)
      then '{"outcome": "org_send_limit"}'::jsonb end);
end
$$;
comment on function private.send_refusal is 'Why one more text may not be sent, or null.';
