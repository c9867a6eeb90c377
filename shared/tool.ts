/**
 * The path of every tool call: authenticate, read, run, answer, log.
 *
 * A bad secret is a bare 401. Everything else is 200, since Vapi ignores any other status: business
 * outcomes as `result`, infrastructure failures as `error`, one per tool call id, in order.
 *
 * @module
 */

import type { z } from "zod";
import { type Answer, refuse } from "./answers.ts";
import { readBody } from "./body.ts";
import type { Config } from "./config.ts";
import type { AccountCache } from "./credentials.ts";
import type { Database } from "./database/client.ts";
import type { CallFacts } from "./database/entry.ts";
import { type Budget, startBudget, withDeadline } from "./deadline.ts";
import { type Fault, toFault } from "./errors.ts";
import type { Log, LogFields } from "./logging.ts";
import { type Runtime, serve, type ServedFunction } from "./runtime.ts";
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

/** Bodies grow with the call: 50 KB after 45 seconds. */
const bodyLimits = { limitBytes: 2 * 1024 * 1024, timeoutMs: 5000 };
/** A caller notices silence long before this; it is the end, not the aim. */
const requestBudgetMs = 7000;
const callsPerRequest = 10;
const slowDatabaseMs = 500;
const slowSmsMs = 2000;

/** What one tool call may use. */
export interface ToolContext {
  readonly call: CallFacts;
  readonly config: Config;
  readonly database: Database;
  readonly accounts: AccountCache;
  readonly budget: Budget;
  readonly log: Log;
  readonly onSms: (durationMs: number) => void;
}

/** One Vapi tool: what it takes, what it does, what it says. */
export interface ToolDefinition<Input> {
  /** The function name in Vapi. */
  readonly name: string;
  /** Tells the model when to call it; under 1000 characters. */
  readonly description: string;
  /** Checked at the edge; the JSON Schema for Vapi is made from it. */
  readonly input: z.ZodType<Input>;
  run(input: Input, context: ToolContext): Promise<Answer>;
}

/** The Edge Function of one tool, which `vapi-webhook` serves too. */
export interface ServedTool extends ServedFunction {
  readonly tool: Tool;
}

/** A tool whose input is its own affair. */
export interface Tool {
  readonly name: string;
  run(given: Readonly<Record<string, unknown>>, context: ToolContext): Promise<Answer>;
}

/** Makes the Edge Function of a tool. */
export function serveTool<Input>(definition: ToolDefinition<Input>): ServedTool {
  const tool: Tool = {
    name: definition.name,
    run: async (given, context) => {
      const input = definition.input.safeParse(given);
      return input.success
        ? await definition.run(input.data, context)
        : refuseInput(input.error.issues);
    },
  };
  return { tool, ...serveTools(tool.name, [tool]) };
}

/** A message of Vapi's that is no tool call and is answered all the same. */
export type CallMessage = Extract<
  VapiMessage,
  { readonly type: "assistant-request" | "status-update" | "end-of-call-report" }
>;

/** What a message led to. */
export interface MessageAnswer {
  /** For logs and metrics. */
  readonly outcome: string;
  readonly body: Readonly<Record<string, unknown>>;
  /** 200 unless Vapi should send the message again. */
  readonly status?: 503;
}

/** Answers a message, with what a tool may use. */
export type AnswerMessage = (
  message: CallMessage,
  context: Omit<ToolContext, "call">,
) => Promise<MessageAnswer>;

/**
 * Makes an Edge Function that answers calls of several tools.
 *
 * @param name Its name in logs.
 * @param answerMessage Answers Vapi's other messages; left out, they are ignored.
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

/** What one address answers. */
interface Address {
  readonly name: string;
  readonly tools: readonly Tool[];
  readonly answerMessage: AnswerMessage | undefined;
}

