/* The last step: existing rows are checked without blocking callers, and functions that they call are replaced. */
set local lock_timeout = '2s';

alter table public.appointments validate constraint appointments_room_fkey;

do $$
declare
  v_function regprocedure;
begin
  for v_function in
    select p.oid from pg_catalog.pg_proc as p
    where p.pronamespace = 'public'::regnamespace
      and p.proname in ('claim_slot_atomic', 'check_availability', 'verify_otp_and_confirm')
  loop
    execute pg_catalog.pg_get_functiondef(v_function);
  end loop;
end
$$;
