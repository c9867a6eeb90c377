/*
 * Organizations: the tenants, the channels that lead a call to its clinic, and who works there.
 *
 * Decisions
 * - In every table of an organization, org_id leads the primary key and every unique, exclusion and
 *   foreign key. So no row can point into another organization, and the schema can be sharded by
 *   org_id one day. Exceptions: organizations itself, and org_channels, which finds the organization.
 * - All policies have the same form, made by private.protect(): staff read what belongs to the
 *   organizations they are members of, from a role on. The Edge Functions use security definer entry
 *   functions.
 * - Each role may do what the one before it may: viewer, desk, manager, owner. A role is read from
 *   org_members with each statement. A token names its account and nothing else: whoever is removed
 *   sees nothing from then on, however long the token is still good.
 * - public holds tables and entry functions. private holds the rest, which the API must not see.
 * - The service role, whose key the Edge Functions have, calls their entry functions and reads what staff
 *   may read. It cannot change a clinic's settings: functions of the owner do that, and audit it.
 */

create extension if not exists btree_gist with schema extensions;

create schema private;
comment on schema private is 'Functions the API does not expose.';
revoke all on schema private from public;

-- Many projects grant everything in public to the API's roles by default. Here every right is granted
-- by name, also for whatever the migrating role creates in public later.
alter default privileges in schema public
  revoke all on tables from public, anon, authenticated, service_role;
alter default privileges in schema public
  revoke all on sequences from public, anon, authenticated, service_role;
alter default privileges in schema public
  revoke all on functions from public, anon, authenticated, service_role;

/*
 * Only names: "at time zone" also accepts 'europe/london', and 'UTC+3', but with the sign inverted. Reading
 * pg_timezone_names loads every zone of the server, which takes 20 ms each time a row is written. Setting
 * a time zone finds its file instead and keeps the name as it is written there. A name with a digit or a
 * sign may also be a POSIX rule, so it is looked up in the view.
 */
create function private.is_time_zone(p_name text) returns boolean
language plpgsql stable strict set search_path = '' set timezone = 'UTC'
as $$
begin
  if p_name !~ '^[A-Za-z_/]+$' then
    return exists (select from pg_catalog.pg_timezone_names as z where z.name = p_name);
  end if;
  -- For the rest of this function.
  perform set_config('timezone', p_name, true);
  return current_setting('timezone') = p_name collate "C";
exception when invalid_parameter_value then
  return false;
end
$$;
comment on function private.is_time_zone is 'Whether the name is one of pg_timezone_names.';

/*
 * For check constraints whose name would not explain enough: true, or an error that says which row is
 * refused and why. This needs no trigger.
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

/* Checks the hours from one local minute to another: true, or an error about p_row with the reason. */
create function private.require_hours(p_row text, p_start integer, p_end integer) returns boolean
language plpgsql stable strict set search_path = ''
as $$
declare
  v_reason constant text := case
    when p_start not between 0 and 1439
      then format('minute %s is not in the day, which has 0 to 1439', p_start)
    when p_end <= p_start
      then 'they end before they begin; what runs past midnight ends after minute 1440'
    when p_end > p_start + 1440 then 'they last longer than a day'
  end;
begin
  if v_reason is not null then
    raise exception 'Cannot write % from % to %: %', p_row,
      to_char(make_interval(mins => p_start), 'HH24:MI'),
      to_char(make_interval(mins => p_end), 'HH24:MI'), v_reason using errcode = '23514';
  end if;
  return true;
end
$$;
comment on function private.require_hours is
  'True for hours that are possible or null; else raises 23514 with the row and the reason.';

create function private.roles_from(p_role text) returns text[]
language sql immutable
return (array['viewer', 'desk', 'manager', 'owner'])[
  array_position(array['viewer', 'desk', 'manager', 'owner'], p_role):];
comment on function private.roles_from is
  'A role of staff and those that may do more; empty for any other word.';

/*
 * The API's roles get no rights unless they are granted by name afterwards, whatever the project grants
 * by default.
 *
 * p_role  members of the organization read the table from this role on; null: no member reads it
 */
create function private.protect(p_table regclass, p_role text) returns void
language plpgsql volatile set search_path = ''
as $$
begin
  execute format('revoke all on %s from public, anon, authenticated, service_role', p_table);
  execute format('alter table %s enable row level security', p_table);
  if p_role is not null then
    execute format(
      'create policy staff_read on %s for select to authenticated using (org_id in ('
      'select m.org_id from public.org_members as m where m.user_id = (select auth.uid()) '
      'and m.role = any (%L)))',
      p_table, private.roles_from(p_role));
    execute format('grant select on %s to authenticated', p_table);
  end if;
