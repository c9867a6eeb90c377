/**
 * `POST vapi-webhook`: the one server URL for everything Vapi sends.
 *
 * - `tool-calls`: every tool, by its name, exactly as at the tool's own address.
 * - `assistant-request`: the assistant registered for the called number's clinic, within Vapi's
 *   7.5 seconds; for an unknown number, or one without an assistant, a sentence for the caller.
 * - `status-update` (ended) and `end-of-call-report`: the call is closed, see shared/calls.ts. 503
 *   asks Vapi to send the message again, which it does when a `backoffPlan` is set.
 * - Anything else: `{}`.
 *
 * This is the only function that imports others, since it serves all tools at one address.
 *
 * @module
 */

import { closeCall } from "../../shared/calls.ts";
import { type AssistantOutcome, findAssistant } from "../../shared/database/calls.ts";
import { type MessageAnswer, serveTools } from "../../shared/request.ts";
import * as sentences from "../../shared/sentences.ts";
import { tools } from "./tools.ts";

export default serveTools("vapi-webhook", tools, async (message, context) => {
  const { envelope } = message;
  switch (message.type) {
    case "assistant-request":
      return introduce(await findAssistant(context.database, envelope));
    case "status-update": {
      if (message.status !== "ended") return { outcome: "ignored", body: {} };
      return acknowledge(await closeCall(context, envelope, message.endedReason));
    }
    case "end-of-call-report": {
      const { report } = message;
      return acknowledge(await closeCall(context, envelope, report.endedReason, report));
    }
  }
});

function acknowledge(outcome: string): MessageAnswer {
  return { outcome, body: {}, ...(outcome === "busy" ? { status: 503 } : {}) };
}

/** What Vapi does with the call: https://docs.vapi.ai/server-url/events#retrieving-assistants */
function introduce({ outcome, assistantId }: AssistantOutcome): MessageAnswer {
  const body = assistantId === undefined ? { error: sentences.numberNotServed } : { assistantId };
  return { outcome, body };
}
