/*
 * Webhook deliveries: what was written for endpoints is sent, at least once, and given up after hours.
 *
 * Decisions
 * - A message is committed as sending before it is sent. If the function then dies, it is sent again: the
 *   receiver recognizes it by its id. The order is not promised; each message has its time.
 * - An attempt has an id. Whoever comes late with the result of an earlier one changes nothing.
 * - A failure makes the whole endpoint wait, twice as long each time, and then one message tries it. So a
 *   dead server costs one attempt an hour, and no other endpoint waits for it. Messages that were claimed
 *   together count as one failure.
 * - A message is given up after twelve attempts. An endpoint is given up when it says that it is gone
 *   (410), or when attempts have failed for three days. If nothing was tried for a day, the next failure
 *   begins a new outage.
 * - An alarm is raised when something is given up, or after twelve failures in a row, about six hours:
 *   many messages take turns, so none of them may have been tried twelve times by then. It is raised
 *   once for each outage, and once a day at most. The endpoint that failed is not told, because an
 *   endpoint that refuses alarms would raise one about each.
 * - What was given up stays, and is sent again when somebody asks for it.
 * - Endpoints of a clinic that arrives from another project wait until it is here alone.
 */

create function private.webhook_patience() returns interval
language sql immutable
return interval '2 minutes';
comment on function private.webhook_patience is
  'How long whoever claims a message may take to say what became of it.';

/* After the first failure a minute, then twice as long each time, an hour at most; twelve attempts. */
create function private.webhook_delay(p_attempts integer) returns interval
language sql immutable
return case when p_attempts < 12 then interval '1 minute' * least(60, 2 ^ (p_attempts - 1)) end;
comment on function private.webhook_delay is
  'How long a message waits after so many attempts that failed; null: it is given up.';

/* Nothing of a patient, unless the endpoint is told names: then what is still known. */
create function private.describe_message(
  p_org uuid, p_endpoint public.webhook_endpoints, p_message public.webhook_messages, p_now timestamptz
) returns jsonb
language plpgsql stable set search_path = ''
as $$
declare
  v_names jsonb := '{}';
begin
  if p_endpoint.tells_names and p_message.type = 'message.left' then
    select jsonb_build_object('callerName', m.caller_name, 'message', m.message,
      'wishedTime', m.wished_time) into v_names
    from public.desk_messages as m
    where m.org_id = p_org and m.id = p_message.subject_id;
  elsif p_endpoint.tells_names and p_message.type <> 'alarm.raised' then
    select jsonb_build_object('patientName', a.patient_name) into v_names
    from public.appointments as a
    where a.org_id = p_org and a.id = p_message.subject_id;
  end if;
  return jsonb_build_object(
    'orgId', p_org, 'endpointId', p_endpoint.id, 'messageId', p_message.id,
    'claimId', p_message.claim_id, 'address', p_endpoint.address,
    'secrets', (
      select jsonb_agg(s - 'until' order by n)
      from jsonb_array_elements(p_endpoint.secrets) with ordinality as e (s, n)
      where coalesce((s ->> 'until')::timestamptz, 'infinity') > p_now),
    'type', p_message.type, 'at', p_message.created_at,
    'data', p_message.data || jsonb_strip_nulls(coalesce(v_names, '{}')));
end
$$;
comment on function private.describe_message is 'A message with everything that sending it needs.';

/*
 * Several at once, or one if the endpoint has failed. What was claimed by a function that died is claimed
 * again, as often as a message is tried.
 */
create function private.claim_messages(
  p_org uuid, p_endpoint public.webhook_endpoints, p_limit integer, p_now timestamptz
) returns jsonb
language plpgsql volatile set search_path = ''
as $$
declare
  v_message public.webhook_messages;
  v_claimed jsonb := '[]';
