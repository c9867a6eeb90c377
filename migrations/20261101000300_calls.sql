/*
 * Calls: the clinic a call belongs to, the lock of a call, and the answers it has been given.
 *
 * Decisions
 * - The authenticated envelope decides which organization a call is for. What the language model
 *   says about the tenant is only compared with it.
 * - A secret of Vapi's can be bound to organizations. Whoever shows it for another one is answered as
 *   if there were none: a leaked secret does not even tell which numbers are a clinic's.
 * - Every booking decision requires READ COMMITTED: a check after a lock must see what was
 *   committed while the lock was waited for.
 * - The lock of a call comes before every other lock: call, provider, rows.
 * - A request that is delivered twice gets its first answer again, found by call, tool call, tool
 *   and arguments, and counts once.
 */

/* Whether a number, as a model or Vapi writes it, is one of an organization's; null is. */
create function private.is_number_of(p_org uuid, p_number text) returns boolean
language plpgsql stable set search_path = ''
as $$
declare
  v_digits constant text := nullif(regexp_replace(p_number, '[^0-9]', '', 'g'), '');
begin
  return v_digits is null or exists (
    -- A trailing comparison lets "020 7946 0123" stand for +442079460123.
    select from public.org_channels as c
    where c.org_id = p_org and c.kind = 'called_number'
      and (substr(c.value, 2) = v_digits
        or (length(v_digits) >= 9 and right(c.value, length(ltrim(v_digits, '0'))) = ltrim(v_digits, '0'))));
end
$$;
comment on function private.is_number_of is 'Whether a called number that is claimed is the organization''s.';

/*
 * Whether what the arguments say about the call agrees with the envelope: tenantId and
 * inboundPhoneNumber, which a model may write, and callId, callerNumber and calledNumber, which Vapi
 * merges into the arguments where the tool is configured to.
 */
create function private.is_claimed_rightly(p_org public.organizations, p_call jsonb)
returns boolean
language plpgsql stable set search_path = ''
as $$
declare
  v_claims constant jsonb := p_call -> 'claims';
  v_tenant constant text := nullif(lower(btrim(v_claims ->> 'tenantId')), '');
begin
  return (v_tenant is null or v_tenant in (p_org.id::text, p_org.slug))
    and private.is_number_of(p_org.id, v_claims ->> 'inboundPhoneNumber')
    and private.is_number_of(p_org.id, v_claims ->> 'calledNumber')
    and coalesce(v_claims ->> 'callerNumber' = p_call ->> 'callerNumber', true)
    and coalesce(v_claims ->> 'callId' = p_call ->> 'callId', true);
end
$$;
comment on function private.is_claimed_rightly is
  'Whether the organization, the numbers and the call that arguments name are those of the envelope.';

/*
 * Finds the organization of a call, and refuses arguments that name another one.
 * The envelope decides (Vapi's phone-number id before the called number before the assistant); what
 * the language model claims is only compared. Returns the organization, or an outcome:
 *   unknown_clinic       no channel matches; or the request's secret is bound to others (boundTo), which
 *                        is audited as cross_tenant_denied and told to the log by deniedOrgId
 *   cross_tenant_denied  an argument contradicts the envelope (audited)
 */
create function private.open_call(
  p_call jsonb, p_action text, out org public.organizations, out refusal jsonb
)
language plpgsql volatile set search_path = ''
as $$
begin
  select o.* into org from public.organizations as o
  where o.id = coalesce(
    (select c.org_id from public.org_channels as c
      where c.kind = 'vapi_phone_number' and c.value = p_call ->> 'phoneNumberId'),
    (select c.org_id from public.org_channels as c
      where c.kind = 'called_number' and c.value = p_call ->> 'calledNumber'),
    (select c.org_id from public.org_channels as c
      where c.kind = 'vapi_assistant' and c.value = p_call ->> 'assistantId'));
  if org.id is null then
    refusal := '{"outcome": "unknown_clinic"}';
  elsif p_call ? 'boundTo' and not p_call -> 'boundTo' ?| array[org.slug, org.id::text] then
    perform private.audit(org.id, p_call, p_action, null, 'cross_tenant_denied',
      '{"reason": "secret_of_others"}');
    refusal := jsonb_build_object('outcome', 'unknown_clinic', 'deniedOrgId', org.id);
  elsif coalesce(p_call -> 'claims', '{}') <> '{}'
    and not private.is_claimed_rightly(org, p_call) then
    perform private.audit(org.id, p_call, p_action, null, 'cross_tenant_denied');
    refusal := private.answer(org, '{"outcome": "cross_tenant_denied"}');
  end if;
end
$$;
comment on function private.open_call is
  'The organization of a call by its authenticated envelope, or the refusal to answer with.';
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

create function private.lock_call(p_org uuid, p_call_id text) returns void
language plpgsql volatile set search_path = ''
as $$
begin
  perform pg_advisory_xact_lock(hashtextextended(p_org || '/call/' || p_call_id, 0));
end
$$;
comment on function private.lock_call is
  'Lets one request of a call in at a time; taken before every other lock. A null call locks nothing.';

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
 * Entry function: the country whose numbers a caller writes without a country code, for a call
 * without a called number (a web call).
 *
 * Outcomes  found (country), unknown_clinic, cross_tenant_denied
 */
create function public.find_country(p_call jsonb) returns jsonb
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_opened record;
begin
  select * into v_opened from private.open_call(p_call, 'find_country');
  return coalesce(v_opened.refusal, jsonb_build_object(
    'outcome', 'found', 'orgId', (v_opened.org).id, 'country', (v_opened.org).default_country));
end
$$;
comment on function public.find_country is 'The country of a call''s clinic.';

revoke execute on function public.find_country from public, anon, authenticated;
grant execute on function public.find_country to service_role;
