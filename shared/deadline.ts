/**
 * Deadlines: no await on something outside lasts longer than allowed.
 *
 * `AbortSignal.timeout` only asks: a client that ignores the signal would keep the caller waiting.
 * Here the promise itself ends, and its timer is cleared.
 *
 * @module
 */

/** The time ran out before the work was done. */
export class DeadlineExceeded extends Error {
  override readonly name = "DeadlineExceeded";
}

/**
 * Runs work with an abort signal, and gives up after a time whether or not the work listens.
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
  /** Milliseconds until the request has to be answered; never negative. */
  remainingMs(): number;
}

/** How long the functions wait, in milliseconds. */
export interface Deadlines {
  /** For everything that a request does. */
  readonly requestMs: number;
  /**
   * For one call of the database; the rest of the request's time may be shorter. A caller waits for a
   * turn for at most four fifths of it: together 4.5 seconds, and where a turn is short, about 2.
   */
  readonly databaseCallMs: number;
  /** For sending one text; the rest of the request's time may be shorter. */
  readonly textMs: number;
}

/** Limits, not targets: a caller notices silence much sooner. */
export const callerDeadlines: Deadlines = {
  requestMs: 7000,
  databaseCallMs: 2500,
  textMs: 3000,
};

/** A budget that starts now. */
export function startBudget(totalMs: number): Budget {
  const endsAt = performance.now() + totalMs;
  return { remainingMs: () => Math.max(0, endsAt - performance.now()) };
}
