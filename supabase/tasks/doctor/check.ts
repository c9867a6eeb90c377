/**
 * A check of the doctor: what was checked, what is wrong, and how to fix it.
 *
 * @module
 */

import type { Terminal } from "../terminal.ts";

/** Something that is wrong. */
export interface Problem {
  readonly what: string;
  /** How to fix it: a command, or where to look. */
  readonly fix: string;
}

/** A check that ran or was skipped. */
export interface Check {
  readonly name: string;
  /** Empty if the check passed. */
  readonly problems: readonly Problem[];
  /** Why the check was skipped. */
  readonly skipped?: string;
}

/** A check, with what it found. */
export function check(name: string, ...problems: readonly Problem[]): Check {
  return { name, problems };
}

/** A check that could not run. */
export function skip(name: string, reason: string): Check {
  return { name, problems: [], skipped: reason };
}

/** Prints a check: what is wrong, and what to do about it. */
export function show({ name, problems, skipped }: Check, terminal: Terminal): void {
  if (skipped !== undefined) return terminal.print(`skipped  ${name}: ${skipped}`);
  terminal.print(`${problems.length === 0 ? "ok      " : "FAILED  "} ${name}`);
  for (const { what, fix } of problems) {
    terminal.print(`           ${what}`);
    terminal.print(`           fix: ${fix}`);
  }
}
