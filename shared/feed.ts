/**
 * A calendar as iCalendar (RFC 5545), for the programs that subscribe to it.
 *
 * All times are in UTC. Each event happens once, so its instant is right on every day, even when clocks
 * change, and no time zone has to be described.
 *
 * @module
 */

import type { Calendar } from "./database/calendars.ts";

type Event = Calendar["events"][number];

/** The media type of the feed. */
export const icalendar = "text/calendar; charset=utf-8";

/** How often programs should read the feed again. */
const refreshSeconds = 15 * 60;

/**
 * Writes a calendar. The same calendar always gives the same text, so its version identifies the text.
 *
 * @returns Lines that end with CRLF and are folded at 75 bytes.
 */
export async function writeCalendar(calendar: Calendar, orgId: string): Promise<string> {
  const { default: ical, ICalEventBusyStatus, ICalEventStatus } = await import("ical-generator");
  const { clinic, doctor, timezone, events } = calendar;
  const written = ical({
    prodId: { company: "Master Orchestrator", product: "Calendar" },
    name: plain(doctor === null ? clinic : `${doctor}, ${clinic}`),
    ttl: refreshSeconds,
    x: { "X-WR-TIMEZONE": timezone },
  });
  for (const event of events) {
    const changedAt = new Date(event.changedAt);
    written.createEvent({
      // With the organization, by which it knows its own appointments in a doctor's calendar.
      id: `${event.id}@${orgId}`,
      sequence: event.revision,
      stamp: changedAt,
      lastModified: changedAt,
      start: new Date(event.startTime),
      end: new Date(event.endTime),
      summary: plain(titleOf(event, doctor === null)),
      status: event.isHeld ? ICalEventStatus.TENTATIVE : ICalEventStatus.CONFIRMED,
      busystatus: event.isHeld ? ICalEventBusyStatus.TENTATIVE : ICalEventBusyStatus.BUSY,
    });
  }
  return `${written.toString()}\r\n`;
}

function titleOf({ isHeld, service, patient, doctor }: Event, isOfClinic: boolean): string {
  const parts = isHeld ? ["Held"] : [service, patient];
  return [...parts, isOfClinic ? doctor : null].filter((part) => part !== null).join(", ");
}

/** Removes control characters, which iCalendar does not allow. */
function plain(text: string): string {
  return text.replace(/\p{Cc}+/gu, " ").trim();
}
