/**
 * The patient's name and number, as arguments of a tool.
 *
 * @module
 */

import { z } from "zod";
import { type Answer, refuse } from "./answers.ts";
import { findCountry } from "./database/calls.ts";
import type { Database } from "./database/client.ts";
import type { CallFacts } from "./database/entry.ts";
import { isName } from "./given.ts";
import { type PhoneReading, readPhone } from "./phone.ts";
import * as sentences from "./sentences.ts";

const { needed } = sentences;

/** Arguments of every tool that books or changes. */
export const patientFields = {
  patientName: z.string(needed.patientName).max(120, needed.patientName)
    .refine(isName, needed.patientName)
    .describe("First and last name of the patient"),
  patientPhone: z.preprocess(
    (said) => typeof said === "number" ? String(said) : said,
    z.string(needed.phone).max(200, needed.phone),
  ).optional()
    .describe("Mobile number for the passcode, if it is not the number the caller calls from"),
};

/** Outcomes of every tool that takes a number, and what they mean. */
export const phoneOutcomes = {
  phone_needed: "no number was given, and the caller's number is withheld",
  phone_unclear: "the number cannot be read",
  unusable_phone: "the number cannot be texted",
} as const;

/** The number to text, or why there is none. */
export type ChosenPhone =
  | Exclude<PhoneReading, { readonly kind: "own" | "withheld" }>
  | { readonly kind: "missing" };

/**
 * Chooses the number that was given. If none was given, or the caller means the number they call from,
 * it is that one. A number that cannot be read is asked for again, never replaced. For a number without
 * a country the called number decides; in a web call, which has none, the clinic's country does.
 */
export async function choosePhone(
  given: string | undefined,
  call: CallFacts,
  database: Database,
): Promise<ChosenPhone> {
  const { calledNumber, callerNumber } = call;
  const nearby = [calledNumber, callerNumber];
  const said = given?.trim() || "this number";
  let reading = await readPhone(said, nearby);
  if (reading.kind === "unclear" && calledNumber === undefined) {
    const { country } = await findCountry(database, call);
    reading = await readPhone(said, nearby, country);
  }
  if (reading.kind === "own" && callerNumber !== undefined) {
    reading = await readPhone(callerNumber, nearby);
  }
  return reading.kind === "own" || reading.kind === "withheld" ? { kind: "missing" } : reading;
}

/** Answers that there is no number that can be texted. */
export function refusePhone(kind: Exclude<ChosenPhone["kind"], "phone">) {
  const fields = ["patientPhone"];
  switch (kind) {
    case "missing":
      return refuse("phone_needed", sentences.phoneNeeded, "RETRY", { fields });
    case "unclear":
      return refuse("phone_unclear", sentences.phoneUnclear, "RETRY", { fields });
    case "premium":
      return refuse("unusable_phone", sentences.phoneTakesNoTexts, "RETRY", { fields });
    case "extension":
      return refuse("unusable_phone", sentences.extensionTakesNoTexts, "RETRY", { fields });
  }
}

/** The number takes no texts. Asks for another one, which `hold_slot` takes. */
export function askForAnotherPhone<Outcome extends string>(
  outcome: Outcome,
  sentence: string,
  facts: Answer["facts"] = {},
): Answer<Outcome> {
  return refuse(outcome, sentence, "RETRY", {
    ...facts,
    nextTool: "hold_slot",
    fields: ["patientPhone"],
  });
}
