/**
 * A text that Twilio received for a clinic: the fields of its webhook.
 * https://www.twilio.com/docs/messaging/guides/webhook-request
 *
 * @module
 */

import { z } from "zod";

/** The most that Twilio puts together from the parts of a text. */
const longestBody = 1600;

const fields = z.object({
  MessageSid: z.string().regex(/^(SM|MM)[0-9a-f]{32}$/i),
  AccountSid: z.string().regex(/^AC[0-9a-zA-Z]{32}$/),
  MessagingServiceSid: z.string().regex(/^MG[0-9a-zA-Z]{32}$/).optional()
    .or(z.literal("").transform(() => undefined)),
  From: z.string().min(1).max(64),
  // A number, or the short code of a messaging service.
  To: z.string().regex(/^(?:\+[1-9][0-9]{6,14}|[0-9]{3,8})$/),
  // A picture alone has no words.
  Body: z.string().transform((body) => body.slice(0, longestBody)).default(""),
  OptOutType: z.string().optional(),
});

/** A text from a patient. Its words are never logged or stored. */
export interface InboundText {
  /** Twilio's id of the text. */
  readonly sid: string;
  readonly accountSid: string;
  /** A phone in E.164; or a short code, or an address of another service. */
  readonly from: string;
  /** E.164, or a short code. */
  readonly to: string;
  readonly service: string | undefined;
  readonly body: string;
  /** The keyword that Twilio has acted on, if it says so. */
  readonly optOutType: string | undefined;
}

/** Reads a text; undefined when a field is missing or malformed. */
export function readInboundText(form: URLSearchParams): InboundText | undefined {
  const read = fields.safeParse(Object.fromEntries(form));
  if (!read.success) return undefined;
  const { MessageSid, AccountSid, MessagingServiceSid, From, To, Body, OptOutType } = read.data;
  return {
    sid: MessageSid,
    accountSid: AccountSid,
    from: From,
    to: To,
    service: MessagingServiceSid,
    body: Body,
    optOutType: OptOutType,
  };
}

/** Whether it comes from a phone, and not from a service or from the clinic's own number. */
export function isFromPhone({ from, to }: InboundText): boolean {
  return /^\+[1-9][0-9]{6,14}$/.test(from) && from !== to;
}
