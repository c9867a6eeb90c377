/*
 * Desk hours: when the front desk answers the phone, so that calls are transferred only then.
 *
 * Decisions
 * - The hours are local minutes of a weekday, like working hours. No hours begin on a closing day.
 * - Every tool's answer says whether the desk is open at that moment. So a tool that gives up knows,
 *   without another round trip, whether the caller can be transferred.
 */

create table public.desk_hours (
  org_id uuid not null references public.organizations (id) on delete cascade,
  dow smallint not null
    constraint desk_hours_dow_known check (private.require(dow between 0 and 6,
      format('desk hours on weekday %s', dow), 'the weekdays are 0 (Sunday) to 6 (Saturday)')),
  start_min integer not null,
  end_min integer not null,
  primary key (org_id, dow, start_min),
  constraint desk_hours_possible check (
    private.require_hours(format('desk hours on weekday %s', dow), start_min, end_min)),
  constraint "desk hours of one weekday must not overlap" exclude using gist (
    org_id with =, dow with =, int4range(start_min, end_min) with &&) where (start_min >= 0)
);
comment on table public.desk_hours is
  'When the front desk answers, in local minutes from midnight; end_min above 1440 runs into the next day.';
comment on column public.desk_hours.dow is 'Day of the week, 0 is Sunday (as extract(dow)).';
select private.protect('public.desk_hours', 'viewer');
grant select on public.desk_hours to service_role;

create function private.desk_state(p_org public.organizations, p_at timestamptz) returns text
language plpgsql stable set search_path = ''
as $$
declare
  v_local timestamp;
  v_day date;
  v_dow integer;
  v_minute integer;
begin
  if p_org.transfer_number is null then
    return 'none';
  end if;
  v_local := p_at at time zone p_org.timezone;
  v_day := v_local::date;
  v_dow := extract(dow from v_day);
  v_minute := extract(epoch from v_local - v_day)::integer / 60;
  return case
    when exists (
      select from public.desk_hours as h
      where h.org_id = p_org.id
        and (h.dow = v_dow and v_minute >= h.start_min and v_minute < h.end_min
            and not p_org.closing_days @> v_day
          -- Hours that began the day before.
          or h.dow = (v_dow + 6) % 7 and v_minute + 1440 < h.end_min
            and not p_org.closing_days @> v_day - 1)) then 'open'
    else 'closed' end;
end
$$;
comment on function private.desk_state is
  'Whether the front desk is open or closed at a moment; none if calls cannot be transferred at all.';

create function private.answer(p_org public.organizations, p_answer jsonb) returns jsonb
language sql volatile
return p_answer || jsonb_build_object(
  'orgId', (p_org).id, 'desk', private.desk_state(p_org, clock_timestamp()));
comment on function private.answer is
  'Adds to a tool''s answer what every answer contains: the organization, and the state of its desk.';
