/*
 * Call reports: the end of a call, and what is stored about it.
 *
 * Decisions
 * - Vapi reports an end twice, in a status message and in a report, in any order and more than once.
 *   One locked row per call makes sure that each part happens once: the release of the call's holds,
 *   the report, the follow-up text.
 * - The release takes the locks of a claim, in their order, before any row, and every message releases
 *   again: if a claim was running during the status message, the report releases it. If a lock takes
 *   too long, the next message releases the hold, or it expires.
 * - Transcript and summary arrive redacted; the raw text never reaches the database. How many items of
 *   each kind were removed is stored with them: the redaction audit.
 * - A follow-up is marked before it is sent, and never sent again: at most one text a call, even if it
 *   gets lost.
 */

/*
 * A follow-up only goes to a number that the call came from or has proven. Its limits are separate from
 * those of passcodes: one an hour and two a day for a number, a fifth of the organization's texts.
 * private.lock_end() has locked what is counted.
 */
create function private.follow_up_refusal(
  p_org public.organizations, p_hold public.appointments, p_now timestamptz
) returns text
language plpgsql volatile set search_path = ''
as $$
declare
  v_phone constant bytea := private.hash_phone(p_hold.patient_phone);
  v_sent timestamptz[];
begin
  select n.followed_up_at into v_sent from public.phone_counts as n where n.phone_hash = v_phone;
  return case
    when not exists (
      select from public.calls as c
      where c.org_id = p_org.id and c.call_id = p_hold.call_id and c.caller_hash = v_phone)
      and not private.is_proven(p_org.id, p_hold.call_id, v_phone, p_now) then 'other_number'
    when not coalesce(p_hold.patient_country = any (p_org.sms_countries), false)
      then 'blocked_country'
    when private.is_blocked(p_org.id, v_phone)
      or private.count_since(v_sent, p_now - interval '1 hour') >= 1
      or private.count_since(v_sent, p_now - interval '1 day') >= 2 then 'phone_send_limit'
    when (
      select count(*) from public.sms_messages as m
      where m.org_id = p_org.id and m.created_at > p_now - interval '1 hour'
        and m.origin = 'follow_up' and m.status <> 'refused')
      >= greatest(1, p_org.sms_hourly_limit / 5) then 'org_send_limit'
  end;
end
$$;
comment on function private.follow_up_refusal is 'Why the phone of a hold gets no follow-up, or null.';

/* Returns 'claimed' if the text was stored and counted, or why the call gets none. */
create function private.begin_follow_up(
  p_org public.organizations, p_call jsonb, p_hold public.appointments, p_ended_reason text,
  p_send uuid
) returns text
language plpgsql volatile set search_path = ''
as $$
declare
  v_now constant timestamptz := clock_timestamp();
  v_phone constant bytea := private.hash_phone(p_hold.patient_phone);
  v_refusal text;
begin
  v_refusal := case
    when not p_org.follow_up_texts then 'switched_off'
    when p_ended_reason ~ 'forward|transfer' then 'forwarded'
    when exists (
      select from public.appointments as a
      where a.org_id = p_org.id and a.call_id = p_hold.call_id and a.status = 'confirmed')
      then 'booked'
    -- The new time of a move was not confirmed, so the appointment stays as it was.
    when exists (
      select from public.appointment_changes as c
      where c.org_id = p_org.id and c.call_id = p_hold.call_id and c.hold_id = p_hold.id)
      then 'keeps_appointment'
    when exists (
      select from public.sms_opt_outs as o
      where o.org_id = p_org.id and o.phone_hash = private.hash_phone(p_hold.patient_phone))
      then 'opted_out'
    else private.follow_up_refusal(p_org, p_hold, v_now)
  end;
  if v_refusal is null then
    insert into public.sms_messages (
      org_id, id, appointment_id, origin, to_masked, to_hash, call_id, created_at
    ) values (
      p_org.id, p_send, p_hold.id, 'follow_up', private.mask_phone(p_hold.patient_phone), v_phone,
      p_hold.call_id, v_now
    );
    insert into public.phone_counts as n (phone_hash, followed_up_at) values (v_phone, array[v_now])
    on conflict (phone_hash) do update set changed_at = v_now,
      followed_up_at = private.keep_since(n.followed_up_at, v_now - interval '1 day') || v_now;
  end if;
  perform private.audit(p_org.id, p_call, 'follow_up', p_hold.id, coalesce(v_refusal, 'claimed'));
  return coalesce(v_refusal, 'claimed');
end
$$;
comment on function private.begin_follow_up is
  'Stores the one follow-up text of a call that left this hold open, or says why there is none.';

/*
 * Takes the locks of the end of a call, in their order: the call, the numbers of its holds, the texts of
 * the organization. No row of it is locked yet. Returns false if a lock took too long.
 */
