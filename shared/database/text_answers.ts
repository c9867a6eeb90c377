/**
 * Texts that patients send: answers to reminders, and everything else.
 *
 * @module
 */

import { z } from "zod";
import type { PatientAnswer } from "../patient_answer.ts";
import { wording } from "./appointment_texts.ts";
import { type AnswerOf, bare, entry } from "./entry.ts";

/** What came of a text of which a patient may be told. */
export const toldOutcomes = [
  "confirmed",
  "cancelled",
  "which",
  "too_many",
  "already_confirmed",
  "already_cancelled",
  "changed",
  "too_late",
  "unclear",
  "no_reminder",
  "busy",
] as const;

const result = z.object({
  outcome: z.enum([...toldOutcomes, "opted_out", "opted_in", "help", "blocked"]),
  /** Whether the patient is told. */
  isReplied: z.boolean(),
  /** What the patient wants, also where it was said by an earlier text. */
  meaning: z.string(),
  clinic: z.string(),
  ...wording,
  /** The number that patients call, E.164. */
  callBack: z.string().nullable(),
  /** By start; in a question, in the order of the choices. */
  appointments: z.array(z.object({
    /** Clinic-local ISO 8601. */
    startTime: z.string(),
    doctor: z.string(),
  })),
});

/** What a text means, and who sent it. */
interface GivenAnswer extends PatientAnswer {
  /** The country of the number, ISO 3166, if it is a person's phone. No other number is told anything. */
  readonly country?: string;
}

/** Decides what becomes of a text from a patient. */
export const answerText = entry("answer_text", {
  args: (orgId: string, sid: string, phone: string, answer: GivenAnswer) => ({
    p_org: orgId,
    p_sid: sid,
    p_phone: phone,
    p_answer: answer,
  }),
  answer: z.discriminatedUnion("outcome", [
    bare("unknown_clinic"),
    z.object({ outcome: z.literal("limit"), isReplied: z.literal(false) }),
    result,
  ]),
});
/** What came of a text. */
export type AnsweredText = z.output<typeof result>;
/** All that can come of one. */
export type TextAnswer = AnswerOf<typeof answerText>;
