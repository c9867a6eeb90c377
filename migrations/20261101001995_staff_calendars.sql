/*
 * Staff calendars: what managers do about the calendars that their clinic gives out and reads.
 *
 * Decisions
 * - The browser creates the token and sends its hash. Answers are stored for repeated requests, so no
 *   answer may contain a token.
 */

/*
 * Staff, from manager on: the calendars that the clinic gives out, and the doctors' own.
 *
 * Outcomes  found (feeds and busy, as list_calendars), not_allowed, unknown_clinic
 */
create function public.staff_list_calendars(p_org uuid) returns jsonb
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_refusal constant jsonb :=
    private.role_refusal(private.find_role(p_org, auth.uid()), 'manager');
begin
  return coalesce(v_refusal, jsonb_build_object(
    'outcome', 'found', 'orgId', p_org, 'feeds', private.list_feeds(p_org),
    'busy', private.list_busy(p_org)));
end
$$;
comment on function public.staff_list_calendars is
  'The feeds of a clinic and its doctors'' own calendars, for its managers; without tokens and addresses.';

/*
 * Staff, from manager on: gives out a calendar.
 *
 * p_provider    null for the whole clinic
 * p_label       who gets it
 * p_token_hash  SHA-256, hex, of the token: cal_ and, as base64url, the 16 bytes of p_org and 32 random
 *               bytes
 * Outcomes      added (feedId), unknown_provider, too_many_feeds, invalid_feed (reason), request_needed,
 *               request_reused, not_allowed, unknown_clinic, busy
 */
create function public.staff_add_calendar_feed(
  p_org uuid, p_request uuid, p_provider uuid, p_label text, p_token_hash text
) returns jsonb
language plpgsql volatile security definer set search_path = '' set lock_timeout = '1500ms'
as $$
declare
  v_desk record;
  v_answer jsonb;
begin
  v_desk := private.enter_desk(p_org, p_request, 'staff_add_calendar_feed', 'manager',
    jsonb_build_array(p_provider, p_label, p_token_hash));
  if v_desk.answer is not null then
    return v_desk.answer;
  end if;
  v_answer := private.add_feed(p_org, gen_random_uuid(), p_provider, p_label, p_token_hash);
  return private.leave_desk(
    p_org, v_desk.request, (v_answer ->> 'feedId')::uuid, v_answer);
exception when lock_not_available or deadlock_detected then
  return '{"outcome": "busy"}';
end
$$;
comment on function public.staff_add_calendar_feed is
  'Gives out the calendar of a provider or of the clinic, by the hash of its token; audited.';

/*
 * Staff, from manager on: revokes a calendar.
 *
 * Outcomes  revoked, unknown_feed, request_needed, request_reused, not_allowed, unknown_clinic, busy
 */
create function public.staff_revoke_calendar_feed(p_org uuid, p_request uuid, p_feed uuid)
returns jsonb
language plpgsql volatile security definer set search_path = '' set lock_timeout = '1500ms'
as $$
declare
  v_desk record;
begin
  v_desk := private.enter_desk(
    p_org, p_request, 'staff_revoke_calendar_feed', 'manager', jsonb_build_array(p_feed));
  if v_desk.answer is not null then
    return v_desk.answer;
  end if;
  return private.leave_desk(p_org, v_desk.request, p_feed, private.revoke_feed(p_org, p_feed));
exception when lock_not_available or deadlock_detected then
  return '{"outcome": "busy"}';
end
$$;
comment on function public.staff_revoke_calendar_feed is
  'Revokes a calendar feed of a clinic; audited.';

/*
 * Staff, from manager on: the address of a doctor's own calendar, whose busy times become absences. Nobody
 * can read it again.
 *
 * p_address  https:// or webcal://; null for none, which ends the absences that came from it
 * Outcomes   set, removed, unchanged, unknown_provider, invalid_address (reason), request_needed,
 *            request_reused, not_allowed, unknown_clinic, busy
 */
create function public.staff_set_busy_calendar(
  p_org uuid, p_request uuid, p_provider uuid, p_address text
) returns jsonb
language plpgsql volatile security definer set search_path = '' set lock_timeout = '1500ms'
as $$
declare
  v_desk record;
begin
  v_desk := private.enter_desk(p_org, p_request, 'staff_set_busy_calendar', 'manager',
    jsonb_build_array(p_provider, p_address));
  if v_desk.answer is not null then
    return v_desk.answer;
  end if;
  return private.leave_desk(p_org, v_desk.request, p_provider,
    private.set_busy(p_org, p_provider, p_address),
    jsonb_strip_nulls(jsonb_build_object('host', private.host_of(p_address))));
exception when lock_not_available or deadlock_detected then
  return '{"outcome": "busy"}';
end
$$;
comment on function public.staff_set_busy_calendar is
  'Sets or removes the address of a doctor''s own calendar; audited without it.';

revoke execute on function
  public.staff_set_busy_calendar, public.staff_list_calendars, public.staff_add_calendar_feed, public.staff_revoke_calendar_feed
  from public, anon, authenticated, service_role;
grant execute on function
  public.staff_set_busy_calendar, public.staff_list_calendars, public.staff_add_calendar_feed, public.staff_revoke_calendar_feed
  to authenticated;
