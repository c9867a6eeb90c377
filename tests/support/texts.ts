/**
 * An account and a text whose parts are easy to find where they must not be.
 *
 * @module
 */

import type { TwilioAccount } from "../../shared/accounts.ts";
import type { Sms } from "../../shared/twilio.ts";

/** A made-up account. */
export const anAccount: TwilioAccount = {
  accountSid: `AC${"0123456789abcdef".repeat(2)}`,
  authToken: "secretauthtoken0123456789",
  sender: { from: "+442079460123" },
};

/** A text to an unassigned number from Ofcom's range for drama. */
export const aText: Sms = {
  to: "+447700900456",
  body: "482913 is your Sunrise Dental code to confirm your appointment.",
  validitySeconds: 300,
  statusCallback: "http://127.0.0.1:9/functions/v1/sms-status?org=1&send_id=2",
};

/** Parts that no log, error or answer may contain, in any likely encoding. */
export const secrets: readonly string[] = [
  anAccount.authToken,
  btoa(`${anAccount.accountSid}:${anAccount.authToken}`),
  "482913 is",
  "482913+is",
  "482913%20is",
  aText.to,
  encodeURIComponent(aText.to),
];
