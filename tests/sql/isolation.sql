/*
 * Staff see only what their role may see in their own clinic, and write nothing. The service role
 * writes no history. Tables come from the catalog: a new one fails here if it has no rows below, or if
 * it is missing from the list of who may read it.
 */

select * from no_plan();

-- Two clinics with a row in every table.

insert into auth.users (id, email)
select md5(u)::uuid, u || '@example.test'
from unnest('{alice,maya,dora,vera,bob,both,nobody}'::text[]) as u;

create function pg_temp.fill_clinic(p_org uuid, p_slug text, p_phone text) returns void
language plpgsql as $$
declare
  v_provider uuid := gen_random_uuid();
  v_service uuid := gen_random_uuid();
  v_contact uuid := gen_random_uuid();
  v_hold uuid := gen_random_uuid();
  v_send uuid := gen_random_uuid();
  v_start timestamptz := now() + interval '1 day';
begin
  insert into organizations (id, slug, name, timezone, default_country, sms_countries)
  values (p_org, p_slug, p_slug, 'Europe/London', 'GB', '{GB}');
  insert into org_channels (kind, value, org_id) values ('called_number', p_phone, p_org);
  insert into clinic_facts (org_id, question, answer) values (p_org, 'Parking?', 'Behind the house.');
  insert into open_questions (org_id, words, question) values (p_org, '{dog}', 'Can I bring my dog?');
  insert into blocked_numbers (org_id, phone_hash, phone_masked, blocked_by)
  values (p_org, decode(repeat('00', 32), 'hex'), '***23', gen_random_uuid());
  insert into desk_messages (org_id, caller_name, phone, message)
  values (p_org, 'Caller', p_phone, 'Please call me back.');
  insert into desk_hours (org_id, dow, start_min, end_min) values (p_org, 1, 540, 1020);
  insert into assistants (org_id) values (p_org);
  insert into providers (org_id, id, slug, name) values (p_org, v_provider, 'doctor', 'Doctor');
  insert into services (org_id, id, slug, name, duration_min)
  values (p_org, v_service, 'consultation', 'Consultation', 30);
  insert into provider_services values (p_org, v_provider, v_service);
  insert into working_hours (org_id, provider_id, dow, start_min, end_min)
  values (p_org, v_provider, 1, 540, 1020);
  insert into working_hours_overrides (org_id, provider_id, day)
  values (p_org, v_provider, current_date);
  insert into time_off (org_id, provider_id, span)
  values (p_org, v_provider, tstzrange(now(), now() + interval '1 hour'));
  insert into calendar_feeds (org_id, provider_id, label, token_hash)
  values (p_org, v_provider, 'Doctor', decode(repeat('00', 32), 'hex'));
  insert into busy_calendars (org_id, id, provider_id, address)
  values (p_org, v_hold, v_provider, 'https://calendar.example/secret.ics');
  insert into webhook_endpoints (org_id, id, address, secrets)
  values (p_org, v_hold, 'https://hooks.example/secret', '[{}]');
  insert into webhook_messages (org_id, endpoint_id, type, subject_id, data)
  values (p_org, v_hold, 'booking.created', v_hold, '{}');
  insert into time_off (org_id, provider_id, calendar_id, span)
  values (p_org, v_provider, v_hold, tstzrange(v_start, v_start + interval '1 minute'));
  insert into contacts (org_id, id, phone, name) values (p_org, v_contact, p_phone, 'Patient');
  insert into appointments (
    org_id, id, provider_id, service_id, patient_name, patient_phone, starts_at, ends_at, busy,
    session_key, expires_at)
  values (p_org, v_hold, v_provider, v_service, 'Patient', p_phone, v_start,
    v_start + interval '30 minutes', tstzrange(v_start, v_start + interval '30 minutes'),
    gen_random_uuid(), now() + interval '10 minutes');
  insert into calls (org_id, call_id) values (p_org, 'call');
  insert into one_time_passcodes (
    org_id, call_id, phone_hash, send_id, purpose, state, key_id, claimed_at, expires_at)
  values (p_org, 'call', decode(repeat('00', 32), 'hex'), v_send, 'confirm', 'sent', 'v1', now(),
    now() + interval '5 minutes');
  insert into sms_messages (org_id, id, appointment_id, origin, to_masked)
  values (p_org, v_send, v_hold, 'own_number', '***23');
  insert into appointment_texts (org_id, appointment_id, kind, starts_at, due_at)
  values (p_org, v_hold, 'confirmation', v_start, now());
  insert into text_answers (org_id, sid, phone_hash, meaning, outcome, result)
  values (p_org, 'SM1', decode(repeat('00', 32), 'hex'), 'confirm', 'confirmed', '{}');
  insert into sms_opt_outs (org_id, phone_hash) values (p_org, decode(repeat('00', 32), 'hex'));
  insert into appointment_changes (org_id, call_id, kind, patient_name, patient_phone)
  values (p_org, 'call', 'cancel', 'Patient', p_phone);
  insert into org_credentials (org_id, provider, key_id, nonce, ciphertext)
  values (p_org, 'twilio', 'v1', decode(repeat('00', 12), 'hex'), '\x00');
  insert into tool_calls (org_id, call_id, tool_call_id, tool, arguments_hash, outcome, result)
  values (p_org, 'call', 'tool', 'verify_otp', '\x00', 'confirmed', '{}');
  insert into call_reports (org_id, call_id) values (p_org, 'call');
  insert into alarm_counters (org_id, kind) values (p_org, 'wrong_codes');
  insert into alarms (org_id, kind, raised_at, first_at, events)
  values (p_org, 'wrong_codes', now(), now(), 50);
  insert into overlap_findings (org_id, appointment_id, kind) values (p_org, v_hold, 'overlap');
  insert into audit_logs (org_id, actor, action, outcome)
  values (p_org, 'system', 'test', 'ok');
