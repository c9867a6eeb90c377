/**
 * The times at which somebody's calendar is busy.
 *
 * Nothing else of a calendar leaves this module: no title, place or person.
 *
 * @module
 */

import { readBusySpans, type Span } from "./icalendar/events.ts";
import { type Component, findProperty, readComponents, Unreadable } from "./icalendar/lines.ts";
import { loadRules } from "./icalendar/recurrence.ts";
import { openZone, openZones } from "./icalendar/zones.ts";

/** Busy times, or why a calendar cannot be used. */
export type BusyReading =
  | { readonly ok: true; readonly spans: readonly Span[] }
  | { readonly ok: false; readonly reason: Unreadable["reason"] };

/** Which times are wanted, and how local times are meant. */
export interface BusyOptions {
  /** IANA; where days and times without a zone are. */
  readonly zone: string;
  /** Instants in milliseconds. */
  readonly from: number;
  readonly until: number;
  /** Events with such a UID are the clinic's own appointments, which are busy already. */
  readonly isOwn: (uid: string) => boolean;
  /** How long all recurrence rules together may take; 1.5 seconds by default. */
  readonly budgetMs?: number;
}

const eventLimit = 20_000;
/** After joining. A doctor has a few dozen a week. */
const spanLimit = 5000;

/**
 * Reads the busy times of a calendar (RFC 5545).
 *
 * @returns Times that neither overlap nor touch, in order, all of them within what is wanted.
 */
export async function readBusyTimes(
  bytes: Uint8Array,
  { zone, from, until, isOwn, budgetMs = 1500 }: BusyOptions,
): Promise<BusyReading> {
  try {
    const calendars = readComponents(bytes);
    const events = calendars.flatMap(({ components }) => components)
      .filter((one) => one.name === "VEVENT" && !isOwn(uidOf(one)));
    if (events.length > eventLimit) throw new Unreadable("too_much");
    const findStarts = await loadRules(budgetMs);
    const zones = await openZones(calendars, [from, until], findStarts);
    const local = openZone(zone);
    if (local === undefined) throw new Unreadable("time_unknown");
    const busy = readBusySpans(events, { zones, local, findStarts, within: [from, until] });
    const spans = join(
      busy.map(([begins, ends]) => [Math.max(begins, from), Math.min(ends, until)]),
    );
    if (spans.length > spanLimit) throw new Unreadable("too_much");
    return { ok: true, spans };
  } catch (thrown) {
    if (thrown instanceof Unreadable) return { ok: false, reason: thrown.reason };
    throw thrown;
  }
}

function uidOf(event: Component): string {
  return findProperty(event, "UID")?.value.trim() ?? "";
}

/** Joins times that overlap or touch. */
function join(spans: readonly Span[]): Span[] {
  const joined: Span[] = [];
  for (const [from, until] of spans.toSorted(([a], [b]) => a - b)) {
    const last = joined.at(-1);
    if (last === undefined || from > last[1]) joined.push([from, until]);
    else joined[joined.length - 1] = [last[0], Math.max(last[1], until)];
  }
  return joined;
}
