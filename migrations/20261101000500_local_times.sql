/*
 * Local times: the instant of a clinic's local time, including on days when its clocks change.
 */

/*
 * The clinic's offset from UTC around a local day, or null if its clocks change within two days. A
 * local time minus this offset is an instant.
 */
create function private.steady_offset(p_day date, p_zone text) returns interval
language plpgsql stable strict set search_path = ''
as $$
declare
  v_from constant timestamp := p_day - 2;
  v_to constant timestamp := p_day + 3;
  v_offset constant interval := (v_from at time zone 'UTC' at time zone p_zone) - v_from;
begin
  return case when v_offset = (v_to at time zone 'UTC' at time zone p_zone) - v_to then v_offset end;
end
$$;
comment on function private.steady_offset is
  'The offset of a time zone from UTC around a local day; null if it changes there.';

/*
 * The instant of a local time near a change of the clocks. For a repeated time PostgreSQL's "at time
 * zone" takes the later instant; Temporal, and people who name a start, take the earlier one. So both
 * offsets around the time are tried, and the one that converts back to the local time is right. In a
 * gap neither does, and the time moves forward by the gap.
 */
create function private.wall_at_change(p_local timestamp, p_zone text, p_later boolean)
returns timestamptz
language plpgsql stable strict set search_path = ''
as $$
declare
  v_utc constant timestamptz := p_local at time zone 'UTC';
  v_first constant timestamptz := v_utc - (
    ((v_utc - interval '1 day') at time zone p_zone) - (p_local - interval '1 day'));
  v_second constant timestamptz := v_utc - (
    ((v_utc + interval '1 day') at time zone p_zone) - (p_local + interval '1 day'));
begin
  if v_first at time zone p_zone <> p_local then
    -- After the change; or in the gap, where the offset before it moves the time forward.
    return case when v_second at time zone p_zone = p_local then v_second else v_first end;
  end if;
  if p_later and v_second at time zone p_zone = p_local then
    return v_second;
  end if;
  return v_first;
end
$$;
comment on function private.wall_at_change is 'private.wall() for days around a change of the clocks.';

create function private.wall(p_local timestamp, p_zone text, p_later boolean) returns timestamptz
language plpgsql stable strict set search_path = ''
as $$
begin
  return coalesce(p_local at time zone private.steady_offset(p_local::date, p_zone),
    private.wall_at_change(p_local, p_zone, p_later));
end
$$;
comment on function private.wall is
  'The instant of a local time: the earlier or the later one if it is repeated, moved forward in a gap.';

create function private.iso_local(p_at timestamptz, p_zone text) returns text
language sql stable
return to_char(p_at at time zone p_zone, 'YYYY-MM-DD"T"HH24:MI:SS')
  || case when p_at at time zone p_zone < p_at at time zone 'UTC'
    then to_char((p_at at time zone 'UTC') - (p_at at time zone p_zone), '"-"HH24:MI')
    else to_char((p_at at time zone p_zone) - (p_at at time zone 'UTC'), '"+"HH24:MI') end;
comment on function private.iso_local is 'ISO 8601 local time with its offset.';
