/*
 * Breaks every rule of catalogue.sql, so that a test can show that each of them is able to fail.
 */

drop table public.phone_counts cascade;
grant usage on schema private to authenticated;
grant create on schema public to service_role;
grant update on public.organizations to service_role;
drop function public.find_misplaced_bookings;
drop function public.staff_mark;
create or replace function public.staff_list_members(p_org uuid) returns jsonb language sql
as 'select jsonb_agg(m) from public.org_members as m where m.org_id = p_org';
grant select (ciphertext) on public.org_credentials to service_role;

-- No row level security, comment, primary key or org_id first; keys that follow and set.
create table public.broken (
  org_id uuid,
  number bigint generated always as identity unique,
  at timestamp,
  provider_org uuid,
  provider_id uuid,
  account uuid references auth.users (id) on delete set null,
  foreign key (provider_id, provider_org) references public.providers (id, org_id) on update cascade
);
grant select on public.broken to anon;
grant insert on public.broken to authenticated;
create view public.broken_view as select * from public.broken;

insert into private.retention_rules (name, relation, age) values ('broken', 'public.broken', 'at');

create policy broken_write on public.contacts for insert to public with check (true);
create policy broken_twice on public.contacts for select to authenticated
  using (org_id = auth.uid());

create function public.broken_entry(p_id uuid) returns public.contacts
language plpgsql stable security definer
as $$
begin
  delete from public.contacts;
exception when unique_violation then
  raise 'contacts_phone_unique';
end
$$;
create function public.broken_entry(p_id text) returns void language sql begin atomic; end;
revoke execute on function public.broken_entry(text) from public;
create function private.broken_wait() returns void language sql
as 'delete from public.contacts';
create function public.broken_wait() returns jsonb language plpgsql security definer
as 'begin perform private.broken_wait(); return jsonb_build_object(''outcome'', 1); end';
create function private.broken(p_id uuid) returns bigint language sql security definer
as 'select count(*) from public.contacts';

create function private.broken_time() returns bigint language plpgsql
as $$
begin
  insert into public.appointments default values;
  return (select count(*) from public.appointments as a where a.busy && tstzrange(now(), now()));
end
$$;

create function private.broken_trigger() returns trigger language plpgsql
as 'begin return new; end';
create trigger broken before insert on public.contacts
  for each row execute function private.broken_trigger();
