/**
 * The beginning and the end of a call.
 *
 * @module
 */

import { z } from "zod";
import type { Envelope } from "../vapi.ts";
import { type AnswerOf, type CallFacts, entry, orgId } from "./entry.ts";

/** What an assistant must know about its clinic. It contains no patient data. */
export const lineProfile = z.object({
  orgId: z.string(),
  slug: z.string(),
  name: z.string(),
  /** IANA name. */
  timezone: z.string(),
  /** A tag such as `en`. */
  language: z.string(),
  voice: z.string(),
  model: z.string(),
  /** What the caller hears first. */
  greeting: z.string().optional(),
  recordsCalls: z.boolean(),
  keepsTranscript: z.boolean(),
  /** Whether hold_slot also texts the code. */
  textsAtHold: z.boolean(),
  /** E.164 of the front desk. */
  transferNumber: z.string().optional(),
  services: z.array(z.object({ name: z.string(), minutes: z.number() })),
  doctors: z.array(z.string()),
  /** When any doctor works, by weekday (0 is Sunday), in local minutes from midnight. */
  opening: z.array(z.object({ dow: z.number(), startMin: z.number(), endMin: z.number() })),
  /** Questions that many callers ask. */
  facts: z.array(z.object({ question: z.string(), answer: z.string() })),
});
/** A {@link lineProfile}. */
export type LineProfile = z.output<typeof lineProfile>;

/**
 * Finds the assistant for the called number: one that is registered at Vapi, or what is needed to
 * compose one.
 */
export const findAssistant = entry("find_assistant", {
  args: (call: Envelope) => ({ p_call: call }),
  answer: z.discriminatedUnion("outcome", [
    z.object({ outcome: z.literal("found"), orgId, assistantId: z.string() }),
    z.object({ outcome: z.literal("not_registered"), orgId, profile: lineProfile }),
    z.object({ outcome: z.literal("unknown_clinic"), orgId }),
  ]),
});
/** The answer of {@link findAssistant}. */
export type AssistantOutcome = AnswerOf<typeof findAssistant>;

/** The ISO 3166 country of the call's clinic; missing when the call is refused. */
export const findCountry = entry("find_country", {
  args: (call: CallFacts) => ({ p_call: call }),
  answer: z.object({
    outcome: z.enum(["found", "unknown_clinic", "cross_tenant_denied"]),
    country: z.string().optional(),
  }),
});

/** A call's report as it is stored. Transcript and summary are redacted. */
export interface KeptReport {
  readonly durationSeconds: number | undefined;
  /** US dollars. */
  readonly cost: number | undefined;
  readonly transcript: string | undefined;
  readonly summary: string | undefined;
  /** How many of each kind were removed. */
  readonly redactions: Readonly<Record<string, number>>;
}

/**
 * Releases the holds of a call and stores its report. `followUp` is a text to send now. When called
 * without a report, `known` has the personal data to remove from it.
 */
export const endCall = entry("end_call", {
  args: (call: Envelope, ended: {
    readonly endedReason?: string | undefined;
    readonly report?: KeptReport | undefined;
    /** The id of the follow-up, if one is to be sent. */
    readonly sendId: string;
  }) => ({
    p_call: call,
    p_ended_reason: ended.endedReason ?? null,
    p_report: ended.report ?? null,
    p_send: ended.sendId,
  }),
  answer: z.object({
    outcome: z.enum(["ended", "filed", "repeated", "busy", "no_call", "unknown_clinic"]),
    orgId,
    followUp: z.object({
      phone: z.string(),
      clinic: z.string(),
      callBack: z.string().optional(),
    }).optional(),
    known: z.object({
      names: z.array(z.string()),
      /** E.164. */
      phones: z.array(z.string()),
      isTexted: z.boolean(),
    }).optional(),
  }),
});
/** The answer of {@link endCall}. */
export type EndedCallOutcome = AnswerOf<typeof endCall>;
