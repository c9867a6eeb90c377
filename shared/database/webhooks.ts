/**
 * Messages to other systems that wait to be sent.
 *
 * @module
 */

import { z } from "zod";
import { type AnswerOf, bare, entry } from "./entry.ts";

const message = z.object({
  orgId: z.string(),
  endpointId: z.string(),
  messageId: z.string(),
  /** Of this attempt. */
  claimId: z.string(),
  /** A secret. */
  address: z.string(),
  /** Encrypted, newest first. */
  secrets: z.array(z.object({ keyId: z.string(), nonce: z.string(), ciphertext: z.string() })),
  type: z.string(),
  /** When it happened. */
  at: z.string(),
  data: z.record(z.string(), z.unknown()),
});

/** Claims messages that are due. Each must then be sent once, and its result recorded. */
export const claimWebhooks = entry("claim_webhooks", {
  args: (endpoints: number) => ({ p_limit: endpoints }),
  answer: z.discriminatedUnion("outcome", [
    bare("busy"),
    z.object({ outcome: z.literal("claimed"), messages: z.array(message) }),
  ]),
});
/** A message that was claimed. */
export type ClaimedMessage = Extract<
  AnswerOf<typeof claimWebhooks>,
  { readonly outcome: "claimed" }
>["messages"][number];

/** Records what became of a message. If that fails, it is sent again. */
export const settleWebhook = entry("settle_webhook", {
  args: (
    { orgId, messageId, claimId }: ClaimedMessage,
    { reason, isGone }: {
      /** Null if it was delivered. */
      readonly reason: string | null;
      readonly isGone: boolean;
    },
  ) => ({
    ...{ p_org: orgId, p_message: messageId, p_claim: claimId },
    ...{ p_reason: reason, p_is_gone: isGone },
  }),
  answer: bare("delivered", "waiting", "failed", "known", "busy"),
  busyIsFault: true,
});
