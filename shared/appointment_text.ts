/**
 * What a text about an appointment says: when, with whom and where, and never what it is for.
 *
 * @module
 */

import type { ClaimedText } from "./database/appointment_texts.ts";
import { toGsmText } from "./gsm.ts";
import { englishTexts } from "./patient_texts.ts";
import { sayTime } from "./speech.ts";
import { fillTemplate } from "./text_template.ts";
import { composeClinicName } from "./texting.ts";

/** One segment of GSM-7. */
const segmentLength = 160;

/**
 * The words of a text, at most 160 characters of GSM-7. Optional parts that do not fit are left out.
 *
 * @param sender The number that texts. If patients call the same number, the text need not mention it.
 */
export function composeAppointmentText(text: ClaimedText, sender: string | undefined): string {
  return fillTemplate(englishTexts[text.kind], {
    clinic: composeClinicName(text.clinic),
    time: sayTime(text.startTime),
    doctor: toGsmText(text.doctor, 30),
    address: toGsmText(text.address ?? "", segmentLength).replace(/\.+$/, ""),
    number: text.callBack === null || text.callBack === sender ? "us" : text.callBack,
    offer: text.offersAnswer ? englishTexts.offer : "",
  }, segmentLength);
}
