/**
 * The encrypted Twilio account of an organization.
 *
 * @module
 */

import { z } from "zod";
import { type AnswerOf, bare, type CallFacts, entry } from "./entry.ts";

const stored = [
  z.object({ outcome: z.literal("not_configured"), orgId: z.string() }),
  z.object({
    outcome: z.literal("found"),
    orgId: z.string(),
    keyId: z.string(),
    /** Base64. */
    nonce: z.string(),
    /** Base64. */
    ciphertext: z.string(),
    updatedAt: z.string(),
  }),
] as const;

/** The account of a call's organization. */
export const getCredentials = entry("get_org_credentials", {
  args: (call: CallFacts) => ({ p_call: call, p_provider: "twilio" }),
  answer: z.discriminatedUnion("outcome", [
    bare("unknown_clinic", "cross_tenant_denied"),
    ...stored,
  ]),
});

/** The account of an organization, for work that belongs to no call. */
export const getCredentialsOf = entry("get_credentials_of", {
  args: (orgId: string) => ({ p_org: orgId, p_provider: "twilio" }),
  answer: z.discriminatedUnion("outcome", [bare("unknown_clinic"), ...stored]),
});
/** Where a text was sent to. */
export interface TextedSender {
  /** E.164. */
  readonly number: string;
  /** The messaging service that the number belongs to, if any. */
  readonly service?: string | undefined;
}

/** The account of the organization that a text was sent to. */
export const getCredentialsOfNumber = entry("get_credentials_of_number", {
  args: ({ number, service }: TextedSender) => ({
    p_number: number,
    p_service: service ?? null,
    p_provider: "twilio",
  }),
  answer: z.discriminatedUnion("outcome", [bare("unknown_clinic"), ...stored]),
});
/** The answer of all. */
export type CredentialsOutcome = AnswerOf<
  typeof getCredentials | typeof getCredentialsOf | typeof getCredentialsOfNumber
>;

/** Records in the audit log that the account of a call's organization cannot be decrypted. */
export const reportUnreadableCredentials = entry("report_unreadable_credentials", {
  args: (call: CallFacts) => ({ p_call: call, p_provider: "twilio" }),
  answer: bare("reported", "unknown_clinic", "cross_tenant_denied"),
});
