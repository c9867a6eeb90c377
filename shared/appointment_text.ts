/**
 * What a text about an appointment says: when, with whom and where, and never what it is for.
 *
 * @module
 */

import type { ClaimedText } from "./database/appointment_texts.ts";
import { toGsmText } from "./gsm.ts";
import { sayTime } from "./speech.ts";
import { composeClinicName } from "./texting.ts";

/** One segment of GSM-7. */
const segmentLength = 160;

/**
 * The words of a text, at most 160 characters of GSM-7. Whatever does not fit is left out: first the
 * notice about STOP, then the number to call, then the address.
 *
 * @param sender The number that texts. If patients call the same number, the text need not mention it.
 */
export function composeAppointmentText(text: ClaimedText, sender: string | undefined): string {
  const doctor = toGsmText(text.doctor, 30);
  const address = toGsmText(text.address ?? "", segmentLength);
  const number = text.callBack === null || text.callBack === sender ? "us" : text.callBack;
  const isCancelled = text.kind === "cancellation";
  const parts = [
    isCancelled || address === "" ? "" : ` ${address.replace(/\.+$/, "")}.`,
    isCancelled ? ` Call ${number} for a new one.` : ` Call ${number} to change it.`,
    " STOP to end texts.",
  ];
  const first = `${composeClinicName(text.clinic)}: ${sayKind(text.kind)} ` +
    `${sayTime(text.startTime)}${doctor === "" ? "" : ` with ${doctor}`}${
      isCancelled ? " is cancelled" : ""
    }.`;
  return parts.reduce(
    (said, part) => said.length + part.length <= segmentLength ? said + part : said,
    first,
  );
}

function sayKind(kind: ClaimedText["kind"]): string {
  switch (kind) {
    case "confirmation":
      return "you are booked for";
    case "change":
      return "your appointment is now on";
    case "reminder":
      return "a reminder of your appointment on";
    case "cancellation":
      return "your appointment on";
  }
}