end
$$;
select pg_temp.fill_clinic(md5('clinic a')::uuid, 'clinic-a', '+442079460001');
select pg_temp.fill_clinic(md5('clinic b')::uuid, 'clinic-b', '+442079460002');
insert into org_members (org_id, user_id, role) values
  (md5('clinic a')::uuid, md5('alice')::uuid, 'owner'),
  (md5('clinic a')::uuid, md5('maya')::uuid, 'manager'),
  (md5('clinic a')::uuid, md5('dora')::uuid, 'desk'),
  (md5('clinic a')::uuid, md5('vera')::uuid, 'viewer'),
  (md5('clinic b')::uuid, md5('bob')::uuid, 'owner'),
  (md5('clinic a')::uuid, md5('both')::uuid, 'desk'),
  (md5('clinic b')::uuid, md5('both')::uuid, 'manager');
insert into phone_counts (phone_hash) values (decode(repeat('00', 32), 'hex'));

-- Whose rows the current user sees in the readable tables: one row per table and clinic.
create function pg_temp.seen() returns table (relation text, org text)
language plpgsql as $$
declare
  v_relation record;
begin
  for v_relation in
    select c.relname, a.attname
    from pg_class as c join pg_attribute as a on a.attrelid = c.oid
    where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v')
      and a.attname = case c.relname when 'organizations' then 'id' else 'org_id' end
      and has_table_privilege(c.oid, 'select')
  loop
    return query execute format(
      'select %L, case %I when md5(''clinic a'')::uuid then ''a'' else ''b'' end from public.%I '
      'group by 2', v_relation.relname, v_relation.attname, v_relation.relname);
  end loop;
end
$$;
create function pg_temp.act_as(p_role text, p_user text, p_claims jsonb default '{}') returns void
language sql as $$
  select set_config('role', p_role, true), set_config('request.jwt.claims', (jsonb_strip_nulls(
    jsonb_build_object('role', p_role, 'sub', md5(p_user)::uuid)) || p_claims)::text, true)
$$;

select is_empty(
  $$select c.relname, o.org from pg_class as c, unnest('{a,b}'::text[]) as o (org)
    where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v')
      and c.relname <> 'phone_counts' and c.relname !~ '^metric_'
    except select relation, org from pg_temp.seen()$$,
  'both clinics have a row in every table of these tests');

-- The lowest role that may read each table. Nobody reads any other table.
create temporary table readable (relation text primary key, role text);
insert into readable
  select relation, role from (values
    ('viewer', '{organizations,org_members,providers,services,provider_services,working_hours,'
      'working_hours_overrides,time_off,desk_hours,appointments,appointment_holds,calendar_overlaps}'),
    ('desk', '{contacts,appointment_changes,appointment_texts,sms_messages,desk_messages,call_reports,alarms,'
      'overlap_findings,clinic_facts,open_questions,blocked_numbers}'),
    ('manager', '{audit_logs,org_channels,assistants}')) as r (role, relations),
    unnest(r.relations::text[]) as relation;
grant select on readable to public;
select set_eq(
  $$select c.relname::text from pg_class as c
    where c.relnamespace = 'public'::regnamespace
      and has_any_column_privilege('authenticated', c.oid, 'select')$$,
  'select relation from readable',
  'the list says of everything that staff may read from which role on');
