/**
 * Twilio's delivery reports: the callback address and the fields.
 *
 * @module
 */

import { z } from "zod";

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
