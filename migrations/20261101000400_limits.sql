/*
 * Limits: how many holds, texts and attempts a call, a number and an organization get.
 *
 * Decisions
 * - A limit applies to something an attacker cannot renew at will. A call id is new with every call, a
 *   caller's number can be forged, and a texted number belongs to somebody, so each has its own limits.
 *   The columns below hold the defaults, and each organization can have others.
 * - Counts of a number are kept across organizations, in a separate table by the number's hash. The
 *   hash is not a secret: numbers can be enumerated. A keyed hash would hide nothing, since a row is
 *   deleted after a day, and holds keep the number itself for longer. The hash only keeps numbers out
 *   of a table that belongs to no organization.
 * - Others can use up a number's texts and attempts. A call from the number itself has a reserve of
 *   its own, so the patient still gets a code.
 * - Calls without a number cannot be told apart. They share a few holds and a tenth of the texts.
 * - Nothing is locked forever: all counts expire within a day, and public.clear_limits() clears them.
 * - A number that staff have blocked has nothing left of any limit: its calls hear what every call hears
 *   that is beyond its limits, and its owner cannot tell the difference.
 *
 * What guessing can achieve is in docs/security.md, whose figures a test compares with these limits.
 */

-- The same for every organization.

create function private.text_cooldown() returns interval
language sql immutable
return interval '30 seconds';
comment on function private.text_cooldown is
  'How long a call waits between two texts to a phone, and for the outcome of the first.';

create function private.code_lifetime() returns interval
language sql immutable
return interval '5 minutes';
comment on function private.code_lifetime is 'How long a passcode can be used.';

create function private.code_attempts() returns integer
language sql immutable
return 5;
comment on function private.code_attempts is 'How many wrong attempts lock a passcode.';

create function private.proof_lifetime() returns interval
language sql immutable
return interval '15 minutes';
comment on function private.proof_lifetime is 'How long a passcode proves a phone for its call.';

alter table public.organizations
  add column call_holds integer not null,
  add column call_sends integer not null,
  add column call_numbers integer not null,
  add column call_attempts integer not null,
  add column call_change_requests integer not null,
  add column unknown_call_holds integer not null,
  add column unknown_caller_holds integer not null,
  add column caller_holds integer not null,
  add column caller_hourly_holds integer not null,
  add column caller_hourly_sends integer not null,
  add column phone_holds integer not null,
  add column phone_hourly_sends integer not null,
  add column phone_daily_sends integer not null,
  add column phone_daily_attempts integer not null,
  add column own_phone_hourly_sends integer not null,
  add column own_phone_daily_sends integer not null,
  add column own_phone_daily_attempts integer not null,
  add column desk_holds integer not null,
  -- The attempts decide the chance of guessing a code: no setting can make that chance a serious one.
  add constraint organizations_limits_sane check (
    least(call_holds, call_sends, call_numbers, call_attempts, call_change_requests,
      unknown_call_holds, unknown_caller_holds, caller_holds, caller_hourly_holds,
      caller_hourly_sends, phone_holds, phone_hourly_sends, phone_daily_sends,
      phone_daily_attempts, own_phone_hourly_sends, own_phone_daily_sends,
      own_phone_daily_attempts, desk_holds) >= 0
    and greatest(call_sends, call_attempts) <= 20
    and greatest(phone_daily_attempts, own_phone_daily_attempts) <= 100
    and greatest(call_holds, unknown_call_holds, phone_holds, desk_holds) <= 50
    and greatest(phone_hourly_sends, phone_daily_sends, own_phone_daily_sends) <= 50);
-- Apart, because PostgreSQL 15.20 and later add no column with a default to a table whose rows a function with a
-- SQL-standard body reads (private.answer).
-- Same result as sha256 7faab378e023a41f87799a142cdff36c014375c37de39146ad4fba82a56b597d
alter table public.organizations
  alter column call_holds set default 4,
  alter column call_sends set default 6,
  alter column call_numbers set default 3,
  alter column call_attempts set default 10,
  alter column call_change_requests set default 5,
  alter column unknown_call_holds set default 3,
  alter column unknown_caller_holds set default 10,
  alter column caller_holds set default 4,
  alter column caller_hourly_holds set default 12,
  alter column caller_hourly_sends set default 10,
  alter column phone_holds set default 4,
  alter column phone_hourly_sends set default 5,
  alter column phone_daily_sends set default 10,
  alter column phone_daily_attempts set default 20,
  alter column own_phone_hourly_sends set default 2,
  alter column own_phone_daily_sends set default 4,
  alter column own_phone_daily_attempts set default 10,
  alter column desk_holds set default 5;
