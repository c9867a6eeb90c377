/*
 * Passcodes: six digits by SMS that turn a hold into a confirmed appointment, or let a change of a
 * confirmed one take effect.
 *
 * Decisions
 * - One row per appointment, changed under its row lock: attempts and sends are counted where they
 *   are compared, so they cannot be raced past their caps, and neither a resend nor another change
 *   of the appointment refills them (NIST SP 800-63B-4 §3.2.2). Only a right code does.
 * - The code never reaches the database. The function sends HMAC-SHA-256(pepper, "otp:v1|" code);
 *   what is stored is SHA-256 of that with organization, hold and send, so it fits nowhere else.
 *   It is null from the moment the code is used, locked, cleared or replaced; null matches nothing.
 *   Both sides of the comparison are hashes of a keyed value, so its timing tells nothing.
 * - A send is a claim (state sending, a fresh send_id) that lapses after 30 seconds. complete and
 *   clear compare send_id: a late failure of send A never touches code B.
 * - verify returns wrong_code and never raises after counting: a rollback would un-count it.
 * - A request delivered twice is answered the same and counts once: verify keeps its answers by
 *   call, tool call and arguments, send knows the tool call of each text.
 * - Texts to one phone are counted across organizations in a table of its own, by the phone's hash.
 *   The hash is not secret: numbers can be enumerated. A key would hide nothing, since a row goes
 *   after a day and the holds beside it keep the number itself for longer; the hash only keeps
 *   numbers out of a table that belongs to no organization.
 *
 * What guessing can reach. A new hold has fresh counters, so its caps alone would not bound anybody
 * who keeps making holds; the texts do. A phone gets 5 codes an hour and 10 a day, so at most 25
 * guesses an hour and 50 a day in a million are evaluated for it, however many holds, calls and
 * organizations they are spread over: one phone's chance is 1 in 20,000 a day. An organization sends
 * 200 texts an hour: 1,000 guesses over all its phones, of which the alarm at 50 tells.
 */

-- A role, a database or a function may have set another isolation level.
create function private.require_read_committed() returns void
language plpgsql stable set search_path = ''
as $$
begin
  if current_setting('transaction_isolation') <> 'read committed' then
    raise exception 'Cannot decide under isolation level %: use read committed',
      current_setting('transaction_isolation') using errcode = '25001';
  end if;
end
$$;
comment on function private.require_read_committed is
  'Raises 25001 under any other isolation level: a check after a lock would see old rows.';

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
select private.protect('public.one_time_passcodes', false);

create table public.sms_messages (
  org_id uuid not null,
  id uuid not null,
  appointment_id uuid not null,
  to_masked text not null
    constraint sms_messages_to_masked check (to_masked !~ '[0-9]{5}'),
  to_hash bytea
    constraint sms_messages_to_hash_length check (octet_length(to_hash) = 32),
  call_id text,
  tool_call_id text,
  sid text,
  status text not null default 'sending',
  delivery text
    constraint sms_messages_delivery_known
    check (delivery in ('queued', 'sending', 'sent', 'failed', 'undelivered', 'delivered')),
  error_code integer,
  created_at timestamptz not null default clock_timestamp(),
  updated_at timestamptz not null default clock_timestamp(),
  primary key (org_id, id),
  foreign key (org_id, appointment_id)
    references public.appointments (org_id, id) on delete cascade
);
comment on table public.sms_messages is
  'One row per text: its id is the send_id. The body is never stored.';
comment on column public.sms_messages.status is
  'What became of the request: sending, accepted, refused, or unknown when no answer came.';
comment on column public.sms_messages.delivery is
  'What Twilio reported of the text, with error_code; null before the first report.';
comment on column public.sms_messages.tool_call_id is
  'Who asked for it: the same request delivered again does not text again.';
create index sms_messages_by_time on public.sms_messages (org_id, created_at);
create index sms_messages_by_appointment on public.sms_messages (org_id, appointment_id);
select private.protect('public.sms_messages', true);
grant select on public.sms_messages to service_role;

create table public.sms_phone_quota (
  phone_hash bytea primary key
    constraint sms_phone_quota_hash_length check (octet_length(phone_hash) = 32),
  sent_at timestamptz[] not null default '{}'
);
comment on table public.sms_phone_quota is
  'Times of the texts to one phone in the last day, across organizations, by SHA-256 of the number.';
alter table public.sms_phone_quota enable row level security;

create table public.sms_opt_outs (
  org_id uuid not null references public.organizations (id) on delete cascade,
  phone_hash bytea not null
    constraint sms_opt_outs_hash_length check (octet_length(phone_hash) = 32),
  at timestamptz not null default clock_timestamp(),
  primary key (org_id, phone_hash)
);
comment on table public.sms_opt_outs is
  'Phones that Twilio said want no texts from an organization (21610), by SHA-256 of the number. '
  'Passcodes are tried all the same, since Twilio knows who came back; nothing else is sent.';
select private.protect('public.sms_opt_outs', false);

