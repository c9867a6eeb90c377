/**
 * Days and times of a clinic, in its own zone, whatever zone the browser is in.
 *
 * @module
 */

/** A local day, such as `2026-12-01`. */
export type Day = string;

/** A moment, in milliseconds since 1970. */
export type Moment = number;

const minuteMs = 60_000;
const dayMs = 1440 * minuteMs;

const formats = new Map<string, Intl.DateTimeFormat>();

function wallFormat(zone: string): Intl.DateTimeFormat {
  const found = formats.get(zone) ?? new Intl.DateTimeFormat("en-US", {
    timeZone: zone,
    hourCycle: "h23",
    year: "numeric",
    month: "2-digit",
    day: "2-digit",
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
  });
  formats.set(zone, found);
  return found;
}

/** What the clinic's clock shows, as if it were UTC. */
function wallOf(at: Moment, zone: string): Moment {
  const parts = new Map(
    wallFormat(zone).formatToParts(at).map(({ type, value }) => [type, Number(value)]),
  );
  const part = (name: Intl.DateTimeFormatPartTypes) => parts.get(name) ?? 0;
  return Date.UTC(
    part("year"),
    part("month") - 1,
    part("day"),
    part("hour"),
    part("minute"),
    part("second"),
  );
}

/** The local day of a moment. */
export const dayOf = (at: Moment, zone: string): Day =>
  new Date(wallOf(at, zone)).toISOString().slice(0, 10);

/** Local minutes since the midnight that a day begins with; beyond 1439 or below 0 on other days. */
export const minuteOf = (at: Moment, zone: string, day: Day): number =>
  Math.floor((wallOf(at, zone) - Date.parse(day)) / minuteMs);

/**
 * The moment of a local time. A time that the clocks leave out means as long after midnight as it
 * says; one that comes twice means the first.
 */
export function momentOf(day: Day, minute: number, zone: string): Moment {
  const wall = Date.parse(day) + minute * minuteMs;
  const early = wall - (wallOf(wall - dayMs, zone) - (wall - dayMs));
  if (wallOf(early, zone) === wall) return early;
  const late = wall - (wallOf(wall + dayMs, zone) - (wall + dayMs));
  return wallOf(late, zone) === wall ? late : early;
}

/** The day that comes this many days later. */
export const addDays = (day: Day, count: number): Day =>
  new Date(Date.parse(day) + count * dayMs).toISOString().slice(0, 10);

/** 0 is Sunday. */
export const weekdayOf = (day: Day): number => new Date(Date.parse(day)).getUTCDay();

/** The Monday that a day's week begins with. */
export const mondayOf = (day: Day): Day => addDays(day, -((weekdayOf(day) + 6) % 7));

/** Whether a text is a day of the calendar, within four digits of a year. */
export const isDay = (text: string): boolean =>
  /^\d{4}-\d\d-\d\d$/.test(text) && !Number.isNaN(Date.parse(text)) &&
  new Date(Date.parse(text)).toISOString().startsWith(text);

/** `09:30`; minutes beyond midnight count on, as `24:30`. */
export const sayMinute = (minute: number): string =>
  `${String(Math.floor(minute / 60)).padStart(2, "0")}:${String(minute % 60).padStart(2, "0")}`;

/** Minutes since midnight of `09:30`; undefined for another text. */
export function readMinute(text: string): number | undefined {
  const [, hours, minutes] = /^(\d{1,2}):(\d\d)$/.exec(text.trim()) ?? [];
  if (hours === undefined || Number(hours) > 47 || Number(minutes) > 59) return undefined;
  return Number(hours) * 60 + Number(minutes);
}

/** `09:00-12:30, 13:30-17:00`. */
export const sayHours = (
  hours: readonly { readonly startMin: number; readonly endMin: number }[],
): string =>
  hours.toSorted((one, other) => one.startMin - other.startMin)
    .map(({ startMin, endMin }) => `${sayMinute(startMin)}-${sayMinute(endMin)}`).join(", ");

