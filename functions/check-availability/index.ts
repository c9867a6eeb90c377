/**
 * Tool `check_availability`: free times for a service on a day, a few that an agent can say.
 *
 * @module
 */

import { z } from "zod";
import { refuse, refuseCommonly, succeed } from "../../shared/answers.ts";
import { dateField } from "../../shared/appointment.ts";
import { type AvailabilityOutcome, checkAvailability } from "../../shared/database/availability.ts";
import { withSpoken } from "../../shared/hold.ts";
import { serveTool } from "../../shared/request.ts";
import * as sentences from "../../shared/sentences.ts";

const { needed } = sentences;

const input = z.object({
  date: dateField.refine((day) => day >= "0001", needed.date)
    .describe("First day asked about, YYYY-MM-DD, in the clinic's time zone"),
  serviceType: z.string(needed.service).max(80, needed.service)
    .describe("What is to be booked, for example consultation"),
  partOfDay: z.preprocess(
    (part) => typeof part === "string" ? part.toLowerCase() : part,
    z.enum(["morning", "afternoon", "evening"], needed.partOfDay),
  ).optional()
    .describe("Only times before noon, from noon to five, or from five"),
  providerName: z.string(needed.doctor).max(80, needed.doctor).optional()
    .describe("A doctor the caller asked for by name"),
  days: z.coerce.number(needed.days).int(needed.days).min(1, needed.days).max(14, needed.days)
    .optional()
    .describe("How many days from date on, 1 to 14; 1 if left out"),
});

export default serveTool({
  name: "check_availability",
  description: "Finds free appointment times. Call it before hold_slot, and whenever the caller " +
    "names another day. The answer carries today's date at the clinic and slotIds for hold_slot.",
  input,
  outcomes: {
    available: "free times",
    fully_booked: "none on that day; the nearest after it",
    past_date: "the day has passed; today's date",
    beyond_horizon: "further ahead than the clinic books; the last day",
    unknown_service: "not offered; what is",
    unknown_provider: "nobody of that name offers it; who does",
  },
  run: async ({ date, serviceType, partOfDay, providerName, days }, { call, database }) => {
    const asked = { service: serviceType, day: date, days, partOfDay, provider: providerName };
    return say(await checkAvailability(database, call, asked), date, partOfDay);
  },
});

function say(found: AvailabilityOutcome, date: string, partOfDay: string | undefined) {
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
      const { outcome, today, timezone, slots } = found;
      const isHopeless = slots.length === 0;
      return refuse(
        outcome,
        sentences.fullyBooked(date, partOfDay, slots),
        isHopeless ? "ESCALATE" : "OFFER_ALTERNATIVES",
        { today, timezone, slots: slots.map(withSpoken) },
      );
    }
    case "past_date": {
      const { outcome, today } = found;
      return refuse(outcome, sentences.dayHasPassed(today), "RETRY", { today });
    }
    case "beyond_horizon": {
      const { outcome, today, lastDay } = found;
      return refuse(outcome, sentences.dayTooFar(today, lastDay), "RETRY", { today, lastDay });
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
    case "unknown_clinic":
    case "cross_tenant_denied":
      return refuseCommonly(found.outcome);
  }
}
