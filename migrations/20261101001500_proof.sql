/*
 * Proof: a passcode is texted and said back, and turns a hold into a confirmed appointment or lets a
 * change of one take effect.
 *
 * Decisions
 * - A send is a claim (state sending, a fresh send_id) that lapses after 30 seconds. complete and
 *   clear compare send_id: a late failure of send A never touches code B.
 * - verify returns wrong_code and never raises after counting: a rollback would un-count it.
 * - A request delivered twice is answered the same and counts once: verify keeps its answers by
 *   call, tool call and arguments, send knows the tool call of each text.
 */

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
  return private.answer(v_opened.org, private.begin_send(
    v_opened.org, p_call, p_hold, p_send_id, p_mac, p_key_id, p_sender));
exception when lock_not_available or deadlock_detected then
  return '{"outcome": "busy"}';
end
$$;
comment on function public.begin_otp_send is
  'Tool send_otp, before the text: checks hold, cooldown and quotas, stores the code''s MAC.';

/*
 * Entry function, after Twilio accepted. Harmless when it fails or comes late: the code verifies in
 * the state sending too.
 *
 * Outcomes  sent, not_current (another send took over), busy
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
 *
 * Outcomes  cleared, not_current (another send took over), busy (the claim lapses by itself)
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
  return private.answer(v_opened.org, private.verify_code(v_opened.org, p_call, p_hold, p_macs));
exception when lock_not_available or deadlock_detected then
  return '{"outcome": "busy"}';
end
$$;
comment on function public.verify_otp_and_confirm is
  'Tool verify_otp: checks a passcode and confirms the hold in place, or applies a change.';

revoke execute on function
  public.begin_otp_send, public.complete_otp_send, public.clear_otp_send,
  public.verify_otp_and_confirm
  from public, anon, authenticated;
grant execute on function
  public.begin_otp_send, public.complete_otp_send, public.clear_otp_send,
  public.verify_otp_and_confirm
  to service_role;
