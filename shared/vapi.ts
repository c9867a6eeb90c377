/**
 * Vapi's wire format: what it sends to a server URL and what it expects as answer.
 *
 * A tool call comes in five shapes (docs, OpenAPI, SDK and real requests disagree); all of them are
 * read. Everything but the list of calls may be missing: a web call has no numbers, the dashboard's
 * test button may send no call, a text chat has `chat` instead of `call`.
 *
 * @module
 */

import { z } from "zod";
import { isWithheldNumber } from "./phone.ts";

/** Who called whom, from the authenticated envelope: stated by Vapi, not by the language model. */
export interface Envelope {
  /** The clinic's number, E.164. */
  readonly calledNumber?: string | undefined;
  readonly phoneNumberId?: string | undefined;
  readonly assistantId?: string | undefined;
  /** The caller's number, E.164; missing when withheld. It can be spoofed, so it proves nothing. */
  readonly callerNumber?: string | undefined;
  /** Id of the call or chat. */
  readonly callId?: string | undefined;
  /** The organizations that the request's secret opens, by slug or id; missing when it opens all. */
  readonly boundTo?: readonly string[] | undefined;
}

/** What is known of an authenticated request from outside of its body. */
export interface Vouched extends Pick<Envelope, "boundTo"> {
  /** The call's id from `x-call-id`, for a body that has none. */
  readonly namedCall?: string | undefined;
}

/** One call of one tool. */
export interface ToolCall {
  /** Opaque. The answer must repeat it exactly. */
  readonly id: string;
  readonly name: string;
  /** The model's arguments, or why they cannot be read. */
  readonly arguments:
    | { readonly ok: true; readonly value: Readonly<Record<string, unknown>> }
    | { readonly ok: false; readonly reason: string };
}

/** What a request to a server URL contains. */
export type VapiMessage =
  | {
    readonly type: "tool-calls";
    readonly calls: readonly ToolCall[];
    readonly envelope: Envelope;
  }
  | { readonly type: "assistant-request"; readonly envelope: Envelope }
  | {
    readonly type: "status-update";
    readonly envelope: Envelope;
    /** `in-progress`, `ended`, ... */
    readonly status: string;
    readonly endedReason: string | undefined;
  }
  | {
    readonly type: "end-of-call-report";
    readonly envelope: Envelope;
    readonly report: SpokenReport;
  }
  | { readonly type: "other"; readonly name: string }
  | { readonly type: "unreadable"; readonly reason: string };

/** Vapi's report of a call that has ended. Anything may be missing, and nothing is redacted. */
export interface SpokenReport {
  readonly endedReason: string | undefined;
  readonly durationSeconds: number | undefined;
  /** US dollars. */
  readonly cost: number | undefined;
  /** One turn per line: `User: ...`. */
  readonly transcript: string | undefined;
  readonly summary: string | undefined;
  /** What the model passed to tools in this call, whether or not they accepted it. */
  readonly given: readonly Readonly<Record<string, unknown>>[];
}

/** One entry of `results`; `result` and `error` are single lines. */
export type ToolResult =
  | { readonly name: string; readonly toolCallId: string; readonly result: string }
  | { readonly name: string; readonly toolCallId: string; readonly error: string };

const text = z.string().optional().catch(undefined);
const toolFunction = z.object({ name: text, arguments: z.unknown(), parameters: z.unknown() })
  .partial().optional().catch(undefined);
const toolCall = z.object({
  id: z.union([z.string(), z.number().transform(String)]).optional().catch(undefined),
  name: text,
  function: toolFunction,
  arguments: z.unknown(),
  parameters: z.unknown(),
}).partial().catch({});
const toolWithCall = z.object({ name: text, function: toolFunction, toolCall: toolCall.optional() })
  .catch({});
const numbered = z.object({ id: text, number: text }).partial().optional().catch(undefined);
const amount = z.number().min(0).max(1e9).optional().catch(undefined);
const toolCalls = z.array(toolCall).optional().catch(undefined);
const turn = z.object({ role: text, message: text, toolCalls, tool_calls: toolCalls }).catch({});
const artifact = z.object({
  transcript: text,
  messages: z.array(turn).optional().catch(undefined),
}).partial().optional().catch(undefined);
const message = z.object({
  type: text,
  status: text,
  endedReason: text,
  durationSeconds: amount,
  cost: amount,
  transcript: text,
  summary: text,
  artifact,
  analysis: z.object({ summary: text }).partial().optional().catch(undefined),
  toolCallList: toolCalls,
  toolCalls,
  toolWithToolCallList: z.array(toolWithCall).optional().catch(undefined),
  phoneNumber: numbered,
  customer: numbered,
  assistant: numbered,
  call: z.object({
    id: text,
    phoneNumberId: text,
    assistantId: text,
    customer: numbered,
    phoneNumber: numbered,
  }).partial().optional().catch(undefined),
  chat: numbered,
});
const body = z.object({ message });

type RawToolCall = z.infer<typeof toolCall>;

/**
 * Reads the body of a request to a server URL.
 *
 * @param bodyText The raw body, at most 2 MB.
 * @param vouched What is known from outside of the body.
 */
