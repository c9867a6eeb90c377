/*
 * Webhooks: what happens at a clinic is written down for the systems that want to know.
 *
 * Decisions
 * - An event is written in the transaction that it reports, one row for each endpoint that wants it. So
 *   it is told if and only if the change was committed, and a booking never waits for anybody's server.
 * - The row has ids and times, nothing of a patient. Where an endpoint is told names and messages, they
 *   are read when it is told: a patient who was erased in between is not named.
 * - An endpoint's address can be a secret, as in n8n: no role of the API reads the table, and only
 *   the host is shown. Its signing secrets are encrypted before they reach the database, like accounts.
 * - Only an endpoint that is removed is waited for: what else is noted about it locks its row weakly.
 */

create function private.webhook_types() returns text[]
language sql immutable
return array['booking.created', 'booking.changed', 'booking.cancelled', 'followup.needed',
  'message.left', 'alarm.raised'];
comment on function private.webhook_types is 'The events that endpoints are told.';

create table public.webhook_endpoints (
  org_id uuid not null references public.organizations (id) on delete cascade,
  id uuid not null default gen_random_uuid(),
  address text not null
    constraint webhook_endpoints_address_https check (private.require(
      address ~ '^https://[^[:space:]/?#@]+([/?#][^[:space:]]*)?$' and length(address) <= 2000,
      'an endpoint', 'its address begins with https:// and has no name or password before its host')),
  types text[] not null default private.webhook_types()
    constraint webhook_endpoints_types_known check (private.require(
      cardinality(types) > 0 and types <@ private.webhook_types(), 'an endpoint',
      'its events are some of ' || array_to_string(private.webhook_types(), ', '))),
  tells_names boolean not null default false,
  secrets jsonb not null
    constraint webhook_endpoints_secrets_listed check (
      jsonb_typeof(secrets) = 'array' and jsonb_array_length(secrets) between 1 and 2),
  created_at timestamptz not null default clock_timestamp(),
  claimed_at timestamptz,
  due_at timestamptz not null default '-infinity',
  failures integer not null default 0,
  failed_at timestamptz,
  counted_at timestamptz,
  failure text,
  alarmed_at timestamptz,
  disabled_at timestamptz,
  primary key (org_id, id),
  constraint webhook_endpoints_once unique (org_id, address)
);
comment on table public.webhook_endpoints is
  'Addresses of other systems that are told what happens at a clinic. The address is a secret.';
comment on column public.webhook_endpoints.types is 'The events that it is told.';
comment on column public.webhook_endpoints.tells_names is
  'Whether it is told patients'' names and callers'' messages.';
comment on column public.webhook_endpoints.secrets is
  'Its signing secrets, newest first: [{keyId, nonce, ciphertext, until}], AES-256-GCM with organization and endpoint as additional data; until: when an old one is used no longer.';
comment on column public.webhook_endpoints.claimed_at is 'When something was last claimed for it: others come first.';
comment on column public.webhook_endpoints.due_at is 'It is left alone until then, because it failed.';
comment on column public.webhook_endpoints.failures is
  'How many attempts in a row have failed; messages that were claimed together count once.';
comment on column public.webhook_endpoints.failed_at is 'When the first of these failed.';
comment on column public.webhook_endpoints.counted_at is 'When the newest of these was counted.';
comment on column public.webhook_endpoints.alarmed_at is
  'When an alarm was last raised about it: once for an outage, and once a day at most.';
comment on column public.webhook_endpoints.disabled_at is
  'When it was given up: it answered 410, or attempts had failed for three days.';
select private.protect('public.webhook_endpoints', null);

