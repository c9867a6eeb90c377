/*
 * Appointments: one row is a hold first and the confirmed appointment later, so there is no moment
 * between the two when somebody else can book the time. A change waits for its passcode in
 * another table.
 *
 * Decisions
 * - Rows of one provider overlap only inside the same group session (same service, same start:
 *   session_key), and there the seat is unique.
 * - Two mechanisms enforce this independently: appointments_no_overlap, a constraint on a GiST
 *   index, and private.would_overlap(), which checks the neighbours in a B-tree while the provider's
 *   lock is held. SQL from outside these functions has only the constraint.
 * - Only the constraint itself may read its GiST index, because PostgreSQL (15 to 17) can lose live
 *   rows of a GiST index that queries read. The constraint's where clause is written so that the
 *   planner does not match it to any query.
 * - busy is the appointment with its buffers; the buffers of neighbours add up.
 * - The new time of a move is a separate hold until the passcode is verified; then one transaction
 *   confirms it and cancels the old row. If the two overlap at one provider, they share a session_key
 *   that nobody else can have: the old appointment's id.
 * - A hold keeps the name and number it was requested for. A contact is created when a passcode has
 *   proven the number, or when staff book for the patient; contacts.proven_at tells which.
 * - Who books at the desk need not have a phone. Then nothing can be changed in a call.
 */

create table public.contacts (
  org_id uuid not null references public.organizations (id) on delete cascade,
  id uuid not null default gen_random_uuid(),
  phone text
    constraint contacts_phone_e164 check (phone ~ '^\+[1-9][0-9]{6,14}$'),
  name text not null,
  proven_at timestamptz,
  created_at timestamptz not null default now(),
  primary key (org_id, id),
  constraint contacts_phone_unique unique (org_id, phone)
);
comment on table public.contacts is 'Patients of one organization, by their phone number if they have one.';
comment on column public.contacts.proven_at is
  'When a passcode last proved the number at a booking; null: only staff have entered it.';

create table public.appointments (
  org_id uuid not null,
  id uuid not null default gen_random_uuid(),
  provider_id uuid not null,
  service_id uuid not null,
  contact_id uuid,
  patient_name text
    constraint appointments_name_given check (length(btrim(patient_name)) between 1 and 120),
  patient_phone text
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
  extended_at timestamptz,
  handed_over_at timestamptz,
  call_id text,
  arrived_at timestamptz,
  patient_confirmed_at timestamptz,
  asked_by text[] not null default '{}',
  created_at timestamptz not null default clock_timestamp(),
  updated_at timestamptz not null default clock_timestamp(),
  primary key (org_id, id),
  constraint appointments_end_after_start check (ends_at > starts_at),
  -- An empty range would pass the exclusion constraint, and [] bounds would break it.
  constraint appointments_busy_half_open check (
    not isempty(busy) and lower_inc(busy) and not upper_inc(busy)
    and lower(busy) <= starts_at and upper(busy) >= ends_at),
  -- A service lasts 24 hours at most, and so does each of its buffers.
  constraint appointments_busy_72_hours check (upper(busy) - lower(busy) <= interval '72 hours'),
  constraint appointments_seat_in_capacity check (seat >= 0 and seat < capacity),
  constraint appointments_hold_has_expiry check (status <> 'held' or expires_at is not null),
  -- The name is null in those of a patient who was erased.
  constraint appointments_patient_known check (
    patient_name is not null or patient_phone is null and contact_id is null
      and status in ('confirmed', 'cancelled', 'completed', 'no_show')),
  constraint appointments_confirmed_has_contact check (status <> 'confirmed'
    or (contact_id is not null or patient_name is null) and expires_at is null),
  constraint appointments_no_overlap exclude using gist (
    org_id with =, provider_id with =, busy with &&, session_key with <>)
    -- Deliberately not written as in a query: no plan may use this index.
    where (coalesce(status in ('held', 'confirmed'), false))
);
comment on table public.appointments is
  'Holds and appointments: a hold is confirmed in place. Live ones of one provider do not overlap.';
comment on column public.appointments.busy is 'The appointment with its buffers, half open.';
comment on column public.appointments.session_key is
  'Rows of equal key may overlap: one group session (service and start), or a time and its replacement.';
comment on column public.appointments.expires_at is 'A held row stops blocking at this time, cleaned up or not.';
comment on column public.appointments.extended_at is
  'When the hold was extended because its call asked for the same time again; this happens once.';
comment on column public.appointments.handed_over_at is
  'When its call ran out of passcodes, so that it waits for the front desk. While it is held, its time is kept until expires_at.';
