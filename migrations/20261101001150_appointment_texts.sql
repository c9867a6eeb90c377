/*
 * Appointment texts: what patients are told about their appointments by text, after the call.
 *
 * Decisions
 * - A text is written in the transaction that books, moves or cancels, and a function sends it later.
 *   So there is a text if and only if the change was committed, and a booking never waits for Twilio.
 * - At most one text is sent for each appointment, kind and time. A text is committed as sending before
 *   Twilio is asked, since Twilio has no idempotency key. If the function then dies, nobody can tell
 *   whether the text was sent: it becomes unknown and is never sent again. Only a text that certainly was
 *   not sent is retried, after increasing delays, a limited number of times.
 * - Whether a text is still true is decided when it is claimed: the appointment must still be as the
 *   text says. Outdated texts are not sent.
 * - Only numbers that a passcode has proven, or for which the desk has requested texts, are texted, and
 *   never one whose owner has opted out or that staff have blocked.
 * - Passcodes come first. These texts do not count towards their limits or cooldowns, and they wait
 *   while the organization has used its hourly limit, by texts of any kind.
 * - Reminders are written once a day for each organization, at its local time on the day before, for
 *   appointments that were booked early enough. None is sent at night, and none shortly before the
 *   appointment. If the job did not run then, it reminds in the morning of what is still to come.
 * - A text never says what the appointment is for.
 * - Where a clinic says that its number takes texts, a reminder offers to confirm or cancel by answering.
 *   What becomes of an answer is decided in the migration of the text answers.
 */

alter table public.organizations
  add column address text
    constraint organizations_address_short check (length(btrim(address)) between 1 and 80),
  add column confirmation_texts boolean not null,
  add column change_texts boolean not null,
  add column cancellation_texts boolean not null,
  add column text_answers boolean not null,
  add column text_language text not null
    constraint organizations_text_language_tag check (text_language ~ '^[a-z]{2}$'),
  add column text_words jsonb not null
    constraint organizations_text_words_by_language
    check (jsonb_typeof(text_words) = 'object' and length(text_words::text) <= 20000),
  add column reminder_min integer
    constraint organizations_reminder_by_day check (reminder_min between 480 and 1230),
  add column reminder_notice_hours integer not null
    constraint organizations_reminder_notice_sane check (reminder_notice_hours between 0 and 720);
-- Apart, as in the limits.
-- Same result as sha256 63175f4ecf361dd03ec0c14163e7b5e75ab7f9321724171b4b2744816efb6a17
alter table public.organizations
  alter column confirmation_texts set default true,
  alter column change_texts set default false,
  alter column cancellation_texts set default false,
  alter column text_answers set default false,
  alter column text_language set default 'en',
  alter column text_words set default '{}',
  alter column reminder_notice_hours set default 24;
comment on column public.organizations.address is
  'Where patients go, as a text says it; null says only the clinic''s name.';
comment on column public.organizations.confirmation_texts is
  'Whether a booking is confirmed by text.';
comment on column public.organizations.change_texts is
  'Whether the new time of an appointment that was moved is texted.';
comment on column public.organizations.cancellation_texts is
  'Whether a cancellation is texted.';
comment on column public.organizations.text_answers is
  'Whether reminders can be answered: texts to the number reach the function sms-inbound.';
comment on column public.organizations.text_language is
  'The language of texts about appointments, as ISO 639.';
comment on column public.organizations.text_words is
  'The clinic''s own texts, {language: {kind: template}}; the others are in shared/patient_texts.ts.';
comment on column public.organizations.reminder_min is
  'The local minute of the day before at which patients are reminded; null: they are not.';
comment on column public.organizations.reminder_notice_hours is
  'What was booked fewer hours before its start gets no reminder.';

alter table public.contacts add column texts_asked_at timestamptz;
comment on column public.contacts.texts_asked_at is
  'When the desk asked for texts to a number that no passcode has proven; null: it did not.';

