/*
 * Passcodes: six digits by SMS that prove that a caller has a phone; how a code is kept, what limits
 * guessing and texting, and what a proof is worth.
 *
 * Decisions
 * - A code belongs to a phone in a call: one row, changed under the call's lock. It proves the phone for
 *   this call and a quarter of an hour, for every hold and change of the call that waits for it. No
 *   other call can use it, replace it or count for it.
 * - Attempts are counted where they are compared, so they cannot be raced past their limits, and no
 *   resend refills them (NIST SP 800-63B-4 §3.2.2). verify returns wrong_code and never raises after
 *   counting: a rollback would un-count it.
 * - The code never reaches the database. The function sends HMAC-SHA-256(pepper, "otp:v1|" code);
 *   what is stored is SHA-256 of that with organization, call, phone and send, so it fits nowhere
 *   else. It is null from the moment the code is used, locked, cleared or replaced; null matches
 *   nothing. Both sides of the comparison are hashes of a keyed value, so its timing tells nothing.
 * - A send is a claim (state sending, a fresh send_id) that expires after 30 seconds. complete and
 *   clear compare send_id: a late failure of send A never touches code B.
 * - A code for a change is stored and counted whether or not there is an appointment to change; where
 *   there is none nothing is texted, and what is stored matches no code.
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
  'The passcode of a phone in a call: a MAC, never the code, what is counted for it, and the proof.';
comment on column public.one_time_passcodes.purpose is 'What the newest send was asked for.';
comment on column public.one_time_passcodes.code_attempts is 'Wrong codes since the newest send, 5 at most.';
comment on column public.one_time_passcodes.sends is
  'Texts to this phone that this call asked for; one that was refused is given back.';
comment on column public.one_time_passcodes.proven_until is
  'Until then this call has proven the phone; null before, and after the call.';
select private.protect('public.one_time_passcodes', false);

create function private.bind_mac(p_mac text, p_org uuid, p_call_id text, p_phone bytea, p_send uuid)
returns bytea
language sql immutable strict set search_path = ''
as $$
  select sha256(decode(p_mac, 'hex') || convert_to(
    'otp:v2|' || p_org || '|' || p_call_id || '|' || encode(p_phone, 'hex') || '|' || p_send, 'UTF8'))
$$;
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
  'Kills the live code of a phone in a call and lifts its cooldown; counts stay.';

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
comment on function private.is_proven is 'Whether a call has proven a phone, and not too long ago.';

/* The right code came: it is used up, and the phone is proven for a quarter of an hour. */
create function private.prove_phone(p_org uuid, p_call_id text, p_phone bytea, p_now timestamptz)
returns void
language plpgsql volatile set search_path = ''
as $$
begin
  update public.one_time_passcodes as c
  set state = 'used', mac = null, code_attempts = 0, proven_until = p_now + interval '15 minutes'
  where c.org_id = p_org and c.call_id = p_call_id and c.phone_hash = p_phone;
end
$$;
comment on function private.prove_phone is 'Writes down that a call has proven a phone.';

/* The call is over: it proves nothing any more, and its codes are dead. */
create function private.end_proofs(p_org uuid, p_call_id text) returns void
language plpgsql volatile set search_path = ''
as $$
begin
  update public.one_time_passcodes as c
  set proven_until = null, mac = null,
    state = case when c.state in ('sending', 'sent') then 'replaced' else c.state end
  where c.org_id = p_org and c.call_id = p_call_id;
end
$$;
comment on function private.end_proofs is 'Ends what a call has proven, and its codes.';

/*
 * Counts one wrong code for its code, call and number: 5 kill the code, and when call or number has
 * had enough, no other one follows. Returns wrong_code (attemptsLeft), code_locked, or locked when the
 * front desk has to help; for a change, which does not say what there is, locked is code_locked too,
 * with isFinal.
 *
 * p_code  the code, or nulls when a change's code was never asked for
 */
create function private.count_wrong_code(
  p_org public.organizations, p_call public.calls, p_code public.one_time_passcodes,
  p_phone bytea, p_purpose text, p_now timestamptz
) returns jsonb
language plpgsql volatile set search_path = ''
as $$
declare
  v_code public.one_time_passcodes;
  v_call public.calls;
  v_left integer;
