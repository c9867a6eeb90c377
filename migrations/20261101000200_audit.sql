/*
 * Audit: who did what, and how often.
 *
 * Decisions
 * - The audit log is append-only: nobody may update it, not even its owner, and only retention deletes
 *   from it. A test checks this in the catalog. The migration of the seals detects rows that were
 *   removed or changed anyway.
 * - It outlives its organization, so org_id refers to no row.
 * - Every audited event is also counted, once its transaction has ended: the migration of the metrics
 *   counts the rows themselves, by the transaction that wrote them. Other events are counted in their
 *   transaction, by a row in a queue (public.metric_events). A shared counter would make callers wait
 *   for each other.
 */

create table public.audit_logs (
  org_id uuid not null,
  id uuid not null default gen_random_uuid(),
  at timestamptz not null default clock_timestamp(),
  actor text not null
    constraint audit_logs_actor_known check (actor in ('call', 'staff', 'system')),
  call_id text,
  tool_call_id text,
  assistant_id text,
  caller_masked text
    constraint audit_logs_caller_masked check (caller_masked !~ '[0-9]{5}'),
  staff_user uuid,
  -- The functions' key could say that staff asked, but not who: that is the token's account.
  constraint audit_logs_staff_named check (actor <> 'staff' or staff_user is not null),
  action text not null,
  subject_id uuid,
  outcome text not null,
  details jsonb not null default '{}',
  -- Rows are counted when theirs has ended, and sealed when all transactions up to theirs have.
  transaction_id xid8 not null default pg_current_xact_id(),
  -- Rows are read by time and written at the end; an index on random ids would cost every writer.
  primary key (org_id, at, id)
);
comment on table public.audit_logs is
  'Append-only: who did what to which subject, with which outcome. Only retention deletes.';
comment on column public.audit_logs.staff_user is 'The account of the member of staff who asked.';
comment on column public.audit_logs.transaction_id is 'The transaction that wrote it.';
create index audit_logs_by_subject on public.audit_logs (org_id, subject_id);
create index audit_logs_by_transaction on public.audit_logs (transaction_id);
select private.protect('public.audit_logs', 'manager');
-- Also from the owner, because entry functions run with its rights.
revoke update, truncate, references, trigger on public.audit_logs from current_user;
grant select on public.audit_logs to service_role;

/*
 * Transactions are numbered by the cluster. Whoever compares the numbers of rows keeps the cluster's
 * identifier with what it has seen, and finds out by it that a backup was restored into another one.
 */
create function private.cluster_id() returns bigint
language sql stable
return (select c.system_identifier from pg_control_system() as c);
comment on function private.cluster_id is
  'Which cluster this database is in; another one numbers its transactions differently.';

create table public.metric_events (
  id uuid primary key default gen_random_uuid(),
  at timestamptz not null default clock_timestamp(),
  name text not null
    constraint metric_events_name_plain check (name ~ '^[a-z_]{1,40}$'),
  labels jsonb not null default '{}'
    constraint metric_events_labels_object check (jsonb_typeof(labels) = 'object'),
  value double precision not null default 1
    constraint metric_events_value_counts check (value >= 0)
);
comment on table public.metric_events is
  'Events that the counters do not include yet; they name no person and no organization.';
select private.protect('public.metric_events', null);

-- The log never contains more than the last two digits of a number.
create function private.mask_phone(p_phone text) returns text
language sql immutable strict
return '***' || right(p_phone, 2);
comment on function private.mask_phone is 'A phone number reduced to its last two digits.';

create function private.tally(
  p_name text, p_labels jsonb default '{}', p_count double precision default 1
) returns void
language plpgsql volatile set search_path = ''
as $$
begin
  insert into public.metric_events (name, labels, value) values (p_name, p_labels, p_count);
end
$$;
comment on function private.tally is
  'Counts an event in the caller''s transaction: it commits or rolls back with it, and never waits.';

create function private.audit(
  p_org uuid, p_call jsonb, p_action text, p_subject uuid, p_outcome text,
  p_details jsonb default '{}'
) returns void
language plpgsql volatile set search_path = ''
as $$
begin
  insert into public.audit_logs (
    org_id, actor, call_id, tool_call_id, assistant_id, caller_masked, staff_user,
    action, subject_id, outcome, details
  ) values (
    p_org, case when p_call is null then 'system' when p_call ? 'staff' then 'staff' else 'call' end,
    p_call ->> 'callId', nullif(p_call ->> 'toolCallId', ''), p_call ->> 'assistantId',
    private.mask_phone(p_call ->> 'callerNumber'), case when p_call ? 'staff' then auth.uid() end,
    p_action, p_subject, p_outcome, p_details
  );
end
$$;
comment on function private.audit is
  'Writes one audit row in the caller''s transaction; a null call means the system itself, one with staff the account of the token.';
