/**
 * Times as people say them.
 *
 * @module
 */

let dayFormat: Intl.DateTimeFormat | undefined;

/** The formatter is created when it is first needed: that takes 14 ms, too long for an import. */
function formatDay(day: Date): string {
  dayFormat ??= new Intl.DateTimeFormat("en-GB", {
    weekday: "long",
    day: "numeric",
    month: "long",
    timeZone: "UTC",
  });
  return dayFormat.format(day).replace(",", "");
}

/**
 * A clinic-local time as people say it: `Tuesday 3 March at 2:30 PM`.
 *
 * @param isoLocal ISO 8601 local time; an offset is ignored.
 */
export function sayTime(isoLocal: string): string {
  // "Tuesday at midnight" could mean either end of Tuesday.
  return isoLocal.slice(11, 16) === "00:00"
    ? `midnight at the start of ${sayDay(isoLocal)}`
    : `${sayDay(isoLocal)} at ${sayClock(isoLocal)}`;
}

/**
 * A day as people say it: `Tuesday 3 March`.
 *
 * @param isoDay A date, or a local time that begins with one.
 */
export function sayDay(isoDay: string): string {
  return formatDay(new Date(`${isoDay.slice(0, 10)}T00:00:00Z`));
}

/**
 * A date and its weekday: `19 January is a Tuesday`.
 *
 * @param isoDay A date.
 */
export function sayWeekdayOf(isoDay: string): string {
  const [weekday, ...date] = sayDay(isoDay).split(" ");
  return `${date.join(" ")} is a ${weekday}`;
}

/** @param weekday 0 is Sunday. */
export function sayWeekday(weekday: number): string {
  // 1970 began on a Thursday.
  return formatDay(new Date((weekday + 3) * 86_400_000)).split(" ")[0] ?? "";
}

/** A day with its year, for a model that has the date wrong: `Tuesday 3 March 2026`. */
export function sayDate(isoDay: string): string {
  return `${sayDay(isoDay)} ${isoDay.slice(0, 4)}`;
}

/** A time of day as people say it: `2:30 PM`, `9 AM`, `noon`. */
export function sayClock(isoLocal: string): string {
  const hour = Number(isoLocal.slice(11, 13));
  const minutes = isoLocal.slice(14, 16);
  if (hour === 12 && minutes === "00") return "noon";
  if (hour === 0 && minutes === "00") return "midnight when the day begins";
  const clock = `${hour % 12 || 12}${minutes === "00" ? "" : `:${minutes}`}`;
  return `${clock} ${hour < 12 ? "AM" : "PM"}`;
}

/** `a, b or c`. */
export function sayList(items: readonly string[], conjunction: "or" | "and" = "or"): string {
  const last = items.at(-1) ?? "";
  return items.length < 2 ? last : `${items.slice(0, -1).join(", ")} ${conjunction} ${last}`;
}
