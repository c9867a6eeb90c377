/*
 * Deletion: a clinic that leaves.
 *
 * Decisions
 * - Everything of the clinic goes in one transaction, and nothing while appointments lie ahead.
 * - The audit log stays, with its seals: it names the organization by an id that nobody has any more.
 */

/*
 * Entry function of the task clinic: deletes a clinic and everything it has but the audit log.
 *
 * Outcomes  deleted (slug, appointments: how many there were), appointments_ahead (ahead: appointments
 *           and live holds), unknown_clinic, busy
 */
create function public.delete_clinic(p_org uuid) returns jsonb
language plpgsql volatile security definer set search_path = '' set lock_timeout = '5s'
  set jit = off
as $$
declare
  v_now constant timestamptz := clock_timestamp();
  v_slug text;
  v_count integer;
begin
  -- A booking that begins now waits for this, and then finds no clinic.
  select o.slug into v_slug from public.organizations as o where o.id = p_org for update;
  if v_slug is null then
    return '{"outcome": "unknown_clinic"}';
  end if;
  select count(*) into v_count from public.appointments as a
  where a.org_id = p_org and private.is_live(a, v_now) and a.ends_at > v_now;
  if v_count > 0 then
    return jsonb_build_object('outcome', 'appointments_ahead', 'ahead', v_count);
  end if;
  delete from public.appointments as a where a.org_id = p_org
    and not (private.is_live(a, v_now) and a.ends_at > v_now);
  get diagnostics v_count = row_count;
  delete from public.organizations as o where o.id = p_org;
  perform private.audit(p_org, null, 'delete_clinic', null, 'deleted',
    jsonb_build_object('slug', v_slug, 'appointments', v_count));
  return jsonb_build_object('outcome', 'deleted', 'slug', v_slug, 'appointments', v_count);
exception when lock_not_available or deadlock_detected or foreign_key_violation then
  return '{"outcome": "busy"}';
end
$$;
comment on function public.delete_clinic is
  'Deletes a clinic that has no appointments ahead; its audit log stays.';

-- Only the owner's task.
revoke execute on function public.delete_clinic from public, anon, authenticated, service_role;
