/*
 * Limits: how many texts a phone may get, across organizations.
 *
 * Decisions
 * - Texts to one phone are counted across organizations in a table of its own, by the phone's hash.
 *   The hash is not secret: numbers can be enumerated. A key would hide nothing, since a row goes
 *   after a day and the holds beside it keep the number itself for longer; the hash only keeps
 *   numbers out of a table that belongs to no organization.
 */

create function private.hash_phone(p_phone text) returns bytea
language sql immutable strict set search_path = ''
as $$ select sha256(convert_to(p_phone, 'UTF8')) $$;
comment on function private.hash_phone is 'A phone number where only whether it is the same one matters.';

create table public.sms_phone_quota (
  phone_hash bytea primary key
    constraint sms_phone_quota_hash_length check (octet_length(phone_hash) = 32),
  sent_at timestamptz[] not null default '{}'
);
comment on table public.sms_phone_quota is
  'Times of the texts to one phone in the last day, across organizations, by SHA-256 of the number.';
alter table public.sms_phone_quota enable row level security;

/*
 * Reserves one text to a phone: 5 an hour and 10 a day, across organizations. One statement makes or
 * locks the phone's row, so simultaneous sends count one another and no clean-up gets in between.
 */
create function private.reserve_phone(p_phone text, p_now timestamptz) returns boolean
language plpgsql volatile set search_path = ''
as $$
declare
  v_hash constant bytea := private.hash_phone(p_phone);
  v_sent timestamptz[];
begin
  insert into public.sms_phone_quota as q (phone_hash) values (v_hash)
  on conflict (phone_hash) do update
  set sent_at = array(select t from unnest(q.sent_at) as t where t > p_now - interval '1 day')
  returning q.sent_at into v_sent;
  if cardinality(v_sent) >= 10
    or (select count(*) from unnest(v_sent) as t where t > p_now - interval '1 hour') >= 5 then
    return false;
  end if;
  update public.sms_phone_quota as q set sent_at = v_sent || p_now where q.phone_hash = v_hash;
  return true;
end
$$;
comment on function private.reserve_phone is 'Counts one text to a phone, or says that its quota is used up.';