create table public.org_credentials (
  org_id uuid not null references public.organizations (id) on delete cascade,
  provider text not null
    constraint org_credentials_provider_known check (provider in ('twilio')),
  key_id text not null,
  nonce bytea not null
    constraint org_credentials_nonce_length check (octet_length(nonce) = 12),
  ciphertext bytea not null,
  updated_at timestamptz not null default clock_timestamp(),
  primary key (org_id, provider)
);
comment on table public.org_credentials is
  'Accounts at other services, AES-256-GCM with organization and provider as additional data.';
select private.protect('public.org_credentials', false);

create table public.tool_calls (
  org_id uuid not null references public.organizations (id) on delete cascade,
  call_id text not null,
  tool_call_id text not null,
  tool text not null,
  arguments_hash bytea not null,
  outcome text not null,
  result jsonb not null,
  created_at timestamptz not null default clock_timestamp(),
  primary key (org_id, call_id, tool_call_id, tool, arguments_hash)
);
comment on table public.tool_calls is
  'Answers already given, so that a request delivered twice counts once and is answered the same.';
create index tool_calls_by_time on public.tool_calls (org_id, created_at);
select private.protect('public.tool_calls', false);

create function private.forget_passcode(p_org uuid, p_hold uuid) returns void
language sql volatile set search_path = ''
as $$
  update public.one_time_passcodes as c
  set state = 'replaced', mac = null
  where c.org_id = p_org and c.appointment_id = p_hold and c.state in ('sending', 'sent')
$$;
comment on function private.forget_passcode is 'Kills the live code of a hold and lifts its cooldown; counters stay.';

create function private.hash_phone(p_phone text) returns bytea
language sql immutable strict set search_path = ''
as $$ select sha256(convert_to(p_phone, 'UTF8')) $$;
comment on function private.hash_phone is 'A phone number where only whether it is the same one matters.';

/* What Twilio's answer to a text says about the wish of its phone's owner. */
create function private.note_opt_out(p_org uuid, p_send uuid, p_opted_out boolean) returns void
language plpgsql volatile set search_path = ''
as $$
declare
  v_hash bytea;
begin
  select m.to_hash into v_hash from public.sms_messages as m
  where m.org_id = p_org and m.id = p_send;
  if p_opted_out then
    insert into public.sms_opt_outs (org_id, phone_hash) select p_org, v_hash where v_hash is not null
    on conflict do nothing;
  else
    delete from public.sms_opt_outs as o where o.org_id = p_org and o.phone_hash = v_hash;
  end if;
end
$$;
comment on function private.note_opt_out is
  'Remembers that the phone of a text wants none, or forgets it: an accepted text takes it back.';

create function private.bind_mac(p_mac text, p_org uuid, p_hold uuid, p_send uuid) returns bytea
language sql immutable strict set search_path = ''
as $$
  select sha256(decode(p_mac, 'hex') || convert_to('otp:v1|' || p_org || '|' || p_hold || '|' || p_send, 'UTF8'))
$$;
comment on function private.bind_mac is 'A code''s MAC bound to one organization, hold and send.';

/*
 * What the passcode of a tool call is for: the hold or changed appointment named, else (none named,
 * or something that is no id) the newest of this call. The hold of a new time stands for the
 * appointment that is to move. Another organization's id finds nothing, like an unknown one. Locks
 * the row.
 */
create function private.find_hold(p_org uuid, p_call_id text, p_hold text)
returns public.appointments
language plpgsql volatile set search_path = ''
as $$
declare
  v_now constant timestamptz := clock_timestamp();
  v_id uuid := private.read_id(p_hold);
  v_hold public.appointments;
begin
  if v_id is null then
    select x.id into v_id from (
      select a.id, a.status = 'held' and a.expires_at > v_now as is_live, a.created_at as at
      from public.appointments as a where a.org_id = p_org and a.call_id = p_call_id
      union all
      select c.appointment_id, c.applied_at is null and c.expires_at > v_now, c.opened_at
      from public.appointment_changes as c where c.org_id = p_org and c.call_id = p_call_id
    ) as x
    order by x.is_live desc, x.at desc limit 1;
  end if;
  v_id := coalesce((
    select c.appointment_id from public.appointment_changes as c
    where c.org_id = p_org and c.hold_id = v_id and c.applied_at is null
    order by c.opened_at desc limit 1), v_id);
  select a.* into v_hold from public.appointments as a
  where a.org_id = p_org and a.id = v_id for update;
  -- While the lock was waited for, the hold became the new time of an appointment, whose lock goes
  -- first: asked again, it is found.
  if v_hold.status = 'held' and exists (
    select from public.appointment_changes as c
    where c.org_id = p_org and c.hold_id = v_hold.id and c.applied_at is null) then
    raise exception using errcode = '55P03', message = 'The hold is about a change now';
  end if;
  return v_hold;
end
$$;
comment on function private.find_hold is
  'The hold or changed appointment named, or the live one of the call, or its newest; locked.';

create function private.find_change(p_org uuid, p_appointment uuid, p_call_id text)
returns public.appointment_changes
language plpgsql stable set search_path = ''
as $$
declare
  v_change public.appointment_changes;
begin
  select c.* into v_change from public.appointment_changes as c
  where c.org_id = p_org and c.appointment_id = p_appointment
    and c.call_id is not distinct from p_call_id;
  return v_change;
