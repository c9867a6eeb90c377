/**
 * Facts: what a clinic answers to questions about itself.
 *
 * @module
 */

import { z } from "zod";
import { type AnswerOf, bare, type CallFacts, entry, orgId, refusals } from "./entry.ts";

/** The clinic's own answer to a question, or none; then the question is kept for the clinic. */
export const answerQuestion = entry("answer_question", {
  args: (call: CallFacts, asked: {
    /** Redacted. */
    readonly question: string;
    /** Whether it is about somebody's health: then only a fact with every word of it answers. */
    readonly isMedical: boolean;
  }) => ({ p_call: call, p_question: asked.question, p_medical: asked.isMedical }),
  answer: z.discriminatedUnion("outcome", [
    bare(...refusals, "medical_question", "not_found"),
    z.object({ outcome: z.literal("answered"), orgId, answer: z.string() }),
  ]),
});
/** What it answers. */
export type QuestionOutcome = AnswerOf<typeof answerQuestion>;
