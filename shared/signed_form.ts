/**
 * Forms that Twilio posts: their fields, and the signature that shows that Twilio posted them.
 *
 * @module
 */

import type { Bytes } from "./bytes.ts";

/** A text with ten pictures has about forty fields; a report has a dozen. */
const fieldLimit = 50;

/** Reads the fields of a form; undefined when it has more than Twilio's forms can have. */
export function readForm(body: Bytes): URLSearchParams | undefined {
  const ampersand = 38;
  let fields = 1;
  for (const byte of body) {
    if (byte === ampersand && ++fields > fieldLimit) return undefined;
  }
  return new URLSearchParams(new TextDecoder().decode(body));
}

/** Base64 of a SHA-1: anything else is refused without asking the database. */
export function looksSigned(signature: string): boolean {
  return /^[A-Za-z0-9+/]{27}=$/.test(signature);
}

/**
 * Whether Twilio signed a form with an account's token, by the SDK's validator.
 *
 * @param address What Twilio called, with its query. Behind a gateway the request's own URL differs.
 * @param form All fields, including unknown ones: Twilio signs all of them.
 */
export async function isSigned(
  authToken: string,
  signature: string,
  { address, form }: { readonly address: string; readonly form: URLSearchParams },
): Promise<boolean> {
  if (authToken === "") return false;
  const { validateRequest } = await import("twilio/lib/webhooks/webhooks.js");
  return validateRequest(authToken, signature, address, groupFields(form));
}

/** The form that the validator takes: a value, or a list where a name is repeated. */
function groupFields(form: URLSearchParams): Record<string, string | string[]> {
  const fields = new Map<string, string[]>();
  for (const [name, value] of form) {
    const values = fields.get(name);
    if (values) values.push(value);
    else fields.set(name, [value]);
  }
  return Object.fromEntries(
    Array.from(
      fields,
      ([name, [first = "", ...more]]) =>
        [name, more.length === 0 ? first : [first, ...more]] as const,
    ),
  );
}
