/**
 * Phone numbers as people write them, read by libphonenumber.
 *
 * @module
 */

import type { CountryCode, PhoneNumber } from "libphonenumber-js";

/** libphonenumber-js's browser build, which the page loads as a script. */
declare const libphonenumber: {
  parsePhoneNumberFromString(text: string, country?: CountryCode): PhoneNumber | undefined;
  isSupportedCountry(country: string): country is CountryCode;
};

/**
 * Reads a number as people of a country write it. The same rule as on the phone line: with a country code
 * a number needs only a possible length, and without one it must exist or be like numbers that exist.
 *
 * @returns The number as E.164 and its country, if that is known; undefined if it is not complete
 */
export function readPhone(
  text: string,
  country: string,
): { readonly number: string; readonly country: string | undefined } | undefined {
  const home = libphonenumber.isSupportedCountry(country) ? country : undefined;
  const read = libphonenumber.parsePhoneNumberFromString(text, home);
  if (!read?.isPossible()) return undefined;
  const isComplete = isInternational.test(text) && read.nationalNumber.length >= fewestDigits;
  return isComplete || isLikeOthers(read)
    ? { number: read.number, country: read.country }
    : undefined;
}

const isInternational = /^\s*(?:\+|00|011)/;

/** After the country code. */
const fewestDigits = 7;

/**
 * Whether a number exists, or one of the same length that begins with the same four or three digits:
 * libphonenumber does not know the numbers that demonstrations use, nor those assigned recently.
 */
const isLikeOthers = (read: PhoneNumber): boolean =>
  read.isValid() || [4, 3].some((kept) =>
    Array.from("0123456789").some((digit) => {
      const rest = digit.repeat(Math.max(0, read.nationalNumber.length - kept));
      const start = `+${read.countryCallingCode}${read.nationalNumber.slice(0, kept)}`;
      return libphonenumber.parsePhoneNumberFromString(start + rest)?.isValid();
    })
  );
