/*
 * Deadlines: how long a statement of the functions may take, and how its plans are made.
 *
 * Decisions
 * - The functions wait 2.5 seconds for an answer. A statement that takes longer is work for nobody, and
 *   under load it keeps others from being answered in time. So it ends a little earlier, undone, and
 *   the caller hears that it is busy.
 * - The timeout belongs to the entry functions and not to service_role, which a project may use for
 *   other work. PostgREST applies a function's statement_timeout to the whole request
 *   (db-hoisted-tx-settings); to a direct call from SQL it means nothing.
 * - Plans are made once for all arguments. What the functions ask goes by ids and short spans of time,
 *   for which one plan fits all, and PostgreSQL would make some of them anew for each call: that took
 *   a fifth of the time of checking a code.
 * - What the owner calls (clean-up, retention, settings) has no such timeout: nobody waits for it.
 */
do $$
declare
  v_function regprocedure;
begin
  for v_function in
    select p.oid from pg_catalog.pg_proc as p
    where p.pronamespace = 'public'::regnamespace and p.prosecdef
      and p.proowner = current_user::regrole
      and (pg_catalog.has_function_privilege('service_role', p.oid, 'execute')
        or pg_catalog.has_function_privilege('authenticated', p.oid, 'execute'))
  loop
    execute format('alter function %s set statement_timeout = %L', v_function, '2300ms');
    execute format('alter function %s set plan_cache_mode = force_generic_plan', v_function);
  end loop;
end
$$;
