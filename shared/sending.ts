/**
 * A send: one attempt to text a passcode. It begins, then is completed or cleared.
 *
 * @module
 */

import type { AccountOutcome, TwilioAccount } from "./accounts.ts";
import { reportUnreadableCredentials } from "./database/accounts.ts";
import type { Database } from "./database/client.ts";
import type { CallFacts } from "./database/entry.ts";
import {
  type BeginAtHoldOutcome,
  beginOtpSend,
  beginSendAtHold,
  type BeginSendOutcome,
  type BegunSend,
  clearOtpSend,
  completeOtpSend,
  type NewSend,
  type Purpose,
  type SendReference,
} from "./database/passcodes.ts";
import { callbackOf } from "./delivery_reports.ts";
import { macOf, makePasscode } from "./passcodes.ts";
import { composeText, type ReadyAccount, sendText, type TextingTools } from "./texting.ts";
import { loadTwilio, type SmsFailure, type SmsOutcome } from "./twilio.ts";

type NotBegun<Outcome> = Exclude<Outcome, { readonly outcome: "claimed" | "wrong_account" }>;

/** There is no usable account to text with. */
type NoAccount =
  | Exclude<AccountOutcome, { readonly outcome: "found" | "credentials_unreadable" }>
  | { readonly outcome: "credentials_unreadable"; readonly orgId: string };

/** The result of a text that had to be sent. */
type Sent =
  | {
    readonly outcome: "sent";
    readonly orgId: string;
    readonly phoneEnding: string;
    readonly expiresInSeconds: number;
    readonly purpose: Purpose;
    /** Whether the previous text did not arrive. */
    readonly afterUndelivered: boolean;
  }
  | {
    readonly outcome: "sms_failed";
    readonly orgId: string;
    readonly failure: SmsFailure;
  };

/** The result of a send. */
export type SendOutcome = NotBegun<BeginSendOutcome> | NoAccount | Sent;

/** The result of the send for a new hold; `text_failed` means any fault. */
export type SendAtHoldOutcome =
  | NotBegun<BeginAtHoldOutcome>
  | NoAccount
  | Sent
  | { readonly outcome: "text_failed" };

/**
 * Texts a new passcode to the phone of a hold or a change.
 *
 * First it needs a working Twilio account; then the send begins in the database; then the text is
 * sent; then its result is stored, after the answer if Twilio has the text. If the text fails, the
 * stored code is deleted, so that a caller is never stuck with a code that nobody has. The text for a
 * change is sent after the answer, and only if an appointment matches: neither the answer nor its time
 * may tell whether one does.
 *
 * @param holdId The hold. If it is missing or unreadable, what this call is about.
 */
export async function sendPasscode(
  tools: TextingTools,
  call: CallFacts,
  holdId: string | undefined,
): Promise<SendOutcome> {
  const opened = await openSend(tools, call, holdId, beginOtpSend);
  return opened.outcome === "opened" ? await textCode(tools, call, opened) : opened;
}

/** With fewer milliseconds left, send_otp has to text the code: a text takes three round trips. */
const shortestSendMs = 2000;

/**
 * Texts a new passcode to the phone of a hold that was just made, unless a code of this call can
 * already confirm it. Never throws: the hold stays even if its text fails.
 */
export async function sendAtHold(
  tools: TextingTools,
  call: CallFacts,
  holdId: string,
): Promise<SendAtHoldOutcome> {
  if (tools.budget.remainingMs() < shortestSendMs) return { outcome: "send_otp_needed" };
  try {
    const opened = await openSend(tools, call, holdId, beginSendAtHold);
    return opened.outcome === "opened" ? await textCode(tools, call, opened) : opened;
  } catch (fault) {
    tools.log.error("hold_text_failed", { callId: call.callId, holdId, fault });
    return { outcome: "text_failed" };
  }
}

/** A send that has begun, with what is needed to text it. */
interface OpenedSend {
  readonly outcome: "opened";
  readonly begun: BegunSend;
  readonly code: string;
  readonly sendId: string;
  readonly account: TwilioAccount;
}

async function openSend<Other extends { readonly outcome: string }>(
  tools: TextingTools,
  call: CallFacts,
  holdId: string | undefined,
  begin: Begin<Other>,
): Promise<OpenedSend | Other | NoAccount | { readonly outcome: "busy" }> {
  // Starts loading during the first round trips. Where it is awaited, a failure is reported.
  loadTwilio().catch(() => {});
  const ready = await tools.accounts.get(tools.database, call);
  if (ready.outcome === "credentials_unreadable") return await reportUnreadable(tools, call, ready);
  if (ready.outcome !== "found") return ready;
  return await beginSend(tools, call, holdId, ready, begin);
}

