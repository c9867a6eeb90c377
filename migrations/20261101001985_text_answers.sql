/*
 * Text answers: a patient confirms or cancels by answering a reminder.
 *
 * Decisions
 * - The number that was reminded proves who answers, for its reminders and nothing else. An answer
 *   counts only for appointments that were reminded by a text that offered it.
 * - Twilio's id identifies a text. If it is delivered again, also at the same time, it gets its first
 *   answer and changes nothing.
 * - If several reminded appointments fit, the patient is asked which, and the next answer says it. What
 *   the question listed is kept with it, so a change in between cannot shift the numbers.
 * - An answer locks what the front desk locks, in that order: the calls that made the appointments, then
 *   the number. So neither a call nor the desk changes them at the same time, and whoever comes second
 *   sees what the first has done.
 * - A patient is told the same thing about the same appointments once. Together with a limit for each
 *   number, this ends every loop with a machine that answers.
 * - Nothing is texted to a number that has opted out or is blocked. A text that may be a wish for no more
 *   texts never cancels anything. If it may mean the appointment, the front desk gets a message.
 */

create function private.answer_limit() returns integer
language sql immutable
return 10;
comment on function private.answer_limit is 'How many texts of one number an organization takes in an hour.';

/* More are not listed in a question: it would get too long. */
create function private.choice_limit() returns integer
language sql immutable
return 4;
comment on function private.choice_limit is 'From how many appointments a patient is asked to choose.';

/*
 * The appointments whose reminder, at their present time, was texted to a number and offered an answer,
 * by start. Those of the last days are included, so that a late answer is understood.
 */
create function private.reminded_appointments(p_org uuid, p_phone text, p_now timestamptz)
returns setof public.appointments
language plpgsql stable set search_path = '' rows 2
as $$
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
comment on function private.reminded_appointments is
  'The appointments about which a number can answer.';

/*
 * The question that waits for the number's choice; nulls if a choice was carried out or something else was
 * answered since, or if the patient was never asked, as when the clinic was at its limit.
 */
create function private.find_question(p_org uuid, p_hash bytea, p_now timestamptz)
returns public.text_answers
language plpgsql stable set search_path = ''
as $$
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
comment on function private.find_question is 'The newest question of which appointment is meant.';

/* The answer where nothing of what was reminded can be confirmed or cancelled. */
create function private.refuse_answer(
  p_org uuid, p_hash bytea, p_rows public.appointments[], p_now timestamptz
) returns jsonb
language plpgsql stable set search_path = ''
as $$
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
comment on function private.refuse_answer is
  'no_reminder, already_cancelled (by an answer), changed (cancelled or moved otherwise) or too_late.';

/*
 * The patient may not know that an appointment was cancelled or moved after its reminder, or may answer
 * that reminder late. Then the only appointment left is not necessarily the one to cancel.
 */
create function private.may_mean_another(
  p_org uuid, p_hash bytea, p_rows public.appointments[], p_now timestamptz
) returns boolean
language plpgsql stable set search_path = ''
as $$
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
comment on function private.may_mean_another is
  'Whether a reminder was sent for another appointment that has begun, or was changed by others, since.';

/* Carries out an answer about appointments that are confirmed and to come. */
create function private.carry_out_answer(
  p_org uuid, p_meaning text, p_rows public.appointments[], p_now timestamptz
) returns void
language plpgsql volatile set search_path = ''
as $$
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
comment on function private.carry_out_answer is 'Confirms or cancels what a patient has answered about.';

/*
 * What becomes of an answer. The number is locked.
 *
 * p_answer   as in public.answer_text
 * Returns    outcome as in public.answer_text, meaning (confirm or cancel) and ids
 */
create function private.decide_answer(
  p_org public.organizations, p_phone text, p_answer jsonb, p_now timestamptz
) returns jsonb
language plpgsql volatile set search_path = ''
as $$
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
comment on function private.decide_answer is 'Decides and carries out what a patient has answered.';

/*
 * What the wish for texts or for none changes. Twilio answers it itself, and sends nothing more to a
 * number that has opted out.
 */