begin
  update public.webhook_messages as m
  set state = 'failed', reason = 'no_answer', updated_at = p_now
  where m.org_id = p_org and m.endpoint_id = p_endpoint.id
    and m.state = 'sending' and m.due_at <= p_now and private.webhook_delay(m.attempts) is null;
  for v_message in
    update public.webhook_messages as m
    set state = 'sending', claim_id = gen_random_uuid(), attempts = m.attempts + 1,
      due_at = p_now + private.webhook_patience(), updated_at = p_now
    from (
      select d.id from public.webhook_messages as d
      where d.org_id = p_org and d.endpoint_id = p_endpoint.id
        and d.state in ('waiting', 'sending') and d.due_at <= p_now
      order by d.due_at limit case when p_endpoint.failures > 0 then 1 else p_limit end
      for no key update skip locked
    ) as due
    where m.org_id = p_org and m.id = due.id
    returning m.*
  loop
    v_claimed := v_claimed || private.describe_message(p_org, p_endpoint, v_message, p_now);
  end loop;
  return v_claimed;
end
$$;
comment on function private.claim_messages is 'Marks messages of one endpoint as about to be sent.';

/*
 * Entry function of the function webhooks: claims messages that are due, at most four for each endpoint.
 * The claimer sends each of them once, after this has committed, and reports each result.
 *
 * p_limit   of how many endpoints
 * Outcomes  claimed (messages: [{orgId, endpointId, messageId, claimId, address, secrets: [{keyId, nonce,
 *           ciphertext}], type, at, data}]), busy
 */
create function public.claim_webhooks(p_limit integer) returns jsonb
language plpgsql volatile security definer set search_path = '' set lock_timeout = '1500ms'
as $$
declare
  v_now constant timestamptz := clock_timestamp();
  v_endpoint public.webhook_endpoints;
  v_messages jsonb := '[]';
begin
  perform private.require_read_committed();
  for v_endpoint in
    select e.* from public.webhook_endpoints as e
    where e.disabled_at is null and e.due_at <= v_now
      and exists (
        select from public.webhook_messages as m
        where m.org_id = e.org_id and m.endpoint_id = e.id and m.state in ('waiting', 'sending')
          and m.due_at <= v_now)
      and not exists (select from private.arriving_clinics as r where r.org_id = e.org_id)
    order by e.claimed_at nulls first, e.org_id, e.id limit p_limit
    for no key update skip locked
  loop
    update public.webhook_endpoints as e
    set claimed_at = v_now,
      -- One message at a time tries an endpoint that has failed.
      due_at = case when v_endpoint.failures > 0 then v_now + private.webhook_patience()
        else e.due_at end
    where e.org_id = v_endpoint.org_id and e.id = v_endpoint.id;
    v_messages := v_messages || private.claim_messages(v_endpoint.org_id, v_endpoint, 4, v_now);
  end loop;
  return jsonb_build_object('outcome', 'claimed', 'messages', v_messages);
exception when lock_not_available or deadlock_detected then
  return '{"outcome": "busy"}';
end
$$;
comment on function public.claim_webhooks is
  'Marks messages to endpoints as about to be sent, and gives what they say.';

create function private.fail_waiting(p_org uuid, p_endpoint uuid, p_reason text) returns void
language plpgsql volatile set search_path = ''
as $$
begin
  update public.webhook_messages as m
  set state = 'failed', reason = coalesce(m.reason, p_reason), updated_at = clock_timestamp()
  where m.org_id = p_org and m.endpoint_id = p_endpoint and m.state in ('waiting', 'sending');
end
$$;
comment on function private.fail_waiting is 'Gives up everything that waits for an endpoint.';

/*
 * The endpoint with one failure more, unless one was counted since the message was claimed: messages
 * that were under way at the same time say the same about it.
 */
