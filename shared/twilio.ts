/**
 * Texts through Twilio: the official SDK with our own transport.
 *
 * The SDK's default transport (axios over node:https) has faults on Deno. Measurements showed that it
 * sends a second text after a reused connection was reset (denoland/deno#36786), lets a slow answer
 * run past its timeout, crashes the process when an answer breaks off (Deno 2.1.4), and puts
 * credentials and text into its errors. Our transport opens a connection for each POST, has one
 * deadline for headers and body, limits the size of an answer, and keeps only the kind of an error.
 * That holds for HTTP/2 too, measured on Deno 2.9 and 2.1.4: six texts made six connections.
 *
 * Where the SDK is not given a value, it reads `TWILIO_...` variables of the process. So it is given
 * every value, and the transport always uses the configured host.
 *
 * The SDK takes 140 ms to load, so the first send loads it.
 *
 * @module
 */

import type twilioSdk from "twilio";
import type { RequestClient } from "twilio";
import { z } from "zod";
import type { TwilioAccount } from "./accounts.ts";
import { toBase64, utf8 } from "./bytes.ts";
import { DeadlineExceeded, withDeadline } from "./deadline.ts";

/** Why a text was not sent, or may not have been sent. */
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
/** One of {@link smsFailures}. */
export type SmsFailure = typeof smsFailures[number];

/** The result of one text. */
export type SmsOutcome =
  | { readonly kind: "accepted"; readonly sid: string }
  | {
    readonly kind: "failed";
    readonly failure: SmsFailure;
    /** Twilio's error code, else the HTTP status. */
    readonly code: number | undefined;
    /** Whether Twilio may have sent it after all: there is no idempotency key. */
    readonly mayHaveBeenSent: boolean;
  };

/** One text to one number. */
export interface Sms {
  /** E.164. */
  readonly to: string;
  readonly body: string;
  /** Seconds after which Twilio should stop trying to deliver it; Twilio's default is 10 hours. */
  readonly validitySeconds: number;
  /** Where Twilio reports whether it was delivered. */
  readonly statusCallback: string;
}

/** What all texts share: creating it again for each text would cost more than sending it. */
interface Loaded {
  readonly sdk: typeof twilioSdk;
  readonly transport: RequestClient;
  readonly connections: Deno.HttpClient;
}

let loaded: Promise<Loaded> | undefined;

/** Loads the SDK. If it is called early, the SDK is ready when the database has answered. */
export function loadTwilio(): Promise<Loaded> {
  return loaded ??= load().catch((thrown) => {
    loaded = undefined;
    throw thrown;
  });
}

async function load(): Promise<Loaded> {
  const { default: sdk } = await import("twilio");
  return {
    sdk,
    transport: new sdk.RequestClient(),
    // When a reused connection breaks, the runtime would send the request again: two texts. A server may
    // ignore a `Connection: close` header, so no connection is kept on our side.
    connections: Deno.createHttpClient({ poolMaxIdlePerHost: 0 }),
  };
}

/** A message resource has about 1,000 characters. */
const answerLimit = 64 * 1024;
/** Pause before a second attempt when Twilio does not name one, in milliseconds. */
const pauseMs = 300;
/** With less time left, a second attempt would only be aborted. */
const shortestAttemptMs = 500;

/**
 * Sends one text. A 429 is retried once if the deadline allows it. Nothing else is retried, because the
 * text may have been sent.
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

/** One POST and what is known about its answer. */
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
  const { sdk, transport, connections } = await loadTwilio();
  const { accountSid, authToken, apiKey } = account;
  const [user, password] = apiKey ? [apiKey.sid, apiKey.secret] : [accountSid, authToken];
  // Otherwise the SDK would take credentials of another account from the environment.
  if (!user || !password) throw new Error("Cannot send: the account has no credentials");
  const httpClient: RequestClient = Object.assign(Object.create(transport), {
    request: (request: TwilioRequest) => post(request, exchange, { signal, client: connections }),
  });
  return sdk(user, password, { accountSid, httpClient, edge: "", region: "" });
}

/** A request that the SDK passes to its transport. */
interface TwilioRequest {
  readonly method: string;
  readonly uri: string;
  readonly username?: string;
  readonly password?: string;
  readonly headers?: Record<string, string>;
  readonly data?: object;
}

/** There was no connection, or it failed. Nothing else of the error is kept. */
class TransportFailed extends Error {
  override readonly name = "TransportFailed";

  /** @param isConnected False when the request was certainly not sent. */
  constructor(readonly isConnected: boolean) {
    super("Cannot reach Twilio: the connection failed");
  }
}

async function post(
  request: TwilioRequest,
  exchange: Exchange,
  { signal, client }: { readonly signal: AbortSignal; readonly client: Deno.HttpClient },
) {
  const { pathname, search } = new URL(request.uri);
  const headers = new Headers(request.headers);
  headers.set(
    "authorization",
    `Basic ${toBase64(utf8(`${request.username}:${request.password}`))}`,
  );
  headers.set("connection", "close");
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
  }
}

/**
 * Whether a failed request may have been sent. It was not if the name was not found, the connection was
 * refused, or TLS failed. Deno reports this with hyper's words, in the error or its cause.
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

/** Reads an answer up to a size that Twilio's answers do not reach. */
async function readText(response: Response): Promise<string> {
  // Accessing `body` would turn it into a stream, which costs several times as much.
  if (Number(response.headers.get("content-length") ?? Infinity) <= answerLimit) {
    return await response.text();
  }
  const { body } = response;
  const decoder = new TextDecoder();
  let text = "";
  for await (const part of body ?? []) {
    text += decoder.decode(part, { stream: true });
    if (text.length > answerLimit) break;
  }
  return text;
}

/** Reads seconds or a date as milliseconds from now; undefined when it is neither. */
function readRetryAfter(header: string | null): number | undefined {
  if (header === null) return undefined;
  const ms = /^\d{1,6}$/.test(header) ? Number(header) * 1000 : Date.parse(header) - Date.now();
  return Number.isNaN(ms) ? undefined : Math.max(0, ms);
}

const acceptedMessage = z.object({
  sid: z.string().regex(/^(SM|MM)[0-9a-f]{32}$/i),
  status: z.string().min(1),
});

/** A 201 counts as accepted only if it has a SID and no status of failure. */
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

/** Classifies anything thrown. Its message is not used, because it may quote the text. */
function classify(thrown: unknown, { isPosted, status }: Exchange): SmsOutcome {
  if (thrown instanceof DeadlineExceeded) return failed("timeout", isPosted);
  if (!isPosted) return failed("misconfigured", false);
  if (thrown instanceof TransportFailed) return failed("unreachable", thrown.isConnected);
  if (status === undefined) return failed("unreachable", true);
  const read = coded.safeParse(thrown);
  const code = read.success ? read.data.code : undefined;
  const isRefusal = status >= 400 && status < 500 && status !== 408 && code !== 20500;
  // A 2xx without a message, a redirect or a 5xx: Twilio or something on the way is broken.
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
