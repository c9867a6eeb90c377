/**
 * What the database keeps only the hash of: tokens of calendars and blocked numbers.
 *
 * @module
 */
/// <reference lib="dom" />

/** The SHA-256 of a text, as hex digits. */
export async function hashHex(text: string): Promise<string> {
  const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return [...new Uint8Array(hash)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