create function private.count_failure(
  inout p_endpoint public.webhook_endpoints, p_claimed_at timestamptz, p_now timestamptz
)
language plpgsql stable set search_path = ''
as $$
begin
  if p_endpoint.counted_at >= p_claimed_at then
    return;
  end if;
  if p_endpoint.failed_at is null
    or coalesce(p_endpoint.counted_at, '-infinity') < p_now - interval '1 day' then
    p_endpoint.failures := 0;
    p_endpoint.failed_at := p_now;
  end if;
  p_endpoint.due_at := p_now + interval '1 minute' * least(60, 2 ^ least(p_endpoint.failures, 6));
  p_endpoint.failures := p_endpoint.failures + 1;
  p_endpoint.counted_at := p_now;
end
$$;
comment on function private.count_failure is
  'An endpoint after a failure: how many there were, since when, and how long it is left alone.';

/*
 * What an attempt that failed means for its endpoint, whose row is locked. Returns the alarm that was
 * raised, or null.
 *
 * p_is_final    whether the message is given up
 * p_claimed_at  when the attempt began
 */
create function private.note_failure(
  p_org uuid, p_endpoint public.webhook_endpoints, p_reason text, p_is_gone boolean, p_is_final boolean,
  p_claimed_at timestamptz, p_now timestamptz
) returns text
language plpgsql volatile set search_path = ''
as $$
declare
  v_after constant public.webhook_endpoints :=
    private.count_failure(p_endpoint, p_claimed_at, p_now);
  v_since constant timestamptz := coalesce(v_after.failed_at, p_now);
  v_is_disabled constant boolean := p_is_gone or v_since <= p_now - interval '3 days';
  v_is_alarm constant boolean := (p_is_final or v_is_disabled or v_after.failures >= 12)
    and coalesce(p_endpoint.alarmed_at < least(v_since, p_now - interval '1 day'), true);
begin
  update public.webhook_endpoints as e
  set failures = v_after.failures, failed_at = v_after.failed_at, counted_at = v_after.counted_at,
    failure = p_reason, due_at = v_after.due_at,
    disabled_at = case when v_is_disabled then p_now else e.disabled_at end,
    alarmed_at = case when v_is_alarm then p_now else e.alarmed_at end
  where e.org_id = p_org and e.id = p_endpoint.id;
  if v_is_disabled then
    perform private.fail_waiting(p_org, p_endpoint.id, p_reason);
    perform private.audit(p_org, null, 'send_webhook', p_endpoint.id, 'disabled',
      jsonb_build_object('reason', p_reason));
  end if;
  if v_is_alarm then
    perform private.raise_alarm(p_org, 'webhook_failed', greatest(1, v_after.failures), v_since,
      p_now, p_endpoint.id);
    return 'webhook_failed';
  end if;
  return null;
end
$$;
comment on function private.note_failure is
  'Makes an endpoint wait after a failure, or gives it up; raises an alarm once for each outage.';

/*
 * Entry function of the function webhooks: stores what became of a message.
 *
 * p_reason  a word; null if it was delivered
 * p_is_gone  whether the endpoint answered that it is gone
 * Outcomes  delivered, waiting (it is sent again), failed (it was given up), known (there was a later
 *           attempt, or the endpoint was removed), busy (nothing is stored: it is sent again); with alarm
 *           if one was raised
 */
create function public.settle_webhook(
  p_org uuid, p_message uuid, p_claim uuid, p_reason text, p_is_gone boolean
) returns jsonb
language plpgsql volatile security definer set search_path = '' set lock_timeout = '1500ms'
as $$
declare
  v_now timestamptz;
  v_endpoint public.webhook_endpoints;
  v_message public.webhook_messages;
  v_delay interval;
  v_outcome text;
  v_alarm text;
