/**
 * Reads doctors' own calendars, whose busy times become absences.
 *
 * @module
 */

import {
  type CalendarTask,
  missBusyTimes,
  replaceBusyTimes,
  takeBusyCalendars,
} from "./database/calendars.ts";
import type { Database } from "./database/client.ts";
import type { Budget } from "./deadline.ts";
import { download } from "./download.ts";
import { toFault } from "./errors.ts";
import type { Network } from "./exchange.ts";
import { readBusyTimes } from "./icalendar.ts";
import type { Log } from "./logging.ts";

/** What reading calendars needs. */
export interface BusyTools {
  readonly database: Database;
  readonly budget: Budget;
  readonly log: Log;
  /** The internet if left out. */
  readonly network?: Network;
}

const limitBytes = 1024 * 1024;
const timeoutMs = 5000;
/** How many calendars are taken at once; those that time does not suffice for come a little later. */
const atOnce = 4;

/**
 * Reads the calendars that are due, one after another, until none is left or time runs out.
 *
 * @returns How many had which result.
 */
export async function readDueCalendars(tools: BusyTools): Promise<Record<string, number>> {
  const results: Record<string, number> = {};
  while (tools.budget.remainingMs() > atOnce * 2 * timeoutMs) {
    const taken = await takeBusyCalendars(tools.database, atOnce);
    const calendars = taken.outcome === "found" ? taken.calendars : [];
    if (calendars.length === 0) break;
    for (const calendar of calendars) {
      const result = await readOne(calendar, tools);
      results[result] = (results[result] ?? 0) + 1;
    }
  }
  return results;
}

async function readOne(calendar: CalendarTask, tools: BusyTools): Promise<string> {
  const { log } = tools;
  const named = { orgId: calendar.orgId, calendarId: calendar.calendarId };
  try {
    const { outcome, ...facts } = await bringIn(calendar, tools);
    log[outcome === "missed" ? "warn" : "info"]("calendar_import", { ...named, outcome, ...facts });
    return outcome;
  } catch (thrown) {
    // It is read again in five minutes.
    log.error("calendar_import_failed", { ...named, fault: toFault(thrown) });
    return "failed";
  }
}

type Imported = { readonly outcome: string } & Readonly<Record<string, string | number>>;

async function bringIn(calendar: CalendarTask, tools: BusyTools): Promise<Imported> {
  const { database, network } = tools;
  const loaded = await download(calendar.address, {
    ...{ limitBytes, timeoutMs },
    etag: calendar.etag ?? undefined,
    ...network ? { network } : {},
  });
  if (loaded.outcome === "failed") return await miss(calendar, loaded.reason, tools);
  if (loaded.outcome === "unchanged") {
    const nothing = { etag: undefined, spans: undefined };
    return { outcome: (await replaceBusyTimes(database, calendar, nothing)).outcome };
  }
  const read = await readBusyTimes(loaded.bytes, {
    zone: calendar.timezone,
    from: Date.parse(calendar.from),
    until: Date.parse(calendar.until),
    isOwn: (uid) => uid.endsWith(`@${calendar.orgId}`),
  });
  if (!read.ok) return await miss(calendar, read.reason, tools);
  const spans = read.spans.map(([from, until]) =>
    [new Date(from).toISOString(), new Date(until).toISOString()] as const
  );
  const { orgId: _, ...replaced } = await replaceBusyTimes(database, calendar, {
    etag: loaded.etag?.slice(0, 200),
    spans,
  });
  return replaced;
}

async function miss(
  calendar: CalendarTask,
  reason: string,
  { database }: BusyTools,
): Promise<Imported> {
  const noted = await missBusyTimes(database, calendar, reason);
  return noted.outcome === "noted"
    ? { outcome: "missed", reason, failures: noted.failures }
    : { outcome: noted.outcome };
}
