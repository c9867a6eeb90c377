/**
 * Texts through Twilio: the official SDK on a transport of our own.
 *
 * Why a transport: on Deno the SDK's default (axios over node:https) was measured to send a second
 * text after a reset of a reused connection (denoland/deno#36786), to let a dripping answer run past
 * its timeout, to kill the process when an answer breaks off (Deno 2.1.4), and to put credentials and
 * text into its errors. Here each POST has its own connection, one deadline covers headers and body,
 * the size of an answer is limited, and of an error only its kind is read. HTTP/2 connections are
 * shared: there Deno repeats only what the server refused unread (REFUSED_STREAM), and 2.1.4 not even
 * that, measured with GOAWAY and with resets of the stream and of the connection.
 *
 * The SDK takes what it is not given from `TWILIO_...` variables of the process. So everything is
 * given, and the transport always uses the configured host.
 *
 * The SDK takes 140 ms to load, so the first send loads it.
 *
 * @module
 */

import type twilioSdk from "twilio";
import { z } from "zod";
import type { TwilioAccount } from "./accounts.ts";
import { toBase64, utf8 } from "./bytes.ts";
import { DeadlineExceeded, withDeadline } from "./deadline.ts";

/** Why a text did not go out, or may not have. */
export const smsFailures = [
  "bad_destination",
  "opted_out",
  "blocked_country",
  "misconfigured",
  "unauthorized",
  "rate_limited",
  "rejected",
  "provider_error",
  "timeout",
  "unreachable",
] as const;
/** One of them. */
export type SmsFailure = typeof smsFailures[number];

/** What became of one text. */
export type SmsOutcome =
  | { readonly kind: "accepted"; readonly sid: string }
  | {
    readonly kind: "failed";
    readonly failure: SmsFailure;
    /** Twilio's error code, else the HTTP status. */
    readonly code: number | undefined;
    /** True when Twilio may have sent it after all; there is no idempotency key. */
    readonly mayHaveBeenSent: boolean;
  };

/** One text to one number. */
export interface Sms {
  /** E.164. */
  readonly to: string;
  readonly body: string;
  /** Seconds after which Twilio should no longer deliver it; Twilio's default is 10 hours. */
  readonly validitySeconds: number;
  /** Where Twilio reports what became of it. */
  readonly statusCallback: string;
}

let loaded: Promise<typeof twilioSdk> | undefined;

/** Loads the SDK; called early, it is ready when the database has answered. */
export function loadTwilio(): Promise<typeof twilioSdk> {
  return loaded ??= import("twilio").then(({ default: sdk }) => sdk, (thrown) => {
    loaded = undefined;
    throw thrown;
  });
}

/** A message resource has about 1,000 characters. */
const answerLimit = 64 * 1024;
/** Pause before a second attempt when Twilio names none, in milliseconds. */
const pauseMs = 300;
/** With less time left, a second attempt would only be cut off. */
const shortestAttemptMs = 500;

/**
 * Sends one text. A 429 is retried once if the deadline allows; nothing else is, since the text may
 * have been sent.
 *
 * @param apiBase Twilio's API, or a sandbox.
 * @param timeoutMs For everything, including the retry.
 */
export async function sendSms(
  account: TwilioAccount,
  sms: Sms,
  { apiBase, timeoutMs }: { readonly apiBase: string; readonly timeoutMs: number },
): Promise<SmsOutcome> {
  const endsAt = performance.now() + timeoutMs;
  const first = startExchange(apiBase);
  const outcome = await sendOnce(account, sms, first, timeoutMs);
  if (first.status !== 429) return outcome;
  const waitMs = first.retryAfterMs ?? pauseMs;
  if (endsAt - performance.now() - waitMs < shortestAttemptMs) return outcome;
  await new Promise((resolve) => setTimeout(resolve, waitMs));
  return await sendOnce(account, sms, startExchange(apiBase), endsAt - performance.now());
}

/** One POST, and what is known about its answer. */
interface Exchange {
  readonly apiBase: string;
  isPosted: boolean;
  status?: number;
  retryAfterMs?: number | undefined;
}

function startExchange(apiBase: string): Exchange {
  return { apiBase, isPosted: false };
}

async function sendOnce(
  account: TwilioAccount,
  sms: Sms,
  exchange: Exchange,
  timeoutMs: number,
): Promise<SmsOutcome> {
  try {
    return await withDeadline(timeoutMs, async (signal) => {
      const client = await createClient(account, exchange, signal);
      const message = await client.messages.create({
        to: sms.to,
        body: sms.body,
        validityPeriod: sms.validitySeconds,
        statusCallback: sms.statusCallback,
        ...account.sender,
      });
      return readMessage(message);
    });
  } catch (thrown) {
    return classify(thrown, exchange);
  }
}

async function createClient(account: TwilioAccount, exchange: Exchange, signal: AbortSignal) {
  const twilio = await loadTwilio();
  const { accountSid, authToken, apiKey } = account;
  const [user, password] = apiKey ? [apiKey.sid, apiKey.secret] : [accountSid, authToken];
  // The SDK would take credentials from the environment, of another account.
  if (!user || !password) throw new Error("Cannot send: the account has no credentials");
  const transport = Object.assign(new twilio.RequestClient(), {
    request: (request: TwilioRequest) => post(request, exchange, signal),
  });
  const options = { accountSid, httpClient: transport, edge: "", region: "" };
  return twilio(user, password, options);
}

/** What the SDK asks its transport for. */
interface TwilioRequest {
  readonly method: string;
  readonly uri: string;
  readonly username?: string;
  readonly password?: string;
  readonly headers?: Record<string, string>;
  readonly data?: object;
}