create function pg_temp.readable_by(p_role text) returns setof text
language sql as $$
  select r.relation from readable as r
  where array_position('{viewer,desk,manager,owner}', r.role)
    <= array_position('{viewer,desk,manager,owner}', p_role)
$$;

-- Staff

select pg_temp.act_as('authenticated', 'alice');
select is(current_user::text, 'authenticated', 'the tests run as staff do');
select set_eq('select * from pg_temp.seen()', $$select relation, 'a' from readable$$,
  'an owner of clinic A sees A''s rows in every table that staff may read, and no row of B');
select results_eq(
  'select user_id from public.org_members', $$values (md5('alice')::uuid)$$,
  'staff see their own membership only');
select throws_ok('select * from public.' || t, '42501', null, 'staff cannot read ' || t)
from unnest('{org_credentials,one_time_passcodes,calls,tool_calls,phone_counts,alarm_counters,calendar_feeds,busy_calendars,webhook_endpoints,webhook_messages}'::text[]) as t;
select throws_ok(format('update public.%I set %2$I = %2$I where true', c.relname, a.attname),
  '42501', null, 'staff cannot update ' || c.relname)
from pg_class as c join pg_attribute as a on a.attrelid = c.oid and a.attnum = 1
where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') order by 1;
select throws_ok(format('delete from public.%I where true', c.relname),
  '42501', null, 'staff cannot delete from ' || c.relname)
from pg_class as c
where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') order by 1;
select throws_ok(format('insert into public.%I default values', c.relname),
  '42501', null, 'staff cannot insert into ' || c.relname)
from pg_class as c
where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') order by 1;
select throws_ok('select public.cleanup_expired_holds()', '42501', null,
  'staff cannot call entry functions');
select throws_ok('select private.mask_phone(''+442079460001'')', '42501', null,
  'staff cannot call inner functions');
select throws_ok('select * from cron.job', '42501', null, 'staff cannot see the jobs');
select throws_ok('select * from auth.users', '42501', null, 'staff cannot see accounts');

reset role;
select pg_temp.act_as('authenticated', 'maya');
select set_eq('select * from pg_temp.seen()',
  $$select relation, 'a' from pg_temp.readable_by('manager') as relation$$,
  'a manager sees what the list says');
reset role;
select pg_temp.act_as('authenticated', 'dora');
select set_eq('select * from pg_temp.seen()',
  $$select relation, 'a' from pg_temp.readable_by('desk') as relation$$,
  'the desk sees what the list says');
reset role;
select pg_temp.act_as('authenticated', 'vera');
select set_eq('select * from pg_temp.seen()',
  $$select relation, 'a' from pg_temp.readable_by('viewer') as relation$$,
  'a viewer sees what the list says');

-- Only the account in a token counts; its other claims are ignored.
reset role;
select pg_temp.act_as('authenticated', 'vera', jsonb_build_object(
  'org_role', 'owner', 'org_id', md5('clinic b')::uuid,
  'user_metadata', '{"role": "owner", "org_role": "owner"}'::jsonb,
  'app_metadata', jsonb_build_object('role', 'owner', 'org_id', md5('clinic b')::uuid)));
select set_eq('select * from pg_temp.seen()',
  $$select relation, 'a' from pg_temp.readable_by('viewer') as relation$$,
  'a viewer whose token claims to be an owner, here and at clinic B, sees what a viewer sees');

reset role;
update org_members set role = 'desk' where user_id = md5('maya')::uuid;
select pg_temp.act_as('authenticated', 'maya');
select set_eq('select * from pg_temp.seen()',
  $$select relation, 'a' from pg_temp.readable_by('desk') as relation$$,
  'a manager who becomes desk sees what the desk sees, with the same token');

reset role;
select pg_temp.act_as('authenticated', 'bob');
select set_eq('select * from pg_temp.seen()', $$select relation, 'b' from readable$$,
  'an owner of clinic B sees B''s rows and no row of A');

reset role;
select pg_temp.act_as('authenticated', 'both');
select set_eq('select * from pg_temp.seen()',
  $$select relation, 'a' from pg_temp.readable_by('desk') as relation
    union select relation, 'b' from pg_temp.readable_by('manager') as relation$$,
  'who works for both sees of each what the role there allows');

reset role;
select pg_temp.act_as('authenticated', 'nobody');
select is_empty('select * from pg_temp.seen()', 'an account of no clinic sees nothing');

reset role;
select pg_temp.act_as('authenticated', null);
select is_empty('select * from pg_temp.seen()', 'a token without a subject sees nothing');

