/**
 * Phone numbers as people give them, read by libphonenumber.
 *
 * The library's 20 ms are paid by the first call that needs them, not by the import.
 *
 * @module
 */

import type { CountryCode } from "libphonenumber-js/max";
import { readDigits } from "./digits.ts";

/** A number that may be texted, or why not. */
export type PhoneReading =
  | { readonly kind: "phone"; readonly e164: string; readonly country: string | null }
  | { readonly kind: "premium" }
  | { readonly kind: "unclear" };

/**
 * Reads a number written or spoken.
 *
 * Gated on the possible length, not on validity: libphonenumber does not know the ranges for drama
 * that demonstrations use. Numbers that cost the caller or earn somebody money are refused.
 *
 * @param given What the model or the network says: `07700 900456`, `oh seven seven ...`, `+1 212 ...`.
 * @param nearby E.164 numbers whose country counts when none is given, best first.
 */
export async function readPhone(
  given: string,
  nearby: readonly (string | undefined)[],
): Promise<PhoneReading> {
  const { parsePhoneNumberFromString } = await import("libphonenumber-js/max");
  const countries = nearby.map((e164) => e164 && countryOf(parsePhoneNumberFromString(e164)));
  const defaultCountry = countries.find((country) => country !== undefined && country !== "");
  const written = spelled(given);
  const options = { extract: false, ...(defaultCountry ? { defaultCountry } : {}) };
  const parsed = parsePhoneNumberFromString(written, options);
  if (!parsed?.isPossible()) return { kind: "unclear" };
  const type = parsed.getType();
  if (type === "PREMIUM_RATE" || type === "SHARED_COST" || type === "PERSONAL_NUMBER") {
    return { kind: "premium" };
  }
  return { kind: "phone", e164: parsed.number, country: countryOf(parsed) ?? null };
}

/** Digits and a leading plus, whether the number was written or spoken. */
function spelled(given: string): string {
  const isInternational = /^\s*(\+|plus\b)/i.test(given);
  // "+44 (0)20 7946 0123": the zero in parentheses is not dialled from abroad.
  const digits = readDigits(isInternational ? given.replace(/\(0\)/, "") : given);
  return isInternational ? `+${digits}` : digits;
}

/** The part of libphonenumber's answer that says the country. */
interface Numbered {
  readonly country?: CountryCode;
  getPossibleCountries(): CountryCode[];
}

/**
 * The country, also of a number in a range that was never assigned: then the first country of the
 * calling code. Under +1 the area codes of the Caribbean are told apart before that, so what is
 * left over is no toll trap.
 */
function countryOf(parsed: Numbered | undefined): CountryCode | undefined {
  return parsed?.country ?? parsed?.getPossibleCountries()[0];
}