async function answerRequest(
  address: Address,
  runtime: Runtime,
  request: Request,
): Promise<Response> {
  const budget = startBudget(requestBudgetMs);
  const { authenticator, log } = runtime;
  if (!authenticator.isClaimed(request.headers)) {
    return deny(address, runtime, "no secret was sent");
  }
  if (request.method !== "POST") {
    return new Response(null, { status: 405, headers: { allow: "POST" } });
  }
  const body = await readBody(request, bodyLimits);
  if (!await authenticator.isAuthentic(request.headers, body.ok ? body.bytes : new Uint8Array())) {
    return deny(address, runtime, "the secret or the signature is wrong");
  }
  const message = body.ok
    ? readMessage(new TextDecoder().decode(body.bytes), request.headers)
    : { type: "unreadable", reason: body.reason } as const;
  switch (message.type) {
    case "unreadable":
      log.warn("request_unreadable", { function: address.name, reason: message.reason });
      return Response.json({ results: [], error: `Cannot read the request: ${message.reason}` });
    case "tool-calls": {
      const results: ToolResult[] = [];
      // One after the other: a later call may depend on an earlier one.
      for (const [index, call] of message.calls.entries()) {
        results.push(
          index < callsPerRequest
            ? await answerCall(address, runtime, call, message.envelope, budget)
            : errorOf(call, `At most ${callsPerRequest} tool calls fit into one request.`),
        );
      }
      return toResponse(results);
    }
    case "other":
      log.debug("message_ignored", { function: address.name, type: message.name });
      return Response.json({});
    default:
      return await answerMessage(address, runtime, message, budget);
  }
}

async function answerMessage(
  { name, answerMessage }: Address,
  runtime: Runtime,
  message: CallMessage,
  budget: Budget,
): Promise<Response> {
  if (!answerMessage) {
    runtime.log.debug("message_ignored", { function: name, type: message.type });
    return Response.json({});
  }
  const { callId } = message.envelope;
  const named = { function: name, tool: message.type, callId };
  const { context, record } = openWork(runtime, budget, named, "message");
  try {
    const { outcome, body, status = 200 } = await withDeadline(
      budget.remainingMs() + 300,
      () => answerMessage(message, context),
    );
    record(outcome);
    return Response.json(body, { status });
  } catch (thrown) {
    const fault = toFault(thrown);
    record(fault.code, fault);
    // A caller waits for the assistant; everything else can come again.
    return message.type === "assistant-request"
      ? Response.json({ error: "Sorry, we can't take your call right now. Please try again." })
      : Response.json({}, { status: 503 });
  }
}

function deny({ name }: Address, { log, recorder }: Runtime, reason: string): Response {
  log.warn("authentication_failed", { function: name, reason });
  recorder.authenticationFailure(name);
  return new Response(null, { status: 401 });
}

async function answerCall(
  address: Address,
  runtime: Runtime,
  call: ToolCall,
  envelope: Envelope,
  budget: Budget,
): Promise<ToolResult> {
  const tool = address.tools.find(({ name }) => name === call.name);
  if (!tool) {
    const asked = call.name.slice(0, 64);
    const names = address.tools.map(({ name }) => name).join(", ");
    runtime.log.warn("unknown_tool", { function: address.name, tool: asked });
    return errorOf(call, `Unknown tool "${asked}": this address answers ${names}.`);
  }
  const log = runtime.log.concealing(call.arguments.ok ? call.arguments.value : undefined);
  const { context, record } = openWork({ ...runtime, log }, budget, {
    function: address.name,
    tool: tool.name,
    callId: envelope.callId,
    toolCallId: call.id,
  });
  try {
    const answer = await withDeadline(
      budget.remainingMs() + 300,
      () => runTool(tool, call, envelope, context),
    );
    record(answer.outcome);
    const { facts: more, ...said } = answer;
    return resultOf(call, { ...said, ...more });
  } catch (thrown) {
    const fault = toFault(thrown);
    record(fault.code, fault);
    return errorOf(call, fault.spoken);
  }
}

/** What one piece of work may use, and the one line and the one count it leaves behind. */
interface Work {
  readonly context: Omit<ToolContext, "call">;
  /** Writes what came of it; a fault is an outcome that should not happen. */
  record(outcome: string, fault?: Fault): void;
}