-- A membership ends, and with it all access.
reset role;
delete from org_members where user_id = md5('alice')::uuid;
select pg_temp.act_as('authenticated', 'alice');
select is_empty('select * from pg_temp.seen()', 'who left a clinic sees nothing of it any more');

-- Anon

reset role;
select pg_temp.act_as('anon', null);
select is(current_user::text, 'anon', 'the tests run as anon does');
select throws_ok(format('select from public.%I', c.relname), '42501', null,
  'anon cannot read ' || c.relname)
from pg_class as c
where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v') order by 1;
select throws_ok('select public.cleanup_expired_holds()', '42501', null,
  'anon cannot call entry functions');

-- The service role

reset role;
select pg_temp.act_as('service_role', null);
select is(current_user::text, 'service_role', 'the tests run as the functions do');
select isnt_empty('select * from public.audit_logs', 'the service role reads the audit log');
select throws_ok(s.statement, '42501', null, 'the service role cannot ' || s.statement)
from pg_class as c join pg_attribute as a on a.attrelid = c.oid and a.attnum = 1,
  lateral unnest(array[
    format('update public.%I set %2$I = %2$I where true', c.relname, a.attname),
    format('delete from public.%I where true', c.relname),
    format('insert into public.%I default values', c.relname),
    format('truncate public.%I', c.relname)]) as s (statement)
where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') order by 1;
select throws_ok('select public.' || f, '42501', null, 'the service role cannot call ' || f)
from unnest(array['apply_retention(false)', 'apply_clinic(''{}'')', 'collect_metrics()',
  'set_member(null, null, ''owner'')', 'register_channel(null, ''vapi_assistant'', ''x'')',
  'set_org_credentials(null, null, null, null, null)']) as f;
select throws_ok('select * from public.' || t, '42501', null, 'the service role cannot read ' || t)
from unnest('{org_credentials,one_time_passcodes,calls,tool_calls,phone_counts,alarm_counters,calendar_feeds,busy_calendars,webhook_endpoints,webhook_messages}'::text[]) as t;

-- The audit log: nobody can change it, not even its owner. Only retention, run by the owner, deletes rows.

reset role;
select is(
  (select string_agg(distinct grantee || ' ' || privilege_type, ', ' order by grantee || ' ' || privilege_type)
   from information_schema.role_table_grants
   where table_schema = 'public' and table_name = 'audit_logs'),
  'authenticated SELECT, postgres DELETE, postgres INSERT, postgres SELECT, service_role SELECT',
  'the audit log is read by staff and functions, written and pruned by entry functions only');
select throws_ok('update public.audit_logs set outcome = ''other'' where true', '42501', null,
  'the owner of the audit log cannot rewrite it');
select throws_ok('truncate public.audit_logs', '42501', null,
  'the owner of the audit log cannot empty it');
create function pg_temp.cannot(p_role text, p_statement text) returns text
language plpgsql as $$
begin
  perform pg_temp.act_as(p_role, null);
  execute p_statement;
  perform set_config('role', 'none', true);
  return p_role || ' can ' || p_statement;
exception when insufficient_privilege then
  return null;
end
$$;
select is_empty(
  $$select why from unnest('{anon,authenticated,service_role}'::text[]) as r (role),
    unnest(array[
      'insert into public.audit_logs (org_id, actor, action, outcome) values (md5(''clinic a'')::uuid, ''staff'', ''x'', ''x'')',
      'update public.audit_logs set outcome = ''other'' where true',
      'delete from public.audit_logs where true',
      'truncate public.audit_logs']) as s (statement),
    pg_temp.cannot(r.role, s.statement) as why
    where why is not null$$,
  'no role of the API writes, rewrites, deletes from or empties the audit log');
select is_empty(
  $$select p.oid::regprocedure from pg_proc as p
    where p.pronamespace in ('public'::regnamespace, 'private'::regnamespace)
      -- A constraint excludes the audit log from the rules that it applies.
      and p.proname <> 'erase_rows'
      and (p.prosrc ~* '(update|truncate|merge into)\s+(table\s+|only\s+)?(public\.audit_logs|%)'
        or p.prosrc ~* 'delete from\s+(only\s+)?(public\.audit_logs|%)'
          and p.oid::regprocedure::text !~ '^private\.delete_old\(')$$,
  'no function rewrites the audit log, and only retention deletes from it');
select throws_ok(
  $$update private.personal_data set erased = 'delete', reason = null
    where relation = 'public.audit_logs'::regclass$$,
  '23514', null, 'no rule about patients erases from the audit log');

select * from finish();