end
$$;
comment on function private.find_change is 'The change that this call has asked for of an appointment.';

/*
 * Whether a call may be told that this appointment is confirmed: the one that holds it, or the one
 * whose code confirmed it. Any other call that names it learns nothing.
 */
create function private.confirmed_it(
  p_org uuid, p_hold public.appointments, p_call_id text
) returns boolean
language sql stable set search_path = ''
as $$
  select p_hold.call_id = p_call_id or exists (
    select from public.tool_calls as t
    where t.org_id = p_org and t.call_id = p_call_id and t.tool = 'verify_otp'
      and t.outcome = 'confirmed' and t.result ->> 'holdId' = p_hold.id::text)
$$;
comment on function private.confirmed_it is 'Whether a call holds or confirmed an appointment.';

/* What has become of a change, for the call that asked for it and has proven the phone. */
create function private.describe_change(
  p_org public.organizations, p_change public.appointment_changes, p_now timestamptz
) returns jsonb
language sql stable set search_path = ''
as $$
  select private.describe_hold(p_org, a, p_now) || jsonb_build_object(
    'outcome', case p_change.kind when 'cancel' then 'cancelled' else 'rescheduled' end)
  from public.appointments as a
  where a.org_id = p_org.id and a.id = coalesce(p_change.hold_id, p_change.appointment_id)
$$;
comment on function private.describe_change is 'The outcome cancelled or rescheduled of an applied change.';

/*
 * Why a hold takes no passcode: an outcome, or null when it does. In plpgsql, which keeps its plans:
 * as one SQL expression it took a third of the time of a verification, most of it planning.
 */
create function private.hold_refusal(
  p_org public.organizations, p_hold public.appointments, p_change public.appointment_changes,
  p_call_id text, p_now timestamptz
) returns jsonb
language plpgsql stable set search_path = ''
as $$
begin
  if p_change.applied_at is not null then
    return private.describe_change(p_org, p_change, p_now);
  elsif p_change.expires_at <= p_now or p_change.kind is not null and p_hold.starts_at <= p_now then
    return '{"outcome": "change_expired"}';
  elsif p_hold.status = 'held' then
    return case when p_hold.expires_at <= p_now then '{"outcome": "hold_expired"}'::jsonb end;
  elsif p_hold.status = 'confirmed' then
    if p_change.kind is not null then
      return null;
    elsif private.confirmed_it(p_org.id, p_hold, p_call_id) then
      return private.describe_hold(p_org, p_hold, p_now) || '{"outcome": "already_confirmed"}';
    end if;
  elsif p_hold.status = 'requires_manual_followup' then
    return '{"outcome": "locked"}';
  elsif p_hold.status = 'expired' then
    return '{"outcome": "hold_expired"}';
  end if;
  return '{"outcome": "hold_not_found"}';
end
$$;
comment on function private.hold_refusal is 'The outcome for a hold that takes no passcode, else null.';

/*
 * Reserves one text to a phone: 5 an hour and 10 a day, across organizations. One statement makes or
 * locks the phone's row, so simultaneous sends count one another and no clean-up gets in between.
 */
create function private.reserve_phone(p_phone text, p_now timestamptz) returns boolean
language plpgsql volatile set search_path = ''
as $$
declare
  v_hash constant bytea := private.hash_phone(p_phone);
  v_sent timestamptz[];
begin
  insert into public.sms_phone_quota as q (phone_hash) values (v_hash)
  on conflict (phone_hash) do update
  set sent_at = array(select t from unnest(q.sent_at) as t where t > p_now - interval '1 day')
  returning q.sent_at into v_sent;
  if cardinality(v_sent) >= 10
    or (select count(*) from unnest(v_sent) as t where t > p_now - interval '1 hour') >= 5 then
    return false;
  end if;
  update public.sms_phone_quota as q set sent_at = v_sent || p_now where q.phone_hash = v_hash;
  return true;
end
$$;
comment on function private.reserve_phone is 'Counts one text to a phone, or says that its quota is used up.';

create function private.was_not_delivered(p_org uuid, p_send uuid) returns boolean
language plpgsql stable set search_path = ''
as $$
begin
  return exists (
    select from public.sms_messages as m
    where m.org_id = p_org and m.id = p_send and m.delivery in ('failed', 'undelivered'));
end
$$;
comment on function private.was_not_delivered is 'Whether Twilio reported that a text did not arrive.';

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

/* Whether the last two texts to the phone of a hold did not arrive. */
create function private.failed_twice(p_org uuid, p_hold public.appointments) returns boolean
language plpgsql stable set search_path = ''
as $$
begin
  return (
    select count(*) filter (where t.delivery in ('failed', 'undelivered')) = 2
    from (
      select m.delivery from public.sms_messages as m
      where m.org_id = p_org and m.appointment_id = p_hold.id
        and m.to_hash = sha256(convert_to(p_hold.patient_phone, 'UTF8')) and m.status <> 'refused'
      order by m.created_at desc limit 2
    ) as t);
end
$$;
comment on function private.failed_twice is 'Whether two texts in a row did not reach a hold''s phone.';

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

/*
 * The tenant's claim to send one text. See begin_otp_send.
 */
