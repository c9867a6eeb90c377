/*
 * Rules for every table, view and function, checked through the catalog, so that new ones are covered
 * automatically. A failing test lists the objects that break the rule.
 */

create temporary view our_tables as
  select c.oid, c.oid::regclass as name, c.relname, c.relkind
  from pg_class as c
  where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
    and not exists (select from pg_depend as d where d.objid = c.oid and d.deptype = 'e');

-- A table, because the planner's estimates for the catalog are too poor for many joins.
create temporary table our_functions as
  select p.*, p.oid::regprocedure as signature
  from pg_proc as p
  where p.pronamespace in ('public'::regnamespace, 'private'::regnamespace)
    and p.oid not in (select d.objid from pg_depend as d where d.deptype = 'e');
analyze our_functions;

-- Tables that belong to no single organization. Everything else in public belongs to a tenant.
create temporary table shared_tables (relname name primary key);
insert into shared_tables values ('organizations'), ('org_channels'), ('phone_counts'),
  ('metric_events'), ('metric_totals'), ('metric_minutes'), ('metric_batches');

create temporary view tenant_tables as
  select t.*, (
    select a.attnum from pg_attribute as a where a.attrelid = t.oid and a.attname = 'org_id'
  ) as org_id
  from our_tables as t
  where t.relname not in (select s.relname from shared_tables as s);

select * from no_plan();

select is_empty(
  'select relname from shared_tables except select relname from our_tables',
  'the list of tables that are no tenant''s names existing ones');

-- Row level security and grants

select is_empty(
  'select t.name from our_tables as t join pg_class as c using (oid) where not c.relrowsecurity',
  'row level security is on for every table');
select is_empty(
  $$select tablename, policyname from pg_policies where schemaname = 'public'
    and (cmd <> 'SELECT' or roles <> '{authenticated}' or permissive <> 'PERMISSIVE')$$,
  'policies only let staff read');
select is_empty(
  $$select tablename from pg_policies where schemaname = 'public'
    group by tablename, cmd, roles having count(*) > 1$$,
  'a table has one policy a command and role');
select is_empty(
  $$select tablename, qual from pg_policies where schemaname = 'public'
    and qual !~ 'SELECT auth\.uid\(\) AS uid'$$,
  'policies ask for the user once a statement');
select is_empty(
  $$select c.relname from pg_class as c
    where c.relnamespace = 'public'::regnamespace and c.relkind = 'v'
      and not coalesce(c.reloptions @> '{security_invoker=true}', false)$$,
  'views read with the rights of who asks');
select is_empty(
  $$select c.relname from pg_class as c
    where c.relnamespace = 'public'::regnamespace and c.relkind in ('m', 'f', 'S')$$,
  'there is nothing in public that row level security cannot protect');
select is_empty(
  $$select c.relname, a.privilege_type
    from pg_class as c, aclexplode(c.relacl) as a
    where c.relnamespace in ('public'::regnamespace, 'private'::regnamespace)
      and a.grantee in (0, 'anon'::regrole)$$,
  'no table or view is granted to anon or everybody');
select is_empty(
  $$select c.relname, a.privilege_type
    from pg_class as c, aclexplode(c.relacl) as a
    where c.relnamespace in ('public'::regnamespace, 'private'::regnamespace)
      and a.grantee = 'authenticated'::regrole and a.privilege_type <> 'SELECT'$$,
  'staff are granted nothing but reading');
select is_empty(
  $$select t.name, r.role
    from our_tables as t, unnest('{anon,authenticated,service_role}'::name[]) as r (role)
    where (t.relname in ('org_credentials', 'one_time_passcodes', 'calls', 'tool_calls', 'phone_counts',
        'calendar_feeds', 'busy_calendars', 'webhook_endpoints', 'webhook_messages')
        or t.relname ~ '^metric_')
      and has_any_column_privilege(r.role, t.oid, 'select, insert, update, references')$$,
  'credentials, passcodes, recorded answers, counts of numbers, calendars and metrics are only for entry functions');
select is_empty(
  $$select c.oid::regclass
    from pg_class as c
    where c.relnamespace in ('public'::regnamespace, 'private'::regnamespace)
      and c.relkind in ('r', 'p')
      and not exists (select from pg_depend as d where d.objid = c.oid and d.deptype = 'e')
      and not exists (select from private.personal_data as p where p.relation = c.oid)$$,
  'every table says what it has of a patient: private.personal_data');
