/**
 * What a clinic answers to questions about itself.
 *
 * @module
 */

import { z } from "zod";
import { type AnswerOf, bare, type CallFacts, entry, orgId, refusals } from "./entry.ts";

/** Finds the clinic's own answer to a question. If there is none, the question is stored for it. */
export const answerQuestion = entry("answer_question", {
  args: (call: CallFacts, asked: {
    /** Redacted. */
    readonly question: string;
    /** Whether it is about health. Then a fact answers it only if it has every word of it. */
    readonly isMedical: boolean;
  }) => ({ p_call: call, p_question: asked.question, p_medical: asked.isMedical }),
  answer: z.discriminatedUnion("outcome", [
    bare(...refusals, "medical_question", "not_found"),
    z.object({ outcome: z.literal("answered"), orgId, answer: z.string() }),
  ]),
});
/** The answer of {@link answerQuestion}. */
export type QuestionOutcome = AnswerOf<typeof answerQuestion>;
