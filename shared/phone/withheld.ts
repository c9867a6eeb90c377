/**
 * What stands in place of the number of a caller who withholds it.
 *
 * @module
 */

import { hasPossibleLength } from "../calling_codes.ts";
import type { Token } from "../tokens.ts";

/** What networks and SIP say of a caller who withholds the number. */
const withheldWords = "anonymous restricted blocked unknown unavailable private withheld".split(
  " ",
);

/** Whether words stand for a withheld number. */
export function isWithheldWord(tokens: readonly Token[]): boolean {
  const [first, second] = tokens.map(({ value }) => value);
  if (first === "sip" || first === "sips") return true;
  const isPhrase = second === undefined || /^(?:caller|number|id)$/.test(second);
  return first !== undefined && withheldWords.includes(first) && isPhrase && tokens.length <= 3;
}

/**
 * Twilio sends such a word as the keys of a telephone: +266696687 is ANONYMOUS
 * (https://www.twilio.com/docs/voice/twiml#request-parameters).
 */
const keyedWords = new Set(withheldWords.map((word) => word.replace(/./g, keyOf)));

/** Whether digits, with or without a plus, are such a word. */
export function isKeyedWord(written: string): boolean {
  return keyedWords.has(written.replace(/^\+/, ""));
}

/** The key of a letter (ITU-T E.161). */
function keyOf(letter: string): string {
  return "22233344455566677778889999"[letter.charCodeAt(0) - 0x61] ?? "";
}

/**
 * Whether a number stands for none: a word as its keys, or one that its plan does not have, such as
 * +10000000000. In North America no area code begins with 0 or 1 or has a 9 in the middle.
 *
 * @param e164 With its plus.
 */
export function isWithheldNumber(e164: string): boolean {
  const digits = e164.replace(/^\+/, "");
  return isKeyedWord(digits) || !hasPossibleLength(digits) || /^1(?:[01]|.9)/.test(digits);
}