create function private.lock_end(p_org public.organizations, p_call_id text) returns boolean
language plpgsql volatile set search_path = ''
as $$
declare
  v_phones bytea[];
begin
  perform private.lock_call(p_org.id, p_call_id);
  v_phones := array(
    select private.hash_phone(m.patient_phone) from private.rows_of_call(p_org.id, p_call_id) as m
    where m.status = 'held' and not private.is_kept(m) and m.patient_phone is not null);
  if p_org.follow_up_texts and v_phones <> '{}' then
    perform private.lock_phones(v_phones);
    perform pg_advisory_xact_lock(hashtextextended(p_org.id || '/sms', 0));
  end if;
  return true;
exception when lock_not_available or deadlock_detected then
  return false;
end
$$;
comment on function private.lock_end is 'Locks a call that ends and what its follow-up counts; false if that took too long.';

/* The call is locked. Returns the newest hold, or nulls if there was none. */
create function private.release_call(p_org public.organizations, p_call jsonb)
returns public.appointments
language plpgsql volatile set search_path = ''
as $$
declare
  v_call_id constant text := p_call ->> 'callId';
  v_hold public.appointments;
begin
  perform private.lock_holds(p_org.id, v_call_id);
  for v_hold in
    select a.* from public.appointments as a
    where a.org_id = p_org.id and a.call_id = v_call_id and a.status = 'held'
      -- A call ends, and what it has left to the front desk stays.
      and not private.is_kept(a)
    order by a.created_at
  loop
    perform private.release_hold(p_org.id, p_call, 'end_call', v_hold.id);
  end loop;
  return v_hold;
end
$$;
comment on function private.release_call is 'Releases the holds of a call that has ended.';

/* The part of public.end_call that both messages do, under private.lock_end(). p_known is locked. */
create function private.close_call(
  p_org public.organizations, p_call jsonb, p_known public.call_reports, p_ended_reason text,
  p_send uuid
) returns jsonb
language plpgsql volatile set search_path = ''
as $$
declare
  v_hold public.appointments;
  v_follow_up text;
begin
  v_hold := private.release_call(p_org, p_call);
  if v_hold.id is not null and p_known.follow_up is null then
    v_follow_up := private.begin_follow_up(p_org, p_call, v_hold, p_ended_reason, p_send);
  end if;
  perform private.end_proofs(p_org.id, p_known.call_id);
  update public.calls as c set seen_at = clock_timestamp()
  where c.org_id = p_org.id and c.call_id = p_known.call_id and p_known.ended_at is null;
  update public.call_reports as r
  set ended_at = coalesce(r.ended_at, clock_timestamp()),
    follow_up = coalesce(r.follow_up, v_follow_up)
  where r.org_id = p_org.id and r.call_id = p_known.call_id;
  return jsonb_build_object('outcome',
    case when p_known.ended_at is null then 'ended' else 'repeated' end) || case
    when v_follow_up = 'claimed' then jsonb_strip_nulls(jsonb_build_object('followUp', jsonb_build_object(
      'clinic', p_org.name, 'phone', v_hold.patient_phone, 'callBack', (
        select min(c.value) from public.org_channels as c
        where c.org_id = p_org.id and c.kind = 'called_number'))))
    else '{}' end;
exception when lock_not_available or deadlock_detected then
  return '{"outcome": "busy"}';
end
$$;
comment on function private.close_call is 'Releases the holds of a call and begins its follow-up; busy if a lock took too long.';

/*
 * No report may contain any of it, whether the call held a time, asked about an appointment, left a
 * message, or was refused.
 */
create function private.known_of_call(p_org uuid, p_call_id text) returns jsonb
language sql stable set search_path = ''
as $$
  select jsonb_build_object(
    'names', coalesce(jsonb_agg(distinct k.name) filter (where k.name is not null), '[]'),
    'phones', coalesce(jsonb_agg(distinct k.phone) filter (where k.phone is not null), '[]'),
    'isTexted', exists (
      select from public.sms_messages as m
      where m.org_id = p_org and m.call_id = p_call_id and m.origin <> 'follow_up'))
  from (
    select a.patient_name, a.patient_phone from public.appointments as a
    where a.org_id = p_org and a.call_id = p_call_id
    union all select x.patient_name, x.patient_phone from public.appointment_changes as x
    where x.org_id = p_org and x.call_id = p_call_id
    union all select unnest(c.patient_names), null from public.calls as c
    where c.org_id = p_org and c.call_id = p_call_id
    union all select m.caller_name, m.phone from public.desk_messages as m
    where m.org_id = p_org and m.call_id = p_call_id) as k (name, phone)
$$;
comment on function private.known_of_call is
  'Names and numbers that were given in a call, and whether it requested a code.';

