/**
 * Tool `hold_slot`: reserves a time for the caller until the passcode has confirmed it.
 *
 * @module
 */

import { z } from "zod";
import { type Answer, refuse, refuseCommonly, succeed } from "../../shared/answers.ts";
import type { CallFacts, ClaimOutcome } from "../../shared/database.ts";
import { type PhoneReading, readPhone } from "../../shared/phone.ts";
import { sayList, sayTime } from "../../shared/speech.ts";
import { serveTool } from "../../shared/tool.ts";

const input = z.object({
  slotId: z.string("a slotId from check_availability is needed").max(200)
    .describe("The slotId of the chosen time, exactly as check_availability gave it"),
  patientName: z.string("the patient's name is needed").max(120)
    .describe("First and last name of the patient"),
  patientPhone: z.union([z.string().max(80), z.number().transform(String)]).optional()
    .describe("Mobile number for the passcode, if it is not the number the caller calls from"),
});

export default serveTool({
  name: "hold_slot",
  description: "Holds a time that check_availability offered. Call it when the caller has chosen " +
    "and said a name; then call send_otp. Call it again with another slotId to change the time, " +
    "or with another patientPhone to change the number.",
  input,
  run: async ({ slotId, patientName, patientPhone }, { call, database }) => {
    const phone = await choosePhone(patientPhone, call);
    if (phone.kind !== "phone") return sayPhone(phone.kind);
    const patientCountry = phone.country;
    return say(
      await database.claimSlot(call, {
        slotId,
        patientName,
        patientPhone: phone.e164,
        patientCountry,
      }),
    );
  },
});

/** The number that was given, else the one the caller calls from. */
async function choosePhone(
  given: string | undefined,
  { calledNumber, callerNumber }: CallFacts,
): Promise<PhoneReading | { readonly kind: "missing" }> {
  const nearby = [calledNumber, callerNumber];
  if (given !== undefined) {
    const reading = await readPhone(given, nearby);
    // "same number", "the one I'm calling from": no digits, so it names none.
    const namesNone = reading.kind === "unclear" && !/\d|\b(oh|one|two|three|seven)\b/i.test(given);
    if (!namesNone) return reading;
  }
  return callerNumber === undefined ? { kind: "missing" } : await readPhone(callerNumber, nearby);
}

function sayPhone(kind: "premium" | "unclear" | "missing"): Answer {
  switch (kind) {
    case "missing":
      return refuse(
        "phone_needed",
        "I need a mobile number for the confirmation code. What number should I text?",
        "RETRY",
        { fields: ["patientPhone"] },
      );
    case "unclear":
      return refuse(
        "phone_unclear",
        "I didn't get that number. Could you say it once more, with the area code?",
        "RETRY",
        { fields: ["patientPhone"] },
      );
    case "premium":
      return refuseNumber();
  }
}

function refuseNumber(): Answer {
  return refuse(
    "unusable_phone",
    "That number can't receive texts. Is there a mobile number I can use?",
    "RETRY",
    { fields: ["patientPhone"] },
  );
}

function say(claimed: ClaimOutcome): Answer {
  switch (claimed.outcome) {
    case "held": {
      const spoken = sayTime(claimed.startTime);
      return succeed(
        claimed.outcome,
        `I'm holding ${spoken} with ${claimed.doctor} for you. To confirm it I'll text a code to ` +
          `the number ending ${claimed.phoneEnding}.`,
        { ...describe(claimed), expiresInMinutes: Math.ceil(claimed.expiresInSeconds / 60) },
      );
    }
    case "already_confirmed":
      return succeed(
        claimed.outcome,
        `${sayTime(claimed.startTime)} with ${claimed.doctor} is already confirmed for you.`,
        describe(claimed),
      );
    case "slot_taken": {
      const slots = claimed.slots.map((slot) => ({ ...slot, spoken: sayTime(slot.startTime) }));
      return slots.length > 0
        ? refuse(
          claimed.outcome,
          `That time has just been taken. I could offer ${
            sayList(slots.map(({ spoken }) => spoken))
          }.`,
          "OFFER_ALTERNATIVES",
          { slots },
        )
        : refuse(
          claimed.outcome,
          "That time has just been taken, and there is nothing near it. Shall I look further ahead?",
          "OFFER_ALTERNATIVES",
          { slots },
        );
    }
    case "invalid_slot":
      return refuse(
        claimed.outcome,
        "I lost track of that time. Let me look at the free times again.",
        "RETRY",
        { nextTool: "check_availability" },
      );
    case "hold_expired":
      return refuse(
        claimed.outcome,
        "Your hold has just run out. Let me look at the free times again.",
        "OFFER_ALTERNATIVES",
        { nextTool: "check_availability" },
      );
    case "unusable_phone":
      return refuseNumber();
    case "unknown_clinic":
    case "cross_tenant_denied":
    case "busy":
      return refuseCommonly(claimed.outcome);
  }
}

function describe(
  claimed: Extract<ClaimOutcome, { readonly outcome: "held" | "already_confirmed" }>,
) {
  const { holdId, startTime, endTime, service, doctor, phoneEnding } = claimed;
  return { holdId, startTime, endTime, spoken: sayTime(startTime), service, doctor, phoneEnding };
}
