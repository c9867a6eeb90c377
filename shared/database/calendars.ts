/**
 * Calendars that other programs read, and doctors' own calendars that we read.
 *
 * @module
 */

import { z } from "zod";
import { bare, entry, orgId } from "./entry.ts";

const event = z.object({
  /** Of the appointment; it stays the same from hold to completion. */
  id: z.string(),
  isHeld: z.boolean(),
  startTime: z.string(),
  endTime: z.string(),
  service: z.string(),
  doctor: z.string(),
  /** Null where the clinic gives out no names, and for a hold. */
  patient: z.string().nullable(),
  changedAt: z.string(),
  /** Grows with each change. */
  revision: z.number(),
});

const calendar = z.object({
  clinic: z.string(),
  /** IANA. */
  timezone: z.string(),
  /** Null for the calendar of the whole clinic. */
  doctor: z.string().nullable(),
  /** Whether all events are in it. */
  isWhole: z.boolean(),
  events: z.array(event),
});
/** What a feed shows. */
export type Calendar = z.infer<typeof calendar>;

/** Reads the feed of a token, unless the reader has seen its version. */
export const readCalendar = entry("read_calendar", {
  args: (asked: {
    readonly orgId: string;
    readonly tokenHash: string;
    /** Versions that the reader has; `*` for any. */
    readonly seen: readonly string[];
  }) => ({ p_org: asked.orgId, p_token_hash: asked.tokenHash, p_seen: asked.seen }),
  answer: z.discriminatedUnion("outcome", [
    bare("not_found"),
    bare("busy"),
    z.object({
      outcome: z.literal("unchanged"),
      orgId,
      feedId: z.string(),
      version: z.string(),
    }),
    z.object({
      outcome: z.literal("found"),
      orgId,
      feedId: z.string(),
      version: z.string(),
      calendar,
    }),
  ]),
});

const task = z.object({
  orgId: z.string(),
  calendarId: z.string(),
  /** Of this reading. */
  fetchId: z.string(),
  /** A secret. */
  address: z.string(),
  /** The version that is known; null to read the whole calendar. */
  etag: z.string().nullable(),
  /** IANA; the clinic's. */
  timezone: z.string(),
  /** Only what is between is wanted. */
  from: z.string(),
  until: z.string(),
});
/** A calendar that is to be read. */
export type CalendarTask = z.infer<typeof task>;

/** Takes calendars that are due. Nobody else gets them for five minutes. */
export const takeBusyCalendars = entry("take_busy_calendars", {
  args: (limit: number) => ({ p_limit: limit }),
  answer: z.discriminatedUnion("outcome", [
    z.object({ outcome: z.literal("found"), calendars: z.array(task) }),
    bare("busy"),
  ]),
});

/** Replaces the absences that come from a calendar. `spans` is undefined if nothing has changed. */
export const replaceBusyTimes = entry("replace_busy_times", {
  args: (of: CalendarTask, read: {
    readonly etag: string | undefined;
    /** From and until, ISO 8601. */
    readonly spans: readonly (readonly [string, string])[] | undefined;
  }) => ({
    p_org: of.orgId,
    p_calendar: of.calendarId,
    p_fetch: of.fetchId,
    p_etag: read.etag ?? null,
    p_spans: read.spans ?? null,
  }),
  answer: z.discriminatedUnion("outcome", [
    z.object({
      outcome: z.literal("replaced"),
      orgId,
      added: z.number(),
      removed: z.number(),
      /** Bookings that were not overlapped before. */
      overlaps: z.number(),
    }),
    bare("unchanged"),
    bare("superseded"),
    bare("busy"),
  ]),
});

/** Notes that a calendar could not be read. */
export const missBusyTimes = entry("miss_busy_times", {
  args: (of: CalendarTask, reason: string) => ({
    p_org: of.orgId,
    p_calendar: of.calendarId,
    p_fetch: of.fetchId,
    p_reason: reason,
  }),
  answer: z.discriminatedUnion("outcome", [
    z.object({ outcome: z.literal("noted"), orgId, failures: z.number() }),
    bare("superseded"),
    bare("busy"),
  ]),
});
