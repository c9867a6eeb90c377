/**
 * What a text about an appointment says: when, with whom and where, and never what it is for.
 *
 * @module
 */

import type { ClaimedText } from "./database/appointment_texts.ts";
import { segmentLength, toGsmText } from "./gsm.ts";
import { answerLetters, ownNumber, templateOf } from "./patient_texts.ts";
import { fillTemplate } from "./text_template.ts";
import { composeClinicName } from "./texting.ts";
import { writeTime } from "./text_times.ts";

/**
 * The words of a text, at most 160 characters of GSM-7. Optional parts that do not fit are left out.
 *
 * @param sender The number that texts. If patients call the same number, the text need not mention it.
 */
export function composeAppointmentText(
  text: Omit<ClaimedText, "orgId" | "sendId" | "phone" | "countries" | "secondsLeft">,
  sender: string | undefined,
): string {
  return fillTemplate(templateOf(text.kind, text), {
    clinic: composeClinicName(text.clinic),
    time: writeTime(text.startTime, text.language),
    doctor: toGsmText(text.doctor, 30),
    address: toGsmText(text.address ?? "", segmentLength).replace(/\.+$/, ""),
    number: sayNumber(text.callBack, sender, text.language),
    offer: text.offersAnswer
      ? ` ${fillTemplate(templateOf("offer", text), answerLetters, segmentLength)}`
      : "",
  }, segmentLength);
}

/** The number to call, or `us` where it is the one that texts. */
export function sayNumber(
  callBack: string | null,
  sender: string | undefined,
  language: string,
): string {
  return callBack === null || callBack === sender ? ownNumber[language] ?? sender ?? "" : callBack;
}