create function private.begin_send(
  p_org public.organizations, p_call jsonb, p_hold text, p_send uuid, p_mac text, p_key_id text,
  p_sender text
) returns jsonb
language plpgsql volatile set search_path = ''
as $$
declare
  v_call_id constant text := p_call ->> 'callId';
  v_tool_call_id constant text := nullif(p_call ->> 'toolCallId', '');
  v_hold public.appointments;
  v_change public.appointment_changes;
  v_code public.one_time_passcodes;
  v_now timestamptz;
  v_expires timestamptz;
  v_purpose text;
  v_answer jsonb;
begin
  v_hold := private.find_hold(p_org.id, v_call_id, p_hold);
  v_change := private.find_change(p_org.id, v_hold.id, v_call_id);
  v_purpose := case when v_change.kind is null then 'confirm' else 'change' end;
  v_now := clock_timestamp();
  v_answer := private.hold_refusal(p_org, v_hold, v_change, v_call_id, v_now);
  if v_answer is null then
    select c.* into v_code from public.one_time_passcodes as c
    where c.org_id = p_org.id and c.appointment_id = v_hold.id for update;
    -- No hold lives for a day, but an appointment may be changed again on another.
    if v_code.claimed_at < v_now - interval '1 day' then
      v_code.sends := 0;
    end if;
    v_answer := coalesce(
      private.repeated_send(p_org.id, v_hold, v_code, v_call_id, v_tool_call_id, v_now),
      private.send_refusal(p_org, v_hold, v_code, p_sender, v_now));
  end if;
  if v_answer is not null then
    perform private.audit(p_org.id, p_call, 'send_otp', v_hold.id, v_answer ->> 'outcome');
    return v_answer || jsonb_build_object('orgId', p_org.id, 'purpose', v_purpose);
  end if;

  v_expires := least(v_now + interval '5 minutes', v_change.expires_at, v_hold.expires_at);
  insert into public.one_time_passcodes as c (
    org_id, appointment_id, send_id, state, mac, key_id, claimed_at, expires_at, sends
  ) values (
    p_org.id, v_hold.id, p_send, 'sending',
    private.bind_mac(p_mac, p_org.id, v_hold.id, p_send), p_key_id, v_now, v_expires, 1
  )
  on conflict (org_id, appointment_id) do update
  set send_id = excluded.send_id, state = 'sending', mac = excluded.mac,
    key_id = excluded.key_id, claimed_at = excluded.claimed_at,
    expires_at = excluded.expires_at, code_attempts = 0, sends = v_code.sends + 1;
  -- created_at is the time that reserve_phone noted: fail_text finds it by that.
  insert into public.sms_messages (
    org_id, id, appointment_id, to_masked, to_hash, call_id, tool_call_id, created_at
  ) values (
    p_org.id, p_send, v_hold.id, private.mask_phone(v_hold.patient_phone),
    private.hash_phone(v_hold.patient_phone), v_call_id, v_tool_call_id, v_now
  );
  perform private.audit(p_org.id, p_call, 'send_otp', v_hold.id, 'claimed',
    jsonb_build_object('sendId', p_send));
  if v_code.send_id is null and v_hold.status = 'held' then
    perform private.tally('otp_requested');
  end if;
  return jsonb_build_object(
    'outcome', 'claimed', 'orgId', p_org.id, 'holdId', v_hold.id, 'clinic', p_org.name,
    'purpose', v_purpose,
    'phone', v_hold.patient_phone, 'phoneEnding', right(v_hold.patient_phone, 2),
    'afterUndelivered', v_code.state = 'sent' and private.was_not_delivered(p_org.id, v_code.send_id),
    'expiresInSeconds', floor(extract(epoch from v_expires - v_now))::integer);
end
$$;
comment on function private.begin_send is 'Claims the one send of a hold and stores the code''s MAC.';

/*
 * Entry function, first half of the tool send_otp.
 *
 * p_hold          the hold, or null or nonsense for the hold of this call
 * p_send_id       a fresh uuid; complete_otp_send and clear_otp_send name it
 * p_mac           HMAC-SHA-256(pepper, "otp:v1|" code), 64 hex digits; p_key_id names the pepper
 * p_expected_org  the organization whose Twilio account the caller has ready
 * p_sender        the number that account texts from, never a destination; null for a service
 * Outcomes        claimed (phone, clinic, purpose, expiresInSeconds, afterUndelivered: the text
 *                 before did not arrive), already_sent, cooldown, blocked_country, bad_destination,
 *                 undelivered, hold_send_limit, phone_send_limit, org_send_limit, hold_not_found,
 *                 hold_expired, change_expired, already_confirmed, cancelled, rescheduled, locked,
 *                 wrong_account, busy, unknown_clinic, cross_tenant_denied
 */
create function public.begin_otp_send(
  p_call jsonb, p_hold text, p_send_id uuid, p_mac text, p_key_id text, p_expected_org uuid,
  p_sender text
) returns jsonb
language plpgsql volatile security definer set search_path = '' set lock_timeout = '1500ms'
  set jit = off
as $$
declare
  v_opened record;
