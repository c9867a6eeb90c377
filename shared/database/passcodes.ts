/**
 * Passcodes: a send begins and is completed or cleared, and the code that the caller reads is compared.
 *
 * @module
 */

import { z } from "zod";
import { appointment, settled } from "./changes.ts";
import { type AnswerOf, bare, type CallFacts, entry, orgId, refusals } from "./entry.ts";
import { hold } from "./holds.ts";

/** A passcode's MAC under one pepper. */
export interface PasscodeMac {
  readonly keyId: string;
  /** 64 hex digits. */
  readonly mac: string;
}

/** One send of a call. */
export interface SendReference {
  /** The call that asked for it. */
  readonly call: CallFacts;
  readonly orgId: string;
  readonly sendId: string;
}

/** Everything in a call that waited for a number is confirmed and carried out. */
const confirmed = hold.extend({
  outcome: z.literal("confirmed"),
  /** Further holds that were confirmed. */
  others: z.array(hold),
  /** Appointments that the same patients have at the same time. */
  overlaps: z.array(appointment),
  /** Starts of holds that had expired. */
  lapsed: z.array(z.string()),
  /** The result of the request about appointments. */
  change: z.discriminatedUnion("outcome", [...settled]).optional(),
});
/** A {@link confirmed} answer. */
export type Confirmed = z.infer<typeof confirmed>;

/** What a passcode is for. Before it is given, nothing is said about the appointment of a change. */
const purpose = z.enum(["confirm", "change"]);
/** A {@link purpose}. */
export type Purpose = z.infer<typeof purpose>;

/** A send that is to begin. */
export interface NewSend {
  /** By default, what this call is about. */
  readonly holdId?: string | undefined;
  readonly sendId: string;
  readonly mac: PasscodeMac;
  readonly expectedOrgId: string;
  /** The number that texts. It is never texted itself. */
  readonly sender: string | undefined;
}

const nameNewSend = (call: CallFacts, asked: NewSend) => ({
  p_call: call,
  p_hold: asked.holdId ?? null,
  p_send_id: asked.sendId,
  p_mac: asked.mac.mac,
  p_key_id: asked.mac.keyId,
  p_expected_org: asked.expectedOrgId,
  p_sender: asked.sender ?? null,
});

/** The send has begun: whom to text. */
const claimed = z.object({
  outcome: z.literal("claimed"),
  orgId: z.string(),
  clinic: z.string(),
  purpose,
  /** Whether to send a text. False for a change without a matching appointment. */
  isDue: z.boolean(),
  phone: z.string(),
  phoneEnding: z.string(),
  /** Whether the previous text did not arrive. */
  afterUndelivered: z.boolean(),
  expiresInSeconds: z.number(),
});
/** A send that has begun. */
export type BegunSend = z.infer<typeof claimed>;

/** No text may be sent. */
const refused = z.object({
  outcome: z.enum([
    "bad_destination",
    "undelivered",
    "blocked_country",
    "call_send_limit",
    "phone_send_limit",
    "org_send_limit",
  ]),
  orgId,
  purpose,
});

/** The same request has already texted a code. */
const alreadySent = z.object({
  outcome: z.literal("already_sent"),
  orgId,
  purpose,
  phoneEnding: z.string(),
  /** The code's whole lifetime, as the caller was told. */
  expiresInSeconds: z.number(),
});

/** Nothing waits for a code. */
const unfit = ["call_needed", "hold_not_found", "hold_expired"] as const;

/** Begins a send: stores the MAC, and answers whom to text. */
export const beginOtpSend = entry("begin_otp_send", {
  args: nameNewSend,
  answer: z.discriminatedUnion("outcome", [
    bare("wrong_account"),
    bare(...refusals, "locked"),
    bare(...unfit),
    hold.extend({ outcome: z.literal("already_confirmed") }),
    confirmed,
    ...settled,
    refused,
    claimed,
    alreadySent.extend({ retryAfterSeconds: z.number() }),
    alreadySent.extend({ outcome: z.literal("cooldown"), retryAfterSeconds: z.number() }),
  ]),
});
/** The answer of {@link beginOtpSend}. */
export type BeginSendOutcome = AnswerOf<typeof beginOtpSend>;

/** Begins the send for a new hold, unless a code of the call can already confirm it. */
export const beginSendAtHold = entry("begin_send_at_hold", {
  args: nameNewSend,
  answer: z.discriminatedUnion("outcome", [
    bare("wrong_account"),
    bare("send_otp_needed"),
    bare(...refusals, "locked"),
    bare(...unfit),
    hold.extend({ outcome: z.literal("already_confirmed") }),
    refused,
    claimed,
    alreadySent,
    z.object({
      outcome: z.literal("under_way"),
      orgId,
      phoneEnding: z.string(),
      /** From now. */
      expiresInSeconds: z.number(),
    }),
  ]),
});
/** The answer of {@link beginSendAtHold}. */
export type BeginAtHoldOutcome = AnswerOf<typeof beginSendAtHold>;

/** Records that Twilio accepted the text. */
export const completeOtpSend = entry("complete_otp_send", {
  args: (send: SendReference, sid: string) => ({ ...nameSend(send), p_sid: sid }),
  answer: bare("sent", "not_current", "busy"),
  busyIsFault: true,
});

/** Deletes the passcode of a text that failed. */
export const clearOtpSend = entry("clear_otp_send", {
  args: (send: SendReference, reason: string, mayHaveBeenSent: boolean) => ({
    ...nameSend(send),
    p_reason: reason,
    p_may_have_been_sent: mayHaveBeenSent,
  }),
  answer: bare("cleared", "sent", "not_current", "busy"),
  busyIsFault: true,
});

function nameSend({ call, orgId, sendId }: SendReference) {
  return { p_call: call, p_org: orgId, p_send_id: sendId };
}

/** Whether Twilio reported that the newest text did not arrive. */
const undelivered = z.boolean().default(false);

/** Compares a passcode. If it is right, confirms the holds of its phone and carries out the change. */
export const verifyOtpAndConfirm = entry("verify_otp_and_confirm", {
  args: (call: CallFacts, { holdId, macs }: {
    /** By default, what this call is about. */
    readonly holdId?: string | undefined;
    /** One for each pepper. */
    readonly macs: readonly PasscodeMac[];
  }) => ({ p_call: call, p_hold: holdId ?? null, p_macs: macs }),
  answer: z.discriminatedUnion("outcome", [
    bare(
      ...[...refusals, "call_needed", "code_unreadable", "locked"] as const,
      ...["hold_not_found", "hold_expired"] as const,
    ),
    confirmed,
    hold.extend({ outcome: z.literal("already_confirmed") }),
    ...settled,
    z.object({
      outcome: z.literal("code_locked"),
      orgId,
      /** Whether no further code can help. */
      isFinal: z.boolean().default(false),
    }),
    z.object({ outcome: z.enum(["code_expired", "no_code"]), orgId, undelivered }),
    z.object({ outcome: z.literal("wrong_code"), orgId, undelivered, attemptsLeft: z.number() }),
  ]),
});
/** The answer of {@link verifyOtpAndConfirm}. */
export type VerificationOutcome = AnswerOf<typeof verifyOtpAndConfirm>;
