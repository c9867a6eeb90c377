/*
 * Passcodes: six digits by SMS that prove who a hold or a change belongs to; how a code is kept, and
 * what limits guessing and texting.
 *
 * Decisions
 * - One row per appointment, changed under its row lock: attempts and sends are counted where they
 *   are compared, so they cannot be raced past their caps, and neither a resend nor another change
 *   of the appointment refills them (NIST SP 800-63B-4 §3.2.2). Only a right code does.
 * - The code never reaches the database. The function sends HMAC-SHA-256(pepper, "otp:v1|" code);
 *   what is stored is SHA-256 of that with organization, hold and send, so it fits nowhere else.
 *   It is null from the moment the code is used, locked, cleared or replaced; null matches nothing.
 *   Both sides of the comparison are hashes of a keyed value, so its timing tells nothing.
 *
 * What guessing can reach. A new hold has fresh counters, so its caps alone would not bound anybody
 * who keeps making holds; the texts do. A phone gets 5 codes an hour and 10 a day, so at most 25
 * guesses an hour and 50 a day in a million are evaluated for it, however many holds, calls and
 * organizations they are spread over: one phone's chance is 1 in 20,000 a day. An organization sends
 * 200 texts an hour: 1,000 guesses over all its phones, of which the alarm at 50 tells.
 */

create table public.one_time_passcodes (
  org_id uuid not null,
  appointment_id uuid not null,
  send_id uuid not null,
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
  hold_attempts integer not null default 0
    constraint one_time_passcodes_hold_attempts_capped check (hold_attempts between 0 and 10),
  sends integer not null default 0
    constraint one_time_passcodes_sends_capped check (sends between 0 and 3),
  primary key (org_id, appointment_id),
  foreign key (org_id, appointment_id)
    references public.appointments (org_id, id) on delete cascade,
  constraint one_time_passcodes_dead_has_no_mac
    check (mac is null or state in ('sending', 'sent'))
);
comment on table public.one_time_passcodes is
  'The passcode of a hold: a MAC, never the code, and the counters that cap guessing and texting.';
comment on column public.one_time_passcodes.sends is
  'Texts accepted or under way since the last right code, or in the last day; a refused one is given back.';
comment on column public.one_time_passcodes.code_attempts is 'Wrong codes since the newest text, 5 at most.';
comment on column public.one_time_passcodes.hold_attempts is 'Wrong codes across resends, 10 at most.';
create index one_time_passcodes_by_time on public.one_time_passcodes (org_id, claimed_at);
select private.protect('public.one_time_passcodes', false);

create function private.bind_mac(p_mac text, p_org uuid, p_hold uuid, p_send uuid) returns bytea
language sql immutable strict set search_path = ''
as $$
  select sha256(decode(p_mac, 'hex') || convert_to('otp:v1|' || p_org || '|' || p_hold || '|' || p_send, 'UTF8'))
$$;
comment on function private.bind_mac is 'A code''s MAC bound to one organization, hold and send.';

create function private.forget_passcode(p_org uuid, p_hold uuid) returns void
language sql volatile set search_path = ''
as $$
  update public.one_time_passcodes as c
  set state = 'replaced', mac = null
  where c.org_id = p_org and c.appointment_id = p_hold and c.state in ('sending', 'sent')
$$;
comment on function private.forget_passcode is 'Kills the live code of a hold and lifts its cooldown; counters stay.';

/* Counts one wrong code: 5 kill the code, 10 in all hand the hold to the front desk. */
create function private.count_wrong_code(p_org uuid, p_hold uuid, p_now timestamptz) returns jsonb
language plpgsql volatile set search_path = ''
as $$
declare
  v_code public.one_time_passcodes;
begin
  update public.one_time_passcodes as c
  set code_attempts = c.code_attempts + 1, hold_attempts = c.hold_attempts + 1,
    state = case when c.code_attempts >= 4 or c.hold_attempts >= 9 then 'locked' else c.state end,
    mac = case when c.code_attempts >= 4 or c.hold_attempts >= 9 then null else c.mac end
  where c.org_id = p_org and c.appointment_id = p_hold
  returning c.* into v_code;
  if v_code.hold_attempts >= 10 or v_code.code_attempts >= 5 and v_code.sends >= 3 then
    update public.appointments as a
    set status = 'requires_manual_followup', updated_at = p_now
    where a.org_id = p_org and a.id = p_hold and a.status = 'held';
    return '{"outcome": "locked"}';
  elsif v_code.state = 'locked' then
    return '{"outcome": "code_locked"}';
  end if;
  return jsonb_build_object('outcome', 'wrong_code',
    'attemptsLeft', least(5 - v_code.code_attempts, 10 - v_code.hold_attempts));
