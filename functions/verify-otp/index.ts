/**
 * Tool `verify_otp`: checks the passcode the caller read out and confirms the appointment, or cancels
 * or moves it.
 *
 * @module
 */

import { z } from "zod";
import {
  type Answer,
  refuse,
  refuseCommonly,
  refuseUndelivered,
  succeed,
} from "../../shared/answers.ts";
import { refuseLateChange, sayChange } from "../../shared/booking.ts";
import type { VerificationOutcome } from "../../shared/database/passcodes.ts";
import { readPasscode } from "../../shared/digits.ts";
import { verifyPasscode } from "../../shared/otp.ts";
import { sayTime } from "../../shared/speech.ts";
import { serveTool } from "../../shared/tool.ts";

const codeNeeded = "the six digits of the text are needed";

const input = z.object({
  code: z.union([z.string(codeNeeded).max(200), z.number()], codeNeeded)
    .describe("The six digits the caller read out or typed, as text so that zeros stay"),
  holdId: z.string().max(200).optional().catch(undefined)
    .describe("The holdId that the tool before gave; left out, what this call is about"),
});

export default serveTool({
  name: "verify_otp",
  description:
    "Checks the code the caller read out and confirms the appointment, or the change of " +
    "one. Call it after send_otp, with what the caller said.",
  input,
  run: async ({ code, holdId }, context) => {
    const passcode = readPasscode(code);
    if (passcode === undefined) {
      return refuse(
        "malformed_code",
        "I need the six digits from the text. Could you read them once more?",
        "RETRY",
      );
    }
    return say(await verifyPasscode(context, context.call, passcode, holdId));
  },
});

function say(verified: VerificationOutcome): Answer {
  switch (verified.outcome) {
    case "confirmed":
    case "already_confirmed": {
      const { holdId, startTime, endTime, service, doctor } = verified;
      const spoken = sayTime(startTime);
      return succeed(
        verified.outcome,
        `Thank you, that's confirmed: ${spoken} with ${doctor}.`,
        { holdId, startTime, endTime, spoken, service, doctor },
      );
    }
    case "cancelled":
    case "rescheduled":
      return sayChange(verified);
    case "change_expired":
      return refuseLateChange();
    case "wrong_code":
      if (verified.undelivered) {
        return refuseUndelivered(verified.outcome, { attemptsLeft: verified.attemptsLeft });
      }
      return refuse(
        verified.outcome,
        "That doesn't match. Could you read the newest text again?",
        "RETRY",
        { attemptsLeft: verified.attemptsLeft },
      );
    case "code_expired":
    case "no_code":
      return verified.undelivered
        ? refuseUndelivered(verified.outcome)
        : refuseOldCode(verified.outcome);
    case "code_locked":
    case "code_unreadable":
      return refuseOldCode(verified.outcome);
    case "locked":
      return refuse(
        verified.outcome,
        "I can't take more codes for this booking. I'll connect you to the front desk.",
        "ESCALATE",
      );
    case "hold_expired":
      return refuse(
        verified.outcome,
        "Your hold has run out. Let me look at the free times again.",
        "OFFER_ALTERNATIVES",
        { nextTool: "check_availability" },
      );
    case "hold_not_found":
      return refuse(verified.outcome, "I can't find that booking.", "RETRY", {
        nextTool: "check_availability",
      });
    case "unknown_clinic":
    case "cross_tenant_denied":
    case "busy":
      return refuseCommonly(verified.outcome);
  }
}

function refuseOldCode(outcome: string): Answer {
  return refuse(outcome, "That code isn't valid any more. I'll send a new one.", "RETRY", {
    nextTool: "send_otp",
  });
}
