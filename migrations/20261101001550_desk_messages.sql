/*
 * Desk messages: what callers leave for the front desk when they cannot be transferred.
 *
 * Decisions
 * - Only the clinic's staff read name, number and preferred time. The message arrives redacted, like
 *   transcripts; the raw text never reaches the database.
 * - A call may leave two messages. A clinic takes a limited number an hour; one number, and all calls
 *   without a number together, get a share of it, so that nobody can block the others.
 * - A repeated request does not leave a second message.
 */

create table public.desk_messages (
  org_id uuid not null references public.organizations (id) on delete cascade,
  id uuid not null default gen_random_uuid(),
  call_id text,
  tool_call_id text,
  -- The caller's number, for counting; null if it is withheld or shared.
  caller_hash bytea,
  caller_name text not null
    constraint desk_messages_name_given check (length(btrim(caller_name)) between 1 and 120),
  phone text not null
    constraint desk_messages_phone_e164 check (phone ~ '^\+[1-9][0-9]{6,14}$'),
  wished_time text
    constraint desk_messages_wish_short check (length(wished_time) <= 200),
  message text not null
    constraint desk_messages_message_short check (length(message) between 1 and 2000),
  created_at timestamptz not null default clock_timestamp(),
  handled_at timestamptz,
  handled_by uuid,
  primary key (org_id, id)
);
comment on table public.desk_messages is
  'Messages of callers for the front desk: whom to call back, when, and why, without personal data in the text.';
comment on column public.desk_messages.wished_time is 'When the caller would like to be called, as said.';
comment on column public.desk_messages.message is 'What the caller said, redacted.';
comment on column public.desk_messages.handled_at is 'When the desk had dealt with it.';
comment on column public.desk_messages.handled_by is 'The account of the member of staff who said so.';
create index desk_messages_by_time on public.desk_messages (org_id, created_at);
create index desk_messages_by_call on public.desk_messages (org_id, call_id)
  where call_id is not null;
select private.protect('public.desk_messages', 'desk');

/* Counts the clinic's messages under a lock. */
create function private.message_refusal(
  p_org public.organizations, p_call jsonb, p_hash bytea, p_now timestamptz
) returns jsonb
language plpgsql volatile set search_path = ''
as $$
declare
  v_limit constant integer := p_org.message_hourly_limit;
begin
  if private.is_blocked(p_org.id, p_hash) then
    return '{"outcome": "message_limit"}';
  elsif (
    select count(*) >= 2 from public.desk_messages as m
    where m.org_id = p_org.id and m.call_id = p_call ->> 'callId') then
    return '{"outcome": "call_message_limit"}';
  end if;
  perform pg_advisory_xact_lock(hashtextextended(p_org.id || '/desk messages', 0));
  if (
    select count(*) >= v_limit
      or count(*) filter (where m.caller_hash is not distinct from p_hash)
        >= case when p_hash is null then (v_limit + 1) / 2 else least(4, v_limit) end
    from public.desk_messages as m
    where m.org_id = p_org.id and m.created_at > p_now - interval '1 hour') then
    return '{"outcome": "message_limit"}';
  end if;
  return null;
end
$$;
comment on function private.message_refusal is
  'The limit that another message would exceed, or null: two of a call; in an hour four of a number, half of the clinic''s for calls without a number, and the clinic''s.';

/*
 * Entry function of the tool leave_message.
 *
 * p_name, p_phone, p_wished_time  as the caller said them; p_phone is E.164
 * p_message  redacted
 * Outcomes   left (opensAt, clinic-local, when the desk is closed and opens within a month),
 *            call_message_limit, message_limit, busy, unknown_clinic, cross_tenant_denied
 */
create function public.leave_message(
  p_call jsonb, p_name text, p_phone text, p_wished_time text, p_message text
) returns jsonb
language plpgsql volatile security definer set search_path = '' set lock_timeout = '1500ms'
  set jit = off set plan_cache_mode = force_generic_plan
as $$
declare
  v_opened record;
  v_org public.organizations;
  v_hash bytea;
  v_now timestamptz;
  v_message uuid;
  v_answer jsonb;
begin
  perform private.require_read_committed();
  v_opened := private.open_call(p_call, 'leave_message');
  if v_opened.refusal is not null then
    return v_opened.refusal;
  end if;
  v_org := v_opened.org;
  v_hash := private.read_caller(v_org, p_call);
  perform private.lock_call(v_org.id, p_call ->> 'callId');
  v_now := clock_timestamp();
  select m.id into v_message from public.desk_messages as m
  where m.org_id = v_org.id and m.call_id = p_call ->> 'callId'
    and m.tool_call_id = nullif(p_call ->> 'toolCallId', '');
  if v_message is null then
    v_answer := private.message_refusal(v_org, p_call, v_hash, v_now);
    if v_answer is null then
      insert into public.desk_messages as m (
        org_id, call_id, tool_call_id, caller_hash, caller_name, phone, wished_time, message
      ) values (
        v_org.id, p_call ->> 'callId', nullif(p_call ->> 'toolCallId', ''), v_hash, p_name,
        p_phone, p_wished_time, p_message
      )
      returning m.id into v_message;
      perform private.tell(v_org.id, 'message.left', v_message,
        jsonb_build_object('messageId', v_message));
    end if;
    perform private.audit(v_org.id, p_call, 'leave_message', v_message,
      coalesce(v_answer ->> 'outcome', 'left'));
  end if;
  return private.answer(v_org, coalesce(v_answer, jsonb_strip_nulls(jsonb_build_object(
    'outcome', 'left', 'opensAt', case when private.desk_state(v_org, v_now) <> 'open' then
      private.iso_local(private.desk_opens_at(v_org, v_now), v_org.timezone) end))));
exception
  when lock_not_available or deadlock_detected then
    return '{"outcome": "busy"}';
  when foreign_key_violation then
    return private.refuse_gone(p_call, 'leave_message');
end
$$;
comment on function public.leave_message is
  'Tool leave_message: stores a message for the front desk, within limits.';

revoke execute on function public.leave_message from public, anon, authenticated;
grant execute on function public.leave_message to service_role;
