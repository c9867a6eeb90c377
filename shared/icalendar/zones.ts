/**
 * Time zones of calendars: by their IANA name, by Windows' name, or as the calendar describes them.
 *
 * @module
 */

import { type Component, findProperty, Unreadable } from "./lines.ts";
import type { FindStarts, Wall, WallSpan } from "./recurrence.ts";

/** How far local clocks are ahead of UTC. */
export interface Zone {
  /** In milliseconds, at an instant. */
  offsetAt(instantMs: number): number;
}

const dayMs = 86_400_000;

/**
 * The instant of a local time. A repeated one means the first, and one in a gap is read by the offset
 * before the gap (RFC 5545, 3.3.5).
 */
export function toInstant(zone: Zone, wall: Wall): number {
  const before = wall - zone.offsetAt(wall - dayMs);
  const after = wall - zone.offsetAt(wall + dayMs);
  const right = [before, after].filter((at) => at + zone.offsetAt(at) === wall);
  return right.length > 0 ? Math.min(...right) : before;
}

/** The local time at an instant. */
export function toWall(zone: Zone, instantMs: number): Wall {
  return instantMs + zone.offsetAt(instantMs);
}

/** Clocks that show UTC. */
export const utc: Zone = { offsetAt: () => 0 };

/** The zone of an IANA name, or undefined. */
export function openZone(name: string): Zone | undefined {
  let format: Intl.DateTimeFormat;
  try {
    format = new Intl.DateTimeFormat("en-US", {
      timeZone: name,
      ...{ year: "numeric", month: "numeric", day: "numeric" },
      ...{ hour: "numeric", minute: "numeric", second: "numeric", hourCycle: "h23" },
    });
  } catch {
    return undefined;
  }
  const known = new Map<number, number>();
  return {
    offsetAt: (instantMs) => {
      // Clocks change at full quarters of an hour.
      const quarter = Math.floor(instantMs / 900_000) * 900_000;
      const offset = known.get(quarter) ?? readOffset(format, quarter);
      known.set(quarter, offset);
      return offset;
    },
  };
}

function readOffset(format: Intl.DateTimeFormat, instantMs: number): number {
  const parts = new Map(
    format.formatToParts(instantMs).map(({ type, value }) => [type, Number(value)]),
  );
  const [year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0] = [
    ...["year", "month", "day", "hour", "minute", "second"].map((name) =>
      parts.get(name as Intl.DateTimeFormatPartTypes)
    ),
  ];
  return Date.UTC(year, month - 1, day, hour, minute, second) - instantMs;
}

/** The zones of a calendar by their `TZID`. */
export type Zones = (id: string) => Zone;

/**
 * Opens the zones of a calendar. A name such as Europe/London counts for itself; any other one means
 * what the calendar describes by it, and else the zone that Windows calls so.
 *
 * @param span Where the zones have to be right.
 * @returns A function that throws {@link Unreadable} for a zone that nothing describes.
 */
export async function openZones(
  calendars: readonly Component[],
  span: WallSpan,
  findStarts: FindStarts,
): Promise<Zones> {
  const described = new Map<string, Component>();
  for (const { components } of calendars) {
    for (const one of components) {
      const id = one.name === "VTIMEZONE" ? findProperty(one, "TZID")?.value.trim() : undefined;
      if (id !== undefined && !described.has(id)) described.set(id, one);
    }
  }
  const { findIana } = await import("windows-iana");
  const opened = new Map<string, Zone>();
  return (id) => {
    const known = opened.get(id);
    if (known) return known;
    const description = described.get(id);
    const zone = (id.includes("/") ? openZone(id) : undefined) ??
      (description && readZone(description, span, findStarts)) ??
      openZone(id) ?? openZone(findIana(id)[0] ?? "");
    if (zone === undefined) throw new Unreadable("time_unknown");
    opened.set(id, zone);
    return zone;
  };
}

/** From this instant on, clocks have this offset. */
interface Onset {
  readonly at: number;
  readonly before: number;
  readonly offset: number;
}

function readZone(
  { components }: Component,
  [from, until]: WallSpan,
  findStarts: FindStarts,
): Zone | undefined {
  // What holds at the beginning of the span began within the year before it, or does not repeat.
  const wide: WallSpan = [from - 400 * dayMs, until + 2 * dayMs];
  const onsets = components.flatMap((one) => readOnsets(one, wide, findStarts))
    .sort((a, b) => a.at - b.at);
  const [first] = onsets;
  if (first === undefined) return undefined;
  return {
    offsetAt: (instantMs) => onsets.findLast(({ at }) => at <= instantMs)?.offset ?? first.before,
  };
}

function readOnsets(component: Component, span: WallSpan, findStarts: FindStarts): Onset[] {
  const { properties } = component;
  const start = readWall(findProperty(component, "DTSTART")?.value ?? "");
  const before = readUtcOffset(findProperty(component, "TZOFFSETFROM")?.value ?? "");
  const offset = readUtcOffset(findProperty(component, "TZOFFSETTO")?.value ?? "");
  if (start === undefined || before === undefined || offset === undefined) {
    throw new Unreadable("time_unknown");
  }
  const walls = properties.flatMap(({ name, value }) =>
    name === "RRULE"
      ? findStarts(withWallUntil(value, (instant) => instant + before), start, span)
      : name === "RDATE"
      ? value.split(",").flatMap((each) => readWall(each.split("/")[0] ?? "") ?? [])
      : []
  );
  return [start, ...walls].map((wall) => ({ at: wall - before, before, offset }));
}

function readUtcOffset(text: string): number | undefined {
  const [, sign, hours, minutes, seconds = "0"] = /^([+-])(\d\d)(\d\d)(\d\d)?$/.exec(text.trim()) ??
    [];
  if (sign === undefined) return undefined;
  const ms = 1000 * (3600 * Number(hours) + 60 * Number(minutes) + Number(seconds));
  return sign === "-" ? -ms : ms;
}

/** A date, or a date and a time with or without its `Z`, as if it were UTC. */
export function readWall(text: string): Wall | undefined {
  const [, year = "", month = "", day = "", ...time] =
    /^(\d{4})(\d\d)(\d\d)(?:T(\d\d)(\d\d)(\d\d)Z?)?$/.exec(text.trim()) ?? [];
  const [hour = 0, minute = 0, second = 0] = time.map((part) => Number(part ?? 0));
  const midnight = Date.UTC(Number(year), Number(month) - 1, Number(day));
  // Of the 30th of February, another day would be made; the end of a leap second is the next one.
  const isTime = new Date(midnight).getUTCDate() === Number(day) && Number(month) <= 12 &&
    hour < 24 && minute < 60 && second <= 60;
  return isTime ? midnight + 1000 * (3600 * hour + 60 * minute + second) : undefined;
}

/**
 * A rule whose end is a local time. In rules, the end of an event with a zone is in UTC; a date alone
 * includes that day.
 */
export function withWallUntil(rule: string, wallOf: (instantMs: number) => Wall): string {
  return rule.trim().toUpperCase().replace(/UNTIL=([^;]*)/, (_, text: string) => {
    const read = readWall(text);
    if (read === undefined) throw new Unreadable("not_a_calendar");
    const last = /Z$/.test(text) ? wallOf(read) : /T/.test(text) ? read : read + dayMs - 1000;
    return `UNTIL=${new Date(last).toISOString().replace(/[-:]|\.\d+/g, "")}`;
  });
}
