/**
 * A clinic's line as Vapi sees it: the assistant and the tools that `deno task vapi sync` registers,
 * and calls that use them over HTTP.
 *
 * @module
 */

import type postgres from "postgres";
import { z } from "zod";
import { tools } from "../../../functions/vapi-webhook/tools.ts";
import { sign, toHex, utf8 } from "../../../shared/bytes.ts";
import { lineProfile } from "../../../shared/database/calls.ts";
import { composeAssistant } from "../../../shared/line/assistant.ts";
import { defineForVapi, type VapiTool } from "../../../shared/line/tool_definition.ts";
import { Stop } from "../task.ts";

/** What an agent needs to take a clinic's calls. */
export interface Line {
  /** The clinic's rows, as they are read to compose the assistant. */
  readonly profile: z.output<typeof lineProfile>;
  /** The number that callers dial, E.164. */
  readonly number: string;
  readonly assistant: ReturnType<typeof composeAssistant>;
  readonly tools: readonly VapiTool[];
}

const found = z.object({
  outcome: z.literal("found"),
  profile: lineProfile,
  numbers: z.array(z.string()),
});

/**
 * Opens the line of a clinic.
 *
 * @param org Slug or id.
 * @param url The address of a stack, without a trailing slash.
 * @throws {Stop} When there is no such clinic, or nobody can call it.
 */
export async function openLine(sql: postgres.Sql, org: string, url: string): Promise<Line> {
  const [row] = await sql`select public.read_line(${org}) as answer`;
  const read = found.safeParse(row?.["answer"]);
  if (!read.success) {
    throw new Stop(1, `There is no clinic ${org}. Add it with deno task clinic add FILE`);
  }
  const { profile, numbers: [number] } = read.data;
  if (number === undefined) {
    throw new Stop(1, `${profile.name} has no number to call: add one to its file`);
  }
  const address = { functionsUrl: `${url}/functions/v1` };
  const defined = tools.map((tool) => defineForVapi(tool, address));
  const names = tools.map(({ name }) => name);
  const assistant = composeAssistant(profile, names, { tools: defined }, address);
  return { profile, number, assistant, tools: defined };
}

const slot = z.looseObject({ slotId: z.string(), startTime: z.string(), spoken: z.string() });
/** A free time in an answer. */
export type OfferedSlot = z.output<typeof slot>;

const appointment = z.looseObject({
  startTime: z.string(),
  spoken: z.string(),
  doctor: z.string(),
});
/** An appointment in an answer. */
export type NamedAppointment = z.output<typeof appointment>;

const toolAnswer = z.looseObject({
  success: z.boolean(),
  outcome: z.string(),
  message: z.string(),
  action: z.enum(["RETRY", "OFFER_ALTERNATIVES", "ESCALATE"]).optional(),
  nextTool: z.string().optional(),
  fields: z.array(z.string()).optional(),
  slots: z.array(slot).optional(),
  appointments: z.array(appointment).optional(),
});
/** The answer of a tool, as the model reads it. */
export type ToolAnswer = z.output<typeof toolAnswer>;

/** The arguments of a tool. */
export type Arguments = Readonly<Record<string, unknown>>;

/** One use of a tool. */
export interface ToolUse {
  readonly tool: string;
  readonly toolCallId: string;
  readonly args: Arguments;
  readonly answer: ToolAnswer;
  /** The answer as received. */
  readonly text: string;
  readonly ms: number;
}

/** A request to a server URL and its answer, as on the wire. */
export interface Exchange {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly status: number;
  readonly answer: string;
  /** Milliseconds since 1970. */
  readonly startedAt: number;
  /** Milliseconds since 1970. */
  readonly endedAt: number;
}

/** The caller, and the secret of the line's tools. */
export interface CallOptions {
  /** `X-Vapi-Secret`, or the key of the signature. */
  readonly secret: string;
  /** Signs the requests as Vapi does with an HMAC credential, instead of sending the secret. */
  readonly signs?: boolean;
  /** E.164; undefined when the caller withholds it. */
  readonly caller: string | undefined;
  readonly callId?: string;
  /** Receives every answer. */
  readonly onUse?: (use: ToolUse) => void;
  /** Receives every request with its answer. */
  readonly onExchange?: (exchange: Exchange) => void;
}

const results = z.object({
  results: z.tuple([z.union([
    z.object({ result: z.string() }),
    z.object({ error: z.string() }),
  ])]),
});

/** One call to a line. */
export class LineCall {
  /** Every use of a tool so far. */
  readonly uses: ToolUse[] = [];
  readonly callId: string;
  readonly caller: string | undefined;

  constructor(readonly line: Line, private readonly options: CallOptions) {
    this.callId = options.callId ?? crypto.randomUUID();
    this.caller = options.caller;
  }

  /** Whether the line has a tool. */
  has(name: string): boolean {
    return this.line.tools.some((tool) => tool.function.name === name);
  }

  /** The parameters of a tool. */
  parametersOf(name: string): VapiTool["function"]["parameters"] {
    return this.#find(name).function.parameters;
  }

