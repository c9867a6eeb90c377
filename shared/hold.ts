/**
 * What is answered when a slot or a hold is not available.
 *
 * @module
 */

import { type Answer, refuse } from "./answers.ts";
import type { Slot } from "./database/availability.ts";
import type { ClaimOutcome, Kept, Released } from "./database/holds.ts";
import * as sentences from "./sentences.ts";
import { sayTime } from "./speech.ts";

/** A slot with its spoken start, so that the agent can refer to it. */
export function withSpoken(slot: Slot): Slot & { readonly spoken: string } {
  return { ...slot, spoken: sayTime(slot.startTime) };
}

/** The call's own hold, which is kept. The model needs its holdId to release or correct it. */
export function sayKept(kept: Kept) {
  return kept === undefined ? {} : { kept: { ...kept, spoken: sayTime(kept.startTime) } };
}

/** The slot is not available; offers slots near it. */
export function offerInstead(
  { slots, taken, kept, isKept, released }: {
    readonly slots: readonly Slot[];
    readonly taken: boolean;
    readonly kept?: Kept;
    /** Whether the caller's own appointment may be the reason. */
    readonly isKept?: boolean;
    readonly released?: Released;
  },
): Answer<"slot_taken"> {
  const sentence = kept === undefined
    ? sentences.slotTaken(taken, slots) + (isKept ? ` ${sentences.mayBeYours}` : "")
    : sentences.heldForAnother(kept, slots);
  return refuse("slot_taken", sentence, "OFFER_ALTERNATIVES", {
    slots: slots.map(withSpoken),
    ...sayKept(kept),
    ...(released === undefined ? {} : { released }),
  });
}

/** The call or the number already has as many holds as it may. */
export function refuseHoldLimit(
  { outcome, of, codeWaits }: Extract<ClaimOutcome, { readonly outcome: "hold_limit" }>,
): Answer<"hold_limit"> {
  return of === "call"
    ? refuse(outcome, sentences.callHoldsEnough(codeWaits), "RETRY", {
      nextTool: codeWaits ? "verify_otp" : "send_otp",
    })
    : refuse(outcome, sentences.numberHoldsEnough, "ESCALATE");
}

const facts = { nextTool: "check_availability" };

/** The slot is unknown, or its hold has just expired. */
export function refuseSlot<Outcome extends "invalid_slot" | "hold_expired">(
  outcome: Outcome,
): Answer<Outcome> {
  return outcome === "invalid_slot"
    ? refuse(outcome, sentences.slotLost, "RETRY", facts)
    : refuse(outcome, sentences.holdJustExpired, "OFFER_ALTERNATIVES", facts);
}

/** No hold can be confirmed by a passcode. */
export function refuseHold(outcome: "hold_not_found" | "hold_expired") {
  return outcome === "hold_not_found"
    ? refuse(outcome, sentences.holdNotFound, "RETRY", facts)
    : refuse(outcome, sentences.holdExpired, "OFFER_ALTERNATIVES", facts);
}

/** Too many wrong codes. */
export function refuseLocked(): Answer<"locked"> {
  return refuse("locked", sentences.codesLocked, "ESCALATE");
}
