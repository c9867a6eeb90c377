/**
 * Existing appointments: how a caller names one, and what is answered once the number is proven.
 *
 * @module
 */

import { z } from "zod";
import { type Answer, refuse, sayLeftOut, succeed } from "./answers.ts";
import type { Contradiction } from "./database/availability.ts";
import type { Appointment, AppointmentReference, Settled } from "./database/changes.ts";
import type { Released } from "./database/holds.ts";
import type { Confirmed } from "./database/passcodes.ts";
import { readDay, saidDay } from "./days.ts";
import { readDoctorWish } from "./given.ts";
import { offerInstead, refuseHoldLimit, sayKept } from "./hold.ts";
import { patientFields } from "./patient.ts";
import type { PhoneReading } from "./phone.ts";
import * as sentences from "./sentences.ts";
import { sayDate, sayTime } from "./speech.ts";
import { readTime } from "./times.ts";

/** Arguments that say which appointment is to be changed. */
export const appointmentFields = {
  ...patientFields,
  appointmentId: z.string().max(200).optional().catch(undefined)
    .describe(
      "The id of the appointment, or the holdId of a held time, if this call was told one; else leave it out",
    ),
  appointmentDate: saidDay().optional()
    .describe(
      "Day of the appointment as it is now, if the caller said it: YYYY-MM-DD in the clinic's time " +
        "zone, or as the caller said it",
    ),
  appointmentTime: z.preprocess(
    (said) => typeof said === "number" ? String(said) : said,
    z.string(),
  ).optional().catch("unread")
    .describe(
      "Start of the appointment as it is now, if the caller said it: HH:MM in 24 hours, or as the " +
        "caller said it",
    ),
  providerName: z.string().max(120).optional().catch("unread")
    .describe("Doctor of the appointment as it is now, if the caller said one"),
};

/** The arguments of {@link appointmentFields}, read. */
export type AppointmentArguments = z.infer<z.ZodObject<typeof appointmentFields>>;

/** Outcomes of the tools that change an appointment, and what they mean. */
export const changeOutcomes = {
  appointment_not_found: "no appointment matches the name, the number and what was said",
  which_appointment: "several match; the message names them and asks what tells them apart",
  change_limit: "too many requests without a passcode; the front desk takes over",
  date_unclear: "the day of the appointment could not be read; today's date",
  past_date: "that day has passed; today's date",
  call_needed: "there is no call, so nobody can prove a number",
} as const;

/** Outcomes of the tools for appointments that exist. */
export const proofOutcomes = {
  code_needed: "a passcode is needed before anything is said about an appointment",
  ...changeOutcomes,
} as const;

/** What the database is asked about an appointment, with the chosen number. */
export function referTo(
  asked: AppointmentArguments,
  { e164, country }: Extract<PhoneReading, { readonly kind: "phone" }>,
): AppointmentReference {
  const doctor = readDoctor(asked);
  return {
    patientName: asked.patientName,
    patientPhone: e164,
    patientCountry: country,
    appointmentId: asked.appointmentId,
    date: asked.appointmentDate === undefined ? undefined : readDay(asked.appointmentDate),
    time: asked.appointmentTime === undefined ? undefined : readTime(asked.appointmentTime),
    provider: doctor === "unread" ? undefined : doctor,
  };
}

/** One doctor's name. Several names or a description do not tell appointments apart. */
function readDoctor({ providerName }: AppointmentArguments): string | "unread" | undefined {
  const wish = providerName === undefined ? undefined : readDoctorWish(providerName);
  if (wish === undefined || wish === "unread") return wish;
  return wish.anyOf.length === 1 ? wish.anyOf[0] : "unread";
}

/** Tells the caller which details of the appointment could not be read and were left out. */
export function sayUnread<Outcome extends string>(
  answer: Answer<Outcome>,
  asked: AppointmentArguments,
): Answer<Outcome> {
  const { appointmentTime } = asked;
  const isTimeUnread = appointmentTime !== undefined && readTime(appointmentTime) === undefined;
  const isLookedFor = answer.success || /^(?:which_appointment|appointment_not_found)$/.test(
    answer.outcome,
  );
  return isLookedFor
    ? sayLeftOut(answer, [
      ...isTimeUnread ? ["appointmentTime" as const] : [],
      ...readDoctor(asked) === "unread" ? ["providerName" as const] : [],
    ])
    : answer;
}

/** A released time, as a fact for the model. Releasing a time is always reported. */
export function sayTimeReleased(released: Released) {
  return released === undefined
    ? {}
    : { released: { ...released, spoken: sayTime(released.startTime) } };
}

