/*
 * Staff: who asks, what the role allows, and that a request counts once.
 *
 * Decisions
 * - Members of a clinic act by functions that tokens with an account may call (authenticated). The
 *   account is the token's, and the role is the one in org_members: nothing else of a token is read.
 * - The membership is locked until the transaction ends. Once public.set_member() has ended one,
 *   nothing that the account asked for takes effect any more, however long it had waited for a lock.
 * - Who is not a member hears unknown_clinic, whether or not there is such a clinic, and leaves no
 *   trace: strangers must not fill a clinic's audit log.
 * - Each request has an id that the client makes up once and repeats when it gets no answer. The answer
 *   is kept with those of the tools (public.tool_calls), and a repeated request gets it again.
 * - A request takes its locks in the order of the calls: itself, which is a call's lock, then call,
 *   numbers, provider, rows. What changes settings locks the clinic's row before all of them, as
 *   public.apply_clinic() and public.set_member() do.
 */

create function private.find_role(p_org uuid, p_user uuid) returns text
language sql stable set search_path = ''
as $$
  select m.role from public.org_members as m where m.org_id = p_org and m.user_id = p_user
$$;
comment on function private.find_role is 'The role of an account in an organization, or null.';

/* p_needed  the least role that may do what is asked */
create function private.role_refusal(p_role text, p_needed text) returns jsonb
language sql immutable set search_path = ''
as $$
  select case
    when p_role is null then '{"outcome": "unknown_clinic"}'::jsonb
    when p_role <> all (private.roles_from(p_needed))
      then jsonb_build_object('outcome', 'not_allowed', 'role', p_role, 'needed', p_needed) end
$$;
comment on function private.role_refusal is
  'Why somebody may not do what is asked: unknown_clinic, not_allowed (role, needed), or null.';

/* Recalls the answer to a repeated request. The request is locked. */
create function private.recall_request(p_org uuid, p_call_id text, p_request jsonb) returns jsonb
language sql stable set search_path = ''
as $$
  select case when t.tool = p_request ->> 'action'
      and t.arguments_hash = decode(p_request ->> 'arguments', 'hex')
    then t.result else '{"outcome": "request_reused"}' end
  from public.tool_calls as t
  where t.org_id = p_org and t.call_id = p_call_id and t.tool_call_id = p_request ->> 'toolCallId'
  limit 1
$$;
comment on function private.recall_request is
  'The answer that a request of staff has had, request_reused if it was another request, or null.';

/*
 * Begins a request of staff: locks the membership and the request.
 *
 * p_role       the least role that may ask; from manager on, the clinic's row is locked
 * p_arguments  what tells the request from another one
 * request      what private.audit() and private.leave_desk() are given
 * answer       request_needed, unknown_clinic, not_allowed, request_reused, or the answer to a repeated
 *              request; null if the request is to be carried out
 */
create function private.enter_desk(
  p_org uuid, p_request uuid, p_action text, p_role text, p_arguments jsonb,
  out org public.organizations, out request jsonb, out answer jsonb
)
language plpgsql volatile set search_path = ''
as $$
declare
  v_user constant uuid := auth.uid();
  v_call_id constant text := 'staff/' || v_user;
  v_role text := private.find_role(p_org, v_user);
begin
  perform private.require_read_committed();
  request := jsonb_build_object('staff', v_call_id, 'toolCallId', p_request, 'action', p_action,
    'arguments', encode(sha256(convert_to(p_arguments::text, 'UTF8')), 'hex'));
  answer := private.role_refusal(v_role, p_role);
  if answer is null then
    if p_role in ('manager', 'owner') then
      perform from public.organizations as o where o.id = p_org for no key update;
    end if;
    -- One request of an account at a time: sharing the row, requests that go on coming could keep the
    -- membership from being ended for as long as they like.
    select m.role into v_role from public.org_members as m
    where m.org_id = p_org and m.user_id = v_user for no key update;
    answer := private.role_refusal(v_role, p_role);
  end if;
  if answer ->> 'outcome' = 'not_allowed' then
    perform private.audit(p_org, request, p_action, null, 'not_allowed');
  elsif answer is null and p_request is null then
    answer := '{"outcome": "request_needed"}';
  end if;
  if answer is not null then
    return;
  end if;
  perform private.lock_call(p_org, v_call_id || '/' || p_request);
  answer := private.recall_request(p_org, v_call_id, request);
  select o.* into strict org from public.organizations as o where o.id = p_org;
