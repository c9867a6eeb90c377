/**
 * Passcodes: made, sent and verified. The SQL counts and decides; here they get their digits, their
 * MAC and their text.
 *
 * Sources: NIST SP 800-63B-4 §3.1.3.2 and §3.2.2, OWASP ASVS 5 §6.5 and §6.6.
 *
 * @module
 */

import type { Config, NamedKey } from "./config.ts";
import type { AccountCache, AccountOutcome, TwilioAccount } from "./credentials.ts";
import { reportUnreadableCredentials } from "./database/accounts.ts";
import type { Database } from "./database/client.ts";
import type { CallFacts } from "./database/entry.ts";
import {
  beginOtpSend,
  type BeginSendOutcome,
  clearOtpSend,
  completeOtpSend,
  type PasscodeMac,
  type SendReference,
  type VerificationOutcome,
  verifyOtpAndConfirm,
} from "./database/passcodes.ts";
import type { Budget } from "./deadline.ts";
import { callbackOf } from "./delivery_reports.ts";
import { toGsmText } from "./gsm.ts";
import type { Log } from "./logging.ts";
import { loadSmsSdk, sendSms, type SmsFailure, type SmsOutcome } from "./sms.ts";

const smsTimeoutMs = 3000;
/** Kept back from the text's deadline to write down what became of it. */
const bookkeepingMs = 900;

/** What sending and verifying need. */
export interface PasscodeTools {
  readonly config: Config;
  readonly database: Database;
  readonly accounts: AccountCache;
  readonly budget: Budget;
  readonly log: Log;
  /** Told how long Twilio took, in milliseconds. */
  readonly onSms?: (durationMs: number) => void;
}

type NotClaimed = Exclude<
  BeginSendOutcome,
  { readonly outcome: "claimed" } | { readonly outcome: "wrong_account" }
>;

/** What became of a send. */
export type SendOutcome =
  | NotClaimed
  | Exclude<AccountOutcome, { readonly outcome: "found" | "credentials_unreadable" }>
  | { readonly outcome: "credentials_unreadable"; readonly orgId: string }
  | {
    readonly outcome: "sent";
    readonly orgId: string;
    readonly phoneEnding: string;
    readonly expiresInSeconds: number;
    /** The text before this one did not arrive. */
    readonly afterUndelivered: boolean;
  }
  | {
    readonly outcome: "sms_failed";
    readonly orgId: string;
    readonly failure: SmsFailure;
    readonly purpose: "confirm" | "change";
  };

/**
 * Texts a fresh passcode to the phone of a hold.
 *
 * Order: a working Twilio account first, then the claim in the database, then the text, then what
 * became of it. A text that failed rolls the stored code back, so a caller is never stuck with a
 * code that nobody has.
 *
 * @param holdId The hold; missing or unreadable means the hold of this call.
 */
export async function sendPasscode(
  tools: PasscodeTools,
  call: CallFacts,
  holdId: string | undefined,
): Promise<SendOutcome> {
  // Loads beside the first round trips; a failure shows where it is awaited.
  loadSmsSdk().catch(() => {});
  const ready = await tools.accounts.get(tools.database, call);
  if (ready.outcome === "credentials_unreadable") return await reportUnreadable(tools, call, ready);
  if (ready.outcome !== "found") return ready;

  const code = makePasscode();
  const begun = await beginSend(tools, call, holdId, code, ready);
  if (begun.claim.outcome !== "claimed") {
    return begun.claim;
  }
  const { claim, sendId, account } = begun;
  const send: SendReference = { call, orgId: claim.orgId, holdId: claim.holdId, sendId };
  const sms = await sendWithFreshAccount(tools, call, { orgId: claim.orgId, account }, {
    to: claim.phone,
    body: composeText(code, claim),
    validitySeconds: Math.max(10, claim.expiresInSeconds),
    statusCallback: callbackOf(tools.config.functionsPublicUrl, send),
  });
  if (sms.kind === "failed") {
    await rollBack(tools, send, sms);
    const { orgId, purpose } = claim;
    return { outcome: "sms_failed", orgId, failure: sms.failure, purpose };
  }
  await completeOtpSend(tools.database, send, sms.sid).catch((fault) =>
    // The code verifies all the same.
    tools.log.error("otp_send_not_recorded", { sendId, holdId: send.holdId, fault })
  );
  const { orgId, phoneEnding, expiresInSeconds, afterUndelivered } = claim;
  return { outcome: "sent", orgId, phoneEnding, expiresInSeconds, afterUndelivered };
}

/** A stored account that does not decrypt: nothing is texted, and an operator has to hear of it. */
async function reportUnreadable(
  { database, log }: PasscodeTools,
  call: CallFacts,
  { orgId, fault }: Extract<AccountOutcome, { readonly outcome: "credentials_unreadable" }>,
): Promise<SendOutcome> {
  log.error("credentials_unreadable", { orgId, fault });
  await reportUnreadableCredentials(database, call).catch((fault) =>
    log.error("audit_failed", { orgId, fault })
  );
  return { outcome: "credentials_unreadable", orgId };
}

interface ReadyAccount {
  readonly orgId: string;
  readonly account: TwilioAccount;
}

interface BegunSend {
  readonly claim: Exclude<BeginSendOutcome, { readonly outcome: "wrong_account" }>;
  readonly sendId: string;
  readonly account: TwilioAccount;
}