create function private.note_wish(p_org uuid, p_hash bytea, p_wish text) returns void
language plpgsql volatile set search_path = ''
as $$
begin
  if p_wish = 'stop' then
    insert into public.sms_opt_outs (org_id, phone_hash) values (p_org, p_hash) on conflict do nothing;
  elsif p_wish = 'start' then
    delete from public.sms_opt_outs as o where o.org_id = p_org and o.phone_hash = p_hash;
  end if;
end
$$;
comment on function private.note_wish is 'Stores that the owner of a phone wants no texts, or wants them again.';

/*
 * "CANCEL" opts out, and the patient may believe that the appointment is cancelled. Returns the
 * appointments that the desk is asked about, each once.
 */
create function private.ask_desk(p_org public.organizations, p_phone text, p_now timestamptz)
returns uuid[]
language plpgsql volatile set search_path = ''
as $$
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
comment on function private.ask_desk is
  'Asks the front desk to call a patient who may have meant the appointments, and returns these.';

/*
 * Nobody is told the same thing about the same appointments twice, or within a day about none. A
 * cancellation that the clinic texts about is not told here too. Those who were not reminded get at most
 * a fifth of the replies, so that strangers do not use up those of patients.
 *
 * p_phone    the number that texted, and p_country its country; null if it is not a person's phone
 */
create function private.may_reply(
  p_org public.organizations, p_phone text, p_country text, p_meaning text, p_outcome text,
  p_ids uuid[], p_now timestamptz
) returns boolean
language plpgsql stable set search_path = ''
as $$
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
comment on function private.may_reply is 'Whether a patient is told what became of a text.';

/* The answer with what the patient is told, as public.answer_text returns it. */
create function private.tell_answer(
  p_org public.organizations, p_phone text, p_country text, p_answer jsonb, p_ids uuid[],
  p_now timestamptz
) returns jsonb
language plpgsql stable set search_path = ''
as $$
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
comment on function private.tell_answer is 'Adds to an answer what the patient is told, if anything.';

/*
 * Nothing has happened. A wish for no texts counts all the same, and whoever meant an appointment is told
 * that the answer was not taken.
 */
create function private.tell_busy(p_org uuid, p_phone text, p_answer jsonb) returns jsonb
language plpgsql volatile set search_path = ''
as $$
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
comment on function private.tell_busy is 'The answer to a text for which a lock was not acquired in time.';

/* See public.answer_text; the calls and the number are locked. */
create function private.take_answer(
  p_org public.organizations, p_sid text, p_phone text, p_answer jsonb, p_now timestamptz
) returns jsonb
language plpgsql volatile set search_path = ''
as $$
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
comment on function private.take_answer is 'Decides, stores and counts what becomes of a text from a patient.';

/*
 * Entry function of sms-inbound: a text from a patient, whose signature was checked.
 *
 * p_sid      Twilio's id of the text
 * p_phone    the number that texted, E.164
 * p_answer   {meaning: confirm, cancel, choice, stop, start, help or other; choices: the numbers of a
 *            choice, [0] for all; chosenTo: confirm or cancel, if the choice says it; wish: stop or
 *            start, if it is one; asksDesk: if a wish for no texts may mean the appointment too;
 *            country: of the number, ISO 3166, if it is a person's phone}
 * Outcomes   confirmed, cancelled, which (choose from appointments), too_many (or too alike to choose from),
 *            already_confirmed, already_cancelled, changed (cancelled or moved by others), too_late (it has
 *            begun), unclear (there is a reminder, but this is no answer), no_reminder, opted_out,
 *            opted_in, help, blocked, limit (of the number's texts in an hour; nothing is stored),
 *            busy (nothing has happened, but a wish for no texts counts), unknown_clinic; with isReplied
 *            (whether the patient is told), language and words, and with meaning, clinic, callBack and
 *            appointments ({startTime, doctor}) but for limit and unknown_clinic
 * Raises     25001 under another isolation level than read committed
 */
create function public.answer_text(p_org uuid, p_sid text, p_phone text, p_answer jsonb)
returns jsonb
language plpgsql volatile security definer set search_path = '' set lock_timeout = '1500ms'
as $$
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
comment on function public.answer_text is
  'A text from a patient: confirms or cancels what it answers, and says what the patient is told.';

revoke execute on function public.answer_text from public, anon, authenticated;
grant execute on function public.answer_text to service_role;
