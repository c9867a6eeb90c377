/**
 * Deadlines: no await on something outside lasts longer than allowed.
 *
 * `AbortSignal.timeout` only asks for an end, and a client that ignores the signal would keep the
 * caller waiting. Here the promise itself ends, and its timer is cleared.
 *
 * @module
 */

/** The time ran out before the work was done. */
export class DeadlineExceeded extends Error {
  override readonly name = "DeadlineExceeded";
}

/**
 * Runs work with an abort signal and gives up after a time, whether or not the work reacts.
 *
 * @param timeoutMs Milliseconds until it gives up.
 * @param work Receives the signal, which is aborted at the deadline.
 * @throws {DeadlineExceeded} When the time runs out.
 */
export async function withDeadline<T>(
  timeoutMs: number,
  work: (signal: AbortSignal) => PromiseLike<T>,
): Promise<T> {
  const controller = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const expired = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      const reason = new DeadlineExceeded(`No answer within ${timeoutMs} ms`);
      controller.abort(reason);
      reject(reason);
    }, Math.max(0, timeoutMs));
  });
  try {
    return await Promise.race([work(controller.signal), expired]);
  } finally {
    clearTimeout(timer);
  }
}

/** How much of a request's time is left. */
export interface Budget {
  /**
   * Milliseconds until the request has to be answered; never negative.
   *
   * @param now The time of `performance.now()`, for whoever asks many budgets at once.
   */
  remainingMs(now?: number): number;
}

/** How long the functions wait, in milliseconds. */
export interface Deadlines {
  /** For everything that a request does. */
  readonly requestMs: number;
  /**
   * For one database call; less if the request has less time left. A caller waits for a turn for at
   * most four fifths of it. Together that is 4.5 seconds, or about 2 when turns are short.
   */
  readonly databaseCallMs: number;
  /** For sending one text; less if the request has less time left. */
  readonly textMs: number;
}

/** Limits, not targets: a caller notices much shorter silences. */
export const callerDeadlines: Deadlines = {
  requestMs: 7000,
  databaseCallMs: 2500,
  textMs: 3000,
};

/** A budget that starts now. */
export function startBudget(totalMs: number): Budget {
  const endsAt = performance.now() + totalMs;
  return { remainingMs: (now = performance.now()) => Math.max(0, endsAt - now) };
}
