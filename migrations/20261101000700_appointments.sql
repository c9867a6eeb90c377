/*
 * Appointments: one row is a hold first and the confirmed appointment later, so the guard against
 * double booking never lets go in between. A change of one waits beside it for its passcode.
 *
 * Decisions
 * - appointments_no_overlap is the guarantee; everything in code is manners. Rows of one provider
 *   overlap only inside the same group session (same service, same start: session_key), and there
 *   the seat is unique.
 * - busy is the appointment with its own buffers: the buffers of neighbours add up.
 * - A new time of an appointment is a hold of its own until the passcode came; then one transaction
 *   confirms it and cancels the old row. Where the two overlap at one doctor they share a
 *   session_key that nobody else can have, the old appointment's id.
 * - The index of appointments_no_overlap never has only one page. While it has, a scan that is begun
 *   again within its statement remembers dead entries by their place on that page, and when the
 *   page is split meanwhile, PostgreSQL marks what stands in those places then as dead (gistrescan
 *   does not forget them; seen on 17.10): a live row is lost to the constraint, and its time can be
 *   booked again. Only the first page is not checked for having changed.
 * - A hold keeps the name and number it was asked for. A contact is made when the passcode has
 *   proven the number, so contacts hold verified numbers only.
 */

create table public.contacts (
  org_id uuid not null references public.organizations (id) on delete cascade,
  id uuid not null default gen_random_uuid(),
  phone text not null
    constraint contacts_phone_e164 check (phone ~ '^\+[1-9][0-9]{6,14}$'),
  name text not null,
  created_at timestamptz not null default now(),
  primary key (org_id, id),
  constraint contacts_phone_unique unique (org_id, phone)
);
comment on table public.contacts is 'Patients of one organization, by a phone number a passcode has proven.';

create table public.appointments (
  org_id uuid not null,
  id uuid not null default gen_random_uuid(),
  provider_id uuid not null,
  service_id uuid not null,
  contact_id uuid,
  patient_name text not null
    constraint appointments_name_given check (length(btrim(patient_name)) between 1 and 120),
  patient_phone text not null
    constraint appointments_phone_e164 check (patient_phone ~ '^\+[1-9][0-9]{6,14}$'),
  patient_country text
    constraint appointments_country_iso check (patient_country ~ '^[A-Z]{2}$'),
  starts_at timestamptz not null,
  ends_at timestamptz not null,
  busy tstzrange not null,
  session_key uuid not null,
  seat integer not null default 0,
  capacity integer not null default 1,
  status text not null default 'held'
    constraint appointments_status_known check (status in (
      'held', 'confirmed', 'cancelled', 'expired', 'requires_manual_followup', 'completed', 'no_show')),
  expires_at timestamptz,
  extended boolean not null default false,
  call_id text,
  asked_by text[] not null default '{}',
  created_at timestamptz not null default clock_timestamp(),
  updated_at timestamptz not null default clock_timestamp(),
  primary key (org_id, id),
  constraint appointments_end_after_start check (ends_at > starts_at),
  -- An empty range, and [] bounds, would pass or break the exclusion constraint.
  constraint appointments_busy_half_open check (
    not isempty(busy) and lower_inc(busy) and not upper_inc(busy)
    and lower(busy) <= starts_at and upper(busy) >= ends_at),
  constraint appointments_seat_in_capacity check (seat >= 0 and seat < capacity),
  constraint appointments_hold_has_expiry check (status <> 'held' or expires_at is not null),
  constraint appointments_confirmed_has_contact
    check (status <> 'confirmed' or (contact_id is not null and expires_at is null)),
  constraint appointments_no_overlap exclude using gist (
    org_id with =, provider_id with =, busy with &&, session_key with <>)
    where (status in ('held', 'confirmed'))
);
comment on table public.appointments is
  'Holds and appointments: a hold is confirmed in place. appointments_no_overlap forbids double booking.';
comment on column public.appointments.busy is 'The appointment with its buffers, half open.';
comment on column public.appointments.session_key is
  'Rows of equal key may overlap: one group session (service and start), or a time and its replacement.';
comment on column public.appointments.expires_at is 'A held row stops blocking here, swept or not.';
comment on column public.appointments.call_id is
  'The call (or chat) that made the hold, or that took over the new time it is.';
comment on column public.appointments.asked_by is
  'Keys of the requests that made or changed the hold: one that is delivered again changes nothing.';

/*
 * Makes the index of appointments_no_overlap grow beyond its first page, by holds of the year 1900
 * that nobody ever sees. For an operator too, with any provider: after a reindex, a truncate or a
 * restore of few rows the index has one page again. Nobody may be in the middle of a scan meanwhile.
 */
create function private.grow_overlap_index(p_org uuid, p_provider uuid, p_service uuid)
returns void
language plpgsql volatile set search_path = ''
as $$
begin
  lock table public.appointments in access exclusive mode;
  insert into public.appointments (
    org_id, provider_id, service_id, patient_name, patient_phone, starts_at, ends_at, busy,
    session_key, expires_at)
  select p_org, p_provider, p_service, 'Nobody', '+10000000', t.at, t.at + interval '1 minute',
    tstzrange(t.at, t.at + interval '1 minute'), gen_random_uuid(), t.at
  from generate_series(
    timestamptz '1900-01-01 00:00Z', '1900-01-01 03:19Z', interval '1 minute') as t (at);
  delete from public.appointments as a
  where a.org_id = p_org and a.provider_id = p_provider and a.ends_at < '1900-01-02';
end
$$;
comment on function private.grow_overlap_index is
  'Keeps the guarantee''s index from having one page, where PostgreSQL can lose a live row.';

