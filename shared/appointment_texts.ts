/**
 * Sends texts about appointments: claims those that are due, asks Twilio, and stores the result.
 *
 * @module
 */

import type { AccountCache } from "./accounts.ts";
import { composeAppointmentText } from "./appointment_text.ts";
import type { Config } from "./config.ts";
import { type ClaimedText, claimTexts, settleText } from "./database/appointment_texts.ts";
import type { Database } from "./database/client.ts";
import type { TextResult } from "./database/texts.ts";
import type { Budget, Deadlines } from "./deadline.ts";
import { callbackOf } from "./delivery_reports.ts";
import type { Log } from "./logging.ts";
import { readPhone } from "./phone.ts";
import { resultOf } from "./texting.ts";
import { sendSms } from "./twilio.ts";

/** Texts that are claimed and sent together. If the function dies, this many stay unknown. */
const batchSize = 10;
/** How long Twilio keeps trying, in seconds; the text names the day, so it stays true. */
const longestValiditySeconds = 4 * 3600;
/** With less time left, in milliseconds, no further batch is claimed. */
const shortestBatchMs = 12_000;

/** What sending needs. */
export interface SendingTools {
  readonly config: Config;
  readonly database: Database;
  readonly accounts: AccountCache;
  readonly budget: Budget;
  readonly deadlines: Deadlines;
  readonly log: Log;
}

/** How many texts had which result. */
export type SentCounts = Readonly<Record<string, number>>;

/**
 * Sends the texts that are due, batch by batch, until none is left or the time is nearly over.
 *
 * @throws {Fault} If texts cannot be claimed. A text whose result cannot be stored is only logged: it
 * is never sent again.
 */
export async function sendDueTexts(tools: SendingTools): Promise<SentCounts> {
  const counts: Record<string, number> = {};
  while (tools.budget.remainingMs() > shortestBatchMs) {
    const claimed = await claimTexts(tools.database, batchSize);
    if (claimed.outcome === "busy") break;
    for (const outcome of await Promise.all(claimed.texts.map((text) => sendOne(tools, text)))) {
      counts[outcome] = (counts[outcome] ?? 0) + 1;
    }
    if (!claimed.more) break;
  }
  return counts;
}

async function sendOne(tools: SendingTools, text: ClaimedText): Promise<string> {
  const facts = { orgId: text.orgId, sendId: text.sendId, kind: text.kind };
  try {
    const became = await ask(tools, text);
    const { outcome } = await settleText(tools.database, text, became);
    const isSent = "sid" in became;
    tools.log[isSent ? "info" : "warn"]("appointment_text", {
      ...facts,
      outcome,
      ...(isSent ? {} : { failure: became.reason }),
    });
    return outcome;
  } catch (fault) {
    tools.log.error("appointment_text_not_recorded", { ...facts, fault });
    return "unknown";
  }
}

const unsent = (reason: string): TextResult => ({ reason, mayHaveBeenSent: false });

async function ask(tools: SendingTools, text: ClaimedText): Promise<TextResult> {
  const { config, database, accounts, deadlines, log } = tools;
  const found = await accounts.getOf(database, text.orgId).catch((fault) => {
    log.error("appointment_text_failed", { orgId: text.orgId, fault });
  });
  if (found === undefined) return unsent("database");
  if (found.outcome !== "found") return unsent(found.outcome);
  const { account } = found;
  const sender = "from" in account.sender ? account.sender.from : undefined;
  // Numbers that staff entered were not checked in a call.
  const phone = await readPhone(text.phone, []);
  if (phone.kind !== "phone" || phone.e164 === sender) return unsent("bad_destination");
  if (!text.countries.includes(phone.country)) return unsent("blocked_country");
  const sms = await sendSms(account, {
    to: text.phone,
    body: composeAppointmentText(text, sender),
    validitySeconds: Math.max(10, Math.min(text.secondsLeft, longestValiditySeconds)),
    statusCallback: callbackOf(config.functionsPublicUrl, text),
  }, { apiBase: config.twilioApiBase, timeoutMs: deadlines.textMs });
  return resultOf(sms);
}