  /**
   * Uses a tool as Vapi does when the model calls it. Static parameters are added last.
   *
   * @param toolCallId Vapi's id of this use. With the same id, it is a repeated request.
   * @throws {Error} When the answer does not have the form that Vapi reads.
   */
  async use(name: string, args: Arguments, toolCallId = `call_${crypto.randomUUID()}`) {
    const { parameters, server } = this.#find(name);
    const fixed = parameters.map(({ key, value }) => [key, fillIn(value, this.#facts())]);
    const startedAt = performance.now();
    const text = await this.#post(server.url, {
      type: "tool-calls",
      toolCallList: [{
        id: toolCallId,
        type: "function",
        function: { name, arguments: { ...args, ...Object.fromEntries(fixed) } },
      }],
    });
    const ms = Math.round(performance.now() - startedAt);
    const { results: [given] } = results.parse(JSON.parse(text));
    const answer: ToolAnswer = "error" in given
      ? { success: false, outcome: "error", message: given.error, action: "RETRY" }
      : toolAnswer.parse(JSON.parse(given.result));
    const said = "error" in given ? given.error : given.result;
    const use = { tool: name, toolCallId, args, answer, text: said, ms };
    this.uses.push(use);
    this.options.onUse?.(use);
    return use;
  }

  /** Reports that the caller has hung up, as Vapi does. */
  async hangUp(): Promise<void> {
    await this.#post(this.line.assistant.server.url, {
      type: "status-update",
      status: "ended",
      endedReason: "customer-ended-call",
    });
  }

  #find(name: string): VapiTool {
    const found = this.line.tools.find((tool) => tool.function.name === name);
    if (found) return found;
    throw new Error(`Cannot use the tool ${name}: the line does not have it`);
  }

  /** Values for the templates of static parameters. */
  #facts(): Readonly<Record<string, string>> {
    return {
      "call.id": this.callId,
      "customer.number": this.caller ?? "",
      "phoneNumber.number": this.line.number,
    };
  }

  async #post(url: string, message: object): Promise<string> {
    const body = JSON.stringify({
      message: {
        ...message,
        call: { id: this.callId },
        phoneNumber: { number: this.line.number },
        ...(this.caller === undefined ? {} : { customer: { number: this.caller } }),
      },
    });
    const headers = { "content-type": "application/json", ...this.#credential(body) };
    const startedAt = performance.timeOrigin + performance.now();
    const response = await fetch(url, { method: "POST", headers, body });
    const answer = await response.text();
    const endedAt = performance.timeOrigin + performance.now();
    const { status } = response;
    this.options.onExchange?.({ url, headers, body, status, answer, startedAt, endedAt });
    if (status === 200) return answer;
    throw new Error(`Cannot use ${url}: it answered ${status}`);
  }

  #credential(body: string): Readonly<Record<string, string>> {
    const { secret, signs = false } = this.options;
    if (!signs) return { "x-vapi-secret": secret };
    const timestamp = String(Date.now());
    const signature = toHex(sign(utf8(secret), utf8(`${timestamp}.${body}`)));
    return { "x-timestamp": timestamp, "x-signature": signature };
  }
}

/** Fills in templates such as `{{ call.id }}`. Unknown names become empty. */
function fillIn(template: string, facts: Readonly<Record<string, string>>): string {
  return template.replaceAll(/\{\{\s*(\S+?)\s*\}\}/g, (_, name) => facts[name] ?? "");
}

const texts = z.array(z.object({ to: z.string(), body: z.string() }));
/** A text that was sent through the stack's fake Twilio. */
export type SentText = z.output<typeof texts>[number];

/**
 * The texts of a local stack so far, newest last.
 *
 * @param to The only number whose texts are returned.
 */
export async function readTexts(url: string, to?: string): Promise<SentText[]> {
  const asked = to === undefined ? "" : `?${new URLSearchParams({ to })}`;
  return texts.parse(await (await fetch(`${url}/local/sms${asked}`)).json());
}

/** The texts to a phone that have a passcode, newest last: not those about appointments. */
export async function readCodeTexts(url: string, to: string): Promise<SentText[]> {
  return (await readTexts(url, to)).filter(({ body }) => /^\d{6} /.test(body));
}

const textWaitMs = 1000;
const textPollMs = 50;

/**
 * The texts that a phone received after a number of texts. Waits for a moment, because the text for a
 * change is sent after the tool's answer.
 *
 * @param read The texts to the phone so far.
 */
export async function awaitTexts(
  { uses }: LineCall,
  read: () => Promise<readonly SentText[]>,
  seen: number,
): Promise<readonly SentText[]> {
  const last = uses.at(-1);
  const isDue = last?.tool === "send_otp" && last.answer.outcome === "sent";
  const until = performance.now() + (isDue ? textWaitMs : 0);
  let texts = await read();
  while (texts.length <= seen && performance.now() < until) {
    await new Promise((resolve) => setTimeout(resolve, textPollMs));
    texts = await read();
  }
  return texts.slice(seen);
}
