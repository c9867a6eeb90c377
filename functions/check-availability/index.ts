/**
 * Tool `check_availability`: finds free times for a service on a day, as many as an agent can say.
 *
 * @module
 */

import { z } from "zod";
import { refuse, refuseCommonly, sayLeftOut, succeed } from "../../shared/answers.ts";
import { type AvailabilityOutcome, checkAvailability } from "../../shared/database/availability.ts";
import { readDay, saidDay } from "../../shared/days.ts";
import { type PartOfDay, readDoctorWish, readPartOfDay } from "../../shared/given.ts";
import { withSpoken } from "../../shared/hold.ts";
import { serveTool } from "../../shared/request.ts";
import * as sentences from "../../shared/sentences.ts";
import { sayDate } from "../../shared/speech.ts";

const { needed } = sentences;

const input = z.object({
  date: saidDay()
    .describe(
      "First day asked about: YYYY-MM-DD in the clinic's time zone, or as the caller said it",
    ),
  serviceType: z.string(needed.service).max(80, needed.service)
    .describe("What is to be booked, for example consultation"),
  partOfDay: z.string().max(80).optional().catch("unread")
    .describe("morning, afternoon, evening or night, only if the caller said so"),
  providerName: z.string().max(80).optional().catch("unread")
    .describe("A doctor the caller asked for by name"),
  days: z.preprocess(
    (days) => typeof days === "number" ? String(days) : days,
    z.string().max(80),
  ).optional().catch("unread")
    .describe("How many days from date on, 1 to 14; 1 if left out"),
});

export default serveTool({
  name: "check_availability",
  description: "Finds free appointment times. Call it before hold_slot, and whenever the caller " +
    "names another day. The answer carries today's date at the clinic and slotIds for hold_slot.",
  input,
  outcomes: {
    available: "free times",
    fully_booked: "nothing is free on that day; the nearest times after it",
    date_unclear: "the date could not be read; today's date",
    past_date: "the day has passed; today's date",
    beyond_horizon: "the day is further ahead than the clinic books; the last day it books",
    unknown_service: "not offered; what is",
    unknown_provider: "no doctor of that name offers it; those who do",
    which_provider: "several doctors of that name offer it; their names",
  },
  run: async ({ date, serviceType, partOfDay, providerName, days }, { call, database }) => {
    const part = partOfDay === undefined ? undefined : readPartOfDay(partOfDay);
    const count = readDays(days);
    const doctor = providerName === undefined ? undefined : readDoctorWish(providerName);
    const found = await checkAvailability(database, call, {
      service: serviceType,
      day: readDay(date),
      days: count === "unread" ? undefined : count,
      partOfDay: part === "unread" ? undefined : part,
      providers: doctor === "unread" ? undefined : doctor?.anyOf,
    });
    // Optional arguments that could not be read are left out, and the caller hears so.
    const ignored = [
      ...(part === "unread" ? ["partOfDay" as const] : []),
      ...(count === "unread" ? ["days" as const] : []),
      ...(doctor === "unread" ? ["providerName" as const] : []),
    ];
    const answer = say(found, part === "unread" ? undefined : part);
    return "slots" in found ? sayLeftOut(answer, ignored) : answer;
  },
});

/** Reads a number of days, in digits or in a text, at most 14. */
function readDays(given: string | undefined): number | "unread" | undefined {
  if (given === undefined) return undefined;
  const count = Number(/^\D*(\d{1,3})(?:\.0+)?(?![\d.])/.exec(given)?.[1]);
  return count >= 1 ? Math.min(count, 14) : "unread";
}

function say(found: AvailabilityOutcome, partOfDay: PartOfDay | undefined) {
  switch (found.outcome) {
    case "available":
      return succeed(found.outcome, sentences.freeTimes(found.slots), {
        today: found.today,
        timezone: found.timezone,
        slots: found.slots.map(withSpoken),
        total: found.total,
        more: found.total > found.slots.length,
      });
    case "fully_booked": {
      const { outcome, today, timezone, day, slots } = found;
      const isHopeless = slots.length === 0;
      return refuse(
        outcome,
        sentences.fullyBooked(day, partOfDay, slots),
        isHopeless ? "ESCALATE" : "OFFER_ALTERNATIVES",
        { today, timezone, slots: slots.map(withSpoken) },
      );
    }
    case "date_unclear":
    case "past_date": {
      const { outcome, today, contradiction } = found;
      const sentence = outcome === "past_date"
        ? sentences.dayHasPassed(today)
        : sentences.dayUnclear(today, contradiction);
      return refuse(outcome, sentence, "RETRY", {
        ...{ today, todayIs: sayDate(today), fields: ["date"] },
      });
    }
    case "beyond_horizon": {
      const { outcome, today, lastDay } = found;
      const facts = { today, todayIs: sayDate(today), lastDay };
      return refuse(outcome, sentences.dayTooFar(today, lastDay), "RETRY", facts);
    }
    case "unknown_service": {
      const { outcome, today, services } = found;
      const action = services.length > 0 ? "RETRY" : "ESCALATE";
      return refuse(outcome, sentences.unknownService(services), action, { today, services });
    }
    case "unknown_provider": {
      const { outcome, today, providers } = found;
      const action = providers.length > 0 ? "RETRY" : "ESCALATE";
      return refuse(outcome, sentences.unknownDoctor(providers), action, { today, providers });
    }
    case "which_provider": {
      const { outcome, today, providers } = found;
      return refuse(outcome, sentences.whichDoctor(providers), "RETRY", {
        ...{ today, providers, fields: ["providerName"] },
      });
    }
    case "unknown_clinic":
    case "cross_tenant_denied":
      return refuseCommonly(found.outcome);
  }
}