begin
  perform private.require_read_committed();
  -- As whoever removes an endpoint: first it, then its messages.
  select e.* into v_endpoint from public.webhook_endpoints as e
  where e.org_id = p_org and e.id = (
    select m.endpoint_id from public.webhook_messages as m
    where m.org_id = p_org and m.id = p_message)
  for no key update;
  select m.* into v_message from public.webhook_messages as m
  where m.org_id = p_org and m.id = p_message and m.claim_id = p_claim and m.state = 'sending'
  for no key update;
  if v_endpoint.id is null or v_message.id is null then
    return '{"outcome": "known"}';
  end if;
  v_now := clock_timestamp();
  v_delay := private.webhook_delay(v_message.attempts);
  v_outcome := case when p_reason is null then 'delivered'
    when p_is_gone or v_delay is null then 'failed' else 'waiting' end;
  update public.webhook_messages as m
  set state = v_outcome, reason = p_reason, updated_at = v_now,
    due_at = v_now + coalesce(v_delay, interval '0')
  where m.org_id = p_org and m.id = p_message;
  if p_reason is null then
    update public.webhook_endpoints as e
    set failures = 0, failed_at = null, failure = null, due_at = '-infinity'
    where e.org_id = p_org and e.id = v_endpoint.id and e.failures > 0;
  else
    -- Nothing has changed the message since it was claimed.
    v_alarm := private.note_failure(p_org, v_endpoint, p_reason, p_is_gone, v_outcome = 'failed',
      v_message.updated_at, v_now);
  end if;
  perform private.tally('webhooks', jsonb_build_object('result', v_outcome));
  return jsonb_strip_nulls(
    jsonb_build_object('outcome', v_outcome, 'orgId', p_org, 'alarm', v_alarm));
exception when lock_not_available or deadlock_detected then
  return '{"outcome": "busy"}';
end
$$;
comment on function public.settle_webhook is 'Stores what became of a message to an endpoint.';

/*
 * Entry function of pg_cron's job: asks for the messages that are due. Returns whether a function was
 * asked.
 */
create function public.request_webhooks() returns boolean
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_now constant timestamptz := clock_timestamp();
begin
  return exists (
    select from public.webhook_endpoints as e
    join public.webhook_messages as m on m.org_id = e.org_id and m.endpoint_id = e.id
      and m.state in ('waiting', 'sending') and m.due_at <= v_now
    where e.disabled_at is null and e.due_at <= v_now
      and not exists (select from private.arriving_clinics as r where r.org_id = e.org_id))
    and private.ask_function('webhooks');
end
$$;
comment on function public.request_webhooks is
  'Asks the function webhooks to send what is due; pg_cron calls it every minute.';

/*
 * Function of the owner's, for the task webhooks: the endpoints of an organization, without their
 * addresses and secrets, and what was given up.
 *
 * Outcomes  found (endpoints: [{endpointId, host, types, tellsNames, waiting, failed, failures, failure,
 *           disabledAt}], failed: the newest 100 [{messageId, endpointId, type, at, attempts, reason}]),
 *           unknown_clinic
 */
create function public.list_webhooks(p_org uuid) returns jsonb
language plpgsql volatile security definer set search_path = ''
as $$
begin
  if not exists (select from public.organizations as o where o.id = p_org) then
    return '{"outcome": "unknown_clinic"}';
  end if;
  return jsonb_build_object('outcome', 'found', 'orgId', p_org, 'endpoints', (
      select coalesce(jsonb_agg(jsonb_build_object('endpointId', e.id,
        'host', private.host_of(e.address), 'types', to_jsonb(e.types),
        'tellsNames', e.tells_names, 'failures', e.failures, 'failure', e.failure,
        'disabledAt', e.disabled_at,
        'waiting', (
          select count(*) from public.webhook_messages as m
          where m.org_id = p_org and m.endpoint_id = e.id and m.state in ('waiting', 'sending')),
        'failed', (
          select count(*) from public.webhook_messages as m
          where m.org_id = p_org and m.endpoint_id = e.id and m.state = 'failed'))
        order by e.created_at, e.id), '[]')
      from public.webhook_endpoints as e where e.org_id = p_org),
    'failed', (
      select coalesce(jsonb_agg(jsonb_build_object('messageId', f.id, 'endpointId', f.endpoint_id,
        'type', f.type, 'at', f.created_at, 'attempts', f.attempts, 'reason', f.reason)
        order by f.created_at desc), '[]')
      from (
        select m.* from public.webhook_messages as m
        where m.org_id = p_org and m.state = 'failed' order by m.created_at desc limit 100) as f));
