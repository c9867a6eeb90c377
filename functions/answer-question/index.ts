/**
 * Tool `answer_question`: answers a question about the clinic with the clinic's own sentence, and only
 * with that.
 *
 * @module
 */

import { z } from "zod";
import { refuse, refuseCommonly, succeed } from "../../shared/answers.ts";
import { answerQuestion, type QuestionOutcome } from "../../shared/database/facts.ts";
import { redactCall } from "../../shared/redaction.ts";
import { serveTool } from "../../shared/request.ts";
import * as sentences from "../../shared/sentences.ts";

/** No question is longer. What a model adds to it says nothing about it. */
const questionLimit = 300;

const input = z.object({
  question: z.string(sentences.needed.question)
    .describe("The caller's question about the clinic, in the caller's words, without names"),
});

export default serveTool({
  name: "answer_question",
  description: "Answers a question about the clinic itself: where to park, what it costs, which " +
    "insurance, how to prepare, what to bring. Call it for every such question that your " +
    "instructions do not answer, and say the answer as it is: never answer from what you know. " +
    "Not for free times and appointments; medical advice is refused.",
  input,
  outcomes: {
    answered: "the clinic has an answer to this question",
    medical_question: "it asks for medical advice, which is not given",
    not_found: "the clinic has no answer; the question is stored for it",
  },
  run: async ({ question }, { call, database }) =>
    say(
      await answerQuestion(database, call, {
        question: redactCall(question.slice(0, questionLimit), nobody).text,
        isMedical: isMedical(question),
      }),
    ),
});

/** The model leaves names out, but may pass on a birth date or an address. */
const nobody = { names: [], phones: [], isTexted: false };

/** What people take, and what it can do to them. */
const remedies =
  /\b(ibuprofen|paracetamol|acetaminophen|aspirin|antibiotics?|medications?|medicines?|tablets?|pills?|dos(?:e|es|age)|drugs?|pain ?killers?|insulin|blood thinners?|steroids?|side effects?|alcohol)\b/i;
/** Symptoms and illnesses. */
const complaints =
  /\b(pains?|painful|hurts?|hurting|aches?|aching|swollen|swelling|bleeds?|bleeding|infect(?:ed|ion)|fever|rash|numb|dizzy|vomit(?:ing)?|nausea|lump|bruis(?:es?|ing)|pus|wound|allergic|symptoms?|breathe|pregnan(?:t|cy)|breast ?feeding|diagnos\w*|serious|wrong with (?:me|my|him|her))\b/i;

/** Whether a question is about somebody's health. If this overlooks one, still no fact answers it. */
export function isMedical(question: string): boolean {
  return remedies.test(question) || complaints.test(question);
}

function say(answer: QuestionOutcome) {
  switch (answer.outcome) {
    case "answered":
      return succeed(answer.outcome, answer.answer);
    case "medical_question":
      return refuse(answer.outcome, sentences.adviceRefused, "ESCALATE");
    case "not_found":
      return refuse(answer.outcome, sentences.questionUnknown, "ESCALATE");
    case "unknown_clinic":
    case "cross_tenant_denied":
    case "busy":
      return refuseCommonly(answer.outcome);
  }
}
