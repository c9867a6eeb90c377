/**
 * Phone numbers as people say them, read by libphonenumber, and which of them may be texted.
 *
 * Every text costs the clinic money, and some ranges pay their owner. So everything that is not a
 * person's phone is refused before anything is stored: premium and shared cost, personal and
 * universal numbers, toll-free lines, pagers, voice mail, satellite and other networks without a
 * country, and short codes. The clinic decides which countries may be texted, in the database. This
 * module finds a number's country, for +1 by area code.
 *
 * Loading the library takes 20 ms, so the first call that needs it loads it.
 *
 * @module
 */

import type { CountryCode, NumberType, PhoneNumber } from "libphonenumber-js/max";
import { fewestDigits, readSaid, type SaidNumber } from "./phone/said.ts";
import { isWithheldNumber } from "./phone/withheld.ts";

export { isWithheldNumber } from "./phone/withheld.ts";

/** A number that may be texted, or why not. */
export type PhoneReading =
  | { readonly kind: "phone"; readonly e164: string; readonly country: CountryCode }
  /** A number that costs or earns somebody money, or is not a person's phone. */
  | { readonly kind: "premium" }
  /** An extension, which cannot receive texts. */
  | { readonly kind: "extension" }
  /** `the one I'm calling from`. */
  | { readonly kind: "own" }
  /** What a network sends instead of a withheld number. It counts as no number. */
  | { readonly kind: "withheld" }
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

/** Ranges by calling code that are never texted, even where libphonenumber does not know them. */
const unusableRanges: readonly (readonly [code: string, national: RegExp])[] = [
  // Ofcom, National Telephone Numbering Plan: personal numbers, premium and shared cost.
  ["44", /^(?=\d{9})(?:70|9|8[4-7])/],
  // NANPA: carriers' and personal services, the government's, premium and toll-free codes.
  [
    "1",
    /^(?=\d{10})(?:500|52[1-9]|533|544|566|577|588|600|700|710|8(?:00|22|33|44|55|66|77|88)|900|976)/,
  ],
];

/**
 * Reads a number written or spoken.
 *
 * A number with a country code needs only a possible length. A national number must exist, or share
 * its first digits and its length with numbers that exist: libphonenumber knows neither the fictional
 * ranges that demonstrations use nor numbers assigned recently. If the digits can mean two numbers,
 * the reading is unclear.
 *
 * @param given What the model or the network says: `07700 900456`, `oh seven seven ...`, `+1 212 ...`.
 * @param nearby E.164 numbers whose countries are tried when none is given, best first.
 * @param clinicCountry ISO 3166; tried before them.
 */
export async function readPhone(
  given: string,
  nearby: readonly (string | undefined)[],
  clinicCountry?: string,
): Promise<PhoneReading> {
  const said = readSaid(given);
  if (said === "own" || said === "withheld") return { kind: said };
  if (said.numbers.length === 0) return { kind: said.hasExtension ? "extension" : "unclear" };
  const { isSupportedCountry, parsePhoneNumberFromString: parse } = await import(
    "libphonenumber-js/max"
  );
  const defaultCountry = clinicCountry !== undefined && isSupportedCountry(clinicCountry)
    ? clinicCountry
    : findCountry(nearby, parse);
  const options = { extract: false, ...(defaultCountry ? { defaultCountry } : {}) };
  const read = (written: string) => classify(written, (number) => parse(number, options));
  const found = said.numbers.map((number) => readNumber(number, read));
  const [only, other] = new Map(found.flat().map((each) => [each.e164, each])).values();
  // Another number that cannot be read may be the one that was meant.
  const isAlone = said.numbers.every(({ isShort }, index) => isShort || found[index]?.length);
  if (only === undefined || other !== undefined || !isAlone) return { kind: "unclear" };
  if (isWithheldNumber(only.e164)) return { kind: "withheld" };
  if (said.hasExtension) return { kind: "extension" };
  const { e164, country } = only;
  return country === undefined ? { kind: "premium" } : { kind: "phone", e164, country };
}

/** The country of the first number that has one. */
function findCountry(
  nearby: readonly (string | undefined)[],
  parse: Parse,
): CountryCode | undefined {
  for (const e164 of nearby) {
    const place = e164 ? parse(e164) : undefined;
    const country = place && countryOf(place);
    if (country !== undefined) return country;
  }
  return undefined;
}

/** A number that can be dialled. It has no country when it must not be texted. */
interface DialledNumber {
  readonly e164: string;
  readonly country?: CountryCode;
}

/** The numbers of the first reading that gives any. The likeliest reading comes first. */
function readNumber(
  { ways }: SaidNumber,
  read: (written: string) => DialledNumber | undefined,
): DialledNumber[] {
  for (const way of ways) {
    const numbers = way.flatMap((written) => read(written) ?? []);
    if (numbers.length > 0) return numbers;
  }
  return [];
}

type Parse = (written: string) => PhoneNumber | undefined;

function classify(written: string, parse: Parse): DialledNumber | undefined {
  const parsed = parse(written);
  if (!parsed?.isPossible()) return undefined;
  if (isUnusable(parsed)) return { e164: parsed.number };
  const isKnown = parsed.isValid();
  const alike = isKnown ? [parsed] : neighboursOf(parsed, parse);
  const isLong = parsed.nationalNumber.length >= fewestDigits;
  const isInternational = /^(?:\+|00|011)/.test(written);
  if (alike.length === 0 && !(isLong && isInternational)) return undefined;
  const isRefused = alike.length > 0 &&
    alike.every((neighbour) => unusableTypes.includes(neighbour.getType()));
  const country = parsed.country ?? alike[0]?.country ?? countryOf(parsed);
  // Satellite phones, machines and international services have a code and no country.
  return isRefused || country === undefined
    ? { e164: parsed.number }
    : { e164: parsed.number, country };
}

function isUnusable({ countryCallingCode, nationalNumber }: PhoneNumber): boolean {
  return unusableRanges.some(([code, national]) =>
    code === countryCallingCode && national.test(nationalNumber)
  );
}

/** Existing numbers that share the first four, else three, digits of one that does not exist. */
function neighboursOf(
  { countryCallingCode, nationalNumber }: PhoneNumber,
  parse: Parse,
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

/** The number's country; for an unknown number, the main country of its calling code. */
function countryOf(parsed: PhoneNumber): CountryCode | undefined {
  return parsed.country ?? parsed.getPossibleCountries()[0];
}
