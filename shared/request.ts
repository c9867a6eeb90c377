/**
 * The path of every request from Vapi: authenticate, read, dispatch, answer.
 *
 * A wrong secret gets a bare 401. Everything else gets 200, because Vapi ignores answers with any other
 * status. Outcomes are sent as `result`, faults as `error`, one for each tool call id, in order.
 *
 * @module
 */

import type { Urgency } from "./admission.ts";
import { type Answer, handOver, refuseCommonly } from "./answers.ts";
import { readBody } from "./body.ts";
import type { CallFacts } from "./database/entry.ts";
import { type Budget, startBudget, withDeadline } from "./deadline.ts";
import { allowOnly, deny } from "./denials.ts";
import { Fault, toFault } from "./errors.ts";
import { isNotGiven } from "./given.ts";
import { type Runtime, serve, type ServedFunction } from "./runtime.ts";
import * as sentences from "./sentences.ts";
import { defineTool, refuseArguments, type Tool, type ToolDefinition } from "./tool.ts";
import {
  type Envelope,
  errorOf,
  readMessage,
  resultOf,
  type ToolCall,
  type ToolResult,
  toResponse,
  type VapiMessage,
} from "./vapi.ts";
import { type Pass, Work, type WorkContext } from "./work.ts";

/** Bodies grow during a call; after 45 seconds one had 50 KB. */
const bodyLimits = { limitBytes: 2 * 1024 * 1024, timeoutMs: 5000 };
/** All deadlines inside end with the budget. We wait this long for the results of their ending. */
const graceMs = 300;
const callsPerRequest = 10;

/** The Edge Function of one tool, which `vapi-webhook` serves as well. */
export interface ServedTool extends ServedFunction {
  readonly tool: Tool;
}

/** Creates the Edge Function of a tool. */
export function serveTool<Input, Outcome extends string>(
  definition: ToolDefinition<Input, Outcome>,
): ServedTool {
  const tool = defineTool(definition);
  return { tool, ...serveTools(tool.name, [tool]) };
}

/** A message from Vapi that is not a tool call but needs an answer. */
export type CallMessage = Extract<
  VapiMessage,
  { readonly type: "assistant-request" | "status-update" | "end-of-call-report" }
>;

/** The result of a message. */
export interface MessageAnswer {
  /** For logs and metrics. */
  readonly outcome: string;
  readonly body: Readonly<Record<string, unknown>>;
  /** 200, unless Vapi should send the message again. */
  readonly status?: 503;
}

/** Answers a message. */
export type AnswerMessage = (
  message: CallMessage,
  context: WorkContext,
) => Promise<MessageAnswer>;

/** What one function answers. */
interface Address {
  /** Its name in logs. */
  readonly name: string;
  readonly tools: readonly Tool[];
  readonly answerMessage: AnswerMessage | undefined;
}

/**
 * Creates an Edge Function that answers calls of several tools.
 *
 * @param name Its name in logs.
 * @param answerMessage Answers Vapi's other messages. Without it they are ignored.
 */
export function serveTools(
  name: string,
  tools: readonly Tool[],
  answerMessage?: AnswerMessage,
): ServedFunction {
  return serve((runtime, request) =>
    answerRequest({ name, tools, answerMessage }, runtime, request)
  );
}

async function answerRequest(
  address: Address,
  runtime: Runtime,
  request: Request,
): Promise<Response> {
  const budget = startBudget(runtime.deadlines.requestMs);
  const { authenticator } = runtime;
  if (!authenticator.hasCredentials(request.headers)) {
    return deny(runtime, address.name, "no secret was sent");
  }
  if (request.method !== "POST") return allowOnly("POST");
  const body = await readBody(request, bodyLimits);
  const bytes = body.ok ? body.bytes : new Uint8Array();
  const proof = authenticator.authenticate(request.headers, bytes);
  if (!proof) return deny(runtime, address.name, "the secret or the signature is wrong");
  // No signature covers the header, so whoever replays a body could name another call in it.
  const namedCall = proof.by === "secret"
    ? request.headers.get("x-call-id") ?? undefined
    : undefined;
  const message = body.ok
    ? readMessage(new TextDecoder().decode(body.bytes), { namedCall, boundTo: proof.boundTo })
    : { type: "unreadable", reason: body.reason } as const;
  return await dispatch(address, runtime, message, {
    budget,
    hasGone: () => request.signal.aborted,
  });
}

