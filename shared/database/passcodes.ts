/**
 * Passcodes: a send begins, completes or is cleared, and what the caller read out is compared.
 *
 * @module
 */

import { z } from "zod";
import { changed } from "./changes.ts";
import { type AnswerOf, bare, type CallFacts, entry, orgId, refusals } from "./entry.ts";
import { hold } from "./holds.ts";

/** A passcode's MAC under one pepper. */
export interface PasscodeMac {
  readonly keyId: string;
  /** 64 hex digits. */
  readonly mac: string;
}

/** One send of one hold. */
export interface SendReference {
  /** Who asked for it. */
  readonly call: CallFacts;
  readonly orgId: string;
  readonly holdId: string;
  readonly sendId: string;
}

/** What a passcode is for: a change's goes to the number of the booking and no other. */
const purpose = z.enum(["confirm", "change"]);
/** The same, as a type. */
export type Purpose = z.infer<typeof purpose>;

/** Begins a send: stores the MAC, and answers whom to text. */
export const beginOtpSend = entry("begin_otp_send", {
  args: (call: CallFacts, asked: {
    /** What this call is about, when left out. */
    readonly holdId?: string | undefined;
    readonly sendId: string;
    readonly mac: PasscodeMac;
    readonly expectedOrgId: string;
    /** The number that texts; it is never texted itself. */
    readonly sender: string | undefined;
  }) => ({
    p_call: call,
    p_hold: asked.holdId ?? null,
    p_send_id: asked.sendId,
    p_mac: asked.mac.mac,
    p_key_id: asked.mac.keyId,
    p_expected_org: asked.expectedOrgId,
    p_sender: asked.sender ?? null,
  }),
  answer: z.discriminatedUnion("outcome", [
    bare("wrong_account"),
    bare(
      ...refusals,
      "blocked_country",
      "hold_send_limit",
      "phone_send_limit",
      "org_send_limit",
      "hold_not_found",
      "hold_expired",
      "change_expired",
      "locked",
    ),
    hold.extend({ outcome: z.literal("already_confirmed") }),
    changed,
    z.object({ outcome: z.enum(["bad_destination", "undelivered"]), orgId, purpose }),
    z.object({
      outcome: z.enum(["already_sent", "cooldown"]),
      orgId,
      phoneEnding: z.string(),
      /** The code's whole lifetime, as it was told when it was texted. */
      expiresInSeconds: z.number(),
      retryAfterSeconds: z.number(),
    }),
    z.object({
      outcome: z.literal("claimed"),
      orgId: z.string(),
      holdId: z.string(),
      clinic: z.string(),
      purpose,
      phone: z.string(),
      phoneEnding: z.string(),
      /** The text before this one did not arrive. */
      afterUndelivered: z.boolean(),
      expiresInSeconds: z.number(),
    }),
  ]),
});
/** What it answers. */
export type BeginSendOutcome = AnswerOf<typeof beginOtpSend>;

/** Writes down that Twilio accepted the text. */
export const completeOtpSend = entry("complete_otp_send", {
  args: (send: SendReference, sid: string) => ({ ...nameSend(send), p_sid: sid }),
  answer: bare("sent", "not_current", "busy"),
  busyIsFault: true,
});

/** Forgets the passcode of a text that failed. */
export const clearOtpSend = entry("clear_otp_send", {
  args: (send: SendReference, reason: string, mayHaveBeenSent: boolean) => ({
    ...nameSend(send),
    p_reason: reason,
    p_may_have_been_sent: mayHaveBeenSent,
  }),
  answer: bare("cleared", "not_current", "busy"),
  busyIsFault: true,
});

function nameSend({ call, orgId, holdId, sendId }: SendReference) {
  return { p_call: call, p_org: orgId, p_hold: holdId, p_send_id: sendId };
}

/** True when Twilio reported that the newest text did not arrive. */
const undelivered = z.boolean().default(false);

/** Compares a passcode, and confirms the hold or carries out the change. */
export const verifyOtpAndConfirm = entry("verify_otp_and_confirm", {
  args: (call: CallFacts, { holdId, macs }: {
    /** What this call is about, when left out. */
    readonly holdId?: string | undefined;
    /** Under each pepper. */
    readonly macs: readonly PasscodeMac[];
  }) => ({ p_call: call, p_hold: holdId ?? null, p_macs: macs }),
  answer: z.discriminatedUnion("outcome", [
    bare(
      ...refusals,
      "code_locked",
      "code_unreadable",
      "locked",
      "hold_not_found",
      "hold_expired",
      "change_expired",
    ),
    hold.extend({ outcome: z.enum(["confirmed", "already_confirmed"]) }),
    changed,
    z.object({ outcome: z.enum(["code_expired", "no_code"]), orgId, undelivered }),
    z.object({ outcome: z.literal("wrong_code"), orgId, undelivered, attemptsLeft: z.number() }),
  ]),
});
/** What it answers. */
export type VerificationOutcome = AnswerOf<typeof verifyOtpAndConfirm>;