/** Reads what {@link sayHours} writes; undefined when it is something else. */
export function readHoursList(text: string): { startMin: number; endMin: number }[] | undefined {
  if (text.trim() === "") return [];
  const hours = text.split(",").map((part) => {
    const [start = "", end = "", surplus] = part.split(/-|–|\bto\b/);
    const [startMin, endMin] = [readMinute(start), readMinute(end)];
    return startMin === undefined || endMin === undefined || surplus !== undefined
      ? undefined
      : { startMin, endMin };
  });
  const known = hours.flatMap((one) => one ?? []);
  return known.length === hours.length ? known : undefined;
}

/** What is wrong with the hours of a day, as a sentence; undefined when nothing is. */
export function checkHours(
  hours: readonly { readonly startMin: number; readonly endMin: number }[],
): string | undefined {
  const ordered = hours.toSorted((one, other) => one.startMin - other.startMin);
  for (const [place, one] of ordered.entries()) {
    const before = ordered[place - 1];
    if (one.startMin >= 1440) return `${sayHours([one])} begins on the next day.`;
    if (one.endMin <= one.startMin) {
      return `${sayHours([one])} ends before it begins. Count on after midnight, as 22:00-30:00.`;
    }
    if (one.endMin - one.startMin > 1440) return `${sayHours([one])} is longer than a day.`;
    if (before && one.startMin < before.endMin) return `${sayHours([before, one])} overlap.`;
  }
  return undefined;
}

/** `09:30`. */
export const sayTime = (at: Moment, zone: string): string =>
  sayMinute(minuteOf(at, zone, dayOf(at, zone)));

const dayFormat = new Intl.DateTimeFormat("en-GB", {
  timeZone: "UTC",
  weekday: "long",
  day: "numeric",
  month: "long",
  year: "numeric",
});
const shortDayFormat = new Intl.DateTimeFormat("en-GB", {
  timeZone: "UTC",
  weekday: "short",
  day: "numeric",
  month: "short",
});

/** `Tuesday 1 December 2026`. */
export const sayDay = (day: Day): string => dayFormat.format(Date.parse(day)).replace(",", "");

/** `Tue 1 Dec`. */
export const sayShortDay = (day: Day): string =>
  shortDayFormat.format(Date.parse(day)).replace(",", "");

/** `Tue 1 Dec to Wed 2 Dec`, or one day. */
export const sayDays = (first: Day, last: Day): string =>
  first === last ? sayShortDay(first) : `${sayShortDay(first)} to ${sayShortDay(last)}`;

/** A span of whole days as its days, another one as `Tue 1 Dec, 09:30 to Wed 2 Dec, 12:00`. */
export function saySpan(from: Moment, to: Moment, zone: string): string {
  const isMidnight = (at: Moment) =>
    Number.isFinite(at) && minuteOf(at, zone, dayOf(at, zone)) === 0;
  if (isMidnight(from) && isMidnight(to)) return sayDays(dayOf(from, zone), dayOf(to - 1, zone));
  const say = (at: Moment, infinite: string) =>
    Number.isFinite(at) ? sayMoment(at, zone) : infinite;
  return `${say(from, "ever since")} to ${say(to, "further notice")}`;
}

/** `Tue 1 Dec, 09:30`. */
export const sayMoment = (at: Moment, zone: string): string =>
  `${sayShortDay(dayOf(at, zone))}, ${sayTime(at, zone)}`;

/** `4 min 05 s`, `62 h 15 min`. */
export function sayLeft(ms: number): string {
  const seconds = Math.max(0, Math.ceil(ms / 1000));
  const minutes = Math.floor(seconds / 60);
  const write = (part: number) => String(part % 60).padStart(2, "0");
  if (minutes >= 60) return `${Math.floor(minutes / 60)} h ${write(minutes)} min`;
  return seconds < 60 ? `${seconds} s` : `${minutes} min ${write(seconds)} s`;
}
