/**
 * What the tools that hold, cancel and move appointments share: whose number it is, how a caller
 * names an appointment, and what is said of times and changes.
 *
 * @module
 */

import { z } from "zod";
import { type Answer, refuse, succeed } from "./answers.ts";
import type { Slot } from "./database/availability.ts";
import { findCountry } from "./database/calls.ts";
import type { AppointmentReference, Changed } from "./database/changes.ts";
import type { Database } from "./database/client.ts";
import type { CallFacts } from "./database/entry.ts";
import { type PhoneReading, readPhone } from "./phone.ts";
import { sayClock, sayDay, sayList, sayTime } from "./speech.ts";

/** What is said of a date that is none. */
export const dateNeeded = "a date such as 2026-03-03 is needed";
const phoneNeeded = "a phone number is needed";
const timeNeeded = "a time such as 14:30 is needed";

/** Who the patient is: arguments of every tool that books or changes. */
export const patientFields = {
  patientName: z.string("the patient's name is needed").max(120)
    .describe("First and last name of the patient"),
  patientPhone: z.union([z.string(phoneNeeded).max(80), z.number().transform(String)], phoneNeeded)
    .optional()
    .describe("Mobile number for the passcode, if it is not the number the caller calls from"),
};

/** Which appointment is to be changed: arguments of the tools that do. */
export const appointmentFields = {
  ...patientFields,
  appointmentId: z.string().max(200).optional().catch(undefined)
    .describe("The holdId of the appointment, if this call has booked it; else leave it out"),
  appointmentDate: z.string(dateNeeded)
    .transform((text) => text.slice(0, 10))
    .pipe(z.iso.date(dateNeeded))
    .optional()
    .describe("Day of the appointment as it is now, YYYY-MM-DD, if the caller said it"),
  appointmentTime: z.string(timeNeeded)
    .transform(readClock)
    .pipe(z.string(timeNeeded))
    .optional()
    .describe("Start of the appointment as it is now, HH:MM, if the caller said it"),
};

/** The arguments of {@link appointmentFields}, read. */
export type AppointmentArguments = z.infer<z.ZodObject<typeof appointmentFields>>;

/** What the database is asked about an appointment, with the number that was chosen. */
export function referTo(
  { patientName, appointmentId, appointmentDate, appointmentTime }: AppointmentArguments,
  patientPhone: string,
): AppointmentReference {
  return {
    patientName,
    patientPhone,
    appointmentId,
    date: appointmentDate,
    time: appointmentTime,
  };
}

/** `14:30`, `2:30 PM`, `9 am`, `noon` or an ISO time as `HH:MM`; undefined when it is none. */
function readClock(said: string): string | undefined {
  if (/^\s*(noon|midday)\s*$/i.test(said)) return "12:00";
  const [, hours, minutes, half] =
    /(?:^|[T\s])(\d{1,2})(?:[:.](\d{2})(?::\d{2}(?:\.\d+)?)?)?\s*(?:([ap])\.?\s?m\.?)?(?:z|[+-]\d\d:\d\d)?$/i
      .exec(said.trim()) ?? [];
  if (hours === undefined || (minutes === undefined && half === undefined)) return undefined;
  const hour = half === undefined
    ? Number(hours)
    : Number(hours) % 12 + (half.toLowerCase() === "p" ? 12 : 0);
  if (hour > 23 || Number(minutes ?? 0) > 59 || (half && Number(hours) > 12)) return undefined;
  return `${String(hour).padStart(2, "0")}:${minutes ?? "00"}`;
}

/**
 * The number that was given, else the one the caller calls from. Where no called number tells the
 * country (a web call), the clinic's own does.
 */
export async function choosePhone(
  given: string | undefined,
  call: CallFacts,
  database: Database,
): Promise<PhoneReading | { readonly kind: "missing" }> {
  const { calledNumber, callerNumber } = call;
  const nearby = [calledNumber, callerNumber];
  if (given !== undefined) {
    const reading = await readPhone(given, nearby);
    // "same number", "the one I'm calling from": no digits, so it names none.
    const namesNone = reading.kind === "unclear" && !/\d|\b(oh|one|two|three|seven)\b/i.test(given);
    if (reading.kind === "unclear" && !namesNone && calledNumber === undefined) {
      const { country } = await findCountry(database, call);
      return await readPhone(given, nearby, country);
    }
    if (!namesNone) return reading;
  }
  return callerNumber === undefined ? { kind: "missing" } : await readPhone(callerNumber, nearby);
}

