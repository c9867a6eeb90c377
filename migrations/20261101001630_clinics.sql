/*
 * Clinics: a clinic as one document, read from the tables and applied to them.
 *
 * Decisions
 * - The document says what a clinic is, not what to change, so applying it a second time changes
 *   nothing. A change is the difference between the documents before and after, both read from the
 *   tables.
 * - A document is applied in one transaction, as a whole or not at all. A dry run does the same and
 *   rolls back.
 * - Doctors and services that the document does not name are kept for their appointments, but can no
 *   longer be booked. Existing bookings stay; those that no longer fit are reported.
 * - Vapi's ids are also written by other tools. A document without them does not change them.
 * - Local times are text. They have an offset only when a change of the clocks makes them ambiguous.
 */

/* The instant of a text from write_local(). p_ends: it ends a span, so midnight means its first instant. */
create function private.read_local(p_text text, p_zone text, p_ends boolean) returns timestamptz
language plpgsql stable set search_path = ''
as $$
begin
  return case when p_text ~ 'T.*[+-]\d\d:\d\d$' then p_text::timestamptz
    else private.wall(p_text::timestamp, p_zone, p_ends and p_text !~ 'T00:00$') end;
end
$$;
comment on function private.read_local is
  'The instant of a local time in a clinic''s document; null for null.';

create function private.write_local(p_at timestamptz, p_zone text, p_ends boolean) returns text
language plpgsql stable set search_path = ''
as $$
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
comment on function private.write_local is
  'A local time, with its offset only where it would be ambiguous; null for null and infinity.';

/* In a repeated hour an absence can end at an earlier clock time than it begins. Then both have offsets. */
create function private.write_span(p_span tstzrange, p_zone text) returns jsonb
language plpgsql stable set search_path = ''
as $$
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
comment on function private.write_span is 'An absence of a clinic''s document, {from, to} in local times.';

create function private.describe_providers(p_org public.organizations) returns jsonb
language plpgsql stable set search_path = ''
as $$
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
comment on function private.describe_providers is 'The doctors of a clinic''s document.';

create function private.describe_assistant(p_org uuid) returns jsonb
language plpgsql stable set search_path = ''
as $$
declare
  v_kept constant public.assistants := private.find_settings(p_org);
begin
  return jsonb_build_object('language', v_kept.language, 'voice', v_kept.voice,
    'model', v_kept.model, 'greeting', v_kept.greeting, 'recordsCalls', v_kept.records_calls,
    'keepsTranscript', v_kept.keeps_transcript);
end
$$;
comment on function private.describe_assistant is 'The assistant of a clinic''s document.';

create function private.describe_clinic(p_org public.organizations) returns jsonb
language plpgsql stable set search_path = ''
as $$
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
comment on function private.describe_clinic is
  'A clinic as its document: the content of its file, in the order in which it is compared.';

/*
 * Entry function: a clinic as its document.
 * p_org     slug or id
 * Outcomes  found (orgId, clinic), unknown_clinic (with up to ten existing slugs)
 */
create function public.read_clinic(p_org text) returns jsonb
language plpgsql volatile security definer set search_path = ''
as $$
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
comment on function public.read_clinic is 'A clinic''s document, by its slug or id.';

/* Writes the channels of the kinds that the document names. */
create function private.write_channels(p_org uuid, p_clinic jsonb) returns void
language plpgsql volatile set search_path = ''
as $$
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
comment on function private.write_channels is
  'Makes a clinic''s channels those of its document. Leaves out a channel that another clinic has.';

/* Services that the document does not name are kept, but can no longer be booked. */
create function private.write_services(p_org uuid, p_services jsonb) returns void
language plpgsql volatile set search_path = ''
as $$
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
comment on function private.write_services is
  'Makes a clinic''s bookable services those of its document.';

create function private.write_provider(p_org public.organizations, p_provider uuid, p_document jsonb)
returns void
language plpgsql volatile set search_path = ''
as $$
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
comment on function private.write_provider is
  'Makes a doctor''s services, hours and absences those of the document.';

/* Doctors that the document does not name are kept, but can no longer be booked. */
create function private.write_providers(p_org public.organizations, p_providers jsonb) returns void
language plpgsql volatile set search_path = ''
as $$
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
comment on function private.write_providers is 'Makes a clinic''s doctors those of its document.';

/* Writes the assistant's settings. A document without them does not change them. */
create function private.write_assistant(p_org uuid, p_assistant jsonb) returns void
language plpgsql volatile set search_path = ''
as $$
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
comment on function private.write_assistant is
  'Makes the settings of a clinic''s assistant those of its document.';

