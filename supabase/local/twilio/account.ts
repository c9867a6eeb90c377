/**
 * Clinics' accounts at the fake Twilio.
 *
 * @module
 */

import type postgres from "postgres";
import { encryptAccount } from "../../../shared/accounts.ts";
import type { Config } from "../../../shared/config.ts";

/** Stores an account for a clinic, which texts from its own number. */
export async function storeFakeAccount(
  sql: postgres.Sql,
  keys: Config["credentialKeys"],
  { id, number }: { readonly id: string; readonly number: string },
  authToken = "local-auth-token",
): Promise<void> {
  const { keyId, nonce, ciphertext } = await encryptAccount(keys, id, {
    accountSid: `AC${id.replaceAll("-", "")}`,
    authToken,
    sender: { from: number },
  });
  await sql`select public.set_org_credentials(
    ${id}, 'twilio', ${keyId}, ${nonce}, ${ciphertext}, null, ${number})`;
}
