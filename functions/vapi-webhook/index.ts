/**
 * `POST vapi-webhook`: the one server URL for everything Vapi sends.
 *
 * - `tool-calls`: every tool by its name, exactly as at the tool's own address.
 * - `assistant-request`: the assistant registered for the called number's clinic. If there is none, a
 *   whole assistant, composed from the clinic's rows in one round trip (Vapi waits 7.5 seconds). For
 *   an unknown number, a sentence for the caller.
 * - `status-update` (ended) and `end-of-call-report`: closes the call, see shared/calls.ts. 503 asks
 *   Vapi to send the message again, which it does if a `backoffPlan` is set.
 * - Anything else: `{}`.
 *
 * This is the only function that imports others, because it serves all tools at one address.
 *
 * @module
 */

import { closeCall } from "../../shared/calls.ts";
import type { Config } from "../../shared/config.ts";
import { type AssistantOutcome, findAssistant } from "../../shared/database/calls.ts";
import { composeAssistant } from "../../shared/line/assistant.ts";
import { defineForVapi } from "../../shared/line/tool_definition.ts";
import { type MessageAnswer, serveTools } from "../../shared/request.ts";
import * as sentences from "../../shared/sentences.ts";
import { tools } from "./tools.ts";

export default serveTools("vapi-webhook", tools, async (message, context) => {
  const { envelope } = message;
  switch (message.type) {
    case "assistant-request":
      return introduce(await findAssistant(context.database, envelope), context.config);
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

/** What Vapi should do with the call: https://docs.vapi.ai/server-url/events#retrieving-assistants */
function introduce(found: AssistantOutcome, { functionsPublicUrl }: Config): MessageAnswer {
  const { outcome } = found;
  switch (outcome) {
    case "found":
      return { outcome, body: { assistantId: found.assistantId } };
    case "not_registered": {
      const address = { functionsUrl: functionsPublicUrl };
      const names = tools.map(({ name }) => name);
      const defined = tools.map((tool) => defineForVapi(tool, address));
      const assistant = composeAssistant(found.profile, names, { tools: defined }, address);
      return { outcome, body: { assistant } };
    }
    case "unknown_clinic":
      return { outcome, body: { error: sentences.numberNotServed } };
  }
}
