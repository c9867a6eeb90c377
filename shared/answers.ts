/**
 * What a tool answers: one line of flat JSON that the model acts on and that the caller hears.
 *
 * @module
 */

import type { Desk } from "./database/client.ts";
import type { Refusal } from "./database/entry.ts";
import * as sentences from "./sentences.ts";

/** What the agent should do after a refusal. */
export type Action = "RETRY" | "OFFER_ALTERNATIVES" | "ESCALATE";

/** The answer of one tool call. */
export interface Answer<Outcome extends string = string> {
  readonly success: boolean;
  /** Names what happened, for the model, logs and metrics. */
  readonly outcome: Outcome;
  /** What the caller hears: short, and says what comes next. */
  readonly message: string;
  readonly action?: Action;
  /** What the model needs next, such as `holdId` or `slots`. */
  readonly facts?: Readonly<Record<string, unknown>>;
}

/** The tool did what it was asked to. */
export function succeed<Outcome extends string>(
  outcome: Outcome,
  message: string,
  facts: Answer["facts"] = {},
): Answer<Outcome> {
  return { success: true, outcome, message, facts };
}

/** The tool did not, for a reason that the caller can be told. */
export function refuse<Outcome extends string>(
  outcome: Outcome,
  message: string,
  action: Action,
  facts: Answer["facts"] = {},
): Answer<Outcome> {
  return { success: false, outcome, message, action, facts };
}

/** @param ignored Optional arguments that could not be read; the caller hears that they are left out. */
export function sayLeftOut<Outcome extends string>(
  answer: Answer<Outcome>,
  ignored: readonly sentences.Optional[],
): Answer<Outcome> {
  if (ignored.length === 0) return answer;
  return {
    ...answer,
    message: `${sentences.leftOut(ignored)} ${answer.message}`,
    facts: { ...answer.facts, ignored },
  };
}

/** The tool that takes messages for the front desk. */
export const messageTool = "leave_message";

/**
 * Adds what comes next to an `ESCALATE` answer. While the front desk answers, the call is transferred.
 * Otherwise a message can be taken, unless the tool that takes messages has just refused one.
 *
 * @param tool The tool that answers.
 * @param desk Whether the front desk answers; undefined where the clinic is unknown.
 */
export function handOver(answer: Answer, tool: string, desk: Desk | undefined): Answer {
  if (answer.action !== "ESCALATE") return answer;
  const takesMessage = desk !== undefined && desk !== "open" && tool !== messageTool;
  const next = desk === "open" || takesMessage ? sentences.handOver[desk] : sentences.callAgain;
  return {
    ...answer,
    message: `${answer.message} ${next}`,
    facts: { ...answer.facts, desk, ...(takesMessage ? { nextTool: messageTool } : {}) },
  };
}

/** The answer of every tool when the clinic is unknown, another one was named, or a lock was busy. */
export function refuseCommonly(outcome: Refusal["outcome"]): Answer<Refusal["outcome"]> {
  switch (outcome) {
    case "unknown_clinic":
      return refuse(outcome, sentences.unknownClinic, "ESCALATE");
    case "cross_tenant_denied":
      return refuse(outcome, sentences.anotherClinic, "ESCALATE");
    case "busy":
      return refuse(outcome, sentences.busy, "RETRY");
  }
}
