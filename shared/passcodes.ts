/**
 * Passcodes: generating, hashing and verifying. The SQL counts and decides; this module makes the
 * digits and the MAC.
 *
 * Sources: NIST SP 800-63B-4 §3.1.3.2 and §3.2.2, OWASP ASVS 5 §6.5 and §6.6.
 *
 * @module
 */

import { sign, toHex, utf8 } from "./bytes.ts";
import type { Config, NamedKey } from "./config.ts";
import type { Database } from "./database/client.ts";
import type { CallFacts } from "./database/entry.ts";
import {
  type PasscodeMac,
  type VerificationOutcome,
  verifyOtpAndConfirm,
} from "./database/passcodes.ts";

/** Compares a passcode and, if it is right, confirms what waits for it, in one round trip. */
export async function verifyPasscode(
  { config, database }: { readonly config: Config; readonly database: Database },
  call: CallFacts,
  code: string,
  holdId: string | undefined,
): Promise<VerificationOutcome> {
  const macs = config.otpPeppers.map((pepper) => macOf(pepper, code));
  return await verifyOtpAndConfirm(database, call, { holdId, macs });
}

/** Six digits. All million codes are equally likely. */
export function makePasscode(): string {
  const limit = Math.floor(2 ** 32 / 1_000_000) * 1_000_000;
  const draw = new Uint32Array(1);
  do {
    crypto.getRandomValues(draw);
  } while ((draw[0] ?? limit) >= limit);
  return String((draw[0] ?? 0) % 1_000_000).padStart(6, "0");
}

/**
 * HMAC-SHA-256 with a pepper that the functions have and the database does not. The database then
 * binds the MAC to organization, call, phone and send.
 */
export function macOf(pepper: NamedKey, code: string): PasscodeMac {
  const mac = sign(pepper.bytes, utf8(`otp:v1|${code}`));
  return { keyId: pepper.id, mac: toHex(mac) };
}