function openWork(
  { config, accounts, log, database, recorder }: Runtime,
  budget: Budget,
  named: { readonly function: string; readonly tool: string } & LogFields,
  event: "tool_call" | "message" = "tool_call",
): Work {
  const startedAt = performance.now();
  const measured = { databaseMs: 0, databaseCalls: 0, smsMs: 0 };
  let orgId: string | undefined;
  return {
    context: {
      config,
      accounts,
      log,
      budget,
      onSms: (durationMs) => measured.smsMs += durationMs,
      database: database.within(budget, {
        called: (durationMs) => {
          measured.databaseMs += durationMs;
          measured.databaseCalls++;
        },
        resolved: (id) => orgId = id,
        alarmed: (kind, id) => log.error("alarm_raised", { ...named, kind, orgId: id }),
      }),
    },
    record: (outcome, fault) => {
      const { databaseMs, databaseCalls, smsMs } = measured;
      const totalMs = performance.now() - startedAt;
      if (event === "message") recorder.message(named.tool, outcome);
      else {
        recorder.toolCall({
          tool: named.tool,
          outcome,
          totalMs,
          ...(databaseCalls > 0 ? { databaseMs } : {}),
          ...(smsMs > 0 ? { smsMs } : {}),
        });
      }
      const isSlow = databaseMs > slowDatabaseMs || smsMs > slowSmsMs;
      const fields = {
        ...named,
        orgId,
        outcome,
        totalMs: Math.round(totalMs),
        databaseMs: Math.round(databaseMs),
        databaseCalls,
        smsMs: Math.round(smsMs),
      };
      if (fault) log.error(`${event}_failed`, { ...fields, fault });
      else if (outcome === "cross_tenant_denied") log.warn(outcome, fields);
      else if (isSlow) log.warn(`${event}_slow`, fields);
      else log.info(event, fields);
    },
  };
}

async function runTool(
  tool: Tool,
  call: ToolCall,
  envelope: Envelope,
  context: Omit<ToolContext, "call">,
): Promise<Answer> {
  if (!call.arguments.ok) return refuseArguments(call.arguments.reason, []);
  const given = cleanArguments(call.arguments.value);
  // Without a call id (the dashboard's test button) every tool call is a call of its own.
  const toolCallId = cleanText(call.id).slice(0, 200);
  const callId = envelope.callId ?? (toolCallId === "" ? undefined : `tool-call/${toolCallId}`);
  const facts: CallFacts = {
    ...envelope,
    ...(callId === undefined ? {} : { callId }),
    toolCallId,
    claims: readClaims(given),
  };
  return await tool.run(given, { ...context, call: facts });
}

function refuseInput(issues: readonly z.core.$ZodIssue[]): Answer {
  // For the ear: the patient name, not patientName.
  const spoken = (path: string) =>
    path.replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
  const named = issues.map(({ path, message }) => `${spoken(path.join(" "))}: ${message}`);
  return refuseArguments(named.join("; "), issues.map(({ path }) => path.join(".")));
}

function refuseArguments(reason: string, fields: readonly string[]): Answer {
  return refuse(
    "invalid_arguments",
    `I didn't get that right. Please check ${reason}.`.slice(0, 400),
    "RETRY",
    fields.length > 0 ? { fields } : {},
  );
}

/** Models send null or blank text for what they do not know: both mean not given. */
function cleanArguments(given: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const cleaned = Object.entries(given).map(([name, value]) =>
    [name, typeof value === "string" ? cleanText(value).trim() : value] as const
  );
  return Object.fromEntries(cleaned.filter(([, value]) => value !== null && value !== ""));
}

// Control characters and halves of surrogate pairs cannot be stored in PostgreSQL's jsonb.
function cleanText(text: string): string {
  return text.toWellFormed().replace(/\p{Cc}+/gu, " ");
}

/** What the model claims about the tenant; the database compares it with the envelope. */
function readClaims(given: Readonly<Record<string, unknown>>): CallFacts["claims"] {
  const claimed = (name: string) => {
    const value = given[name];
    if (value === undefined) return {};
    return { [name]: typeof value === "string" ? value : JSON.stringify(value) };
  };
  return { ...claimed("tenantId"), ...claimed("inboundPhoneNumber") };
}
