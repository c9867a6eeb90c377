/**
 * Faults: errors that should not happen. They are thrown and answered in one place.
 *
 * @module
 */

/** Names a fault in metrics and logs. */
export type FaultCode =
  | "config_invalid"
  | "database_busy"
  | "database_timeout"
  | "database_unavailable"
  | "database_error"
  | "database_answer_unexpected"
  | "credentials_unreadable"
  | "request_deadline"
  | "internal";

/** An error that should not happen, with its cause for the log. */
export class Fault extends Error {
  override readonly name = "Fault";

  /**
   * @param code Names the fault in metrics and logs.
   * @param message For engineers: what failed and why, no full stop, nothing personal.
   * @param options `cause` for the log.
   */
  constructor(readonly code: FaultCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
  }
}

/** Turns anything thrown into a fault that has it as its cause. */
export function toFault(thrown: unknown): Fault {
  if (thrown instanceof Fault) return thrown;
  return new Fault("internal", "Cannot answer: an unexpected error was thrown", { cause: thrown });
}
