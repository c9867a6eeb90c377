/*
 * Texts: the result of each, first from Twilio's answer and then from its delivery reports.
 *
 * Decisions
 * - A text that certainly did not go out is uncounted; one that may have gone out still counts.
 * - Reports come late, repeated and in any order, even before the answer to the text itself. Each state
 *   has a rank, and only a higher one is written, so the order does not matter. delivered ranks highest:
 *   a phone that has received the text has it.
 * - The organization and the send are part of the address that Twilio signs. They were checked with
 *   that organization's token before record_delivery_report is called, so a report of one organization
 *   cannot reach a text of another.
 * - If a number cannot receive texts, such as a landline, this says nothing about the organization's
 *   texts: it counts as refused, not as undelivered, and the number is not texted again.
 * - Nothing else changes: the passcode of an undelivered text still verifies, in case it did arrive.
 *   begin_otp_send and verify_otp_and_confirm read the state (private.was_not_delivered): then the next
 *   text need not wait, and the caller is told.
 */

create function private.is_appointment_text(p_kind text) returns boolean
language sql immutable
return p_kind in ('confirmation', 'change', 'cancellation', 'reminder');
comment on function private.is_appointment_text is
  'Whether a text tells a patient about an appointment, and has no passcode in it.';

create table public.sms_messages (
  org_id uuid not null,
  id uuid not null,
  appointment_id uuid,
  origin text not null
    constraint sms_messages_origin_known
    check (origin in ('own_number', 'other_number', 'no_number', 'follow_up')
      or private.is_appointment_text(origin)),
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
  handled_at timestamptz,
  handled_by uuid,
  primary key (org_id, id),
  foreign key (org_id, appointment_id)
    references public.appointments (org_id, id) on delete cascade
);
comment on table public.sms_messages is
  'One row per text, whose id is the send_id. The body is never stored.';
comment on column public.sms_messages.status is
  'The result of the request: sending, accepted, refused, unknown if no answer came, or not_due: '
  'nothing was texted, since no appointment fits the name and number of a change.';
comment on column public.sms_messages.delivery is
  'What Twilio reported about the text, with error_code; null before the first report.';
comment on column public.sms_messages.tool_call_id is
  'The tool call that requested it: a repeated request does not send another text.';
comment on column public.sms_messages.appointment_id is
  'The hold it is about; null for a change, whose appointment is not known before the passcode.';
comment on column public.sms_messages.handled_at is
  'When the desk had dealt with a text that did not arrive.';
comment on column public.sms_messages.handled_by is 'The account of the member of staff who said so.';
comment on column public.sms_messages.origin is
  'Whether the call came from the number that is texted, from another, or from none; or that it has ended; or what the text says about an appointment.';
create index sms_messages_by_time on public.sms_messages (org_id, created_at);
create index sms_messages_by_appointment on public.sms_messages (org_id, appointment_id)
  where appointment_id is not null;
create index sms_messages_by_call on public.sms_messages (org_id, call_id) where call_id is not null;
select private.protect('public.sms_messages', 'desk');
grant select on public.sms_messages to service_role;

create table public.sms_opt_outs (
  org_id uuid not null references public.organizations (id) on delete cascade,
  phone_hash bytea not null
    constraint sms_opt_outs_hash_length check (octet_length(phone_hash) = 32),
  at timestamptz not null default clock_timestamp(),
  primary key (org_id, phone_hash)
);
comment on table public.sms_opt_outs is
  'Phones whose owners want no texts from an organization, according to Twilio (21610), by SHA-256 of the '
  'number. Only passcodes are still sent, since Twilio knows who has opted in again.';
select private.protect('public.sms_opt_outs', null);

create function private.tally_text(p_origin text, p_result text) returns void
language plpgsql volatile set search_path = ''
as $$
begin
  if private.is_appointment_text(p_origin) then
    perform private.tally('appointment_texts',
      jsonb_build_object('kind', p_origin, 'result', p_result));
  else
    perform private.tally('sms', jsonb_build_object('result', p_result));
  end if;
