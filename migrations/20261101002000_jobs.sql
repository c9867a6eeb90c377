/*
 * Jobs: what pg_cron calls, and how often.
 *
 * Decisions
 * - Nothing depends on these jobs. Each calls again, every batch in a transaction of its own, until a
 *   batch is not full: 100,000 lapsed holds are gone within half a minute, not after a hundred.
 * - Callers come first: the job that sweeps takes batches about as long as a claim, and rests three
 *   times as long as each took, so a busy server is left alone more than an idle one. It does not
 *   wait for the disk: after a power cut the last batches are held again, and are swept again.
 * - schedule() by name is an upsert: running this again changes nothing. A run ends before the next
 *   one is due.
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

-- No function of private is for anybody but the entry functions' owner.
revoke execute on all functions in schema private from public;