end
$$;
comment on function private.count_wrong_code is
  'Counts a wrong code and returns wrong_code, code_locked or locked.';

/*
 * The answer to a request that was answered before, or that another one is ahead of; else null.
 * already_sent  this tool call texted before: its text was accepted, or is under way
 * cooldown      another text went less than 30 seconds ago, its code still lives, and nobody knows
 *               that it did not arrive
 */
create function private.repeated_send(
  p_org uuid, p_hold public.appointments, p_code public.one_time_passcodes, p_call_id text,
  p_tool_call_id text, p_now timestamptz
) returns jsonb
language plpgsql stable set search_path = ''
as $$
declare
  v_cooling constant boolean := p_code.state in ('sending', 'sent')
    and p_code.claimed_at > p_now - interval '30 seconds' and p_code.expires_at > p_now
    and not private.was_not_delivered(p_org, p_code.send_id);
  v_repeated constant boolean := exists (
    select from public.sms_messages as m
    where m.org_id = p_org and m.appointment_id = p_hold.id and m.call_id = p_call_id
      and m.tool_call_id = p_tool_call_id
      and (m.sid is not null or v_cooling and m.id = p_code.send_id));
begin
  if v_repeated or v_cooling then
    return jsonb_build_object(
      'outcome', case when v_repeated then 'already_sent' else 'cooldown' end,
      'holdId', p_hold.id, 'phoneEnding', right(p_hold.patient_phone, 2),
      'expiresInSeconds',
        floor(extract(epoch from p_code.expires_at - p_code.claimed_at))::integer,
      'retryAfterSeconds', case when v_cooling then
        ceil(extract(epoch from p_code.claimed_at + interval '30 seconds' - p_now))::integer
        else 0 end);
  end if;
  return null;
end
$$;
comment on function private.repeated_send is
  'already_sent for a request delivered again, cooldown while another text is on its way, else null.';

/*
 * Why no text may go to the phone of a hold, else null: then the text is counted in the phone's
 * quota. The organization's sends are counted one after the other, under a lock of their own.
 * A refusal counts towards an alarm.
 */
create function private.send_refusal(
  p_org public.organizations, p_hold public.appointments, p_code public.one_time_passcodes,
  p_sender text, p_now timestamptz
) returns jsonb
language plpgsql volatile set search_path = ''
as $$
declare
  v_refusal text;
begin
  v_refusal := case
    when p_code.hold_attempts >= 10 then 'locked'
    when not coalesce(p_hold.patient_country = any (p_org.sms_countries), false)
      then 'blocked_country'
    when p_hold.patient_phone = p_sender or exists (
      select from public.org_channels as c
      where c.kind = 'called_number' and c.value = p_hold.patient_phone and c.org_id = p_org.id)
      then 'bad_destination'
    when p_code.state = 'sent' and private.was_refused_by_number(p_org.id, p_code.send_id, p_now)
      then 'bad_destination'
    -- Not at once a third time: another number helps, or the usual pause.
    when p_code.state = 'sent' and p_code.claimed_at > p_now - interval '30 seconds'
      and private.failed_twice(p_org.id, p_hold) then 'undelivered'
    when p_code.sends >= 3 then 'hold_send_limit'
  end;
  if v_refusal is null then
    perform pg_advisory_xact_lock(hashtextextended(p_org.id || '/sms', 0));
    v_refusal := case
      when (select count(*) from public.sms_messages as m where m.org_id = p_org.id
        and m.created_at > p_now - interval '1 hour' and m.status <> 'refused')
        >= p_org.sms_hourly_limit then 'org_send_limit'
      when not private.reserve_phone(p_hold.patient_phone, p_now) then 'phone_send_limit'
    end;
  end if;
  if v_refusal is null then
    return null;
  end if;
  return jsonb_strip_nulls(jsonb_build_object(
    'outcome', v_refusal, 'holdId', p_hold.id,
    'alarm', private.count_for_alarm(p_org.id, 'refused_sends', p_now)));
end
$$;
comment on function private.send_refusal is
  'The limit a text would break, or null, and then the phone''s quota has counted it.';
