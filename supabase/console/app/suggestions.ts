/**
 * What a caller could say now, as buttons.
 *
 * @module
 */

import type { CallableClinic } from "../lines.ts";
import type { PlayedUse } from "../phone_calls.ts";

/** What is known when the caller is to say something. */
export interface Moment {
  /** What the agent waits for. */
  readonly asks: string;
  readonly clinic: Pick<CallableClinic, "services">;
  /** The number of the phone on the page, withheld or not. */
  readonly caller: string;
  /** The last answer of a tool. */
  readonly answer: PlayedUse["answer"] | undefined;
  /** The code of the newest text to the caller. */
  readonly code: string | undefined;
}

/** A sentence to choose. */
export interface Suggestion {
  readonly says: string;
  /** The words on its button, if not the sentence itself. */
  readonly label?: string;
}

/** Sentences to choose from; the first one goes on with the call. */
export function suggest(moment: Moment): Suggestion[] {
  if (moment.asks === "anything") return suggest({ ...moment, asks: guess(moment) });
  if (moment.asks === "code") return suggestCodes(moment.code);
  return sentencesFor(moment).map((says) => ({ says }));
}

/** What a language model probably waits for: it does not say. */
function guess({ answer }: Moment): string {
  if (answer === undefined) return "purpose";
  if (answer.nextTool === "verify_otp" || ["sent", "wrong_code"].includes(answer.outcome)) {
    return "code";
  }
  if ((answer.slots ?? []).length > 0) return "slotId";
  return answer.success ? "purpose" : "agreement";
}

const suggestCodes = (code: string | undefined): Suggestion[] => [
  ...(code === undefined ? [] : [{ says: code }]),
  { says: wrongCode(code), label: `Wrong code: ${wrongCode(code)}` },
  { says: "Nothing has arrived" },
  { says: "I'd rather have another time" },
];

function sentencesFor({ asks, clinic, caller, answer }: Moment): string[] {
  switch (asks) {
    case "purpose":
      return [
        `A ${clinic.services[0]?.toLowerCase() ?? "consultation"} next Tuesday, please`,
        "I'd like to move my appointment",
        "I want to cancel my appointment",
        "When is my appointment?",
        "Where can I park?",
        "That's all, goodbye",
      ];
    case "serviceType":
      return [...clinic.services];
    case "date":
      return ["Next Tuesday", "Tomorrow", "Thursday afternoon"];
    case "slotId":
      return [...(answer?.slots ?? []).map(({ spoken }) => spoken), "Another day, next Thursday"];
    case "appointmentDate":
      return [
        ...(answer?.appointments ?? []).map(({ spoken }) => spoken),
        "The one on Tuesday",
      ];
    case "patientName":
    case "callerName":
      return ["Ada Brown", "Ben Carter", "Chloe Diaz"];
    case "patientPhone":
      return [caller, "07700 900 124"];
    case "agreement":
      return ["Yes, please", "No, thanks"];
    case "question":
      return ["Where can I park?", "What does a consultation cost?"];
    case "message":
      return ["Please call me back about my appointment"];
    default:
      return [];
  }
}

/** A code that is certainly not the right one. */
export function wrongCode(code: string | undefined): string {
  const wrong = code === undefined ? 0 : (Number(code) + 1) % 1_000_000;
  return String(wrong).padStart(6, "0");
}

/** The code in a text. */
export const codeIn = (body: string): string | undefined => /\b\d{6}\b/.exec(body)?.[0];
