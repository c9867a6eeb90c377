/**
 * Calls: how one begins and ends.
 *
 * @module
 */

import { z } from "zod";
import type { Envelope } from "../vapi.ts";
import { type AnswerOf, type CallFacts, entry, orgId } from "./entry.ts";

/** What an assistant has to know about its clinic; nothing of a patient. */
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
  /** When anybody works, by weekday (0 is Sunday), in local minutes from midnight. */
  opening: z.array(z.object({ dow: z.number(), startMin: z.number(), endMin: z.number() })),
  /** What everybody asks. */
  facts: z.array(z.object({ question: z.string(), answer: z.string() })),
});
/** What an assistant has to know about its clinic; nothing of a patient. */
export type LineProfile = z.output<typeof lineProfile>;

/**
 * The assistant that takes the calls of the called number: registered at Vapi, or what is needed to
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
/** What it answers. */
export type AssistantOutcome = AnswerOf<typeof findAssistant>;

/** ISO 3166 country of the call's clinic; missing when the call is refused. */
export const findCountry = entry("find_country", {
  args: (call: CallFacts) => ({ p_call: call }),
  answer: z.object({
    outcome: z.enum(["found", "unknown_clinic", "cross_tenant_denied"]),
    country: z.string().optional(),
  }),
});

/** A call's report as it is kept: transcript and summary are redacted. */
export interface KeptReport {
  readonly durationSeconds: number | undefined;
  /** US dollars. */
  readonly cost: number | undefined;
  readonly transcript: string | undefined;
  readonly summary: string | undefined;
  /** How many of each kind were taken out. */
  readonly redactions: Readonly<Record<string, number>>;
}

/**
 * Releases what a call holds and files its report. `followUp` is a text to send now. Without a report
 * `known` says what must not be kept of what was said.
 */
export const endCall = entry("end_call", {
  args: (call: Envelope, ended: {
    readonly endedReason?: string | undefined;
    readonly report?: KeptReport | undefined;
    /** The id of the follow-up, should one be due. */
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
/** What it answers. */
export type EndedCallOutcome = AnswerOf<typeof endCall>;
