-- What hosted Supabase has before the first migration: roles, schemas, privileges.
-- Run by the superuser supabase_admin; postgres is not a superuser there, nor here.

do $$
begin
  if not exists (select from pg_catalog.pg_roles where rolname = 'postgres') then
    create role postgres login createdb createrole bypassrls password 'postgres';
    create role anon nologin noinherit;
    create role authenticated nologin noinherit;
    create role service_role nologin noinherit bypassrls;
    create role authenticator login noinherit password 'postgres';
    grant anon, authenticated, service_role to authenticator;
    grant anon, authenticated, service_role to postgres with admin option;
    alter role postgres set search_path = "$user", public, extensions;
    alter role supabase_admin set search_path = "$user", public, auth, extensions;
    alter role authenticator set statement_timeout = '8s';
    alter role authenticator set lock_timeout = '8s';
    alter role anon set statement_timeout = '3s';
    alter role authenticated set statement_timeout = '8s';
  end if;
end
$$;

create schema extensions;
create schema auth;
create extension pgcrypto with schema extensions;
create extension "uuid-ossp" with schema extensions;
grant usage on schema extensions to postgres, anon, authenticated, service_role;
grant create on schema extensions to postgres;

create table auth.users (
  id uuid primary key default gen_random_uuid(),
  email text unique,
  created_at timestamptz not null default now()
);
create function auth.jwt() returns jsonb language sql stable set search_path = ''
as $$ select coalesce(nullif(current_setting('request.jwt.claims', true), ''), '{}')::jsonb $$;
create function auth.uid() returns uuid language sql stable set search_path = ''
as $$ select nullif(auth.jwt() ->> 'sub', '')::uuid $$;
create function auth.role() returns text language sql stable set search_path = ''
as $$ select auth.jwt() ->> 'role' $$;
create function auth.email() returns text language sql stable set search_path = ''
as $$ select auth.jwt() ->> 'email' $$;
grant usage on schema auth to postgres, anon, authenticated, service_role;
grant all on auth.users to postgres;
grant select, insert, delete on auth.users to service_role;

grant usage on schema public to anon, authenticated, service_role;
grant all on schema public to postgres;
