/**
 * Texts through Twilio: the official SDK on a transport of our own.
 *
 * Why a transport: the SDK's default (axios over node:https) was measured on Deno to send a second
 * text after a reset of a reused connection (denoland/deno#36786), to let a dripping answer run past
 * its timeout, to kill the process when an answer breaks off (Deno 2.1.4), and to carry credentials
 * and text inside its errors. Here one POST goes out on a connection of its own, one deadline covers
 * headers and body, and an error carries a kind and nothing else.
 *
 * The SDK takes 140 ms to load, so it is loaded by the first send.
 *
 * @module
 */

import type twilioSdk from "twilio";
import { z } from "zod";
import type { TwilioAccount } from "./credentials.ts";
import { DeadlineExceeded, withDeadline } from "./deadline.ts";

/** Why a text did not go out, or may not have. */
export type SmsFailure =
  | "bad_destination"
  | "opted_out"
  | "blocked_country"
  | "misconfigured"
  | "unauthorized"
  | "rate_limited"
  | "rejected"
  | "provider_error"
  | "timeout"
  | "unreachable";

/** What became of one text. */
export type SmsOutcome =
  | { readonly kind: "accepted"; readonly sid: string }
  | {
    readonly kind: "failed";
    readonly failure: SmsFailure;
    /** Twilio's error code, or the HTTP status where there is none. */
    readonly code?: number;
    /** True when Twilio may have sent it all the same: there is no idempotency key. */
    readonly mayHaveBeenSent: boolean;
  };

/** One text to one number. */
export interface Sms {
  /** E.164. */
  readonly to: string;
  readonly body: string;
  /** Seconds after which Twilio need not deliver it any more; Twilio's default is 10 hours. */
  readonly validitySeconds: number;
}

let loaded: Promise<typeof twilioSdk> | undefined;

/** Starts to load the SDK, so that it is there when the database has answered. */
export function loadSmsSdk(): Promise<typeof twilioSdk> {
  return loaded ??= import("twilio").then((module) => module.default);
}

/**
 * Sends one text. A 429 is tried once more inside the deadline; nothing else is, since it may have
 * been sent.
 *
 * @param apiBase Twilio's API, or a sandbox.
 * @param timeoutMs For everything, the second try included.
 */
export async function sendSms(
  account: TwilioAccount,
  sms: Sms,
  { apiBase, timeoutMs }: { readonly apiBase: string; readonly timeoutMs: number },
): Promise<SmsOutcome> {
  const endsAt = performance.now() + timeoutMs;
  const first = await sendOnce(account, sms, apiBase, timeoutMs);
  const pauseMs = 300;
  const leftMs = endsAt - performance.now() - pauseMs;
  const mayTryAgain = first.kind === "failed" && first.failure === "rate_limited" && leftMs > 500;
  if (!mayTryAgain) return first;
  await new Promise((resolve) => setTimeout(resolve, pauseMs));
  return await sendOnce(account, sms, apiBase, leftMs);
}

async function sendOnce(
  account: TwilioAccount,
  sms: Sms,
  apiBase: string,
  timeoutMs: number,
): Promise<SmsOutcome> {
  try {
    return await withDeadline(timeoutMs, async (signal) => {
      const client = await createClient(account, apiBase, signal);
      const message = await client.messages.create({
        to: sms.to,
        body: sms.body,
        validityPeriod: sms.validitySeconds,
        ...account.sender,
      });
      return readMessage(message);
    });
  } catch (thrown) {
    return classify(thrown);
  }
}

