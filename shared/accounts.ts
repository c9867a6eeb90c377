/**
 * An organization's Twilio account: decrypted, checked, and cached for five minutes.
 *
 * Accounts are encrypted, bound to organization and provider. The keys are secrets of the functions; the
 * database has only ciphertext.
 *
 * @module
 */

import { z } from "zod";
import type { NamedKey } from "./config.ts";
import {
  type CredentialsOutcome,
  getCredentials,
  getCredentialsOf,
  getCredentialsOfNumber,
  type TextedSender,
} from "./database/accounts.ts";
import type { Database } from "./database/client.ts";
import type { CallFacts } from "./database/entry.ts";
import { decrypt, encrypt, type Encrypted } from "./encryption.ts";
import { Fault, toFault } from "./errors.ts";

const cacheMs = 5 * 60_000;
const cacheSize = 1000;

const filled = z.string().trim().min(1);
const account = z.object({
  accountSid: filled.regex(/^AC[0-9a-zA-Z]{32}$/),
  /** Signs webhooks; without an API key it also authenticates. */
  authToken: filled,
  apiKey: z.object({ sid: filled.regex(/^SK[0-9a-zA-Z]{32}$/), secret: filled }).optional(),
  sender: z.union([
    z.object({ messagingServiceSid: filled.regex(/^MG[0-9a-zA-Z]{32}$/) }),
    z.object({ from: filled.regex(/^\+[1-9][0-9]{6,14}$/) }),
  ]),
});
/** A Twilio account with everything a text needs; no field is empty. */
export type TwilioAccount = z.infer<typeof account>;

/** The account of an organization, or why there is none. */
export type AccountOutcome =
  | { readonly outcome: "found"; readonly orgId: string; readonly account: TwilioAccount }
  | { readonly outcome: "sms_not_configured"; readonly orgId: string }
  /** Unknown key, another organization's row, damaged data or a missing field: needs an operator. */
  | { readonly outcome: "credentials_unreadable"; readonly orgId: string; readonly fault: Fault }
  | { readonly outcome: "unknown_clinic" | "cross_tenant_denied"; readonly orgId?: string };

/** What is stored in `org_credentials`. */
export type EncryptedAccount = Encrypted;

/**
 * Encrypts an account under the first key.
 *
 * @throws {z.ZodError} When a field is missing, empty or malformed.
 */
export async function encryptAccount(
  keys: readonly [NamedKey, ...NamedKey[]],
  orgId: string,
  plain: TwilioAccount,
): Promise<EncryptedAccount> {
  return await encrypt(keys, ownerOf(orgId), JSON.stringify(account.parse(plain)));
}

/**
 * Decrypts an account.
 *
 * @throws {Fault} `credentials_unreadable`: the key is unknown, the row belongs to another
 * organization or is damaged, or a field is missing.
 */
export async function decryptAccount(
  keys: readonly NamedKey[],
  orgId: string,
  stored: EncryptedAccount,
): Promise<TwilioAccount> {
  try {
    return account.parse(JSON.parse(await decrypt(keys, ownerOf(orgId), stored)));
  } catch (thrown) {
    if (thrown instanceof Fault) throw thrown;
    // Without the cause, which could quote what was decrypted.
    throw new Fault(
      "credentials_unreadable",
      `Cannot read the Twilio account of organization ${orgId}: store it again`,
    );
  }
}

/** What an account texts from: a number, E.164, or a messaging service. */
export function senderOf({ sender }: TwilioAccount): string {
  return "from" in sender ? sender.from : sender.messagingServiceSid;
}

/** Accounts by the call that needs them. Concurrent requests share one read; failures are not kept. */
export interface AccountCache {
  get(database: Database, call: CallFacts): Promise<AccountOutcome>;
  /** The account of an organization, for work that belongs to no call. */
  getOf(database: Database, orgId: string): Promise<AccountOutcome>;
  /**
   * The account that received a text. It is read each time: nobody has signed yet which sender the text
   * names, so whoever posts made-up ones would fill the cache.
   */
  getOfNumber(database: Database, texted: TextedSender): Promise<AccountOutcome>;
  /**
   * Reads the account again after Twilio refused it. When many calls were refused, one of them reads
   * and the others share the result.
   *
   * @param refused The account that `get` returned.
   */
  refresh(database: Database, call: CallFacts, refused: TwilioAccount): Promise<AccountOutcome>;
}

interface CachedRead {
  readonly readAt: number;
  readonly read: Promise<AccountOutcome>;
  /** Set when the read has found one. */
  account?: TwilioAccount;
}

/**
 * Creates the cache of an isolate.
 *
 * @param now The clock in milliseconds.
 */
export function createAccountCache(
  keys: readonly NamedKey[],
  now: () => number = Date.now,
): AccountCache {
  const entries = new Map<string, CachedRead>();

  const read = (key: string, ask: Ask): Promise<AccountOutcome> => {
    const reading = readAccount(keys, ask);
    const entry: CachedRead = { readAt: now(), read: reading };
    entries.delete(key);
    entries.set(key, entry);
    const oldest = entries.size > cacheSize ? entries.keys().next().value : undefined;
    if (oldest !== undefined) entries.delete(oldest);
    const forget = () => {
      if (entries.get(key) === entry) entries.delete(key);
    };
    reading.then((outcome) => {
      if (outcome.outcome === "found") entry.account = outcome.account;
      else forget();
    }, forget);
    return reading;
  };
  const share = (key: string, ask: Ask): Promise<AccountOutcome> => {
    const cached = entries.get(key);
    return cached && now() - cached.readAt < cacheMs ? cached.read : read(key, ask);
  };
  // Calls share this read, so the model's claims are left out; begin_otp_send checks them.
  const askOf = (database: Database, call: CallFacts) => () =>
    getCredentials(database, { ...call, claims: {} });
  return {
    get: (database, call) => share(clinicKey(call), askOf(database, call)),
    getOf: (database, orgId) => share(orgId, () => getCredentialsOf(database, orgId)),
    getOfNumber: (database, texted) =>
      readAccount(keys, () => getCredentialsOfNumber(database, texted)),
    refresh: (database, call, refused) => {
      const key = clinicKey(call);
      const isCurrent = entries.get(key)?.account === refused;
      return (isCurrent ? read : share)(key, askOf(database, call));
    },
  };
}

type Ask = () => Promise<CredentialsOutcome>;

async function readAccount(
  keys: readonly NamedKey[],
  ask: Ask,
): Promise<AccountOutcome> {
  const stored = await ask();
  switch (stored.outcome) {
    case "found":
      try {
        const account = await decryptAccount(keys, stored.orgId, stored);
        return { outcome: "found", orgId: stored.orgId, account };
      } catch (thrown) {
        const fault = toFault(thrown);
        return { outcome: "credentials_unreadable", orgId: stored.orgId, fault };
      }
    case "not_configured":
      return { outcome: "sms_not_configured", orgId: stored.orgId };
    case "unknown_clinic":
    case "cross_tenant_denied":
      return { outcome: stored.outcome, ...(stored.orgId ? { orgId: stored.orgId } : {}) };
  }
}

/** Includes what the secret is bound to, because the answer depends on it. */
function clinicKey({ phoneNumberId, calledNumber, assistantId, boundTo }: CallFacts): string {
  return JSON.stringify([phoneNumberId, calledNumber, assistantId, boundTo]);
}

const ownerOf = (orgId: string) => `credentials:v1|${orgId}|twilio`;