comment on column public.organizations.call_holds is 'Live holds of one call.';
comment on column public.organizations.call_sends is 'Texts that one call may ask for.';
comment on column public.organizations.call_numbers is 'Numbers that one call may text.';
comment on column public.organizations.call_attempts is 'Wrong passcodes of one call.';
comment on column public.organizations.call_change_requests is
  'Requests of one call about appointments, before its passcode; then the front desk helps.';
comment on column public.organizations.unknown_call_holds is
  'Live holds of one call or chat whose number is withheld or shared.';
comment on column public.organizations.unknown_caller_holds is
  'Live holds of all calls and chats whose numbers are withheld or shared.';
comment on column public.organizations.caller_holds is 'Live holds by calls from one number.';
comment on column public.organizations.caller_hourly_holds is 'Holds in an hour by calls from one number.';
comment on column public.organizations.caller_hourly_sends is 'Texts in an hour for calls from one number.';
comment on column public.organizations.phone_holds is
  'Live holds for one number by calls from other numbers; its own calls have caller_holds.';
comment on column public.organizations.phone_hourly_sends is 'Texts in an hour to one number.';
comment on column public.organizations.phone_daily_sends is 'Texts in a day to one number.';
comment on column public.organizations.phone_daily_attempts is 'Wrong passcodes in a day for one number.';
comment on column public.organizations.own_phone_hourly_sends is
  'Texts in an hour beyond phone_hourly_sends, for calls from the number itself.';
comment on column public.organizations.own_phone_daily_sends is
  'Texts in a day beyond phone_daily_sends, for calls from the number itself.';
comment on column public.organizations.own_phone_daily_attempts is
  'Wrong passcodes in a day beyond phone_daily_attempts, in calls from the number itself.';
comment on column public.organizations.desk_holds is
  'Slots kept for the front desk at one time, of calls that ran out of passcodes.';

create type private.counted_hold as (org_id uuid, hold_id uuid, made_at timestamptz, by_caller boolean);
comment on type private.counted_hold is
  'A hold that counts for a number: made by a call from it (by_caller), or for it.';

create table public.phone_counts (
  phone_hash bytea primary key
    constraint phone_counts_hash_length check (octet_length(phone_hash) = 32),
  sent_at timestamptz[] not null default '{}',
  wrong_at timestamptz[] not null default '{}',
  asked_at timestamptz[] not null default '{}',
  followed_up_at timestamptz[] not null default '{}',
  holds private.counted_hold[] not null default '{}',
  cleared_at timestamptz[] not null default '{}',
  kept_at timestamptz[] not null default '{}',
  changed_at timestamptz not null default clock_timestamp()
);
comment on table public.phone_counts is
  'What was counted for a number within the last day, in all organizations, by SHA-256 of the number.';
comment on column public.phone_counts.sent_at is 'Texts to it.';
comment on column public.phone_counts.wrong_at is 'Wrong passcodes for it.';
comment on column public.phone_counts.asked_at is 'Texts, to any number, for calls from it; within the hour.';
comment on column public.phone_counts.followed_up_at is 'Follow-ups of dropped calls to it.';
comment on column public.phone_counts.cleared_at is 'When staff cleared its counts of texts and attempts.';
comment on column public.phone_counts.kept_at is
  'When a slot was kept for the front desk that a call from it or for it had held.';
comment on column public.phone_counts.holds is
  'Holds made by calls from it within the last hour, and live ones made for it.';
select private.protect('public.phone_counts', null);

create table public.blocked_numbers (
  org_id uuid not null references public.organizations (id) on delete cascade,
  phone_hash bytea not null
    constraint blocked_numbers_hash_length check (octet_length(phone_hash) = 32),
  phone_masked text not null
    constraint blocked_numbers_phone_masked check (phone_masked !~ '[0-9]{5}'),
  blocked_at timestamptz not null default clock_timestamp(),
  blocked_by uuid not null,
  primary key (org_id, phone_hash)
);
comment on table public.blocked_numbers is
  'Numbers whose limits at one organization are all used up, until staff unblock them.';
comment on column public.blocked_numbers.blocked_by is 'The account of the member of staff.';
select private.protect('public.blocked_numbers', 'desk');

create function private.is_blocked(p_org uuid, variadic p_phones bytea[]) returns boolean
language plpgsql stable set search_path = ''
as $$
begin
  return exists (
    select from public.blocked_numbers as b
    where b.org_id = p_org and b.phone_hash = any (p_phones));
end
$$;
comment on function private.is_blocked is 'Whether an organization has blocked one of these numbers.';