async function createClient(account: TwilioAccount, apiBase: string, signal: AbortSignal) {
  const twilio = await loadSmsSdk();
  const { accountSid, authToken, apiKey } = account;
  const transport = Object.assign(new twilio.RequestClient(), {
    request: (request: TwilioRequest) => post(request, apiBase, signal),
  });
  return twilio(apiKey?.sid ?? accountSid, apiKey?.secret ?? authToken, {
    accountSid,
    httpClient: transport,
  });
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

async function post(request: TwilioRequest, apiBase: string, signal: AbortSignal) {
  const { pathname, search } = new URL(request.uri);
  const headers = new Headers(request.headers);
  headers.set("authorization", `Basic ${btoa(`${request.username}:${request.password}`)}`);
  // A reused connection that breaks would be retried by the runtime: two texts.
  headers.set("connection", "close");
  const response = await fetch(apiBase + pathname + search, {
    method: request.method.toUpperCase(),
    headers,
    redirect: "manual",
    signal,
    body: new URLSearchParams(
      Object.entries(request.data ?? {}).map(([name, value]) => [name, String(value)]),
    ),
  });
  return {
    statusCode: response.status,
    body: await response.text(),
    headers: Object.fromEntries(response.headers),
  };
}

/** A 201 is a promise only with a SID and a status that is no failure. */
function readMessage(
  message: { readonly sid?: string; readonly status?: string; readonly errorCode?: number | null },
): SmsOutcome {
  const { sid, status, errorCode } = message;
  if (status === "failed" || status === "undelivered" || status === "canceled") {
    return failed(classOf(errorCode ?? undefined, 400), false, errorCode ?? undefined);
  }
  if (!sid || !status) return failed("provider_error", true);
  return { kind: "accepted", sid };
}

const restException = z.object({
  status: z.number(),
  code: z.coerce.number().optional().catch(undefined),
});

/** Anything the SDK throws, as a class; its message is never read, since it may quote the text. */
function classify(thrown: unknown): SmsOutcome {
  if (thrown instanceof DeadlineExceeded) return failed("timeout", true);
  const rest = restException.safeParse(thrown);
  if (rest.success) {
    const { status, code } = rest.data;
    const mayHaveBeenSent = status >= 500 || status < 400 || code === 20500;
    return failed(
      mayHaveBeenSent ? "provider_error" : classOf(code, status),
      mayHaveBeenSent,
      code ?? status,
    );
  }
  // Not JSON after a 2xx, or an answer that is no message: Twilio, or something before it, is ill.
  if (thrown instanceof SyntaxError) return failed("provider_error", true);
  return failed("unreachable", true);
}

function failed(failure: SmsFailure, mayHaveBeenSent: boolean, code?: number): SmsOutcome {
  return { kind: "failed", failure, mayHaveBeenSent, ...(code === undefined ? {} : { code }) };
}

const classes: Readonly<Record<number, SmsFailure>> = {
  21211: "bad_destination",
  21217: "bad_destination",
  21612: "bad_destination",
  21614: "bad_destination",
  21635: "bad_destination",
  21610: "opted_out",
  21408: "blocked_country",
  30450: "blocked_country",
  20003: "unauthorized",
  20429: "rate_limited",
  21212: "misconfigured",
  21603: "misconfigured",
  21606: "misconfigured",
  21659: "misconfigured",
  21703: "misconfigured",
  63038: "misconfigured",
};

/** The class of a Twilio error code; an unknown one falls to the class of its HTTP status. */
function classOf(code: number | undefined, status: number): SmsFailure {
  const known = code === undefined ? undefined : classes[code];
  if (known) return known;
  if (status === 401 || status === 403) return "unauthorized";
  return status === 429 ? "rate_limited" : "rejected";
}

const gsmBasic = new Set(
  "@£$¥èéùìòÇØøÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡" +
    "ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà",
);

/**
 * A name in GSM-7's basic alphabet, so that a text stays one segment: accents that it lacks are
 * folded, quotes and dashes straightened, the rest left out.
 *
 * @param maxLength Longest result, in characters.
 */
export function toGsmText(text: string, maxLength: number): string {
  const straight = text
    .replace(/[\u2018\u2019\u201b\u2032`´]/g, "'")
    .replace(/[\u201c\u201d\u201e\u2033]/g, '"')
    .replace(/[\u2010-\u2015\u2212]/g, "-")
    .replace(/\s+/g, " ");
  const basic = [...straight].map((char) => {
    if (gsmBasic.has(char)) return char;
    return [...char.normalize("NFKD")].filter((part) => gsmBasic.has(part)).join("");
  }).join("");
  return basic.replace(/ +/g, " ").trim().slice(0, maxLength).trim();
}
