/*
 * A clinic's tables as they are usually designed, for the usual way to book: no locks, no constraint
 * against overlaps, no audit log.
 */

create schema usual;

create table usual.organizations (
  id uuid primary key default gen_random_uuid(),
  phone text not null unique,
  name text not null
);
create table usual.credentials (
  organization_id uuid primary key references usual.organizations (id),
  account_sid text not null,
  auth_token text not null
);
create table usual.services (
  id uuid primary key default gen_random_uuid(),
  organization_id uuid not null references usual.organizations (id),
  slug text not null,
  duration_min integer not null,
  unique (organization_id, slug)
);
create table usual.providers (
  id uuid primary key default gen_random_uuid(),
  organization_id uuid not null references usual.organizations (id),
  slug text not null,
  unique (organization_id, slug)
);
create table usual.working_hours (
  provider_id uuid not null references usual.providers (id),
  organization_id uuid not null references usual.organizations (id),
  day_of_week integer not null,
  start_min integer not null,
  end_min integer not null,
  primary key (provider_id, day_of_week)
);
create index on usual.working_hours (organization_id, day_of_week);
create table usual.appointments (
  id uuid primary key default gen_random_uuid(),
  organization_id uuid not null references usual.organizations (id),
  provider_id uuid not null references usual.providers (id),
  service_id uuid not null references usual.services (id),
  patient_name text not null,
  patient_phone text not null,
  starts_at timestamptz not null,
  ends_at timestamptz not null,
  status text not null default 'held',
  created_at timestamptz not null default now()
);
create index on usual.appointments (organization_id, starts_at);
create table usual.codes (
  id uuid primary key default gen_random_uuid(),
  appointment_id uuid not null references usual.appointments (id),
  code_hash text not null,
  attempts integer not null default 0,
  sent_at timestamptz,
  expires_at timestamptz not null
);
create index on usual.codes (appointment_id);

grant usage on schema usual to service_role;
grant all on all tables in schema usual to service_role;
