/**
 * Tokens of calendar feeds: `cal_` and 64 characters, which encode the organization's id and 256 random
 * bits.
 *
 * Calendar programs send nothing but an address, so the token is in its query. The database stores only
 * its hash.
 *
 * @module
 */

import { concat, fromBase64, fromHex, sha256, toBase64, toHex } from "./bytes.ts";

const prefix = "cal_";
const randomLength = 32;

/** Creates the token of a new feed. */
export function createCalendarToken(orgId: string): string {
  const random = crypto.getRandomValues(new Uint8Array(randomLength));
  const bytes = concat([fromHex(orgId.replaceAll("-", "")), random]);
  return prefix + toBase64(bytes).replaceAll("+", "-").replaceAll("/", "_");
}

/** The SHA-256 of a token, as hex digits. */
export function hashCalendarToken(token: string): string {
  return sha256(token);
}

/** The organization whose feed a token can open; undefined if the text is not a token. */
export function orgOfToken(text: string): string | undefined {
  const [, encoded] = /^cal_([\w-]{64})$/.exec(text) ?? [];
  if (encoded === undefined) return undefined;
  const hex = toHex(fromBase64(encoded.replaceAll("-", "+").replaceAll("_", "/")).slice(0, 16));
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