/** The time that a request has, and whether its caller still waits. */
interface Waiter {
  readonly budget: Budget;
  readonly hasGone: () => boolean;
}

async function dispatch(
  address: Address,
  runtime: Runtime,
  message: VapiMessage,
  waiter: Waiter,
): Promise<Response> {
  const { log } = runtime;
  switch (message.type) {
    case "unreadable":
      log.warn("request_unreadable", { function: address.name, reason: message.reason });
      return Response.json({ results: [], error: `Cannot read the request: ${message.reason}` });
    case "tool-calls":
      return await admit(
        runtime,
        waiter,
        { envelope: message.envelope, urgency: urgencyOf(address, message.calls) },
        (pass) => answerCalls(address, runtime, message, pass),
        () => refuseCalls(address, runtime, message.calls),
      );
    case "other":
      log.debug("message_ignored", { function: address.name, type: message.name });
      return Response.json({});
    default: {
      const isHeard = message.type === "assistant-request";
      return await admit(
        runtime,
        waiter,
        { envelope: message.envelope, urgency: isHeard ? "begins" : "unheard" },
        (pass) => answerMessage(address, runtime, message, pass),
        () => refuseMessage(message),
      );
    }
  }
}

/** Answers a request when it has a turn, or refuses it, which costs as little as possible. */
async function admit(
  { admission }: Runtime,
  { budget, hasGone }: Waiter,
  { envelope, urgency }: { readonly envelope: Envelope; readonly urgency: Urgency },
  answer: (pass: Pass) => Promise<Response>,
  refuse: () => Response,
): Promise<Response> {
  const clinic = envelope.calledNumber ?? envelope.phoneNumberId ?? envelope.assistantId ?? "";
  const turn = await admission.enter({ clinic, urgency, budget, hasGone });
  if (!turn) return refuse();
  try {
    return await answer({ budget, turn });
  } finally {
    turn.end();
  }
}

function urgencyOf({ tools }: Address, calls: readonly ToolCall[]): Urgency {
  const continues = calls.some((call) => tools.find(({ name }) => name === call.name)?.continues);
  return continues ? "continues" : "begins";
}

async function answerCalls(
  address: Address,
  runtime: Runtime,
  { calls, envelope }: Extract<VapiMessage, { readonly type: "tool-calls" }>,
  pass: Pass,
): Promise<Response> {
  const results: ToolResult[] = [];
  // In order, because a later call may depend on an earlier one.
  for (const [index, call] of calls.entries()) {
    results.push(
      index < callsPerRequest
        ? await answerCall(address, runtime, call, envelope, pass)
        : errorOf(call, `At most ${callsPerRequest} tool calls fit into one request.`),
    );
  }
  return toResponse(results);
}

/** Answers busy to each tool call. Every one is counted, but they share a log line. */
function refuseCalls(
  { tools }: Address,
  { recorder }: Runtime,
  calls: readonly ToolCall[],
): Response {
  const { facts, ...said } = refuseCommonly("busy");
  return toResponse(calls.map((call) => {
    const tool = tools.find(({ name }) => name === call.name);
    if (tool) recorder.toolCall({ tool: tool.name, outcome: said.outcome, totalMs: 0 });
    return resultOf(call, { ...said, ...facts });
  }));
}

async function answerMessage(
  { name, answerMessage }: Address,
  runtime: Runtime,
  message: CallMessage,
  pass: Pass,
): Promise<Response> {
  if (!answerMessage) {
    runtime.log.debug("message_ignored", { function: name, type: message.type });
    return Response.json({});
  }
  const { callId } = message.envelope;
  const named = { function: name, tool: message.type, callId };
  const work = new Work(runtime, pass, "message", named);
  try {
    const { outcome, body, status = 200 } = await withDeadline(
      pass.budget.remainingMs() + graceMs,
      () => answerMessage(message, work.context),
    );
    work.record(outcome);
    return Response.json(body, { status });
  } catch (thrown) {
    const fault = toFault(thrown);
    work.record(fault.code, fault);
    return refuseMessage(message);
  }
}

