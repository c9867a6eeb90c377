/**
 * Who the patient is: name and number, as arguments of a tool.
 *
 * @module
 */

import { z } from "zod";
import { type Answer, refuse } from "./answers.ts";
import { findCountry } from "./database/calls.ts";
import type { Database } from "./database/client.ts";
import type { CallFacts } from "./database/entry.ts";
import { type PhoneReading, readPhone } from "./phone.ts";
import * as sentences from "./sentences.ts";

const { needed } = sentences;

/** Arguments of every tool that books or changes. */
export const patientFields = {
  patientName: z.string(needed.patientName).max(120)
    .describe("First and last name of the patient"),
  patientPhone: z.union(
    [z.string(needed.phone).max(80), z.number().transform(String)],
    needed.phone,
  )
    .optional()
    .describe("Mobile number for the passcode, if it is not the number the caller calls from"),
};

/**
 * The number that was given, else the one the caller calls from. Where no called number tells the
 * country (a web call), the clinic's own country does.
 */
export async function choosePhone(
  given: string | undefined,
  call: CallFacts,
  database: Database,
): Promise<PhoneReading | { readonly kind: "missing" }> {
  const { calledNumber, callerNumber } = call;
  const nearby = [calledNumber, callerNumber];
  if (given !== undefined) {
    const reading = await readPhone(given, nearby);
    // "same number", "the one I'm calling from": without digits it names no number.
    const namesNone = reading.kind === "unclear" && !/\d|\b(oh|one|two|three|seven)\b/i.test(given);
    if (reading.kind === "unclear" && !namesNone && calledNumber === undefined) {
      const { country } = await findCountry(database, call);
      return await readPhone(given, nearby, country);
    }
    if (!namesNone) return reading;
  }
  return callerNumber === undefined ? { kind: "missing" } : await readPhone(callerNumber, nearby);
}

/** There is no number that can be texted. */
export function refusePhone(kind: "premium" | "unclear" | "missing") {
  const fields = ["patientPhone"];
  switch (kind) {
    case "missing":
      return refuse("phone_needed", sentences.phoneNeeded, "RETRY", { fields });
    case "unclear":
      return refuse("phone_unclear", sentences.phoneUnclear, "RETRY", { fields });
    case "premium":
      return refuse("unusable_phone", sentences.phoneTakesNoTexts, "RETRY", { fields });
  }
}

/** The number takes no texts: another one is needed, which `hold_slot` takes. */
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