/*
 * Entry function: a call has ended, according to a status message (p_report null) or its report.
 *
 * p_report  {endedReason, durationSeconds, cost, transcript, summary, redactions}, redacted
 * p_send    a fresh uuid: the id of the follow-up text, if one is due
 * Outcomes  ended, filed (with the report), repeated, busy (send it again), no_call (it has no id),
 *           unknown_clinic; with followUp {phone, clinic, callBack} if a text must be sent now, and
 *           without a report known {names, phones, isTexted}: what a report must not contain
 */
create function public.end_call(p_call jsonb, p_ended_reason text, p_report jsonb, p_send uuid)
returns jsonb
language plpgsql volatile security definer set search_path = '' set lock_timeout = '1500ms'
as $$
declare
  v_call_id constant text := p_call ->> 'callId';
  v_opened record;
  v_is_locked boolean;
  v_known public.call_reports;
  v_answer jsonb;
begin
  perform private.require_read_committed();
  v_opened := private.open_call(p_call, 'end_call');
  if v_opened.refusal is not null then
    return v_opened.refusal;
  elsif v_call_id is null then
    return jsonb_build_object('outcome', 'no_call', 'orgId', (v_opened.org).id);
  end if;
  v_is_locked := private.lock_end(v_opened.org, v_call_id);
  insert into public.call_reports (org_id, call_id) values ((v_opened.org).id, v_call_id)
  on conflict do nothing;
  select r.* into strict v_known from public.call_reports as r
  where r.org_id = (v_opened.org).id and r.call_id = v_call_id for update;

  v_answer := case when v_is_locked
    then private.close_call(v_opened.org, p_call, v_known, p_ended_reason, p_send)
    else '{"outcome": "busy"}' end;
  if p_report is null then
    v_answer := v_answer ||
      jsonb_build_object('known', private.known_of_call((v_opened.org).id, v_call_id));
  elsif v_known.reported_at is null then
    update public.call_reports as r
    set reported_at = clock_timestamp(), ended_reason = p_ended_reason,
      duration_seconds = (p_report ->> 'durationSeconds')::double precision,
      cost = (p_report ->> 'cost')::double precision,
      transcript = p_report ->> 'transcript', summary = p_report ->> 'summary',
      redactions = coalesce(p_report -> 'redactions', '{}')
    where r.org_id = (v_opened.org).id and r.call_id = v_call_id;
    perform private.audit((v_opened.org).id, p_call, 'file_report', null, 'filed',
      jsonb_build_object('redactions', coalesce(p_report -> 'redactions', '{}')));
    v_answer := case when v_answer ->> 'outcome' = 'busy' then v_answer
      else v_answer || '{"outcome": "filed"}' end;
  end if;
  return v_answer || jsonb_build_object('orgId', (v_opened.org).id);
exception
  when lock_not_available or deadlock_detected then
    return '{"outcome": "busy"}';
  when foreign_key_violation then
    return private.refuse_gone(p_call, 'end_call');
end
$$;
comment on function public.end_call is
  'A call has ended: releases its holds, stores its report, begins its follow-up, each once.';

/*
 * Entry function: the result of a follow-up; p_sid if Twilio accepted it, else p_reason.
 *
 * Outcomes  sent, failed, busy (nothing is stored), unknown_clinic
 */
create function public.settle_follow_up(
  p_call jsonb, p_send uuid, p_sid text, p_reason text, p_may_have_been_sent boolean
) returns jsonb
language plpgsql volatile security definer set search_path = '' set lock_timeout = '1500ms'
as $$
declare
  v_opened record;
  v_outcome constant text := case when p_sid is null then 'failed' else 'sent' end;
begin
  v_opened := private.open_call(p_call, 'follow_up');
  if v_opened.refusal is not null then
    return v_opened.refusal;
  end if;
  perform private.lock_call((v_opened.org).id, p_call ->> 'callId');
  if p_sid is null then
    perform private.fail_text((v_opened.org).id, p_send, p_reason, p_may_have_been_sent);
  else
    perform private.accept_text((v_opened.org).id, p_send, p_sid);
  end if;
  update public.call_reports as r set follow_up = v_outcome
  where r.org_id = (v_opened.org).id and r.call_id = p_call ->> 'callId' and r.follow_up = 'claimed';
  perform private.audit((v_opened.org).id, p_call, 'follow_up', null, v_outcome,
    jsonb_strip_nulls(jsonb_build_object('sendId', p_send, 'reason', p_reason)));
  return jsonb_build_object('outcome', v_outcome, 'orgId', (v_opened.org).id);
exception when lock_not_available or deadlock_detected then
  return '{"outcome": "busy"}';
end
$$;
comment on function public.settle_follow_up is 'Stores the result of a follow-up text.';

revoke execute on function
  public.end_call, public.settle_follow_up
  from public, anon, authenticated;
grant execute on function public.end_call, public.settle_follow_up to service_role;