/** Texts a code and stores the result: before the answer, or after it for a change. */
async function textCode(
  tools: TextingTools,
  call: CallFacts,
  { begun, code, sendId, account }: OpenedSend,
): Promise<Sent> {
  const { orgId, purpose, phoneEnding, expiresInSeconds, afterUndelivered, isDue } = begun;
  const send: SendReference = { call, orgId, sendId };
  const text = async () => {
    const sms = await sendText(tools, call, { orgId, account }, {
      to: begun.phone,
      body: composeText(code, begun),
      validitySeconds: Math.max(10, expiresInSeconds),
      statusCallback: callbackOf(tools.config.functionsPublicUrl, send),
    });
    await writeDown(tools, send, sms);
    return sms;
  };
  if (purpose === "change") {
    tools.background.run(isDue ? afterwards(tools, send, text) : Promise.resolve());
  } else {
    const sms = await text();
    if (sms.kind === "failed") return { outcome: "sms_failed", orgId, failure: sms.failure };
  }
  return { outcome: "sent", orgId, phoneEnding, expiresInSeconds, purpose, afterUndelivered };
}

/**
 * How long the text of a change waits, in milliseconds, until the answer has been sent. Otherwise its
 * work could delay the answer, and the delay would tell whether an appointment matched.
 */
const untilAnsweredMs = 50;

/** Texts after the answer. Only the log and the audit trail hear of a failure. */
async function afterwards(
  { log }: TextingTools,
  send: SendReference,
  text: () => Promise<SmsOutcome>,
): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, untilAnsweredMs));
  const sms = await text().catch((fault) => {
    log.error("change_text_failed", { ...idsOf(send), fault });
  });
  if (sms?.kind === "failed") {
    const { failure, code: providerCode } = sms;
    log.error("change_text_failed", { ...idsOf(send), failure, providerCode });
  }
}

/** What names a send in the log, and leads to its call. */
const idsOf = ({ call, orgId, sendId }: SendReference) => ({ orgId, callId: call.callId, sendId });

/** Stores the result of a text: a failure at once, since the caller may ask for another one. */
async function writeDown(
  tools: TextingTools,
  send: SendReference,
  sms: SmsOutcome,
): Promise<void> {
  if (sms.kind === "failed") return await clearSend(tools, send, sms);
  // The code is valid already, so the caller does not wait for this.
  tools.background.run(
    completeOtpSend(tools.database, send, sms.sid).then(
      () => {},
      (fault) => tools.log.error("otp_send_not_recorded", { ...idsOf(send), fault }),
    ),
  );
}

/** A stored account that cannot be decrypted: nothing is texted, and an operator must act. */
async function reportUnreadable(
  { database, log }: TextingTools,
  call: CallFacts,
  { orgId, fault }: Extract<AccountOutcome, { readonly outcome: "credentials_unreadable" }>,
): Promise<NoAccount> {
  log.error("credentials_unreadable", { orgId, fault });
  await reportUnreadableCredentials(database, call).catch((fault) =>
    log.error("audit_failed", { orgId, fault })
  );
  return { outcome: "credentials_unreadable", orgId };
}

/** The account that was read belongs to another organization than the call. */
type WrongAccount = Extract<BeginSendOutcome, { readonly outcome: "wrong_account" }>;

/** Begins a send in the database, or says why it cannot begin. */
type Begin<Other> = (
  database: Database,
  call: CallFacts,
  asked: NewSend,
) => Promise<BegunSend | WrongAccount | Other>;

type Named = { readonly outcome: string };
const isBegun = (answer: Named): answer is BegunSend => answer.outcome === "claimed";
const isWrong = (answer: Named): answer is WrongAccount => answer.outcome === "wrong_account";

/** Begins the send. If the clinic's number has moved to another organization, reads again, once. */
async function beginSend<Other extends Named>(
  { config, database, accounts }: TextingTools,
  call: CallFacts,
  holdId: string | undefined,
  ready: ReadyAccount,
  begin: Begin<Other>,
): Promise<OpenedSend | Other | { readonly outcome: "busy" }> {
  const code = makePasscode();
  const mac = macOf(config.otpPeppers[0], code);
  const attempt = async ({ orgId, account }: ReadyAccount) => {
    const sendId = crypto.randomUUID();
    const sender = "from" in account.sender ? account.sender.from : undefined;
    const asked = { holdId, sendId, mac, expectedOrgId: orgId, sender };
    const begun = await begin(database, call, asked);
    return isBegun(begun) ? { outcome: "opened", begun, code, sendId, account } as const : begun;
  };
  let opened = await attempt(ready);
  if (isWrong(opened)) {
    const fresh = await accounts.refresh(database, call, ready.account);
    if (fresh.outcome === "found") opened = await attempt(fresh);
  }
  return isWrong(opened) ? { outcome: "busy" } : opened;
}

/** Deletes the stored code of a text that failed. */
async function clearSend(
  { database, log }: TextingTools,
  send: SendReference,
  { failure, code, mayHaveBeenSent }: Extract<SmsOutcome, { readonly kind: "failed" }>,
): Promise<void> {
  log.warn("rolling back OTP storage", { ...idsOf(send), failure, providerCode: code });
  await clearOtpSend(database, send, failure, mayHaveBeenSent).catch((fault) =>
    // After 30 seconds another send may begin anyway.
    log.error("otp_rollback_failed", { ...idsOf(send), fault })
  );
}
