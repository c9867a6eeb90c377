/**
 * The reply to a patient's text, and the TwiML that sends it.
 *
 * @module
 */

import type { AnsweredText } from "./database/text_answers.ts";
import { sayNumber } from "./appointment_text.ts";
import { segmentLength, toGsmText } from "./gsm.ts";
import { answerLetters, templateOf, type TextKind } from "./patient_texts.ts";
import { fillTemplate } from "./text_template.ts";
import { composeClinicName } from "./texting.ts";
import { writeList, writeShortTime, writeTime } from "./text_times.ts";

/**
 * The words of a reply, one segment where no question lists several appointments, or nothing if the patient is not told anything.
 *
 * @param sender The number that the patient texted. If patients call the same number, the reply need
 * not mention it.
 */
export function composeReply(answered: AnsweredText, sender: string): string | undefined {
  const kind = kindOf(answered);
  if (!answered.isReplied || kind === undefined) return undefined;
  const { clinic, callBack, appointments, language } = answered;
  return fillTemplate(templateOf(kind, answered), {
    ...answerLetters,
    clinic: composeClinicName(clinic),
    number: sayNumber(callBack, sender, language),
    time: writeList(appointments.map(({ startTime }) => writeTime(startTime, language)), language),
    choices: writeChoices(answered),
  }, segmentLength);
}

function kindOf({ outcome, meaning }: AnsweredText): TextKind | undefined {
  switch (outcome) {
    case "which":
      return meaning === "cancel" ? "which_cancel" : "which_confirm";
    case "opted_out":
    case "opted_in":
    case "help":
    case "blocked":
      return undefined;
    case "confirmed":
    case "cancelled":
    case "too_many":
    case "already_confirmed":
    case "already_cancelled":
    case "changed":
    case "too_late":
    case "unclear":
    case "no_reminder":
    case "busy":
      return outcome;
  }
}

/** `1: Tuesday 3 March 2:30 PM, 2: ...`; the doctor where the times alone do not differ. */
function writeChoices({ appointments, language }: AnsweredText): string {
  const starts = appointments.map(({ startTime }) => startTime);
  return appointments.map(({ startTime, doctor }, index) => {
    const isAlike = starts.indexOf(startTime) !== starts.lastIndexOf(startTime);
    const who = isAlike ? ` ${toGsmText(doctor, 30)}` : "";
    return `${index + 1}: ${writeShortTime(startTime, language)}${who}`;
  }).join(", ");
}

/**
 * TwiML for Twilio: an answer with one text, or with none.
 * https://www.twilio.com/docs/messaging/twiml
 */
export async function writeTwiml(reply: string | undefined): Promise<string> {
  const { default: MessagingResponse } = await import("twilio/lib/twiml/MessagingResponse.js");
  const response = new MessagingResponse();
  if (reply !== undefined) response.message(reply);
  return response.toString();
}
