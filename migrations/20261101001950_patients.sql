/*
 * Patients' rights: what is kept of a patient is shown, and erased.
 *
 * Decisions
 * - Every table has a row in private.personal_data: which of its rows are about a patient, and what
 *   becomes of them, or why they stay. Showing and erasing read the same row. A test finds a table that
 *   has none.
 * - A patient is a number and a name: families share a number. Who was booked at the desk without a
 *   phone is a name alone, and all of that name without a phone are one patient. What cannot be told apart by name, such as
 *   a text, is erased with its call, or when nobody else has the number.
 * - Appointments that were confirmed stay, without name and number: the clinic needs its calendar, and the
 *   law its records. One that lies ahead stays too; who does not want it cancels it first.
 * - The report of a call may come after the patient was erased, when nothing is left to redact it by.
 *   Such a call gets a report without a text, so that none is filed.
 * - An answer of a tool can name others of the number: it is erased, and not shown.
 * - Erasing takes its locks in the order of the calls, the patient's calls first. So a call either comes
 *   before and is erased, or waits and goes on without what was erased.
 * - Shown and erased by the database's owner only. The audit log says that it was done, how many rows it
 *   were, and nothing of the patient.
 */

create type private.patient as (
  org_id uuid, phone text, phone_hash bytea, name text, is_alone boolean,
  appointment_ids uuid[], call_ids text[]);
comment on type private.patient is
  'A patient of a number: the appointments and calls, and whether nobody else has the number (is_alone).';

create table private.personal_data (
  relation regclass not null,
  step integer not null,
  about text,
  erased text,
  reason text,
  primary key (relation, step),
  constraint personal_data_decided check (case when about is null or erased is null
    then reason is not null else reason is null end),
  constraint personal_data_keeps_evidence check (erased is null or relation::text !~ 'audit_')
);
comment on table private.personal_data is
  'What each table has of a patient: SQL over its columns and over p, the patient; written by migrations only.';
comment on column private.personal_data.step is 'The order of erasing: rows before what they refer to.';
comment on column private.personal_data.about is 'Which rows are about the patient; null when none are.';
comment on column private.personal_data.erased is
  'What becomes of them: delete, or what is set; null when they stay.';
comment on column private.personal_data.reason is 'Why no row is about a patient, or why they stay.';

