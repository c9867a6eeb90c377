/**
 * Tool `check_availability`: free times for a service on a day, a few that an agent can say.
 *
 * @module
 */

import { z } from "zod";
import { type Answer, refuse, refuseCommonly, succeed } from "../../shared/answers.ts";
import { dateNeeded, sayStarts, withSpoken } from "../../shared/booking.ts";
import { type AvailabilityOutcome, checkAvailability } from "../../shared/database/availability.ts";
import { sayDate, sayDay, sayList } from "../../shared/speech.ts";
import { serveTool } from "../../shared/tool.ts";

const partNeeded = "it is morning, afternoon or evening";
const daysNeeded = "it is 1 to 14 days";

const input = z.object({
  date: z.string(dateNeeded)
    .transform((text) => text.slice(0, 10))
    .pipe(z.iso.date(dateNeeded).refine((day) => day >= "0001", dateNeeded))
    .describe("First day asked about, YYYY-MM-DD, in the clinic's time zone"),
  serviceType: z.string("a service such as consultation is needed").max(80)
    .describe("What is to be booked, for example consultation"),
  partOfDay: z.string(partNeeded).toLowerCase()
    .pipe(z.enum(["morning", "afternoon", "evening"], partNeeded))
    .optional()
    .describe("Only times before noon, from noon to five, or from five"),
  providerName: z.string("a doctor's name is needed").max(80).optional()
    .describe("A doctor the caller asked for by name"),
  days: z.coerce.number(daysNeeded).int(daysNeeded).min(1, daysNeeded).max(14, daysNeeded)
    .optional()
    .describe("How many days from date on, 1 to 14; 1 if left out"),
});

export default serveTool({
  name: "check_availability",
  description: "Finds free appointment times. Call it before hold_slot, and whenever the caller " +
    "names another day. The answer carries today's date at the clinic and slotIds for hold_slot.",
  input,
  run: async ({ date, serviceType, partOfDay, providerName, days }, { call, database }) => {
    const asked = { service: serviceType, day: date, days, partOfDay, provider: providerName };
    return say(await checkAvailability(database, call, asked), date, partOfDay);
  },
});

function say(found: AvailabilityOutcome, date: string, partOfDay: string | undefined): Answer {
  switch (found.outcome) {
    case "available":
      return succeed(found.outcome, `I have ${sayStarts(found.slots)}. Which suits you?`, {
        today: found.today,
        timezone: found.timezone,
        slots: found.slots.map(withSpoken),
        total: found.total,
        more: found.total > found.slots.length,
      });
    case "fully_booked": {
      const when = `${sayDay(date)}${partOfDay ? ` in the ${partOfDay}` : ""}`;
      const facts = { today: found.today, timezone: found.timezone };
      return found.slots.length > 0
        ? refuse(
          found.outcome,
          `There's nothing left on ${when}. The nearest I have is ${sayStarts(found.slots)}.`,
          "OFFER_ALTERNATIVES",
          { ...facts, slots: found.slots.map(withSpoken) },
        )
        : refuse(
          found.outcome,
          `I can't find a free time on ${when} or in the weeks after. ` +
            "Shall I pass you to the front desk?",
          "ESCALATE",
          { ...facts, slots: [] },
        );
    }
    case "past_date":
      return refuse(
        found.outcome,
        `That day has passed: today is ${sayDate(found.today)}. Which day would you like?`,
        "RETRY",
        { today: found.today },
      );
    case "beyond_horizon":
      return refuse(
        found.outcome,
        `Today is ${sayDate(found.today)}, and I can book until ${sayDate(found.lastDay)}. ` +
          "Which day would you like?",
        "RETRY",
        { today: found.today, lastDay: found.lastDay },
      );
    case "unknown_service":
      return refuse(
        found.outcome,
        found.services.length > 0
          ? `We don't have that here. I can book ${sayList(found.services.map(plain))}.`
          : "We can't book that by phone. Let me connect you to the front desk.",
        found.services.length > 0 ? "RETRY" : "ESCALATE",
        { today: found.today, services: found.services },
      );
    case "unknown_provider":
      return refuse(
        found.outcome,
        found.providers.length > 0
          ? `I can't find that doctor for it. There is ${sayList(found.providers, "and")}.`
          : "Nobody here offers that just now. Let me connect you to the front desk.",
        found.providers.length > 0 ? "RETRY" : "ESCALATE",
        { today: found.today, providers: found.providers },
      );
    case "unknown_clinic":
    case "cross_tenant_denied":
      return refuseCommonly(found.outcome);
  }
}

function plain(slug: string): string {
  return slug.replaceAll("-", " ");
}