comment on column public.appointments.call_id is
  'The call (or chat) that made the hold, or took it over after the line of the first call dropped.';
comment on column public.appointments.arrived_at is 'When staff marked that the patient is there.';
comment on column public.appointments.patient_confirmed_at is
  'When the patient confirmed by answering a reminder that they will come; null: has not.';
comment on column public.appointments.asked_by is
  'Keys of the requests that made or changed the hold: a repeated request changes nothing.';

-- These keys also ensure that the organization exists; a key for that would cost each claim a lock.
alter table public.appointments
  add foreign key (org_id, provider_id) references public.providers (org_id, id),
  add foreign key (org_id, service_id) references public.services (org_id, id),
  add foreign key (org_id, contact_id) references public.contacts (org_id, id);

-- Each seat of a session is taken once. The index is partial, since holds expire.
create unique index appointments_seat_unique
  on public.appointments (org_id, provider_id, service_id, starts_at, seat)
  where status in ('held', 'confirmed');
-- Finds the rows that overlap a time: see private.overlaps().
create index appointments_taken
  on public.appointments (org_id, provider_id, lower(busy), upper(busy))
  where status in ('held', 'confirmed');
create index appointments_expiring on public.appointments (expires_at, org_id) where status = 'held';
create index appointments_by_provider on public.appointments (org_id, provider_id, starts_at);
comment on index public.appointments_by_provider is
  'For readers, including the API: the rows of a provider by start.';
create index appointments_by_service on public.appointments (org_id, service_id);
create index appointments_by_contact on public.appointments (org_id, contact_id)
  where contact_id is not null;
-- Those that wait for the front desk.
create index appointments_handed_over on public.appointments (org_id, starts_at)
  where handed_over_at is not null and status in ('held', 'requires_manual_followup');
create index appointments_by_call on public.appointments (org_id, call_id)
  where call_id is not null;
create index appointments_old on public.appointments (org_id, coalesce(expires_at, updated_at))
  where status in ('expired', 'cancelled', 'requires_manual_followup');

create table public.appointment_changes (
  org_id uuid not null,
  call_id text not null,
  kind text not null
    constraint appointment_changes_kind_known check (kind in ('find', 'cancel', 'reschedule')),
  patient_name text not null,
  patient_phone text not null,
  patient_country text,
  said jsonb not null default '{}'
    constraint appointment_changes_said_object check (jsonb_typeof(said) = 'object'),
  slot_id text,
  hold_id uuid,
  is_booking boolean not null default false,
  asked text[] not null default '{}',
  opened_at timestamptz not null default clock_timestamp(),
  applied_at timestamptz,
  appointment_id uuid,
  primary key (org_id, call_id),
  foreign key (org_id, call_id) references public.calls (org_id, call_id) on delete cascade,
  foreign key (org_id, hold_id) references public.appointments (org_id, id) on delete cascade,
  foreign key (org_id, appointment_id) references public.appointments (org_id, id) on delete cascade,
  constraint appointment_changes_new_time_is_asked
    check ((kind = 'reschedule') = (slot_id is not null) and (hold_id is null or slot_id is not null))
);
comment on table public.appointment_changes is
  'The latest request of a call about existing appointments. It takes effect when a passcode has proven the number.';
comment on column public.appointment_changes.said is
  'What the caller said about the appointment, {id, date, time, provider}; read after the passcode.';
comment on column public.appointment_changes.slot_id is 'The requested new time.';
comment on column public.appointment_changes.hold_id is
  'The hold of the new time; after the change, the appointment at that time.';
comment on column public.appointment_changes.is_booking is
  'Whether the call was about to book the new time for the patient: it stays a booking if there is no appointment to move.';
comment on column public.appointment_changes.asked is
  'What the caller was asked in order to tell appointments apart: day, time, doctor. Nothing is asked twice.';
comment on column public.appointment_changes.appointment_id is 'The appointment that was changed.';
create index appointment_changes_by_hold on public.appointment_changes (org_id, hold_id)
  where hold_id is not null;
create index appointment_changes_by_appointment on public.appointment_changes (org_id, appointment_id)
  where appointment_id is not null;

create view public.appointment_holds with (security_invoker = true) as
  select a.org_id, a.id, a.provider_id, a.service_id, a.patient_name, a.starts_at, a.ends_at,
    a.status, a.expires_at, a.status = 'held' and a.expires_at > now() as live, a.created_at
  from public.appointments as a
  where a.status in ('held', 'expired');
comment on view public.appointment_holds is 'Held and expired rows of appointments, under the name people look for.';

