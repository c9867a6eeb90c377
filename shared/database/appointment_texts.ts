/**
 * Texts about appointments that wait to be sent.
 *
 * @module
 */

import { z } from "zod";
import { type AnswerOf, bare, entry } from "./entry.ts";
import { resultArgs, type TextResult } from "./texts.ts";

/** The language of a clinic's texts, and its own texts in it by kind. */
export const wording = { language: z.string(), words: z.record(z.string(), z.string()) };

const text = z.object({
  orgId: z.string(),
  /** Of this attempt; Twilio's reports name it. */
  sendId: z.string(),
  kind: z.enum(["confirmation", "change", "cancellation", "reminder"]),
  /** E.164. */
  phone: z.string(),
  /** ISO 3166; the number must be of one of them. */
  countries: z.array(z.string()),
  clinic: z.string(),
  ...wording,
  address: z.string().nullable(),
  /** Whether it says how to confirm or cancel by answering. */
  offersAnswer: z.boolean(),
  /** Clinic-local ISO 8601. */
  startTime: z.string(),
  /** Until the appointment. */
  secondsLeft: z.number(),
  doctor: z.string(),
  /** The number that patients call, E.164. */
  callBack: z.string().nullable(),
});

/** Claims texts that are due. Each must then be sent once, and its result recorded. */
export const claimTexts = entry("claim_appointment_texts", {
  args: (limit: number) => ({ p_limit: limit }),
  answer: z.discriminatedUnion("outcome", [
    bare("busy"),
    z.object({
      outcome: z.literal("claimed"),
      texts: z.array(text),
      /** Whether others may be due. */
      more: z.boolean(),
    }),
  ]),
});
/** A text that was claimed. */
export type ClaimedText = Extract<
  AnswerOf<typeof claimTexts>,
  { readonly outcome: "claimed" }
>["texts"][number];

/** Records the result of a text: Twilio's id, or why it was not sent. */
export const settleText = entry("settle_appointment_text", {
  args: (
    { orgId, sendId }: Pick<ClaimedText, "orgId" | "sendId">,
    became: TextResult,
  ) => ({ p_org: orgId, p_send: sendId, ...resultArgs(became) }),
  answer: bare("sent", "failed", "waiting", "unknown", "known", "busy"),
  busyIsFault: true,
});
