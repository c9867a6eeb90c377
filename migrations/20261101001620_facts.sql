/*
 * Facts: what a clinic answers to questions about itself.
 */

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
  primary key (org_id, id),
  constraint clinic_facts_question_unique unique (org_id, question)
);
comment on table public.clinic_facts is 'Questions about a clinic and its own answers.';
comment on column public.clinic_facts.also_asked is 'Other ways to ask the question.';
comment on column public.clinic_facts.answer is 'Said to the caller as it is.';
comment on column public.clinic_facts.tags is 'Words that a caller may use and the question does not.';
comment on column public.clinic_facts.in_prompt is
  'Whether everybody asks it, so that the assistant knows the answer without a tool.';
select private.protect('public.clinic_facts', true);
grant select, insert, update, delete on public.clinic_facts to service_role;