end
$$;
comment on function private.tally_text is
  'Counts what became of a text; texts about appointments apart from those of calls.';

/* Twilio's answer to a text says whether the owner of the phone wants texts. */
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
    -- A report of this very text may have come first.
    delete from public.sms_opt_outs as o
    where o.org_id = p_org and o.phone_hash = v_hash and not exists (
      select from public.sms_messages as m
      where m.org_id = p_org and m.id = p_send and m.error_code = 21610);
  end if;
end
$$;
comment on function private.note_opt_out is
  'Stores that the owner of a phone wants no texts; an accepted text deletes this.';

create function private.accept_text(p_org uuid, p_send uuid, p_sid text) returns void
language plpgsql volatile set search_path = ''
as $$
declare
  v_origin text;
begin
  update public.sms_messages as m
  set sid = p_sid, status = case when m.status = 'sending' then 'accepted' else m.status end,
    updated_at = clock_timestamp()
  where m.org_id = p_org and m.id = p_send
  returning m.origin into v_origin;
  perform private.note_opt_out(p_org, p_send, false);
  perform private.tally_text(v_origin, 'accepted');
end
$$;
comment on function private.accept_text is 'Records that Twilio accepted a text.';

/* Returns its row if it certainly did not go out, once; else nulls. */
create function private.fail_text(
  p_org uuid, p_send uuid, p_reason text, p_may_have_been_sent boolean
) returns public.sms_messages
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
    return null;
  end if;
  perform private.tally_text(v_message.origin, case
    when p_may_have_been_sent then 'unknown'
    when p_reason in ('bad_destination', 'opted_out', 'blocked_country') then 'refused'
    else 'failed' end);
  return case when not p_may_have_been_sent then v_message end;
end
$$;
comment on function private.fail_text is
  'Records that Twilio refused a text or did not answer.';

create function private.was_not_delivered(p_org uuid, p_send uuid) returns boolean
language plpgsql stable strict set search_path = ''
as $$
begin
  return exists (
    select from public.sms_messages as m
    where m.org_id = p_org and m.id = p_send and m.delivery in ('failed', 'undelivered'));
end
$$;
comment on function private.was_not_delivered is
  'Whether a text did not arrive, according to Twilio; null if there is none.';

create function private.failed_twice(p_org uuid, p_call_id text, p_phone bytea) returns boolean
language plpgsql stable set search_path = ''
as $$
begin
  return (
    select count(*) filter (where t.delivery in ('failed', 'undelivered')) = 2
    from (
      select m.delivery from public.sms_messages as m
      where m.org_id = p_org and m.call_id = p_call_id and m.to_hash = p_phone
        and m.status <> 'refused'
      order by m.created_at desc limit 2
    ) as t);
end
$$;
comment on function private.failed_twice is 'Whether the last two texts of a call to a phone did not arrive.';

/*
 * Twilio's error codes for a number that cannot receive texts: 30003 the phone is off or out of reach,
 * 30004 blocked, 30005 unknown, 30006 a landline, 21610 it answered STOP.
 * https://www.twilio.com/docs/api/errors
 */
create function private.is_fault_of_number(p_error_code integer) returns boolean
language sql immutable
return coalesce(p_error_code in (21610, 30003, 30004, 30005, 30006), false);
comment on function private.is_fault_of_number is 'Whether a text failed because of its number, and not because texting fails.';

/* A phone that was off is tried again after the cooldown. */
create function private.was_refused_by_number(p_org uuid, p_send uuid, p_now timestamptz)
returns boolean
language plpgsql stable strict set search_path = ''
as $$
begin
  return exists (
    select from public.sms_messages as m
    where m.org_id = p_org and m.id = p_send and m.delivery in ('failed', 'undelivered')
      and private.is_fault_of_number(m.error_code)
      and (m.error_code <> 30003 or m.updated_at > p_now - private.text_cooldown()));