create table public.appointment_texts (
  org_id uuid not null,
  id uuid not null default gen_random_uuid(),
  appointment_id uuid not null,
  kind text not null
    constraint appointment_texts_kind_known check (private.is_appointment_text(kind)),
  starts_at timestamptz not null,
  state text not null default 'waiting'
    constraint appointment_texts_state_known
    check (state in ('waiting', 'sending', 'sent', 'failed', 'unknown', 'dropped')),
  reason text,
  due_at timestamptz not null,
  offers_answer boolean not null default false,
  attempts integer not null default 0,
  send_id uuid,
  created_at timestamptz not null default clock_timestamp(),
  updated_at timestamptz not null default clock_timestamp(),
  primary key (org_id, id),
  constraint appointment_texts_once unique (org_id, appointment_id, kind, starts_at),
  foreign key (org_id, appointment_id)
    references public.appointments (org_id, id) on delete cascade,
  constraint appointment_texts_sending_has_send check (state <> 'sending' or send_id is not null)
);
comment on table public.appointment_texts is
  'Texts about appointments, to be sent or sent. They contain neither the number nor the words.';
comment on column public.appointment_texts.starts_at is
  'The time that the text is about: a text about another time is another text.';
comment on column public.appointment_texts.state is
  'waiting for due_at; sending until due_at, then unknown; sent: Twilio accepted it; failed; dropped: no longer true or not wanted.';
comment on column public.appointment_texts.reason is 'Why it failed, was dropped, or waits again.';
comment on column public.appointment_texts.offers_answer is
  'Whether the text says how to confirm or cancel by answering.';
comment on column public.appointment_texts.send_id is 'The newest attempt, the id of its row in sms_messages.';
create index appointment_texts_due on public.appointment_texts (due_at, org_id)
  where state in ('waiting', 'sending');
create index appointment_texts_by_time on public.appointment_texts (org_id, created_at);
select private.protect('public.appointment_texts', 'desk');
grant select on public.appointment_texts to service_role;

create table public.text_answers (
  org_id uuid not null references public.organizations (id) on delete cascade,
  sid text not null,
  received_at timestamptz not null default clock_timestamp(),
  phone_hash bytea not null
    constraint text_answers_hash_length check (octet_length(phone_hash) = 32),
  meaning text not null
    constraint text_answers_meaning_known
    check (meaning in ('confirm', 'cancel', 'choice', 'stop', 'start', 'help', 'other')),
  outcome text not null,
  appointment_ids uuid[] not null default '{}',
  is_replied boolean not null default false,
  result jsonb not null,
  primary key (org_id, sid)
);
comment on table public.text_answers is
  'Texts from patients, by Twilio''s id: what they meant and what came of it. Neither the number nor the words are kept.';
comment on column public.text_answers.phone_hash is 'SHA-256 of the number that texted.';
comment on column public.text_answers.appointment_ids is
  'What it was about, or what the patient was asked to choose from, in that order.';
comment on column public.text_answers.is_replied is 'Whether the patient was answered.';
comment on column public.text_answers.result is 'The answer, for a text that is delivered again.';
create index text_answers_by_time on public.text_answers (org_id, received_at);
create index text_answers_by_phone on public.text_answers (org_id, phone_hash, received_at);
select private.protect('public.text_answers', null);

create table private.arriving_clinics (
  org_id uuid primary key references public.organizations (id) on delete cascade
);
comment on table private.arriving_clinics is
  'Clinics that another project may still have, until deno task move has ended: their texts wait.';

create function private.texts_about(p_org public.organizations, p_kind text) returns boolean
language sql immutable
return case p_kind
  when 'confirmation' then (p_org).confirmation_texts
  when 'change' then (p_org).change_texts
  when 'cancellation' then (p_org).cancellation_texts
  when 'reminder' then (p_org).reminder_min is not null
  else false end;
comment on function private.texts_about is 'Whether a clinic texts about a kind of event.';

create function private.text_patience() returns interval
language sql immutable
return interval '10 minutes';
comment on function private.text_patience is
  'How long whoever claims a text may take to say what became of it.';

/* p_row, p_contact  an appointment and its contact, or nulls */
create function private.text_refusal(
  p_org public.organizations, p_kind text, p_row public.appointments, p_contact public.contacts
) returns text
language plpgsql stable set search_path = ''
as $$
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
comment on function private.text_refusal is 'Why the patient of an appointment is not texted, or null.';

/*
 * Writes the text about what the caller's transaction has just done to an appointment, if the patient
 * is to be told. Writing it twice changes nothing.
 *
 * p_moved_from  the appointment that this one replaces. If its confirmation has not been sent yet, this
 *               one is confirmed instead, even if the clinic does not text about changes
 */