end
$$;
comment on function private.enter_desk is
  'Begins a request of staff, or says why not; a repeated request has its answer.';

/* p_subject, p_details  as in private.audit() */
create function private.leave_desk(
  p_org uuid, p_request jsonb, p_subject uuid, p_answer jsonb, p_details jsonb default '{}'
) returns jsonb
language plpgsql volatile set search_path = ''
as $$
declare
  v_answer constant jsonb := p_answer || jsonb_build_object('orgId', p_org);
begin
  perform private.audit(
    p_org, p_request, p_request ->> 'action', p_subject, p_answer ->> 'outcome', p_details);
  perform private.record_answer(p_org, p_request || jsonb_build_object('callId', p_request -> 'staff'),
    p_request ->> 'action', decode(p_request ->> 'arguments', 'hex'), v_answer);
  return v_answer;
end
$$;
comment on function private.leave_desk is 'Audits and keeps the answer to a request of staff, and returns it.';

/*
 * Staff, from owner on: who the members are.
 *
 * Outcomes  found (members: [{userId, email, role}]), not_allowed, unknown_clinic
 */
create function public.staff_list_members(p_org uuid) returns jsonb
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_refusal constant jsonb :=
    private.role_refusal(private.find_role(p_org, auth.uid()), 'owner');
begin
  return coalesce(v_refusal, jsonb_build_object('outcome', 'found', 'orgId', p_org, 'members', (
    select jsonb_agg(jsonb_build_object('userId', m.user_id, 'email', u.email, 'role', m.role)
      order by u.email, m.user_id)
    from public.org_members as m join auth.users as u on u.id = m.user_id
    where m.org_id = p_org)));
end
$$;
comment on function public.staff_list_members is 'The members of a clinic, for its owners.';

/*
 * Staff, from owner on: another role for a member, or the end of the membership. New members are added by
 * the operator, since otherwise an owner could find out which accounts exist.
 *
 * p_role    viewer, desk, manager or owner; null ends the membership
 * Outcomes  changed, removed, unchanged, unknown_role, unknown_member, last_owner (a clinic keeps one),
 *           request_needed, request_reused, not_allowed, unknown_clinic, busy
 */
create function public.staff_change_member(p_org uuid, p_request uuid, p_user uuid, p_role text)
returns jsonb
language plpgsql volatile security definer set search_path = '' set lock_timeout = '1500ms'
as $$
declare
  v_desk record;
  v_before text;
  v_outcome text;
begin
  v_desk := private.enter_desk(p_org, p_request, 'staff_change_member', 'owner',
    jsonb_build_array(p_user, p_role));
  if v_desk.answer is not null then
    return v_desk.answer;
  end if;
  v_before := private.find_role(p_org, p_user);
  v_outcome := case
    when p_role <> all (private.roles_from('viewer')) then 'unknown_role'
    when v_before is null then 'unknown_member'
    when v_before = p_role then 'unchanged'
    when v_before = 'owner' and not exists (
      select from public.org_members as m
      where m.org_id = p_org and m.role = 'owner' and m.user_id <> p_user) then 'last_owner'
    when p_role is null then 'removed' else 'changed' end;
  if v_outcome = 'removed' then
    delete from public.org_members as m where m.org_id = p_org and m.user_id = p_user;
  elsif v_outcome = 'changed' then
    update public.org_members as m set role = p_role
    where m.org_id = p_org and m.user_id = p_user;
  end if;
  return private.leave_desk(p_org, v_desk.request, p_user, jsonb_build_object('outcome', v_outcome),
    jsonb_build_object('role', jsonb_build_array(v_before,
      case when p_role = any (private.roles_from('viewer')) then p_role end)));
exception when lock_not_available or deadlock_detected then
  return '{"outcome": "busy"}';
end
$$;
comment on function public.staff_change_member is
  'Changes the role of a member of a clinic or ends the membership, for its owners; audited.';

revoke execute on function public.staff_list_members, public.staff_change_member
  from public, anon, authenticated, service_role;
grant execute on function public.staff_list_members, public.staff_change_member to authenticated;
