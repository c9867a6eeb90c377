/**
 * Deadlines: no await on the outside lasts longer than it was given.
 *
 * Web APIs have `AbortSignal.timeout`, but a signal only asks: a client that does not listen would
 * keep the caller waiting. Here the promise itself ends, and the timer goes with it.
 *
 * @module
 */

/** The time was up before the work was done. */
export class DeadlineExceeded extends Error {
  override readonly name = "DeadlineExceeded";
}

/**
 * Runs work that gets an abort signal, and gives up after a time whether the work listens or not.
 *
 * @param timeoutMs Milliseconds until it gives up.
 * @param work Receives the signal that is aborted at the deadline.
 * @throws {DeadlineExceeded} When the time is up.
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
  /** Milliseconds until the request has to be answered; never negative. */
  remainingMs(): number;
}

/** A budget that starts now. */
export function startBudget(totalMs: number): Budget {
  const endsAt = performance.now() + totalMs;
  return { remainingMs: () => Math.max(0, endsAt - performance.now()) };
}
