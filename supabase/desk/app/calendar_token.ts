/**
 * Tokens of calendars, made in the browser: the server gets only their hash. `shared/calendar_token.ts`
 * says what they consist of, and a test compares both.
 *
 * @module
 */
/// <reference lib="dom" />

const randomLength = 32;

/** Creates the token of a new calendar. */
export function createCalendarToken(orgId: string): string {
  const org = orgId.replaceAll("-", "").match(/../g)?.map((hex) => parseInt(hex, 16)) ?? [];
  const bytes = [...org, ...crypto.getRandomValues(new Uint8Array(randomLength))];
  const encoded = btoa(String.fromCharCode(...bytes));
  return `cal_${encoded.replaceAll("+", "-").replaceAll("/", "_")}`;
}
