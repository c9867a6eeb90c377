/**
 * The path of every tool call: authenticate, read, run, answer, log.
 *
 * A bad secret is a bare 401. Everything else is 200, since Vapi ignores any other status: business
 * outcomes as `result`, infrastructure failures as `error`, one per tool call id, in order.
 *
 * @module
 */

import { z } from "zod";
import { type Answer, refuse } from "./answers.ts";
import { type Authenticator, createAuthenticator } from "./authentication.ts";
import { type Config, readConfig } from "./config.ts";
import { type AccountCache, createAccountCache } from "./credentials.ts";
import { type CallFacts, type Database, type DatabasePool, openDatabase } from "./database.ts";
import { type Budget, startBudget, withDeadline } from "./deadline.ts";
import { toFault } from "./errors.ts";
import { type Log, openLog } from "./logging.ts";
import {
  type Envelope,
  errorOf,
  readMessage,
  resultOf,
  type ToolCall,
  type ToolResult,
  toResponse,
} from "./vapi.ts";

/** Bodies grow with the call: 50 KB after 45 seconds. */
const bodyLimitBytes = 2 * 1024 * 1024;
/** A caller notices silence long before this; it is the end, not the aim. */
const requestBudgetMs = 7000;
const bodyTimeoutMs = 5000;
const callsPerRequest = 10;
const slowDatabaseMs = 500;
const slowSmsMs = 2000;

/** What tools are made with, once per isolate. */
export interface Runtime {
  readonly config: Config;
  readonly authenticator: Authenticator;
  readonly database: DatabasePool;
  readonly accounts: AccountCache;
  readonly log: Log;
}

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

/** An Edge Function's default export. */
export interface ServedTool {
  fetch(request: Request): Promise<Response>;
  /** The same tool with a runtime of one's own. */
  using(runtime: Runtime): { fetch(request: Request): Promise<Response> };
}

/**
 * Makes the Edge Function of a tool. Importing it starts nothing: the environment is read by the
 * first request, and everything that lasts is shared by the isolate.
 */
export function serveTool<Input>(tool: ToolDefinition<Input>): ServedTool {
  return {
    using: (runtime) => ({ fetch: (request) => answerRequest(tool, runtime, request) }),
    fetch: (request) => {
      const runtime = sharedRuntime();
      return runtime
        ? answerRequest(tool, runtime, request)
        : Promise.resolve(new Response(null, { status: 401 }));
    },
  };
}

/** Makes everything a tool needs out of its settings; nothing is connected yet. */
export function createRuntime(config: Config, log: Log = openLog(config.logLevel)): Runtime {
  return {
    config,
    authenticator: createAuthenticator(config),
    database: openDatabase(config),
    accounts: createAccountCache(config.credentialKeys),
    log,
  };
}

let shared: Runtime | undefined;

/** The isolate's runtime; undefined, and said in the log, while the environment is not complete. */
function sharedRuntime(): Runtime | undefined {
  if (shared) return shared;
  try {
    return shared = createRuntime(readConfig(Deno.env.toObject()));
  } catch (thrown) {
    openLog("info").fatal("environment_invalid", { fault: toFault(thrown) });
    return undefined;
  }
}

async function answerRequest<Input>(
  tool: ToolDefinition<Input>,
  runtime: Runtime,
  request: Request,
): Promise<Response> {
  const budget = startBudget(requestBudgetMs);
  const { authenticator, log } = runtime;
  if (!authenticator.isClaimed(request.headers)) return deny(tool, runtime, "no secret was sent");
  if (request.method !== "POST") {
    return new Response(null, { status: 405, headers: { allow: "POST" } });
  }
  const body = await readBody(request);
  if (!await authenticator.isAuthentic(request.headers, body.ok ? body.bytes : new Uint8Array())) {
    return deny(tool, runtime, "the secret or the signature is wrong");
  }
  const message = body.ok
    ? readMessage(new TextDecoder().decode(body.bytes), request.headers)
    : { type: "unreadable", reason: body.reason } as const;
  switch (message.type) {
    case "other":
      log.debug("message_ignored", { function: tool.name, type: message.name });
      return Response.json({});
    case "unreadable":
      log.warn("request_unreadable", { function: tool.name, reason: message.reason });
      return Response.json({ results: [], error: `Cannot read the request: ${message.reason}` });
    case "tool-calls": {
      const results: ToolResult[] = [];
      // One after the other: a later call may depend on an earlier one.
      for (const [index, call] of message.calls.entries()) {
        results.push(
          index < callsPerRequest
            ? await answerCall(tool, runtime, call, message.envelope, budget)
            : errorOf(call, `At most ${callsPerRequest} tool calls fit into one request.`),
        );
      }
      return toResponse(results);
    }
  }
}