create function private.queue_text(
  p_org uuid, p_appointment uuid, p_kind text, p_moved_from uuid default null
) returns void
language plpgsql volatile set search_path = ''
as $$
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
comment on function private.queue_text is
  'Writes a text about an appointment, to be sent once this transaction has committed.';

/* p_kind, p_moved_from  as in private.queue_text() */
create function private.announce(
  p_org uuid, p_appointment uuid, p_kind text, p_moved_from uuid default null
) returns void
language plpgsql volatile set search_path = ''
as $$
begin
  perform private.queue_text(p_org, p_appointment, p_kind, p_moved_from);
  perform private.tell_of_booking(p_org, p_appointment, p_kind, p_moved_from);
end
$$;
comment on function private.announce is
  'Tells the patient and the clinic''s endpoints what this transaction has done to an appointment.';

create table private.reminded_days (
  org_id uuid primary key references public.organizations (id) on delete cascade,
  day date not null
);
comment on table private.reminded_days is
  'The last day for whose appointments an organization''s reminders were written.';

/*
 * The hours in which reminders are sent, 8:00 to 21:00 at the clinic: p_at if it is in them, else when they
 * begin again.
 */
create function private.wake_time(p_zone text, p_at timestamptz) returns timestamptz
language sql stable
return case
  when (p_at at time zone p_zone)::time >= '21:00'
    then ((p_at at time zone p_zone)::date + 1 + time '08:00') at time zone p_zone
  when (p_at at time zone p_zone)::time < '08:00'
    then ((p_at at time zone p_zone)::date + time '08:00') at time zone p_zone
  else p_at end;
comment on function private.wake_time is 'When a reminder may be sent, from a time on.';

create function private.reminder_day(p_org public.organizations, p_at timestamptz) returns date
language sql stable
return case
  when (p_at at time zone p_org.timezone)::time >= make_interval(mins => p_org.reminder_min)::time
    and private.wake_time(p_org.timezone, p_at) = p_at
  then (p_at at time zone p_org.timezone)::date + 1 end;
comment on function private.reminder_day is
  'The local day whose patients an organization reminds at a time, or null.';

create function private.settle_text(
  p_org uuid, p_text public.appointment_texts, p_state text, p_reason text, p_due_at timestamptz
) returns void
language plpgsql volatile set search_path = ''
as $$
begin
  update public.appointment_texts as t
  set state = p_state, reason = p_reason, due_at = p_due_at, updated_at = clock_timestamp()
  where t.org_id = p_org and t.id = p_text.id;
  perform private.audit(p_org, null, 'text_appointment', p_text.appointment_id, p_state,
    jsonb_strip_nulls(jsonb_build_object('kind', p_text.kind, 'reason', p_reason)));
end
$$;
comment on function private.settle_text is 'Writes down and audits what became of a text.';

create function private.reminder_lead() returns interval
language sql immutable
return interval '2 hours';
comment on function private.reminder_lead is
  'Who is reminded later than this before the appointment is not reminded at all.';

/* p_last  the last day whose reminders were written. Not if that was long ago, or if there was none */
create function private.missed_day(p_org public.organizations, p_last date, p_at timestamptz)
returns date
language sql stable
return case
  when private.wake_time(p_org.timezone, p_at) = p_at
    and p_last between (p_at at time zone p_org.timezone)::date - 7
      and (p_at at time zone p_org.timezone)::date - 1
  then (p_at at time zone p_org.timezone)::date end;
comment on function private.missed_day is
  'The present local day, if its patients should have been reminded on the day before, or null.';

create function private.find_reminded(p_org public.organizations, p_day date, p_now timestamptz)
returns setof public.appointments
language plpgsql stable set search_path = ''
as $$
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
comment on function private.find_reminded is
  'The appointments of a local day, still to come, whose patients are reminded.';

/*
 * Writes the reminders for a day, once. What is booked later gets none. A second time on the same day it
 * changes nothing, even if the first was a moment ago. Those that come too late are written as dropped.
 */
create function private.queue_reminders(
  p_org public.organizations, p_day date, p_now timestamptz
) returns void
language plpgsql volatile set search_path = ''
as $$
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
comment on function private.queue_reminders is
  'Writes the reminders of an organization for the appointments of a local day.';

/* Whether what a text says is still so. */
create function private.is_true_text(
  p_text public.appointment_texts, p_row public.appointments, p_now timestamptz
) returns boolean
language sql immutable
return (p_row).starts_at = (p_text).starts_at and (p_row).starts_at > p_now
  and (p_row).status = case (p_text).kind when 'cancellation' then 'cancelled' else 'confirmed' end;