end
$$;
comment on function public.list_webhooks is
  'The endpoints of an organization and what was given up, for its operator.';

/*
 * Function of the owner's, for the task webhooks: adds an endpoint.
 *
 * p_id       a new uuid, to which the secret is bound
 * p_types    null for all events
 * p_secret   {keyId, nonce, ciphertext}, encrypted by the caller
 * Outcomes   added, known_address, too_many_endpoints (20), invalid_endpoint (reason), unknown_clinic, busy
 */
create function public.add_webhook(
  p_org uuid, p_id uuid, p_address text, p_types text[], p_tells_names boolean, p_secret jsonb
) returns jsonb
language plpgsql volatile security definer set search_path = '' set lock_timeout = '5s'
as $$
declare
  v_reason text;
begin
  perform from public.organizations as o where o.id = p_org for no key update;
  if not found then
    return '{"outcome": "unknown_clinic"}';
  elsif (select count(*) from public.webhook_endpoints as e where e.org_id = p_org) >= 20 then
    return '{"outcome": "too_many_endpoints"}';
  end if;
  begin
    insert into public.webhook_endpoints (org_id, id, address, types, tells_names, secrets)
    values (p_org, p_id, p_address, coalesce(p_types, private.webhook_types()), p_tells_names,
      jsonb_build_array(p_secret));
  exception
    when unique_violation then
      return '{"outcome": "known_address"}';
    when check_violation then
      get stacked diagnostics v_reason = message_text;
      return jsonb_build_object('outcome', 'invalid_endpoint', 'reason', v_reason);
  end;
  perform private.audit(p_org, null, 'change_webhook', p_id, 'added', jsonb_build_object(
    'host', private.host_of(p_address), 'tellsNames', p_tells_names));
  return jsonb_build_object('outcome', 'added', 'orgId', p_org);
exception when lock_not_available or deadlock_detected then
  return '{"outcome": "busy"}';
end
$$;
comment on function public.add_webhook is 'Adds an endpoint of an organization; audited by its host.';

/*
 * Function of the owner's, for the task webhooks: changes or removes an endpoint.
 *
 * p_secret  for rotated: {keyId, nonce, ciphertext}; the secret before is used for a day more
 * p_as      removed (with all messages to it), enabled (it is tried again at once), rotated
 * Outcomes  removed, enabled, rotated, unknown_endpoint, unknown_change, unknown_clinic, busy
 */
create function public.change_webhook(
  p_org uuid, p_id uuid, p_as text, p_secret jsonb default null
) returns jsonb
language plpgsql volatile security definer set search_path = '' set lock_timeout = '5s'
as $$
declare
  v_endpoint public.webhook_endpoints;
begin
  if not exists (select from public.organizations as o where o.id = p_org) then
    return '{"outcome": "unknown_clinic"}';
  elsif coalesce(p_as, '') not in ('removed', 'enabled', 'rotated') then
    return '{"outcome": "unknown_change"}';
  end if;
  if p_as = 'removed' then
    delete from public.webhook_endpoints as e
    where e.org_id = p_org and e.id = p_id returning e.* into v_endpoint;
  else
    update public.webhook_endpoints as e
    set disabled_at = case when p_as = 'enabled' then null else e.disabled_at end,
      due_at = case when p_as = 'enabled' then '-infinity' else e.due_at end,
      failures = case when p_as = 'enabled' then 0 else e.failures end,
      failed_at = case when p_as = 'enabled' then null else e.failed_at end,
      alarmed_at = case when p_as = 'enabled' then null else e.alarmed_at end,
      secrets = case when p_as = 'rotated' then jsonb_build_array(p_secret,
        (e.secrets -> 0) || jsonb_build_object('until', clock_timestamp() + interval '1 day'))
        else e.secrets end
    where e.org_id = p_org and e.id = p_id returning e.* into v_endpoint;
  end if;
  if v_endpoint.id is null then
    return '{"outcome": "unknown_endpoint"}';
  end if;
  perform private.audit(p_org, null, 'change_webhook', p_id, p_as,
    jsonb_build_object('host', private.host_of(v_endpoint.address)));
  return jsonb_build_object('outcome', case p_as when 'removed' then 'removed'
    when 'enabled' then 'enabled' else 'rotated' end, 'orgId', p_org);