function deny<Input>(
  tool: ToolDefinition<Input>,
  { log }: Runtime,
  reason: string,
): Response {
  log.warn("authentication_failed", { function: tool.name, reason });
  return new Response(null, { status: 401 });
}

type Body =
  | { readonly ok: true; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly ok: false; readonly reason: string };

async function readBody(request: Request): Promise<Body> {
  const reader = request.body?.getReader();
  const chunks: Uint8Array[] = [];
  let size = 0;
  const readAll = async (): Promise<Body> => {
    for (let part = await reader?.read(); part && !part.done; part = await reader?.read()) {
      size += part.value.byteLength;
      if (size > bodyLimitBytes) {
        return { ok: false, reason: `the body is larger than ${bodyLimitBytes} bytes` };
      }
      chunks.push(part.value);
    }
    const bytes = new Uint8Array(size);
    let at = 0;
    for (const chunk of chunks) {
      bytes.set(chunk, at);
      at += chunk.byteLength;
    }
    return { ok: true, bytes };
  };
  try {
    const body = await withDeadline(bodyTimeoutMs, readAll);
    if (!body.ok) await reader?.cancel();
    return body;
  } catch {
    reader?.cancel().catch(() => {});
    return { ok: false, reason: "the body did not arrive" };
  }
}

async function answerCall<Input>(
  tool: ToolDefinition<Input>,
  runtime: Runtime,
  call: ToolCall,
  envelope: Envelope,
  budget: Budget,
): Promise<ToolResult> {
  if (call.name !== tool.name) {
    runtime.log.warn("unknown_tool", { function: tool.name, tool: call.name.slice(0, 64) });
    return errorOf(
      call,
      `Unknown tool "${call.name.slice(0, 64)}": this address answers ${tool.name}.`,
    );
  }
  const measured = { startedAt: performance.now(), databaseMs: 0, databaseCalls: 0, smsMs: 0 };
  let orgId: string | undefined;
  const context: Omit<ToolContext, "call"> = {
    config: runtime.config,
    accounts: runtime.accounts,
    log: runtime.log,
    budget,
    onSms: (durationMs) => measured.smsMs += durationMs,
    database: runtime.database.within(budget, {
      called: (durationMs) => {
        measured.databaseMs += durationMs;
        measured.databaseCalls++;
      },
      resolved: (id) => orgId = id,
    }),
  };
  const facts = () => ({
    function: tool.name,
    orgId,
    callId: envelope.callId,
    toolCallId: call.id,
    totalMs: Math.round(performance.now() - measured.startedAt),
    databaseMs: Math.round(measured.databaseMs),
    databaseCalls: measured.databaseCalls,
    smsMs: Math.round(measured.smsMs),
  });
  try {
    const answer = await withDeadline(
      budget.remainingMs() + 300,
      () => runTool(tool, call, envelope, context),
    );
    const isSlow = measured.databaseMs > slowDatabaseMs || measured.smsMs > slowSmsMs;
    const isDenied = answer.outcome === "cross_tenant_denied";
    runtime.log[isSlow || isDenied ? "warn" : "info"](
      isDenied ? "cross_tenant_denied" : isSlow ? "tool_call_slow" : "tool_call",
      { ...facts(), outcome: answer.outcome },
    );
    const { facts: more, ...said } = answer;
    return resultOf(call, { ...said, ...more });
  } catch (thrown) {
    const fault = toFault(thrown);
    runtime.log.error("tool_call_failed", { ...facts(), outcome: fault.code, fault });
    return errorOf(call, fault.spoken);
  }
}

async function runTool<Input>(
  tool: ToolDefinition<Input>,
  call: ToolCall,
  envelope: Envelope,
  context: Omit<ToolContext, "call">,
): Promise<Answer> {
  if (!call.arguments.ok) return refuseArguments(call.arguments.reason, []);
  const given = cleanArguments(call.arguments.value);
  const input = tool.input.safeParse(given);
  if (!input.success) {
    const named = input.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`);
    return refuseArguments(named.join("; "), input.error.issues.map(({ path }) => path.join(".")));
  }
  // Without a call id (the dashboard's test button) every tool call is a call of its own.
  const toolCallId = cleanText(call.id).slice(0, 200);
  const callId = envelope.callId ?? (toolCallId === "" ? undefined : `tool-call/${toolCallId}`);
  const facts: CallFacts = {
    ...envelope,
    ...(callId === undefined ? {} : { callId }),
    toolCallId,
    claims: readClaims(given),
  };
  return await tool.run(input.data, { ...context, call: facts });
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