function withSpoken(told: Appointment) {
  return { ...told, spoken: sayTime(told.startTime) };
}

const fieldOf = {
  day: "appointmentDate",
  time: "appointmentTime",
  doctor: "providerName",
} as const;

/** The result of a request about appointments, once its number is proven. */
export function saySettled<Outcome extends Settled["outcome"]>(
  settled: Settled & { readonly outcome: Outcome },
): Answer<Outcome>;
export function saySettled(settled: Settled): Answer<Settled["outcome"]> {
  switch (settled.outcome) {
    case "cancelled":
    case "rescheduled": {
      const { outcome, holdId, startTime, endTime, service, doctor, released } = settled;
      return succeed(outcome, sentences[outcome](startTime, doctor, released), {
        ...{ holdId, startTime, endTime, spoken: sayTime(startTime), service, doctor },
        ...sayTimeReleased(released),
      });
    }
    case "found": {
      const { outcome, appointments } = settled;
      return succeed(outcome, sentences.found(appointments), {
        appointments: appointments.map(withSpoken),
      });
    }
    case "which_appointment": {
      const { outcome, appointments, ask, released } = settled;
      const facts = { appointments: appointments.map(withSpoken), ...sayTimeReleased(released) };
      return ask === null
        ? refuse(outcome, sentences.cannotTellApart(released), "ESCALATE", facts)
        : refuse(outcome, sentences.whichAppointment(appointments, ask, released), "RETRY", {
          ...facts,
          fields: [fieldOf[ask]],
        });
    }
    case "appointment_not_found": {
      const { outcome, released, kept } = settled;
      return refuse(outcome, sentences.appointmentNotFound(released, kept), "RETRY", {
        fields: ["patientName"],
        ...sayTimeReleased(released),
        ...sayKept(kept),
      });
    }
    case "slot_taken":
      return offerInstead(settled);
    case "hold_limit":
      return refuseHoldLimit(settled);
  }
}

/** The result of everything that waited for a number, once the code was right or the number proven. */
export function sayConfirmed(confirmed: Confirmed): Answer<"confirmed"> {
  const { outcome, holdId, startTime, endTime, service, doctor } = confirmed;
  const { others, overlaps, lapsed, change } = confirmed;
  const changed = change === undefined ? undefined : saySettled(change);
  const visits = [confirmed, ...others];
  const heard = [...visits, ...overlaps].map(({ startTime, doctor }) => `${startTime} ${doctor}`);
  // Do not list again what the caller has just heard.
  const saidOfChange = change?.outcome === "found"
    ? sentences.alsoFound(
      change.appointments.filter(({ startTime, doctor }) =>
        !heard.includes(`${startTime} ${doctor}`)
      ),
    )
    : changed?.message;
  return succeed(
    outcome,
    [sentences.confirmed(visits, { overlaps, lapsed }), saidOfChange].filter(Boolean).join(" "),
    {
      ...{ holdId, startTime, endTime, spoken: sayTime(startTime), service, doctor },
      ...(others.length === 0 ? {} : {
        others: others.map(({ holdId, startTime, endTime, service, doctor }) => ({
          ...{ holdId, startTime, endTime, spoken: sayTime(startTime), service, doctor },
        })),
      }),
      ...(overlaps.length === 0 ? {} : { overlaps: overlaps.map(withSpoken) }),
      ...(lapsed.length === 0 ? {} : { lapsed }),
      ...(changed === undefined
        ? {}
        : { change: { outcome: changed.outcome, action: changed.action, ...changed.facts } }),
    },
  );
}

/** The day of an appointment is impossible, perhaps because the model has today's date wrong. */
export function refuseDay<Outcome extends "date_unclear" | "past_date">(
  { outcome, today, contradiction }: {
    readonly outcome: Outcome;
    readonly today: string;
    readonly contradiction?: Contradiction;
  },
): Answer<Outcome> {
  const sentence = outcome === "past_date"
    ? sentences.appointmentDayHasPassed(today)
    : sentences.appointmentDayUnclear(today, contradiction);
  return refuse(outcome, sentence, "RETRY", {
    ...{ today, todayIs: sayDate(today), fields: ["appointmentDate"] },
  });
}

/** No more requests about appointments are taken. */
export function refuseChange(outcome: "change_limit" | "call_needed") {
  return outcome === "change_limit"
    ? refuse(outcome, sentences.noMoreWithoutCode, "ESCALATE")
    : refuseCallNeeded();
}

/** Nothing can be booked or changed outside of a call: nobody could prove a number. */
export function refuseCallNeeded(): Answer<"call_needed"> {
  return refuse("call_needed", sentences.callNeeded, "ESCALATE");
}
