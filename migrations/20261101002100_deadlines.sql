/*
 * Deadlines: how long a statement of the functions may take, and how its plans are made.
 *
 * Decisions
 * - The functions wait 2.5 seconds for an answer. Nobody needs a statement that takes longer, and under
 *   load it delays others. So it is cancelled and rolled back a little earlier, and the caller hears
 *   that the system is busy.
 * - The timeout belongs to the entry functions, not to service_role, which a project may use for other
 *   work. PostgREST applies a function's statement_timeout to the whole request
 *   (db-hoisted-tx-settings). In a direct call from SQL it has no effect.
 * - Plans are made once for all arguments. Queries use ids and short time ranges, for which one plan
 *   fits. PostgreSQL would plan some of them again for each call, which took a fifth of the time of
 *   checking a code.
 * - What the owner calls (clean-up, retention, settings) has no such timeout, because nobody waits for
 *   it.
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
