/**
 * Runs the jobs of `cron.job` where pg_cron itself is not available.
 *
 * @module
 */

import postgres from "postgres";

interface Job {
  readonly jobid: string;
  readonly schedule: string;
  readonly command: string;
}

/**
 * Starts running jobs at every full minute.
 *
 * @param url As the role postgres.
 * @param onFailure Called when a job failed or the jobs cannot be read.
 * @returns A function that stops it.
 */
export function runJobs(url: string, onFailure: (message: string) => void): () => Promise<void> {
  const sql = postgres(url, { max: 1, onnotice: () => {} });
  let timer: ReturnType<typeof setTimeout> | undefined;
  const tick = async () => {
    const now = new Date();
    try {
      const jobs = await sql<Job[]>`select jobid, schedule, command from cron.job where active`;
      for (const job of jobs) {
        if (isDue(job.schedule, now)) await sql.unsafe(job.command);
      }
    } catch (thrown) {
      onFailure(thrown instanceof Error ? thrown.message : String(thrown));
    }
    arm();
  };
  const arm = () => timer = setTimeout(tick, 60_000 - Date.now() % 60_000);
  arm();
  return async () => {
    clearTimeout(timer);
    await sql.end({ timeout: 2 });
  };
}

/**
 * Whether a five-field schedule includes this minute (UTC): lists, ranges and steps as in cron(5).
 */
function isDue(schedule: string, at: Date): boolean {
  const [minute = "", hour = "", day = "", month = "", weekday = ""] = schedule.split(/ +/);
  return matches(minute, at.getUTCMinutes(), 0) && matches(hour, at.getUTCHours(), 0) &&
    matches(day, at.getUTCDate(), 1) && matches(month, at.getUTCMonth() + 1, 1) &&
    matches(weekday, at.getUTCDay(), 0);
}

function matches(field: string, value: number, lowest: number): boolean {
  return field.split(",").some((part) => {
    const [range = "", step] = part.split("/");
    const [from, to] = range === "*" ? [lowest, 99] : range.split("-").map(Number);
    if (from === undefined) return false;
    const last = to ?? (step ? 99 : from);
    return value >= from && value <= last && (value - from) % Number(step ?? 1) === 0;
  });
}
