/**
 * Twilio's delivery reports: the callback address, the signature and the fields.
 *
 * @module
 */

import { z } from "zod";
import type { Bytes } from "./bytes.ts";

/** The organization and the send that a callback address refers to. */
export interface SmsReference {
  readonly orgId: string;
  readonly sendId: string;
}

/** The last part of the callback address. */
const callbackPath = "/sms-status";

/**
 * Where Twilio reports on a text. Twilio signs the whole address, so the organization in it can be
 * trusted. The address also identifies the send before Twilio's own id is stored.
 *
 * @param functionsUrl Where the outside reaches the functions, without a trailing slash.
 */
export function callbackOf(functionsUrl: string, { orgId, sendId }: SmsReference): string {
  return `${functionsUrl}${callbackPath}?${new URLSearchParams({ org: orgId, send_id: sendId })}`;
}

const reference = z.object({ org: z.guid(), send_id: z.guid() });

/** Reads an address made by {@link callbackOf}; undefined for any other. */
export function readCallback(query: URLSearchParams): SmsReference | undefined {
  const read = reference.safeParse(Object.fromEntries(query));
  return read.success ? { orgId: read.data.org, sendId: read.data.send_id } : undefined;
}

/** A report has about a dozen fields. */
const fieldLimit = 50;

/** Reads the fields of a form; undefined when it has more than a report can have. */
export function readForm(body: Bytes): URLSearchParams | undefined {
  const ampersand = 38;
  let fields = 1;
  for (const byte of body) {
    if (byte === ampersand && ++fields > fieldLimit) return undefined;
  }
  return new URLSearchParams(new TextDecoder().decode(body));
}

/**
 * Whether Twilio signed a delivery report with an account's token, by the SDK's validator.
 *
 * @param functionsUrl As in {@link callbackOf}; behind a gateway the request's own URL differs.
 * @param query As received, with its question mark.
 * @param form All fields, including unknown ones: Twilio signs all of them.
 */
export async function isSignedReport(
  authToken: string,
  signature: string,
  { functionsUrl, query, form }: {
    readonly functionsUrl: string;
    readonly query: string;
    readonly form: URLSearchParams;
  },
): Promise<boolean> {
  if (authToken === "") return false;
  const { validateRequest } = await import("twilio/lib/webhooks/webhooks.js");
  const address = `${functionsUrl}${callbackPath}${query}`;
  return validateRequest(authToken, signature, address, groupFields(form));
}

/** The form that the validator takes: a value, or a list where a name is repeated. */
function groupFields(form: URLSearchParams): Record<string, string | string[]> {
  const fields = new Map<string, string[]>();
  for (const [name, value] of form) {
    const values = fields.get(name);
    if (values) values.push(value);
    else fields.set(name, [value]);
  }
  return Object.fromEntries(
    Array.from(
      fields,
      ([name, [first = "", ...more]]) =>
        [name, more.length === 0 ? first : [first, ...more]] as const,
    ),
  );
}

const report = z.object({
  MessageSid: z.string().regex(/^(SM|MM)[0-9a-f]{32}$/i),
  MessageStatus: z.string().min(1).max(40),
  // Blank if there was no error.
  ErrorCode: z.string().regex(/^[0-9]{0,6}$/).transform((code) => Number(code) || undefined)
    .optional(),
});

/** What Twilio reports about a text. */
export interface DeliveryReport {
  readonly sid: string;
  readonly status: string;
  readonly errorCode?: number | undefined;
}

/** Reads a report; undefined when a field it needs is missing or malformed. */
export function readReport(form: URLSearchParams): DeliveryReport | undefined {
  const read = report.safeParse(Object.fromEntries(form));
  if (!read.success) return undefined;
  const { MessageSid, MessageStatus, ErrorCode } = read.data;
  return { sid: MessageSid, status: MessageStatus, errorCode: ErrorCode };
}
