/*
 * Assistants: the settings of a clinic's voice agent, and how a call finds it.
 *
 * Decisions
 * - A clinic without a row here has an assistant with the default settings.
 * - The names of voices and models are explained in shared/line/presets.ts.
 * - Ids from Vapi are channels, like called numbers. They are registered by a function that writes to
 *   the audit log.
 */

create table public.assistants (
  org_id uuid primary key references public.organizations (id) on delete cascade,
  language text not null default 'en'
    constraint assistants_language_tag check (language ~ '^[a-z]{2}(-[A-Za-z0-9]{2,8})?$'),
  voice text not null default 'cartesia'
    constraint assistants_voice_plain check (voice ~ '^[a-z0-9-]{1,40}$'),
  model text not null default 'openai'
    constraint assistants_model_plain check (model ~ '^[a-z0-9-]{1,40}$'),
  greeting text
    constraint assistants_greeting_short check (length(btrim(greeting)) between 1 and 300),
  records_calls boolean not null default false,
  keeps_transcript boolean not null default true
);
comment on table public.assistants is 'The voice, model and behavior of a clinic''s voice agent.';
comment on column public.assistants.greeting is
  'What the caller hears first; if null, a sentence that names the clinic.';
select private.protect('public.assistants', 'manager');
grant select on public.assistants to service_role;

/* The settings of a clinic, with defaults if it has no row. */
create function private.find_settings(p_org uuid) returns public.assistants
language plpgsql stable set search_path = ''
as $$
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
comment on function private.find_settings is 'The settings of a clinic''s assistant; defaults if it has no row.';

/* When any doctor works, by weekday, in local minutes: [{dow, startMin, endMin}]. */
create function private.describe_opening(p_org public.organizations, p_day date) returns jsonb
language sql stable set search_path = ''
as $$
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
comment on function private.describe_opening is 'The weekly hours at which any provider of a clinic works.';

create function private.describe_line(p_org public.organizations) returns jsonb
language sql stable set search_path = ''
as $$
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
comment on function private.describe_line is
  'What a clinic''s assistant must know. It contains no patient data.';

/*
 * Entry function: which assistant answers a call to this number.
 *
 * Outcomes  found (assistantId), not_registered (profile: what an assistant must know),
 *           unknown_clinic
 */
create function public.find_assistant(p_call jsonb) returns jsonb
language plpgsql volatile security definer set search_path = ''
as $$
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
comment on function public.find_assistant is
  'The Vapi assistant of the called number''s clinic, or what is needed to compose one.';

/*
 * Entry function of the task vapi: a clinic as its assistant sees it, the ids that Vapi gave it, and
 * the numbers that callers dial.
 *
 * p_org     slug or id
 * Outcomes  found (profile, numbers, phoneNumberIds, assistantIds), unknown_organization
 */
create function public.read_line(p_org text) returns jsonb
language plpgsql volatile security definer set search_path = ''
as $$
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
comment on function public.read_line is 'What the task vapi needs to know about a clinic.';

create function private.list_channels(p_org uuid, p_kind text) returns jsonb
language sql stable set search_path = ''
as $$
  select coalesce(jsonb_agg(c.value order by c.value collate "C"), '[]')
  from public.org_channels as c where c.org_id = p_org and c.kind = p_kind
$$;
comment on function private.list_channels is 'The values of an organization''s channels of one kind.';

/*
 * Entry function of the task vapi: registers an id from Vapi, so that its calls find the clinic.
 *
 * p_kind    vapi_assistant or vapi_phone_number
 * Outcomes  registered, known (already registered), taken (another organization has it), busy
 */
create function public.register_channel(p_org uuid, p_kind text, p_value text) returns jsonb
language plpgsql volatile security definer set search_path = '' set lock_timeout = '5s'
as $$
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
comment on function public.register_channel is
  'Registers an assistant or phone number of Vapi for an organization; audited.';

revoke execute on function
  public.find_assistant, public.read_line, public.register_channel
  from public, anon, authenticated, service_role;
grant execute on function public.find_assistant to service_role;
revoke execute on all functions in schema private from public;