end
$$;
comment on function private.was_refused_by_number is
  'Whether a text did not arrive because of its number, so that another one would not either; null if there is none.';

create function private.delivery_rank(p_delivery text) returns integer
language sql immutable
return array_position(
  array['queued', 'sending', 'sent', 'failed', 'undelivered', 'delivered'], p_delivery);
comment on function private.delivery_rank is 'A higher state replaces a lower one; null for any other word.';

create function private.delivery_of(p_status text) returns text
language sql immutable
return case
  when p_status in ('accepted', 'scheduled') then 'queued'
  when p_status = 'canceled' then 'failed'
  when private.delivery_rank(p_status) is not null then p_status end;
comment on function private.delivery_of is 'Twilio''s MessageStatus as a state of a text; null if it says nothing about delivery.';

/* See record_delivery_report. */
create function private.record_delivery(
  p_org uuid, p_send uuid, p_sid text, p_delivery text, p_error_code integer
) returns jsonb
language plpgsql volatile set search_path = ''
as $$
declare
  v_text public.sms_messages;
  v_before integer;
begin
  select m.* into v_text from public.sms_messages as m
  where m.org_id = p_org and m.id = p_send for update;
  if v_text.id is null then
    return '{"outcome": "unknown_send"}';
  elsif v_text.sid <> p_sid then
    return '{"outcome": "other_text"}';
  end if;
  v_before := coalesce(private.delivery_rank(v_text.delivery), 0);
  if private.delivery_rank(p_delivery) <= v_before then
    return '{"outcome": "known"}';
  end if;
  update public.sms_messages as m
  set sid = p_sid, delivery = p_delivery, error_code = p_error_code, updated_at = clock_timestamp()
  where m.org_id = p_org and m.id = p_send;
  if p_error_code = 21610 then
    perform private.note_opt_out(p_org, p_send, true);
  end if;
  if p_delivery in ('failed', 'undelivered', 'delivered') then
    perform private.audit(p_org, null, 'deliver_text', v_text.appointment_id, p_delivery,
      jsonb_strip_nulls(jsonb_build_object('sendId', p_send, 'errorCode', p_error_code)));
    if v_before < private.delivery_rank('failed') then
      perform private.tally_text(v_text.origin, case
        when p_delivery = 'delivered' then 'delivered'
        when private.is_fault_of_number(p_error_code) then 'refused' else 'undelivered' end);
    end if;
  end if;
  return '{"outcome": "recorded"}';
end
$$;
comment on function private.record_delivery is 'Stores the state of a text, if it ranks higher than the known one.';

/*
 * Entry function of sms-status: one report, whose signature was checked.
 *
 * p_org, p_send_id  from the address that Twilio signed
 * p_sid             Twilio's id of the text; stored if the answer to the text has not come yet
 * p_status          Twilio's MessageStatus; p_error_code its ErrorCode or null
 * Outcomes          recorded, known (repeated, late, or without a delivery state), unknown_send,
 *                   other_text (the send belongs to another text), busy
 */
create function public.record_delivery_report(
  p_org uuid, p_send_id uuid, p_sid text, p_status text, p_error_code integer
) returns jsonb
language plpgsql volatile security definer set search_path = '' set lock_timeout = '1500ms'
  set jit = off set plan_cache_mode = force_generic_plan
as $$
declare
  v_delivery constant text := private.delivery_of(p_status);
begin
  return case when v_delivery is null then '{"outcome": "known"}'
    else private.record_delivery(p_org, p_send_id, p_sid, v_delivery, p_error_code) end;
exception when lock_not_available or deadlock_detected then
  return '{"outcome": "busy"}';
end
$$;
comment on function public.record_delivery_report is 'A signed delivery report: the state of one text.';

revoke execute on function public.record_delivery_report from public, anon, authenticated;
grant execute on function public.record_delivery_report to service_role;
