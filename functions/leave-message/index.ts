/**
 * Tool `leave_message`: stores a message for the front desk when nobody can take the call.
 *
 * @module
 */

import { z } from "zod";
import { messageTool, refuse, refuseCommonly, succeed } from "../../shared/answers.ts";
import { leaveMessage, type MessageOutcome } from "../../shared/database/desk_messages.ts";
import { isName } from "../../shared/given.ts";
import { choosePhone, type ChosenPhone } from "../../shared/patient.ts";
import { redact } from "../../shared/redaction.ts";
import { serveTool } from "../../shared/request.ts";
import * as sentences from "../../shared/sentences.ts";

const { needed } = sentences;

const input = z.object({
  callerName: z.string(needed.callerName).max(120, needed.callerName)
    .refine(isName, needed.callerName)
    .describe("First and last name of the caller"),
  message: z.string(needed.message).max(1500, needed.message)
    .describe("What the front desk should know, in one to three sentences"),
  callbackNumber: z.preprocess(
    (said) => typeof said === "number" ? String(said) : said,
    z.string(needed.phone).max(200, needed.phone),
  ).optional()
    .describe("Number to call back, if it is not the number the caller calls from"),
  wishedTime: z.string(needed.wishedTime).max(120, needed.wishedTime)
    .optional()
    .describe("When the caller would like to be called back, as said"),
});

export default serveTool({
  name: messageTool,
  description: "Leaves a message for the front desk. Call it when an answer names it as nextTool " +
    "and the caller wants to leave one, or when the caller asks for a person while the front desk " +
    "is closed. Ask for the name, the message and when to call back. It promises no call back.",
  input,
  outcomes: {
    left: "the message is stored for the front desk",
    call_message_limit: "this call has already left two messages",
    message_limit: "the clinic or the caller's number has reached its hourly limit of messages",
    phone_needed: "no number was given, and the caller's number is withheld",
    phone_unclear: "the number cannot be read",
    unusable_phone: "the number cannot be called back",
  },
  run: async ({ callerName, message, callbackNumber, wishedTime }, { call, database }) => {
    const phone = await choosePhone(callbackNumber, call, database);
    if (phone.kind !== "phone") return refuseCallback(phone.kind);
    return say(
      await leaveMessage(database, call, {
        callerName,
        phone: phone.e164,
        wishedTime: wishedTime === undefined ? undefined : redact(wishedTime).text,
        message: redact(message).text,
      }),
    );
  },
});

function refuseCallback(kind: Exclude<ChosenPhone["kind"], "phone">) {
  const fields = ["callbackNumber"];
  switch (kind) {
    case "missing":
      return refuse("phone_needed", sentences.callbackNeeded, "RETRY", { fields });
    case "unclear":
      return refuse("phone_unclear", sentences.callbackUnclear, "RETRY", { fields });
    case "premium":
    case "extension":
      return refuse("unusable_phone", sentences.callbackUnusable, "RETRY", { fields });
  }
}

function say(message: MessageOutcome) {
  switch (message.outcome) {
    case "left":
      return succeed(message.outcome, sentences.messageLeft(message.opensAt));
    case "call_message_limit":
    case "message_limit":
      return refuse(message.outcome, sentences.messagesEnough, "ESCALATE");
    case "unknown_clinic":
    case "cross_tenant_denied":
    case "busy":
      return refuseCommonly(message.outcome);
  }
}