exception when lock_not_available or deadlock_detected then
  return '{"outcome": "busy"}';
end
$$;
comment on function public.change_webhook is
  'Removes or enables an endpoint, or gives it a new secret; audited by its host.';

/*
 * Function of the owner's, for the task webhooks: what was given up is sent again, at once. An endpoint
 * that was given up has to be enabled first.
 *
 * p_message  null for everything that was given up
 * Outcomes   resent (messages), disabled (nothing is sent again), nothing_failed, unknown_clinic, busy;
 *            resent and disabled with the ids of the endpoints that have to be enabled (disabled)
 */
create function public.resend_webhooks(p_org uuid, p_message uuid default null) returns jsonb
language plpgsql volatile security definer set search_path = '' set lock_timeout = '5s'
as $$
declare
  v_enabled uuid[];
  v_disabled uuid[];
  v_count integer;
begin
  if not exists (select from public.organizations as o where o.id = p_org) then
    return '{"outcome": "unknown_clinic"}';
  end if;
  -- As whoever stores a result: first the endpoints, then their messages.
  select coalesce(array_agg(f.id) filter (where f.disabled_at is null), '{}'),
    array_agg(f.id) filter (where f.disabled_at is not null)
  into v_enabled, v_disabled
  from (
    select e.id, e.disabled_at from public.webhook_endpoints as e
    where e.org_id = p_org and exists (
      select from public.webhook_messages as m
      where m.org_id = p_org and m.endpoint_id = e.id and m.state = 'failed'
        and m.id = coalesce(p_message, m.id))
    order by e.id for no key update
  ) as f;
  update public.webhook_messages as m
  set state = 'waiting', attempts = 0, due_at = clock_timestamp(), updated_at = clock_timestamp()
  where m.org_id = p_org and m.endpoint_id = any (v_enabled) and m.state = 'failed'
    and m.id = coalesce(p_message, m.id);
  get diagnostics v_count = row_count;
  if v_count = 0 then
    return jsonb_strip_nulls(jsonb_build_object('orgId', p_org, 'disabled', v_disabled,
      'outcome', case when v_disabled is null then 'nothing_failed' else 'disabled' end));
  end if;
  update public.webhook_endpoints as e set due_at = '-infinity'
  where e.org_id = p_org and e.id = any (v_enabled);
  perform private.audit(p_org, null, 'resend_webhooks', p_message, 'resent',
    jsonb_build_object('messages', v_count));
  return jsonb_strip_nulls(jsonb_build_object(
    'outcome', 'resent', 'orgId', p_org, 'messages', v_count, 'disabled', v_disabled));
exception when lock_not_available or deadlock_detected then
  return '{"outcome": "busy"}';
end
$$;
comment on function public.resend_webhooks is 'Sends messages again that were given up; audited.';

revoke execute on function
  public.claim_webhooks, public.settle_webhook, public.request_webhooks, public.list_webhooks,
  public.add_webhook, public.change_webhook, public.resend_webhooks
  from public, anon, authenticated, service_role;
grant execute on function public.claim_webhooks, public.settle_webhook to service_role;