begin
  perform private.require_read_committed();
  select * into v_opened from private.open_call(p_call, 'send_otp');
  if v_opened.refusal is not null then
    return v_opened.refusal;
  elsif (v_opened.org).id <> p_expected_org then
    return '{"outcome": "wrong_account"}';
  end if;
  return private.begin_send(v_opened.org, p_call, p_hold, p_send_id, p_mac, p_key_id, p_sender);
exception when lock_not_available or deadlock_detected then
  return '{"outcome": "busy"}';
end
$$;
comment on function public.begin_otp_send is
  'Tool send_otp, before the text: checks hold, cooldown and quotas, stores the code''s MAC.';

/* What becomes of a text that Twilio accepted: its SID, its owner's wish, the metrics. */
create function private.accept_text(p_org uuid, p_send uuid, p_sid text) returns void
language plpgsql volatile set search_path = ''
as $$
begin
  update public.sms_messages as m
  set sid = p_sid, status = case when m.status = 'sending' then 'accepted' else m.status end,
    updated_at = clock_timestamp()
  where m.org_id = p_org and m.id = p_send;
  perform private.note_opt_out(p_org, p_send, false);
  perform private.tally('sms', '{"result": "accepted"}');
end
$$;
comment on function private.accept_text is 'Writes down that Twilio accepted a text.';

/*
 * What becomes of a text that Twilio refused or did not answer for: one that certainly did not go
 * out gives its phone's quota back, once. Returns whether that was so.
 */
create function private.fail_text(
  p_org uuid, p_send uuid, p_reason text, p_may_have_been_sent boolean
) returns boolean
language plpgsql volatile set search_path = ''
as $$
declare
  v_message public.sms_messages;
begin
  if p_reason = 'opted_out' then
    perform private.note_opt_out(p_org, p_send, true);
  end if;
  update public.sms_messages as m
  set status = case when p_may_have_been_sent then 'unknown' else 'refused' end,
    updated_at = clock_timestamp()
  where m.org_id = p_org and m.id = p_send and m.status = 'sending'
  returning m.* into v_message;
  if v_message.id is null then
    return false;
  end if;
  perform private.tally('sms', jsonb_build_object('result', case
    when p_may_have_been_sent then 'unknown'
    when p_reason in ('bad_destination', 'opted_out', 'blocked_country') then 'refused'
    else 'failed' end));
  if not p_may_have_been_sent then
    -- reserve_phone noted the time that the message was made.
    update public.sms_phone_quota as q set sent_at = array_remove(q.sent_at, v_message.created_at)
    where q.phone_hash = v_message.to_hash;
  end if;
  return not p_may_have_been_sent;
end
$$;
comment on function private.fail_text is
  'Writes down that a text failed; true when it certainly did not go out.';

/*
 * Entry function, after Twilio accepted. Harmless when it fails or comes late: the code verifies in
 * the state sending too. Outcomes: sent, not_current (another send took over), busy.
 */
create function public.complete_otp_send(
  p_call jsonb, p_org uuid, p_hold uuid, p_send_id uuid, p_sid text
) returns jsonb
language plpgsql volatile security definer set search_path = '' set lock_timeout = '1500ms'
as $$
declare
  v_current boolean;
begin
  update public.one_time_passcodes as c
  set state = 'sent'
  where c.org_id = p_org and c.appointment_id = p_hold and c.send_id = p_send_id
    and c.state = 'sending';
  v_current := found;
  perform private.accept_text(p_org, p_send_id, p_sid);
  perform private.audit(p_org, p_call, 'send_otp', p_hold, 'sent',
    jsonb_build_object('sendId', p_send_id));
  return jsonb_build_object('outcome', case when v_current then 'sent' else 'not_current' end);
exception when lock_not_available or deadlock_detected then
  return '{"outcome": "busy"}';
end
$$;
comment on function public.complete_otp_send is 'Tool send_otp, after the text was accepted.';

/*
 * Entry function, after Twilio refused or did not answer: the code is forgotten and the cooldown
 * lifted, if this send is still the newest. Attempt counts stay. A text that certainly did not go
 * out gives its quota back, once and however late; one that may have gone out keeps it.
 * Outcomes: cleared, not_current, busy: then the claim lapses by itself.
 */
create function public.clear_otp_send(
  p_call jsonb, p_org uuid, p_hold uuid, p_send_id uuid, p_reason text,
  p_may_have_been_sent boolean
) returns jsonb
language plpgsql volatile security definer set search_path = '' set lock_timeout = '1500ms'
as $$
declare
  v_cleared boolean;
  v_alarm text;
begin
  -- Before the phone's quota, as begin_send does.
  perform from public.one_time_passcodes as c
  where c.org_id = p_org and c.appointment_id = p_hold for update;
  update public.one_time_passcodes as c
  set state = 'cleared', mac = null
  where c.org_id = p_org and c.appointment_id = p_hold and c.send_id = p_send_id
    and c.state = 'sending';
  v_cleared := found;
  if private.fail_text(p_org, p_send_id, p_reason, p_may_have_been_sent) then
    update public.one_time_passcodes as c set sends = greatest(c.sends - 1, 0)
    where c.org_id = p_org and c.appointment_id = p_hold;
    if p_reason in ('bad_destination', 'opted_out', 'blocked_country') then
      v_alarm := private.count_for_alarm(p_org, 'refused_sends', clock_timestamp());
    end if;
  end if;
  perform private.audit(p_org, p_call, 'send_otp', p_hold, 'cleared',
    jsonb_build_object('sendId', p_send_id, 'reason', p_reason));
  return jsonb_strip_nulls(jsonb_build_object(
    'outcome', case when v_cleared then 'cleared' else 'not_current' end,
    'orgId', p_org, 'alarm', v_alarm));