select private.protect('public.contacts', 'desk');
select private.protect('public.appointments', 'viewer');
select private.protect('public.appointment_changes', 'desk');
grant select on public.appointment_holds to authenticated, service_role;
grant select on public.contacts, public.appointments, public.appointment_changes to service_role;

/*
 * The states of a row, each defined once. The bodies are standard SQL, which PostgreSQL inlines into
 * the calling query. The expiry is inside coalesce(), because the planner would answer a plain
 * comparison from the index of the clean-up, which cost 14 times as much.
 */
create function private.takes_time(p_row public.appointments) returns boolean
language sql immutable
return (p_row).status in ('held', 'confirmed');
comment on function private.takes_time is
  'Whether the constraint and the indexes count a row: held or confirmed, expired or not.';

create function private.is_live(p_row public.appointments, p_at timestamptz) returns boolean
language sql immutable
return private.takes_time(p_row) and coalesce((p_row).expires_at, 'infinity') > p_at;
comment on function private.is_live is 'Whether a row is held or confirmed, and not expired.';

create function private.is_held(p_row public.appointments, p_at timestamptz) returns boolean
language sql immutable
return (p_row).status = 'held' and coalesce((p_row).expires_at, 'infinity') > p_at;
comment on function private.is_held is 'Whether a row is a live hold.';

create function private.is_kept(p_row public.appointments) returns boolean
language sql immutable
return (p_row).status = 'held' and (p_row).handed_over_at is not null;
comment on function private.is_kept is
  'Whether a hold, live or not, is kept for the front desk: its call has it no longer.';

create function private.awaits_code(p_row public.appointments, p_at timestamptz) returns boolean
language sql immutable
return private.is_held(p_row, p_at) and (p_row).handed_over_at is null;
comment on function private.awaits_code is 'Whether a row is a live hold that its call still has.';

create function private.has_expired(p_row public.appointments, p_at timestamptz) returns boolean
language sql immutable
return (p_row).status = 'expired' or (p_row).status = 'held' and (p_row).handed_over_at is null
  and coalesce((p_row).expires_at, 'infinity') <= p_at;
comment on function private.has_expired is
  'Whether a row is a hold that has expired before its passcode, cleaned up or not.';

create function private.expired_status(p_row public.appointments) returns text
language sql immutable
return case when (p_row).handed_over_at is null then 'expired' else 'requires_manual_followup' end;
comment on function private.expired_status is
  'What a hold becomes when its time is over: what waits for the front desk goes on waiting, without its time.';

create function private.blocks(
  p_row public.appointments, p_call_id text, p_moves uuid, p_at timestamptz
) returns boolean
language sql immutable
return private.is_live(p_row, p_at)
  and (p_call_id is null or (p_row).status <> 'held' or (p_row).handed_over_at is not null
    or (p_row).call_id is distinct from p_call_id)
  and (p_row).id is distinct from p_moves;
comment on function private.blocks is
  'Whether a row is live, and neither a hold of this call nor the appointment that it moves.';

create function private.session_key(p_service uuid, p_start timestamptz) returns uuid
language sql stable strict
return md5(p_service::text || '@' || extract(epoch from p_start)::bigint::text)::uuid;
comment on function private.session_key is 'Identity of a group session: a service and its start.';

create function private.busy_time(p_service public.services, p_start timestamptz) returns tstzrange
language sql stable
return tstzrange(
  p_start - make_interval(mins => (p_service).buffer_before_min),
  p_start + make_interval(mins => (p_service).duration_min + (p_service).buffer_after_min));
comment on function private.busy_time is 'The time that an appointment at a start takes, with its buffers.';

/*
 * Whether a row's busy time overlaps another time, in a form that appointments_taken can answer. A
 * busy time lasts at most 72 hours, so an overlapping one begins less than 72 hours earlier.
 */
create function private.overlaps(p_busy tstzrange, p_other tstzrange) returns boolean
language sql stable
return lower(p_busy) < upper(p_other) and upper(p_busy) > lower(p_other)
  and lower(p_busy) > lower(p_other) - interval '72 hours';
comment on function private.overlaps is
  'Whether a row''s busy time overlaps another one; both are half open and have two ends.';

/*
 * Lets one transaction at a time give away a provider's time, until it ends. Returns false if p_wait
 * is false and another transaction has the lock.
 */
create function private.lock_provider(p_org uuid, p_provider uuid, p_wait boolean) returns boolean
language plpgsql volatile set search_path = ''
as $$
declare
  v_key constant bigint := hashtextextended(p_org || '/provider/' || p_provider, 1);
begin
  if not p_wait then
    return pg_try_advisory_xact_lock(v_key);
  end if;
  perform pg_advisory_xact_lock(v_key);
  return true;
