/*
 * A slot that its own call has taken, under another name. Names are misheard, so a caller who corrects the name
 * must not hear that somebody else has just taken the time: the answer says that the call holds it, and names
 * the hold, which a request with its id gives the right name.
 */
set local lock_timeout = '2s';

create function private.describe_own_hold(
  p_org public.organizations, p_hold public.appointments, p_at timestamptz
) returns jsonb
language plpgsql stable set search_path = ''
as $$
begin
  return case when p_hold.id is null then '{}'::jsonb else jsonb_build_object('kept', (
    select jsonb_build_object('holdId', d -> 'holdId', 'startTime', d -> 'startTime',
      'doctor', d -> 'doctor')
    from private.describe_hold(p_org, p_hold, p_at) as d)) end;
end
$$;
comment on function private.describe_own_hold is
  'A hold of a call that its request does not touch: {kept: {holdId, startTime, doctor}}, or {}.';
revoke execute on function private.describe_own_hold from public;

create or replace function private.describe_kept(
  p_org public.organizations, p_call_id text, p_patient jsonb, p_said jsonb, p_now timestamptz
) returns jsonb
language plpgsql stable set search_path = ''
as $$
declare
  v_hold public.appointments;
begin
  if private.names_hold(p_said) then
    return '{}';
  end if;
  select h.* into v_hold from private.find_holds(p_org.id, p_call_id, p_now) as h
  where private.is_for_patient(h, p_patient)
  order by h.created_at desc limit 1;
  return private.describe_own_hold(p_org, v_hold, p_now);
end
$$;

create or replace function private.refuse_slot(
  p_org public.organizations, p_call jsonb, p_action text, p_wanted private.wanted_slot,
  p_old public.appointments, p_moves public.appointments, p_was_free boolean, p_at timestamptz
) returns jsonb
language plpgsql volatile set search_path = ''
as $$
declare
  v_kept public.appointments;
begin
  select h.* into v_kept from private.find_holds(p_org.id, p_call ->> 'callId', p_at) as h
  where private.is_wanted(p_wanted, h) and h.id is distinct from p_old.id
  order by h.created_at desc limit 1;
  perform private.audit(p_org.id, p_call, p_action, null, 'slot_taken',
    jsonb_build_object('slotId', private.slot_id((p_wanted.service).slug, p_wanted.starts_at,
      p_org.timezone, (p_wanted.provider).slug)));
  return private.describe_own_hold(p_org, v_kept, p_at)
    || jsonb_build_object('outcome', 'slot_taken', 'orgId', p_org.id, 'timezone', p_org.timezone,
    'taken', p_was_free or private.is_taken(p_org.id, p_wanted.service, (p_wanted.provider).id,
      p_wanted.starts_at, p_old.call_id, p_at, p_moves.id))
    || private.alternatives(
      p_org, p_wanted.service, p_wanted.provider, p_wanted.starts_at, p_old, p_moves.id);
end
$$;
