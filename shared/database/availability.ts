/**
 * Free times; see migrations/..._availability.sql.
 *
 * @module
 */

import { z } from "zod";
import type { SaidDay } from "../days.ts";
import type { PartOfDay } from "../given.ts";
import { type AnswerOf, bare, type CallFacts, entry, orgId } from "./entry.ts";

/** A start at which a service can be booked. Times are ISO 8601, clinic-local with offset. */
export const slot = z.object({
  slotId: z.string(),
  startTime: z.string(),
  endTime: z.string(),
  availableDoctors: z.number(),
  seatsLeft: z.number().optional(),
});
/** A {@link slot}. */
export type Slot = z.infer<typeof slot>;

/** A date and a weekday that were said together and do not match. */
export const contradiction = z.object({
  date: z.string(),
  /** The one that was said; 0 is Sunday. */
  weekday: z.number(),
}).optional();
/** A {@link contradiction}. */
export type Contradiction = z.infer<typeof contradiction>;

/** A question for free times. */
export interface AvailabilityQuestion {
  readonly service: string;
  /** First day, as it was said. */
  readonly day: SaidDay;
  /** How many days from that day on; 1 by default. */
  readonly days?: number | undefined;
  readonly partOfDay?: PartOfDay | undefined;
  /** Doctors, any of whom will do; any doctor by default. */
  readonly providers?: readonly string[] | undefined;
}

/** Finds free times on some days, or else the nearest ones after them. */
export const checkAvailability = entry("check_availability", {
  args: (
    call: CallFacts,
    { service, day, days = 1, partOfDay, providers }: AvailabilityQuestion,
  ) => ({
    p_call: call,
    p_service: service,
    p_day: day,
    p_days: days,
    p_part_of_day: partOfDay ?? null,
    p_provider: providers?.map((name) => name.replaceAll("|", " ")).join("|") ?? null,
  }),
  answer: z.discriminatedUnion("outcome", [
    bare("unknown_clinic", "cross_tenant_denied"),
    z.object({
      outcome: z.enum(["available", "fully_booked"]),
      orgId,
      today: z.string(),
      timezone: z.string(),
      service: z.string(),
      /** The first day that was meant. */
      day: z.string(),
      slots: z.array(slot),
      total: z.number(),
    }),
    z.object({
      outcome: z.enum(["past_date", "date_unclear"]),
      orgId,
      today: z.string(),
      timezone: z.string(),
      contradiction,
    }),
    z.object({
      outcome: z.literal("beyond_horizon"),
      orgId,
      today: z.string(),
      timezone: z.string(),
      lastDay: z.string(),
    }),
    z.object({
      outcome: z.literal("unknown_service"),
      orgId,
      today: z.string(),
      services: z.array(z.string()),
    }),
    z.object({
      outcome: z.enum(["unknown_provider", "which_provider"]),
      orgId,
      today: z.string(),
      providers: z.array(z.string()),
    }),
  ]),
});
/** The answer of {@link checkAvailability}. */
export type AvailabilityOutcome = AnswerOf<typeof checkAvailability>;