insert into private.personal_data (relation, step, about, erased) values
  ('public.appointment_changes', 1,
    't.patient_phone = p.phone and private.is_same_name(p.name, t.patient_name)', 'delete'),
  ('public.tool_calls', 1, 't.call_id = any (p.call_ids)', 'delete'),
  ('public.one_time_passcodes', 1,
    't.phone_hash = p.phone_hash and (p.is_alone or t.call_id = any (p.call_ids))', 'delete'),
  ('public.call_reports', 1, 't.call_id = any (p.call_ids)', 'delete'),
  ('public.desk_messages', 1,
    't.phone = p.phone and (p.is_alone or private.is_same_name(p.name, t.caller_name))', 'delete'),
  ('public.open_questions', 1,
    't.call_id = any (p.call_ids) and private.is_named_in(p.name, t.question)', 'delete'),
  ('public.open_questions', 2, 't.call_id = any (p.call_ids)', 'call_id = null'),
  ('public.sms_messages', 1,
    't.appointment_id = any (p.appointment_ids)
      or t.to_hash = p.phone_hash and (p.is_alone or t.call_id = any (p.call_ids))', 'delete'),
  ('public.appointment_texts', 1, 't.appointment_id = any (p.appointment_ids)', 'delete'),
  ('public.text_answers', 1,
    't.phone_hash = p.phone_hash and (p.is_alone or t.appointment_ids && p.appointment_ids)', 'delete'),
  ('public.sms_opt_outs', 1, 't.phone_hash = p.phone_hash and p.is_alone', 'delete'),
  ('public.calls', 1, 't.call_id = any (p.call_ids)',
    'patient_names = array(select n from unnest(t.patient_names) as n
        where not private.is_same_name(p.name, n)),
      caller_hash = nullif(t.caller_hash, p.phone_hash)'),
  ('public.appointments', 2,
    $$t.id = any (p.appointment_ids) and t.patient_phone is not distinct from p.phone
      and t.status not in ('confirmed', 'completed', 'no_show')$$,
    'delete'),
  ('public.appointments', 3,
    $$t.id = any (p.appointment_ids) and t.status in ('confirmed', 'completed', 'no_show')$$,
    $$patient_name = null, patient_phone = null, patient_country = null, contact_id = null,
      call_id = null, asked_by = '{}'$$),
  ('public.contacts', 4,
    't.phone is not distinct from p.phone and (p.is_alone or private.is_same_name(p.name, t.name))
      and not exists (select from public.appointments as a
        where a.org_id = t.org_id and a.contact_id = t.id)', 'delete'),
  -- Somebody else of that number has appointments: the contact is theirs from now on.
  ('public.contacts', 5,
    't.phone is not distinct from p.phone and private.is_same_name(p.name, t.name)',
    'name = (select a.patient_name from public.appointments as a
        where a.org_id = t.org_id and a.contact_id = t.id order by a.created_at desc limit 1)');

insert into private.personal_data (relation, step, about, reason) values
  ('public.audit_logs', 6, 't.subject_id = any (p.appointment_ids) or t.call_id = any (p.call_ids)',
    'Who did what is kept as evidence; of a number it has two digits, of a name nothing.');

insert into private.personal_data (relation, step, reason)
select t.relation, 0, t.reason
from (values
  ('public.phone_counts'::regclass, 'Limits of a number, by its hash, of all clinics; gone within a day.'),
  ('private.audit_seals', 'Hashes of audit rows.'),
  ('private.audit_sealing', 'How far the audit log is sealed.'),
  ('private.audit_purges', 'How far the audit log was deleted.'),
  ('private.personal_data', 'This list.'),
  ('private.retention_rules', 'How long what is kept.'),
  ('private.reminded_days', 'How far reminders were written.'),
  ('private.functions_target', 'Where the functions are.'),
  ('private.arriving_clinics', 'Ids of clinics.'),
  ('private.overlap_watch', 'Where the search for overlaps stands.'),
  ('public.overlap_findings', 'Ids of appointments.'),
  ('public.organizations', 'The clinic.'),
  ('public.org_channels', 'The clinic''s own numbers and ids.'),
  ('public.org_members', 'The clinic''s staff.'),
  ('public.org_credentials', 'The clinic''s Twilio account, encrypted.'),
  ('public.blocked_numbers', 'Blocked numbers, by their hash: they stay blocked.'),
  ('public.assistants', 'The clinic''s assistant.'),
  ('public.clinic_facts', 'What the clinic says of itself.'),
  ('public.desk_hours', 'The clinic''s schedule.'),
  ('public.providers', 'The clinic''s doctors.'),
  ('public.services', 'What the clinic offers.'),
  ('public.provider_services', 'Who offers what.'),
  ('public.working_hours', 'The clinic''s schedule.'),
  ('public.working_hours_overrides', 'The clinic''s schedule.'),
  ('public.time_off', 'The clinic''s schedule.'),
  ('public.webhook_endpoints', 'Addresses of the clinic''s other systems.'),
  ('public.webhook_messages', 'Ids and times of what happened; names are read when it is sent.'),
  ('public.busy_calendars', 'Addresses of the doctors'' own calendars; of what is in them, only times are kept.'),
  ('public.calendar_feeds', 'Who may read the clinic''s calendar, by the hash of a token.'),
  ('public.alarms', 'What happened too often in a clinic.'),
  ('public.alarm_counters', 'What happened too often in a clinic.'),
  ('public.metric_events', 'Counts of nobody in particular.'),
  ('private.metric_progress', 'How far the audit log is counted.'),
  ('public.metric_totals', 'Counts of nobody in particular.'),
  ('public.metric_minutes', 'Counts of nobody in particular.'),
  ('public.metric_batches', 'Counts of nobody in particular.')) as t (relation, reason);

/* One word of the name is enough: "Is Ada allowed to eat", "Ada's appointment". */
create function private.is_named_in(p_name text, p_text text) returns boolean
language sql immutable strict set search_path = ''
as $$
  select (private.words_of(private.plain_name(p_name))
      || private.words_of(private.plain_name(private.write_umlauts(p_name))))
    && (private.words_of(private.plain_name(t.text))
      || private.words_of(private.plain_name(private.write_umlauts(t.text))))
  from (select regexp_replace(p_text, '[''`\u2018\u2019\u02bc]s\M', '', 'gi') as text) as t
$$;
comment on function private.is_named_in is 'Whether a text has a word of a name.';

/* The names that an organization keeps with a number, each spelling once. */
create function private.names_of(p_org uuid, p_phone text) returns setof text
language sql stable set search_path = ''
as $$
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
comment on function private.names_of is
  'The names that an organization keeps with a number, or without one.';

/* The lock of a patient who has no phone is shared by all of the organization. */
create function private.patient_key(p_org uuid, p_phone text) returns bytea
language sql immutable set search_path = ''
as $$
  select coalesce(private.hash_phone(p_phone), private.hash_phone('no phone/' || p_org))
$$;
comment on function private.patient_key is
  'What private.lock_phones() locks while a patient''s rows are changed or erased.';

/* The calls that a patient was named in, and, where nobody else has the number, all with that number. */
create function private.calls_of(
  p_org uuid, p_phone text, p_name text, p_is_alone boolean, p_appointments uuid[]
) returns setof text
language sql stable set search_path = ''
as $$
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
comment on function private.calls_of is 'The calls that are about a patient.';

/* The patient, and how many other names the number has. */
create function private.find_patient(
  p_org uuid, p_phone text, p_name text, out patient private.patient, out is_found boolean,
  out names integer
)
language plpgsql stable set search_path = ''
as $$
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
comment on function private.find_patient is 'What belongs to a name of a number.';

/* The rows that are about a patient by table, without hashes and without what can name other patients. */
create function private.read_patient(p_patient private.patient) returns jsonb
language plpgsql stable set search_path = ''
as $$
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
$$;
comment on function private.read_patient is 'Everything that is kept of a patient: {table: [row]}.';

/* Erases a patient by the rules of private.personal_data; returns {table: rows}. */
create function private.erase_rows(p_patient private.patient) returns jsonb
language plpgsql volatile set search_path = ''
as $$
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
$$;
comment on function private.erase_rows is 'Erases what is kept of a patient, and says how many rows of each table.';

/* A report that was stored since the calls were found is emptied. */
create function private.refuse_reports(p_org uuid, p_calls text[]) returns void
language sql volatile set search_path = ''
as $$
  insert into public.call_reports as r (org_id, call_id, reported_at)
  select p_org, c, clock_timestamp() from unnest(p_calls) as c
  on conflict (org_id, call_id) do update
  set reported_at = excluded.reported_at, ended_reason = null, duration_seconds = null, cost = null,
    transcript = null, summary = null, redactions = '{}'
$$;
comment on function private.refuse_reports is
  'Marks calls as reported, without a text: public.end_call files no report of them.';

/*
 * Entry function of the task patient: everything that is kept of a patient.
 *
 * p_phone   E.164; null for a patient without a phone
 * p_name    the patient's; null asks how many names the number has
 * Outcomes  found (data: {table: [row]}), name_needed (names: how many), not_found (names)
 */
create function public.export_patient(p_org uuid, p_phone text, p_name text default null)
returns jsonb
language plpgsql volatile security definer set search_path = '' set lock_timeout = '5s'
  set jit = off
as $$
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
comment on function public.export_patient is 'Everything that an organization keeps of a patient, by table.';

/*
 * Entry function of the task patient: erases a patient. A call that is under way goes on without what
 * was erased.
 *
 * p_phone, p_name  as in export_patient
 * Outcomes         erased (rows: {table: number}, kept: appointments that stay without name and number,
 *                  ahead: how many of them are still to come), name_needed (names), not_found (names),
 *                  busy
 */
create function public.erase_patient(p_org uuid, p_phone text, p_name text default null)
returns jsonb
language plpgsql volatile security definer set search_path = '' set lock_timeout = '5s'
  set jit = off
as $$
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
comment on function public.erase_patient is
  'Erases a patient; confirmed appointments stay without name and number.';

-- Only the owner's task.
revoke execute on function public.export_patient, public.erase_patient
  from public, anon, authenticated, service_role;