/** There was no connection, or it failed; nothing else of the error is kept. */
class TransportFailed extends Error {
  override readonly name = "TransportFailed";

  /** @param isConnected False when the request certainly never left. */
  constructor(readonly isConnected: boolean) {
    super("Cannot reach Twilio: the connection failed");
  }
}

async function post(request: TwilioRequest, exchange: Exchange, signal: AbortSignal) {
  const { pathname, search } = new URL(request.uri);
  const headers = new Headers(request.headers);
  headers.set(
    "authorization",
    `Basic ${toBase64(utf8(`${request.username}:${request.password}`))}`,
  );
  headers.set("connection", "close");
  // On a reused connection that breaks, the runtime would send the request again: two texts. A peer
  // may ignore the header, so no connection is kept here.
  const client = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });
  exchange.isPosted = true;
  try {
    const response = await fetch(exchange.apiBase + pathname + search, {
      method: request.method.toUpperCase(),
      headers,
      redirect: "manual",
      signal,
      body: toForm(request.data ?? {}),
      client,
    });
    exchange.status = response.status;
    exchange.retryAfterMs = readRetryAfter(response.headers.get("retry-after"));
    const body = await readText(response);
    return { statusCode: response.status, body, headers: Object.fromEntries(response.headers) };
  } catch (thrown) {
    throw new TransportFailed(wasConnected(thrown));
  } finally {
    client.close();
  }
}

/**
 * Whether a request that failed may have left: not when the name was not found, the connection was
 * refused, or TLS was not agreed on. Deno says so in the words of hyper, in the error or its cause.
 */
function wasConnected(thrown: unknown): boolean {
  if (!(thrown instanceof TypeError)) return true;
  return ![thrown.message, String(thrown.cause)]
    .some((message) => message.includes("client error (Connect)"));
}

function toForm(data: object): URLSearchParams {
  return new URLSearchParams(
    Object.entries(data).flatMap(([name, value]) =>
      [value].flat().map((single) => [name, String(single)])
    ),
  );
}

/** Reads an answer, up to a size that no answer of Twilio's has. */
async function readText({ body }: Response): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const part of body ?? []) {
    text += decoder.decode(part, { stream: true });
    if (text.length > answerLimit) break;
  }
  return text;
}

/** Seconds or a date, as milliseconds from now; undefined when it is neither. */
function readRetryAfter(header: string | null): number | undefined {
  if (header === null) return undefined;
  const ms = /^\d{1,6}$/.test(header) ? Number(header) * 1000 : Date.parse(header) - Date.now();
  return Number.isNaN(ms) ? undefined : Math.max(0, ms);
}

const acceptedMessage = z.object({
  sid: z.string().regex(/^(SM|MM)[0-9a-f]{32}$/i),
  status: z.string().min(1),
});

/** A 201 counts as accepted only with a SID and without a status of failure. */
function readMessage(
  message: { readonly sid?: string; readonly status?: string; readonly errorCode?: number | null },
): SmsOutcome {
  const code = message.errorCode ?? undefined;
  if (["failed", "undelivered", "canceled"].includes(message.status ?? "")) {
    return failed(classOf(code, 400), false, code);
  }
  const accepted = acceptedMessage.safeParse(message);
  if (!accepted.success) return failed("provider_error", true);
  return { kind: "accepted", sid: accepted.data.sid };
}

const coded = z.object({ code: z.coerce.number().int() });

/** The class of anything thrown; its message is never read, since it may quote the text. */
function classify(thrown: unknown, { isPosted, status }: Exchange): SmsOutcome {
  if (thrown instanceof DeadlineExceeded) return failed("timeout", isPosted);
  if (!isPosted) return failed("misconfigured", false);
  if (thrown instanceof TransportFailed) return failed("unreachable", thrown.isConnected);
  if (status === undefined) return failed("unreachable", true);
  const read = coded.safeParse(thrown);
  const code = read.success ? read.data.code : undefined;
  const isRefusal = status >= 400 && status < 500 && status !== 408 && code !== 20500;
  // A 2xx without a message, a redirect, a 5xx: Twilio or something in between is broken.
  if (!isRefusal) return failed("provider_error", true, code || status);
  return failed(classOf(code, status), false, code || status);
}

function failed(failure: SmsFailure, mayHaveBeenSent: boolean, code?: number): SmsOutcome {
  return { kind: "failed", failure, mayHaveBeenSent, code };
}

/** Classes of Twilio's error codes: https://www.twilio.com/docs/api/errors */
export const errorClasses: Readonly<Record<number, SmsFailure>> = {
  20003: "unauthorized",
  20005: "misconfigured",
  20429: "rate_limited",
  21211: "bad_destination",
  21212: "misconfigured",
  21217: "bad_destination",
  21266: "bad_destination",
  21408: "blocked_country",
  21603: "misconfigured",
  21606: "misconfigured",
  21608: "misconfigured",
  21609: "misconfigured",
  21610: "opted_out",
  21611: "rate_limited",
  21612: "bad_destination",
  21614: "bad_destination",
  21635: "bad_destination",
  21659: "misconfigured",
  21703: "misconfigured",
  21704: "misconfigured",
  30002: "misconfigured",
  30003: "bad_destination",
  30004: "bad_destination",
  30005: "bad_destination",
  30006: "bad_destination",
  30034: "misconfigured",
  30450: "blocked_country",
  63038: "misconfigured",
};

/** The class of a Twilio error code, else of the HTTP status. */
function classOf(code: number | undefined, status: number): SmsFailure {
  const known = code === undefined ? undefined : errorClasses[code];
  if (known) return known;
  if (status === 401 || status === 403) return "unauthorized";
  return status === 429 ? "rate_limited" : "rejected";
}