export function readMessage(bodyText: string, vouched: Vouched = {}): VapiMessage {
  let json: unknown;
  try {
    json = JSON.parse(bodyText);
  } catch {
    return { type: "unreadable", reason: "the body is not JSON" };
  }
  const parsed = body.safeParse(json);
  if (!parsed.success) {
    return { type: "unreadable", reason: "the body has no message object" };
  }
  const received = parsed.data.message;
  const envelope = readEnvelope(received, vouched);
  switch (received.type) {
    case "assistant-request":
      return { type: received.type, envelope };
    case "status-update":
      return {
        type: received.type,
        envelope,
        status: received.status ?? "",
        endedReason: filled(received.endedReason),
      };
    case "end-of-call-report":
      return { type: received.type, envelope, report: readReport(received) };
    case "tool-calls":
    case undefined:
      break;
    default:
      return { type: "other", name: received.type };
  }
  const calls = listCalls(received);
  if (calls.length === 0) {
    return { type: "unreadable", reason: "the message has no tool calls" };
  }
  return { type: "tool-calls", calls, envelope };
}

function readReport(received: z.infer<typeof message>): SpokenReport {
  const { artifact, analysis, durationSeconds, cost } = received;
  const transcript = artifact?.transcript || received.transcript || joinTurns(artifact?.messages);
  return {
    endedReason: filled(received.endedReason),
    durationSeconds: durationSeconds || undefined,
    cost: cost || undefined,
    transcript: transcript || undefined,
    summary: analysis?.summary || received.summary || undefined,
    given: listGiven(artifact?.messages),
  };
}

function listGiven(turns: readonly z.infer<typeof turn>[] = []): SpokenReport["given"] {
  return turns.flatMap((turn) => [...turn.toolCalls ?? [], ...turn.tool_calls ?? []])
    .map(readArgumentsOf)
    .flatMap((read) => read.ok ? [read.value] : []);
}

/** The transcript when Vapi sent none: caller and assistant, without prompts and tool results. */
function joinTurns(turns: readonly z.infer<typeof turn>[] | undefined): string | undefined {
  const speakers: Readonly<Record<string, string>> = { user: "User", bot: "AI", assistant: "AI" };
  const said = turns?.filter(({ role, message }) => role && role in speakers && message);
  return said?.map(({ role = "", message }) => `${speakers[role]}: ${message}`).join("\n");
}

function listCalls(received: z.infer<typeof message>): ToolCall[] {
  const paired = received.toolWithToolCallList?.map((entry): RawToolCall => ({
    ...entry.toolCall,
    name: entry.toolCall?.name ?? entry.name ?? entry.function?.name,
  }));
  const lists = [received.toolCallList, received.toolCalls, paired];
  const raw = lists.find((list) => list !== undefined && list.length > 0) ?? [];
  return raw.map((call) => ({
    id: call.id ?? "",
    name: call.function?.name ?? call.name ?? "",
    arguments: readArgumentsOf(call),
  }));
}

function readArgumentsOf(call: RawToolCall): ToolCall["arguments"] {
  return readArguments(
    call.function?.arguments ?? call.function?.parameters ?? call.arguments ?? call.parameters,
  );
}

const record = z.record(z.string(), z.unknown());

function readArguments(given: unknown): ToolCall["arguments"] {
  if (given === undefined || given === null) return { ok: true, value: {} };
  let value = given;
  if (typeof given === "string") {
    if (given.trim() === "") return { ok: true, value: {} };
    try {
      value = JSON.parse(given);
    } catch {
      return { ok: false, reason: "the arguments are not JSON" };
    }
  }
  const parsed = record.safeParse(value);
  return parsed.success
    ? { ok: true, value: parsed.data }
    : { ok: false, reason: "the arguments are not an object" };
}

function readEnvelope(
  received: z.infer<typeof message>,
  { namedCall, boundTo }: Vouched,
): Envelope {
  const { call } = received;
  return {
    calledNumber: e164(received.phoneNumber?.number ?? call?.phoneNumber?.number),
    phoneNumberId: filled(call?.phoneNumberId ?? received.phoneNumber?.id),
    assistantId: filled(call?.assistantId ?? received.assistant?.id),
    callerNumber: e164(received.customer?.number ?? call?.customer?.number),
    callId: filled(call?.id ?? received.chat?.id ?? namedCall),
    boundTo,
  };
}

// PostgreSQL cannot store a NUL or half a surrogate pair, and no id of Vapi's has one.
function filled(given: string | undefined): string | undefined {
  const clean = given?.replace(/\p{Cc}/gu, "").trim().slice(0, 200).toWellFormed();
  return clean ? clean : undefined;
}

function e164(given: string | undefined): string | undefined {
  const compact = given?.replace(/[\s().-]/g, "");
  const isNumber = compact && /^\+[1-9][0-9]{6,14}$/.test(compact) && !isWithheldNumber(compact);
  return isNumber ? compact : undefined;
}

/** `{"results": [...]}` with status 200. Vapi reads no other answer to tool calls. */
export function toResponse(results: readonly ToolResult[]): Response {
  return Response.json({ results });
}

/** An outcome as one line of flat JSON. */
export function resultOf(call: ToolCall, answer: Readonly<Record<string, unknown>>): ToolResult {
  // U+2028 and U+2029 are line breaks too, but JSON does not escape them.
  const line = JSON.stringify(answer).replace(/[\u2028\u2029]/g, " ");
  return { name: call.name, toolCallId: call.id, result: line };
}

/** A fault or an unknown tool, as one line of text. */
export function errorOf(call: ToolCall, sentence: string): ToolResult {
  return { name: call.name, toolCallId: call.id, error: sentence.replace(/\s+/g, " ").trim() };
}