/** There is no number to work with. */
export function refusePhone(kind: "premium" | "unclear" | "missing"): Answer {
  const fields = ["patientPhone"];
  switch (kind) {
    case "missing":
      return refuse(
        "phone_needed",
        "I need a mobile number for the confirmation code. What number should I text?",
        "RETRY",
        { fields },
      );
    case "unclear":
      return refuse(
        "phone_unclear",
        "I didn't get that number. Could you say it once more, with the area code?",
        "RETRY",
        { fields },
      );
    case "premium":
      return refuse(
        "unusable_phone",
        "That number can't receive texts. Is there a mobile number I can use?",
        "RETRY",
        { fields },
      );
  }
}

/** The slot cannot be had: what is near it. */
export function offerInstead(
  { slots: free, taken }: { readonly slots: readonly Slot[]; readonly taken: boolean },
): Answer {
  return refuse(
    "slot_taken",
    (taken ? "That time has just been taken" : "That time can't be booked") +
      (free.length > 0
        ? `. I could offer ${sayStarts(free)}.`
        : ", and there is nothing near it. Shall I look further ahead?"),
    "OFFER_ALTERNATIVES",
    { slots: free.map(withSpoken) },
  );
}

/** A slot with its start as it is said, for the agent to come back to. */
export function withSpoken(slot: Slot): Slot & { readonly spoken: string } {
  return { ...slot, spoken: sayTime(slot.startTime) };
}

/** `Tuesday 3 March at 9 AM, 11 AM or 2:30 PM`, day by day. */
export function sayStarts(slots: readonly Slot[]): string {
  const days = Map.groupBy(slots, ({ startTime }) => startTime.slice(0, 10));
  const said = [...days].map(([day, starts]) =>
    `${sayDay(day)} at ${sayList(starts.map(({ startTime }) => sayClock(startTime)))}`
  );
  return said.join("; or ");
}

/** The slot never was one, or the hold of it has lapsed. */
export function refuseSlot(outcome: "invalid_slot" | "hold_expired"): Answer {
  const facts = { nextTool: "check_availability" };
  return outcome === "invalid_slot"
    ? refuse(
      outcome,
      "I lost track of that time. Let me look at the free times again.",
      "RETRY",
      facts,
    )
    : refuse(
      outcome,
      "Your hold has just run out. Let me look at the free times again.",
      "OFFER_ALTERNATIVES",
      facts,
    );
}

/** A change took effect. Said only after the passcode: it tells when and with whom. */
export function sayChange(changed: Changed): Answer {
  const { outcome, holdId, startTime, endTime, service, doctor } = changed;
  const spoken = sayTime(startTime);
  const message = outcome === "cancelled"
    ? `Your appointment on ${spoken} with ${doctor} is cancelled.`
    : `That's done: your appointment is now on ${spoken} with ${doctor}.`;
  return succeed(outcome, message, { holdId, startTime, endTime, spoken, service, doctor });
}

/** Too late for the passcode of a change. */
export function refuseLateChange(): Answer {
  return refuse(
    "change_expired",
    "That took too long, and nothing was changed. Shall we start again?",
    "RETRY",
  );
}

/** No change can be made, and nothing is said about what there is or is not. */
export function refuseChange(
  outcome: "appointment_not_found" | "which_appointment" | "locked",
): Answer {
  switch (outcome) {
    case "appointment_not_found":
      return refuse(
        outcome,
        "I can't find an appointment like that. Could you tell me the name and the mobile number " +
          "it was booked with?",
        "RETRY",
        { fields: ["patientName", "patientPhone"] },
      );
    case "which_appointment":
      return refuse(
        outcome,
        "Which day is the appointment, and at what time?",
        "RETRY",
        { fields: ["appointmentDate", "appointmentTime"] },
      );
    case "locked":
      return refuse(
        outcome,
        "I can't take more codes for this booking. I'll connect you to the front desk.",
        "ESCALATE",
      );
  }
}