-- Of nobody, while no foreign key asks who it is.
select private.grow_overlap_index(gen_random_uuid(), gen_random_uuid(), gen_random_uuid());
alter table public.appointments
  add foreign key (org_id) references public.organizations (id),
  add foreign key (org_id, provider_id) references public.providers (org_id, id),
  add foreign key (org_id, service_id) references public.services (org_id, id),
  add foreign key (org_id, contact_id) references public.contacts (org_id, id);

-- One seat of a session is taken once. A partial unique index, since holds lapse.
create unique index appointments_seat_unique
  on public.appointments (org_id, provider_id, service_id, starts_at, seat)
  where status in ('held', 'confirmed');
create index appointments_lapsing on public.appointments (expires_at, org_id) where status = 'held';
create index appointments_by_provider on public.appointments (org_id, provider_id, starts_at);
create index appointments_by_service on public.appointments (org_id, service_id);
create index appointments_by_contact on public.appointments (org_id, contact_id)
  where contact_id is not null;
create index appointments_by_call on public.appointments (org_id, call_id)
  where call_id is not null;
create index appointments_old on public.appointments (org_id, coalesce(expires_at, updated_at))
  where status in ('expired', 'cancelled', 'requires_manual_followup');

create table public.appointment_changes (
  org_id uuid not null,
  appointment_id uuid not null,
  kind text not null
    constraint appointment_changes_kind_known check (kind in ('cancel', 'reschedule')),
  hold_id uuid,
  call_id text,
  opened_at timestamptz not null default clock_timestamp(),
  expires_at timestamptz not null,
  applied_at timestamptz,
  primary key (org_id, appointment_id),
  foreign key (org_id, appointment_id)
    references public.appointments (org_id, id) on delete cascade,
  foreign key (org_id, hold_id) references public.appointments (org_id, id) on delete cascade,
  constraint appointment_changes_new_time_is_held
    check ((kind = 'reschedule') = (hold_id is not null))
);
comment on table public.appointment_changes is
  'The newest change asked for by phone of an appointment; it takes effect when the passcode came.';
comment on column public.appointment_changes.hold_id is
  'The hold of the new time; the appointment itself when the new time is the one it has.';
comment on column public.appointment_changes.call_id is 'Only this call''s passcode applies the change.';
create index appointment_changes_by_hold on public.appointment_changes (org_id, hold_id)
  where hold_id is not null;
create index appointment_changes_by_call on public.appointment_changes (org_id, call_id)
  where call_id is not null;
create index appointment_changes_by_time on public.appointment_changes (org_id, expires_at);

create view public.appointment_holds with (security_invoker = true) as
  select a.org_id, a.id, a.provider_id, a.service_id, a.patient_name, a.starts_at, a.ends_at,
    a.status, a.expires_at, a.status = 'held' and a.expires_at > now() as live, a.created_at
  from public.appointments as a
  where a.status in ('held', 'expired');
comment on view public.appointment_holds is 'Held and lapsed rows of appointments, by the name people look for.';

select private.protect('public.contacts', true);
select private.protect('public.appointments', true);
select private.protect('public.appointment_changes', true);
grant select on public.appointment_holds to authenticated, service_role;
grant select on public.contacts, public.appointments, public.appointment_changes to service_role;

create function private.session_key(p_service uuid, p_start timestamptz) returns uuid
language plpgsql immutable strict set search_path = ''
as $$
begin
  return md5(p_service::text || '@' || extract(epoch from p_start)::bigint)::uuid;
end
$$;
comment on function private.session_key is 'Identity of a group session: a service and its start.';

create function private.read_id(p_text text) returns uuid
language sql immutable strict set search_path = ''
as $$
  select case when btrim(p_text) ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
    then btrim(p_text)::uuid end
$$;
comment on function private.read_id is 'The id in a text, or null when it is none: models make ids up.';
/* Two names of one person: the same words, or those of the shorter one, two at least, in the longer. */
create function private.is_same_name(p_one text, p_other text) returns boolean
language sql immutable strict set search_path = ''
as $$
  select n.one <> '' and (
    replace(n.one, ' ', '') = replace(n.other, ' ', '')
    or least(cardinality(w.one), cardinality(w.other)) >= 2
      and (w.one <@ w.other or w.other <@ w.one))
  from (select private.plain_name(p_one) as one, private.plain_name(p_other) as other) as n
  cross join lateral (
    select string_to_array(n.one, ' ') as one, string_to_array(n.other, ' ') as other) as w
$$;
comment on function private.is_same_name is
  'Whether two names can be one person''s: case, accents, titles, order and middle names aside.';

create function private.describe_hold(
  p_org public.organizations, p_hold public.appointments, p_now timestamptz
) returns jsonb
language plpgsql stable set search_path = ''
as $$
declare
  v_service text;
  v_doctor text;
begin
  select s.name, p.name into strict v_service, v_doctor
  from public.services as s, public.providers as p
  where s.org_id = p_org.id and s.id = p_hold.service_id
    and p.org_id = p_org.id and p.id = p_hold.provider_id;
  return jsonb_build_object(
    'orgId', p_org.id, 'timezone', p_org.timezone, 'holdId', p_hold.id,
    'startTime', private.iso_local(p_hold.starts_at, p_org.timezone),
    'endTime', private.iso_local(p_hold.ends_at, p_org.timezone),
    'service', v_service, 'doctor', v_doctor, 'phoneEnding', right(p_hold.patient_phone, 2),
    'expiresInSeconds',
      greatest(0, ceil(extract(epoch from p_hold.expires_at - p_now)))::integer);
end
$$;
comment on function private.describe_hold is 'What may be told to the caller who made the hold.';
