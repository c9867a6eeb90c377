/* What a later release could add. The gate applies it to a database in use; it belongs to no release. */
set local lock_timeout = '2s';

create table public.rooms (
  org_id uuid not null,
  id uuid not null default gen_random_uuid(),
  name text not null,
  primary key (org_id, id)
);
alter table public.rooms enable row level security;
alter table public.organizations add column has_rooms boolean not null default false;