exception when lock_not_available or deadlock_detected then
  return '{"outcome": "busy"}';
end
$$;
comment on function public.clear_otp_send is
  'Tool send_otp, after the text failed: forgets the code of that send, and only of that send.';

/* The answer that this very tool call was given before, if one was recorded. */
create function private.recall_answer(p_org uuid, p_call jsonb, p_tool text, p_hash bytea)
returns jsonb
language plpgsql stable set search_path = ''
as $$
begin
  return (
    select t.result from public.tool_calls as t
    where t.org_id = p_org and t.call_id = p_call ->> 'callId'
      and t.tool_call_id = p_call ->> 'toolCallId' and t.tool_call_id <> ''
      and t.tool = p_tool and t.arguments_hash = p_hash);
end
$$;
comment on function private.recall_answer is 'The first answer to a tool call that is delivered again.';

create function private.record_answer(
  p_org uuid, p_call jsonb, p_tool text, p_hash bytea, p_answer jsonb
) returns void
language plpgsql volatile set search_path = ''
as $$
begin
  if p_call ->> 'callId' is not null and p_call ->> 'toolCallId' is not null then
    insert into public.tool_calls (
      org_id, call_id, tool_call_id, tool, arguments_hash, outcome, result
    ) values (
      p_org, p_call ->> 'callId', p_call ->> 'toolCallId', p_tool, p_hash,
      p_answer ->> 'outcome', p_answer
    )
    on conflict do nothing;
  end if;
end
$$;
comment on function private.record_answer is 'Keeps an answer for private.recall_answer.';

/*
 * A right code came: the change takes effect in this transaction, or, when the new time is not held
 * any more, nothing does. The new time is confirmed before the old one goes, so neither is free in
 * between.
 */
create function private.apply_change(
  p_org uuid, p_change public.appointment_changes, p_now timestamptz
) returns boolean
language plpgsql volatile set search_path = ''
as $$
begin
  if p_change.hold_id <> p_change.appointment_id then
    update public.appointments as n
    set status = 'confirmed', expires_at = null, contact_id = a.contact_id, updated_at = p_now
    from public.appointments as a
    where a.org_id = p_org and a.id = p_change.appointment_id
      and n.org_id = p_org and n.id = p_change.hold_id
      and n.status = 'held' and n.expires_at > p_now;
    if not found then
      return false;
    end if;
  end if;
  if p_change.hold_id is distinct from p_change.appointment_id then
    update public.appointments as a set status = 'cancelled', updated_at = p_now
    where a.org_id = p_org and a.id = p_change.appointment_id;
  end if;
  update public.appointment_changes as c set applied_at = p_now
  where c.org_id = p_org and c.appointment_id = p_change.appointment_id;
  return true;
end
$$;
comment on function private.apply_change is
  'Cancels an appointment, and confirms the hold of its new time if it has one; false when that is gone.';

/* A right code came: the hold is confirmed, the patient becomes a contact. */
create function private.confirm_hold(p_org uuid, p_hold public.appointments, p_now timestamptz)
returns void
language plpgsql volatile set search_path = ''
as $$
declare
  v_contact uuid;
begin
  insert into public.contacts (org_id, phone, name)
  values (p_org, p_hold.patient_phone, p_hold.patient_name)
  on conflict (org_id, phone) do update set name = public.contacts.name
  returning id into v_contact;
  update public.appointments as a
  set status = 'confirmed', expires_at = null, contact_id = v_contact, updated_at = p_now
  where a.org_id = p_org and a.id = p_hold.id and a.status = 'held' and a.expires_at > p_now;
end
$$;
comment on function private.confirm_hold is 'Confirms a hold in place, under its row lock.';

/*
 * The tenant's verification. Everything is decided under the hold's row lock, in the order
 * organization, state, expiry, attempts, code; then counted or confirmed, audited and recorded.
 */
create function private.verify_code(
  p_org public.organizations, p_call jsonb, p_hold text, p_macs jsonb
) returns jsonb
language plpgsql volatile set search_path = ''
as $$
declare
  v_call_id constant text := p_call ->> 'callId';
  v_hash constant bytea := sha256(convert_to(coalesce(p_hold, '') || p_macs::text, 'UTF8'));
  v_hold public.appointments;
  v_change public.appointment_changes;
  v_code public.one_time_passcodes;
  v_now timestamptz;
  v_answer jsonb;
  v_alarm text;
