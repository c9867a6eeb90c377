-- Stand-in for pg_cron where its library is not available, with the same schema and functions, so that
-- the migrations run unchanged. It does not run the jobs: the local stack reads cron.job and does.

create schema cron;

create sequence cron.jobid_seq;
create table cron.job (
  jobid bigint primary key default nextval('cron.jobid_seq'),
  schedule text not null,
  command text not null,
  nodename text not null default 'localhost',
  nodeport integer not null default coalesce(inet_server_port(), 5432),
  database text not null default current_database(),
  username text not null default session_user,
  active boolean not null default true,
  jobname name,
  constraint jobname_username_uniq unique (jobname, username)
);

create sequence cron.runid_seq;
create table cron.job_run_details (
  jobid bigint,
  runid bigint primary key default nextval('cron.runid_seq'),
  job_pid integer,
  database text,
  username text,
  command text,
  status text,
  return_message text,
  start_time timestamptz,
  end_time timestamptz
);

-- Whether a field is a list of stars, numbers and ranges, each within the limits, with steps.
create function cron.is_field(p_field text, p_lowest integer, p_highest integer) returns boolean
language sql immutable strict set search_path = ''
as $$
  select bool_and(m is not null and (m[1] is not null or (
      m[2]::integer between p_lowest and p_highest
      and coalesce(m[3], m[2])::integer between m[2]::integer and p_highest))
    and coalesce(m[4], '1')::integer > 0)
  from (
    select regexp_match(part, '^(?:(\*)|([0-9]{1,2})(?:-([0-9]{1,2}))?)(?:/([0-9]{1,2}))?$') as m
    from string_to_table(p_field, ',') as part
  ) as parts
$$;

create function cron.schedule(job_name name, schedule text, command text) returns bigint
language plpgsql security definer set search_path = ''
as $$
declare
  v_fields constant text[] := regexp_split_to_array(btrim(schedule.schedule), '\s+');
  v_id bigint;
begin
  if cardinality(v_fields) is distinct from 5 or not (
    cron.is_field(v_fields[1], 0, 59) and cron.is_field(v_fields[2], 0, 23)
    and cron.is_field(v_fields[3], 1, 31) and cron.is_field(v_fields[4], 1, 12)
    and cron.is_field(v_fields[5], 0, 7))
  then
    raise exception 'invalid schedule: %', schedule.schedule using errcode = '22023',
      hint = 'Five fields: minute, hour, day of month, month, day of week.';
  end if;
  insert into cron.job as j (jobname, schedule, command)
  values (schedule.job_name, schedule.schedule, schedule.command)
  on conflict (jobname, username) do update
  set schedule = excluded.schedule, command = excluded.command, active = true
  returning j.jobid into v_id;
  return v_id;
end
$$;

create function cron.schedule(schedule text, command text) returns bigint
language sql security definer set search_path = ''
as $$ select cron.schedule(null::name, $1, $2) $$;

create function cron.unschedule(job_name name) returns boolean
language plpgsql security definer set search_path = ''
as $$
begin
  delete from cron.job as j where j.jobname = unschedule.job_name and j.username = session_user;
  if not found then
    raise exception 'could not find valid entry for job ''%''', unschedule.job_name;
  end if;
  return true;
end
$$;

create function cron.unschedule(job_id bigint) returns boolean
language plpgsql security definer set search_path = ''
as $$
begin
  delete from cron.job as j where j.jobid = unschedule.job_id and j.username = session_user;
  if not found then
    raise exception 'could not find valid entry for job ''%''', unschedule.job_id;
  end if;
  return true;
end
$$;

revoke execute on all functions in schema cron from public;
grant usage on schema cron to @extowner@;
grant select on cron.job to @extowner@;
grant all on cron.job_run_details to @extowner@;
grant execute on all functions in schema cron to @extowner@;