/* The caller's number, or one key that all calls without a number share. */
create function private.caller_key(p_org uuid, p_call public.calls) returns bytea
language sql stable
return coalesce((p_call).caller_hash, private.hash_phone('no number/' || p_org));
comment on function private.caller_key is 'The key in phone_counts for the caller of a call.';

create function private.lock_phones(p_hashes bytea[]) returns void
language plpgsql volatile set search_path = ''
as $$
begin
  -- Always in the same order, so that two calls that name each other's number do not deadlock.
  perform pg_advisory_xact_lock(hashtextextended(encode(n.hash, 'hex'), 3))
  from (select distinct h as hash from unnest(p_hashes) as h where h is not null order by h) as n;
end
$$;
comment on function private.lock_phones is
  'Lets one request at a time count for each of these numbers; taken after the call''s lock and before all others.';

create function private.count_since(p_times timestamptz[], p_since timestamptz) returns integer
language plpgsql immutable set search_path = ''
as $$
begin
  return case when cardinality(p_times) > 0
    then (select count(*) from unnest(p_times) as t where t > p_since) else 0 end;
end
$$;
comment on function private.count_since is 'How many of these times are later than another.';

create function private.keep_since(p_times timestamptz[], p_since timestamptz) returns timestamptz[]
language plpgsql immutable set search_path = ''
as $$
begin
  return array(select t from unnest(p_times) as t where t > p_since);
end
$$;
comment on function private.keep_since is 'The times that are later than another.';

/* Both numbers are locked. */
create function private.count_send(p_phone bytea, p_caller bytea, p_now timestamptz) returns void
language plpgsql volatile set search_path = ''
as $$
begin
  insert into public.phone_counts as c (phone_hash, sent_at, asked_at)
  select n.hash, case when n.hash = p_phone then array[p_now] else '{}' end,
    case when n.hash = p_caller then array[p_now] else '{}' end
  -- For calls without a number, has_texts_left() limits their share of the organization's texts.
  from (select p_phone as hash union select p_caller where p_caller is not null) as n
  on conflict (phone_hash) do update set changed_at = p_now,
    sent_at = private.keep_since(c.sent_at, p_now - interval '1 day') || excluded.sent_at,
    asked_at = private.keep_since(c.asked_at, p_now - interval '1 hour') || excluded.asked_at;
end
$$;
comment on function private.count_send is 'Counts one text, for its number and for the caller.';

/*
 * The text certainly did not go out. The numbers are locked.
 *
 * p_at  when the text was counted
 */
create function private.uncount_send(p_phone bytea, p_caller bytea, p_at timestamptz) returns void
language plpgsql volatile set search_path = ''
as $$
begin
  update public.phone_counts as c
  set sent_at = case when c.phone_hash = p_phone then array_remove(c.sent_at, p_at) else c.sent_at end,
    asked_at = case when c.phone_hash = p_caller then array_remove(c.asked_at, p_at) else c.asked_at end
  where c.phone_hash in (p_phone, p_caller);
end
$$;
comment on function private.uncount_send is 'Undoes private.count_send().';

/* The number is locked. */
create function private.count_attempt(p_phone bytea, p_now timestamptz) returns void
language plpgsql volatile set search_path = ''
as $$
begin
  insert into public.phone_counts as c (phone_hash, wrong_at) values (p_phone, array[p_now])
  on conflict (phone_hash) do update set changed_at = p_now,
    wrong_at = private.keep_since(c.wrong_at, p_now - interval '1 day') || p_now;
end
$$;
comment on function private.count_attempt is 'Counts one wrong passcode for a number.';

/* A call from the number itself has a reserve that nobody else can use up. */
create function private.attempts_left(
  p_org public.organizations, p_call public.calls, p_phone bytea, p_now timestamptz
) returns integer
language plpgsql stable set search_path = ''
as $$
begin
  return p_org.phone_daily_attempts
    + case when p_call.caller_hash = p_phone then p_org.own_phone_daily_attempts else 0 end
    - coalesce((
      select private.count_since(c.wrong_at, p_now - interval '1 day')
      from public.phone_counts as c where c.phone_hash = p_phone), 0);
end
$$;
comment on function private.attempts_left is 'How many more passcodes may be evaluated for a number today.';

/* Both numbers are locked. */
create function private.phone_send_refusal(
  p_org public.organizations, p_call public.calls, p_phone bytea, p_now timestamptz
) returns jsonb
language plpgsql stable set search_path = ''
as $$
declare
  v_own constant boolean := coalesce(p_call.caller_hash = p_phone, false);
  v_texted public.phone_counts;
  v_caller public.phone_counts;
