/*
 * Delivery reports: what Twilio says became of a text after it was accepted.
 *
 * Decisions
 * - Reports come late, repeated and in any order, also before the answer to the text itself. A state
 *   has a rank, and only a higher one is written: whatever the order, the end is the same. delivered
 *   is the highest, since a phone that has the text has it.
 * - The organization and the send are part of the address that Twilio signs, and were checked with
 *   that organization's token before these functions are called. A report of one organization finds
 *   no text of another.
 * - Nothing else changes: the passcode of a text that was not delivered still verifies, should it have
 *   arrived after all. begin_otp_send and verify_otp_and_confirm read the state where it matters
 *   (private.was_not_delivered): then the next text need not wait, and the caller is told.
 */

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
      perform private.tally('sms', jsonb_build_object(
        'result', case p_delivery when 'delivered' then 'delivered' else 'undelivered' end));
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

/*
 * Entry function of sms-status: the encrypted account whose token says whether a report is signed.
 * Outcomes: found, not_configured, unknown_clinic (nobody has this id).
 */
create function public.get_credentials_of(p_org uuid, p_provider text) returns jsonb
language plpgsql volatile security definer set search_path = ''
as $$
begin
  if not exists (select from public.organizations as o where o.id = p_org) then
    return '{"outcome": "unknown_clinic"}';
  end if;
  return private.read_credentials(p_org, null, p_provider);
end
$$;
comment on function public.get_credentials_of is 'The encrypted account of an organization; audited.';

revoke execute on function
  private.delivery_rank, private.delivery_of, private.record_delivery,
  public.record_delivery_report, public.get_credentials_of
  from public, anon, authenticated;
grant execute on function public.record_delivery_report, public.get_credentials_of to service_role;