/** A caller waits for the assistant. Any other message can be sent again. */
function refuseMessage({ type }: CallMessage): Response {
  return type === "assistant-request"
    ? Response.json({ error: sentences.callNotTaken })
    : Response.json({}, { status: 503 });
}

/** What Vapi takes as a function's name. Anything else the model wrote may be what somebody said. */
const isToolName = /^[A-Za-z0-9_-]{1,64}$/;

async function answerCall(
  address: Address,
  runtime: Runtime,
  call: ToolCall,
  envelope: Envelope,
  pass: Pass,
): Promise<ToolResult> {
  const tool = address.tools.find(({ name }) => name === call.name);
  if (!tool) {
    const asked = isToolName.test(call.name) ? call.name : "(not a name)";
    const names = address.tools.map(({ name }) => name).join(", ");
    runtime.log.warn("unknown_tool", { function: address.name, tool: asked });
    return errorOf(call, `Unknown tool "${asked}": this address answers ${names}.`);
  }
  const log = runtime.log.concealing(call.arguments.ok ? call.arguments.value : undefined);
  const work = new Work({ ...runtime, log }, pass, "tool_call", {
    function: address.name,
    tool: tool.name,
    callId: envelope.callId,
    toolCallId: call.id,
  });
  try {
    const answer = await withDeadline(
      pass.budget.remainingMs() + graceMs,
      () => runTool(tool, call, envelope, work.context),
    ).catch(answerBusy);
    work.record(answer.outcome);
    const { facts, ...said } = handOver(answer, tool.name, work.desk);
    return resultOf(call, { ...said, ...facts });
  } catch (thrown) {
    const fault = toFault(thrown);
    work.record(fault.code, fault);
    return errorOf(call, sentences.fault);
  }
}

/** A call that the database had no time for was rolled back and can be repeated. Other faults remain. */
function answerBusy(thrown: unknown): Answer {
  if (thrown instanceof Fault && thrown.code === "database_busy") return refuseCommonly("busy");
  throw thrown;
}

async function runTool(
  tool: Tool,
  call: ToolCall,
  envelope: Envelope,
  context: WorkContext,
): Promise<Answer> {
  if (!call.arguments.ok) return refuseArguments(call.arguments.reason);
  const given = cleanArguments(call.arguments.value);
  const toolCallId = cleanText(call.id.slice(0, 200));
  const facts: CallFacts = { ...envelope, toolCallId, claims: readClaims(given) };
  return await tool.run(given, { ...context, call: facts });
}

/** Drops arguments without a value: models send null, blank text or words such as N/A. */
function cleanArguments(given: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const cleaned = Object.entries(given).map(([name, value]) =>
    [name, typeof value === "string" ? cleanText(value).trim() : value] as const
  );
  return Object.fromEntries(
    cleaned.filter(([, value]) =>
      value !== null && value !== "" && !(typeof value === "string" && isNotGiven(value))
    ),
  );
}

// PostgreSQL's jsonb cannot store control characters or halves of surrogate pairs.
function cleanText(text: string): string {
  return text.toWellFormed().replace(/\p{Cc}+/gu, " ");
}

/** What the arguments say about the call. The database compares it with the envelope. */
function readClaims(given: Readonly<Record<string, unknown>>): CallFacts["claims"] {
  const text = (value: unknown) => typeof value === "string" ? value : JSON.stringify(value);
  return {
    tenantId: text(given["tenantId"]),
    inboundPhoneNumber: text(given["inboundPhoneNumber"]),
    // Static parameters of the tool, which Vapi adds to the arguments.
    callId: text(given["call_id"]),
    callerNumber: text(given["caller_number"]),
    calledNumber: text(given["called_number"]),
  };
}
