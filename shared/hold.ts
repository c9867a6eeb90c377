/**
 * What is answered about a slot or a hold that cannot be had.
 *
 * @module
 */

import { type Answer, refuse } from "./answers.ts";
import type { Slot } from "./database/availability.ts";
import * as sentences from "./sentences.ts";
import { sayTime } from "./speech.ts";

/** A slot with its start as it is said, for the agent to come back to. */
export function withSpoken(slot: Slot): Slot & { readonly spoken: string } {
  return { ...slot, spoken: sayTime(slot.startTime) };
}

/** The slot cannot be had; what is near it can. */
export function offerInstead(
  { slots, taken }: { readonly slots: readonly Slot[]; readonly taken: boolean },
): Answer<"slot_taken"> {
  return refuse("slot_taken", sentences.slotTaken(taken, slots), "OFFER_ALTERNATIVES", {
    slots: slots.map(withSpoken),
  });
}

const facts = { nextTool: "check_availability" };

/** The slot is not one of ours, or the hold of it expired just now. */
export function refuseSlot(outcome: "invalid_slot" | "hold_expired") {
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