/* Writes everything of a clinic but its channels, and returns the changed organization. */
create function private.write_clinic(p_org uuid, p_clinic jsonb) returns public.organizations
language plpgsql volatile set search_path = ''
as $$
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
comment on function private.write_clinic is 'Makes a clinic''s rows those of its document.';

/*
 * Live bookings that end after p_at and that the current schedule would not allow, each with the
 * reason.
 *
 * p_provider  only of this provider; null for all
 */
create function private.find_misplaced(
  p_org public.organizations, p_at timestamptz, p_provider uuid default null
) returns table (appointment_id uuid, reason text)
language plpgsql stable set search_path = ''
as $$
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
comment on function private.find_misplaced is
  'Future live bookings that the current schedule would not allow, and why.';

/* The misplaced bookings other than p_known, without personal data. */
create function private.describe_misplaced(
  p_org public.organizations, p_known uuid[], p_at timestamptz, p_provider uuid default null
) returns jsonb
language plpgsql stable set search_path = ''
as $$
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
comment on function private.describe_misplaced is
  'Bookings that no longer fit the schedule: when, with whom, and why.';

/* Why a document cannot be applied, or null. Called when its channels are already written. */
create function private.clinic_refusal(p_org public.organizations, p_clinic jsonb) returns jsonb
language plpgsql stable set search_path = ''
as $$
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
comment on function private.clinic_refusal is
  'Why a document cannot be applied: another clinic has a channel, or calls to the transfer number come back to an assistant.';

/* For the audit log: the fields of a document that changed, and the values of limits and periods. */
create function private.describe_changes(p_before jsonb, p_after jsonb) returns jsonb
language sql stable set search_path = ''
as $$
  select jsonb_build_object('changed', coalesce(jsonb_agg(a.key order by a.key), '[]'), 'values',
    coalesce(jsonb_object_agg(a.key, jsonb_build_array(p_before -> a.key, a.value))
      filter (where jsonb_typeof(a.value) in ('number', 'boolean')), '{}'))
  from jsonb_each(p_after) as a
  where p_before -> a.key is distinct from a.value
$$;
comment on function private.describe_changes is
  'The fields of a clinic''s document that differ; numbers and switches as [before, after].';

/*
 * Entry function: adds the clinic of a document (p_org null), or changes a clinic to match it.
 *
 * p_org      the clinic to change; the document may give it a new slug
 * p_seen     the value of `seen` when the difference was shown; null applies the document anyway
 * p_dry_run  does and answers the same, then rolls back
 * Outcomes   added, changed, unchanged (before and after are documents, before is null for a new
 *            clinic; bookings are those that no longer fit, already those that did not fit before;
 *            seen identifies before), slug_taken, unknown_clinic, changed_meanwhile, channel_taken
 *            (channels: kind, value and slug of the clinic that has it), transfer_loops, busy
 * Raises     23514, 23P01 for an impossible schedule; 25001 under an isolation level other than read
 *            committed
 */
create function public.apply_clinic(
  p_clinic jsonb, p_org uuid default null, p_seen text default null, p_dry_run boolean default false
) returns jsonb
language plpgsql volatile security definer set search_path = '' set lock_timeout = '5s'
  set jit = off
as $$
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
comment on function public.apply_clinic is
  'Adds a clinic or changes it to match its document, in one transaction; a dry run rolls back.';

/*
 * Entry function: the future live bookings that a clinic's current schedule would not allow.
 * p_known   bookings to leave out
 * Outcomes  found (bookings as in apply_clinic), unknown_clinic
 */
create function public.find_misplaced_bookings(p_org uuid, p_known uuid[] default '{}')
returns jsonb
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_org public.organizations;
begin
  select o.* into v_org from public.organizations as o where o.id = p_org;
  return case when v_org.id is null then '{"outcome": "unknown_clinic"}'
    else jsonb_build_object('outcome', 'found', 'orgId', p_org,
      'bookings', private.describe_misplaced(v_org, p_known, clock_timestamp())) end;
end
$$;
comment on function public.find_misplaced_bookings is
  'Bookings that no longer fit their clinic''s schedule.';

/*
 * Adds, changes or ends an account's membership of a clinic.
 *
 * p_role    viewer, desk, manager or owner; null ends the membership
 * Outcomes  added, changed (another role), removed, unchanged, unknown_clinic, unknown_account, busy
 */
create function public.set_member(p_org uuid, p_user uuid, p_role text) returns jsonb
language plpgsql volatile security definer set search_path = '' set lock_timeout = '5s'
as $$
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
comment on function public.set_member is
  'Makes an account a member of a clinic with a role, or ends its membership; audited.';

-- Only the owner changes clinics.
revoke execute on function
  public.read_clinic, public.apply_clinic, public.find_misplaced_bookings, public.set_member
  from public, anon, authenticated, service_role;
