/*
 * Texts: what became of each, first as Twilio answered and then as it reported.
 *
 * Decisions
 * - A text that certainly did not go out gives its quota back; one that may have gone out keeps it.
 * - Reports come late, repeated and in any order, also before the answer to the text itself. A state
 *   has a rank, and only a higher one is written: whatever the order, the end is the same. delivered
 *   is the highest, since a phone that has the text has it.
 * - The organization and the send are part of the address that Twilio signs, and were checked with
 *   that organization's token before record_delivery_report is called. A report of one organization
 *   finds no text of another.
 * - A text that its number does not take, such as a landline, says nothing about the texts of the
 *   organization: it counts as refused, not as undelivered, and is not sent there once more.
 * - Nothing else changes: the passcode of a text that was not delivered still verifies, should it have
 *   arrived after all. begin_otp_send and verify_otp_and_confirm read the state where it matters
 *   (private.was_not_delivered): then the next text need not wait, and the caller is told.
 */

create table public.sms_messages (
  org_id uuid not null,
  id uuid not null,
  appointment_id uuid,
  origin text not null
    constraint sms_messages_origin_known
    check (origin in ('own_number', 'other_number', 'no_number', 'follow_up')),
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
  'What became of the request: sending, accepted, refused, unknown when no answer came, or not_due: '
  'nothing was texted, since no appointment fits the name and number of a change.';
comment on column public.sms_messages.delivery is
  'What Twilio reported of the text, with error_code; null before the first report.';
comment on column public.sms_messages.tool_call_id is
  'Who asked for it: the same request delivered again does not text again.';
comment on column public.sms_messages.appointment_id is
  'The hold it is about; null for a change: which appointment is meant is not known before the passcode.';
comment on column public.sms_messages.origin is
  'Whether the call came from the number that is texted, from another, or from none, or has ended.';
create index sms_messages_by_time on public.sms_messages (org_id, created_at);
create index sms_messages_by_appointment on public.sms_messages (org_id, appointment_id)
  where appointment_id is not null;
create index sms_messages_by_call on public.sms_messages (org_id, call_id) where call_id is not null;
select private.protect('public.sms_messages', true);
grant select on public.sms_messages to service_role;

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
 * What becomes of a text that Twilio refused or did not answer for. Returns its row when it certainly
 * did not go out, once; else nulls.
 */
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
  perform private.tally('sms', jsonb_build_object('result', case
    when p_may_have_been_sent then 'unknown'
    when p_reason in ('bad_destination', 'opted_out', 'blocked_country') then 'refused'
    else 'failed' end));
  return case when not p_may_have_been_sent then v_message end;
end
$$;
comment on function private.fail_text is
  'Writes down that a text failed, and returns it when it certainly did not go out.';

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

/* Whether the last two texts of a call to a phone did not arrive. */
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
comment on function private.failed_twice is 'Whether two texts in a row did not reach a phone.';

/*
 * Whether an error code of Twilio's says that a number does not take the text, and not that texting
 * fails: 30003 the phone is off or out of reach, 30004 it is blocked, 30005 unknown, 30006 a landline,
 * 21610 it answered STOP. https://www.twilio.com/docs/api/errors
 */
create function private.is_fault_of_number(p_error_code integer) returns boolean
language plpgsql immutable set search_path = ''
as $$
begin
  return coalesce(p_error_code in (21610, 30003, 30004, 30005, 30006), false);
end
$$;
comment on function private.is_fault_of_number is 'Whether a text failed because of the number it went to.';

/* A phone that was off is tried again after the cooldown. */
create function private.was_refused_by_number(p_org uuid, p_send uuid, p_now timestamptz)
returns boolean
language plpgsql stable set search_path = ''
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
  'Whether another text to the number of an undelivered one would not arrive either.';

create function private.delivery_rank(p_delivery text) returns integer
language sql immutable strict set search_path = ''
as $$
  select array_position(
    array['queued', 'sending', 'sent', 'failed', 'undelivered', 'delivered'], p_delivery)
$$;
comment on function private.delivery_rank is 'A higher state replaces a lower one; null for no state of a text.';

create function private.delivery_of(p_status text) returns text
language sql immutable strict set search_path = ''
as $$
  select case
    when p_status in ('accepted', 'scheduled') then 'queued'
    when p_status = 'canceled' then 'failed'
    when private.delivery_rank(p_status) is not null then p_status
  end
$$;
comment on function private.delivery_of is 'Twilio''s MessageStatus as a state of a text; null for one that says nothing.';

/*
 * The tenant's report. See record_delivery_report.
 */
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
      perform private.tally('sms', jsonb_build_object('result', case
        when p_delivery = 'delivered' then 'delivered'
        when private.is_fault_of_number(p_error_code) then 'refused' else 'undelivered' end));
    end if;
  end if;
  return '{"outcome": "recorded"}';
end
$$;
comment on function private.record_delivery is 'Writes a state of a text that is higher than the known one.';

/*
 * Entry function of sms-status: one report whose signature was checked.
 *
 * p_org, p_send_id  from the address that Twilio signed
 * p_sid             Twilio's id of the text; kept when the answer to the text has not told it yet
 * p_status          Twilio's MessageStatus; p_error_code its ErrorCode or null
 * Outcomes          recorded, known (repeated, late, or a state that says nothing), unknown_send,
 *                   other_text (the send became another text), busy
 */
create function public.record_delivery_report(
  p_org uuid, p_send_id uuid, p_sid text, p_status text, p_error_code integer
) returns jsonb
language plpgsql volatile security definer set search_path = '' set lock_timeout = '1500ms'
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
