/**
 * What a tool is: its name, its arguments, what it does, and every outcome it can have.
 *
 * @module
 */

import { z } from "zod";
import { type Answer, refuse } from "./answers.ts";
import type { CallFacts } from "./database/entry.ts";
import * as sentences from "./sentences.ts";
import type { TextingTools } from "./texting.ts";

/** What one tool call may use. */
export interface ToolContext extends TextingTools {
  readonly call: CallFacts;
}

/** Outcomes of every tool, and what they mean. */
export const commonOutcomes = {
  invalid_arguments: "an argument is missing or malformed; `fields` names it",
  unknown_clinic: "no organization has the called number",
  cross_tenant_denied: "an argument names another organization than the call",
  busy: "too many requests, or a lock was not acquired in time; the call can be repeated",
} as const;
/** One of {@link commonOutcomes}. */
export type CommonOutcome = keyof typeof commonOutcomes;

/** A Vapi tool, as its file defines it. */
export interface ToolDefinition<Input, Outcome extends string> {
  /** The function name in Vapi. */
  readonly name: string;
  /** Tells the model when to call the tool; under 800 characters. */
  readonly description: string;
  /** Whether it continues what the call has begun. Under load such tools go first. */
  readonly continues?: boolean;
  /** The arguments. Each uses `describe` to say what the model should pass. */
  readonly input: z.ZodType<Input>;
  /** Every outcome `run` can have, and what it means. The compiler compares this list with `run`. */
  readonly outcomes: Readonly<Record<Exclude<NoInfer<Outcome>, CommonOutcome>, string>>;
  run(input: Input, context: ToolContext): Promise<Answer<Outcome>>;
}

/** A tool: its description for the model, and its work. */
export interface Tool {
  readonly name: string;
  readonly description: string;
  /** Whether it continues what the call has begun. */
  readonly continues: boolean;
  /** The schema of the arguments, from which the tool's JSON Schema for Vapi is generated. */
  readonly input: z.ZodType;
  /** Every outcome it can have, and what it means. */
  readonly outcomes: Readonly<Record<string, string>>;
  /** Answers one call. Arguments that do not match the schema are refused. */
  run(given: Readonly<Record<string, unknown>>, context: ToolContext): Promise<Answer>;
}

/** Creates a tool. */
export function defineTool<Input, Outcome extends string>(
  { name, description, continues = false, input, outcomes, run }: ToolDefinition<Input, Outcome>,
): Tool {
  return {
    name,
    description,
    continues,
    input,
    outcomes: { ...outcomes, ...commonOutcomes },
    run: async (given, context) => {
      const read = input.safeParse(given);
      return read.success ? await run(read.data, context) : refuseInput(read.error.issues);
    },
  };
}

function refuseInput(issues: readonly z.core.$ZodIssue[]): Answer<"invalid_arguments"> {
  // For speech: "the patient name", not "patientName".
  const spoken = (path: string) =>
    path.replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
  const named = issues.map(({ path, message }) => `${spoken(path.join(" "))}: ${message}`);
  return refuseArguments(named.join("; "), issues.map(({ path }) => path.join(".")));
}

/**
 * Refuses arguments that cannot be used.
 *
 * @param reason What to check, in words that can be said.
 * @param fields The names of the arguments.
 */
export function refuseArguments(
  reason: string,
  fields: readonly string[] = [],
): Answer<"invalid_arguments"> {
  return refuse(
    "invalid_arguments",
    sentences.checkArguments(reason).slice(0, 400),
    "RETRY",
    fields.length > 0 ? { fields } : {},
  );
}
