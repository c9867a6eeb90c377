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
  /** The caller's number; undefined when it is withheld. */
  readonly caller: string | undefined;
  /** The last answer of a tool. */
  readonly answer: PlayedUse["answer"] | undefined;
  /** The code of the newest text to the caller. */
  readonly code: string | undefined;
}

/** Sentences to choose from; the first one goes on with the call. */
export function suggest({ asks, clinic, caller, answer, code }: Moment): string[] {
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
      return [caller ?? "+447700900123", "07700 900 124"];
    case "code":
      return [
        ...(code === undefined ? [] : [code]),
        wrongCode(code),
        "Nothing has arrived",
        "I'd rather have another time",
      ];
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
