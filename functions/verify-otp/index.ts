/**
 * Tool `verify_otp`: checks the passcode that the caller read out, confirms every hold of the call for
 * its phone, and carries out what was asked for about existing appointments.
 *
 * @module
 */

import { z } from "zod";
import { refuse, refuseCommonly, succeed } from "../../shared/answers.ts";
import {
  proofOutcomes,
  refuseCallNeeded,
  sayConfirmed,
  saySettled,
} from "../../shared/appointment.ts";
import type { VerificationOutcome } from "../../shared/database/passcodes.ts";
import { refuseHold, refuseLocked } from "../../shared/hold.ts";
import { verifyPasscode } from "../../shared/passcodes.ts";
import { askForAnotherPhone } from "../../shared/patient.ts";
import { serveTool } from "../../shared/request.ts";
import * as sentences from "../../shared/sentences.ts";
import { sayTime } from "../../shared/speech.ts";
import { readPasscode } from "../../shared/spoken_digits.ts";

const { needed } = sentences;

const input = z.object({
  code: z.preprocess(
    (code) => typeof code === "number" ? readPasscode(code) ?? "" : code,
    z.string(needed.code).max(1000, needed.code),
  )
    .describe("The six digits the caller read out or typed, as text so that zeros stay"),
  holdId: z.string().max(200).optional().catch(undefined)
    .describe("The holdId that the tool before gave; left out, what this call is about"),
});

export default serveTool({
  name: "verify_otp",
  description:
    "Checks the code the caller read out. It confirms every hold of this call for that number, and " +
    "cancels, moves or finds what was asked for. Call it when a code was texted, with what the caller said.",
  continues: true,
  input,
  outcomes: {
    confirmed: "every hold that waited for the number is booked",
    already_confirmed: "it was already booked",
    cancelled: "the appointment is cancelled",
    rescheduled: "the appointment is moved",
    found: "the appointments of the patients named in this call",
    which_appointment: proofOutcomes.which_appointment,
    appointment_not_found: proofOutcomes.appointment_not_found,
    slot_taken: "the new time is not available; times near it",
    hold_limit: "too many times are already held",
    malformed_code: "not six digits; no attempt was counted",
    wrong_code: "another code was texted; attempts are left",
    code_expired: "the code is too old",
    no_code: "no code is waiting for an answer",
    code_locked:
      "too many wrong codes for this one; a new one can be texted unless ESCALATE says so",
    code_unreadable: "the pepper of its MAC is unknown; no attempt was counted",
    locked: "too many wrong codes; the front desk takes over",
    hold_not_found: "this call has no such hold",
    hold_expired: "the hold has expired",
    call_needed: proofOutcomes.call_needed,
  },
  run: async ({ code, holdId }, context) => {
    const passcode = readPasscode(code);
    return passcode === undefined
      ? refuse("malformed_code", sentences.codeMalformed, "RETRY")
      : say(await verifyPasscode(context, context.call, passcode, holdId));
  },
});

function say(verified: VerificationOutcome) {
  switch (verified.outcome) {
    case "confirmed":
      return sayConfirmed(verified);
    case "already_confirmed": {
      const { outcome, holdId, startTime, endTime, service, doctor } = verified;
      return succeed(outcome, sentences.confirmed([verified]), {
        ...{ holdId, startTime, endTime, spoken: sayTime(startTime), service, doctor },
      });
    }
    case "cancelled":
    case "rescheduled":
    case "found":
    case "which_appointment":
    case "appointment_not_found":
    case "slot_taken":
    case "hold_limit":
      return saySettled(verified);
    case "wrong_code": {
      const { outcome, attemptsLeft, undelivered } = verified;
      return undelivered
        ? askForAnotherPhone(outcome, sentences.textUndelivered, { attemptsLeft })
        : refuse(outcome, sentences.codeWrong, "RETRY", { attemptsLeft });
    }
    case "code_expired":
    case "no_code":
      return verified.undelivered
        ? askForAnotherPhone(verified.outcome, sentences.textUndelivered)
        : refuseOldCode(verified.outcome);
    case "code_locked":
      return verified.isFinal
        ? refuse(verified.outcome, sentences.codesLocked, "ESCALATE")
        : refuseOldCode(verified.outcome);
    case "code_unreadable":
      return refuseOldCode(verified.outcome);
    case "call_needed":
      return refuseCallNeeded();
    case "locked":
      return refuseLocked();
    case "hold_expired":
    case "hold_not_found":
      return refuseHold(verified.outcome);
    case "unknown_clinic":
    case "cross_tenant_denied":
    case "busy":
      return refuseCommonly(verified.outcome);
  }
}

function refuseOldCode<Outcome extends string>(outcome: Outcome) {
  return refuse(outcome, sentences.codeOld, "RETRY", { nextTool: "send_otp" });
}