begin
  v_hold := private.find_hold(p_org.id, v_call_id, p_hold);
  v_change := private.find_change(p_org.id, v_hold.id, v_call_id);
  v_now := clock_timestamp();
  -- The same request delivered twice: the first answer, and nothing is counted.
  v_answer := private.recall_answer(p_org.id, p_call, 'verify_otp', v_hash);
  if v_answer is not null then
    return v_answer;
  end if;
  v_answer := private.hold_refusal(p_org, v_hold, v_change, v_call_id, v_now);
  if v_answer is not null then
    perform private.audit(p_org.id, p_call, 'verify_otp', v_hold.id, v_answer ->> 'outcome');
    return v_answer || jsonb_build_object('orgId', p_org.id);
  end if;

  select c.* into v_code from public.one_time_passcodes as c
  where c.org_id = p_org.id and c.appointment_id = v_hold.id for update;
  if v_code.mac is null then
    v_answer := case when v_code.hold_attempts >= 10 then '{"outcome": "locked"}'
      when v_code.state = 'locked' then '{"outcome": "code_locked"}'
      else '{"outcome": "no_code"}' end;
  elsif v_code.expires_at <= v_now then
    v_answer := '{"outcome": "code_expired"}';
  elsif not jsonb_path_exists(
    p_macs, '$[*] ? (@.keyId == $key)', jsonb_build_object('key', v_code.key_id)) then
    -- Its pepper is gone: no code can match, so none is counted, and the next text need not wait.
    perform private.forget_passcode(p_org.id, v_hold.id);
    v_answer := '{"outcome": "code_unreadable"}';
  elsif exists (
    select from jsonb_to_recordset(p_macs) as m ("keyId" text, mac text)
    where m."keyId" = v_code.key_id
      and private.bind_mac(m.mac, p_org.id, v_hold.id, v_code.send_id) = v_code.mac) then
    if v_change.kind is null then
      perform private.confirm_hold(p_org.id, v_hold, v_now);
      v_answer := private.describe_hold(p_org, v_hold, v_now) || '{"outcome": "confirmed"}';
    elsif private.apply_change(p_org.id, v_change, v_now) then
      v_answer := private.describe_change(p_org, v_change, v_now);
    else
      v_answer := '{"outcome": "change_expired"}';
    end if;
    -- A right code ends the count of wrong ones.
    update public.one_time_passcodes as c
    set state = 'used', mac = null, code_attempts = 0, hold_attempts = 0, sends = 0
    where c.org_id = p_org.id and c.appointment_id = v_hold.id;
    perform private.audit(p_org.id, p_call,
      case v_change.kind when 'cancel' then 'cancel_appointment'
        when 'reschedule' then 'reschedule_appointment' else 'confirm_appointment' end,
      v_hold.id, v_answer ->> 'outcome',
      jsonb_strip_nulls(jsonb_build_object('newTime', v_change.hold_id)));
  else
    v_answer := private.count_wrong_code(p_org.id, v_hold.id, v_now);
    v_alarm := private.count_for_alarm(p_org.id, 'wrong_codes', v_now);
  end if;

  v_answer := jsonb_build_object('orgId', p_org.id, 'holdId', v_hold.id) || v_answer;
  -- The code of a change goes to the booking's number only: another one is not asked for.
  if v_change.kind is null and v_answer ->> 'outcome' in ('wrong_code', 'no_code', 'code_expired')
    and private.was_not_delivered(p_org.id, v_code.send_id) then
    v_answer := v_answer || '{"undelivered": true}';
  end if;
  perform private.audit(p_org.id, p_call, 'verify_otp', v_hold.id, v_answer ->> 'outcome',
    jsonb_strip_nulls(jsonb_build_object('attemptsLeft', v_answer -> 'attemptsLeft',
      -- Only where digits were compared.
      'attempt', case when v_code.mac is not null and v_answer ->> 'outcome' not in
        ('code_expired', 'code_unreadable') then v_code.hold_attempts + 1 end)));
  perform private.record_answer(p_org.id, p_call, 'verify_otp', v_hash, v_answer);
  return v_answer || jsonb_strip_nulls(jsonb_build_object('alarm', v_alarm));
end
$$;
comment on function private.verify_code is
  'Compares, counts, and confirms or changes under the appointment''s lock.';

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
 * Entry function of the tool verify_otp: checks a code and confirms the appointment or applies the
 * change of one, in one transaction. Never raises after counting.
 *
 * p_macs    [{keyId, mac}]: the code under the current and the previous pepper
 * Outcomes  confirmed, already_confirmed (same call), cancelled, rescheduled, wrong_code
 *           (attemptsLeft), code_locked, code_expired, code_unreadable (its pepper is not among
 *           p_macs), no_code, locked (front desk), hold_not_found, hold_expired, change_expired,
 *           busy, unknown_clinic, cross_tenant_denied; wrong_code, no_code and code_expired with
 *           undelivered when Twilio reported that the newest text did not arrive
 */
create function public.verify_otp_and_confirm(p_call jsonb, p_hold text, p_macs jsonb)
returns jsonb
language plpgsql volatile security definer set search_path = '' set lock_timeout = '1500ms'
  set jit = off
as $$
declare
  v_opened record;
begin
  perform private.require_read_committed();
  select * into v_opened from private.open_call(p_call, 'verify_otp');
  if v_opened.refusal is not null then
    return v_opened.refusal;
  end if;
  return private.verify_code(v_opened.org, p_call, p_hold, p_macs);
