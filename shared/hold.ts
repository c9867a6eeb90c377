/**
 * What is answered about a slot or a hold that cannot be had.
 *
 * @module
 */

import { type Answer, refuse } from "./answers.ts";
import type { Slot } from "./database/availability.ts";
import type { ClaimOutcome, Released } from "./database/holds.ts";
import * as sentences from "./sentences.ts";
import { sayTime } from "./speech.ts";

/** A slot with its start as it is said, for the agent to come back to. */
export function withSpoken(slot: Slot): Slot & { readonly spoken: string } {
  return { ...slot, spoken: sayTime(slot.startTime) };
}

/** The slot cannot be had; what is near it can. */
export function offerInstead(
  { slots, taken, isKept, released }: {
    readonly slots: readonly Slot[];
    readonly taken: boolean;
    /** The caller's own appointment may be in the way. */
    readonly isKept?: boolean;
    readonly released?: Released;
  },
): Answer<"slot_taken"> {
  return refuse(
    "slot_taken",
    sentences.slotTaken(taken, slots) + (isKept ? ` ${sentences.mayBeYours}` : ""),
    "OFFER_ALTERNATIVES",
    { slots: slots.map(withSpoken), ...(released === undefined ? {} : { released }) },
  );
}

/** One more hold would be too many. */
export function refuseHoldLimit(
  { outcome, of }: Extract<ClaimOutcome, { readonly outcome: "hold_limit" }>,
): Answer<"hold_limit"> {
  return of === "call"
    ? refuse(outcome, sentences.callHoldsEnough, "RETRY", { nextTool: "send_otp" })
    : refuse(outcome, sentences.numberHoldsEnough, "ESCALATE");
}

const facts = { nextTool: "check_availability" };

/** The slot is not one of ours, or the hold of it expired just now. */
export function refuseSlot<Outcome extends "invalid_slot" | "hold_expired">(
  outcome: Outcome,
): Answer<Outcome> {
  return outcome === "invalid_slot"
    ? refuse(outcome, sentences.slotLost, "RETRY", facts)
    : refuse(outcome, sentences.holdJustExpired, "OFFER_ALTERNATIVES", facts);
}

/** There is no hold that a passcode could confirm. */
export function refuseHold(outcome: "hold_not_found" | "hold_expired") {
  return outcome === "hold_not_found"
    ? refuse(outcome, sentences.holdNotFound, "RETRY", facts)
    : refuse(outcome, sentences.holdExpired, "OFFER_ALTERNATIVES", facts);
}

/** Too many wrong codes. */
export function refuseLocked(): Answer<"locked"> {
  return refuse("locked", sentences.codesLocked, "ESCALATE");
}
