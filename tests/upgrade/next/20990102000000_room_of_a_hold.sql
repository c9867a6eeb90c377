/* The next step: one existing table in each file, since calls lock tables in their own order. */
set local lock_timeout = '2s';

alter table public.appointments add column room_id uuid;
create index appointments_room on public.appointments (org_id, room_id) where room_id is not null;
alter table public.appointments
  add constraint appointments_room_fkey foreign key (org_id, room_id)
    references public.rooms (org_id, id) not valid;