exception when lock_not_available or deadlock_detected then
  return '{"outcome": "busy"}';
end
$$;
comment on function public.verify_otp_and_confirm is
  'Tool verify_otp: checks a passcode and confirms the hold in place, or applies a change.';

/* An organization's encrypted account as an answer, and in the audit log that it was read. */
create function private.read_credentials(p_org uuid, p_call jsonb, p_provider text) returns jsonb
language plpgsql volatile set search_path = ''
as $$
declare
  v_row public.org_credentials;
begin
  select c.* into v_row from public.org_credentials as c
  where c.org_id = p_org and c.provider = p_provider;
  perform private.audit(p_org, p_call, 'read_credentials', null,
    case when v_row.org_id is null then 'not_configured' else 'found' end,
    jsonb_strip_nulls(jsonb_build_object('provider', p_provider, 'keyId', v_row.key_id)));
  if v_row.org_id is null then
    return jsonb_build_object('outcome', 'not_configured', 'orgId', p_org);
  end if;
  return jsonb_build_object('outcome', 'found', 'orgId', v_row.org_id, 'keyId', v_row.key_id,
    'nonce', encode(v_row.nonce, 'base64'), 'ciphertext', encode(v_row.ciphertext, 'base64'),
    'updatedAt', v_row.updated_at);
end
$$;
comment on function private.read_credentials is 'The encrypted account of an organization, or not_configured; audited.';

/*
 * Entry function: the encrypted account of the organization a call belongs to.
 * Outcomes: found (orgId, keyId, nonce, ciphertext as base64, updatedAt), not_configured,
 * unknown_clinic, cross_tenant_denied.
 */
create function public.get_org_credentials(p_call jsonb, p_provider text) returns jsonb
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_opened record;
begin
  select * into v_opened from private.open_call(p_call, 'send_otp');
  if v_opened.refusal is not null then
    return v_opened.refusal;
  end if;
  return private.read_credentials((v_opened.org).id, p_call, p_provider);
end
$$;
comment on function public.get_org_credentials is 'The encrypted account of a call''s organization.';

/*
 * Entry function: what get_org_credentials gave did not decrypt, so nothing was texted.
 * Outcomes: reported, unknown_clinic, cross_tenant_denied.
 */
create function public.report_unreadable_credentials(p_call jsonb, p_provider text) returns jsonb
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_opened record;
begin
  select * into v_opened from private.open_call(p_call, 'send_otp');
  if v_opened.refusal is not null then
    return v_opened.refusal;
  end if;
  perform private.audit((v_opened.org).id, p_call, 'read_credentials', null, 'unreadable',
    jsonb_build_object('provider', p_provider));
  return jsonb_build_object('outcome', 'reported', 'orgId', (v_opened.org).id);
end
$$;
comment on function public.report_unreadable_credentials is
  'Audits that an organization''s stored account does not decrypt.';

/*
 * Entry function of the credentials task: stores an account that was encrypted outside.
 *
 * p_replaces  the nonce (base64) of the row that was encrypted anew; a row stored meanwhile is left
 *             alone. Null stores in any case.
 * Returns     whether it was stored
 */
create function public.set_org_credentials(
  p_org uuid, p_provider text, p_key_id text, p_nonce text, p_ciphertext text,
  p_replaces text default null
) returns boolean
language plpgsql volatile security definer set search_path = '' set lock_timeout = '5s'
as $$
begin
  if p_replaces is null then
    insert into public.org_credentials (org_id, provider, key_id, nonce, ciphertext)
    values (p_org, p_provider, p_key_id, decode(p_nonce, 'base64'), decode(p_ciphertext, 'base64'))
    on conflict (org_id, provider) do update
    set key_id = excluded.key_id, nonce = excluded.nonce, ciphertext = excluded.ciphertext,
      updated_at = clock_timestamp();
  else
    update public.org_credentials as c
    set key_id = p_key_id, nonce = decode(p_nonce, 'base64'),
      ciphertext = decode(p_ciphertext, 'base64'), updated_at = clock_timestamp()
    where c.org_id = p_org and c.provider = p_provider and c.nonce = decode(p_replaces, 'base64');
  end if;
  if not found then
    return false;
  end if;
  perform private.audit(p_org, null, 'set_credentials', null,
    case when p_replaces is null then 'stored' else 'encrypted_anew' end,
    jsonb_build_object('provider', p_provider, 'keyId', p_key_id));
  return true;
end
$$;
comment on function public.set_org_credentials is
  'Stores an organization''s encrypted account, or replaces the one it was made from; audited.';

revoke execute on function
  public.begin_otp_send, public.complete_otp_send, public.clear_otp_send,
  public.verify_otp_and_confirm, public.get_org_credentials, public.set_org_credentials,
  public.report_unreadable_credentials
  from public, anon, authenticated;
grant execute on function
  public.begin_otp_send, public.complete_otp_send, public.clear_otp_send,
  public.verify_otp_and_confirm, public.get_org_credentials, public.set_org_credentials,
  public.report_unreadable_credentials
  to service_role;
