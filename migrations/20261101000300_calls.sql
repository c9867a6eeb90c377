/*
 * Calls: which clinic a call is for, who is calling, the lock of a call, and its recorded answers.
 *
 * Decisions
 * - The authenticated envelope decides which organization a call is for. What the language model
 *   says about the tenant is only compared with it.
 * - One of Vapi's secrets can be bound to organizations. A request that uses it for another one is
 *   answered as if there were no such clinic: a leaked secret does not even reveal clinics' numbers.
 * - Every booking decision requires READ COMMITTED: a check after a lock must see what was committed
 *   during the wait for the lock.
 * - A call gets a row with its first hold, text or change. The row stores who is calling as far as
 *   Vapi knows (a number that can be forged), which patients were named, and the call's counts. What
 *   it has proven is in its passcodes. Nothing reads another call's row, except after a dropped line
 *   (private.is_left_to). The row is deleted a day after the call.
 * - The lock of a call comes before every other lock. The order is: call, numbers, texts of the
 *   organization, provider, rows; an alarm's counter is last.
 * - A repeated request gets its first answer again, found by call, tool call, tool and arguments, and
 *   counts once.
 * - The entry functions of a call plan each statement once for a connection (force_generic_plan). All of
 *   them look up a few rows by a key, so the plan is the same for every value, and planning again, which
 *   PostgreSQL does by its own estimate, costs more than the statement.
 */

/* p_number is as a model or Vapi writes it; null counts as a number of the organization. */
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
comment on function private.is_number_of is 'Whether a called number, as the arguments state it, belongs to the organization.';

/*
 * Compares tenantId and inboundPhoneNumber, which a model may write, and callId, callerNumber and
 * calledNumber, which Vapi merges into the arguments if the tool is configured to.
 */
create function private.agrees_with_envelope(p_org public.organizations, p_call jsonb)
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
comment on function private.agrees_with_envelope is
  'Whether the organization, numbers and call in the arguments are those of the envelope.';

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
    and not private.agrees_with_envelope(org, p_call) then
    perform private.audit(org.id, p_call, p_action, null, 'cross_tenant_denied');
    refusal := private.answer(org, '{"outcome": "cross_tenant_denied"}');
  end if;
end
$$;
comment on function private.open_call is
  'The organization of a call by its authenticated envelope, or the refusal to answer with.';

/*
 * The answer where a row that a request refers to is gone: its clinic was deleted while it waited, or
 * something else that the next request finds out about.
 */
create function private.refuse_gone(p_call jsonb, p_action text) returns jsonb
language sql volatile set search_path = ''
as $$
  select coalesce((private.open_call(p_call, p_action)).refusal, '{"outcome": "busy"}')
$$;
comment on function private.refuse_gone is
  'unknown_clinic if the clinic of a call was deleted while the call waited, else busy.';

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
  'Raises 25001 under any other isolation level, where a check after a lock would see old rows.';

create function private.lock_call(p_org uuid, p_call_id text) returns void
language plpgsql volatile set search_path = ''
as $$
begin
  perform pg_advisory_xact_lock(hashtextextended(p_org || '/call/' || p_call_id, 0));
end
$$;
comment on function private.lock_call is
  'Lets one request of a call run at a time; taken before every other lock. A null call locks nothing.';

/* In one order, and never after the lock of another call. */
create function private.lock_calls(p_org uuid, p_call_ids text[]) returns void
language plpgsql volatile set search_path = ''
as $$
declare
  v_call_id text;
begin
  for v_call_id in select distinct c from unnest(p_call_ids) as c order by c loop
    perform private.lock_call(p_org, v_call_id);
  end loop;
end
$$;
comment on function private.lock_calls is 'Takes the locks of several calls.';

create function private.hash_phone(p_phone text) returns bytea
language sql stable strict
return sha256(convert_to(p_phone, 'UTF8'));
comment on function private.hash_phone is 'A phone number in a form that can only be compared.';

create table public.calls (
  org_id uuid not null references public.organizations (id) on delete cascade,
  call_id text not null,
  created_at timestamptz not null default clock_timestamp(),
  seen_at timestamptz not null default clock_timestamp(),
  caller_hash bytea
    constraint calls_caller_hash_length check (octet_length(caller_hash) = 32),
  patient_names text[] not null default '{}'
    constraint calls_patient_names_few check (cardinality(patient_names) <= 10),
  attempts integer not null default 0
    constraint calls_attempts_counted check (attempts >= 0),
  sends integer not null default 0
    constraint calls_sends_counted check (sends >= 0),
  change_requests integer not null default 0
    constraint calls_change_requests_counted check (change_requests >= 0),
  primary key (org_id, call_id)
);
comment on table public.calls is
  'Calls (and chats) that held, texted or changed something: who is calling, and the counts.';
comment on column public.calls.seen_at is 'The last request, to the hour, or the end of the call; the row is deleted a day later.';
comment on column public.calls.caller_hash is
  'The number it comes from, according to Vapi; null if withheld or shared by several callers.';
comment on column public.calls.patient_names is
  'Patients named in this call: nothing is told about others, even after a passcode.';
comment on column public.calls.attempts is 'Wrong passcodes.';
comment on column public.calls.sends is 'Texts requested, due or not, without those that were refused.';
comment on column public.calls.change_requests is
  'Requests about appointments before a passcode, or that found none after it.';
