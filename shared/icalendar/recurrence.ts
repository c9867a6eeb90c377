/**
 * Recurrence rules, counted on local clocks: as if the zone were UTC, whatever the zone is.
 *
 * @module
 */

import type { RRuleTemporal } from "rrule-temporal";
import { Unreadable } from "./lines.ts";

/** A local time in milliseconds, as if it were UTC. */
export type Wall = number;

/** A part of local time, from the first to before the second. */
export type WallSpan = readonly [Wall, Wall];

/** Finds the starts of a rule in a span. */
export type FindStarts = (rule: string, start: Wall, span: WallSpan) => Wall[];

/** Rules go on forever, and some never match. */
const stepLimit = 5000;

/**
 * Loads what finds the starts of rules.
 *
 * @param budgetMs For all rules of a calendar together: a calendar can have thousands.
 * @returns A function that throws {@link Unreadable} when a rule is not one, or when the rules of a
 * calendar need too much time.
 */
export async function loadRules(budgetMs: number): Promise<FindStarts> {
  const { RRuleTemporal } = await import("rrule-temporal");
  let spentMs = 0;
  return (rule, start, [from, until]) => {
    const startedAt = performance.now();
    const found = expand(RRuleTemporal, rule, start, [from, until]);
    spentMs += performance.now() - startedAt;
    if (spentMs > budgetMs) throw new Unreadable("too_much");
    return found;
  };
}

function expand(
  Rule: typeof RRuleTemporal,
  rule: string,
  start: Wall,
  [from, until]: WallSpan,
): Wall[] {
  // No program lets people repeat an event within a day, and it would be thousands of events.
  if (/FREQ=(SECOND|MINUTE|HOUR)LY/i.test(rule)) throw new Unreadable("too_much");
  try {
    const starts = new Rule({
      rruleString: `DTSTART:${writeWall(start)}\nRRULE:${rule}`,
      maxIterations: stepLimit,
      maxCandidateEvaluations: 4 * stepLimit,
      cache: false,
    }).between(new Date(from), new Date(until), true).map((each) => each.epochMilliseconds);
    // DTSTART is the first event, even where its own rule does not meet it (RFC 5545, 3.8.5.3).
    return start >= from && start <= until && !starts.includes(start) ? [start, ...starts] : starts;
  } catch (thrown) {
    const isLong = thrown instanceof Error && /^Maximum/.test(thrown.message);
    throw new Unreadable(isLong ? "too_much" : "not_a_calendar");
  }
}

/** `20261201T090000Z`. */
function writeWall(wall: Wall): string {
  return new Date(wall).toISOString().replace(/[-:]|\.\d+/g, "");
}
