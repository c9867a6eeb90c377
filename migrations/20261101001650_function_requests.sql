/*
 * Function requests: how the database asks an Edge Function to do something.
 *
 * Decisions
 * - pg_net posts once the transaction has committed, and nothing waits for the answer: the function's
 *   results are in its tables.
 * - The address and the secret are in Vault if the project has it, otherwise in a private table. They
 *   are not in any migration: deno task deploy writes them. Until then, nothing is posted.
 * - Both are looked up when they are needed. So a database without pg_net or Vault accepts the same
 *   migrations, and sends no texts about appointments on its own.
 */

do $$
begin
  if exists (select from pg_catalog.pg_available_extensions as e where e.name = 'pg_net') then
    create extension if not exists pg_net with schema extensions;
  end if;
end
$$;

create table private.functions_target (
  only_row boolean primary key default true
    constraint functions_target_has_one_row check (only_row),
  url text not null
    constraint functions_target_url_plain check (url ~ '^https?://[^[:space:]]+[^/[:space:]]$'),
  secret text
);
comment on table private.functions_target is
  'Where the functions are, and the secret that they expect of the database.';
comment on column private.functions_target.secret is 'Null if it is in Vault.';

create function private.has_vault() returns boolean
language sql stable set search_path = ''
as $$
  select to_regclass('vault.decrypted_secrets') is not null
    and to_regproc('vault.create_secret') is not null
$$;
comment on function private.has_vault is 'Whether this database has Supabase Vault.';

/* Its columns id and secret, or nulls. A name that is put together is not looked up where there is no Vault. */
create function private.find_in_vault(out id uuid, out secret text)
language plpgsql stable set search_path = ''
as $$
begin
  execute format('select s.id, s.decrypted_secret from %I.decrypted_secrets as s where s.name = $1',
    'vault')
  into id, secret using 'functions_secret';
end
$$;
comment on function private.find_in_vault is 'The secret of the functions in Supabase Vault.';

/* {url, secret}; null before public.set_functions_target(). */
create function private.read_functions_target() returns jsonb
language plpgsql stable set search_path = ''
as $$
declare
  v_target private.functions_target;
begin
  select t.* into v_target from private.functions_target as t;
  if v_target.url is not null and v_target.secret is null and private.has_vault() then
    select v.secret into v_target.secret from private.find_in_vault() as v;
  end if;
  return case when v_target.secret is not null
    then jsonb_build_object('url', v_target.url, 'secret', v_target.secret) end;
end
$$;
comment on function private.read_functions_target is
  'Where the functions are and the secret that they expect of the database, or null.';

/*
 * For the owner: where the functions are, and the secret that they expect of the database (JOBS_SECRET).
 *
 * p_url  without a slash at its end, such as https://PROJECT.supabase.co/functions/v1
 */
create function public.set_functions_target(p_url text, p_secret text) returns void
language plpgsql volatile security definer set search_path = '' set lock_timeout = '5s'
as $$
declare
  v_id uuid;
begin
  if coalesce(length(p_secret), 0) < 16 then
    raise exception 'Cannot set the functions'' secret: it must have at least 16 characters'
      using errcode = '22023';
  end if;
  if private.has_vault() then
    select v.id into v_id from private.find_in_vault() as v;
    if v_id is null then
      execute format('select %I.create_secret($1, $2)', 'vault') using p_secret, 'functions_secret';
    else
      execute format('select %I.update_secret($1, $2)', 'vault') using v_id, p_secret;
    end if;
    p_secret := null;
  end if;
  insert into private.functions_target as t (url, secret) values (p_url, p_secret)
  on conflict (only_row) do update set url = excluded.url, secret = excluded.secret;
end
$$;
comment on function public.set_functions_target is
  'Tells the database where the functions are, and the secret that they expect of it.';

/* Returns false where there is nobody to ask: no address yet, or no pg_net. */
create function private.ask_function(p_name text) returns boolean
language plpgsql volatile set search_path = ''
as $$
declare
  v_target constant jsonb := private.read_functions_target();
begin
  if v_target is null or to_regproc('net.http_post') is null then
    return false;
  end if;
  execute 'select net.http_post(url => $1, body => $2, headers => $3, timeout_milliseconds => $4)'
  using (v_target ->> 'url') || '/' || p_name, '{}'::jsonb,
    jsonb_build_object('Content-Type', 'application/json',
      'Authorization', 'Bearer ' || (v_target ->> 'secret')), 60000;
  return true;
end
$$;
comment on function private.ask_function is 'Posts to an Edge Function after the transaction has committed.';

/*
 * Entry function of pg_cron's job: writes the reminders of clinics whose time has come, gives up texts
 * whose sender died, and requests the texts that are due. Returns whether a function was called.
 */
create function public.send_appointment_texts() returns boolean
language plpgsql volatile security definer set search_path = '' set lock_timeout = '1s'
as $$
declare
  v_now constant timestamptz := clock_timestamp();
  v_due record;
  v_text public.appointment_texts;
begin
  for v_due in
    select o as org, d.day
    from public.organizations as o
    left join private.reminded_days as r on r.org_id = o.id
    cross join lateral (
      -- What was missed comes first: the time to remind of the next day may be early in the morning.
      select coalesce(private.missed_day(o, r.day, v_now), private.reminder_day(o, v_now)) as day
    ) as d
    where o.reminder_min is not null and d.day > coalesce(r.day, '-infinity')
      and not exists (select from private.arriving_clinics as i where i.org_id = o.id)
    -- A clinic that is being moved does not stop the texts of the others.
    for key share of o skip locked
  loop
    perform private.queue_reminders(v_due.org, v_due.day, v_now);
  end loop;
  for v_text in
    select t.* from public.appointment_texts as t
    join public.organizations as o on o.id = t.org_id
    join public.appointments as a on a.org_id = t.org_id and a.id = t.appointment_id
    where t.state = 'sending' and t.due_at <= v_now
    order by t.due_at limit 100
    for no key update of t skip locked for key share of o, a skip locked
  loop
    perform private.fail_text(v_text.org_id, v_text.send_id, 'no_answer', true);
    perform private.settle_text(
      v_text.org_id, v_text, 'unknown', 'no_answer', v_now);
  end loop;
  return exists (
    select from public.appointment_texts as t
    where t.state = 'waiting' and t.due_at <= clock_timestamp()
      and not exists (select from private.arriving_clinics as r where r.org_id = t.org_id))
    and private.ask_function('appointment-texts');
end
$$;
comment on function public.send_appointment_texts is
  'Asks the function appointment-texts to send what is due; pg_cron calls it every minute.';

-- Only the owner's task and the owner's job.
revoke execute on function public.set_functions_target, public.send_appointment_texts
  from public, anon, authenticated, service_role;