end
$$;
comment on function private.protect is
  'Revokes all rights on a table, turns row level security on, and lets staff of a role and above read it.';

create table public.organizations (
  id uuid primary key default gen_random_uuid(),
  slug text not null unique
    constraint organizations_slug_readable check (slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$'),
  name text not null
    constraint organizations_name_given check (length(btrim(name)) between 1 and 120),
  timezone text not null
    constraint organizations_timezone_known check (private.require(
      private.is_time_zone(timezone), 'organization ' || slug,
      format('"%s" is not a time zone; use a name from pg_timezone_names, such as Europe/London', timezone))),
  default_country char(2) not null
    constraint organizations_country_iso check (default_country ~ '^[A-Z]{2}$'),
  sms_countries text[] not null
    constraint organizations_sms_countries_iso
    check (array_to_string(sms_countries, ',', '?') ~ '^([A-Z]{2}(,[A-Z]{2})*)?$'),
  sms_hourly_limit integer not null default 200
    constraint organizations_sms_limit_positive check (sms_hourly_limit > 0),
  hold_minutes integer not null default 10
    constraint organizations_hold_minutes_sane check (hold_minutes between 1 and 120),
  desk_hold_minutes integer not null default 60
    constraint organizations_desk_hold_minutes_sane check (desk_hold_minutes between 0 and 1440),
  follow_up_texts boolean not null default false,
  texts_at_hold boolean not null default false,
  calendar_patient_names boolean not null default false,
  transfer_number text
    constraint organizations_transfer_number_e164 check (transfer_number ~ '^\+[1-9][0-9]{6,14}$'),
  message_hourly_limit integer not null default 30
    constraint organizations_message_limit_sane check (message_hourly_limit >= 0),
  closing_days datemultirange not null default '{}'
    constraint organizations_closing_days_finite check (private.require(
      closing_days <@ datemultirange(daterange('0001-01-01', '9999-12-31', '[]')),
      'organization ' || slug, 'its closing days have no first or no last day')),
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
comment on column public.organizations.texts_at_hold is
  'Whether hold_slot also texts the passcode, which saves callers a turn.';
comment on column public.organizations.calendar_patient_names is
  'Whether the calendars that the clinic gives out have patients'' names.';
comment on column public.organizations.transfer_number is
  'The phone at the front desk, E.164, to which calls are transferred; null if there is none.';
comment on column public.organizations.message_hourly_limit is
  'How many messages callers may leave for the desk within an hour.';
comment on column public.organizations.closing_days is
  'Local days on which nobody works, regardless of weekly hours and overrides.';
comment on column public.organizations.hold_minutes is 'How long a held slot waits for its passcode.';
comment on column public.organizations.desk_hold_minutes is
  'How long, from when the front desk answers, the slot of a call that ran out of passcodes is kept for it; 0: not at all.';

create table public.org_channels (
  kind text not null
    constraint org_channels_kind_known
    check (kind in ('called_number', 'vapi_phone_number', 'vapi_assistant', 'shared_line')),
  value text not null
    constraint org_channels_number_e164
    check (kind not in ('called_number', 'shared_line') or value ~ '^\+[1-9][0-9]{6,14}$'),
  org_id uuid not null references public.organizations (id) on delete cascade,
  primary key (kind, value, org_id)
);
comment on table public.org_channels is
  'How a call finds its clinic: called number (E.164), Vapi phone-number id, Vapi assistant id. A shared_line finds nothing: it is the number of a call centre, which callers of several clinics may call from.';
-- Two clinics never share a channel that finds a clinic.
create unique index org_channels_one_clinic on public.org_channels (kind, value)
  where kind <> 'shared_line';
create index org_channels_org on public.org_channels (org_id);

create table public.org_members (
  org_id uuid not null references public.organizations (id) on delete cascade,
  user_id uuid not null references auth.users (id) on delete cascade,
  role text not null
    constraint org_members_role_known check (role = any (private.roles_from('viewer'))),
  primary key (org_id, user_id)
);
comment on table public.org_members is 'Which staff accounts belong to which organization.';
comment on column public.org_members.role is
  'viewer: the calendar. desk: also contacts, texts, messages and calls. manager: also audit log and settings. owner: also members.';
create index org_members_user on public.org_members (user_id);

select private.protect('public.org_members', null);
create policy org_members_self on public.org_members for select to authenticated
  using (user_id = (select auth.uid()));
grant select on public.org_members to authenticated;

select private.protect('public.organizations', null);
create policy organizations_staff on public.organizations for select to authenticated
  using (id in (
    select m.org_id from public.org_members as m where m.user_id = (select auth.uid())
  ));
grant select on public.organizations to authenticated;

select private.protect('public.org_channels', 'manager');

grant select on public.organizations, public.org_channels, public.org_members to service_role;
