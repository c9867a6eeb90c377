/*
 * Accounts: an organization's account at Twilio, encrypted before it reaches the database.
 */

create table public.org_credentials (
  org_id uuid not null references public.organizations (id) on delete cascade,
  provider text not null
    constraint org_credentials_provider_known check (provider in ('twilio')),
  key_id text not null,
  nonce bytea not null
    constraint org_credentials_nonce_length check (octet_length(nonce) = 12),
  ciphertext bytea not null,
  sender text,
  updated_at timestamptz not null default clock_timestamp(),
  primary key (org_id, provider)
);
comment on table public.org_credentials is
  'Accounts at other services, AES-256-GCM with organization and provider as additional data.';
comment on column public.org_credentials.sender is
  'What the organization texts from, as the account says: a number in E.164, or a messaging service (MG...).';
create index org_credentials_by_sender on public.org_credentials (sender);
select private.protect('public.org_credentials', null);

create function private.read_credentials(p_org uuid, p_provider text) returns jsonb
language plpgsql stable set search_path = ''
as $$
declare
  v_row public.org_credentials;
begin
  select c.* into v_row from public.org_credentials as c
  where c.org_id = p_org and c.provider = p_provider;
  if v_row.org_id is null then
    return jsonb_build_object('outcome', 'not_configured', 'orgId', p_org);
  end if;
  return jsonb_build_object('outcome', 'found', 'orgId', v_row.org_id, 'keyId', v_row.key_id,
    'nonce', encode(v_row.nonce, 'base64'), 'ciphertext', encode(v_row.ciphertext, 'base64'),
    'updatedAt', v_row.updated_at);
end
$$;
comment on function private.read_credentials is
  'The encrypted account of an organization, or not_configured.';

/*
 * Entry function: the encrypted account of the organization a call belongs to. Each read is audited.
 *
 * Outcomes  found (keyId, nonce and ciphertext as base64, updatedAt), not_configured,
 *           unknown_clinic, cross_tenant_denied
 */
create function public.get_org_credentials(p_call jsonb, p_provider text) returns jsonb
language plpgsql volatile security definer set search_path = ''
  set jit = off set plan_cache_mode = force_generic_plan
as $$
declare
  v_opened record;
  v_read jsonb;
begin
  v_opened := private.open_call(p_call, 'send_otp');
  if v_opened.refusal is not null then
    return v_opened.refusal;
  end if;
  v_read := private.read_credentials((v_opened.org).id, p_provider);
  perform private.audit((v_opened.org).id, p_call, 'read_credentials', null, v_read ->> 'outcome',
    jsonb_strip_nulls(jsonb_build_object('provider', p_provider, 'keyId', v_read -> 'keyId')));
  return private.answer(v_opened.org, v_read);
end
$$;
comment on function public.get_org_credentials is
  'The encrypted account of a call''s organization; audited.';

/*
 * Entry function of sms-status: the encrypted account whose token checks a report's signature. It
 * writes nothing, because it runs before the signature is checked: anybody who knows the id of an
 * organization can trigger it.
 *
 * Outcomes  found (as get_org_credentials), not_configured, unknown_clinic (no such organization)
 */
create function public.get_credentials_of(p_org uuid, p_provider text) returns jsonb
language plpgsql stable security definer set search_path = ''
as $$
begin
  if not exists (select from public.organizations as o where o.id = p_org) then
    return '{"outcome": "unknown_clinic"}';
  end if;
  return private.read_credentials(p_org, p_provider);
end
$$;
comment on function public.get_credentials_of is 'The encrypted account of an organization.';

/*
 * Entry function of sms-inbound: the account of the organization that a text was sent to, whose token
 * checks its signature. Like get_credentials_of, it writes nothing. The organization is the one that
 * texts from the number or through the messaging service; if none does, the one that is called there.
 * A sender of several organizations finds none.
 *
 * p_number   E.164; p_service the messaging service, or null
 * Outcomes   found (as get_org_credentials), not_configured, unknown_clinic
 */
