/*
 * Organizations: the tenants, how a call finds its clinic, who works there, and the audit log.
 *
 * Decisions
 * - Every table of a tenant has org_id first in its primary key, and every unique, exclusion and
 *   foreign key is led by it, so a row cannot point into another organization and the schema can
 *   be spread by org_id one day. Exceptions: organizations itself and org_channels, which is what
 *   finds the organization.
 * - Row level security is one form, made by private.protect(): staff read what belongs to the
 *   organizations they are members of. The Edge Functions use security definer entry functions.
 * - The audit log is append-only because nobody may update it, not even its owner; only retention
 *   deletes (a test reads the catalog for it).
 * - What is audited is counted in the same transaction, by a row in a queue: a hot counter would
 *   make callers wait for one another. 20261101001200_metrics.sql empties it.
 * - private holds what the API must not see; public holds tables and entry functions.
 */

create extension if not exists btree_gist with schema extensions;

create schema private;
comment on schema private is 'Functions the API does not expose.';
revoke all on schema private from public;

-- Time zones by name only: 'UTC+3' is accepted by "at time zone" with its sign inverted.
create function private.is_time_zone(p_name text) returns boolean
language sql stable strict set search_path = ''
as $$ select exists (select from pg_catalog.pg_timezone_names as z where z.name = p_name) $$;
comment on function private.is_time_zone is 'Whether the name is one of pg_timezone_names.';

/*
 * For check constraints: true, or an error whose sentence says which row is refused and why, where a
 * constraint's name alone would leave one guessing. No trigger is needed for that.
 */
create function private.require(p_condition boolean, p_row text, p_reason text) returns boolean
language plpgsql stable set search_path = ''
as $$
begin
  if not p_condition then
    raise exception 'Cannot write %: %', p_row, p_reason using errcode = '23514';
  end if;
  return true;
end
$$;
comment on function private.require is
  'True if the condition holds or is null; else raises 23514: Cannot write ROW: REASON.';

