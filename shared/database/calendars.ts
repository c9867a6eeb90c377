/**
 * Calendars that other programs read.
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