begin
  select c.* into v_texted from public.phone_counts as c where c.phone_hash = p_phone;
  select c.* into v_caller from public.phone_counts as c where c.phone_hash = p_call.caller_hash;
  return case
    when private.is_blocked(p_org.id, p_phone) then '{"outcome": "phone_send_limit"}'::jsonb
    when private.is_blocked(p_org.id, p_call.caller_hash) then '{"outcome": "call_send_limit"}'
    when private.count_since(v_texted.sent_at, p_now - interval '1 day')
      >= p_org.phone_daily_sends + case when v_own then p_org.own_phone_daily_sends else 0 end
      or private.count_since(v_texted.sent_at, p_now - interval '1 hour')
      >= p_org.phone_hourly_sends + case when v_own then p_org.own_phone_hourly_sends else 0 end
      then '{"outcome": "phone_send_limit"}'
    when private.count_since(v_caller.asked_at, p_now - interval '1 hour')
      >= p_org.caller_hourly_sends then '{"outcome": "call_send_limit"}'::jsonb
  end;
end
$$;
comment on function private.phone_send_refusal is
  'The limit that another text would exceed: phone_send_limit, call_send_limit (of the caller), or null.';

/*
 * The owner's function: changes limits of an organization; those that are not named stay.
 *
 * p_limits  {column: number}, the columns above
 * Outcomes  changed (limits: {column: [before, after]}), unchanged, unknown_limit (names),
 *           unknown_clinic, busy
 * Raises    23514 where organizations_limits_sane does not allow them
 */
create function public.set_limits(p_org uuid, p_limits jsonb) returns jsonb
language plpgsql volatile security definer set search_path = '' set lock_timeout = '5s'
as $$
declare
  v_names constant text[] := array[
    'call_holds', 'call_sends', 'call_numbers', 'call_attempts', 'call_change_requests',
    'unknown_call_holds', 'unknown_caller_holds', 'caller_holds', 'caller_hourly_holds',
    'caller_hourly_sends', 'phone_holds', 'phone_hourly_sends', 'phone_daily_sends',
    'phone_daily_attempts', 'own_phone_hourly_sends', 'own_phone_daily_sends',
    'own_phone_daily_attempts', 'desk_holds'];
  v_unknown constant text[] := array(
    select k from jsonb_object_keys(p_limits) as k where k <> all (v_names) order by k);
  v_org public.organizations;
  v_before jsonb;
  v_changed jsonb;
begin
  select o.* into v_org from public.organizations as o where o.id = p_org for no key update;
  if v_org.id is null then
    return '{"outcome": "unknown_clinic"}';
  elsif v_unknown <> '{}' then
    return jsonb_build_object(
      'outcome', 'unknown_limit', 'orgId', p_org, 'names', to_jsonb(v_unknown));
  end if;
  v_before := to_jsonb(v_org);
  v_org := jsonb_populate_record(v_org, p_limits);
  select jsonb_object_agg(n, jsonb_build_array(v_before -> n, to_jsonb(v_org) -> n)) into v_changed
  from unnest(v_names) as n where v_before -> n <> to_jsonb(v_org) -> n;
  if v_changed is null then
    return jsonb_build_object('outcome', 'unchanged', 'orgId', p_org);
  end if;
  update public.organizations as o
  set call_holds = v_org.call_holds, call_sends = v_org.call_sends,
    call_numbers = v_org.call_numbers, call_attempts = v_org.call_attempts,
    call_change_requests = v_org.call_change_requests,
    unknown_call_holds = v_org.unknown_call_holds,
    unknown_caller_holds = v_org.unknown_caller_holds, caller_holds = v_org.caller_holds,
    caller_hourly_holds = v_org.caller_hourly_holds,
    caller_hourly_sends = v_org.caller_hourly_sends, phone_holds = v_org.phone_holds,
    phone_hourly_sends = v_org.phone_hourly_sends, phone_daily_sends = v_org.phone_daily_sends,
    phone_daily_attempts = v_org.phone_daily_attempts,
    own_phone_hourly_sends = v_org.own_phone_hourly_sends,
    own_phone_daily_sends = v_org.own_phone_daily_sends,
    own_phone_daily_attempts = v_org.own_phone_daily_attempts,
    desk_holds = v_org.desk_holds
  where o.id = p_org;
  perform private.audit(p_org, null, 'set_limits', null, 'changed',
    jsonb_build_object('values', v_changed));
  return jsonb_build_object('outcome', 'changed', 'orgId', p_org, 'limits', v_changed);
exception when lock_not_available or deadlock_detected then
  return '{"outcome": "busy"}';
end
$$;
comment on function public.set_limits is 'Changes limits of an organization; audited.';

-- Only the owner changes what a clinic is.
revoke execute on function public.set_limits from public, anon, authenticated, service_role;