select is_empty(
  $$select s.nspname, r.role
    from pg_namespace as s, unnest('{anon,authenticated}'::name[]) as r (role)
    where s.nspname = 'private' and has_schema_privilege(r.role, s.oid, 'usage, create')$$,
  'private is out of the API''s reach');
select is_empty(
  $$select r.role from unnest('{anon,authenticated,service_role}'::name[]) as r (role)
    where has_schema_privilege(r.role, 'public', 'create')$$,
  'the API''s roles create nothing in public');

-- Functions

select is_empty(
  $$select signature from our_functions where not coalesce(proconfig @> array['search_path=""'], false)
      -- The names in a SQL-standard body are already resolved, and it is inlined into its caller's query.
      and prosqlbody is null$$,
  'every function pins an empty search_path');
select is_empty(
  $$select signature from our_functions
    where prosecdef and pronamespace <> 'public'::regnamespace$$,
  'only entry functions run with their owner''s rights');
-- Functions that members of a clinic call with their own token: each checks the role first.
create temporary table staff_functions (proname name primary key);
insert into staff_functions values ('staff_add_calendar_feed'), ('staff_add_time_off'), ('staff_block_number'), ('staff_book'),
  ('staff_cancel'), ('staff_change_member'), ('staff_clear_lock'), ('staff_confirm'),
  ('staff_find_times'), ('staff_handle'), ('staff_list_calendars'), ('staff_list_members'),
  ('staff_mark'), ('staff_move'), ('staff_remove_time_off'), ('staff_resolve'),
  ('staff_revoke_calendar_feed'), ('staff_set_busy_calendar'), ('staff_set_closing_days'), ('staff_set_day'),
  ('staff_set_hours');
select is_empty(
  'select proname from staff_functions except select proname from our_functions',
  'the list of functions that are for staff names existing ones');
select is_empty(
  $$select f.signature, r.role
    from our_functions as f, unnest('{anon,authenticated}'::name[]) as r (role)
    where has_function_privilege(r.role, f.oid, 'execute')
      and not (r.role = 'authenticated' and f.pronamespace = 'public'::regnamespace
        and f.proname in (select s.proname from staff_functions as s))$$,
  'no function is for anon or everybody, and staff call none but theirs');
select is_empty(
  $$select f.signature from our_functions as f join staff_functions as s using (proname)
    where f.prosrc !~ 'private\.(enter_desk|change_schedule)\('
      and f.prosrc !~ 'private\.role_refusal\(private\.find_role\(p_org, auth\.uid\(\)\)'
      or f.proargnames[1] <> 'p_org'$$,
  'a function for staff asks org_members what they may do at the organization it is given');
-- Functions that jobs and tasks call as the owner. They change settings, accounts and history, or read
-- the data of several tenants.
create temporary table owners_functions (proname name primary key);
insert into owners_functions values ('add_calendar_feed'), ('add_webhook'), ('apply_clinic'), ('change_webhook'), ('apply_retention'), ('clear_limits'), ('collect_metrics'),
  ('delete_clinic'),
  ('erase_patient'), ('export_patient'),
  ('find_misplaced_bookings'), ('list_calendars'), ('list_questions'), ('list_webhooks'), ('read_clinic'), ('read_line'), ('register_channel'),
  ('remove_question'), ('revoke_calendar_feed'),
  ('request_busy_times'), ('request_webhooks'), ('resend_webhooks'), ('seal_audit'), ('send_appointment_texts'), ('set_busy_calendar'),
  ('set_functions_target'), ('set_limits'), ('set_member'), ('set_org_credentials'), ('verify_audit'),
  ('watch_overlaps');
select is_empty(
  'select proname from owners_functions except select proname from our_functions',
  'the list of functions that are the owner''s names existing ones');
select is_empty(
  $$select signature from our_functions where pronamespace = 'public'::regnamespace
    and (not prosecdef or has_function_privilege('service_role', oid, 'execute')
      = (proname in (select o.proname from owners_functions as o
        union all select s.proname from staff_functions as s)))$$,
  'a function of public is an entry function the service role may call, staff''s or the owner''s alone');
select is_empty(
  $$select c.relname, a.privilege_type
    from pg_class as c, aclexplode(c.relacl) as a
    where c.relnamespace in ('public'::regnamespace, 'private'::regnamespace)
      and a.grantee = 'service_role'::regrole and a.privilege_type <> 'SELECT'$$,
  'the service role writes by entry functions only');
select is_empty(
  $$select proname from our_functions where pronamespace = 'public'::regnamespace
    group by proname having count(*) > 1$$,
  'entry functions are not overloaded: PostgREST chooses by argument names');
