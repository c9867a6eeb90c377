/**
 * What a tool says: one flat line of JSON that the model acts on and the caller hears.
 *
 * @module
 */

import type { Refusal } from "./database/entry.ts";

/** What the agent should do after a refusal. */
export type Action = "RETRY" | "OFFER_ALTERNATIVES" | "ESCALATE";

/** The answer of one tool call. */
export interface Answer {
  readonly success: boolean;
  /** Names what happened, for the model, logs and metrics. */
  readonly outcome: string;
  /** Sayable: short, and what comes next. */
  readonly message: string;
  readonly action?: Action;
  /** What the model needs next, such as `holdId` or `slots`. */
  readonly facts?: Readonly<Record<string, unknown>>;
}

/** It worked. */
export function succeed(outcome: string, message: string, facts: Answer["facts"] = {}): Answer {
  return { success: true, outcome, message, facts };
}

/** It did not, for a reason the caller can be told. */
export function refuse(
  outcome: string,
  message: string,
  action: Action,
  facts: Answer["facts"] = {},
): Answer {
  return { success: false, outcome, message, action, facts };
}

/** What every tool says when the clinic is unknown, another clinic was named, or a lock was busy. */
export function refuseCommonly(outcome: Refusal["outcome"]): Answer {
  switch (outcome) {
    case "unknown_clinic":
      return refuse(
        outcome,
        "I can't tell which clinic this call is for. Let me connect you to the front desk.",
        "ESCALATE",
      );
    case "cross_tenant_denied":
      return refuse(outcome, "I can only help with bookings at this clinic.", "ESCALATE");
    case "busy":
      return refuse(
        outcome,
        "The booking system is busy for a moment. Let me try that again.",
        "RETRY",
      );
  }
}

/** Twilio reported that the text did not arrive: the same number would not help. */
export function refuseUndelivered(outcome: string, facts: Answer["facts"] = {}): Answer {
  return refuse(
    outcome,
    "That number didn't accept the text. Is there another mobile number I can use?",
    "RETRY",
    { ...facts, nextTool: "hold_slot", fields: ["patientPhone"] },
  );
}
