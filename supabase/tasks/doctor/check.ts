/**
 * A check of the doctor: what was looked at, and what to do about what is wrong.
 *
 * @module
 */

/** Something that is not as it should be. */
export interface Problem {
  readonly what: string;
  /** What to do about it: a command, or where to look. */
  readonly fix: string;
}

/** What was looked at. */
export interface Check {
  readonly name: string;
  /** Empty when all is well. */
  readonly problems: readonly Problem[];
  /** Why nothing was looked at. */
  readonly skipped?: string;
}

/** One check, with what it found. */
export function check(name: string, ...problems: readonly Problem[]): Check {
  return { name, problems };
}

/** A check that could not be made. */
export function skip(name: string, reason: string): Check {
  return { name, problems: [], skipped: reason };
}