begin
  update public.one_time_passcodes as c
  set code_attempts = c.code_attempts + 1,
    state = case when c.code_attempts >= 4 then 'locked' else c.state end,
    mac = case when c.code_attempts >= 4 then null else c.mac end
  where c.org_id = p_org.id and c.call_id = p_code.call_id and c.phone_hash = p_code.phone_hash
  returning c.* into v_code;
  update public.calls as c set attempts = c.attempts + 1
  where c.org_id = p_org.id and c.call_id = p_call.call_id
  returning c.* into v_call;
  perform private.count_attempt(p_phone, p_now);
  v_left := least(p_org.call_attempts - v_call.attempts,
    private.attempts_left(p_org, p_call, p_phone, p_now));
  if v_left <= 0 or v_code.state = 'locked' and v_call.sends >= p_org.call_sends then
    return case when p_purpose = 'change' then '{"outcome": "code_locked", "isFinal": true}'
      else '{"outcome": "locked"}' end;
  elsif v_code.state = 'locked' then
    return '{"outcome": "code_locked"}';
  end if;
  return jsonb_build_object('outcome', 'wrong_code',
    'attemptsLeft', least(5 - coalesce(v_code.code_attempts, 0), v_left));
end
$$;
comment on function private.count_wrong_code is
  'Counts a wrong code and returns wrong_code, code_locked or locked.';

/*
 * The answer to a request that was answered before, or that another one is ahead of; else null.
 * already_sent  this tool call asked before, and its text was accepted or is under way
 * cooldown      another text went less than 30 seconds ago, its code still lives, and nobody knows
 *               that it did not arrive
 * For a change neither says whether there was a text: it is as if each had been accepted.
 */
create function private.repeated_send(
  p_org uuid, p_code public.one_time_passcodes, p_tool_call_id text, p_purpose text,
  p_now timestamptz
) returns jsonb
language plpgsql stable set search_path = ''
as $$
declare
  v_open constant boolean := p_purpose = 'change';
  -- The code of a change may never have gone out: it keeps no hold waiting for its own.
  v_cooling constant boolean := coalesce(p_code.state in ('sending', 'sent')
    and (v_open or p_code.purpose = 'confirm')
    and p_code.claimed_at > p_now - interval '30 seconds' and p_code.expires_at > p_now
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
      ceil(extract(epoch from p_code.claimed_at + interval '30 seconds' - p_now))::integer
      else 0 end);
end
$$;
comment on function private.repeated_send is
  'already_sent for a request delivered again, cooldown while another text is on its way, else null.';

/* Whether the call is one of the number it texts, of another number, or of none. */
create function private.origin_of(p_call public.calls, p_phone bytea) returns text
language plpgsql immutable set search_path = ''
as $$
begin
  return case when p_call.caller_hash is null then 'no_number'
    when p_call.caller_hash = p_phone then 'own_number' else 'other_number' end;
end
$$;
comment on function private.origin_of is 'own_number, other_number or no_number, as in sms_messages.origin.';

/*
 * Whether the organization's texts of this hour leave room for one of this origin; their lock is
 * taken. A fifth is kept for calls that text the number they come from, calls without a number share
 * a tenth, and so do all calls that text another number while an alarm is on.
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
    and m.origin <> 'follow_up'
    -- The text of a change counts whatever became of it, and whether or not there was one.
    and (m.status <> 'refused' or m.appointment_id is null);
  return v_all < p_org.sms_hourly_limit and (p_origin = 'own_number'
    or v_all < p_org.sms_hourly_limit - p_org.sms_hourly_limit / 5
      and (p_origin <> 'no_number' or v_unknown < v_tenth)
      and (v_others < v_tenth or not private.is_braked(p_org.id, p_now)));
end
$$;
comment on function private.has_texts_left is
  'Whether an organization may text once more this hour for a call of that origin.';

/*
 * Why no text may go to a phone, else null. Call and numbers are locked, and the organization's texts
 * are from here on.
 *
 * p_code    the newest code of this phone in this call, or nulls
 * p_target  {phone, country, purpose}
 * p_sender  the number that texts
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
    -- Not at once a third time: another number helps, or the usual pause.
    when not v_for_change and p_code.state = 'sent'
      and p_code.claimed_at > p_now - interval '30 seconds'
      and private.failed_twice(p_org.id, p_call.call_id, v_hash) then '{"outcome": "undelivered"}'
    when p_call.sends >= p_org.call_sends then '{"outcome": "call_send_limit"}'
    -- "Nothing came" twice: a third text would not help, and nobody is told whether there was one.
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
comment on function private.send_refusal is 'The limit that one more text would break, or null.';