comment on function private.is_true_text is
  'Whether an appointment is still as a text says, and still to come.';

/* Of whatever kind: the clinic pays for all of them. */
create function private.may_text_more(p_org public.organizations, p_now timestamptz) returns boolean
language plpgsql volatile set search_path = ''
as $$
begin
  return (
    select count(*) < p_org.sms_hourly_limit from public.sms_messages as m
    where m.org_id = p_org.id and m.created_at > p_now - interval '1 hour'
      and m.status <> 'refused');
end
$$;
comment on function private.may_text_more is
  'Whether an organization has sent fewer texts within an hour than it allows.';

/* After the first failure a minute, then twice as long each time, an hour at most; ten attempts. */
create function private.retry_delay(p_attempts integer) returns interval
language sql immutable
return case when p_attempts < 10 then interval '1 minute' * least(60, 2 ^ (p_attempts - 1)) end;
comment on function private.retry_delay is
  'How long a text that certainly did not go out waits after so many attempts; null: it is given up.';

create function private.wording_of(p_org public.organizations) returns jsonb
language sql immutable
return jsonb_build_object('language', (p_org).text_language,
  'words', coalesce((p_org).text_words -> (p_org).text_language, '{}'));
comment on function private.wording_of is
  'The language of an organization''s texts and its own texts in it: {language, words}.';

create function private.number_to_call(p_org uuid) returns text
language plpgsql stable set search_path = ''
as $$
begin
  return (
    select min(c.value) from public.org_channels as c
    where c.org_id = p_org and c.kind = 'called_number');
end
$$;
comment on function private.number_to_call is 'The number that patients of an organization call, or null.';

/* An answer finds its organization by the number: it must not be one that others text from too. */
create function private.takes_answers(p_org public.organizations) returns boolean
language plpgsql stable set search_path = ''
as $$
begin
  return p_org.text_answers and not exists (
    select from public.org_credentials as c
    join public.org_credentials as o on o.sender = c.sender and o.org_id <> c.org_id
    where c.org_id = p_org.id);
end
$$;
comment on function private.takes_answers is 'Whether patients can answer the reminders of an organization.';

/* Everything that the words need, and nothing of the reason for the visit. */
create function private.describe_text(
  p_org public.organizations, p_text public.appointment_texts, p_row public.appointments
) returns jsonb
language plpgsql stable set search_path = ''
as $$
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
comment on function private.describe_text is 'What a text about an appointment is composed of.';

/* Claims one text that is due: null if it is not sent now. Its row is locked. */
create function private.claim_text(
  p_org public.organizations, p_text public.appointment_texts, p_row public.appointments,
  p_now timestamptz
) returns jsonb
language plpgsql volatile set search_path = ''
as $$
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
comment on function private.claim_text is
  'Marks a text as about to be sent, or drops or postpones it.';

/*
 * Entry function of appointment-texts: claims texts that are due, the oldest first. The claimer sends
 * each of them once, after this has committed, and reports each result.
 *
 * p_limit   how many rows are looked at
 * Outcomes  claimed (texts: what private.describe_text() says of each; more: whether others may be due),
 *           busy
 */
create function public.claim_appointment_texts(p_limit integer) returns jsonb
language plpgsql volatile security definer set search_path = '' set lock_timeout = '1500ms'
as $$
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
comment on function public.claim_appointment_texts is
  'Marks texts that are due as about to be sent, and gives what they say.';

/*
 * Entry function of appointment-texts: stores the result of a text. p_sid if Twilio accepted it,
 * otherwise p_reason.
 *
 * Outcomes  sent, failed, waiting (it certainly was not sent, and is retried), unknown (it may have been
 *           sent, and is not retried), known (reported before), busy (nothing is stored)
 */
create function public.settle_appointment_text(
  p_org uuid, p_send uuid, p_sid text, p_reason text, p_may_have_been_sent boolean
) returns jsonb
language plpgsql volatile security definer set search_path = '' set lock_timeout = '1500ms'
as $$
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
comment on function public.settle_appointment_text is
  'Stores what became of a text about an appointment.';

revoke execute on function public.claim_appointment_texts, public.settle_appointment_text
  from public, anon, authenticated;
grant execute on function public.claim_appointment_texts, public.settle_appointment_text
  to service_role;