create index calls_by_time on public.calls (org_id, seen_at);
select private.protect('public.calls', null);

create table public.call_reports (
  org_id uuid not null references public.organizations (id) on delete cascade,
  call_id text not null,
  created_at timestamptz not null default clock_timestamp(),
  ended_at timestamptz,
  follow_up text,
  reported_at timestamptz,
  ended_reason text,
  duration_seconds double precision,
  cost double precision,
  transcript text,
  summary text,
  redactions jsonb not null default '{}',
  primary key (org_id, call_id)
);
comment on table public.call_reports is
  'Calls that ended: what was said, without personal data, and whether an open hold was followed up.';
comment on column public.call_reports.ended_at is 'When the holds of the call were first released.';
comment on column public.call_reports.follow_up is
  'Null if there was no open hold, else claimed (about to be sent), sent, failed, or why no text was sent.';
comment on column public.call_reports.redactions is
  'How many items of each kind were removed from transcript and summary, such as {"PHONE": 2}.';
create index call_reports_by_time on public.call_reports (org_id, created_at);
select private.protect('public.call_reports', 'desk');
grant select on public.call_reports to service_role;

/*
 * A number that does not tell callers apart does not count: a switchboard, a call centre, the clinic's
 * own lines, and the number it transfers to.
 */
create function private.read_caller(p_org public.organizations, p_call jsonb) returns bytea
language plpgsql stable set search_path = ''
as $$
declare
  v_number constant text := p_call ->> 'callerNumber';
begin
  return case when not exists (
      select from public.org_channels as c
      where c.kind in ('shared_line', 'called_number') and c.value = v_number
        and c.org_id = p_org.id)
    and v_number is distinct from p_org.transfer_number
    then private.hash_phone(v_number) end;
end
$$;
comment on function private.read_caller is 'The hash of the caller''s number, or null if it is withheld or one of the clinic''s.';

/* A call may name more than ten patients, but nothing is told about the eleventh. */
create function private.enter_call(
  p_org public.organizations, p_call jsonb, p_patient_name text default null
) returns public.calls
language plpgsql volatile set search_path = ''
as $$
declare
  v_call_id constant text := p_call ->> 'callId';
  v_now timestamptz;
  v_call public.calls;
begin
  perform private.lock_call(p_org.id, v_call_id);
  v_now := clock_timestamp();
  select c.* into v_call from public.calls as c
  where c.org_id = p_org.id and c.call_id = v_call_id;
  if v_call.seen_at > v_now - interval '1 hour' and (p_patient_name is null
    or p_patient_name = any (v_call.patient_names) or cardinality(v_call.patient_names) >= 10) then
    return v_call;
  end if;
  insert into public.calls as c (org_id, call_id, created_at, seen_at, caller_hash, patient_names)
  values (p_org.id, v_call_id, v_now, v_now, private.read_caller(p_org, p_call),
    array_remove(array[p_patient_name], null))
  on conflict (org_id, call_id) do update set seen_at = v_now,
    patient_names = case
      when excluded.patient_names <@ c.patient_names or cardinality(c.patient_names) >= 10
        then c.patient_names
      else c.patient_names || excluded.patient_names end
  returning c.* into v_call;
  return v_call;
end
$$;
comment on function private.enter_call is 'Locks a call, creates its row, and stores the patient who is named.';

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
  'Answers already given, so that a repeated request counts once and gets the same answer.';
create index tool_calls_by_time on public.tool_calls (org_id, created_at);
select private.protect('public.tool_calls', null);

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
comment on function private.recall_answer is 'The first answer to a repeated tool call, or null.';

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
comment on function private.record_answer is 'Stores an answer for private.recall_answer().';

/*
 * A model that has lost the answer asks again, with another tool call id, when nothing waits any more.
 *
 * p_outcome  only an answer with this outcome; null for any
 */
create function private.repeat_answer(
  p_org uuid, p_call jsonb, p_tool text, p_hash bytea, p_outcome text default null
) returns jsonb
language sql stable set search_path = ''
as $$
  select t.result
  from (
    select c.* from public.tool_calls as c
    where c.org_id = p_org and c.call_id = p_call ->> 'callId' and c.tool <> 'hold_slot'
    order by c.created_at desc limit 1) as t
  where t.tool = p_tool and t.arguments_hash = p_hash and t.outcome = coalesce(p_outcome, t.outcome)
$$;
comment on function private.repeat_answer is
  'The latest answer of a call, if it was given to the same request, or null.';

/*
 * Entry function: the country whose numbers a caller writes without a country code, for a call
 * without a called number (a web call).
 *
 * Outcomes  found (country), unknown_clinic, cross_tenant_denied
 */
create function public.find_country(p_call jsonb) returns jsonb
language plpgsql volatile security definer set search_path = ''
  set jit = off set plan_cache_mode = force_generic_plan
as $$
declare
  v_opened record;
begin
  v_opened := private.open_call(p_call, 'find_country');
  return coalesce(v_opened.refusal, jsonb_build_object(
    'outcome', 'found', 'orgId', (v_opened.org).id, 'country', (v_opened.org).default_country));
end
$$;
comment on function public.find_country is 'The country of a call''s clinic.';

revoke execute on function public.find_country from public, anon, authenticated;
grant execute on function public.find_country to service_role;
