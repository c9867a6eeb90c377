/*
 * Facts: what a clinic answers to questions about itself, and the questions it has no answer to yet.
 *
 * Decisions
 * - The answer is the clinic's own sentence, or there is none: a wrong sentence is worse. The
 *   thresholds below were measured with the questions in tests/support/questions.ts.
 * - Questions are compared by their words: the lexemes of PostgreSQL's English text search, without
 *   words such as "know" or "want". A fact fits by the share of them in its wordings and tags.
 * - If no fact has these words exactly, similar words count too (by trigrams), because a transcriber
 *   may have misheard them.
 * - A clinic has few facts, so all of them are compared.
 * - A question about health is answered only by a fact that has every word of it. It is never stored,
 *   because a list of questions must not tell what a caller suffers from.
 * - A question without an answer is stored once, however it is worded, until a fact answers it.
 */

create extension if not exists pg_trgm with schema extensions;

create function private.question_words(p_text text) returns text[]
language sql immutable strict set search_path = ''
as $$
  select array(
    select w from unnest(tsvector_to_array(to_tsvector('pg_catalog.english', p_text))) as w
    where w <> all ('{also,anybodi,anyth,ask,avail,clinic,could,get,give,got,hello,hi,just,know,like,may,might,much,need,ok,okay,pleas,possibl,question,realli,say,someth,somewher,tell,thank,want,well,wonder,would}'::text[])
    order by w)
$$;
comment on function private.question_words is
  'The lexemes of a question that tell what it is about, sorted; empty for "Where are you?".';

create function private.fact_words(p_question text, p_also_asked text[], p_tags text[])
returns text[]
language sql immutable strict set search_path = ''
as $$
  select array(
    select distinct w
    from unnest(p_question || p_also_asked || p_tags) as t (wording)
    cross join lateral unnest(private.question_words(t.wording)) as w
    order by w)
$$;
comment on function private.fact_words is 'The words of all wordings and tags of a fact.';

create table public.clinic_facts (
  org_id uuid not null references public.organizations (id) on delete cascade,
  id uuid not null default gen_random_uuid(),
  question text not null
    constraint clinic_facts_question_short check (length(question) between 1 and 300),
  also_asked text[] not null default '{}',
  answer text not null
    constraint clinic_facts_answer_short check (length(answer) between 1 and 600),
  tags text[] not null default '{}',
  in_prompt boolean not null default false,
  words text[] not null
    generated always as (private.fact_words(question, also_asked, tags)) stored,
  primary key (org_id, id),
  constraint clinic_facts_question_unique unique (org_id, question)
);
comment on table public.clinic_facts is 'Questions about a clinic and its own answers.';
comment on column public.clinic_facts.also_asked is 'Other ways to ask the question.';
comment on column public.clinic_facts.answer is 'Said to the caller unchanged.';
comment on column public.clinic_facts.tags is 'Words that callers may use but the question does not have.';
comment on column public.clinic_facts.in_prompt is
  'Whether the assistant''s prompt contains the answer, because many callers ask.';
select private.protect('public.clinic_facts', 'desk');
grant select on public.clinic_facts to service_role;

create table public.open_questions (
  org_id uuid not null references public.organizations (id) on delete cascade,
  words text[] not null,
  question text not null
    constraint open_questions_question_short check (length(question) between 1 and 500),
  asked integer not null default 1,
  call_id text,
  first_asked_at timestamptz not null default clock_timestamp(),
  last_asked_at timestamptz not null default clock_timestamp(),
  primary key (org_id, words)
);
comment on table public.open_questions is
  'Questions of callers that no fact answers, redacted. The clinic can add an answer for the next caller.';
comment on column public.open_questions.words is
  'See private.question_words(); a question with the same words is the same row.';
comment on column public.open_questions.call_id is 'The call that asked first.';
create index open_questions_by_time on public.open_questions (org_id, last_asked_at);
select private.protect('public.open_questions', 'desk');