select is_empty(
  $$select f.signature from our_functions as f join pg_type as t on t.oid = f.prorettype
    where f.pronamespace = 'public'::regnamespace and t.typtype <> 'b' and t.typname <> 'void'$$,
  'entry functions return jsonb, a scalar or nothing: PostgREST fills an empty row with nulls');
select is_empty(
  $$select f.signature from our_functions as f
    where f.pronamespace = 'public'::regnamespace and f.prosecdef
      and (has_function_privilege('service_role', f.oid, 'execute')
        or has_function_privilege('authenticated', f.oid, 'execute'))
      and not exists (select from unnest(f.proconfig) as c where c ~ '^statement_timeout=[1-9]')$$,
  'an entry function ends before its caller stops waiting');
-- Entry functions that may wait for another transaction's lock, directly or through functions of private.
create temporary table waiting_entries as
  with recursive named (oid, callee) as (
    select distinct f.oid, m.found[1]
    from our_functions as f, regexp_matches(f.prosrc, '\mprivate\.(\w+)', 'g') as m (found)
  ), waiting (oid) as materialized (
    select f.oid from our_functions as f
    where f.prosrc ~* '\mpg_advisory_|for (no key )?update|on conflict|\mupdate |\mdelete from'
  ), reach (entry, oid) as (
    select f.oid, f.oid from our_functions as f where f.pronamespace = 'public'::regnamespace
    union
    select r.entry, f.oid
    from reach as r
    join named as n using (oid)
    join our_functions as f on f.pronamespace = 'private'::regnamespace and f.proname = n.callee
  )
  select f.proname, f.prosrc, f.proconfig,
    f.prorettype = 'jsonb'::regtype and f.prosrc ~ '["'']outcome["'']' as answers
  from our_functions as f
  where f.oid in (select r.entry from reach as r join waiting as w using (oid));
select is_empty(
  $$select w.proname from waiting_entries as w
    where not exists (select from unnest(w.proconfig) as c where c ~ '^lock_timeout=[1-9]')$$,
  'an entry function that can wait for a lock limits the wait');
select is_empty(
  $$select w.proname from waiting_entries as w
    where w.answers and w.prosrc !~ 'lock_not_available or deadlock_detected'
      -- Its caller retries after an error.
      and w.proname <> 'record_metrics'$$,
  'an entry function whose wait was too long answers busy');
select is_empty(
  $$select signature from our_functions where provolatile <> 'v'
    and prosrc ~* '\m(insert into|update (public|private)\.|delete from|for (no key )?update)'$$,
  'functions that write or lock are volatile: PostgREST runs the others read only');
select is_empty(
  $$select signature from our_functions where prosrc ~* '\mconstraint_name\M|_no_overlap|_unique\M'$$,
  'no function knows a constraint by its name');
select is_empty(
  $$select f.signature from our_functions as f
    where f.pronamespace = 'private'::regnamespace
      and (coalesce(f.proargnames[1], '') <> 'p_org'
        or f.proargtypes[0] not in ('uuid'::regtype, 'public.organizations'::regtype))
      and exists (
        select from tenant_tables as t
        where f.prosrc ~ ('\mpublic\.' || t.relname || '\M'))
      -- protect() creates policies and reads no rows; counts for operators name no organization.
      and f.proname not in ('protect', 'count_audit')$$,
  'a function that reads a tenant''s tables takes the organization first');

-- The guarantee against double booking

select is_empty(
  $$select f.signature::text
    from (select signature, pg_get_functiondef(oid) as text from our_functions offset 0) as f
    where f.text like '%busy%' and f.text ~ '&&|@>|<@|-\|-|<<|>>|&<|&>'
      and (f.text ~ '\mbusy\s*(&&|@>|<@|-\|-|<<|>>|&<|&>)'
      or f.text ~ '(&&|@>|<@|-\|-|<<|>>|&<|&>)\s*\(?\w*\.?busy\M')
    union all
    select v.oid::regclass::text from pg_class as v
    where v.relkind in ('v', 'm') and v.relnamespace = 'public'::regnamespace
      and pg_get_viewdef(v.oid) ~ 'busy\s*(&&|@>|<@)'$$,
  'nothing compares busy times by the operators of the constraint''s index');
