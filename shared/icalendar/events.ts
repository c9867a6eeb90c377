/**
 * The events of a calendar that take time, each with its repetitions.
 *
 * @module
 */

import { type Component, findProperty, type Property, Unreadable, wordOf } from "./lines.ts";
import type { FindStarts, Wall, WallSpan } from "./recurrence.ts";
import { readWall, toInstant, toWall, utc, withWallUntil, type Zone, type Zones } from "./zones.ts";

/** Instants in milliseconds, from the first to before the second. */
export type Span = readonly [from: number, until: number];

/** What is needed to find the times of events. */
export interface Clocks {
  readonly zones: Zones;
  /** The zone of days, and of times without one. */
  readonly local: Zone;
  readonly findStarts: FindStarts;
  /** Only events within it are wanted. */
  readonly within: Span;
}

const dayMs = 86_400_000;
/** No person's calendar has more starts than this. */
const startLimit = 20_000;

/**
 * The busy times of events. Those that are cancelled or shown as free take no time.
 *
 * @throws {Unreadable} When a time in reach cannot be read, or there are too many.
 */
export function readBusySpans(events: readonly Component[], clocks: Clocks): Span[] {
  const series = Map.groupBy(
    events,
    (event) => findProperty(event, "UID")?.value ?? crypto.randomUUID(),
  );
  const spans: Span[] = [];
  for (const [, versions] of series) {
    spans.push(...readSeries(versions, clocks));
    if (spans.length > startLimit) throw new Unreadable("too_much");
  }
  return spans;
}

/** One event, or a series with the events that replace some of it. */
function readSeries(versions: readonly Component[], clocks: Clocks): Span[] {
  const newest = [
    ...Map.groupBy(versions, (each) => findProperty(each, "RECURRENCE-ID")?.value ?? "").values(),
  ].map((same) => same.reduce((one, other) => revisionOf(other) >= revisionOf(one) ? other : one));
  const master = newest.find((each) => findProperty(each, "RECURRENCE-ID") === undefined);
  const others = newest.filter((each) => each !== master);
  const replaced = others.map((each) => {
    const id = findProperty(each, "RECURRENCE-ID");
    const at = id && readTime(id, clocks)?.at;
    if (at === undefined) throw new Unreadable("time_unknown");
    return {
      at,
      isFromThere: id?.parameters.get("RANGE")?.toUpperCase() === "THISANDFUTURE",
      each,
    };
  });
  const isCancelled = master !== undefined && wordOf(master, "STATUS") === "CANCELLED";
  const own = replaced.flatMap(({ each }) => isCancelled ? [] : readOccurrences(each, clocks, []));
  if (master === undefined) return own;
  const tails = replaced.filter(({ isFromThere }) => isFromThere).sort((a, b) => a.at - b.at);
  return [
    ...own,
    ...readOccurrences(master, clocks, replaced.map(({ at }) => at)).flatMap((span): Span[] => {
      const tail = tails.findLast(({ at }) => at <= span[0]);
      return tail === undefined ? [span] : moveTail(span, tail, clocks);
    }),
  ];
}

const revisionOf = (event: Component) => Number(findProperty(event, "SEQUENCE")?.value) || 0;

/** An event of a series from one on, which is moved like that one. */
function moveTail(
  [from]: Span,
  { at, each }: { readonly at: number; readonly each: Component },
  clocks: Clocks,
): Span[] {
  const start = readStart(each, clocks);
  if (isFree(each) || start === undefined) return [];
  const moved = from + start.at - at;
  return [[moved, moved + lengthOf(each, start, clocks)(moved)]];
}

/** Whether an event takes no time. */
function isFree(event: Component): boolean {
  return wordOf(event, "STATUS") === "CANCELLED" || wordOf(event, "TRANSP") === "TRANSPARENT" ||
    wordOf(event, "X-MICROSOFT-CDO-BUSYSTATUS") === "FREE";
}

/** A time of an event. */
interface Time {
  /** The instant. */
  readonly at: number;
  readonly wall: Wall;
  readonly zone: Zone;
  readonly isDay: boolean;
}

/** The times of an event, but for the starts that others replace. */
function readOccurrences(event: Component, clocks: Clocks, replaced: readonly number[]): Span[] {
  const { within: [from, until] } = clocks;
  if (isFree(event) || isOver(event, clocks)) return [];
  const start = readStart(event, clocks);
  if (start === undefined) throw new Unreadable("time_unknown");
  const length = lengthOf(event, start, clocks);
  const reach = Math.max(0, length(start.at)) + 2 * dayMs;
  const span: WallSpan = [from - reach, until + 2 * dayMs];
  const spans: Span[] = startsOf(event, start, span, clocks)
    .filter((at) => !replaced.includes(at))
    .map((at) => [at, at + length(at)]);
  return spans.filter(([begins, ends]) => begins < ends && begins < until && ends > from);
}

