/*
 * What the migrations and hosted Supabase's rights need from pg_cron, whether real or stand-in. The
 * tests run as postgres, which is not a superuser.
 */

select plan(17);

select is((select rolsuper from pg_roles where rolname = current_user), false,
  'postgres is no superuser');
select results_eq(
  'select jobname::text collate "default", schedule, active from cron.job order by jobname',
  $$values ('apply-retention', '17 3 * * *', true),
    ('cleanup-expired-holds', '* * * * *', true),
    ('collect-metrics', '* * * * *', true),
    ('request-busy-times', '* * * * *', true), ('request-webhooks', '* * * * *', true), ('seal-audit', '* * * * *', true), ('send-appointment-texts', '* * * * *', true),
    ('watch-overlaps', '* * * * *', true)$$,
  'the migrations leave eight jobs');

create temporary table scheduled (id bigint);
insert into scheduled select cron.schedule('once', '* * * * *', 'select 1');
select is(cron.schedule('once', '*/5 * * * *', 'select 2'), (select id from scheduled),
  'scheduling a name again keeps its job');
select results_eq(
  'select schedule, command from cron.job where jobname = ''once''',
  $$values ('*/5 * * * *', 'select 2')$$,
  'and changes schedule and command');
select is(cron.unschedule('once'), true, 'a job is ended by its name');
select is_empty('select * from cron.job where jobname = ''once''', 'an ended job is gone');
select throws_ok('select cron.unschedule(''once'')', null, null, 'ending it twice is an error');
insert into scheduled select cron.schedule('0 3 * * 0', 'select 1');
select is(cron.unschedule((select max(id) from scheduled)), true,
  'a job without a name is ended by its id');

select lives_ok(format('select cron.schedule(''valid'', %L, ''select 1'')', s), s || ' is a schedule')
from unnest('{"0,30 9-17/2 1-15 */3 1-5","59 23 31 12 7"}'::text[]) as s;
select throws_ok(format('select cron.schedule(''invalid'', %L, ''select 1'')', s), null, null,
  format('%L is no schedule', s))
from unnest(array['* * * *', '60 * * * *', '* 24 * * *', '* * 0 * *', 'every minute']) as s;

select throws_ok('insert into cron.job (schedule, command) values (''* * * * *'', ''select 1'')',
  '42501', null, 'jobs are changed by functions only');
select lives_ok('delete from cron.job_run_details where end_time < now()',
  'the history of runs can be pruned');

select * from finish();
