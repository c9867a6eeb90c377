/*
 * Jobs: what pg_cron calls, and how often.
 *
 * Decisions
 * - No promise to callers depends on these jobs.
 * - A run processes batches, each in its own transaction, until nothing is left or the next run is due.
 *   So a backlog takes one run, not one run for each batch.
 * - Callers come first. A batch of the clean-up takes about as long as a claim. The job then sleeps
 *   three times as long, so it slows down on a busy server. It commits asynchronously: after a power
 *   failure the last batches are held again, and are cleaned up again.
 * - cron.schedule() with a name is an upsert, so running this migration again changes nothing.
 */

select cron.schedule('cleanup-expired-holds', '* * * * *', $job$
  do $$
  declare
    v_until constant timestamptz := clock_timestamp() + interval '50 seconds';
    v_began timestamptz;
  begin
    loop
      v_began := clock_timestamp();
      perform set_config('synchronous_commit', 'off', true);
      exit when public.cleanup_expired_holds(25) < 25 or v_began > v_until;
      commit;
      perform pg_sleep(3 * extract(epoch from clock_timestamp() - v_began));
    end loop;
  end
  $$
$job$);

select cron.schedule('apply-retention', '17 3 * * *', $job$
  do $$
  declare
    v_until constant timestamptz := clock_timestamp() + interval '3 hours';
  begin
    while (public.apply_retention() ->> 'rows')::bigint > 0 and clock_timestamp() < v_until loop
      commit;
    end loop;
  end
  $$
$job$);

select cron.schedule('collect-metrics', '* * * * *', 'select public.collect_metrics()');

select cron.schedule('request-busy-times', '* * * * *', 'select public.request_busy_times()');

select cron.schedule('request-webhooks', '* * * * *', 'select public.request_webhooks()');

select cron.schedule('seal-audit', '* * * * *', $job$
  do $$
  begin
    while public.seal_audit() >= 10000 loop
      commit;
    end loop;
  end
  $$
$job$);

select cron.schedule(
  'send-appointment-texts', '* * * * *', 'select public.send_appointment_texts()');

select cron.schedule('watch-overlaps', '* * * * *', 'select public.watch_overlaps()');

-- Only the owner of the entry functions may call functions in private.
revoke execute on all functions in schema private from public;
