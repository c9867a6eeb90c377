/**
 * A request of the page that cannot be done, and what to do about it.
 *
 * @module
 */

/** Ends a request with a status and a sentence for the person at the page. */
export class Refusal extends Error {
  override readonly name = "Refusal";

  constructor(readonly status: 400 | 403 | 404 | 415 | 503, message: string) {
    super(message);
  }
}
