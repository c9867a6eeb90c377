/**
 * Texts to patients: what they say, and how to send one with a working account.
 *
 * @module
 */

import type { AccountCache, TwilioAccount } from "./accounts.ts";
import type { Background } from "./background.ts";
import type { Config } from "./config.ts";
import type { Database } from "./database/client.ts";
import type { CallFacts } from "./database/entry.ts";
import type { Purpose } from "./database/passcodes.ts";
import type { TextResult } from "./database/texts.ts";
import type { Budget, Deadlines } from "./deadline.ts";
import { toGsmText } from "./gsm.ts";
import type { Log } from "./logging.ts";
import { sendSms, type Sms, type SmsOutcome } from "./twilio.ts";

/** Part of the text's deadline that is reserved for storing the result. */
const bookkeepingMs = 900;

/** What sending a text needs. */
export interface TextingTools {
  readonly config: Config;
  readonly database: Database;
  readonly accounts: AccountCache;
  readonly budget: Budget;
  readonly deadlines: Deadlines;
  readonly log: Log;
  /** Runs and measures work that only waits for Twilio, while another request has the turn. */
  readonly texting: (send: () => Promise<SmsOutcome>) => Promise<SmsOutcome>;
  /** For work that continues after the answer. */
  readonly background: Background;
}

/** An organization's account, decrypted. */
export interface ReadyAccount {
  readonly orgId: string;
  readonly account: TwilioAccount;
}

/**
 * Sends a text. If Twilio refuses the credentials, reads the account again and, if it has changed,
 * sends once more.
 */
export async function sendText(
  { config, database, accounts, budget, deadlines, texting }: TextingTools,
  call: CallFacts,
  { orgId, account }: ReadyAccount,
  sms: Sms,
): Promise<SmsOutcome> {
  const startedAt = performance.now();
  const send = (sender: TwilioAccount) =>
    sendSms(sender, sms, {
      apiBase: config.twilioApiBase,
      timeoutMs: Math.min(
        deadlines.textMs - (performance.now() - startedAt),
        budget.remainingMs() - bookkeepingMs,
      ),
    });
  return await texting(async () => {
    const first = await send(account);
    if (first.kind === "accepted" || first.failure !== "unauthorized") return first;
    const fresh = await accounts.refresh(database, call, account).catch(() => undefined);
    // The clinic's number may have moved. Another organization's account must not text for it.
    const hasChanged = fresh?.outcome === "found" && fresh.orgId === orgId &&
      JSON.stringify(fresh.account) !== JSON.stringify(account);
    return hasChanged ? await send(fresh.account) : first;
  });
}

/** What the database records of a text. */
export const resultOf = (sms: SmsOutcome): TextResult =>
  sms.kind === "accepted"
    ? { sid: sms.sid }
    : { reason: sms.failure, mayHaveBeenSent: sms.mayHaveBeenSent };

/**
 * The text with a passcode: code first, then clinic, purpose and expiry, and nothing medical. At most
 * 160 characters of GSM-7, which is one segment, however long the clinic's name is.
 */
export function composeText(
  code: string,
  { clinic, purpose, expiresInSeconds }: {
    readonly clinic: string;
    readonly purpose: Purpose;
    readonly expiresInSeconds: number;
  },
): string {
  const minutes = Math.floor(expiresInSeconds / 60);
  const expiry = minutes > 0 ? `${minutes} min` : `${expiresInSeconds} s`;
  return `${code} is your ${composeClinicName(clinic)} code to ${purpose} your appointment. ` +
    `Read it to our assistant on this call. Expires in ${expiry}. We never call to ask for it.`;
}

/**
 * The text after a call that ended before its passcode was given: at most 160 characters of GSM-7, and
 * nothing medical.
 *
 * @param callBack The number to call, unless it is the one that texts.
 */
export function composeFollowUp(clinic: string, callBack: string | undefined): string {
  const back = callBack === undefined ? "" : ` on ${callBack}`;
  return `We lost you before your booking at ${composeClinicName(clinic)} was confirmed. ` +
    `Please call us again${back}. Reply STOP for no more texts.`;
}

/** A clinic's name as it is texted: at most 25 characters of GSM-7, never blank. */
export function composeClinicName(clinic: string): string {
  return toGsmText(clinic, 25) || "clinic";
}
