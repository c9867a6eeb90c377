/**
 * An appointment that is to be cancelled or moved: how a caller names it, and what is answered.
 *
 * @module
 */

import { z } from "zod";
import { type Answer, refuse, succeed } from "./answers.ts";
import type { AppointmentReference, Changed } from "./database/changes.ts";
import { refuseLocked } from "./hold.ts";
import { patientFields } from "./patient.ts";
import * as sentences from "./sentences.ts";
import { readClock, sayTime } from "./speech.ts";

const { needed } = sentences;

/** Which appointment is to be changed: arguments of the tools that do. */
export const appointmentFields = {
  ...patientFields,
  appointmentId: z.string().max(200).optional().catch(undefined)
    .describe("The holdId of the appointment, if this call has booked it; else leave it out"),
  appointmentDate: z.preprocess(
    (said) => typeof said === "string" ? said.slice(0, 10) : said,
    z.iso.date(needed.date),
  ).optional()
    .describe("Day of the appointment as it is now, YYYY-MM-DD, if the caller said it"),
  appointmentTime: z.preprocess(
    (said) => typeof said === "string" ? readClock(said) : said,
    z.string(needed.time),
  ).optional()
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

/** A change took effect. Said only after the passcode: it tells when and with whom. */
export function sayChange<Outcome extends Changed["outcome"]>(
  changed: Changed & { readonly outcome: Outcome },
): Answer<Outcome> {
  const { outcome, holdId, startTime, endTime, service, doctor } = changed;
  return succeed(outcome, sentences[outcome](startTime, doctor), {
    ...{ holdId, startTime, endTime, spoken: sayTime(startTime), service, doctor },
  });
}

/** Too late for the passcode of a change. */
export function refuseLateChange(): Answer<"change_expired"> {
  return refuse("change_expired", sentences.changeExpired, "RETRY");
}

/** No change can be made, and nothing is said about what there is or is not. */
export function refuseChange(outcome: "appointment_not_found" | "which_appointment" | "locked") {
  switch (outcome) {
    case "appointment_not_found":
      return refuse(outcome, sentences.appointmentNotFound, "RETRY", {
        fields: ["patientName", "patientPhone"],
      });
    case "which_appointment":
      return refuse(outcome, sentences.whichAppointment, "RETRY", {
        fields: ["appointmentDate", "appointmentTime"],
      });
    case "locked":
      return refuseLocked();
  }
}
