/**
 * The assistant that answers a clinic's phone, in Vapi's format, made from the clinic's rows.
 *
 * Source: Vapi's CreateAssistantDTO. It contains no patient data.
 *
 * @module
 */

import type { LineProfile } from "../database/calls.ts";
import * as sentences from "../sentences.ts";
import { composePrompt } from "./prompt.ts";
import { hear, models, voices } from "./presets.ts";
import type { FunctionsAddress, VapiTool } from "./tool_definition.ts";

/** The assistant's function tools: their definitions, or their ids in the Vapi account. */
export type AssistantTools = { readonly tools: readonly VapiTool[] } | {
  readonly toolIds: readonly string[];
};

/** A name that is unique for each clinic within Vapi's 40 characters: `sunrise-dental-5a11d0`. */
export function nameAssistant({ slug, orgId }: Pick<LineProfile, "slug" | "orgId">): string {
  return `${slug.slice(0, 33)}-${orgId.replaceAll("-", "").slice(0, 6)}`;
}

/**
 * Composes the assistant of a clinic.
 *
 * @param toolNames The tools it has. The prompt mentions only these.
 * @throws {Error} When a voice or model is not among the presets; names it.
 */
export function composeAssistant(
  profile: LineProfile,
  toolNames: readonly string[],
  tools: AssistantTools,
  { functionsUrl, credentialId }: FunctionsAddress,
) {
  const { transcriber, startSpeakingPlan } = hear(profile.language, keytermsOf(profile));
  return {
    name: nameAssistant(profile),
    firstMessage: profile.greeting ?? sentences.greeting(profile.name),
    firstMessageMode: "assistant-speaks-first",
    transcriber,
    voice: preset(voices, profile.voice, "voice"),
    model: {
      ...preset(models, profile.model, "model"),
      temperature: 0,
      maxTokens: 250,
      messages: [{ role: "system", content: composePrompt(profile, toolNames) }],
      ...("toolIds" in tools ? { toolIds: tools.toolIds } : {}),
      tools: [
        ...("tools" in tools ? tools.tools : []),
        ...transferTool(profile),
        { type: "endCall" },
      ],
    },
    startSpeakingPlan,
    // Two words interrupt the assistant, a cough does not.
    stopSpeakingPlan: { numWords: 2, voiceSeconds: 0.2, backoffSeconds: 1 },
    keypadInputPlan: { enabled: true, delimiters: "#", timeoutSeconds: 3 },
    hooks: silenceHooks,
    endCallPhrases: ["goodbye for now", "have a good day, goodbye"],
    maxDurationSeconds: 900,
    serverMessages: ["tool-calls", "status-update", "end-of-call-report"],
    server: {
      url: `${functionsUrl}/vapi-webhook`,
      timeoutSeconds: 20,
      // Without retries, a 503 would lose the report of a call.
      backoffPlan: {
        type: "exponential",
        maxRetries: 3,
        baseDelaySeconds: 1,
        excludedStatusCodes: [400, 401, 403, 404, 413, 422],
      },
      ...(credentialId === undefined ? {} : { credentialId }),
    },
    artifactPlan: {
      recordingEnabled: profile.recordsCalls,
      videoRecordingEnabled: false,
      transcriptPlan: { enabled: profile.keepsTranscript },
    },
    // Nobody may listen in.
    monitorPlan: { listenEnabled: false, controlEnabled: false },
    metadata: { organization: profile.orgId, managedBy: "master-orchestrator" },
  };
}

/** A text can take half a minute to arrive, so the assistant says that it is still there. */
const silenceHooks = [
  {
    name: "still-here",
    on: "customer.speech.timeout",
    options: { timeoutSeconds: 20, triggerMaxCount: 4, triggerResetMode: "onUserSpeech" },
    do: [{ type: "say", exact: sentences.stillHere }],
  },
  {
    name: "nobody-there",
    on: "customer.speech.timeout",
    options: { timeoutSeconds: 120, triggerMaxCount: 1, triggerResetMode: "onUserSpeech" },
    do: [
      { type: "say", exact: sentences.hangingUp },
      { type: "tool", tool: { type: "endCall" } },
    ],
  },
];

function transferTool({ transferNumber }: LineProfile) {
  if (transferNumber === undefined) return [];
  return [{
    type: "transferCall",
    messages: [{ type: "request-start", content: sentences.connecting, blocking: true }],
    destinations: [{
      type: "number",
      number: transferNumber,
      description:
        "The front desk: when an answer says that you connect the caller, or the caller " +
        "asks for a person while the desk is open.",
      transferPlan: {
        mode: "blind-transfer",
        fallbackPlan: {
          message: sentences.nobodyPickedUp,
          endCallEnabled: false,
        },
      },
    }],
  }];
}

/** Names that a transcriber may not know. Services of one word are ordinary words. */
function keytermsOf({ name, doctors, services }: LineProfile): string[] {
  return [...new Set([name, ...doctors, ...services.map((service) => service.name)])].slice(0, 50);
}

function preset<T>(presets: Readonly<Record<string, T>>, chosen: string, kind: string): T {
  const found = Object.hasOwn(presets, chosen) ? presets[chosen] : undefined;
  if (found !== undefined) return found;
  const known = Object.keys(presets).join(", ");
  throw new Error(
    `Cannot compose an assistant with the ${kind} "${chosen}": choose one of ${known}`,
  );
}
