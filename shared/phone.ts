/**
 * Phone numbers as people give them, read by libphonenumber, and which of them may be texted.
 *
 * Every text costs the clinic money and some ranges pay whoever owns them, so a number that is no
 * person's phone is refused before anything is stored: premium and shared cost, personal and
 * universal numbers, toll-free lines, pagers, voice mail, satellite and other networks without a
 * country, short codes. Which countries may be texted is the clinic's choice and decided in the
 * database; here a number gets its country, under +1 by area code.
 *
 * The library's 20 ms are paid by the first call that needs them, not by the import.
 *
 * @module
 */

import type { CountryCode, NumberType, PhoneNumber } from "libphonenumber-js/max";
import { readDigits } from "./digits.ts";

/** A number that may be texted, or why not. */
export type PhoneReading =
  | { readonly kind: "phone"; readonly e164: string; readonly country: CountryCode }
  /** A number that costs or earns somebody money, or is no person's phone. */
  | { readonly kind: "premium" }
  | { readonly kind: "unclear" };

const unusableTypes: readonly NumberType[] = [
  "PREMIUM_RATE",
  "SHARED_COST",
  "TOLL_FREE",
  "PERSONAL_NUMBER",
  "UAN",
  "PAGER",
  "VOICEMAIL",
];

/** National digits of a number that libphonenumber does not know: fewer are a short code. */
const fewestDigits = 7;

/**
 * Reads a number written or spoken.
 *
 * Gated on the possible length, not on validity: libphonenumber does not know the ranges for drama
 * that demonstrations use, nor a range that was opened yesterday. A number it does not know counts
 * as what its neighbours are.
 *
 * @param given What the model or the network says: `07700 900456`, `oh seven seven ...`, `+1 212 ...`.
 * @param nearby E.164 numbers whose country counts when none is given, best first.
 * @param clinicCountry ISO 3166, which counts before them.
 */
export async function readPhone(
  given: string,
  nearby: readonly (string | undefined)[],
  clinicCountry?: string,
): Promise<PhoneReading> {
  const { isSupportedCountry, parsePhoneNumberFromString: parse } = await import(
    "libphonenumber-js/max"
  );
  const places = nearby.map((e164) => e164 && parse(e164)).map((place) =>
    place && countryOf(place)
  );
  const defaultCountry = clinicCountry !== undefined && isSupportedCountry(clinicCountry)
    ? clinicCountry
    : places.find((country) => country !== undefined && country !== "");
  const written = spelled(given);
  const options = { extract: false, ...(defaultCountry ? { defaultCountry } : {}) };
  const parsed = parse(written, options);
  if (!parsed?.isPossible()) return { kind: "unclear" };
  const isKnown = parsed.isValid();
  if (!isKnown && parsed.nationalNumber.length < fewestDigits) return { kind: "unclear" };
  const alike = isKnown ? [parsed] : neighboursOf(parsed, parse);
  const isRefused = alike.length > 0 &&
    alike.every((neighbour) => unusableTypes.includes(neighbour.getType()));
  const country = parsed.country ?? alike[0]?.country ?? countryOf(parsed);
  // Satellite phones, machines and international services have a code and no country.
  if (isRefused || country === undefined) return { kind: "premium" };
  return { kind: "phone", e164: parsed.number, country };
}

/** Numbers that exist and share the first four digits of one that does not, else the first three. */
function neighboursOf(
  { countryCallingCode, nationalNumber }: PhoneNumber,
  parse: (e164: string) => PhoneNumber | undefined,
): PhoneNumber[] {
  for (const kept of [4, 3]) {
    const start = `+${countryCallingCode}${nationalNumber.slice(0, kept)}`;
    const found = Array.from("0123456789").flatMap((digit) => {
      const filled = start + digit.repeat(Math.max(0, nationalNumber.length - kept));
      const neighbour = parse(filled);
      return neighbour?.isValid() ? [neighbour] : [];
    });
    if (found.length > 0) return found;
  }
  return [];
}

/** Digits and a leading plus, whether the number was written or spoken. */
function spelled(given: string): string {
  const isInternational = /^\s*(\+|plus\b)/i.test(given);
  // "+44 (0)20 7946 0123": the zero in parentheses is not dialled from abroad.
  const digits = readDigits(isInternational ? given.replace(/\(0\)/, "") : given);
  return isInternational ? `+${digits}` : digits;
}

/** The country; of a number nothing is known of, the first of its calling code. */
function countryOf(parsed: PhoneNumber): CountryCode | undefined {
  return parsed.country ?? parsed.getPossibleCountries()[0];
}
