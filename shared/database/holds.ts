/**
 * Holds: a slot is claimed for a call until a passcode confirms it.
 *
 * @module
 */

import { z } from "zod";
import { slot } from "./availability.ts";
import { type AnswerOf, bare, type CallFacts, entry, orgId, refusals } from "./entry.ts";

/** A held or confirmed appointment, with what the caller may be told. */
export const hold = z.object({
  orgId: z.string(),
  holdId: z.string(),
  startTime: z.string(),
  endTime: z.string(),
  service: z.string(),
  doctor: z.string(),
  phoneEnding: z.string(),
});

/** A time that was released, for another one or because it was not used. */
export const released = z.object({ startTime: z.string(), doctor: z.string() }).optional();
/** A {@link released} time. */
export type Released = z.infer<typeof released>;

/** The call's own hold, which its request leaves as it is. */
export const kept = z.object({ holdId: z.string(), startTime: z.string(), doctor: z.string() })
  .optional();
/** A {@link kept} hold. */
export type Kept = z.infer<typeof kept>;

/** The slot is not available. `slots` are near it. */
export const slotTaken = z.object({
  outcome: z.literal("slot_taken"),
  orgId,
  slots: z.array(slot),
  /** False for a time that was never bookable, such as one outside of hours. */
  taken: z.boolean(),
  /** The call's own hold at the slot, under another name. */
  kept,
  released,
  /** Whether the caller's own appointment may be the reason. Only the passcode can tell. */
  isKept: z.boolean().default(false),
});

/**
 * There are too many holds: of this call, of its caller, of the patient's number, or of all callers of
 * the clinic whose number is not known.
 */
export const holdLimit = z.object({
  outcome: z.literal("hold_limit"),
  orgId,
  of: z.enum(["call", "caller", "phone", "clinic"]),
  /** Whether the caller can read out a code that was texted in this call. */
  codeWaits: z.boolean().default(false),
  released,
});

/** Claims a slot for a call. */
export const claimSlot = entry("claim_slot_atomic", {
  args: (call: CallFacts, asked: {
    readonly slotId: string;
    readonly patientName: string;
    /** E.164. */
    readonly patientPhone: string;
    readonly patientCountry: string | null;
    /** A hold of this call that is to be moved or corrected. */
    readonly holdId?: string | undefined;
  }) => ({
    p_call: call,
    p_slot_id: asked.slotId,
    p_patient_name: asked.patientName,
    p_patient_phone: asked.patientPhone,
    p_patient_country: asked.patientCountry,
    p_hold: asked.holdId ?? null,
  }),
  answer: z.discriminatedUnion("outcome", [
    bare(
      ...refusals,
      "call_needed",
      "invalid_slot",
      "unusable_phone",
      "blocked_country",
      "hold_expired",
    ),
    hold.extend({
      outcome: z.literal("held"),
      expiresInSeconds: z.number(),
      /** Whether the call has proven the number, so that it needs no further code. */
      proven: z.boolean().default(false),
      /** Whether the clinic wants the code to be texted at once. */
      textsCode: z.boolean().default(false),
      released,
      /** The call's own hold at the same time for the same number, under another name. */
      kept,
      /** The start of what the patient has already confirmed in this call. */
      alsoConfirmed: z.string().optional(),
    }),
    hold.extend({ outcome: z.literal("already_confirmed") }),
    slotTaken,
    holdLimit,
  ]),
});
/** The answer of {@link claimSlot}. */
export type ClaimOutcome = AnswerOf<typeof claimSlot>;