/** Claims the send; when the clinic's number has moved to another organization, reads anew once. */
async function beginSend(
  tools: PasscodeTools,
  call: CallFacts,
  holdId: string | undefined,
  code: string,
  ready: ReadyAccount,
): Promise<BegunSend> {
  const [pepper] = tools.config.otpPeppers;
  const mac = await macOf(pepper, code);
  const begin = async ({ orgId, account }: ReadyAccount) => {
    const sendId = crypto.randomUUID();
    const sender = "from" in account.sender ? account.sender.from : undefined;
    const asked = { holdId, sendId, mac, expectedOrgId: orgId, sender };
    return { claim: await beginOtpSend(tools.database, call, asked), sendId, account };
  };
  let { claim, sendId, account } = await begin(ready);
  if (claim.outcome === "wrong_account") {
    const fresh = await tools.accounts.refresh(tools.database, call, ready.account);
    if (fresh.outcome === "found") ({ claim, sendId, account } = await begin(fresh));
  }
  return claim.outcome === "wrong_account"
    ? { claim: { outcome: "busy" }, sendId, account }
    : { claim, sendId, account };
}

/** Sends; when Twilio refuses the credentials, reads them anew and tries once with changed ones. */
export async function sendWithFreshAccount(
  tools: PasscodeTools,
  call: CallFacts,
  { orgId, account }: ReadyAccount,
  sms: Parameters<typeof sendSms>[1],
): Promise<SmsOutcome> {
  const startedAt = performance.now();
  const send = (sender: TwilioAccount) =>
    sendSms(sender, sms, {
      apiBase: tools.config.twilioApiBase,
      timeoutMs: Math.min(
        smsTimeoutMs - (performance.now() - startedAt),
        tools.budget.remainingMs() - bookkeepingMs,
      ),
    });
  try {
    const first = await send(account);
    if (first.kind === "accepted" || first.failure !== "unauthorized") return first;
    const fresh = await tools.accounts.refresh(tools.database, call, account)
      .catch(() => undefined);
    // The clinic's number may have moved on: another organization's account must not text for it.
    const hasChanged = fresh?.outcome === "found" && fresh.orgId === orgId &&
      JSON.stringify(fresh.account) !== JSON.stringify(account);
    return hasChanged ? await send(fresh.account) : first;
  } finally {
    tools.onSms?.(performance.now() - startedAt);
  }
}

async function rollBack(
  tools: PasscodeTools,
  send: SendReference,
  sms: Extract<SmsOutcome, { readonly kind: "failed" }>,
): Promise<void> {
  const facts = { sendId: send.sendId, holdId: send.holdId, orgId: send.orgId };
  tools.log.warn("rolling back OTP storage", {
    ...facts,
    failure: sms.failure,
    providerCode: sms.code,
  });
  await clearOtpSend(tools.database, send, sms.failure, sms.mayHaveBeenSent).catch((fault) =>
    // The claim lapses by itself after 30 seconds.
    tools.log.error("otp_rollback_failed", { ...facts, fault })
  );
}

/** Checks a passcode and confirms the appointment, in one round trip. */
export async function verifyPasscode(
  { config, database }: Pick<PasscodeTools, "config" | "database">,
  call: CallFacts,
  code: string,
  holdId: string | undefined,
): Promise<VerificationOutcome> {
  const macs = await Promise.all(config.otpPeppers.map((pepper) => macOf(pepper, code)));
  return await verifyOtpAndConfirm(database, call, { holdId, macs });
}

/** Six digits, every one of the million codes equally likely. */
export function makePasscode(): string {
  const limit = Math.floor(2 ** 32 / 1_000_000) * 1_000_000;
  const draw = new Uint32Array(1);
  do {
    crypto.getRandomValues(draw);
  } while ((draw[0] ?? limit) >= limit);
  return String((draw[0] ?? 0) % 1_000_000).padStart(6, "0");
}

/**
 * HMAC-SHA-256 under a pepper that is in the functions' secrets and not in the database. The
 * database binds it to organization, hold and send: they are known only there, in the same call.
 */
async function macOf(pepper: NamedKey, code: string): Promise<PasscodeMac> {
  const key = await crypto.subtle.importKey(
    "raw",
    pepper.bytes,
    { name: "HMAC", hash: "SHA-256" },
    false,
    ["sign"],
  );
  const mac = await crypto.subtle.sign("HMAC", key, new TextEncoder().encode(`otp:v1|${code}`));
  const hex = Array.from(new Uint8Array(mac), (byte) => byte.toString(16).padStart(2, "0"));
  return { keyId: pepper.id, mac: hex.join("") };
}

/**
 * The text: code first, then clinic, purpose and expiry, and nothing medical. At most 160
 * characters of GSM-7, one segment, whatever the clinic is called.
 */
export function composeText(
  code: string,
  { clinic, purpose, expiresInSeconds }: {
    readonly clinic: string;
    readonly purpose: "confirm" | "change";
    readonly expiresInSeconds: number;
  },
): string {
  const minutes = Math.floor(expiresInSeconds / 60);
  const expiry = minutes > 0 ? `${minutes} min` : `${expiresInSeconds} s`;
  return `${code} is your ${composeClinicName(clinic)} code to ${purpose} your appointment. ` +
    `Read it to our assistant on this call. Expires in ${expiry}. We never call to ask for it.`;
}

/** A clinic's name as texts have it: 25 characters of GSM-7 at most, never blank. */
export function composeClinicName(clinic: string): string {
  return toGsmText(clinic, 25) || "clinic";
}