create function private.fit(p_words text[], p_fact text[], p_nearly boolean) returns real
language sql immutable strict set search_path = ''
as $$
  select coalesce(sum(case
    when w = any (p_fact) then 1
    when p_nearly and exists (
      select from unnest(p_fact) as f where extensions.similarity(w, f) >= 0.5) then 0.75
    else 0 end) / nullif(cardinality(p_words), 0), 0)::real
  from unnest(p_words) as w
$$;
comment on function private.fit is
  'The share of a question''s words that a fact has, 0 to 1. A similar word counts for three quarters.';

/*
 * The fact that answers a question, or nulls. A fact must reach the threshold. If several do, the best
 * one must be clearly ahead; a wording counts for more the less it says besides the question.
 * p_strictly: the fact must have every word exactly, and the question more than one word.
 */
create function private.find_fact(p_org uuid, p_question text, p_strictly boolean)
returns public.clinic_facts
language plpgsql stable set search_path = ''
as $$
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
comment on function private.find_fact is 'The one fact that answers a question well enough, or nulls.';

/*
 * Stores a question that no fact answers: once, at most three from a call, fifty new ones an hour and
 * five hundred for a clinic. A question with a name that was given in the call, or with six digits, which
 * may be its passcode, is about a patient and is not stored.
 */
create function private.keep_question(
  p_org uuid, p_call_id text, p_question text, p_now timestamptz
) returns void
language plpgsql volatile set search_path = ''
as $$
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
comment on function private.keep_question is
  'Stores a question for the clinic to answer: once, however it is worded, and within limits.';

/* Deletes the open questions that the clinic's facts answer now. */
create function private.close_questions(p_org uuid) returns void
language plpgsql volatile set search_path = ''
as $$
begin
  delete from public.open_questions as q
  where q.org_id = p_org and (private.find_fact(p_org, q.question, false)).id is not null;
end
$$;
comment on function private.close_questions is 'Deletes the open questions that have an answer now.';

/*
 * Entry function of the tool answer_question.
 *
 * p_question  redacted
 * p_medical   whether it is about somebody's health
 * Outcomes    answered (answer), medical_question, not_found (stored for the clinic), busy,
 *             unknown_clinic, cross_tenant_denied
 */
create function public.answer_question(p_call jsonb, p_question text, p_medical boolean)
returns jsonb
language plpgsql volatile security definer set search_path = '' set lock_timeout = '300ms'
  set jit = off set plan_cache_mode = force_generic_plan
as $$
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
comment on function public.answer_question is
  'Tool answer_question: the clinic''s own answer to a question about it, or none.';

/* A short id that people can type. It changes only when the question's words do. */
create function private.name_question(p_words text[]) returns text
language sql immutable strict set search_path = ''
as $$
  select left(md5(array_to_string(p_words, ' ')), 8)
$$;
comment on function private.name_question is 'The id of an open question, 8 hex digits.';

/*
 * Entry function of the task clinic: the questions that no fact answers, the most frequent first.
 *
 * p_org     slug or id
 * Outcomes  found (questions: id, question, asked, firstAskedAt, lastAskedAt), unknown_clinic
 */
create function public.list_questions(p_org text) returns jsonb
language plpgsql volatile security definer set search_path = ''
as $$
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
comment on function public.list_questions is 'The questions of callers that a clinic has no answer to.';

/*
 * Entry function of the task clinic: deletes a question that needs no answer. If it is asked again, it
 * is stored again.
 *
 * p_id      the id from list_questions
 * Outcomes  removed (question), not_found, unknown_clinic, busy
 */
create function public.remove_question(p_org text, p_id text) returns jsonb
language plpgsql volatile security definer set search_path = '' set lock_timeout = '5s'
as $$
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
comment on function public.remove_question is
  'Deletes an open question of a clinic. The audit log does not get its text.';

revoke execute on function
  public.answer_question, public.list_questions, public.remove_question
  from public, anon, authenticated, service_role;
grant execute on function public.answer_question to service_role;