/**
 * Whether the one time of an event, or the end of its rule, is long ago. Most events of a calendar are,
 * and their zones need not be read.
 */
function isOver(event: Component, { within: [from, until] }: Clocks): boolean {
  const start = readWall(findProperty(event, "DTSTART")?.value ?? "");
  if (start === undefined) return false;
  if (start > until + 2 * dayMs) return true;
  const rules = event.properties.filter(({ name }) => name === "RRULE" || name === "RDATE");
  if (rules.length > 0 || findProperty(event, "DURATION")) return false;
  const end = readWall(findProperty(event, "DTEND")?.value ?? "") ?? start + dayMs;
  return end < from - 2 * dayMs;
}

function readStart(event: Component, clocks: Clocks): Time | undefined {
  const property = findProperty(event, "DTSTART");
  return property && readTime(property, clocks);
}

/** A date, or a time in UTC, in a zone or on local clocks. */
function readTime(
  { value, parameters }: Pick<Property, "value" | "parameters">,
  { zones, local }: Clocks,
): Time | undefined {
  const wall = readWall(value);
  if (wall === undefined) return undefined;
  const isDay = !value.includes("T");
  const id = parameters.get("TZID");
  const zone = isDay ? local : /Z\s*$/.test(value) ? utc : id === undefined ? local : zones(id);
  return { at: toInstant(zone, wall), wall, zone, isDay };
}

/**
 * How long an event lasts from a start on. A number of days or a nominal duration ends at the same
 * time of the clock; any other length is the same in each repetition (RFC 5545, 3.8.5.3).
 */
function lengthOf(event: Component, start: Time, clocks: Clocks): (at: number) => number {
  const end = findProperty(event, "DTEND");
  const until = end && readTime(end, clocks);
  if (end && until === undefined) throw new Unreadable("time_unknown");
  if (until && !start.isDay) return () => until.at - start.at;
  const duration = findProperty(event, "DURATION")?.value;
  const { days, ms } = until
    ? { days: Math.round((until.wall - start.wall) / dayMs), ms: 0 }
    : duration === undefined
    ? { days: start.isDay ? 1 : 0, ms: 0 }
    : readDuration(duration);
  return (at) =>
    days === 0 ? ms : toInstant(start.zone, toWall(start.zone, at) + days * dayMs) + ms - at;
}

function readDuration(text: string): { readonly days: number; readonly ms: number } {
  const [, sign = "", weeks, days, hours, minutes, seconds] =
    /^([+-]?)P(?:(\d{1,4})W)?(?:(\d{1,5})D)?(?:T(?:(\d{1,6})H)?(?:(\d{1,8})M)?(?:(\d{1,9})S)?)?$/i
      .exec(text.trim()) ?? [undefined];
  if (sign === "-") return { days: 0, ms: 0 };
  const number = (given: string | undefined) => Number(given ?? 0);
  const read = {
    days: 7 * number(weeks) + number(days),
    ms: 1000 * (3600 * number(hours) + 60 * number(minutes) + number(seconds)),
  };
  if (read.days === 0 && read.ms === 0 && !/\d/.test(text)) throw new Unreadable("time_unknown");
  return read;
}

/** The instants at which an event begins, in a part of its local time. */
function startsOf(event: Component, start: Time, span: WallSpan, clocks: Clocks): number[] {
  const { zone } = start;
  const excluded = new Set<number>();
  const excludedDays = new Set<Wall>();
  const starts = new Set<number>();
  const wallOf = (instant: number) => toWall(zone, instant);
  let isRepeated = false;
  for (const property of event.properties) {
    if (property.name === "RRULE") {
      isRepeated = true;
      const rule = withWallUntil(property.value, wallOf);
      for (const wall of clocks.findStarts(rule, start.wall, span)) {
        starts.add(toInstant(zone, wall));
      }
    } else if (property.name === "RDATE" || property.name === "EXDATE") {
      for (const value of property.value.split(",")) {
        const [first = ""] = value.split("/");
        const time = readTime({ value: first, parameters: property.parameters }, clocks);
        if (time === undefined) throw new Unreadable("time_unknown");
        if (property.name === "RDATE") starts.add(time.at);
        else if (time.isDay && !start.isDay) excludedDays.add(time.wall);
        else excluded.add(time.at);
      }
    }
  }
  if (!isRepeated) starts.add(start.at);
  return [...starts].filter((at) =>
    !excluded.has(at) && !excludedDays.has(Math.floor(wallOf(at) / dayMs) * dayMs)
  );
}