create function public.get_credentials_of_number(
  p_number text, p_service text, p_provider text
) returns jsonb
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_senders constant uuid[] := array(
    select distinct c.org_id from public.org_credentials as c
    where c.provider = p_provider and c.sender in (p_number, p_service));
  v_org uuid := v_senders[1];
begin
  if v_org is null then
    select c.org_id into v_org from public.org_channels as c
    where c.kind = 'called_number' and c.value = p_number;
  end if;
  if v_org is null or cardinality(v_senders) > 1 then
    return '{"outcome": "unknown_clinic"}';
  end if;
  return private.read_credentials(v_org, p_provider);
end
$$;
comment on function public.get_credentials_of_number is
  'The encrypted account of the organization that a text was sent to.';

/*
 * Entry function: the account from get_org_credentials did not decrypt, so nothing was texted.
 *
 * Outcomes  reported, unknown_clinic, cross_tenant_denied
 */
create function public.report_unreadable_credentials(p_call jsonb, p_provider text) returns jsonb
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_opened record;
begin
  v_opened := private.open_call(p_call, 'send_otp');
  if v_opened.refusal is not null then
    return v_opened.refusal;
  end if;
  perform private.audit((v_opened.org).id, p_call, 'read_credentials', null, 'unreadable',
    jsonb_build_object('provider', p_provider));
  return private.answer(v_opened.org, '{"outcome": "reported"}');
end
$$;
comment on function public.report_unreadable_credentials is
  'Audits that an organization''s stored account does not decrypt.';

/*
 * Entry function of the credentials task: stores an account that was encrypted outside.
 *
 * p_replaces  the nonce (base64) of the row that this one replaces; if another row has been stored since
 *             then, that one stays. Null always stores.
 * p_sender    what the account texts from; null keeps what is known if the row is replaced
 * Returns     whether it was stored
 */
create function public.set_org_credentials(
  p_org uuid, p_provider text, p_key_id text, p_nonce text, p_ciphertext text,
  p_replaces text default null, p_sender text default null
) returns boolean
language plpgsql volatile security definer set search_path = '' set lock_timeout = '5s'
as $$
begin
  if p_replaces is null then
    insert into public.org_credentials (org_id, provider, key_id, nonce, ciphertext, sender)
    values (p_org, p_provider, p_key_id, decode(p_nonce, 'base64'), decode(p_ciphertext, 'base64'),
      p_sender)
    on conflict (org_id, provider) do update
    set key_id = excluded.key_id, nonce = excluded.nonce, ciphertext = excluded.ciphertext,
      sender = excluded.sender, updated_at = clock_timestamp();
  else
    update public.org_credentials as c
    set key_id = p_key_id, nonce = decode(p_nonce, 'base64'),
      ciphertext = decode(p_ciphertext, 'base64'), sender = coalesce(p_sender, c.sender),
      updated_at = clock_timestamp()
    where c.org_id = p_org and c.provider = p_provider and c.nonce = decode(p_replaces, 'base64');
  end if;
  if not found then
    return false;
  end if;
  perform private.audit(p_org, null, 'set_credentials', null,
    case when p_replaces is null then 'stored' else 'encrypted_again' end,
    jsonb_build_object('provider', p_provider, 'keyId', p_key_id));
  return true;
end
$$;
comment on function public.set_org_credentials is
  'Stores an organization''s encrypted account, or replaces the one it was made from; audited.';

revoke execute on function
  public.get_org_credentials, public.get_credentials_of, public.get_credentials_of_number,
  public.report_unreadable_credentials, public.set_org_credentials
  from public, anon, authenticated, service_role;
grant execute on function
  public.get_org_credentials, public.get_credentials_of, public.get_credentials_of_number,
  public.report_unreadable_credentials
  to service_role;