create table public.webhook_messages (
  org_id uuid not null,
  id uuid not null default gen_random_uuid(),
  endpoint_id uuid not null,
  type text not null
    constraint webhook_messages_type_known check (type = any (private.webhook_types())),
  subject_id uuid not null,
  data jsonb not null,
  state text not null default 'waiting'
    constraint webhook_messages_state_known
    check (state in ('waiting', 'sending', 'delivered', 'failed')),
  attempts integer not null default 0,
  due_at timestamptz not null default clock_timestamp(),
  claim_id uuid,
  reason text,
  created_at timestamptz not null default clock_timestamp(),
  updated_at timestamptz not null default clock_timestamp(),
  primary key (org_id, id),
  foreign key (org_id, endpoint_id)
    references public.webhook_endpoints (org_id, id) on delete cascade,
  constraint webhook_messages_sending_has_claim check (state <> 'sending' or claim_id is not null)
);
comment on table public.webhook_messages is
  'What endpoints are to be told or were told: ids and times, nothing of a patient.';
comment on column public.webhook_messages.subject_id is 'The appointment, message or alarm.';
comment on column public.webhook_messages.state is
  'waiting for due_at; sending until due_at, then sent again; delivered; failed: given up, until it is sent again by hand.';
comment on column public.webhook_messages.claim_id is 'The newest attempt: only its result counts.';
comment on column public.webhook_messages.reason is 'What the newest attempt failed with.';
create index webhook_messages_due on public.webhook_messages (org_id, endpoint_id, due_at)
  where state in ('waiting', 'sending');
create index webhook_messages_by_endpoint on public.webhook_messages (org_id, endpoint_id);
create index webhook_messages_by_time on public.webhook_messages (org_id, created_at);
select private.protect('public.webhook_messages', null);

/*
 * p_data    ids and times
 * p_except  an endpoint that is not told
 */
create function private.tell(
  p_org uuid, p_type text, p_subject uuid, p_data jsonb, p_except uuid default null
) returns void
language plpgsql volatile set search_path = ''
as $$
begin
  insert into public.webhook_messages (org_id, endpoint_id, type, subject_id, data)
  select e.org_id, e.id, p_type, p_subject, jsonb_strip_nulls(p_data)
  from (
    select w.org_id, w.id from public.webhook_endpoints as w
    where w.org_id = p_org and w.disabled_at is null and p_type = any (w.types)
      and w.id is distinct from p_except
    -- One that is being removed is waited for, and then not told.
    for key share
  ) as e;
end
$$;
comment on function private.tell is
  'Writes an event for the endpoints that want it, to be sent once this transaction has committed.';

/*
 * p_kind        confirmation, change or cancellation, as of the text about the same
 * p_moved_from  the appointment that this one replaces
 */
create function private.tell_of_booking(
  p_org uuid, p_appointment uuid, p_kind text, p_moved_from uuid default null
) returns void
language plpgsql volatile set search_path = ''
as $$
declare
  v_row public.appointments;
  v_before public.appointments;
begin
  -- Most clinics tell nobody.
  if not exists (
    select from public.webhook_endpoints as w where w.org_id = p_org and w.disabled_at is null) then
    return;
  end if;
  select a.* into v_row from public.appointments as a
  where a.org_id = p_org and a.id = p_appointment;
  select a.* into v_before from public.appointments as a
  where a.org_id = p_org and a.id = p_moved_from and p_kind = 'change';
  perform private.tell(p_org,
    case p_kind when 'confirmation' then 'booking.created' when 'change' then 'booking.changed'
      when 'cancellation' then 'booking.cancelled' when 'followup' then 'followup.needed' end,
    p_appointment, jsonb_build_object(
      'appointmentId', v_row.id, 'providerId', v_row.provider_id, 'serviceId', v_row.service_id,
      'startTime', v_row.starts_at, 'endTime', v_row.ends_at,
      'previousAppointmentId', v_before.id, 'previousStartTime', v_before.starts_at,
      'keptUntil', case when private.is_kept(v_row) then v_row.expires_at end));
end
$$;
comment on function private.tell_of_booking is
  'Writes what has just been done to an appointment for the endpoints of its clinic.';