create table public.organizations (
  id uuid primary key default gen_random_uuid(),
  slug text not null unique
    constraint organizations_slug_readable check (slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$'),
  name text not null
    constraint organizations_name_given check (length(btrim(name)) between 1 and 120),
  timezone text not null
    constraint organizations_timezone_known check (private.require(
      private.is_time_zone(timezone), 'organization ' || slug,
      format('"%s" is no time zone; take a name of pg_timezone_names, such as Europe/London', timezone))),
  default_country char(2) not null
    constraint organizations_country_iso check (default_country ~ '^[A-Z]{2}$'),
  sms_countries text[] not null
    constraint organizations_sms_countries_iso
    check (array_to_string(sms_countries, ',', '?') ~ '^([A-Z]{2}(,[A-Z]{2})*)?$'),
  sms_hourly_limit integer not null default 200
    constraint organizations_sms_limit_positive check (sms_hourly_limit > 0),
  hold_minutes integer not null default 10
    constraint organizations_hold_minutes_sane check (hold_minutes between 1 and 120),
  follow_up_texts boolean not null default false,
  retention_days integer not null default 90
    constraint organizations_retention_sane check (retention_days between 1 and 3650),
  audit_retention_days integer not null default 2555
    constraint organizations_audit_retention_sane check (audit_retention_days between 30 and 36500),
  created_at timestamptz not null default now()
);
comment on table public.organizations is 'The tenants: one clinic business each.';
comment on column public.organizations.timezone is 'IANA name; all local times of the clinic are in it.';
comment on column public.organizations.sms_countries is 'ISO 3166 countries that may be texted.';
comment on column public.organizations.follow_up_texts is
  'Whether a caller whose call ended before the passcode is texted once.';
comment on column public.organizations.hold_minutes is 'How long a held slot waits for its passcode.';

create table public.org_channels (
  kind text not null
    constraint org_channels_kind_known
    check (kind in ('called_number', 'vapi_phone_number', 'vapi_assistant')),
  value text not null
    constraint org_channels_number_e164
    check (kind <> 'called_number' or value ~ '^\+[1-9][0-9]{6,14}$'),
  org_id uuid not null references public.organizations (id) on delete cascade,
  primary key (kind, value)
);
comment on table public.org_channels is
  'How a call finds its clinic: called number (E.164), Vapi phone-number id, Vapi assistant id.';
create index org_channels_org on public.org_channels (org_id);

create table public.org_members (
  org_id uuid not null references public.organizations (id) on delete cascade,
  user_id uuid not null references auth.users (id) on delete cascade,
  role text not null
    constraint org_members_role_known check (role in ('owner', 'manager', 'staff')),
  primary key (org_id, user_id)
);
comment on table public.org_members is 'Which staff accounts belong to which organization.';
create index org_members_user on public.org_members (user_id);

alter table public.org_members enable row level security;
create policy org_members_self on public.org_members for select to authenticated
  using (user_id = (select auth.uid()));
grant select on public.org_members to authenticated;

alter table public.organizations enable row level security;
create policy organizations_staff on public.organizations for select to authenticated
  using (id in (
    select m.org_id from public.org_members as m where m.user_id = (select auth.uid())
  ));
grant select on public.organizations to authenticated;

-- The one form of row level security for what belongs to an organization.
create function private.protect(p_table regclass, p_staff_may_read boolean) returns void
language plpgsql volatile strict set search_path = ''
as $$
begin
  execute format('alter table %s enable row level security', p_table);
  if p_staff_may_read then
    execute format(
      'create policy staff_read on %s for select to authenticated using (org_id in ('
      'select m.org_id from public.org_members as m where m.user_id = (select auth.uid())))',
      p_table);
    execute format('grant select on %s to authenticated', p_table);
  end if;
end
$$;
comment on function private.protect is
  'Turns row level security on; with the second argument true, members of the organization read.';

select private.protect('public.org_channels', true);

create table public.audit_logs (
  org_id uuid not null references public.organizations (id),
  id uuid not null default gen_random_uuid(),
  at timestamptz not null default clock_timestamp(),
  actor text not null
    constraint audit_logs_actor_known check (actor in ('call', 'staff', 'system')),
  call_id text,
  tool_call_id text,
  assistant_id text,
  caller_masked text
    constraint audit_logs_caller_masked check (caller_masked !~ '[0-9]{5}'),
  staff_user uuid,
  action text not null,
  subject_id uuid,
  outcome text not null,
  details jsonb not null default '{}',
  -- Read by time, and written at its end: an index of its own for random ids would cost every writer.
  primary key (org_id, at, id)
);
comment on table public.audit_logs is
  'Append-only: who did what to which subject, with which outcome. Nobody may update or delete but retention.';
create index audit_logs_by_subject on public.audit_logs (org_id, subject_id);
select private.protect('public.audit_logs', true);
-- The owner too: entry functions run with its rights.
revoke update, truncate, references, trigger on public.audit_logs
  from current_user, anon, authenticated, service_role;
revoke insert, delete on public.audit_logs from anon, authenticated, service_role;
grant select on public.audit_logs to service_role;

create table public.metric_events (
  id uuid primary key default gen_random_uuid(),
  at timestamptz not null default clock_timestamp(),
  name text not null
    constraint metric_events_name_plain check (name ~ '^[a-z_]{1,40}$'),
  labels jsonb not null default '{}'
    constraint metric_events_labels_object check (jsonb_typeof(labels) = 'object'),
  value double precision not null default 1
    constraint metric_events_value_counts check (value >= 0)
);
comment on table public.metric_events is
  'What happened and is not in the counters yet; nothing personal and no organization.';
alter table public.metric_events enable row level security;

-- Only the last two digits of a number are ever written beside what was done.
create function private.mask_phone(p_phone text) returns text
language plpgsql immutable strict set search_path = ''
as $$
begin
  return '***' || right(p_phone, 2);
end
$$;
comment on function private.mask_phone is 'A phone number reduced to its last two digits.';

create function private.tally(
  p_name text, p_labels jsonb default '{}', p_count double precision default 1
) returns void
language plpgsql volatile set search_path = ''
as $$
begin
  insert into public.metric_events (name, labels, value) values (p_name, p_labels, p_count);
end
$$;
comment on function private.tally is
  'Counts what happens in the caller''s transaction: with it or not at all, and without waiting.';

create function private.audit(
  p_org uuid, p_call jsonb, p_action text, p_subject uuid, p_outcome text,
  p_details jsonb default '{}'
) returns void
language plpgsql volatile set search_path = ''
as $$
begin
  with counted as (
    insert into public.metric_events (name, labels) values ('audit',
      jsonb_build_object('action', p_action, 'outcome', p_outcome)
        || case when p_details ? 'reason'
          then jsonb_build_object('reason', p_details -> 'reason') else '{}' end)
  )
  insert into public.audit_logs (
    org_id, actor, call_id, tool_call_id, assistant_id, caller_masked,
    action, subject_id, outcome, details
  ) values (
    p_org, case when p_call is null then 'system' else 'call' end,
    p_call ->> 'callId', nullif(p_call ->> 'toolCallId', ''), p_call ->> 'assistantId',
    private.mask_phone(p_call ->> 'callerNumber'),
    p_action, p_subject, p_outcome, p_details
  );
end
$$;
comment on function private.audit is
  'Writes one audit row, and counts it, in the caller''s transaction; a null call means the system itself.';

/* Whether what the language model says about the tenant, {tenantId, inboundPhoneNumber}, is so. */
create function private.is_claimed_rightly(p_org public.organizations, p_claims jsonb)
returns boolean
language plpgsql stable set search_path = ''
as $$
declare
  v_tenant constant text := nullif(lower(btrim(p_claims ->> 'tenantId')), '');
  v_number constant text := nullif(
    regexp_replace(p_claims ->> 'inboundPhoneNumber', '[^0-9]', '', 'g'), '');
begin
  return (v_tenant is null or v_tenant in (p_org.id::text, p_org.slug))
    and (v_number is null or exists (
      -- A trailing comparison lets "020 7946 0123" stand for +442079460123.
      select from public.org_channels as c
      where c.org_id = p_org.id and c.kind = 'called_number'
        and (substr(c.value, 2) = v_number
          or (length(v_number) >= 9 and right(c.value, length(ltrim(v_number, '0'))) = ltrim(v_number, '0')))));
end
$$;
comment on function private.is_claimed_rightly is
  'Whether a tenant named by id, slug or one of its numbers is this organization.';

/*
 * Finds the organization of a call, and refuses arguments that name another one.
 * The envelope decides (Vapi's phone-number id before the called number before the assistant); what
 * the language model claims is only compared. Returns the organization, or an outcome:
 *   unknown_clinic       no channel matches
 *   cross_tenant_denied  tenantId or inboundPhoneNumber contradicts the envelope (audited)
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
  elsif coalesce(p_call -> 'claims', '{}') <> '{}'
    and not private.is_claimed_rightly(org, p_call -> 'claims') then
    perform private.audit(org.id, p_call, p_action, null, 'cross_tenant_denied');
    refusal := jsonb_build_object('outcome', 'cross_tenant_denied', 'orgId', org.id);
  end if;
end
$$;
comment on function private.open_call is
  'The organization of a call by its authenticated envelope, or the refusal to answer with.';

/*
 * Entry function: the country whose numbers a caller writes without a code, for a call without a
 * called number (a web call). Outcomes: found (country), unknown_clinic, cross_tenant_denied.
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
