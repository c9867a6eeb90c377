/**
 * Posts the database's requests to the functions, where pg_net itself is not available. A job that runs
 * every minute elsewhere runs every second here, so that nobody waits for a text or a webhook.
 *
 * @module
 */

import postgres from "postgres";

const pauseMs = 1000;

interface QueuedRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: Record<string, string>;
  readonly body: unknown;
  readonly timeoutMs: number;
}

/**
 * Starts requesting texts that are due and posting the queue of `net.http_post`.
 *
 * @param url As the role postgres.
 * @param onFailure Called when the database or a function stops answering; once until it answers again.
 * @returns A function that stops this and waits for requests under way.
 */
export function runRequests(
  url: string,
  onFailure: (message: string) => void,
): () => Promise<void> {
  const sql = postgres(url, { max: 1, onnotice: () => {} });
  let timer: ReturnType<typeof setTimeout> | undefined;
  let isStopped = false;
  let isFailing = false;
  let working: Promise<void> = Promise.resolve();
  const tick = async () => {
    try {
      await sql`select public.send_appointment_texts(), public.request_webhooks()`;
      await postQueue(sql);
      isFailing = false;
    } catch (thrown) {
      if (!isFailing) onFailure(thrown instanceof Error ? thrown.message : String(thrown));
      isFailing = true;
    }
    arm();
  };
  const arm = () => {
    if (!isStopped) timer = setTimeout(() => working = tick(), pauseMs);
  };
  arm();
  return async () => {
    isStopped = true;
    clearTimeout(timer);
    await working;
    await sql.end({ timeout: 2 });
  };
}

/** Takes every request off the queue of pg_net's stand-in and posts it, each once. */
export async function postQueue(sql: postgres.Sql): Promise<void> {
  const queued = await sql<QueuedRequest[]>`
    delete from net.http_request_queue
    returning method, url, headers, body, timeout_milliseconds as "timeoutMs"`;
  for (const { method, url, headers, body, timeoutMs } of queued) {
    const signal = AbortSignal.timeout(timeoutMs);
    const response = await fetch(url, { method, headers, body: JSON.stringify(body), signal });
    await response.body?.cancel();
    if (!response.ok) throw new Error(`${url} answered ${response.status}`);
  }
}
