-- The schema that migrations/ make: public, private and the jobs of pg_cron.
-- Written by `deno task schema`; not to be edited, and not run anywhere.

CREATE SCHEMA private;

COMMENT ON SCHEMA private IS 'Functions the API does not expose.';

CREATE SCHEMA public;

COMMENT ON SCHEMA public IS 'standard public schema';

CREATE DOMAIN private.alarm_kind AS text
	CONSTRAINT alarm_kind_known CHECK ((VALUE = ANY (ARRAY['wrong_codes'::text, 'refused_sends'::text, 'other_numbers'::text, 'calendar_unread'::text, 'calendar_overlap'::text, 'webhook_failed'::text])));

COMMENT ON DOMAIN private.alarm_kind IS 'wrong_codes: wrong passcodes. refused_sends: texts refused by a limit or for their number. other_numbers: texts to another number than the caller''s. calendar_unread: a doctor''s own calendar could not be read several times. calendar_overlap: appointments that a doctor''s own calendar has become busy for. webhook_failed: an endpoint that could not be told what happened.';

CREATE TABLE public.one_time_passcodes (
    org_id uuid NOT NULL,
    call_id text NOT NULL,
    phone_hash bytea NOT NULL,
    send_id uuid NOT NULL,
    purpose text NOT NULL,
    state text NOT NULL,
    mac bytea,
    key_id text NOT NULL,
    claimed_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    code_attempts integer DEFAULT 0 NOT NULL,
    sends integer DEFAULT 0 NOT NULL,
    proven_until timestamp with time zone,
    CONSTRAINT one_time_passcodes_code_attempts_capped CHECK (((code_attempts >= 0) AND (code_attempts <= 5))),
    CONSTRAINT one_time_passcodes_dead_has_no_mac CHECK (((mac IS NULL) OR (state = ANY (ARRAY['sending'::text, 'sent'::text])))),
    CONSTRAINT one_time_passcodes_mac_length CHECK ((octet_length(mac) = 32)),
    CONSTRAINT one_time_passcodes_phone_hash_length CHECK ((octet_length(phone_hash) = 32)),
    CONSTRAINT one_time_passcodes_purpose_known CHECK ((purpose = ANY (ARRAY['confirm'::text, 'change'::text]))),
    CONSTRAINT one_time_passcodes_sends_counted CHECK ((sends >= 0)),
    CONSTRAINT one_time_passcodes_state_known CHECK ((state = ANY (ARRAY['sending'::text, 'sent'::text, 'cleared'::text, 'used'::text, 'locked'::text, 'replaced'::text])))
);

COMMENT ON TABLE public.one_time_passcodes IS 'The passcode of a phone in a call: a MAC (never the code), its counts, and the proof.';

COMMENT ON COLUMN public.one_time_passcodes.purpose IS 'What the newest send was requested for.';

COMMENT ON COLUMN public.one_time_passcodes.code_attempts IS 'Wrong codes since the newest send, up to private.code_attempts().';

COMMENT ON COLUMN public.one_time_passcodes.sends IS 'Texts to this phone that this call requested, without those that were refused.';

COMMENT ON COLUMN public.one_time_passcodes.proven_until IS 'Until when the phone is proven for this call; null before the proof and after the call.';

CREATE TYPE private.awaited_code AS (
	phone text,
	code public.one_time_passcodes
);

COMMENT ON TYPE private.awaited_code IS 'A passcode that a caller may read out; phone is null if nothing of the call waits for it any more.';

CREATE TYPE private.counted_hold AS (
	org_id uuid,
	hold_id uuid,
	made_at timestamp with time zone,
	by_caller boolean
);

COMMENT ON TYPE private.counted_hold IS 'A hold that counts for a number: made by a call from it (by_caller), or for it.';

CREATE TYPE private.patient AS (
	org_id uuid,
	phone text,
	phone_hash bytea,
	name text,
	is_alone boolean,
	appointment_ids uuid[],
	call_ids text[]
);

COMMENT ON TYPE private.patient IS 'A patient of a number: the appointments and calls, and whether nobody else has the number (is_alone).';

CREATE FUNCTION private.require(p_condition boolean, p_row text, p_reason text) RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
begin
  if not p_condition then
    raise exception 'Cannot write %: %', p_row, p_reason using errcode = '23514';
  end if;
  return true;
end
$$;

COMMENT ON FUNCTION private.require(p_condition boolean, p_row text, p_reason text) IS 'True if the condition holds or is null; else raises 23514: Cannot write ROW: REASON.';

CREATE TABLE public.providers (
    org_id uuid NOT NULL,
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    slug text NOT NULL,
    name text NOT NULL,
    active boolean DEFAULT true NOT NULL,
    CONSTRAINT providers_name_given CHECK (((length(btrim(name)) >= 1) AND (length(btrim(name)) <= 120))),
    CONSTRAINT providers_slug_readable CHECK ((slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$'::text))
);

COMMENT ON TABLE public.providers IS 'Doctors and practitioners whose time is booked.';

CREATE TABLE public.services (
    org_id uuid NOT NULL,
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    slug text NOT NULL,
    name text NOT NULL,
    duration_min integer NOT NULL,
    step_min integer DEFAULT 30 NOT NULL,
    buffer_before_min integer DEFAULT 0 NOT NULL,
    buffer_after_min integer DEFAULT 0 NOT NULL,
    notice_min integer DEFAULT 60 NOT NULL,
    horizon_days integer DEFAULT 90 NOT NULL,
    capacity integer DEFAULT 1 NOT NULL,
    active boolean DEFAULT true NOT NULL,
    CONSTRAINT services_buffer_after_sane CHECK (private.require(((buffer_after_min >= 0) AND (buffer_after_min <= 1440)), ('service '::text || slug), format('its buffer after is %s minutes, and 0 to 1440 are possible'::text, buffer_after_min))),
    CONSTRAINT services_buffer_before_sane CHECK (private.require(((buffer_before_min >= 0) AND (buffer_before_min <= 1440)), ('service '::text || slug), format('its buffer before is %s minutes, and 0 to 1440 are possible'::text, buffer_before_min))),
    CONSTRAINT services_capacity_sane CHECK (private.require(((capacity >= 1) AND (capacity <= 1000)), ('service '::text || slug), format('it has %s seats, and 1 to 1000 are possible'::text, capacity))),
    CONSTRAINT services_duration_positive CHECK (private.require(((duration_min >= 1) AND (duration_min <= 1440)), ('service '::text || slug), format('it lasts %s minutes, and 1 to 1440 are possible'::text, duration_min))),
    CONSTRAINT services_horizon_sane CHECK (private.require(((horizon_days >= 0) AND (horizon_days <= 730)), ('service '::text || slug), format('its horizon is %s days, and 0 to 730 are possible'::text, horizon_days))),
    CONSTRAINT services_name_given CHECK (((length(btrim(name)) >= 1) AND (length(btrim(name)) <= 120))),
    CONSTRAINT services_notice_sane CHECK (private.require(((notice_min >= 0) AND (notice_min <= 525600)), ('service '::text || slug), format('its notice is %s minutes, and 0 to 525600 (a year) are possible'::text, notice_min))),
    CONSTRAINT services_slug_readable CHECK ((slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$'::text)),
    CONSTRAINT services_step_positive CHECK (private.require(((step_min >= 1) AND (step_min <= 1440)), ('service '::text || slug), format('its starts are %s minutes apart, and 1 to 1440 are possible'::text, step_min)))
);

COMMENT ON TABLE public.services IS 'What can be booked: duration, grid, buffers, notice and horizon; capacity above 1 is a group session.';

COMMENT ON COLUMN public.services.step_min IS 'Grid of starts in elapsed minutes, anchored at the start of the opening window.';

COMMENT ON COLUMN public.services.notice_min IS 'Earliest start, in minutes from now.';

COMMENT ON COLUMN public.services.horizon_days IS 'Last bookable local day, in days from today.';

CREATE TYPE private.wanted_slot AS (
	service public.services,
	provider public.providers,
	starts_at timestamp with time zone
);

COMMENT ON TYPE private.wanted_slot IS 'A requested slot, see private.read_wanted(); the provider is null if any will do.';

CREATE FUNCTION private.accept_text(p_org uuid, p_send uuid, p_sid text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_origin text;
begin
  update public.sms_messages as m
  set sid = p_sid, status = case when m.status = 'sending' then 'accepted' else m.status end,
    updated_at = clock_timestamp()
  where m.org_id = p_org and m.id = p_send
  returning m.origin into v_origin;
  perform private.note_opt_out(p_org, p_send, false);
  perform private.tally_text(v_origin, 'accepted');
end
$$;

COMMENT ON FUNCTION private.accept_text(p_org uuid, p_send uuid, p_sid text) IS 'Records that Twilio accepted a text.';

CREATE FUNCTION private.add_feed(p_org uuid, p_id uuid, p_provider uuid, p_label text, p_token_hash text) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_reason text;
begin
  if p_provider is not null and not exists (
    select from public.providers as p where p.org_id = p_org and p.id = p_provider) then
    return '{"outcome": "unknown_provider"}';
  elsif (
    select count(*) from public.calendar_feeds as f
    where f.org_id = p_org and f.revoked_at is null) >= 200 then
    return '{"outcome": "too_many_feeds"}';
  end if;
  begin
    insert into public.calendar_feeds (org_id, id, provider_id, label, token_hash)
    values (p_org, p_id, p_provider, btrim(p_label), decode(p_token_hash, 'hex'));
  exception when integrity_constraint_violation or data_exception then
    get stacked diagnostics v_reason = message_text;
    return jsonb_build_object('outcome', 'invalid_feed', 'reason', v_reason);
  end;
  return jsonb_build_object('outcome', 'added', 'feedId', p_id);
end
$$;

COMMENT ON FUNCTION private.add_feed(p_org uuid, p_id uuid, p_provider uuid, p_label text, p_token_hash text) IS 'Adds a calendar feed; an organization has 200 at most.';

CREATE FUNCTION private.add_seal(p_org uuid, p_through xid8, p_ids uuid[], p_times timestamp with time zone[], p_digests bytea[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_before private.audit_seals;
  v_number integer;
  v_now constant timestamptz := clock_timestamp();
  v_hash bytea;
begin
  select s.* into v_before from private.audit_seals as s
  where s.org_id = p_org order by s.number desc limit 1;
  v_number := coalesce(v_before.number, 0) + 1;
  v_hash := private.hash_seal(p_org, v_number, v_now, p_ids, p_times, p_digests, v_before.hash);
  insert into private.audit_seals (
    org_id, number, sealed_at, through, ids, times, digests, hash
  ) values (p_org, v_number, v_now, p_through, p_ids, p_times, p_digests, v_hash);
  raise log 'audit_sealed %', jsonb_build_object('orgId', p_org, 'seal', v_number,
    'rows', cardinality(p_ids), 'hash', encode(v_hash, 'hex'));
end
$$;

COMMENT ON FUNCTION private.add_seal(p_org uuid, p_through xid8, p_ids uuid[], p_times timestamp with time zone[], p_digests bytea[]) IS 'Seals rows of an organization and writes the seal to the server''s log.';

CREATE FUNCTION private.is_time_zone(p_name text) RETURNS boolean
    LANGUAGE plpgsql STABLE STRICT
    SET search_path TO ''
    SET "TimeZone" TO 'UTC'
    AS $_$
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
$_$;

COMMENT ON FUNCTION private.is_time_zone(p_name text) IS 'Whether the name is one of pg_timezone_names.';

CREATE TABLE public.organizations (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    slug text NOT NULL,
    name text NOT NULL,
    timezone text NOT NULL,
    default_country character(2) NOT NULL,
    sms_countries text[] NOT NULL,
    sms_hourly_limit integer DEFAULT 200 NOT NULL,
    hold_minutes integer DEFAULT 10 NOT NULL,
    desk_hold_minutes integer DEFAULT 60 NOT NULL,
    follow_up_texts boolean DEFAULT false NOT NULL,
    texts_at_hold boolean DEFAULT false NOT NULL,
    calendar_patient_names boolean DEFAULT false NOT NULL,
    transfer_number text,
    message_hourly_limit integer DEFAULT 30 NOT NULL,
    closing_days datemultirange DEFAULT '{}'::datemultirange NOT NULL,
    retention_days integer DEFAULT 90 NOT NULL,
    audit_retention_days integer DEFAULT 2555 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    call_holds integer DEFAULT 4 NOT NULL,
    call_sends integer DEFAULT 6 NOT NULL,
    call_numbers integer DEFAULT 3 NOT NULL,
    call_attempts integer DEFAULT 10 NOT NULL,
    call_change_requests integer DEFAULT 5 NOT NULL,
    unknown_call_holds integer DEFAULT 3 NOT NULL,
    unknown_caller_holds integer DEFAULT 10 NOT NULL,
    caller_holds integer DEFAULT 4 NOT NULL,
    caller_hourly_holds integer DEFAULT 12 NOT NULL,
    caller_hourly_sends integer DEFAULT 10 NOT NULL,
    phone_holds integer DEFAULT 4 NOT NULL,
    phone_hourly_sends integer DEFAULT 5 NOT NULL,
    phone_daily_sends integer DEFAULT 10 NOT NULL,
    phone_daily_attempts integer DEFAULT 20 NOT NULL,
    own_phone_hourly_sends integer DEFAULT 2 NOT NULL,
    own_phone_daily_sends integer DEFAULT 4 NOT NULL,
    own_phone_daily_attempts integer DEFAULT 10 NOT NULL,
    desk_holds integer DEFAULT 5 NOT NULL,
    address text,
    confirmation_texts boolean DEFAULT true NOT NULL,
    change_texts boolean DEFAULT false NOT NULL,
    cancellation_texts boolean DEFAULT false NOT NULL,
    text_answers boolean DEFAULT false NOT NULL,
    text_language text DEFAULT 'en'::text NOT NULL,
    text_words jsonb DEFAULT '{}'::jsonb NOT NULL,
    reminder_min integer,
    reminder_notice_hours integer DEFAULT 24 NOT NULL,
    CONSTRAINT organizations_address_short CHECK (((length(btrim(address)) >= 1) AND (length(btrim(address)) <= 80))),
    CONSTRAINT organizations_audit_retention_sane CHECK (((audit_retention_days >= 30) AND (audit_retention_days <= 36500))),
    CONSTRAINT organizations_closing_days_finite CHECK (private.require((closing_days <@ datemultirange(daterange('0001-01-01'::date, '9999-12-31'::date, '[]'::text))), ('organization '::text || slug), 'its closing days have no first or no last day'::text)),
    CONSTRAINT organizations_country_iso CHECK ((default_country ~ '^[A-Z]{2}$'::text)),
    CONSTRAINT organizations_desk_hold_minutes_sane CHECK (((desk_hold_minutes >= 0) AND (desk_hold_minutes <= 1440))),
    CONSTRAINT organizations_hold_minutes_sane CHECK (((hold_minutes >= 1) AND (hold_minutes <= 120))),
    CONSTRAINT organizations_limits_sane CHECK (((LEAST(call_holds, call_sends, call_numbers, call_attempts, call_change_requests, unknown_call_holds, unknown_caller_holds, caller_holds, caller_hourly_holds, caller_hourly_sends, phone_holds, phone_hourly_sends, phone_daily_sends, phone_daily_attempts, own_phone_hourly_sends, own_phone_daily_sends, own_phone_daily_attempts, desk_holds) >= 0) AND (GREATEST(call_sends, call_attempts) <= 20) AND (GREATEST(phone_daily_attempts, own_phone_daily_attempts) <= 100) AND (GREATEST(call_holds, unknown_call_holds, phone_holds, desk_holds) <= 50) AND (GREATEST(phone_hourly_sends, phone_daily_sends, own_phone_daily_sends) <= 50))),
    CONSTRAINT organizations_message_limit_sane CHECK ((message_hourly_limit >= 0)),
    CONSTRAINT organizations_name_given CHECK (((length(btrim(name)) >= 1) AND (length(btrim(name)) <= 120))),
    CONSTRAINT organizations_reminder_by_day CHECK (((reminder_min >= 480) AND (reminder_min <= 1230))),
    CONSTRAINT organizations_reminder_notice_sane CHECK (((reminder_notice_hours >= 0) AND (reminder_notice_hours <= 720))),
    CONSTRAINT organizations_retention_sane CHECK (((retention_days >= 1) AND (retention_days <= 3650))),
    CONSTRAINT organizations_slug_readable CHECK ((slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$'::text)),
    CONSTRAINT organizations_sms_countries_iso CHECK ((array_to_string(sms_countries, ','::text, '?'::text) ~ '^([A-Z]{2}(,[A-Z]{2})*)?$'::text)),
    CONSTRAINT organizations_sms_limit_positive CHECK ((sms_hourly_limit > 0)),
    CONSTRAINT organizations_text_language_tag CHECK ((text_language ~ '^[a-z]{2}$'::text)),
    CONSTRAINT organizations_text_words_by_language CHECK (((jsonb_typeof(text_words) = 'object'::text) AND (length((text_words)::text) <= 20000))),
    CONSTRAINT organizations_timezone_known CHECK (private.require(private.is_time_zone(timezone), ('organization '::text || slug), format('"%s" is not a time zone; use a name from pg_timezone_names, such as Europe/London'::text, timezone))),
    CONSTRAINT organizations_transfer_number_e164 CHECK ((transfer_number ~ '^\+[1-9][0-9]{6,14}$'::text))
);

COMMENT ON TABLE public.organizations IS 'The tenants: one clinic business each.';

COMMENT ON COLUMN public.organizations.timezone IS 'IANA name; all local times of the clinic are in it.';

COMMENT ON COLUMN public.organizations.sms_countries IS 'ISO 3166 countries that may be texted.';

COMMENT ON COLUMN public.organizations.hold_minutes IS 'How long a held slot waits for its passcode.';

COMMENT ON COLUMN public.organizations.desk_hold_minutes IS 'How long, from when the front desk answers, the slot of a call that ran out of passcodes is kept for it; 0: not at all.';

COMMENT ON COLUMN public.organizations.follow_up_texts IS 'Whether a caller whose call ended before the passcode is texted once.';

COMMENT ON COLUMN public.organizations.texts_at_hold IS 'Whether hold_slot also texts the passcode, which saves callers a turn.';

COMMENT ON COLUMN public.organizations.calendar_patient_names IS 'Whether the calendars that the clinic gives out have patients'' names.';

COMMENT ON COLUMN public.organizations.transfer_number IS 'The phone at the front desk, E.164, to which calls are transferred; null if there is none.';

COMMENT ON COLUMN public.organizations.message_hourly_limit IS 'How many messages callers may leave for the desk within an hour.';

COMMENT ON COLUMN public.organizations.closing_days IS 'Local days on which nobody works, regardless of weekly hours and overrides.';

COMMENT ON COLUMN public.organizations.call_holds IS 'Live holds of one call.';

COMMENT ON COLUMN public.organizations.call_sends IS 'Texts that one call may ask for.';

COMMENT ON COLUMN public.organizations.call_numbers IS 'Numbers that one call may text.';

COMMENT ON COLUMN public.organizations.call_attempts IS 'Wrong passcodes of one call.';

COMMENT ON COLUMN public.organizations.call_change_requests IS 'Requests of one call about appointments, before its passcode; then the front desk helps.';

COMMENT ON COLUMN public.organizations.unknown_call_holds IS 'Live holds of one call or chat whose number is withheld or shared.';

COMMENT ON COLUMN public.organizations.unknown_caller_holds IS 'Live holds of all calls and chats whose numbers are withheld or shared.';

COMMENT ON COLUMN public.organizations.caller_holds IS 'Live holds by calls from one number.';

COMMENT ON COLUMN public.organizations.caller_hourly_holds IS 'Holds in an hour by calls from one number.';

COMMENT ON COLUMN public.organizations.caller_hourly_sends IS 'Texts in an hour for calls from one number.';

COMMENT ON COLUMN public.organizations.phone_holds IS 'Live holds for one number by calls from other numbers; its own calls have caller_holds.';

COMMENT ON COLUMN public.organizations.phone_hourly_sends IS 'Texts in an hour to one number.';

COMMENT ON COLUMN public.organizations.phone_daily_sends IS 'Texts in a day to one number.';

COMMENT ON COLUMN public.organizations.phone_daily_attempts IS 'Wrong passcodes in a day for one number.';

COMMENT ON COLUMN public.organizations.own_phone_hourly_sends IS 'Texts in an hour beyond phone_hourly_sends, for calls from the number itself.';

COMMENT ON COLUMN public.organizations.own_phone_daily_sends IS 'Texts in a day beyond phone_daily_sends, for calls from the number itself.';

COMMENT ON COLUMN public.organizations.own_phone_daily_attempts IS 'Wrong passcodes in a day beyond phone_daily_attempts, in calls from the number itself.';

COMMENT ON COLUMN public.organizations.desk_holds IS 'Slots kept for the front desk at one time, of calls that ran out of passcodes.';

COMMENT ON COLUMN public.organizations.address IS 'Where patients go, as a text says it; null says only the clinic''s name.';

COMMENT ON COLUMN public.organizations.confirmation_texts IS 'Whether a booking is confirmed by text.';

COMMENT ON COLUMN public.organizations.change_texts IS 'Whether the new time of an appointment that was moved is texted.';

COMMENT ON COLUMN public.organizations.cancellation_texts IS 'Whether a cancellation is texted.';

COMMENT ON COLUMN public.organizations.text_answers IS 'Whether reminders can be answered: texts to the number reach the function sms-inbound.';

COMMENT ON COLUMN public.organizations.text_language IS 'The language of texts about appointments, as ISO 639.';

COMMENT ON COLUMN public.organizations.text_words IS 'The clinic''s own texts, {language: {kind: template}}; the others are in shared/patient_texts.ts.';

COMMENT ON COLUMN public.organizations.reminder_min IS 'The local minute of the day before at which patients are reminded; null: they are not.';

COMMENT ON COLUMN public.organizations.reminder_notice_hours IS 'What was booked fewer hours before its start gets no reminder.';

CREATE FUNCTION private.agrees_with_envelope(p_org public.organizations, p_call jsonb) RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
declare
  v_claims constant jsonb := p_call -> 'claims';
  v_tenant constant text := nullif(lower(btrim(v_claims ->> 'tenantId')), '');
begin
  return (v_tenant is null or v_tenant in (p_org.id::text, p_org.slug))
    and private.is_number_of(p_org.id, v_claims ->> 'inboundPhoneNumber')
    and private.is_number_of(p_org.id, v_claims ->> 'calledNumber')
    and coalesce(v_claims ->> 'callerNumber' = p_call ->> 'callerNumber', true)
    and coalesce(v_claims ->> 'callId' = p_call ->> 'callId', true);
end
$$;

COMMENT ON FUNCTION private.agrees_with_envelope(p_org public.organizations, p_call jsonb) IS 'Whether the organization, numbers and call in the arguments are those of the envelope.';

CREATE TABLE public.appointments (
    org_id uuid NOT NULL,
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    provider_id uuid NOT NULL,
    service_id uuid NOT NULL,
    contact_id uuid,
    patient_name text,
    patient_phone text,
    patient_country text,
    starts_at timestamp with time zone NOT NULL,
    ends_at timestamp with time zone NOT NULL,
    busy tstzrange NOT NULL,
    session_key uuid NOT NULL,
    seat integer DEFAULT 0 NOT NULL,
    capacity integer DEFAULT 1 NOT NULL,
    status text DEFAULT 'held'::text NOT NULL,
    expires_at timestamp with time zone,
    extended_at timestamp with time zone,
    handed_over_at timestamp with time zone,
    call_id text,
    arrived_at timestamp with time zone,
    patient_confirmed_at timestamp with time zone,
    asked_by text[] DEFAULT '{}'::text[] NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    updated_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT appointments_busy_72_hours CHECK (((upper(busy) - lower(busy)) <= '72:00:00'::interval)),
    CONSTRAINT appointments_busy_half_open CHECK (((NOT isempty(busy)) AND lower_inc(busy) AND (NOT upper_inc(busy)) AND (lower(busy) <= starts_at) AND (upper(busy) >= ends_at))),
    CONSTRAINT appointments_confirmed_has_contact CHECK (((status <> 'confirmed'::text) OR (((contact_id IS NOT NULL) OR (patient_name IS NULL)) AND (expires_at IS NULL)))),
    CONSTRAINT appointments_country_iso CHECK ((patient_country ~ '^[A-Z]{2}$'::text)),
    CONSTRAINT appointments_end_after_start CHECK ((ends_at > starts_at)),
    CONSTRAINT appointments_hold_has_expiry CHECK (((status <> 'held'::text) OR (expires_at IS NOT NULL))),
    CONSTRAINT appointments_name_given CHECK (((length(btrim(patient_name)) >= 1) AND (length(btrim(patient_name)) <= 120))),
    CONSTRAINT appointments_patient_known CHECK (((patient_name IS NOT NULL) OR ((patient_phone IS NULL) AND (contact_id IS NULL) AND (status = ANY (ARRAY['confirmed'::text, 'cancelled'::text, 'completed'::text, 'no_show'::text]))))),
    CONSTRAINT appointments_phone_e164 CHECK ((patient_phone ~ '^\+[1-9][0-9]{6,14}$'::text)),
    CONSTRAINT appointments_seat_in_capacity CHECK (((seat >= 0) AND (seat < capacity))),
    CONSTRAINT appointments_status_known CHECK ((status = ANY (ARRAY['held'::text, 'confirmed'::text, 'cancelled'::text, 'expired'::text, 'requires_manual_followup'::text, 'completed'::text, 'no_show'::text])))
);

COMMENT ON TABLE public.appointments IS 'Holds and appointments: a hold is confirmed in place. Live ones of one provider do not overlap.';

COMMENT ON COLUMN public.appointments.busy IS 'The appointment with its buffers, half open.';

COMMENT ON COLUMN public.appointments.session_key IS 'Rows of equal key may overlap: one group session (service and start), or a time and its replacement.';

COMMENT ON COLUMN public.appointments.expires_at IS 'A held row stops blocking at this time, cleaned up or not.';

COMMENT ON COLUMN public.appointments.extended_at IS 'When the hold was extended because its call asked for the same time again; this happens once.';

COMMENT ON COLUMN public.appointments.handed_over_at IS 'When its call ran out of passcodes, so that it waits for the front desk. While it is held, its time is kept until expires_at.';

COMMENT ON COLUMN public.appointments.call_id IS 'The call (or chat) that made the hold, or took it over after the line of the first call dropped.';

COMMENT ON COLUMN public.appointments.arrived_at IS 'When staff marked that the patient is there.';

COMMENT ON COLUMN public.appointments.patient_confirmed_at IS 'When the patient confirmed by answering a reminder that they will come; null: has not.';

COMMENT ON COLUMN public.appointments.asked_by IS 'Keys of the requests that made or changed the hold: a repeated request changes nothing.';

CREATE FUNCTION private.alternatives(p_org public.organizations, p_service public.services, p_provider public.providers, p_start timestamp with time zone, p_old public.appointments, p_moves uuid) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_now constant timestamptz := clock_timestamp();
  v_others constant public.appointments[] := array(
    select a from public.appointments as a
    where a.org_id = p_org.id and a.call_id = p_old.call_id and a.id <> p_old.id);
  v_day constant date := (p_start at time zone p_org.timezone)::date;
  v_slots jsonb := '[]';
  v_few constant integer := 3;
begin
  for v_ahead in 0 .. 7 loop
    exit when jsonb_array_length(v_slots) >= case v_ahead when 1 then 1 else v_few end;
    select v_slots || coalesce(jsonb_agg(private.describe_slot(
      p_org.timezone, p_service, p_provider.slug, n.starts_at, n.doctors) order by n.starts_at), '[]')
    into v_slots
    from (
      select f.starts_at, count(*) as doctors
      from private.find_starts(p_org.id, p_service.id, p_provider.id,
        v_day + v_ahead, v_day + v_ahead, p_old.call_id, v_now, p_moves) as f
      where f.starts_at <> p_start and not exists (
        select from unnest(v_others) as o
        where o.provider_id = f.provider_id and private.blocks(o, null, p_moves, v_now)
          and private.overlaps(o.busy, private.busy_time(p_service, f.starts_at))
          -- A class can have a seat left.
          and (p_service.capacity = 1
            or o.session_key <> private.session_key(p_service.id, f.starts_at)))
      group by f.starts_at
      order by abs(extract(epoch from f.starts_at - p_start)), f.starts_at
      limit v_few - jsonb_array_length(v_slots)
    ) as n;
  end loop;
  return jsonb_build_object('slots', v_slots);
end
$$;

COMMENT ON FUNCTION private.alternatives(p_org public.organizations, p_service public.services, p_provider public.providers, p_start timestamp with time zone, p_old public.appointments, p_moves uuid) IS 'Up to three bookable starts near one that cannot be had.';

CREATE FUNCTION private.announce(p_org uuid, p_appointment uuid, p_kind text, p_moved_from uuid DEFAULT NULL::uuid) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
  perform private.queue_text(p_org, p_appointment, p_kind, p_moved_from);
  perform private.tell_of_booking(p_org, p_appointment, p_kind, p_moved_from);
end
$$;

COMMENT ON FUNCTION private.announce(p_org uuid, p_appointment uuid, p_kind text, p_moved_from uuid) IS 'Tells the patient and the clinic''s endpoints what this transaction has done to an appointment.';

CREATE FUNCTION private.desk_state(p_org public.organizations, p_at timestamp with time zone) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
declare
  v_local timestamp;
  v_day date;
  v_dow integer;
  v_minute integer;
begin
  if p_org.transfer_number is null then
    return 'none';
  end if;
  v_local := p_at at time zone p_org.timezone;
  v_day := v_local::date;
  v_dow := extract(dow from v_day);
  v_minute := extract(epoch from v_local - v_day)::integer / 60;
  return case
    when exists (
      select from public.desk_hours as h
      where h.org_id = p_org.id
        and (h.dow = v_dow and v_minute >= h.start_min and v_minute < h.end_min
            and not p_org.closing_days @> v_day
          -- Hours that began the day before.
          or h.dow = (v_dow + 6) % 7 and v_minute + 1440 < h.end_min
            and not p_org.closing_days @> v_day - 1)) then 'open'
    else 'closed' end;
end
$$;

COMMENT ON FUNCTION private.desk_state(p_org public.organizations, p_at timestamp with time zone) IS 'Whether the front desk is open or closed at a moment; none if calls cannot be transferred at all.';

CREATE FUNCTION private.answer(p_org public.organizations, p_answer jsonb) RETURNS jsonb
    LANGUAGE sql
    RETURN (p_answer || jsonb_build_object('orgId', (p_org).id, 'desk', private.desk_state(p_org, clock_timestamp())));

COMMENT ON FUNCTION private.answer(p_org public.organizations, p_answer jsonb) IS 'Adds to a tool''s answer what every answer contains: the organization, and the state of its desk.';

CREATE FUNCTION private.answer_idle(p_org uuid, p_call jsonb, p_tool text, p_hash bytea, p_refusal jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_answer constant jsonb := coalesce(
    case p_refusal ->> 'outcome' when 'hold_not_found'
      then private.repeat_answer(p_org, p_call, p_tool, p_hash) end,
    p_refusal || jsonb_build_object('orgId', p_org));
begin
  perform private.audit(
    p_org, p_call, p_tool, private.read_id(v_answer ->> 'holdId'), v_answer ->> 'outcome');
  perform private.record_answer(p_org, p_call, p_tool, p_hash, v_answer);
  return v_answer;
end
$$;

COMMENT ON FUNCTION private.answer_idle(p_org uuid, p_call jsonb, p_tool text, p_hash bytea, p_refusal jsonb) IS 'Why nothing takes a code, or the answer that settled it.';

CREATE FUNCTION private.answer_limit() RETURNS integer
    LANGUAGE sql IMMUTABLE
    RETURN 10;

COMMENT ON FUNCTION private.answer_limit() IS 'How many texts of one number an organization takes in an hour.';

CREATE FUNCTION private.answer_without_claim(p_org public.organizations, p_call jsonb, p_wanted private.wanted_slot, p_patient jsonb, p_hash bytea, p_old public.appointments, p_confirmed public.appointments, p_now timestamp with time zone) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_call_id constant text := p_call ->> 'callId';
  v_request constant text := private.request_key(p_call, p_patient);
  v_move public.appointments;
  v_answer jsonb := private.repeat_request(
    p_org, v_call_id, v_request, p_wanted, p_patient ->> 'name', p_now);
begin
  if v_answer is null and (p_old.id is not null or p_confirmed.id is not null) then
    -- A refused request that arrives again after the patient has got another time.
    v_answer := private.recall_answer(p_org.id, p_call, 'hold_slot', p_hash);
  end if;
  if v_answer is not null or p_old.id is not null then
    return v_answer;
  elsif private.is_wanted(p_wanted, p_confirmed) then
    return private.describe_hold(p_org, p_confirmed, p_now) || '{"outcome": "already_confirmed"}';
  end if;
  v_move := private.find_new_time(p_org.id, v_call_id, p_now);
  if private.is_wanted(p_wanted, v_move) and private.is_for_patient(v_move, p_patient) then
    perform private.note_request(p_org.id, v_move.id, v_request);
    return private.describe_hold(p_org, v_move, p_now) || '{"outcome": "held", "repeated": true}';
  end if;
  return null;
end
$$;

COMMENT ON FUNCTION private.answer_without_claim(p_org public.organizations, p_call jsonb, p_wanted private.wanted_slot, p_patient jsonb, p_hash bytea, p_old public.appointments, p_confirmed public.appointments, p_now timestamp with time zone) IS 'What hold_slot answers without a claim: held, already_confirmed, hold_expired, a refusal given before, or null.';

CREATE TABLE public.calls (
    org_id uuid NOT NULL,
    call_id text NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    seen_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    caller_hash bytea,
    patient_names text[] DEFAULT '{}'::text[] NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    sends integer DEFAULT 0 NOT NULL,
    change_requests integer DEFAULT 0 NOT NULL,
    CONSTRAINT calls_attempts_counted CHECK ((attempts >= 0)),
    CONSTRAINT calls_caller_hash_length CHECK ((octet_length(caller_hash) = 32)),
    CONSTRAINT calls_change_requests_counted CHECK ((change_requests >= 0)),
    CONSTRAINT calls_patient_names_few CHECK ((cardinality(patient_names) <= 10)),
    CONSTRAINT calls_sends_counted CHECK ((sends >= 0))
);

COMMENT ON TABLE public.calls IS 'Calls (and chats) that held, texted or changed something: who is calling, and the counts.';

COMMENT ON COLUMN public.calls.seen_at IS 'The last request, to the hour, or the end of the call; the row is deleted a day later.';

COMMENT ON COLUMN public.calls.caller_hash IS 'The number it comes from, according to Vapi; null if withheld or shared by several callers.';

COMMENT ON COLUMN public.calls.patient_names IS 'Patients named in this call: nothing is told about others, even after a passcode.';

COMMENT ON COLUMN public.calls.attempts IS 'Wrong passcodes.';

COMMENT ON COLUMN public.calls.sends IS 'Texts requested, due or not, without those that were refused.';

COMMENT ON COLUMN public.calls.change_requests IS 'Requests about appointments before a passcode, or that found none after it.';

CREATE FUNCTION private.answer_without_text(p_org public.organizations, p_call jsonb, p_entered public.calls, p_phone text, p_purpose text, p_hold uuid, p_hash bytea, p_first_answer jsonb, p_now timestamp with time zone) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_phone constant bytea := private.hash_phone(p_phone);
  v_is_proven constant boolean :=
    private.is_proven(p_org.id, p_entered.call_id, v_phone, p_now);
  v_text public.sms_messages;
  v_answer jsonb;
begin
  if v_is_proven and p_first_answer is not null then
    return coalesce(
      private.describe_settled(p_org, p_entered.call_id, p_phone, p_now),
      p_first_answer - 'isRefusal');
  end if;
  select m.* into v_text from public.sms_messages as m
  where m.org_id = p_org.id and m.call_id = p_entered.call_id
    and m.tool_call_id = nullif(p_call ->> 'toolCallId', '')
  order by m.created_at desc limit 1;
  if v_text.id is not null and (v_is_proven or v_text.to_hash <> v_phone) then
    return jsonb_build_object('outcome', 'already_sent', 'orgId', p_org.id,
      'purpose', p_purpose, 'phoneEnding', right(v_text.to_masked, 2),
      'expiresInSeconds', 0, 'retryAfterSeconds', 0);
  elsif not v_is_proven then
    return null;
  end if;
  v_answer := jsonb_build_object('orgId', p_org.id)
    || private.carry_out(p_org, p_call, p_entered, p_phone, false, p_now);
  perform private.audit(p_org.id, p_call, 'send_otp', p_hold, v_answer ->> 'outcome');
  perform private.record_answer(p_org.id, p_call, 'send_otp', p_hash, v_answer);
  return v_answer;
end
$$;

COMMENT ON FUNCTION private.answer_without_text(p_org public.organizations, p_call jsonb, p_entered public.calls, p_phone text, p_purpose text, p_hold uuid, p_hash bytea, p_first_answer jsonb, p_now timestamp with time zone) IS 'What send_otp answers without a text: already_sent, what the proven number carries out, or null.';

CREATE TABLE public.appointment_changes (
    org_id uuid NOT NULL,
    call_id text NOT NULL,
    kind text NOT NULL,
    patient_name text NOT NULL,
    patient_phone text NOT NULL,
    patient_country text,
    said jsonb DEFAULT '{}'::jsonb NOT NULL,
    slot_id text,
    hold_id uuid,
    is_booking boolean DEFAULT false NOT NULL,
    asked text[] DEFAULT '{}'::text[] NOT NULL,
    opened_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    applied_at timestamp with time zone,
    appointment_id uuid,
    CONSTRAINT appointment_changes_kind_known CHECK ((kind = ANY (ARRAY['find'::text, 'cancel'::text, 'reschedule'::text]))),
    CONSTRAINT appointment_changes_new_time_is_asked CHECK ((((kind = 'reschedule'::text) = (slot_id IS NOT NULL)) AND ((hold_id IS NULL) OR (slot_id IS NOT NULL)))),
    CONSTRAINT appointment_changes_said_object CHECK ((jsonb_typeof(said) = 'object'::text))
);

COMMENT ON TABLE public.appointment_changes IS 'The latest request of a call about existing appointments. It takes effect when a passcode has proven the number.';

COMMENT ON COLUMN public.appointment_changes.said IS 'What the caller said about the appointment, {id, date, time, provider}; read after the passcode.';

COMMENT ON COLUMN public.appointment_changes.slot_id IS 'The requested new time.';

COMMENT ON COLUMN public.appointment_changes.hold_id IS 'The hold of the new time; after the change, the appointment at that time.';

COMMENT ON COLUMN public.appointment_changes.is_booking IS 'Whether the call was about to book the new time for the patient: it stays a booking if there is no appointment to move.';

COMMENT ON COLUMN public.appointment_changes.asked IS 'What the caller was asked in order to tell appointments apart: day, time, doctor. Nothing is asked twice.';

COMMENT ON COLUMN public.appointment_changes.appointment_id IS 'The appointment that was changed.';

CREATE FUNCTION private.apply_change(p_org public.organizations, p_call jsonb, p_change public.appointment_changes, p_appointment public.appointments, p_hold public.appointments, p_now timestamp with time zone) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_old public.appointments;
  v_change public.appointment_changes;
begin
  -- The appointment already has the requested provider and time: nothing moves.
  if p_change.kind = 'reschedule' and p_hold.id is null then
    perform from public.appointments as a
    where a.org_id = p_org.id and a.id = p_appointment.id and a.status = 'confirmed' for update;
  else
    update public.appointments as a set status = 'cancelled', updated_at = p_now
    where a.org_id = p_org.id and a.id = p_appointment.id and a.status = 'confirmed'
    returning a.* into v_old;
  end if;
  if not found then
    return '{"outcome": "appointment_not_found"}';
  end if;
  update public.appointments as n
  set status = 'confirmed', expires_at = null, contact_id = v_old.contact_id, updated_at = p_now,
    patient_name = v_old.patient_name, patient_phone = v_old.patient_phone,
    patient_country = v_old.patient_country
  where n.org_id = p_org.id and n.id = p_hold.id;
  if p_change.kind = 'cancel' then
    perform private.announce(p_org.id, p_appointment.id, 'cancellation');
  elsif p_hold.id is not null then
    perform private.announce(p_org.id, p_hold.id, 'change', p_appointment.id);
  end if;
  update public.appointment_changes as c
  set applied_at = p_now, appointment_id = p_appointment.id,
    hold_id = case when c.kind = 'reschedule' then coalesce(p_hold.id, p_appointment.id) end
  where c.org_id = p_org.id and c.call_id = p_change.call_id
  returning c.* into v_change;
  perform private.audit(p_org.id, p_call, p_change.kind || '_appointment', p_appointment.id,
    case p_change.kind when 'cancel' then 'cancelled' else 'rescheduled' end,
    jsonb_strip_nulls(jsonb_build_object('newTime', p_hold.id)));
  return private.describe_change(p_org, v_change, p_now);
end
$$;

COMMENT ON FUNCTION private.apply_change(p_org public.organizations, p_call jsonb, p_change public.appointment_changes, p_appointment public.appointments, p_hold public.appointments, p_now timestamp with time zone) IS 'Cancels or moves an appointment, and says so.';

CREATE FUNCTION private.ask_desk(p_org public.organizations, p_phone text, p_now timestamp with time zone) RETURNS uuid[]
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_row public.appointments;
  v_asked uuid[] := '{}';
begin
  for v_row in
    select r.* from private.reminded_appointments(p_org.id, p_phone, p_now) as r
    where r.status = 'confirmed' and r.starts_at > p_now
      and not exists (
        select from public.text_answers as t
        where t.org_id = p_org.id and t.phone_hash = private.hash_phone(p_phone)
          and t.outcome = 'opted_out' and r.id = any (t.appointment_ids))
    order by r.starts_at, r.id
  loop
    insert into public.desk_messages (org_id, caller_name, phone, message)
    values (p_org.id, v_row.patient_name, p_phone,
      'Answered CANCEL to the reminder of ' || to_char(
        v_row.starts_at at time zone p_org.timezone, 'FMDay FMDD FMMonth, HH24:MI')
      || '. That stops texts, so the appointment was kept. Please call and ask.');
    v_asked := v_asked || v_row.id;
  end loop;
  return v_asked;
end
$$;

COMMENT ON FUNCTION private.ask_desk(p_org public.organizations, p_phone text, p_now timestamp with time zone) IS 'Asks the front desk to call a patient who may have meant the appointments, and returns these.';

CREATE FUNCTION private.ask_function(p_name text) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $_$
declare
  v_target constant jsonb := private.read_functions_target();
begin
  if v_target is null or to_regproc('net.http_post') is null then
    return false;
  end if;
  execute 'select net.http_post(url => $1, body => $2, headers => $3, timeout_milliseconds => $4)'
  using (v_target ->> 'url') || '/' || p_name, '{}'::jsonb,
    jsonb_build_object('Content-Type', 'application/json',
      'Authorization', 'Bearer ' || (v_target ->> 'secret')), 60000;
  return true;
end
$_$;

COMMENT ON FUNCTION private.ask_function(p_name text) IS 'Posts to an Edge Function after the transaction has committed.';

CREATE FUNCTION private.ask_which(p_org public.organizations, p_change public.appointment_changes, p_fits public.appointments[], p_now timestamp with time zone) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_ask text;
begin
  select case
    when count(distinct (f.starts_at at time zone p_org.timezone)::date) > 1
      and not 'day' = any (p_change.asked) then 'day'
    when count(distinct (f.starts_at at time zone p_org.timezone)::time) > 1
      and not 'time' = any (p_change.asked) then 'time'
    when count(distinct f.provider_id) > 1 and not 'doctor' = any (p_change.asked) then 'doctor' end
  into v_ask
  from unnest(p_fits) as f;
  update public.appointment_changes as c set asked = c.asked || v_ask
  where c.org_id = p_org.id and c.call_id = p_change.call_id and v_ask is not null;
  return jsonb_build_object('outcome', 'which_appointment', 'ask', v_ask, 'appointments', (
    select jsonb_agg(private.describe_appointment(p_org, f, p_now)) from unnest(p_fits) as f));
end
$$;

COMMENT ON FUNCTION private.ask_which(p_org public.organizations, p_change public.appointment_changes, p_fits public.appointments[], p_now timestamp with time zone) IS 'The outcome which_appointment, with what to ask for.';

CREATE FUNCTION private.attempts_left(p_org public.organizations, p_call public.calls, p_phone bytea, p_now timestamp with time zone) RETURNS integer
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
begin
  return p_org.phone_daily_attempts
    + case when p_call.caller_hash = p_phone then p_org.own_phone_daily_attempts else 0 end
    - coalesce((
      select private.count_since(c.wrong_at, p_now - interval '1 day')
      from public.phone_counts as c where c.phone_hash = p_phone), 0);
end
$$;

COMMENT ON FUNCTION private.attempts_left(p_org public.organizations, p_call public.calls, p_phone bytea, p_now timestamp with time zone) IS 'How many more passcodes may be evaluated for a number today.';

CREATE FUNCTION private.audit(p_org uuid, p_call jsonb, p_action text, p_subject uuid, p_outcome text, p_details jsonb DEFAULT '{}'::jsonb) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
  insert into public.audit_logs (
    org_id, actor, call_id, tool_call_id, assistant_id, caller_masked, staff_user,
    action, subject_id, outcome, details
  ) values (
    p_org, case when p_call is null then 'system' when p_call ? 'staff' then 'staff' else 'call' end,
    p_call ->> 'callId', nullif(p_call ->> 'toolCallId', ''), p_call ->> 'assistantId',
    private.mask_phone(p_call ->> 'callerNumber'), case when p_call ? 'staff' then auth.uid() end,
    p_action, p_subject, p_outcome, p_details
  );
end
$$;

COMMENT ON FUNCTION private.audit(p_org uuid, p_call jsonb, p_action text, p_subject uuid, p_outcome text, p_details jsonb) IS 'Writes one audit row in the caller''s transaction; a null call means the system itself, one with staff the account of the token.';

CREATE FUNCTION private.is_held(p_row public.appointments, p_at timestamp with time zone) RETURNS boolean
    LANGUAGE sql IMMUTABLE
    RETURN (((p_row).status = 'held'::text) AND (COALESCE((p_row).expires_at, 'infinity'::timestamp with time zone) > p_at));

COMMENT ON FUNCTION private.is_held(p_row public.appointments, p_at timestamp with time zone) IS 'Whether a row is a live hold.';

CREATE FUNCTION private.awaits_code(p_row public.appointments, p_at timestamp with time zone) RETURNS boolean
    LANGUAGE sql IMMUTABLE
    RETURN (private.is_held(p_row, p_at) AND ((p_row).handed_over_at IS NULL));

COMMENT ON FUNCTION private.awaits_code(p_row public.appointments, p_at timestamp with time zone) IS 'Whether a row is a live hold that its call still has.';

CREATE FUNCTION private.begin_at_hold(p_org public.organizations, p_call jsonb, p_hold uuid, p_send uuid, p_mac text, p_key_id text, p_sender text) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_call constant public.calls := private.enter_call(p_org, p_call);
  v_hold public.appointments;
  v_phone bytea;
  v_code public.one_time_passcodes;
  v_now timestamptz;
  v_answer jsonb;
begin
  select m.* into v_hold from private.rows_of_call(p_org.id, v_call.call_id) as m
  where m.id = p_hold;
  v_phone := private.hash_phone(v_hold.patient_phone);
  perform private.lock_phones(array[private.caller_key(p_org.id, v_call), v_phone]);
  v_now := clock_timestamp();
  -- As above.
  select m.* into v_hold from private.rows_of_call(p_org.id, v_call.call_id) as m
  where m.id = p_hold;
  if private.hash_phone(v_hold.patient_phone) <> v_phone then
    return '{"outcome": "busy"}';
  elsif private.awaits_code(v_hold, v_now) is not true then
    v_answer := private.describe_state(p_org, v_hold, v_now);
  else
    select c.* into v_code from public.one_time_passcodes as c
    where c.org_id = p_org.id and c.call_id = v_call.call_id and c.phone_hash = v_phone;
    v_answer := coalesce(
      private.sent_at_hold(p_org.id, v_hold, v_code, nullif(p_call ->> 'toolCallId', ''),
        private.is_proven(p_org.id, v_call.call_id, v_phone, v_now)
          or private.is_new_time(p_org.id, v_hold), v_now),
      private.send_or_refuse(p_org, p_call, v_call, v_code, v_hold, jsonb_build_object(
        'phone', v_hold.patient_phone, 'country', v_hold.patient_country, 'purpose', 'confirm'),
        p_send, p_mac, p_key_id, p_sender, v_now));
  end if;
  if v_answer ->> 'outcome' = 'under_way' then
    perform private.extend_holds(
      p_org, v_call.call_id, v_hold.patient_phone, v_code.expires_at, v_now);
  end if;
  if v_answer ->> 'outcome' <> 'claimed' then
    perform private.audit(p_org.id, p_call, 'send_otp', v_hold.id, v_answer ->> 'outcome');
  end if;
  return jsonb_strip_nulls(jsonb_build_object('orgId', p_org.id, 'purpose', 'confirm',
    'phoneEnding', right(v_hold.patient_phone, 2))) || v_answer;
end
$$;

COMMENT ON FUNCTION private.begin_at_hold(p_org public.organizations, p_call jsonb, p_hold uuid, p_send uuid, p_mac text, p_key_id text, p_sender text) IS 'Begins the send of a hold that was made just now, unless its phone has a code already.';

CREATE FUNCTION private.begin_follow_up(p_org public.organizations, p_call jsonb, p_hold public.appointments, p_ended_reason text, p_send uuid) RETURNS text
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_now constant timestamptz := clock_timestamp();
  v_phone constant bytea := private.hash_phone(p_hold.patient_phone);
  v_refusal text;
begin
  v_refusal := case
    when not p_org.follow_up_texts then 'switched_off'
    when p_ended_reason ~ 'forward|transfer' then 'forwarded'
    when exists (
      select from public.appointments as a
      where a.org_id = p_org.id and a.call_id = p_hold.call_id and a.status = 'confirmed')
      then 'booked'
    -- The new time of a move was not confirmed, so the appointment stays as it was.
    when exists (
      select from public.appointment_changes as c
      where c.org_id = p_org.id and c.call_id = p_hold.call_id and c.hold_id = p_hold.id)
      then 'keeps_appointment'
    when exists (
      select from public.sms_opt_outs as o
      where o.org_id = p_org.id and o.phone_hash = private.hash_phone(p_hold.patient_phone))
      then 'opted_out'
    else private.follow_up_refusal(p_org, p_hold, v_now)
  end;
  if v_refusal is null then
    insert into public.sms_messages (
      org_id, id, appointment_id, origin, to_masked, to_hash, call_id, created_at
    ) values (
      p_org.id, p_send, p_hold.id, 'follow_up', private.mask_phone(p_hold.patient_phone), v_phone,
      p_hold.call_id, v_now
    );
    insert into public.phone_counts as n (phone_hash, followed_up_at) values (v_phone, array[v_now])
    on conflict (phone_hash) do update set changed_at = v_now,
      followed_up_at = private.keep_since(n.followed_up_at, v_now - interval '1 day') || v_now;
  end if;
  perform private.audit(p_org.id, p_call, 'follow_up', p_hold.id, coalesce(v_refusal, 'claimed'));
  return coalesce(v_refusal, 'claimed');
end
$$;

COMMENT ON FUNCTION private.begin_follow_up(p_org public.organizations, p_call jsonb, p_hold public.appointments, p_ended_reason text, p_send uuid) IS 'Stores the one follow-up text of a call that left this hold open, or says why there is none.';

CREATE FUNCTION private.begin_send(p_org public.organizations, p_call jsonb, p_hold text, p_send uuid, p_mac text, p_key_id text, p_sender text) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_tool_call_id constant text := nullif(p_call ->> 'toolCallId', '');
  v_hash constant bytea := sha256(convert_to(coalesce(p_hold, ''), 'UTF8'));
  v_call constant public.calls := private.enter_call(p_org, p_call);
  v_waiting record;
  v_phone bytea;
  v_code public.one_time_passcodes;
  v_now timestamptz;
  v_first_answer constant jsonb := private.recall_answer(p_org.id, p_call, 'send_otp', v_hash);
  v_answer jsonb;
begin
  -- A limit or a cooldown may have ended: that is decided again, while it would send a text.
  if v_first_answer is not null and v_first_answer -> 'isRefusal' is null then
    return v_first_answer;
  end if;
  v_waiting := private.find_waiting(p_org, v_call.call_id, p_hold, clock_timestamp());
  -- The caller may have hung up while this waited for the call.
  if v_waiting.purpose = 'change' and private.was_left(p_org.id, v_call.call_id) then
    v_waiting.refusal := '{"outcome": "hold_not_found"}'::jsonb;
  end if;
  if v_waiting.refusal is not null then
    return private.answer_idle(p_org.id, p_call, 'send_otp', v_hash, v_waiting.refusal);
  end if;
  v_phone := private.hash_phone(v_waiting.phone);
  perform private.lock_phones(array[private.caller_key(p_org.id, v_call), v_phone]);
  v_now := clock_timestamp();
  -- While this waited for the phone, the hold may have expired or gone to the patient's next call.
  v_waiting := private.find_waiting(p_org, v_call.call_id, p_hold, v_now);
  if v_waiting.refusal is not null then
    return private.answer_idle(p_org.id, p_call, 'send_otp', v_hash, v_waiting.refusal);
  elsif private.hash_phone(v_waiting.phone) <> v_phone then
    return '{"outcome": "busy"}';
  end if;
  v_answer := private.answer_without_text(p_org, p_call, v_call, v_waiting.phone, v_waiting.purpose,
    (v_waiting.hold).id, v_hash, v_first_answer, v_now);
  if v_answer is not null then
    return v_answer;
  end if;

  select c.* into v_code from public.one_time_passcodes as c
  where c.org_id = p_org.id and c.call_id = v_call.call_id and c.phone_hash = v_phone;
  if v_first_answer is not null and v_code.mac is not null and v_code.expires_at > v_now then
    -- Another text would replace the code that the caller is about to read out.
    return v_first_answer - 'isRefusal';
  end if;
  v_answer := coalesce(
    case when v_code.send_id is not null then
      private.repeated_send(p_org.id, v_code, v_tool_call_id, v_waiting.purpose, v_now) end,
    private.send_or_refuse(p_org, p_call, v_call, v_code, v_waiting.hold, jsonb_build_object(
      'phone', v_waiting.phone, 'country', v_waiting.country, 'purpose', v_waiting.purpose),
      p_send, p_mac, p_key_id, p_sender, v_now));
  if v_answer ->> 'outcome' <> 'claimed' then
    perform private.audit(
      p_org.id, p_call, 'send_otp', (v_waiting.hold).id, v_answer ->> 'outcome');
  end if;
  v_answer := jsonb_build_object('orgId', p_org.id, 'purpose', v_waiting.purpose,
    'phoneEnding', right(v_waiting.phone, 2)) || v_answer;
  if v_answer ->> 'outcome' <> 'claimed' then
    perform private.record_answer(
      p_org.id, p_call, 'send_otp', v_hash, v_answer || '{"isRefusal": true}');
  end if;
  return v_answer;
end
$$;

COMMENT ON FUNCTION private.begin_send(p_org public.organizations, p_call jsonb, p_hold text, p_send uuid, p_mac text, p_key_id text, p_sender text) IS 'Begins the one send to a phone of a call, or confirms what needs no code.';

CREATE FUNCTION private.bind_mac(p_mac text, p_org uuid, p_call_id text, p_phone bytea, p_send uuid) RETURNS bytea
    LANGUAGE sql STABLE
    RETURN sha256((decode(p_mac, 'hex'::text) || convert_to(((((((('otp:v2|'::text || p_org) || '|'::text) || p_call_id) || '|'::text) || encode(p_phone, 'hex'::text)) || '|'::text) || p_send), 'UTF8'::name)));

COMMENT ON FUNCTION private.bind_mac(p_mac text, p_org uuid, p_call_id text, p_phone bytea, p_send uuid) IS 'A code''s MAC bound to one organization, call, phone and send.';

CREATE FUNCTION private.takes_time(p_row public.appointments) RETURNS boolean
    LANGUAGE sql IMMUTABLE
    RETURN ((p_row).status = ANY (ARRAY['held'::text, 'confirmed'::text]));

COMMENT ON FUNCTION private.takes_time(p_row public.appointments) IS 'Whether the constraint and the indexes count a row: held or confirmed, expired or not.';

CREATE FUNCTION private.is_live(p_row public.appointments, p_at timestamp with time zone) RETURNS boolean
    LANGUAGE sql IMMUTABLE
    RETURN (private.takes_time(p_row) AND (COALESCE((p_row).expires_at, 'infinity'::timestamp with time zone) > p_at));

COMMENT ON FUNCTION private.is_live(p_row public.appointments, p_at timestamp with time zone) IS 'Whether a row is held or confirmed, and not expired.';

CREATE FUNCTION private.blocks(p_row public.appointments, p_call_id text, p_moves uuid, p_at timestamp with time zone) RETURNS boolean
    LANGUAGE sql IMMUTABLE
    RETURN (private.is_live(p_row, p_at) AND ((p_call_id IS NULL) OR ((p_row).status <> 'held'::text) OR ((p_row).handed_over_at IS NOT NULL) OR ((p_row).call_id IS DISTINCT FROM p_call_id)) AND ((p_row).id IS DISTINCT FROM p_moves));

COMMENT ON FUNCTION private.blocks(p_row public.appointments, p_call_id text, p_moves uuid, p_at timestamp with time zone) IS 'Whether a row is live, and neither a hold of this call nor the appointment that it moves.';

CREATE FUNCTION private.book_at_desk(p_org public.organizations, p_request jsonb, p_slot_id text, p_patient jsonb, p_texts boolean) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_wanted constant private.wanted_slot := private.read_wanted(p_org, p_slot_id);
  v_refusal constant jsonb := private.patient_refusal(p_org.id, p_patient);
  v_claimed record;
begin
  if v_refusal is not null then
    return v_refusal;
  elsif v_wanted.starts_at is null then
    return '{"outcome": "invalid_slot"}';
  end if;
  perform private.lock_phones(array[private.patient_key(p_org.id, p_patient ->> 'phone')]);
  v_claimed := private.claim_at_desk(p_org, p_request, v_wanted, p_patient, null);
  if v_claimed.refusal is not null then
    return v_claimed.refusal;
  end if;
  perform private.confirm_hold(p_org.id, v_claimed.hold, null, clock_timestamp());
  if p_texts then
    update public.contacts as c set texts_asked_at = clock_timestamp()
    where c.org_id = p_org.id and c.phone = p_patient ->> 'phone';
    perform private.queue_text(p_org.id, (v_claimed.hold).id, 'confirmation');
  end if;
  return private.describe_appointment(p_org, v_claimed.hold, clock_timestamp())
    || '{"outcome": "booked"}';
end
$$;

COMMENT ON FUNCTION private.book_at_desk(p_org public.organizations, p_request jsonb, p_slot_id text, p_patient jsonb, p_texts boolean) IS 'Books a slot for a patient, or says why not.';

CREATE FUNCTION private.busy_time(p_service public.services, p_start timestamp with time zone) RETURNS tstzrange
    LANGUAGE sql STABLE
    RETURN tstzrange((p_start - make_interval(mins => (p_service).buffer_before_min)), (p_start + make_interval(mins => ((p_service).duration_min + (p_service).buffer_after_min))));

COMMENT ON FUNCTION private.busy_time(p_service public.services, p_start timestamp with time zone) IS 'The time that an appointment at a start takes, with its buffers.';

CREATE FUNCTION private.busy_window(p_org uuid, p_now timestamp with time zone) RETURNS tstzrange
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
begin
  return tstzrange(p_now - interval '1 day', p_now + make_interval(days => 3 + coalesce((
    select max(s.horizon_days) from public.services as s where s.org_id = p_org and s.active), 0)));
end
$$;

COMMENT ON FUNCTION private.busy_window(p_org uuid, p_now timestamp with time zone) IS 'The time in which a doctor''s own calendar matters.';

CREATE FUNCTION private.hash_phone(p_phone text) RETURNS bytea
    LANGUAGE sql STABLE STRICT
    RETURN sha256(convert_to(p_phone, 'UTF8'::name));

COMMENT ON FUNCTION private.hash_phone(p_phone text) IS 'A phone number in a form that can only be compared.';

CREATE FUNCTION private.caller_key(p_org uuid, p_call public.calls) RETURNS bytea
    LANGUAGE sql STABLE
    RETURN COALESCE((p_call).caller_hash, private.hash_phone(('no number/'::text || p_org)));

COMMENT ON FUNCTION private.caller_key(p_org uuid, p_call public.calls) IS 'The key in phone_counts for the caller of a call.';

CREATE FUNCTION private.calls_of(p_org uuid, p_phone text, p_name text, p_is_alone boolean, p_appointments uuid[]) RETURNS SETOF text
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
  select a.call_id from public.appointments as a
  where a.org_id = p_org and a.id = any (p_appointments)
  union
  select l.call_id from public.audit_logs as l
  where l.org_id = p_org and l.subject_id = any (p_appointments)
  union
  select c.call_id from public.appointment_changes as c
  where c.org_id = p_org and c.patient_phone = p_phone
    and private.is_same_name(p_name, c.patient_name)
  union
  select m.call_id from public.desk_messages as m
  where m.org_id = p_org and m.phone = p_phone
    and (p_is_alone or private.is_same_name(p_name, m.caller_name))
  union
  select c.call_id from public.calls as c
  where c.org_id = p_org and c.caller_hash = private.hash_phone(p_phone)
    and (p_is_alone
      or exists (select from unnest(c.patient_names) as n where private.is_same_name(p_name, n)))
  union
  select m.call_id from public.sms_messages as m
  where p_is_alone and m.org_id = p_org and m.to_hash = private.hash_phone(p_phone)
$$;

COMMENT ON FUNCTION private.calls_of(p_org uuid, p_phone text, p_name text, p_is_alone boolean, p_appointments uuid[]) IS 'The calls that are about a patient.';

CREATE FUNCTION private.cancel_at_desk(p_org uuid, p_row public.appointments) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
  if p_row.ends_at <= clock_timestamp() then
    return '{"outcome": "past"}';
  end if;
  return private.cancel_row(p_org, p_row);
end
$$;

COMMENT ON FUNCTION private.cancel_at_desk(p_org uuid, p_row public.appointments) IS 'Cancels an appointment or a hold that is not over yet.';

CREATE FUNCTION private.cancel_hold(p_org public.organizations, p_call jsonb, p_patient jsonb, p_said jsonb, p_now timestamp with time zone) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_id constant uuid := private.read_id(p_said ->> 'id');
  v_hold public.appointments;
begin
  select h.* into v_hold from private.find_holds(p_org.id, p_call ->> 'callId', p_now) as h
  where case when v_id is not null then h.id = v_id
    else private.names_hold(p_said)
      and private.is_for_patient(h, p_patient) and private.fits_when(p_org, h, p_said)
      and (p_said ->> 'provider' is null
        or private.is_with(p_org.id, h, p_said ->> 'provider')) end
  order by h.created_at desc limit 1;
  if v_hold.id is null then
    return null;
  end if;
  perform private.release_hold(p_org.id, p_call, 'cancel_appointment', v_hold.id);
  return jsonb_build_object('outcome', 'hold_released', 'holdId', v_hold.id)
    || private.describe_released(p_org, v_hold);
end
$$;

COMMENT ON FUNCTION private.cancel_hold(p_org public.organizations, p_call jsonb, p_patient jsonb, p_said jsonb, p_now timestamp with time zone) IS 'Releases a hold for the call that made it, or returns null.';

CREATE FUNCTION private.cancel_row(p_org uuid, p_row public.appointments) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
  update public.appointments as a set status = 'cancelled', updated_at = clock_timestamp()
  where a.org_id = p_org and a.id = p_row.id and a.status = p_row.status;
  perform private.require_unchanged(found);
  perform private.measure_wait(p_row, 'cancelled');
  if p_row.status = 'confirmed' then
    perform private.announce(p_org, p_row.id, 'cancellation');
  end if;
  return jsonb_build_object('outcome', 'cancelled', 'appointmentId', p_row.id);
end
$$;

COMMENT ON FUNCTION private.cancel_row(p_org uuid, p_row public.appointments) IS 'Cancels an appointment or a hold, unless it has changed.';

CREATE FUNCTION private.carry_out(p_org public.organizations, p_call jsonb, p_entered public.calls, p_phone text, p_is_proof boolean, p_now timestamp with time zone) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_change public.appointment_changes := private.find_change(p_org.id, p_entered.call_id);
  v_plan record;
  v_holds jsonb;
  v_confirmed jsonb;
  v_expired jsonb;
  v_changed jsonb;
begin
  if v_change.patient_phone <> p_phone or v_change.applied_at is not null then
    v_change := null;
  end if;
  if v_change.call_id is not null then
    v_plan := private.prepare_change(p_org, p_call, p_entered, v_change, true, p_now);
  end if;
  if p_is_proof then
    perform private.prove_phone(p_org.id, p_entered.call_id, private.hash_phone(p_phone), p_now);
  end if;
  v_holds := private.confirm_holds(p_org, p_call, p_phone, p_now);
  -- By the clock: a hold may have expired while this waited for its lock.
  v_expired := private.expired_holds(p_org, p_entered.call_id, p_phone, clock_timestamp());
  if v_change.call_id is not null then
    v_changed := coalesce(v_plan.answer,
      private.apply_change(p_org, p_call, v_change, v_plan.appointment, v_plan.hold, p_now));
    v_changed := v_changed || private.settle_change(p_org, p_call, v_change, v_changed, v_plan.hold);
  end if;
  v_confirmed := v_holds -> 'confirmed' -> 0;
  if v_confirmed is null then
    return coalesce(v_changed, jsonb_build_object('outcome',
      case when v_expired = '[]' then 'hold_not_found' else 'hold_expired' end));
  end if;
  return v_confirmed || jsonb_build_object('outcome', 'confirmed',
    'others', (v_holds -> 'confirmed') - 0, 'overlaps', v_holds -> 'overlaps', 'lapsed', v_expired)
    || case when v_changed is null then '{}' else jsonb_build_object('change', v_changed) end;
end
$$;

COMMENT ON FUNCTION private.carry_out(p_org public.organizations, p_call jsonb, p_entered public.calls, p_phone text, p_is_proof boolean, p_now timestamp with time zone) IS 'Confirms the holds of a call that wait for a proven number, and carries out its change.';

CREATE FUNCTION private.carry_out_answer(p_org uuid, p_meaning text, p_rows public.appointments[], p_now timestamp with time zone) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_row public.appointments;
begin
  foreach v_row in array p_rows loop
    if p_meaning = 'cancel' then
      perform private.cancel_row(p_org, v_row);
    else
      update public.appointments as a set patient_confirmed_at = p_now, updated_at = p_now
      where a.org_id = p_org and a.id = v_row.id and a.status = 'confirmed';
      perform private.require_unchanged(found);
    end if;
    perform private.audit(p_org, null, 'answer_text', v_row.id,
      case p_meaning when 'cancel' then 'cancelled' else 'confirmed' end);
  end loop;
end
$$;

COMMENT ON FUNCTION private.carry_out_answer(p_org uuid, p_meaning text, p_rows public.appointments[], p_now timestamp with time zone) IS 'Confirms or cancels what a patient has answered about.';

CREATE FUNCTION private.change_appointment(p_org public.organizations, p_call jsonb, p_kind text, p_patient jsonb, p_said jsonb, p_slot_id text) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_action constant text :=
    p_kind || case when p_kind = 'find' then '_appointments' else '_appointment' end;
  v_hash constant bytea :=
    sha256(convert_to(jsonb_build_array(p_patient, p_said, p_slot_id)::text, 'UTF8'));
  v_phone constant bytea := private.hash_phone(p_patient ->> 'phone');
  v_call public.calls;
  v_now timestamptz;
  v_answer jsonb;
begin
  v_call := private.enter_call(p_org, p_call, p_patient ->> 'name');
  v_answer := private.recall_answer(p_org.id, p_call, v_action, v_hash);
  if v_answer is not null then
    return v_answer;
  end if;
  perform private.lock_phones(array[private.caller_key(p_org.id, v_call), v_phone]);
  v_now := clock_timestamp();
  if p_kind = 'cancel' then
    v_answer := coalesce(private.cancel_hold(p_org, p_call, p_patient, p_said, v_now),
      private.repeat_released(p_org.id, p_call, v_hash, private.read_id(p_said ->> 'id')));
  end if;
  if v_answer is null then
    v_answer := case when private.is_proven(p_org.id, v_call.call_id, v_phone, v_now)
      then private.change_now(p_org, p_call, v_call, p_kind, p_patient, p_said, p_slot_id, v_now)
      else private.open_change(p_org, p_call, v_call, p_kind, p_patient, p_said, p_slot_id, v_now) end;
  end if;
  if p_kind = 'cancel' and v_answer ->> 'outcome' in ('code_needed', 'appointment_not_found') then
    v_answer := v_answer
      || private.describe_kept(p_org, v_call.call_id, p_patient, p_said, v_now);
  end if;
  perform private.audit(
    p_org.id, p_call, v_action, (v_answer ->> 'holdId')::uuid, v_answer ->> 'outcome');
  perform private.record_answer(p_org.id, p_call, v_action, v_hash, v_answer);
  return v_answer;
end
$$;

COMMENT ON FUNCTION private.change_appointment(p_org public.organizations, p_call jsonb, p_kind text, p_patient jsonb, p_said jsonb, p_slot_id text) IS 'Answers a request about existing appointments, and audits and records the answer; a repeated request gets its first answer.';

CREATE FUNCTION private.change_now(p_org public.organizations, p_call jsonb, p_entered public.calls, p_kind text, p_patient jsonb, p_said jsonb, p_slot_id text, p_now timestamp with time zone) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_earlier constant public.appointment_changes := private.find_change(p_org.id, p_entered.call_id);
  v_wanted private.wanted_slot;
  v_old public.appointments;
  v_hold public.appointments;
  v_change public.appointment_changes;
  v_plan record;
  v_is_booking boolean := false;
  v_answer jsonb;
begin
  if p_entered.change_requests >= p_org.call_change_requests then
    return '{"outcome": "change_limit"}';
  elsif p_kind = 'find' then
    -- A change that waits to hear which appointment is meant goes on waiting, with its new time.
    v_answer := private.list_appointments(p_org, array(
      select n from unnest(p_entered.patient_names) as n
      where private.is_same_patient(n, p_patient ->> 'name')), null, p_patient ->> 'phone', p_now);
    perform private.count_missed(p_org.id, p_entered.call_id, v_answer ->> 'outcome');
    return v_answer;
  end if;
  if p_kind = 'reschedule' then
    v_wanted := private.read_wanted(p_org, p_slot_id);
    if v_wanted.starts_at is null then
      return '{"outcome": "invalid_slot"}';
    end if;
    v_is_booking := private.is_booking(
      p_org.id, p_entered.call_id, v_earlier, v_wanted, p_patient, p_now);
    v_hold := private.find_held_time(p_org.id, p_call, p_entered, v_wanted, p_patient, p_now);
  end if;
  if v_earlier.applied_at is not null
    and v_earlier.appointment_id = private.read_id(p_said ->> 'id') then
    -- This call has moved it: there it has another id.
    p_said := p_said || jsonb_build_object('id', coalesce(v_earlier.hold_id, v_earlier.appointment_id));
  end if;
  v_change.call_id := p_entered.call_id;
  v_change.patient_name := p_patient ->> 'name';
  v_change.patient_phone := p_patient ->> 'phone';
  v_change.said := p_said;
  if private.was_applied(p_org.id, v_earlier, p_kind, p_patient, p_slot_id)
    and private.was_said(p_org, v_earlier, p_said)
    and not exists (select from private.fitting_appointments(p_org, v_change, null, p_now)) then
    return private.describe_change(p_org, v_earlier, p_now);
  end if;
  select a.* into v_old from public.appointments as a
  where a.org_id = p_org.id and a.id = v_earlier.hold_id and v_earlier.applied_at is null
    and a.id is distinct from v_hold.id;
  v_change := private.keep_change(p_org.id, p_entered.call_id, p_kind, p_patient, p_said, p_slot_id,
    v_hold.id, v_is_booking, p_now);
  v_plan := private.prepare_change(p_org, p_call, p_entered, v_change, false, p_now);
  v_answer := coalesce(v_plan.answer,
    private.apply_change(p_org, p_call, v_change, v_plan.appointment, v_plan.hold, p_now));
  v_answer := v_answer || private.settle_change(p_org, p_call, v_change, v_answer, v_plan.hold);
  if v_old.id is not null then
    perform private.release_hold(p_org.id, p_call, p_kind || '_appointment', v_old.id);
    v_answer := v_answer || private.describe_released(p_org, v_old);
  end if;
  return v_answer;
end
$$;

COMMENT ON FUNCTION private.change_now(p_org public.organizations, p_call jsonb, p_entered public.calls, p_kind text, p_patient jsonb, p_said jsonb, p_slot_id text, p_now timestamp with time zone) IS 'Carries out a request of a call that has proven the number.';

CREATE FUNCTION private.change_schedule(p_org uuid, p_request uuid, p_action text, p_provider uuid, p_kind text, p_value jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_desk record;
  v_known uuid[];
  v_value jsonb;
  v_reason text;
begin
  v_desk := private.enter_desk(
    p_org, p_request, p_action, 'manager', jsonb_build_array(p_provider, p_value));
  if v_desk.answer is not null then
    return v_desk.answer;
  elsif not exists (
    select from public.providers as p where p.org_id = p_org and p.id = p_provider) then
    return private.leave_desk(p_org, v_desk.request, null, '{"outcome": "unknown_provider"}');
  end if;
  v_known := private.misplaced_ids(v_desk.org, p_provider);
  perform private.lock_provider(p_org, p_provider, p_wait => true);
  begin
    v_value := private.read_schedule(p_kind, p_value);
    perform private.write_schedule(v_desk.org, p_provider, p_kind, v_value);
  exception when integrity_constraint_violation or data_exception then
    get stacked diagnostics v_reason = message_text;
    return private.leave_desk(p_org, v_desk.request, p_provider,
      jsonb_build_object('outcome', 'invalid_schedule', 'reason', v_reason));
  end;
  return private.leave_schedule(p_org, v_desk.request, p_provider, v_known,
    jsonb_strip_nulls(jsonb_build_object('outcome', 'changed', 'timeOffId', p_value -> 'id')),
    jsonb_build_object(p_kind, v_value));
end
$$;

COMMENT ON FUNCTION private.change_schedule(p_org uuid, p_request uuid, p_action text, p_provider uuid, p_kind text, p_value jsonb) IS 'Changes the schedule of a provider for a manager.';

CREATE FUNCTION private.choice_limit() RETURNS integer
    LANGUAGE sql IMMUTABLE
    RETURN 4;

COMMENT ON FUNCTION private.choice_limit() IS 'From how many appointments a patient is asked to choose.';

CREATE FUNCTION private.choose_providers(p_org public.organizations, p_wanted private.wanted_slot, p_old public.appointments, p_moves public.appointments, p_at timestamp with time zone) RETURNS uuid[]
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
begin
  return (
    select array_agg(c.provider_id
      order by (c.provider_id = p_old.provider_id) desc nulls last,
        (c.provider_id = p_moves.provider_id) desc nulls last, c.booked, c.provider_id)
    from (
      select f.provider_id, case when (p_wanted.provider).id is null then (
        select count(*) from public.appointments as a
        where a.org_id = p_org.id and a.provider_id = f.provider_id
          and private.is_live(a, p_at)
          and lower(a.busy) between p_wanted.starts_at - interval '12 hours'
            and p_wanted.starts_at + interval '12 hours') end as booked
      from private.find_free(p_org, p_wanted.service, (p_wanted.provider).id, p_wanted.starts_at,
        p_old.call_id, p_at, p_moves.id) as f (provider_id)
    ) as c);
end
$$;

COMMENT ON FUNCTION private.choose_providers(p_org public.organizations, p_wanted private.wanted_slot, p_old public.appointments, p_moves public.appointments, p_at timestamp with time zone) IS 'The providers who are free at the requested slot, best first, or null.';

CREATE FUNCTION private.claim_at_desk(p_org public.organizations, p_request jsonb, p_wanted private.wanted_slot, p_patient jsonb, p_moves public.appointments, OUT hold public.appointments, OUT refusal jsonb) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_inserted constant record := private.insert_hold(
    p_org, p_request, p_request ->> 'action', p_wanted, p_patient, null, p_moves);
begin
  hold := v_inserted.hold;
  if hold.id is null then
    refusal := private.refuse_start(p_org, p_wanted, p_moves.id, v_inserted.was_free);
  end if;
end
$$;

COMMENT ON FUNCTION private.claim_at_desk(p_org public.organizations, p_request jsonb, p_wanted private.wanted_slot, p_patient jsonb, p_moves public.appointments, OUT hold public.appointments, OUT refusal jsonb) IS 'Holds a slot for staff by the rules of the calls.';

CREATE FUNCTION private.webhook_types() RETURNS text[]
    LANGUAGE sql IMMUTABLE
    RETURN ARRAY['booking.created'::text, 'booking.changed'::text, 'booking.cancelled'::text, 'followup.needed'::text, 'message.left'::text, 'alarm.raised'::text];

COMMENT ON FUNCTION private.webhook_types() IS 'The events that endpoints are told.';

CREATE TABLE public.webhook_endpoints (
    org_id uuid NOT NULL,
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    address text NOT NULL,
    types text[] DEFAULT private.webhook_types() NOT NULL,
    tells_names boolean DEFAULT false NOT NULL,
    secrets jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    claimed_at timestamp with time zone,
    due_at timestamp with time zone DEFAULT '-infinity'::timestamp with time zone NOT NULL,
    failures integer DEFAULT 0 NOT NULL,
    failed_at timestamp with time zone,
    counted_at timestamp with time zone,
    failure text,
    alarmed_at timestamp with time zone,
    disabled_at timestamp with time zone,
    CONSTRAINT webhook_endpoints_address_https CHECK (private.require(((address ~ '^https://[^[:space:]/?#@]+([/?#][^[:space:]]*)?$'::text) AND (length(address) <= 2000)), 'an endpoint'::text, 'its address begins with https:// and has no name or password before its host'::text)),
    CONSTRAINT webhook_endpoints_secrets_listed CHECK (((jsonb_typeof(secrets) = 'array'::text) AND ((jsonb_array_length(secrets) >= 1) AND (jsonb_array_length(secrets) <= 2)))),
    CONSTRAINT webhook_endpoints_types_known CHECK (private.require(((cardinality(types) > 0) AND (types <@ private.webhook_types())), 'an endpoint'::text, ('its events are some of '::text || array_to_string(private.webhook_types(), ', '::text))))
);

COMMENT ON TABLE public.webhook_endpoints IS 'Addresses of other systems that are told what happens at a clinic. The address is a secret.';

COMMENT ON COLUMN public.webhook_endpoints.types IS 'The events that it is told.';

COMMENT ON COLUMN public.webhook_endpoints.tells_names IS 'Whether it is told patients'' names and callers'' messages.';

COMMENT ON COLUMN public.webhook_endpoints.secrets IS 'Its signing secrets, newest first: [{keyId, nonce, ciphertext, until}], AES-256-GCM with organization and endpoint as additional data; until: when an old one is used no longer.';

COMMENT ON COLUMN public.webhook_endpoints.claimed_at IS 'When something was last claimed for it: others come first.';

COMMENT ON COLUMN public.webhook_endpoints.due_at IS 'It is left alone until then, because it failed.';

COMMENT ON COLUMN public.webhook_endpoints.failures IS 'How many attempts in a row have failed; messages that were claimed together count once.';

COMMENT ON COLUMN public.webhook_endpoints.failed_at IS 'When the first of these failed.';

COMMENT ON COLUMN public.webhook_endpoints.counted_at IS 'When the newest of these was counted.';

COMMENT ON COLUMN public.webhook_endpoints.alarmed_at IS 'When an alarm was last raised about it: once for an outage, and once a day at most.';

COMMENT ON COLUMN public.webhook_endpoints.disabled_at IS 'When it was given up: it answered 410, or attempts had failed for three days.';

CREATE FUNCTION private.claim_messages(p_org uuid, p_endpoint public.webhook_endpoints, p_limit integer, p_now timestamp with time zone) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_message public.webhook_messages;
  v_claimed jsonb := '[]';
begin
  update public.webhook_messages as m
  set state = 'failed', reason = 'no_answer', updated_at = p_now
  where m.org_id = p_org and m.endpoint_id = p_endpoint.id
    and m.state = 'sending' and m.due_at <= p_now and private.webhook_delay(m.attempts) is null;
  for v_message in
    update public.webhook_messages as m
    set state = 'sending', claim_id = gen_random_uuid(), attempts = m.attempts + 1,
      due_at = p_now + private.webhook_patience(), updated_at = p_now
    from (
      select d.id from public.webhook_messages as d
      where d.org_id = p_org and d.endpoint_id = p_endpoint.id
        and d.state in ('waiting', 'sending') and d.due_at <= p_now
      order by d.due_at limit case when p_endpoint.failures > 0 then 1 else p_limit end
      for no key update skip locked
    ) as due
    where m.org_id = p_org and m.id = due.id
    returning m.*
  loop
    v_claimed := v_claimed || private.describe_message(p_org, p_endpoint, v_message, p_now);
  end loop;
  return v_claimed;
end
$$;

COMMENT ON FUNCTION private.claim_messages(p_org uuid, p_endpoint public.webhook_endpoints, p_limit integer, p_now timestamp with time zone) IS 'Marks messages of one endpoint as about to be sent.';

CREATE FUNCTION private.claim_start(p_org public.organizations, p_call jsonb, p_entered public.calls, p_action text, p_wanted private.wanted_slot, p_patient jsonb, p_old public.appointments, p_moves public.appointments) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_now constant timestamptz := clock_timestamp();
  v_limit constant text := private.hold_limit(
    p_org, p_entered, private.hash_phone(p_patient ->> 'phone'), p_old.id, v_now);
  v_inserted record;
  v_hold public.appointments;
begin
  if v_limit is not null then
    perform private.audit(p_org.id, p_call, p_action, null, 'hold_limit',
      jsonb_build_object('of', v_limit));
    return jsonb_build_object('outcome', 'hold_limit', 'orgId', p_org.id, 'of', v_limit,
      'codeWaits', exists (
        select from public.one_time_passcodes as c
        where c.org_id = p_org.id and c.call_id = p_entered.call_id and c.mac is not null
          and c.expires_at > v_now
          -- Callers must not learn whether the code of a change was texted.
          and (c.purpose = 'change' or not private.was_not_delivered(p_org.id, c.send_id))));
  end if;
  v_inserted := private.insert_hold(p_org, p_call, p_action, p_wanted, p_patient, p_old, p_moves);
  v_hold := v_inserted.hold;
  if v_hold.id is null then
    return private.refuse_slot(
      p_org, p_call, p_action, p_wanted, p_old, p_moves, v_inserted.was_free, v_now);
  end if;
  if p_old.id is not null then
    perform private.release_hold(p_org.id, p_call, p_action, p_old.id);
  end if;
  perform private.count_hold(p_org.id, p_entered, v_hold, clock_timestamp());
  perform private.audit(p_org.id, p_call, p_action, v_hold.id, 'held');
  return private.describe_hold(p_org, v_hold, clock_timestamp()) || '{"outcome": "held"}'
    || private.describe_released(p_org, p_old);
end
$$;

COMMENT ON FUNCTION private.claim_start(p_org public.organizations, p_call jsonb, p_entered public.calls, p_action text, p_wanted private.wanted_slot, p_patient jsonb, p_old public.appointments, p_moves public.appointments) IS 'Holds a slot of one organization for a call, or says why not.';

CREATE FUNCTION private.is_appointment_text(p_kind text) RETURNS boolean
    LANGUAGE sql IMMUTABLE
    RETURN (p_kind = ANY (ARRAY['confirmation'::text, 'change'::text, 'cancellation'::text, 'reminder'::text]));

COMMENT ON FUNCTION private.is_appointment_text(p_kind text) IS 'Whether a text tells a patient about an appointment, and has no passcode in it.';

CREATE TABLE public.appointment_texts (
    org_id uuid NOT NULL,
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    appointment_id uuid NOT NULL,
    kind text NOT NULL,
    starts_at timestamp with time zone NOT NULL,
    state text DEFAULT 'waiting'::text NOT NULL,
    reason text,
    due_at timestamp with time zone NOT NULL,
    offers_answer boolean DEFAULT false NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    send_id uuid,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    updated_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT appointment_texts_kind_known CHECK (private.is_appointment_text(kind)),
    CONSTRAINT appointment_texts_sending_has_send CHECK (((state <> 'sending'::text) OR (send_id IS NOT NULL))),
    CONSTRAINT appointment_texts_state_known CHECK ((state = ANY (ARRAY['waiting'::text, 'sending'::text, 'sent'::text, 'failed'::text, 'unknown'::text, 'dropped'::text])))
);

COMMENT ON TABLE public.appointment_texts IS 'Texts about appointments, to be sent or sent. They contain neither the number nor the words.';

COMMENT ON COLUMN public.appointment_texts.starts_at IS 'The time that the text is about: a text about another time is another text.';

COMMENT ON COLUMN public.appointment_texts.state IS 'waiting for due_at; sending until due_at, then unknown; sent: Twilio accepted it; failed; dropped: no longer true or not wanted.';

COMMENT ON COLUMN public.appointment_texts.reason IS 'Why it failed, was dropped, or waits again.';

COMMENT ON COLUMN public.appointment_texts.offers_answer IS 'Whether the text says how to confirm or cancel by answering.';

COMMENT ON COLUMN public.appointment_texts.send_id IS 'The newest attempt, the id of its row in sms_messages.';

CREATE FUNCTION private.claim_text(p_org public.organizations, p_text public.appointment_texts, p_row public.appointments, p_now timestamp with time zone) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_contact public.contacts;
  v_refusal text;
begin
  select c.* into v_contact from public.contacts as c
  where c.org_id = p_org.id and c.id = p_row.contact_id;
  v_refusal := case
    when not private.is_true_text(p_text, p_row, p_now) then 'outdated'
    when p_text.kind = 'reminder' and p_row.starts_at < p_now + private.reminder_lead() then 'late'
    else private.text_refusal(p_org, p_text.kind, p_row, v_contact) end;
  if v_refusal is not null then
    perform private.settle_text(p_org.id, p_text, 'dropped', v_refusal, p_now);
    return null;
  end if;
  v_refusal := case
    when p_text.kind = 'reminder' and private.wake_time(p_org.timezone, p_now) > p_now then 'night'
    when not private.may_text_more(p_org, p_now) then 'org_send_limit' end;
  if v_refusal is not null then
    update public.appointment_texts as t
    set reason = v_refusal, due_at = case v_refusal
      when 'night' then private.wake_time(p_org.timezone, p_now)
      else p_now + interval '5 minutes' end
    where t.org_id = p_org.id and t.id = p_text.id;
    return null;
  end if;
  p_text.send_id := gen_random_uuid();
  p_text.offers_answer := p_text.kind = 'reminder' and private.takes_answers(p_org);
  update public.appointment_texts as t
  set state = 'sending', send_id = p_text.send_id, offers_answer = p_text.offers_answer,
    attempts = t.attempts + 1, reason = null,
    due_at = p_now + private.text_patience(), updated_at = p_now
  where t.org_id = p_org.id and t.id = p_text.id;
  insert into public.sms_messages (
    org_id, id, appointment_id, origin, to_masked, to_hash, created_at
  ) values (
    p_org.id, p_text.send_id, p_row.id, p_text.kind, private.mask_phone(p_row.patient_phone),
    private.hash_phone(p_row.patient_phone), p_now
  );
  return private.describe_text(p_org, p_text, p_row);
end
$$;

COMMENT ON FUNCTION private.claim_text(p_org public.organizations, p_text public.appointment_texts, p_row public.appointments, p_now timestamp with time zone) IS 'Marks a text as about to be sent, or drops or postpones it.';

CREATE FUNCTION private.clinic_refusal(p_org public.organizations, p_clinic jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
declare
  v_taken constant jsonb := (
    select jsonb_agg(jsonb_build_object('kind', c.kind, 'value', c.value, 'slug', o.slug)
      order by c.kind, c.value)
    from jsonb_each(jsonb_build_object('called_number', p_clinic -> 'numbers',
      'vapi_phone_number', coalesce(p_clinic -> 'vapiPhoneNumbers', '[]'),
      'vapi_assistant', coalesce(p_clinic -> 'vapiAssistants', '[]'))) as k (kind, given)
    join public.org_channels as c on c.kind = k.kind and k.given ? c.value
    join public.organizations as o on o.id = c.org_id
    where c.org_id <> p_org.id);
begin
  if v_taken is not null then
    return jsonb_build_object('outcome', 'channel_taken', 'channels', v_taken);
  elsif exists (
    select from public.org_channels as c
    where c.kind = 'called_number' and c.value = p_clinic ->> 'transferNumber') then
    return '{"outcome": "transfer_loops"}';
  end if;
  return null;
end
$$;

COMMENT ON FUNCTION private.clinic_refusal(p_org public.organizations, p_clinic jsonb) IS 'Why a document cannot be applied: another clinic has a channel, or calls to the transfer number come back to an assistant.';

CREATE TABLE public.call_reports (
    org_id uuid NOT NULL,
    call_id text NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    ended_at timestamp with time zone,
    follow_up text,
    reported_at timestamp with time zone,
    ended_reason text,
    duration_seconds double precision,
    cost double precision,
    transcript text,
    summary text,
    redactions jsonb DEFAULT '{}'::jsonb NOT NULL
);

COMMENT ON TABLE public.call_reports IS 'Calls that ended: what was said, without personal data, and whether an open hold was followed up.';

COMMENT ON COLUMN public.call_reports.ended_at IS 'When the holds of the call were first released.';

COMMENT ON COLUMN public.call_reports.follow_up IS 'Null if there was no open hold, else claimed (about to be sent), sent, failed, or why no text was sent.';

COMMENT ON COLUMN public.call_reports.redactions IS 'How many items of each kind were removed from transcript and summary, such as {"PHONE": 2}.';

CREATE FUNCTION private.close_call(p_org public.organizations, p_call jsonb, p_known public.call_reports, p_ended_reason text, p_send uuid) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_hold public.appointments;
  v_follow_up text;
begin
  v_hold := private.release_call(p_org, p_call);
  if v_hold.id is not null and p_known.follow_up is null then
    v_follow_up := private.begin_follow_up(p_org, p_call, v_hold, p_ended_reason, p_send);
  end if;
  perform private.end_proofs(p_org.id, p_known.call_id);
  update public.calls as c set seen_at = clock_timestamp()
  where c.org_id = p_org.id and c.call_id = p_known.call_id and p_known.ended_at is null;
  update public.call_reports as r
  set ended_at = coalesce(r.ended_at, clock_timestamp()),
    follow_up = coalesce(r.follow_up, v_follow_up)
  where r.org_id = p_org.id and r.call_id = p_known.call_id;
  return jsonb_build_object('outcome',
    case when p_known.ended_at is null then 'ended' else 'repeated' end) || case
    when v_follow_up = 'claimed' then jsonb_strip_nulls(jsonb_build_object('followUp', jsonb_build_object(
      'clinic', p_org.name, 'phone', v_hold.patient_phone, 'callBack', (
        select min(c.value) from public.org_channels as c
        where c.org_id = p_org.id and c.kind = 'called_number'))))
    else '{}' end;
exception when lock_not_available or deadlock_detected then
  return '{"outcome": "busy"}';
end
$$;

COMMENT ON FUNCTION private.close_call(p_org public.organizations, p_call jsonb, p_known public.call_reports, p_ended_reason text, p_send uuid) IS 'Releases the holds of a call and begins its follow-up; busy if a lock took too long.';

CREATE FUNCTION private.close_questions(p_org uuid) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
  delete from public.open_questions as q
  where q.org_id = p_org and (private.find_fact(p_org, q.question, false)).id is not null;
end
$$;

COMMENT ON FUNCTION private.close_questions(p_org uuid) IS 'Deletes the open questions that have an answer now.';

CREATE FUNCTION private.cluster_id() RETURNS bigint
    LANGUAGE sql STABLE
    RETURN (SELECT c.system_identifier FROM pg_control_system() c(pg_control_version, catalog_version_no, system_identifier, pg_control_last_modified));

COMMENT ON FUNCTION private.cluster_id() IS 'Which cluster this database is in; another one numbers its transactions differently.';

CREATE FUNCTION private.code_attempts() RETURNS integer
    LANGUAGE sql IMMUTABLE
    RETURN 5;

COMMENT ON FUNCTION private.code_attempts() IS 'How many wrong attempts lock a passcode.';

CREATE FUNCTION private.code_lifetime() RETURNS interval
    LANGUAGE sql IMMUTABLE
    RETURN '00:05:00'::interval;

COMMENT ON FUNCTION private.code_lifetime() IS 'How long a passcode can be used.';

CREATE FUNCTION private.collect_events(p_wait boolean) RETURNS integer
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_lock constant bigint := hashtextextended('metrics', 2);
begin
  if p_wait then
    perform pg_advisory_xact_lock(v_lock);
  elsif not pg_try_advisory_xact_lock(v_lock) then
    return 0;
  end if;
  perform private.count_audit();
  return private.fold_events(20000);
exception when lock_not_available then
  -- The next run counts them.
  return 0;
end
$$;

COMMENT ON FUNCTION private.collect_events(p_wait boolean) IS 'Moves events into the counters, one transaction at a time.';

CREATE FUNCTION private.compare_digits(p_org public.organizations, p_call public.calls, p_codes private.awaited_code[], p_purpose text, p_macs jsonb, p_now timestamp with time zone, OUT matched private.awaited_code, OUT answer jsonb, OUT compared boolean) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_awaited private.awaited_code;
  v_open private.awaited_code[] := '{}';
  v_refusal jsonb;
begin
  foreach v_awaited in array p_codes loop
    v_refusal := private.refuse_code(p_org, p_call, v_awaited, p_purpose, p_macs, p_now);
    if v_refusal is null then
      v_open := array_append(v_open, v_awaited);
    end if;
    answer := coalesce(answer, v_refusal);
  end loop;
  compared := v_open <> '{}';
  if not compared then
    return;
  end if;
  select o.phone, o.code into matched from unnest(v_open) as o
  where private.is_code(o.code, p_macs) order by o.phone is null limit 1;
  answer := case
    when not found then private.count_wrong_code(p_org, p_call, v_open, p_purpose, p_now)
    when matched.phone is null then '{"outcome": "code_expired"}'::jsonb end;
end
$$;

COMMENT ON FUNCTION private.compare_digits(p_org public.organizations, p_call public.calls, p_codes private.awaited_code[], p_purpose text, p_macs jsonb, p_now timestamp with time zone, OUT matched private.awaited_code, OUT answer jsonb, OUT compared boolean) IS 'The passcode that digits are, or why they are none; a wrong one is counted.';

CREATE TABLE public.sms_messages (
    org_id uuid NOT NULL,
    id uuid NOT NULL,
    appointment_id uuid,
    origin text NOT NULL,
    to_masked text NOT NULL,
    to_hash bytea,
    call_id text,
    tool_call_id text,
    sid text,
    status text DEFAULT 'sending'::text NOT NULL,
    delivery text,
    error_code integer,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    updated_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    handled_at timestamp with time zone,
    handled_by uuid,
    CONSTRAINT sms_messages_delivery_known CHECK ((delivery = ANY (ARRAY['queued'::text, 'sending'::text, 'sent'::text, 'failed'::text, 'undelivered'::text, 'delivered'::text]))),
    CONSTRAINT sms_messages_origin_known CHECK (((origin = ANY (ARRAY['own_number'::text, 'other_number'::text, 'no_number'::text, 'follow_up'::text])) OR private.is_appointment_text(origin))),
    CONSTRAINT sms_messages_to_hash_length CHECK ((octet_length(to_hash) = 32)),
    CONSTRAINT sms_messages_to_masked CHECK ((to_masked !~ '[0-9]{5}'::text))
);

COMMENT ON TABLE public.sms_messages IS 'One row per text, whose id is the send_id. The body is never stored.';

COMMENT ON COLUMN public.sms_messages.appointment_id IS 'The hold it is about; null for a change, whose appointment is not known before the passcode.';

COMMENT ON COLUMN public.sms_messages.origin IS 'Whether the call came from the number that is texted, from another, or from none; or that it has ended; or what the text says about an appointment.';

COMMENT ON COLUMN public.sms_messages.tool_call_id IS 'The tool call that requested it: a repeated request does not send another text.';

COMMENT ON COLUMN public.sms_messages.status IS 'The result of the request: sending, accepted, refused, unknown if no answer came, or not_due: nothing was texted, since no appointment fits the name and number of a change.';

COMMENT ON COLUMN public.sms_messages.delivery IS 'What Twilio reported about the text, with error_code; null before the first report.';

COMMENT ON COLUMN public.sms_messages.handled_at IS 'When the desk had dealt with a text that did not arrive.';

COMMENT ON COLUMN public.sms_messages.handled_by IS 'The account of the member of staff who said so.';

CREATE FUNCTION private.complete_send(p_org uuid, p_call jsonb, p_text public.sms_messages, p_sid text) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_current boolean;
begin
  update public.one_time_passcodes as c
  set state = 'sent'
  where c.org_id = p_org and c.call_id = p_text.call_id and c.phone_hash = p_text.to_hash
    and c.send_id = p_text.id and c.state = 'sending';
  v_current := found;
  perform private.accept_text(p_org, p_text.id, p_sid);
  perform private.audit(p_org, p_call, 'send_otp', p_text.appointment_id, 'sent',
    jsonb_build_object('sendId', p_text.id));
  return jsonb_build_object('outcome', case when v_current then 'sent' else 'not_current' end);
end
$$;

COMMENT ON FUNCTION private.complete_send(p_org uuid, p_call jsonb, p_text public.sms_messages, p_sid text) IS 'Records that Twilio has a text.';

CREATE FUNCTION private.confirm_at_desk(p_org public.organizations, p_row public.appointments) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_now constant timestamptz := clock_timestamp();
begin
  if p_row.starts_at <= v_now then
    return '{"outcome": "past"}';
  elsif not private.confirm_row(p_org.id, p_row, v_now) then
    return private.refuse_start(p_org, private.wanted_of(p_org.id, p_row), null, false);
  end if;
  perform private.measure_wait(p_row, 'confirmed');
  return private.describe_appointment(p_org, p_row, v_now) || '{"outcome": "confirmed"}';
end
$$;

COMMENT ON FUNCTION private.confirm_at_desk(p_org public.organizations, p_row public.appointments) IS 'Confirms a hold without a passcode, or says why not.';

CREATE FUNCTION private.confirm_hold(p_org uuid, p_hold public.appointments, p_proven_at timestamp with time zone, p_now timestamp with time zone) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_contact constant uuid := private.save_contact(
    p_org, p_hold.patient_phone, p_hold.patient_name, p_proven_at);
begin
  update public.appointments as a
  set status = 'confirmed', expires_at = null, contact_id = v_contact, updated_at = p_now
  where a.org_id = p_org and a.id = p_hold.id and a.call_id is not distinct from p_hold.call_id
    and private.is_held(a, p_now);
  if not found then
    return false;
  end if;
  perform private.announce(p_org, p_hold.id, 'confirmation');
  return true;
end
$$;

COMMENT ON FUNCTION private.confirm_hold(p_org uuid, p_hold public.appointments, p_proven_at timestamp with time zone, p_now timestamp with time zone) IS 'Confirms a hold in place; false if its call no longer holds it.';

CREATE FUNCTION private.confirm_holds(p_org public.organizations, p_call jsonb, p_phone text, p_now timestamp with time zone) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_hold public.appointments;
  v_confirmed jsonb := '[]';
  v_overlaps jsonb := '[]';
begin
  perform private.lock_holds(p_org.id, p_call ->> 'callId');
  for v_hold in
    select h.* from private.find_holds(p_org.id, p_call ->> 'callId', p_now) as h
    where h.patient_phone = p_phone order by h.created_at
  loop
    continue when not private.confirm_hold(p_org.id, v_hold, p_now, p_now);
    perform private.audit(p_org.id, p_call, 'confirm_appointment', v_hold.id, 'confirmed');
    v_confirmed := v_confirmed || (private.describe_hold(p_org, v_hold, p_now));
    v_overlaps := v_overlaps || coalesce((
      select jsonb_agg(private.describe_appointment(p_org, a, p_now) order by a.starts_at)
      from private.upcoming_appointments(p_org.id, p_call ->> 'callId', p_phone, p_now) as a
      where a.status = 'confirmed' and a.id <> v_hold.id
        and tstzrange(a.starts_at, a.ends_at) && tstzrange(v_hold.starts_at, v_hold.ends_at)
        and private.is_same_patient(a.patient_name, v_hold.patient_name)), '[]');
  end loop;
  return jsonb_build_object('confirmed', v_confirmed, 'overlaps', v_overlaps);
end
$$;

COMMENT ON FUNCTION private.confirm_holds(p_org public.organizations, p_call jsonb, p_phone text, p_now timestamp with time zone) IS 'Confirms every hold of a call that waits for a proven number.';

CREATE FUNCTION private.confirm_row(p_org uuid, p_row public.appointments, p_now timestamp with time zone) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_is_done boolean;
begin
  if private.is_held(p_row, p_now) then
    v_is_done := private.confirm_hold(p_org, p_row, null, p_now);
  end if;
  if v_is_done is not true then
    perform private.lock_provider(p_org, p_row.provider_id, p_wait => true);
    v_is_done := private.is_still_bookable(p_org, p_row, p_now)
      and private.retake_time(p_org, p_row, private.save_contact(
        p_org, p_row.patient_phone, p_row.patient_name, null));
    if v_is_done then
      perform private.announce(p_org, p_row.id, 'confirmation');
    end if;
  end if;
  return v_is_done;
end
$$;

COMMENT ON FUNCTION private.confirm_row(p_org uuid, p_row public.appointments, p_now timestamp with time zone) IS 'Confirms a hold without a passcode, also one that has expired or waits for the desk; false if its time is taken.';

CREATE FUNCTION private.count_attempt(p_phone bytea, p_now timestamp with time zone) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
  insert into public.phone_counts as c (phone_hash, wrong_at) values (p_phone, array[p_now])
  on conflict (phone_hash) do update set changed_at = p_now,
    wrong_at = private.keep_since(c.wrong_at, p_now - interval '1 day') || p_now;
end
$$;

COMMENT ON FUNCTION private.count_attempt(p_phone bytea, p_now timestamp with time zone) IS 'Counts one wrong passcode for a number.';

CREATE FUNCTION private.count_audit() RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
  with progress as (
    select pg_current_snapshot() as now, m.seen, m.counted_at,
      coalesce(m.restored_until, '-infinity') as restored_until,
      coalesce(m.cluster <> private.cluster_id()
        or pg_snapshot_xmax(m.seen) > pg_snapshot_xmax(pg_current_snapshot()), false) as is_restored
    from (select) as always left join private.metric_progress as m on true
  ), by_minute as (
    select date_trunc('minute', l.at) as minute, jsonb_strip_nulls(jsonb_build_object(
      'action', l.action, 'outcome', l.outcome, 'reason', l.details -> 'reason')) as labels,
      count(*)::double precision as value
    from progress as p
    join public.audit_logs as l on l.at > p.restored_until
      and l.transaction_id
        >= case when p.is_restored then '0' else coalesce(pg_snapshot_xmin(p.seen), '0') end
      and l.transaction_id < case when p.is_restored then '18446744073709551615'
        else pg_snapshot_xmax(p.now) end
    where (p.seen is null or not pg_visible_in_snapshot(l.transaction_id, p.seen)
        or p.is_restored and l.at > p.counted_at)
      and (p.is_restored or pg_visible_in_snapshot(l.transaction_id, p.now))
    group by 1, 2
  ), minutes as (
    insert into public.metric_minutes as m (minute, name, labels, value)
    select b.minute, 'audit', b.labels, b.value from by_minute as b
    on conflict (minute, name, labels) do update set value = m.value + excluded.value
  ), totals as (
    insert into public.metric_totals as t (name, labels, value)
    select 'audit', b.labels, sum(b.value) from by_minute as b group by b.labels
    on conflict (name, labels) do update set value = t.value + excluded.value
  )
  insert into private.metric_progress as m (seen, counted_at, cluster, restored_until)
  select p.now, clock_timestamp(), private.cluster_id(), greatest(p.restored_until, (
    -- Written here, a row that can be read is of a transaction that has ended.
    select max(l.at) from public.audit_logs as l
    where p.is_restored and l.transaction_id >= pg_snapshot_xmin(p.now)
      and not pg_visible_in_snapshot(l.transaction_id, p.now)))
  from progress as p
  on conflict (only_row) do update set seen = excluded.seen, counted_at = excluded.counted_at,
    cluster = excluded.cluster, restored_until = excluded.restored_until;
end
$$;

COMMENT ON FUNCTION private.count_audit() IS 'Counts the audit rows of transactions that ended since the last count.';

CREATE FUNCTION private.count_failure(INOUT p_endpoint public.webhook_endpoints, p_claimed_at timestamp with time zone, p_now timestamp with time zone) RETURNS public.webhook_endpoints
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
begin
  if p_endpoint.counted_at >= p_claimed_at then
    return;
  end if;
  if p_endpoint.failed_at is null
    or coalesce(p_endpoint.counted_at, '-infinity') < p_now - interval '1 day' then
    p_endpoint.failures := 0;
    p_endpoint.failed_at := p_now;
  end if;
  p_endpoint.due_at := p_now + interval '1 minute' * least(60, 2 ^ least(p_endpoint.failures, 6));
  p_endpoint.failures := p_endpoint.failures + 1;
  p_endpoint.counted_at := p_now;
end
$$;

COMMENT ON FUNCTION private.count_failure(INOUT p_endpoint public.webhook_endpoints, p_claimed_at timestamp with time zone, p_now timestamp with time zone) IS 'An endpoint after a failure: how many there were, since when, and how long it is left alone.';

CREATE FUNCTION private.count_for_alarm(p_org public.organizations, p_kind private.alarm_kind, p_now timestamp with time zone) RETURNS text
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_limit constant integer not null :=
    case p_kind when 'wrong_codes' then 50 when 'refused_sends' then 100
      -- Half of what such calls may text, so that the brake comes before their limit.
      when 'other_numbers' then greatest(10, least(100, p_org.sms_hourly_limit / 2)) end;
  v_times timestamptz[];
begin
  insert into public.alarm_counters as c (org_id, kind, happened_at)
  values (p_org.id, p_kind, array[p_now])
  on conflict (org_id, kind) do update set happened_at = array(
    select t from unnest(c.happened_at || p_now) as t
    where t > p_now - interval '1 hour' order by t desc limit v_limit)
  returning c.happened_at into v_times;
  if cardinality(v_times) < v_limit or exists (
    select from public.alarms as a
    where a.org_id = p_org.id and a.kind = p_kind and a.raised_at > p_now - interval '1 hour') then
    return null;
  end if;
  perform private.raise_alarm(p_org.id, p_kind, v_limit, v_times[v_limit], v_times[1]);
  return p_kind;
end
$$;

COMMENT ON FUNCTION private.count_for_alarm(p_org public.organizations, p_kind private.alarm_kind, p_now timestamp with time zone) IS 'Counts an event of an organization; returns its kind if that raised an alarm.';

CREATE FUNCTION private.count_hold(p_org uuid, p_call public.calls, p_hold public.appointments, p_now timestamp with time zone) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_caller constant bytea := private.caller_key(p_org, p_call);
  v_phone constant bytea := private.hash_phone(p_hold.patient_phone);
begin
  insert into public.phone_counts as n (phone_hash, holds)
  select k, array[row(p_org, p_hold.id, p_now, k = v_caller)::private.counted_hold]
  from unnest(case when v_caller = v_phone then array[v_caller] else array[v_caller, v_phone] end) as k
  on conflict (phone_hash) do update set changed_at = p_now,
    holds = (private.count_holds(p_org, n.phone_hash, p_hold.id, p_now)).kept || excluded.holds;
end
$$;

COMMENT ON FUNCTION private.count_hold(p_org uuid, p_call public.calls, p_hold public.appointments, p_now timestamp with time zone) IS 'Counts a hold for the caller''s number and for the patient''s.';

CREATE FUNCTION private.count_holds(p_org uuid, p_key bytea, p_replaced uuid, p_at timestamp with time zone, OUT live_by integer, OUT live_for integer, OUT made integer, OUT kept private.counted_hold[]) RETURNS record
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
begin
  select count(*) filter (where x.is_live and (x.hold).by_caller and (x.hold).hold_id is distinct from p_replaced),
    count(*) filter (where x.is_live and x.phone = p_key and (x.hold).hold_id is distinct from p_replaced),
    count(*) filter (where x.is_recent and (x.hold).by_caller),
    coalesce(array_agg(x.hold) filter (where (x.hold).hold_id is distinct from p_replaced
      and (x.is_live or x.is_recent and (x.hold).by_caller)), '{}')
  into live_by, live_for, made, kept
  from (
    select h as hold, h.made_at > p_at - interval '1 hour' as is_recent,
      coalesce(private.is_held(a, p_at), false) as is_live,
      private.hash_phone(a.patient_phone) as phone
    from public.phone_counts as n
    cross join lateral unnest(n.holds) as h
    -- Of any organization: p_org only says for whom it is counted.
    left join public.appointments as a on a.org_id = h.org_id and a.id = h.hold_id
    where n.phone_hash = p_key
  ) as x;
end
$$;

COMMENT ON FUNCTION private.count_holds(p_org uuid, p_key bytea, p_replaced uuid, p_at timestamp with time zone, OUT live_by integer, OUT live_for integer, OUT made integer, OUT kept private.counted_hold[]) IS 'How many live holds count for a number, as the caller''s and as the patient''s, and how many it made this hour.';

CREATE FUNCTION private.count_missed(p_org uuid, p_call_id text, p_outcome text) RETURNS void
    LANGUAGE sql
    SET search_path TO ''
    AS $$
  update public.calls as c set change_requests = c.change_requests + 1
  where c.org_id = p_org and c.call_id = p_call_id and p_outcome = 'appointment_not_found'
$$;

COMMENT ON FUNCTION private.count_missed(p_org uuid, p_call_id text, p_outcome text) IS 'Counts a request that found no appointment.';

CREATE FUNCTION private.count_old(p_org public.organizations, p_now timestamp with time zone) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $_$
declare
  v_rule private.retention_rules;
  v_rows bigint;
  v_counts jsonb := '[]';
begin
  for v_rule in select r.* from private.retention_rules as r loop
    execute format('select count(*) from %s where org_id = $1 and %s < $2 and (%s)',
      v_rule.relation, v_rule.age, v_rule.applies)
    into v_rows
    using p_org.id, p_now - make_interval(days => coalesce(to_jsonb(p_org) ->> v_rule.kept, v_rule.kept)::integer);
    v_counts := v_counts
      || jsonb_build_object('org', p_org.id, 'rule', v_rule.name, 'rows', v_rows);
  end loop;
  return v_counts;
end
$_$;

COMMENT ON FUNCTION private.count_old(p_org public.organizations, p_now timestamp with time zone) IS 'How many rows of an organization retention would delete, by rule.';

CREATE FUNCTION private.count_send(p_phone bytea, p_caller bytea, p_now timestamp with time zone) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
  insert into public.phone_counts as c (phone_hash, sent_at, asked_at)
  select n.hash, case when n.hash = p_phone then array[p_now] else '{}' end,
    case when n.hash = p_caller then array[p_now] else '{}' end
  -- For calls without a number, has_texts_left() limits their share of the organization's texts.
  from (select p_phone as hash union select p_caller where p_caller is not null) as n
  on conflict (phone_hash) do update set changed_at = p_now,
    sent_at = private.keep_since(c.sent_at, p_now - interval '1 day') || excluded.sent_at,
    asked_at = private.keep_since(c.asked_at, p_now - interval '1 hour') || excluded.asked_at;
end
$$;

COMMENT ON FUNCTION private.count_send(p_phone bytea, p_caller bytea, p_now timestamp with time zone) IS 'Counts one text, for its number and for the caller.';

CREATE FUNCTION private.count_since(p_times timestamp with time zone[], p_since timestamp with time zone) RETURNS integer
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO ''
    AS $$
begin
  return case when cardinality(p_times) > 0
    then (select count(*) from unnest(p_times) as t where t > p_since) else 0 end;
end
$$;

COMMENT ON FUNCTION private.count_since(p_times timestamp with time zone[], p_since timestamp with time zone) IS 'How many of these times are later than another.';

CREATE FUNCTION private.count_wrong_code(p_org public.organizations, p_call public.calls, p_codes private.awaited_code[], p_purpose text, p_now timestamp with time zone) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_awaited private.awaited_code;
  v_phone bytea;
  v_code public.one_time_passcodes;
  v_call public.calls;
  v_left integer := 0;
  v_left_of_phone integer;
  v_left_today integer := 0;
begin
  update public.calls as c set attempts = c.attempts + 1
  where c.org_id = p_org.id and c.call_id = p_call.call_id
  returning c.* into v_call;
  foreach v_awaited in array p_codes loop
    v_phone := coalesce((v_awaited.code).phone_hash, private.hash_phone(v_awaited.phone));
    update public.one_time_passcodes as c
    set code_attempts = c.code_attempts + 1,
      state = case when c.code_attempts + 1 < private.code_attempts() then c.state else 'locked' end,
      mac = case when c.code_attempts + 1 < private.code_attempts() then c.mac end
    where c.org_id = p_org.id and c.call_id = p_call.call_id and c.phone_hash = v_phone
    returning c.* into v_code;
    perform private.count_attempt(v_phone, p_now);
    v_left_of_phone := private.attempts_left(p_org, p_call, v_phone, p_now);
    v_left_today := greatest(v_left_today, v_left_of_phone);
    v_left := greatest(v_left, least(
      v_left_of_phone, private.code_attempts() - coalesce(v_code.code_attempts, 0)));
  end loop;
  v_left_today := least(v_left_today, p_org.call_attempts - v_call.attempts);
  if v_left_today <= 0 or v_left <= 0 and v_call.sends >= p_org.call_sends then
    return private.refuse_attempts(coalesce((p_codes[1].code).purpose, p_purpose));
  elsif v_left <= 0 then
    return '{"outcome": "code_locked"}';
  end if;
  return jsonb_build_object('outcome', 'wrong_code', 'attemptsLeft', least(v_left, v_left_today));
end
$$;

COMMENT ON FUNCTION private.count_wrong_code(p_org public.organizations, p_call public.calls, p_codes private.awaited_code[], p_purpose text, p_now timestamp with time zone) IS 'Counts a wrong attempt and returns wrong_code, code_locked or locked.';

CREATE FUNCTION private.decide_answer(p_org public.organizations, p_phone text, p_answer jsonb, p_now timestamp with time zone) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_hash constant bytea := private.hash_phone(p_phone);
  v_reminded public.appointments[] :=
    array(select r from private.reminded_appointments(p_org.id, p_phone, p_now) as r);
  v_choices constant integer[] :=
    array(select jsonb_array_elements_text(p_answer -> 'choices')::integer);
  v_question public.text_answers;
  v_meaning text := p_answer ->> 'meaning';
  v_open public.appointments[];
  v_rows public.appointments[];
  v_outcome text;
begin
  if v_meaning = 'choice' then
    v_question := private.find_question(p_org.id, v_hash, p_now);
    v_meaning := case when v_question.meaning = coalesce(p_answer ->> 'chosenTo', v_question.meaning)
      then v_question.meaning else 'other' end;
    if v_choices <> '{0}' then
      v_question.appointment_ids := array(
        select v_question.appointment_ids[c] from unnest(v_choices) as c);
    end if;
    if array_position(v_question.appointment_ids, null) is not null then
      v_meaning := 'other';
    elsif v_question.sid is not null then
      v_reminded := array(
        select r from unnest(v_reminded) as r where r.id = any (v_question.appointment_ids));
    end if;
  end if;
  v_open := array(
    select r from unnest(v_reminded) as r where r.status = 'confirmed' and r.starts_at > p_now);
  if cardinality(v_open) = 0 then
    v_reminded := case when v_meaning = 'other' then '{}' else v_reminded end;
    return private.refuse_answer(p_org.id, v_hash, v_reminded, p_now) || jsonb_build_object(
      'meaning', v_meaning, 'ids', array(select r.id from unnest(v_reminded) as r));
  end if;
  v_rows := case v_meaning
    when 'confirm' then array(
      select o from unnest(v_open) as o where o.patient_confirmed_at is null)
    else v_open end;
  v_outcome := case
    when v_meaning = 'other' then 'unclear'
    when cardinality(v_rows) = 0 then 'already_confirmed'
    when v_question.sid is not null or cardinality(v_rows) = 1 and not (
      v_meaning = 'cancel' and private.may_mean_another(p_org.id, v_hash, v_reminded, p_now))
      then case v_meaning when 'cancel' then 'cancelled' else 'confirmed' end
    when cardinality(v_rows) > private.choice_limit() or cardinality(v_rows) > (
      select count(distinct (r.starts_at, r.provider_id)) from unnest(v_rows) as r)
      then 'too_many'
    else 'which' end;
  if v_outcome in ('confirmed', 'cancelled') then
    perform private.carry_out_answer(p_org.id, v_meaning, v_rows, p_now);
  elsif v_outcome = 'already_confirmed' then
    v_rows := v_open;
  end if;
  return jsonb_build_object('outcome', v_outcome, 'meaning', v_meaning,
    'ids', array(select r.id from unnest(v_rows) as r));
end
$$;

COMMENT ON FUNCTION private.decide_answer(p_org public.organizations, p_phone text, p_answer jsonb, p_now timestamp with time zone) IS 'Decides and carries out what a patient has answered.';

CREATE TABLE private.retention_rules (
    name text NOT NULL,
    relation regclass NOT NULL,
    age text NOT NULL,
    applies text DEFAULT 'true'::text NOT NULL,
    kept text DEFAULT 'retention_days'::text NOT NULL,
    CONSTRAINT retention_rules_kept_known CHECK ((kept = ANY (ARRAY['retention_days'::text, 'audit_retention_days'::text, '1'::text]))),
    CONSTRAINT retention_rules_name_plain CHECK ((name ~ '^[a-zA-Z]+$'::text))
);

COMMENT ON TABLE private.retention_rules IS 'Which rows of which table go after how long: SQL over the table''s columns, written by migrations only.';

COMMENT ON COLUMN private.retention_rules.age IS 'The timestamptz from which the age of a row counts.';

COMMENT ON COLUMN private.retention_rules.applies IS 'Which rows may be deleted at all.';

COMMENT ON COLUMN private.retention_rules.kept IS 'The number of days: a column of organizations, or a constant.';

CREATE FUNCTION private.delete_old(p_rule private.retention_rules, p_now timestamp with time zone, p_limit bigint) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $_$
declare
  v_org uuid;
  v_before timestamptz;
  v_rows bigint;
  v_left bigint := p_limit;
  v_counts jsonb := '[]';
begin
  for v_org, v_before in execute format(
    'select o.id, k.before from public.organizations as o
    cross join lateral (select $1 - make_interval(days => %s) as before) as k
    where (select min(%s) from %s where org_id = o.id and (%s)) < k.before',
    case p_rule.kept when '1' then '1' else format('o.%I', p_rule.kept) end,
    p_rule.age, p_rule.relation, p_rule.applies) using p_now
  loop
    execute format(
      'delete from %1$s as t where t.org_id = $1 and t.ctid = any (array(
        select ctid from %1$s where org_id = $1 and %2$s < $2 and (%3$s) order by %2$s limit $3))
        and %2$s < $2 and (%3$s)',
      p_rule.relation, p_rule.age, p_rule.applies)
    using v_org, v_before, v_left;
    get diagnostics v_rows = row_count;
    if p_rule.name = 'auditLogs' then
      perform private.note_purge(v_org, v_before);
    end if;
    v_counts := v_counts || jsonb_build_object('org', v_org, 'rule', p_rule.name, 'rows', v_rows);
    v_left := v_left - v_rows;
    exit when v_left <= 0;
  end loop;
  return v_counts;
end
$_$;

COMMENT ON FUNCTION private.delete_old(p_rule private.retention_rules, p_now timestamp with time zone, p_limit bigint) IS 'Deletes a batch of what one rule lets go, of any organization.';

CREATE FUNCTION private.delete_shared(p_now timestamp with time zone, p_limit bigint) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_counted constant bytea[] := array(
    select n.phone_hash from public.phone_counts as n
    where n.changed_at < p_now - interval '1 day'
    limit p_limit);
  v_runs constant bigint[] := array(
    select d.runid from cron.job_run_details as d
    where d.end_time < p_now - interval '7 days'
    limit p_limit - cardinality(v_counted));
  v_numbers integer := cardinality(v_counted);
begin
  if p_limit is not null then
    -- Something may have been counted since they were selected. What a call counts in now stays: it may
    -- count in two rows, and would wait for this while this waits for it.
    with old as materialized (
      select n.phone_hash from public.phone_counts as n
      where n.phone_hash = any (v_counted) and n.changed_at < p_now - interval '1 day'
      for update skip locked
    )
    delete from public.phone_counts as n using old as o where n.phone_hash = o.phone_hash;
    get diagnostics v_numbers = row_count;
    delete from cron.job_run_details as d where d.runid = any (v_runs);
  end if;
  return jsonb_build_object(
    'phoneCounts', v_numbers, 'jobRuns', cardinality(v_runs));
end
$$;

COMMENT ON FUNCTION private.delete_shared(p_now timestamp with time zone, p_limit bigint) IS 'Deletes a batch of old counts of numbers and job runs, or counts them.';

CREATE FUNCTION private.delivery_rank(p_delivery text) RETURNS integer
    LANGUAGE sql IMMUTABLE
    RETURN array_position(ARRAY['queued'::text, 'sending'::text, 'sent'::text, 'failed'::text, 'undelivered'::text, 'delivered'::text], p_delivery);

COMMENT ON FUNCTION private.delivery_rank(p_delivery text) IS 'A higher state replaces a lower one; null for any other word.';

CREATE FUNCTION private.delivery_of(p_status text) RETURNS text
    LANGUAGE sql IMMUTABLE
    RETURN CASE WHEN (p_status = ANY (ARRAY['accepted'::text, 'scheduled'::text])) THEN 'queued'::text WHEN (p_status = 'canceled'::text) THEN 'failed'::text WHEN (private.delivery_rank(p_status) IS NOT NULL) THEN p_status ELSE NULL::text END;

COMMENT ON FUNCTION private.delivery_of(p_status text) IS 'Twilio''s MessageStatus as a state of a text; null if it says nothing about delivery.';

CREATE FUNCTION private.describe_appointment(p_org public.organizations, p_appointment public.appointments, p_now timestamp with time zone) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
  select jsonb_build_object('appointmentId', d ->> 'holdId', 'startTime', d ->> 'startTime',
    'endTime', d ->> 'endTime', 'service', d ->> 'service', 'doctor', d ->> 'doctor')
  from private.describe_hold(p_org, p_appointment, p_now) as d
$$;

COMMENT ON FUNCTION private.describe_appointment(p_org public.organizations, p_appointment public.appointments, p_now timestamp with time zone) IS 'What a caller may be told about an appointment after the proof.';

CREATE FUNCTION private.describe_assistant(p_org uuid) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
declare
  v_kept constant public.assistants := private.find_settings(p_org);
begin
  return jsonb_build_object('language', v_kept.language, 'voice', v_kept.voice,
    'model', v_kept.model, 'greeting', v_kept.greeting, 'recordsCalls', v_kept.records_calls,
    'keepsTranscript', v_kept.keeps_transcript);
end
$$;

COMMENT ON FUNCTION private.describe_assistant(p_org uuid) IS 'The assistant of a clinic''s document.';

CREATE FUNCTION private.describe_beside(p_org public.organizations, p_call_id text, p_hold uuid, p_at timestamp with time zone) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
declare
  v_beside public.appointments;
begin
  select h.* into v_beside
  from private.find_holds(p_org.id, p_call_id, p_at) as h
  join public.appointments as n on n.org_id = p_org.id and n.id = p_hold
  where h.id <> n.id and h.patient_phone = n.patient_phone
    and h.starts_at < n.ends_at and h.ends_at > n.starts_at
  order by h.created_at desc limit 1;
  return private.describe_own_hold(p_org, v_beside, p_at);
end
$$;

COMMENT ON FUNCTION private.describe_beside(p_org public.organizations, p_call_id text, p_hold uuid, p_at timestamp with time zone) IS 'What a call holds at the same time as a hold, for the same number: {kept}, or {}.';

CREATE FUNCTION private.describe_change(p_org public.organizations, p_change public.appointment_changes, p_now timestamp with time zone) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
  select private.describe_hold(p_org, a, p_now) || jsonb_build_object(
    'outcome', case p_change.kind when 'cancel' then 'cancelled' else 'rescheduled' end)
  from public.appointments as a
  where a.org_id = p_org.id and a.id = coalesce(p_change.hold_id, p_change.appointment_id)
$$;

COMMENT ON FUNCTION private.describe_change(p_org public.organizations, p_change public.appointment_changes, p_now timestamp with time zone) IS 'The outcome cancelled or rescheduled of an applied change.';

CREATE FUNCTION private.describe_changes(p_before jsonb, p_after jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
  select jsonb_build_object('changed', coalesce(jsonb_agg(a.key order by a.key), '[]'), 'values',
    coalesce(jsonb_object_agg(a.key, jsonb_build_array(p_before -> a.key, a.value))
      filter (where jsonb_typeof(a.value) in ('number', 'boolean')), '{}'))
  from jsonb_each(p_after) as a
  where p_before -> a.key is distinct from a.value
$$;

COMMENT ON FUNCTION private.describe_changes(p_before jsonb, p_after jsonb) IS 'The fields of a clinic''s document that differ; numbers and switches as [before, after].';

CREATE FUNCTION private.describe_clinic(p_org public.organizations) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
begin
  return jsonb_build_object(
    'slug', p_org.slug, 'name', p_org.name, 'timezone', p_org.timezone,
    'defaultCountry', p_org.default_country,
    'numbers', private.list_channels(p_org.id, 'called_number'),
    'vapiPhoneNumbers', private.list_channels(p_org.id, 'vapi_phone_number'),
    'vapiAssistants', private.list_channels(p_org.id, 'vapi_assistant'),
    'sharedLines', private.list_channels(p_org.id, 'shared_line'),
    'assistant', private.describe_assistant(p_org.id),
    'transferNumber', p_org.transfer_number,
    'deskHours', (
      select coalesce(jsonb_agg(jsonb_build_object('dow', h.dow, 'startMin', h.start_min,
        'endMin', h.end_min) order by h.dow, h.start_min), '[]')
      from public.desk_hours as h where h.org_id = p_org.id),
    'holdMinutes', p_org.hold_minutes, 'deskHoldMinutes', p_org.desk_hold_minutes,
    'smsCountries', to_jsonb(p_org.sms_countries),
    'smsHourlyLimit', p_org.sms_hourly_limit, 'messageHourlyLimit', p_org.message_hourly_limit,
    'followUpTexts', p_org.follow_up_texts, 'textsAtHold', p_org.texts_at_hold,
    'calendarPatientNames', p_org.calendar_patient_names,
    'address', p_org.address, 'confirmationTexts', p_org.confirmation_texts,
    'changeTexts', p_org.change_texts, 'cancellationTexts', p_org.cancellation_texts,
    'textAnswers', p_org.text_answers, 'textLanguage', p_org.text_language,
    'textWords', p_org.text_words,
    'reminderMin', p_org.reminder_min, 'reminderNoticeHours', p_org.reminder_notice_hours,
    'retentionDays', p_org.retention_days,
    'auditRetentionDays', p_org.audit_retention_days,
    'closingDays', (
      select coalesce(jsonb_agg(jsonb_build_object('first', lower(d), 'last', upper(d) - 1)
        order by d), '[]')
      from unnest(p_org.closing_days) as d),
    'services', (
      select coalesce(jsonb_agg(jsonb_build_object('slug', s.slug, 'name', s.name,
        'durationMin', s.duration_min, 'stepMin', s.step_min,
        'bufferBeforeMin', s.buffer_before_min, 'bufferAfterMin', s.buffer_after_min,
        'noticeMin', s.notice_min, 'horizonDays', s.horizon_days, 'capacity', s.capacity)
        order by s.slug collate "C"), '[]')
      from public.services as s where s.org_id = p_org.id and s.active),
    'providers', private.describe_providers(p_org),
    'facts', (
      select coalesce(jsonb_agg(jsonb_build_object('question', f.question,
        'alsoAsked', to_jsonb(f.also_asked), 'answer', f.answer, 'tags', to_jsonb(f.tags),
        'inPrompt', f.in_prompt) order by f.question collate "C"), '[]')
      from public.clinic_facts as f where f.org_id = p_org.id));
end
$$;

COMMENT ON FUNCTION private.describe_clinic(p_org public.organizations) IS 'A clinic as its document: the content of its file, in the order in which it is compared.';

CREATE TABLE public.calendar_feeds (
    org_id uuid NOT NULL,
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    provider_id uuid,
    label text NOT NULL,
    token_hash bytea NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    read_at timestamp with time zone,
    revoked_at timestamp with time zone,
    CONSTRAINT calendar_feeds_label_given CHECK (private.require(((length(btrim(label)) >= 1) AND (length(btrim(label)) <= 80)), 'a calendar feed'::text, 'its label has 1 to 80 characters'::text)),
    CONSTRAINT calendar_feeds_token_hashed CHECK (private.require((octet_length(token_hash) = 32), 'a calendar feed'::text, 'its token''s hash has 32 bytes'::text))
);

COMMENT ON TABLE public.calendar_feeds IS 'Calendars that are given out, one for each token: of one provider, or of the whole clinic.';

COMMENT ON COLUMN public.calendar_feeds.label IS 'Who has the token, in the words of who gave it out.';

COMMENT ON COLUMN public.calendar_feeds.token_hash IS 'SHA-256 of the token, which is not stored.';

COMMENT ON COLUMN public.calendar_feeds.read_at IS 'When it was last read, to within five minutes.';

CREATE FUNCTION private.describe_feed(p_org public.organizations, p_feed public.calendar_feeds, p_now timestamp with time zone) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
declare
  v_from constant timestamptz := date_trunc('day', p_now, 'UTC') - interval '30 days';
  v_until constant timestamptz := date_trunc('day', p_now, 'UTC') + interval '181 days';
  v_limit constant integer := 5000;
  v_events jsonb;
begin
  select coalesce(jsonb_agg(e.event order by e.starts_at, e.id), '[]') into v_events
  from (
    select a.id, a.starts_at, jsonb_build_object(
      'id', a.id, 'isHeld', a.status = 'held', 'startTime', a.starts_at, 'endTime', a.ends_at,
      'service', s.name, 'doctor', p.name, 'changedAt', a.updated_at,
      'revision', floor(extract(epoch from a.updated_at))::bigint
        - floor(extract(epoch from a.created_at))::bigint,
      'patient', case when p_org.calendar_patient_names and a.status <> 'held'
        then a.patient_name end) as event
    from public.providers as p
    join public.appointments as a on a.org_id = p_org.id and a.provider_id = p.id
      and a.starts_at >= v_from and a.starts_at < v_until
      and (private.is_live(a, p_now) or a.status in ('completed', 'no_show'))
    join public.services as s on s.org_id = p_org.id and s.id = a.service_id
    where p.org_id = p_org.id and (p_feed.provider_id is null or p.id = p_feed.provider_id)
    order by a.ends_at <= p_now, abs(extract(epoch from a.starts_at - p_now)), a.id
    limit v_limit
  ) as e;
  return jsonb_build_object(
    'clinic', p_org.name, 'timezone', p_org.timezone,
    'doctor', (
      select p.name from public.providers as p
      where p.org_id = p_org.id and p.id = p_feed.provider_id),
    'isWhole', jsonb_array_length(v_events) < v_limit, 'events', v_events);
end
$$;

COMMENT ON FUNCTION private.describe_feed(p_org public.organizations, p_feed public.calendar_feeds, p_now timestamp with time zone) IS 'What a calendar feed shows.';

CREATE FUNCTION private.describe_hold(p_org public.organizations, p_hold public.appointments, p_now timestamp with time zone) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
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

COMMENT ON FUNCTION private.describe_hold(p_org public.organizations, p_hold public.appointments, p_now timestamp with time zone) IS 'What the caller who made the hold may be told.';

CREATE FUNCTION private.describe_kept(p_org public.organizations, p_call_id text, p_patient jsonb, p_said jsonb, p_now timestamp with time zone) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
declare
  v_hold public.appointments;
begin
  if private.names_hold(p_said) then
    return '{}';
  end if;
  select h.* into v_hold from private.find_holds(p_org.id, p_call_id, p_now) as h
  where private.is_for_patient(h, p_patient)
  order by h.created_at desc limit 1;
  return private.describe_own_hold(p_org, v_hold, p_now);
end
$$;

COMMENT ON FUNCTION private.describe_kept(p_org public.organizations, p_call_id text, p_patient jsonb, p_said jsonb, p_now timestamp with time zone) IS 'The hold that stays while its call cancels without naming a day: the caller is told.';

CREATE FUNCTION private.describe_line(p_org public.organizations) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
  select jsonb_strip_nulls(jsonb_build_object(
    'orgId', p_org.id, 'slug', p_org.slug, 'name', p_org.name, 'timezone', p_org.timezone,
    'language', a.language, 'voice', a.voice, 'model', a.model, 'greeting', a.greeting,
    'recordsCalls', a.records_calls, 'keepsTranscript', a.keeps_transcript,
    'textsAtHold', p_org.texts_at_hold, 'transferNumber', p_org.transfer_number))
    || jsonb_build_object(
    'services', (
      select coalesce(jsonb_agg(jsonb_build_object('name', s.name, 'minutes', s.duration_min)
        order by s.name), '[]')
      from public.services as s where s.org_id = p_org.id and s.active),
    'doctors', (
      select coalesce(jsonb_agg(p.name order by p.name), '[]')
      from public.providers as p where p.org_id = p_org.id and p.active),
    'opening', private.describe_opening(
      p_org, (clock_timestamp() at time zone p_org.timezone)::date),
    'facts', (
      select coalesce(jsonb_agg(jsonb_build_object('question', f.question, 'answer', f.answer)
        order by f.question), '[]')
      from public.clinic_facts as f where f.org_id = p_org.id and f.in_prompt))
  from private.find_settings(p_org.id) as a
$$;

COMMENT ON FUNCTION private.describe_line(p_org public.organizations) IS 'What a clinic''s assistant must know. It contains no patient data.';

CREATE TABLE public.webhook_messages (
    org_id uuid NOT NULL,
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    endpoint_id uuid NOT NULL,
    type text NOT NULL,
    subject_id uuid NOT NULL,
    data jsonb NOT NULL,
    state text DEFAULT 'waiting'::text NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    due_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    claim_id uuid,
    reason text,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    updated_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT webhook_messages_sending_has_claim CHECK (((state <> 'sending'::text) OR (claim_id IS NOT NULL))),
    CONSTRAINT webhook_messages_state_known CHECK ((state = ANY (ARRAY['waiting'::text, 'sending'::text, 'delivered'::text, 'failed'::text]))),
    CONSTRAINT webhook_messages_type_known CHECK ((type = ANY (private.webhook_types())))
);

COMMENT ON TABLE public.webhook_messages IS 'What endpoints are to be told or were told: ids and times, nothing of a patient.';

COMMENT ON COLUMN public.webhook_messages.subject_id IS 'The appointment, message or alarm.';

COMMENT ON COLUMN public.webhook_messages.state IS 'waiting for due_at; sending until due_at, then sent again; delivered; failed: given up, until it is sent again by hand.';

COMMENT ON COLUMN public.webhook_messages.claim_id IS 'The newest attempt: only its result counts.';

COMMENT ON COLUMN public.webhook_messages.reason IS 'What the newest attempt failed with.';

CREATE FUNCTION private.describe_message(p_org uuid, p_endpoint public.webhook_endpoints, p_message public.webhook_messages, p_now timestamp with time zone) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
declare
  v_names jsonb := '{}';
begin
  if p_endpoint.tells_names and p_message.type = 'message.left' then
    select jsonb_build_object('callerName', m.caller_name, 'message', m.message,
      'wishedTime', m.wished_time) into v_names
    from public.desk_messages as m
    where m.org_id = p_org and m.id = p_message.subject_id;
  elsif p_endpoint.tells_names and p_message.type <> 'alarm.raised' then
    select jsonb_build_object('patientName', a.patient_name) into v_names
    from public.appointments as a
    where a.org_id = p_org and a.id = p_message.subject_id;
  end if;
  return jsonb_build_object(
    'orgId', p_org, 'endpointId', p_endpoint.id, 'messageId', p_message.id,
    'claimId', p_message.claim_id, 'address', p_endpoint.address,
    'secrets', (
      select jsonb_agg(s - 'until' order by n)
      from jsonb_array_elements(p_endpoint.secrets) with ordinality as e (s, n)
      where coalesce((s ->> 'until')::timestamptz, 'infinity') > p_now),
    'type', p_message.type, 'at', p_message.created_at,
    'data', p_message.data || jsonb_strip_nulls(coalesce(v_names, '{}')));
end
$$;

COMMENT ON FUNCTION private.describe_message(p_org uuid, p_endpoint public.webhook_endpoints, p_message public.webhook_messages, p_now timestamp with time zone) IS 'A message with everything that sending it needs.';

CREATE FUNCTION private.describe_misplaced(p_org public.organizations, p_known uuid[], p_at timestamp with time zone, p_provider uuid DEFAULT NULL::uuid) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
begin
  return (
    select coalesce(jsonb_agg(jsonb_build_object(
      'appointmentId', a.id, 'status', a.status, 'reason', m.reason,
      'startTime', private.iso_local(a.starts_at, p_org.timezone), 'service', s.name,
      'doctor', p.name) order by a.starts_at, a.id), '[]')
    from private.find_misplaced(p_org, p_at, p_provider) as m
    join public.appointments as a on a.org_id = p_org.id and a.id = m.appointment_id
    join public.services as s on s.org_id = p_org.id and s.id = a.service_id
    join public.providers as p on p.org_id = p_org.id and p.id = a.provider_id
    where m.appointment_id <> all (p_known));
end
$$;

COMMENT ON FUNCTION private.describe_misplaced(p_org public.organizations, p_known uuid[], p_at timestamp with time zone, p_provider uuid) IS 'Bookings that no longer fit the schedule: when, with whom, and why.';

CREATE FUNCTION private.describe_opening(p_org public.organizations, p_day date) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
  select coalesce(jsonb_agg(jsonb_build_object(
    'dow', d.dow, 'startMin', lower(r.span), 'endMin', upper(r.span)) order by d.dow, lower(r.span)), '[]')
  from (
    select w.dow, range_agg(int4range(w.start_min, w.end_min)) as open
    from public.working_hours as w
    join public.providers as p on p.org_id = w.org_id and p.id = w.provider_id and p.active
    where w.org_id = p_org.id and w.valid @> p_day
    group by w.dow
  ) as d
  cross join lateral unnest(d.open) as r (span)
$$;

COMMENT ON FUNCTION private.describe_opening(p_org public.organizations, p_day date) IS 'The weekly hours at which any provider of a clinic works.';

CREATE FUNCTION private.describe_own_hold(p_org public.organizations, p_hold public.appointments, p_at timestamp with time zone) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
begin
  return case when p_hold.id is null then '{}'::jsonb else jsonb_build_object('kept', (
    select jsonb_build_object('holdId', d -> 'holdId', 'startTime', d -> 'startTime',
      'doctor', d -> 'doctor')
    from private.describe_hold(p_org, p_hold, p_at) as d)) end;
end
$$;

COMMENT ON FUNCTION private.describe_own_hold(p_org public.organizations, p_hold public.appointments, p_at timestamp with time zone) IS 'A hold of a call that its request does not touch: {kept: {holdId, startTime, doctor}}, or {}.';

CREATE FUNCTION private.describe_providers(p_org public.organizations) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
begin
  return (
    select coalesce(jsonb_agg(jsonb_build_object('slug', p.slug, 'name', p.name,
      'services', (
        select coalesce(jsonb_agg(s.slug order by s.slug collate "C"), '[]')
        from public.provider_services as ps
        join public.services as s on s.org_id = p_org.id and s.id = ps.service_id and s.active
        where ps.org_id = p_org.id and ps.provider_id = p.id),
      'hours', (
        select coalesce(jsonb_agg(jsonb_build_object('dow', w.dow, 'startMin', w.start_min,
          'endMin', w.end_min, 'from', lower(w.valid), 'until', upper(w.valid) - 1)
          order by lower(w.valid) nulls first, upper(w.valid), w.dow, w.start_min), '[]')
        from public.working_hours as w
        where w.org_id = p_org.id and w.provider_id = p.id),
      'overrides', (
        select coalesce(jsonb_agg(jsonb_build_object('day', v.day, 'startMin', v.start_min,
          'endMin', v.end_min) order by v.day, v.start_min), '[]')
        from public.working_hours_overrides as v
        where v.org_id = p_org.id and v.provider_id = p.id),
      'timeOff', (
        select coalesce(
          jsonb_agg(private.write_span(t.span, p_org.timezone) order by t.span), '[]')
        from public.time_off as t
        where t.org_id = p_org.id and t.provider_id = p.id and t.calendar_id is null)
      ) order by p.slug collate "C"), '[]')
    from public.providers as p
    where p.org_id = p_org.id and p.active);
end
$$;

COMMENT ON FUNCTION private.describe_providers(p_org public.organizations) IS 'The doctors of a clinic''s document.';

CREATE FUNCTION private.describe_released(p_org public.organizations, p_hold public.appointments) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
begin
  if p_hold.id is null then
    return '{}';
  end if;
  return jsonb_strip_nulls(jsonb_build_object('released', (
    select jsonb_build_object('startTime', private.iso_local(p_hold.starts_at, p_org.timezone),
      'doctor', p.name)
    from public.appointments as a
    join public.providers as p on p.org_id = a.org_id and p.id = a.provider_id
    where a.org_id = p_org.id and a.id = p_hold.id and a.status = 'cancelled')));
end
$$;

COMMENT ON FUNCTION private.describe_released(p_org public.organizations, p_hold public.appointments) IS 'What was released for another slot: the caller is always told.';

CREATE FUNCTION private.describe_settled(p_org public.organizations, p_call_id text, p_phone text, p_now timestamp with time zone) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
declare
  v_change constant public.appointment_changes := private.find_change(p_org.id, p_call_id);
  v_confirmed public.appointments;
begin
  select m.* into v_confirmed from private.rows_of_call(p_org.id, p_call_id) as m
  where m.status = 'confirmed' and m.patient_phone = p_phone
  order by m.updated_at desc limit 1;
  return case
    when v_change.patient_phone = p_phone
      and v_change.applied_at >= coalesce(v_confirmed.updated_at, '-infinity')
      then private.describe_change(p_org, v_change, p_now)
    when v_confirmed.id is not null then private.describe_state(p_org, v_confirmed, p_now) end;
end
$$;

COMMENT ON FUNCTION private.describe_settled(p_org public.organizations, p_call_id text, p_phone text, p_now timestamp with time zone) IS 'What a call has confirmed or changed last for a proven phone, or null.';

CREATE FUNCTION private.describe_slot(p_zone text, p_service public.services, p_provider_slug text, p_start timestamp with time zone, p_doctors bigint) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
declare
  v_local_start constant text := private.iso_local(p_start, p_zone);
begin
  return jsonb_build_object(
    'slotId', private.name_slot(p_service.slug, v_local_start, p_zone, p_provider_slug),
    'startTime', v_local_start,
    'endTime', private.iso_local(p_start + make_interval(mins => p_service.duration_min), p_zone),
    'availableDoctors', p_doctors);
end
$$;

COMMENT ON FUNCTION private.describe_slot(p_zone text, p_service public.services, p_provider_slug text, p_start timestamp with time zone, p_doctors bigint) IS 'A bookable slot as JSON.';

CREATE FUNCTION private.describe_state(p_org public.organizations, p_row public.appointments, p_now timestamp with time zone) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
begin
  return case
    when p_row.status = 'confirmed'
      then private.describe_hold(p_org, p_row, p_now) || '{"outcome": "already_confirmed"}'
    when p_row.status = 'requires_manual_followup' or private.is_kept(p_row)
      then '{"outcome": "locked"}'::jsonb
    when p_row.status in ('held', 'expired') then '{"outcome": "hold_expired"}'::jsonb
    else '{"outcome": "hold_not_found"}'::jsonb end;
end
$$;

COMMENT ON FUNCTION private.describe_state(p_org public.organizations, p_row public.appointments, p_now timestamp with time zone) IS 'The outcome for a row that does not wait for a passcode.';

CREATE FUNCTION private.describe_text(p_org public.organizations, p_text public.appointment_texts, p_row public.appointments) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
begin
  return jsonb_build_object(
    'orgId', p_org.id, 'sendId', p_text.send_id, 'kind', p_text.kind,
    'phone', p_row.patient_phone, 'countries', to_jsonb(p_org.sms_countries),
    'clinic', p_org.name, 'address', p_org.address, 'offersAnswer', p_text.offers_answer,
    'startTime', private.iso_local(p_row.starts_at, p_org.timezone),
    'secondsLeft', floor(extract(epoch from p_row.starts_at - clock_timestamp()))::integer,
    'doctor', (
      select p.name from public.providers as p
      where p.org_id = p_org.id and p.id = p_row.provider_id),
    'callBack', private.number_to_call(p_org.id)) || private.wording_of(p_org);
end
$$;

COMMENT ON FUNCTION private.describe_text(p_org public.organizations, p_text public.appointment_texts, p_row public.appointments) IS 'What a text about an appointment is composed of.';

CREATE FUNCTION private.describe_unclear_day(p_org public.organizations, p_said jsonb, p_today date) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
declare
  v_date constant date := private.resolve_day(p_org, p_said - 'weekday', p_today);
begin
  return '{"outcome": "date_unclear"}'::jsonb || case when p_said ? 'weekday' and v_date is not null
    then jsonb_build_object('contradiction',
      jsonb_build_object('date', v_date, 'weekday', p_said -> 'weekday'))
    else '{}' end;
end
$$;

COMMENT ON FUNCTION private.describe_unclear_day(p_org public.organizations, p_said jsonb, p_today date) IS 'Why a day that was said is not one.';

CREATE FUNCTION private.desk_answers_at(p_org public.organizations, p_now timestamp with time zone) RETURNS timestamp with time zone
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
declare
  v_opens_at timestamptz;
begin
  if private.desk_state(p_org, p_now) <> 'closed'
    or not exists (select from public.desk_hours as h where h.org_id = p_org.id) then
    return p_now;
  end if;
  v_opens_at := private.desk_opens_at(p_org, p_now);
  return case when v_opens_at <= p_now + interval '4 days' then v_opens_at end;
end
$$;

COMMENT ON FUNCTION private.desk_answers_at(p_org public.organizations, p_now timestamp with time zone) IS 'When the front desk can call back; null if it does not open within four days.';

CREATE FUNCTION private.desk_opens_at(p_org public.organizations, p_at timestamp with time zone) RETURNS timestamp with time zone
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
declare
  v_today constant date := (p_at at time zone p_org.timezone)::date;
begin
  return (
    select min(o.opens_at)
    from generate_series(0, 30) as n (days)
    cross join lateral (select v_today + n.days as day) as d
    join public.desk_hours as h on h.org_id = p_org.id and h.dow = extract(dow from d.day)
    cross join lateral (
      select private.wall(d.day + make_interval(mins => h.start_min), p_org.timezone, false)
        as opens_at) as o
    where not p_org.closing_days @> d.day and o.opens_at > p_at);
end
$$;

COMMENT ON FUNCTION private.desk_opens_at(p_org public.organizations, p_at timestamp with time zone) IS 'When the front desk opens next; null if it does not within a month.';

CREATE TABLE public.audit_logs (
    org_id uuid NOT NULL,
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    actor text NOT NULL,
    call_id text,
    tool_call_id text,
    assistant_id text,
    caller_masked text,
    staff_user uuid,
    action text NOT NULL,
    subject_id uuid,
    outcome text NOT NULL,
    details jsonb DEFAULT '{}'::jsonb NOT NULL,
    transaction_id xid8 DEFAULT pg_current_xact_id() NOT NULL,
    CONSTRAINT audit_logs_actor_known CHECK ((actor = ANY (ARRAY['call'::text, 'staff'::text, 'system'::text]))),
    CONSTRAINT audit_logs_caller_masked CHECK ((caller_masked !~ '[0-9]{5}'::text)),
    CONSTRAINT audit_logs_staff_named CHECK (((actor <> 'staff'::text) OR (staff_user IS NOT NULL)))
);

COMMENT ON TABLE public.audit_logs IS 'Append-only: who did what to which subject, with which outcome. Only retention deletes.';

COMMENT ON COLUMN public.audit_logs.staff_user IS 'The account of the member of staff who asked.';

COMMENT ON COLUMN public.audit_logs.transaction_id IS 'The transaction that wrote it.';

CREATE FUNCTION private.digest_row(p_row public.audit_logs) RETURNS bytea
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
  select sha256(convert_to(jsonb_build_array(
    p_row.org_id, p_row.id, extract(epoch from p_row.at), p_row.actor, p_row.call_id,
    p_row.tool_call_id, p_row.assistant_id, p_row.caller_masked, p_row.staff_user, p_row.action,
    p_row.subject_id, p_row.outcome, p_row.details, p_row.transaction_id::text)::text, 'UTF8'))
$$;

COMMENT ON FUNCTION private.digest_row(p_row public.audit_logs) IS 'SHA-256 of an audit row.';

CREATE FUNCTION private.drop_new_time(p_org public.organizations, p_call jsonb, p_action text, p_change public.appointment_changes) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_hold public.appointments;
begin
  select a.* into v_hold from public.appointments as a
  where a.org_id = p_org.id and a.id = p_change.hold_id and a.call_id = p_change.call_id
    and a.status = 'held';
  if v_hold.id is null then
    return '{}';
  end if;
  perform private.release_hold(p_org.id, p_call, p_action, v_hold.id);
  return private.describe_released(p_org, v_hold);
end
$$;

COMMENT ON FUNCTION private.drop_new_time(p_org public.organizations, p_call jsonb, p_action text, p_change public.appointment_changes) IS 'Releases the new time of a change that no longer waits, and says so.';

CREATE FUNCTION private.end_proofs(p_org uuid, p_call_id text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
  perform private.forget_passcode(p_org, p_call_id, c.phone_hash)
  from public.one_time_passcodes as c
  where c.org_id = p_org and c.call_id = p_call_id;
  update public.one_time_passcodes as c set proven_until = null
  where c.org_id = p_org and c.call_id = p_call_id;
end
$$;

COMMENT ON FUNCTION private.end_proofs(p_org uuid, p_call_id text) IS 'Ends the proofs and passcodes of a call that is over.';

CREATE FUNCTION private.enter_call(p_org public.organizations, p_call jsonb, p_patient_name text DEFAULT NULL::text) RETURNS public.calls
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_call_id constant text := p_call ->> 'callId';
  v_now timestamptz;
  v_call public.calls;
begin
  perform private.lock_call(p_org.id, v_call_id);
  v_now := clock_timestamp();
  select c.* into v_call from public.calls as c
  where c.org_id = p_org.id and c.call_id = v_call_id;
  if v_call.seen_at > v_now - interval '1 hour' and (p_patient_name is null
    or p_patient_name = any (v_call.patient_names) or cardinality(v_call.patient_names) >= 10) then
    return v_call;
  end if;
  insert into public.calls as c (org_id, call_id, created_at, seen_at, caller_hash, patient_names)
  values (p_org.id, v_call_id, v_now, v_now, private.read_caller(p_org, p_call),
    array_remove(array[p_patient_name], null))
  on conflict (org_id, call_id) do update set seen_at = v_now,
    patient_names = case
      when excluded.patient_names <@ c.patient_names or cardinality(c.patient_names) >= 10
        then c.patient_names
      else c.patient_names || excluded.patient_names end
  returning c.* into v_call;
  return v_call;
end
$$;

COMMENT ON FUNCTION private.enter_call(p_org public.organizations, p_call jsonb, p_patient_name text) IS 'Locks a call, creates its row, and stores the patient who is named.';

CREATE FUNCTION private.enter_desk(p_org uuid, p_request uuid, p_action text, p_role text, p_arguments jsonb, OUT org public.organizations, OUT request jsonb, OUT answer jsonb) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_user constant uuid := auth.uid();
  v_call_id constant text := 'staff/' || v_user;
  v_role text := private.find_role(p_org, v_user);
begin
  perform private.require_read_committed();
  request := jsonb_build_object('staff', v_call_id, 'toolCallId', p_request, 'action', p_action,
    'arguments', encode(sha256(convert_to(p_arguments::text, 'UTF8')), 'hex'));
  answer := private.role_refusal(v_role, p_role);
  if answer is null then
    if p_role in ('manager', 'owner') then
      perform from public.organizations as o where o.id = p_org for no key update;
    end if;
    -- One request of an account at a time: sharing the row, requests that go on coming could keep the
    -- membership from being ended for as long as they like.
    select m.role into v_role from public.org_members as m
    where m.org_id = p_org and m.user_id = v_user for no key update;
    answer := private.role_refusal(v_role, p_role);
  end if;
  if answer ->> 'outcome' = 'not_allowed' then
    perform private.audit(p_org, request, p_action, null, 'not_allowed');
  elsif answer is null and p_request is null then
    answer := '{"outcome": "request_needed"}';
  end if;
  if answer is not null then
    return;
  end if;
  perform private.lock_call(p_org, v_call_id || '/' || p_request);
  answer := private.recall_request(p_org, v_call_id, request);
  select o.* into strict org from public.organizations as o where o.id = p_org;
end
$$;

COMMENT ON FUNCTION private.enter_desk(p_org uuid, p_request uuid, p_action text, p_role text, p_arguments jsonb, OUT org public.organizations, OUT request jsonb, OUT answer jsonb) IS 'Begins a request of staff, or says why not; a repeated request has its answer.';

CREATE FUNCTION private.erase_rows(p_patient private.patient) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $_$
declare
  v_rule private.personal_data;
  v_rows integer;
  v_counts jsonb := '{}';
begin
  for v_rule in
    select d.* from private.personal_data as d where d.erased is not null order by d.step, d.relation::text
  loop
    execute case v_rule.erased when 'delete'
      then format('delete from %s as t using (select ($1).*) as p', v_rule.relation)
      else format('update %s as t set %s from (select ($1).*) as p', v_rule.relation, v_rule.erased) end
      || format(' where t.org_id = p.org_id and (%s)', v_rule.about)
    using p_patient;
    get diagnostics v_rows = row_count;
    if v_rows > 0 then
      v_counts := v_counts || jsonb_build_object(v_rule.relation::text,
        coalesce((v_counts ->> v_rule.relation::text)::integer, 0) + v_rows);
    end if;
  end loop;
  return v_counts;
end
$_$;

COMMENT ON FUNCTION private.erase_rows(p_patient private.patient) IS 'Erases what is kept of a patient, and says how many rows of each table.';

CREATE FUNCTION private.expire_holds(p_org uuid, p_rows tid[], p_now timestamp with time zone) RETURNS integer
    LANGUAGE plpgsql
    SET search_path TO ''
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
declare
  v_calls text[];
  v_count integer;
begin
  with marked as (
    update public.appointments as a
    set status = private.expired_status(a), updated_at = p_now
    where a.org_id = p_org and a.ctid = any (p_rows)
      and a.status = 'held' and a.expires_at <= p_now
    returning a.id, a.call_id
  ), audited as (
    insert into public.audit_logs (org_id, actor, action, subject_id, outcome)
    select p_org, 'system', 'cleanup_expired_holds', m.id, 'expired' from marked as m
  )
  select array_agg(m.call_id), count(*) into v_calls, v_count from marked as m;
  perform private.forget_passcode(p_org, d.call_id, d.phone_hash)
  from (
    -- Skips a passcode that its call is using: the call takes these locks in the opposite order.
    select c.call_id, c.phone_hash from public.one_time_passcodes as c
    where c.org_id = p_org and c.call_id = any (v_calls)
      and c.mac is not null and c.expires_at <= p_now
    for update skip locked
  ) as d;
  return v_count;
end
$$;

COMMENT ON FUNCTION private.expire_holds(p_org uuid, p_rows tid[], p_now timestamp with time zone) IS 'Marks the expired holds of one organization, and clears the expired passcodes of their calls.';

CREATE FUNCTION private.expire_in_way(p_org uuid, p_provider uuid, p_busy tstzrange, p_now timestamp with time zone) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_ids constant uuid[] := array(
    select a.id from public.appointments as a
    where a.org_id = p_org and a.provider_id = p_provider and private.overlaps(a.busy, p_busy)
      -- In a form that appointments_taken can answer.
      and private.takes_time(a) and not private.is_live(a, p_now)
    order by a.id for update);
begin
  update public.appointments as a set status = private.expired_status(a), updated_at = p_now
  where a.org_id = p_org and a.id = any (v_ids);
  perform private.audit(p_org, null, 'hold_slot', v, 'expired') from unnest(v_ids) as v;
  return v_ids <> '{}';
end
$$;

COMMENT ON FUNCTION private.expire_in_way(p_org uuid, p_provider uuid, p_busy tstzrange, p_now timestamp with time zone) IS 'Marks the expired holds that overlap a time, so that they no longer take it.';

CREATE FUNCTION private.expired_holds(p_org public.organizations, p_call_id text, p_phone text, p_now timestamp with time zone) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
begin
  return (
    with mine as materialized (
      select m.* from private.rows_of_call(p_org.id, p_call_id) as m where m.patient_phone = p_phone
    )
    select coalesce(jsonb_agg(private.iso_local(m.starts_at, p_org.timezone) order by m.starts_at), '[]')
    from mine as m
    where private.has_expired(m, p_now) and m.expires_at > p_now - private.proof_lifetime()
      and not private.is_new_time(p_org.id, m)
      and not exists (
        select from mine as o
        where private.is_live(o, p_now)
          and private.is_same_patient(o.patient_name, m.patient_name)));
end
$$;

COMMENT ON FUNCTION private.expired_holds(p_org public.organizations, p_call_id text, p_phone text, p_now timestamp with time zone) IS 'The starts of holds for which the passcode came too late.';

CREATE FUNCTION private.expired_status(p_row public.appointments) RETURNS text
    LANGUAGE sql IMMUTABLE
    RETURN CASE WHEN ((p_row).handed_over_at IS NULL) THEN 'expired'::text ELSE 'requires_manual_followup'::text END;

COMMENT ON FUNCTION private.expired_status(p_row public.appointments) IS 'What a hold becomes when its time is over: what waits for the front desk goes on waiting, without its time.';

CREATE FUNCTION private.extend_holds(p_org public.organizations, p_call_id text, p_phone text, p_until timestamp with time zone, p_now timestamp with time zone) RETURNS timestamp with time zone
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_last timestamptz;
begin
  perform private.lock_holds(p_org.id, p_call_id);
  update public.appointments as a
  set updated_at = p_now, expires_at = greatest(a.expires_at, least(p_until,
    coalesce(a.extended_at, a.created_at) + make_interval(mins => p_org.hold_minutes)
      + private.code_lifetime()))
  where a.org_id = p_org.id and a.call_id = p_call_id and a.patient_phone = p_phone
    and private.awaits_code(a, p_now) and not private.is_held(a, p_until);
  select max(a.expires_at) into v_last from public.appointments as a
  where a.org_id = p_org.id and a.call_id = p_call_id and a.patient_phone = p_phone
    and private.awaits_code(a, p_now);
  return least(p_until, v_last);
end
$$;

COMMENT ON FUNCTION private.extend_holds(p_org public.organizations, p_call_id text, p_phone text, p_until timestamp with time zone, p_now timestamp with time zone) IS 'Makes the holds that wait for a text last as long as its code; returns when the code expires.';

CREATE FUNCTION private.fact_words(p_question text, p_also_asked text[], p_tags text[]) RETURNS text[]
    LANGUAGE sql IMMUTABLE STRICT
    SET search_path TO ''
    AS $$
  select array(
    select distinct w
    from unnest(p_question || p_also_asked || p_tags) as t (wording)
    cross join lateral unnest(private.question_words(t.wording)) as w
    order by w)
$$;

COMMENT ON FUNCTION private.fact_words(p_question text, p_also_asked text[], p_tags text[]) IS 'The words of all wordings and tags of a fact.';

CREATE FUNCTION private.fail_text(p_org uuid, p_send uuid, p_reason text, p_may_have_been_sent boolean) RETURNS public.sms_messages
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_message public.sms_messages;
begin
  if p_reason = 'opted_out' then
    perform private.note_opt_out(p_org, p_send, true);
  end if;
  update public.sms_messages as m
  set status = case when p_may_have_been_sent then 'unknown' else 'refused' end,
    updated_at = clock_timestamp()
  where m.org_id = p_org and m.id = p_send and m.status = 'sending'
  returning m.* into v_message;
  if v_message.id is null then
    return null;
  end if;
  perform private.tally_text(v_message.origin, case
    when p_may_have_been_sent then 'unknown'
    when p_reason in ('bad_destination', 'opted_out', 'blocked_country') then 'refused'
    else 'failed' end);
  return case when not p_may_have_been_sent then v_message end;
end
$$;

COMMENT ON FUNCTION private.fail_text(p_org uuid, p_send uuid, p_reason text, p_may_have_been_sent boolean) IS 'Records that Twilio refused a text or did not answer.';

CREATE FUNCTION private.fail_waiting(p_org uuid, p_endpoint uuid, p_reason text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
  update public.webhook_messages as m
  set state = 'failed', reason = coalesce(m.reason, p_reason), updated_at = clock_timestamp()
  where m.org_id = p_org and m.endpoint_id = p_endpoint and m.state in ('waiting', 'sending');
end
$$;

COMMENT ON FUNCTION private.fail_waiting(p_org uuid, p_endpoint uuid, p_reason text) IS 'Gives up everything that waits for an endpoint.';

CREATE FUNCTION private.failed_twice(p_org uuid, p_call_id text, p_phone bytea) RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
begin
  return (
    select count(*) filter (where t.delivery in ('failed', 'undelivered')) = 2
    from (
      select m.delivery from public.sms_messages as m
      where m.org_id = p_org and m.call_id = p_call_id and m.to_hash = p_phone
        and m.status <> 'refused'
      order by m.created_at desc limit 2
    ) as t);
end
$$;

COMMENT ON FUNCTION private.failed_twice(p_org uuid, p_call_id text, p_phone bytea) IS 'Whether the last two texts of a call to a phone did not arrive.';

CREATE FUNCTION private.find_change(p_org uuid, p_call_id text) RETURNS public.appointment_changes
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
declare
  v_change public.appointment_changes;
begin
  select c.* into v_change from public.appointment_changes as c
  where c.org_id = p_org and c.call_id = p_call_id;
  return v_change;
end
$$;

COMMENT ON FUNCTION private.find_change(p_org uuid, p_call_id text) IS 'The latest request of a call about existing appointments.';

CREATE FUNCTION private.find_codes(p_org uuid, p_call_id text, p_hold public.appointments, p_phone text, p_now timestamp with time zone) RETURNS private.awaited_code[]
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
begin
  return coalesce((
    select array_agg(row(w.phone, c)::private.awaited_code order by c.mac is not null desc,
      (p_hold.id is not null and w.phone = p_phone) is true desc, c.claimed_at desc)
    from public.one_time_passcodes as c
    left join (
      select p_phone as phone
      union select h.patient_phone from private.find_holds(p_org, p_call_id, p_now) as h
      union select x.patient_phone from public.appointment_changes as x
      where x.org_id = p_org and x.call_id = p_call_id and x.applied_at is null
    ) as w on private.hash_phone(w.phone) = c.phone_hash
    where c.org_id = p_org and c.call_id = p_call_id and (c.mac is not null or w.phone is not null)
  ), array[row(p_phone, null)::private.awaited_code]);
end
$$;

COMMENT ON FUNCTION private.find_codes(p_org uuid, p_call_id text, p_hold public.appointments, p_phone text, p_now timestamp with time zone) IS 'The passcodes that a caller may read out, with their phones.';

CREATE FUNCTION private.find_confirmed(p_org uuid, p_call_id text, p_wanted private.wanted_slot, p_name text) RETURNS public.appointments
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
declare
  v_appointment public.appointments;
begin
  select m.* into v_appointment from private.rows_of_call(p_org, p_call_id) as m
  where m.status = 'confirmed' and private.is_same_patient(p_name, m.patient_name)
  order by private.is_wanted(p_wanted, m) desc, m.updated_at desc limit 1;
  return v_appointment;
end
$$;

COMMENT ON FUNCTION private.find_confirmed(p_org uuid, p_call_id text, p_wanted private.wanted_slot, p_name text) IS 'What this call has confirmed for a patient, preferably the requested slot.';

CREATE TABLE public.clinic_facts (
    org_id uuid NOT NULL,
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    question text NOT NULL,
    also_asked text[] DEFAULT '{}'::text[] NOT NULL,
    answer text NOT NULL,
    tags text[] DEFAULT '{}'::text[] NOT NULL,
    in_prompt boolean DEFAULT false NOT NULL,
    words text[] GENERATED ALWAYS AS (private.fact_words(question, also_asked, tags)) STORED NOT NULL,
    CONSTRAINT clinic_facts_answer_short CHECK (((length(answer) >= 1) AND (length(answer) <= 600))),
    CONSTRAINT clinic_facts_question_short CHECK (((length(question) >= 1) AND (length(question) <= 300)))
);

COMMENT ON TABLE public.clinic_facts IS 'Questions about a clinic and its own answers.';

COMMENT ON COLUMN public.clinic_facts.also_asked IS 'Other ways to ask the question.';

COMMENT ON COLUMN public.clinic_facts.answer IS 'Said to the caller unchanged.';

COMMENT ON COLUMN public.clinic_facts.tags IS 'Words that callers may use but the question does not have.';

COMMENT ON COLUMN public.clinic_facts.in_prompt IS 'Whether the assistant''s prompt contains the answer, because many callers ask.';

CREATE FUNCTION private.find_fact(p_org uuid, p_question text, p_strictly boolean) RETURNS public.clinic_facts
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
declare
  v_words constant text[] := private.question_words(p_question);
  v_least constant real := case when p_strictly then 1 else 0.7 end;
  v_nearly boolean;
  v_best record;
  v_fact public.clinic_facts;
begin
  if p_strictly and cardinality(v_words) < 2 then
    return null;
  end if;
  foreach v_nearly in array case when p_strictly then '{f}' else '{f,t}' end::boolean[] loop
    select s.id, coalesce(s.score - lead(s.score) over (order by s.score desc), 1) as ahead
    into v_best
    from (
      select f.id, w.fit + b.fit / 4 as score
      from public.clinic_facts as f
      cross join lateral (
        -- "Where are you?" has no words, so the whole text is compared.
        select case when cardinality(v_words) > 0 then private.fit(v_words, f.words, v_nearly)
          when v_nearly then (
            select max(case when extensions.similarity(p_question, t) >= 0.45 then 1 else 0 end)
            from unnest(f.question || f.also_asked) as t)
          else 0 end::real as fit) as w
      cross join lateral (
        select max(private.fit(private.question_words(t), v_words, false)) as fit
        from unnest(f.question || f.also_asked) as t
        where w.fit >= v_least) as b
      where f.org_id = p_org and w.fit >= v_least
    ) as s
    order by s.score desc
    limit 1;
    if v_best.ahead >= 0.1 then
      select f.* into strict v_fact from public.clinic_facts as f
      where f.org_id = p_org and f.id = v_best.id;
      return v_fact;
    end if;
    exit when v_best.id is not null;
  end loop;
  return null;
end
$$;

COMMENT ON FUNCTION private.find_fact(p_org uuid, p_question text, p_strictly boolean) IS 'The one fact that answers a question well enough, or nulls.';

CREATE FUNCTION private.find_free(p_org public.organizations, p_service public.services, p_provider uuid, p_start timestamp with time zone, p_call_id text, p_at timestamp with time zone, p_moves uuid DEFAULT NULL::uuid) RETURNS SETOF uuid
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
declare
  v_busy constant tstzrange := private.busy_time(p_service, p_start);
begin
  return query
  select w.provider_id
  from private.find_open(p_org, p_service, p_provider, p_start, p_at) as w (provider_id)
  where (
    select count(*) = 0 or count(*) < p_service.capacity
      and bool_and(a.service_id = p_service.id and a.starts_at = p_start)
    from public.appointments as a
    where a.org_id = p_org.id and a.provider_id = w.provider_id
      and private.overlaps(a.busy, v_busy) and private.blocks(a, p_call_id, p_moves, p_at));
end
$$;

COMMENT ON FUNCTION private.find_free(p_org public.organizations, p_service public.services, p_provider uuid, p_start timestamp with time zone, p_call_id text, p_at timestamp with time zone, p_moves uuid) IS 'The providers with whom a service can begin at one instant; find_starts() for a single start.';

CREATE FUNCTION private.find_held_time(p_org uuid, p_call jsonb, p_entered public.calls, p_wanted private.wanted_slot, p_patient jsonb, p_now timestamp with time zone) RETURNS public.appointments
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_hold public.appointments;
begin
  v_hold := private.find_new_time(p_org, p_entered.call_id, p_now);
  if not (private.is_wanted(p_wanted, v_hold) and private.is_for_patient(v_hold, p_patient)) is true then
    select h.* into v_hold from private.find_holds(p_org, p_entered.call_id, p_now) as h
    where private.is_wanted(p_wanted, h) and private.is_for_patient(h, p_patient)
    limit 1;
  end if;
  if v_hold.id is null then
    v_hold := private.find_left_hold(p_org, p_entered, p_wanted, p_patient, p_now);
    if private.is_wanted(p_wanted, v_hold) is not true
      or not private.take_over(p_org, p_call, v_hold.id) then
      return null;
    end if;
  end if;
  return v_hold;
end
$$;

COMMENT ON FUNCTION private.find_held_time(p_org uuid, p_call jsonb, p_entered public.calls, p_wanted private.wanted_slot, p_patient jsonb, p_now timestamp with time zone) IS 'The hold of a requested new time, if this call has it already, or nulls.';

CREATE FUNCTION private.find_holds(p_org uuid, p_call_id text, p_at timestamp with time zone) RETURNS SETOF public.appointments
    LANGUAGE plpgsql STABLE ROWS 3
    SET search_path TO ''
    AS $$
begin
  -- From the table, not from rows_of_call: the plan of a query that names no table is not made again
  -- when a migration adds a column, and then it returns rows without it. "offset 0" keeps the
  -- conditions apart.
  return query
  select m.* from (
    select a.* from public.appointments as a
    where a.org_id = p_org and a.call_id = p_call_id
    offset 0
  ) as m
  where private.awaits_code(m, p_at) and not private.is_new_time(p_org, m);
end
$$;

COMMENT ON FUNCTION private.find_holds(p_org uuid, p_call_id text, p_at timestamp with time zone) IS 'The live holds that a call has, except the new time of a change.';

CREATE FUNCTION private.find_hours(p_org public.organizations, p_service uuid, p_provider uuid, p_day date) RETURNS TABLE(provider_id uuid, open tstzmultirange)
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
declare
  v_zone constant text := p_org.timezone;
  v_dow constant integer := extract(dow from p_day);
  v_days constant smallint[] := array[(v_dow + 6) % 7, v_dow, (v_dow + 1) % 7];
  -- Minutes count from midnight of the day before: the day itself begins at 1440.
  v_eve constant timestamp := p_day - 1;
  v_steady_eve constant timestamptz := v_eve at time zone private.steady_offset(p_day, v_zone);
begin
  return query
  select ps.provider_id, range_agg(tstzrange(h.opens, greatest(h.opens, h.closes)))
  from public.provider_services as ps
  join public.providers as p on p.org_id = p_org.id and p.id = ps.provider_id and p.active
  cross join lateral (
    select
      coalesce(v_steady_eve + r.opens * interval '1 minute',
        private.wall(v_eve + r.opens * interval '1 minute', v_zone, false)) as opens,
      coalesce(v_steady_eve + r.closes * interval '1 minute',
        private.wall(v_eve + r.closes * interval '1 minute', v_zone, true)) as closes
    from (
      select n.day * 1440 + w.start_min as opens, n.day * 1440 + w.end_min as closes
      from public.working_hours as w
      cross join lateral (select (w.dow + 8 - v_dow) % 7 as day) as n
      where w.org_id = p_org.id and w.provider_id = ps.provider_id
        and w.dow = any (v_days) and w.valid @> p_day - 1 + n.day
        and not p_org.closing_days @> p_day - 1 + n.day
        and not exists (
          select from public.working_hours_overrides as v
          where v.org_id = p_org.id and v.provider_id = w.provider_id and v.day = p_day - 1 + n.day)
      union all
      select (v.day - p_day + 1) * 1440 + v.start_min, (v.day - p_day + 1) * 1440 + v.end_min
      from public.working_hours_overrides as v
      where v.org_id = p_org.id and v.provider_id = ps.provider_id
        and v.day between p_day - 1 and p_day + 1 and v.start_min is not null
        and not p_org.closing_days @> v.day
    ) as r
    where r.closes > 1440
  ) as h
  where ps.org_id = p_org.id and ps.service_id = p_service
    and (p_provider is null or ps.provider_id = p_provider)
  group by ps.provider_id;
end
$$;

COMMENT ON FUNCTION private.find_hours(p_org public.organizations, p_service uuid, p_provider uuid, p_day date) IS 'When the providers of a service work around a local day, as instants.';

CREATE FUNCTION private.find_in_vault(OUT id uuid, OUT secret text) RETURNS record
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $_$
begin
  execute format('select s.id, s.decrypted_secret from %I.decrypted_secrets as s where s.name = $1',
    'vault')
  into id, secret using 'functions_secret';
end
$_$;

COMMENT ON FUNCTION private.find_in_vault(OUT id uuid, OUT secret text) IS 'The secret of the functions in Supabase Vault.';

CREATE FUNCTION private.find_left_hold(p_org uuid, p_call public.calls, p_wanted private.wanted_slot, p_patient jsonb, p_at timestamp with time zone) RETURNS public.appointments
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
declare
  v_hold public.appointments;
begin
  -- Fetched by their ids first, so that no index of held rows seems to be the better one.
  with counted as materialized (
    select a as hold
    from public.phone_counts as n
    cross join lateral unnest(n.holds) as h
    join public.appointments as a on a.org_id = h.org_id and a.id = h.hold_id
    where n.phone_hash = p_call.caller_hash and h.org_id = p_org
  )
  select (c.hold).* into v_hold from counted as c
  where private.awaits_code(c.hold, p_at) and (c.hold).call_id <> p_call.call_id
    and private.is_for_patient(c.hold, p_patient)
    and private.is_left_to(p_org, c.hold, p_call.call_id)
    -- Another slot does not replace the new time of a move.
    and (private.is_wanted(p_wanted, c.hold) or not private.is_new_time(p_org, c.hold))
  order by private.is_wanted(p_wanted, c.hold) desc, (c.hold).created_at desc limit 1;
  return v_hold;
end
$$;

COMMENT ON FUNCTION private.find_left_hold(p_org uuid, p_call public.calls, p_wanted private.wanted_slot, p_patient jsonb, p_at timestamp with time zone) IS 'The hold of a patient that a dropped call left behind, or nulls.';

CREATE FUNCTION private.find_misplaced(p_org public.organizations, p_at timestamp with time zone, p_provider uuid DEFAULT NULL::uuid) RETURNS TABLE(appointment_id uuid, reason text)
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
begin
  return query
  select b.id, case
    when not b.provider_active then 'doctor_removed'
    when not b.service_active then 'service_removed'
    when not exists (
      select from public.provider_services as ps
      where ps.org_id = p_org.id and ps.provider_id = b.provider_id
        and ps.service_id = b.service_id) then 'service_not_offered'
    when b.is_absent then 'time_off'
    when p_org.closing_days @> b.day then 'clinic_closed'
    else 'outside_hours' end
  from (
    select a.*, p.active as provider_active, s.active as service_active, d.day,
      exists (
        select from public.time_off as t
        where t.org_id = p_org.id and t.provider_id = a.provider_id
          and t.span && tstzrange(a.starts_at, a.ends_at)) as is_absent,
      exists (
        select from private.find_hours(p_org, a.service_id, a.provider_id, d.day) as h
        where h.open @> tstzrange(a.starts_at, a.ends_at)) as is_open
    from public.providers as p
    join public.appointments as a on a.org_id = p_org.id and a.provider_id = p.id
      -- No appointment is longer than a day.
      and a.starts_at > p_at - interval '2 days' and a.ends_at > p_at
      and private.is_live(a, p_at)
    join public.services as s on s.org_id = p_org.id and s.id = a.service_id
    cross join lateral (
      select (a.starts_at at time zone p_org.timezone)::date as day) as d
    where p.org_id = p_org.id and p.id = coalesce(p_provider, p.id)
  ) as b
  where not b.service_active or b.is_absent or not b.is_open;
end
$$;

COMMENT ON FUNCTION private.find_misplaced(p_org public.organizations, p_at timestamp with time zone, p_provider uuid) IS 'Future live bookings that the current schedule would not allow, and why.';

CREATE FUNCTION private.find_new_time(p_org uuid, p_call_id text, p_at timestamp with time zone) RETURNS public.appointments
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
declare
  v_hold public.appointments;
begin
  select a.* into v_hold
  from public.appointment_changes as c
  join public.appointments as a on a.org_id = c.org_id and a.id = c.hold_id
  where c.org_id = p_org and c.call_id = p_call_id and c.applied_at is null
    and a.call_id = p_call_id and private.is_held(a, p_at);
  return v_hold;
end
$$;

COMMENT ON FUNCTION private.find_new_time(p_org uuid, p_call_id text, p_at timestamp with time zone) IS 'The live hold of the new time that a call has requested for an appointment, or nulls.';

CREATE FUNCTION private.find_open(p_org public.organizations, p_service public.services, p_provider uuid, p_start timestamp with time zone, p_at timestamp with time zone) RETURNS SETOF uuid
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
declare
  v_zone constant text := p_org.timezone;
  v_day constant date := p_start at time zone v_zone;
  v_end constant timestamptz := p_start + make_interval(mins => p_service.duration_min);
begin
  if p_start < p_at + make_interval(mins => p_service.notice_min)
    or v_day > (p_at at time zone v_zone)::date + p_service.horizon_days then
    return;
  end if;
  return query
  select w.provider_id
  from private.find_hours(p_org, p_service.id, p_provider, v_day) as w
  where w.open @> tstzrange(p_start, v_end)
    -- The grid begins where the closed time before the start ends.
    and p_start = date_bin(make_interval(mins => p_service.step_min), p_start,
      upper(('{(,)}'::tstzmultirange - w.open) * tstzmultirange(tstzrange(null, p_start))))
    and not exists (
      select from public.time_off as t
      where t.org_id = p_org.id and t.provider_id = w.provider_id
        and coalesce(upper(t.span), 'infinity') >= p_start and t.span && tstzrange(p_start, v_end));
end
$$;

COMMENT ON FUNCTION private.find_open(p_org public.organizations, p_service public.services, p_provider uuid, p_start timestamp with time zone, p_at timestamp with time zone) IS 'The providers who work when a service is to begin, whether or not somebody else has the time.';

CREATE FUNCTION private.find_overlapped(p_org uuid, p_calendar uuid, p_provider uuid, p_now timestamp with time zone) RETURNS uuid[]
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
  return array(
    select a.id
    from public.appointments as a
    cross join lateral (
      select t.span from public.time_off as t
      where t.org_id = p_org and t.provider_id = p_provider and t.calendar_id = p_calendar
        and coalesce(upper(t.span), 'infinity') > a.starts_at
      order by coalesce(upper(t.span), 'infinity') limit 1) as n
    where a.org_id = p_org and a.provider_id = p_provider
      -- No appointment is longer than a day.
      and a.starts_at > p_now - interval '2 days' and a.ends_at > p_now
      and private.is_live(a, p_now) and lower(n.span) < a.ends_at);
end
$$;

COMMENT ON FUNCTION private.find_overlapped(p_org uuid, p_calendar uuid, p_provider uuid, p_now timestamp with time zone) IS 'Bookings to come that the busy times of a doctor''s own calendar overlap.';

CREATE FUNCTION private.find_own_hold(p_org uuid, p_call_id text, p_hold uuid, p_name text, p_at timestamp with time zone) RETURNS public.appointments
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
declare
  v_hold public.appointments;
begin
  select h.* into v_hold from private.find_holds(p_org, p_call_id, p_at) as h
  where h.id = p_hold or private.is_same_patient(p_name, h.patient_name)
  order by private.is_same_patient(p_name, h.patient_name) desc, (h.id = p_hold) is true desc,
    lower(h.patient_name) = lower(p_name) desc, h.created_at desc
  limit 1;
  return v_hold;
end
$$;

COMMENT ON FUNCTION private.find_own_hold(p_org uuid, p_call_id text, p_hold uuid, p_name text, p_at timestamp with time zone) IS 'The hold that a request of this call moves or corrects, or nulls.';

CREATE FUNCTION private.find_patient(p_org uuid, p_phone text, p_name text, OUT patient private.patient, OUT is_found boolean, OUT names integer) RETURNS record
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
declare
  v_names constant text[] := array(select n from private.names_of(p_org, p_phone) as n);
  v_others integer;
begin
  select count(*) filter (where not private.is_same_name(p_name, n)),
    count(distinct private.plain_name(n))
  into v_others, names
  from unnest(v_names) as n;
  is_found := v_others < cardinality(v_names);
  patient.org_id := p_org;
  patient.phone := p_phone;
  patient.phone_hash := private.hash_phone(p_phone);
  patient.name := p_name;
  patient.is_alone := v_others = 0 and p_phone is not null;
  patient.appointment_ids := array(
    select a.id from public.appointments as a
    where a.org_id = p_org and a.patient_phone is not distinct from p_phone
      and private.is_same_name(p_name, a.patient_name));
  patient.call_ids := array(
    select c from private.calls_of(
      p_org, p_phone, p_name, patient.is_alone, patient.appointment_ids) as c where c is not null);
end
$$;

COMMENT ON FUNCTION private.find_patient(p_org uuid, p_phone text, p_name text, OUT patient private.patient, OUT is_found boolean, OUT names integer) IS 'What belongs to a name of a number.';

CREATE FUNCTION private.find_providers(p_org uuid, p_asked text) RETURNS SETOF public.providers
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
declare
  v_asked constant text := private.plain_name(p_asked);
begin
  return query
  select p.* from public.providers as p
  where p.org_id = p_org and p.active
    and (p.slug = lower(btrim(p_asked))
      or v_asked = replace(p.slug, '-', ' ')
      or private.spelled_like(p_asked, p.name) = private.plain_name(p.name))
  order by p.slug limit 1;
  if not found and v_asked <> '' then
    return query
    select p.* from public.providers as p
    where p.org_id = p_org and p.active
      and string_to_array(private.spelled_like(p_asked, p.name), ' ')
        <@ string_to_array(private.plain_name(p.name), ' ')
    order by p.name;
  end if;
end
$$;

COMMENT ON FUNCTION private.find_providers(p_org uuid, p_asked text) IS 'The providers with that slug, name or part of a name; several if the part is ambiguous.';

CREATE TABLE public.text_answers (
    org_id uuid NOT NULL,
    sid text NOT NULL,
    received_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    phone_hash bytea NOT NULL,
    meaning text NOT NULL,
    outcome text NOT NULL,
    appointment_ids uuid[] DEFAULT '{}'::uuid[] NOT NULL,
    is_replied boolean DEFAULT false NOT NULL,
    result jsonb NOT NULL,
    CONSTRAINT text_answers_hash_length CHECK ((octet_length(phone_hash) = 32)),
    CONSTRAINT text_answers_meaning_known CHECK ((meaning = ANY (ARRAY['confirm'::text, 'cancel'::text, 'choice'::text, 'stop'::text, 'start'::text, 'help'::text, 'other'::text])))
);

COMMENT ON TABLE public.text_answers IS 'Texts from patients, by Twilio''s id: what they meant and what came of it. Neither the number nor the words are kept.';

COMMENT ON COLUMN public.text_answers.phone_hash IS 'SHA-256 of the number that texted.';

COMMENT ON COLUMN public.text_answers.appointment_ids IS 'What it was about, or what the patient was asked to choose from, in that order.';

COMMENT ON COLUMN public.text_answers.is_replied IS 'Whether the patient was answered.';

COMMENT ON COLUMN public.text_answers.result IS 'The answer, for a text that is delivered again.';

CREATE FUNCTION private.find_question(p_org uuid, p_hash bytea, p_now timestamp with time zone) RETURNS public.text_answers
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
declare
  v_answer public.text_answers;
begin
  select t.* into v_answer from public.text_answers as t
  where t.org_id = p_org and t.phone_hash = p_hash and t.meaning in ('confirm', 'cancel')
    and t.received_at > p_now - interval '1 day'
  order by t.received_at desc limit 1;
  return case when v_answer.outcome = 'which' and exists (
    select from public.text_answers as t
    where t.org_id = p_org and t.phone_hash = p_hash and t.outcome = 'which' and t.is_replied
      and t.meaning = v_answer.meaning and t.appointment_ids = v_answer.appointment_ids)
    and not exists (
      select from public.text_answers as t
      where t.org_id = p_org and t.phone_hash = p_hash and t.meaning = 'choice'
        and t.outcome in ('confirmed', 'cancelled') and t.received_at > v_answer.received_at)
    then v_answer end;
end
$$;

COMMENT ON FUNCTION private.find_question(p_org uuid, p_hash bytea, p_now timestamp with time zone) IS 'The newest question of which appointment is meant.';

CREATE FUNCTION private.find_reminded(p_org public.organizations, p_day date, p_now timestamp with time zone) RETURNS SETOF public.appointments
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
begin
  return query
  select a.*
  from public.providers as p
  join public.appointments as a on a.org_id = p.org_id and a.provider_id = p.id
    and a.starts_at >= p_day::timestamp at time zone p_org.timezone
    and a.starts_at < (p_day + 1)::timestamp at time zone p_org.timezone
    and a.created_at <= a.starts_at - make_interval(hours => p_org.reminder_notice_hours)
    and a.created_at <= ((p_day - 1) + make_interval(mins => p_org.reminder_min))
      at time zone p_org.timezone
  join public.contacts as c on c.org_id = a.org_id and c.id = a.contact_id
  where p.org_id = p_org.id and a.status = 'confirmed' and a.starts_at > p_now
    and private.text_refusal(p_org, 'reminder', a, c) is null;
end
$$;

COMMENT ON FUNCTION private.find_reminded(p_org public.organizations, p_day date, p_now timestamp with time zone) IS 'The appointments of a local day, still to come, whose patients are reminded.';

CREATE FUNCTION private.find_role(p_org uuid, p_user uuid) RETURNS text
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
  select m.role from public.org_members as m where m.org_id = p_org and m.user_id = p_user
$$;

COMMENT ON FUNCTION private.find_role(p_org uuid, p_user uuid) IS 'The role of an account in an organization, or null.';

CREATE FUNCTION private.find_service(p_org uuid, p_asked text) RETURNS public.services
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
declare
  v_asked text;
  v_service public.services;
begin
  select s.* into v_service from public.services as s
  where s.org_id = p_org and s.slug = p_asked and s.active;
  if found then
    return v_service;
  end if;
  -- "Face-Lift", "face lift" and "facelift" are the same.
  v_asked := replace(private.plain_name(p_asked), ' ', '');
  select s.* into v_service from public.services as s
  where s.org_id = p_org and s.active
    and v_asked in (replace(s.slug, '-', ''), replace(private.plain_name(s.name), ' ', ''))
  order by s.slug limit 1;
  return v_service;
end
$$;

COMMENT ON FUNCTION private.find_service(p_org uuid, p_asked text) IS 'The service of that slug or name, or null.';

CREATE TABLE public.assistants (
    org_id uuid NOT NULL,
    language text DEFAULT 'en'::text NOT NULL,
    voice text DEFAULT 'cartesia'::text NOT NULL,
    model text DEFAULT 'openai'::text NOT NULL,
    greeting text,
    records_calls boolean DEFAULT false NOT NULL,
    keeps_transcript boolean DEFAULT true NOT NULL,
    CONSTRAINT assistants_greeting_short CHECK (((length(btrim(greeting)) >= 1) AND (length(btrim(greeting)) <= 300))),
    CONSTRAINT assistants_language_tag CHECK ((language ~ '^[a-z]{2}(-[A-Za-z0-9]{2,8})?$'::text)),
    CONSTRAINT assistants_model_plain CHECK ((model ~ '^[a-z0-9-]{1,40}$'::text)),
    CONSTRAINT assistants_voice_plain CHECK ((voice ~ '^[a-z0-9-]{1,40}$'::text))
);

COMMENT ON TABLE public.assistants IS 'The voice, model and behavior of a clinic''s voice agent.';

COMMENT ON COLUMN public.assistants.greeting IS 'What the caller hears first; if null, a sentence that names the clinic.';

CREATE FUNCTION private.find_settings(p_org uuid) RETURNS public.assistants
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
declare
  v_kept public.assistants;
begin
  select a.* into v_kept from public.assistants as a where a.org_id = p_org;
  v_kept.org_id := p_org;
  v_kept.language := coalesce(v_kept.language, 'en');
  v_kept.voice := coalesce(v_kept.voice, 'cartesia');
  v_kept.model := coalesce(v_kept.model, 'openai');
  v_kept.records_calls := coalesce(v_kept.records_calls, false);
  v_kept.keeps_transcript := coalesce(v_kept.keeps_transcript, true);
  return v_kept;
end
$$;

COMMENT ON FUNCTION private.find_settings(p_org uuid) IS 'The settings of a clinic''s assistant; defaults if it has no row.';

CREATE FUNCTION private.find_starts(p_org uuid, p_service uuid, p_provider uuid, p_first date, p_last date, p_call_id text, p_at timestamp with time zone, p_moves uuid DEFAULT NULL::uuid, p_part text DEFAULT NULL::text) RETURNS TABLE(starts_at timestamp with time zone, provider_id uuid, seats_left integer)
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_memoize TO 'off'
    AS $$
declare
  v_org public.organizations;
  v_zone text;
  v_service public.services;
  v_duration interval;
  v_before interval;
  v_after interval;
  v_step interval;
  v_opens timestamptz;
  v_hours constant int4multirange := private.hours_of_part(p_part);
  v_first date;
  v_last date;
  v_day date;
  v_earliest timestamptz;
  v_latest timestamptz;
  v_reach tstzrange;
begin
  select o.* into strict v_org from public.organizations as o where o.id = p_org;
  v_zone := v_org.timezone;
  select s.* into strict v_service
  from public.services as s where s.org_id = p_org and s.id = p_service;
  v_duration := make_interval(mins => v_service.duration_min);
  v_before := make_interval(mins => v_service.buffer_before_min);
  v_after := make_interval(mins => v_service.buffer_after_min);
  v_step := make_interval(mins => v_service.step_min);
  v_opens := p_at + make_interval(mins => v_service.notice_min);
  v_first := greatest(p_first, (v_opens at time zone v_zone)::date);
  v_last := least(p_last, (p_at at time zone v_zone)::date + v_service.horizon_days);

  for v_n in 0 .. v_last - v_first loop
    v_day := v_first + v_n;
    v_earliest := greatest(v_opens,
      private.wall(v_day + make_interval(hours => lower(v_hours)), v_zone, false));
    v_latest := private.wall((v_day + 1)::timestamp, v_zone, false);
    if upper(v_hours) < 24 then
      v_latest := least(v_latest,
        private.wall(v_day + make_interval(hours => upper(v_hours)), v_zone, true));
    end if;
    -- A zone may skip a day.
    continue when v_earliest >= v_latest;
    v_reach := tstzrange(v_earliest - v_before, v_latest + v_duration + v_after);

    return query
    select g.starts_at, w.provider_id, l.seats
    from private.find_hours(v_org, p_service, p_provider, v_day) as w
    cross join lateral (
      -- The starts that appointments and time off make impossible. A row of the same group session does
      -- not rule out its own start, since others may join while there are seats.
      select coalesce(range_agg(x.impossible), '{}') as impossible
      from (
        select tstzmultirange(tstzrange(
            lower(a.busy) - v_duration - v_after, upper(a.busy) + v_before, '()'))
          - case when v_service.capacity > 1 and a.service_id = p_service
              then tstzmultirange(tstzrange(a.starts_at, a.starts_at, '[]'))
              else '{}' end as impossible
        from public.appointments as a
        where a.org_id = p_org and a.provider_id = w.provider_id
          and private.overlaps(a.busy, v_reach) and private.blocks(a, p_call_id, p_moves, p_at)
        union all
        select tstzmultirange(tstzrange(lower(t.span) - v_duration, upper(t.span),
          case when upper_inc(t.span) then '(]' else '()' end))
        from public.time_off as t
        where t.org_id = p_org and t.provider_id = w.provider_id
          and coalesce(upper(t.span), 'infinity') >= v_earliest
          and t.span && tstzrange(v_earliest, v_latest + v_duration)
      ) as x
    ) as b
    cross join lateral unnest(w.open) as whole (span)
    cross join lateral unnest(
      case when upper(whole.span) - v_duration >= lower(whole.span)
        then tstzmultirange(
            tstzrange(lower(whole.span), upper(whole.span) - v_duration, '[]')
            * tstzrange(v_earliest, v_latest)) - b.impossible
      end) as piece (span)
    cross join lateral generate_series(
      -- The first point of the grid inside the piece.
      date_bin(v_step, lower(piece.span) + v_step - interval '1 microsecond', lower(whole.span)),
      upper(piece.span), v_step) as g (starts_at)
    cross join lateral (
      select case when v_service.capacity = 1 then 1 else private.seats_left(
        p_org, v_service, w.provider_id, g.starts_at, p_call_id, p_at, p_moves) end as seats
    ) as l
    where g.starts_at <@ piece.span and l.seats > 0
      -- The night begins and ends the day, and an hour that is repeated may be in two parts.
      and (p_part is null
        or v_hours @> extract(hour from g.starts_at at time zone v_zone)::integer);
  end loop;
end
$$;

COMMENT ON FUNCTION private.find_starts(p_org uuid, p_service uuid, p_provider uuid, p_first date, p_last date, p_call_id text, p_at timestamp with time zone, p_moves uuid, p_part text) IS 'Every bookable start of a service in a part of the local days first to last, per provider, with seats left; the call''s own holds and the appointment p_moves do not block.';

CREATE FUNCTION private.find_tampering(p_org uuid) RETURNS TABLE(seal integer, finding text, row_id uuid, at timestamp with time zone)
    LANGUAGE sql STABLE
    SET search_path TO ''
    SET jit TO 'off'
    AS $$
  with seals as (
    select s.*, lag(s.number, 1, 0) over n as number_before, lag(s.hash) over n as hash_before
    from private.audit_seals as s where s.org_id = p_org window n as (order by s.number)
  ), covered as materialized (
    select s.number, r.id, r.at, r.digest
    from seals as s cross join lateral unnest(s.ids, s.times, s.digests) as r (id, at, digest)
  ), written as materialized (
    select l.id, l.at, l.transaction_id, private.digest_row(l) as digest
    from public.audit_logs as l where l.org_id = p_org
  )
  select s.number, case when s.number = s.number_before + 1 then 'seal_changed' else 'seals_removed' end,
    null::uuid, s.sealed_at
  from seals as s
  where s.number <> s.number_before + 1 or s.hash <> private.hash_seal(
    s.org_id, s.number, s.sealed_at, s.ids, s.times, s.digests, s.hash_before)
  union all
  select c.number, case when w.id is null then 'row_removed' else 'row_changed' end, c.id, c.at
  from covered as c left join written as w on w.id = c.id
  where w.id is null and not exists (
      select from private.audit_purges as p where p.org_id = p_org and c.at < p.purged_before)
    or w.digest <> c.digest
  union all
  select null, 'row_added', w.id, w.at
  from written as w join private.audit_sealing as s on w.transaction_id <= s.through
  where not exists (select from covered as c where c.id = w.id) and private.is_sealed_here(s)
  union all
  select null, 'purge_early', null, p.purged_before
  from private.audit_purges as p
  where p.org_id = p_org and p.purged_before > clock_timestamp() - interval '30 days'
$$;

COMMENT ON FUNCTION private.find_tampering(p_org uuid) IS 'What in an organization''s audit log does not match its seals.';

CREATE FUNCTION private.find_unguarded(p_org uuid, p_provider uuid, p_from timestamp with time zone, p_id uuid DEFAULT NULL::uuid) RETURNS uuid[]
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_session constant uuid := gen_random_uuid();
  v_ids uuid[];
begin
  with probes as (
    insert into public.appointments (
      org_id, provider_id, service_id, patient_name, patient_phone, starts_at, ends_at, busy,
      session_key, seat, capacity, expires_at, call_id)
    select p_org, p_provider, a.service_id, 'Nobody', '+10000000', lower(a.busy), upper(a.busy),
      a.busy, v_session,
      -- Beyond the seats that a service can have, and a different one for each probe.
      1000 + row_number() over (), 2147483647, 'infinity', a.id
    from public.appointments as a
    where a.org_id = p_org and a.provider_id = p_provider and private.takes_time(a)
      and private.overlaps(a.busy, tstzrange(p_from, 'infinity')) and a.id = coalesce(p_id, a.id)
    on conflict do nothing
    returning call_id
  )
  select array_agg(p.call_id::uuid) into v_ids from probes as p;
  if v_ids is not null then
    raise exception using errcode = 'MO002', message = 'probes are rolled back';
  end if;
  return '{}';
exception when sqlstate 'MO002' then
  return v_ids;
end
$$;

COMMENT ON FUNCTION private.find_unguarded(p_org uuid, p_provider uuid, p_from timestamp with time zone, p_id uuid) IS 'Ids of a provider''s rows, from a time on, that the exclusion constraint does not see.';

CREATE FUNCTION private.find_waiting(p_org public.organizations, p_call_id text, p_hold text, p_now timestamp with time zone, OUT hold public.appointments, OUT phone text, OUT country text, OUT purpose text, OUT refusal jsonb) RETURNS record
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
declare
  v_id constant uuid := private.read_id(p_hold);
  v_change public.appointment_changes := private.find_change(p_org.id, p_call_id);
  v_waiting public.appointments[] := array(
    select h from private.find_holds(p_org.id, p_call_id, p_now) as h order by h.updated_at desc);
  v_named public.appointments;
  v_newest public.appointments;
  v_state jsonb;
begin
  if v_id is not null then
    select a.* into v_named from public.appointments as a
    where a.org_id = p_org.id and a.id = v_id and a.call_id = p_call_id;
    select w.* into hold from unnest(v_waiting) as w where w.id = v_id;
    if hold.id is null and not private.is_new_time(p_org.id, v_named) then
      v_state := private.describe_state(p_org, v_named, p_now);
      if v_named.id is null or v_state ->> 'outcome' in ('hold_expired', 'locked')
        or v_waiting = '{}' and (v_change.call_id is null or v_change.applied_at is not null) then
        refusal := v_state;
        return;
      end if;
    end if;
  end if;
  if hold.id is null then
    hold := v_waiting[1];
    if v_change.applied_at is null and v_change.opened_at > coalesce(hold.updated_at, '-infinity') then
      hold := null;
      phone := v_change.patient_phone;
      country := v_change.patient_country;
    end if;
  end if;
  if hold.id is null and phone is null then
    select m.* into v_newest from private.rows_of_call(p_org.id, p_call_id) as m
    order by m.updated_at desc limit 1;
    refusal := case when v_change.applied_at >= coalesce(v_newest.updated_at, '-infinity')
      then private.describe_change(p_org, v_change, p_now)
      else private.describe_state(p_org, v_newest, p_now) end;
    return;
  end if;
  if phone is null then
    phone := hold.patient_phone;
    country := hold.patient_country;
  else
    select w.* into hold from unnest(v_waiting) as w
    where w.patient_phone = find_waiting.phone limit 1;
  end if;
  purpose := case when hold.id is null then 'change' else 'confirm' end;
end
$$;

COMMENT ON FUNCTION private.find_waiting(p_org public.organizations, p_call_id text, p_hold text, p_now timestamp with time zone, OUT hold public.appointments, OUT phone text, OUT country text, OUT purpose text, OUT refusal jsonb) IS 'The hold or change of a call that waits for a passcode, and its phone.';

CREATE FUNCTION private.fit(p_words text[], p_fact text[], p_nearly boolean) RETURNS real
    LANGUAGE sql IMMUTABLE STRICT
    SET search_path TO ''
    AS $$
  select coalesce(sum(case
    when w = any (p_fact) then 1
    when p_nearly and exists (
      select from unnest(p_fact) as f where extensions.similarity(w, f) >= 0.5) then 0.75
    else 0 end) / nullif(cardinality(p_words), 0), 0)::real
  from unnest(p_words) as w
$$;

COMMENT ON FUNCTION private.fit(p_words text[], p_fact text[], p_nearly boolean) IS 'The share of a question''s words that a fact has, 0 to 1. A similar word counts for three quarters.';

CREATE FUNCTION private.fits_when(p_org public.organizations, p_appointment public.appointments, p_said jsonb) RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
begin
  return coalesce(p_said ->> 'date'
      = to_char(p_appointment.starts_at at time zone p_org.timezone, 'YYYY-MM-DD'), true)
    and private.is_said_time(p_appointment.starts_at, p_org.timezone, p_said -> 'time');
end
$$;

COMMENT ON FUNCTION private.fits_when(p_org public.organizations, p_appointment public.appointments, p_said jsonb) IS 'Whether an appointment is on the day and at the time that were said, as far as they were.';

CREATE FUNCTION private.fitting_appointments(p_org public.organizations, p_change public.appointment_changes, p_call_id text, p_at timestamp with time zone) RETURNS SETOF public.appointments
    LANGUAGE plpgsql STABLE ROWS 2
    SET search_path TO ''
    AS $$
declare
  v_said constant jsonb := p_change.said;
  v_fits public.appointments[];
  v_with_doctor public.appointments[];
  v_appointment public.appointments;
begin
  v_fits := array(
    select a from private.upcoming_appointments(p_org.id,
      case when p_change.kind is distinct from 'cancel' then p_call_id end,
      p_change.patient_phone, p_at) as a
    where private.is_same_name(p_change.patient_name, a.patient_name)
      and (a.status = 'confirmed' or a.created_at < p_change.opened_at)
      and a.id = coalesce(private.read_id(v_said ->> 'id'), a.id)
      and private.fits_when(p_org, a, v_said)
    order by a.starts_at, a.id);
  v_with_doctor := array(
    select a from unnest(v_fits) as a where private.is_with(p_org.id, a, v_said ->> 'provider'));
  if cardinality(v_with_doctor) > 0 then
    v_fits := v_with_doctor;
  end if;
  -- One by one: a query of the array alone would return rows without the column of a later migration.
  foreach v_appointment in array v_fits loop
    return next v_appointment;
  end loop;
end
$$;

COMMENT ON FUNCTION private.fitting_appointments(p_org public.organizations, p_change public.appointment_changes, p_call_id text, p_at timestamp with time zone) IS 'The upcoming appointments of a proven number that fit a request, by start.';

CREATE FUNCTION private.fold_events(p_limit integer) RETURNS integer
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_count integer;
begin
  with taken as (
    delete from public.metric_events as e
    where e.id in (select n.id from public.metric_events as n limit p_limit)
    returning e.at, e.name, e.labels, e.value
  ), by_minute as (
    select date_trunc('minute', t.at) as minute, t.name, t.labels, sum(t.value) as value,
      count(*) as events
    from taken as t group by 1, 2, 3
  ), minutes as (
    insert into public.metric_minutes as m (minute, name, labels, value)
    select b.minute, b.name, b.labels, b.value from by_minute as b
    on conflict (minute, name, labels) do update set value = m.value + excluded.value
  ), totals as (
    insert into public.metric_totals as t (name, labels, value)
    select b.name, b.labels, sum(b.value) from by_minute as b group by b.name, b.labels
    on conflict (name, labels) do update set value = t.value + excluded.value
  )
  select coalesce(sum(b.events), 0) into v_count from by_minute as b;
  return v_count;
end
$$;

COMMENT ON FUNCTION private.fold_events(p_limit integer) IS 'Moves events from the queue into the counters.';

CREATE FUNCTION private.follow_up_refusal(p_org public.organizations, p_hold public.appointments, p_now timestamp with time zone) RETURNS text
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_phone constant bytea := private.hash_phone(p_hold.patient_phone);
  v_sent timestamptz[];
begin
  select n.followed_up_at into v_sent from public.phone_counts as n where n.phone_hash = v_phone;
  return case
    when not exists (
      select from public.calls as c
      where c.org_id = p_org.id and c.call_id = p_hold.call_id and c.caller_hash = v_phone)
      and not private.is_proven(p_org.id, p_hold.call_id, v_phone, p_now) then 'other_number'
    when not coalesce(p_hold.patient_country = any (p_org.sms_countries), false)
      then 'blocked_country'
    when private.is_blocked(p_org.id, v_phone)
      or private.count_since(v_sent, p_now - interval '1 hour') >= 1
      or private.count_since(v_sent, p_now - interval '1 day') >= 2 then 'phone_send_limit'
    when (
      select count(*) from public.sms_messages as m
      where m.org_id = p_org.id and m.created_at > p_now - interval '1 hour'
        and m.origin = 'follow_up' and m.status <> 'refused')
      >= greatest(1, p_org.sms_hourly_limit / 5) then 'org_send_limit'
  end;
end
$$;

COMMENT ON FUNCTION private.follow_up_refusal(p_org public.organizations, p_hold public.appointments, p_now timestamp with time zone) IS 'Why the phone of a hold gets no follow-up, or null.';

CREATE FUNCTION private.forget_old_phone(p_org uuid, p_hold public.appointments) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
  if not exists (
    select from public.appointments as a
    where a.org_id = p_org and a.call_id = p_hold.call_id and a.status = 'held'
      and not private.is_kept(a) and a.patient_phone = p_hold.patient_phone and a.id <> p_hold.id)
    and not exists (
      select from public.appointment_changes as c
      where c.org_id = p_org and c.call_id = p_hold.call_id and c.applied_at is null
        and c.patient_phone = p_hold.patient_phone) then
    perform private.forget_passcode(
      p_org, p_hold.call_id, private.hash_phone(p_hold.patient_phone));
  end if;
end
$$;

COMMENT ON FUNCTION private.forget_old_phone(p_org uuid, p_hold public.appointments) IS 'Forgets the code of a number that a hold no longer has.';

CREATE FUNCTION private.forget_passcode(p_org uuid, p_call_id text, p_phone bytea) RETURNS void
    LANGUAGE sql
    SET search_path TO ''
    AS $$
  update public.one_time_passcodes as c
  set state = 'replaced', mac = null
  where c.org_id = p_org and c.call_id = p_call_id and c.phone_hash = p_phone
    and c.state in ('sending', 'sent')
$$;

COMMENT ON FUNCTION private.forget_passcode(p_org uuid, p_call_id text, p_phone bytea) IS 'Makes the code of a phone in a call unusable and lifts its cooldown; counts stay.';

CREATE FUNCTION private.hand_over_holds(p_org public.organizations, p_call jsonb, p_entered public.calls, p_named uuid, p_phones text[], p_now timestamp with time zone) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_phones constant text[] := array(
    select p from unnest(p_phones) as p
    cross join lateral (select private.hash_phone(p)) as h (hash)
    join public.calls as c on c.org_id = p_org.id and c.call_id = p_entered.call_id
    where not private.is_proven(p_org.id, c.call_id, h.hash, p_now)
      and (c.attempts >= p_org.call_attempts
        or private.attempts_left(p_org, p_entered, h.hash, p_now) <= 0
        or c.sends >= p_org.call_sends and not exists (
          select from public.one_time_passcodes as o
          where o.org_id = c.org_id and o.call_id = c.call_id and o.phone_hash = h.hash
            and o.mac is not null)));
  v_answers_at constant timestamptz := private.desk_answers_at(p_org, p_now);
  v_kept public.appointments;
  v_keys bytea[];
  v_hold public.appointments;
begin
  perform private.lock_holds(p_org.id, p_entered.call_id);
  select h.* into v_kept from private.find_holds(p_org.id, p_entered.call_id, p_now) as h
  where h.patient_phone = any (v_phones) and h.starts_at > v_answers_at
  order by (h.id = p_named) is true desc, h.updated_at desc limit 1;
  if v_kept.id is not null then
    v_keys := array[
      private.caller_key(p_org.id, p_entered), private.hash_phone(v_kept.patient_phone)];
    if private.may_keep(p_org, v_keys, p_now) then
      insert into public.phone_counts as n (phone_hash, kept_at)
      select distinct k.hash, array[p_now] from unnest(v_keys) as k (hash)
      on conflict (phone_hash) do update set changed_at = p_now,
        kept_at = private.keep_since(n.kept_at, p_now - interval '1 day') || p_now;
    else
      v_kept := null;
    end if;
  end if;
  for v_hold in
    update public.appointments as a
    set handed_over_at = p_now, updated_at = p_now,
      status = case when a.id = v_kept.id then 'held' else 'requires_manual_followup' end,
      expires_at = case when a.id = v_kept.id
        then least(a.starts_at, v_answers_at + make_interval(mins => p_org.desk_hold_minutes))
        else a.expires_at end
    where a.org_id = p_org.id and a.call_id = p_entered.call_id
      and a.patient_phone = any (v_phones) and a.status = 'held' and not private.is_kept(a)
      and not private.is_new_time(p_org.id, a)
    returning a.*
  loop
    perform private.audit(p_org.id, p_call, 'hand_over', v_hold.id,
      case v_hold.status when 'held' then 'kept' else 'given_up' end);
    perform private.tell_of_booking(p_org.id, v_hold.id, 'followup');
  end loop;
exception when lock_not_available or deadlock_detected then
  null;
end
$$;

COMMENT ON FUNCTION private.hand_over_holds(p_org public.organizations, p_call jsonb, p_entered public.calls, p_named uuid, p_phones text[], p_now timestamp with time zone) IS 'Leaves the holds of a call that wait for these phones to the front desk, and keeps one of them for it.';

CREATE FUNCTION private.handle_notice(p_org uuid, p_kind text, p_id uuid) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_now constant timestamptz := clock_timestamp();
  v_handled_at timestamptz;
  v_id uuid;
begin
  if p_kind = 'message' then
    select m.id, m.handled_at into v_id, v_handled_at from public.desk_messages as m
    where m.org_id = p_org and m.id = p_id for no key update;
    update public.desk_messages as m set handled_at = v_now, handled_by = auth.uid()
    where m.org_id = p_org and m.id = v_id and v_handled_at is null;
  elsif p_kind = 'text' then
    select s.id, s.handled_at into v_id, v_handled_at from public.sms_messages as s
    where s.org_id = p_org and s.id = p_id for no key update;
    update public.sms_messages as s set handled_at = v_now, handled_by = auth.uid()
    where s.org_id = p_org and s.id = v_id and v_handled_at is null;
  elsif p_kind = 'alarm' then
    select a.id, a.handled_at into v_id, v_handled_at from public.alarms as a
    where a.org_id = p_org and a.id = p_id for no key update;
    update public.alarms as a set handled_at = v_now, handled_by = auth.uid()
    where a.org_id = p_org and a.id = v_id and v_handled_at is null;
  else
    return '{"outcome": "unknown_kind"}';
  end if;
  return case when v_id is null then '{"outcome": "unknown_notice"}'::jsonb
    when v_handled_at is null then '{"outcome": "handled"}' else '{"outcome": "unchanged"}' end;
end
$$;

COMMENT ON FUNCTION private.handle_notice(p_org uuid, p_kind text, p_id uuid) IS 'Notes that the desk has dealt with a message, a text that did not arrive, or an alarm.';

CREATE FUNCTION private.has_expired(p_row public.appointments, p_at timestamp with time zone) RETURNS boolean
    LANGUAGE sql IMMUTABLE
    RETURN (((p_row).status = 'expired'::text) OR (((p_row).status = 'held'::text) AND ((p_row).handed_over_at IS NULL) AND (COALESCE((p_row).expires_at, 'infinity'::timestamp with time zone) <= p_at)));

COMMENT ON FUNCTION private.has_expired(p_row public.appointments, p_at timestamp with time zone) IS 'Whether a row is a hold that has expired before its passcode, cleaned up or not.';

CREATE FUNCTION private.has_other_title(p_one text, p_other text) RETURNS boolean
    LANGUAGE sql IMMUTABLE STRICT
    SET search_path TO ''
    AS $$
  select coalesce((n.one = 'mr') <> (n.other = 'mr'), false)
  from (
    select substring(lower(btrim(p_one)) from '^(mr|mrs|ms|miss)\M') as one,
      substring(lower(btrim(p_other)) from '^(mr|mrs|ms|miss)\M') as other) as n
$$;

COMMENT ON FUNCTION private.has_other_title(p_one text, p_other text) IS 'Whether one of two names is a man''s by its title, and the other a woman''s.';

CREATE FUNCTION private.has_texts_left(p_org public.organizations, p_origin text, p_now timestamp with time zone) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_tenth constant integer := greatest(1, p_org.sms_hourly_limit / 10);
  v_all integer;
  v_others integer;
  v_unknown integer;
begin
  perform pg_advisory_xact_lock(hashtextextended(p_org.id || '/sms', 0));
  select count(*), count(*) filter (where m.origin <> 'own_number'),
    count(*) filter (where m.origin = 'no_number')
  into v_all, v_others, v_unknown
  from public.sms_messages as m
  where m.org_id = p_org.id and m.created_at > p_now - interval '1 hour'
    and m.origin <> 'follow_up' and not private.is_appointment_text(m.origin)
    -- The text of a change always counts, even if it was refused or not due.
    and (m.status <> 'refused' or m.appointment_id is null);
  return v_all < p_org.sms_hourly_limit and (p_origin = 'own_number'
    or v_all < p_org.sms_hourly_limit - p_org.sms_hourly_limit / 5
      and (p_origin <> 'no_number' or v_unknown < v_tenth)
      and (v_others < v_tenth or not private.is_braked(p_org.id, p_now)));
end
$$;

COMMENT ON FUNCTION private.has_texts_left(p_org public.organizations, p_origin text, p_now timestamp with time zone) IS 'Whether an organization may send one more text this hour for a call of that origin.';

CREATE FUNCTION private.has_vault() RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
  select to_regclass('vault.decrypted_secrets') is not null
    and to_regproc('vault.create_secret') is not null
$$;

COMMENT ON FUNCTION private.has_vault() IS 'Whether this database has Supabase Vault.';

CREATE FUNCTION private.hash_seal(p_org uuid, p_number integer, p_sealed_at timestamp with time zone, p_ids uuid[], p_times timestamp with time zone[], p_digests bytea[], p_previous bytea) RETURNS bytea
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
  select sha256(coalesce(p_previous, '') || uuid_send(p_org) || int4send(p_number)
    || timestamptz_send(p_sealed_at)
    || string_agg(uuid_send(r.id) || timestamptz_send(r.at) || r.digest, '' order by r.n))
  from unnest(p_ids, p_times, p_digests) with ordinality as r (id, at, digest, n)
$$;

COMMENT ON FUNCTION private.hash_seal(p_org uuid, p_number integer, p_sealed_at timestamp with time zone, p_ids uuid[], p_times timestamp with time zone[], p_digests bytea[], p_previous bytea) IS 'The hash that a seal must have; the first seal has no previous one.';

CREATE FUNCTION private.hold_limit(p_org public.organizations, p_call public.calls, p_phone bytea, p_replaced uuid, p_at timestamp with time zone) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
declare
  v_known constant boolean := p_call.caller_hash is not null;
  v_mine integer;
  v_caller record;
begin
  if private.is_blocked(p_org.id, p_call.caller_hash, p_phone) then
    return 'caller';
  end if;
  select count(*) into v_mine from public.appointments as a
  where a.org_id = p_org.id and a.call_id = p_call.call_id and private.is_held(a, p_at)
    and a.id is distinct from p_replaced;
  v_caller := private.count_holds(p_org.id, private.caller_key(p_org.id, p_call), p_replaced, p_at);
  return case
    when v_mine >= case when v_known then p_org.call_holds else p_org.unknown_call_holds end
      then 'call'
    when v_known and (v_caller.live_by >= p_org.caller_holds
      or v_caller.made >= p_org.caller_hourly_holds) then 'caller'
    when not v_known and v_caller.live_by >= p_org.unknown_caller_holds then 'clinic'
    when private.is_phone_full(p_org, p_call, p_phone, p_replaced, p_at) then 'phone'
  end;
end
$$;

COMMENT ON FUNCTION private.hold_limit(p_org public.organizations, p_call public.calls, p_phone bytea, p_replaced uuid, p_at timestamp with time zone) IS 'Whose limit of holds is reached, or null.';

CREATE FUNCTION private.hold_slot(p_org public.organizations, p_call jsonb, p_slot_id text, p_patient jsonb, p_hold uuid) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_name constant text := p_patient ->> 'name';
  v_phone constant bytea := private.hash_phone(p_patient ->> 'phone');
  v_hash constant bytea :=
    sha256(convert_to(jsonb_build_array(p_patient, p_hold, p_slot_id)::text, 'UTF8'));
  v_wanted private.wanted_slot;
  v_call public.calls;
  v_found record;
  v_now timestamptz;
  v_old public.appointments;
  v_confirmed public.appointments;
  v_answer jsonb;
begin
  -- Also if it is refused: the name must not be in the report of the call.
  v_call := private.enter_call(p_org, p_call, v_name);
  perform private.lock_phones(array[private.caller_key(p_org.id, v_call), v_phone]);
  -- Staff may have changed the clinic while this waited.
  select o as org,
    exists (
      select from public.org_channels as c
      where c.org_id = o.id and c.kind = 'called_number' and c.value = p_patient ->> 'phone')
      as is_clinics_phone,
    exists (
      select from public.appointments as a
      where a.org_id = o.id and a.call_id = v_call.call_id) as has_held
  into v_found
  from public.organizations as o where o.id = p_org.id;
  if not found then
    return '{"outcome": "unknown_clinic"}';
  end if;
  p_org := v_found.org;
  if v_found.is_clinics_phone then
    return '{"outcome": "unusable_phone"}';
  elsif p_patient ->> 'country' <> all (p_org.sms_countries) then
    -- No code could reach it: another number is asked for now, while there is nothing to lose.
    perform private.audit(p_org.id, p_call, 'hold_slot', null, 'blocked_country');
    return jsonb_strip_nulls(jsonb_build_object('outcome', 'blocked_country', 'orgId', p_org.id,
      'alarm', private.count_for_alarm(p_org, 'refused_sends', clock_timestamp())));
  end if;
  v_wanted := private.read_wanted(p_org, p_slot_id);
  if v_wanted.starts_at is null then
    return '{"outcome": "invalid_slot"}';
  end if;
  v_now := clock_timestamp();
  -- Most calls ask for their first hold, and skip all of this.
  if v_found.has_held then
    v_old := private.find_own_hold(p_org.id, v_call.call_id, p_hold, v_name, v_now);
    v_confirmed := private.find_confirmed(p_org.id, v_call.call_id, v_wanted, v_name);
    v_answer := private.answer_without_claim(
      p_org, p_call, v_wanted, p_patient, v_hash, v_old, v_confirmed, v_now);
    if v_answer is not null then
      return jsonb_build_object('textsCode', p_org.texts_at_hold) || v_answer;
    end if;
  end if;
  if v_old.id is null and v_call.caller_hash = v_phone then
    v_old := private.find_left_hold(p_org.id, v_call, v_wanted, p_patient, v_now);
    if private.is_wanted(v_wanted, v_old) then
      v_old := case when private.take_over(p_org.id, p_call, v_old.id) then v_old end;
    end if;
  end if;
  v_answer := case when private.is_wanted(v_wanted, v_old)
    then private.repeat_hold(p_org, p_call, v_call, v_old.id, p_patient)
    else private.claim_start(p_org, p_call, v_call, 'hold_slot', v_wanted, p_patient, v_old, null) end;
  if v_answer ->> 'outcome' <> 'held' then
    perform private.record_answer(p_org.id, p_call, 'hold_slot', v_hash, v_answer);
    return v_answer;
  end if;
  return v_answer || jsonb_strip_nulls(jsonb_build_object(
    -- A call that has asked for no text has proven nothing.
    'proven', v_call.sends > 0 and private.is_proven(p_org.id, v_call.call_id, v_phone, v_now),
    'textsCode', p_org.texts_at_hold,
    'alsoConfirmed', private.iso_local(v_confirmed.starts_at, p_org.timezone)))
    || case when v_found.has_held then private.describe_beside(
      p_org, v_call.call_id, private.read_id(v_answer ->> 'holdId'), v_now) else '{}' end;
end
$$;

COMMENT ON FUNCTION private.hold_slot(p_org public.organizations, p_call jsonb, p_slot_id text, p_patient jsonb, p_hold uuid) IS 'Holds a slot for one patient of a call, or says why not.';

CREATE FUNCTION private.host_of(p_address text) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT
    RETURN "substring"(p_address, '^https://([^/?#]+)'::text);

COMMENT ON FUNCTION private.host_of(p_address text) IS 'All of a calendar''s address that may be shown.';

CREATE FUNCTION private.hours_of_part(p_part text) RETURNS int4multirange
    LANGUAGE sql IMMUTABLE
    RETURN CASE p_part WHEN 'am'::text THEN '{[0,12)}'::int4multirange WHEN 'pm'::text THEN '{[12,24)}'::int4multirange WHEN 'morning'::text THEN '{[6,12)}'::int4multirange WHEN 'afternoon'::text THEN '{[12,17)}'::int4multirange WHEN 'evening'::text THEN '{[17,24)}'::int4multirange WHEN 'night'::text THEN '{[0,6),[21,24)}'::int4multirange ELSE '{[0,24)}'::int4multirange END;

COMMENT ON FUNCTION private.hours_of_part(p_part text) IS 'The hours of the clock that belong to a part of the day; null is the whole day.';

CREATE FUNCTION private.insert_hold(p_org public.organizations, p_call jsonb, p_action text, p_wanted private.wanted_slot, p_patient jsonb, p_old public.appointments, p_moves public.appointments, OUT hold public.appointments, OUT was_free boolean) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_named constant uuid := (p_wanted.provider).id;
  v_service constant uuid := (p_wanted.service).id;
  v_busy constant tstzrange := private.busy_time(p_wanted.service, p_wanted.starts_at);
  v_shared constant uuid := case when (p_wanted.service).capacity > 1
    then private.session_key(v_service, p_wanted.starts_at) end;
  v_preferred constant uuid[] := array[v_named, p_old.provider_id, p_moves.provider_id];
  v_hold_for constant interval := make_interval(mins => p_org.hold_minutes);
  v_candidates uuid[];
  v_candidate uuid;
  v_tried record;
begin
  if v_named is not null then
    v_tried := private.try_provider(p_org.id, v_named, v_service, p_wanted.starts_at,
      case when v_named = p_old.provider_id then p_old.id end, p_moves.id, p_wait => false,
      p_patient => p_patient, p_call => p_call, p_action => p_action, p_hold_for => v_hold_for);
    hold := v_tried.hold;
    was_free := hold.id is not null;
    if not v_tried.was_locked then
      return;
    end if;
  end if;
  v_candidates := private.choose_providers(p_org, p_wanted, p_old, p_moves, clock_timestamp());
  was_free := v_candidates is not null;
  foreach v_candidate in array coalesce(v_candidates, '{}') loop
    v_tried := private.try_provider(p_org.id, v_candidate, v_service, p_wanted.starts_at,
      case when v_candidate = p_old.provider_id then p_old.id end, p_moves.id,
      p_wait => coalesce(v_candidate = any (v_preferred), false),
      p_patient => p_patient, p_call => p_call, p_action => p_action, p_hold_for => v_hold_for);
    hold := v_tried.hold;
    if hold.id is not null then
      return;
    end if;
  end loop;
  foreach v_candidate in array coalesce(v_candidates, '{}') loop
    continue when v_candidate = any (v_preferred)
      or private.would_overlap(p_org.id, v_candidate, v_busy, v_shared, clock_timestamp());
    v_tried := private.try_provider(p_org.id, v_candidate, v_service, p_wanted.starts_at,
      null, p_moves.id, p_wait => true, p_patient => p_patient, p_call => p_call,
      p_action => p_action, p_hold_for => v_hold_for);
    hold := v_tried.hold;
    if hold.id is not null then
      return;
    end if;
  end loop;
end
$$;

COMMENT ON FUNCTION private.insert_hold(p_org public.organizations, p_call jsonb, p_action text, p_wanted private.wanted_slot, p_patient jsonb, p_old public.appointments, p_moves public.appointments, OUT hold public.appointments, OUT was_free boolean) IS 'The new hold, at the first provider who has the time, or nulls and whether anybody seemed free.';

CREATE FUNCTION private.insert_seat(p_org uuid, p_hold public.appointments) RETURNS public.appointments
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_hold public.appointments;
begin
  for v_seat in 0 .. p_hold.capacity - 1 loop
    continue when p_hold.capacity > 1 and exists (
      select from public.appointments as a
      where a.org_id = p_org and a.provider_id = p_hold.provider_id
        and a.service_id = p_hold.service_id and a.starts_at = p_hold.starts_at
        and a.seat = v_seat and private.takes_time(a));
    insert into public.appointments as a (
      org_id, provider_id, service_id, patient_name, patient_phone, patient_country,
      starts_at, ends_at, busy, session_key, seat, capacity, status, expires_at, call_id, asked_by
    ) values (
      p_org, p_hold.provider_id, p_hold.service_id, p_hold.patient_name, p_hold.patient_phone,
      p_hold.patient_country, p_hold.starts_at, p_hold.ends_at, p_hold.busy,
      p_hold.session_key, v_seat, p_hold.capacity, 'held', p_hold.expires_at, p_hold.call_id,
      p_hold.asked_by
    )
    on conflict do nothing
    returning a.* into v_hold;
    exit when v_hold.id is not null;
  end loop;
  return v_hold;
end
$$;

COMMENT ON FUNCTION private.insert_seat(p_org uuid, p_hold public.appointments) IS 'Inserts a hold at the lowest free seat, or returns nulls.';

CREATE FUNCTION private.is_blocked(p_org uuid, VARIADIC p_phones bytea[]) RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
begin
  return exists (
    select from public.blocked_numbers as b
    where b.org_id = p_org and b.phone_hash = any (p_phones));
end
$$;

COMMENT ON FUNCTION private.is_blocked(p_org uuid, VARIADIC p_phones bytea[]) IS 'Whether an organization has blocked one of these numbers.';

CREATE FUNCTION private.is_booking(p_org uuid, p_call_id text, p_earlier public.appointment_changes, p_wanted private.wanted_slot, p_patient jsonb, p_now timestamp with time zone) RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
begin
  return exists (
      select from private.find_holds(p_org, p_call_id, p_now) as h
      where private.is_wanted(p_wanted, h) and private.is_for_patient(h, p_patient))
    or coalesce(p_earlier.is_booking and p_earlier.applied_at is null and p_earlier.hold_id is not null
      and p_earlier.patient_phone = p_patient ->> 'phone'
      and private.is_same_patient(p_earlier.patient_name, p_patient ->> 'name'), false);
end
$$;

COMMENT ON FUNCTION private.is_booking(p_org uuid, p_call_id text, p_earlier public.appointment_changes, p_wanted private.wanted_slot, p_patient jsonb, p_now timestamp with time zone) IS 'Whether a requested new time takes the place of what the call was about to book.';

CREATE FUNCTION private.is_braked(p_org uuid, p_now timestamp with time zone) RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
begin
  return exists (
    select from public.alarms as a
    where a.org_id = p_org and a.raised_at > p_now - interval '1 hour' and a.cleared_at is null
      and a.kind in ('wrong_codes', 'refused_sends', 'other_numbers'));
end
$$;

COMMENT ON FUNCTION private.is_braked(p_org uuid, p_now timestamp with time zone) IS 'Whether an alarm about an attack on an organization is on.';

CREATE FUNCTION private.is_code(p_code public.one_time_passcodes, p_macs jsonb) RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
begin
  return exists (
    select from jsonb_to_recordset(p_macs) as m ("keyId" text, mac text)
    where m."keyId" = p_code.key_id and private.bind_mac(
      m.mac, p_code.org_id, p_code.call_id, p_code.phone_hash, p_code.send_id) = p_code.mac);
end
$$;

COMMENT ON FUNCTION private.is_code(p_code public.one_time_passcodes, p_macs jsonb) IS 'Whether digits are a passcode, by their MACs.';

CREATE FUNCTION private.is_fault_of_number(p_error_code integer) RETURNS boolean
    LANGUAGE sql IMMUTABLE
    RETURN COALESCE((p_error_code = ANY (ARRAY[21610, 30003, 30004, 30005, 30006])), false);

COMMENT ON FUNCTION private.is_fault_of_number(p_error_code integer) IS 'Whether a text failed because of its number, and not because texting fails.';

CREATE FUNCTION private.is_for_patient(p_hold public.appointments, p_patient jsonb) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO ''
    AS $$
begin
  return p_hold.patient_phone = p_patient ->> 'phone'
    and private.is_same_patient(p_patient ->> 'name', p_hold.patient_name);
end
$$;

COMMENT ON FUNCTION private.is_for_patient(p_hold public.appointments, p_patient jsonb) IS 'Whether a hold is for the patient of that name and phone.';

CREATE FUNCTION private.is_kept(p_row public.appointments) RETURNS boolean
    LANGUAGE sql IMMUTABLE
    RETURN (((p_row).status = 'held'::text) AND ((p_row).handed_over_at IS NOT NULL));

COMMENT ON FUNCTION private.is_kept(p_row public.appointments) IS 'Whether a hold, live or not, is kept for the front desk: its call has it no longer.';

CREATE FUNCTION private.is_known_number(p_org uuid, p_phone text) RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
begin
  return exists (
      select from public.contacts as c
      where c.org_id = p_org and c.phone = p_phone and c.proven_at is not null)
    or exists (
      select from public.appointments as a
      where a.org_id = p_org and a.patient_phone = p_phone and a.call_id is not null
        and a.status in ('held', 'expired', 'requires_manual_followup'));
end
$$;

COMMENT ON FUNCTION private.is_known_number(p_org uuid, p_phone text) IS 'Whether a number was proven to an organization, or a call holds or held a time for it there.';

CREATE FUNCTION private.is_left_to(p_org uuid, p_hold public.appointments, p_call_id text) RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
begin
  return exists (
    select from public.calls as mine
    join public.calls as theirs on theirs.org_id = mine.org_id and theirs.call_id = p_hold.call_id
    where mine.org_id = p_org and mine.call_id = p_call_id
      and mine.caller_hash = private.hash_phone(p_hold.patient_phone)
      and theirs.caller_hash = mine.caller_hash and theirs.created_at < mine.created_at);
end
$$;

COMMENT ON FUNCTION private.is_left_to(p_org uuid, p_hold public.appointments, p_call_id text) IS 'Whether a later call may take over a hold of a dropped call.';

CREATE FUNCTION private.is_named_in(p_name text, p_text text) RETURNS boolean
    LANGUAGE sql IMMUTABLE STRICT
    SET search_path TO ''
    AS $$
  select (private.words_of(private.plain_name(p_name))
      || private.words_of(private.plain_name(private.write_umlauts(p_name))))
    && (private.words_of(private.plain_name(t.text))
      || private.words_of(private.plain_name(private.write_umlauts(t.text))))
  from (select regexp_replace(p_text, '[''`\u2018\u2019\u02bc]s\M', '', 'gi') as text) as t
$$;

COMMENT ON FUNCTION private.is_named_in(p_name text, p_text text) IS 'Whether a text has a word of a name.';

CREATE FUNCTION private.is_new_time(p_org uuid, p_hold public.appointments) RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
begin
  return exists (
    select from public.appointment_changes as c
    where c.org_id = p_org and c.hold_id = p_hold.id and c.call_id = p_hold.call_id
      and c.applied_at is null);
end
$$;

COMMENT ON FUNCTION private.is_new_time(p_org uuid, p_hold public.appointments) IS 'Whether a hold is the new time of a waiting change.';

CREATE FUNCTION private.is_number_of(p_org uuid, p_number text) RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
declare
  v_digits constant text := nullif(regexp_replace(p_number, '[^0-9]', '', 'g'), '');
begin
  return v_digits is null or exists (
    -- A trailing comparison lets "020 7946 0123" stand for +442079460123.
    select from public.org_channels as c
    where c.org_id = p_org and c.kind = 'called_number'
      and (substr(c.value, 2) = v_digits
        or (length(v_digits) >= 9 and right(c.value, length(ltrim(v_digits, '0'))) = ltrim(v_digits, '0'))));
end
$$;

COMMENT ON FUNCTION private.is_number_of(p_org uuid, p_number text) IS 'Whether a called number, as the arguments state it, belongs to the organization.';

CREATE FUNCTION private.is_phone_full(p_org public.organizations, p_call public.calls, p_phone bytea, p_replaced uuid, p_at timestamp with time zone) RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
begin
  return p_call.caller_hash is distinct from p_phone
    and (private.count_holds(p_org.id, p_phone, p_replaced, p_at)).live_for >= p_org.phone_holds;
end
$$;

COMMENT ON FUNCTION private.is_phone_full(p_org public.organizations, p_call public.calls, p_phone bytea, p_replaced uuid, p_at timestamp with time zone) IS 'Whether no more holds may wait for a number, asked by a call from another number.';

CREATE FUNCTION private.is_proven(p_org uuid, p_call_id text, p_phone bytea, p_at timestamp with time zone) RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
begin
  return exists (
    select from public.one_time_passcodes as c
    where c.org_id = p_org and c.call_id = p_call_id and c.phone_hash = p_phone
      and c.proven_until > p_at);
end
$$;

COMMENT ON FUNCTION private.is_proven(p_org uuid, p_call_id text, p_phone bytea, p_at timestamp with time zone) IS 'Whether a call has proven a phone, and the proof has not expired.';

CREATE FUNCTION private.is_said_time(p_at timestamp with time zone, p_zone text, p_said jsonb) RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
declare
  v_local constant timestamp := case when p_said ? 'offset'
    then p_at at time zone (p_said ->> 'offset')::interval else p_at at time zone p_zone end;
begin
  return case when p_said is null then true
    when p_said ? 'instant' then p_at = (p_said ->> 'instant')::timestamptz
    else p_said -> 'times' ? to_char(v_local, 'HH24:MI') end;
end
$$;

COMMENT ON FUNCTION private.is_said_time(p_at timestamp with time zone, p_zone text, p_said jsonb) IS 'Whether a start fits the time of day that was said.';

CREATE FUNCTION private.is_same_name(p_said text, p_stored text) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE STRICT
    SET search_path TO ''
    AS $$
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

COMMENT ON FUNCTION private.is_same_name(p_said text, p_stored text) IS 'Whether a spoken name can be a stored one: case, accents, umlauts written in two letters, titles, order and one middle name are ignored.';

CREATE FUNCTION private.is_same_patient(p_one text, p_other text) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE STRICT
    SET search_path TO ''
    AS $$
begin
  return private.is_same_name(p_one, p_other) or private.is_same_name(p_other, p_one);
end
$$;

COMMENT ON FUNCTION private.is_same_patient(p_one text, p_other text) IS 'Whether two names said in one call belong to one patient.';

CREATE TABLE private.audit_sealing (
    only_row boolean DEFAULT true NOT NULL,
    through xid8 DEFAULT '0'::xid8 NOT NULL,
    cluster bigint,
    restored_until timestamp with time zone DEFAULT '-infinity'::timestamp with time zone NOT NULL,
    CONSTRAINT audit_sealing_has_one_row CHECK (only_row)
);

COMMENT ON TABLE private.audit_sealing IS 'The newest transaction whose rows public.seal_audit() has sealed. Locking the row keeps out a second run.';

COMMENT ON COLUMN private.audit_sealing.cluster IS 'See private.cluster_id(); null before the first run.';

COMMENT ON COLUMN private.audit_sealing.restored_until IS 'Rows up to this time may come from another cluster, so their transaction does not tell whether they are sealed.';

CREATE FUNCTION private.is_sealed_here(p_sealing private.audit_sealing) RETURNS boolean
    LANGUAGE sql STABLE
    RETURN (COALESCE(((p_sealing).cluster = private.cluster_id()), true) AND ((p_sealing).through < pg_snapshot_xmin(pg_current_snapshot())));

COMMENT ON FUNCTION private.is_sealed_here(p_sealing private.audit_sealing) IS 'Whether audit_sealing.through is a transaction of this cluster, not of the one that a backup came from.';

CREATE FUNCTION private.is_still_bookable(p_org uuid, p_row public.appointments, p_at timestamp with time zone) RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
declare
  v_org public.organizations;
  v_service public.services;
begin
  select o.* into strict v_org from public.organizations as o where o.id = p_org;
  select s.* into v_service from public.services as s
  where s.org_id = p_org and s.id = p_row.service_id;
  v_service.notice_min := 0;
  return exists (
    select from private.find_free(
      v_org, v_service, p_row.provider_id, p_row.starts_at, null, p_at));
end
$$;

COMMENT ON FUNCTION private.is_still_bookable(p_org uuid, p_row public.appointments, p_at timestamp with time zone) IS 'Whether the booking of a row could be made now, ignoring the service''s notice.';

CREATE FUNCTION private.is_taken(p_org uuid, p_service public.services, p_provider uuid, p_start timestamp with time zone, p_call_id text, p_at timestamp with time zone, p_moves uuid) RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
declare
  v_time constant tstzrange :=
    tstzrange(p_start, p_start + make_interval(mins => p_service.duration_min));
begin
  return exists (
    select from public.provider_services as ps
    join public.appointments as a on a.org_id = p_org and a.provider_id = ps.provider_id
    where ps.org_id = p_org and ps.service_id = p_service.id
      and (p_provider is null or ps.provider_id = p_provider)
      and private.overlaps(a.busy, v_time) and private.blocks(a, p_call_id, p_moves, p_at));
end
$$;

COMMENT ON FUNCTION private.is_taken(p_org uuid, p_service public.services, p_provider uuid, p_start timestamp with time zone, p_call_id text, p_at timestamp with time zone, p_moves uuid) IS 'Whether somebody else has a time that is not free; otherwise it was never bookable.';

CREATE FUNCTION private.is_text_due(p_org public.organizations, p_change public.appointment_changes, p_at timestamp with time zone) RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
begin
  return coalesce(p_change.is_booking, false) or exists (
    select from private.upcoming_appointments(
      p_org.id, null, p_change.patient_phone, p_at) as a
    where private.is_same_name(p_change.patient_name, a.patient_name));
end
$$;

COMMENT ON FUNCTION private.is_text_due(p_org public.organizations, p_change public.appointment_changes, p_at timestamp with time zone) IS 'Whether the code of a change is texted at all; callers do not learn it.';

CREATE FUNCTION private.is_true_text(p_text public.appointment_texts, p_row public.appointments, p_now timestamp with time zone) RETURNS boolean
    LANGUAGE sql IMMUTABLE
    RETURN (((p_row).starts_at = (p_text).starts_at) AND ((p_row).starts_at > p_now) AND ((p_row).status = CASE (p_text).kind WHEN 'cancellation'::text THEN 'cancelled'::text ELSE 'confirmed'::text END));

COMMENT ON FUNCTION private.is_true_text(p_text public.appointment_texts, p_row public.appointments, p_now timestamp with time zone) IS 'Whether an appointment is still as a text says, and still to come.';

CREATE FUNCTION private.is_wanted(p_wanted private.wanted_slot, p_hold public.appointments) RETURNS boolean
    LANGUAGE sql IMMUTABLE
    RETURN (((p_hold).service_id = (p_wanted).service.id) AND ((p_hold).starts_at = (p_wanted).starts_at) AND (((p_wanted).provider.id IS NULL) OR ((p_hold).provider_id = (p_wanted).provider.id)));

COMMENT ON FUNCTION private.is_wanted(p_wanted private.wanted_slot, p_hold public.appointments) IS 'Whether an appointment is at the requested slot.';

CREATE FUNCTION private.is_with(p_org uuid, p_appointment public.appointments, p_doctor text) RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
begin
  return exists (
    select from public.providers as p
    where p.org_id = p_org and p.id = p_appointment.provider_id
      and (p.slug = lower(btrim(p_doctor))
        or private.plain_name(p_doctor) <> ''
          and string_to_array(private.spelled_like(p_doctor, p.name), ' ')
          <@ string_to_array(private.plain_name(p.name), ' ')));
end
$$;

COMMENT ON FUNCTION private.is_with(p_org uuid, p_appointment public.appointments, p_doctor text) IS 'Whether an appointment is with the doctor of that name.';

CREATE FUNCTION private.iso_local(p_at timestamp with time zone, p_zone text) RETURNS text
    LANGUAGE sql STABLE
    RETURN (to_char((p_at AT TIME ZONE p_zone), 'YYYY-MM-DD"T"HH24:MI:SS'::text) || CASE WHEN ((p_at AT TIME ZONE p_zone) < (p_at AT TIME ZONE 'UTC'::text)) THEN to_char(((p_at AT TIME ZONE 'UTC'::text) - (p_at AT TIME ZONE p_zone)), '"-"HH24:MI'::text) ELSE to_char(((p_at AT TIME ZONE p_zone) - (p_at AT TIME ZONE 'UTC'::text)), '"+"HH24:MI'::text) END);

COMMENT ON FUNCTION private.iso_local(p_at timestamp with time zone, p_zone text) IS 'ISO 8601 local time with its offset.';

CREATE FUNCTION private.keep_change(p_org uuid, p_call_id text, p_kind text, p_patient jsonb, p_said jsonb, p_slot_id text, p_hold uuid, p_is_booking boolean, p_now timestamp with time zone) RETURNS public.appointment_changes
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_change public.appointment_changes;
begin
  insert into public.appointment_changes as c (
    org_id, call_id, kind, patient_name, patient_phone, patient_country, said, slot_id, hold_id,
    is_booking, opened_at
  ) values (
    p_org, p_call_id, p_kind, p_patient ->> 'name', p_patient ->> 'phone', p_patient ->> 'country',
    p_said, p_slot_id, p_hold, p_is_booking, p_now
  )
  on conflict (org_id, call_id) do update
  set kind = excluded.kind, patient_name = excluded.patient_name,
    patient_phone = excluded.patient_phone, patient_country = excluded.patient_country,
    said = excluded.said, slot_id = excluded.slot_id, hold_id = excluded.hold_id,
    is_booking = excluded.is_booking, opened_at = excluded.opened_at, applied_at = null,
    appointment_id = null,
    -- A question about the same patient's appointments is not asked twice.
    asked = case when c.applied_at is null and c.patient_phone = excluded.patient_phone
      and private.is_same_patient(c.patient_name, excluded.patient_name) then c.asked else '{}' end
  returning c.* into v_change;
  return v_change;
end
$$;

COMMENT ON FUNCTION private.keep_change(p_org uuid, p_call_id text, p_kind text, p_patient jsonb, p_said jsonb, p_slot_id text, p_hold uuid, p_is_booking boolean, p_now timestamp with time zone) IS 'Stores a request of a call about existing appointments in place of the earlier one.';

CREATE FUNCTION private.keep_question(p_org uuid, p_call_id text, p_question text, p_now timestamp with time zone) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_words constant text[] := private.question_words(p_question);
begin
  if cardinality(v_words) = 0 or p_question ~ '[0-9]{6}' or exists (
    select from public.calls as c cross join lateral unnest(c.patient_names) as n (name)
    where c.org_id = p_org and c.call_id = p_call_id
      and private.question_words(n.name) && v_words) then
    return;
  end if;
  perform pg_advisory_xact_lock(hashtextextended(p_org || '/questions', 0));
  update public.open_questions as q set asked = q.asked + 1, last_asked_at = p_now
  where q.org_id = p_org and q.words = v_words;
  if not found then
    insert into public.open_questions (org_id, words, question, call_id)
    select p_org, v_words, p_question, p_call_id
    from (
      select count(*) as kept, count(*) filter (where q.call_id = p_call_id) as of_call,
        count(*) filter (where q.first_asked_at > p_now - interval '1 hour') as of_hour
      from public.open_questions as q where q.org_id = p_org) as c
    where c.kept < 500 and c.of_call < 3 and c.of_hour < 50;
  end if;
end
$$;

COMMENT ON FUNCTION private.keep_question(p_org uuid, p_call_id text, p_question text, p_now timestamp with time zone) IS 'Stores a question for the clinic to answer: once, however it is worded, and within limits.';

CREATE FUNCTION private.keep_since(p_times timestamp with time zone[], p_since timestamp with time zone) RETURNS timestamp with time zone[]
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO ''
    AS $$
begin
  return array(select t from unnest(p_times) as t where t > p_since);
end
$$;

COMMENT ON FUNCTION private.keep_since(p_times timestamp with time zone[], p_since timestamp with time zone) IS 'The times that are later than another.';

CREATE FUNCTION private.known_of_call(p_org uuid, p_call_id text) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
  select jsonb_build_object(
    'names', coalesce(jsonb_agg(distinct k.name) filter (where k.name is not null), '[]'),
    'phones', coalesce(jsonb_agg(distinct k.phone) filter (where k.phone is not null), '[]'),
    'isTexted', exists (
      select from public.sms_messages as m
      where m.org_id = p_org and m.call_id = p_call_id and m.origin <> 'follow_up'))
  from (
    select a.patient_name, a.patient_phone from public.appointments as a
    where a.org_id = p_org and a.call_id = p_call_id
    union all select x.patient_name, x.patient_phone from public.appointment_changes as x
    where x.org_id = p_org and x.call_id = p_call_id
    union all select unnest(c.patient_names), null from public.calls as c
    where c.org_id = p_org and c.call_id = p_call_id
    union all select m.caller_name, m.phone from public.desk_messages as m
    where m.org_id = p_org and m.call_id = p_call_id) as k (name, phone)
$$;

COMMENT ON FUNCTION private.known_of_call(p_org uuid, p_call_id text) IS 'Names and numbers that were given in a call, and whether it requested a code.';

CREATE FUNCTION private.leave_desk(p_org uuid, p_request jsonb, p_subject uuid, p_answer jsonb, p_details jsonb DEFAULT '{}'::jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_answer constant jsonb := p_answer || jsonb_build_object('orgId', p_org);
begin
  perform private.audit(
    p_org, p_request, p_request ->> 'action', p_subject, p_answer ->> 'outcome', p_details);
  perform private.record_answer(p_org, p_request || jsonb_build_object('callId', p_request -> 'staff'),
    p_request ->> 'action', decode(p_request ->> 'arguments', 'hex'), v_answer);
  return v_answer;
end
$$;

COMMENT ON FUNCTION private.leave_desk(p_org uuid, p_request jsonb, p_subject uuid, p_answer jsonb, p_details jsonb) IS 'Audits and keeps the answer to a request of staff, and returns it.';

CREATE FUNCTION private.leave_schedule(p_org uuid, p_request jsonb, p_provider uuid, p_known uuid[], p_answer jsonb, p_details jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_org public.organizations;
  v_bookings jsonb;
begin
  select o.* into strict v_org from public.organizations as o where o.id = p_org;
  v_bookings := private.describe_misplaced(v_org, p_known, clock_timestamp(), p_provider);
  return private.leave_desk(p_org, p_request, p_provider,
    p_answer || jsonb_build_object('bookings', v_bookings),
    p_details || jsonb_build_object('bookings', jsonb_array_length(v_bookings)));
end
$$;

COMMENT ON FUNCTION private.leave_schedule(p_org uuid, p_request jsonb, p_provider uuid, p_known uuid[], p_answer jsonb, p_details jsonb) IS 'Answers and audits a change of hours or days off, with the bookings that no longer fit.';

CREATE FUNCTION private.list_appointments(p_org public.organizations, p_names text[], p_call_id text, p_phone text, p_now timestamp with time zone) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
declare
  v_listed jsonb;
begin
  select jsonb_agg(private.describe_appointment(p_org, a, p_now) order by a.starts_at, a.id)
  into v_listed
  from private.upcoming_appointments(p_org.id, p_call_id, p_phone, p_now) as a
  where exists (
    select from unnest(p_names) as n where private.is_same_name(n, a.patient_name));
  return jsonb_build_object('outcome',
    case when v_listed is null then 'appointment_not_found' else 'found' end)
    || jsonb_strip_nulls(jsonb_build_object('appointments', v_listed));
end
$$;

COMMENT ON FUNCTION private.list_appointments(p_org public.organizations, p_names text[], p_call_id text, p_phone text, p_now timestamp with time zone) IS 'found with the upcoming appointments, or appointment_not_found.';

CREATE FUNCTION private.list_busy(p_org uuid) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
begin
  return (
    select coalesce(jsonb_agg(jsonb_build_object(
      'providerId', p.id, 'doctor', p.name, 'host', private.host_of(c.address), 'readAt', c.read_at,
      'failures', c.failures, 'failure', c.failure, 'absences', (
        select count(*) from public.time_off as t where t.org_id = p_org and t.calendar_id = c.id))
      order by p.name, p.id), '[]')
    from public.busy_calendars as c
    join public.providers as p on p.org_id = p_org and p.id = c.provider_id
    where c.org_id = p_org);
end
$$;

COMMENT ON FUNCTION private.list_busy(p_org uuid) IS 'The doctors'' own calendars of an organization, without their addresses.';

CREATE FUNCTION private.list_channels(p_org uuid, p_kind text) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
  select coalesce(jsonb_agg(c.value order by c.value collate "C"), '[]')
  from public.org_channels as c where c.org_id = p_org and c.kind = p_kind
$$;

COMMENT ON FUNCTION private.list_channels(p_org uuid, p_kind text) IS 'The values of an organization''s channels of one kind.';

CREATE FUNCTION private.list_feeds(p_org uuid) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
begin
  return (
    select coalesce(jsonb_agg(jsonb_build_object(
      'feedId', f.id, 'label', f.label, 'doctor', p.name, 'createdAt', f.created_at,
      'readAt', f.read_at, 'revokedAt', f.revoked_at)
      order by f.revoked_at is not null, f.created_at, f.id), '[]')
    from public.calendar_feeds as f
    left join public.providers as p on p.org_id = p_org and p.id = f.provider_id
    where f.org_id = p_org);
end
$$;

COMMENT ON FUNCTION private.list_feeds(p_org uuid) IS 'The calendar feeds of an organization, without their tokens.';

CREATE FUNCTION private.lock_booking(p_org uuid, p_appointment uuid) RETURNS public.appointments
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_row public.appointments;
  v_locked public.appointments;
begin
  select a.* into v_row from public.appointments as a
  where a.org_id = p_org and a.id = p_appointment;
  perform private.lock_call(p_org, v_row.call_id);
  perform private.lock_phones(array[private.patient_key(p_org, v_row.patient_phone)]);
  select a.* into v_locked from public.appointments as a
  where a.org_id = p_org and a.id = p_appointment;
  perform private.require_unchanged((v_locked.call_id, v_locked.patient_phone)
    is not distinct from (v_row.call_id, v_row.patient_phone));
  return v_locked;
end
$$;

COMMENT ON FUNCTION private.lock_booking(p_org uuid, p_appointment uuid) IS 'An appointment, read after its call and its patient''s number were locked.';

CREATE FUNCTION private.lock_call(p_org uuid, p_call_id text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
  perform pg_advisory_xact_lock(hashtextextended(p_org || '/call/' || p_call_id, 0));
end
$$;

COMMENT ON FUNCTION private.lock_call(p_org uuid, p_call_id text) IS 'Lets one request of a call run at a time; taken before every other lock. A null call locks nothing.';

CREATE FUNCTION private.lock_calls(p_org uuid, p_call_ids text[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_call_id text;
begin
  for v_call_id in select distinct c from unnest(p_call_ids) as c order by c loop
    perform private.lock_call(p_org, v_call_id);
  end loop;
end
$$;

COMMENT ON FUNCTION private.lock_calls(p_org uuid, p_call_ids text[]) IS 'Takes the locks of several calls.';

CREATE FUNCTION private.lock_end(p_org public.organizations, p_call_id text) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_phones bytea[];
begin
  perform private.lock_call(p_org.id, p_call_id);
  v_phones := array(
    select private.hash_phone(m.patient_phone) from private.rows_of_call(p_org.id, p_call_id) as m
    where m.status = 'held' and not private.is_kept(m) and m.patient_phone is not null);
  if p_org.follow_up_texts and v_phones <> '{}' then
    perform private.lock_phones(v_phones);
    perform pg_advisory_xact_lock(hashtextextended(p_org.id || '/sms', 0));
  end if;
  return true;
exception when lock_not_available or deadlock_detected then
  return false;
end
$$;

COMMENT ON FUNCTION private.lock_end(p_org public.organizations, p_call_id text) IS 'Locks a call that ends and what its follow-up counts; false if that took too long.';

CREATE FUNCTION private.lock_hold(p_org uuid, p_hold public.appointments, p_at timestamp with time zone) RETURNS public.appointments
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_hold public.appointments;
begin
  perform private.lock_holds(p_org, p_hold.call_id);
  select a.* into v_hold from public.appointments as a
  where a.org_id = p_org and a.id = p_hold.id and a.call_id is not distinct from p_hold.call_id
    and private.is_held(a, p_at)
  for update;
  return v_hold;
end
$$;

COMMENT ON FUNCTION private.lock_hold(p_org uuid, p_hold public.appointments, p_at timestamp with time zone) IS 'Keeps a live hold of a call from expiring until it is confirmed.';

CREATE FUNCTION private.lock_holds(p_org uuid, p_call_id text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
  perform from public.appointments as a
  where a.org_id = p_org and a.call_id = p_call_id and a.status = 'held'
  order by a.id for update;
end
$$;

COMMENT ON FUNCTION private.lock_holds(p_org uuid, p_call_id text) IS 'Locks the holds of a call by id, the order of everybody who locks several appointments.';

CREATE FUNCTION private.lock_phones(p_hashes bytea[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
  -- Always in the same order, so that two calls that name each other's number do not deadlock.
  perform pg_advisory_xact_lock(hashtextextended(encode(n.hash, 'hex'), 3))
  from (select distinct h as hash from unnest(p_hashes) as h where h is not null order by h) as n;
end
$$;

COMMENT ON FUNCTION private.lock_phones(p_hashes bytea[]) IS 'Lets one request at a time count for each of these numbers; taken after the call''s lock and before all others.';

CREATE FUNCTION private.lock_provider(p_org uuid, p_provider uuid, p_wait boolean) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
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

COMMENT ON FUNCTION private.lock_provider(p_org uuid, p_provider uuid, p_wait boolean) IS 'Takes the lock on a provider''s time: after the call''s lock, before any row lock.';

CREATE FUNCTION private.lock_providers(p_org uuid) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_provider uuid;
begin
  for v_provider in select p.id from public.providers as p where p.org_id = p_org order by p.id loop
    perform private.lock_provider(p_org, v_provider, p_wait => true);
  end loop;
end
$$;

COMMENT ON FUNCTION private.lock_providers(p_org uuid) IS 'Takes the locks of all providers of an organization: nothing is booked until the transaction ends.';

CREATE FUNCTION private.mark_at_desk(p_org public.organizations, p_row public.appointments, p_as text) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_now constant timestamptz := clock_timestamp();
  v_today constant date := (v_now at time zone p_org.timezone)::date;
  v_day constant date := (p_row.starts_at at time zone p_org.timezone)::date;
begin
  if v_day > v_today or p_as in ('completed', 'no_show') and p_row.starts_at > v_now then
    return '{"outcome": "too_early"}';
  elsif p_as = 'expected' and p_row.status <> 'confirmed'
    and not private.retake_time(p_org.id, p_row, null) then
    return '{"outcome": "slot_taken"}';
  end if;
  update public.appointments as a
  set status = case when p_as in ('completed', 'no_show') then p_as else 'confirmed' end,
    arrived_at = case p_as when 'arrived' then coalesce(a.arrived_at, v_now)
      when 'completed' then a.arrived_at end,
    updated_at = v_now
  where a.org_id = p_org.id and a.id = p_row.id
    and a.status = case p_as when 'expected' then 'confirmed' else p_row.status end;
  perform private.require_unchanged(found);
  return jsonb_build_object('outcome', 'marked', 'appointmentId', p_row.id);
end
$$;

COMMENT ON FUNCTION private.mark_at_desk(p_org public.organizations, p_row public.appointments, p_as text) IS 'Marks what happened to an appointment.';

CREATE FUNCTION private.mask_phone(p_phone text) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT
    RETURN ('***'::text || "right"(p_phone, 2));

COMMENT ON FUNCTION private.mask_phone(p_phone text) IS 'A phone number reduced to its last two digits.';

CREATE FUNCTION private.may_keep(p_org public.organizations, p_keys bytea[], p_now timestamp with time zone) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
  if p_org.desk_hold_minutes = 0 or private.is_braked(p_org.id, p_now)
    or exists (select from unnest(p_keys) as k (hash) where private.is_blocked(p_org.id, k.hash))
    or exists (
      select from public.phone_counts as n
      where n.phone_hash = any (p_keys)
        and private.count_since(n.kept_at, p_now - interval '1 day') > 0) then
    return false;
  end if;
  perform pg_advisory_xact_lock(hashtextextended(p_org.id || '/kept for the desk', 0));
  return (
    select count(*) < p_org.desk_holds from public.appointments as a
    where a.org_id = p_org.id and a.handed_over_at is not null
      and a.status in ('held', 'requires_manual_followup') and private.is_held(a, p_now));
exception when lock_not_available or deadlock_detected then
  return false;
end
$$;

COMMENT ON FUNCTION private.may_keep(p_org public.organizations, p_keys bytea[], p_now timestamp with time zone) IS 'Whether the slot of a call that ran out of passcodes may be kept for the front desk.';

CREATE FUNCTION private.may_mean_another(p_org uuid, p_hash bytea, p_rows public.appointments[], p_now timestamp with time zone) RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
begin
  return exists (
    select from unnest(p_rows) as r
    where (r.status <> 'confirmed' or r.starts_at <= p_now)
      and r.starts_at > p_now - interval '12 hours'
      and not exists (
        select from public.text_answers as t
        where t.org_id = p_org and t.phone_hash = p_hash and t.outcome = 'cancelled'
          and r.id = any (t.appointment_ids)));
end
$$;

COMMENT ON FUNCTION private.may_mean_another(p_org uuid, p_hash bytea, p_rows public.appointments[], p_now timestamp with time zone) IS 'Whether a reminder was sent for another appointment that has begun, or was changed by others, since.';

CREATE FUNCTION private.may_reply(p_org public.organizations, p_phone text, p_country text, p_meaning text, p_outcome text, p_ids uuid[], p_now timestamp with time zone) RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
declare
  v_hash constant bytea := private.hash_phone(p_phone);
begin
  return coalesce(p_country = any (p_org.sms_countries), false)
    and p_outcome not in ('opted_out', 'opted_in', 'help', 'blocked')
    and not exists (
      select from public.org_channels as c
      where c.org_id = p_org.id and c.kind = 'called_number' and c.value = p_phone)
    and not exists (
      select from public.sms_opt_outs as o where o.org_id = p_org.id and o.phone_hash = v_hash)
    and not exists (
      select from public.text_answers as t
      where t.org_id = p_org.id and t.phone_hash = v_hash and t.is_replied
        and t.outcome = p_outcome and t.appointment_ids = p_ids
        and (p_outcome <> 'which' or t.meaning = p_meaning)
        and (p_ids <> '{}' or t.received_at > p_now - interval '1 day'))
    and not (p_outcome = 'cancelled' and exists (
      select from public.appointment_texts as t
      where t.org_id = p_org.id and t.appointment_id = any (p_ids) and t.kind = 'cancellation'
        and t.state = 'waiting'))
    and (
      select count(*) < case when p_ids = '{}' then greatest(1, p_org.sms_hourly_limit / 5)
        else p_org.sms_hourly_limit end
      from public.text_answers as t
      where t.org_id = p_org.id and t.is_replied and t.received_at > p_now - interval '1 hour');
end
$$;

COMMENT ON FUNCTION private.may_reply(p_org public.organizations, p_phone text, p_country text, p_meaning text, p_outcome text, p_ids uuid[], p_now timestamp with time zone) IS 'Whether a patient is told what became of a text.';

CREATE FUNCTION private.may_text_more(p_org public.organizations, p_now timestamp with time zone) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
  return (
    select count(*) < p_org.sms_hourly_limit from public.sms_messages as m
    where m.org_id = p_org.id and m.created_at > p_now - interval '1 hour'
      and m.status <> 'refused');
end
$$;

COMMENT ON FUNCTION private.may_text_more(p_org public.organizations, p_now timestamp with time zone) IS 'Whether an organization has sent fewer texts within an hour than it allows.';

CREATE FUNCTION private.measure_wait(p_row public.appointments, p_result text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
  if p_row.handed_over_at is not null and p_row.status in ('held', 'requires_manual_followup') then
    perform private.tally('follow_ups_resolved', jsonb_build_object('result', p_result));
    perform private.tally('follow_ups_wait_seconds', jsonb_build_object('result', p_result),
      extract(epoch from clock_timestamp() - p_row.handed_over_at)::double precision);
  end if;
end
$$;

COMMENT ON FUNCTION private.measure_wait(p_row public.appointments, p_result text) IS 'Counts how long a hold waited for the front desk that has now been confirmed, moved or cancelled.';

CREATE FUNCTION private.message_refusal(p_org public.organizations, p_call jsonb, p_hash bytea, p_now timestamp with time zone) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_limit constant integer := p_org.message_hourly_limit;
begin
  if private.is_blocked(p_org.id, p_hash) then
    return '{"outcome": "message_limit"}';
  elsif (
    select count(*) >= 2 from public.desk_messages as m
    where m.org_id = p_org.id and m.call_id = p_call ->> 'callId') then
    return '{"outcome": "call_message_limit"}';
  end if;
  perform pg_advisory_xact_lock(hashtextextended(p_org.id || '/desk messages', 0));
  if (
    select count(*) >= v_limit
      or count(*) filter (where m.caller_hash is not distinct from p_hash)
        >= case when p_hash is null then (v_limit + 1) / 2 else least(4, v_limit) end
    from public.desk_messages as m
    where m.org_id = p_org.id and m.created_at > p_now - interval '1 hour') then
    return '{"outcome": "message_limit"}';
  end if;
  return null;
end
$$;

COMMENT ON FUNCTION private.message_refusal(p_org public.organizations, p_call jsonb, p_hash bytea, p_now timestamp with time zone) IS 'The limit that another message would exceed, or null: two of a call; in an hour four of a number, half of the clinic''s for calls without a number, and the clinic''s.';

CREATE FUNCTION private.misplaced_ids(p_org public.organizations, p_provider uuid DEFAULT NULL::uuid) RETURNS uuid[]
    LANGUAGE sql
    SET search_path TO ''
    AS $$
  select array(
    select m.appointment_id
    from private.find_misplaced(p_org, clock_timestamp(), p_provider) as m)
$$;

COMMENT ON FUNCTION private.misplaced_ids(p_org public.organizations, p_provider uuid) IS 'Bookings that do not fit the schedule already.';

CREATE FUNCTION private.wake_time(p_zone text, p_at timestamp with time zone) RETURNS timestamp with time zone
    LANGUAGE sql STABLE
    RETURN CASE WHEN (((p_at AT TIME ZONE p_zone))::time without time zone >= '21:00:00'::time without time zone) THEN (((((p_at AT TIME ZONE p_zone))::date + 1) + '08:00:00'::time without time zone) AT TIME ZONE p_zone) WHEN (((p_at AT TIME ZONE p_zone))::time without time zone < '08:00:00'::time without time zone) THEN ((((p_at AT TIME ZONE p_zone))::date + '08:00:00'::time without time zone) AT TIME ZONE p_zone) ELSE p_at END;

COMMENT ON FUNCTION private.wake_time(p_zone text, p_at timestamp with time zone) IS 'When a reminder may be sent, from a time on.';

CREATE FUNCTION private.missed_day(p_org public.organizations, p_last date, p_at timestamp with time zone) RETURNS date
    LANGUAGE sql STABLE
    RETURN CASE WHEN ((private.wake_time((p_org).timezone, p_at) = p_at) AND ((p_last >= (((p_at AT TIME ZONE (p_org).timezone))::date - 7)) AND (p_last <= (((p_at AT TIME ZONE (p_org).timezone))::date - 1)))) THEN ((p_at AT TIME ZONE (p_org).timezone))::date ELSE NULL::date END;

COMMENT ON FUNCTION private.missed_day(p_org public.organizations, p_last date, p_at timestamp with time zone) IS 'The present local day, if its patients should have been reminded on the day before, or null.';

CREATE FUNCTION private.move_at_desk(p_org public.organizations, p_request jsonb, p_row public.appointments, p_slot_id text) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_wanted constant private.wanted_slot := private.read_wanted(p_org, p_slot_id);
  v_claimed record;
  v_old public.appointments;
begin
  if v_wanted.starts_at is null then
    return '{"outcome": "invalid_slot"}';
  elsif p_row.patient_name is null then
    return '{"outcome": "patient_erased"}';
  elsif p_row.ends_at <= clock_timestamp() then
    return '{"outcome": "past"}';
  elsif p_row.status = 'confirmed' and private.is_wanted(v_wanted, p_row) then
    return private.describe_appointment(p_org, p_row, clock_timestamp())
      || '{"outcome": "unchanged"}';
  elsif private.is_kept(p_row) and private.is_held(p_row, clock_timestamp())
    and private.is_wanted(v_wanted, p_row) then
    -- Its own seat, which is kept, would be in the way of a new row.
    if not private.confirm_row(p_org.id, p_row, clock_timestamp()) then
      return private.refuse_start(p_org, v_wanted, p_row.id, false);
    end if;
    perform private.measure_wait(p_row, 'moved');
    return private.describe_appointment(p_org, p_row, clock_timestamp())
      || '{"outcome": "moved"}';
  end if;
  v_claimed := private.claim_at_desk(p_org, p_request, v_wanted, jsonb_build_object(
    'name', p_row.patient_name, 'phone', p_row.patient_phone, 'country', p_row.patient_country),
    p_row);
  if v_claimed.refusal is not null then
    return v_claimed.refusal;
  end if;
  update public.appointments as a set status = 'cancelled', updated_at = clock_timestamp()
  where a.org_id = p_org.id and a.id = p_row.id
    -- The time of a hold may have been over since, and the claim has marked it.
    and a.status in (p_row.status, private.expired_status(p_row))
  returning a.* into v_old;
  perform private.require_unchanged(found);
  perform private.measure_wait(p_row, 'moved');
  update public.appointments as n
  set status = 'confirmed', expires_at = null, updated_at = clock_timestamp(),
    contact_id = coalesce(v_old.contact_id, private.save_contact(
      p_org.id, v_old.patient_phone, v_old.patient_name, null))
  where n.org_id = p_org.id and n.id = (v_claimed.hold).id;
  perform private.announce(p_org.id, (v_claimed.hold).id,
    case p_row.status when 'confirmed' then 'change' else 'confirmation' end, p_row.id);
  return private.describe_appointment(p_org, v_claimed.hold, clock_timestamp())
    || '{"outcome": "moved"}';
end
$$;

COMMENT ON FUNCTION private.move_at_desk(p_org public.organizations, p_request jsonb, p_row public.appointments, p_slot_id text) IS 'Books the new time of an appointment and cancels the old one.';

CREATE FUNCTION private.name_question(p_words text[]) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT
    SET search_path TO ''
    AS $$
  select left(md5(array_to_string(p_words, ' ')), 8)
$$;

COMMENT ON FUNCTION private.name_question(p_words text[]) IS 'The id of an open question, 8 hex digits.';

CREATE FUNCTION private.name_slot(p_service_slug text, p_local_start text, p_zone text, p_provider_slug text) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
declare
  v_local constant timestamp := left(p_local_start, 19);
begin
  return p_service_slug || '/' || left(p_local_start, 16)
    || case when private.steady_offset(v_local::date, p_zone) is null
        and private.wall(v_local, p_zone, false) <> private.wall(v_local, p_zone, true)
         then right(p_local_start, 6) else '' end
    || coalesce('/' || p_provider_slug, '');
end
$$;

COMMENT ON FUNCTION private.name_slot(p_service_slug text, p_local_start text, p_zone text, p_provider_slug text) IS 'Readable id of a slot: service/local start, the offset in a repeated hour, and /provider if one is given.';

CREATE FUNCTION private.names_hold(p_said jsonb) RETURNS boolean
    LANGUAGE sql IMMUTABLE
    SET search_path TO ''
    AS $$
  select p_said ? 'date' or private.read_id(p_said ->> 'id') is not null
$$;

COMMENT ON FUNCTION private.names_hold(p_said jsonb) IS 'Whether what was said can mean a hold of the call itself: only by its id or its day.';

CREATE FUNCTION private.names_of(p_org uuid, p_phone text) RETURNS SETOF text
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
  select a.patient_name from public.appointments as a
  where a.org_id = p_org and a.patient_phone is not distinct from p_phone
    and a.patient_name is not null
  union
  select c.patient_name from public.appointment_changes as c
  where c.org_id = p_org and c.patient_phone = p_phone
  union
  select c.name from public.contacts as c
  where c.org_id = p_org and c.phone is not distinct from p_phone
  union
  select m.caller_name from public.desk_messages as m where m.org_id = p_org and m.phone = p_phone
$$;

COMMENT ON FUNCTION private.names_of(p_org uuid, p_phone text) IS 'The names that an organization keeps with a number, or without one.';

CREATE FUNCTION private.note_failure(p_org uuid, p_endpoint public.webhook_endpoints, p_reason text, p_is_gone boolean, p_is_final boolean, p_claimed_at timestamp with time zone, p_now timestamp with time zone) RETURNS text
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_after constant public.webhook_endpoints :=
    private.count_failure(p_endpoint, p_claimed_at, p_now);
  v_since constant timestamptz := coalesce(v_after.failed_at, p_now);
  v_is_disabled constant boolean := p_is_gone or v_since <= p_now - interval '3 days';
  v_is_alarm constant boolean := (p_is_final or v_is_disabled or v_after.failures >= 12)
    and coalesce(p_endpoint.alarmed_at < least(v_since, p_now - interval '1 day'), true);
begin
  update public.webhook_endpoints as e
  set failures = v_after.failures, failed_at = v_after.failed_at, counted_at = v_after.counted_at,
    failure = p_reason, due_at = v_after.due_at,
    disabled_at = case when v_is_disabled then p_now else e.disabled_at end,
    alarmed_at = case when v_is_alarm then p_now else e.alarmed_at end
  where e.org_id = p_org and e.id = p_endpoint.id;
  if v_is_disabled then
    perform private.fail_waiting(p_org, p_endpoint.id, p_reason);
    perform private.audit(p_org, null, 'send_webhook', p_endpoint.id, 'disabled',
      jsonb_build_object('reason', p_reason));
  end if;
  if v_is_alarm then
    perform private.raise_alarm(p_org, 'webhook_failed', greatest(1, v_after.failures), v_since,
      p_now, p_endpoint.id);
    return 'webhook_failed';
  end if;
  return null;
end
$$;

COMMENT ON FUNCTION private.note_failure(p_org uuid, p_endpoint public.webhook_endpoints, p_reason text, p_is_gone boolean, p_is_final boolean, p_claimed_at timestamp with time zone, p_now timestamp with time zone) IS 'Makes an endpoint wait after a failure, or gives it up; raises an alarm once for each outage.';

CREATE FUNCTION private.note_finding(p_org uuid, p_appointment uuid, p_kind text, p_repaired boolean, p_details jsonb) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
  insert into public.overlap_findings as f (org_id, appointment_id, kind, repaired)
  values (p_org, p_appointment, p_kind, p_repaired)
  on conflict (org_id, appointment_id, kind) do update set repaired = excluded.repaired
  where f.repaired <> excluded.repaired;
  if found then
    perform private.audit(p_org, null, 'watch_overlaps', p_appointment, p_kind, p_details);
  end if;
end
$$;

COMMENT ON FUNCTION private.note_finding(p_org uuid, p_appointment uuid, p_kind text, p_repaired boolean, p_details jsonb) IS 'Stores what public.watch_overlaps() has found, each finding once.';

CREATE FUNCTION private.note_opt_out(p_org uuid, p_send uuid, p_opted_out boolean) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_hash bytea;
begin
  select m.to_hash into v_hash from public.sms_messages as m
  where m.org_id = p_org and m.id = p_send;
  if p_opted_out then
    insert into public.sms_opt_outs (org_id, phone_hash) select p_org, v_hash where v_hash is not null
    on conflict do nothing;
  else
    -- A report of this very text may have come first.
    delete from public.sms_opt_outs as o
    where o.org_id = p_org and o.phone_hash = v_hash and not exists (
      select from public.sms_messages as m
      where m.org_id = p_org and m.id = p_send and m.error_code = 21610);
  end if;
end
$$;

COMMENT ON FUNCTION private.note_opt_out(p_org uuid, p_send uuid, p_opted_out boolean) IS 'Stores that the owner of a phone wants no texts; an accepted text deletes this.';

CREATE FUNCTION private.note_overlaps(p_org uuid, p_provider uuid, p_from timestamp with time zone) RETURNS integer
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_found record;
  v_count integer;
begin
  delete from public.overlap_findings as f
  using public.appointments as a
  where f.org_id = p_org and f.kind = 'overlap'
    and a.org_id = p_org and a.id = f.appointment_id and a.provider_id = p_provider
    and (not private.takes_time(a) or upper(a.busy) <= p_from
      or not private.would_overlap(p_org, p_provider, a.busy, a.session_key));
  -- Sorted by start: a session overlaps if it starts before an earlier one has ended. Joining all rows
  -- with each other took 40 s for 3,000 rows without statistics.
  for v_found in
    with sessions as materialized (
      select a.session_key, min(a.id::text)::uuid as id, min(lower(a.busy)) as opens,
        max(upper(a.busy)) as closes
      from public.appointments as a
      where a.org_id = p_org and a.provider_id = p_provider and private.takes_time(a)
        and private.overlaps(a.busy, tstzrange(p_from, 'infinity'))
      group by a.session_key
    )
    select s.id, (
      select o.id from sessions as o
      where o.session_key <> s.session_key and o.opens <= s.opens and o.closes > s.opens
      order by o.opens, o.id limit 1) as other
    from (
      select s.*, max(s.closes) over (
        order by s.opens, s.session_key rows between unbounded preceding and 1 preceding) as reached
      from sessions as s
    ) as s
    where s.reached > s.opens
  loop
    perform private.note_finding(
      p_org, v_found.id, 'overlap', false, jsonb_build_object('other', v_found.other));
  end loop;
  select count(*) into v_count from public.appointments as a
  where a.org_id = p_org and a.provider_id = p_provider and private.takes_time(a)
    and private.overlaps(a.busy, tstzrange(p_from, 'infinity'));
  return v_count;
end
$$;

COMMENT ON FUNCTION private.note_overlaps(p_org uuid, p_provider uuid, p_from timestamp with time zone) IS 'Compares the rows of a provider with their neighbours, without the constraint''s index.';

CREATE FUNCTION private.note_purge(p_org uuid, p_before timestamp with time zone) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
  insert into private.audit_purges as p (org_id, purged_before) values (p_org, p_before)
  on conflict (org_id) do update
  set purged_before = greatest(p.purged_before, excluded.purged_before);
end
$$;

COMMENT ON FUNCTION private.note_purge(p_org uuid, p_before timestamp with time zone) IS 'Records that retention deletes audit rows before that time. Their seals still have their hashes.';

CREATE FUNCTION private.note_request(p_org uuid, p_hold uuid, p_request text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
  update public.appointments as a set asked_by = a.asked_by || p_request
  where a.org_id = p_org and a.id = p_hold and p_request <> all (a.asked_by);
end
$$;

COMMENT ON FUNCTION private.note_request(p_org uuid, p_hold uuid, p_request text) IS 'Stores that a request was answered with a hold: if it is delivered again later, it changes nothing.';

CREATE FUNCTION private.note_wish(p_org uuid, p_hash bytea, p_wish text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
  if p_wish = 'stop' then
    insert into public.sms_opt_outs (org_id, phone_hash) values (p_org, p_hash) on conflict do nothing;
  elsif p_wish = 'start' then
    delete from public.sms_opt_outs as o where o.org_id = p_org and o.phone_hash = p_hash;
  end if;
end
$$;

COMMENT ON FUNCTION private.note_wish(p_org uuid, p_hash bytea, p_wish text) IS 'Stores that the owner of a phone wants no texts, or wants them again.';

CREATE FUNCTION private.number_to_call(p_org uuid) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
begin
  return (
    select min(c.value) from public.org_channels as c
    where c.org_id = p_org and c.kind = 'called_number');
end
$$;

COMMENT ON FUNCTION private.number_to_call(p_org uuid) IS 'The number that patients of an organization call, or null.';

CREATE FUNCTION private.offer(p_org public.organizations, p_service public.services, p_provider public.providers, p_first date, p_last date, p_part text, p_call_id text, p_at timestamp with time zone, p_few integer) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
declare
  v_starts timestamptz[];
  v_doctors bigint[];
  v_seats bigint[];
  v_total integer;
  v_n integer;
  v_slots jsonb := '[]';
begin
  select array_agg(s.starts_at), array_agg(s.doctors), array_agg(s.seats)
  into v_starts, v_doctors, v_seats
  from (
    select f.starts_at, count(*) as doctors, sum(f.seats_left) as seats
    from private.find_starts(
      p_org.id, p_service.id, p_provider.id, p_first, p_last, p_call_id, p_at, null, p_part) as f
    group by f.starts_at
    order by f.starts_at
  ) as s;
  v_total := coalesce(cardinality(v_starts), 0);
  for v_few in 0 .. least(v_total, p_few) - 1 loop
    v_n := 1 + case when v_total <= p_few then v_few
      else round(v_few * (v_total - 1) / (p_few - 1)::numeric) end;
    v_slots := v_slots || (private.describe_slot(
        p_org.timezone, p_service, p_provider.slug, v_starts[v_n], v_doctors[v_n])
      || case when p_service.capacity > 1 then jsonb_build_object('seatsLeft', v_seats[v_n])
        else '{}' end);
  end loop;
  return jsonb_build_object('total', v_total, 'slots', v_slots);
end
$$;

COMMENT ON FUNCTION private.offer(p_org public.organizations, p_service public.services, p_provider public.providers, p_first date, p_last date, p_part text, p_call_id text, p_at timestamp with time zone, p_few integer) IS 'A few bookable slots as JSON, spread over the days, and their total.';

CREATE FUNCTION private.offer_nearest(p_org public.organizations, p_service public.services, p_provider public.providers, p_first date, p_last date, p_horizon date, p_part text, p_call_id text, p_at timestamp with time zone) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
declare
  v_today constant date := p_at at time zone p_org.timezone;
  v_week date := p_last + 1;
  v_offer jsonb := '{"total": 0, "slots": []}';
begin
  if p_part is not null then
    v_offer := private.offer(p_org, p_service, p_provider, greatest(p_first, v_today),
      least(p_last, p_horizon), null, p_call_id, p_at, 3);
  end if;
  while (v_offer ->> 'total')::integer = 0 and v_week <= least(p_horizon, p_last + 28) loop
    v_offer := private.offer(p_org, p_service, p_provider, greatest(v_week, v_today),
      least(v_week + 6, p_horizon), p_part, p_call_id, p_at, 3);
    v_week := v_week + 7;
  end loop;
  return v_offer;
end
$$;

COMMENT ON FUNCTION private.offer_nearest(p_org public.organizations, p_service public.services, p_provider public.providers, p_first date, p_last date, p_horizon date, p_part text, p_call_id text, p_at timestamp with time zone) IS 'A few bookable slots near days on which nothing is free, or none within four weeks.';

CREATE FUNCTION private.open_call(p_call jsonb, p_action text, OUT org public.organizations, OUT refusal jsonb) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
  select o.* into org from public.organizations as o
  where o.id = coalesce(
    (select c.org_id from public.org_channels as c
      where c.kind = 'vapi_phone_number' and c.value = p_call ->> 'phoneNumberId'),
    (select c.org_id from public.org_channels as c
      where c.kind = 'called_number' and c.value = p_call ->> 'calledNumber'),
    (select c.org_id from public.org_channels as c
      where c.kind = 'vapi_assistant' and c.value = p_call ->> 'assistantId'));
  if org.id is null then
    refusal := '{"outcome": "unknown_clinic"}';
  elsif p_call ? 'boundTo' and not p_call -> 'boundTo' ?| array[org.slug, org.id::text] then
    perform private.audit(org.id, p_call, p_action, null, 'cross_tenant_denied',
      '{"reason": "secret_of_others"}');
    refusal := jsonb_build_object('outcome', 'unknown_clinic', 'deniedOrgId', org.id);
  elsif coalesce(p_call -> 'claims', '{}') <> '{}'
    and not private.agrees_with_envelope(org, p_call) then
    perform private.audit(org.id, p_call, p_action, null, 'cross_tenant_denied');
    refusal := private.answer(org, '{"outcome": "cross_tenant_denied"}');
  end if;
end
$$;

COMMENT ON FUNCTION private.open_call(p_call jsonb, p_action text, OUT org public.organizations, OUT refusal jsonb) IS 'The organization of a call by its authenticated envelope, or the refusal to answer with.';

CREATE FUNCTION private.open_change(p_org public.organizations, p_call jsonb, p_entered public.calls, p_kind text, p_patient jsonb, p_said jsonb, p_slot_id text, p_now timestamp with time zone) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_earlier constant public.appointment_changes := private.find_change(p_org.id, p_entered.call_id);
  v_wanted private.wanted_slot;
  v_old public.appointments;
  v_hold public.appointments;
  v_held jsonb := '{}';
  v_is_booking boolean := false;
  -- A call has one request at a time: what is asked for another patient takes its place.
  v_postpones constant boolean := v_earlier.applied_at is null and v_earlier.kind <> 'find'
    and not private.is_same_patient(v_earlier.patient_name, p_patient ->> 'name');
begin
  -- A repeated request does not count.
  if (v_earlier.kind, v_earlier.patient_name, v_earlier.patient_phone, v_earlier.said)
      is distinct from (p_kind, p_patient ->> 'name', p_patient ->> 'phone', p_said)
    or v_earlier.slot_id is distinct from p_slot_id then
    if p_entered.change_requests >= p_org.call_change_requests then
      return '{"outcome": "change_limit"}';
    end if;
    update public.calls as c set change_requests = c.change_requests + 1
    where c.org_id = p_org.id and c.call_id = p_entered.call_id;
  end if;
  if p_kind = 'find' and v_earlier.kind <> 'find' and v_earlier.applied_at is null
    and v_earlier.patient_phone = p_patient ->> 'phone' then
    -- It is answered together with the change that already waits.
    return jsonb_build_object('outcome', 'code_needed', 'phoneEnding', right(p_patient ->> 'phone', 2));
  end if;
  v_old := private.find_new_time(p_org.id, p_entered.call_id, p_now);
  if p_kind = 'reschedule' then
    v_wanted := private.read_wanted(p_org, p_slot_id);
    if v_wanted.starts_at is null then
      return '{"outcome": "invalid_slot"}';
    end if;
    v_is_booking := private.is_booking(
      p_org.id, p_entered.call_id, v_earlier, v_wanted, p_patient, p_now);
    v_hold := private.find_held_time(p_org.id, p_call, p_entered, v_wanted, p_patient, p_now);
    if v_hold.id is not null then
      v_held := private.describe_hold(p_org, v_hold, p_now);
    else
      v_held := private.claim_start(p_org, p_call, p_entered, 'reschedule_appointment', v_wanted,
        p_patient, v_old, null);
      if v_held ->> 'outcome' <> 'held' then
        if v_held ->> 'outcome' = 'slot_taken' and v_old.id is null then
          perform private.keep_change(
            p_org.id, p_entered.call_id, p_kind, p_patient, p_said, p_slot_id, null, false, p_now);
          return v_held || jsonb_build_object('isKept', v_held -> 'taken');
        end if;
        return v_held;
      end if;
      select a.* into strict v_hold from public.appointments as a
      where a.org_id = p_org.id and a.id = (v_held ->> 'holdId')::uuid;
    end if;
    v_held := jsonb_strip_nulls(jsonb_build_object('startTime', v_held -> 'startTime',
      'endTime', v_held -> 'endTime', 'service', v_held -> 'service',
      'released', v_held -> 'released'));
  end if;
  if v_old.id is distinct from v_hold.id and v_old.id is not null and v_held -> 'released' is null then
    v_held := v_held || private.drop_new_time(p_org, p_call, p_kind || '_appointment', v_earlier);
  end if;
  perform private.keep_change(p_org.id, p_entered.call_id, p_kind, p_patient, p_said, p_slot_id,
    v_hold.id, v_is_booking, p_now);
  return v_held || jsonb_strip_nulls(jsonb_build_object(
    'outcome', 'code_needed', 'phoneEnding', right(p_patient ->> 'phone', 2),
    'postponed', case when v_postpones then true end));
end
$$;

COMMENT ON FUNCTION private.open_change(p_org public.organizations, p_call jsonb, p_entered public.calls, p_kind text, p_patient jsonb, p_said jsonb, p_slot_id text, p_now timestamp with time zone) IS 'Stores a request of a call that has not proven the number, and holds its new time.';

CREATE FUNCTION private.origin_of(p_call public.calls, p_phone bytea) RETURNS text
    LANGUAGE sql IMMUTABLE
    RETURN CASE WHEN ((p_call).caller_hash IS NULL) THEN 'no_number'::text WHEN ((p_call).caller_hash = p_phone) THEN 'own_number'::text ELSE 'other_number'::text END;

COMMENT ON FUNCTION private.origin_of(p_call public.calls, p_phone bytea) IS 'Whether a call comes from the number it texts: own_number, other_number or no_number.';

CREATE FUNCTION private."overlaps"(p_busy tstzrange, p_other tstzrange) RETURNS boolean
    LANGUAGE sql STABLE
    RETURN ((lower(p_busy) < upper(p_other)) AND (upper(p_busy) > lower(p_other)) AND (lower(p_busy) > (lower(p_other) - '72:00:00'::interval)));

COMMENT ON FUNCTION private."overlaps"(p_busy tstzrange, p_other tstzrange) IS 'Whether a row''s busy time overlaps another one; both are half open and have two ends.';

CREATE FUNCTION private.parse_slot_id(p_slot_id text, p_zone text, OUT service_slug text, OUT starts_at timestamp with time zone, OUT provider_slug text) RETURNS record
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $_$
declare
  v_when constant text := lower(split_part(btrim(p_slot_id), '/', 2));
  v_offset constant text := regexp_replace(substr(v_when, 17), '^:00(\.0+)?', '');
  v_local timestamp;
begin
  v_local := left(v_when, 16);
  if v_offset = '' then
    starts_at := private.wall(v_local, p_zone, false);
  elsif v_offset ~ '^(z|[+-][0-9]{2}:[0-9]{2})$' then
    starts_at := left(v_when, 16) || v_offset;
  end if;
  -- A different spelling, a time in a gap, or an offset that the clinic does not use then, is not a slot.
  if replace(left(v_when, 16), ' ', 't') <> to_char(v_local, 'YYYY-MM-DD"t"HH24:MI')
    or starts_at at time zone p_zone <> v_local then
    starts_at := null;
    return;
  end if;
  service_slug := lower(split_part(btrim(p_slot_id), '/', 1));
  provider_slug := nullif(lower(split_part(btrim(p_slot_id), '/', 3)), '');
exception when data_exception then
  -- Not a time, or a date such as 31 April.
  return;
end
$_$;

COMMENT ON FUNCTION private.parse_slot_id(p_slot_id text, p_zone text, OUT service_slug text, OUT starts_at timestamp with time zone, OUT provider_slug text) IS 'The parts of a slotId, or nulls if it is not one.';

CREATE FUNCTION private.patient_key(p_org uuid, p_phone text) RETURNS bytea
    LANGUAGE sql IMMUTABLE
    SET search_path TO ''
    AS $$
  select coalesce(private.hash_phone(p_phone), private.hash_phone('no phone/' || p_org))
$$;

COMMENT ON FUNCTION private.patient_key(p_org uuid, p_phone text) IS 'What private.lock_phones() locks while a patient''s rows are changed or erased.';

CREATE FUNCTION private.patient_refusal(p_org uuid, p_patient jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $_$
begin
  return case
    when coalesce(length(btrim(p_patient ->> 'name')), 0) not between 1 and 120
      then '{"outcome": "invalid_name"}'::jsonb
    when p_patient ->> 'phone' !~ '^\+[1-9][0-9]{6,14}$' then '{"outcome": "invalid_phone"}'
    when p_patient ->> 'country' !~ '^[A-Z]{2}$' then '{"outcome": "invalid_country"}'
    when exists (
      select from public.org_channels as c
      where c.org_id = p_org and c.kind = 'called_number' and c.value = p_patient ->> 'phone')
      then '{"outcome": "unusable_phone"}' end;
end
$_$;

COMMENT ON FUNCTION private.patient_refusal(p_org uuid, p_patient jsonb) IS 'Why a patient cannot be booked for as entered, or null.';

CREATE FUNCTION private.phone_send_refusal(p_org public.organizations, p_call public.calls, p_phone bytea, p_now timestamp with time zone) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
declare
  v_own constant boolean := coalesce(p_call.caller_hash = p_phone, false);
  v_texted public.phone_counts;
  v_caller public.phone_counts;
begin
  select c.* into v_texted from public.phone_counts as c where c.phone_hash = p_phone;
  select c.* into v_caller from public.phone_counts as c where c.phone_hash = p_call.caller_hash;
  return case
    when private.is_blocked(p_org.id, p_phone) then '{"outcome": "phone_send_limit"}'::jsonb
    when private.is_blocked(p_org.id, p_call.caller_hash) then '{"outcome": "call_send_limit"}'
    when private.count_since(v_texted.sent_at, p_now - interval '1 day')
      >= p_org.phone_daily_sends + case when v_own then p_org.own_phone_daily_sends else 0 end
      or private.count_since(v_texted.sent_at, p_now - interval '1 hour')
      >= p_org.phone_hourly_sends + case when v_own then p_org.own_phone_hourly_sends else 0 end
      then '{"outcome": "phone_send_limit"}'
    when private.count_since(v_caller.asked_at, p_now - interval '1 hour')
      >= p_org.caller_hourly_sends then '{"outcome": "call_send_limit"}'::jsonb
  end;
end
$$;

COMMENT ON FUNCTION private.phone_send_refusal(p_org public.organizations, p_call public.calls, p_phone bytea, p_now timestamp with time zone) IS 'The limit that another text would exceed: phone_send_limit, call_send_limit (of the caller), or null.';

CREATE FUNCTION private.plain_name(p_name text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE STRICT
    SET search_path TO ''
    AS $_$
begin
  return btrim(regexp_replace(
    regexp_replace(
      -- Removes the marks of letters that can be decomposed, and replaces those that cannot.
      replace(replace(replace(translate(
        regexp_replace(normalize(lower(p_name), nfkd), '[\u0300-\u036f''`\u2018\u2019\u02bc]', '', 'g'),
        'øłđðı', 'olddi'), 'ß', 'ss'), 'æ', 'ae'), 'œ', 'oe'),
      '[^[:alnum:]]+', ' ', 'g'),
    '^\s*((dr|doctor|mr|mrs|ms|mx|miss|sir|prof|professor|nurse)\s+)+'
      || '|(\s+(md|phd|dds|dmd|mbbs|mbchb|bds|frcs|facs))+\s*$', '', 'g'));
end
$_$;

COMMENT ON FUNCTION private.plain_name(p_name text) IS 'Lower case, no accents, no title, no punctuation.';

CREATE FUNCTION private.prepare_change(p_org public.organizations, p_call jsonb, p_entered public.calls, p_change public.appointment_changes, p_with_holds boolean, p_now timestamp with time zone, OUT answer jsonb, OUT appointment public.appointments, OUT hold public.appointments) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_call_id constant text := case when p_with_holds then p_change.call_id end;
  v_fits constant public.appointments[] :=
    array(select f from private.fitting_appointments(p_org, p_change, v_call_id, p_now) as f);
  v_wanted private.wanted_slot;
  v_doctor public.providers;
  v_old public.appointments;
  v_claimed jsonb;
begin
  if p_change.kind = 'find' then
    answer := private.list_appointments(
      p_org, p_entered.patient_names, v_call_id, p_change.patient_phone, p_now);
    return;
  elsif cardinality(v_fits) = 0 then
    if p_change.is_booking then
      -- From here on it is a hold like any other.
      update public.appointment_changes as c set hold_id = null
      where c.org_id = p_org.id and c.call_id = p_change.call_id;
    end if;
    answer := '{"outcome": "appointment_not_found"}';
    return;
  elsif cardinality(v_fits) > 1 then
    answer := private.ask_which(p_org, p_change, v_fits, p_now);
    return;
  end if;
  appointment := v_fits[1];
  v_wanted := private.read_wanted(p_org, p_change.slot_id);
  if p_change.kind = 'cancel' or private.is_wanted(v_wanted, appointment) then
    return;
  elsif v_wanted.starts_at is null then
    -- The clinic has since removed the service or the provider.
    answer := '{"outcome": "slot_taken", "taken": false, "slots": []}';
    return;
  end if;
  v_old := private.find_new_time(p_org.id, p_change.call_id, p_now);
  if v_old.id is not null then
    if (v_wanted.provider).id is not null or v_old.provider_id = appointment.provider_id then
      hold := private.lock_hold(p_org.id, v_old, p_now);
      if hold.id is not null then
        return;
      end if;
      v_old := null;
    else
      -- Try the same time with the provider of the appointment.
      select p.* into v_doctor from public.providers as p
      where p.org_id = p_org.id and p.id = appointment.provider_id;
      v_wanted.provider := v_doctor;
      if private.is_wanted(v_wanted, appointment) then
        return;
      end if;
    end if;
  end if;
  v_claimed := private.claim_start(p_org, p_call, p_entered, 'reschedule_appointment', v_wanted,
    jsonb_build_object('name', appointment.patient_name, 'phone', appointment.patient_phone,
      'country', appointment.patient_country), v_old, appointment);
  if v_claimed ->> 'outcome' = 'held' then
    select a.* into strict hold from public.appointments as a
    where a.org_id = p_org.id and a.id = (v_claimed ->> 'holdId')::uuid;
    -- Otherwise it would count as a separate booking.
    update public.appointment_changes as c set hold_id = hold.id
    where c.org_id = p_org.id and c.call_id = p_change.call_id;
    return;
  end if;
  hold := private.lock_hold(p_org.id, v_old, p_now);
  if hold.id is null then
    answer := v_claimed;
  end if;
end
$$;

COMMENT ON FUNCTION private.prepare_change(p_org public.organizations, p_call jsonb, p_entered public.calls, p_change public.appointment_changes, p_with_holds boolean, p_now timestamp with time zone, OUT answer jsonb, OUT appointment public.appointments, OUT hold public.appointments) IS 'Decides what a proven request changes, and holds its new time.';

CREATE FUNCTION private.proof_lifetime() RETURNS interval
    LANGUAGE sql IMMUTABLE
    RETURN '00:15:00'::interval;

COMMENT ON FUNCTION private.proof_lifetime() IS 'How long a passcode proves a phone for its call.';

CREATE FUNCTION private.protect(p_table regclass, p_role text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
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

COMMENT ON FUNCTION private.protect(p_table regclass, p_role text) IS 'Revokes all rights on a table, turns row level security on, and lets staff of a role and above read it.';

CREATE FUNCTION private.prove_phone(p_org uuid, p_call_id text, p_phone bytea, p_now timestamp with time zone) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
  update public.one_time_passcodes as c
  set state = 'used', mac = null, code_attempts = 0, 
    proven_until = p_now + private.proof_lifetime()
  where c.org_id = p_org and c.call_id = p_call_id and c.phone_hash = p_phone;
end
$$;

COMMENT ON FUNCTION private.prove_phone(p_org uuid, p_call_id text, p_phone bytea, p_now timestamp with time zone) IS 'Uses up a code that was right: its call has proven the phone.';

CREATE FUNCTION private.question_words(p_text text) RETURNS text[]
    LANGUAGE sql IMMUTABLE STRICT
    SET search_path TO ''
    AS $$
  select array(
    select w from unnest(tsvector_to_array(to_tsvector('pg_catalog.english', p_text))) as w
    where w <> all ('{also,anybodi,anyth,ask,avail,clinic,could,get,give,got,hello,hi,just,know,like,may,might,much,need,ok,okay,pleas,possibl,question,realli,say,someth,somewher,tell,thank,want,well,wonder,would}'::text[])
    order by w)
$$;

COMMENT ON FUNCTION private.question_words(p_text text) IS 'The lexemes of a question that tell what it is about, sorted; empty for "Where are you?".';

CREATE FUNCTION private.queue_reminders(p_org public.organizations, p_day date, p_now timestamp with time zone) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_text public.appointment_texts;
begin
  insert into private.reminded_days as r (org_id, day) values (p_org.id, p_day)
  on conflict (org_id) do update set day = excluded.day where r.day < excluded.day;
  if not found then
    return;
  end if;
  for v_text in
    insert into public.appointment_texts (org_id, appointment_id, kind, starts_at, due_at)
    select a.org_id, a.id, 'reminder', a.starts_at, p_now
    from private.find_reminded(p_org, p_day, p_now) as a
    on conflict do nothing
    returning *
  loop
    if v_text.starts_at < p_now + private.reminder_lead() then
      perform private.settle_text(p_org.id, v_text, 'dropped', 'late', p_now);
    end if;
  end loop;
end
$$;

COMMENT ON FUNCTION private.queue_reminders(p_org public.organizations, p_day date, p_now timestamp with time zone) IS 'Writes the reminders of an organization for the appointments of a local day.';

CREATE FUNCTION private.queue_text(p_org uuid, p_appointment uuid, p_kind text, p_moved_from uuid DEFAULT NULL::uuid) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_org public.organizations;
  v_row public.appointments;
  v_contact public.contacts;
  v_kind text := p_kind;
begin
  select o.* into strict v_org from public.organizations as o where o.id = p_org;
  if not private.texts_about(v_org, p_kind) and exists (
    select from public.appointment_texts as t
    where t.org_id = p_org and t.appointment_id = p_moved_from and t.kind = 'confirmation'
      and t.state = 'waiting') then
    v_kind := 'confirmation';
  end if;
  select a.* into v_row from public.appointments as a
  where a.org_id = p_org and a.id = p_appointment;
  select c.* into v_contact from public.contacts as c
  where c.org_id = p_org and c.id = v_row.contact_id;
  if v_row.starts_at > clock_timestamp()
    and private.text_refusal(v_org, v_kind, v_row, v_contact) is null then
    insert into public.appointment_texts (org_id, appointment_id, kind, starts_at, due_at)
    values (p_org, p_appointment, v_kind, v_row.starts_at, clock_timestamp())
    on conflict do nothing;
  end if;
end
$$;

COMMENT ON FUNCTION private.queue_text(p_org uuid, p_appointment uuid, p_kind text, p_moved_from uuid) IS 'Writes a text about an appointment, to be sent once this transaction has committed.';

CREATE FUNCTION private.raise_alarm(p_org uuid, p_kind private.alarm_kind, p_events integer, p_first_at timestamp with time zone, p_now timestamp with time zone, p_endpoint uuid DEFAULT NULL::uuid) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_alarm uuid;
begin
  insert into public.alarms as a (org_id, kind, raised_at, first_at, events)
  values (p_org, p_kind, p_now, p_first_at, p_events)
  returning a.id into v_alarm;
  perform private.audit(p_org, null, 'raise_alarm', null, p_kind,
    jsonb_build_object('events', p_events, 'since', p_first_at));
  perform private.tally('alarms', jsonb_build_object('kind', p_kind));
  perform private.tell(p_org, 'alarm.raised', v_alarm, jsonb_build_object(
    'alarmId', v_alarm, 'kind', p_kind, 'events', p_events, 'since', p_first_at),
    p_endpoint);
end
$$;

COMMENT ON FUNCTION private.raise_alarm(p_org uuid, p_kind private.alarm_kind, p_events integer, p_first_at timestamp with time zone, p_now timestamp with time zone, p_endpoint uuid) IS 'Raises an alarm: a row for staff, an audit row, a count.';

CREATE FUNCTION private.read_caller(p_org public.organizations, p_call jsonb) RETURNS bytea
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
declare
  v_number constant text := p_call ->> 'callerNumber';
begin
  return case when not exists (
      select from public.org_channels as c
      where c.kind in ('shared_line', 'called_number') and c.value = v_number
        and c.org_id = p_org.id)
    and v_number is distinct from p_org.transfer_number
    then private.hash_phone(v_number) end;
end
$$;

COMMENT ON FUNCTION private.read_caller(p_org public.organizations, p_call jsonb) IS 'The hash of the caller''s number, or null if it is withheld or one of the clinic''s.';

CREATE FUNCTION private.read_credentials(p_org uuid, p_provider text) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
declare
  v_row public.org_credentials;
begin
  select c.* into v_row from public.org_credentials as c
  where c.org_id = p_org and c.provider = p_provider;
  if v_row.org_id is null then
    return jsonb_build_object('outcome', 'not_configured', 'orgId', p_org);
  end if;
  return jsonb_build_object('outcome', 'found', 'orgId', v_row.org_id, 'keyId', v_row.key_id,
    'nonce', encode(v_row.nonce, 'base64'), 'ciphertext', encode(v_row.ciphertext, 'base64'),
    'updatedAt', v_row.updated_at);
end
$$;

COMMENT ON FUNCTION private.read_credentials(p_org uuid, p_provider text) IS 'The encrypted account of an organization, or not_configured.';

CREATE FUNCTION private.read_functions_target() RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
declare
  v_target private.functions_target;
begin
  select t.* into v_target from private.functions_target as t;
  if v_target.url is not null and v_target.secret is null and private.has_vault() then
    select v.secret into v_target.secret from private.find_in_vault() as v;
  end if;
  return case when v_target.secret is not null
    then jsonb_build_object('url', v_target.url, 'secret', v_target.secret) end;
end
$$;

COMMENT ON FUNCTION private.read_functions_target() IS 'Where the functions are and the secret that they expect of the database, or null.';

CREATE FUNCTION private.read_id(p_text text) RETURNS uuid
    LANGUAGE sql IMMUTABLE
    RETURN CASE WHEN (btrim(p_text) ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'::text) THEN (btrim(p_text))::uuid ELSE NULL::uuid END;

COMMENT ON FUNCTION private.read_id(p_text text) IS 'The id in a text, or null when it is not one: models make ids up.';

CREATE FUNCTION private.read_local(p_text text, p_zone text, p_ends boolean) RETURNS timestamp with time zone
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $_$
begin
  return case when p_text ~ 'T.*[+-]\d\d:\d\d$' then p_text::timestamptz
    else private.wall(p_text::timestamp, p_zone, p_ends and p_text !~ 'T00:00$') end;
end
$_$;

COMMENT ON FUNCTION private.read_local(p_text text, p_zone text, p_ends boolean) IS 'The instant of a local time in a clinic''s document; null for null.';

CREATE FUNCTION private.read_offered(p_org uuid, p_provider uuid, p_service uuid, p_start timestamp with time zone, p_at timestamp with time zone) RETURNS public.services
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_read record;
begin
  select o as org, s as service into v_read
  from public.organizations as o
  join public.services as s on s.org_id = o.id and s.id = p_service and s.active
  where o.id = p_org;
  return case when exists (
    select from private.find_open(v_read.org, v_read.service, p_provider, p_start, p_at))
    then v_read.service end;
end
$$;

COMMENT ON FUNCTION private.read_offered(p_org uuid, p_provider uuid, p_service uuid, p_start timestamp with time zone, p_at timestamp with time zone) IS 'A service, read under its provider''s lock, or nulls if the provider does not work then.';

CREATE FUNCTION private.read_patient(p_patient private.patient) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $_$
declare
  v_rule private.personal_data;
  v_rows jsonb;
  v_data jsonb := '{}';
begin
  for v_rule in
    select d.* from private.personal_data as d where d.about is not null order by d.step, d.relation::text
  loop
    execute format(
      $sql$select jsonb_agg(to_jsonb(t)
          - '{mac,to_hash,phone_hash,caller_hash,arguments_hash,patient_names,result}'::text[])
        from %s as t, (select ($1).*) as p where t.org_id = p.org_id and (%s)$sql$,
      v_rule.relation, v_rule.about)
    into v_rows using p_patient;
    if v_rows is not null then
      v_data := v_data || jsonb_build_object(v_rule.relation::text,
        coalesce(v_data -> v_rule.relation::text, '[]') || v_rows);
    end if;
  end loop;
  return v_data;
end
$_$;

COMMENT ON FUNCTION private.read_patient(p_patient private.patient) IS 'Everything that is kept of a patient: {table: [row]}.';

CREATE FUNCTION private.read_said(p_org public.organizations, p_call jsonb, p_patient_name text, p_appointment text, p_date jsonb, p_time jsonb, p_provider text, OUT said jsonb, OUT refusal jsonb) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_today constant date := (clock_timestamp() at time zone p_org.timezone)::date;
  v_last constant date := v_today + coalesce((
    select max(s.horizon_days) from public.services as s where s.org_id = p_org.id), 0);
  v_day constant date := private.resolve_day(p_org, p_date, v_today, v_last);
begin
  if p_date is not null and coalesce(v_day < v_today, true) then
    -- The name must not be in the report of the call.
    perform private.enter_call(p_org, p_call, p_patient_name);
    refusal := private.answer(p_org, jsonb_build_object('today', v_today) || case
      when v_day is null then private.describe_unclear_day(p_org, p_date, v_today)
      else '{"outcome": "past_date"}' end);
  end if;
  said := jsonb_strip_nulls(jsonb_build_object(
    'id', p_appointment, 'date', v_day, 'time', p_time, 'provider', p_provider));
end
$$;

COMMENT ON FUNCTION private.read_said(p_org public.organizations, p_call jsonb, p_patient_name text, p_appointment text, p_date jsonb, p_time jsonb, p_provider text, OUT said jsonb, OUT refusal jsonb) IS 'What a caller said of an appointment, or why the day cannot be.';

CREATE FUNCTION private.read_schedule(p_kind text, p_value jsonb) RETURNS jsonb
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO ''
    AS $$
declare
  v_hours constant jsonb := case p_kind when 'hours' then p_value when 'day' then p_value -> 'hours' end;
  v_read jsonb;
begin
  if jsonb_typeof(v_hours) is distinct from 'array' then
    return p_value;
  end if;
  select coalesce(jsonb_agg(jsonb_strip_nulls(to_jsonb(d))), '[]') into v_read
  from jsonb_to_recordset(v_hours) as d (
    dow integer, "startMin" integer, "endMin" integer, "from" date, "until" date);
  return case p_kind when 'hours' then v_read
    else jsonb_build_object('day', (p_value ->> 'day')::date, 'hours', v_read) end;
end
$$;

COMMENT ON FUNCTION private.read_schedule(p_kind text, p_value jsonb) IS 'The known parts of a change of weekly hours or of a day''s hours.';

CREATE FUNCTION private.read_wanted(p_org public.organizations, p_slot_id text) RETURNS private.wanted_slot
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
declare
  v_parts record;
  v_service public.services;
  v_provider public.providers;
begin
  v_parts := private.parse_slot_id(p_slot_id, p_org.timezone);
  if v_parts.starts_at is not null then
    v_service := private.find_service(p_org.id, v_parts.service_slug);
  end if;
  if v_parts.provider_slug is not null then
    select p.* into v_provider from public.providers as p
    where p.org_id = p_org.id and p.slug = v_parts.provider_slug and p.active;
  end if;
  if v_service.id is null or v_parts.provider_slug is not null and v_provider.id is null then
    return null;
  end if;
  return row(v_service, v_provider, v_parts.starts_at)::private.wanted_slot;
end
$$;

COMMENT ON FUNCTION private.read_wanted(p_org public.organizations, p_slot_id text) IS 'The slot that a slotId names, or nulls.';

CREATE FUNCTION private.recall_answer(p_org uuid, p_call jsonb, p_tool text, p_hash bytea) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
begin
  return (
    select t.result from public.tool_calls as t
    where t.org_id = p_org and t.call_id = p_call ->> 'callId'
      and t.tool_call_id = p_call ->> 'toolCallId' and t.tool_call_id <> ''
      and t.tool = p_tool and t.arguments_hash = p_hash);
end
$$;

COMMENT ON FUNCTION private.recall_answer(p_org uuid, p_call jsonb, p_tool text, p_hash bytea) IS 'The first answer to a repeated tool call, or null.';

CREATE FUNCTION private.recall_request(p_org uuid, p_call_id text, p_request jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
  select case when t.tool = p_request ->> 'action'
      and t.arguments_hash = decode(p_request ->> 'arguments', 'hex')
    then t.result else '{"outcome": "request_reused"}' end
  from public.tool_calls as t
  where t.org_id = p_org and t.call_id = p_call_id and t.tool_call_id = p_request ->> 'toolCallId'
  limit 1
$$;

COMMENT ON FUNCTION private.recall_request(p_org uuid, p_call_id text, p_request jsonb) IS 'The answer that a request of staff has had, request_reused if it was another request, or null.';

CREATE FUNCTION private.record_answer(p_org uuid, p_call jsonb, p_tool text, p_hash bytea, p_answer jsonb) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
  if p_call ->> 'callId' is not null and p_call ->> 'toolCallId' is not null then
    insert into public.tool_calls (
      org_id, call_id, tool_call_id, tool, arguments_hash, outcome, result
    ) values (
      p_org, p_call ->> 'callId', p_call ->> 'toolCallId', p_tool, p_hash,
      p_answer ->> 'outcome', p_answer
    )
    on conflict do nothing;
  end if;
end
$$;

COMMENT ON FUNCTION private.record_answer(p_org uuid, p_call jsonb, p_tool text, p_hash bytea, p_answer jsonb) IS 'Stores an answer for private.recall_answer().';

CREATE FUNCTION private.record_delivery(p_org uuid, p_send uuid, p_sid text, p_delivery text, p_error_code integer) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_text public.sms_messages;
  v_before integer;
begin
  select m.* into v_text from public.sms_messages as m
  where m.org_id = p_org and m.id = p_send for update;
  if v_text.id is null then
    return '{"outcome": "unknown_send"}';
  elsif v_text.sid <> p_sid then
    return '{"outcome": "other_text"}';
  end if;
  v_before := coalesce(private.delivery_rank(v_text.delivery), 0);
  if private.delivery_rank(p_delivery) <= v_before then
    return '{"outcome": "known"}';
  end if;
  update public.sms_messages as m
  set sid = p_sid, delivery = p_delivery, error_code = p_error_code, updated_at = clock_timestamp()
  where m.org_id = p_org and m.id = p_send;
  if p_error_code = 21610 then
    perform private.note_opt_out(p_org, p_send, true);
  end if;
  if p_delivery in ('failed', 'undelivered', 'delivered') then
    perform private.audit(p_org, null, 'deliver_text', v_text.appointment_id, p_delivery,
      jsonb_strip_nulls(jsonb_build_object('sendId', p_send, 'errorCode', p_error_code)));
    if v_before < private.delivery_rank('failed') then
      perform private.tally_text(v_text.origin, case
        when p_delivery = 'delivered' then 'delivered'
        when private.is_fault_of_number(p_error_code) then 'refused' else 'undelivered' end);
    end if;
  end if;
  return '{"outcome": "recorded"}';
end
$$;

COMMENT ON FUNCTION private.record_delivery(p_org uuid, p_send uuid, p_sid text, p_delivery text, p_error_code integer) IS 'Stores the state of a text, if it ranks higher than the known one.';

CREATE FUNCTION private.refuse_answer(p_org uuid, p_hash bytea, p_rows public.appointments[], p_now timestamp with time zone) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
declare
  v_ids constant uuid[] := array(select r.id from unnest(p_rows) as r);
begin
  return case
    when cardinality(p_rows) = 0 then '{"outcome": "no_reminder"}'::jsonb
    when exists (
      select from public.text_answers as t
      where t.org_id = p_org and t.phone_hash = p_hash and t.outcome = 'cancelled'
        and t.appointment_ids && v_ids) then '{"outcome": "already_cancelled"}'
    when exists (select from unnest(p_rows) as r where r.status = 'cancelled' and r.starts_at > p_now)
      then '{"outcome": "changed"}'
    else '{"outcome": "too_late"}' end;
end
$$;

COMMENT ON FUNCTION private.refuse_answer(p_org uuid, p_hash bytea, p_rows public.appointments[], p_now timestamp with time zone) IS 'no_reminder, already_cancelled (by an answer), changed (cancelled or moved otherwise) or too_late.';

CREATE FUNCTION private.refuse_attempts(p_purpose text) RETURNS jsonb
    LANGUAGE sql IMMUTABLE
    RETURN CASE p_purpose WHEN 'change'::text THEN '{"isFinal": true, "outcome": "code_locked"}'::jsonb ELSE '{"outcome": "locked"}'::jsonb END;

COMMENT ON FUNCTION private.refuse_attempts(p_purpose text) IS 'The outcome locked; for a change code_locked with isFinal: no further code.';

CREATE FUNCTION private.refuse_code(p_org public.organizations, p_call public.calls, p_awaited private.awaited_code, p_purpose text, p_macs jsonb, p_now timestamp with time zone) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $_$
declare
  v_code constant public.one_time_passcodes := p_awaited.code;
  v_phone constant bytea := coalesce(v_code.phone_hash, private.hash_phone(p_awaited.phone));
  v_purpose constant text := coalesce(v_code.purpose, p_purpose);
begin
  if p_call.attempts >= p_org.call_attempts
    or private.attempts_left(p_org, p_call, v_phone, p_now) <= 0 then
    return private.refuse_attempts(v_purpose);
  elsif v_code.state = 'locked' then
    return '{"outcome": "code_locked"}';
  elsif v_code.mac is null and v_purpose = 'confirm' then
    return '{"outcome": "no_code"}';
  elsif v_code.expires_at <= p_now or v_code.state in ('cleared', 'used', 'replaced') then
    return '{"outcome": "code_expired"}';
  elsif v_code.mac is not null and not jsonb_path_exists(
    p_macs, '$[*] ? (@.keyId == $key)', jsonb_build_object('key', v_code.key_id)) then
    -- Its pepper is gone, so no digits can match: nothing is counted, and the next text need not wait.
    perform private.forget_passcode(p_org.id, p_call.call_id, v_phone);
    return '{"outcome": "code_unreadable"}';
  end if;
  return null;
end
$_$;

COMMENT ON FUNCTION private.refuse_code(p_org public.organizations, p_call public.calls, p_awaited private.awaited_code, p_purpose text, p_macs jsonb, p_now timestamp with time zone) IS 'Why no digits are compared with a passcode, or null.';

CREATE FUNCTION private.refuse_gone(p_call jsonb, p_action text) RETURNS jsonb
    LANGUAGE sql
    SET search_path TO ''
    AS $$
  select coalesce((private.open_call(p_call, p_action)).refusal, '{"outcome": "busy"}')
$$;

COMMENT ON FUNCTION private.refuse_gone(p_call jsonb, p_action text) IS 'unknown_clinic if the clinic of a call was deleted while the call waited, else busy.';

CREATE FUNCTION private.refuse_reports(p_org uuid, p_calls text[]) RETURNS void
    LANGUAGE sql
    SET search_path TO ''
    AS $$
  insert into public.call_reports as r (org_id, call_id, reported_at)
  select p_org, c, clock_timestamp() from unnest(p_calls) as c
  on conflict (org_id, call_id) do update
  set reported_at = excluded.reported_at, ended_reason = null, duration_seconds = null, cost = null,
    transcript = null, summary = null, redactions = '{}'
$$;

COMMENT ON FUNCTION private.refuse_reports(p_org uuid, p_calls text[]) IS 'Marks calls as reported, without a text: public.end_call files no report of them.';

CREATE FUNCTION private.refuse_slot(p_org public.organizations, p_call jsonb, p_action text, p_wanted private.wanted_slot, p_old public.appointments, p_moves public.appointments, p_was_free boolean, p_at timestamp with time zone) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_kept public.appointments;
begin
  select h.* into v_kept from private.find_holds(p_org.id, p_call ->> 'callId', p_at) as h
  where private.is_wanted(p_wanted, h) and h.id is distinct from p_old.id
  order by h.created_at desc limit 1;
  perform private.audit(p_org.id, p_call, p_action, null, 'slot_taken',
    jsonb_build_object('slotId', private.slot_id((p_wanted.service).slug, p_wanted.starts_at,
      p_org.timezone, (p_wanted.provider).slug)));
  return private.describe_own_hold(p_org, v_kept, p_at)
    || jsonb_build_object('outcome', 'slot_taken', 'orgId', p_org.id, 'timezone', p_org.timezone,
    'taken', p_was_free or private.is_taken(p_org.id, p_wanted.service, (p_wanted.provider).id,
      p_wanted.starts_at, p_old.call_id, p_at, p_moves.id))
    || private.alternatives(
      p_org, p_wanted.service, p_wanted.provider, p_wanted.starts_at, p_old, p_moves.id);
end
$$;

COMMENT ON FUNCTION private.refuse_slot(p_org public.organizations, p_call jsonb, p_action text, p_wanted private.wanted_slot, p_old public.appointments, p_moves public.appointments, p_was_free boolean, p_at timestamp with time zone) IS 'The outcome slot_taken with up to three other slots.';

CREATE FUNCTION private.refuse_start(p_org public.organizations, p_wanted private.wanted_slot, p_moves uuid, p_was_free boolean) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
  return jsonb_build_object('outcome', 'slot_taken', 'timezone', p_org.timezone,
    'taken', p_was_free or private.is_taken(p_org.id, p_wanted.service, (p_wanted.provider).id,
      p_wanted.starts_at, null, clock_timestamp(), p_moves))
    || private.alternatives(
      p_org, p_wanted.service, p_wanted.provider, p_wanted.starts_at, null, p_moves);
end
$$;

COMMENT ON FUNCTION private.refuse_start(p_org public.organizations, p_wanted private.wanted_slot, p_moves uuid, p_was_free boolean) IS 'The outcome slot_taken for staff, with up to three other slots.';

CREATE FUNCTION private.release_call(p_org public.organizations, p_call jsonb) RETURNS public.appointments
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_call_id constant text := p_call ->> 'callId';
  v_hold public.appointments;
begin
  perform private.lock_holds(p_org.id, v_call_id);
  for v_hold in
    select a.* from public.appointments as a
    where a.org_id = p_org.id and a.call_id = v_call_id and a.status = 'held'
      -- A call ends, and what it has left to the front desk stays.
      and not private.is_kept(a)
    order by a.created_at
  loop
    perform private.release_hold(p_org.id, p_call, 'end_call', v_hold.id);
  end loop;
  return v_hold;
end
$$;

COMMENT ON FUNCTION private.release_call(p_org public.organizations, p_call jsonb) IS 'Releases the holds of a call that has ended.';

CREATE FUNCTION private.release_hold(p_org uuid, p_call jsonb, p_action text, p_hold uuid) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
  update public.appointments as a
  set status = 'cancelled', updated_at = clock_timestamp()
  where a.org_id = p_org and a.id = p_hold and a.status = 'held' and not private.is_kept(a)
    and (a.call_id = p_call ->> 'callId' or private.is_left_to(p_org, a, p_call ->> 'callId'));
  if found then
    perform private.audit(p_org, p_call, p_action, p_hold, 'released');
  end if;
end
$$;

COMMENT ON FUNCTION private.release_hold(p_org uuid, p_call jsonb, p_action text, p_hold uuid) IS 'Cancels and audits a hold that its call no longer wants, if that call still holds it.';

CREATE FUNCTION private.reminded_appointments(p_org uuid, p_phone text, p_now timestamp with time zone) RETURNS SETOF public.appointments
    LANGUAGE plpgsql STABLE ROWS 2
    SET search_path TO ''
    AS $$
declare
  v_contact constant uuid := (
    select c.id from public.contacts as c where c.org_id = p_org and c.phone = p_phone);
begin
  return query
  select a.* from public.appointments as a
  where a.org_id = p_org and a.contact_id = v_contact and a.starts_at > p_now - interval '3 days'
    and exists (
      select from public.appointment_texts as t
      join public.sms_messages as m on m.org_id = p_org and m.id = t.send_id
      where t.org_id = p_org and t.appointment_id = a.id and t.kind = 'reminder'
        and t.starts_at = a.starts_at and t.offers_answer
        -- The answer may be faster than what Twilio says of the reminder.
        and t.state in ('sending', 'sent', 'unknown')
        and m.to_hash = private.hash_phone(p_phone))
  order by a.starts_at, a.id;
end
$$;

COMMENT ON FUNCTION private.reminded_appointments(p_org uuid, p_phone text, p_now timestamp with time zone) IS 'The appointments about which a number can answer.';

CREATE FUNCTION private.reminder_day(p_org public.organizations, p_at timestamp with time zone) RETURNS date
    LANGUAGE sql STABLE
    RETURN CASE WHEN ((((p_at AT TIME ZONE (p_org).timezone))::time without time zone >= (make_interval(mins => (p_org).reminder_min))::time without time zone) AND (private.wake_time((p_org).timezone, p_at) = p_at)) THEN (((p_at AT TIME ZONE (p_org).timezone))::date + 1) ELSE NULL::date END;

COMMENT ON FUNCTION private.reminder_day(p_org public.organizations, p_at timestamp with time zone) IS 'The local day whose patients an organization reminds at a time, or null.';

CREATE FUNCTION private.reminder_lead() RETURNS interval
    LANGUAGE sql IMMUTABLE
    RETURN '02:00:00'::interval;

COMMENT ON FUNCTION private.reminder_lead() IS 'Who is reminded later than this before the appointment is not reminded at all.';

CREATE FUNCTION private.repeat_answer(p_org uuid, p_call jsonb, p_tool text, p_hash bytea, p_outcome text DEFAULT NULL::text) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
  select t.result
  from (
    select c.* from public.tool_calls as c
    where c.org_id = p_org and c.call_id = p_call ->> 'callId' and c.tool <> 'hold_slot'
    order by c.created_at desc limit 1) as t
  where t.tool = p_tool and t.arguments_hash = p_hash and t.outcome = coalesce(p_outcome, t.outcome)
$$;

COMMENT ON FUNCTION private.repeat_answer(p_org uuid, p_call jsonb, p_tool text, p_hash bytea, p_outcome text) IS 'The latest answer of a call, if it was given to the same request, or null.';

CREATE FUNCTION private.repeat_hold(p_org public.organizations, p_call jsonb, p_entered public.calls, p_hold uuid, p_patient jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_ttl constant interval := make_interval(mins => p_org.hold_minutes);
  v_hold public.appointments;
  v_now timestamptz;
  v_extends boolean;
  v_moves_phone boolean;
begin
  select a.* into v_hold from public.appointments as a
  where a.org_id = p_org.id and a.id = p_hold for update;
  v_now := clock_timestamp();
  if private.awaits_code(v_hold, v_now) is not true or v_hold.call_id <> p_call ->> 'callId' then
    -- It has expired, or the patient's next call has taken it over.
    return jsonb_build_object('outcome', 'hold_expired', 'orgId', p_org.id);
  end if;
  v_extends := v_hold.extended_at is null and v_hold.expires_at < v_now + v_ttl / 2;
  v_moves_phone := v_hold.patient_phone <> p_patient ->> 'phone';
  if v_moves_phone then
    if private.is_phone_full(
      p_org, p_entered, private.hash_phone(p_patient ->> 'phone'), v_hold.id, v_now) then
      return jsonb_build_object('outcome', 'hold_limit', 'orgId', p_org.id, 'of', 'phone');
    end if;
    perform private.forget_old_phone(p_org.id, v_hold);
    perform private.audit(p_org.id, p_call, 'hold_slot', v_hold.id, 'phone_changed');
  end if;
  if v_hold.patient_name <> p_patient ->> 'name' then
    perform private.audit(p_org.id, p_call, 'hold_slot', v_hold.id, 'name_changed');
  end if;
  if v_extends then
    perform private.audit(p_org.id, p_call, 'hold_slot', v_hold.id, 'extended');
  end if;
  if v_extends or v_moves_phone or v_hold.patient_name <> p_patient ->> 'name' then
    update public.appointments as a
    set patient_name = p_patient ->> 'name', patient_phone = p_patient ->> 'phone',
      patient_country = p_patient ->> 'country', updated_at = v_now,
      asked_by = a.asked_by || private.request_key(p_call, p_patient),
      extended_at = case when v_extends then v_now else a.extended_at end,
      expires_at = case when v_extends then greatest(a.expires_at, v_now + v_ttl)
        else a.expires_at end
    where a.org_id = p_org.id and a.id = p_hold
    returning a.* into v_hold;
    if v_moves_phone then
      perform private.count_hold(p_org.id, p_entered, v_hold, v_now);
    end if;
  else
    perform private.note_request(p_org.id, p_hold, private.request_key(p_call, p_patient));
  end if;
  return private.describe_hold(p_org, v_hold, v_now) || '{"outcome": "held", "repeated": true}';
end
$$;

COMMENT ON FUNCTION private.repeat_hold(p_org public.organizations, p_call jsonb, p_entered public.calls, p_hold uuid, p_patient jsonb) IS 'The answer to a call that asks again for the slot it holds.';

CREATE FUNCTION private.repeat_released(p_org uuid, p_call jsonb, p_hash bytea, p_named uuid) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
declare
  v_answer constant jsonb :=
    private.repeat_answer(p_org, p_call, 'cancel_appointment', p_hash, 'hold_released');
begin
  return case when v_answer -> 'repeated' is null or v_answer ->> 'holdId' = p_named::text
    then v_answer || '{"repeated": true}' end;
end
$$;

COMMENT ON FUNCTION private.repeat_released(p_org uuid, p_call jsonb, p_hash bytea, p_named uuid) IS 'hold_released again, if it was the latest answer of a call, to the same request: once, unless that names the hold (p_named).';

CREATE FUNCTION private.repeat_request(p_org public.organizations, p_call_id text, p_request text, p_wanted private.wanted_slot, p_name text, p_now timestamp with time zone) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
declare
  v_hold public.appointments;
  v_has_expired boolean;
begin
  if p_request is null then
    return null;
  end if;
  select m.* into v_hold from private.rows_of_call(p_org.id, p_call_id) as m
  where p_request = any (m.asked_by) and private.is_wanted(p_wanted, m)
  order by m.created_at desc limit 1;
  if v_hold.id is null then
    return null;
  elsif not private.is_live(v_hold, p_now) or private.is_kept(v_hold) then
    -- It was released, has expired or is the front desk's: what the patient has now.
    v_has_expired := private.has_expired(v_hold, p_now);
    select m.* into v_hold from private.rows_of_call(p_org.id, p_call_id) as m
    where private.is_live(m, p_now) and not private.is_kept(m)
      and private.is_same_patient(p_name, m.patient_name) and not private.is_new_time(p_org.id, m)
    order by m.status = 'held' desc, m.created_at desc limit 1;
    if v_hold.id is null and v_has_expired then
      return null;
    end if;
  end if;
  return case v_hold.status
    when 'held' then private.describe_hold(p_org, v_hold, p_now) || '{"outcome": "held", "repeated": true}'
    when 'confirmed' then private.describe_hold(p_org, v_hold, p_now)
      || '{"outcome": "already_confirmed", "repeated": true}'
    else jsonb_build_object('outcome', 'hold_expired', 'orgId', p_org.id) end;
end
$$;

COMMENT ON FUNCTION private.repeat_request(p_org public.organizations, p_call_id text, p_request text, p_wanted private.wanted_slot, p_name text, p_now timestamp with time zone) IS 'The answer to a repeated request: held, already_confirmed, hold_expired, or null.';

CREATE FUNCTION private.repeated_send(p_org uuid, p_code public.one_time_passcodes, p_tool_call_id text, p_purpose text, p_now timestamp with time zone) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
declare
  v_open constant boolean := p_purpose = 'change';
  -- The code of a change may never have gone out: a hold does not wait for it.
  v_cooling constant boolean := coalesce(p_code.state in ('sending', 'sent')
    and (v_open or p_code.purpose = 'confirm')
    and p_code.claimed_at > p_now - private.text_cooldown() and p_code.expires_at > p_now
    and (v_open or not private.was_not_delivered(p_org, p_code.send_id)), false);
  v_repeated constant boolean := exists (
    select from public.sms_messages as m
    where m.org_id = p_org and m.call_id = p_code.call_id and m.to_hash = p_code.phone_hash
      and m.tool_call_id = p_tool_call_id
      and (v_open or m.sid is not null or v_cooling and m.id = p_code.send_id));
begin
  if not v_repeated and not v_cooling then
    return null;
  end if;
  return jsonb_build_object(
    'outcome', case when v_repeated then 'already_sent' else 'cooldown' end,
    'expiresInSeconds', floor(extract(epoch from p_code.expires_at - p_code.claimed_at))::integer,
    'retryAfterSeconds', case when v_cooling then
      ceil(extract(epoch from p_code.claimed_at + private.text_cooldown() - p_now))::integer
      else 0 end);
end
$$;

COMMENT ON FUNCTION private.repeated_send(p_org uuid, p_code public.one_time_passcodes, p_tool_call_id text, p_purpose text, p_now timestamp with time zone) IS 'already_sent for a repeated request, cooldown shortly after another text, else null.';

CREATE FUNCTION private.replace_absences(p_org uuid, p_calendar uuid, p_provider uuid, p_spans tstzrange[], OUT added integer, OUT removed integer) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO ''
    SET enable_nestloop TO 'off'
    AS $$
begin
  delete from public.time_off as t
  where t.org_id = p_org and t.calendar_id = p_calendar and t.span in (
    select h.span from public.time_off as h where h.org_id = p_org and h.calendar_id = p_calendar
    except select unnest(p_spans));
  get diagnostics removed = row_count;
  insert into public.time_off (org_id, provider_id, calendar_id, span)
  select p_org, p_provider, p_calendar, n.span
  from (
    select unnest(p_spans) as span
    except
    select h.span from public.time_off as h where h.org_id = p_org and h.calendar_id = p_calendar
  ) as n;
  get diagnostics added = row_count;
end
$$;

COMMENT ON FUNCTION private.replace_absences(p_org uuid, p_calendar uuid, p_provider uuid, p_spans tstzrange[], OUT added integer, OUT removed integer) IS 'Makes the absences that come from a calendar these ones; others are not touched.';

CREATE FUNCTION private.request_key(p_call jsonb, p_patient jsonb) RETURNS text
    LANGUAGE sql IMMUTABLE
    RETURN md5((NULLIF((p_call ->> 'toolCallId'::text), ''::text) || (p_patient)::text));

COMMENT ON FUNCTION private.request_key(p_call jsonb, p_patient jsonb) IS 'Tells a repeated request for a slot from a new one; null without a tool call id.';

CREATE FUNCTION private.require_hours(p_row text, p_start integer, p_end integer) RETURNS boolean
    LANGUAGE plpgsql STABLE STRICT
    SET search_path TO ''
    AS $$
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

COMMENT ON FUNCTION private.require_hours(p_row text, p_start integer, p_end integer) IS 'True for hours that are possible or null; else raises 23514 with the row and the reason.';

CREATE FUNCTION private.require_read_committed() RETURNS void
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
begin
  if current_setting('transaction_isolation') <> 'read committed' then
    raise exception 'Cannot decide under isolation level %: use read committed',
      current_setting('transaction_isolation') using errcode = '25001';
  end if;
end
$$;

COMMENT ON FUNCTION private.require_read_committed() IS 'Raises 25001 under any other isolation level, where a check after a lock would see old rows.';

CREATE FUNCTION private.require_unchanged(p_is_unchanged boolean) RETURNS void
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
begin
  if not p_is_unchanged then
    raise exception using errcode = 'lock_not_available', message = 'changed meanwhile';
  end if;
end
$$;

COMMENT ON FUNCTION private.require_unchanged(p_is_unchanged boolean) IS 'Undoes the request of an entry function, whose answer is busy, unless the condition holds.';

CREATE FUNCTION private.resolve_day(p_org public.organizations, p_said jsonb, p_today date, p_last date DEFAULT 'infinity'::date) RETURNS date
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
declare
  v_weekday constant integer := (p_said ->> 'weekday')::integer;
  v_month_first constant boolean := p_org.default_country = 'US';
  v_day constant integer := coalesce((p_said ->> 'dayOfMonth')::integer,
    (p_said -> 'parts' ->> case when v_month_first then 1 else 0 end)::integer);
  v_month constant integer := coalesce((p_said ->> 'month')::integer,
    (p_said -> 'parts' ->> case when v_month_first then 0 else 1 end)::integer);
  v_year constant integer := (p_said ->> 'year')::integer;
  v_ahead constant date := date_trunc('month', p_today)
    + make_interval(months => (p_said ->> 'monthsAhead')::integer);
  v_date date;
begin
  if p_said ? 'next' then
    -- Weeks begin on Monday, so that Sunday's "next Tuesday" is in two days.
    return case when (p_said ->> 'next')::boolean
      then date_trunc('week', p_today)::date + 7 + (v_weekday + 6) % 7
      else p_today + (v_weekday - extract(dow from p_today)::integer + 7) % 7 end
      + 7 * coalesce((p_said ->> 'weeks')::integer, 0);
  end if;
  v_date := case
    when jsonb_typeof(p_said) = 'string' then (p_said #>> '{}')::date
    when p_said ? 'date' then (p_said ->> 'date')::date
    when p_said ? 'instant'
      then ((p_said ->> 'instant')::timestamptz at time zone p_org.timezone)::date
    when p_said ? 'daysAhead' then p_today + (p_said ->> 'daysAhead')::integer
    when v_ahead is not null then make_date(extract(year from v_ahead)::integer,
      extract(month from v_ahead)::integer, v_day)
    when v_year is not null then make_date(v_year, v_month, v_day)
    -- 29 February may be years ahead.
    when v_day is not null then (
      select min(d.day)::date
      from generate_series(p_today, p_today + 3000, interval '1 day') as d (day)
      where extract(day from d.day) = v_day
        and (v_month is null or extract(month from d.day) = v_month)
        and (v_weekday is null or d.day <= p_last and extract(dow from d.day) = v_weekday))
    end;
  return case when extract(dow from v_date) = coalesce(v_weekday, extract(dow from v_date))
    then v_date end;
exception when data_exception then
  return null;
end
$$;

COMMENT ON FUNCTION private.resolve_day(p_org public.organizations, p_said jsonb, p_today date, p_last date) IS 'The clinic-local day that was said, or null.';

CREATE FUNCTION private.restore_entries(p_org uuid, p_provider uuid, p_id uuid) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_row public.appointments;
  v_overlaps boolean;
  v_repaired boolean := false;
begin
  perform private.lock_provider(p_org, p_provider, p_wait => true);
  select a.* into v_row from public.appointments as a
  where a.org_id = p_org and a.id = p_id and private.takes_time(a) for update;
  -- It may have been cancelled since the probe.
  if not found or private.find_unguarded(p_org, p_provider, lower(v_row.busy), p_id) = '{}' then
    return true;
  end if;
  v_overlaps := private.would_overlap(p_org, p_provider, v_row.busy, v_row.session_key);
  if not v_overlaps then
    update public.appointments as a set updated_at = clock_timestamp()
    where a.org_id = p_org and a.id = p_id;
    v_repaired := private.find_unguarded(p_org, p_provider, lower(v_row.busy), p_id) = '{}';
  end if;
  perform private.note_finding(
    p_org, p_id, 'index_row_lost', v_repaired, jsonb_build_object('repaired', v_repaired));
  return v_repaired or v_overlaps;
exception when lock_not_available then
  -- Callers come first: the next round will find this row again.
  return false;
end
$$;

COMMENT ON FUNCTION private.restore_entries(p_org uuid, p_provider uuid, p_id uuid) IS 'Rewrites a lost row under its provider''s lock, so that the constraint sees it.';

CREATE FUNCTION private.retake_time(p_org uuid, p_row public.appointments, p_contact uuid) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_now timestamptz;
  v_seat integer;
begin
  perform private.lock_provider(p_org, p_row.provider_id, p_wait => true);
  v_now := clock_timestamp();
  perform private.expire_in_way(p_org, p_row.provider_id, p_row.busy, v_now);
  if private.would_overlap(p_org, p_row.provider_id, p_row.busy, p_row.session_key) then
    return false;
  end if;
  select min(s) into v_seat from generate_series(0, p_row.capacity - 1) as s
  where not exists (
    select from public.appointments as a
    where a.org_id = p_org and a.provider_id = p_row.provider_id
      and a.service_id = p_row.service_id and a.starts_at = p_row.starts_at and a.seat = s
      and private.takes_time(a));
  update public.appointments as a
  set status = 'confirmed', expires_at = null, seat = v_seat,
    contact_id = coalesce(p_contact, a.contact_id), updated_at = v_now
  -- An expired hold may have been in its own way.
  where a.org_id = p_org and a.id = p_row.id
    and a.status in (p_row.status, private.expired_status(p_row))
    and v_seat is not null
    -- The service may have fewer seats by now.
    and (
      select count(*) from public.appointments as o
      where o.org_id = p_org and o.provider_id = p_row.provider_id
        and o.service_id = p_row.service_id and o.starts_at = p_row.starts_at
        and private.takes_time(o)) < (
      select s.capacity from public.services as s
      where s.org_id = p_org and s.id = p_row.service_id);
  return found;
exception when exclusion_violation or unique_violation then
  return false;
end
$$;

COMMENT ON FUNCTION private.retake_time(p_org uuid, p_row public.appointments, p_contact uuid) IS 'Confirms a row that no longer takes its time, if the time is still free.';

CREATE FUNCTION private.retry_delay(p_attempts integer) RETURNS interval
    LANGUAGE sql IMMUTABLE
    RETURN CASE WHEN (p_attempts < 10) THEN ('00:01:00'::interval * LEAST((60)::double precision, ((2)::double precision ^ ((p_attempts - 1))::double precision))) ELSE NULL::interval END;

COMMENT ON FUNCTION private.retry_delay(p_attempts integer) IS 'How long a text that certainly did not go out waits after so many attempts; null: it is given up.';

CREATE FUNCTION private.revoke_feed(p_org uuid, p_feed uuid) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
  update public.calendar_feeds as f set revoked_at = coalesce(f.revoked_at, clock_timestamp())
  where f.org_id = p_org and f.id = p_feed;
  return jsonb_build_object('outcome', case when found then 'revoked' else 'unknown_feed' end);
end
$$;

COMMENT ON FUNCTION private.revoke_feed(p_org uuid, p_feed uuid) IS 'Revokes a calendar feed. From then on its token opens nothing.';

CREATE FUNCTION private.role_refusal(p_role text, p_needed text) RETURNS jsonb
    LANGUAGE sql IMMUTABLE
    SET search_path TO ''
    AS $$
  select case
    when p_role is null then '{"outcome": "unknown_clinic"}'::jsonb
    when p_role <> all (private.roles_from(p_needed))
      then jsonb_build_object('outcome', 'not_allowed', 'role', p_role, 'needed', p_needed) end
$$;

COMMENT ON FUNCTION private.role_refusal(p_role text, p_needed text) IS 'Why somebody may not do what is asked: unknown_clinic, not_allowed (role, needed), or null.';

CREATE FUNCTION private.roles_from(p_role text) RETURNS text[]
    LANGUAGE sql IMMUTABLE
    RETURN (ARRAY['viewer'::text, 'desk'::text, 'manager'::text, 'owner'::text])[array_position(ARRAY['viewer'::text, 'desk'::text, 'manager'::text, 'owner'::text], p_role):];

COMMENT ON FUNCTION private.roles_from(p_role text) IS 'A role of staff and those that may do more; empty for any other word.';

CREATE FUNCTION private.rows_of_call(p_org uuid, p_call_id text) RETURNS SETOF public.appointments
    LANGUAGE plpgsql STABLE ROWS 3
    SET search_path TO ''
    AS $$
begin
  return query
  select a.* from public.appointments as a where a.org_id = p_org and a.call_id = p_call_id;
end
$$;

COMMENT ON FUNCTION private.rows_of_call(p_org uuid, p_call_id text) IS 'The holds and appointments that a call has made.';

CREATE FUNCTION private.save_contact(p_org uuid, p_phone text, p_name text, p_proven_at timestamp with time zone) RETURNS uuid
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_contact uuid;
begin
  insert into public.contacts as c (org_id, phone, name, proven_at)
  values (p_org, p_phone, p_name, p_proven_at)
  on conflict (org_id, phone) do update
  set name = excluded.name, proven_at = coalesce(excluded.proven_at, c.proven_at)
  returning c.id into v_contact;
  return v_contact;
end
$$;

COMMENT ON FUNCTION private.save_contact(p_org uuid, p_phone text, p_name text, p_proven_at timestamp with time zone) IS 'Makes a patient a contact, or renames the contact with that number; without one it is always a new contact.';

CREATE FUNCTION private.seats_left(p_org uuid, p_service public.services, p_provider uuid, p_start timestamp with time zone, p_call_id text, p_at timestamp with time zone, p_moves uuid) RETURNS integer
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
begin
  return p_service.capacity - (
    select count(*)::integer
    from public.appointments as a
    where a.org_id = p_org and a.provider_id = p_provider and a.service_id = p_service.id
      and a.starts_at = p_start and private.blocks(a, p_call_id, p_moves, p_at));
end
$$;

COMMENT ON FUNCTION private.seats_left(p_org uuid, p_service public.services, p_provider uuid, p_start timestamp with time zone, p_call_id text, p_at timestamp with time zone, p_moves uuid) IS 'How many seats of a group session are free.';

CREATE FUNCTION private.send_or_refuse(p_org public.organizations, p_call jsonb, p_entered public.calls, p_code public.one_time_passcodes, p_hold public.appointments, p_target jsonb, p_send uuid, p_mac text, p_key_id text, p_sender text, p_now timestamp with time zone) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_refusal constant jsonb := private.send_refusal(
    p_org, p_entered, p_code, p_target, p_sender, p_now);
begin
  if v_refusal ->> 'outcome' = 'locked' then
    perform private.hand_over_holds(
      p_org, p_call, p_entered, p_hold.id, array[p_target ->> 'phone'], p_now);
  end if;
  return case when v_refusal is null
    then private.store_send(p_org, p_call, p_entered, p_code, p_hold, p_target ->> 'phone',
      p_target ->> 'purpose', p_send, p_mac, p_key_id, p_now)
    else v_refusal || jsonb_strip_nulls(jsonb_build_object(
      'alarm', private.count_for_alarm(p_org, 'refused_sends', p_now))) end;
end
$$;

COMMENT ON FUNCTION private.send_or_refuse(p_org public.organizations, p_call jsonb, p_entered public.calls, p_code public.one_time_passcodes, p_hold public.appointments, p_target jsonb, p_send uuid, p_mac text, p_key_id text, p_sender text, p_now timestamp with time zone) IS 'Begins a send if the limits allow it, or says why they do not.';

CREATE FUNCTION private.send_refusal(p_org public.organizations, p_call public.calls, p_code public.one_time_passcodes, p_target jsonb, p_sender text, p_now timestamp with time zone) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_phone constant text := p_target ->> 'phone';
  v_hash constant bytea := private.hash_phone(v_phone);
  v_for_change constant boolean := p_target ->> 'purpose' = 'change';
  v_refusal jsonb;
begin
  v_refusal := case
    when p_call.attempts >= p_org.call_attempts
      or private.attempts_left(p_org, p_call, v_hash, p_now) <= 0
      then case when v_for_change then '{"outcome": "call_send_limit"}'::jsonb
        else '{"outcome": "locked"}' end
    when not coalesce(p_target ->> 'country' = any (p_org.sms_countries), false)
      then '{"outcome": "blocked_country"}'
    when v_phone = p_sender or exists (
      select from public.org_channels as c
      where c.kind = 'called_number' and c.value = v_phone and c.org_id = p_org.id)
      then '{"outcome": "bad_destination"}'
    when not v_for_change and p_code.state = 'sent'
      and private.was_refused_by_number(p_org.id, p_code.send_id, p_now)
      then '{"outcome": "bad_destination"}'
    -- Not a third time at once: the caller can give another number, or wait for the cooldown.
    when not v_for_change and p_code.state is not distinct from 'sent'
      and p_code.claimed_at > p_now - private.text_cooldown()
      and private.failed_twice(p_org.id, p_call.call_id, v_hash) then '{"outcome": "undelivered"}'
    when p_call.sends >= p_org.call_sends then '{"outcome": "call_send_limit"}'
    -- Nothing came twice: a third text would not help, and callers must not learn whether there was one.
    when v_for_change and p_code.sends >= 2 then '{"outcome": "call_send_limit"}'
    when coalesce(p_code.sends, 0) = 0 and (
      select count(*) from public.one_time_passcodes as c
      where c.org_id = p_org.id and c.call_id = p_call.call_id and c.sends > 0)
      >= p_org.call_numbers then '{"outcome": "call_send_limit"}'
    else private.phone_send_refusal(p_org, p_call, v_hash, p_now)
  end;
  return coalesce(v_refusal, case
    when not private.has_texts_left(p_org, private.origin_of(p_call, v_hash), p_now)
      then '{"outcome": "org_send_limit"}'::jsonb end);
end
$$;

COMMENT ON FUNCTION private.send_refusal(p_org public.organizations, p_call public.calls, p_code public.one_time_passcodes, p_target jsonb, p_sender text, p_now timestamp with time zone) IS 'Why one more text may not be sent, or null.';

CREATE FUNCTION private.sent_at_hold(p_org uuid, p_hold public.appointments, p_code public.one_time_passcodes, p_tool_call_id text, p_is_settled boolean, p_now timestamp with time zone) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
declare
  v_sent constant uuid[] := array(
    select m.id from public.sms_messages as m
    where m.org_id = p_org and m.call_id = p_hold.call_id
      and m.to_hash = private.hash_phone(p_hold.patient_phone) and m.status <> 'refused'
      and (m.appointment_id = p_hold.id or m.tool_call_id = p_tool_call_id));
  -- A code about to expire could not be read out in time.
  v_waits constant boolean := coalesce(p_code.mac is not null and p_code.purpose = 'confirm'
    and (p_code.state = 'sent' or p_code.claimed_at > p_now - private.text_cooldown())
    and p_code.expires_at > p_now + private.text_cooldown()
    and not private.was_not_delivered(p_org, p_code.send_id), false);
begin
  return case
    when p_is_settled or v_sent <> '{}' and not v_waits then '{"outcome": "send_otp_needed"}'::jsonb
    when v_waits then jsonb_build_object(
      'outcome', case when p_code.send_id = any (v_sent) then 'already_sent' else 'under_way' end,
      'expiresInSeconds', floor(extract(epoch from p_code.expires_at - case
        when p_code.send_id = any (v_sent) then p_code.claimed_at else p_now end))::integer)
  end;
end
$$;

COMMENT ON FUNCTION private.sent_at_hold(p_org uuid, p_hold public.appointments, p_code public.one_time_passcodes, p_tool_call_id text, p_is_settled boolean, p_now timestamp with time zone) IS 'Why hold_slot texts no code: it was texted before, or it is for send_otp; else null.';

CREATE FUNCTION private.session_key(p_service uuid, p_start timestamp with time zone) RETURNS uuid
    LANGUAGE sql STABLE STRICT
    RETURN (md5((((p_service)::text || '@'::text) || ((EXTRACT(epoch FROM p_start))::bigint)::text)))::uuid;

COMMENT ON FUNCTION private.session_key(p_service uuid, p_start timestamp with time zone) IS 'Identity of a group session: a service and its start.';

CREATE FUNCTION private.set_busy(p_org uuid, p_provider uuid, p_address text) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_address constant text := regexp_replace(btrim(p_address), '^webcals?://', 'https://', 'i');
  v_reason text;
begin
  if not exists (
    select from public.providers as p where p.org_id = p_org and p.id = p_provider) then
    return '{"outcome": "unknown_provider"}';
  elsif v_address is null then
    delete from public.busy_calendars as c where c.org_id = p_org and c.provider_id = p_provider;
    return jsonb_build_object('outcome', case when found then 'removed' else 'unchanged' end);
  end if;
  begin
    insert into public.busy_calendars as c (org_id, provider_id, address)
    values (p_org, p_provider, v_address)
    on conflict (org_id, provider_id) do update
    set address = excluded.address, due_at = clock_timestamp(), fetch_id = null, etag = null,
      loaded_at = null, failures = 0, failed_at = null, failure = null;
  exception when integrity_constraint_violation then
    get stacked diagnostics v_reason = message_text;
    return jsonb_build_object('outcome', 'invalid_address', 'reason', v_reason);
  end;
  return '{"outcome": "set"}';
end
$$;

COMMENT ON FUNCTION private.set_busy(p_org uuid, p_provider uuid, p_address text) IS 'Sets or removes the address of a doctor''s own calendar.';

CREATE FUNCTION private.settle_change(p_org public.organizations, p_call jsonb, p_change public.appointment_changes, p_answer jsonb, p_hold public.appointments) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_outcome constant text := p_answer ->> 'outcome';
  v_released jsonb := '{}';
begin
  if v_outcome = 'which_appointment' then
    return '{}';
  elsif v_outcome in ('cancelled', 'rescheduled') then
    if p_change.hold_id is distinct from p_hold.id then
      perform private.drop_new_time(p_org, p_call, p_change.kind || '_appointment', p_change);
    end if;
    return '{}';
  end if;
  if p_hold.id is not null then
    p_change.hold_id := p_hold.id;
  elsif p_change.is_booking and v_outcome = 'appointment_not_found' then
    p_change.hold_id := null;
  end if;
  v_released := private.drop_new_time(p_org, p_call, 'reschedule_appointment', p_change);
  delete from public.appointment_changes as c
  where c.org_id = p_org.id and c.call_id = p_change.call_id;
  perform private.count_missed(p_org.id, p_change.call_id, v_outcome);
  return v_released;
end
$$;

COMMENT ON FUNCTION private.settle_change(p_org public.organizations, p_call jsonb, p_change public.appointment_changes, p_answer jsonb, p_hold public.appointments) IS 'Ends a request unless it waits for an answer, and says what was released.';

CREATE FUNCTION private.settle_text(p_org uuid, p_text public.appointment_texts, p_state text, p_reason text, p_due_at timestamp with time zone) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
  update public.appointment_texts as t
  set state = p_state, reason = p_reason, due_at = p_due_at, updated_at = clock_timestamp()
  where t.org_id = p_org and t.id = p_text.id;
  perform private.audit(p_org, null, 'text_appointment', p_text.appointment_id, p_state,
    jsonb_strip_nulls(jsonb_build_object('kind', p_text.kind, 'reason', p_reason)));
end
$$;

COMMENT ON FUNCTION private.settle_text(p_org uuid, p_text public.appointment_texts, p_state text, p_reason text, p_due_at timestamp with time zone) IS 'Writes down and audits what became of a text.';

CREATE FUNCTION private.share_session(p_org uuid, p_moves uuid, p_provider uuid, p_busy tstzrange) RETURNS uuid
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_session uuid;
begin
  update public.appointments as a set session_key = a.id
  where a.org_id = p_org and a.id = p_moves and a.provider_id = p_provider
    and a.capacity = 1 and private.overlaps(a.busy, p_busy)
    -- If others have joined its session, it cannot leave them.
    and not exists (
      select from public.appointments as o
      where o.org_id = p_org and o.provider_id = p_provider and o.id <> a.id
        and private.takes_time(o) and o.session_key = a.session_key
        and private.overlaps(o.busy, a.busy))
  returning a.session_key into v_session;
  return v_session;
end
$$;

COMMENT ON FUNCTION private.share_session(p_org uuid, p_moves uuid, p_provider uuid, p_busy tstzrange) IS 'Lets the new time of an appointment overlap the appointment itself.';

CREATE FUNCTION private.slot_id(p_service_slug text, p_start timestamp with time zone, p_zone text, p_provider_slug text) RETURNS text
    LANGUAGE sql STABLE
    RETURN private.name_slot(p_service_slug, private.iso_local(p_start, p_zone), p_zone, p_provider_slug);

COMMENT ON FUNCTION private.slot_id(p_service_slug text, p_start timestamp with time zone, p_zone text, p_provider_slug text) IS 'private.name_slot() of an instant.';

CREATE FUNCTION private.spelled_like(p_said text, p_stored text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE STRICT
    SET search_path TO ''
    AS $$
declare
  v_said constant text := private.plain_name(p_said);
begin
  if octet_length(p_said || p_stored) = length(p_said || p_stored) then
    return v_said;
  end if;
  return (
    select coalesce(string_agg(coalesce(t.plain, s.plain), ' ' order by s.place), '')
    from unnest(string_to_array(v_said, ' '),
        string_to_array(private.plain_name(private.write_umlauts(p_said)), ' '))
      with ordinality as s (plain, written, place)
    left join lateral (
      select w.plain
      from unnest(string_to_array(private.plain_name(p_stored), ' '),
          string_to_array(private.plain_name(private.write_umlauts(p_stored)), ' '))
        as w (plain, written)
      where w.plain in (s.plain, s.written) or w.written in (s.plain, s.written)
      limit 1) as t on true);
end
$$;

COMMENT ON FUNCTION private.spelled_like(p_said text, p_stored text) IS 'The plain form of a name, with umlauts spelled as in another name.';

CREATE FUNCTION private.status_refusal(p_row public.appointments, p_wanted text[]) RETURNS jsonb
    LANGUAGE sql IMMUTABLE
    SET search_path TO ''
    AS $$
  select case when p_row.id is null then '{"outcome": "appointment_not_found"}'::jsonb
    when p_row.status <> all (p_wanted)
      then jsonb_build_object('outcome', 'wrong_status', 'status', p_row.status) end
$$;

COMMENT ON FUNCTION private.status_refusal(p_row public.appointments, p_wanted text[]) IS 'appointment_not_found, or wrong_status (status) if an appointment is in none of these states, or null.';

CREATE FUNCTION private.steady_offset(p_day date, p_zone text) RETURNS interval
    LANGUAGE plpgsql STABLE STRICT
    SET search_path TO ''
    AS $$
declare
  v_from constant timestamp := p_day - 2;
  v_to constant timestamp := p_day + 3;
  v_offset constant interval := (v_from at time zone 'UTC' at time zone p_zone) - v_from;
begin
  return case when v_offset = (v_to at time zone 'UTC' at time zone p_zone) - v_to then v_offset end;
end
$$;

COMMENT ON FUNCTION private.steady_offset(p_day date, p_zone text) IS 'The offset of a time zone from UTC around a local day; null if it changes there.';

CREATE FUNCTION private.store_send(p_org public.organizations, p_call jsonb, p_entered public.calls, p_code public.one_time_passcodes, p_hold public.appointments, p_phone text, p_purpose text, p_send uuid, p_mac text, p_key_id text, p_now timestamp with time zone) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_call_id constant text := p_entered.call_id;
  v_phone constant bytea := private.hash_phone(p_phone);
  v_origin constant text := private.origin_of(p_entered, v_phone);
  v_is_due constant boolean := p_purpose = 'confirm' or private.is_text_due(
    p_org, private.find_change(p_org.id, v_call_id), p_now);
  v_held_until constant timestamptz := private.extend_holds(
    p_org, v_call_id, p_phone, p_now + private.code_lifetime(), p_now);
  -- The new time of a move is claimed again after the proof, so its expiry does not limit the code.
  v_expires constant timestamptz := case p_purpose when 'confirm' then v_held_until
    else p_now + private.code_lifetime() end;
  v_asked integer;
begin
  insert into public.one_time_passcodes as c (
    org_id, call_id, phone_hash, send_id, purpose, state, mac, key_id, claimed_at, expires_at, sends
  ) values (
    p_org.id, v_call_id, v_phone, p_send, p_purpose, 'sending',
    private.bind_mac(case when v_is_due then p_mac else
      encode(sha256(convert_to(gen_random_uuid()::text, 'UTF8')), 'hex') end,
      p_org.id, v_call_id, v_phone, p_send), p_key_id, p_now, v_expires, 1
  )
  on conflict (org_id, call_id, phone_hash) do update
  set send_id = excluded.send_id, purpose = excluded.purpose, state = 'sending',
    mac = excluded.mac,
    key_id = excluded.key_id, claimed_at = excluded.claimed_at,
    expires_at = excluded.expires_at, code_attempts = 0, sends = c.sends + 1;
  -- created_at is the time that count_send notes: clear_otp_send gives it back by that.
  insert into public.sms_messages (
    org_id, id, appointment_id, origin, to_masked, to_hash, call_id, tool_call_id, status, created_at
  ) values (
    p_org.id, p_send, case p_purpose when 'confirm' then p_hold.id end, v_origin,
    private.mask_phone(p_phone), v_phone, v_call_id, nullif(p_call ->> 'toolCallId', ''),
    case when v_is_due then 'sending' else 'not_due' end, p_now
  );
  perform private.count_send(v_phone, p_entered.caller_hash, p_now);
  update public.calls as c set sends = c.sends + 1
  where c.org_id = p_org.id and c.call_id = v_call_id;
  perform private.audit(p_org.id, p_call, 'send_otp', p_hold.id, 'claimed',
    jsonb_build_object('sendId', p_send));
  select count(*) into v_asked from private.find_holds(p_org.id, v_call_id, p_now) as h
  where h.patient_phone = p_phone and h.created_at > coalesce(p_code.claimed_at, '-infinity');
  if v_asked > 0 then
    perform private.tally('otp_requested', '{}', v_asked);
  end if;
  return jsonb_strip_nulls(jsonb_build_object(
    'outcome', 'claimed', 'orgId', p_org.id, 'holdId', p_hold.id, 'clinic', p_org.name,
    'purpose', p_purpose, 'isDue', v_is_due,
    'phone', p_phone, 'phoneEnding', right(p_phone, 2),
    'afterUndelivered', p_purpose = 'confirm' and coalesce(p_code.state = 'sent'
      and private.was_not_delivered(p_org.id, p_code.send_id), false),
    'expiresInSeconds', floor(extract(epoch from v_expires - p_now))::integer,
    'alarm', case when v_origin <> 'own_number' then
      private.count_for_alarm(p_org, 'other_numbers', p_now) end));
end
$$;

COMMENT ON FUNCTION private.store_send(p_org public.organizations, p_call jsonb, p_entered public.calls, p_code public.one_time_passcodes, p_hold public.appointments, p_phone text, p_purpose text, p_send uuid, p_mac text, p_key_id text, p_now timestamp with time zone) IS 'Stores the MAC of a code, and counts its text.';

CREATE FUNCTION private.take_answer(p_org public.organizations, p_sid text, p_phone text, p_answer jsonb, p_now timestamp with time zone) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_hash constant bytea := private.hash_phone(p_phone);
  v_meaning constant text := p_answer ->> 'meaning';
  v_answer jsonb;
  v_ids uuid[];
begin
  if (
    select count(*) >= private.answer_limit() from public.text_answers as t
    where t.org_id = p_org.id and t.phone_hash = v_hash
      and t.received_at > p_now - interval '1 hour') then
    -- A wish for no texts always counts.
    perform private.note_wish(p_org.id, v_hash, nullif(p_answer ->> 'wish', 'start'));
    perform private.tally('text_answers', '{"outcome": "limit"}');
    return '{"outcome": "limit", "isReplied": false}';
  end if;
  perform private.note_wish(p_org.id, v_hash, p_answer ->> 'wish');
  v_answer := case
    when private.is_blocked(p_org.id, v_hash) then '{"outcome": "blocked"}'::jsonb
    when v_meaning = 'stop' then '{"outcome": "opted_out"}'
    when v_meaning = 'start' then '{"outcome": "opted_in"}'
    when v_meaning = 'help' then '{"outcome": "help"}' end
    || jsonb_build_object('meaning', v_meaning);
  if v_answer is null then
    v_answer := private.decide_answer(p_org, p_phone, p_answer, p_now);
  elsif v_answer ->> 'outcome' = 'opted_out' and p_answer ? 'asksDesk' then
    v_answer := v_answer
      || jsonb_build_object('ids', private.ask_desk(p_org, p_phone, p_now));
  end if;
  v_ids := array(select jsonb_array_elements_text(v_answer -> 'ids')::uuid);
  v_answer := private.tell_answer(p_org, p_phone, p_answer ->> 'country', v_answer, v_ids, p_now);
  insert into public.text_answers (
    org_id, sid, received_at, phone_hash, meaning, outcome, appointment_ids, is_replied, result
  ) values (
    p_org.id, p_sid, p_now, v_hash, v_meaning, v_answer ->> 'outcome', v_ids,
    (v_answer ->> 'isReplied')::boolean, v_answer
  );
  perform private.tally('text_answers', jsonb_build_object('outcome', v_answer -> 'outcome'));
  if v_answer ->> 'outcome' not in ('confirmed', 'cancelled') then
    perform private.audit(p_org.id, null, 'answer_text', null, v_answer ->> 'outcome');
  end if;
  return v_answer;
end
$$;

COMMENT ON FUNCTION private.take_answer(p_org public.organizations, p_sid text, p_phone text, p_answer jsonb, p_now timestamp with time zone) IS 'Decides, stores and counts what becomes of a text from a patient.';

CREATE FUNCTION private.take_over(p_org uuid, p_call jsonb, p_hold uuid) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
  update public.appointments as a
  set call_id = p_call ->> 'callId', updated_at = clock_timestamp()
  where a.org_id = p_org and a.id = p_hold and private.awaits_code(a, clock_timestamp())
    and private.is_left_to(p_org, a, p_call ->> 'callId');
  if found then
    perform private.audit(p_org, p_call, 'hold_slot', p_hold, 'taken_over');
  end if;
  return found;
end
$$;

COMMENT ON FUNCTION private.take_over(p_org uuid, p_call jsonb, p_hold uuid) IS 'Moves a hold from a dropped call to a later one; false when it is gone.';

CREATE FUNCTION private.takes_answers(p_org public.organizations) RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
begin
  return p_org.text_answers and not exists (
    select from public.org_credentials as c
    join public.org_credentials as o on o.sender = c.sender and o.org_id <> c.org_id
    where c.org_id = p_org.id);
end
$$;

COMMENT ON FUNCTION private.takes_answers(p_org public.organizations) IS 'Whether patients can answer the reminders of an organization.';

CREATE FUNCTION private.tally(p_name text, p_labels jsonb DEFAULT '{}'::jsonb, p_count double precision DEFAULT 1) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
  insert into public.metric_events (name, labels, value) values (p_name, p_labels, p_count);
end
$$;

COMMENT ON FUNCTION private.tally(p_name text, p_labels jsonb, p_count double precision) IS 'Counts an event in the caller''s transaction: it commits or rolls back with it, and never waits.';

CREATE FUNCTION private.tally_text(p_origin text, p_result text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
  if private.is_appointment_text(p_origin) then
    perform private.tally('appointment_texts',
      jsonb_build_object('kind', p_origin, 'result', p_result));
  else
    perform private.tally('sms', jsonb_build_object('result', p_result));
  end if;
end
$$;

COMMENT ON FUNCTION private.tally_text(p_origin text, p_result text) IS 'Counts what became of a text; texts about appointments apart from those of calls.';

CREATE FUNCTION private.tell(p_org uuid, p_type text, p_subject uuid, p_data jsonb, p_except uuid DEFAULT NULL::uuid) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
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

COMMENT ON FUNCTION private.tell(p_org uuid, p_type text, p_subject uuid, p_data jsonb, p_except uuid) IS 'Writes an event for the endpoints that want it, to be sent once this transaction has committed.';

CREATE FUNCTION private.tell_answer(p_org public.organizations, p_phone text, p_country text, p_answer jsonb, p_ids uuid[], p_now timestamp with time zone) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
begin
  return p_answer - 'ids' || jsonb_build_object(
    'isReplied', private.may_reply(p_org, p_phone, p_country,
      p_answer ->> 'meaning', p_answer ->> 'outcome', p_ids, p_now),
    'clinic', p_org.name, 'callBack', private.number_to_call(p_org.id),
    'appointments', (
      select coalesce(jsonb_agg(jsonb_build_object('doctor', p.name,
        'startTime', private.iso_local(a.starts_at, p_org.timezone))
        order by array_position(p_ids, a.id)), '[]')
      from public.appointments as a
      join public.providers as p on p.org_id = p_org.id and p.id = a.provider_id
      where a.org_id = p_org.id and a.id = any (p_ids)));
end
$$;

COMMENT ON FUNCTION private.tell_answer(p_org public.organizations, p_phone text, p_country text, p_answer jsonb, p_ids uuid[], p_now timestamp with time zone) IS 'Adds to an answer what the patient is told, if anything.';

CREATE FUNCTION private.tell_busy(p_org uuid, p_phone text, p_answer jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_org public.organizations;
  v_answer constant jsonb := jsonb_build_object(
    'outcome', 'busy', 'meaning', p_answer -> 'meaning');
  v_told jsonb;
begin
  select o.* into v_org from public.organizations as o where o.id = p_org;
  if v_org.id is null then
    return '{"outcome": "unknown_clinic"}';
  end if;
  perform private.note_wish(p_org, private.hash_phone(p_phone), nullif(p_answer ->> 'wish', 'start'));
  v_told := private.tell_answer(
    v_org, p_phone, p_answer ->> 'country', v_answer, '{}', clock_timestamp());
  if p_answer ->> 'meaning' not in ('confirm', 'cancel', 'choice') then
    v_told := v_told || '{"isReplied": false}';
  end if;
  return v_told || private.wording_of(v_org);
end
$$;

COMMENT ON FUNCTION private.tell_busy(p_org uuid, p_phone text, p_answer jsonb) IS 'The answer to a text for which a lock was not acquired in time.';

CREATE FUNCTION private.tell_of_booking(p_org uuid, p_appointment uuid, p_kind text, p_moved_from uuid DEFAULT NULL::uuid) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
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

COMMENT ON FUNCTION private.tell_of_booking(p_org uuid, p_appointment uuid, p_kind text, p_moved_from uuid) IS 'Writes what has just been done to an appointment for the endpoints of its clinic.';

CREATE FUNCTION private.text_cooldown() RETURNS interval
    LANGUAGE sql IMMUTABLE
    RETURN '00:00:30'::interval;

COMMENT ON FUNCTION private.text_cooldown() IS 'How long a call waits between two texts to a phone, and for the outcome of the first.';

CREATE FUNCTION private.text_patience() RETURNS interval
    LANGUAGE sql IMMUTABLE
    RETURN '00:10:00'::interval;

COMMENT ON FUNCTION private.text_patience() IS 'How long whoever claims a text may take to say what became of it.';

CREATE TABLE public.contacts (
    org_id uuid NOT NULL,
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    phone text,
    name text NOT NULL,
    proven_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    texts_asked_at timestamp with time zone,
    CONSTRAINT contacts_phone_e164 CHECK ((phone ~ '^\+[1-9][0-9]{6,14}$'::text))
);

COMMENT ON TABLE public.contacts IS 'Patients of one organization, by their phone number if they have one.';

COMMENT ON COLUMN public.contacts.proven_at IS 'When a passcode last proved the number at a booking; null: only staff have entered it.';

COMMENT ON COLUMN public.contacts.texts_asked_at IS 'When the desk asked for texts to a number that no passcode has proven; null: it did not.';

CREATE FUNCTION private.text_refusal(p_org public.organizations, p_kind text, p_row public.appointments, p_contact public.contacts) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
declare
  v_hash constant bytea := private.hash_phone(p_row.patient_phone);
begin
  return case
    when not private.texts_about(p_org, p_kind) then 'switched_off'
    when p_row.patient_phone is null then 'no_number'
    when coalesce(p_contact.proven_at, p_contact.texts_asked_at) is null then 'not_proven'
    when not coalesce(p_row.patient_country = any (p_org.sms_countries), true)
      then 'blocked_country'
    when exists (
      select from public.sms_opt_outs as o
      where o.org_id = p_org.id and o.phone_hash = v_hash) then 'opted_out'
    when private.is_blocked(p_org.id, v_hash) then 'blocked'
  end;
end
$$;

COMMENT ON FUNCTION private.text_refusal(p_org public.organizations, p_kind text, p_row public.appointments, p_contact public.contacts) IS 'Why the patient of an appointment is not texted, or null.';

CREATE FUNCTION private.texts_about(p_org public.organizations, p_kind text) RETURNS boolean
    LANGUAGE sql IMMUTABLE
    RETURN CASE p_kind WHEN 'confirmation'::text THEN (p_org).confirmation_texts WHEN 'change'::text THEN (p_org).change_texts WHEN 'cancellation'::text THEN (p_org).cancellation_texts WHEN 'reminder'::text THEN ((p_org).reminder_min IS NOT NULL) ELSE false END;

COMMENT ON FUNCTION private.texts_about(p_org public.organizations, p_kind text) IS 'Whether a clinic texts about a kind of event.';

CREATE FUNCTION private.try_provider(p_org uuid, p_provider uuid, p_service uuid, p_start timestamp with time zone, p_replaces uuid, p_moves uuid, p_wait boolean, p_patient jsonb, p_call jsonb, p_action text, p_hold_for interval, OUT hold public.appointments, OUT was_locked boolean) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_now timestamptz;
  v_service public.services;
  v_wanted public.appointments;
  v_shared uuid;
  v_is_last boolean := false;
begin
  was_locked := not private.lock_provider(p_org, p_provider, p_wait);
  if was_locked then
    return;
  end if;
  v_now := clock_timestamp();
  v_service := private.read_offered(p_org, p_provider, p_service, p_start, v_now);
  if v_service.id is null then
    raise exception using errcode = 'MO001', message = 'not worked any more';
  end if;
  if p_replaces is not null then
    perform private.release_hold(p_org, p_call, p_action, p_replaces);
  end if;
  v_wanted.provider_id := p_provider;
  v_wanted.service_id := v_service.id;
  v_wanted.patient_name := p_patient ->> 'name';
  v_wanted.patient_phone := p_patient ->> 'phone';
  v_wanted.patient_country := p_patient ->> 'country';
  v_wanted.starts_at := p_start;
  v_wanted.ends_at := p_start + make_interval(mins => v_service.duration_min);
  v_wanted.busy := private.busy_time(v_service, p_start);
  v_wanted.session_key := private.session_key(v_service.id, p_start);
  v_wanted.capacity := v_service.capacity;
  v_wanted.expires_at := v_now + p_hold_for;
  v_wanted.call_id := p_call ->> 'callId';
  v_wanted.asked_by := array[private.request_key(p_call, p_patient)];
  if v_service.capacity > 1 then
    v_shared := v_wanted.session_key;
  elsif p_moves is not null then
    v_shared := private.share_session(p_org, p_moves, p_provider, v_wanted.busy);
    v_wanted.session_key := coalesce(v_shared, v_wanted.session_key);
  end if;
  loop
    if not private.would_overlap(p_org, p_provider, v_wanted.busy, v_shared) then
      hold := private.insert_seat(p_org, v_wanted);
      if hold.id is not null then
        return;
      end if;
    end if;
    exit when v_is_last;
    -- If there were none, the clean-up may just have marked them: one more try.
    v_is_last := not private.expire_in_way(p_org, p_provider, v_wanted.busy, v_now);
  end loop;
  raise exception using errcode = 'MO001', message = 'slot taken';
exception when sqlstate 'MO001' then
  return;
end
$$;

COMMENT ON FUNCTION private.try_provider(p_org uuid, p_provider uuid, p_service uuid, p_start timestamp with time zone, p_replaces uuid, p_moves uuid, p_wait boolean, p_patient jsonb, p_call jsonb, p_action text, p_hold_for interval, OUT hold public.appointments, OUT was_locked boolean) IS 'Inserts a hold at one provider; nulls, and no trace, when the time is not to be had.';

CREATE FUNCTION private.uncount_send(p_phone bytea, p_caller bytea, p_at timestamp with time zone) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
  update public.phone_counts as c
  set sent_at = case when c.phone_hash = p_phone then array_remove(c.sent_at, p_at) else c.sent_at end,
    asked_at = case when c.phone_hash = p_caller then array_remove(c.asked_at, p_at) else c.asked_at end
  where c.phone_hash in (p_phone, p_caller);
end
$$;

COMMENT ON FUNCTION private.uncount_send(p_phone bytea, p_caller bytea, p_at timestamp with time zone) IS 'Undoes private.count_send().';

CREATE FUNCTION private.upcoming_appointments(p_org uuid, p_call_id text, p_phone text, p_at timestamp with time zone) RETURNS SETOF public.appointments
    LANGUAGE plpgsql STABLE ROWS 5
    SET search_path TO ''
    AS $$
declare
  -- First the contact: a join may read all appointments of the organization.
  v_contact constant uuid := (
    select c.id from public.contacts as c where c.org_id = p_org and c.phone = p_phone);
begin
  return query
  select a.* from public.appointments as a
  where a.org_id = p_org and a.contact_id = v_contact and a.status = 'confirmed'
    and a.starts_at > p_at
  union all
  select h.* from private.find_holds(p_org, p_call_id, p_at) as h where h.patient_phone = p_phone;
end
$$;

COMMENT ON FUNCTION private.upcoming_appointments(p_org uuid, p_call_id text, p_phone text, p_at timestamp with time zone) IS 'The upcoming appointments of a proven number.';

CREATE FUNCTION private.verify_code(p_org public.organizations, p_call jsonb, p_hold text, p_macs jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_hash constant bytea := sha256(convert_to(coalesce(p_hold, '') || p_macs::text, 'UTF8'));
  v_call constant public.calls := private.enter_call(p_org, p_call);
  v_waiting record;
  v_other record;
  v_codes private.awaited_code[];
  v_read private.awaited_code;
  v_compared record;
  v_was_compared boolean := false;
  v_purpose text;
  v_now timestamptz;
  v_answer jsonb;
  v_alarm text;
begin
  v_answer := private.recall_answer(p_org.id, p_call, 'verify_otp', v_hash);
  if v_answer is not null then
    return v_answer;
  end if;
  v_waiting := private.find_waiting(p_org, v_call.call_id, p_hold, clock_timestamp());
  if v_waiting.refusal ->> 'outcome' in ('hold_expired', 'locked') then
    -- The digits may be the code of what else waits.
    v_other := private.find_waiting(p_org, v_call.call_id, null, clock_timestamp());
    if v_other.refusal is null then
      v_waiting := v_other;
    end if;
  end if;
  if v_waiting.refusal is not null then
    return private.answer_idle(p_org.id, p_call, 'verify_otp', v_hash, v_waiting.refusal);
  end if;
  v_codes := private.find_codes(
    p_org.id, v_call.call_id, v_waiting.hold, v_waiting.phone, clock_timestamp());
  perform private.lock_phones(array[private.caller_key(p_org.id, v_call)] || array(
    select coalesce((c.code).phone_hash, private.hash_phone(c.phone)) from unnest(v_codes) as c));
  v_now := clock_timestamp();
  v_read := v_codes[1];
  if not private.is_proven(p_org.id, v_call.call_id, private.hash_phone(v_read.phone), v_now) then
    v_compared := private.compare_digits(
      p_org, v_call, v_codes, v_waiting.purpose, p_macs, v_now);
    v_was_compared := v_compared.compared;
    v_answer := v_compared.answer;
    if v_answer is null then
      v_read := v_compared.matched;
    end if;
  end if;
  v_purpose := coalesce((v_read.code).purpose, v_waiting.purpose);
  v_answer := coalesce(v_answer, private.carry_out(
    p_org, p_call, v_call, v_read.phone, v_was_compared, v_now));
  if v_answer ->> 'outcome' = 'locked' then
    perform private.hand_over_holds(p_org, p_call, v_call, (v_waiting.hold).id,
      array(select c.phone from unnest(v_codes) as c), v_now);
  end if;

  v_answer := jsonb_strip_nulls(jsonb_build_object('holdId',
    case v_purpose when 'confirm' then (v_waiting.hold).id end)) || v_answer
    || jsonb_build_object('orgId', p_org.id);
  if v_purpose = 'confirm' and v_answer ->> 'outcome' in ('wrong_code', 'no_code', 'code_expired')
    and private.was_not_delivered(p_org.id, (v_read.code).send_id) then
    v_answer := v_answer || '{"undelivered": true}';
  end if;
  perform private.audit(p_org.id, p_call, 'verify_otp',
    coalesce(private.read_id(v_answer ->> 'holdId'), (v_waiting.hold).id), v_answer ->> 'outcome',
    jsonb_strip_nulls(jsonb_build_object('attemptsLeft', v_answer -> 'attemptsLeft',
      -- Only if digits were compared.
      'attempt', case when v_was_compared then v_call.attempts + 1 end)));
  perform private.record_answer(p_org.id, p_call, 'verify_otp', v_hash, v_answer);
  if v_was_compared and v_answer ->> 'outcome' in ('wrong_code', 'code_locked', 'locked') then
    begin
      v_alarm := private.count_for_alarm(p_org, 'wrong_codes', v_now);
    exception when lock_not_available or deadlock_detected then
      -- The attempt counts all the same.
      null;
    end;
  end if;
  return v_answer || jsonb_strip_nulls(jsonb_build_object('alarm', v_alarm));
end
$$;

COMMENT ON FUNCTION private.verify_code(p_org public.organizations, p_call jsonb, p_hold text, p_macs jsonb) IS 'Compares, counts, and confirms or changes under the call''s lock.';

CREATE FUNCTION private.waiting_refusal(p_row public.appointments, p_wanted text[]) RETURNS jsonb
    LANGUAGE sql IMMUTABLE
    SET search_path TO ''
    AS $$
  select case when private.is_kept(p_row) is not true then private.status_refusal(p_row, p_wanted) end
$$;

COMMENT ON FUNCTION private.waiting_refusal(p_row public.appointments, p_wanted text[]) IS 'Why a row neither waits for the front desk with its time nor is in one of these states, or null.';

CREATE FUNCTION private.wall(p_local timestamp without time zone, p_zone text, p_later boolean) RETURNS timestamp with time zone
    LANGUAGE plpgsql STABLE STRICT
    SET search_path TO ''
    AS $$
begin
  return coalesce(p_local at time zone private.steady_offset(p_local::date, p_zone),
    private.wall_at_change(p_local, p_zone, p_later));
end
$$;

COMMENT ON FUNCTION private.wall(p_local timestamp without time zone, p_zone text, p_later boolean) IS 'The instant of a local time: the earlier or the later one if it is repeated, moved forward in a gap.';

CREATE FUNCTION private.wall_at_change(p_local timestamp without time zone, p_zone text, p_later boolean) RETURNS timestamp with time zone
    LANGUAGE plpgsql STABLE STRICT
    SET search_path TO ''
    AS $$
declare
  v_utc constant timestamptz := p_local at time zone 'UTC';
  v_first constant timestamptz := v_utc - (
    ((v_utc - interval '1 day') at time zone p_zone) - (p_local - interval '1 day'));
  v_second constant timestamptz := v_utc - (
    ((v_utc + interval '1 day') at time zone p_zone) - (p_local + interval '1 day'));
begin
  if v_first at time zone p_zone <> p_local then
    -- After the change; or in the gap, where the offset before it moves the time forward.
    return case when v_second at time zone p_zone = p_local then v_second else v_first end;
  end if;
  if p_later and v_second at time zone p_zone = p_local then
    return v_second;
  end if;
  return v_first;
end
$$;

COMMENT ON FUNCTION private.wall_at_change(p_local timestamp without time zone, p_zone text, p_later boolean) IS 'private.wall() for days around a change of the clocks.';

CREATE FUNCTION private.wanted_of(p_org uuid, p_row public.appointments) RETURNS private.wanted_slot
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
  select row(s, p, p_row.starts_at)::private.wanted_slot
  from public.services as s, public.providers as p
  where s.org_id = p_org and s.id = p_row.service_id
    and p.org_id = p_org and p.id = p_row.provider_id
$$;

COMMENT ON FUNCTION private.wanted_of(p_org uuid, p_row public.appointments) IS 'The slot of an appointment.';

CREATE FUNCTION private.was_applied(p_org uuid, p_earlier public.appointment_changes, p_kind text, p_patient jsonb, p_slot_id text) RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
begin
  return p_earlier.applied_at is not null and p_earlier.kind = p_kind
    and p_earlier.slot_id is not distinct from p_slot_id
    and p_earlier.patient_phone = p_patient ->> 'phone'
    and private.is_same_patient(p_earlier.patient_name, p_patient ->> 'name')
    and (p_kind = 'cancel' or exists (
      select from public.appointments as a
      where a.org_id = p_org and a.id = p_earlier.hold_id and a.status = 'confirmed'));
end
$$;

COMMENT ON FUNCTION private.was_applied(p_org uuid, p_earlier public.appointment_changes, p_kind text, p_patient jsonb, p_slot_id text) IS 'Whether a call''s latest change did what is requested: the same for the same patient, and it still stands.';

CREATE FUNCTION private.was_left(p_org uuid, p_call_id text) RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
begin
  return exists (
    select from public.appointment_changes as c
    join public.call_reports as r on r.org_id = c.org_id and r.call_id = c.call_id
    where c.org_id = p_org and c.call_id = p_call_id and r.ended_at > c.opened_at);
end
$$;

COMMENT ON FUNCTION private.was_left(p_org uuid, p_call_id text) IS 'Whether a call has ended since it asked about an appointment: nobody is left to read out a code.';

CREATE FUNCTION private.was_not_delivered(p_org uuid, p_send uuid) RETURNS boolean
    LANGUAGE plpgsql STABLE STRICT
    SET search_path TO ''
    AS $$
begin
  return exists (
    select from public.sms_messages as m
    where m.org_id = p_org and m.id = p_send and m.delivery in ('failed', 'undelivered'));
end
$$;

COMMENT ON FUNCTION private.was_not_delivered(p_org uuid, p_send uuid) IS 'Whether a text did not arrive, according to Twilio; null if there is none.';

CREATE FUNCTION private.was_refused_by_number(p_org uuid, p_send uuid, p_now timestamp with time zone) RETURNS boolean
    LANGUAGE plpgsql STABLE STRICT
    SET search_path TO ''
    AS $$
begin
  return exists (
    select from public.sms_messages as m
    where m.org_id = p_org and m.id = p_send and m.delivery in ('failed', 'undelivered')
      and private.is_fault_of_number(m.error_code)
      and (m.error_code <> 30003 or m.updated_at > p_now - private.text_cooldown()));
end
$$;

COMMENT ON FUNCTION private.was_refused_by_number(p_org uuid, p_send uuid, p_now timestamp with time zone) IS 'Whether a text did not arrive because of its number, so that another one would not either; null if there is none.';

CREATE FUNCTION private.was_said(p_org public.organizations, p_earlier public.appointment_changes, p_said jsonb) RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
begin
  return exists (
    select from public.appointments as a
    where a.org_id = p_org.id and a.id = p_earlier.appointment_id
      and private.fits_when(p_org, a, p_said)
      and coalesce(private.read_id(p_said ->> 'id') in (a.id, p_earlier.hold_id), true));
end
$$;

COMMENT ON FUNCTION private.was_said(p_org public.organizations, p_earlier public.appointment_changes, p_said jsonb) IS 'Whether day, time and id that were said are those of the appointment that a call has changed.';

CREATE FUNCTION private.webhook_delay(p_attempts integer) RETURNS interval
    LANGUAGE sql IMMUTABLE
    RETURN CASE WHEN (p_attempts < 12) THEN ('00:01:00'::interval * LEAST((60)::double precision, ((2)::double precision ^ ((p_attempts - 1))::double precision))) ELSE NULL::interval END;

COMMENT ON FUNCTION private.webhook_delay(p_attempts integer) IS 'How long a message waits after so many attempts that failed; null: it is given up.';

CREATE FUNCTION private.webhook_patience() RETURNS interval
    LANGUAGE sql IMMUTABLE
    RETURN '00:02:00'::interval;

COMMENT ON FUNCTION private.webhook_patience() IS 'How long whoever claims a message may take to say what became of it.';

CREATE FUNCTION private.wording_of(p_org public.organizations) RETURNS jsonb
    LANGUAGE sql IMMUTABLE
    RETURN jsonb_build_object('language', (p_org).text_language, 'words', COALESCE(((p_org).text_words -> (p_org).text_language), '{}'::jsonb));

COMMENT ON FUNCTION private.wording_of(p_org public.organizations) IS 'The language of an organization''s texts and its own texts in it: {language, words}.';

CREATE FUNCTION private.words_of(p_text text) RETURNS text[]
    LANGUAGE plpgsql IMMUTABLE STRICT
    SET search_path TO ''
    AS $$
begin
  return array(select distinct w from unnest(string_to_array(p_text, ' ')) as w);
end
$$;

COMMENT ON FUNCTION private.words_of(p_text text) IS 'The different words of a text, which single spaces separate.';

CREATE FUNCTION private.would_overlap(p_org uuid, p_provider uuid, p_busy tstzrange, p_session uuid, p_at timestamp with time zone DEFAULT NULL::timestamp with time zone) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
  return exists (
    select from public.appointments as a
    where a.org_id = p_org and a.provider_id = p_provider and private.takes_time(a)
      and private.overlaps(a.busy, p_busy) and a.session_key is distinct from p_session
      and (p_at is null or private.is_live(a, p_at)));
end
$$;

COMMENT ON FUNCTION private.would_overlap(p_org uuid, p_provider uuid, p_busy tstzrange, p_session uuid, p_at timestamp with time zone) IS 'Whether a row of another session takes a provider''s time; checked under the provider''s lock.';

CREATE FUNCTION private.write_assistant(p_org uuid, p_assistant jsonb) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
  insert into public.assistants as a (
    org_id, language, voice, model, greeting, records_calls, keeps_transcript)
  select p_org, d.language, d.voice, d.model, d.greeting, d."recordsCalls", d."keepsTranscript"
  from jsonb_to_record(p_assistant) as d (language text, voice text, model text, greeting text,
    "recordsCalls" boolean, "keepsTranscript" boolean)
  where p_assistant is not null
  on conflict (org_id) do update
  set language = excluded.language, voice = excluded.voice, model = excluded.model,
    greeting = excluded.greeting, records_calls = excluded.records_calls,
    keeps_transcript = excluded.keeps_transcript;
end
$$;

COMMENT ON FUNCTION private.write_assistant(p_org uuid, p_assistant jsonb) IS 'Makes the settings of a clinic''s assistant those of its document.';

CREATE FUNCTION private.write_channels(p_org uuid, p_clinic jsonb) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_kinds constant jsonb := jsonb_build_object('called_number', p_clinic -> 'numbers',
    'vapi_phone_number', p_clinic -> 'vapiPhoneNumbers',
    'vapi_assistant', p_clinic -> 'vapiAssistants', 'shared_line', p_clinic -> 'sharedLines');
  v_kind text;
  v_values text[];
begin
  for v_kind in select k.kind from jsonb_each(v_kinds) as k (kind, given)
    where jsonb_typeof(k.given) = 'array' order by 1
  loop
    v_values := array(select jsonb_array_elements_text(v_kinds -> v_kind));
    delete from public.org_channels as c
    where c.org_id = p_org and c.kind = v_kind and c.value <> all (v_values);
    insert into public.org_channels (kind, value, org_id)
    select v_kind, v, p_org from unnest(v_values) as v order by v
    on conflict do nothing;
  end loop;
end
$$;

COMMENT ON FUNCTION private.write_channels(p_org uuid, p_clinic jsonb) IS 'Makes a clinic''s channels those of its document. Leaves out a channel that another clinic has.';

CREATE FUNCTION private.write_clinic(p_org uuid, p_clinic jsonb) RETURNS public.organizations
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_org public.organizations;
begin
  update public.organizations as o
  set slug = p_clinic ->> 'slug', name = p_clinic ->> 'name',
    timezone = p_clinic ->> 'timezone', default_country = p_clinic ->> 'defaultCountry',
    transfer_number = p_clinic ->> 'transferNumber',
    hold_minutes = (p_clinic ->> 'holdMinutes')::integer,
    desk_hold_minutes = coalesce((p_clinic ->> 'deskHoldMinutes')::integer, 60),
    sms_countries = array(select jsonb_array_elements_text(p_clinic -> 'smsCountries')),
    sms_hourly_limit = (p_clinic ->> 'smsHourlyLimit')::integer,
    message_hourly_limit = (p_clinic ->> 'messageHourlyLimit')::integer,
    follow_up_texts = (p_clinic ->> 'followUpTexts')::boolean,
    texts_at_hold = coalesce((p_clinic ->> 'textsAtHold')::boolean, false),
    calendar_patient_names = coalesce((p_clinic ->> 'calendarPatientNames')::boolean, false),
    address = p_clinic ->> 'address',
    confirmation_texts = coalesce((p_clinic ->> 'confirmationTexts')::boolean, true),
    change_texts = coalesce((p_clinic ->> 'changeTexts')::boolean, false),
    cancellation_texts = coalesce((p_clinic ->> 'cancellationTexts')::boolean, false),
    text_answers = coalesce((p_clinic ->> 'textAnswers')::boolean, false),
    text_language = coalesce(p_clinic ->> 'textLanguage', 'en'),
    text_words = coalesce(p_clinic -> 'textWords', '{}'),
    reminder_min = (p_clinic ->> 'reminderMin')::integer,
    reminder_notice_hours = coalesce((p_clinic ->> 'reminderNoticeHours')::integer, 24),
    retention_days = (p_clinic ->> 'retentionDays')::integer,
    audit_retention_days = (p_clinic ->> 'auditRetentionDays')::integer,
    closing_days = (
      select coalesce(range_agg(daterange(d.first, d.last, '[]')), '{}')
      from jsonb_to_recordset(p_clinic -> 'closingDays') as d (first date, last date))
  where o.id = p_org
  returning o.* into strict v_org;
  perform private.lock_providers(p_org);

  delete from public.desk_hours as h where h.org_id = p_org;
  insert into public.desk_hours (org_id, dow, start_min, end_min)
  select p_org, d.dow, d."startMin", d."endMin"
  from jsonb_to_recordset(p_clinic -> 'deskHours') as d (
    dow integer, "startMin" integer, "endMin" integer);

  perform private.write_assistant(p_org, p_clinic -> 'assistant');
  perform private.write_services(p_org, p_clinic -> 'services');
  perform private.write_providers(v_org, p_clinic -> 'providers');

  delete from public.clinic_facts as f where f.org_id = p_org;
  insert into public.clinic_facts (org_id, question, also_asked, answer, tags, in_prompt)
  select p_org, d.question, d."alsoAsked", d.answer, d.tags, d."inPrompt"
  from jsonb_to_recordset(p_clinic -> 'facts') as d (
    question text, "alsoAsked" text[], answer text, tags text[], "inPrompt" boolean);
  perform private.close_questions(p_org);
  return v_org;
end
$$;

COMMENT ON FUNCTION private.write_clinic(p_org uuid, p_clinic jsonb) IS 'Makes a clinic''s rows those of its document.';

CREATE FUNCTION private.write_local(p_at timestamp with time zone, p_zone text, p_ends boolean) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
declare
  v_local constant timestamp := p_at at time zone p_zone;
  v_text text;
begin
  if p_at is null or not isfinite(p_at) then
    return null;
  end if;
  -- Where clocks skip midnight, the day that begins at one o'clock is still written as midnight.
  foreach v_text in array array[
    to_char(v_local, 'YYYY-MM-DD"T00:00"'),
    to_char(v_local, 'YYYY-MM-DD"T"HH24:MI'),
    to_char(v_local, 'YYYY-MM-DD"T"HH24:MI:SS')]
  loop
    if private.read_local(v_text, p_zone, p_ends) = date_trunc('second', p_at) then
      return v_text;
    end if;
  end loop;
  return private.iso_local(p_at, p_zone);
end
$$;

COMMENT ON FUNCTION private.write_local(p_at timestamp with time zone, p_zone text, p_ends boolean) IS 'A local time, with its offset only where it would be ambiguous; null for null and infinity.';

CREATE FUNCTION private.write_provider(p_org public.organizations, p_provider uuid, p_document jsonb) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
  delete from public.provider_services as ps
  where ps.org_id = p_org.id and ps.provider_id = p_provider;
  insert into public.provider_services (org_id, provider_id, service_id)
  select p_org.id, p_provider, s.id from public.services as s
  where s.org_id = p_org.id and p_document -> 'services' ? s.slug;

  delete from public.working_hours as w
  where w.org_id = p_org.id and w.provider_id = p_provider;
  insert into public.working_hours (org_id, provider_id, dow, start_min, end_min, valid)
  select p_org.id, p_provider, d.dow, d."startMin", d."endMin", daterange(d."from", d."until", '[]')
  from jsonb_to_recordset(p_document -> 'hours') as d (
    dow integer, "startMin" integer, "endMin" integer, "from" date, "until" date);

  delete from public.working_hours_overrides as v
  where v.org_id = p_org.id and v.provider_id = p_provider;
  insert into public.working_hours_overrides (org_id, provider_id, day, start_min, end_min)
  select p_org.id, p_provider, d.day, d."startMin", d."endMin"
  from jsonb_to_recordset(p_document -> 'overrides') as d (
    day date, "startMin" integer, "endMin" integer);

  -- What was read from the doctor's own calendar is not in the document.
  delete from public.time_off as t
  where t.org_id = p_org.id and t.provider_id = p_provider and t.calendar_id is null;
  insert into public.time_off (org_id, provider_id, span)
  select p_org.id, p_provider, tstzrange(
    private.read_local(d."from", p_org.timezone, false),
    private.read_local(d."to", p_org.timezone, true))
  from jsonb_to_recordset(p_document -> 'timeOff') as d ("from" text, "to" text);
end
$$;

COMMENT ON FUNCTION private.write_provider(p_org public.organizations, p_provider uuid, p_document jsonb) IS 'Makes a doctor''s services, hours and absences those of the document.';

CREATE FUNCTION private.write_providers(p_org public.organizations, p_providers jsonb) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
  insert into public.providers as p (org_id, slug, name)
  select p_org.id, d.slug, d.name from jsonb_to_recordset(p_providers) as d (slug text, name text)
  on conflict (org_id, slug) do update set name = excluded.name, active = true;
  update public.providers as p set active = false
  where p.org_id = p_org.id and p.active
    and not p_providers @> jsonb_build_array(jsonb_build_object('slug', p.slug));
  perform private.write_provider(p_org, p.id, d.document)
  from jsonb_array_elements(p_providers) as d (document)
  join public.providers as p on p.org_id = p_org.id and p.slug = d.document ->> 'slug';
end
$$;

COMMENT ON FUNCTION private.write_providers(p_org public.organizations, p_providers jsonb) IS 'Makes a clinic''s doctors those of its document.';

CREATE FUNCTION private.write_schedule(p_org public.organizations, p_provider uuid, p_kind text, p_value jsonb) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
  if p_kind = 'hours' then
    perform private.require(coalesce(jsonb_typeof(p_value) = 'array', false),
      'hours of provider ' || p_provider, 'give a list');
    delete from public.working_hours as w
    where w.org_id = p_org.id and w.provider_id = p_provider;
    insert into public.working_hours (org_id, provider_id, dow, start_min, end_min, valid)
    select p_org.id, p_provider, d.dow, d."startMin", d."endMin",
      daterange(d."from", d."until", '[]')
    from jsonb_to_recordset(p_value) as d (
      dow integer, "startMin" integer, "endMin" integer, "from" date, "until" date);
  elsif p_kind = 'day' then
    delete from public.working_hours_overrides as v
    where v.org_id = p_org.id and v.provider_id = p_provider
      and v.day = (p_value ->> 'day')::date;
    insert into public.working_hours_overrides (org_id, provider_id, day, start_min, end_min)
    select p_org.id, p_provider, (p_value ->> 'day')::date, d."startMin", d."endMin"
    from jsonb_to_recordset(case when p_value -> 'hours' = '[]' then '[{}]'
      else coalesce(nullif(p_value -> 'hours', 'null'), '[]') end) as d (
      "startMin" integer, "endMin" integer);
  else
    perform private.require(p_value ->> 'from' is not null and p_value ->> 'to' is not null,
      'time off of provider ' || p_provider, 'give its beginning and its end');
    insert into public.time_off (org_id, id, provider_id, span)
    values (p_org.id, (p_value ->> 'id')::uuid, p_provider,
      tstzrange((p_value ->> 'from')::timestamptz, (p_value ->> 'to')::timestamptz));
  end if;
end
$$;

COMMENT ON FUNCTION private.write_schedule(p_org public.organizations, p_provider uuid, p_kind text, p_value jsonb) IS 'Changes weekly hours, the hours of one day or an absence of a provider.';

CREATE FUNCTION private.write_services(p_org uuid, p_services jsonb) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
  insert into public.services as s (org_id, slug, name, duration_min, step_min, buffer_before_min,
    buffer_after_min, notice_min, horizon_days, capacity)
  select p_org, d.slug, d.name, d."durationMin", d."stepMin", d."bufferBeforeMin",
    d."bufferAfterMin", d."noticeMin", d."horizonDays", d.capacity
  from jsonb_to_recordset(p_services) as d (slug text, name text, "durationMin" integer,
    "stepMin" integer, "bufferBeforeMin" integer, "bufferAfterMin" integer, "noticeMin" integer,
    "horizonDays" integer, capacity integer)
  on conflict (org_id, slug) do update
  set name = excluded.name, duration_min = excluded.duration_min, step_min = excluded.step_min,
    buffer_before_min = excluded.buffer_before_min, buffer_after_min = excluded.buffer_after_min,
    notice_min = excluded.notice_min, horizon_days = excluded.horizon_days,
    capacity = excluded.capacity, active = true;
  update public.services as s set active = false
  where s.org_id = p_org and s.active
    and not p_services @> jsonb_build_array(jsonb_build_object('slug', s.slug));
end
$$;

COMMENT ON FUNCTION private.write_services(p_org uuid, p_services jsonb) IS 'Makes a clinic''s bookable services those of its document.';

CREATE FUNCTION private.write_span(p_span tstzrange, p_zone text) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
declare
  v_from constant text := private.write_local(lower(p_span), p_zone, false);
  v_to constant text := private.write_local(upper(p_span), p_zone, true);
begin
  return case when v_to <= v_from
    then jsonb_build_object('from', private.iso_local(lower(p_span), p_zone),
      'to', private.iso_local(upper(p_span), p_zone))
    else jsonb_build_object('from', v_from, 'to', v_to) end;
end
$$;

COMMENT ON FUNCTION private.write_span(p_span tstzrange, p_zone text) IS 'An absence of a clinic''s document, {from, to} in local times.';

CREATE FUNCTION private.write_umlauts(p_name text) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT
    SET search_path TO ''
    AS $$
  select replace(replace(replace(replace(replace(
    normalize(lower(p_name), nfc), 'ä', 'ae'), 'ö', 'oe'), 'ü', 'ue'), 'ø', 'oe'), 'å', 'aa')
$$;

COMMENT ON FUNCTION private.write_umlauts(p_name text) IS 'A name with its umlauts in two letters: Müller is mueller.';

CREATE FUNCTION public.add_calendar_feed(p_org uuid, p_provider text, p_label text, p_token_hash text) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    SET lock_timeout TO '5s'
    AS $$
declare
  v_provider uuid;
  v_answer jsonb;
begin
  perform from public.organizations as o where o.id = p_org for no key update;
  if not found then
    return '{"outcome": "unknown_clinic"}';
  end if;
  select p.id into v_provider from public.providers as p
  where p.org_id = p_org and p.slug = p_provider;
  if p_provider is not null and v_provider is null then
    return '{"outcome": "unknown_provider"}';
  end if;
  v_answer := private.add_feed(p_org, gen_random_uuid(), v_provider, p_label, p_token_hash);
  perform private.audit(p_org, null, 'add_calendar_feed', (v_answer ->> 'feedId')::uuid,
    v_answer ->> 'outcome');
  return v_answer || jsonb_build_object('orgId', p_org);
exception when lock_not_available or deadlock_detected then
  return '{"outcome": "busy"}';
end
$$;

COMMENT ON FUNCTION public.add_calendar_feed(p_org uuid, p_provider text, p_label text, p_token_hash text) IS 'Gives out a calendar feed of a clinic; audited.';

CREATE FUNCTION public.add_webhook(p_org uuid, p_id uuid, p_address text, p_types text[], p_tells_names boolean, p_secret jsonb) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    SET lock_timeout TO '5s'
    AS $$
declare
  v_reason text;
begin
  perform from public.organizations as o where o.id = p_org for no key update;
  if not found then
    return '{"outcome": "unknown_clinic"}';
  elsif (select count(*) from public.webhook_endpoints as e where e.org_id = p_org) >= 20 then
    return '{"outcome": "too_many_endpoints"}';
  end if;
  begin
    insert into public.webhook_endpoints (org_id, id, address, types, tells_names, secrets)
    values (p_org, p_id, p_address, coalesce(p_types, private.webhook_types()), p_tells_names,
      jsonb_build_array(p_secret));
  exception
    when unique_violation then
      return '{"outcome": "known_address"}';
    when check_violation then
      get stacked diagnostics v_reason = message_text;
      return jsonb_build_object('outcome', 'invalid_endpoint', 'reason', v_reason);
  end;
  perform private.audit(p_org, null, 'change_webhook', p_id, 'added', jsonb_build_object(
    'host', private.host_of(p_address), 'tellsNames', p_tells_names));
  return jsonb_build_object('outcome', 'added', 'orgId', p_org);
exception when lock_not_available or deadlock_detected then
  return '{"outcome": "busy"}';
end
$$;

COMMENT ON FUNCTION public.add_webhook(p_org uuid, p_id uuid, p_address text, p_types text[], p_tells_names boolean, p_secret jsonb) IS 'Adds an endpoint of an organization; audited by its host.';

CREATE FUNCTION public.answer_question(p_call jsonb, p_question text, p_medical boolean) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    SET lock_timeout TO '300ms'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    SET statement_timeout TO '2300ms'
    AS $$
declare
  v_opened record;
  v_fact public.clinic_facts;
begin
  v_opened := private.open_call(p_call, 'answer_question');
  if v_opened.refusal is not null then
    return v_opened.refusal;
  end if;
  v_fact := private.find_fact((v_opened.org).id, p_question, p_medical);
  if v_fact.id is not null then
    return private.answer(v_opened.org, jsonb_build_object(
      'outcome', 'answered', 'answer', v_fact.answer));
  elsif p_medical then
    return private.answer(v_opened.org, '{"outcome": "medical_question"}');
  end if;
  perform private.keep_question(
    (v_opened.org).id, p_call ->> 'callId', p_question, clock_timestamp());
  return private.answer(v_opened.org, '{"outcome": "not_found"}');
exception
  when lock_not_available or deadlock_detected then
    return '{"outcome": "busy"}';
  when foreign_key_violation then
    return private.refuse_gone(p_call, 'answer_question');
end
$$;

COMMENT ON FUNCTION public.answer_question(p_call jsonb, p_question text, p_medical boolean) IS 'Tool answer_question: the clinic''s own answer to a question about it, or none.';

CREATE FUNCTION public.answer_text(p_org uuid, p_sid text, p_phone text, p_answer jsonb) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    SET lock_timeout TO '1500ms'
    SET statement_timeout TO '2300ms'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
declare
  v_org public.organizations;
  v_calls text[];
  v_now timestamptz;
  v_result jsonb;
begin
  perform private.require_read_committed();
  -- Before all other locks, as when a clinic is deleted or moves.
  select o.* into v_org from public.organizations as o where o.id = p_org for key share;
  if v_org.id is null then
    return '{"outcome": "unknown_clinic"}';
  end if;
  v_now := clock_timestamp();
  v_calls := array(select r.call_id from private.reminded_appointments(p_org, p_phone, v_now) as r);
  perform private.lock_calls(p_org, v_calls);
  perform private.lock_phones(array[private.patient_key(p_org, p_phone)]);
  v_now := clock_timestamp();
  select t.result into v_result from public.text_answers as t
  where t.org_id = p_org and t.sid = p_sid;
  if v_result is not null then
    return v_result || private.wording_of(v_org);
  end if;
  perform private.require_unchanged(v_calls @> array(
    select r.call_id from private.reminded_appointments(p_org, p_phone, v_now) as r
    where r.call_id is not null));
  return private.take_answer(v_org, p_sid, p_phone, p_answer, v_now) || private.wording_of(v_org);
exception
  when lock_not_available or deadlock_detected then
    return private.tell_busy(p_org, p_phone, p_answer);
  when foreign_key_violation then
    return '{"outcome": "unknown_clinic"}';
end
$$;

COMMENT ON FUNCTION public.answer_text(p_org uuid, p_sid text, p_phone text, p_answer jsonb) IS 'A text from a patient: confirms or cancels what it answers, and says what the patient is told.';

CREATE FUNCTION public.apply_clinic(p_clinic jsonb, p_org uuid DEFAULT NULL::uuid, p_seen text DEFAULT NULL::text, p_dry_run boolean DEFAULT false) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    SET lock_timeout TO '5s'
    SET jit TO 'off'
    AS $$
declare
  v_now constant timestamptz := clock_timestamp();
  v_org public.organizations;
  v_before jsonb;
  v_after jsonb;
  v_already uuid[] := '{}';
  v_answer jsonb;
begin
  perform private.require_read_committed();
  if p_org is null then
    insert into public.organizations (slug, name, timezone, default_country, sms_countries)
    values (p_clinic ->> 'slug', p_clinic ->> 'name', p_clinic ->> 'timezone',
      p_clinic ->> 'defaultCountry', '{}')
    on conflict (slug) do nothing
    returning * into v_org;
    if v_org.id is null then
      return '{"outcome": "slug_taken"}';
    end if;
  else
    -- Changes of a clinic wait for each other. Bookings only wait while it is written.
    select o.* into v_org from public.organizations as o where o.id = p_org for no key update;
    if v_org.id is null then
      return '{"outcome": "unknown_clinic"}';
    elsif exists (
      select from public.organizations as o
      where o.slug = p_clinic ->> 'slug' and o.id <> p_org) then
      return '{"outcome": "slug_taken"}';
    end if;
    v_before := private.describe_clinic(v_org);
    if p_seen <> md5(v_before::text) then
      return jsonb_build_object('outcome', 'changed_meanwhile', 'orgId', p_org);
    end if;
    v_already := array(select m.appointment_id from private.find_misplaced(v_org, v_now) as m);
  end if;

  perform private.write_channels(v_org.id, p_clinic);
  v_answer := private.clinic_refusal(v_org, p_clinic);
  if v_answer is null then
    v_org := private.write_clinic(v_org.id, p_clinic);
    v_after := private.describe_clinic(v_org);
    v_answer := jsonb_build_object(
      'outcome', case when v_before is null then 'added'
        when v_before = v_after then 'unchanged' else 'changed' end,
      'before', v_before, 'after', v_after, 'seen', md5(v_before::text),
      'already', to_jsonb(v_already),
      'bookings', private.describe_misplaced(v_org, v_already, v_now));
  end if;
  if p_dry_run or v_after is null then
    raise exception using errcode = 'MO002', message = 'undone';
  elsif v_answer ->> 'outcome' <> 'unchanged' then
    perform private.audit(v_org.id, null, 'apply_clinic', null, v_answer ->> 'outcome',
      jsonb_build_object('bookings', jsonb_array_length(v_answer -> 'bookings'))
        || private.describe_changes(v_before, v_after));
  end if;
  return v_answer || jsonb_build_object('orgId', v_org.id);
exception
  when sqlstate 'MO002' then
    return v_answer;
  when lock_not_available or deadlock_detected then
    return '{"outcome": "busy"}';
end
$$;

COMMENT ON FUNCTION public.apply_clinic(p_clinic jsonb, p_org uuid, p_seen text, p_dry_run boolean) IS 'Adds a clinic or changes it to match its document, in one transaction; a dry run rolls back.';

CREATE FUNCTION public.apply_retention(p_dry_run boolean DEFAULT false, p_batch integer DEFAULT 1000) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    SET lock_timeout TO '5s'
    SET jit TO 'off'
    AS $$
declare
  v_now constant timestamptz := clock_timestamp();
  v_left bigint := p_batch;
  v_rule private.retention_rules;
  v_found jsonb := '[]';
  v_deleted jsonb;
  v_shared jsonb;
  v_answer jsonb;
begin
  if p_dry_run is null then
    raise exception 'Cannot apply retention: p_dry_run is null; say true to count, false to delete'
      using errcode = '22023';
  elsif p_batch is null or p_batch < 1 then
    raise exception 'Cannot apply retention to % rows: the batch must be at least 1', p_batch
      using errcode = '22023';
  end if;
  if p_dry_run then
    select jsonb_agg(f.found) into v_found
    from public.organizations as o
    cross join lateral jsonb_array_elements(private.count_old(o, v_now)) as f (found);
    v_shared := private.delete_shared(v_now, null);
  else
    for v_rule in select r.* from private.retention_rules as r order by r.name loop
      v_deleted := private.delete_old(v_rule, v_now, v_left);
      v_found := v_found || v_deleted;
      v_left := v_left - (
        select coalesce(sum(d.rows), 0) from jsonb_to_recordset(v_deleted) as d (rows bigint));
      exit when v_left <= 0;
    end loop;
    v_shared := private.delete_shared(v_now, greatest(v_left, 0));
  end if;

  -- By organization.
  select jsonb_agg(f) into v_found
  from (
    select r.org, jsonb_object_agg(r.rule, r.rows) as counts, sum(r.rows) as rows
    from jsonb_to_recordset(v_found) as r (org uuid, rule text, rows bigint) group by r.org
  ) as f;
  perform private.audit(f.org, null, 'apply_retention', null, 'deleted', f.counts)
  from jsonb_to_recordset(v_found) as f (org uuid, counts jsonb, rows bigint)
  where f.rows > 0 and not p_dry_run;
  select jsonb_build_object(
    'rows', coalesce(sum(f.rows), 0) + (v_shared ->> 'phoneCounts')::bigint
      + (v_shared ->> 'jobRuns')::bigint,
    'organizations', coalesce(jsonb_agg(jsonb_build_object('organization', o.slug,
      'retentionDays', o.retention_days, 'auditRetentionDays', o.audit_retention_days)
      || f.counts order by o.slug), '[]'))
  into v_answer
  from jsonb_to_recordset(v_found) as f (org uuid, counts jsonb, rows bigint)
  join public.organizations as o on o.id = f.org;
  return v_answer || v_shared;
end
$$;

COMMENT ON FUNCTION public.apply_retention(p_dry_run boolean, p_batch integer) IS 'Deletes a batch of what is older than each organization keeps; pg_cron calls it every night.';

CREATE FUNCTION public.begin_otp_send(p_call jsonb, p_hold text, p_send_id uuid, p_mac text, p_key_id text, p_expected_org uuid, p_sender text) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    SET lock_timeout TO '1500ms'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    SET statement_timeout TO '2300ms'
    AS $$
declare
  v_opened record;
begin
  perform private.require_read_committed();
  v_opened := private.open_call(p_call, 'send_otp');
  if v_opened.refusal is not null then
    return v_opened.refusal;
  elsif (v_opened.org).id <> p_expected_org then
    return '{"outcome": "wrong_account"}';
  elsif p_call ->> 'callId' is null then
    return private.answer(v_opened.org, '{"outcome": "call_needed"}');
  end if;
  return private.answer(v_opened.org, private.begin_send(
    v_opened.org, p_call, p_hold, p_send_id, p_mac, p_key_id, p_sender));
exception
  when lock_not_available or deadlock_detected then
    return '{"outcome": "busy"}';
  when foreign_key_violation then
    return private.refuse_gone(p_call, 'send_otp');
end
$$;

COMMENT ON FUNCTION public.begin_otp_send(p_call jsonb, p_hold text, p_send_id uuid, p_mac text, p_key_id text, p_expected_org uuid, p_sender text) IS 'Tool send_otp, before the text: checks cooldown and limits, stores the code''s MAC.';

CREATE FUNCTION public.begin_send_at_hold(p_call jsonb, p_hold text, p_send_id uuid, p_mac text, p_key_id text, p_expected_org uuid, p_sender text) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    SET lock_timeout TO '1500ms'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    SET statement_timeout TO '2300ms'
    AS $$
declare
  v_opened record;
begin
  perform private.require_read_committed();
  v_opened := private.open_call(p_call, 'send_otp');
  if v_opened.refusal is not null then
    return v_opened.refusal;
  elsif (v_opened.org).id <> p_expected_org then
    return '{"outcome": "wrong_account"}';
  elsif p_call ->> 'callId' is null then
    return private.answer(v_opened.org, '{"outcome": "call_needed"}');
  end if;
  return private.answer(v_opened.org, private.begin_at_hold(
    v_opened.org, p_call, private.read_id(p_hold), p_send_id, p_mac, p_key_id, p_sender));
exception
  when lock_not_available or deadlock_detected then
    return '{"outcome": "busy"}';
  when foreign_key_violation then
    return private.refuse_gone(p_call, 'send_otp');
end
$$;

COMMENT ON FUNCTION public.begin_send_at_hold(p_call jsonb, p_hold text, p_send_id uuid, p_mac text, p_key_id text, p_expected_org uuid, p_sender text) IS 'Tool hold_slot, before the text: begins a send unless a code can confirm the hold already.';

CREATE FUNCTION public.cancel_appointment(p_call jsonb, p_patient_name text, p_patient_phone text, p_patient_country text DEFAULT NULL::text, p_appointment text DEFAULT NULL::text, p_date jsonb DEFAULT NULL::jsonb, p_time jsonb DEFAULT NULL::jsonb, p_provider text DEFAULT NULL::text) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    SET lock_timeout TO '300ms'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    SET statement_timeout TO '2300ms'
    AS $$
declare
  v_opened record;
  v_read record;
begin
  perform private.require_read_committed();
  v_opened := private.open_call(p_call, 'cancel_appointment');
  if v_opened.refusal is not null then
    return v_opened.refusal;
  elsif p_call ->> 'callId' is null then
    return private.answer(v_opened.org, '{"outcome": "call_needed"}');
  end if;
  select * into v_read from private.read_said(
    v_opened.org, p_call, p_patient_name, p_appointment, p_date, p_time, p_provider);
  return coalesce(v_read.refusal, private.answer(v_opened.org, private.change_appointment(
    v_opened.org, p_call, 'cancel', jsonb_build_object(
      'name', p_patient_name, 'phone', p_patient_phone, 'country', p_patient_country),
    v_read.said, null)));
exception
  when lock_not_available or deadlock_detected then
    return '{"outcome": "busy"}';
  when foreign_key_violation then
    return private.refuse_gone(p_call, 'cancel_appointment');
end
$$;

COMMENT ON FUNCTION public.cancel_appointment(p_call jsonb, p_patient_name text, p_patient_phone text, p_patient_country text, p_appointment text, p_date jsonb, p_time jsonb, p_provider text) IS 'Tool cancel_appointment: takes a request to cancel, which is carried out when the number is proven.';

CREATE FUNCTION public.change_webhook(p_org uuid, p_id uuid, p_as text, p_secret jsonb DEFAULT NULL::jsonb) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    SET lock_timeout TO '5s'
    AS $$
declare
  v_endpoint public.webhook_endpoints;
begin
  if not exists (select from public.organizations as o where o.id = p_org) then
    return '{"outcome": "unknown_clinic"}';
  elsif coalesce(p_as, '') not in ('removed', 'enabled', 'rotated') then
    return '{"outcome": "unknown_change"}';
  end if;
  if p_as = 'removed' then
    delete from public.webhook_endpoints as e
    where e.org_id = p_org and e.id = p_id returning e.* into v_endpoint;
  else
    update public.webhook_endpoints as e
    set disabled_at = case when p_as = 'enabled' then null else e.disabled_at end,
      due_at = case when p_as = 'enabled' then '-infinity' else e.due_at end,
      failures = case when p_as = 'enabled' then 0 else e.failures end,
      failed_at = case when p_as = 'enabled' then null else e.failed_at end,
      alarmed_at = case when p_as = 'enabled' then null else e.alarmed_at end,
      secrets = case when p_as = 'rotated' then jsonb_build_array(p_secret,
        (e.secrets -> 0) || jsonb_build_object('until', clock_timestamp() + interval '1 day'))
        else e.secrets end
    where e.org_id = p_org and e.id = p_id returning e.* into v_endpoint;
  end if;
  if v_endpoint.id is null then
    return '{"outcome": "unknown_endpoint"}';
  end if;
  perform private.audit(p_org, null, 'change_webhook', p_id, p_as,
    jsonb_build_object('host', private.host_of(v_endpoint.address)));
  return jsonb_build_object('outcome', case p_as when 'removed' then 'removed'
    when 'enabled' then 'enabled' else 'rotated' end, 'orgId', p_org);
exception when lock_not_available or deadlock_detected then
  return '{"outcome": "busy"}';
end
$$;

COMMENT ON FUNCTION public.change_webhook(p_org uuid, p_id uuid, p_as text, p_secret jsonb) IS 'Removes or enables an endpoint, or gives it a new secret; audited by its host.';

CREATE FUNCTION public.check_availability(p_call jsonb, p_service text, p_day jsonb, p_days integer DEFAULT 1, p_part_of_day text DEFAULT NULL::text, p_provider text DEFAULT NULL::text) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    SET statement_timeout TO '2300ms'
    AS $$
declare
  v_now constant timestamptz := clock_timestamp();
  v_call_id constant text := p_call ->> 'callId';
  v_first date;
  v_end date;
  v_opened record;
  v_org public.organizations;
  v_service public.services;
  v_provider public.providers;
  v_found public.providers[];
  v_today date;
  v_last date;
  v_offer jsonb;
  v_facts jsonb;
begin
  v_opened := private.open_call(p_call, 'check_availability');
  if v_opened.refusal is not null then
    return v_opened.refusal;
  end if;
  v_org := v_opened.org;
  v_today := (v_now at time zone v_org.timezone)::date;
  v_facts := private.answer(
    v_org, jsonb_build_object('timezone', v_org.timezone, 'today', v_today));

  v_service := private.find_service(v_org.id, p_service);
  if v_service.id is null then
    return v_facts || jsonb_build_object('outcome', 'unknown_service', 'services', (
      select coalesce(jsonb_agg(s.name order by s.name), '[]')
      from public.services as s where s.org_id = v_org.id and s.active));
  end if;

  if p_provider is not null then
    v_found := array(
      select distinct p from string_to_table(p_provider, '|') as n
      cross join lateral private.find_providers(v_org.id, n) as p
      where exists (
        select from public.provider_services as ps
        where ps.org_id = v_org.id and ps.provider_id = p.id and ps.service_id = v_service.id));
    if cardinality(v_found) = 0 then
      return v_facts || jsonb_build_object('outcome', 'unknown_provider', 'providers', (
        select coalesce(jsonb_agg(p.name order by p.name), '[]')
        from public.providers as p
        join public.provider_services as ps on ps.org_id = p.org_id and ps.provider_id = p.id
        where p.org_id = v_org.id and p.active and ps.service_id = v_service.id));
    elsif cardinality(v_found) > 1 then
      return v_facts || jsonb_build_object('outcome', 'which_provider', 'providers', (
        select jsonb_agg(p.name order by p.name) from unnest(v_found) as p));
    end if;
    v_provider := v_found[1];
  end if;

  v_last := v_today + v_service.horizon_days;
  v_facts := v_facts || jsonb_build_object('service', v_service.name);
  v_first := private.resolve_day(v_org, p_day, v_today, v_last);
  if v_first is null then
    return v_facts || private.describe_unclear_day(v_org, p_day, v_today);
  elsif v_first > v_last then
    return v_facts || jsonb_build_object('outcome', 'beyond_horizon', 'lastDay', v_last);
  end if;
  v_end := v_first + least(greatest(coalesce(p_days, 1), 1), 14) - 1;
  if v_end < v_today then
    return v_facts || jsonb_build_object('outcome', 'past_date');
  end if;
  v_facts := v_facts || jsonb_build_object('day', v_first);

  v_offer := private.offer(v_org, v_service, v_provider, greatest(v_first, v_today),
    least(v_end, v_last), p_part_of_day, v_call_id, v_now, 5);
  if (v_offer ->> 'total')::integer > 0 then
    return v_facts || v_offer || '{"outcome": "available"}';
  end if;
  return v_facts || '{"outcome": "fully_booked"}' || private.offer_nearest(v_org, v_service,
    v_provider, v_first, v_end, v_last, p_part_of_day, v_call_id, v_now);
end
$$;

COMMENT ON FUNCTION public.check_availability(p_call jsonb, p_service text, p_day jsonb, p_days integer, p_part_of_day text, p_provider text) IS 'Tool check_availability: bookable slots of a service on one to fourteen local days.';

CREATE FUNCTION public.claim_appointment_texts(p_limit integer) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    SET lock_timeout TO '1500ms'
    SET statement_timeout TO '2300ms'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
declare
  v_now timestamptz;
  v_due record;
  v_seen integer := 0;
  v_texts jsonb := '[]';
begin
  perform private.require_read_committed();
  -- Counts what each organization has sent: two concurrent claims would count the same texts.
  perform pg_advisory_xact_lock(hashtextextended('appointment texts', 3));
  v_now := clock_timestamp();
  for v_due in
    select o as org, t as text, a as appointment
    from public.appointment_texts as t
    join public.organizations as o on o.id = t.org_id
    join public.appointments as a on a.org_id = t.org_id and a.id = t.appointment_id
    where t.state = 'waiting' and t.due_at <= v_now
      and not exists (select from private.arriving_clinics as r where r.org_id = t.org_id)
    order by t.due_at, t.created_at limit p_limit
    -- A clinic that leaves and an appointment that is deleted are locked before their texts, so
    -- nothing waits here.
    for no key update of t skip locked for key share of o, a skip locked
  loop
    v_seen := v_seen + 1;
    v_texts := v_texts || coalesce(
      private.claim_text(v_due.org, v_due.text, v_due.appointment, v_now), '[]');
  end loop;
  return jsonb_build_object('outcome', 'claimed', 'texts', v_texts, 'more', v_seen >= p_limit);
exception when lock_not_available or deadlock_detected then
  return '{"outcome": "busy"}';
end
$$;

COMMENT ON FUNCTION public.claim_appointment_texts(p_limit integer) IS 'Marks texts that are due as about to be sent, and gives what they say.';

CREATE FUNCTION public.claim_slot_atomic(p_call jsonb, p_slot_id text, p_patient_name text, p_patient_phone text, p_patient_country text DEFAULT NULL::text, p_hold text DEFAULT NULL::text) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    SET lock_timeout TO '300ms'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    SET statement_timeout TO '2300ms'
    AS $$
declare
  v_opened record;
begin
  perform private.require_read_committed();
  v_opened := private.open_call(p_call, 'hold_slot');
  if v_opened.refusal is not null then
    return v_opened.refusal;
  elsif p_call ->> 'callId' is null then
    return private.answer(v_opened.org, '{"outcome": "call_needed"}');
  end if;
  return private.answer(v_opened.org, private.hold_slot(v_opened.org, p_call, p_slot_id,
    jsonb_build_object(
      'name', p_patient_name, 'phone', p_patient_phone, 'country', p_patient_country),
    private.read_id(p_hold)));
exception
  when lock_not_available or deadlock_detected then
    return '{"outcome": "busy"}';
  when foreign_key_violation then
    return private.refuse_gone(p_call, 'hold_slot');
end
$$;

COMMENT ON FUNCTION public.claim_slot_atomic(p_call jsonb, p_slot_id text, p_patient_name text, p_patient_phone text, p_patient_country text, p_hold text) IS 'Tool hold_slot: holds a slot for exactly one of the calls that ask for it.';

CREATE FUNCTION public.claim_webhooks(p_limit integer) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    SET lock_timeout TO '1500ms'
    SET statement_timeout TO '2300ms'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
declare
  v_now constant timestamptz := clock_timestamp();
  v_endpoint public.webhook_endpoints;
  v_messages jsonb := '[]';
begin
  perform private.require_read_committed();
  for v_endpoint in
    select e.* from public.webhook_endpoints as e
    where e.disabled_at is null and e.due_at <= v_now
      and exists (
        select from public.webhook_messages as m
        where m.org_id = e.org_id and m.endpoint_id = e.id and m.state in ('waiting', 'sending')
          and m.due_at <= v_now)
      and not exists (select from private.arriving_clinics as r where r.org_id = e.org_id)
    order by e.claimed_at nulls first, e.org_id, e.id limit p_limit
    for no key update skip locked
  loop
    update public.webhook_endpoints as e
    set claimed_at = v_now,
      -- One message at a time tries an endpoint that has failed.
      due_at = case when v_endpoint.failures > 0 then v_now + private.webhook_patience()
        else e.due_at end
    where e.org_id = v_endpoint.org_id and e.id = v_endpoint.id;
    v_messages := v_messages || private.claim_messages(v_endpoint.org_id, v_endpoint, 4, v_now);
  end loop;
  return jsonb_build_object('outcome', 'claimed', 'messages', v_messages);
exception when lock_not_available or deadlock_detected then
  return '{"outcome": "busy"}';
end
$$;

COMMENT ON FUNCTION public.claim_webhooks(p_limit integer) IS 'Marks messages to endpoints as about to be sent, and gives what they say.';

CREATE FUNCTION public.cleanup_expired_holds(p_batch integer DEFAULT 1000) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    SET lock_timeout TO '1s'
    SET jit TO 'off'
    SET statement_timeout TO '2300ms'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
declare
  v_now constant timestamptz := clock_timestamp();
  v_next record;
  v_count integer := 0;
begin
  if p_batch is null or p_batch < 1 then
    raise exception 'Cannot clean up % holds: the batch must be at least 1', p_batch
      using errcode = '22023';
  end if;
  for v_next in
    with locked as materialized (
      select a.org_id, a.ctid as place from public.appointments as a
      -- In a form that appointments_expiring can answer.
      where a.status = 'held' and a.expires_at <= v_now
      order by a.expires_at
      limit p_batch
      for update skip locked
    )
    select l.org_id, array_agg(l.place) as places from locked as l group by l.org_id
  loop
    v_count := v_count + private.expire_holds(v_next.org_id, v_next.places, v_now);
  end loop;
  return v_count;
end
$$;

COMMENT ON FUNCTION public.cleanup_expired_holds(p_batch integer) IS 'Marks a batch of expired holds as expired and returns how many; pg_cron calls it every minute.';

CREATE FUNCTION public.clear_limits(p_org uuid, p_phone text DEFAULT NULL::text) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    SET lock_timeout TO '1500ms'
    AS $$
declare
  v_hash constant bytea := private.hash_phone(p_phone);
  v_outcome text;
begin
  if not exists (select from public.organizations as o where o.id = p_org) then
    return '{"outcome": "unknown_clinic"}';
  elsif p_phone is null then
    update public.alarms as a set cleared_at = clock_timestamp()
    where a.org_id = p_org and a.cleared_at is null
      and a.raised_at > clock_timestamp() - interval '1 hour';
    v_outcome := case when found then 'cleared' else 'nothing_counted' end;
    delete from public.alarm_counters as c where c.org_id = p_org;
  else
    perform private.lock_phones(array[v_hash]);
    delete from public.phone_counts as c where c.phone_hash = v_hash;
    v_outcome := case when found then 'cleared' else 'nothing_counted' end;
  end if;
  perform private.audit(p_org, null, 'clear_limits', null, v_outcome,
    jsonb_build_object('of', case when p_phone is null then 'alarms' else 'number' end));
  return jsonb_build_object('outcome', v_outcome, 'orgId', p_org);
exception when lock_not_available or deadlock_detected then
  return '{"outcome": "busy"}';
end
$$;

COMMENT ON FUNCTION public.clear_limits(p_org uuid, p_phone text) IS 'Forgets what was counted for a number, or ends the brake of an organization''s alarms; audited.';

CREATE FUNCTION public.clear_otp_send(p_call jsonb, p_org uuid, p_send_id uuid, p_reason text, p_may_have_been_sent boolean) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    SET lock_timeout TO '1500ms'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    SET statement_timeout TO '2300ms'
    AS $$
declare
  v_text public.sms_messages;
  v_caller bytea;
  v_cleared boolean;
  v_organization public.organizations;
  v_alarm text;
begin
  select m.* into v_text from public.sms_messages as m where m.org_id = p_org and m.id = p_send_id;
  perform private.lock_call(p_org, v_text.call_id);
  select c.caller_hash into v_caller from public.calls as c
  where c.org_id = p_org and c.call_id = v_text.call_id;
  perform private.lock_phones(array[v_text.to_hash, v_caller]);
  select m.* into v_text from public.sms_messages as m where m.org_id = p_org and m.id = p_send_id;
  if v_text.sid is not null then
    -- A delivery report came first: Twilio has the text.
    return private.complete_send(p_org, p_call, v_text, v_text.sid);
  end if;
  update public.one_time_passcodes as c
  set mac = null, state = case c.purpose when 'confirm' then 'cleared' else c.state end
  where c.org_id = p_org and c.call_id = v_text.call_id and c.phone_hash = v_text.to_hash
    and c.send_id = p_send_id and c.state = 'sending';
  v_cleared := found;
  v_text := private.fail_text(p_org, p_send_id, p_reason, p_may_have_been_sent);
  if v_text.appointment_id is not null then
    perform private.uncount_send(v_text.to_hash, v_caller, v_text.created_at);
    update public.calls as c set sends = greatest(c.sends - 1, 0)
    where c.org_id = p_org and c.call_id = v_text.call_id;
    update public.one_time_passcodes as c set sends = greatest(c.sends - 1, 0)
    where c.org_id = p_org and c.call_id = v_text.call_id and c.phone_hash = v_text.to_hash;
    if p_reason in ('bad_destination', 'opted_out', 'blocked_country') then
      select o.* into v_organization from public.organizations as o where o.id = p_org;
      v_alarm := private.count_for_alarm(v_organization, 'refused_sends', clock_timestamp());
    end if;
  end if;
  perform private.audit(p_org, p_call, 'send_otp', v_text.appointment_id, 'cleared',
    jsonb_build_object('sendId', p_send_id, 'reason', p_reason));
  return jsonb_strip_nulls(jsonb_build_object(
    'outcome', case when v_cleared then 'cleared' else 'not_current' end,
    'orgId', p_org, 'alarm', v_alarm));
exception when lock_not_available or deadlock_detected then
  return '{"outcome": "busy"}';
end
$$;

COMMENT ON FUNCTION public.clear_otp_send(p_call jsonb, p_org uuid, p_send_id uuid, p_reason text, p_may_have_been_sent boolean) IS 'Tool send_otp, after the text failed: forgets the code of that send only.';

CREATE FUNCTION public.collect_metrics() RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    SET lock_timeout TO '1s'
    AS $$
declare
  v_count constant integer := private.collect_events(false);
begin
  delete from public.metric_minutes as m where m.minute < clock_timestamp() - interval '1 day';
  delete from public.metric_batches as b where b.at < clock_timestamp() - interval '1 day';
  return v_count;
end
$$;

COMMENT ON FUNCTION public.collect_metrics() IS 'Moves events into the counters and deletes what is older than a day; pg_cron calls it every minute.';

CREATE FUNCTION public.complete_otp_send(p_call jsonb, p_org uuid, p_send_id uuid, p_sid text) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    SET lock_timeout TO '1500ms'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    SET statement_timeout TO '2300ms'
    AS $$
declare
  v_text public.sms_messages;
begin
  select m.* into v_text from public.sms_messages as m where m.org_id = p_org and m.id = p_send_id;
  perform private.lock_call(p_org, v_text.call_id);
  return private.complete_send(p_org, p_call, v_text, p_sid);
exception when lock_not_available or deadlock_detected then
  return '{"outcome": "busy"}';
end
$$;

COMMENT ON FUNCTION public.complete_otp_send(p_call jsonb, p_org uuid, p_send_id uuid, p_sid text) IS 'Tool send_otp, after the text was accepted.';

CREATE FUNCTION public.delete_clinic(p_org uuid) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    SET lock_timeout TO '5s'
    SET jit TO 'off'
    AS $$
declare
  v_now constant timestamptz := clock_timestamp();
  v_slug text;
  v_count integer;
begin
  -- A booking that begins now waits for this, and then finds no clinic.
  select o.slug into v_slug from public.organizations as o where o.id = p_org for update;
  if v_slug is null then
    return '{"outcome": "unknown_clinic"}';
  end if;
  select count(*) into v_count from public.appointments as a
  where a.org_id = p_org and private.is_live(a, v_now) and a.ends_at > v_now;
  if v_count > 0 then
    return jsonb_build_object('outcome', 'appointments_ahead', 'ahead', v_count);
  end if;
  delete from public.appointments as a where a.org_id = p_org
    and not (private.is_live(a, v_now) and a.ends_at > v_now);
  get diagnostics v_count = row_count;
  delete from public.organizations as o where o.id = p_org;
  perform private.audit(p_org, null, 'delete_clinic', null, 'deleted',
    jsonb_build_object('slug', v_slug, 'appointments', v_count));
  return jsonb_build_object('outcome', 'deleted', 'slug', v_slug, 'appointments', v_count);
exception when lock_not_available or deadlock_detected or foreign_key_violation then
  return '{"outcome": "busy"}';
end
$$;

COMMENT ON FUNCTION public.delete_clinic(p_org uuid) IS 'Deletes a clinic that has no appointments ahead; its audit log stays.';

CREATE FUNCTION public.end_call(p_call jsonb, p_ended_reason text, p_report jsonb, p_send uuid) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    SET lock_timeout TO '1500ms'
    SET statement_timeout TO '2300ms'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
declare
  v_call_id constant text := p_call ->> 'callId';
  v_opened record;
  v_is_locked boolean;
  v_known public.call_reports;
  v_answer jsonb;
begin
  perform private.require_read_committed();
  v_opened := private.open_call(p_call, 'end_call');
  if v_opened.refusal is not null then
    return v_opened.refusal;
  elsif v_call_id is null then
    return jsonb_build_object('outcome', 'no_call', 'orgId', (v_opened.org).id);
  end if;
  v_is_locked := private.lock_end(v_opened.org, v_call_id);
  insert into public.call_reports (org_id, call_id) values ((v_opened.org).id, v_call_id)
  on conflict do nothing;
  select r.* into strict v_known from public.call_reports as r
  where r.org_id = (v_opened.org).id and r.call_id = v_call_id for update;

  v_answer := case when v_is_locked
    then private.close_call(v_opened.org, p_call, v_known, p_ended_reason, p_send)
    else '{"outcome": "busy"}' end;
  if p_report is null then
    v_answer := v_answer ||
      jsonb_build_object('known', private.known_of_call((v_opened.org).id, v_call_id));
  elsif v_known.reported_at is null then
    update public.call_reports as r
    set reported_at = clock_timestamp(), ended_reason = p_ended_reason,
      duration_seconds = (p_report ->> 'durationSeconds')::double precision,
      cost = (p_report ->> 'cost')::double precision,
      transcript = p_report ->> 'transcript', summary = p_report ->> 'summary',
      redactions = coalesce(p_report -> 'redactions', '{}')
    where r.org_id = (v_opened.org).id and r.call_id = v_call_id;
    perform private.audit((v_opened.org).id, p_call, 'file_report', null, 'filed',
      jsonb_build_object('redactions', coalesce(p_report -> 'redactions', '{}')));
    v_answer := case when v_answer ->> 'outcome' = 'busy' then v_answer
      else v_answer || '{"outcome": "filed"}' end;
  end if;
  return v_answer || jsonb_build_object('orgId', (v_opened.org).id);
exception
  when lock_not_available or deadlock_detected then
    return '{"outcome": "busy"}';
  when foreign_key_violation then
    return private.refuse_gone(p_call, 'end_call');
end
$$;

COMMENT ON FUNCTION public.end_call(p_call jsonb, p_ended_reason text, p_report jsonb, p_send uuid) IS 'A call has ended: releases its holds, stores its report, begins its follow-up, each once.';

CREATE FUNCTION public.erase_patient(p_org uuid, p_phone text, p_name text DEFAULT NULL::text) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    SET lock_timeout TO '5s'
    SET jit TO 'off'
    AS $$
declare
  v_found record;
  v_calls text[];
  v_kept integer;
  v_ahead integer;
  v_rows jsonb;
begin
  -- Before all other locks, as when a clinic is deleted.
  perform from public.organizations as o where o.id = p_org for key share;
  select * into v_found from private.find_patient(p_org, p_phone, coalesce(p_name, ''));
  v_calls := (v_found.patient).call_ids;
  perform private.lock_calls(p_org, v_calls);
  -- What is counted for a number is written under this lock: nothing of the number is made meanwhile.
  perform private.lock_phones(array[private.patient_key(p_org, p_phone)]);
  select * into v_found from private.find_patient(p_org, p_phone, coalesce(p_name, ''));
  if p_name is null then
    return jsonb_build_object('outcome', 'name_needed', 'names', v_found.names);
  elsif not v_found.is_found then
    return jsonb_build_object('outcome', 'not_found', 'names', v_found.names);
  elsif not (v_found.patient).call_ids <@ v_calls then
    -- The patient has called since.
    return '{"outcome": "busy"}';
  end if;
  perform from public.appointments as a
  where a.org_id = p_org and a.id = any ((v_found.patient).appointment_ids) order by a.id for update;
  select count(*), count(*) filter (where a.starts_at > clock_timestamp())
  into v_kept, v_ahead
  from public.appointments as a
  where a.org_id = p_org and a.id = any ((v_found.patient).appointment_ids)
    and a.status in ('confirmed', 'completed', 'no_show');
  v_rows := private.erase_rows(v_found.patient);
  perform private.refuse_reports(p_org, (v_found.patient).call_ids);
  perform private.audit(p_org, null, 'erase_patient', null, 'erased', v_rows);
  return jsonb_build_object(
    'outcome', 'erased', 'rows', v_rows, 'kept', v_kept, 'ahead', v_ahead);
exception when lock_not_available or deadlock_detected then
  return '{"outcome": "busy"}';
end
$$;

COMMENT ON FUNCTION public.erase_patient(p_org uuid, p_phone text, p_name text) IS 'Erases a patient; confirmed appointments stay without name and number.';

CREATE FUNCTION public.export_patient(p_org uuid, p_phone text, p_name text DEFAULT NULL::text) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    SET lock_timeout TO '5s'
    SET jit TO 'off'
    AS $$
declare
  v_found record;
begin
  select * into v_found from private.find_patient(p_org, p_phone, coalesce(p_name, ''));
  if p_name is null then
    return jsonb_build_object('outcome', 'name_needed', 'names', v_found.names);
  elsif not v_found.is_found then
    return jsonb_build_object('outcome', 'not_found', 'names', v_found.names);
  end if;
  perform private.audit(p_org, null, 'export_patient', null, 'found');
  return jsonb_build_object(
    'outcome', 'found', 'data', private.read_patient(v_found.patient));
end
$$;

COMMENT ON FUNCTION public.export_patient(p_org uuid, p_phone text, p_name text) IS 'Everything that an organization keeps of a patient, by table.';

CREATE FUNCTION public.find_appointments(p_call jsonb, p_patient_name text, p_patient_phone text, p_patient_country text DEFAULT NULL::text) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    SET lock_timeout TO '300ms'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    SET statement_timeout TO '2300ms'
    AS $$
declare
  v_opened record;
begin
  perform private.require_read_committed();
  v_opened := private.open_call(p_call, 'find_appointments');
  if v_opened.refusal is not null then
    return v_opened.refusal;
  elsif p_call ->> 'callId' is null then
    return private.answer(v_opened.org, '{"outcome": "call_needed"}');
  end if;
  return private.answer(v_opened.org, private.change_appointment(v_opened.org, p_call, 'find', jsonb_build_object(
    'name', p_patient_name, 'phone', p_patient_phone, 'country', p_patient_country), '{}', null));
exception
  when lock_not_available or deadlock_detected then
    return '{"outcome": "busy"}';
  when foreign_key_violation then
    return private.refuse_gone(p_call, 'find_appointments');
end
$$;

COMMENT ON FUNCTION public.find_appointments(p_call jsonb, p_patient_name text, p_patient_phone text, p_patient_country text) IS 'Tool find_appointments: the appointments of the patients named in a call, after its number is proven.';

CREATE FUNCTION public.find_assistant(p_call jsonb) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    SET statement_timeout TO '2300ms'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
declare
  v_opened record;
  v_assistant text;
begin
  v_opened := private.open_call(p_call, 'find_assistant');
  if v_opened.refusal is not null then
    return v_opened.refusal;
  end if;
  select min(c.value) into v_assistant from public.org_channels as c
  where c.org_id = (v_opened.org).id and c.kind = 'vapi_assistant';
  if v_assistant is not null then
    return jsonb_build_object(
      'outcome', 'found', 'orgId', (v_opened.org).id, 'assistantId', v_assistant);
  end if;
  return jsonb_build_object('outcome', 'not_registered', 'orgId', (v_opened.org).id,
    'profile', private.describe_line(v_opened.org));
end
$$;

COMMENT ON FUNCTION public.find_assistant(p_call jsonb) IS 'The Vapi assistant of the called number''s clinic, or what is needed to compose one.';

CREATE FUNCTION public.find_country(p_call jsonb) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    SET statement_timeout TO '2300ms'
    AS $$
declare
  v_opened record;
begin
  v_opened := private.open_call(p_call, 'find_country');
  return coalesce(v_opened.refusal, jsonb_build_object(
    'outcome', 'found', 'orgId', (v_opened.org).id, 'country', (v_opened.org).default_country));
end
$$;

COMMENT ON FUNCTION public.find_country(p_call jsonb) IS 'The country of a call''s clinic.';

CREATE FUNCTION public.find_misplaced_bookings(p_org uuid, p_known uuid[] DEFAULT '{}'::uuid[]) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    AS $$
declare
  v_org public.organizations;
begin
  select o.* into v_org from public.organizations as o where o.id = p_org;
  return case when v_org.id is null then '{"outcome": "unknown_clinic"}'
    else jsonb_build_object('outcome', 'found', 'orgId', p_org,
      'bookings', private.describe_misplaced(v_org, p_known, clock_timestamp())) end;
end
$$;

COMMENT ON FUNCTION public.find_misplaced_bookings(p_org uuid, p_known uuid[]) IS 'Bookings that no longer fit their clinic''s schedule.';

CREATE FUNCTION public.get_credentials_of(p_org uuid, p_provider text) RETURNS jsonb
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO ''
    SET statement_timeout TO '2300ms'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
begin
  if not exists (select from public.organizations as o where o.id = p_org) then
    return '{"outcome": "unknown_clinic"}';
  end if;
  return private.read_credentials(p_org, p_provider);
end
$$;

COMMENT ON FUNCTION public.get_credentials_of(p_org uuid, p_provider text) IS 'The encrypted account of an organization.';

CREATE FUNCTION public.get_credentials_of_number(p_number text, p_service text, p_provider text) RETURNS jsonb
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO ''
    SET statement_timeout TO '2300ms'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
declare
  v_senders constant uuid[] := array(
    select distinct c.org_id from public.org_credentials as c
    where c.provider = p_provider and c.sender in (p_number, p_service));
  v_org uuid := v_senders[1];
begin
  if v_org is null then
    select c.org_id into v_org from public.org_channels as c
    where c.kind = 'called_number' and c.value = p_number;
  end if;
  if v_org is null or cardinality(v_senders) > 1 then
    return '{"outcome": "unknown_clinic"}';
  end if;
  return private.read_credentials(v_org, p_provider);
end
$$;

COMMENT ON FUNCTION public.get_credentials_of_number(p_number text, p_service text, p_provider text) IS 'The encrypted account of the organization that a text was sent to.';

CREATE FUNCTION public.get_org_credentials(p_call jsonb, p_provider text) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    SET statement_timeout TO '2300ms'
    AS $$
declare
  v_opened record;
  v_read jsonb;
begin
  v_opened := private.open_call(p_call, 'send_otp');
  if v_opened.refusal is not null then
    return v_opened.refusal;
  end if;
  v_read := private.read_credentials((v_opened.org).id, p_provider);
  perform private.audit((v_opened.org).id, p_call, 'read_credentials', null, v_read ->> 'outcome',
    jsonb_strip_nulls(jsonb_build_object('provider', p_provider, 'keyId', v_read -> 'keyId')));
  return private.answer(v_opened.org, v_read);
end
$$;

COMMENT ON FUNCTION public.get_org_credentials(p_call jsonb, p_provider text) IS 'The encrypted account of a call''s organization; audited.';

CREATE FUNCTION public.leave_message(p_call jsonb, p_name text, p_phone text, p_wished_time text, p_message text) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    SET lock_timeout TO '1500ms'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    SET statement_timeout TO '2300ms'
    AS $$
declare
  v_opened record;
  v_org public.organizations;
  v_hash bytea;
  v_now timestamptz;
  v_message uuid;
  v_answer jsonb;
begin
  perform private.require_read_committed();
  v_opened := private.open_call(p_call, 'leave_message');
  if v_opened.refusal is not null then
    return v_opened.refusal;
  end if;
  v_org := v_opened.org;
  v_hash := private.read_caller(v_org, p_call);
  perform private.lock_call(v_org.id, p_call ->> 'callId');
  v_now := clock_timestamp();
  select m.id into v_message from public.desk_messages as m
  where m.org_id = v_org.id and m.call_id = p_call ->> 'callId'
    and m.tool_call_id = nullif(p_call ->> 'toolCallId', '');
  if v_message is null then
    v_answer := private.message_refusal(v_org, p_call, v_hash, v_now);
    if v_answer is null then
      insert into public.desk_messages as m (
        org_id, call_id, tool_call_id, caller_hash, caller_name, phone, wished_time, message
      ) values (
        v_org.id, p_call ->> 'callId', nullif(p_call ->> 'toolCallId', ''), v_hash, p_name,
        p_phone, p_wished_time, p_message
      )
      returning m.id into v_message;
      perform private.tell(v_org.id, 'message.left', v_message,
        jsonb_build_object('messageId', v_message));
    end if;
    perform private.audit(v_org.id, p_call, 'leave_message', v_message,
      coalesce(v_answer ->> 'outcome', 'left'));
  end if;
  return private.answer(v_org, coalesce(v_answer, jsonb_strip_nulls(jsonb_build_object(
    'outcome', 'left', 'opensAt', case when private.desk_state(v_org, v_now) <> 'open' then
      private.iso_local(private.desk_opens_at(v_org, v_now), v_org.timezone) end))));
exception
  when lock_not_available or deadlock_detected then
    return '{"outcome": "busy"}';
  when foreign_key_violation then
    return private.refuse_gone(p_call, 'leave_message');
end
$$;

COMMENT ON FUNCTION public.leave_message(p_call jsonb, p_name text, p_phone text, p_wished_time text, p_message text) IS 'Tool leave_message: stores a message for the front desk, within limits.';

CREATE FUNCTION public.list_calendars(p_org uuid) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    AS $$
begin
  return case when exists (select from public.organizations as o where o.id = p_org)
    then jsonb_build_object('outcome', 'found', 'orgId', p_org, 'feeds', private.list_feeds(p_org),
      'busy', private.list_busy(p_org))
    else '{"outcome": "unknown_clinic"}' end;
end
$$;

COMMENT ON FUNCTION public.list_calendars(p_org uuid) IS 'The feeds of an organization and its doctors'' own calendars, for its operator.';

CREATE FUNCTION public.list_questions(p_org text) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    AS $$
declare
  v_org public.organizations;
begin
  select o.* into v_org from public.organizations as o
  where o.slug = p_org or o.id = private.read_id(p_org);
  if v_org.id is null then
    return '{"outcome": "unknown_clinic"}';
  end if;
  return jsonb_build_object('outcome', 'found', 'orgId', v_org.id, 'questions', (
    select coalesce(jsonb_agg(jsonb_build_object('id', private.name_question(q.words),
      'question', q.question, 'asked', q.asked,
      'firstAskedAt', private.iso_local(q.first_asked_at, v_org.timezone),
      'lastAskedAt', private.iso_local(q.last_asked_at, v_org.timezone))
      order by q.asked desc, q.last_asked_at desc, q.question), '[]')
    from public.open_questions as q where q.org_id = v_org.id));
end
$$;

COMMENT ON FUNCTION public.list_questions(p_org text) IS 'The questions of callers that a clinic has no answer to.';

CREATE FUNCTION public.list_webhooks(p_org uuid) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    AS $$
begin
  if not exists (select from public.organizations as o where o.id = p_org) then
    return '{"outcome": "unknown_clinic"}';
  end if;
  return jsonb_build_object('outcome', 'found', 'orgId', p_org, 'endpoints', (
      select coalesce(jsonb_agg(jsonb_build_object('endpointId', e.id,
        'host', private.host_of(e.address), 'types', to_jsonb(e.types),
        'tellsNames', e.tells_names, 'failures', e.failures, 'failure', e.failure,
        'disabledAt', e.disabled_at,
        'waiting', (
          select count(*) from public.webhook_messages as m
          where m.org_id = p_org and m.endpoint_id = e.id and m.state in ('waiting', 'sending')),
        'failed', (
          select count(*) from public.webhook_messages as m
          where m.org_id = p_org and m.endpoint_id = e.id and m.state = 'failed'))
        order by e.created_at, e.id), '[]')
      from public.webhook_endpoints as e where e.org_id = p_org),
    'failed', (
      select coalesce(jsonb_agg(jsonb_build_object('messageId', f.id, 'endpointId', f.endpoint_id,
        'type', f.type, 'at', f.created_at, 'attempts', f.attempts, 'reason', f.reason)
        order by f.created_at desc), '[]')
      from (
        select m.* from public.webhook_messages as m
        where m.org_id = p_org and m.state = 'failed' order by m.created_at desc limit 100) as f));
end
$$;

COMMENT ON FUNCTION public.list_webhooks(p_org uuid) IS 'The endpoints of an organization and what was given up, for its operator.';

CREATE FUNCTION public.miss_busy_times(p_org uuid, p_calendar uuid, p_fetch uuid, p_reason text) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    SET lock_timeout TO '1500ms'
    SET statement_timeout TO '2300ms'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
declare
  v_now constant timestamptz := clock_timestamp();
  v_calendar public.busy_calendars;
  v_is_alarm boolean;
begin
  update public.busy_calendars as c
  set fetch_id = null, failures = c.failures + 1, failed_at = coalesce(c.failed_at, v_now), failure = p_reason,
    due_at = v_now + interval '5 minutes' * power(2, least(c.failures, 4))
  where c.org_id = p_org and c.id = p_calendar and c.fetch_id = p_fetch
  returning c.* into v_calendar;
  if v_calendar.id is null then
    return '{"outcome": "superseded"}';
  end if;
  v_is_alarm := v_calendar.failures = 3;
  if v_is_alarm then
    perform private.raise_alarm(
      p_org, 'calendar_unread', v_calendar.failures, v_calendar.failed_at, v_now);
  end if;
  return jsonb_strip_nulls(jsonb_build_object(
    'outcome', 'noted', 'orgId', p_org, 'failures', v_calendar.failures,
    'alarm', case when v_is_alarm then 'calendar_unread' end));
exception when lock_not_available or deadlock_detected then
  return '{"outcome": "busy"}';
end
$$;

COMMENT ON FUNCTION public.miss_busy_times(p_org uuid, p_calendar uuid, p_fetch uuid, p_reason text) IS 'Notes that a doctor''s own calendar could not be read; the third time in a row raises an alarm.';

CREATE FUNCTION public.read_calendar(p_org uuid, p_token_hash text, p_seen text[]) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    SET jit TO 'off'
    SET lock_timeout TO '1s'
    SET statement_timeout TO '2300ms'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
declare
  v_now constant timestamptz := clock_timestamp();
  v_feed public.calendar_feeds;
  v_org public.organizations;
  v_calendar jsonb;
  v_answer jsonb;
begin
  select f.* into v_feed from public.calendar_feeds as f
  where f.org_id = p_org and f.token_hash = decode(p_token_hash, 'hex') and f.revoked_at is null;
  if v_feed.id is null then
    return '{"outcome": "not_found"}';
  end if;
  if coalesce(v_feed.read_at, '-infinity') < v_now - interval '5 minutes' then
    -- Readers do not wait for each other.
    update public.calendar_feeds as f set read_at = v_now
    where f.org_id = p_org and f.id in (
      select g.id from public.calendar_feeds as g
      where g.org_id = p_org and g.id = v_feed.id for no key update skip locked);
  end if;
  select o.* into strict v_org from public.organizations as o where o.id = p_org;
  v_calendar := private.describe_feed(v_org, v_feed, v_now);
  v_answer := jsonb_build_object(
    'orgId', p_org, 'feedId', v_feed.id, 'version', md5(v_calendar::text));
  return case when p_seen && array[v_answer ->> 'version', '*']
    then v_answer || '{"outcome": "unchanged"}'
    else v_answer || jsonb_build_object('outcome', 'found', 'calendar', v_calendar) end;
exception when lock_not_available or deadlock_detected then
  return '{"outcome": "busy"}';
end
$$;

COMMENT ON FUNCTION public.read_calendar(p_org uuid, p_token_hash text, p_seen text[]) IS 'What the calendar feed of a token shows, or that the reader has it already.';

CREATE FUNCTION public.read_clinic(p_org text) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    AS $$
declare
  v_org public.organizations;
begin
  select o.* into v_org from public.organizations as o
  where o.slug = p_org or o.id = private.read_id(p_org);
  if v_org.id is null then
    return jsonb_build_object('outcome', 'unknown_clinic', 'slugs', (
      select coalesce(jsonb_agg(o.slug), '[]') from (
        select o.slug from public.organizations as o order by o.slug limit 10) as o));
  end if;
  return jsonb_build_object(
    'outcome', 'found', 'orgId', v_org.id, 'clinic', private.describe_clinic(v_org));
end
$$;

COMMENT ON FUNCTION public.read_clinic(p_org text) IS 'A clinic''s document, by its slug or id.';

CREATE FUNCTION public.read_line(p_org text) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    AS $$
declare
  v_org public.organizations;
begin
  select o.* into v_org from public.organizations as o
  where o.slug = p_org or o.id = private.read_id(p_org);
  if not found then
    return '{"outcome": "unknown_organization"}';
  end if;
  return jsonb_build_object('outcome', 'found', 'orgId', v_org.id,
    'profile', private.describe_line(v_org),
    'numbers', private.list_channels(v_org.id, 'called_number'),
    'phoneNumberIds', private.list_channels(v_org.id, 'vapi_phone_number'),
    'assistantIds', private.list_channels(v_org.id, 'vapi_assistant'));
end
$$;

COMMENT ON FUNCTION public.read_line(p_org text) IS 'What the task vapi needs to know about a clinic.';

CREATE FUNCTION public.read_metrics(p_minutes integer DEFAULT 60) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    SET lock_timeout TO '1s'
    SET jit TO 'off'
    SET statement_timeout TO '2300ms'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
declare
  v_since constant timestamptz := date_trunc('minute', clock_timestamp())
    - make_interval(mins => greatest(1, least(p_minutes, 1440)) - 1);
  v_now constant timestamptz := clock_timestamp();
  v_totals jsonb;
  v_recent jsonb;
  v_live bigint;
  v_lapsed bigint;
  v_waiting bigint;
  v_oldest timestamptz;
  v_open bigint;
  v_kept bigint;
  v_waits_since timestamptz;
  v_overlaps bigint;
  v_lost bigint;
begin
  perform private.collect_events(true);
  select coalesce(jsonb_agg(t order by t.name, t.labels), '[]') into v_totals
  from public.metric_totals as t;
  select coalesce(jsonb_agg(r order by r.name, r.labels), '[]') into v_recent
  from (
    select m.name, m.labels, sum(m.value) as value
    from public.metric_minutes as m where m.minute >= v_since group by m.name, m.labels
  ) as r;
  select count(*), count(*) filter (where n.has_passcode) into v_live, v_waiting
  from (
    select exists (
      select from public.one_time_passcodes as c
      where c.org_id = a.org_id and c.call_id = a.call_id
        and c.phone_hash = private.hash_phone(a.patient_phone)) as has_passcode
    from public.appointments as a
    where a.status = 'held' and a.handed_over_at is null and a.expires_at > v_now limit 10000
  ) as n;
  select count(*), count(*) filter (where n.is_kept), min(n.handed_over_at)
  into v_open, v_kept, v_waits_since
  from (
    select private.is_kept(a) and private.is_live(a, v_now) as is_kept, a.handed_over_at
    from public.organizations as o
    join public.appointments as a on a.org_id = o.id and a.starts_at > v_now
    where a.handed_over_at is not null and a.status in ('held', 'requires_manual_followup')
    limit 10000
  ) as n;
  select count(*), min(n.expires_at) into v_lapsed, v_oldest
  from (
    select a.expires_at from public.appointments as a
    where a.status = 'held' and a.expires_at <= v_now order by a.expires_at limit 10000
  ) as n;
  select count(*) filter (where f.kind = 'overlap'),
    count(*) filter (where f.kind = 'index_row_lost')
  into v_overlaps, v_lost
  from (select f.kind from public.overlap_findings as f limit 10000) as f;
  return jsonb_build_object('totals', v_totals, 'recent', v_recent, 'gauges', jsonb_build_object(
    'holdsLive', v_live, 'holdsLapsed', v_lapsed, 'passcodesWaiting', v_waiting,
    'cleanupLagSeconds', coalesce(extract(epoch from v_now - v_oldest), 0),
    'overlaps', v_overlaps, 'indexRowsLost', v_lost, 'followUpsOpen', v_open,
    'followUpsKept', v_kept,
    'followUpsLagSeconds', coalesce(extract(epoch from v_now - v_waits_since), 0)));
end
$$;

COMMENT ON FUNCTION public.read_metrics(p_minutes integer) IS 'Counters and gauges for operators; names no organization.';

CREATE FUNCTION public.record_delivery_report(p_org uuid, p_send_id uuid, p_sid text, p_status text, p_error_code integer) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    SET lock_timeout TO '1500ms'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    SET statement_timeout TO '2300ms'
    AS $$
declare
  v_delivery constant text := private.delivery_of(p_status);
begin
  return case when v_delivery is null then '{"outcome": "known"}'
    else private.record_delivery(p_org, p_send_id, p_sid, v_delivery, p_error_code) end;
exception when lock_not_available or deadlock_detected then
  return '{"outcome": "busy"}';
end
$$;

COMMENT ON FUNCTION public.record_delivery_report(p_org uuid, p_send_id uuid, p_sid text, p_status text, p_error_code integer) IS 'A signed delivery report: the state of one text.';

CREATE FUNCTION public.record_metrics(p_batch uuid, p_counts jsonb) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    SET lock_timeout TO '1s'
    SET statement_timeout TO '2300ms'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
begin
  insert into public.metric_batches (id) values (p_batch) on conflict do nothing;
  if not found then
    return '{"outcome": "repeated"}';
  end if;
  insert into public.metric_events (name, labels, value)
  select c.name, coalesce(c.labels, '{}'), c.value
  from jsonb_to_recordset(p_counts) as c (name text, labels jsonb, value double precision);
  perform private.collect_events(false);
  return '{"outcome": "recorded"}';
end
$$;

COMMENT ON FUNCTION public.record_metrics(p_batch uuid, p_counts jsonb) IS 'Adds a batch of counts, once even if it arrives twice. Called after the answers were sent.';

CREATE FUNCTION public.register_channel(p_org uuid, p_kind text, p_value text) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    SET lock_timeout TO '5s'
    AS $$
declare
  v_owner uuid;
begin
  if p_kind is null or p_kind not in ('vapi_assistant', 'vapi_phone_number') then
    raise exception 'Cannot register a channel of kind %: only ids of Vapi are registered', p_kind
      using errcode = '22023';
  end if;
  insert into public.org_channels (kind, value, org_id) values (p_kind, p_value, p_org)
  on conflict do nothing;
  if found then
    perform private.audit(p_org, null, 'register_channel', null, 'registered',
      jsonb_build_object('kind', p_kind, 'value', p_value));
    return jsonb_build_object('outcome', 'registered', 'orgId', p_org);
  end if;
  select c.org_id into v_owner from public.org_channels as c
  where c.kind = p_kind and c.value = p_value;
  return jsonb_build_object('orgId', p_org,
    'outcome', case when v_owner = p_org then 'known' else 'taken' end);
exception when lock_not_available or deadlock_detected then
  return '{"outcome": "busy"}';
end
$$;

COMMENT ON FUNCTION public.register_channel(p_org uuid, p_kind text, p_value text) IS 'Registers an assistant or phone number of Vapi for an organization; audited.';

CREATE FUNCTION public.remove_question(p_org text, p_id text) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    SET lock_timeout TO '5s'
    AS $$
declare
  v_org public.organizations;
  v_removed public.open_questions;
begin
  select o.* into v_org from public.organizations as o
  where o.slug = p_org or o.id = private.read_id(p_org);
  if v_org.id is null then
    return '{"outcome": "unknown_clinic"}';
  end if;
  delete from public.open_questions as q
  where q.org_id = v_org.id and private.name_question(q.words) = lower(p_id)
  returning q.* into v_removed;
  if v_removed.org_id is null then
    return jsonb_build_object('outcome', 'not_found', 'orgId', v_org.id);
  end if;
  perform private.audit(v_org.id, null, 'remove_question', null, 'removed',
    jsonb_build_object('question', lower(p_id), 'asked', v_removed.asked));
  return jsonb_build_object(
    'outcome', 'removed', 'orgId', v_org.id, 'question', v_removed.question);
exception when lock_not_available or deadlock_detected then
  return '{"outcome": "busy"}';
end
$$;

COMMENT ON FUNCTION public.remove_question(p_org text, p_id text) IS 'Deletes an open question of a clinic. The audit log does not get its text.';

CREATE FUNCTION public.replace_busy_times(p_org uuid, p_calendar uuid, p_fetch uuid, p_etag text, p_spans jsonb) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    SET lock_timeout TO '1500ms'
    SET jit TO 'off'
    SET statement_timeout TO '2300ms'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
declare
  v_now timestamptz;
  v_provider uuid;
  v_calendar public.busy_calendars;
  v_before uuid[];
  v_rows record;
  v_new integer;
begin
  perform private.require_read_committed();
  select c.provider_id into v_provider from public.busy_calendars as c
  where c.org_id = p_org and c.id = p_calendar;
  if v_provider is null then
    return '{"outcome": "superseded"}';
  end if;
  -- Before any row: nobody books meanwhile, and every booking before is seen.
  perform private.lock_provider(p_org, v_provider, p_wait => true);
  select c.* into v_calendar from public.busy_calendars as c
  where c.org_id = p_org and c.id = p_calendar for no key update;
  if v_calendar.fetch_id is distinct from p_fetch then
    return '{"outcome": "superseded"}';
  end if;
  v_now := clock_timestamp();
  update public.busy_calendars as c
  set fetch_id = null, read_at = v_now, failures = 0, failed_at = null, failure = null,
    etag = case when p_spans is null then c.etag else p_etag end,
    loaded_at = case when p_spans is null then c.loaded_at else v_now end
  where c.org_id = p_org and c.id = p_calendar;
  if p_spans is null then
    return jsonb_build_object('outcome', 'unchanged', 'orgId', p_org);
  end if;
  v_before := private.find_overlapped(p_org, p_calendar, v_provider, v_now);
  v_rows := private.replace_absences(p_org, p_calendar, v_provider, array(
    select tstzrange((s.span ->> 0)::timestamptz, (s.span ->> 1)::timestamptz)
    from jsonb_array_elements(p_spans) as s (span)));
  select count(*) into v_new
  from unnest(private.find_overlapped(p_org, p_calendar, v_provider, v_now)) as o (id)
  where o.id <> all (v_before);
  if v_rows.added + v_rows.removed > 0 then
    perform private.audit(p_org, null, 'import_busy_times', v_provider, 'replaced',
      jsonb_build_object('added', v_rows.added, 'removed', v_rows.removed, 'overlaps', v_new));
  end if;
  if v_new > 0 then
    perform private.raise_alarm(p_org, 'calendar_overlap', v_new, v_now, v_now);
  end if;
  return jsonb_strip_nulls(jsonb_build_object(
    'outcome', 'replaced', 'orgId', p_org, 'added', v_rows.added, 'removed', v_rows.removed,
    'overlaps', v_new, 'alarm', case when v_new > 0 then 'calendar_overlap' end));
exception when lock_not_available or deadlock_detected then
  return '{"outcome": "busy"}';
end
$$;

COMMENT ON FUNCTION public.replace_busy_times(p_org uuid, p_calendar uuid, p_fetch uuid, p_etag text, p_spans jsonb) IS 'Replaces the absences that come from a doctor''s own calendar, in one transaction.';

CREATE FUNCTION public.report_unreadable_credentials(p_call jsonb, p_provider text) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    SET statement_timeout TO '2300ms'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
declare
  v_opened record;
begin
  v_opened := private.open_call(p_call, 'send_otp');
  if v_opened.refusal is not null then
    return v_opened.refusal;
  end if;
  perform private.audit((v_opened.org).id, p_call, 'read_credentials', null, 'unreadable',
    jsonb_build_object('provider', p_provider));
  return private.answer(v_opened.org, '{"outcome": "reported"}');
end
$$;

COMMENT ON FUNCTION public.report_unreadable_credentials(p_call jsonb, p_provider text) IS 'Audits that an organization''s stored account does not decrypt.';

CREATE FUNCTION public.request_busy_times() RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    AS $$
begin
  return exists (select from public.busy_calendars as c where c.due_at <= clock_timestamp())
    and private.ask_function('busy-times');
end
$$;

COMMENT ON FUNCTION public.request_busy_times() IS 'Asks the function busy-times to read the doctors'' own calendars that are due; pg_cron calls it every minute.';

CREATE FUNCTION public.request_webhooks() RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    AS $$
declare
  v_now constant timestamptz := clock_timestamp();
begin
  return exists (
    select from public.webhook_endpoints as e
    join public.webhook_messages as m on m.org_id = e.org_id and m.endpoint_id = e.id
      and m.state in ('waiting', 'sending') and m.due_at <= v_now
    where e.disabled_at is null and e.due_at <= v_now
      and not exists (select from private.arriving_clinics as r where r.org_id = e.org_id))
    and private.ask_function('webhooks');
end
$$;

COMMENT ON FUNCTION public.request_webhooks() IS 'Asks the function webhooks to send what is due; pg_cron calls it every minute.';

CREATE FUNCTION public.reschedule_appointment(p_call jsonb, p_patient_name text, p_patient_phone text, p_slot_id text, p_patient_country text DEFAULT NULL::text, p_appointment text DEFAULT NULL::text, p_date jsonb DEFAULT NULL::jsonb, p_time jsonb DEFAULT NULL::jsonb, p_provider text DEFAULT NULL::text) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    SET lock_timeout TO '300ms'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    SET statement_timeout TO '2300ms'
    AS $$
declare
  v_opened record;
  v_read record;
begin
  perform private.require_read_committed();
  v_opened := private.open_call(p_call, 'reschedule_appointment');
  if v_opened.refusal is not null then
    return v_opened.refusal;
  elsif p_call ->> 'callId' is null then
    return private.answer(v_opened.org, '{"outcome": "call_needed"}');
  elsif exists (
    select from public.org_channels as c
    where c.org_id = (v_opened.org).id and c.kind = 'called_number' and c.value = p_patient_phone) then
    return private.answer(v_opened.org, '{"outcome": "unusable_phone"}');
  end if;
  select * into v_read from private.read_said(
    v_opened.org, p_call, p_patient_name, p_appointment, p_date, p_time, p_provider);
  return coalesce(v_read.refusal, private.answer(v_opened.org, private.change_appointment(
    v_opened.org, p_call, 'reschedule', jsonb_build_object(
      'name', p_patient_name, 'phone', p_patient_phone, 'country', p_patient_country),
    v_read.said, coalesce(p_slot_id, ''))));
exception
  when lock_not_available or deadlock_detected then
    return '{"outcome": "busy"}';
  when foreign_key_violation then
    return private.refuse_gone(p_call, 'reschedule_appointment');
end
$$;

COMMENT ON FUNCTION public.reschedule_appointment(p_call jsonb, p_patient_name text, p_patient_phone text, p_slot_id text, p_patient_country text, p_appointment text, p_date jsonb, p_time jsonb, p_provider text) IS 'Tool reschedule_appointment: holds a new time; the appointment moves there when the number is proven.';

CREATE FUNCTION public.resend_webhooks(p_org uuid, p_message uuid DEFAULT NULL::uuid) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    SET lock_timeout TO '5s'
    AS $$
declare
  v_enabled uuid[];
  v_disabled uuid[];
  v_count integer;
begin
  if not exists (select from public.organizations as o where o.id = p_org) then
    return '{"outcome": "unknown_clinic"}';
  end if;
  -- As whoever stores a result: first the endpoints, then their messages.
  select coalesce(array_agg(f.id) filter (where f.disabled_at is null), '{}'),
    array_agg(f.id) filter (where f.disabled_at is not null)
  into v_enabled, v_disabled
  from (
    select e.id, e.disabled_at from public.webhook_endpoints as e
    where e.org_id = p_org and exists (
      select from public.webhook_messages as m
      where m.org_id = p_org and m.endpoint_id = e.id and m.state = 'failed'
        and m.id = coalesce(p_message, m.id))
    order by e.id for no key update
  ) as f;
  update public.webhook_messages as m
  set state = 'waiting', attempts = 0, due_at = clock_timestamp(), updated_at = clock_timestamp()
  where m.org_id = p_org and m.endpoint_id = any (v_enabled) and m.state = 'failed'
    and m.id = coalesce(p_message, m.id);
  get diagnostics v_count = row_count;
  if v_count = 0 then
    return jsonb_strip_nulls(jsonb_build_object('orgId', p_org, 'disabled', v_disabled,
      'outcome', case when v_disabled is null then 'nothing_failed' else 'disabled' end));
  end if;
  update public.webhook_endpoints as e set due_at = '-infinity'
  where e.org_id = p_org and e.id = any (v_enabled);
  perform private.audit(p_org, null, 'resend_webhooks', p_message, 'resent',
    jsonb_build_object('messages', v_count));
  return jsonb_strip_nulls(jsonb_build_object(
    'outcome', 'resent', 'orgId', p_org, 'messages', v_count, 'disabled', v_disabled));
exception when lock_not_available or deadlock_detected then
  return '{"outcome": "busy"}';
end
$$;

COMMENT ON FUNCTION public.resend_webhooks(p_org uuid, p_message uuid) IS 'Sends messages again that were given up; audited.';

CREATE FUNCTION public.revoke_calendar_feed(p_org uuid, p_feed uuid) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    SET lock_timeout TO '5s'
    AS $$
declare
  v_answer jsonb;
begin
  perform from public.organizations as o where o.id = p_org for no key update;
  if not found then
    return '{"outcome": "unknown_clinic"}';
  end if;
  v_answer := private.revoke_feed(p_org, p_feed);
  perform private.audit(p_org, null, 'revoke_calendar_feed', p_feed, v_answer ->> 'outcome');
  return v_answer || jsonb_build_object('orgId', p_org);
exception when lock_not_available or deadlock_detected then
  return '{"outcome": "busy"}';
end
$$;

COMMENT ON FUNCTION public.revoke_calendar_feed(p_org uuid, p_feed uuid) IS 'Revokes a calendar feed of a clinic; audited.';

CREATE FUNCTION public.seal_audit(p_rows integer DEFAULT 10000) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    SET lock_timeout TO '1s'
    SET jit TO 'off'
    AS $$
declare
  v_sealing private.audit_sealing;
  v_is_restored boolean;
  v_looks_up boolean;
  v_from xid8;
  v_limit xid8;
  v_last xid8;
  v_batch record;
  v_count integer := 0;
begin
  if p_rows is null or p_rows < 1 then
    raise exception 'Cannot seal % rows: the batch must be at least 1', p_rows
      using errcode = '22023';
  end if;
  select s.* into v_sealing from private.audit_sealing as s for update skip locked;
  if not found then
    return 0;
  end if;
  -- All transactions before this one have ended, including those that are sealed.
  v_limit := pg_snapshot_xmin(pg_current_snapshot());
  v_is_restored := not private.is_sealed_here(v_sealing);
  v_from := case when v_is_restored then '0' else v_sealing.through end;
  if v_is_restored then
    v_last := (v_limit::text::bigint - 1)::text::xid8;
  else
    select l.transaction_id into v_last from public.audit_logs as l
    where l.transaction_id > v_from and l.transaction_id < v_limit
    order by l.transaction_id offset p_rows - 1 limit 1;
    if v_last is null then
      select l.transaction_id into v_last from public.audit_logs as l
      where l.transaction_id > v_from and l.transaction_id < v_limit
      order by l.transaction_id desc limit 1;
    end if;
  end if;
  v_looks_up := v_is_restored or exists (
    select from public.audit_logs as l
    where l.transaction_id > v_from and l.transaction_id <= v_last
      and l.at <= v_sealing.restored_until);
  for v_batch in
    with sealed as materialized (
      select s.org_id, r.id
      from private.audit_seals as s cross join lateral unnest(s.ids) as r (id)
      where v_looks_up and s.through > v_from
    )
    select l.org_id, array_agg(l.id order by l.at, l.id) as ids,
      array_agg(l.at order by l.at, l.id) as times,
      array_agg(private.digest_row(l) order by l.at, l.id) as digests,
      (array_agg(l.transaction_id order by l.transaction_id desc))[1] as newest
    from public.audit_logs as l
    where l.transaction_id > v_from and (v_is_restored or l.transaction_id <= v_last)
      and not exists (select from sealed as s where s.org_id = l.org_id and s.id = l.id)
    group by l.org_id
  loop
    perform private.add_seal(v_batch.org_id, greatest(v_last, v_batch.newest),
      v_batch.ids, v_batch.times, v_batch.digests);
    v_count := v_count + cardinality(v_batch.ids);
  end loop;
  update private.audit_sealing as s
  set through = coalesce(v_last, s.through), cluster = private.cluster_id(),
    restored_until = case when v_is_restored then greatest(
      s.restored_until, (select max(l.at) from public.audit_logs as l)) else s.restored_until end;
  return v_count;
end
$$;

COMMENT ON FUNCTION public.seal_audit(p_rows integer) IS 'Seals the audit rows of transactions that have ended; pg_cron calls it every minute.';

CREATE FUNCTION public.send_appointment_texts() RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    SET lock_timeout TO '1s'
    AS $$
declare
  v_now constant timestamptz := clock_timestamp();
  v_due record;
  v_text public.appointment_texts;
begin
  for v_due in
    select o as org, d.day
    from public.organizations as o
    left join private.reminded_days as r on r.org_id = o.id
    cross join lateral (
      -- What was missed comes first: the time to remind of the next day may be early in the morning.
      select coalesce(private.missed_day(o, r.day, v_now), private.reminder_day(o, v_now)) as day
    ) as d
    where o.reminder_min is not null and d.day > coalesce(r.day, '-infinity')
      and not exists (select from private.arriving_clinics as i where i.org_id = o.id)
    -- A clinic that is being moved does not stop the texts of the others.
    for key share of o skip locked
  loop
    perform private.queue_reminders(v_due.org, v_due.day, v_now);
  end loop;
  for v_text in
    select t.* from public.appointment_texts as t
    join public.organizations as o on o.id = t.org_id
    join public.appointments as a on a.org_id = t.org_id and a.id = t.appointment_id
    where t.state = 'sending' and t.due_at <= v_now
    order by t.due_at limit 100
    for no key update of t skip locked for key share of o, a skip locked
  loop
    perform private.fail_text(v_text.org_id, v_text.send_id, 'no_answer', true);
    perform private.settle_text(
      v_text.org_id, v_text, 'unknown', 'no_answer', v_now);
  end loop;
  return exists (
    select from public.appointment_texts as t
    where t.state = 'waiting' and t.due_at <= clock_timestamp()
      and not exists (select from private.arriving_clinics as r where r.org_id = t.org_id))
    and private.ask_function('appointment-texts');
end
$$;

COMMENT ON FUNCTION public.send_appointment_texts() IS 'Asks the function appointment-texts to send what is due; pg_cron calls it every minute.';

CREATE FUNCTION public.set_busy_calendar(p_org uuid, p_provider text, p_address text) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    SET lock_timeout TO '5s'
    AS $$
declare
  v_provider uuid;
  v_answer jsonb;
begin
  perform from public.organizations as o where o.id = p_org for no key update;
  if not found then
    return '{"outcome": "unknown_clinic"}';
  end if;
  select p.id into v_provider from public.providers as p
  where p.org_id = p_org and p.slug = p_provider;
  v_answer := private.set_busy(p_org, v_provider, p_address);
  perform private.audit(p_org, null, 'set_busy_calendar', v_provider, v_answer ->> 'outcome',
    jsonb_strip_nulls(jsonb_build_object('host', private.host_of(p_address))));
  return v_answer || jsonb_build_object('orgId', p_org);
exception when lock_not_available or deadlock_detected then
  return '{"outcome": "busy"}';
end
$$;

COMMENT ON FUNCTION public.set_busy_calendar(p_org uuid, p_provider text, p_address text) IS 'Sets or removes the address of a doctor''s own calendar; audited without it.';

CREATE FUNCTION public.set_functions_target(p_url text, p_secret text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    SET lock_timeout TO '5s'
    AS $_$
declare
  v_id uuid;
begin
  if coalesce(length(p_secret), 0) < 16 then
    raise exception 'Cannot set the functions'' secret: it must have at least 16 characters'
      using errcode = '22023';
  end if;
  if private.has_vault() then
    select v.id into v_id from private.find_in_vault() as v;
    if v_id is null then
      execute format('select %I.create_secret($1, $2)', 'vault') using p_secret, 'functions_secret';
    else
      execute format('select %I.update_secret($1, $2)', 'vault') using v_id, p_secret;
    end if;
    p_secret := null;
  end if;
  insert into private.functions_target as t (url, secret) values (p_url, p_secret)
  on conflict (only_row) do update set url = excluded.url, secret = excluded.secret;
end
$_$;

COMMENT ON FUNCTION public.set_functions_target(p_url text, p_secret text) IS 'Tells the database where the functions are, and the secret that they expect of it.';

CREATE FUNCTION public.set_limits(p_org uuid, p_limits jsonb) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    SET lock_timeout TO '5s'
    AS $$
declare
  v_names constant text[] := array[
    'call_holds', 'call_sends', 'call_numbers', 'call_attempts', 'call_change_requests',
    'unknown_call_holds', 'unknown_caller_holds', 'caller_holds', 'caller_hourly_holds',
    'caller_hourly_sends', 'phone_holds', 'phone_hourly_sends', 'phone_daily_sends',
    'phone_daily_attempts', 'own_phone_hourly_sends', 'own_phone_daily_sends',
    'own_phone_daily_attempts', 'desk_holds'];
  v_unknown constant text[] := array(
    select k from jsonb_object_keys(p_limits) as k where k <> all (v_names) order by k);
  v_org public.organizations;
  v_before jsonb;
  v_changed jsonb;
begin
  select o.* into v_org from public.organizations as o where o.id = p_org for no key update;
  if v_org.id is null then
    return '{"outcome": "unknown_clinic"}';
  elsif v_unknown <> '{}' then
    return jsonb_build_object(
      'outcome', 'unknown_limit', 'orgId', p_org, 'names', to_jsonb(v_unknown));
  end if;
  v_before := to_jsonb(v_org);
  v_org := jsonb_populate_record(v_org, p_limits);
  select jsonb_object_agg(n, jsonb_build_array(v_before -> n, to_jsonb(v_org) -> n)) into v_changed
  from unnest(v_names) as n where v_before -> n <> to_jsonb(v_org) -> n;
  if v_changed is null then
    return jsonb_build_object('outcome', 'unchanged', 'orgId', p_org);
  end if;
  update public.organizations as o
  set call_holds = v_org.call_holds, call_sends = v_org.call_sends,
    call_numbers = v_org.call_numbers, call_attempts = v_org.call_attempts,
    call_change_requests = v_org.call_change_requests,
    unknown_call_holds = v_org.unknown_call_holds,
    unknown_caller_holds = v_org.unknown_caller_holds, caller_holds = v_org.caller_holds,
    caller_hourly_holds = v_org.caller_hourly_holds,
    caller_hourly_sends = v_org.caller_hourly_sends, phone_holds = v_org.phone_holds,
    phone_hourly_sends = v_org.phone_hourly_sends, phone_daily_sends = v_org.phone_daily_sends,
    phone_daily_attempts = v_org.phone_daily_attempts,
    own_phone_hourly_sends = v_org.own_phone_hourly_sends,
    own_phone_daily_sends = v_org.own_phone_daily_sends,
    own_phone_daily_attempts = v_org.own_phone_daily_attempts,
    desk_holds = v_org.desk_holds
  where o.id = p_org;
  perform private.audit(p_org, null, 'set_limits', null, 'changed',
    jsonb_build_object('values', v_changed));
  return jsonb_build_object('outcome', 'changed', 'orgId', p_org, 'limits', v_changed);
exception when lock_not_available or deadlock_detected then
  return '{"outcome": "busy"}';
end
$$;

COMMENT ON FUNCTION public.set_limits(p_org uuid, p_limits jsonb) IS 'Changes limits of an organization; audited.';

CREATE FUNCTION public.set_member(p_org uuid, p_user uuid, p_role text) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    SET lock_timeout TO '5s'
    AS $$
declare
  v_before text;
  v_outcome text;
begin
  -- Locks the clinic, so that of two changes of a membership the second sees the first.
  perform from public.organizations as o where o.id = p_org for no key update;
  if not found then
    return '{"outcome": "unknown_clinic"}';
  elsif not exists (select from auth.users as u where u.id = p_user) then
    return jsonb_build_object('outcome', 'unknown_account', 'orgId', p_org);
  end if;
  select m.role into v_before from public.org_members as m
  where m.org_id = p_org and m.user_id = p_user;
  v_outcome := case when v_before is not distinct from p_role then 'unchanged'
    when v_before is null then 'added' when p_role is null then 'removed' else 'changed' end;
  if p_role is null then
    delete from public.org_members as m where m.org_id = p_org and m.user_id = p_user;
  else
    insert into public.org_members as m (org_id, user_id, role) values (p_org, p_user, p_role)
    on conflict (org_id, user_id) do update set role = excluded.role;
  end if;
  if v_outcome <> 'unchanged' then
    perform private.audit(p_org, null, 'set_member', p_user, v_outcome,
      jsonb_build_object('role', jsonb_build_array(v_before, p_role)));
  end if;
  return jsonb_build_object('outcome', v_outcome, 'orgId', p_org);
exception when lock_not_available or deadlock_detected then
  return '{"outcome": "busy"}';
end
$$;

COMMENT ON FUNCTION public.set_member(p_org uuid, p_user uuid, p_role text) IS 'Makes an account a member of a clinic with a role, or ends its membership; audited.';

CREATE FUNCTION public.set_org_credentials(p_org uuid, p_provider text, p_key_id text, p_nonce text, p_ciphertext text, p_replaces text DEFAULT NULL::text, p_sender text DEFAULT NULL::text) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    SET lock_timeout TO '5s'
    AS $$
begin
  if p_replaces is null then
    insert into public.org_credentials (org_id, provider, key_id, nonce, ciphertext, sender)
    values (p_org, p_provider, p_key_id, decode(p_nonce, 'base64'), decode(p_ciphertext, 'base64'),
      p_sender)
    on conflict (org_id, provider) do update
    set key_id = excluded.key_id, nonce = excluded.nonce, ciphertext = excluded.ciphertext,
      sender = excluded.sender, updated_at = clock_timestamp();
  else
    update public.org_credentials as c
    set key_id = p_key_id, nonce = decode(p_nonce, 'base64'),
      ciphertext = decode(p_ciphertext, 'base64'), sender = coalesce(p_sender, c.sender),
      updated_at = clock_timestamp()
    where c.org_id = p_org and c.provider = p_provider and c.nonce = decode(p_replaces, 'base64');
  end if;
  if not found then
    return false;
  end if;
  perform private.audit(p_org, null, 'set_credentials', null,
    case when p_replaces is null then 'stored' else 'encrypted_again' end,
    jsonb_build_object('provider', p_provider, 'keyId', p_key_id));
  return true;
end
$$;

COMMENT ON FUNCTION public.set_org_credentials(p_org uuid, p_provider text, p_key_id text, p_nonce text, p_ciphertext text, p_replaces text, p_sender text) IS 'Stores an organization''s encrypted account, or replaces the one it was made from; audited.';

CREATE FUNCTION public.settle_appointment_text(p_org uuid, p_send uuid, p_sid text, p_reason text, p_may_have_been_sent boolean) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    SET lock_timeout TO '1500ms'
    SET statement_timeout TO '2300ms'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
declare
  v_text public.appointment_texts;
  v_delay interval;
  v_outcome text;
begin
  -- Whoever deletes takes these locks first, in this order.
  perform from public.organizations as o where o.id = p_org for key share;
  perform from public.appointments as a
  where a.org_id = p_org and a.id = (
    select t.appointment_id from public.appointment_texts as t
    where t.org_id = p_org and t.send_id = p_send)
  for key share;
  select t.* into v_text from public.appointment_texts as t
  where t.org_id = p_org and t.send_id = p_send and t.state in ('sending', 'unknown')
  for no key update;
  if v_text.id is null then
    return '{"outcome": "known"}';
  end if;
  v_delay := case when p_reason in (
      'rate_limited', 'unreachable', 'timeout', 'provider_error', 'unauthorized', 'misconfigured',
      'sms_not_configured', 'credentials_unreadable', 'database')
    then private.retry_delay(v_text.attempts) end;
  v_outcome := case when p_sid is not null then 'sent'
    when p_may_have_been_sent then 'unknown'
    when v_delay is not null then 'waiting' else 'failed' end;
  if p_sid is not null then
    perform private.accept_text(p_org, p_send, p_sid);
  else
    perform private.fail_text(p_org, p_send, p_reason, p_may_have_been_sent);
  end if;
  perform private.settle_text(p_org, v_text, v_outcome, p_reason,
    clock_timestamp() + coalesce(v_delay, interval '0'));
  return jsonb_build_object('outcome', v_outcome);
exception when lock_not_available or deadlock_detected then
  return '{"outcome": "busy"}';
end
$$;

COMMENT ON FUNCTION public.settle_appointment_text(p_org uuid, p_send uuid, p_sid text, p_reason text, p_may_have_been_sent boolean) IS 'Stores what became of a text about an appointment.';

CREATE FUNCTION public.settle_follow_up(p_call jsonb, p_send uuid, p_sid text, p_reason text, p_may_have_been_sent boolean) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    SET lock_timeout TO '1500ms'
    SET statement_timeout TO '2300ms'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
declare
  v_opened record;
  v_outcome constant text := case when p_sid is null then 'failed' else 'sent' end;
begin
  v_opened := private.open_call(p_call, 'follow_up');
  if v_opened.refusal is not null then
    return v_opened.refusal;
  end if;
  perform private.lock_call((v_opened.org).id, p_call ->> 'callId');
  if p_sid is null then
    perform private.fail_text((v_opened.org).id, p_send, p_reason, p_may_have_been_sent);
  else
    perform private.accept_text((v_opened.org).id, p_send, p_sid);
  end if;
  update public.call_reports as r set follow_up = v_outcome
  where r.org_id = (v_opened.org).id and r.call_id = p_call ->> 'callId' and r.follow_up = 'claimed';
  perform private.audit((v_opened.org).id, p_call, 'follow_up', null, v_outcome,
    jsonb_strip_nulls(jsonb_build_object('sendId', p_send, 'reason', p_reason)));
  return jsonb_build_object('outcome', v_outcome, 'orgId', (v_opened.org).id);
exception when lock_not_available or deadlock_detected then
  return '{"outcome": "busy"}';
end
$$;

COMMENT ON FUNCTION public.settle_follow_up(p_call jsonb, p_send uuid, p_sid text, p_reason text, p_may_have_been_sent boolean) IS 'Stores the result of a follow-up text.';

CREATE FUNCTION public.settle_webhook(p_org uuid, p_message uuid, p_claim uuid, p_reason text, p_is_gone boolean) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    SET lock_timeout TO '1500ms'
    SET statement_timeout TO '2300ms'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
declare
  v_now timestamptz;
  v_endpoint public.webhook_endpoints;
  v_message public.webhook_messages;
  v_delay interval;
  v_outcome text;
  v_alarm text;
begin
  perform private.require_read_committed();
  -- As whoever removes an endpoint: first it, then its messages.
  select e.* into v_endpoint from public.webhook_endpoints as e
  where e.org_id = p_org and e.id = (
    select m.endpoint_id from public.webhook_messages as m
    where m.org_id = p_org and m.id = p_message)
  for no key update;
  select m.* into v_message from public.webhook_messages as m
  where m.org_id = p_org and m.id = p_message and m.claim_id = p_claim and m.state = 'sending'
  for no key update;
  if v_endpoint.id is null or v_message.id is null then
    return '{"outcome": "known"}';
  end if;
  v_now := clock_timestamp();
  v_delay := private.webhook_delay(v_message.attempts);
  v_outcome := case when p_reason is null then 'delivered'
    when p_is_gone or v_delay is null then 'failed' else 'waiting' end;
  update public.webhook_messages as m
  set state = v_outcome, reason = p_reason, updated_at = v_now,
    due_at = v_now + coalesce(v_delay, interval '0')
  where m.org_id = p_org and m.id = p_message;
  if p_reason is null then
    update public.webhook_endpoints as e
    set failures = 0, failed_at = null, failure = null, due_at = '-infinity'
    where e.org_id = p_org and e.id = v_endpoint.id and e.failures > 0;
  else
    -- Nothing has changed the message since it was claimed.
    v_alarm := private.note_failure(p_org, v_endpoint, p_reason, p_is_gone, v_outcome = 'failed',
      v_message.updated_at, v_now);
  end if;
  perform private.tally('webhooks', jsonb_build_object('result', v_outcome));
  return jsonb_strip_nulls(
    jsonb_build_object('outcome', v_outcome, 'orgId', p_org, 'alarm', v_alarm));
exception when lock_not_available or deadlock_detected then
  return '{"outcome": "busy"}';
end
$$;

COMMENT ON FUNCTION public.settle_webhook(p_org uuid, p_message uuid, p_claim uuid, p_reason text, p_is_gone boolean) IS 'Stores what became of a message to an endpoint.';

CREATE FUNCTION public.staff_add_calendar_feed(p_org uuid, p_request uuid, p_provider uuid, p_label text, p_token_hash text) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    SET lock_timeout TO '1500ms'
    SET statement_timeout TO '2300ms'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
declare
  v_desk record;
  v_answer jsonb;
begin
  v_desk := private.enter_desk(p_org, p_request, 'staff_add_calendar_feed', 'manager',
    jsonb_build_array(p_provider, p_label, p_token_hash));
  if v_desk.answer is not null then
    return v_desk.answer;
  end if;
  v_answer := private.add_feed(p_org, gen_random_uuid(), p_provider, p_label, p_token_hash);
  return private.leave_desk(
    p_org, v_desk.request, (v_answer ->> 'feedId')::uuid, v_answer);
exception when lock_not_available or deadlock_detected then
  return '{"outcome": "busy"}';
end
$$;

COMMENT ON FUNCTION public.staff_add_calendar_feed(p_org uuid, p_request uuid, p_provider uuid, p_label text, p_token_hash text) IS 'Gives out the calendar of a provider or of the clinic, by the hash of its token; audited.';

CREATE FUNCTION public.staff_add_time_off(p_org uuid, p_request uuid, p_provider uuid, p_from timestamp with time zone, p_to timestamp with time zone) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    SET lock_timeout TO '1500ms'
    SET jit TO 'off'
    SET statement_timeout TO '2300ms'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
begin
  -- The request's id becomes the row's: a repeated request is the same request to the letter.
  return private.change_schedule(p_org, p_request, 'staff_add_time_off', p_provider, 'timeOff',
    jsonb_build_object('id', p_request, 'from', p_from, 'to', p_to));
exception when lock_not_available or deadlock_detected then
  return '{"outcome": "busy"}';
end
$$;

COMMENT ON FUNCTION public.staff_add_time_off(p_org uuid, p_request uuid, p_provider uuid, p_from timestamp with time zone, p_to timestamp with time zone) IS 'Adds an absence of a provider; audited.';

CREATE FUNCTION public.staff_block_number(p_org uuid, p_request uuid, p_phone text, p_is_blocked boolean) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    SET lock_timeout TO '1500ms'
    SET statement_timeout TO '2300ms'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $_$
declare
  v_hash constant bytea := private.hash_phone(p_phone);
  v_desk record;
  v_outcome text := 'unchanged';
begin
  v_desk := private.enter_desk(p_org, p_request, 'staff_block_number', 'desk',
    jsonb_build_array(encode(v_hash, 'hex'), p_is_blocked));
  if v_desk.answer is not null then
    return v_desk.answer;
  end if;
  if coalesce(p_phone, '') !~ '^\+[1-9][0-9]{6,14}$' then
    v_outcome := 'invalid_phone';
  elsif p_is_blocked is false then
    delete from public.blocked_numbers as b where b.org_id = p_org and b.phone_hash = v_hash;
    v_outcome := case when found then 'unblocked' else 'unchanged' end;
  else
    insert into public.blocked_numbers (org_id, phone_hash, phone_masked, blocked_by)
    values (p_org, v_hash, private.mask_phone(p_phone), auth.uid())
    on conflict do nothing;
    v_outcome := case when found then 'blocked' else 'unchanged' end;
  end if;
  return private.leave_desk(p_org, v_desk.request, null, jsonb_build_object('outcome', v_outcome),
    jsonb_build_object('number', private.mask_phone(p_phone)));
exception when lock_not_available or deadlock_detected then
  return '{"outcome": "busy"}';
end
$_$;

COMMENT ON FUNCTION public.staff_block_number(p_org uuid, p_request uuid, p_phone text, p_is_blocked boolean) IS 'Blocks a number from holds, texts and messages at a clinic, or unblocks it; audited.';

CREATE FUNCTION public.staff_book(p_org uuid, p_request uuid, p_slot_id text, p_patient_name text, p_patient_phone text DEFAULT NULL::text, p_patient_country text DEFAULT NULL::text, p_texts boolean DEFAULT false) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    SET lock_timeout TO '1500ms'
    SET jit TO 'off'
    SET statement_timeout TO '2300ms'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
declare
  v_patient constant jsonb := jsonb_build_object('name', btrim(p_patient_name),
    'phone', p_patient_phone, 'country', p_patient_country);
  v_desk record;
  v_answer jsonb;
begin
  v_desk := private.enter_desk(
    p_org, p_request, 'staff_book', 'desk', jsonb_build_array(p_slot_id, v_patient, p_texts));
  if v_desk.answer is not null then
    return v_desk.answer;
  end if;
  v_answer := private.book_at_desk(v_desk.org, v_desk.request, p_slot_id, v_patient, p_texts);
  return private.leave_desk(
    p_org, v_desk.request, private.read_id(v_answer ->> 'appointmentId'), v_answer);
exception when lock_not_available or deadlock_detected then
  return '{"outcome": "busy"}';
end
$$;

COMMENT ON FUNCTION public.staff_book(p_org uuid, p_request uuid, p_slot_id text, p_patient_name text, p_patient_phone text, p_patient_country text, p_texts boolean) IS 'Books for a patient at the desk, who may have no phone; audited.';

CREATE FUNCTION public.staff_cancel(p_org uuid, p_request uuid, p_appointment uuid) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    SET lock_timeout TO '1500ms'
    SET statement_timeout TO '2300ms'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
declare
  v_desk record;
  v_row public.appointments;
begin
  v_desk := private.enter_desk(
    p_org, p_request, 'staff_cancel', 'desk', jsonb_build_array(p_appointment));
  if v_desk.answer is not null then
    return v_desk.answer;
  end if;
  v_row := private.lock_booking(p_org, p_appointment);
  return private.leave_desk(p_org, v_desk.request, v_row.id, coalesce(
    private.status_refusal(v_row, array['held', 'confirmed']),
    private.cancel_at_desk(p_org, v_row)));
exception when lock_not_available or deadlock_detected then
  return '{"outcome": "busy"}';
end
$$;

COMMENT ON FUNCTION public.staff_cancel(p_org uuid, p_request uuid, p_appointment uuid) IS 'Cancels an appointment at the desk; audited.';

CREATE FUNCTION public.staff_change_member(p_org uuid, p_request uuid, p_user uuid, p_role text) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    SET lock_timeout TO '1500ms'
    SET statement_timeout TO '2300ms'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
declare
  v_desk record;
  v_before text;
  v_outcome text;
begin
  v_desk := private.enter_desk(p_org, p_request, 'staff_change_member', 'owner',
    jsonb_build_array(p_user, p_role));
  if v_desk.answer is not null then
    return v_desk.answer;
  end if;
  v_before := private.find_role(p_org, p_user);
  v_outcome := case
    when p_role <> all (private.roles_from('viewer')) then 'unknown_role'
    when v_before is null then 'unknown_member'
    when v_before = p_role then 'unchanged'
    when v_before = 'owner' and not exists (
      select from public.org_members as m
      where m.org_id = p_org and m.role = 'owner' and m.user_id <> p_user) then 'last_owner'
    when p_role is null then 'removed' else 'changed' end;
  if v_outcome = 'removed' then
    delete from public.org_members as m where m.org_id = p_org and m.user_id = p_user;
  elsif v_outcome = 'changed' then
    update public.org_members as m set role = p_role
    where m.org_id = p_org and m.user_id = p_user;
  end if;
  return private.leave_desk(p_org, v_desk.request, p_user, jsonb_build_object('outcome', v_outcome),
    jsonb_build_object('role', jsonb_build_array(v_before,
      case when p_role = any (private.roles_from('viewer')) then p_role end)));
exception when lock_not_available or deadlock_detected then
  return '{"outcome": "busy"}';
end
$$;

COMMENT ON FUNCTION public.staff_change_member(p_org uuid, p_request uuid, p_user uuid, p_role text) IS 'Changes the role of a member of a clinic or ends the membership, for its owners; audited.';

CREATE FUNCTION public.staff_clear_lock(p_org uuid, p_request uuid, p_phone text) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    SET lock_timeout TO '1500ms'
    SET statement_timeout TO '2300ms'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $_$
declare
  v_hash constant bytea := private.hash_phone(p_phone);
  v_desk record;
  v_counts public.phone_counts;
  v_has_counts boolean;
  v_now timestamptz;
  v_outcome text;
begin
  v_desk := private.enter_desk(
    p_org, p_request, 'staff_clear_lock', 'desk', jsonb_build_array(encode(v_hash, 'hex')));
  if v_desk.answer is not null then
    return v_desk.answer;
  end if;
  perform private.lock_phones(array[v_hash]);
  v_now := clock_timestamp();
  select c.* into v_counts from public.phone_counts as c where c.phone_hash = v_hash;
  v_has_counts :=
    coalesce(cardinality(v_counts.sent_at || v_counts.wrong_at || v_counts.asked_at), 0) > 0;
  v_outcome := case
    when coalesce(p_phone, '') !~ '^\+[1-9][0-9]{6,14}$' then 'invalid_phone'
    when not private.is_known_number(p_org, p_phone) then 'unknown_number'
    -- What was counted may have been counted at other clinics: whether anything was is not told.
    when v_has_counts and private.count_since(v_counts.cleared_at, v_now - interval '1 day') >= 2
      then 'clear_limit'
    else 'cleared' end;
  if v_outcome = 'cleared' and v_has_counts then
    update public.phone_counts as c
    set sent_at = '{}', wrong_at = '{}', asked_at = '{}', changed_at = v_now,
      cleared_at = private.keep_since(c.cleared_at, v_now - interval '1 day') || v_now
    where c.phone_hash = v_hash;
  end if;
  return private.leave_desk(
    p_org, v_desk.request, null, jsonb_build_object('outcome', v_outcome));
exception when lock_not_available or deadlock_detected then
  return '{"outcome": "busy"}';
end
$_$;

COMMENT ON FUNCTION public.staff_clear_lock(p_org uuid, p_request uuid, p_phone text) IS 'Forgets the texts and attempts counted for a patient''s number; audited without the number.';

CREATE FUNCTION public.staff_confirm(p_org uuid, p_request uuid, p_appointment uuid) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    SET lock_timeout TO '1500ms'
    SET jit TO 'off'
    SET statement_timeout TO '2300ms'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
declare
  v_desk record;
  v_row public.appointments;
begin
  v_desk := private.enter_desk(
    p_org, p_request, 'staff_confirm', 'desk', jsonb_build_array(p_appointment));
  if v_desk.answer is not null then
    return v_desk.answer;
  end if;
  v_row := private.lock_booking(p_org, p_appointment);
  return private.leave_desk(p_org, v_desk.request, v_row.id, coalesce(
    private.status_refusal(v_row, array['held', 'expired']),
    case when private.is_new_time(p_org, v_row) then '{"outcome": "new_time"}'::jsonb end,
    private.confirm_at_desk(v_desk.org, v_row)));
exception when lock_not_available or deadlock_detected then
  return '{"outcome": "busy"}';
end
$$;

COMMENT ON FUNCTION public.staff_confirm(p_org uuid, p_request uuid, p_appointment uuid) IS 'Confirms a hold at the desk, without a passcode; audited.';

CREATE FUNCTION public.staff_find_times(p_org uuid, p_service text, p_first date, p_days integer DEFAULT 1, p_provider text DEFAULT NULL::text) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    SET jit TO 'off'
    SET statement_timeout TO '2300ms'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
declare
  v_now constant timestamptz := clock_timestamp();
  v_refusal constant jsonb :=
    private.role_refusal(private.find_role(p_org, auth.uid()), 'viewer');
  v_days constant integer := least(greatest(coalesce(p_days, 1), 1), 14);
  v_org public.organizations;
  v_service public.services;
  v_provider public.providers;
  v_today date;
  v_first date;
begin
  if v_refusal is not null then
    return v_refusal;
  end if;
  select o.* into strict v_org from public.organizations as o where o.id = p_org;
  v_service := private.find_service(p_org, p_service);
  select p.* into v_provider from private.find_providers(p_org, p_provider) as p limit 1;
  if v_service.id is null then
    return '{"outcome": "unknown_service"}';
  elsif p_provider is not null and v_provider.id is null then
    return '{"outcome": "unknown_provider"}';
  end if;
  v_today := v_now at time zone v_org.timezone;
  -- Nothing is bookable later than a service's horizon; the end of the calendar has no next day.
  v_first := case when isfinite(p_first) then least(p_first, v_today + 10000) else v_today end;
  return jsonb_build_object('outcome', 'found', 'orgId', p_org, 'timezone', v_org.timezone)
    || private.offer(v_org, v_service, v_provider, greatest(v_first, v_today),
      v_first + v_days - 1, null, null, v_now, 10000);
end
$$;

COMMENT ON FUNCTION public.staff_find_times(p_org uuid, p_service text, p_first date, p_days integer, p_provider text) IS 'The bookable slots of a service, for staff.';

CREATE FUNCTION public.staff_handle(p_org uuid, p_request uuid, p_kind text, p_id uuid) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    SET lock_timeout TO '1500ms'
    SET statement_timeout TO '2300ms'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
declare
  v_desk record;
  v_answer jsonb;
  v_is_known boolean;
begin
  v_desk := private.enter_desk(
    p_org, p_request, 'staff_handle', 'desk', jsonb_build_array(p_kind, p_id));
  if v_desk.answer is not null then
    return v_desk.answer;
  end if;
  v_answer := private.handle_notice(p_org, p_kind, p_id);
  v_is_known := v_answer ->> 'outcome' in ('handled', 'unchanged');
  return private.leave_desk(p_org, v_desk.request, case when v_is_known then p_id end, v_answer,
    case when v_is_known then jsonb_build_object('kind', p_kind) else '{}' end);
exception when lock_not_available or deadlock_detected then
  return '{"outcome": "busy"}';
end
$$;

COMMENT ON FUNCTION public.staff_handle(p_org uuid, p_request uuid, p_kind text, p_id uuid) IS 'Notes that a message, a text that did not arrive or an alarm was dealt with; audited.';

CREATE FUNCTION public.staff_list_calendars(p_org uuid) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    SET statement_timeout TO '2300ms'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
declare
  v_refusal constant jsonb :=
    private.role_refusal(private.find_role(p_org, auth.uid()), 'manager');
begin
  return coalesce(v_refusal, jsonb_build_object(
    'outcome', 'found', 'orgId', p_org, 'feeds', private.list_feeds(p_org),
    'busy', private.list_busy(p_org)));
end
$$;

COMMENT ON FUNCTION public.staff_list_calendars(p_org uuid) IS 'The feeds of a clinic and its doctors'' own calendars, for its managers; without tokens and addresses.';

CREATE FUNCTION public.staff_list_members(p_org uuid) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    SET statement_timeout TO '2300ms'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
declare
  v_refusal constant jsonb :=
    private.role_refusal(private.find_role(p_org, auth.uid()), 'owner');
begin
  return coalesce(v_refusal, jsonb_build_object('outcome', 'found', 'orgId', p_org, 'members', (
    select jsonb_agg(jsonb_build_object('userId', m.user_id, 'email', u.email, 'role', m.role)
      order by u.email, m.user_id)
    from public.org_members as m join auth.users as u on u.id = m.user_id
    where m.org_id = p_org)));
end
$$;

COMMENT ON FUNCTION public.staff_list_members(p_org uuid) IS 'The members of a clinic, for its owners.';

CREATE FUNCTION public.staff_mark(p_org uuid, p_request uuid, p_appointment uuid, p_as text) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    SET lock_timeout TO '1500ms'
    SET statement_timeout TO '2300ms'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
declare
  v_desk record;
  v_row public.appointments;
begin
  v_desk := private.enter_desk(
    p_org, p_request, 'staff_mark', 'desk', jsonb_build_array(p_appointment, p_as));
  if v_desk.answer is not null then
    return v_desk.answer;
  end if;
  v_row := private.lock_booking(p_org, p_appointment);
  return private.leave_desk(p_org, v_desk.request, v_row.id, coalesce(
    case when coalesce(p_as, '') not in ('arrived', 'completed', 'no_show', 'expected')
      then '{"outcome": "unknown_mark"}'::jsonb end,
    private.status_refusal(v_row, case p_as
      when 'expected' then array['confirmed', 'completed', 'no_show'] else array['confirmed'] end),
    private.mark_at_desk(v_desk.org, v_row, p_as)),
    case when p_as in ('arrived', 'completed', 'no_show', 'expected')
      then jsonb_build_object('as', p_as) else '{}' end);
exception when lock_not_available or deadlock_detected then
  return '{"outcome": "busy"}';
end
$$;

COMMENT ON FUNCTION public.staff_mark(p_org uuid, p_request uuid, p_appointment uuid, p_as text) IS 'Marks an appointment as arrived, completed, missed, or expected again; audited.';

CREATE FUNCTION public.staff_move(p_org uuid, p_request uuid, p_appointment uuid, p_slot_id text) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    SET lock_timeout TO '1500ms'
    SET jit TO 'off'
    SET statement_timeout TO '2300ms'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
declare
  v_desk record;
  v_row public.appointments;
  v_answer jsonb;
begin
  v_desk := private.enter_desk(
    p_org, p_request, 'staff_move', 'desk', jsonb_build_array(p_appointment, p_slot_id));
  if v_desk.answer is not null then
    return v_desk.answer;
  end if;
  v_row := private.lock_booking(p_org, p_appointment);
  v_answer := coalesce(
    private.waiting_refusal(v_row, array['confirmed', 'requires_manual_followup']),
    private.move_at_desk(v_desk.org, v_desk.request, v_row, p_slot_id));
  return private.leave_desk(p_org, v_desk.request, v_row.id, v_answer,
    jsonb_strip_nulls(jsonb_build_object('newTime', v_answer -> 'appointmentId')));
exception when lock_not_available or deadlock_detected then
  return '{"outcome": "busy"}';
end
$$;

COMMENT ON FUNCTION public.staff_move(p_org uuid, p_request uuid, p_appointment uuid, p_slot_id text) IS 'Moves an appointment to another slot at the desk; audited.';

CREATE FUNCTION public.staff_remove_time_off(p_org uuid, p_request uuid, p_time_off uuid) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    SET lock_timeout TO '1500ms'
    SET statement_timeout TO '2300ms'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
declare
  v_desk record;
  v_removed public.time_off;
begin
  v_desk := private.enter_desk(
    p_org, p_request, 'staff_remove_time_off', 'manager', jsonb_build_array(p_time_off));
  if v_desk.answer is not null then
    return v_desk.answer;
  end if;
  delete from public.time_off as t
  where t.org_id = p_org and t.id = p_time_off and t.calendar_id is null
  returning t.* into v_removed;
  return private.leave_desk(p_org, v_desk.request, v_removed.provider_id, jsonb_build_object(
    'outcome', case when found then 'removed' when exists (
        select from public.time_off as t where t.org_id = p_org and t.id = p_time_off)
      then 'imported_time_off' else 'unknown_time_off' end),
    jsonb_strip_nulls(jsonb_build_object('timeOff', v_removed.span)));
exception when lock_not_available or deadlock_detected then
  return '{"outcome": "busy"}';
end
$$;

COMMENT ON FUNCTION public.staff_remove_time_off(p_org uuid, p_request uuid, p_time_off uuid) IS 'Removes an absence of a provider; audited.';

CREATE FUNCTION public.staff_resolve(p_org uuid, p_request uuid, p_appointment uuid, p_as text) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    SET lock_timeout TO '1500ms'
    SET jit TO 'off'
    SET statement_timeout TO '2300ms'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
declare
  v_desk record;
  v_row public.appointments;
  v_answer jsonb;
begin
  v_desk := private.enter_desk(
    p_org, p_request, 'staff_resolve', 'desk', jsonb_build_array(p_appointment, p_as));
  if v_desk.answer is not null then
    return v_desk.answer;
  end if;
  v_row := private.lock_booking(p_org, p_appointment);
  v_answer := private.waiting_refusal(v_row, array['requires_manual_followup']);
  if v_answer is null and p_as = 'cancelled' then
    v_answer := private.cancel_row(p_org, v_row);
  elsif v_answer is null then
    v_answer := case when p_as = 'confirmed' then private.confirm_at_desk(v_desk.org, v_row)
      else '{"outcome": "unknown_resolution"}' end;
  end if;
  return private.leave_desk(p_org, v_desk.request, v_row.id, v_answer);
exception when lock_not_available or deadlock_detected then
  return '{"outcome": "busy"}';
end
$$;

COMMENT ON FUNCTION public.staff_resolve(p_org uuid, p_request uuid, p_appointment uuid, p_as text) IS 'Confirms or cancels a hold that waits for the front desk; audited.';

CREATE FUNCTION public.staff_revoke_calendar_feed(p_org uuid, p_request uuid, p_feed uuid) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    SET lock_timeout TO '1500ms'
    SET statement_timeout TO '2300ms'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
declare
  v_desk record;
begin
  v_desk := private.enter_desk(
    p_org, p_request, 'staff_revoke_calendar_feed', 'manager', jsonb_build_array(p_feed));
  if v_desk.answer is not null then
    return v_desk.answer;
  end if;
  return private.leave_desk(p_org, v_desk.request, p_feed, private.revoke_feed(p_org, p_feed));
exception when lock_not_available or deadlock_detected then
  return '{"outcome": "busy"}';
end
$$;

COMMENT ON FUNCTION public.staff_revoke_calendar_feed(p_org uuid, p_request uuid, p_feed uuid) IS 'Revokes a calendar feed of a clinic; audited.';

CREATE FUNCTION public.staff_set_busy_calendar(p_org uuid, p_request uuid, p_provider uuid, p_address text) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    SET lock_timeout TO '1500ms'
    SET statement_timeout TO '2300ms'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
declare
  v_desk record;
begin
  v_desk := private.enter_desk(p_org, p_request, 'staff_set_busy_calendar', 'manager',
    jsonb_build_array(p_provider, p_address));
  if v_desk.answer is not null then
    return v_desk.answer;
  end if;
  return private.leave_desk(p_org, v_desk.request, p_provider,
    private.set_busy(p_org, p_provider, p_address),
    jsonb_strip_nulls(jsonb_build_object('host', private.host_of(p_address))));
exception when lock_not_available or deadlock_detected then
  return '{"outcome": "busy"}';
end
$$;

COMMENT ON FUNCTION public.staff_set_busy_calendar(p_org uuid, p_request uuid, p_provider uuid, p_address text) IS 'Sets or removes the address of a doctor''s own calendar; audited without it.';

CREATE FUNCTION public.staff_set_closing_days(p_org uuid, p_request uuid, p_days jsonb) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    SET lock_timeout TO '1500ms'
    SET jit TO 'off'
    SET statement_timeout TO '2300ms'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
declare
  v_desk record;
  v_known uuid[];
  v_reason text;
begin
  v_desk := private.enter_desk(
    p_org, p_request, 'staff_set_closing_days', 'manager', jsonb_build_array(p_days));
  if v_desk.answer is not null then
    return v_desk.answer;
  end if;
  v_known := private.misplaced_ids(v_desk.org);
  perform private.lock_providers(p_org);
  begin
    perform private.require(coalesce(jsonb_typeof(p_days) = 'array', false),
      'organization ' || (v_desk.org).slug, 'give its closing days as a list');
    update public.organizations as o
    set closing_days = (
      select coalesce(range_agg(daterange(d.first, d.last, '[]')), '{}')
      from jsonb_to_recordset(p_days) as d (first date, last date))
    where o.id = p_org;
  exception when integrity_constraint_violation or data_exception then
    get stacked diagnostics v_reason = message_text;
    return private.leave_desk(p_org, v_desk.request, null,
      jsonb_build_object('outcome', 'invalid_schedule', 'reason', v_reason));
  end;
  return private.leave_schedule(p_org, v_desk.request, null, v_known, '{"outcome": "changed"}',
    jsonb_build_object('closingDays', (
      select o.closing_days from public.organizations as o where o.id = p_org)));
exception when lock_not_available or deadlock_detected then
  return '{"outcome": "busy"}';
end
$$;

COMMENT ON FUNCTION public.staff_set_closing_days(p_org uuid, p_request uuid, p_days jsonb) IS 'Sets the closing days of a clinic; audited.';

CREATE FUNCTION public.staff_set_day(p_org uuid, p_request uuid, p_provider uuid, p_day date, p_hours jsonb) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    SET lock_timeout TO '1500ms'
    SET jit TO 'off'
    SET statement_timeout TO '2300ms'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
begin
  return private.change_schedule(p_org, p_request, 'staff_set_day', p_provider, 'day',
    jsonb_build_object('day', p_day, 'hours', p_hours));
exception when lock_not_available or deadlock_detected then
  return '{"outcome": "busy"}';
end
$$;

COMMENT ON FUNCTION public.staff_set_day(p_org uuid, p_request uuid, p_provider uuid, p_day date, p_hours jsonb) IS 'Sets the hours of a provider on one day, none for a day off; audited.';

CREATE FUNCTION public.staff_set_hours(p_org uuid, p_request uuid, p_provider uuid, p_hours jsonb) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    SET lock_timeout TO '1500ms'
    SET jit TO 'off'
    SET statement_timeout TO '2300ms'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
begin
  return private.change_schedule(
    p_org, p_request, 'staff_set_hours', p_provider, 'hours', p_hours);
exception when lock_not_available or deadlock_detected then
  return '{"outcome": "busy"}';
end
$$;

COMMENT ON FUNCTION public.staff_set_hours(p_org uuid, p_request uuid, p_provider uuid, p_hours jsonb) IS 'Sets the weekly hours of a provider; audited.';

CREATE FUNCTION public.take_busy_calendars(p_limit integer) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    SET lock_timeout TO '1s'
    SET statement_timeout TO '2300ms'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
declare
  v_now constant timestamptz := clock_timestamp();
  v_calendars jsonb;
begin
  with due as (
    select c.org_id, c.id from public.busy_calendars as c
    where c.due_at <= v_now order by c.due_at limit least(greatest(p_limit, 1), 50)
    for no key update skip locked
  ), taken as (
    update public.busy_calendars as c
    set fetch_id = gen_random_uuid(), due_at = v_now + interval '5 minutes'
    from due as d where c.org_id = d.org_id and c.id = d.id
    returning c.*
  )
  select coalesce(jsonb_agg(jsonb_build_object(
    'orgId', t.org_id, 'calendarId', t.id, 'fetchId', t.fetch_id, 'address', t.address,
    'etag', case when t.loaded_at > v_now - interval '12 hours' then t.etag end,
    'timezone', o.timezone, 'from', lower(w.span), 'until', upper(w.span))), '[]')
  into v_calendars
  from taken as t
  join public.organizations as o on o.id = t.org_id
  cross join lateral (select private.busy_window(t.org_id, v_now) as span) as w;
  return jsonb_build_object('outcome', 'found', 'calendars', v_calendars);
exception when lock_not_available or deadlock_detected then
  return '{"outcome": "busy"}';
end
$$;

COMMENT ON FUNCTION public.take_busy_calendars(p_limit integer) IS 'Doctors'' own calendars that are to be read now.';

CREATE FUNCTION public.verify_audit(p_org uuid) RETURNS jsonb
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO ''
    SET jit TO 'off'
    AS $$
declare
  v_found bigint;
  v_findings jsonb;
  v_counts jsonb;
begin
  select count(*), coalesce(jsonb_agg(jsonb_build_object('seal', f.seal, 'finding', f.finding,
    'rowId', f.row_id, 'at', f.at) order by f.seal, f.at, f.row_id) filter (where f.n <= 100), '[]')
  into v_found, v_findings
  from (
    select t.*, row_number() over (order by t.seal, t.at, t.row_id) as n
    from private.find_tampering(p_org) as t
  ) as f;
  with covered as materialized (
    select r.id, r.at
    from private.audit_seals as s cross join lateral unnest(s.ids, s.times) as r (id, at)
    where s.org_id = p_org
  )
  select jsonb_build_object(
    'seals', (select count(*) from private.audit_seals as s where s.org_id = p_org),
    'sealed', count(*) filter (where c.id = l.id),
    'purged', count(*) filter (where l.id is null and c.at < (
      select p.purged_before from private.audit_purges as p where p.org_id = p_org)),
    'waiting', count(*) filter (where c.id is null),
    'waitingSince', min(l.at) filter (where c.id is null))
  into v_counts
  from covered as c
  full join (select a.id, a.at from public.audit_logs as a where a.org_id = p_org) as l
    on l.id = c.id;
  return jsonb_build_object('outcome', case v_found when 0 then 'intact' else 'broken' end,
    'found', v_found, 'findings', v_findings, 'newest', (
      select jsonb_build_object(
        'seal', s.number, 'sealedAt', s.sealed_at, 'hash', encode(s.hash, 'hex'))
      from private.audit_seals as s where s.org_id = p_org order by s.number desc limit 1))
    || v_counts;
end
$$;

COMMENT ON FUNCTION public.verify_audit(p_org uuid) IS 'Compares an organization''s audit log with its seals, and lists what does not match.';

CREATE FUNCTION public.verify_otp_and_confirm(p_call jsonb, p_hold text, p_macs jsonb) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    SET lock_timeout TO '1500ms'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    SET statement_timeout TO '2300ms'
    AS $$
declare
  v_opened record;
begin
  perform private.require_read_committed();
  v_opened := private.open_call(p_call, 'verify_otp');
  if v_opened.refusal is not null then
    return v_opened.refusal;
  elsif p_call ->> 'callId' is null then
    return private.answer(v_opened.org, '{"outcome": "call_needed"}');
  end if;
  return private.answer(v_opened.org, private.verify_code(v_opened.org, p_call, p_hold, p_macs));
exception
  when lock_not_available or deadlock_detected then
    return '{"outcome": "busy"}';
  when foreign_key_violation then
    return private.refuse_gone(p_call, 'verify_otp');
end
$$;

COMMENT ON FUNCTION public.verify_otp_and_confirm(p_call jsonb, p_hold text, p_macs jsonb) IS 'Tool verify_otp: checks a passcode, confirms what waits for its phone, and carries out the change.';

CREATE FUNCTION public.watch_overlaps(p_batch integer DEFAULT 2000) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    SET lock_timeout TO '300ms'
    SET jit TO 'off'
    AS $$
declare
  v_now constant timestamptz := clock_timestamp();
  v_last private.overlap_watch;
  v_next record;
  v_lost uuid[];
  v_id uuid;
  v_count integer := 0;
  v_goes_on boolean := false;
begin
  perform private.require_read_committed();
  if p_batch is null or p_batch < 1 then
    raise exception 'Cannot look at % appointments: the batch must be at least 1', p_batch
      using errcode = '22023';
  end if;
  select w.* into v_last from private.overlap_watch as w for update skip locked;
  if not found then
    return 0;
  end if;
  delete from public.overlap_findings as f
  where f.kind = 'index_row_lost' and f.repaired and f.found_at < v_now - interval '1 day';
  for v_next in
    select p.org_id, p.id from public.providers as p
    where v_last.org_id is null or (p.org_id, p.id) > (v_last.org_id, v_last.provider_id)
    order by p.org_id, p.id
  loop
    v_lost := private.find_unguarded(v_next.org_id, v_next.id, v_now);
    foreach v_id in array v_lost loop
      exit when not private.restore_entries(v_next.org_id, v_next.id, v_id);
    end loop;
    v_count := v_count + 1 + private.note_overlaps(v_next.org_id, v_next.id, v_now);
    v_goes_on := v_count >= p_batch or v_lost <> '{}';
    exit when v_goes_on;
  end loop;
  -- After the last provider, start again with the first one.
  update private.overlap_watch as w
  set org_id = case when v_goes_on then v_next.org_id end,
    provider_id = case when v_goes_on then v_next.id end;
  return v_count;
end
$$;

COMMENT ON FUNCTION public.watch_overlaps(p_batch integer) IS 'Monitors the guarantee against double booking, one batch per call; pg_cron calls it every minute.';

CREATE TABLE private.arriving_clinics (
    org_id uuid NOT NULL
);

COMMENT ON TABLE private.arriving_clinics IS 'Clinics that another project may still have, until deno task move has ended: their texts wait.';

CREATE TABLE private.audit_purges (
    org_id uuid NOT NULL,
    purged_before timestamp with time zone NOT NULL
);

COMMENT ON TABLE private.audit_purges IS 'The time before which retention has deleted rows of an organization''s audit log.';

CREATE TABLE private.audit_seals (
    org_id uuid NOT NULL,
    number integer NOT NULL,
    sealed_at timestamp with time zone NOT NULL,
    through xid8 NOT NULL,
    ids uuid[] NOT NULL,
    times timestamp with time zone[] NOT NULL,
    digests bytea[] NOT NULL,
    hash bytea NOT NULL,
    CONSTRAINT audit_seals_hash_length CHECK ((octet_length(hash) = 32)),
    CONSTRAINT audit_seals_number_counted CHECK ((number > 0)),
    CONSTRAINT audit_seals_rows_complete CHECK (((cardinality(ids) > 0) AND (cardinality(times) = cardinality(ids)) AND (cardinality(digests) = cardinality(ids))))
);

COMMENT ON TABLE private.audit_seals IS 'Batches of the audit log, numbered by organization, each with a hash of its rows and the previous seal.';

COMMENT ON COLUMN private.audit_seals.through IS 'The newest transaction whose rows are sealed.';

COMMENT ON COLUMN private.audit_seals.ids IS 'The rows, in the order of times and digests.';

COMMENT ON COLUMN private.audit_seals.hash IS 'Computed by private.hash_seal().';

CREATE TABLE private.functions_target (
    only_row boolean DEFAULT true NOT NULL,
    url text NOT NULL,
    secret text,
    CONSTRAINT functions_target_has_one_row CHECK (only_row),
    CONSTRAINT functions_target_url_plain CHECK ((url ~ '^https?://[^[:space:]]+[^/[:space:]]$'::text))
);

COMMENT ON TABLE private.functions_target IS 'Where the functions are, and the secret that they expect of the database.';

COMMENT ON COLUMN private.functions_target.secret IS 'Null if it is in Vault.';

CREATE TABLE private.metric_progress (
    only_row boolean DEFAULT true NOT NULL,
    seen pg_snapshot NOT NULL,
    counted_at timestamp with time zone NOT NULL,
    cluster bigint NOT NULL,
    restored_until timestamp with time zone DEFAULT '-infinity'::timestamp with time zone NOT NULL,
    CONSTRAINT metric_progress_has_one_row CHECK (only_row)
);

COMMENT ON TABLE private.metric_progress IS 'The transactions that had ended when audit rows were last counted; no row before the first count.';

COMMENT ON COLUMN private.metric_progress.counted_at IS 'When audit rows were last counted; every counted row is older.';

COMMENT ON COLUMN private.metric_progress.cluster IS 'See private.cluster_id().';

COMMENT ON COLUMN private.metric_progress.restored_until IS 'Rows up to this time came from another cluster and are counted.';

CREATE TABLE private.overlap_watch (
    only_row boolean DEFAULT true NOT NULL,
    org_id uuid,
    provider_id uuid,
    CONSTRAINT overlap_watch_has_one_row CHECK (only_row)
);

COMMENT ON TABLE private.overlap_watch IS 'The provider that public.watch_overlaps() checked last; nulls before the first one.';

CREATE TABLE private.personal_data (
    relation regclass NOT NULL,
    step integer NOT NULL,
    about text,
    erased text,
    reason text,
    CONSTRAINT personal_data_decided CHECK (
CASE
    WHEN ((about IS NULL) OR (erased IS NULL)) THEN (reason IS NOT NULL)
    ELSE (reason IS NULL)
END),
    CONSTRAINT personal_data_keeps_evidence CHECK (((erased IS NULL) OR ((relation)::text !~ 'audit_'::text)))
);

COMMENT ON TABLE private.personal_data IS 'What each table has of a patient: SQL over its columns and over p, the patient; written by migrations only.';

COMMENT ON COLUMN private.personal_data.step IS 'The order of erasing: rows before what they refer to.';

COMMENT ON COLUMN private.personal_data.about IS 'Which rows are about the patient; null when none are.';

COMMENT ON COLUMN private.personal_data.erased IS 'What becomes of them: delete, or what is set; null when they stay.';

COMMENT ON COLUMN private.personal_data.reason IS 'Why no row is about a patient, or why they stay.';

CREATE TABLE private.reminded_days (
    org_id uuid NOT NULL,
    day date NOT NULL
);

COMMENT ON TABLE private.reminded_days IS 'The last day for whose appointments an organization''s reminders were written.';

CREATE TABLE public.alarm_counters (
    org_id uuid NOT NULL,
    kind private.alarm_kind NOT NULL,
    happened_at timestamp with time zone[] DEFAULT '{}'::timestamp with time zone[] NOT NULL
);

COMMENT ON TABLE public.alarm_counters IS 'Times of the last events, newest first: within the hour, and no more than raise an alarm.';

CREATE TABLE public.alarms (
    org_id uuid NOT NULL,
    kind private.alarm_kind NOT NULL,
    raised_at timestamp with time zone NOT NULL,
    cleared_at timestamp with time zone,
    first_at timestamp with time zone NOT NULL,
    events integer NOT NULL,
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    handled_at timestamp with time zone,
    handled_by uuid,
    CONSTRAINT alarms_events_positive CHECK ((events > 0))
);

COMMENT ON TABLE public.alarms IS 'Alarms, for staff to read: how many events of a kind there were from first_at to raised_at.';

COMMENT ON COLUMN public.alarms.cleared_at IS 'When an operator ended its brake before the hour was over.';

COMMENT ON COLUMN public.alarms.handled_at IS 'When the desk had dealt with it.';

COMMENT ON COLUMN public.alarms.handled_by IS 'The account of the member of staff who said so.';

CREATE VIEW public.appointment_holds WITH (security_invoker='true') AS
 SELECT a.org_id,
    a.id,
    a.provider_id,
    a.service_id,
    a.patient_name,
    a.starts_at,
    a.ends_at,
    a.status,
    a.expires_at,
    ((a.status = 'held'::text) AND (a.expires_at > now())) AS live,
    a.created_at
   FROM public.appointments a
  WHERE (a.status = ANY (ARRAY['held'::text, 'expired'::text]));

COMMENT ON VIEW public.appointment_holds IS 'Held and expired rows of appointments, under the name people look for.';

CREATE TABLE public.blocked_numbers (
    org_id uuid NOT NULL,
    phone_hash bytea NOT NULL,
    phone_masked text NOT NULL,
    blocked_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    blocked_by uuid NOT NULL,
    CONSTRAINT blocked_numbers_hash_length CHECK ((octet_length(phone_hash) = 32)),
    CONSTRAINT blocked_numbers_phone_masked CHECK ((phone_masked !~ '[0-9]{5}'::text))
);

COMMENT ON TABLE public.blocked_numbers IS 'Numbers whose limits at one organization are all used up, until staff unblock them.';

COMMENT ON COLUMN public.blocked_numbers.blocked_by IS 'The account of the member of staff.';

CREATE TABLE public.busy_calendars (
    org_id uuid NOT NULL,
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    provider_id uuid NOT NULL,
    address text NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    due_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    fetch_id uuid,
    etag text,
    read_at timestamp with time zone,
    loaded_at timestamp with time zone,
    failures integer DEFAULT 0 NOT NULL,
    failed_at timestamp with time zone,
    failure text,
    CONSTRAINT busy_calendars_address_https CHECK (private.require(((address ~ '^https://[^[:space:]/?#@]+([/?#][^[:space:]]*)?$'::text) AND (length(address) <= 2000)), 'a doctor''s calendar'::text, 'its address begins with https:// and has no name or password before its host'::text))
);

COMMENT ON TABLE public.busy_calendars IS 'Doctors'' own calendars, whose busy times become absences. The address is a secret.';

COMMENT ON COLUMN public.busy_calendars.fetch_id IS 'The reading that is under way; null when it has ended.';

COMMENT ON COLUMN public.busy_calendars.read_at IS 'When it was last read, changed or not.';

COMMENT ON COLUMN public.busy_calendars.loaded_at IS 'When it was last read as a whole.';

COMMENT ON COLUMN public.busy_calendars.failures IS 'How many readings in a row have failed.';

COMMENT ON COLUMN public.busy_calendars.failed_at IS 'When the first of these failed.';

CREATE TABLE public.time_off (
    org_id uuid NOT NULL,
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    provider_id uuid NOT NULL,
    span tstzrange NOT NULL,
    calendar_id uuid,
    CONSTRAINT time_off_some_time CHECK (private.require((NOT isempty(span)), ('time off of provider '::text || provider_id), 'it ends when it begins'::text))
);

COMMENT ON TABLE public.time_off IS 'Holidays and absences of a provider.';

COMMENT ON COLUMN public.time_off.calendar_id IS 'The calendar of the provider''s own that the absence was read from; null if staff entered it.';

CREATE VIEW public.calendar_overlaps WITH (security_invoker='true') AS
 SELECT a.org_id,
    a.id AS appointment_id,
    a.provider_id,
    a.service_id,
    a.status,
    a.starts_at,
    a.ends_at
   FROM public.appointments a
  WHERE (((a.status = 'confirmed'::text) OR ((a.status = 'held'::text) AND (a.expires_at > now()))) AND (a.ends_at > now()) AND (EXISTS ( SELECT
           FROM public.time_off t
          WHERE ((t.org_id = a.org_id) AND (t.provider_id = a.provider_id) AND (t.calendar_id IS NOT NULL) AND (COALESCE(upper(t.span), 'infinity'::timestamp with time zone) >= a.starts_at) AND (t.span && tstzrange(a.starts_at, a.ends_at))))));

COMMENT ON VIEW public.calendar_overlaps IS 'Bookings to come that a busy time of the doctor''s own calendar overlaps: the desk moves or cancels them.';

CREATE TABLE public.desk_hours (
    org_id uuid NOT NULL,
    dow smallint NOT NULL,
    start_min integer NOT NULL,
    end_min integer NOT NULL,
    CONSTRAINT desk_hours_dow_known CHECK (private.require(((dow >= 0) AND (dow <= 6)), format('desk hours on weekday %s'::text, dow), 'the weekdays are 0 (Sunday) to 6 (Saturday)'::text)),
    CONSTRAINT desk_hours_possible CHECK (private.require_hours(format('desk hours on weekday %s'::text, dow), start_min, end_min))
);

COMMENT ON TABLE public.desk_hours IS 'When the front desk answers, in local minutes from midnight; end_min above 1440 runs into the next day.';

COMMENT ON COLUMN public.desk_hours.dow IS 'Day of the week, 0 is Sunday (as extract(dow)).';

CREATE TABLE public.desk_messages (
    org_id uuid NOT NULL,
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    call_id text,
    tool_call_id text,
    caller_hash bytea,
    caller_name text NOT NULL,
    phone text NOT NULL,
    wished_time text,
    message text NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    handled_at timestamp with time zone,
    handled_by uuid,
    CONSTRAINT desk_messages_message_short CHECK (((length(message) >= 1) AND (length(message) <= 2000))),
    CONSTRAINT desk_messages_name_given CHECK (((length(btrim(caller_name)) >= 1) AND (length(btrim(caller_name)) <= 120))),
    CONSTRAINT desk_messages_phone_e164 CHECK ((phone ~ '^\+[1-9][0-9]{6,14}$'::text)),
    CONSTRAINT desk_messages_wish_short CHECK ((length(wished_time) <= 200))
);

COMMENT ON TABLE public.desk_messages IS 'Messages of callers for the front desk: whom to call back, when, and why, without personal data in the text.';

COMMENT ON COLUMN public.desk_messages.wished_time IS 'When the caller would like to be called, as said.';

COMMENT ON COLUMN public.desk_messages.message IS 'What the caller said, redacted.';

COMMENT ON COLUMN public.desk_messages.handled_at IS 'When the desk had dealt with it.';

COMMENT ON COLUMN public.desk_messages.handled_by IS 'The account of the member of staff who said so.';

CREATE TABLE public.metric_batches (
    id uuid NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

COMMENT ON TABLE public.metric_batches IS 'Batches recorded in the last day, so that a batch sent twice counts once.';

CREATE TABLE public.metric_events (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    name text NOT NULL,
    labels jsonb DEFAULT '{}'::jsonb NOT NULL,
    value double precision DEFAULT 1 NOT NULL,
    CONSTRAINT metric_events_labels_object CHECK ((jsonb_typeof(labels) = 'object'::text)),
    CONSTRAINT metric_events_name_plain CHECK ((name ~ '^[a-z_]{1,40}$'::text)),
    CONSTRAINT metric_events_value_counts CHECK ((value >= (0)::double precision))
)
WITH (autovacuum_vacuum_scale_factor='0', autovacuum_vacuum_threshold='5000');

COMMENT ON TABLE public.metric_events IS 'Events that the counters do not include yet; they name no person and no organization.';

CREATE TABLE public.metric_minutes (
    minute timestamp with time zone NOT NULL,
    name text NOT NULL,
    labels jsonb NOT NULL,
    value double precision NOT NULL
);

COMMENT ON TABLE public.metric_minutes IS 'The same counters by the minute, for a day.';

CREATE TABLE public.metric_totals (
    name text NOT NULL,
    labels jsonb NOT NULL,
    value double precision NOT NULL
);

COMMENT ON TABLE public.metric_totals IS 'Every counter since the beginning.';

CREATE TABLE public.open_questions (
    org_id uuid NOT NULL,
    words text[] NOT NULL,
    question text NOT NULL,
    asked integer DEFAULT 1 NOT NULL,
    call_id text,
    first_asked_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    last_asked_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT open_questions_question_short CHECK (((length(question) >= 1) AND (length(question) <= 500)))
);

COMMENT ON TABLE public.open_questions IS 'Questions of callers that no fact answers, redacted. The clinic can add an answer for the next caller.';

COMMENT ON COLUMN public.open_questions.words IS 'See private.question_words(); a question with the same words is the same row.';

COMMENT ON COLUMN public.open_questions.call_id IS 'The call that asked first.';

CREATE TABLE public.org_channels (
    kind text NOT NULL,
    value text NOT NULL,
    org_id uuid NOT NULL,
    CONSTRAINT org_channels_kind_known CHECK ((kind = ANY (ARRAY['called_number'::text, 'vapi_phone_number'::text, 'vapi_assistant'::text, 'shared_line'::text]))),
    CONSTRAINT org_channels_number_e164 CHECK (((kind <> ALL (ARRAY['called_number'::text, 'shared_line'::text])) OR (value ~ '^\+[1-9][0-9]{6,14}$'::text)))
);

COMMENT ON TABLE public.org_channels IS 'How a call finds its clinic: called number (E.164), Vapi phone-number id, Vapi assistant id. A shared_line finds nothing: it is the number of a call centre, which callers of several clinics may call from.';

CREATE TABLE public.org_credentials (
    org_id uuid NOT NULL,
    provider text NOT NULL,
    key_id text NOT NULL,
    nonce bytea NOT NULL,
    ciphertext bytea NOT NULL,
    sender text,
    updated_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT org_credentials_nonce_length CHECK ((octet_length(nonce) = 12)),
    CONSTRAINT org_credentials_provider_known CHECK ((provider = 'twilio'::text))
);

COMMENT ON TABLE public.org_credentials IS 'Accounts at other services, AES-256-GCM with organization and provider as additional data.';

COMMENT ON COLUMN public.org_credentials.sender IS 'What the organization texts from, as the account says: a number in E.164, or a messaging service (MG...).';

CREATE TABLE public.org_members (
    org_id uuid NOT NULL,
    user_id uuid NOT NULL,
    role text NOT NULL,
    CONSTRAINT org_members_role_known CHECK ((role = ANY (private.roles_from('viewer'::text))))
);

COMMENT ON TABLE public.org_members IS 'Which staff accounts belong to which organization.';

COMMENT ON COLUMN public.org_members.role IS 'viewer: the calendar. desk: also contacts, texts, messages and calls. manager: also audit log and settings. owner: also members.';

CREATE TABLE public.overlap_findings (
    org_id uuid NOT NULL,
    appointment_id uuid NOT NULL,
    kind text NOT NULL,
    found_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    repaired boolean DEFAULT false NOT NULL,
    CONSTRAINT overlap_findings_kind_known CHECK ((kind = ANY (ARRAY['overlap'::text, 'index_row_lost'::text])))
);

COMMENT ON TABLE public.overlap_findings IS 'Appointments that overlap another one, and those that the constraint''s index lost within the last day.';

COMMENT ON COLUMN public.overlap_findings.repaired IS 'Whether the constraint sees the row again.';

CREATE TABLE public.phone_counts (
    phone_hash bytea NOT NULL,
    sent_at timestamp with time zone[] DEFAULT '{}'::timestamp with time zone[] NOT NULL,
    wrong_at timestamp with time zone[] DEFAULT '{}'::timestamp with time zone[] NOT NULL,
    asked_at timestamp with time zone[] DEFAULT '{}'::timestamp with time zone[] NOT NULL,
    followed_up_at timestamp with time zone[] DEFAULT '{}'::timestamp with time zone[] NOT NULL,
    holds private.counted_hold[] DEFAULT '{}'::private.counted_hold[] NOT NULL,
    cleared_at timestamp with time zone[] DEFAULT '{}'::timestamp with time zone[] NOT NULL,
    kept_at timestamp with time zone[] DEFAULT '{}'::timestamp with time zone[] NOT NULL,
    changed_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT phone_counts_hash_length CHECK ((octet_length(phone_hash) = 32))
);

COMMENT ON TABLE public.phone_counts IS 'What was counted for a number within the last day, in all organizations, by SHA-256 of the number.';

COMMENT ON COLUMN public.phone_counts.sent_at IS 'Texts to it.';

COMMENT ON COLUMN public.phone_counts.wrong_at IS 'Wrong passcodes for it.';

COMMENT ON COLUMN public.phone_counts.asked_at IS 'Texts, to any number, for calls from it; within the hour.';

COMMENT ON COLUMN public.phone_counts.followed_up_at IS 'Follow-ups of dropped calls to it.';

COMMENT ON COLUMN public.phone_counts.holds IS 'Holds made by calls from it within the last hour, and live ones made for it.';

COMMENT ON COLUMN public.phone_counts.cleared_at IS 'When staff cleared its counts of texts and attempts.';

COMMENT ON COLUMN public.phone_counts.kept_at IS 'When a slot was kept for the front desk that a call from it or for it had held.';

CREATE TABLE public.provider_services (
    org_id uuid NOT NULL,
    provider_id uuid NOT NULL,
    service_id uuid NOT NULL
);

COMMENT ON TABLE public.provider_services IS 'Which provider offers which service.';

CREATE TABLE public.sms_opt_outs (
    org_id uuid NOT NULL,
    phone_hash bytea NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT sms_opt_outs_hash_length CHECK ((octet_length(phone_hash) = 32))
);

COMMENT ON TABLE public.sms_opt_outs IS 'Phones whose owners want no texts from an organization, according to Twilio (21610), by SHA-256 of the number. Only passcodes are still sent, since Twilio knows who has opted in again.';

CREATE TABLE public.tool_calls (
    org_id uuid NOT NULL,
    call_id text NOT NULL,
    tool_call_id text NOT NULL,
    tool text NOT NULL,
    arguments_hash bytea NOT NULL,
    outcome text NOT NULL,
    result jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

COMMENT ON TABLE public.tool_calls IS 'Answers already given, so that a repeated request counts once and gets the same answer.';

CREATE TABLE public.working_hours (
    org_id uuid NOT NULL,
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    provider_id uuid NOT NULL,
    dow smallint NOT NULL,
    start_min integer NOT NULL,
    end_min integer NOT NULL,
    valid daterange DEFAULT '(,)'::daterange NOT NULL,
    CONSTRAINT working_hours_dow_known CHECK (private.require(((dow >= 0) AND (dow <= 6)), format('hours of provider %s on weekday %s'::text, provider_id, dow), 'the weekdays are 0 (Sunday) to 6 (Saturday)'::text)),
    CONSTRAINT working_hours_possible CHECK (private.require_hours(format('hours of provider %s on weekday %s'::text, provider_id, dow), start_min, end_min)),
    CONSTRAINT working_hours_valid_some_day CHECK (private.require((NOT isempty(valid)), format('hours of provider %s on weekday %s'::text, provider_id, dow), 'they are valid on no day'::text))
);

COMMENT ON TABLE public.working_hours IS 'Weekly opening hours in local minutes from midnight; end_min above 1440 runs into the next day.';

COMMENT ON COLUMN public.working_hours.dow IS 'Day of the week, 0 is Sunday (as extract(dow)).';

COMMENT ON COLUMN public.working_hours.valid IS 'Local days on which the rule holds.';

CREATE TABLE public.working_hours_overrides (
    org_id uuid NOT NULL,
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    provider_id uuid NOT NULL,
    day date NOT NULL,
    start_min integer,
    end_min integer,
    CONSTRAINT working_hours_overrides_both_or_none CHECK (private.require(((start_min IS NULL) = (end_min IS NULL)), format('hours of provider %s on %s'::text, provider_id, day), 'give both minutes, or neither for a day that is closed'::text)),
    CONSTRAINT working_hours_overrides_possible CHECK (private.require_hours(format('hours of provider %s on %s'::text, provider_id, day), start_min, end_min))
);

COMMENT ON TABLE public.working_hours_overrides IS 'Replaces a provider''s hours for one local day; null minutes mean closed.';

ALTER TABLE ONLY private.arriving_clinics
    ADD CONSTRAINT arriving_clinics_pkey PRIMARY KEY (org_id);

ALTER TABLE ONLY private.audit_purges
    ADD CONSTRAINT audit_purges_pkey PRIMARY KEY (org_id);

ALTER TABLE ONLY private.audit_sealing
    ADD CONSTRAINT audit_sealing_pkey PRIMARY KEY (only_row);

ALTER TABLE ONLY private.audit_seals
    ADD CONSTRAINT audit_seals_pkey PRIMARY KEY (org_id, number);

ALTER TABLE ONLY private.functions_target
    ADD CONSTRAINT functions_target_pkey PRIMARY KEY (only_row);

ALTER TABLE ONLY private.metric_progress
    ADD CONSTRAINT metric_progress_pkey PRIMARY KEY (only_row);

ALTER TABLE ONLY private.overlap_watch
    ADD CONSTRAINT overlap_watch_pkey PRIMARY KEY (only_row);

ALTER TABLE ONLY private.personal_data
    ADD CONSTRAINT personal_data_pkey PRIMARY KEY (relation, step);

ALTER TABLE ONLY private.reminded_days
    ADD CONSTRAINT reminded_days_pkey PRIMARY KEY (org_id);

ALTER TABLE ONLY private.retention_rules
    ADD CONSTRAINT retention_rules_pkey PRIMARY KEY (name);

ALTER TABLE ONLY public.alarm_counters
    ADD CONSTRAINT alarm_counters_pkey PRIMARY KEY (org_id, kind);

ALTER TABLE ONLY public.alarms
    ADD CONSTRAINT alarms_id_unique UNIQUE (org_id, id);

ALTER TABLE ONLY public.alarms
    ADD CONSTRAINT alarms_pkey PRIMARY KEY (org_id, kind, raised_at);

ALTER TABLE ONLY public.appointment_changes
    ADD CONSTRAINT appointment_changes_pkey PRIMARY KEY (org_id, call_id);

ALTER TABLE ONLY public.appointment_texts
    ADD CONSTRAINT appointment_texts_once UNIQUE (org_id, appointment_id, kind, starts_at);

ALTER TABLE ONLY public.appointment_texts
    ADD CONSTRAINT appointment_texts_pkey PRIMARY KEY (org_id, id);

ALTER TABLE ONLY public.appointments
    ADD CONSTRAINT appointments_no_overlap EXCLUDE USING gist (org_id WITH =, provider_id WITH =, busy WITH &&, session_key WITH <>) WHERE (COALESCE((status = ANY (ARRAY['held'::text, 'confirmed'::text])), false));

ALTER TABLE ONLY public.appointments
    ADD CONSTRAINT appointments_pkey PRIMARY KEY (org_id, id);

ALTER TABLE ONLY public.assistants
    ADD CONSTRAINT assistants_pkey PRIMARY KEY (org_id);

ALTER TABLE ONLY public.audit_logs
    ADD CONSTRAINT audit_logs_pkey PRIMARY KEY (org_id, at, id);

ALTER TABLE ONLY public.blocked_numbers
    ADD CONSTRAINT blocked_numbers_pkey PRIMARY KEY (org_id, phone_hash);

ALTER TABLE ONLY public.busy_calendars
    ADD CONSTRAINT busy_calendars_one_each UNIQUE (org_id, provider_id);

ALTER TABLE ONLY public.busy_calendars
    ADD CONSTRAINT busy_calendars_pkey PRIMARY KEY (org_id, id);

ALTER TABLE ONLY public.calendar_feeds
    ADD CONSTRAINT calendar_feeds_pkey PRIMARY KEY (org_id, id);

ALTER TABLE ONLY public.calendar_feeds
    ADD CONSTRAINT calendar_feeds_token_unique UNIQUE (org_id, token_hash);

ALTER TABLE ONLY public.call_reports
    ADD CONSTRAINT call_reports_pkey PRIMARY KEY (org_id, call_id);

ALTER TABLE ONLY public.calls
    ADD CONSTRAINT calls_pkey PRIMARY KEY (org_id, call_id);

ALTER TABLE ONLY public.clinic_facts
    ADD CONSTRAINT clinic_facts_pkey PRIMARY KEY (org_id, id);

ALTER TABLE ONLY public.clinic_facts
    ADD CONSTRAINT clinic_facts_question_unique UNIQUE (org_id, question);

ALTER TABLE ONLY public.contacts
    ADD CONSTRAINT contacts_phone_unique UNIQUE (org_id, phone);

ALTER TABLE ONLY public.contacts
    ADD CONSTRAINT contacts_pkey PRIMARY KEY (org_id, id);

ALTER TABLE ONLY public.desk_hours
    ADD CONSTRAINT "desk hours of one weekday must not overlap" EXCLUDE USING gist (org_id WITH =, dow WITH =, int4range(start_min, end_min) WITH &&) WHERE ((start_min >= 0));

ALTER TABLE ONLY public.desk_hours
    ADD CONSTRAINT desk_hours_pkey PRIMARY KEY (org_id, dow, start_min);

ALTER TABLE ONLY public.desk_messages
    ADD CONSTRAINT desk_messages_pkey PRIMARY KEY (org_id, id);

ALTER TABLE ONLY public.working_hours_overrides
    ADD CONSTRAINT "hours of one provider and day must not overlap" EXCLUDE USING gist (org_id WITH =, provider_id WITH =, day WITH =, int4range(COALESCE(start_min, 0), COALESCE(end_min, 2880)) WITH &&) WHERE ((COALESCE(start_min, 0) >= 0));

ALTER TABLE ONLY public.working_hours
    ADD CONSTRAINT "hours of one provider and weekday must not overlap" EXCLUDE USING gist (org_id WITH =, provider_id WITH =, dow WITH =, int4range(start_min, end_min) WITH &&, valid WITH &&) WHERE ((start_min >= 0));

ALTER TABLE ONLY public.metric_batches
    ADD CONSTRAINT metric_batches_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.metric_events
    ADD CONSTRAINT metric_events_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.metric_minutes
    ADD CONSTRAINT metric_minutes_pkey PRIMARY KEY (minute, name, labels);

ALTER TABLE ONLY public.metric_totals
    ADD CONSTRAINT metric_totals_pkey PRIMARY KEY (name, labels);

ALTER TABLE ONLY public.one_time_passcodes
    ADD CONSTRAINT one_time_passcodes_pkey PRIMARY KEY (org_id, call_id, phone_hash);

ALTER TABLE ONLY public.open_questions
    ADD CONSTRAINT open_questions_pkey PRIMARY KEY (org_id, words);

ALTER TABLE ONLY public.org_channels
    ADD CONSTRAINT org_channels_pkey PRIMARY KEY (kind, value, org_id);

ALTER TABLE ONLY public.org_credentials
    ADD CONSTRAINT org_credentials_pkey PRIMARY KEY (org_id, provider);

ALTER TABLE ONLY public.org_members
    ADD CONSTRAINT org_members_pkey PRIMARY KEY (org_id, user_id);

ALTER TABLE ONLY public.organizations
    ADD CONSTRAINT organizations_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.organizations
    ADD CONSTRAINT organizations_slug_key UNIQUE (slug);

ALTER TABLE ONLY public.overlap_findings
    ADD CONSTRAINT overlap_findings_pkey PRIMARY KEY (org_id, appointment_id, kind);

ALTER TABLE ONLY public.phone_counts
    ADD CONSTRAINT phone_counts_pkey PRIMARY KEY (phone_hash);

ALTER TABLE ONLY public.provider_services
    ADD CONSTRAINT provider_services_pkey PRIMARY KEY (org_id, provider_id, service_id);

ALTER TABLE ONLY public.providers
    ADD CONSTRAINT providers_pkey PRIMARY KEY (org_id, id);

ALTER TABLE ONLY public.providers
    ADD CONSTRAINT providers_slug_unique UNIQUE (org_id, slug);

ALTER TABLE ONLY public.services
    ADD CONSTRAINT services_pkey PRIMARY KEY (org_id, id);

ALTER TABLE ONLY public.services
    ADD CONSTRAINT services_slug_unique UNIQUE (org_id, slug);

ALTER TABLE ONLY public.sms_messages
    ADD CONSTRAINT sms_messages_pkey PRIMARY KEY (org_id, id);

ALTER TABLE ONLY public.sms_opt_outs
    ADD CONSTRAINT sms_opt_outs_pkey PRIMARY KEY (org_id, phone_hash);

ALTER TABLE ONLY public.text_answers
    ADD CONSTRAINT text_answers_pkey PRIMARY KEY (org_id, sid);

ALTER TABLE ONLY public.time_off
    ADD CONSTRAINT time_off_pkey PRIMARY KEY (org_id, id);

ALTER TABLE ONLY public.tool_calls
    ADD CONSTRAINT tool_calls_pkey PRIMARY KEY (org_id, call_id, tool_call_id, tool, arguments_hash);

ALTER TABLE ONLY public.webhook_endpoints
    ADD CONSTRAINT webhook_endpoints_once UNIQUE (org_id, address);

ALTER TABLE ONLY public.webhook_endpoints
    ADD CONSTRAINT webhook_endpoints_pkey PRIMARY KEY (org_id, id);

ALTER TABLE ONLY public.webhook_messages
    ADD CONSTRAINT webhook_messages_pkey PRIMARY KEY (org_id, id);

ALTER TABLE ONLY public.working_hours_overrides
    ADD CONSTRAINT working_hours_overrides_pkey PRIMARY KEY (org_id, id);

ALTER TABLE ONLY public.working_hours
    ADD CONSTRAINT working_hours_pkey PRIMARY KEY (org_id, id);

CREATE INDEX audit_seals_by_transaction ON private.audit_seals USING btree (through);

CREATE INDEX alarms_by_time ON public.alarms USING btree (org_id, raised_at);

CREATE INDEX appointment_changes_by_appointment ON public.appointment_changes USING btree (org_id, appointment_id) WHERE (appointment_id IS NOT NULL);

CREATE INDEX appointment_changes_by_hold ON public.appointment_changes USING btree (org_id, hold_id) WHERE (hold_id IS NOT NULL);

CREATE INDEX appointment_texts_by_time ON public.appointment_texts USING btree (org_id, created_at);

CREATE INDEX appointment_texts_due ON public.appointment_texts USING btree (due_at, org_id) WHERE (state = ANY (ARRAY['waiting'::text, 'sending'::text]));

CREATE INDEX appointments_by_call ON public.appointments USING btree (org_id, call_id) WHERE (call_id IS NOT NULL);

CREATE INDEX appointments_by_contact ON public.appointments USING btree (org_id, contact_id) WHERE (contact_id IS NOT NULL);

CREATE INDEX appointments_by_provider ON public.appointments USING btree (org_id, provider_id, starts_at);

COMMENT ON INDEX public.appointments_by_provider IS 'For readers, including the API: the rows of a provider by start.';

CREATE INDEX appointments_by_service ON public.appointments USING btree (org_id, service_id);

CREATE INDEX appointments_expiring ON public.appointments USING btree (expires_at, org_id) WHERE (status = 'held'::text);

CREATE INDEX appointments_handed_over ON public.appointments USING btree (org_id, starts_at) WHERE ((handed_over_at IS NOT NULL) AND (status = ANY (ARRAY['held'::text, 'requires_manual_followup'::text])));

CREATE INDEX appointments_old ON public.appointments USING btree (org_id, COALESCE(expires_at, updated_at)) WHERE (status = ANY (ARRAY['expired'::text, 'cancelled'::text, 'requires_manual_followup'::text]));

CREATE UNIQUE INDEX appointments_seat_unique ON public.appointments USING btree (org_id, provider_id, service_id, starts_at, seat) WHERE (status = ANY (ARRAY['held'::text, 'confirmed'::text]));

CREATE INDEX appointments_taken ON public.appointments USING btree (org_id, provider_id, lower(busy), upper(busy)) WHERE (status = ANY (ARRAY['held'::text, 'confirmed'::text]));

CREATE INDEX audit_logs_by_subject ON public.audit_logs USING btree (org_id, subject_id);

CREATE INDEX audit_logs_by_transaction ON public.audit_logs USING btree (transaction_id);

CREATE INDEX busy_calendars_due ON public.busy_calendars USING btree (due_at);

CREATE INDEX calendar_feeds_by_end ON public.calendar_feeds USING btree (org_id, revoked_at);

CREATE INDEX calendar_feeds_by_provider ON public.calendar_feeds USING btree (org_id, provider_id) WHERE (provider_id IS NOT NULL);

CREATE INDEX call_reports_by_time ON public.call_reports USING btree (org_id, created_at);

CREATE INDEX calls_by_time ON public.calls USING btree (org_id, seen_at);

CREATE INDEX desk_messages_by_call ON public.desk_messages USING btree (org_id, call_id) WHERE (call_id IS NOT NULL);

CREATE INDEX desk_messages_by_time ON public.desk_messages USING btree (org_id, created_at);

CREATE INDEX metric_batches_by_time ON public.metric_batches USING btree (at);

CREATE INDEX open_questions_by_time ON public.open_questions USING btree (org_id, last_asked_at);

CREATE UNIQUE INDEX org_channels_one_clinic ON public.org_channels USING btree (kind, value) WHERE (kind <> 'shared_line'::text);

CREATE INDEX org_channels_org ON public.org_channels USING btree (org_id);

CREATE INDEX org_credentials_by_sender ON public.org_credentials USING btree (sender);

CREATE INDEX org_members_user ON public.org_members USING btree (user_id);

CREATE INDEX provider_services_service ON public.provider_services USING btree (org_id, service_id);

CREATE INDEX sms_messages_by_appointment ON public.sms_messages USING btree (org_id, appointment_id) WHERE (appointment_id IS NOT NULL);

CREATE INDEX sms_messages_by_call ON public.sms_messages USING btree (org_id, call_id) WHERE (call_id IS NOT NULL);

CREATE INDEX sms_messages_by_time ON public.sms_messages USING btree (org_id, created_at);

CREATE INDEX text_answers_by_phone ON public.text_answers USING btree (org_id, phone_hash, received_at);

CREATE INDEX text_answers_by_time ON public.text_answers USING btree (org_id, received_at);

CREATE INDEX time_off_by_calendar ON public.time_off USING btree (org_id, calendar_id) WHERE (calendar_id IS NOT NULL);

CREATE INDEX time_off_by_end ON public.time_off USING btree (org_id, provider_id, COALESCE(upper(span), 'infinity'::timestamp with time zone));

CREATE INDEX tool_calls_by_time ON public.tool_calls USING btree (org_id, created_at);

CREATE INDEX webhook_messages_by_endpoint ON public.webhook_messages USING btree (org_id, endpoint_id);

CREATE INDEX webhook_messages_by_time ON public.webhook_messages USING btree (org_id, created_at);

CREATE INDEX webhook_messages_due ON public.webhook_messages USING btree (org_id, endpoint_id, due_at) WHERE (state = ANY (ARRAY['waiting'::text, 'sending'::text]));

CREATE INDEX working_hours_by_day ON public.working_hours USING btree (org_id, provider_id, dow);

CREATE INDEX working_hours_overrides_by_day ON public.working_hours_overrides USING btree (org_id, provider_id, day);

ALTER TABLE ONLY private.arriving_clinics
    ADD CONSTRAINT arriving_clinics_org_id_fkey FOREIGN KEY (org_id) REFERENCES public.organizations(id) ON DELETE CASCADE;

ALTER TABLE ONLY private.reminded_days
    ADD CONSTRAINT reminded_days_org_id_fkey FOREIGN KEY (org_id) REFERENCES public.organizations(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.alarm_counters
    ADD CONSTRAINT alarm_counters_org_id_fkey FOREIGN KEY (org_id) REFERENCES public.organizations(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.alarms
    ADD CONSTRAINT alarms_org_id_fkey FOREIGN KEY (org_id) REFERENCES public.organizations(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.appointment_changes
    ADD CONSTRAINT appointment_changes_org_id_appointment_id_fkey FOREIGN KEY (org_id, appointment_id) REFERENCES public.appointments(org_id, id) ON DELETE CASCADE;

ALTER TABLE ONLY public.appointment_changes
    ADD CONSTRAINT appointment_changes_org_id_call_id_fkey FOREIGN KEY (org_id, call_id) REFERENCES public.calls(org_id, call_id) ON DELETE CASCADE;

ALTER TABLE ONLY public.appointment_changes
    ADD CONSTRAINT appointment_changes_org_id_hold_id_fkey FOREIGN KEY (org_id, hold_id) REFERENCES public.appointments(org_id, id) ON DELETE CASCADE;

ALTER TABLE ONLY public.appointment_texts
    ADD CONSTRAINT appointment_texts_org_id_appointment_id_fkey FOREIGN KEY (org_id, appointment_id) REFERENCES public.appointments(org_id, id) ON DELETE CASCADE;

ALTER TABLE ONLY public.appointments
    ADD CONSTRAINT appointments_org_id_contact_id_fkey FOREIGN KEY (org_id, contact_id) REFERENCES public.contacts(org_id, id);

ALTER TABLE ONLY public.appointments
    ADD CONSTRAINT appointments_org_id_provider_id_fkey FOREIGN KEY (org_id, provider_id) REFERENCES public.providers(org_id, id);

ALTER TABLE ONLY public.appointments
    ADD CONSTRAINT appointments_org_id_service_id_fkey FOREIGN KEY (org_id, service_id) REFERENCES public.services(org_id, id);

ALTER TABLE ONLY public.assistants
    ADD CONSTRAINT assistants_org_id_fkey FOREIGN KEY (org_id) REFERENCES public.organizations(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.blocked_numbers
    ADD CONSTRAINT blocked_numbers_org_id_fkey FOREIGN KEY (org_id) REFERENCES public.organizations(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.busy_calendars
    ADD CONSTRAINT busy_calendars_org_id_fkey FOREIGN KEY (org_id) REFERENCES public.organizations(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.busy_calendars
    ADD CONSTRAINT busy_calendars_org_id_provider_id_fkey FOREIGN KEY (org_id, provider_id) REFERENCES public.providers(org_id, id) ON DELETE CASCADE;

ALTER TABLE ONLY public.calendar_feeds
    ADD CONSTRAINT calendar_feeds_org_id_fkey FOREIGN KEY (org_id) REFERENCES public.organizations(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.calendar_feeds
    ADD CONSTRAINT calendar_feeds_org_id_provider_id_fkey FOREIGN KEY (org_id, provider_id) REFERENCES public.providers(org_id, id) ON DELETE CASCADE;

ALTER TABLE ONLY public.call_reports
    ADD CONSTRAINT call_reports_org_id_fkey FOREIGN KEY (org_id) REFERENCES public.organizations(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.calls
    ADD CONSTRAINT calls_org_id_fkey FOREIGN KEY (org_id) REFERENCES public.organizations(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.clinic_facts
    ADD CONSTRAINT clinic_facts_org_id_fkey FOREIGN KEY (org_id) REFERENCES public.organizations(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.contacts
    ADD CONSTRAINT contacts_org_id_fkey FOREIGN KEY (org_id) REFERENCES public.organizations(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.desk_hours
    ADD CONSTRAINT desk_hours_org_id_fkey FOREIGN KEY (org_id) REFERENCES public.organizations(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.desk_messages
    ADD CONSTRAINT desk_messages_org_id_fkey FOREIGN KEY (org_id) REFERENCES public.organizations(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.one_time_passcodes
    ADD CONSTRAINT one_time_passcodes_org_id_call_id_fkey FOREIGN KEY (org_id, call_id) REFERENCES public.calls(org_id, call_id) ON DELETE CASCADE;

ALTER TABLE ONLY public.open_questions
    ADD CONSTRAINT open_questions_org_id_fkey FOREIGN KEY (org_id) REFERENCES public.organizations(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.org_channels
    ADD CONSTRAINT org_channels_org_id_fkey FOREIGN KEY (org_id) REFERENCES public.organizations(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.org_credentials
    ADD CONSTRAINT org_credentials_org_id_fkey FOREIGN KEY (org_id) REFERENCES public.organizations(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.org_members
    ADD CONSTRAINT org_members_org_id_fkey FOREIGN KEY (org_id) REFERENCES public.organizations(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.org_members
    ADD CONSTRAINT org_members_user_id_fkey FOREIGN KEY (user_id) REFERENCES auth.users(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.overlap_findings
    ADD CONSTRAINT overlap_findings_org_id_appointment_id_fkey FOREIGN KEY (org_id, appointment_id) REFERENCES public.appointments(org_id, id) ON DELETE CASCADE;

ALTER TABLE ONLY public.overlap_findings
    ADD CONSTRAINT overlap_findings_org_id_fkey FOREIGN KEY (org_id) REFERENCES public.organizations(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.provider_services
    ADD CONSTRAINT provider_services_org_id_provider_id_fkey FOREIGN KEY (org_id, provider_id) REFERENCES public.providers(org_id, id) ON DELETE CASCADE;

ALTER TABLE ONLY public.provider_services
    ADD CONSTRAINT provider_services_org_id_service_id_fkey FOREIGN KEY (org_id, service_id) REFERENCES public.services(org_id, id) ON DELETE CASCADE;

ALTER TABLE ONLY public.providers
    ADD CONSTRAINT providers_org_id_fkey FOREIGN KEY (org_id) REFERENCES public.organizations(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.services
    ADD CONSTRAINT services_org_id_fkey FOREIGN KEY (org_id) REFERENCES public.organizations(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.sms_messages
    ADD CONSTRAINT sms_messages_org_id_appointment_id_fkey FOREIGN KEY (org_id, appointment_id) REFERENCES public.appointments(org_id, id) ON DELETE CASCADE;

ALTER TABLE ONLY public.sms_opt_outs
    ADD CONSTRAINT sms_opt_outs_org_id_fkey FOREIGN KEY (org_id) REFERENCES public.organizations(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.text_answers
    ADD CONSTRAINT text_answers_org_id_fkey FOREIGN KEY (org_id) REFERENCES public.organizations(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.time_off
    ADD CONSTRAINT time_off_calendar FOREIGN KEY (org_id, calendar_id) REFERENCES public.busy_calendars(org_id, id) ON DELETE CASCADE;

ALTER TABLE ONLY public.time_off
    ADD CONSTRAINT time_off_org_id_provider_id_fkey FOREIGN KEY (org_id, provider_id) REFERENCES public.providers(org_id, id) ON DELETE CASCADE;

ALTER TABLE ONLY public.tool_calls
    ADD CONSTRAINT tool_calls_org_id_fkey FOREIGN KEY (org_id) REFERENCES public.organizations(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.webhook_endpoints
    ADD CONSTRAINT webhook_endpoints_org_id_fkey FOREIGN KEY (org_id) REFERENCES public.organizations(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.webhook_messages
    ADD CONSTRAINT webhook_messages_org_id_endpoint_id_fkey FOREIGN KEY (org_id, endpoint_id) REFERENCES public.webhook_endpoints(org_id, id) ON DELETE CASCADE;

ALTER TABLE ONLY public.working_hours
    ADD CONSTRAINT working_hours_org_id_provider_id_fkey FOREIGN KEY (org_id, provider_id) REFERENCES public.providers(org_id, id) ON DELETE CASCADE;

ALTER TABLE ONLY public.working_hours_overrides
    ADD CONSTRAINT working_hours_overrides_org_id_provider_id_fkey FOREIGN KEY (org_id, provider_id) REFERENCES public.providers(org_id, id) ON DELETE CASCADE;

ALTER TABLE public.alarm_counters ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.alarms ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.appointment_changes ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.appointment_texts ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.appointments ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.assistants ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.audit_logs ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.blocked_numbers ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.busy_calendars ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.calendar_feeds ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.call_reports ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.calls ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.clinic_facts ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.contacts ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.desk_hours ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.desk_messages ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.metric_batches ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.metric_events ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.metric_minutes ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.metric_totals ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.one_time_passcodes ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.open_questions ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.org_channels ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.org_credentials ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.org_members ENABLE ROW LEVEL SECURITY;

CREATE POLICY org_members_self ON public.org_members FOR SELECT TO authenticated USING ((user_id = ( SELECT auth.uid() AS uid)));

ALTER TABLE public.organizations ENABLE ROW LEVEL SECURITY;

CREATE POLICY organizations_staff ON public.organizations FOR SELECT TO authenticated USING ((id IN ( SELECT m.org_id
   FROM public.org_members m
  WHERE (m.user_id = ( SELECT auth.uid() AS uid)))));

ALTER TABLE public.overlap_findings ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.phone_counts ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.provider_services ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.providers ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.services ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.sms_messages ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.sms_opt_outs ENABLE ROW LEVEL SECURITY;

CREATE POLICY staff_read ON public.alarms FOR SELECT TO authenticated USING ((org_id IN ( SELECT m.org_id
   FROM public.org_members m
  WHERE ((m.user_id = ( SELECT auth.uid() AS uid)) AND (m.role = ANY ('{desk,manager,owner}'::text[]))))));

CREATE POLICY staff_read ON public.appointment_changes FOR SELECT TO authenticated USING ((org_id IN ( SELECT m.org_id
   FROM public.org_members m
  WHERE ((m.user_id = ( SELECT auth.uid() AS uid)) AND (m.role = ANY ('{desk,manager,owner}'::text[]))))));

CREATE POLICY staff_read ON public.appointment_texts FOR SELECT TO authenticated USING ((org_id IN ( SELECT m.org_id
   FROM public.org_members m
  WHERE ((m.user_id = ( SELECT auth.uid() AS uid)) AND (m.role = ANY ('{desk,manager,owner}'::text[]))))));

CREATE POLICY staff_read ON public.appointments FOR SELECT TO authenticated USING ((org_id IN ( SELECT m.org_id
   FROM public.org_members m
  WHERE ((m.user_id = ( SELECT auth.uid() AS uid)) AND (m.role = ANY ('{viewer,desk,manager,owner}'::text[]))))));

CREATE POLICY staff_read ON public.assistants FOR SELECT TO authenticated USING ((org_id IN ( SELECT m.org_id
   FROM public.org_members m
  WHERE ((m.user_id = ( SELECT auth.uid() AS uid)) AND (m.role = ANY ('{manager,owner}'::text[]))))));

CREATE POLICY staff_read ON public.audit_logs FOR SELECT TO authenticated USING ((org_id IN ( SELECT m.org_id
   FROM public.org_members m
  WHERE ((m.user_id = ( SELECT auth.uid() AS uid)) AND (m.role = ANY ('{manager,owner}'::text[]))))));

CREATE POLICY staff_read ON public.blocked_numbers FOR SELECT TO authenticated USING ((org_id IN ( SELECT m.org_id
   FROM public.org_members m
  WHERE ((m.user_id = ( SELECT auth.uid() AS uid)) AND (m.role = ANY ('{desk,manager,owner}'::text[]))))));

CREATE POLICY staff_read ON public.call_reports FOR SELECT TO authenticated USING ((org_id IN ( SELECT m.org_id
   FROM public.org_members m
  WHERE ((m.user_id = ( SELECT auth.uid() AS uid)) AND (m.role = ANY ('{desk,manager,owner}'::text[]))))));

CREATE POLICY staff_read ON public.clinic_facts FOR SELECT TO authenticated USING ((org_id IN ( SELECT m.org_id
   FROM public.org_members m
  WHERE ((m.user_id = ( SELECT auth.uid() AS uid)) AND (m.role = ANY ('{desk,manager,owner}'::text[]))))));

CREATE POLICY staff_read ON public.contacts FOR SELECT TO authenticated USING ((org_id IN ( SELECT m.org_id
   FROM public.org_members m
  WHERE ((m.user_id = ( SELECT auth.uid() AS uid)) AND (m.role = ANY ('{desk,manager,owner}'::text[]))))));

CREATE POLICY staff_read ON public.desk_hours FOR SELECT TO authenticated USING ((org_id IN ( SELECT m.org_id
   FROM public.org_members m
  WHERE ((m.user_id = ( SELECT auth.uid() AS uid)) AND (m.role = ANY ('{viewer,desk,manager,owner}'::text[]))))));

CREATE POLICY staff_read ON public.desk_messages FOR SELECT TO authenticated USING ((org_id IN ( SELECT m.org_id
   FROM public.org_members m
  WHERE ((m.user_id = ( SELECT auth.uid() AS uid)) AND (m.role = ANY ('{desk,manager,owner}'::text[]))))));

CREATE POLICY staff_read ON public.open_questions FOR SELECT TO authenticated USING ((org_id IN ( SELECT m.org_id
   FROM public.org_members m
  WHERE ((m.user_id = ( SELECT auth.uid() AS uid)) AND (m.role = ANY ('{desk,manager,owner}'::text[]))))));

CREATE POLICY staff_read ON public.org_channels FOR SELECT TO authenticated USING ((org_id IN ( SELECT m.org_id
   FROM public.org_members m
  WHERE ((m.user_id = ( SELECT auth.uid() AS uid)) AND (m.role = ANY ('{manager,owner}'::text[]))))));

CREATE POLICY staff_read ON public.overlap_findings FOR SELECT TO authenticated USING ((org_id IN ( SELECT m.org_id
   FROM public.org_members m
  WHERE ((m.user_id = ( SELECT auth.uid() AS uid)) AND (m.role = ANY ('{desk,manager,owner}'::text[]))))));

CREATE POLICY staff_read ON public.provider_services FOR SELECT TO authenticated USING ((org_id IN ( SELECT m.org_id
   FROM public.org_members m
  WHERE ((m.user_id = ( SELECT auth.uid() AS uid)) AND (m.role = ANY ('{viewer,desk,manager,owner}'::text[]))))));

CREATE POLICY staff_read ON public.providers FOR SELECT TO authenticated USING ((org_id IN ( SELECT m.org_id
   FROM public.org_members m
  WHERE ((m.user_id = ( SELECT auth.uid() AS uid)) AND (m.role = ANY ('{viewer,desk,manager,owner}'::text[]))))));

CREATE POLICY staff_read ON public.services FOR SELECT TO authenticated USING ((org_id IN ( SELECT m.org_id
   FROM public.org_members m
  WHERE ((m.user_id = ( SELECT auth.uid() AS uid)) AND (m.role = ANY ('{viewer,desk,manager,owner}'::text[]))))));

CREATE POLICY staff_read ON public.sms_messages FOR SELECT TO authenticated USING ((org_id IN ( SELECT m.org_id
   FROM public.org_members m
  WHERE ((m.user_id = ( SELECT auth.uid() AS uid)) AND (m.role = ANY ('{desk,manager,owner}'::text[]))))));

CREATE POLICY staff_read ON public.time_off FOR SELECT TO authenticated USING ((org_id IN ( SELECT m.org_id
   FROM public.org_members m
  WHERE ((m.user_id = ( SELECT auth.uid() AS uid)) AND (m.role = ANY ('{viewer,desk,manager,owner}'::text[]))))));

CREATE POLICY staff_read ON public.working_hours FOR SELECT TO authenticated USING ((org_id IN ( SELECT m.org_id
   FROM public.org_members m
  WHERE ((m.user_id = ( SELECT auth.uid() AS uid)) AND (m.role = ANY ('{viewer,desk,manager,owner}'::text[]))))));

CREATE POLICY staff_read ON public.working_hours_overrides FOR SELECT TO authenticated USING ((org_id IN ( SELECT m.org_id
   FROM public.org_members m
  WHERE ((m.user_id = ( SELECT auth.uid() AS uid)) AND (m.role = ANY ('{viewer,desk,manager,owner}'::text[]))))));

ALTER TABLE public.text_answers ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.time_off ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.tool_calls ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.webhook_endpoints ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.webhook_messages ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.working_hours ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.working_hours_overrides ENABLE ROW LEVEL SECURITY;

GRANT USAGE ON SCHEMA public TO anon;
GRANT USAGE ON SCHEMA public TO authenticated;
GRANT USAGE ON SCHEMA public TO service_role;
GRANT ALL ON SCHEMA public TO postgres;

REVOKE ALL ON FUNCTION private.require(p_condition boolean, p_row text, p_reason text) FROM PUBLIC;

GRANT SELECT ON TABLE public.providers TO authenticated;
GRANT SELECT ON TABLE public.providers TO service_role;

GRANT SELECT ON TABLE public.services TO authenticated;
GRANT SELECT ON TABLE public.services TO service_role;

REVOKE ALL ON FUNCTION private.accept_text(p_org uuid, p_send uuid, p_sid text) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.add_feed(p_org uuid, p_id uuid, p_provider uuid, p_label text, p_token_hash text) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.add_seal(p_org uuid, p_through xid8, p_ids uuid[], p_times timestamp with time zone[], p_digests bytea[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.is_time_zone(p_name text) FROM PUBLIC;

GRANT SELECT ON TABLE public.organizations TO authenticated;
GRANT SELECT ON TABLE public.organizations TO service_role;

REVOKE ALL ON FUNCTION private.agrees_with_envelope(p_org public.organizations, p_call jsonb) FROM PUBLIC;

GRANT SELECT ON TABLE public.appointments TO authenticated;
GRANT SELECT ON TABLE public.appointments TO service_role;

REVOKE ALL ON FUNCTION private.alternatives(p_org public.organizations, p_service public.services, p_provider public.providers, p_start timestamp with time zone, p_old public.appointments, p_moves uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.announce(p_org uuid, p_appointment uuid, p_kind text, p_moved_from uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.desk_state(p_org public.organizations, p_at timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.answer(p_org public.organizations, p_answer jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.answer_idle(p_org uuid, p_call jsonb, p_tool text, p_hash bytea, p_refusal jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.answer_limit() FROM PUBLIC;

REVOKE ALL ON FUNCTION private.answer_without_claim(p_org public.organizations, p_call jsonb, p_wanted private.wanted_slot, p_patient jsonb, p_hash bytea, p_old public.appointments, p_confirmed public.appointments, p_now timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.answer_without_text(p_org public.organizations, p_call jsonb, p_entered public.calls, p_phone text, p_purpose text, p_hold uuid, p_hash bytea, p_first_answer jsonb, p_now timestamp with time zone) FROM PUBLIC;

GRANT SELECT ON TABLE public.appointment_changes TO authenticated;
GRANT SELECT ON TABLE public.appointment_changes TO service_role;

REVOKE ALL ON FUNCTION private.apply_change(p_org public.organizations, p_call jsonb, p_change public.appointment_changes, p_appointment public.appointments, p_hold public.appointments, p_now timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.ask_desk(p_org public.organizations, p_phone text, p_now timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.ask_function(p_name text) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.ask_which(p_org public.organizations, p_change public.appointment_changes, p_fits public.appointments[], p_now timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.attempts_left(p_org public.organizations, p_call public.calls, p_phone bytea, p_now timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.audit(p_org uuid, p_call jsonb, p_action text, p_subject uuid, p_outcome text, p_details jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.is_held(p_row public.appointments, p_at timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.awaits_code(p_row public.appointments, p_at timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.begin_at_hold(p_org public.organizations, p_call jsonb, p_hold uuid, p_send uuid, p_mac text, p_key_id text, p_sender text) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.begin_follow_up(p_org public.organizations, p_call jsonb, p_hold public.appointments, p_ended_reason text, p_send uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.begin_send(p_org public.organizations, p_call jsonb, p_hold text, p_send uuid, p_mac text, p_key_id text, p_sender text) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.bind_mac(p_mac text, p_org uuid, p_call_id text, p_phone bytea, p_send uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.takes_time(p_row public.appointments) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.is_live(p_row public.appointments, p_at timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.blocks(p_row public.appointments, p_call_id text, p_moves uuid, p_at timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.book_at_desk(p_org public.organizations, p_request jsonb, p_slot_id text, p_patient jsonb, p_texts boolean) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.busy_time(p_service public.services, p_start timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.busy_window(p_org uuid, p_now timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.hash_phone(p_phone text) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.caller_key(p_org uuid, p_call public.calls) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.calls_of(p_org uuid, p_phone text, p_name text, p_is_alone boolean, p_appointments uuid[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.cancel_at_desk(p_org uuid, p_row public.appointments) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.cancel_hold(p_org public.organizations, p_call jsonb, p_patient jsonb, p_said jsonb, p_now timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.cancel_row(p_org uuid, p_row public.appointments) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.carry_out(p_org public.organizations, p_call jsonb, p_entered public.calls, p_phone text, p_is_proof boolean, p_now timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.carry_out_answer(p_org uuid, p_meaning text, p_rows public.appointments[], p_now timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.change_appointment(p_org public.organizations, p_call jsonb, p_kind text, p_patient jsonb, p_said jsonb, p_slot_id text) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.change_now(p_org public.organizations, p_call jsonb, p_entered public.calls, p_kind text, p_patient jsonb, p_said jsonb, p_slot_id text, p_now timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.change_schedule(p_org uuid, p_request uuid, p_action text, p_provider uuid, p_kind text, p_value jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.choice_limit() FROM PUBLIC;

REVOKE ALL ON FUNCTION private.choose_providers(p_org public.organizations, p_wanted private.wanted_slot, p_old public.appointments, p_moves public.appointments, p_at timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.claim_at_desk(p_org public.organizations, p_request jsonb, p_wanted private.wanted_slot, p_patient jsonb, p_moves public.appointments, OUT hold public.appointments, OUT refusal jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.webhook_types() FROM PUBLIC;

REVOKE ALL ON FUNCTION private.claim_messages(p_org uuid, p_endpoint public.webhook_endpoints, p_limit integer, p_now timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.claim_start(p_org public.organizations, p_call jsonb, p_entered public.calls, p_action text, p_wanted private.wanted_slot, p_patient jsonb, p_old public.appointments, p_moves public.appointments) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.is_appointment_text(p_kind text) FROM PUBLIC;

GRANT SELECT ON TABLE public.appointment_texts TO authenticated;
GRANT SELECT ON TABLE public.appointment_texts TO service_role;

REVOKE ALL ON FUNCTION private.claim_text(p_org public.organizations, p_text public.appointment_texts, p_row public.appointments, p_now timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.clinic_refusal(p_org public.organizations, p_clinic jsonb) FROM PUBLIC;

GRANT SELECT ON TABLE public.call_reports TO authenticated;
GRANT SELECT ON TABLE public.call_reports TO service_role;

REVOKE ALL ON FUNCTION private.close_call(p_org public.organizations, p_call jsonb, p_known public.call_reports, p_ended_reason text, p_send uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.close_questions(p_org uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.cluster_id() FROM PUBLIC;

REVOKE ALL ON FUNCTION private.code_attempts() FROM PUBLIC;

REVOKE ALL ON FUNCTION private.code_lifetime() FROM PUBLIC;

REVOKE ALL ON FUNCTION private.collect_events(p_wait boolean) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.compare_digits(p_org public.organizations, p_call public.calls, p_codes private.awaited_code[], p_purpose text, p_macs jsonb, p_now timestamp with time zone, OUT matched private.awaited_code, OUT answer jsonb, OUT compared boolean) FROM PUBLIC;

GRANT SELECT ON TABLE public.sms_messages TO authenticated;
GRANT SELECT ON TABLE public.sms_messages TO service_role;

REVOKE ALL ON FUNCTION private.complete_send(p_org uuid, p_call jsonb, p_text public.sms_messages, p_sid text) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.confirm_at_desk(p_org public.organizations, p_row public.appointments) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.confirm_hold(p_org uuid, p_hold public.appointments, p_proven_at timestamp with time zone, p_now timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.confirm_holds(p_org public.organizations, p_call jsonb, p_phone text, p_now timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.confirm_row(p_org uuid, p_row public.appointments, p_now timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.count_attempt(p_phone bytea, p_now timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.count_audit() FROM PUBLIC;

REVOKE ALL ON FUNCTION private.count_failure(INOUT p_endpoint public.webhook_endpoints, p_claimed_at timestamp with time zone, p_now timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.count_for_alarm(p_org public.organizations, p_kind private.alarm_kind, p_now timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.count_hold(p_org uuid, p_call public.calls, p_hold public.appointments, p_now timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.count_holds(p_org uuid, p_key bytea, p_replaced uuid, p_at timestamp with time zone, OUT live_by integer, OUT live_for integer, OUT made integer, OUT kept private.counted_hold[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.count_missed(p_org uuid, p_call_id text, p_outcome text) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.count_old(p_org public.organizations, p_now timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.count_send(p_phone bytea, p_caller bytea, p_now timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.count_since(p_times timestamp with time zone[], p_since timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.count_wrong_code(p_org public.organizations, p_call public.calls, p_codes private.awaited_code[], p_purpose text, p_now timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.decide_answer(p_org public.organizations, p_phone text, p_answer jsonb, p_now timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.delete_old(p_rule private.retention_rules, p_now timestamp with time zone, p_limit bigint) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.delete_shared(p_now timestamp with time zone, p_limit bigint) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.delivery_rank(p_delivery text) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.delivery_of(p_status text) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.describe_appointment(p_org public.organizations, p_appointment public.appointments, p_now timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.describe_assistant(p_org uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.describe_beside(p_org public.organizations, p_call_id text, p_hold uuid, p_at timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.describe_change(p_org public.organizations, p_change public.appointment_changes, p_now timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.describe_changes(p_before jsonb, p_after jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.describe_clinic(p_org public.organizations) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.describe_feed(p_org public.organizations, p_feed public.calendar_feeds, p_now timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.describe_hold(p_org public.organizations, p_hold public.appointments, p_now timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.describe_kept(p_org public.organizations, p_call_id text, p_patient jsonb, p_said jsonb, p_now timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.describe_line(p_org public.organizations) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.describe_message(p_org uuid, p_endpoint public.webhook_endpoints, p_message public.webhook_messages, p_now timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.describe_misplaced(p_org public.organizations, p_known uuid[], p_at timestamp with time zone, p_provider uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.describe_opening(p_org public.organizations, p_day date) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.describe_own_hold(p_org public.organizations, p_hold public.appointments, p_at timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.describe_providers(p_org public.organizations) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.describe_released(p_org public.organizations, p_hold public.appointments) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.describe_settled(p_org public.organizations, p_call_id text, p_phone text, p_now timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.describe_slot(p_zone text, p_service public.services, p_provider_slug text, p_start timestamp with time zone, p_doctors bigint) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.describe_state(p_org public.organizations, p_row public.appointments, p_now timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.describe_text(p_org public.organizations, p_text public.appointment_texts, p_row public.appointments) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.describe_unclear_day(p_org public.organizations, p_said jsonb, p_today date) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.desk_answers_at(p_org public.organizations, p_now timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.desk_opens_at(p_org public.organizations, p_at timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON TABLE public.audit_logs FROM postgres;
GRANT SELECT,INSERT,DELETE ON TABLE public.audit_logs TO postgres;
GRANT SELECT ON TABLE public.audit_logs TO authenticated;
GRANT SELECT ON TABLE public.audit_logs TO service_role;

REVOKE ALL ON FUNCTION private.digest_row(p_row public.audit_logs) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.drop_new_time(p_org public.organizations, p_call jsonb, p_action text, p_change public.appointment_changes) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.end_proofs(p_org uuid, p_call_id text) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.enter_call(p_org public.organizations, p_call jsonb, p_patient_name text) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.enter_desk(p_org uuid, p_request uuid, p_action text, p_role text, p_arguments jsonb, OUT org public.organizations, OUT request jsonb, OUT answer jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.erase_rows(p_patient private.patient) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.expire_holds(p_org uuid, p_rows tid[], p_now timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.expire_in_way(p_org uuid, p_provider uuid, p_busy tstzrange, p_now timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.expired_holds(p_org public.organizations, p_call_id text, p_phone text, p_now timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.expired_status(p_row public.appointments) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.extend_holds(p_org public.organizations, p_call_id text, p_phone text, p_until timestamp with time zone, p_now timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.fact_words(p_question text, p_also_asked text[], p_tags text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.fail_text(p_org uuid, p_send uuid, p_reason text, p_may_have_been_sent boolean) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.fail_waiting(p_org uuid, p_endpoint uuid, p_reason text) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.failed_twice(p_org uuid, p_call_id text, p_phone bytea) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.find_change(p_org uuid, p_call_id text) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.find_codes(p_org uuid, p_call_id text, p_hold public.appointments, p_phone text, p_now timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.find_confirmed(p_org uuid, p_call_id text, p_wanted private.wanted_slot, p_name text) FROM PUBLIC;

GRANT SELECT ON TABLE public.clinic_facts TO authenticated;
GRANT SELECT ON TABLE public.clinic_facts TO service_role;

REVOKE ALL ON FUNCTION private.find_fact(p_org uuid, p_question text, p_strictly boolean) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.find_free(p_org public.organizations, p_service public.services, p_provider uuid, p_start timestamp with time zone, p_call_id text, p_at timestamp with time zone, p_moves uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.find_held_time(p_org uuid, p_call jsonb, p_entered public.calls, p_wanted private.wanted_slot, p_patient jsonb, p_now timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.find_holds(p_org uuid, p_call_id text, p_at timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.find_hours(p_org public.organizations, p_service uuid, p_provider uuid, p_day date) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.find_in_vault(OUT id uuid, OUT secret text) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.find_left_hold(p_org uuid, p_call public.calls, p_wanted private.wanted_slot, p_patient jsonb, p_at timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.find_misplaced(p_org public.organizations, p_at timestamp with time zone, p_provider uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.find_new_time(p_org uuid, p_call_id text, p_at timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.find_open(p_org public.organizations, p_service public.services, p_provider uuid, p_start timestamp with time zone, p_at timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.find_overlapped(p_org uuid, p_calendar uuid, p_provider uuid, p_now timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.find_own_hold(p_org uuid, p_call_id text, p_hold uuid, p_name text, p_at timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.find_patient(p_org uuid, p_phone text, p_name text, OUT patient private.patient, OUT is_found boolean, OUT names integer) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.find_providers(p_org uuid, p_asked text) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.find_question(p_org uuid, p_hash bytea, p_now timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.find_reminded(p_org public.organizations, p_day date, p_now timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.find_role(p_org uuid, p_user uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.find_service(p_org uuid, p_asked text) FROM PUBLIC;

GRANT SELECT ON TABLE public.assistants TO authenticated;
GRANT SELECT ON TABLE public.assistants TO service_role;

REVOKE ALL ON FUNCTION private.find_settings(p_org uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.find_starts(p_org uuid, p_service uuid, p_provider uuid, p_first date, p_last date, p_call_id text, p_at timestamp with time zone, p_moves uuid, p_part text) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.find_tampering(p_org uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.find_unguarded(p_org uuid, p_provider uuid, p_from timestamp with time zone, p_id uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.find_waiting(p_org public.organizations, p_call_id text, p_hold text, p_now timestamp with time zone, OUT hold public.appointments, OUT phone text, OUT country text, OUT purpose text, OUT refusal jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.fit(p_words text[], p_fact text[], p_nearly boolean) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.fits_when(p_org public.organizations, p_appointment public.appointments, p_said jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.fitting_appointments(p_org public.organizations, p_change public.appointment_changes, p_call_id text, p_at timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.fold_events(p_limit integer) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.follow_up_refusal(p_org public.organizations, p_hold public.appointments, p_now timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.forget_old_phone(p_org uuid, p_hold public.appointments) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.forget_passcode(p_org uuid, p_call_id text, p_phone bytea) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.hand_over_holds(p_org public.organizations, p_call jsonb, p_entered public.calls, p_named uuid, p_phones text[], p_now timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.handle_notice(p_org uuid, p_kind text, p_id uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.has_expired(p_row public.appointments, p_at timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.has_other_title(p_one text, p_other text) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.has_texts_left(p_org public.organizations, p_origin text, p_now timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.has_vault() FROM PUBLIC;

REVOKE ALL ON FUNCTION private.hash_seal(p_org uuid, p_number integer, p_sealed_at timestamp with time zone, p_ids uuid[], p_times timestamp with time zone[], p_digests bytea[], p_previous bytea) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.hold_limit(p_org public.organizations, p_call public.calls, p_phone bytea, p_replaced uuid, p_at timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.hold_slot(p_org public.organizations, p_call jsonb, p_slot_id text, p_patient jsonb, p_hold uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.host_of(p_address text) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.hours_of_part(p_part text) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.insert_hold(p_org public.organizations, p_call jsonb, p_action text, p_wanted private.wanted_slot, p_patient jsonb, p_old public.appointments, p_moves public.appointments, OUT hold public.appointments, OUT was_free boolean) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.insert_seat(p_org uuid, p_hold public.appointments) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.is_blocked(p_org uuid, VARIADIC p_phones bytea[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.is_booking(p_org uuid, p_call_id text, p_earlier public.appointment_changes, p_wanted private.wanted_slot, p_patient jsonb, p_now timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.is_braked(p_org uuid, p_now timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.is_code(p_code public.one_time_passcodes, p_macs jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.is_fault_of_number(p_error_code integer) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.is_for_patient(p_hold public.appointments, p_patient jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.is_kept(p_row public.appointments) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.is_known_number(p_org uuid, p_phone text) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.is_left_to(p_org uuid, p_hold public.appointments, p_call_id text) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.is_named_in(p_name text, p_text text) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.is_new_time(p_org uuid, p_hold public.appointments) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.is_number_of(p_org uuid, p_number text) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.is_phone_full(p_org public.organizations, p_call public.calls, p_phone bytea, p_replaced uuid, p_at timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.is_proven(p_org uuid, p_call_id text, p_phone bytea, p_at timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.is_said_time(p_at timestamp with time zone, p_zone text, p_said jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.is_same_name(p_said text, p_stored text) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.is_same_patient(p_one text, p_other text) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.is_sealed_here(p_sealing private.audit_sealing) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.is_still_bookable(p_org uuid, p_row public.appointments, p_at timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.is_taken(p_org uuid, p_service public.services, p_provider uuid, p_start timestamp with time zone, p_call_id text, p_at timestamp with time zone, p_moves uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.is_text_due(p_org public.organizations, p_change public.appointment_changes, p_at timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.is_true_text(p_text public.appointment_texts, p_row public.appointments, p_now timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.is_wanted(p_wanted private.wanted_slot, p_hold public.appointments) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.is_with(p_org uuid, p_appointment public.appointments, p_doctor text) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.iso_local(p_at timestamp with time zone, p_zone text) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.keep_change(p_org uuid, p_call_id text, p_kind text, p_patient jsonb, p_said jsonb, p_slot_id text, p_hold uuid, p_is_booking boolean, p_now timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.keep_question(p_org uuid, p_call_id text, p_question text, p_now timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.keep_since(p_times timestamp with time zone[], p_since timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.known_of_call(p_org uuid, p_call_id text) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.leave_desk(p_org uuid, p_request jsonb, p_subject uuid, p_answer jsonb, p_details jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.leave_schedule(p_org uuid, p_request jsonb, p_provider uuid, p_known uuid[], p_answer jsonb, p_details jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.list_appointments(p_org public.organizations, p_names text[], p_call_id text, p_phone text, p_now timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.list_busy(p_org uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.list_channels(p_org uuid, p_kind text) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.list_feeds(p_org uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.lock_booking(p_org uuid, p_appointment uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.lock_call(p_org uuid, p_call_id text) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.lock_calls(p_org uuid, p_call_ids text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.lock_end(p_org public.organizations, p_call_id text) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.lock_hold(p_org uuid, p_hold public.appointments, p_at timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.lock_holds(p_org uuid, p_call_id text) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.lock_phones(p_hashes bytea[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.lock_provider(p_org uuid, p_provider uuid, p_wait boolean) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.lock_providers(p_org uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.mark_at_desk(p_org public.organizations, p_row public.appointments, p_as text) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.mask_phone(p_phone text) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.may_keep(p_org public.organizations, p_keys bytea[], p_now timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.may_mean_another(p_org uuid, p_hash bytea, p_rows public.appointments[], p_now timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.may_reply(p_org public.organizations, p_phone text, p_country text, p_meaning text, p_outcome text, p_ids uuid[], p_now timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.may_text_more(p_org public.organizations, p_now timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.measure_wait(p_row public.appointments, p_result text) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.message_refusal(p_org public.organizations, p_call jsonb, p_hash bytea, p_now timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.misplaced_ids(p_org public.organizations, p_provider uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.wake_time(p_zone text, p_at timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.missed_day(p_org public.organizations, p_last date, p_at timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.move_at_desk(p_org public.organizations, p_request jsonb, p_row public.appointments, p_slot_id text) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.name_question(p_words text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.name_slot(p_service_slug text, p_local_start text, p_zone text, p_provider_slug text) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.names_hold(p_said jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.names_of(p_org uuid, p_phone text) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.note_failure(p_org uuid, p_endpoint public.webhook_endpoints, p_reason text, p_is_gone boolean, p_is_final boolean, p_claimed_at timestamp with time zone, p_now timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.note_finding(p_org uuid, p_appointment uuid, p_kind text, p_repaired boolean, p_details jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.note_opt_out(p_org uuid, p_send uuid, p_opted_out boolean) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.note_overlaps(p_org uuid, p_provider uuid, p_from timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.note_purge(p_org uuid, p_before timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.note_request(p_org uuid, p_hold uuid, p_request text) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.note_wish(p_org uuid, p_hash bytea, p_wish text) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.number_to_call(p_org uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.offer(p_org public.organizations, p_service public.services, p_provider public.providers, p_first date, p_last date, p_part text, p_call_id text, p_at timestamp with time zone, p_few integer) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.offer_nearest(p_org public.organizations, p_service public.services, p_provider public.providers, p_first date, p_last date, p_horizon date, p_part text, p_call_id text, p_at timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.open_call(p_call jsonb, p_action text, OUT org public.organizations, OUT refusal jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.open_change(p_org public.organizations, p_call jsonb, p_entered public.calls, p_kind text, p_patient jsonb, p_said jsonb, p_slot_id text, p_now timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.origin_of(p_call public.calls, p_phone bytea) FROM PUBLIC;

REVOKE ALL ON FUNCTION private."overlaps"(p_busy tstzrange, p_other tstzrange) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.parse_slot_id(p_slot_id text, p_zone text, OUT service_slug text, OUT starts_at timestamp with time zone, OUT provider_slug text) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.patient_key(p_org uuid, p_phone text) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.patient_refusal(p_org uuid, p_patient jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.phone_send_refusal(p_org public.organizations, p_call public.calls, p_phone bytea, p_now timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.plain_name(p_name text) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.prepare_change(p_org public.organizations, p_call jsonb, p_entered public.calls, p_change public.appointment_changes, p_with_holds boolean, p_now timestamp with time zone, OUT answer jsonb, OUT appointment public.appointments, OUT hold public.appointments) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.proof_lifetime() FROM PUBLIC;

REVOKE ALL ON FUNCTION private.protect(p_table regclass, p_role text) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.prove_phone(p_org uuid, p_call_id text, p_phone bytea, p_now timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.question_words(p_text text) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.queue_reminders(p_org public.organizations, p_day date, p_now timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.queue_text(p_org uuid, p_appointment uuid, p_kind text, p_moved_from uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.raise_alarm(p_org uuid, p_kind private.alarm_kind, p_events integer, p_first_at timestamp with time zone, p_now timestamp with time zone, p_endpoint uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.read_caller(p_org public.organizations, p_call jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.read_credentials(p_org uuid, p_provider text) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.read_functions_target() FROM PUBLIC;

REVOKE ALL ON FUNCTION private.read_id(p_text text) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.read_local(p_text text, p_zone text, p_ends boolean) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.read_offered(p_org uuid, p_provider uuid, p_service uuid, p_start timestamp with time zone, p_at timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.read_patient(p_patient private.patient) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.read_said(p_org public.organizations, p_call jsonb, p_patient_name text, p_appointment text, p_date jsonb, p_time jsonb, p_provider text, OUT said jsonb, OUT refusal jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.read_schedule(p_kind text, p_value jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.read_wanted(p_org public.organizations, p_slot_id text) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.recall_answer(p_org uuid, p_call jsonb, p_tool text, p_hash bytea) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.recall_request(p_org uuid, p_call_id text, p_request jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.record_answer(p_org uuid, p_call jsonb, p_tool text, p_hash bytea, p_answer jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.record_delivery(p_org uuid, p_send uuid, p_sid text, p_delivery text, p_error_code integer) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.refuse_answer(p_org uuid, p_hash bytea, p_rows public.appointments[], p_now timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.refuse_attempts(p_purpose text) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.refuse_code(p_org public.organizations, p_call public.calls, p_awaited private.awaited_code, p_purpose text, p_macs jsonb, p_now timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.refuse_gone(p_call jsonb, p_action text) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.refuse_reports(p_org uuid, p_calls text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.refuse_slot(p_org public.organizations, p_call jsonb, p_action text, p_wanted private.wanted_slot, p_old public.appointments, p_moves public.appointments, p_was_free boolean, p_at timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.refuse_start(p_org public.organizations, p_wanted private.wanted_slot, p_moves uuid, p_was_free boolean) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.release_call(p_org public.organizations, p_call jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.release_hold(p_org uuid, p_call jsonb, p_action text, p_hold uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.reminded_appointments(p_org uuid, p_phone text, p_now timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.reminder_day(p_org public.organizations, p_at timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.reminder_lead() FROM PUBLIC;

REVOKE ALL ON FUNCTION private.repeat_answer(p_org uuid, p_call jsonb, p_tool text, p_hash bytea, p_outcome text) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.repeat_hold(p_org public.organizations, p_call jsonb, p_entered public.calls, p_hold uuid, p_patient jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.repeat_released(p_org uuid, p_call jsonb, p_hash bytea, p_named uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.repeat_request(p_org public.organizations, p_call_id text, p_request text, p_wanted private.wanted_slot, p_name text, p_now timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.repeated_send(p_org uuid, p_code public.one_time_passcodes, p_tool_call_id text, p_purpose text, p_now timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.replace_absences(p_org uuid, p_calendar uuid, p_provider uuid, p_spans tstzrange[], OUT added integer, OUT removed integer) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.request_key(p_call jsonb, p_patient jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.require_hours(p_row text, p_start integer, p_end integer) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.require_read_committed() FROM PUBLIC;

REVOKE ALL ON FUNCTION private.require_unchanged(p_is_unchanged boolean) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.resolve_day(p_org public.organizations, p_said jsonb, p_today date, p_last date) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.restore_entries(p_org uuid, p_provider uuid, p_id uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.retake_time(p_org uuid, p_row public.appointments, p_contact uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.retry_delay(p_attempts integer) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.revoke_feed(p_org uuid, p_feed uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.role_refusal(p_role text, p_needed text) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.roles_from(p_role text) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.rows_of_call(p_org uuid, p_call_id text) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.save_contact(p_org uuid, p_phone text, p_name text, p_proven_at timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.seats_left(p_org uuid, p_service public.services, p_provider uuid, p_start timestamp with time zone, p_call_id text, p_at timestamp with time zone, p_moves uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.send_or_refuse(p_org public.organizations, p_call jsonb, p_entered public.calls, p_code public.one_time_passcodes, p_hold public.appointments, p_target jsonb, p_send uuid, p_mac text, p_key_id text, p_sender text, p_now timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.send_refusal(p_org public.organizations, p_call public.calls, p_code public.one_time_passcodes, p_target jsonb, p_sender text, p_now timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.sent_at_hold(p_org uuid, p_hold public.appointments, p_code public.one_time_passcodes, p_tool_call_id text, p_is_settled boolean, p_now timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.session_key(p_service uuid, p_start timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.set_busy(p_org uuid, p_provider uuid, p_address text) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.settle_change(p_org public.organizations, p_call jsonb, p_change public.appointment_changes, p_answer jsonb, p_hold public.appointments) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.settle_text(p_org uuid, p_text public.appointment_texts, p_state text, p_reason text, p_due_at timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.share_session(p_org uuid, p_moves uuid, p_provider uuid, p_busy tstzrange) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.slot_id(p_service_slug text, p_start timestamp with time zone, p_zone text, p_provider_slug text) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.spelled_like(p_said text, p_stored text) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.status_refusal(p_row public.appointments, p_wanted text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.steady_offset(p_day date, p_zone text) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.store_send(p_org public.organizations, p_call jsonb, p_entered public.calls, p_code public.one_time_passcodes, p_hold public.appointments, p_phone text, p_purpose text, p_send uuid, p_mac text, p_key_id text, p_now timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.take_answer(p_org public.organizations, p_sid text, p_phone text, p_answer jsonb, p_now timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.take_over(p_org uuid, p_call jsonb, p_hold uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.takes_answers(p_org public.organizations) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.tally(p_name text, p_labels jsonb, p_count double precision) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.tally_text(p_origin text, p_result text) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.tell(p_org uuid, p_type text, p_subject uuid, p_data jsonb, p_except uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.tell_answer(p_org public.organizations, p_phone text, p_country text, p_answer jsonb, p_ids uuid[], p_now timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.tell_busy(p_org uuid, p_phone text, p_answer jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.tell_of_booking(p_org uuid, p_appointment uuid, p_kind text, p_moved_from uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.text_cooldown() FROM PUBLIC;

REVOKE ALL ON FUNCTION private.text_patience() FROM PUBLIC;

GRANT SELECT ON TABLE public.contacts TO authenticated;
GRANT SELECT ON TABLE public.contacts TO service_role;

REVOKE ALL ON FUNCTION private.text_refusal(p_org public.organizations, p_kind text, p_row public.appointments, p_contact public.contacts) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.texts_about(p_org public.organizations, p_kind text) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.try_provider(p_org uuid, p_provider uuid, p_service uuid, p_start timestamp with time zone, p_replaces uuid, p_moves uuid, p_wait boolean, p_patient jsonb, p_call jsonb, p_action text, p_hold_for interval, OUT hold public.appointments, OUT was_locked boolean) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.uncount_send(p_phone bytea, p_caller bytea, p_at timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.upcoming_appointments(p_org uuid, p_call_id text, p_phone text, p_at timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.verify_code(p_org public.organizations, p_call jsonb, p_hold text, p_macs jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.waiting_refusal(p_row public.appointments, p_wanted text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.wall(p_local timestamp without time zone, p_zone text, p_later boolean) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.wall_at_change(p_local timestamp without time zone, p_zone text, p_later boolean) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.wanted_of(p_org uuid, p_row public.appointments) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.was_applied(p_org uuid, p_earlier public.appointment_changes, p_kind text, p_patient jsonb, p_slot_id text) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.was_left(p_org uuid, p_call_id text) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.was_not_delivered(p_org uuid, p_send uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.was_refused_by_number(p_org uuid, p_send uuid, p_now timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.was_said(p_org public.organizations, p_earlier public.appointment_changes, p_said jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.webhook_delay(p_attempts integer) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.webhook_patience() FROM PUBLIC;

REVOKE ALL ON FUNCTION private.wording_of(p_org public.organizations) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.words_of(p_text text) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.would_overlap(p_org uuid, p_provider uuid, p_busy tstzrange, p_session uuid, p_at timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.write_assistant(p_org uuid, p_assistant jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.write_channels(p_org uuid, p_clinic jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.write_clinic(p_org uuid, p_clinic jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.write_local(p_at timestamp with time zone, p_zone text, p_ends boolean) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.write_provider(p_org public.organizations, p_provider uuid, p_document jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.write_providers(p_org public.organizations, p_providers jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.write_schedule(p_org public.organizations, p_provider uuid, p_kind text, p_value jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.write_services(p_org uuid, p_services jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.write_span(p_span tstzrange, p_zone text) FROM PUBLIC;

REVOKE ALL ON FUNCTION private.write_umlauts(p_name text) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.add_calendar_feed(p_org uuid, p_provider text, p_label text, p_token_hash text) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.add_webhook(p_org uuid, p_id uuid, p_address text, p_types text[], p_tells_names boolean, p_secret jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.answer_question(p_call jsonb, p_question text, p_medical boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION public.answer_question(p_call jsonb, p_question text, p_medical boolean) TO service_role;

REVOKE ALL ON FUNCTION public.answer_text(p_org uuid, p_sid text, p_phone text, p_answer jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.answer_text(p_org uuid, p_sid text, p_phone text, p_answer jsonb) TO service_role;

REVOKE ALL ON FUNCTION public.apply_clinic(p_clinic jsonb, p_org uuid, p_seen text, p_dry_run boolean) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.apply_retention(p_dry_run boolean, p_batch integer) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.begin_otp_send(p_call jsonb, p_hold text, p_send_id uuid, p_mac text, p_key_id text, p_expected_org uuid, p_sender text) FROM PUBLIC;
GRANT ALL ON FUNCTION public.begin_otp_send(p_call jsonb, p_hold text, p_send_id uuid, p_mac text, p_key_id text, p_expected_org uuid, p_sender text) TO service_role;

REVOKE ALL ON FUNCTION public.begin_send_at_hold(p_call jsonb, p_hold text, p_send_id uuid, p_mac text, p_key_id text, p_expected_org uuid, p_sender text) FROM PUBLIC;
GRANT ALL ON FUNCTION public.begin_send_at_hold(p_call jsonb, p_hold text, p_send_id uuid, p_mac text, p_key_id text, p_expected_org uuid, p_sender text) TO service_role;

REVOKE ALL ON FUNCTION public.cancel_appointment(p_call jsonb, p_patient_name text, p_patient_phone text, p_patient_country text, p_appointment text, p_date jsonb, p_time jsonb, p_provider text) FROM PUBLIC;
GRANT ALL ON FUNCTION public.cancel_appointment(p_call jsonb, p_patient_name text, p_patient_phone text, p_patient_country text, p_appointment text, p_date jsonb, p_time jsonb, p_provider text) TO service_role;

REVOKE ALL ON FUNCTION public.change_webhook(p_org uuid, p_id uuid, p_as text, p_secret jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.check_availability(p_call jsonb, p_service text, p_day jsonb, p_days integer, p_part_of_day text, p_provider text) FROM PUBLIC;
GRANT ALL ON FUNCTION public.check_availability(p_call jsonb, p_service text, p_day jsonb, p_days integer, p_part_of_day text, p_provider text) TO service_role;

REVOKE ALL ON FUNCTION public.claim_appointment_texts(p_limit integer) FROM PUBLIC;
GRANT ALL ON FUNCTION public.claim_appointment_texts(p_limit integer) TO service_role;

REVOKE ALL ON FUNCTION public.claim_slot_atomic(p_call jsonb, p_slot_id text, p_patient_name text, p_patient_phone text, p_patient_country text, p_hold text) FROM PUBLIC;
GRANT ALL ON FUNCTION public.claim_slot_atomic(p_call jsonb, p_slot_id text, p_patient_name text, p_patient_phone text, p_patient_country text, p_hold text) TO service_role;

REVOKE ALL ON FUNCTION public.claim_webhooks(p_limit integer) FROM PUBLIC;
GRANT ALL ON FUNCTION public.claim_webhooks(p_limit integer) TO service_role;

REVOKE ALL ON FUNCTION public.cleanup_expired_holds(p_batch integer) FROM PUBLIC;
GRANT ALL ON FUNCTION public.cleanup_expired_holds(p_batch integer) TO service_role;

REVOKE ALL ON FUNCTION public.clear_limits(p_org uuid, p_phone text) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.clear_otp_send(p_call jsonb, p_org uuid, p_send_id uuid, p_reason text, p_may_have_been_sent boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION public.clear_otp_send(p_call jsonb, p_org uuid, p_send_id uuid, p_reason text, p_may_have_been_sent boolean) TO service_role;

REVOKE ALL ON FUNCTION public.collect_metrics() FROM PUBLIC;

REVOKE ALL ON FUNCTION public.complete_otp_send(p_call jsonb, p_org uuid, p_send_id uuid, p_sid text) FROM PUBLIC;
GRANT ALL ON FUNCTION public.complete_otp_send(p_call jsonb, p_org uuid, p_send_id uuid, p_sid text) TO service_role;

REVOKE ALL ON FUNCTION public.delete_clinic(p_org uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.end_call(p_call jsonb, p_ended_reason text, p_report jsonb, p_send uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION public.end_call(p_call jsonb, p_ended_reason text, p_report jsonb, p_send uuid) TO service_role;

REVOKE ALL ON FUNCTION public.erase_patient(p_org uuid, p_phone text, p_name text) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.export_patient(p_org uuid, p_phone text, p_name text) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.find_appointments(p_call jsonb, p_patient_name text, p_patient_phone text, p_patient_country text) FROM PUBLIC;
GRANT ALL ON FUNCTION public.find_appointments(p_call jsonb, p_patient_name text, p_patient_phone text, p_patient_country text) TO service_role;

REVOKE ALL ON FUNCTION public.find_assistant(p_call jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.find_assistant(p_call jsonb) TO service_role;

REVOKE ALL ON FUNCTION public.find_country(p_call jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.find_country(p_call jsonb) TO service_role;

REVOKE ALL ON FUNCTION public.find_misplaced_bookings(p_org uuid, p_known uuid[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.get_credentials_of(p_org uuid, p_provider text) FROM PUBLIC;
GRANT ALL ON FUNCTION public.get_credentials_of(p_org uuid, p_provider text) TO service_role;

REVOKE ALL ON FUNCTION public.get_credentials_of_number(p_number text, p_service text, p_provider text) FROM PUBLIC;
GRANT ALL ON FUNCTION public.get_credentials_of_number(p_number text, p_service text, p_provider text) TO service_role;

REVOKE ALL ON FUNCTION public.get_org_credentials(p_call jsonb, p_provider text) FROM PUBLIC;
GRANT ALL ON FUNCTION public.get_org_credentials(p_call jsonb, p_provider text) TO service_role;

REVOKE ALL ON FUNCTION public.leave_message(p_call jsonb, p_name text, p_phone text, p_wished_time text, p_message text) FROM PUBLIC;
GRANT ALL ON FUNCTION public.leave_message(p_call jsonb, p_name text, p_phone text, p_wished_time text, p_message text) TO service_role;

REVOKE ALL ON FUNCTION public.list_calendars(p_org uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.list_questions(p_org text) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.list_webhooks(p_org uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.miss_busy_times(p_org uuid, p_calendar uuid, p_fetch uuid, p_reason text) FROM PUBLIC;
GRANT ALL ON FUNCTION public.miss_busy_times(p_org uuid, p_calendar uuid, p_fetch uuid, p_reason text) TO service_role;

REVOKE ALL ON FUNCTION public.read_calendar(p_org uuid, p_token_hash text, p_seen text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION public.read_calendar(p_org uuid, p_token_hash text, p_seen text[]) TO service_role;

REVOKE ALL ON FUNCTION public.read_clinic(p_org text) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.read_line(p_org text) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.read_metrics(p_minutes integer) FROM PUBLIC;
GRANT ALL ON FUNCTION public.read_metrics(p_minutes integer) TO service_role;

REVOKE ALL ON FUNCTION public.record_delivery_report(p_org uuid, p_send_id uuid, p_sid text, p_status text, p_error_code integer) FROM PUBLIC;
GRANT ALL ON FUNCTION public.record_delivery_report(p_org uuid, p_send_id uuid, p_sid text, p_status text, p_error_code integer) TO service_role;

REVOKE ALL ON FUNCTION public.record_metrics(p_batch uuid, p_counts jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.record_metrics(p_batch uuid, p_counts jsonb) TO service_role;

REVOKE ALL ON FUNCTION public.register_channel(p_org uuid, p_kind text, p_value text) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.remove_question(p_org text, p_id text) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.replace_busy_times(p_org uuid, p_calendar uuid, p_fetch uuid, p_etag text, p_spans jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.replace_busy_times(p_org uuid, p_calendar uuid, p_fetch uuid, p_etag text, p_spans jsonb) TO service_role;

REVOKE ALL ON FUNCTION public.report_unreadable_credentials(p_call jsonb, p_provider text) FROM PUBLIC;
GRANT ALL ON FUNCTION public.report_unreadable_credentials(p_call jsonb, p_provider text) TO service_role;

REVOKE ALL ON FUNCTION public.request_busy_times() FROM PUBLIC;

REVOKE ALL ON FUNCTION public.request_webhooks() FROM PUBLIC;

REVOKE ALL ON FUNCTION public.reschedule_appointment(p_call jsonb, p_patient_name text, p_patient_phone text, p_slot_id text, p_patient_country text, p_appointment text, p_date jsonb, p_time jsonb, p_provider text) FROM PUBLIC;
GRANT ALL ON FUNCTION public.reschedule_appointment(p_call jsonb, p_patient_name text, p_patient_phone text, p_slot_id text, p_patient_country text, p_appointment text, p_date jsonb, p_time jsonb, p_provider text) TO service_role;

REVOKE ALL ON FUNCTION public.resend_webhooks(p_org uuid, p_message uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.revoke_calendar_feed(p_org uuid, p_feed uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.seal_audit(p_rows integer) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.send_appointment_texts() FROM PUBLIC;

REVOKE ALL ON FUNCTION public.set_busy_calendar(p_org uuid, p_provider text, p_address text) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.set_functions_target(p_url text, p_secret text) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.set_limits(p_org uuid, p_limits jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.set_member(p_org uuid, p_user uuid, p_role text) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.set_org_credentials(p_org uuid, p_provider text, p_key_id text, p_nonce text, p_ciphertext text, p_replaces text, p_sender text) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.settle_appointment_text(p_org uuid, p_send uuid, p_sid text, p_reason text, p_may_have_been_sent boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION public.settle_appointment_text(p_org uuid, p_send uuid, p_sid text, p_reason text, p_may_have_been_sent boolean) TO service_role;

REVOKE ALL ON FUNCTION public.settle_follow_up(p_call jsonb, p_send uuid, p_sid text, p_reason text, p_may_have_been_sent boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION public.settle_follow_up(p_call jsonb, p_send uuid, p_sid text, p_reason text, p_may_have_been_sent boolean) TO service_role;

REVOKE ALL ON FUNCTION public.settle_webhook(p_org uuid, p_message uuid, p_claim uuid, p_reason text, p_is_gone boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION public.settle_webhook(p_org uuid, p_message uuid, p_claim uuid, p_reason text, p_is_gone boolean) TO service_role;

REVOKE ALL ON FUNCTION public.staff_add_calendar_feed(p_org uuid, p_request uuid, p_provider uuid, p_label text, p_token_hash text) FROM PUBLIC;
GRANT ALL ON FUNCTION public.staff_add_calendar_feed(p_org uuid, p_request uuid, p_provider uuid, p_label text, p_token_hash text) TO authenticated;

REVOKE ALL ON FUNCTION public.staff_add_time_off(p_org uuid, p_request uuid, p_provider uuid, p_from timestamp with time zone, p_to timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION public.staff_add_time_off(p_org uuid, p_request uuid, p_provider uuid, p_from timestamp with time zone, p_to timestamp with time zone) TO authenticated;

REVOKE ALL ON FUNCTION public.staff_block_number(p_org uuid, p_request uuid, p_phone text, p_is_blocked boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION public.staff_block_number(p_org uuid, p_request uuid, p_phone text, p_is_blocked boolean) TO authenticated;

REVOKE ALL ON FUNCTION public.staff_book(p_org uuid, p_request uuid, p_slot_id text, p_patient_name text, p_patient_phone text, p_patient_country text, p_texts boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION public.staff_book(p_org uuid, p_request uuid, p_slot_id text, p_patient_name text, p_patient_phone text, p_patient_country text, p_texts boolean) TO authenticated;

REVOKE ALL ON FUNCTION public.staff_cancel(p_org uuid, p_request uuid, p_appointment uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION public.staff_cancel(p_org uuid, p_request uuid, p_appointment uuid) TO authenticated;

REVOKE ALL ON FUNCTION public.staff_change_member(p_org uuid, p_request uuid, p_user uuid, p_role text) FROM PUBLIC;
GRANT ALL ON FUNCTION public.staff_change_member(p_org uuid, p_request uuid, p_user uuid, p_role text) TO authenticated;

REVOKE ALL ON FUNCTION public.staff_clear_lock(p_org uuid, p_request uuid, p_phone text) FROM PUBLIC;
GRANT ALL ON FUNCTION public.staff_clear_lock(p_org uuid, p_request uuid, p_phone text) TO authenticated;

REVOKE ALL ON FUNCTION public.staff_confirm(p_org uuid, p_request uuid, p_appointment uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION public.staff_confirm(p_org uuid, p_request uuid, p_appointment uuid) TO authenticated;

REVOKE ALL ON FUNCTION public.staff_find_times(p_org uuid, p_service text, p_first date, p_days integer, p_provider text) FROM PUBLIC;
GRANT ALL ON FUNCTION public.staff_find_times(p_org uuid, p_service text, p_first date, p_days integer, p_provider text) TO authenticated;

REVOKE ALL ON FUNCTION public.staff_handle(p_org uuid, p_request uuid, p_kind text, p_id uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION public.staff_handle(p_org uuid, p_request uuid, p_kind text, p_id uuid) TO authenticated;

REVOKE ALL ON FUNCTION public.staff_list_calendars(p_org uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION public.staff_list_calendars(p_org uuid) TO authenticated;

REVOKE ALL ON FUNCTION public.staff_list_members(p_org uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION public.staff_list_members(p_org uuid) TO authenticated;

REVOKE ALL ON FUNCTION public.staff_mark(p_org uuid, p_request uuid, p_appointment uuid, p_as text) FROM PUBLIC;
GRANT ALL ON FUNCTION public.staff_mark(p_org uuid, p_request uuid, p_appointment uuid, p_as text) TO authenticated;

REVOKE ALL ON FUNCTION public.staff_move(p_org uuid, p_request uuid, p_appointment uuid, p_slot_id text) FROM PUBLIC;
GRANT ALL ON FUNCTION public.staff_move(p_org uuid, p_request uuid, p_appointment uuid, p_slot_id text) TO authenticated;

REVOKE ALL ON FUNCTION public.staff_remove_time_off(p_org uuid, p_request uuid, p_time_off uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION public.staff_remove_time_off(p_org uuid, p_request uuid, p_time_off uuid) TO authenticated;

REVOKE ALL ON FUNCTION public.staff_resolve(p_org uuid, p_request uuid, p_appointment uuid, p_as text) FROM PUBLIC;
GRANT ALL ON FUNCTION public.staff_resolve(p_org uuid, p_request uuid, p_appointment uuid, p_as text) TO authenticated;

REVOKE ALL ON FUNCTION public.staff_revoke_calendar_feed(p_org uuid, p_request uuid, p_feed uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION public.staff_revoke_calendar_feed(p_org uuid, p_request uuid, p_feed uuid) TO authenticated;

REVOKE ALL ON FUNCTION public.staff_set_busy_calendar(p_org uuid, p_request uuid, p_provider uuid, p_address text) FROM PUBLIC;
GRANT ALL ON FUNCTION public.staff_set_busy_calendar(p_org uuid, p_request uuid, p_provider uuid, p_address text) TO authenticated;

REVOKE ALL ON FUNCTION public.staff_set_closing_days(p_org uuid, p_request uuid, p_days jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.staff_set_closing_days(p_org uuid, p_request uuid, p_days jsonb) TO authenticated;

REVOKE ALL ON FUNCTION public.staff_set_day(p_org uuid, p_request uuid, p_provider uuid, p_day date, p_hours jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.staff_set_day(p_org uuid, p_request uuid, p_provider uuid, p_day date, p_hours jsonb) TO authenticated;

REVOKE ALL ON FUNCTION public.staff_set_hours(p_org uuid, p_request uuid, p_provider uuid, p_hours jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.staff_set_hours(p_org uuid, p_request uuid, p_provider uuid, p_hours jsonb) TO authenticated;

REVOKE ALL ON FUNCTION public.take_busy_calendars(p_limit integer) FROM PUBLIC;
GRANT ALL ON FUNCTION public.take_busy_calendars(p_limit integer) TO service_role;

REVOKE ALL ON FUNCTION public.verify_audit(p_org uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.verify_otp_and_confirm(p_call jsonb, p_hold text, p_macs jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.verify_otp_and_confirm(p_call jsonb, p_hold text, p_macs jsonb) TO service_role;

REVOKE ALL ON FUNCTION public.watch_overlaps(p_batch integer) FROM PUBLIC;

REVOKE ALL ON TABLE private.audit_seals FROM postgres;
GRANT SELECT,INSERT ON TABLE private.audit_seals TO postgres;

GRANT SELECT ON TABLE public.alarms TO authenticated;
GRANT SELECT ON TABLE public.alarms TO service_role;

GRANT SELECT ON TABLE public.appointment_holds TO authenticated;
GRANT SELECT ON TABLE public.appointment_holds TO service_role;

GRANT SELECT ON TABLE public.blocked_numbers TO authenticated;

GRANT SELECT ON TABLE public.time_off TO authenticated;
GRANT SELECT ON TABLE public.time_off TO service_role;

GRANT SELECT ON TABLE public.calendar_overlaps TO authenticated;
GRANT SELECT ON TABLE public.calendar_overlaps TO service_role;

GRANT SELECT ON TABLE public.desk_hours TO authenticated;
GRANT SELECT ON TABLE public.desk_hours TO service_role;

GRANT SELECT ON TABLE public.desk_messages TO authenticated;

GRANT SELECT ON TABLE public.open_questions TO authenticated;

GRANT SELECT ON TABLE public.org_channels TO authenticated;
GRANT SELECT ON TABLE public.org_channels TO service_role;

GRANT SELECT ON TABLE public.org_members TO authenticated;
GRANT SELECT ON TABLE public.org_members TO service_role;

GRANT SELECT ON TABLE public.overlap_findings TO authenticated;
GRANT SELECT ON TABLE public.overlap_findings TO service_role;

GRANT SELECT ON TABLE public.provider_services TO authenticated;
GRANT SELECT ON TABLE public.provider_services TO service_role;

GRANT SELECT ON TABLE public.working_hours TO authenticated;
GRANT SELECT ON TABLE public.working_hours TO service_role;

GRANT SELECT ON TABLE public.working_hours_overrides TO authenticated;
GRANT SELECT ON TABLE public.working_hours_overrides TO service_role;

INSERT INTO private.audit_sealing VALUES (true, '0', NULL, '-infinity');

INSERT INTO private.overlap_watch VALUES (true, NULL, NULL);

INSERT INTO private.personal_data VALUES ('public.appointment_changes', 1, 't.patient_phone = p.phone and private.is_same_name(p.name, t.patient_name)', 'delete', NULL);
INSERT INTO private.personal_data VALUES ('public.tool_calls', 1, 't.call_id = any (p.call_ids)', 'delete', NULL);
INSERT INTO private.personal_data VALUES ('public.one_time_passcodes', 1, 't.phone_hash = p.phone_hash and (p.is_alone or t.call_id = any (p.call_ids))', 'delete', NULL);
INSERT INTO private.personal_data VALUES ('public.call_reports', 1, 't.call_id = any (p.call_ids)', 'delete', NULL);
INSERT INTO private.personal_data VALUES ('public.desk_messages', 1, 't.phone = p.phone and (p.is_alone or private.is_same_name(p.name, t.caller_name))', 'delete', NULL);
INSERT INTO private.personal_data VALUES ('public.open_questions', 1, 't.call_id = any (p.call_ids) and private.is_named_in(p.name, t.question)', 'delete', NULL);
INSERT INTO private.personal_data VALUES ('public.open_questions', 2, 't.call_id = any (p.call_ids)', 'call_id = null', NULL);
INSERT INTO private.personal_data VALUES ('public.sms_messages', 1, 't.appointment_id = any (p.appointment_ids)
      or t.to_hash = p.phone_hash and (p.is_alone or t.call_id = any (p.call_ids))', 'delete', NULL);
INSERT INTO private.personal_data VALUES ('public.appointment_texts', 1, 't.appointment_id = any (p.appointment_ids)', 'delete', NULL);
INSERT INTO private.personal_data VALUES ('public.text_answers', 1, 't.phone_hash = p.phone_hash and (p.is_alone or t.appointment_ids && p.appointment_ids)', 'delete', NULL);
INSERT INTO private.personal_data VALUES ('public.sms_opt_outs', 1, 't.phone_hash = p.phone_hash and p.is_alone', 'delete', NULL);
INSERT INTO private.personal_data VALUES ('public.calls', 1, 't.call_id = any (p.call_ids)', 'patient_names = array(select n from unnest(t.patient_names) as n
        where not private.is_same_name(p.name, n)),
      caller_hash = nullif(t.caller_hash, p.phone_hash)', NULL);
INSERT INTO private.personal_data VALUES ('public.appointments', 2, 't.id = any (p.appointment_ids) and t.patient_phone is not distinct from p.phone
      and t.status not in (''confirmed'', ''completed'', ''no_show'')', 'delete', NULL);
INSERT INTO private.personal_data VALUES ('public.appointments', 3, 't.id = any (p.appointment_ids) and t.status in (''confirmed'', ''completed'', ''no_show'')', 'patient_name = null, patient_phone = null, patient_country = null, contact_id = null,
      call_id = null, asked_by = ''{}''', NULL);
INSERT INTO private.personal_data VALUES ('public.contacts', 4, 't.phone is not distinct from p.phone and (p.is_alone or private.is_same_name(p.name, t.name))
      and not exists (select from public.appointments as a
        where a.org_id = t.org_id and a.contact_id = t.id)', 'delete', NULL);
INSERT INTO private.personal_data VALUES ('public.contacts', 5, 't.phone is not distinct from p.phone and private.is_same_name(p.name, t.name)', 'name = (select a.patient_name from public.appointments as a
        where a.org_id = t.org_id and a.contact_id = t.id order by a.created_at desc limit 1)', NULL);
INSERT INTO private.personal_data VALUES ('public.audit_logs', 6, 't.subject_id = any (p.appointment_ids) or t.call_id = any (p.call_ids)', NULL, 'Who did what is kept as evidence; of a number it has two digits, of a name nothing.');
INSERT INTO private.personal_data VALUES ('public.phone_counts', 0, NULL, NULL, 'Limits of a number, by its hash, of all clinics; gone within a day.');
INSERT INTO private.personal_data VALUES ('private.audit_seals', 0, NULL, NULL, 'Hashes of audit rows.');
INSERT INTO private.personal_data VALUES ('private.audit_sealing', 0, NULL, NULL, 'How far the audit log is sealed.');
INSERT INTO private.personal_data VALUES ('private.audit_purges', 0, NULL, NULL, 'How far the audit log was deleted.');
INSERT INTO private.personal_data VALUES ('private.personal_data', 0, NULL, NULL, 'This list.');
INSERT INTO private.personal_data VALUES ('private.retention_rules', 0, NULL, NULL, 'How long what is kept.');
INSERT INTO private.personal_data VALUES ('private.reminded_days', 0, NULL, NULL, 'How far reminders were written.');
INSERT INTO private.personal_data VALUES ('private.functions_target', 0, NULL, NULL, 'Where the functions are.');
INSERT INTO private.personal_data VALUES ('private.arriving_clinics', 0, NULL, NULL, 'Ids of clinics.');
INSERT INTO private.personal_data VALUES ('private.overlap_watch', 0, NULL, NULL, 'Where the search for overlaps stands.');
INSERT INTO private.personal_data VALUES ('public.overlap_findings', 0, NULL, NULL, 'Ids of appointments.');
INSERT INTO private.personal_data VALUES ('public.organizations', 0, NULL, NULL, 'The clinic.');
INSERT INTO private.personal_data VALUES ('public.org_channels', 0, NULL, NULL, 'The clinic''s own numbers and ids.');
INSERT INTO private.personal_data VALUES ('public.org_members', 0, NULL, NULL, 'The clinic''s staff.');
INSERT INTO private.personal_data VALUES ('public.org_credentials', 0, NULL, NULL, 'The clinic''s Twilio account, encrypted.');
INSERT INTO private.personal_data VALUES ('public.blocked_numbers', 0, NULL, NULL, 'Blocked numbers, by their hash: they stay blocked.');
INSERT INTO private.personal_data VALUES ('public.assistants', 0, NULL, NULL, 'The clinic''s assistant.');
INSERT INTO private.personal_data VALUES ('public.clinic_facts', 0, NULL, NULL, 'What the clinic says of itself.');
INSERT INTO private.personal_data VALUES ('public.desk_hours', 0, NULL, NULL, 'The clinic''s schedule.');
INSERT INTO private.personal_data VALUES ('public.providers', 0, NULL, NULL, 'The clinic''s doctors.');
INSERT INTO private.personal_data VALUES ('public.services', 0, NULL, NULL, 'What the clinic offers.');
INSERT INTO private.personal_data VALUES ('public.provider_services', 0, NULL, NULL, 'Who offers what.');
INSERT INTO private.personal_data VALUES ('public.working_hours', 0, NULL, NULL, 'The clinic''s schedule.');
INSERT INTO private.personal_data VALUES ('public.working_hours_overrides', 0, NULL, NULL, 'The clinic''s schedule.');
INSERT INTO private.personal_data VALUES ('public.time_off', 0, NULL, NULL, 'The clinic''s schedule.');
INSERT INTO private.personal_data VALUES ('public.webhook_endpoints', 0, NULL, NULL, 'Addresses of the clinic''s other systems.');
INSERT INTO private.personal_data VALUES ('public.webhook_messages', 0, NULL, NULL, 'Ids and times of what happened; names are read when it is sent.');
INSERT INTO private.personal_data VALUES ('public.busy_calendars', 0, NULL, NULL, 'Addresses of the doctors'' own calendars; of what is in them, only times are kept.');
INSERT INTO private.personal_data VALUES ('public.calendar_feeds', 0, NULL, NULL, 'Who may read the clinic''s calendar, by the hash of a token.');
INSERT INTO private.personal_data VALUES ('public.alarms', 0, NULL, NULL, 'What happened too often in a clinic.');
INSERT INTO private.personal_data VALUES ('public.alarm_counters', 0, NULL, NULL, 'What happened too often in a clinic.');
INSERT INTO private.personal_data VALUES ('public.metric_events', 0, NULL, NULL, 'Counts of nobody in particular.');
INSERT INTO private.personal_data VALUES ('private.metric_progress', 0, NULL, NULL, 'How far the audit log is counted.');
INSERT INTO private.personal_data VALUES ('public.metric_totals', 0, NULL, NULL, 'Counts of nobody in particular.');
INSERT INTO private.personal_data VALUES ('public.metric_minutes', 0, NULL, NULL, 'Counts of nobody in particular.');
INSERT INTO private.personal_data VALUES ('public.metric_batches', 0, NULL, NULL, 'Counts of nobody in particular.');

INSERT INTO private.retention_rules VALUES ('holds', 'public.appointments', 'coalesce(expires_at, updated_at)', 'status in (''expired'', ''cancelled'', ''requires_manual_followup'')', 'retention_days');
INSERT INTO private.retention_rules VALUES ('calls', 'public.calls', 'seen_at', 'true', '1');
INSERT INTO private.retention_rules VALUES ('texts', 'public.sms_messages', 'created_at', 'true', 'retention_days');
INSERT INTO private.retention_rules VALUES ('appointmentTexts', 'public.appointment_texts', 'created_at', 'state not in (''waiting'', ''sending'')', 'retention_days');
INSERT INTO private.retention_rules VALUES ('textAnswers', 'public.text_answers', 'received_at', 'true', 'retention_days');
INSERT INTO private.retention_rules VALUES ('toolCalls', 'public.tool_calls', 'created_at', 'true', 'retention_days');
INSERT INTO private.retention_rules VALUES ('callReports', 'public.call_reports', 'created_at', 'true', 'retention_days');
INSERT INTO private.retention_rules VALUES ('openQuestions', 'public.open_questions', 'last_asked_at', 'true', 'retention_days');
INSERT INTO private.retention_rules VALUES ('deskMessages', 'public.desk_messages', 'created_at', 'true', 'retention_days');
INSERT INTO private.retention_rules VALUES ('webhookMessages', 'public.webhook_messages', 'created_at', 'state in (''delivered'', ''failed'') or (org_id, endpoint_id) in (
      select e.org_id, e.id from public.webhook_endpoints as e where e.disabled_at is not null)', 'retention_days');
INSERT INTO private.retention_rules VALUES ('calendarFeeds', 'public.calendar_feeds', 'revoked_at', 'revoked_at is not null', 'retention_days');
INSERT INTO private.retention_rules VALUES ('alarms', 'public.alarms', 'raised_at', 'true', 'audit_retention_days');
INSERT INTO private.retention_rules VALUES ('auditLogs', 'public.audit_logs', 'at', 'true', 'audit_retention_days');

SELECT cron.schedule('apply-retention', '17 3 * * *', $job$
  do $$
  declare
    v_until constant timestamptz := clock_timestamp() + interval '3 hours';
  begin
    while (public.apply_retention() ->> 'rows')::bigint > 0 and clock_timestamp() < v_until loop
      commit;
    end loop;
  end
  $$
$job$);

SELECT cron.schedule('cleanup-expired-holds', '* * * * *', $job$
  do $$
  declare
    v_until constant timestamptz := clock_timestamp() + interval '50 seconds';
    v_began timestamptz;
  begin
    loop
      v_began := clock_timestamp();
      perform set_config('synchronous_commit', 'off', true);
      exit when public.cleanup_expired_holds(25) < 25 or v_began > v_until;
      commit;
      perform pg_sleep(3 * extract(epoch from clock_timestamp() - v_began));
    end loop;
  end
  $$
$job$);

SELECT cron.schedule('collect-metrics', '* * * * *', $job$select public.collect_metrics()$job$);

SELECT cron.schedule('request-busy-times', '* * * * *', $job$select public.request_busy_times()$job$);

SELECT cron.schedule('request-webhooks', '* * * * *', $job$select public.request_webhooks()$job$);

SELECT cron.schedule('seal-audit', '* * * * *', $job$
  do $$
  begin
    while public.seal_audit() >= 10000 loop
      commit;
    end loop;
  end
  $$
$job$);

SELECT cron.schedule('send-appointment-texts', '* * * * *', $job$select public.send_appointment_texts()$job$);

SELECT cron.schedule('watch-overlaps', '* * * * *', $job$select public.watch_overlaps()$job$);
