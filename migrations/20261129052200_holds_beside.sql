/*
 * A hold beside another one of its call, for the same number at the same time, under another name. These can be
 * two children with two doctors, or one patient whose name was misheard at first: only the caller knows, and
 * hears of it before one passcode confirms both.
 */
set local lock_timeout = '2s';

create function private.describe_beside(
  p_org public.organizations, p_call_id text, p_hold uuid, p_at timestamptz
) returns jsonb
language plpgsql stable set search_path = ''
as $$
declare
  v_beside public.appointments;
begin
  select h.* into v_beside
  from private.find_holds(p_org.id, p_call_id, p_at) as h
  join public.appointments as n on n.org_id = p_org.id and n.id = p_hold
  where h.id <> n.id and h.patient_phone = n.patient_phone
    and h.starts_at < n.ends_at and h.ends_at > n.starts_at
  order by h.created_at desc limit 1;
  return private.describe_own_hold(p_org, v_beside, p_at);
end
$$;
comment on function private.describe_beside is
  'What a call holds at the same time as a hold, for the same number: {kept}, or {}.';
revoke execute on function private.describe_beside from public;
