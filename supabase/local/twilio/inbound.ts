/**
 * Texts that a phone sends: posted, signed, to the clinic's messaging webhook as Twilio does it.
 *
 * @module
 */

import { readMessage } from "./message.ts";
import { sign } from "./reports.ts";
import type { State } from "./state.ts";

/** A text from a phone. */
export interface PhoneText {
  /** E.164, like `to`. */
  readonly from: string;
  readonly to: string;
  readonly body: string;
  /** Twilio's id; a new one if left out. Twilio may deliver the same text twice. */
  readonly sid?: string;
}

/** What became of it. */
export interface PhoneTextResult {
  readonly sid: string;
  /** The status of the webhook's answer; 0 when there was none. */
  readonly answered: number;
  /** The texts that the webhook's TwiML sends back. */
  readonly replies: readonly string[];
}

/**
 * Lets a phone text a number of the account that last texted from it, and takes the replies.
 *
 * @param webhook Where the number's texts are posted.
 * @returns Undefined when nobody has texted from that number.
 */
export async function receive(
  state: State,
  text: PhoneText,
  webhook: string,
): Promise<PhoneTextResult | undefined> {
  const last = state.messages.findLast(({ from }) => from === text.to);
  if (!last) return undefined;
  const { accountSid, user } = last;
  const pair = `${text.to} ${text.from}`;
  const wish = readWish(text.body);
  if (wish === "stop") state.optedOut.add(pair);
  if (wish === "start") state.optedOut.delete(pair);
  const account = { sid: accountSid, authToken: state.tokens.of(accountSid) };
  const result = await postPhoneText(text, account, webhook);
  if (state.optedOut.has(pair)) return result;
  for (const body of result.replies) {
    const form = new URLSearchParams({ To: text.from, From: text.to, Body: body });
    const read = readMessage(accountSid, user, form);
    if ("message" in read) state.add({ ...read.message, status: "delivered" });
  }
  return result;
}

/** Twilio's default keywords, on which it acts itself. */
const stopWords = ["stop", "stopall", "unsubscribe", "cancel", "end", "quit"];
const startWords = ["start", "yes", "unstop"];

/** Whether a text asks for no more texts, or for texts again. */
function readWish(body: string): "stop" | "start" | undefined {
  const word = body.trim().toLowerCase();
  if (stopWords.includes(word)) return "stop";
  return startWords.includes(word) ? "start" : undefined;
}

async function postPhoneText(
  { from, to, body, sid = `SM${crypto.randomUUID().replaceAll("-", "")}` }: PhoneText,
  account: { readonly sid: string; readonly authToken: string },
  webhook: string,
): Promise<PhoneTextResult> {
  const form: Record<string, string> = {
    ...{ ToCountry: "GB", SmsMessageSid: sid, NumMedia: "0", SmsSid: sid, SmsStatus: "received" },
    ...{ Body: body, FromCountry: "GB", To: to, NumSegments: "1", MessageSid: sid },
    ...{ AccountSid: account.sid, From: from, ApiVersion: "2010-04-01" },
  };
  const headers = {
    "user-agent": "TwilioProxy/1.1",
    "x-twilio-signature": sign(account.authToken, webhook, form),
  };
  try {
    // Twilio waits as long.
    const signal = AbortSignal.timeout(15_000);
    const answer = await fetch(webhook, {
      method: "POST",
      headers,
      body: new URLSearchParams(form),
      signal,
    });
    const text = await answer.text();
    return { sid, answered: answer.status, replies: answer.ok ? readTwiml(text) : [] };
  } catch {
    return { sid, answered: 0, replies: [] };
  }
}

/** The texts of `<Response><Message>...</Message></Response>`. */
function readTwiml(twiml: string): string[] {
  return [...twiml.matchAll(/<Message>(.*?)<\/Message>/gs)].map(([, text = ""]) =>
    text.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&quot;", '"')
      .replaceAll("&amp;", "&")
  );
}
