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
 * Reads a number as people of a country write it.
 *
 * @returns The number as E.164 and its country, if that is known; undefined if it is not possible
 */
export function readPhone(
  text: string,
  country: string,
): { readonly number: string; readonly country: string | undefined } | undefined {
  const home = libphonenumber.isSupportedCountry(country) ? country : undefined;
  const read = libphonenumber.parsePhoneNumberFromString(text, home);
  return read?.isPossible() ? { number: read.number, country: read.country } : undefined;
}
