-- What the accounts of the local stack need beyond bootstrap.sql. Supabase has its own tables for it.
-- Run at each start, as supabase_admin.

alter table auth.users
  add column if not exists role text not null default 'authenticated',
  add column if not exists email_confirmed_at timestamptz,
  add column if not exists last_sign_in_at timestamptz,
  add column if not exists app_metadata jsonb not null default '{}',
  add column if not exists user_metadata jsonb not null default '{}',
  add column if not exists identity_id uuid not null default gen_random_uuid(),
  add column if not exists identity_verified boolean not null default false,
  add column if not exists banned_until timestamptz,
  add column if not exists deleted_at timestamptz,
  add column if not exists updated_at timestamptz not null default now();

-- Apart from auth.users, which the service role may read.
create table if not exists auth.local_passwords (
  user_id uuid primary key references auth.users (id) on delete cascade,
  salt bytea not null,
  hash bytea not null
);

create table if not exists auth.sessions (
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null references auth.users (id) on delete cascade,
  created_at timestamptz not null default clock_timestamp()
);
create index if not exists sessions_by_user on auth.sessions (user_id);

create table if not exists auth.refresh_tokens (
  id bigint generated always as identity primary key,
  token text not null unique,
  parent text,
  session_id uuid not null references auth.sessions (id) on delete cascade,
  revoked boolean not null default false,
  updated_at timestamptz not null default clock_timestamp()
);
create index if not exists refresh_tokens_by_session on auth.refresh_tokens (session_id);