end
$$;
comment on function private.lock_provider is
  'Takes the lock on a provider''s time: after the call''s lock, before any row lock.';

/* In one order: of two that change the schedule of a clinic, one waits for the other. */
create function private.lock_providers(p_org uuid) returns void
language plpgsql volatile set search_path = ''
as $$
declare
  v_provider uuid;
begin
  for v_provider in select p.id from public.providers as p where p.org_id = p_org order by p.id loop
    perform private.lock_provider(p_org, v_provider, p_wait => true);
  end loop;
end
$$;
comment on function private.lock_providers is
  'Takes the locks of all providers of an organization: nothing is booked until the transaction ends.';

/*
 * Whether a row of this time and session would overlap another row of its provider. This is the
 * guarantee that does not need the constraint: every function that makes a row live, or changes the
 * time or session of a live one, first takes the provider's lock and then calls this in a new
 * statement, which sees what the previous owner of the lock committed.
 *
 * p_session  the session that others may be in; null if nobody shares the time
 * p_at       ignore holds that have expired by then; null counts every row that the constraint counts
 */
create function private.would_overlap(
  p_org uuid, p_provider uuid, p_busy tstzrange, p_session uuid, p_at timestamptz default null
) returns boolean
language plpgsql volatile set search_path = ''
as $$
begin
  return exists (
    select from public.appointments as a
    where a.org_id = p_org and a.provider_id = p_provider and private.takes_time(a)
      and private.overlaps(a.busy, p_busy) and a.session_key is distinct from p_session
      and (p_at is null or private.is_live(a, p_at)));
end
$$;
comment on function private.would_overlap is
  'Whether a row of another session takes a provider''s time; checked under the provider''s lock.';

create function private.read_id(p_text text) returns uuid
language sql immutable
return case when btrim(p_text) ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
  then btrim(p_text)::uuid end;
comment on function private.read_id is 'The id in a text, or null when it is not one: models make ids up.';

create function private.words_of(p_text text) returns text[]
language plpgsql immutable strict set search_path = ''
as $$
begin
  return array(select distinct w from unnest(string_to_array(p_text, ' ')) as w);
end
$$;
comment on function private.words_of is 'The different words of a text, which single spaces separate.';

create function private.has_other_title(p_one text, p_other text) returns boolean
language sql immutable strict set search_path = ''
as $$
  select coalesce((n.one = 'mr') <> (n.other = 'mr'), false)
  from (
    select substring(lower(btrim(p_one)) from '^(mr|mrs|ms|miss)\M') as one,
      substring(lower(btrim(p_other)) from '^(mr|mrs|ms|miss)\M') as other) as n
$$;
comment on function private.has_other_title is
  'Whether one of two names is a man''s by its title, and the other a woman''s.';

/*
 * Whether a spoken name can be the stored one. Both are treated as sets of words. They match if all
 * spoken words are stored ones, at least two of them (or the only one), or if the caller says the
 * stored words and one more. A list of names, a repeated word, a sister with the same two surnames, and
 * Mr Khan and Mrs Khan do not match.
 */
create function private.is_same_name(p_said text, p_stored text) returns boolean
language plpgsql immutable strict set search_path = ''
as $$
declare
  v_said constant text := private.spelled_like(p_said, p_stored);
  v_stored constant text := private.plain_name(p_stored);
  v_said_words constant text[] := private.words_of(v_said);
  v_stored_words constant text[] := private.words_of(v_stored);
  v_said_count constant integer := cardinality(v_said_words);
  v_stored_count constant integer := cardinality(v_stored_words);
begin
  if v_said_count = 1 and v_stored_count = 1 and private.has_other_title(p_said, p_stored) then
    return false;
  end if;
  return v_said <> '' and (
    replace(v_said, ' ', '') = replace(v_stored, ' ', '')
    or v_said_words <@ v_stored_words and v_said_count >= least(2, v_stored_count)
    or v_stored_words <@ v_said_words and v_said_count = v_stored_count + 1 and v_stored_count > 0);
end
$$;
comment on function private.is_same_name is
  'Whether a spoken name can be a stored one: case, accents, umlauts written in two letters, titles, order and one middle name are ignored.';

/* For two names said in one call: neither is more authoritative than the other. */
create function private.is_same_patient(p_one text, p_other text) returns boolean
language plpgsql immutable strict set search_path = ''
as $$
begin
  return private.is_same_name(p_one, p_other) or private.is_same_name(p_other, p_one);
end
$$;
comment on function private.is_same_patient is 'Whether two names said in one call belong to one patient.';

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
comment on function private.describe_hold is 'What the caller who made the hold may be told.';
