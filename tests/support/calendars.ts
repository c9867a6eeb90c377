/**
 * Calendars as others write them.
 *
 * @module
 */

/** The properties of an event, by their names with parameters. */
export type EventAttributes = Readonly<Record<string, string | undefined>>;

let events = 0;

/**
 * A calendar of these events.
 *
 * @param more Further components, such as time zones.
 */
export function createEvents(all: readonly EventAttributes[], more = ""): string {
  const lines = all.flatMap((event) => [
    "BEGIN:VEVENT",
    ...Object.entries({ UID: `event-${++events}`, DTSTAMP: "20261001T000000Z", ...event })
      .flatMap(([name, value]) => value === undefined ? [] : [`${name}:${value}`]),
    "END:VEVENT",
  ]);
  return [
    "BEGIN:VCALENDAR",
    "VERSION:2.0",
    "PRODID:-//Test//EN",
    ...more.trim().split("\n"),
    ...lines,
    "END:VCALENDAR",
    "",
  ]
    .filter((line, index, { length }) => line !== "" || index === length - 1).join("\r\n");
}
