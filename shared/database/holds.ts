/**
 * Holds: a slot is claimed for a call until its passcode confirms it.
 *
 * @module
 */

import { z } from "zod";
import { slot } from "./availability.ts";
import { type AnswerOf, bare, type CallFacts, entry, orgId, refusals } from "./entry.ts";

/** A held or confirmed appointment, as the caller may hear of it. */
export const hold = z.object({
  orgId: z.string(),
  holdId: z.string(),
  startTime: z.string(),
  endTime: z.string(),
  service: z.string(),
  doctor: z.string(),
  phoneEnding: z.string(),
});

/** The slot cannot be had; `slots` are near it. */
export const slotTaken = z.object({
  outcome: z.literal("slot_taken"),
  orgId,
  slots: z.array(slot),
  /** False for a time that was never bookable, such as one outside of hours. */
  taken: z.boolean(),
});

/** Why a slot cannot even be asked for: not one of ours, a number we do not text, a hold that expired. */
export const slotRefusals = ["invalid_slot", "unusable_phone", "hold_expired"] as const;

/** Claims a slot for a call. */
export const claimSlot = entry("claim_slot_atomic", {
  args: (call: CallFacts, asked: {
    readonly slotId: string;
    readonly patientName: string;
    /** E.164. */
    readonly patientPhone: string;
    readonly patientCountry: string | null;
  }) => ({
    p_call: call,
    p_slot_id: asked.slotId,
    p_patient_name: asked.patientName,
    p_patient_phone: asked.patientPhone,
    p_patient_country: asked.patientCountry,
  }),
  answer: z.discriminatedUnion("outcome", [
    bare(...refusals, ...slotRefusals),
    hold.extend({
      outcome: z.literal("held"),
      expiresInSeconds: z.number(),
      /** Start of the call's earlier hold, which its passcode confirmed at the same time. */
      alsoConfirmed: z.string().optional(),
    }),
    hold.extend({ outcome: z.literal("already_confirmed") }),
    slotTaken,
  ]),
});
/** What it answers. */
export type ClaimOutcome = AnswerOf<typeof claimSlot>;