select is_empty(
  $$with functions as (
      select f.*, f.prosrc ~ '\mprivate\.lock_provider\(' and f.prosrc ~ '\mprivate\.would_overlap\('
        as is_guarded
      from our_functions as f
    )
    select f.signature from functions as f
    where f.prosrc ~ 'insert into public\.appointments\M|\mset (\w+ = [^;]*, )?(session_key|busy) ='
      -- Its rows are rolled back before anybody can see them.
      and f.proname <> 'find_unguarded'
      and not f.is_guarded
      -- Or all of its callers do both.
      and not coalesce((
        select bool_and(c.is_guarded) from functions as c
        where c.prosrc ~ ('\mprivate\.' || f.proname || '\(')), false)$$,
  'a function that writes the time of a live row locks the provider and looks for what it overlaps');

-- Comments

select is_empty(
  $$select c.relname from pg_class as c
    where c.relnamespace in ('public'::regnamespace, 'private'::regnamespace)
      and c.relkind in ('r', 'p', 'v', 'm') and obj_description(c.oid, 'pg_class') is null$$,
  'every table and view has a comment');
select is_empty(
  $$select signature from our_functions where obj_description(oid, 'pg_proc') is null$$,
  'every function has a comment');

-- Keys

select is_empty(
  $$select t.name from tenant_tables as t
    where not exists (
      select from pg_attribute as a
      where a.attrelid = t.oid and a.attname = 'org_id'
        and a.atttypid = 'uuid'::regtype and a.attnotnull)$$,
  'every tenant table has org_id uuid not null');
select is_empty(
  $$select t.name from our_tables as t
    where not exists (select from pg_index as i where i.indrelid = t.oid and i.indisprimary)$$,
  'every table has a primary key');
select is_empty(
  $$select t.name, i.indexrelid::regclass
    from tenant_tables as t join pg_index as i on i.indrelid = t.oid
    where (i.indisunique or i.indisexclusion) and i.indkey[0] <> t.org_id$$,
  'org_id leads every primary, unique and exclusion key of a tenant table');
select is_empty(
  $$select t.name, f.conname
    from tenant_tables as t
    join pg_constraint as f on f.conrelid = t.oid and f.contype = 'f'
    join tenant_tables as u on u.oid = f.confrelid
    where f.conkey[1] <> t.org_id or f.confkey[1] <> u.org_id$$,
  'org_id leads every foreign key between tenant tables');
select is_empty(
  $$select t.name, f.conname
    from tenant_tables as t
    join pg_constraint as f on f.conrelid = t.oid and f.contype = 'f'
    where f.confrelid not in (select u.oid from tenant_tables as u)
      and not (f.confrelid = 'public.organizations'::regclass and f.conkey = array[t.org_id])
      and not (f.confrelid = 'auth.users'::regclass and t.relname = 'org_members')$$,
  'a tenant table points to its organization and other tenant tables; members to their account');
select is_empty(
  $$select t.name, f.conname
    from our_tables as t join pg_constraint as f on f.conrelid = t.oid and f.contype = 'f'
    where f.confdeltype in ('n', 'd') or f.confupdtype <> 'a'$$,
  'no foreign key sets columns or follows a changed key');
select is_empty(
  $$select t.name, f.conname
    from our_tables as t join pg_constraint as f on f.conrelid = t.oid and f.contype = 'f'
    where not exists (
      select from pg_index as i
      where i.indrelid = t.oid
        and (i.indpred is null or pg_get_expr(i.indpred, i.indrelid) ~ '^\(\w+ IS NOT NULL\)$')
        and f.conkey @> (i.indkey::smallint[])[0:cardinality(f.conkey) - 1]
        and f.conkey <@ (i.indkey::smallint[])[0:cardinality(f.conkey) - 1])$$,
  'an index lies under every foreign key');
select is_empty(
  $$select r.name from private.retention_rules as r
    where not exists (
      select from pg_index as i
      where i.indrelid = r.relation and pg_get_indexdef(i.indexrelid, 1, true) = 'org_id'
        and lower(pg_get_indexdef(i.indexrelid, 2, true)) = r.age)$$,
  'what retention deletes has an index by organization and age');
select is_empty(
  $$select t.name, g.tgname from our_tables as t join pg_trigger as g on g.tgrelid = t.oid
    where not g.tgisinternal$$,
  'no table has triggers');
select is_empty(
  $$select t.name, a.attname from our_tables as t join pg_attribute as a on a.attrelid = t.oid
    where a.attnum > 0 and (a.attidentity <> '' or a.atttypid in (
      'timestamp'::regtype, 'json'::regtype, 'money'::regtype, 'time'::regtype, 'timetz'::regtype))$$,
  'columns are neither numbered nor of a type that loses the zone');

select * from finish();
